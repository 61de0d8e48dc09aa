//! What can be done with a message beside answering it: reactions, markers, corrections, retractions, whispers.

use rhai::{Array, Dynamic, EvalAltResult, Map, Module};

use crate::action::{Action, OutgoingMessage};
use crate::event::Message;
use crate::jid::Jid;
use crate::script::api::message::{MessageObject, reply};
use crate::script::api::{Area, Function, check_characters, getter, optional, words};
use crate::script::error::{Kind, Thrown};
use crate::script::host::set;
use crate::script::turn;
use crate::stanza::MessageKind;
use crate::xep::{correction, displayed_markers, hints, reactions, replies, retraction};
use crate::xml::Element;

pub(super) const AREA: Area = Area {
    title: "More about messages",
    module: None,
    about: "Where somebody's message is to be named, in a room only the room's own id for it will do: without one these functions send nothing and say so.",
    objects: &[("m", "Message")],
    functions: &[
        Function {
            signature: "m.reply_to_id: string",
            about: "The id of the message that this one answers (XEP-0461), or nothing.",
            example: r#"on("message", |m| if m.reply_to_id != () { m.reply(`about ${m.reply_to_id}`); });"#,
        },
        Function {
            signature: "m.react(emoji: string|array) -> bool",
            about: "Reacts to it (XEP-0444), in place of earlier reactions of the bot; an empty array takes them back. False where the message cannot be named.",
            example: r#"on("message", |m| { m.react("👍"); });"#,
        },
        Function {
            signature: "m.mark() -> bool",
            about: "Tells that everything up to this message has been read (XEP-0333). False where its sender did not ask to know, or it cannot be named.",
            example: r#"on("message", |m| { m.mark(); m.reply("read"); });"#,
        },
        Function {
            signature: "m.edit(id: string, text) -> string",
            about: "Corrects what the bot has said here (XEP-0308); `id` is what `reply` gave. Gives the id of the correction; a second correction names the first id again.",
            example: r#"on("message", |m| { let id = m.reply("working"); m.edit(id, "done"); });"#,
        },
        Function {
            signature: "m.retract(id: string) -> string",
            about: "Takes back what the bot has said here (XEP-0424); `id` is what `reply` gave, in a room the `m.stanza_id` of the own message (option `own`). Others may have read it, and need not play along.",
            example: r#"on("message", |m| { let id = m.reply("oops"); m.retract(id); });"#,
        },
        Function {
            signature: "m.whisper(text) -> string",
            about: "Answers the sender alone: in a room by private message, otherwise as `reply`.",
            example: r#"on("room", |m| { m.whisper("psst"); });
on("message", |m| { m.whisper("hello"); });"#,
        },
    ],
    register,
};

/// Namespace of XEP-0045 that marks private messages, §7.5.
const ROOM_USER: &str = "http://jabber.org/protocol/muc#user";

/// Most reactions to one message.
const REACTIONS: usize = 20;

/// Bytes of one reaction: the longest emojis have some 40.
const REACTION: usize = 128;

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    getter(module, "reply_to_id", |m: &mut MessageObject| optional(replies::answered(&m.0.message.payloads)));
    set(module, "react", |m: &mut MessageObject, emoji: &str| react(&m.0.message, &[emoji.into()]));
    set(module, "react", |m: &mut MessageObject, emojis: Array| react(&m.0.message, &emojis));
    set(module, "mark", |m: &mut MessageObject| mark(&m.0.message));
    set(module, "edit", |m: &mut MessageObject, id: &str, text: Dynamic| edit(&m.0.message, id, &text));
    set(module, "retract", |m: &mut MessageObject, id: &str| retract(&m.0.message, id));
    set(module, "whisper", |m: &mut MessageObject, text: Dynamic| whisper(&m.0.message, &text));
}

fn react(message: &Message, emojis: &[Dynamic]) -> Checked<bool> {
    let Some(id) = name(message) else { return Ok(false) };
    if emojis.len() > REACTIONS {
        return Err(Thrown::new(Kind::Runtime, format!("more than {REACTIONS} reactions")).into());
    }
    let read = |emoji: &Dynamic| match emoji.as_immutable_string_ref() {
        Ok(text) if text.trim().is_empty() || text.len() > REACTION => {
            Err(Thrown::new(Kind::Runtime, "a reaction is an emoji")
                .hint("an empty array takes reactions back"))
        }
        Ok(text) => check_characters(&text).map(|()| text.to_string()),
        Err(_) => Err(Thrown::new(Kind::Runtime, "reactions are strings")),
    };
    let emojis = emojis.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let payloads = || vec![reactions::reactions(id, emojis.iter().map(String::as_str)), hints::store()];
    send(&message.place, kind(message), None, "", payloads)?;
    Ok(true)
}

fn mark(message: &Message) -> Checked<bool> {
    let groupchat = message.kind == MessageKind::Groupchat;
    let wanted = groupchat || displayed_markers::wanted(&message.payloads);
    let Some(id) = name(message).filter(|_| wanted) else { return Ok(false) };
    let payloads = || vec![displayed_markers::displayed(id), hints::store()];
    send(&message.place, kind(message), message.thread.as_deref(), "", payloads)?;
    Ok(true)
}

fn edit(message: &Message, id: &str, text: &Dynamic) -> Checked<String> {
    check_id(id)?;
    let text = turn::with(|turn| words(text, turn.limits.string))?;
    let payloads = || vec![correction::correction(id)];
    send(&message.place, kind(message), message.thread.as_deref(), &text, payloads)
}

fn retract(message: &Message, id: &str) -> Checked<String> {
    check_id(id)?;
    let payloads = || {
        let [retract, fallback] = retraction::retraction(id);
        vec![retract, fallback, hints::store()]
    };
    send(&message.place, kind(message), None, retraction::WORDS, payloads)
}

fn whisper(message: &Message, text: &Dynamic) -> Checked<String> {
    if message.room.is_none() {
        return reply(message, text, &Map::new());
    }
    let text = turn::with(|turn| words(text, turn.limits.string))?;
    let payloads = || vec![Element::new("x", ROOM_USER)];
    send(&message.from, MessageKind::Chat, None, &text, payloads)
}

/// The id by which others know a message: in a room the room's, which no occupant can make up.
fn name(message: &Message) -> Option<&str> {
    match message.kind {
        MessageKind::Groupchat => message.stanza_id.as_deref(),
        MessageKind::Chat | MessageKind::Headline | MessageKind::Normal => message.id.as_deref(),
    }
}

fn kind(message: &Message) -> MessageKind {
    match message.kind {
        MessageKind::Groupchat => MessageKind::Groupchat,
        MessageKind::Normal => MessageKind::Normal,
        MessageKind::Chat | MessageKind::Headline => MessageKind::Chat,
    }
}

fn check_id(id: &str) -> Result<(), Thrown> {
    if id.is_empty() {
        return Err(
            Thrown::new(Kind::Runtime, "the id is empty").hint("`reply` gives the id of what it sends")
        );
    }
    check_characters(id)
}

/// Queues a message with child elements and gives its id.
fn send(
    to: &Jid,
    kind: MessageKind,
    thread: Option<&str>,
    text: &str,
    payloads: impl FnOnce() -> Vec<Element>,
) -> Checked<String> {
    turn::act(|turn| {
        let id = turn.next_id();
        turn.push(text.len() + 1_024, || {
            Action::Message(OutgoingMessage {
                to: to.clone(),
                kind,
                id: id.clone(),
                text: text.to_owned(),
                subject: None,
                lang: None,
                thread: thread.map(str::to_owned),
                payloads: payloads(),
            })
        })?;
        Ok(id)
    })
}
