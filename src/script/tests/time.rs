//! `time::` by the clock of a zone.

use crate::cron::zone;
use crate::script::ScriptUse;
use crate::script::error::Kind;
use crate::script::tests::{Player, Rig, message, script};

/// A bot in Oslo; the rig begins on Sunday, 1 March 2026 at noon UTC.
fn oslo(rig: &Rig, handler: &str) -> Player {
    let source = format!("on(\"message\", |m| {handler});");
    let uses = ScriptUse { timezone: zone("Europe/Oslo").expect("a zone"), ..script("main", &source) };
    rig.add("helper", vec![uses])
}

fn said(handler: &str) -> Vec<String> {
    oslo(&Rig::new(), handler).ask("17:30")
}

#[test]
fn moments_are_shown_by_the_clock_of_the_bot() {
    assert_eq!(said("m.reply(time::show(time::now()))"), ["2026-03-01 13:00 CET"]);
    assert_eq!(said(r#"m.reply(time::show(time::now(), "%H:%M"))"#), ["13:00"]);
    assert_eq!(said(r#"m.reply(time::show(time::now(), "%H:%M %Z", "Asia/Tokyo"))"#), ["21:00 JST"]);
    assert_eq!(said("m.reply(time::show(time::now() + 180 * 86400))"), ["2026-08-28 14:00 CEST"]);
    let rig = Rig::new();
    let mut plain = rig.bot("on(\"message\", |m| m.reply(time::show(time::now())));");
    assert_eq!(plain.ask("x"), ["2026-03-01 12:00 UTC"]);
}

#[test]
fn days_and_hours_are_those_of_the_bot() {
    let parts = "`${time::weekday(t)} ${time::date(t)} ${time::clock(t)} ${time::hour(t)}`";
    let handler = format!("{{ let t = time::now() + 41400; m.reply({parts}); }}");
    assert_eq!(said(&handler), ["monday 2026-03-02 00:30 0"]);
}

#[test]
fn texts_are_read_by_the_clock_of_the_bot() {
    assert_eq!(said("m.reply(time::parse(m.text).iso)"), ["2026-03-01T16:30:00Z"]);
    assert_eq!(
        said("{ let id = timer::at(m.text, \"x\"); m.reply(timer::find(id).due.iso); }"),
        ["2026-03-01T16:30:00Z"]
    );
    let source = r#"command("at <when:when>", "", |m, a| m.reply(`${time::show(a.when)} ${a.when.unix}`));"#;
    let uses = ScriptUse { timezone: zone("Asia/Tokyo").expect("a zone"), ..script("main", source) };
    let rig = Rig::new();
    assert_eq!(rig.add("helper", vec![uses]).ask("!at 17:30"), ["2026-03-02 17:30 JST 1772440200"]);
}

#[test]
fn what_is_no_zone_and_no_format_is_an_error_of_the_script() {
    let why = |handler: &str| oslo(&Rig::new(), handler).fail(message("ann@example.org", "x"));
    let failure = why(r#"m.reply(time::show(time::now(), "%H", "Tokyo"))"#);
    assert_eq!((failure.kind, failure.message.as_str()), (Kind::Runtime, "there is no time zone `Tokyo`"));
    assert_eq!(failure.hint.as_deref(), Some("did you mean `Asia/Tokyo`?"));
    assert!(why(r#"m.reply(time::show(time::now(), "%!"))"#).message.starts_with("`%!` is no format"));
    assert!(why(r#"m.reply(time::show(time::now(), "%999999999Y"))"#).message.contains("is no format"));
}
