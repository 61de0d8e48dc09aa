//! Rooms, XEP-0045, as a state that is wanted: whatever takes the account out of one, it goes back in, later and
//! later, until the room says that it must not.
//!
//! In reading order: `room` (one room and who is in it), `join` (getting in and losing it), `presence` (what the room
//! tells), `talk` (what is said there), `ping` (whether the account is still there), `order` (what scripts ask for),
//! `invite` (who asks the account in).

mod adopted;
mod bookmarked;
mod invite;
mod join;
mod order;
mod ping;
mod presence;
mod room;
mod talk;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;

use self::room::{Room, State};
pub(super) use self::talk::Speaker;
use super::Session;
use crate::event::room::RoomsView;
use crate::jid::{BareJid, Jid};
use crate::moment::Moment;
use crate::secret::Password;
use crate::session::bucket::Bucket;
use crate::xml::Element;

/// A room the account is to be in.
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredRoom {
    /// The room.
    pub jid: BareJid,
    /// What the account is called there.
    pub nick: String,
    /// What the room asks for.
    pub password: Option<Password>,
    /// Whether it is made where there is none.
    pub create: bool,
}

/// Whose invitations are accepted without asking a script. Scripts are told of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invites {
    /// Everybody's.
    pub all: bool,
    /// Those of addresses of the account's own domain.
    pub domain: bool,
    /// Those of contacts.
    pub roster: bool,
    /// Those of these addresses.
    pub from: Vec<BareJid>,
}

/// Whether the account can speak in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is in.
    In,
    /// It is on its way, or will try again.
    Coming,
    /// It will not come in by itself.
    Out,
}

/// The rooms of one account.
pub(super) struct Rooms {
    table: BTreeMap<BareJid, Room>,
    /// Occupants that are kept, of all rooms.
    occupants: usize,
    /// Somebody who has no session wants to know.
    changed: bool,
    /// When somebody was last asked into these rooms.
    invited: BTreeMap<BareJid, Instant>,
    invitations: Bucket,
}

/// Most rooms of one account.
const ROOMS: usize = 1000;
/// Joins that wait for the room's answer at once.
const JOINS_AT_ONCE: usize = 8;
/// Most occupants that are kept of one room.
const OCCUPANTS_EACH: usize = 5_000;
/// Most occupants that are kept for one account.
const OCCUPANTS: usize = 20_000;

impl Default for Rooms {
    fn default() -> Self {
        Self {
            table: BTreeMap::new(),
            occupants: 0,
            changed: false,
            invited: BTreeMap::new(),
            invitations: Bucket::new(invite::BURST),
        }
    }
}

impl Rooms {
    /// The rooms of the configuration, none of them joined.
    pub(super) fn new(desired: &[DesiredRoom]) -> Self {
        let mut rooms = Self { changed: !desired.is_empty(), ..Self::default() };
        for desired in desired.iter().take(ROOMS) {
            rooms.table.insert(desired.jid.clone(), Room::new(desired.clone(), false));
        }
        if desired.len() > ROOMS {
            warn!(rooms = desired.len(), "more rooms than {ROOMS}: the last are not joined");
        }
        rooms
    }

    /// Whether this is the address of a room or an occupant that the account knows.
    pub(super) fn knows(&self, room: &BareJid) -> bool {
        self.table.contains_key(room)
    }

    /// Whether the views are to be read again; asked once.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    fn note(&mut self, room: &BareJid) {
        if let Some(room) = self.table.get_mut(room) {
            room.view = None;
        }
        self.changed = true;
    }
}

impl Session {
    /// All rooms, for those who have no session. What has not changed is shared with the view before.
    pub fn rooms_view(&mut self) -> RoomsView {
        let views = self.rooms.table.iter_mut().filter(|(_, room)| !room.is_forgotten());
        views.map(|(jid, room)| (jid.clone(), Arc::clone(room.view()))).collect()
    }

    /// What is said to the address of a room that is the account's is talk in it: rooms refuse the other kind (§7.4), and
    /// scripts keep one address to answer to.
    pub fn readdress(&self, message: &mut Element) {
        if message.attr("type") != Some("chat") {
            return;
        }
        let to = message.attr("to").and_then(|to| Jid::from_wire(to).ok());
        if to.is_some_and(|to| to.is_bare() && self.rooms.knows(&to.to_bare())) {
            message.set_attr("type", "groupchat");
        }
    }

    /// Whether the account can speak in a room.
    pub fn standing_in(&self, room: &BareJid) -> Standing {
        match self.rooms.table.get(room).map(|room| &room.state) {
            Some(State::In { .. }) => Standing::In,
            Some(State::AwaitInfo { .. } | State::AwaitSelf { .. } | State::Lost { .. } | State::Queued) => {
                Standing::Coming
            }
            Some(State::Left { .. } | State::Stopped { .. }) | None => Standing::Out,
        }
    }

    /// The configuration says something else: rooms are left, joined, or told another nick.
    pub(super) fn configure_rooms(&mut self, now: Moment, desired: &[DesiredRoom]) {
        let wanted = |jid: &BareJid| desired.iter().take(ROOMS).find(|desired| desired.jid == *jid);
        let dropped: Vec<BareJid> = self
            .rooms
            .table
            .iter()
            .filter(|(jid, room)| !room.invited && wanted(jid).is_none())
            .map(|(jid, _)| jid.clone())
            .collect();
        for room in dropped {
            self.leave_room(&room, true);
        }
        for desired in desired.iter().take(ROOMS) {
            match self.rooms.table.get_mut(&desired.jid) {
                Some(room) if room.desired == *desired && !room.invited && !room.is_forgotten() => {}
                Some(_) => self.change_room(now, desired),
                None => {
                    self.rooms.table.insert(desired.jid.clone(), Room::new(desired.clone(), false));
                    self.rooms.changed = true;
                }
            }
        }
        self.start_joins(now);
    }

    fn change_room(&mut self, now: Moment, desired: &DesiredRoom) {
        let Some(room) = self.rooms.table.get_mut(&desired.jid) else { return };
        let nick = (room.desired.nick != desired.nick).then(|| desired.nick.clone());
        room.desired = desired.clone();
        room.invited = false;
        match &room.state {
            State::In { .. } => {
                if let Some(nick) = nick {
                    self.send_nick(&desired.jid, &nick);
                }
            }
            // A join that is under way says with what it was tried; the others begin anew with what is new.
            State::AwaitInfo { .. } | State::AwaitSelf { .. } => {}
            State::Left { .. } | State::Lost { .. } | State::Queued | State::Stopped { .. } => {
                room.begin_anew(now);
            }
        }
        self.rooms.note(&desired.jid);
    }

    /// A fresh session is in no room.
    pub(super) fn on_rooms_gone(&mut self, now: Moment) {
        let rooms: Vec<BareJid> = self.rooms.table.keys().cloned().collect();
        for jid in rooms {
            let Some(room) = self.rooms.table.get_mut(&jid) else { continue };
            if room.is_forgotten() {
                self.forget_room(&jid);
                continue;
            }
            let was_in = matches!(room.state, State::In { .. });
            self.empty_room(&jid);
            if let Some(room) = self.rooms.table.get_mut(&jid) {
                room.begin_anew(now);
            }
            if was_in {
                self.tell_lost(&jid, "the session ended", 0, Some(Duration::ZERO), None);
            }
        }
    }

    /// The stream was taken up again: what is awaited may still come.
    pub(super) fn on_rooms_resumed(&mut self, now: Moment) {
        for room in self.rooms.table.values_mut() {
            room.extend(now);
        }
        self.start_joins(now);
    }

    /// When a room wants to be looked at; never without a session.
    pub(super) fn rooms_due(&self) -> Option<Instant> {
        if !self.online || !self.login.is_complete() {
            return None;
        }
        self.rooms.table.values().filter_map(Room::due).min()
    }

    /// Goes on with the rooms whose time has come.
    pub(super) fn on_rooms_timeout(&mut self, now: Moment) {
        if !self.online || !self.login.is_complete() {
            return;
        }
        let due: Vec<BareJid> = self
            .rooms
            .table
            .iter()
            .filter(|(_, room)| room.due().is_some_and(|due| due <= now.at))
            .map(|(jid, _)| jid.clone())
            .collect();
        for jid in due {
            self.on_room_due(now, &jid);
        }
        self.start_joins(now);
    }

    fn on_room_due(&mut self, now: Moment, jid: &BareJid) {
        let Some(room) = self.rooms.table.get_mut(jid) else { return };
        match room.state {
            State::AwaitInfo { .. } | State::AwaitSelf { .. } => {
                self.lose(now, jid, join::Loss::retry("the room did not answer", 504));
            }
            State::Lost { .. } => {
                room.state = State::Queued;
                self.rooms.note(jid);
            }
            State::In { .. } => self.on_silence(now, jid),
            State::Left { .. } | State::Queued | State::Stopped { .. } => {}
        }
    }
}
