//! Scripts that fail, and what of it reaches others: nothing that grows.

use std::time::Duration;

use crate::script::error::Kind;
use crate::script::tests::{Rig, message, script};

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
    bot.ask("x");
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
fn text_of_what_nests_is_as_the_language_writes_it() {
    let rig = Rig::new();
    for (value, text) in [
        ("[1, \"a\", 'c', 1.5, (), true, [2]]", r#"[1, "a", c, 1.5, (), true, [2]]"#),
        ("#{ a: [1], b: #{ c: \"d\" } }", r##"#{"a": [1], "b": #{"c": "d"}}"##),
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
