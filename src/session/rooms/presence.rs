//! Presence from rooms: who comes, goes and changes, the account itself included.

use std::sync::Arc;

use tracing::warn;

use super::join::{Loss, POLITE};
use super::room::State;
use crate::event::room::{Departure, Occupant, RoomChange};
use crate::jid::{BareJid, Jid};
use crate::moment::Moment;
use crate::session::Session;
use crate::stanza::presence::{Presence, PresenceType};
use crate::xep::muc::Seat;
use crate::xep::occupant_id;

/// Coming and going that scripts are told of in the long run, a second.
const TOLD: f64 = 20.0;

impl Session {
    /// A presence from a room that the account knows, or from somebody in it.
    pub(in crate::session) fn on_room_presence(&mut self, now: Moment, presence: &Presence, from: &Jid) {
        let jid = from.to_bare();
        let Some(room) = self.rooms.table.get_mut(&jid) else { return };
        room.heard_at = Some(now.at);
        if let PresenceType::Error(error) = &presence.kind {
            return self.on_refused(now, &jid, error);
        }
        // The room itself may have presence, with its avatar and its capabilities: it is no occupant.
        let (Some(nick), Some(seat)) = (from.resource(), Seat::read(&presence.payloads)) else { return };
        match &presence.kind {
            PresenceType::Available => self.on_seat(now, &jid, nick, &seat, presence),
            PresenceType::Unavailable => self.on_seat_empty(now, &jid, nick, &seat),
            // Nobody subscribes to a room, and a room subscribes to nobody.
            _ => {}
        }
    }

    fn on_seat(&mut self, now: Moment, jid: &BareJid, nick: &str, seat: &Seat, presence: &Presence) {
        let Some(room) = self.rooms.table.get_mut(jid) else { return };
        let joining = matches!(room.state, State::AwaitSelf { .. });
        if !joining && !room.is_in() {
            return;
        }
        let own = seat.has(110) || (!joining && nick == room.nick);
        let claimed = occupant_id::read(&presence.payloads);
        let occupant = room.occupant(nick, &seat.item, claimed.as_deref(), own);
        if own && !joining && nick != room.nick {
            // The room has given the account another nick without saying so: the old seat is nobody's.
            let old = std::mem::replace(&mut room.nick, nick.to_owned());
            self.rooms.unseat(jid, &old);
        }
        let before = self.rooms.seat(jid, occupant.clone(), claimed);
        if own && joining {
            return self.on_entered(now, jid, nick, seat.has(201));
        }
        if joining {
            return;
        }
        match before {
            None if self.is_refreshing(now, jid) => {}
            None if !own => self.tell_coming(now, jid, RoomChange::Joined(occupant)),
            Some(before) if before.role != occupant.role || before.affiliation != occupant.affiliation => {
                let change = RoomChange::Role {
                    role: before.role,
                    affiliation: before.affiliation,
                    by: seat.item.actor.clone(),
                    text: seat.item.reason.clone(),
                    occupant,
                };
                self.tell_coming(now, jid, change);
            }
            None | Some(_) => {}
        }
    }

    fn on_seat_empty(&mut self, now: Moment, jid: &BareJid, nick: &str, seat: &Seat) {
        let Some(room) = self.rooms.table.get(jid) else { return };
        match room.state {
            State::In(_) => {}
            State::Left { forget: true } if seat.has(110) || nick == room.nick => {
                return self.forget_room(jid);
            }
            // Others go while the account comes: they were not told of.
            State::AwaitSelf { .. } => {
                // Without this, a room that is destroyed at this moment would be awaited in vain.
                if seat.has(110) {
                    return self.lose(now, jid, own_loss(seat));
                }
                return drop(self.rooms.unseat(jid, nick));
            }
            State::AwaitInfo { .. }
            | State::Left { .. }
            | State::Lost { .. }
            | State::Queued
            | State::Stopped { .. } => return,
        }
        self.authors.vacate(jid, nick);
        // ejabberd sends the last presence of a destroyed room without 110.
        let own = seat.has(110) || nick == room.nick;
        let renamed = seat.has(303).then(|| seat.item.nick.clone()).flatten();
        match (renamed, own) {
            (Some(new), own) => self.on_renamed(now, jid, nick, &new, seat, own),
            (None, true) => {
                if seat.destroyed.is_some()
                    && let Some(room) = self.rooms.table.get_mut(jid)
                {
                    room.destroyed = true;
                }
                self.lose(now, jid, own_loss(seat));
            }
            (None, false) => {
                let Some(gone) = self.rooms.unseat(jid, nick) else { return };
                let change = RoomChange::Left {
                    occupant: last_seen(&gone, seat),
                    departure: departure(seat),
                    by: seat.item.actor.clone(),
                    text: seat.item.reason.clone(),
                };
                self.tell_coming(now, jid, change);
                self.regain_nick(jid, nick);
            }
        }
    }

    /// §7.6: the seat goes over to the new nick, and nothing of it stays with the old one.
    fn on_renamed(&mut self, now: Moment, jid: &BareJid, old: &str, new: &str, seat: &Seat, own: bool) {
        let Ok(new) = jid.with_resource(new) else { return drop(self.rooms.unseat(jid, old)) };
        let new = new.resource_str().to_owned();
        let claimed = self.rooms.table.get(jid).and_then(|room| room.claims.get(old).cloned());
        let before = self.rooms.unseat(jid, old);
        let Some(room) = self.rooms.table.get_mut(jid) else { return };
        if own {
            room.nick.clone_from(&new);
            room.conflicts *= u32::from(new != room.desired.nick);
        }
        let mut item = seat.item.clone();
        item.jid = item.jid.or_else(|| before.as_ref().and_then(|before| before.real_jid.clone()));
        let known = before.as_ref().and_then(|before| before.occupant_id.clone()).or(claimed);
        let occupant = room.occupant(&new, &item, known.as_deref(), own);
        self.rooms.seat(jid, occupant.clone(), known);
        self.tell_coming(now, jid, RoomChange::Renamed { occupant, old: old.to_owned() });
        if !own {
            self.regain_nick(jid, old);
        }
    }

    /// The nick that the account wanted and did not get is free.
    fn regain_nick(&mut self, jid: &BareJid, free: &str) {
        let Some(room) = self.rooms.table.get(jid) else { return };
        if room.conflicts > 0 && room.desired.nick == free && room.nick != free {
            self.send_nick(jid, free);
        }
    }

    /// Tells of occupants, as much as a script can be asked to bear.
    pub(super) fn tell_coming(&mut self, now: Moment, jid: &BareJid, change: RoomChange) {
        let Some(room) = self.rooms.table.get_mut(jid) else { return };
        if room.told.take(now.at, TOLD) {
            room.hushed = false;
            return self.tell(jid, change);
        }
        if !std::mem::replace(&mut room.hushed, true) {
            warn!(account = %self.own.bare, room = %jid, "too much coming and going: scripts are not told of all");
        }
    }
}

/// What an occupant was when they went: the last presence says role `none`.
fn last_seen(gone: &Arc<Occupant>, seat: &Seat) -> Occupant {
    let mut occupant = Occupant::clone(gone);
    occupant.affiliation = seat.item.affiliation;
    occupant
}

fn departure(seat: &Seat) -> Departure {
    match () {
        () if seat.has(301) => Departure::Banned,
        () if seat.has(333) => Departure::Unreachable,
        () if seat.has(307) => Departure::Kicked,
        () if seat.has(321) || seat.has(322) => Departure::NotMember,
        () if seat.has(332) => Departure::Shutdown,
        () if seat.destroyed.is_some() => Departure::Destroyed,
        () => Departure::Left,
    }
}

/// Why the account is out, and what follows.
fn own_loss(seat: &Seat) -> Loss {
    let by = seat.item.actor.as_deref();
    let words = seat.item.reason.as_deref();
    match departure(seat) {
        Departure::Banned => Loss::retry("banned", 301).stop().told(by, words),
        Departure::Destroyed => {
            let destroyed = seat.destroyed.clone().unwrap_or_default();
            let loss = Loss::retry("the room was destroyed", 0).told(by, destroyed.reason.as_deref());
            loss.at(destroyed.venue).after(POLITE)
        }
        Departure::Kicked => Loss::retry("kicked", 307).told(by, words).after(POLITE),
        Departure::Left => Loss::retry("removed", 0).told(by, words),
        Departure::NotMember => {
            let code = if seat.has(321) { 321 } else { 322 };
            Loss::retry("removed as a non-member", code).told(by, words).after(POLITE)
        }
        Departure::Shutdown => Loss::retry("the room's service stops", 332).told(None, words),
        Departure::Unreachable => Loss::retry("the room could not reach the bot", 333).told(None, words),
    }
}
