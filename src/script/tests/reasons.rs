//! Why a handler did not run: each reason as `rhapsode why` tells it.

use std::time::Duration;

use super::{Player, Rig, jid, message, plain, script};
use crate::event::{Class, Event, Message, Presence};
use crate::stanza::{MessageKind, PresenceKind};

const ANN: &str = "ann@example.org/phone";
const BOB: &str = "bob@example.com/pc";

#[test]
fn cooldown() {
    let mut bot = Rigged::new(r#"command("ping", #{ cooldown: "1m" }, |m, a| m.reply("pong"));"#);
    assert_eq!(bot.after(message(ANN, "!ping")), ["command ping yes"]);
    assert_eq!(bot.after(message(ANN, "!ping")), ["command ping no cooldown: used a moment ago"]);
    bot.rig.advance(Duration::from_secs(61));
    assert_eq!(bot.after(message(ANN, "!ping")), ["command ping yes"]);
}

#[test]
fn not_allowed() {
    let mut bot = Rigged::new(r#"command("wipe", #{ allow: ["staff"] }, |m, a| m.reply("wiped"));"#);
    assert_eq!(bot.after(message(BOB, "!wipe")), ["command wipe no the sender is not allowed"]);
    assert_eq!(bot.after(message(ANN, "!wipe")), ["command wipe yes"]);
}

#[test]
fn not_in_one_of_its_rooms() {
    let mut bot = Rigged::new(
        r#"on("room", #{ rooms: ["den@rooms.example"] }, |m| ()); hear("hi", #{ where: "any", rooms: ["den@rooms.example"] }, |m| ());"#,
    );
    let why = "no not said in one of its `rooms`";
    let lines = bot.after(room("team@rooms.example/ann", "hi"));
    assert_eq!(lines, [format!("on room {why}"), format!("hear /hi/ {why}")]);
    assert_eq!(bot.after(room("den@rooms.example/ann", "hi")), ["on room yes", "hear /hi/ yes"]);
}

#[test]
fn delayed() {
    let mut bot = Rigged::new(TWO);
    let history = |message: Message| Message { class: Class::History, ..message };
    let lines = bot.after(with(history));
    assert_eq!(lines[0], "on message no history; the handler lacks `delayed: true`");
    assert_eq!(lines[1], "on message yes", "that one has it");
    // What was only late is as good as live.
    assert_eq!(bot.after(with(|m| Message { class: Class::Delayed, ..m }))[0], "on message yes");
    let mut bot = Rigged::new(r#"command("ping", #{}, |m, a| m.reply("pong"));"#);
    let lines = bot.after(with(|m| Message { text: "!ping".to_owned(), ..history(m) }));
    assert_eq!(lines, ["command all 1 no history is no command"]);
}

#[test]
fn own() {
    let mut bot = Rigged::new(TWO);
    let lines = bot.after(with(|message| Message { own: true, ..message }));
    assert_eq!(lines[0], "on message no from the bot itself or another bot; the handler lacks `own: true`");
    assert_eq!(lines[1], "on message yes");
}

#[test]
fn carbons() {
    let mut bot = Rigged::new(TWO);
    let lines = bot.after(with(|message| Message { class: Class::Carbon { sent: false }, ..message }));
    assert_eq!(lines[0], "on message no a copy from another device; the handler lacks `carbons: true`");
    assert_eq!(lines[1], "on message yes");
}

#[test]
fn encrypted() {
    let mut bot = Rigged::new(TWO);
    let sealed = |message| Message { encrypted: true, text: String::new(), ..message };
    let lines = bot.after(with(sealed));
    assert_eq!(lines[0], "on message no encrypted; the handler lacks `encrypted: true`");
    assert_eq!(lines[1], "on message yes");
}

#[test]
fn stopped() {
    let first = r#"on("message", |m| m.stop()); on("message", |m| m.reply("never"));"#;
    let second = r#"on("message", |m| m.reply("never")); on("room", |m| ());"#;
    let mut bot = Rigged::with(&[first, second]);
    let stopped = "no s1: stopped by an earlier handler";
    assert_eq!(
        bot.after(message(ANN, "hi")),
        [
            "on message yes s0:",
            "on message no s0: stopped by an earlier handler",
            &format!("on message {stopped}"),
            // It would not have had it anyway.
            "on room no s1: one to one, handler wants room talk",
        ]
    );
}

#[test]
fn an_earlier_handler_failed() {
    let mut bot = Rigged::new(r#"on("message", |m| { throw "no" }); on("message", |m| m.reply("never"));"#);
    let lines = bot.after(message(ANN, "hi"));
    assert_eq!(lines, ["on message yes and failed", "on message no an earlier handler failed"]);
}

#[test]
fn parked() {
    let mut bot = Rigged::with(&[r#"on("message", |m| { throw "no" });"#, r#"on("message", |m| ());"#]);
    for _ in 0..10 {
        bot.player.try_event(message(ANN, "hi"));
    }
    assert_eq!(bot.after(message(ANN, "hi")), ["script s0 no s0: parked: no", "on message yes s1:"]);
}

#[test]
fn a_script_that_does_not_load_is_parked_too() {
    let mut bot = Rigged::with(&[r#"throw "broken";"#, r#"on("message", |m| ());"#]);
    assert_eq!(bot.after(message(ANN, "hi"))[0], "script s0 no s0: parked: broken");
}

#[test]
fn no_handler() {
    let mut bot = Rigged::new(r#"on("online", |e| ()); on("timer:tea", |t| ());"#);
    assert_eq!(bot.after(message(ANN, "hi")), ["no handler for `message`"]);
    assert_eq!(bot.after(presence()), ["no handler for `presence`"]);
    let mut bot = Rigged::new(r#"on("message", |m| timer::at("1m", "coffee")); on("timer:tea", |t| ());"#);
    bot.after(message(ANN, "hi"));
    bot.rig.advance(Duration::from_secs(60));
    assert_eq!(bot.of("timer"), ["on timer:tea no another event"]);
    let mut bare = Rigged::with(&[]);
    assert_eq!(bare.after(message(ANN, "hi")), ["no handler for `message`"]);
    assert!(bare.text("message").contains("no turn, the bot has no script"));
}

#[test]
fn a_handler_of_another_script() {
    let tea = r#"on("message", |m| timer::at("1m", "tea")); on("timer:tea", |t| ());"#;
    let mut bot = Rigged::with(&[tea, r#"on("timer:tea", |t| ());"#]);
    bot.after(message(ANN, "hi"));
    bot.rig.advance(Duration::from_secs(60));
    assert_eq!(bot.of("timer"), ["on timer:tea yes s0:", "on timer:tea no s1: it is for another script"]);
}

#[test]
fn not_addressed_in_a_room() {
    let mut bot = Rigged::new(
        r#"on("mention", |m| ()); on("message", |m| ()); hear("hi", |m| ()); hear("hi", #{ where: "direct" }, |m| ());"#,
    );
    let lines = bot.after(room("team@rooms.example/ann", "hi all"));
    let quiet = "no room talk that does not name the bot, or handler wants one to one";
    assert_eq!(
        lines,
        [
            "on mention no room talk, handler wants to be named".to_owned(),
            "on message no room talk, handler wants one to one".to_owned(),
            format!("hear /hi/ {quiet}"),
            format!("hear /hi/ {quiet}"),
        ]
    );
    assert!(bot.text("message").contains("  room team, addressed: no  ["));
    let lines = bot.after(room("team@rooms.example/ann", "helper: hi all"));
    assert_eq!((lines[0].as_str(), lines[2].as_str()), ("on mention yes", "hear /hi/ yes"));
    assert_eq!(lines[3], "hear /hi/ no room talk, handler wants one to one");
    assert!(bot.text("message").contains("  room team, addressed: yes  ["));
}

/// A handler without options, and one that takes everything.
const TWO: &str = r#"on("message", |m| ());
on("message", #{ delayed: true, own: true, carbons: true, encrypted: true }, |m| ());"#;

/// One bot, and what it says of its handlers.
struct Rigged {
    rig: Rig,
    player: Player,
}

impl Rigged {
    fn new(source: &str) -> Self {
        let rig = Rig::new();
        let player = rig.bot(source);
        Self { rig, player }
    }

    /// With scripts `s0`, `s1`…
    fn with(sources: &[&str]) -> Self {
        let rig = Rig::new();
        let scripts = sources.iter().enumerate().map(|(at, source)| script(&format!("s{at}"), source));
        let player = rig.add("helper", scripts.collect());
        Self { rig, player }
    }

    /// What is told of an event.
    fn after(&mut self, event: Event) -> Vec<String> {
        let kind = if matches!(event, Event::Presence(_)) { "presence" } else { "message" };
        self.player.try_event(event);
        self.of(kind)
    }

    /// The lines about handlers of the last event of that kind, with single spaces.
    fn of(&self, kind: &str) -> Vec<String> {
        let text = self.text(kind);
        let lines = text.lines().skip(1).filter(|line| !line.starts_with("  →"));
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    fn text(&self, kind: &str) -> String {
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(trace) = self.player.handle.traces().iter().rfind(|trace| trace.is_of(kind)) {
                return trace.explain("helper");
            }
            assert!(std::time::Instant::now() < deadline, "there was no `{kind}`");
            std::thread::yield_now();
        }
    }
}

/// A message of ann that differs from others in something.
fn with(change: impl FnOnce(Message) -> Message) -> Event {
    Event::Message(Box::new(change(plain(ANN, "hi"))))
}

/// Room talk.
fn room(from: &str, text: &str) -> Event {
    let from = jid(from);
    let room = from.to_bare();
    Event::Message(Box::new(Message {
        kind: MessageKind::Groupchat,
        room: Some(room.clone()),
        place: room.into(),
        own_nick: Some("helper".to_owned()),
        ..plain(from.as_str(), text)
    }))
}

fn presence() -> Event {
    Event::Presence(Box::new(Presence {
        from: jid(ANN),
        kind: PresenceKind::Available,
        show: None,
        status: None,
        priority: 0,
    }))
}
