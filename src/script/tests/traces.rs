//! What a bot remembers of what it had to do: everything that runs a script leaves a trace, and so do its failures.

use std::sync::Arc;
use std::time::Duration;

use super::{Player, Rig, message, script};
use crate::cron::{Cron, Schedule, zone};
use crate::script::error::ScriptError;
use crate::script::hook::HookRequest;
use crate::script::outside::HttpResponse;
use crate::script::trace::Trace;
use crate::script::{Permissions, ScriptUse};

const URL: &str = "https://api.example.net/x";

/// Does what it is told, with a function or a handler that fails with the same word.
const FAILING: &str = r#"
every("1m", || throw "every");
cron("30 12 * * *", || throw "cron");
webhook("open", #{ auth: "none" }, |q| throw "webhook");
on("timer:tea", |t| throw "timer");
on("timer:daily", |t| throw "schedule");
on("tell:guest", |t| throw "tell");
on("answer:page", |r| throw "page");
on("load", || throw "load");
on("message", |m| switch m.text {
    "after" => timer::after("5s", || throw "after"),
    "timer" => timer::at("5s", "tea"),
    "page" => http::get("https://api.example.net/x", #{}, "page", ()),
    "function" => http::get("https://api.example.net/x", |r| throw "function"),
    _ => ()
});
"#;

#[test]
fn an_event_that_no_handler_takes_leaves_a_trace_too() {
    let rig = Rig::new();
    let mut bot =
        rig.bot(r#"on("message", |m| if m.text == "fail" { throw "no" } else { m.reply("yes") });"#);
    assert_eq!(bot.ask("hello"), ["yes"]);
    bot.fail(message("ann@example.org/pc", "fail"));
    let traces = bot.handle.traces();
    let said: Vec<_> = traces.iter().map(|t| (t.kind, t.turns, t.actions, t.failures.len())).collect();
    assert_eq!(said, [("message", 1, 1, 0), ("message", 1, 0, 1)]);
    assert_eq!(traces[1].from.as_deref(), Some("ann@example.org/pc"));
    assert_ne!(traces[0].id, traces[1].id);

    let mut deaf = rig.add("deaf", vec![super::script("deaf", r#"on("room", || ());"#)]);
    deaf.try_event(message("ann@example.org/pc", "hello"));
    let traces = deaf.handle.traces();
    assert_eq!(traces.iter().map(|t| (t.turns, t.actions)).collect::<Vec<_>>(), [(0, 0)]);
    assert!(traces[0].explain("deaf").contains("→ nothing was sent, no turn, version "));
}

#[test]
fn a_bot_remembers_its_last_eight_events() {
    let rig = Rig::new();
    let mut bot = rig.bot(r#"on("message", |m| m.reply("yes"));"#);
    for _ in 0..20 {
        bot.ask("hello");
    }
    assert_eq!(bot.handle.traces().len(), 8);
}

#[test]
fn a_bot_that_goes_gives_back_what_its_memory_took() {
    let rig = Rig::new();
    let mut bots =
        ["one", "two"].map(|name| rig.add(name, vec![script("main", r#"on("message", |m| ());"#)]));
    let chronicle = rig.pool.chronicle();
    assert_eq!(chronicle.bytes(), 0);
    bots[0].ask("hello");
    let one = chronicle.bytes();
    assert!((300..3_000).contains(&one), "{one}");
    bots[1].ask("hello");
    assert_eq!(chronicle.bytes(), 2 * one, "as much as the other");
    let [first, second] = bots;
    first.handle.remove();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while chronicle.bytes() != one {
        assert!(std::time::Instant::now() < deadline, "{} bytes are left", chronicle.bytes());
        std::thread::yield_now();
    }
    drop(second);
}

#[test]
fn every_failure_names_the_trace_that_tells_of_it() {
    let rig = Rig::new();
    let page = HttpResponse { status: 200, headers: Vec::new(), body: Vec::new(), url: URL.to_owned() };
    rig.web.answer("GET", URL, Ok(page));
    let daily = Cron::parse("45 12 * * *", zone("UTC").expect("a zone")).expect("a cron line");
    let daily = Schedule { cron: daily, emit: "daily".to_owned(), catch_up: false };
    let mut bot = rig.scheduled("helper", vec![script("main", FAILING)], vec![daily]);
    let told = |bot: &Player, word: &str, kind: &str, head: &str| {
        let (failure, trace) = failed(bot, word);
        assert_eq!(trace.kind, kind, "{word}");
        assert_eq!(trace.failures.len(), 1, "{word}");
        assert!(trace.is_called(&trace.id) && trace.is_of(kind), "{word}");
        let text = trace.explain("helper");
        assert!(text.contains(&format!("  helper ← {head}  [{}]\n", trace.id)), "{text}");
        assert!(text.contains("  yes  and failed\n"), "{text}");
        assert!(text.contains(&format!("\n  → failed: {}{word}\n", failure.place())), "{text}");
        assert_eq!(trace.to_json("helper")["failures"][0], trace.failures[0].as_str());
    };
    told(&bot, "load", "load", "load");
    for word in ["page", "function"] {
        bot.ask(word);
        told(&bot, word, "answer", if word == "page" { "answer page" } else { "answer" });
    }
    for word in ["after", "timer"] {
        bot.ask(word);
        rig.advance(Duration::from_secs(5));
        told(&bot, word, word, if word == "timer" { "timer tea" } else { "after" });
    }
    let request =
        HookRequest { ip: "192.0.2.1".to_owned(), id: "call-7".to_owned(), ..HookRequest::default() };
    rig.pool.hooks().call("helper", "open", request, Box::new(drop)).expect("there is room");
    told(&bot, "webhook", "webhook", "webhook open from 192.0.2.1");
    assert!(failed(&bot, "webhook").1.is_called("call-7"));
    let grant = Permissions { bots: vec!["*".to_owned()], ..Permissions::default() };
    let source = r#"on("message", |m| peer::tell("helper", "guest"));"#;
    let mut door = rig.add("door", vec![ScriptUse { permissions: grant, ..script("main", source) }]);
    door.ask("x");
    rig.pool.wake();
    told(&bot, "tell", "tell", "tell guest from door");
    bot.ask("well");
    rig.advance(Duration::from_secs(60));
    told(&bot, "every", "every", "every 1m");
    bot.ask("well");
    rig.advance(Duration::from_secs(30 * 60));
    told(&bot, "cron", "cron", "cron 30 12 * * *");
    rig.advance(Duration::from_secs(15 * 60));
    told(&bot, "schedule", "schedule", "schedule daily");
}

#[test]
fn what_the_clock_does_is_remembered_apart_and_the_same_key_of_two_bots_is_not_one_event() {
    let rig = Rig::new();
    let source =
        r#"every("1m", || bot::send("ann@example.org", "tick")); on("message", |m| m.reply("yes"));"#;
    let mut bots = ["one", "two"].map(|name| rig.add(name, vec![script("main", source)]));
    for bot in &mut bots {
        bot.ask("before");
    }
    for n in 1..=20 {
        rig.advance(Duration::from_secs(60));
        for bot in &bots {
            bot.told.wait_texts(|said| said.iter().filter(|text| *text == "tick").count() == n);
        }
    }
    let of = |bot: &Player, kind: &str| -> Vec<Trace> {
        bot.handle.traces().into_iter().filter(|trace| trace.is_of(kind)).collect()
    };
    for bot in &bots {
        assert_eq!((of(bot, "message").len(), of(bot, "every").len()), (1, 4));
        assert_eq!(of(bot, "every:1m").len(), 4);
        assert_eq!(of(bot, "every:2m").len(), 0);
    }
    let text = of(&bots[0], "every")[0].explain("one");
    assert!(text.contains("  every    1m          yes\n  → sent to ann@example.org as "), "{text}");
    assert_ne!(of(&bots[0], "every")[0].id, of(&bots[1], "every")[0].id);
    assert_ne!(of(&bots[0], "message")[0].id, of(&bots[1], "message")[0].id);
}

#[test]
fn the_cost_is_measured() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"on("message", |m| { let n = 0; while n < 1000 { n += 1; } m.reply("done"); });
on("message", |m| if m.text == "more" { let n = 0; while n < 1000 { n += 1; } });"#,
    );
    let mut cost = |text: &str| {
        bot.ask(text);
        let trace = bot.handle.traces().pop().expect("just handled");
        let (told, json) = (trace.explain("helper"), trace.to_json("helper"));
        let line = told.lines().last().expect("lines").to_owned();
        assert_eq!(json["operations"], trace.cost.operations);
        assert_eq!(json["spent_us"], u64::try_from(trace.cost.time.as_micros()).expect("not that long"));
        (trace.cost, line)
    };
    let ((less, line), (more, _)) = (cost("less"), cost("more"));
    assert!(less.operations >= 1_000 && more.operations >= less.operations + 1_000, "{less:?} {more:?}");
    assert!(!less.time.is_zero() && less.time < super::patient().turn, "{less:?}");
    let start = format!("  → 1 message, {} operations, ", less.operations);
    assert!(line.starts_with(&start) && line.contains("s, version "), "{line}");
    // What the count says is what the limit goes by.
    let limits = crate::script::Limits { operations: less.operations, ..super::patient() };
    let source = r#"on("message", |m| { let n = 0; while n < 1000 { n += 1; } m.reply("done"); });
on("message", |m| if m.text == "more" { let n = 0; while n < 1000 { n += 1; } });"#;
    let mut bot = rig.add("bounded", vec![ScriptUse { limits, ..script("main", source) }]);
    assert_eq!(bot.ask("less"), ["done"]);
    let failure = bot.fail(message("ann@example.org/phone", "more"));
    assert_eq!(failure.kind, crate::script::error::Kind::Operations);
    let spent = bot.handle.traces().pop().expect("just handled").cost;
    assert_eq!(spent.operations, less.operations, "a failed turn has its cost too");
}

#[test]
fn a_failure_without_a_line_has_no_place_in_it() {
    let rig = Rig::new();
    let asking = r#"on("message", |m| m.ask("sugar", "Sugar?")); on("answer:sugar", |m| m.reply("ok"));"#;
    let mut bot = rig.bot(asking);
    bot.ask("tea");
    bot.handle.swap(vec![script("main", r#"on("message", |m| m.reply("yes")); on("answer:milk", |m| ());"#)]);
    let failure = bot.told.wait_failure();
    assert!(failure.to_string().starts_with("scripts/main.rhai: an open question `sugar` "), "{failure}");
    let plain = ScriptError { file: String::new(), ..failure };
    assert!(plain.to_string().starts_with("an open question"), "{plain}");
    // In the trace of the message that would have been the answer, too.
    bot.try_event(message("ann@example.org/phone", "yes please"));
    let trace = bot.handle.traces().pop().expect("just handled");
    assert!(trace.failures[0].starts_with("scripts/main.rhai: an open question"), "{:?}", trace.failures);
}

/// The failure of that message, and the trace that it names.
fn failed(bot: &Player, message: &str) -> (ScriptError, Arc<Trace>) {
    let fits = |failure: &ScriptError| failure.message == message;
    let turned = bot.told.wait(|turned| turned.failures.iter().any(fits));
    let failure = turned.failures.into_iter().find(fits).expect("just found");
    let id = failure.trace.as_deref().unwrap_or_else(|| panic!("`{message}` has no trace"));
    let trace = bot.handle.traces().into_iter().find(|trace| trace.id == id);
    (failure.clone(), Arc::new(trace.unwrap_or_else(|| panic!("`{message}` left no trace"))))
}
