//! A message as it is kept for later: everything a script may ask about, as JSON.
//!
//! Whoever reads it back may be another version of the program: what is missing has its usual value, and what cannot be
//! a message is none.

use serde_json::{Value, json};

use crate::event::room::{Affiliation, Identity, Role};
use crate::event::{Class, Message};
use crate::jid::Jid;
use crate::stanza::MessageKind;
use crate::xml;

impl Message {
    /// The message as JSON.
    pub fn to_value(&self) -> Value {
        // What the reader let in, the writer takes.
        let payloads: Vec<String> =
            self.payloads.iter().filter_map(|payload| xml::writer::to_string(payload).ok()).collect();
        json!({
            "id": self.id,
            "from": self.from.as_str(),
            "place": self.place.as_str(),
            "room": self.room.as_ref().map(|room| room.as_str()),
            "nick": self.nick,
            "who": self.who,
            "identity": self.identity.as_str(),
            "real_jid": self.real_jid.as_ref().map(Jid::as_str),
            "occupant_id": self.occupant_id,
            "role": self.role.map(Role::as_str),
            "affiliation": self.affiliation.map(Affiliation::as_str),
            "own_nick": self.own_nick,
            "text": self.text,
            "subject": self.subject,
            "lang": self.lang,
            "kind": self.kind.as_str(),
            "class": class_name(self.class),
            "stamp": self.stamp.map(|stamp| stamp.to_string()),
            "thread": self.thread,
            "receipt_wanted": self.receipt_wanted,
            "stanza_id": self.stanza_id,
            "replaces": self.replaces,
            "encrypted": self.encrypted,
            "own": self.own,
            "is_bot": self.is_bot,
            "payloads": payloads,
        })
    }

    /// The other way round; `None` where it is no message.
    pub fn from_value(value: &Value) -> Option<Self> {
        let text = |field: &str| value[field].as_str().map(str::to_owned);
        let flag = |field: &str| value[field].as_bool().unwrap_or(false);
        let jid = |field: &str| value[field].as_str().and_then(|jid| Jid::from_wire(jid).ok());
        let payloads = value["payloads"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Some(Self {
            id: text("id"),
            place: jid("place")?,
            room: jid("room").map(|room| room.to_bare()),
            nick: text("nick")?,
            who: text("who")?,
            identity: identity(value["identity"].as_str()?),
            real_jid: jid("real_jid"),
            occupant_id: text("occupant_id"),
            role: value["role"].as_str().map(Role::parse),
            affiliation: value["affiliation"].as_str().and_then(Affiliation::parse),
            own_nick: text("own_nick"),
            from: jid("from")?,
            text: text("text")?,
            subject: text("subject"),
            lang: text("lang"),
            kind: kind(value["kind"].as_str()?),
            class: class(value["class"].as_str()?)?,
            stamp: value["stamp"].as_str().and_then(|stamp| stamp.parse().ok()),
            thread: text("thread"),
            receipt_wanted: flag("receipt_wanted"),
            stanza_id: text("stanza_id"),
            replaces: text("replaces"),
            encrypted: flag("encrypted"),
            own: flag("own"),
            is_bot: flag("is_bot"),
            payloads: payloads.filter_map(|payload| xml::reader::parse(payload).ok()).collect(),
        })
    }
}

/// The least that is known, where the word is not.
fn identity(text: &str) -> Identity {
    match text {
        "real" => Identity::Real,
        "occupant" => Identity::Occupant,
        _ => Identity::Nick,
    }
}

fn kind(text: &str) -> MessageKind {
    let kinds = [MessageKind::Chat, MessageKind::Groupchat, MessageKind::Headline];
    kinds.into_iter().find(|kind| kind.as_str() == text).unwrap_or_default()
}

fn class_name(class: Class) -> &'static str {
    match class {
        Class::Archive => "archive",
        Class::Carbon { sent: true } => "carbon-sent",
        Class::Carbon { sent: false } => "carbon",
        Class::History => "history",
        Class::Reflection => "reflection",
        Class::Delayed => "delayed",
        Class::Live => "live",
    }
}

fn class(text: &str) -> Option<Class> {
    Some(match text {
        "archive" => Class::Archive,
        "carbon-sent" => Class::Carbon { sent: true },
        "carbon" => Class::Carbon { sent: false },
        "history" => Class::History,
        "reflection" => Class::Reflection,
        "delayed" => Class::Delayed,
        "live" => Class::Live,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::BareJid;
    use crate::xml::Element;

    #[test]
    fn a_message_comes_back_as_it_was() {
        let plain = Message::chat(Jid::parse("ann@x/phone").expect("a jid"), "hi \u{1F44B} <&>\n");
        let full = Message {
            id: Some("i1".into()),
            room: BareJid::parse("team@rooms.x").ok(),
            identity: Identity::Occupant,
            real_jid: Jid::parse("ann@x").ok(),
            occupant_id: Some("o".into()),
            role: Some(Role::Moderator),
            affiliation: Some(Affiliation::Owner),
            own_nick: Some("Helper".into()),
            subject: Some("s".into()),
            lang: Some("no".into()),
            kind: MessageKind::Groupchat,
            stamp: Some("2026-03-01T12:00:00.25Z".parse().expect("a stamp")),
            thread: Some("t".into()),
            receipt_wanted: true,
            stanza_id: Some("a7".into()),
            replaces: Some("i0".into()),
            encrypted: true,
            own: true,
            is_bot: true,
            payloads: vec![
                Element::new("x", "urn:x").with_attr("a", "'\"").with_child(Element::new("y", "urn:y")),
            ],
            ..plain.clone()
        };
        let classes = [
            Class::Archive,
            Class::Carbon { sent: true },
            Class::Carbon { sent: false },
            Class::History,
            Class::Reflection,
            Class::Delayed,
            Class::Live,
        ];
        let all = classes.map(|class| Message { class, ..full.clone() });
        for message in all.into_iter().chain([plain, full]) {
            let text = message.to_value().to_string();
            let value = serde_json::from_str(&text).expect("it is JSON");
            assert_eq!(Message::from_value(&value), Some(message));
        }
    }

    #[test]
    fn what_is_no_message_is_none() {
        let mut value = Message::chat(Jid::parse("ann@x/phone").expect("a jid"), "hi").to_value();
        value["from"] = "@".into();
        for value in [Value::Null, json!({}), json!([1]), value] {
            assert_eq!(Message::from_value(&value), None);
        }
    }
}
