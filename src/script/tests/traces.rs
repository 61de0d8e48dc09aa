//! What a bot remembers of its events.

use super::{Rig, message};

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
