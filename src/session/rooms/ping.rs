//! Whether the account is still in a room that is silent (XEP-0410), and what the room says it does.

use std::time::{Duration, Instant};

use tracing::debug;

use super::join::{Loss, SLOW};
use super::room::State;
use crate::event::RequestFailed;
use crate::jid::BareJid;
use crate::moment::Moment;
use crate::session::Session;
use crate::session::pending::Purpose;
use crate::xep::self_ping::{self, Verdict};
use crate::xep::{disco, muc};
use crate::xml::Element;

/// Silence after which the room is asked.
const SILENCE: Duration = Duration::from_secs(15 * 60);
/// How long until it is asked again, where nobody could say.
const UNKNOWN: Duration = Duration::from_secs(5 * 60);
/// How long an answer is awaited.
const PATIENCE: Duration = Duration::from_secs(60);
/// A room that refuses everything is asked once in this time.
const DOUBTS: Duration = Duration::from_secs(10);
/// A room that says it has changed is asked what it does once in this time.
const INFO_AGAIN: Duration = Duration::from_secs(60);

/// The next self-ping: many rooms of many accounts do not ask at the same moment.
pub fn next(now: Instant, fraction: f64) -> Instant {
    now + SILENCE + (SILENCE / 10).mul_f64(fraction)
}

impl Session {
    /// It is time to ask, unless the room has been heard of meanwhile.
    pub(super) fn on_silence(&mut self, now: Moment, jid: &BareJid) {
        let fraction = self.ids.next_fraction();
        let Some(room) = self.rooms.table.get_mut(jid) else { return };
        let heard_at = room.heard_at;
        let State::In(entered) = &mut room.state else { return };
        match heard_at.map(|heard| next(heard, fraction)).filter(|at| *at > now.at) {
            Some(at) => entered.ping_at = at,
            None => self.ping_room(now, jid),
        }
    }

    /// Something says that the account may be out.
    pub(super) fn doubt(&mut self, now: Moment, jid: &BareJid) {
        let Some(room) = self.rooms.table.get_mut(jid) else { return };
        let lately = room.doubted_at.is_some_and(|at| now.at.saturating_duration_since(at) < DOUBTS);
        if !room.is_in() || room.pinging || lately {
            return;
        }
        room.doubted_at = Some(now.at);
        self.ping_room(now, jid);
    }

    fn ping_room(&mut self, now: Moment, jid: &BareJid) {
        let Some(room) = self.rooms.table.get_mut(jid) else { return };
        let Ok(to) = jid.with_resource(&room.nick) else { return };
        room.pinging = true;
        let purpose = Purpose::RoomPing { room: jid.clone(), epoch: room.epoch };
        self.ask(now, "get", Some(to.into()), self_ping::request(), PATIENCE, purpose);
    }

    /// The answer to a self-ping.
    pub(in crate::session) fn on_room_ping(
        &mut self,
        now: Moment,
        jid: &BareJid,
        epoch: u32,
        outcome: &Result<Option<Element>, RequestFailed>,
    ) {
        let fraction = self.ids.next_fraction();
        let Some(room) = self.rooms.table.get_mut(jid).filter(|room| room.epoch == epoch) else { return };
        room.pinging = false;
        let State::In(entered) = &mut room.state else { return };
        let verdict = self_ping::verdict(outcome);
        debug!(account = %self.own.bare, room = %jid, ?verdict, "self-ping");
        match verdict {
            Verdict::In => entered.ping_at = next(now.at, fraction),
            Verdict::Unknown => entered.ping_at = now.at + UNKNOWN + (UNKNOWN / 10).mul_f64(fraction),
            Verdict::Out | Verdict::Renamed => {
                self.lose(now, jid, Loss::retry("the room says that the bot is not in it", 0));
                self.start_joins(now);
            }
        }
    }

    /// Asks what the room does, unless that is under way.
    pub(super) fn ask_about(&mut self, now: Moment, jid: &BareJid) {
        let Some(room) = self.rooms.table.get_mut(jid) else { return };
        room.asked_at = Some(now.at);
        let purpose = Purpose::RoomInfo { room: jid.clone(), epoch: room.epoch };
        self.ask(now, "get", Some(jid.clone().into()), disco::query(None), PATIENCE, purpose);
    }

    /// The room says that its configuration has changed, §10.2.1: what it does may have changed with it.
    pub(super) fn on_reconfigured(&mut self, now: Moment, jid: &BareJid) {
        let Some(room) = self.rooms.table.get(jid) else { return };
        let lately = room.asked_at.is_some_and(|at| now.at.saturating_duration_since(at) < INFO_AGAIN);
        if room.is_in() && !lately {
            self.ask_about(now, jid);
        }
    }

    /// What the room does, or that there is none.
    pub(in crate::session) fn on_room_info(
        &mut self,
        now: Moment,
        jid: &BareJid,
        epoch: u32,
        outcome: Result<Option<Element>, RequestFailed>,
    ) {
        let Some(room) = self.rooms.table.get_mut(jid).filter(|room| room.epoch == epoch) else { return };
        let awaited = matches!(room.state, State::AwaitInfo { .. });
        match outcome {
            Ok(payload) => {
                let info = payload.as_ref().and_then(disco::Info::parse).unwrap_or_default();
                room.announce(&info);
                self.rooms.changed = true;
            }
            Err(RequestFailed::Error(error)) if awaited && is_absent(&error.condition) => {
                return self.lose(now, jid, Loss::retry("the room does not exist", 404).after(SLOW));
            }
            // A room may hide from strangers: joining shows whether it is there.
            Err(error) => debug!(account = %self.own.bare, room = %jid, ?error, "no service discovery"),
        }
        if awaited {
            self.send_join(now, jid);
        }
    }

    /// A room that the account has made is open to others only when it is configured, §10.1.
    pub(super) fn unlock(&mut self, now: Moment, jid: &BareJid) {
        let purpose = Purpose::RoomOrder { room: jid.clone(), id: None, what: "unlocking a new room" };
        self.ask(now, "set", Some(jid.clone().into()), muc::instant(), PATIENCE, purpose);
    }
}

fn is_absent(condition: &str) -> bool {
    matches!(condition, "gone" | "item-not-found" | "redirect")
}
