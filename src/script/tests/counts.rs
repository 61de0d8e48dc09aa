//! `rate::` and `metric::`: what is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::script::error::Kind;
use crate::script::metrics::MetricKind;
use crate::script::tests::{Player, Rig, message, script};

const FLOOD: &str = r#"on("message", |m| {
    let over = rate::over(m.who, 2, "10s");
    if m.text == "fail" { throw "no"; }
    m.reply(`${over}`);
});"#;

#[test]
fn a_rate_is_over_in_a_window_that_slides() {
    let rig = Rig::new();
    let mut bot = rig.bot(FLOOD);
    assert_eq!([bot.ask("a"), bot.ask("b"), bot.ask("c")].concat(), ["false", "false", "true"]);
    rig.advance(Duration::from_secs(11));
    assert_eq!(bot.ask("d"), ["false"]);
}

#[test]
fn a_rate_counts_turns_that_fail_and_outlives_the_script() {
    let rig = Rig::new();
    let mut bot = rig.bot(FLOOD);
    bot.fail(message("ann@example.org", "fail"));
    bot.fail(message("ann@example.org", "fail"));
    bot.handle.swap(vec![script("main", &format!("{FLOOD}\n// changed"))]);
    assert_eq!(bot.give(message("ann@example.org", "x")), ["true"]);
    // Others count for themselves.
    assert_eq!(bot.give(message("eve@example.org", "x")), ["false"]);
    let mut other = rig.add("other", vec![script("main", FLOOD)]);
    assert_eq!(other.give(message("ann@example.org", "x")), ["false"]);
}

#[test]
fn a_rate_that_cannot_be_counted_is_refused() {
    let rig = Rig::new();
    let calls = [
        ("\"k\", 0, \"1s\"", "at least 1"),
        ("\"k\", 1001, \"1s\"", "up to 1000"),
        ("\"\", 1, \"1s\"", "a key has"),
        ("\"k\", 1, \"soon\"", "no span"),
    ];
    for (at, (call, expected)) in calls.into_iter().enumerate() {
        let source = format!("on(\"message\", |m| rate::over({call}));");
        let mut bot = rig.add(&format!("bot{at}"), vec![script("main", &source)]);
        let failure = bot.fail(message("ann@example.org", "x"));
        assert!(failure.message.contains(expected), "{call}: {failure}");
    }
}

#[test]
fn metrics_count_what_succeeded() {
    let rig = Rig::new();
    let source = r#"on("message", |m| {
    metric::inc("messages");
    metric::inc("words", #{ who: m.nick, n: 1 }, 2.5);
    metric::set("last", m.text.len());
    if m.text == "fail" { throw "no"; }
    m.reply("ok");
});"#;
    let mut bot = rig.bot(source);
    bot.ask("abc");
    bot.fail(message("ann@example.org/phone", "fail"));
    bot.ask("a");
    let labels = BTreeMap::from([("n".to_owned(), "1".to_owned()), ("who".to_owned(), "ann".to_owned())]);
    let seen: Vec<_> =
        bot.handle.metrics().into_iter().map(|it| (it.name, it.labels, it.kind, it.value)).collect();
    assert_eq!(
        seen,
        [
            ("last".to_owned(), BTreeMap::new(), MetricKind::Gauge, 1.0),
            ("messages".to_owned(), BTreeMap::new(), MetricKind::Counter, 2.0),
            ("words".to_owned(), labels, MetricKind::Counter, 5.0),
        ]
    );
    bot.handle.swap(vec![script("other", "on(\"message\", |m| m.reply(m.text));")]);
    bot.ask("replaced");
    assert_eq!(bot.handle.metrics(), []);
}

#[test]
fn metrics_that_cannot_be_kept_are_refused() {
    let rig = Rig::new();
    let calls = [
        ("metric::inc(\"Messages\")", "no name of a metric", Kind::Runtime),
        ("metric::inc(\"9a\")", "no name of a metric", Kind::Runtime),
        ("metric::inc(\"\")", "no name of a metric", Kind::Runtime),
        ("metric::inc(\"a\", #{ \"x-y\": 1 })", "no name of a label", Kind::Runtime),
        ("metric::inc(\"a\", #{}, -1)", "only grows", Kind::Runtime),
        ("metric::inc(\"a\", #{}, \"x\")", "no number", Kind::Runtime),
        ("metric::set(\"a\", 1.0 / 0.0)", "no number", Kind::Runtime),
        ("{ metric::inc(\"a\"); metric::set(\"a\", 1) }", "is a counter already", Kind::Runtime),
        ("for i in 0..101 { metric::inc(\"a\", #{ i: i }) }", "more than 100 series", Kind::Operations),
    ];
    for (at, (call, expected, kind)) in calls.into_iter().enumerate() {
        let source = format!("on(\"message\", |m| {call});");
        let mut bot: Player = rig.add(&format!("bot{at}"), vec![script("main", &source)]);
        let failure = bot.fail(message("ann@example.org", "x"));
        assert!(failure.message.contains(expected) && failure.kind == kind, "{call}: {failure}");
        assert_eq!(bot.handle.metrics(), [], "{call}");
    }
}
