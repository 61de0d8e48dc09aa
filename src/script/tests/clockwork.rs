//! `cron` and `schedules`: slots by the wall clock, none twice, none lost while the program runs.

use std::sync::Arc;
use std::time::Duration;

use crate::cron::{Cron, Schedule, zone};
use crate::script::ScriptUse;
use crate::script::data::Memory;
use crate::script::error::Kind;
use crate::script::inspect::inspect;
use crate::script::tests::{Player, Rig, now, script};

const HOUR: Duration = Duration::from_secs(3600);
/// Says when it came due and how late.
const NINE: &str = r#"cron("0 9 * * *", |t| bot::send("ann@example.org", `${time::show(t.due, "%d %H:%M")} +${t.late_s}`));
on("message", |m| m.reply(m.text));"#;

#[test]
fn a_cron_line_comes_due_by_the_clock_again_and_again() {
    // The rig begins on 1 March at noon.
    let rig = Rig::new();
    let mut bot = rig.bot(NINE);
    bot.ask("loaded");
    rig.advance(20 * HOUR);
    rig.advance(HOUR);
    assert_eq!(lines(&bot, 1), ["02 09:00 +0"]);
    rig.advance(24 * HOUR);
    assert_eq!(lines(&bot, 2), ["02 09:00 +0", "03 09:00 +0"]);
}

#[test]
fn the_zone_is_that_of_the_option_else_of_the_bot() {
    let rig = Rig::new();
    let source = r#"cron("0 14 * * *", |t| bot::send("ann@example.org", "oslo"));
cron("0 9 * * *", #{ timezone: "America/New_York" }, || bot::send("ann@example.org", "new york"));
on("message", |m| m.reply(m.text));"#;
    let uses = ScriptUse { timezone: zone("Europe/Oslo").expect("a zone"), ..script("main", source) };
    let mut bot = rig.add("helper", vec![uses]);
    bot.ask("loaded");
    rig.advance(HOUR);
    assert_eq!(lines(&bot, 1), ["oslo"]);
    rig.advance(HOUR);
    assert_eq!(lines(&bot, 2), ["oslo", "new york"]);
}

#[test]
fn slots_missed_while_the_program_was_down_are_left_out() {
    let (kept, rig) = kept();
    let mut bot = rig.bot(NINE);
    bot.ask("loaded");
    rig.advance(21 * HOUR);
    assert_eq!(lines(&bot, 1), ["02 09:00 +0"]);
    drop((bot, rig));
    let rig = again(&kept, "2026-03-05T12:00:00Z");
    let mut bot = rig.bot(NINE);
    bot.ask("loaded");
    rig.advance(21 * HOUR);
    assert_eq!(lines(&bot, 1), ["06 09:00 +0"]);
}

#[test]
fn catch_up_makes_up_for_the_last_missed_slot_once() {
    let source = NINE.replace("* * *\",", "* * *\", #{ catch_up: true },");
    let (kept, rig) = kept();
    let mut bot = rig.bot(&source);
    bot.ask("loaded");
    drop((bot, rig));
    for expected in [vec!["05 09:00 +10800"], vec![]] {
        let rig = again(&kept, "2026-03-05T12:00:00Z");
        let mut bot = rig.bot(&source);
        bot.ask("loaded");
        rig.pool.wake();
        bot.ask("after it");
        let said: Vec<String> = lines(&bot, expected.len());
        assert_eq!(said, expected);
    }
}

#[test]
fn a_new_line_has_nothing_to_catch_up_with() {
    let rig = Rig::new();
    let mut bot = rig.bot(&NINE.replace("* * *\",", "* * *\", #{ catch_up: true },"));
    bot.ask("loaded");
    rig.pool.wake();
    bot.ask("after it");
    assert_eq!(lines(&bot, 0), Vec::<String>::new());
}

#[test]
fn a_clock_set_back_a_little_repeats_no_slot() {
    let (kept, rig) = kept();
    let mut bot = rig.bot(NINE);
    bot.ask("loaded");
    rig.advance(21 * HOUR);
    lines(&bot, 1);
    rig.set_wall("2026-03-02T08:30:00Z");
    rig.advance(HOUR);
    bot.ask("after it");
    assert_eq!(lines(&bot, 1).len(), 1);
    drop((bot, rig));
    // Neither does a restart at that time.
    let rig = again(&kept, "2026-03-02T08:30:00Z");
    let mut bot = rig.bot(NINE);
    bot.ask("loaded");
    rig.advance(HOUR);
    bot.ask("after it");
    assert_eq!(lines(&bot, 0).len(), 0);
    rig.advance(24 * HOUR);
    assert_eq!(lines(&bot, 1), ["03 09:00 +1800"]);
}

#[test]
fn a_clock_that_was_years_ahead_is_forgotten() {
    let rig = Rig::new();
    let mut bot = rig.bot(NINE);
    bot.ask("loaded");
    rig.set_wall("2036-03-01T12:00:00Z");
    assert_eq!(lines(&bot, 1), ["02 09:00 +315543600"]);
    rig.advance(21 * HOUR);
    assert_eq!(lines(&bot, 2)[1], "02 09:00 +0");
    rig.set_wall("2026-03-01T12:00:00Z");
    bot.ask("looks at the clock");
    rig.advance(21 * HOUR);
    assert_eq!(lines(&bot, 3)[2], "02 09:00 +0");
}

#[test]
fn a_slot_is_not_repeated_by_a_replaced_script() {
    let rig = Rig::new();
    let mut bot = rig.bot(NINE);
    bot.ask("loaded");
    rig.advance(21 * HOUR);
    lines(&bot, 1);
    bot.handle.swap(vec![script("main", &format!("{NINE}\n// changed"))]);
    bot.ask("replaced");
    rig.pool.wake();
    bot.ask("after it");
    assert_eq!(lines(&bot, 1).len(), 1);
    rig.advance(24 * HOUR);
    assert_eq!(lines(&bot, 2)[1], "03 09:00 +0");
}

#[test]
fn a_slot_that_fails_is_not_tried_again() {
    let rig = Rig::new();
    let source = r#"cron("0 9 * * *", |t| { store::set("x", 1); throw "no"; });
on("message", |m| m.reply(`${store::get("x")} ${store::keys("").len()}`));"#;
    let mut bot = rig.bot(source);
    bot.ask("loaded");
    rig.advance(21 * HOUR);
    let failure = bot.told.wait_failure();
    assert_eq!((failure.event.as_deref(), failure.line), (Some("cron"), 1));
    // What the runtime remembers is no key of the script.
    assert_eq!(bot.ask("x"), [" 0"]);
}

#[test]
fn keys_of_the_runtime_are_refused() {
    let rig = Rig::new();
    for call in ["get(k)", "set(k, 1)", "set(k, 1, \"1m\")", "del(k)", "incr(k)", "once(k)"] {
        let source = format!("on(\"message\", |m| {{ let k = \"\\U0010ffffcron/x\"; store::{call}; }});");
        let mut bot = rig.add(&format!("bot-{}", call.len()), vec![script("main", &source)]);
        let failure = bot.fail(super::message("ann@example.org", "x"));
        assert!(failure.message.contains("the runtime's own"), "{call}: {failure}");
    }
}

#[test]
fn a_line_that_cannot_work_is_refused_where_it_stands() {
    let why = |source: &str| inspect(&script("main", source), now()).expect_err(source);
    let failure = why("\ncron(\"61 * * * *\", || 1);");
    assert_eq!((failure.kind, failure.line), (Kind::Declaration, 2));
    assert!(failure.message.starts_with("`61` is no minute"), "{failure}");
    assert!(failure.hint.is_some_and(|hint| hint.contains("0 9 * * MON-FRI")));
    assert_eq!(why(r#"cron("0 0 31 4 *", || 1);"#).message, "`0 0 31 4 *` never comes due");
    let failure = why(r#"cron("@daily", #{ timezone: "Oslo" }, || 1);"#);
    assert_eq!(failure.hint.as_deref(), Some("did you mean `Europe/Oslo`?"));
    let failure = why(r#"cron("@daily", #{ timezon: "UTC" }, || 1);"#);
    assert_eq!(failure.hint.as_deref(), Some("did you mean `timezone`?"));
    assert!(why(r#"cron("@daily", |a, b| 1);"#).message.contains("takes too many parameters"));
    let twice = r#"cron("@daily", #{ name: "a" }, || 1); cron("@hourly", #{ name: "a" }, || 1);"#;
    assert_eq!(why(twice).message, "the cron line `a` is declared twice");
    assert!(why(r#"for i in 0..101 { cron("@daily", || 1); }"#).message.contains("more than 100 cron lines"));
    let seen = inspect(&script("main", "\ncron(\"@daily\", || 1);"), now()).expect("it loads");
    assert_eq!(seen.cron, [("@daily".to_owned(), 2)]);
}

#[test]
fn a_schedule_raises_its_timer_in_all_scripts_that_handle_it() {
    let rig = Rig::new();
    let source = |name: &str| {
        format!(
            "on(\"timer:morning\", |t| bot::send(\"ann@example.org\", `{name} ${{t.name}} ${{t.due}}`));
on(\"message\", |m| m.reply(m.text));"
        )
    };
    let scripts = vec![
        script("one", &source("one")),
        script("two", &source("two")),
        script("three", "on(\"load\", || ());"),
    ];
    let mut bot = rig.scheduled("helper", scripts, vec![schedule("0 9 * * *", "Europe/Oslo", "morning")]);
    bot.ask("loaded");
    rig.advance(20 * HOUR);
    let said = lines(&bot, 2);
    assert_eq!(said, ["one morning 2026-03-02T08:00:00Z", "two morning 2026-03-02T08:00:00Z"]);
}

#[test]
fn schedules_are_replaced_while_the_bot_runs() {
    let rig = Rig::new();
    let source = r#"on("timer:a", || bot::send("ann@example.org", "a"));
on("timer:b", || bot::send("ann@example.org", "b"));
on("message", |m| m.reply(m.text));"#;
    let (first, second) = (schedule("0 13 * * *", "UTC", "a"), schedule("0 14 * * *", "UTC", "b"));
    let mut bot = rig.scheduled("helper", vec![script("main", source)], vec![first.clone()]);
    bot.ask("loaded");
    bot.handle.configure(Vec::new(), Default::default(), 10, vec![second]);
    bot.ask("replaced");
    rig.advance(2 * HOUR);
    assert_eq!(lines(&bot, 1), ["b"]);
    bot.handle.configure(Vec::new(), Default::default(), 10, vec![first]);
    bot.ask("replaced");
    rig.advance(24 * HOUR);
    assert_eq!(lines(&bot, 2), ["b", "a"]);
}

fn schedule(line: &str, name: &str, emit: &str) -> Schedule {
    let cron = Cron::parse(line, zone(name).expect("a zone")).expect("a cron line");
    Schedule { cron, emit: emit.to_owned(), catch_up: false }
}

/// What was sent by the clock: at least that many lines.
fn lines(bot: &Player, count: usize) -> Vec<String> {
    let ours =
        |text: &&String| !["loaded", "replaced", "after it", "looks at the clock"].contains(&text.as_str());
    let all = bot.told.wait_texts(|all| all.iter().filter(ours).count() >= count);
    all.iter().filter(ours).cloned().collect()
}

/// A rig whose values outlive it.
fn kept() -> (Memory, Rig) {
    let mut kept = None;
    let rig = Rig::with(2, |clock| {
        let memory = Memory::new(clock);
        kept = Some(memory.clone());
        Arc::new(memory)
    });
    (kept.expect("made above"), rig)
}

/// The program starts again, at that time.
fn again(kept: &Memory, wall: &str) -> Rig {
    let kept = kept.clone();
    let rig = Rig::with(2, |_| Arc::new(kept));
    rig.set_wall(wall);
    rig
}
