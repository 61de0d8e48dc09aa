//! Getting into a room, losing it, and when to try again.

use std::time::Duration;

use tracing::{info, warn};

use super::room::{Entered, PATIENCE, Room, State};
use super::{JOINS_AT_ONCE, Session};
use crate::event::Event;
use crate::event::room::{Lost, RoomChange, RoomEvent};
use crate::jid::{BareJid, Jid};
use crate::moment::Moment;
use crate::stanza::presence::{available, unavailable};
use crate::stanza::{ErrorKind, StanzaError};
use crate::xep::{caps, muc};
use crate::xml::Element;

/// Why the account is out, and when it may try again.
pub struct Loss {
    reason: String,
    code: u16,
    venue: Option<BareJid>,
    /// The shortest wait; without one there is no next try.
    floor: Option<Duration>,
}

/// Shortest wait after a loss that nobody wanted.
const SOON: Duration = Duration::from_secs(1);
/// Shortest wait after somebody removed the account: it comes back, and is no nuisance.
pub const POLITE: Duration = Duration::from_secs(5);
/// Shortest wait where only people can change something: password, nick, a room that is not there.
pub const SLOW: Duration = Duration::from_secs(60);
/// Longest wait.
const CAP: Duration = Duration::from_secs(300);
/// How long the account has to be in before the next wait is a first one again.
const SETTLED: Duration = Duration::from_secs(60);
/// Nicks that are tried in a row, the wanted one among them.
const NICKS: u32 = 4;

impl Loss {
    /// A loss after which it tries again soon.
    pub fn retry(reason: impl Into<String>, code: u16) -> Self {
        Self { reason: reason.into(), code, venue: None, floor: Some(SOON) }
    }

    /// The same, not sooner than this.
    #[must_use]
    pub fn after(self, floor: Duration) -> Self {
        Self { floor: Some(floor), ..self }
    }

    /// There is no next try.
    #[must_use]
    pub fn stop(self) -> Self {
        Self { floor: None, ..self }
    }

    /// The talk goes on elsewhere.
    #[must_use]
    pub fn at(self, venue: Option<BareJid>) -> Self {
        Self { venue, ..self }
    }

    /// With the words of whoever did it.
    #[must_use]
    pub fn told(mut self, by: Option<&str>, words: Option<&str>) -> Self {
        if let Some(by) = by {
            self.reason = format!("{} by {by}", self.reason);
        }
        if let Some(words) = words {
            self.reason = format!("{}: {words}", self.reason);
        }
        self
    }

    /// What a refused join means, XEP-0045 §7.2.
    pub fn refused(error: &StanzaError) -> Self {
        let text = error.text.as_deref().filter(|text| !text.is_empty());
        let told = |reason: &str, code| {
            Self::retry(reason, code).told(None, text.map(|text| &text[..text.floor_char_boundary(200)]))
        };
        match error.condition.as_ref() {
            "conflict" => told("the nick is taken", 409).after(SLOW),
            "forbidden" => told("banned", 403).stop(),
            "gone" | "redirect" => told("the room is gone", 302).after(SLOW),
            "item-not-found" => told("the room does not exist or is locked", 404).after(SLOW),
            "jid-malformed" | "bad-request" => told("the room does not take the nick", 400).after(SLOW),
            "not-acceptable" => told("the room does not take the nick", 406).after(SLOW),
            "not-allowed" => told("rooms may not be made there", 405).after(SLOW),
            "not-authorized" => told("the password is wrong", 401).after(SLOW),
            "registration-required" => told("the room is for members only", 407).stop(),
            "remote-server-not-found" => told("the room's server cannot be found", 404),
            "remote-server-timeout" => told("the room's server does not answer", 504),
            "resource-constraint" => told("the room's server is too busy", 500),
            "service-unavailable" => told("the room is full", 503).after(POLITE),
            other => told(&format!("refused with {other}"), 0).after(match error.kind {
                ErrorKind::Wait => POLITE,
                ErrorKind::Auth | ErrorKind::Cancel | ErrorKind::Continue | ErrorKind::Modify => SLOW,
            }),
        }
    }
}

impl Session {
    /// Joins what waits for its turn, a few at a time.
    pub(in crate::session) fn start_joins(&mut self, now: Moment) {
        if !self.online || !self.login.is_complete() {
            return;
        }
        let awaiting = self.rooms.table.values().filter(|room| room.is_awaiting()).count();
        let queued = self.rooms.table.iter().filter(|(_, room)| room.state == State::Queued);
        let next: Vec<BareJid> =
            queued.map(|(jid, _)| jid.clone()).take(JOINS_AT_ONCE.saturating_sub(awaiting)).collect();
        for jid in next {
            self.begin_join(now, &jid);
        }
    }

    fn begin_join(&mut self, now: Moment, jid: &BareJid) {
        let Some(room) = self.rooms.table.get_mut(jid) else { return };
        room.epoch = room.epoch.wrapping_add(1);
        room.announced = None;
        room.asked_at = None;
        room.heard_at = None;
        let only_if_there = room.destroyed || !room.desired.create;
        self.ask_about(now, jid);
        if only_if_there {
            if let Some(room) = self.rooms.table.get_mut(jid) {
                room.state = State::AwaitInfo { due: now.at + PATIENCE };
            }
            self.rooms.note(jid);
        } else {
            self.send_join(now, jid);
        }
    }

    /// Asks the room in, with the nick that is to be tried.
    pub(super) fn send_join(&mut self, now: Moment, jid: &BareJid) {
        self.rooms.clear_occupants(jid);
        let Some(room) = self.rooms.table.get_mut(jid) else { return };
        if jid.with_resource(&room.nick).is_err() {
            return self.lose(now, jid, Loss::retry("the nick is no nick", 400).stop());
        }
        room.state = State::AwaitSelf { due: now.at + PATIENCE };
        self.ask_in(jid);
        self.rooms.note(jid);
    }

    /// The presence that asks a room in; of somebody who is in, it asks who else is.
    pub(super) fn ask_in(&mut self, jid: &BareJid) {
        let Some(room) = self.rooms.table.get(jid) else { return };
        let Ok(to) = jid.with_resource(&room.nick) else { return };
        let join = muc::join(room.desired.password.as_ref().map(|password| password.reveal()));
        let presence = self.room_presence(&to.into()).with_child(join);
        self.send(presence);
    }

    /// The account's presence for an occupant JID.
    pub(super) fn room_presence(&self, to: &Jid) -> Element {
        let super::super::OwnPresence { show, status, .. } = &self.presence;
        available(*show, status.as_deref(), 0)
            .with_attr("to", to.as_str())
            .with_child(caps::element(&self.ver))
    }

    /// The account's presence has changed: rooms are told each on its own.
    pub(in crate::session) fn tell_rooms(&mut self) {
        let seats: Vec<Jid> = self
            .rooms
            .table
            .iter()
            .filter(|(_, room)| room.is_in())
            .filter_map(|(jid, room)| jid.with_resource(&room.nick).ok().map(Jid::from))
            .collect();
        for seat in seats {
            let presence = self.room_presence(&seat);
            self.send(presence);
        }
    }

    /// Asks for another nick, §7.6.
    pub(super) fn send_nick(&mut self, jid: &BareJid, nick: &str) {
        if let Ok(to) = jid.with_resource(nick) {
            let presence = self.room_presence(&to.into());
            self.send(presence);
        }
    }

    /// The room has let the account in.
    pub(super) fn on_entered(&mut self, now: Moment, jid: &BareJid, nick: &str, created: bool) {
        let spread = self.ids.next_fraction();
        self.authors.vacate_all(jid);
        let Some(room) = self.rooms.table.get_mut(jid) else { return };
        nick.clone_into(&mut room.nick);
        if created && (room.destroyed || !room.desired.create) {
            // It was there when it was asked for, and is not any more: what came into being by mistake goes again.
            self.say_goodbye(jid, nick);
            return self.lose(now, jid, Loss::retry("the room does not exist", 404).after(SLOW));
        }
        room.destroyed = false;
        room.heard_at = Some(now.at);
        let ping_at = super::ping::next(now.at, spread);
        room.state =
            State::In(Entered { at: now.at, wall: now.wall, caught_up: false, ping_at, refreshing: false });
        info!(account = %self.own.bare, room = %jid, nick, "joined");
        let unknown = room.announced.is_none();
        self.rooms.note(jid);
        if created {
            self.unlock(now, jid);
        }
        if unknown {
            self.ask_about(now, jid);
        }
        self.tell(jid, RoomChange::Entered { nick: nick.to_owned(), created });
    }

    /// The room refused the join, or a change of nick.
    pub(super) fn on_refused(&mut self, now: Moment, jid: &BareJid, error: &StanzaError) {
        let Some(room) = self.rooms.table.get_mut(jid) else { return };
        match room.state {
            State::AwaitSelf { .. } => {}
            // Another nick was refused: the old one stays. Anything else is doubtful.
            State::In(_) if error.condition == "conflict" => return,
            State::In(_) => return self.doubt(now, jid),
            State::AwaitInfo { .. }
            | State::Left { .. }
            | State::Lost { .. }
            | State::Queued
            | State::Stopped { .. } => return,
        }
        if error.condition == "conflict" {
            room.conflicts += 1;
            let nick = format!("{}_", room.nick);
            if room.conflicts < NICKS && jid.with_resource(&nick).is_ok() {
                room.nick = nick;
                return self.send_join(now, jid);
            }
        }
        self.lose(now, jid, Loss::refused(error));
    }

    /// The account is out of a room, or was not let in.
    pub(super) fn lose(&mut self, now: Moment, jid: &BareJid, loss: Loss) {
        let fraction = self.ids.next_fraction();
        self.empty_room(jid);
        let Some(room) = self.rooms.table.get_mut(jid) else { return };
        let wait = loss.floor.map(|floor| room.next_wait(now, floor, fraction));
        room.nick = room.desired.nick.clone();
        room.conflicts = 0;
        room.state = match wait {
            Some(wait) => State::Lost { due: now.at + wait, why: loss.reason.clone() },
            None => State::Stopped { why: loss.reason.clone() },
        };
        let account = &self.own.bare;
        let reason = &loss.reason;
        match wait {
            Some(wait) => {
                warn!(%account, room = %jid, reason, code = loss.code, retry_s = wait.as_secs(), "out of a room");
            }
            None => warn!(%account, room = %jid, reason, code = loss.code, "out of a room for good"),
        }
        self.rooms.note(jid);
        self.tell_lost(jid, &loss.reason, loss.code, wait, loss.venue);
    }

    pub(super) fn tell_lost(
        &mut self,
        jid: &BareJid,
        reason: &str,
        code: u16,
        wait: Option<Duration>,
        venue: Option<BareJid>,
    ) {
        let retry_s = wait.map(|wait| wait.as_secs());
        self.tell(jid, RoomChange::Lost(Lost { reason: reason.to_owned(), code, retry_s, venue }));
    }

    /// Goes out of a room; `forget` where it is no longer wanted at all.
    pub(super) fn leave_room(&mut self, jid: &BareJid, forget: bool) {
        let Some(room) = self.rooms.table.get(jid) else { return };
        let nick = room.nick.clone();
        let was_there = room.is_in() || matches!(room.state, State::AwaitSelf { .. });
        self.empty_room(jid);
        if was_there {
            self.say_goodbye(jid, &nick);
        }
        if forget && !(was_there && self.online) {
            return self.forget_room(jid);
        }
        if let Some(room) = self.rooms.table.get_mut(jid) {
            room.state = State::Left { forget };
        }
        self.rooms.note(jid);
    }

    fn say_goodbye(&mut self, jid: &BareJid, nick: &str) {
        if let Ok(to) = jid.with_resource(nick) {
            self.send(unavailable(None).with_attr("to", to.as_str()));
        }
    }

    pub(super) fn forget_room(&mut self, jid: &BareJid) {
        self.rooms.clear(jid);
        self.rooms.table.remove(jid);
        self.rooms.changed = true;
    }

    pub(super) fn empty_room(&mut self, jid: &BareJid) {
        self.rooms.clear(jid);
    }

    pub(super) fn tell(&mut self, jid: &BareJid, change: RoomChange) {
        self.event(Event::Room(Box::new(RoomEvent { room: jid.clone(), change })));
    }
}

impl Room {
    /// Decorrelated jitter, as for connections: between the floor and three times the last wait.
    fn next_wait(&mut self, now: Moment, floor: Duration, fraction: f64) -> Duration {
        let settled = match &self.state {
            State::In(entered) => now.at.saturating_duration_since(entered.at) >= SETTLED,
            State::AwaitInfo { .. }
            | State::AwaitSelf { .. }
            | State::Left { .. }
            | State::Lost { .. }
            | State::Queued
            | State::Stopped { .. } => false,
        };
        let last = if settled { Duration::ZERO } else { self.wait };
        let span = (last.max(floor) * 3).saturating_sub(floor);
        self.wait = (floor + span.mul_f64(fraction)).min(CAP.max(floor));
        self.wait
    }
}
