//! What is said in a room: which way it came, and who says it.

use tracing::debug;

use super::room::{CATCH_UP, Entered, Room, State};
use crate::event::room::{Affiliation, Identity, Role, RoomChange, identify};
use crate::event::{Class, Event};
use crate::jid::{BareJid, Jid};
use crate::moment::Moment;
use crate::session::Session;
use crate::session::incoming::Placed;
use crate::stanza::message::Message;
use crate::xep::delay::{self, Delayed};
use crate::xep::{muc, occupant_id, stanza_ids};

/// Somebody who speaks in a room, as far as the room has told who that is.
#[derive(Clone, Debug)]
pub struct Speaker {
    pub nick: String,
    pub who: String,
    pub identity: Identity,
    pub real_jid: Option<Jid>,
    pub occupant_id: Option<String>,
    pub role: Option<Role>,
    pub affiliation: Option<Affiliation>,
    pub own_nick: Option<String>,
    /// The account itself, or another of this process.
    pub own: bool,
}

impl Speaker {
    /// Somebody of whom nothing else is known.
    pub fn of_nobody(nick: String, who: String) -> Self {
        Self {
            nick,
            who,
            identity: Identity::Nick,
            real_jid: None,
            occupant_id: None,
            role: None,
            affiliation: None,
            own_nick: None,
            own: false,
        }
    }
}

impl Session {
    /// A message of type `groupchat`. Of a room that the account is not in, nothing is believed.
    pub(in crate::session) fn on_room_message(&mut self, now: Moment, message: &Message) {
        let Some(from) = message.head.from.clone() else { return };
        let jid = from.to_bare();
        let Some(room) = self.rooms.table.get_mut(&jid) else {
            return debug!(account = %self.own.bare, %from, "talk of a room that was not joined dropped");
        };
        if !room.is_in() && !matches!(room.state, State::AwaitSelf { .. }) {
            return debug!(account = %self.own.bare, %from, "talk of a room that the account is not in dropped");
        }
        room.heard_at = Some(now.at);
        if from.is_bare() && message.payload("x", muc::USER).is_some_and(|x| muc::codes(x).contains(&104)) {
            self.on_reconfigured(now, &jid);
        }
        // §8.1: with a body or a thread it is talk that has a subject.
        if !message.subjects.is_empty() && message.bodies.is_empty() && message.thread.is_none() {
            return self.on_subject(now, &jid, &from, message);
        }
        self.on_talk(now, &jid, from, message);
    }

    fn on_subject(&mut self, now: Moment, jid: &BareJid, from: &Jid, message: &Message) {
        let text = message.subject(&self.config.lang).map(|subject| subject.text.clone()).unwrap_or_default();
        let text = text[..text.floor_char_boundary(SUBJECT)].to_owned();
        let Some(room) = self.rooms.table.get_mut(jid) else { return };
        room.subject = Some(text.clone()).filter(|text| !text.is_empty());
        let first = match &mut room.state {
            State::In(entered) => !std::mem::replace(&mut entered.caught_up, true),
            _ => true,
        };
        self.rooms.note(jid);
        // The first one after the join is as old as the room.
        if !first && !self.end_refreshing(now, jid) {
            let nick = from.resource().map(str::to_owned);
            self.tell_coming(now, jid, RoomChange::Subject { text, nick });
        }
    }

    fn on_talk(&mut self, now: Moment, jid: &BareJid, from: Jid, message: &Message) {
        let Some(room) = self.rooms.table.get(jid) else { return };
        let announced = room.announced.as_ref().is_some_and(|announced| announced.stanza_ids);
        let stanza_id = stanza_ids::trusted(&message.payloads, jid, announced);
        let own = from.resource() == Some(room.nick.as_str());
        let by_room = delay_of(message, jid);
        let history = is_history(room, now, by_room.as_ref());
        let home = self.home_delay(message);
        if self.unseen_in_room(jid, stanza_id.as_deref()).is_err() {
            return debug!(account = %self.own.bare, %from, "message handled before");
        }
        let class = match () {
            () if history => Class::History,
            () if own && self.is_echo(jid, message) => Class::Reflection,
            () if home.is_some() => Class::Delayed,
            () => Class::Live,
        };
        let stamp = home.or(by_room).map(|delay| delay.stamp);
        let speaker = self.speaker(&from, message, class == Class::History);
        let placed = Placed { class, from, stamp, stanza_id, speaker };
        if self.meddles(message, &placed) {
            return debug!(account = %self.own.bare, from = %placed.from, "a change of somebody else's message dropped");
        }
        if let Some(remark) = self.remark(message, &placed) {
            self.event(remark);
        }
        if let Some(event) = self.told(message, placed) {
            self.event(Event::Message(Box::new(event)));
        }
    }

    /// Whether a room gives back what we sent, §7.4, from our own seat. It does so once: whoever has the nick later
    /// and copies the id is no echo of ours.
    fn is_echo(&mut self, jid: &BareJid, message: &Message) -> bool {
        let Some(id) = message.head.id.clone() else { return false };
        let key = (jid.clone(), id);
        self.sent.find(&key).is_some() && self.reflected.insert(key, ())
    }

    /// Who an occupant JID is, where the account is in that room.
    pub(in crate::session) fn speaker(&self, from: &Jid, message: &Message, past: bool) -> Option<Speaker> {
        let room = self.rooms.table.get(&from.to_bare())?;
        let nick = from.resource().unwrap_or_default();
        let own_nick = room.is_in().then(|| room.nick.clone());
        let said = occupant_id::read(&message.payloads).filter(|_| room.gives_ids());
        let present = room.occupants.get(nick).filter(|_| !past);
        // Another id than the seat's: the speaker has gone, and the nick is somebody else's by now.
        let present =
            present.filter(|seat| said.is_none() || seat.occupant_id.is_none() || seat.occupant_id == said);
        let real_jid = present.and_then(|occupant| occupant.real_jid.clone());
        let occupant_id = said.or_else(|| present.and_then(|occupant| occupant.occupant_id.clone()));
        let believed = real_jid.as_ref().filter(|_| !room.invited);
        let (who, identity) = identify(&from.to_bare(), nick, believed, occupant_id.as_deref());
        let ours = real_jid.as_ref().map(Jid::to_bare);
        let own = (own_nick.as_deref() == Some(nick) && !past)
            || ours.is_some_and(|real| real == self.own.bare || self.config.own_bots.contains(&real));
        Some(Speaker {
            nick: nick.to_owned(),
            who,
            identity,
            role: present.map(|occupant| occupant.role),
            affiliation: present.map(|occupant| occupant.affiliation),
            real_jid,
            occupant_id,
            own_nick,
            own,
        })
    }

    /// A message of ours came back. Where the room says that the account is not in it, it may be right.
    pub(in crate::session) fn on_room_error(&mut self, now: Moment, from: &Jid, condition: &str) {
        if from.is_bare()
            && matches!(condition, "item-not-found" | "not-acceptable" | "recipient-unavailable")
        {
            self.doubt(now, &from.to_bare());
        }
    }
}

/// What the room says about lateness.
fn delay_of(message: &Message, room: &BareJid) -> Option<Delayed> {
    delay::read(&message.payloads).into_iter().find(|delay| delay.from.as_ref() == Some(&**room))
}

/// Whether it was said before the account came: what comes before the account's own presence, and from there to the
/// first subject. After that, a stamp of the room is believed for a moment only, for rooms that have it the other way
/// round: ejabberd 23.01 lets occupants write it themselves, who could so be heard by everybody but the bot.
fn is_history(room: &Room, now: Moment, delay: Option<&Delayed>) -> bool {
    let State::In(Entered { at, wall, caught_up, .. }) = &room.state else { return true };
    let catching_up = now.at.saturating_duration_since(*at) < CATCH_UP;
    let older = delay.is_some_and(|delay| delay.stamp < *wall);
    catching_up && (!caught_up || older)
}

/// Most bytes of a subject that are kept.
const SUBJECT: usize = 4096;
