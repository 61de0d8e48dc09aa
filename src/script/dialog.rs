//! What a script waits for people to say, and how long people have to wait: open questions, confirmations, cooldowns.
//!
//! They are kept beside the script's own values, in a scope that `store::` cannot name, and are committed with the
//! turn like everything else. Somebody has at most one open question of a script in one place; it is found by their
//! strongest identity, so that a nick that changes hands takes no question along.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rhai::{EvalAltResult, Map};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::event::{Message, Timer};
use crate::ids::base32;
use crate::jid::Jid;
use crate::script::api::message;
use crate::script::error::{Kind, ScriptError, Thrown};
use crate::script::instance::{Instance, Surroundings};
use crate::script::roles;
use crate::script::turn::{self, Turn};
use crate::stanza::MessageKind;
use crate::store::Scope;

/// A question that waits for what somebody says next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Open {
    /// `m.ask`
    Asked(Asked),
    /// A command that runs when its caller says yes. What was typed is kept with the moment at which it was read:
    /// it is read once more with the same result.
    Confirm { command: String, typed: String, read_at: Timestamp },
}

/// A question of `m.ask`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    /// Its name: the handler is `on("answer:NAME")`.
    pub name: String,
    /// What the script wanted to remember.
    pub data: Value,
    /// What may be answered; anything where it is empty.
    pub choices: Vec<String>,
    /// The timer that ends it, where something is to be said then.
    pub timer: Option<i64>,
}

/// How long a confirmation may take.
pub(super) const CONFIRMATION: Duration = Duration::from_secs(120);

/// How long a question stays open unless said.
pub(super) const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// What the scope beside that of a script ends in; names of scripts hold no such character.
const BESIDE: &str = ":talk";

/// Name of the timers that end questions.
const TIMEOUT: &str = "ask";

/// Questions that are looked at when a script is loaded.
const LOOKED_AT: usize = 200;

impl Open {
    fn to_value(&self) -> Value {
        match self {
            Self::Asked(Asked { name, data, choices, timer }) => {
                json!({ "ask": name, "data": data, "choices": choices, "timer": timer })
            }
            Self::Confirm { command, typed, read_at } => {
                json!({ "confirm": command, "typed": typed, "at": read_at.to_string() })
            }
        }
    }

    /// Reads what [`Open::to_value`] wrote; `None` where it is something else.
    pub(super) fn from_value(value: &Value) -> Option<Self> {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        if let Some(command) = text("confirm") {
            return Some(Self::Confirm {
                command,
                typed: text("typed")?,
                read_at: text("at")?.parse().ok()?,
            });
        }
        let choices = value.get("choices").and_then(Value::as_array).into_iter().flatten();
        Some(Self::Asked(Asked {
            name: text("ask")?,
            data: value.get("data").cloned().unwrap_or_default(),
            choices: choices.filter_map(Value::as_str).map(str::to_owned).collect(),
            timer: value.get("timer").and_then(Value::as_i64),
        }))
    }
}

/// The scope beside that of a script.
pub(super) fn beside(script: &str) -> Arc<str> {
    format!("{script}{BESIDE}").into()
}

/// The script whose question a timer ends.
pub(super) fn script_of(timer: &Timer) -> Option<&str> {
    owner(&timer.script)
}

/// The script whose scope has that one beside it.
pub(super) fn owner(beside: &str) -> Option<&str> {
    beside.strip_suffix(BESIDE)
}

/// The key of what is open with the sender of a message, in the place where it came from. One to one, all devices
/// of a person are one place.
pub(super) fn spot(message: &Message) -> String {
    let place = match (&message.room, message.kind) {
        (Some(room), MessageKind::Groupchat) => room.as_str(),
        (Some(_), _) => "pm",
        (None, _) => "",
    };
    let person = roles::person(message).unwrap_or(&message.who);
    let room = message.room.as_ref().map_or("", |room| room.as_str());
    format!("open/{}", digest(&[place, room, person]))
}

/// The key of how long the sender of a message has to wait. Where a room tells nothing but nicks, all its occupants
/// wait together.
pub(super) fn waiting(command: &str, message: &Message) -> String {
    let room = || message.room.as_ref().map_or(message.who.as_str(), |room| room.as_str());
    let person = roles::person(message).unwrap_or_else(room);
    format!("wait/{}", digest(&[command, person]))
}

/// What is open under a key.
pub(super) fn find(around: &Surroundings, bot: &str, instance: &Instance, key: &str) -> Option<Open> {
    around.entry(bot, &instance.beside, key).and_then(|(value, _)| Open::from_value(&value))
}

/// Opens a question, in place of the one that may be open there.
pub(super) fn open(turn: &mut Turn, key: &str, open: &Open, span: Duration) -> Result<(), Thrown> {
    let expires = later(turn, span)?;
    if let Some(Open::Asked(Asked { timer: Some(timer), .. })) = opened(turn, key)? {
        turn.drop_timer(timer)?;
    }
    turn.put_in(&turn.beside.clone(), key, Some(open.to_value()), Some(expires))
}

/// What is open under a key, as the turn sees it.
fn opened(turn: &Turn, key: &str) -> Result<Option<Open>, Thrown> {
    let entry = turn.entry_in(&turn.beside, key)?;
    Ok(entry.and_then(|(value, _)| Open::from_value(&value)))
}

/// Closes a question.
pub(super) fn close(key: &str, open: &Open) -> Result<(), Box<EvalAltResult>> {
    turn::act(|turn| {
        if let Open::Asked(Asked { timer: Some(timer), .. }) = open {
            turn.drop_timer(*timer)?;
        }
        turn.put_in(&turn.beside.clone(), key, None, None)
    })
}

/// Closes whatever is open there.
pub(super) fn forget(key: &str) -> Result<(), Box<EvalAltResult>> {
    turn::act(|turn| turn.put_in(&turn.beside.clone(), key, None, None))
}

/// Lets somebody wait.
pub(super) fn wait(key: &str, span: Duration) -> Result<(), Box<EvalAltResult>> {
    turn::act(|turn| {
        let expires = later(turn, span)?;
        turn.put_in(&turn.beside.clone(), key, Some(Value::Bool(true)), Some(expires))
    })
}

/// Sets the timer that ends a question with some words.
pub(super) fn end_with(
    turn: &mut Turn,
    message: &Message,
    key: &str,
    words: &str,
    span: Duration,
) -> Result<i64, Thrown> {
    let due = later(turn, span)?;
    let data = json!({
        "key": key, "to": message.place.as_str(), "kind": message.kind.as_str(),
        "thread": message.thread, "say": words,
    });
    turn.set_timer_in(&turn.beside.clone(), due, TIMEOUT, data)
}

/// The key of the question that a timer ends.
pub(super) fn key_of(timer: &Timer) -> Option<&str> {
    timer.data.get("key").and_then(Value::as_str)
}

/// Says the words that end a question.
pub(super) fn say_end(timer: &Timer) -> Result<(), Box<EvalAltResult>> {
    let text = |key: &str| timer.data.get(key).and_then(Value::as_str);
    let (Some(to), Some(words)) = (text("to").and_then(|to| Jid::parse(to).ok()), text("say")) else {
        return Ok(());
    };
    let kind = match text("kind") {
        Some("groupchat") => MessageKind::Groupchat,
        _ => MessageKind::Chat,
    };
    message::send(&to, kind, text("thread"), &words.into(), &Map::new()).map(drop)
}

/// Questions of an earlier version to which the script as it is now takes no answers.
pub(super) fn orphans(instance: &Instance, bot: &str, around: &Surroundings) -> Vec<ScriptError> {
    let scope = Scope { bot: bot.to_owned(), script: instance.beside.to_string() };
    let Some(Ok(keys)) = around.reader.as_ref().map(|reader| reader.keys(&scope, "open/", LOOKED_AT)) else {
        return Vec::new();
    };
    let mut names: Vec<(String, usize)> = Vec::new();
    for key in keys {
        let Some(Open::Asked(asked)) = find(around, bot, instance, &key) else { continue };
        if instance.declared.answers.contains(&asked.name) {
            continue;
        }
        match names.iter_mut().find(|(name, _)| *name == asked.name) {
            Some((_, count)) => *count += 1,
            None => names.push((asked.name, 1)),
        }
    }
    names.iter().map(|(name, count)| orphan(instance, name, *count)).collect()
}

/// A question without a handler.
pub(super) fn orphan(instance: &Instance, name: &str, count: usize) -> ScriptError {
    let event = format!("answer:{name}");
    let open = if count == 1 { "an open question".to_owned() } else { format!("{count} open questions") };
    let message = format!("{open} `{name}` can no longer be answered: there is no `on(\"{event}\", …)`");
    let hint = "what people say goes to the other handlers; questions end by themselves";
    ScriptError {
        hint: Some(hint.to_owned()),
        ..instance.site(Some(&event)).plain(Kind::Declaration, message)
    }
}

fn later(turn: &Turn, span: Duration) -> Result<Timestamp, Thrown> {
    let far = |_| Thrown::new(Kind::Runtime, "that is too far in the future");
    turn.moment.wall.checked_add(span).map_err(far)
}

/// Parts of any length as a short key.
fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    base32(&hash.finalize())[..26].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::BareJid;

    #[test]
    fn what_is_open_survives_the_store() {
        let asked = Asked {
            name: "order".to_owned(),
            data: json!({ "n": 1 }),
            choices: vec!["a".to_owned()],
            timer: Some(7),
        };
        let read_at = "2026-03-01T12:00:00Z".parse().expect("a stamp");
        for open in [
            Open::Asked(asked),
            Open::Confirm { command: "wipe".to_owned(), typed: "all".to_owned(), read_at },
        ] {
            assert_eq!(Open::from_value(&open.to_value()), Some(open));
        }
        assert_eq!(Open::from_value(&json!({ "confirm": "wipe" })), None);
        assert_eq!(Open::from_value(&json!(null)), None);
    }

    #[test]
    fn a_spot_is_a_person_in_a_place() {
        let of = |from: &str, room: bool, kind| {
            let from = Jid::parse(from).expect("valid");
            let room = room.then(|| from.to_bare());
            let who = if room.is_some() {
                format!("id-of-{}", from.resource().unwrap_or_default())
            } else {
                from.to_bare().to_string()
            };
            spot(&Message { room, who, kind, ..Message::chat(from, "x") })
        };
        let direct = of("ann@example.org/pc", false, MessageKind::Chat);
        assert_eq!(direct, of("ann@example.org/phone", false, MessageKind::Normal));
        assert_ne!(direct, of("bob@example.org/pc", false, MessageKind::Chat));
        let room = of("r@rooms.example/ann", true, MessageKind::Groupchat);
        assert_ne!(room, of("r@rooms.example/bob", true, MessageKind::Groupchat));
        assert_ne!(room, of("s@rooms.example/ann", true, MessageKind::Groupchat));
        assert_ne!(room, of("r@rooms.example/ann", true, MessageKind::Chat));
        assert_ne!(
            of("r@rooms.example/ann", true, MessageKind::Chat),
            of("s@rooms.example/ann", true, MessageKind::Chat)
        );
    }

    #[test]
    fn occupants_known_by_nick_alone_wait_together() {
        let of = |nick: &str, who: Option<&str>| {
            let from = Jid::parse(&format!("r@rooms.example/{nick}")).expect("valid");
            let who = who.map_or_else(|| from.to_string(), str::to_owned);
            let room = Some(BareJid::parse("r@rooms.example").expect("valid"));
            waiting("roll", &Message { room, who, ..Message::chat(from, "x") })
        };
        assert_eq!(of("ann", None), of("bob", None));
        assert_eq!(of("ann", Some("id-1")), of("bob", Some("id-1")));
        assert_ne!(of("ann", Some("id-1")), of("ann", Some("id-2")));
    }
}
