//! Messages: which way each came is decided once, in a fixed order, before anything else.
//!
//! Error, archive, copy, room history, own reflection, late, live. What claims to be one of the
//! first and does not come from where it must is dropped: it has no effect at all.

use std::time::Duration;

use tracing::debug;

use super::Session;
use super::pending::Purpose;
use super::remarks;
use super::rooms::Speaker;
use crate::event::room::Identity;
use crate::event::{self, Bounce, Class, Event};
use crate::jid::Jid;
use crate::moment::Moment;
use crate::stanza::MessageKind;
use crate::stanza::message::Message;
use crate::xep::carbons::{self, Checked};
use crate::xep::delay::{self, Delayed};
use crate::xep::{
    self, archive, correction, disco, encryption, fallback, muc, nickname, oob, receipts, replies,
};

/// How long a contact's client may take to say what it can.
const CAPS_PATIENCE: Duration = Duration::from_secs(30);

/// Where a message stands after its class is known.
pub(super) struct Placed {
    pub class: Class,
    pub from: Jid,
    pub stamp: Option<jiff::Timestamp>,
    pub stanza_id: Option<String>,
    /// Who speaks, where it is in a room that the account is in.
    pub speaker: Option<Speaker>,
}

/// What was said: a quotation that a reply begins with for older clients is not, XEP-0461. Where nothing is left, the
/// quotation is all that was said.
fn said(message: &Message, text: &str) -> String {
    let own = fallback::without(&message.payloads, replies::NS, text);
    own.filter(|own| !own.trim().is_empty()).unwrap_or_else(|| text.to_owned())
}

impl Session {
    pub(super) fn on_message(&mut self, now: Moment, message: Message) {
        if let Some(error) = message.error {
            if let Some(from) = &message.head.from {
                self.on_room_error(now, from, &error.condition);
            }
            let bounce = Bounce { from: message.head.from, id: message.head.id, error };
            return self.event(Event::Bounce(bounce));
        }
        // Whether anybody was asked is looked at there (S-4).
        if let Some(result) = message.payload("result", archive::NS) {
            return self.on_archived(&message, result);
        }
        if self.on_bookmarks_changed(now, &message) {
            return;
        }
        match carbons::check(&message, &self.own.bare) {
            Checked::Carbon(copy) if self.config.carbons => self.on_copy(copy.sent, copy.message),
            Checked::Carbon(_) => debug!(account = %self.own.bare, "copy that was not asked for dropped"),
            Checked::Refused { why } => {
                debug!(account = %self.own.bare, from = ?message.head.from, why, "copy refused");
            }
            Checked::Plain if message.kind == MessageKind::Groupchat => self.on_room_message(now, &message),
            Checked::Plain => self.on_direct_message(now, message),
        }
    }

    /// What another resource of the account sent or received. Told, never answered.
    fn on_copy(&mut self, sent: bool, message: Message) {
        let Some(from) = message.head.from.clone() else { return };
        let delay = self.home_delay(&message);
        let Ok(stanza_id) = self.unseen_id(&message, delay.is_some()) else { return };
        let stamp = delay.map(|delay| delay.stamp);
        let placed = Placed { class: Class::Carbon { sent }, from, stamp, stanza_id, speaker: None };
        if let Some(event) = self.told(&message, placed) {
            self.event(Event::Message(Box::new(event)));
        }
    }

    fn on_direct_message(&mut self, now: Moment, message: Message) {
        let from = message.head.from.clone().unwrap_or_else(|| self.own.bare.clone().into());
        let delay = self.home_delay(&message);
        let Ok(stanza_id) = self.unseen_id(&message, delay.is_some()) else {
            return debug!(account = %self.own.bare, %from, "message handled before");
        };
        if let Some(id) = &stanza_id {
            self.reach_live(now, &self.own.bare.clone(), id, &message);
        }
        if let Some(invite) = Self::invitation(&message, &from) {
            return self.on_invited(now, invite);
        }
        let in_room = self.rooms.knows(&from.to_bare());
        if in_room && (from.is_bare() || self.standing_in(&from.to_bare()) != super::rooms::Standing::In) {
            // What a room says by itself is for people; who is in a room that the account is not in cannot be answered.
            return debug!(account = %self.own.bare, %from, "a room's own words dropped");
        }
        let class = match &delay {
            _ if self.own.is_session(&from) => Class::Reflection,
            Some(_) => Class::Delayed,
            None => Class::Live,
        };
        let speaker = self.speaker(&from, &message, false);
        let stamp = delay.map(|delay| delay.stamp);
        let placed = Placed { class, from: from.clone(), stamp, stanza_id, speaker };
        if self.meddles(&message, &placed) {
            return debug!(account = %self.own.bare, %from, "a change of somebody else's message dropped");
        }
        if let Some(remark) = self.remark(&message, &placed) {
            self.event(remark);
        }
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

    /// What the account's own server says about lateness. What others say is only their word.
    pub(super) fn home_delay(&self, message: &Message) -> Option<Delayed> {
        let home = |delay: &Delayed| delay.from.as_ref().is_some_and(|from| self.own.is_home(from));
        delay::read(&message.payloads).into_iter().find(home)
    }

    /// The event, where the message says something.
    pub(super) fn told(&self, message: &Message, placed: Placed) -> Option<event::Message> {
        let lang = &self.config.lang;
        let encrypted = encryption::is_sealed(message);
        let body = message.body(lang).filter(|_| !encrypted && !remarks::is_stand_in(message));
        let room_user = message.payload("x", muc::USER);
        let invitation = room_user.is_some_and(|x| x.has_child("invite", muc::USER));
        let only_link = body.is_some_and(|body| oob::is_only_link(message, &body.text));
        let carries_event =
            matches!(placed.class, Class::Live | Class::Delayed) && message.kind != MessageKind::Groupchat;
        if (body.is_none() && !encrypted) || invitation || (only_link && carries_event) {
            return None;
        }
        let Placed { class, from, stamp, stanza_id, speaker } = placed;
        let bare = from.to_bare();
        // In a private message of a room the bare JID is the room: it is nobody's identity. That goes also for rooms
        // that the account does not know.
        let groupchat = message.kind == MessageKind::Groupchat;
        let stranger = || Speaker::of_nobody(self.nick(message, &from, true), from.to_string());
        let occupant =
            speaker.or_else(|| (groupchat || (room_user.is_some() && !from.is_bare())).then(stranger));
        let own = class == Class::Reflection
            || occupant.as_ref().is_some_and(|occupant| occupant.own)
            || (occupant.is_none() && (self.own.is_self(&from) || self.config.own_bots.contains(&bare)));
        let speaker = occupant.clone().unwrap_or_else(|| Speaker {
            identity: Identity::Real,
            ..Speaker::of_nobody(self.nick(message, &from, false), bare.to_string())
        });
        Some(event::Message {
            id: message.head.id.clone(),
            place: self.place(message, class, &from),
            room: occupant.is_some().then(|| bare.clone()),
            nick: speaker.nick,
            who: speaker.who,
            identity: speaker.identity,
            real_jid: speaker.real_jid,
            occupant_id: speaker.occupant_id,
            role: speaker.role,
            affiliation: speaker.affiliation,
            own_nick: speaker.own_nick,
            text: body.map(|body| said(message, &body.text)).unwrap_or_default(),
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
    pub(super) fn nick(&self, message: &Message, from: &Jid, occupant: bool) -> String {
        let bare = from.to_bare();
        let fallback = || bare.local().unwrap_or(bare.domain()).to_owned();
        if occupant {
            return from.resource().map_or_else(fallback, str::to_owned);
        }
        let named = self.roster.item(&bare).map(|contact| contact.name.clone());
        named.unwrap_or_else(|| nickname::read(&message.payloads)).unwrap_or_else(fallback)
    }

    /// Confirms a message to a contact who asked and who sees our presence anyway (S-30).
    pub(super) fn give_receipt(&mut self, message: &Message, from: &Jid) {
        let Some(of) = receipts::wanted(message).filter(|_| self.config.receipts) else { return };
        if self.own.is_self(from) || !self.roster.is_watcher(&from.to_bare()) {
            return;
        }
        let receipt = receipts::receipt(from, &self.ids.next_id(), message.kind, of);
        self.send(receipt);
    }

    /// Asks what the software of a contact who talks to us can: once per hash, never for presence
    /// alone, never a stranger.
    pub(super) fn learn_caps(&mut self, now: Moment, from: &Jid) {
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
