//! Scripts that fail, and what of it reaches others: nothing that grows.

use std::time::Duration;

use crate::script::error::Kind;
use crate::script::tests::{Rig, message, patient, script, texts};
use crate::script::{Limits, ScriptUse};

/// A map that is small in memory and endless as text.
const HUGE: &str = r#"let huge = #{ x: "x" }; for i in 0..40 { let next = #{}; next["a"] = huge; next["b"] = huge; huge = next; }"#;

#[test]
fn timers_of_a_parked_script_stay_stored_and_fire_when_it_runs_again() {
    let rig = Rig::new();
    let good = r#"on("message", |m| { timer::at("10m", "tea", m.text); m.reply("set"); });
on("timer:tea", |t| bot::send("ann@example.org", `tea ${t.data}`));"#;
    let neighbour = r#"on("message", |m| m.reply("here"));"#;
    let broken = "let x = 1 / 0;";
    let mut bot = rig.add("helper", vec![script("main", good), script("other", "")]);
    bot.ask("one");
    // Only a script without a version that runs is parked: it goes, and comes back broken.
    bot.handle.swap(vec![script("other", neighbour)]);
    bot.handle.swap(vec![script("main", broken), script("other", neighbour)]);
    bot.told.wait_failure();
    bot.try_event(message("ann@example.org", "x"));
    rig.advance(Duration::from_secs(700));
    bot.ask("y");
    rig.advance(Duration::from_secs(700));
    bot.ask("z");
    assert!(!bot.told.wait_texts(|_| true).iter().any(|text| text.starts_with("tea")));
    bot.handle.swap(vec![script("main", good), script("other", neighbour)]);
    let said = bot.told.wait_texts(|said| said.iter().any(|text| text.starts_with("tea")));
    assert_eq!(said.iter().filter(|text| *text == "tea one").count(), 1);
}

#[test]
fn what_is_thrown_is_cut_while_it_is_written() {
    let rig = Rig::new();
    for body in [
        format!("{HUGE} throw huge;"),
        r#"let s = ""; s.pad(60000, 'x'); throw s;"#.to_owned(),
        r#"let s = ""; s.pad(60000, 'x'); throw [s, s, s];"#.to_owned(),
        r#"let s = "a"; s.pad(60000, 'x'); Fn(s).call(1);"#.to_owned(),
        format!("{HUGE} timer::at(huge, \"t\");"),
    ] {
        let mut bot = rig.bot(&format!("on(\"message\", |m| {{ {body} }});"));
        let failure = bot.fail(message("ann@example.org", "x"));
        assert!(failure.message.len() <= 520, "{body}: {} bytes", failure.message.len());
        assert!(failure.to_string().len() <= 2_000, "{body}: {} bytes", failure.to_string().len());
        bot.handle.remove();
    }
}

#[test]
fn text_of_what_nests_is_refused_before_it_is_built() {
    let rig = Rig::new();
    for call in [
        "print(huge)",
        "debug(huge)",
        "print([huge])",
        "debug([huge])",
        "huge.to_string()",
        "huge.to_debug()",
        "[huge].to_string()",
        "[huge].to_debug()",
        "huge.to_json()",
        "`${huge}`",
        "`${[huge]}`",
        "\"\" + huge",
        "huge + \"\"",
        "let s = \"\"; s += huge",
        "let s = \"\"; s += [huge]",
        "store::set(\"k\", huge)",
        "m.reply(huge)",
    ] {
        let mut bot = rig.bot(&format!("on(\"message\", |m| {{ {HUGE} {call}; }});"));
        let failure = bot.fail(message("ann@example.org", "x"));
        let stopped = [Kind::Size, Kind::Memory, Kind::Runtime].contains(&failure.kind);
        assert!(stopped, "{call}: {:?} {failure}", failure.kind);
        bot.handle.remove();
    }
}

#[test]
fn a_text_that_is_too_long_is_refused_however_deep_or_wide_its_value_is() {
    let deep = "let v = #{}; for i in 0..200 { let next = #{}; next[\"k\"] = v; v = next; }";
    let wide = "let s = \"\"; s.pad(60000, 'x'); let v = #{}; for i in 0..20 { v[\"k\" + i] = s; }";
    for made in [deep, wide] {
        for shown in
            ["m.reply(`${v}`)", "m.reply(\"\" + v)", "let s = \"\"; s += v", "v.to_string()", "v.to_debug()"]
        {
            let rig = Rig::new();
            let mut bot =
                rig.bot(&format!("on(\"message\", |m| {{\n{made}\ntry {{ {shown}; }} catch {{ }}\n}});"));
            let failure = bot.fail(message("ann@example.org", "x"));
            assert_eq!(failure.kind, Kind::Size, "{shown}: {failure}");
            let worst = bot.handle.worst();
            assert!(worst.memory < 1 << 20, "{shown}: {worst:?}");
        }
    }
}

#[test]
fn text_of_what_nests_is_as_the_language_writes_it() {
    let rig = Rig::new();
    for (value, text) in [
        ("[1, \"a\", 'c', 1.5, (), true, [2]]", r#"[1, "a", c, 1.5, (), true, [2]]"#),
        ("#{ a: [1], b: #{ c: \"d\" } }", r##"#{"a": [1], "b": #{"c": "d"}}"##),
        (r#"["a\"b\n"]"#, r#"["a\"b\n"]"#),
        ("[]", "[]"),
        ("#{}", "#{}"),
        ("#{ a: 1, b: [\"x\"] }.to_json()", r#"{"a":1,"b":["x"]}"#),
        ("[xml::element(\"a\", \"urn:b\")]", "[<a xmlns='urn:b'/>]"),
    ] {
        let mut bot = rig.bot(&format!(
            "on(\"message\", |m| {{ let v = {value}; m.reply(`${{v}}`); m.reply(\"\" + v); }});"
        ));
        assert_eq!(bot.ask("x"), [text, text], "{value}");
        bot.handle.remove();
    }
}

#[test]
fn functions_that_wait_for_answers_are_counted() {
    let rig = Rig::new();
    let source = r#"on("message", |m| for i in 0..60 { bot::iq("get", "a.example", xml::element("ping", "urn:xmpp:ping"), |a| ()); });"#;
    let mut bot = rig.bot(source);
    bot.handle_event(message("ann@example.org", "x"));
    let failure = bot.fail(message("ann@example.org", "x"));
    assert_eq!(failure.kind, Kind::Operations);
    assert_eq!(failure.message, "100 functions of this script wait for answers already");
}

/// Fails at `x`, and sets a timer at everything else.
const FAILING: &str = r#"on("message", |m| {
    if m.text == "x" { throw "no"; }
    timer::at("5m", "tea", m.text);
    m.reply(m.text);
});
on("timer:tea", |t| bot::send("ann@example.org", `tea ${t.data}`));"#;
const NEIGHBOUR: &str = r#"on("message", |m| m.reply("here"));"#;

#[test]
fn a_script_that_keeps_failing_is_parked_and_the_others_go_on() {
    let rig = Rig::new();
    let scripts = || vec![script("main", FAILING), script("other", NEIGHBOUR)];
    let mut bot = rig.add("helper", scripts());
    assert_eq!(bot.ask("y"), ["y", "here"]);
    for _ in 0..10 {
        assert_eq!(texts(&bot.try_event(message("ann@example.org", "x")).actions), ["here"]);
    }
    assert_eq!(bot.ask("y"), ["here"]);
    assert_eq!(bot.ask("x"), ["here"], "it fails no more, for it does not run");
    let state = bot.handle.scripts().remove(0);
    assert_eq!((state.running, state.failures, state.skipped), (false, 10, 2));
    let parked = state.parked.expect("it is parked");
    assert_eq!(parked.why, "10 turns in a row failed");
    assert_eq!(parked.until.to_string(), "2026-03-01T12:10:00Z");
    assert_eq!(state.trouble.map(|last| last.message).as_deref(), Some("no"));
    // The same version changes nothing.
    bot.handle.swap(scripts());
    assert_eq!(bot.ask("y"), ["here"]);
    assert!(bot.handle.scripts()[0].parked.is_some());
}

#[test]
fn a_parked_script_is_tried_again_by_itself_and_then_gets_its_timers() {
    let rig = Rig::new();
    let mut bot = rig.add("helper", vec![script("main", FAILING), script("other", NEIGHBOUR)]);
    bot.ask("y");
    for _ in 0..10 {
        bot.try_event(message("ann@example.org", "x"));
    }
    rig.advance(Duration::from_secs(599));
    assert_eq!(bot.ask("y"), ["here"]);
    assert!(!bot.told.wait_texts(|_| true).contains(&"tea y".to_owned()), "not while it is parked");
    rig.advance(Duration::from_secs(1));
    let said = bot.told.wait_texts(|said| said.contains(&"tea y".to_owned()));
    assert_eq!(said.iter().filter(|text| *text == "tea y").count(), 1);
    assert_eq!(bot.ask("y"), ["y", "here"]);
    assert_eq!(bot.handle.scripts()[0].parked, None);
    // The next time is twice as long.
    for _ in 0..10 {
        bot.try_event(message("ann@example.org", "x"));
    }
    let parked = bot.handle.scripts().remove(0).parked.expect("it is parked");
    assert_eq!(parked.until.to_string(), "2026-03-01T12:30:00Z");
}

#[test]
fn the_next_version_of_a_parked_script_is_tried_at_once() {
    let rig = Rig::new();
    let mut bot = rig.add("helper", vec![script("main", FAILING)]);
    for _ in 0..10 {
        bot.try_event(message("ann@example.org", "x"));
    }
    assert!(bot.ask("y").is_empty());
    bot.handle.swap(vec![script("main", NEIGHBOUR)]);
    assert_eq!(bot.ask("x"), ["here"]);
    let state = bot.handle.scripts().remove(0);
    assert_eq!((state.running, state.parked, state.failures), (true, None, 10));
    // The wake of the version before changes nothing.
    rig.advance(Duration::from_secs(3_600));
    assert_eq!(bot.ask("x"), ["here"]);
}

#[test]
fn memory_lost_in_cycles_is_charged_to_the_next_version_too() {
    let rig = Rig::new();
    let leaking = |n: usize| {
        let source = format!(
            "on(\"message\", |m| {{ for i in 0..{n} {{ let keep = []; keep.pad(4000, i); let m = #{{}}; let f = || [m, keep]; m.f = f; }} }});"
        );
        ScriptUse { limits: Limits { array: 10_000, ..patient() }, ..script("main", &source) }
    };
    let mut bot = rig.add("hostile", vec![leaking(20)]);
    for _ in 0..40 {
        bot.try_event(message("ann@example.org", "x"));
        if !bot.handle.scripts()[0].running {
            break;
        }
    }
    assert!(!bot.handle.scripts()[0].running, "it still runs");
    bot.handle.swap(vec![leaking(19)]);
    bot.try_event(message("ann@example.org", "x"));
    let state = bot.handle.scripts().remove(0);
    assert!(!state.running, "what was lost is forgotten");
    assert_eq!(state.trouble.map(|trouble| trouble.kind), Some(Kind::Memory));
}
