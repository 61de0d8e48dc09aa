//! Reactions, markers, corrections, retractions, whispers: what they become on the wire.

use super::{Player, Rig, jid, plain, sent};
use crate::action::OutgoingMessage;
use crate::event::{Event, Message};
use crate::stanza::MessageKind;
use crate::xml::{Element, writer};

const SOURCE: &str = r#"
    fn all(m) {
        switch m.text {
            "react" => log::info(`${m.react(["👍", "🎉"])}`),
            "take back" => log::info(`${m.react([])}`),
            "mark" => if !m.mark() { bot::send("ann@example.org", "not marked"); },
            "edit" => { let id = m.reply("working"); m.edit(id, "done"); }
            "retract" => { m.retract("m0"); }
            "whisper" => { m.whisper("psst"); }
            _ => { m.reply(`${m.reply_to_id}`); }
        }
    }
    on("message", |m| all(m));
    on("room", |m| all(m));
"#;

#[test]
fn one_to_one_the_senders_id_names_a_message() {
    let rig = Rig::new();
    let mut bot = rig.bot(SOURCE);
    let react = one(&mut bot, direct("react"));
    assert_eq!(
        (react.to.as_str(), react.kind, react.text.as_str()),
        ("ann@example.org/phone", MessageKind::Chat, "")
    );
    assert_eq!(
        xml(&react),
        "<reactions xmlns='urn:xmpp:reactions:0' id='in-1'><reaction>👍</reaction><reaction>🎉</reaction></reactions><store xmlns='urn:xmpp:hints'/>"
    );
    let back = one(&mut bot, direct("take back"));
    assert_eq!(
        xml(&back),
        "<reactions xmlns='urn:xmpp:reactions:0' id='in-1'/><store xmlns='urn:xmpp:hints'/>"
    );
    let retract = one(&mut bot, direct("retract"));
    assert!(
        retract.text.starts_with("/me retracted")
            && xml(&retract).contains("<retract xmlns='urn:xmpp:message-retract:1' id='m0'/>")
    );
    assert_eq!(one(&mut bot, direct("whisper")).text, "psst");
}

#[test]
fn a_correction_names_the_id_that_reply_gave() {
    let rig = Rig::new();
    let mut bot = rig.bot(SOURCE);
    let said = sent(&bot.handle_event(event(direct("edit"))).actions);
    assert_eq!((said[0].text.as_str(), said[1].text.as_str()), ("working", "done"));
    assert_eq!(xml(&said[1]), format!("<replace xmlns='urn:xmpp:message-correct:0' id='{}'/>", said[0].id));
    assert_ne!(said[0].id, said[1].id);
}

#[test]
fn a_marker_is_only_given_where_it_is_wanted() {
    let rig = Rig::new();
    let mut bot = rig.bot(SOURCE);
    assert_eq!(one(&mut bot, direct("mark")).text, "not marked");
    let markable = Element::new("markable", "urn:xmpp:chat-markers:0");
    let marked = one(&mut bot, Message { payloads: vec![markable], ..direct("mark") });
    assert!(xml(&marked).starts_with("<displayed xmlns='urn:xmpp:chat-markers:0' id='in-1'/>"));
}

#[test]
fn in_a_room_only_the_rooms_id_names_a_message() {
    let rig = Rig::new();
    let mut bot = rig.bot(SOURCE);
    assert!(sent(&bot.handle_event(event(in_room("react"))).actions).is_empty());
    let named = Message { stanza_id: Some("room-7".to_owned()), ..in_room("react") };
    let react = one(&mut bot, named);
    assert_eq!((react.to.as_str(), react.kind), ("team@rooms.example.org", MessageKind::Groupchat));
    assert!(xml(&react).starts_with("<reactions xmlns='urn:xmpp:reactions:0' id='room-7'>"));
}

#[test]
fn a_whisper_in_a_room_is_a_private_message() {
    let rig = Rig::new();
    let mut bot = rig.bot(SOURCE);
    let whisper = one(&mut bot, in_room("whisper"));
    assert_eq!((whisper.to.as_str(), whisper.kind), ("team@rooms.example.org/ann", MessageKind::Chat));
    assert_eq!(xml(&whisper), "<x xmlns='http://jabber.org/protocol/muc#user'/>");
}

#[test]
fn a_reply_tells_what_it_answers() {
    let rig = Rig::new();
    let mut bot = rig.bot(SOURCE);
    let reply =
        Element::new("reply", "urn:xmpp:reply:0").with_attr("id", "m9").with_attr("to", "bot@example.org");
    assert_eq!(one(&mut bot, Message { payloads: vec![reply], ..direct("hm") }).text, "m9");
}

#[test]
fn what_is_no_reaction_is_refused() {
    let rig = Rig::new();
    let mut bot = rig.bot(r#"on("message", |m| m.react(if m.text == "long" { let t = ""; t.pad(200, 'x'); t } else if m.text == "many" { let a = []; a.pad(21, "x"); a } else { " " }));"#);
    for text in ["long", "many", "empty"] {
        assert!(bot.fail(event(direct(text))).message.contains("reaction"), "{text}");
    }
}

fn direct(text: &str) -> Message {
    plain("ann@example.org/phone", text)
}

fn in_room(text: &str) -> Message {
    let from = jid("team@rooms.example.org/ann");
    let room = from.to_bare();
    Message {
        kind: MessageKind::Groupchat,
        room: Some(room.clone()),
        place: room.into(),
        ..plain(from.as_str(), text)
    }
}

fn event(message: Message) -> Event {
    Event::Message(Box::new(message))
}

/// The one message that is sent for it.
fn one(bot: &mut Player, message: Message) -> OutgoingMessage {
    let mut said = sent(&bot.handle_event(event(message)).actions);
    assert_eq!(said.len(), 1, "{said:?}");
    said.remove(0)
}

fn xml(message: &OutgoingMessage) -> String {
    let written = message.payloads.iter().map(|payload| writer::to_string(payload).expect("plain XML"));
    written.collect()
}
