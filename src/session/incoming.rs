//! Messages: which way each came is decided once, in a fixed order, before anything else.
//!
//! Error, archive, copy, room history, own reflection, late, live. What claims to be one of the
//! first and does not come from where it must is dropped: it has no effect at all.

use std::time::Duration;

use tracing::debug;

use super::Session;
use super::pending::Purpose;
use crate::event::{self, Bounce, Class, Event};
use crate::jid::{BareJid, Jid};
use crate::moment::Moment;
use crate::stanza::MessageKind;
use crate::stanza::message::Message;
use crate::xep::carbons::{self, Checked};
use crate::xep::delay::{self, Delayed};
use crate::xep::{self, correction, disco, encryption, nickname, oob, receipts, stanza_ids};

/// Namespace of the archive, XEP-0313.
const ARCHIVE: &str = "urn:xmpp:mam:2";
/// Namespace of what rooms add, XEP-0045.
const ROOM_USER: &str = "http://jabber.org/protocol/muc#user";
/// How long a contact's client may take to say what it can.
const CAPS_PATIENCE: Duration = Duration::from_secs(30);

/// Where a message stands after its class is known.
struct Placed {
    class: Class,
    from: Jid,
    stamp: Option<jiff::Timestamp>,
    stanza_id: Option<String>,
}

impl Session {
    pub(super) fn on_message(&mut self, now: Moment, message: Message) {
        if let Some(error) = message.error {
            let bounce = Bounce { from: message.head.from, id: message.head.id, error };
            return self.event(Event::Bounce(bounce));
        }
        // The archive was never asked, so nobody can be answering (S-4).
        if message.payload("result", ARCHIVE).is_some() {
            return debug!(account = %self.own.bare, from = ?message.head.from, "unasked archive result dropped");
        }
        match carbons::check(&message, &self.own.bare) {
            Checked::Carbon(copy) if self.config.carbons => self.on_copy(copy.sent, copy.message),
            Checked::Carbon(_) => debug!(account = %self.own.bare, "copy that was not asked for dropped"),
            Checked::Refused { why } => {
                debug!(account = %self.own.bare, from = ?message.head.from, why, "copy refused");
            }
            Checked::Plain if message.kind == MessageKind::Groupchat => self.on_room_message(message),
            Checked::Plain => self.on_direct_message(now, message),
        }
    }

    /// What another resource of the account sent or received. Told, never answered.
    fn on_copy(&mut self, sent: bool, message: Message) {
        let Some(from) = message.head.from.clone() else { return };
        let Ok(stanza_id) = self.unseen_id(&message) else { return };
        let stamp = self.home_delay(&message).map(|delay| delay.stamp);
        let placed = Placed { class: Class::Carbon { sent }, from, stamp, stanza_id };
        if let Some(event) = self.told(&message, placed) {
            self.event(Event::Message(Box::new(event)));
        }
    }

    fn on_direct_message(&mut self, now: Moment, message: Message) {
        let from = message.head.from.clone().unwrap_or_else(|| self.own.bare.clone().into());
        let Ok(stanza_id) = self.unseen_id(&message) else {
            return debug!(account = %self.own.bare, %from, "message handled before");
        };
        let delay = self.home_delay(&message);
        let class = match &delay {
            _ if self.own.is_session(&from) => Class::Reflection,
            Some(_) => Class::Delayed,
            None => Class::Live,
        };
        let placed = Placed { class, from: from.clone(), stamp: delay.map(|d| d.stamp), stanza_id };
        if let Some(event) = self.told(&message, placed) {
            self.event(Event::Message(Box::new(event)));
        }
        if class == Class::Reflection {
            return;
        }
        for event in xep::EXTENSIONS.iter().filter_map(|extension| extension.on_message(&message, &from)) {
            self.event(event);
        }
        self.give_receipt(&message, &from);
        self.learn_caps(now, &from);
    }

    fn on_room_message(&mut self, message: Message) {
        let Some(from) = message.head.from.clone() else { return };
        let room = from.to_bare();
        let delay = delay::read(&message.payloads).into_iter().find(|d| d.from.as_ref() == Some(&*room));
        let is_history = delay.as_ref().is_some_and(|delay| delay.stamp < self.online_since);
        let class = if self.is_reflection(&room, &message, is_history) {
            Class::Reflection
        } else if is_history {
            Class::History
        } else {
            Class::Live
        };
        let placed = Placed { class, from, stamp: delay.map(|d| d.stamp), stanza_id: None };
        if let Some(event) = self.told(&message, placed) {
            self.event(Event::Message(Box::new(event)));
        }
    }

    /// Whether a room gives back what we sent, XEP-0045 §7.4. It does so once, apart from
    /// history: an occupant who copies the id afterwards is no echo of ours.
    fn is_reflection(&mut self, room: &BareJid, message: &Message, is_history: bool) -> bool {
        let Some(id) = message.head.id.clone() else { return false };
        let key = (room.clone(), id);
        self.sent.find(&key).is_some() && (is_history || self.reflected.insert(key, ()))
    }

    /// The archive id that the account's server vouches for; an error where it was seen before.
    fn unseen_id(&mut self, message: &Message) -> Result<Option<String>, ()> {
        let announced = self.login.announces(stanza_ids::NS);
        let Some(id) = stanza_ids::trusted(&message.payloads, &self.own.bare, announced) else {
            return Ok(None);
        };
        if self.seen.insert((self.own.bare.clone(), id.clone()), ()) { Ok(Some(id)) } else { Err(()) }
    }

    /// What the account's own server says about lateness. What others say is only their word.
    fn home_delay(&self, message: &Message) -> Option<Delayed> {
        let home = |delay: &Delayed| delay.from.as_ref().is_some_and(|from| self.own.is_home(from));
        delay::read(&message.payloads).into_iter().find(home)
    }

    /// The event, where the message says something.
    fn told(&self, message: &Message, placed: Placed) -> Option<event::Message> {
        let lang = &self.config.lang;
        let encrypted = encryption::is_sealed(message);
        let body = message.body(lang).filter(|_| !encrypted);
        let room_user = message.payload("x", ROOM_USER);
        let invitation = room_user.is_some_and(|x| x.has_child("invite", ROOM_USER));
        let only_link = body.is_some_and(|body| oob::is_only_link(message, &body.text));
        let carries_event =
            matches!(placed.class, Class::Live | Class::Delayed) && message.kind != MessageKind::Groupchat;
        if (body.is_none() && !encrypted) || invitation || (only_link && carries_event) {
            return None;
        }
        let Placed { class, from, stamp, stanza_id } = placed;
        let bare = from.to_bare();
        let groupchat = message.kind == MessageKind::Groupchat;
        // In a private message of a room the bare JID is the room: it is nobody's identity.
        let occupant = groupchat || (room_user.is_some() && !from.is_bare());
        let own = class == Class::Reflection
            || (!groupchat && (self.own.is_self(&from) || self.config.own_bots.contains(&bare)));
        Some(event::Message {
            id: message.head.id.clone(),
            place: self.place(message, class, &from),
            room: occupant.then(|| bare.clone()),
            nick: self.nick(message, &from, occupant),
            who: if occupant { from.to_string() } else { bare.to_string() },
            text: body.map(|body| body.text.clone()).unwrap_or_default(),
            subject: message.subject(lang).map(|subject| subject.text.clone()),
            lang: body.and_then(|body| body.lang.clone()),
            kind: message.kind,
            class,
            stamp,
            thread: message.thread.as_ref().map(|thread| thread.id.clone()),
            receipt_wanted: receipts::wanted(message).is_some(),
            stanza_id,
            replaces: correction::replaces(message),
            encrypted,
            own,
            is_bot: own || self.is_known_bot(&from),
            payloads: message.payloads.iter().filter(|payload| !xep::consumed(payload)).cloned().collect(),
            from,
        })
    }

    /// Where an answer goes: the room, the occupant, or the sender's full JID, RFC 6121 §5.1.
    fn place(&self, message: &Message, class: Class, from: &Jid) -> Jid {
        match class {
            Class::Carbon { sent: true } => message.head.to.clone().unwrap_or_else(|| from.clone()),
            _ if message.kind == MessageKind::Groupchat => from.to_bare().into(),
            Class::Archive
            | Class::Carbon { sent: false }
            | Class::Delayed
            | Class::History
            | Class::Live
            | Class::Reflection => from.clone(),
        }
    }

    /// Room nick, roster name, the name the sender gives himself, localpart.
    fn nick(&self, message: &Message, from: &Jid, occupant: bool) -> String {
        let bare = from.to_bare();
        let fallback = || bare.local().unwrap_or(bare.domain()).to_owned();
        if occupant {
            return from.resource().map_or_else(fallback, str::to_owned);
        }
        let named = self.roster.item(&bare).map(|contact| contact.name.clone());
        named.unwrap_or_else(|| nickname::read(&message.payloads)).unwrap_or_else(fallback)
    }

    /// Confirms a message to a contact who asked and who sees our presence anyway (S-30).
    fn give_receipt(&mut self, message: &Message, from: &Jid) {
        let Some(of) = receipts::wanted(message).filter(|_| self.config.receipts) else { return };
        if self.own.is_self(from) || !self.roster.is_watcher(&from.to_bare()) {
            return;
        }
        let receipt = receipts::receipt(from, &self.ids.next_id(), message.kind, of);
        self.send(receipt);
    }

    /// Asks what the software of a contact who talks to us can: once per hash, never for presence
    /// alone, never a stranger.
    fn learn_caps(&mut self, now: Moment, from: &Jid) {
        let Some(caps) = self.residents.find(from).and_then(|resident| resident.caps.clone()) else { return };
        let contact = self.roster.is_watcher(&from.to_bare());
        if !contact || self.caps.find(&caps).is_some() || !self.pending.has_room() {
            return;
        }
        if self.caps_asked.insert(caps.clone(), ()) {
            let query = disco::query(Some(&caps.query_node()));
            self.ask(now, "get", Some(from.clone()), query, CAPS_PATIENCE, Purpose::Caps(caps));
        }
    }

    fn is_known_bot(&self, from: &Jid) -> bool {
        let caps = self.residents.find(from).and_then(|resident| resident.caps.as_ref());
        caps.and_then(|caps| self.caps.find(caps)).is_some_and(disco::Info::is_bot)
    }
}
