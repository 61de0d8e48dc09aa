//! What is said to those whose messages cannot be read.

use std::time::Duration;

use super::{Player, Rig, plain, script};
use crate::event::{Class, Event, Message};
use crate::jid::BareJid;
use crate::script::speech::Speech;
use crate::stanza::MessageKind;

const WORDS: &str = "I cannot read this.";

#[test]
fn x10_a_sender_is_told_once_a_day_that_the_message_cannot_be_read() {
    let (rig, mut bot) = polite(r#"on("message", |m| m.reply("never"));"#);
    assert_eq!(give(&mut bot, sealed("ann@example.org/phone")), [WORDS]);
    assert_eq!(give(&mut bot, sealed("ann@example.org/phone")), [""; 0]);
    assert_eq!(give(&mut bot, sealed("ann@example.org/laptop")), [""; 0]);
    assert_eq!(give(&mut bot, sealed("bo@example.org/phone")), [WORDS]);
    rig.advance(Duration::from_secs(23 * 60 * 60));
    assert_eq!(give(&mut bot, sealed("ann@example.org/phone")), [""; 0]);
    rig.advance(Duration::from_secs(2 * 60 * 60));
    assert_eq!(give(&mut bot, sealed("ann@example.org/phone")), [WORDS]);
}

#[test]
fn x10_never_in_rooms_never_to_bots_and_never_about_what_is_old_or_a_copy() {
    let (_rig, mut bot) = polite(r#"on("message", |m| m.reply("never"));"#);
    let room = || Some(BareJid::parse("den@rooms.example.org").expect("an address"));
    let ann = || sealed("ann@example.org/phone");
    for (what, given) in [
        ("bot", Message { is_bot: true, ..ann() }),
        ("bot of this process", sealed("helper@example.org/other")),
        ("own", Message { own: true, ..ann() }),
        ("room", Message { room: room(), kind: MessageKind::Groupchat, ..ann() }),
        ("private message in a room", Message { room: room(), ..ann() }),
        ("headline", Message { kind: MessageKind::Headline, ..ann() }),
        ("archive", Message { class: Class::Archive, ..ann() }),
        ("history", Message { class: Class::History, ..ann() }),
        ("copy", Message { class: Class::Carbon { sent: false }, ..ann() }),
        ("own copy", Message { class: Class::Carbon { sent: true }, ..ann() }),
        ("reflection", Message { class: Class::Reflection, ..ann() }),
        ("correction", Message { replaces: Some("x".to_owned()), ..ann() }),
    ] {
        assert_eq!(give(&mut bot, given), [""; 0], "{what}");
    }
    assert_eq!(give(&mut bot, Message { class: Class::Delayed, ..ann() }), [WORDS]);
}

#[test]
fn x10_a_script_that_takes_such_messages_speaks_for_itself() {
    let (_rig, mut bot) = polite(r#"on("message", #{ encrypted: true }, |m| m.reply("mine"));"#);
    assert_eq!(give(&mut bot, sealed("ann@example.org/phone")), ["mine"]);
}

#[test]
fn x10_two_scripts_say_it_once_and_the_key_switches_it_off() {
    let rig = Rig::new();
    let source = r#"on("message", |m| m.reply("never"));"#;
    let mut bot = rig.add("helper", vec![script("one", source), script("two", source)]);
    assert_eq!(give(&mut bot, sealed("ann@example.org/phone")), [""; 0]);
    bot.handle.speak(Speech { unreadable: Some(WORDS.into()), ..Speech::default() });
    assert_eq!(give(&mut bot, sealed("ann@example.org/phone")), [WORDS]);
}

fn polite(source: &str) -> (Rig, Player) {
    let rig = Rig::new();
    let bot = rig.bot(source);
    bot.handle.speak(Speech { unreadable: Some(WORDS.into()), ..Speech::default() });
    (rig, bot)
}

fn sealed(from: &str) -> Message {
    Message { encrypted: true, ..plain(from, "") }
}

fn give(bot: &mut Player, message: Message) -> Vec<String> {
    bot.give(Event::Message(Box::new(message)))
}
