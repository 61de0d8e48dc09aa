//! Rooms that an earlier process has entered, in a session that this one goes on with.
//!
//! The server has kept the account in them: nobody there sees that another process speaks now. What was said in between
//! comes with the resumption, so the rooms count as entered at once; who is there is asked for again.

use super::room::{CATCH_UP, Entered, PATIENCE, State};
use crate::jid::{BareJid, Jid};
use crate::moment::Moment;
use crate::session::Session;

impl Session {
    /// The occupant JIDs of the account, for whoever goes on with the session.
    pub fn seats(&self) -> Vec<Jid> {
        let rooms = self.rooms.table.iter().filter(|(_, room)| room.is_in());
        rooms.filter_map(|(jid, room)| jid.with_resource(&room.nick).ok().map(Jid::from)).collect()
    }

    /// Takes the seats of the process before, in rooms that are still wanted.
    pub(in crate::session) fn adopt_seats(&mut self, now: Moment, seats: &[Jid]) {
        for seat in seats {
            let jid = seat.to_bare();
            let (Some(room), Some(nick)) = (self.rooms.table.get_mut(&jid), seat.resource()) else {
                continue;
            };
            nick.clone_into(&mut room.nick);
            room.epoch = room.epoch.wrapping_add(1);
            // Whether it is still there is soon known, also where the room does not answer the question.
            let ping_at = now.at + PATIENCE;
            let entered = Entered { at: now.at, wall: now.wall, caught_up: true, ping_at, refreshing: true };
            room.state = State::In(entered);
            self.ask_about(now, &jid);
            self.ask_in(&jid);
            self.rooms.note(&jid);
        }
    }

    /// Whether the room is still telling who was there before.
    pub(super) fn is_refreshing(&self, now: Moment, jid: &BareJid) -> bool {
        self.rooms.table.get(jid).is_some_and(|room| match &room.state {
            State::In(entered) => {
                entered.refreshing && now.at.saturating_duration_since(entered.at) < CATCH_UP
            }
            _ => false,
        })
    }

    /// The subject ends what a room tells of itself, §7.2.15. Says whether that was still awaited.
    pub(super) fn end_refreshing(&mut self, now: Moment, jid: &BareJid) -> bool {
        let refreshing = self.is_refreshing(now, jid);
        if let Some(room) = self.rooms.table.get_mut(jid)
            && let State::In(entered) = &mut room.state
        {
            entered.refreshing = false;
        }
        refreshing
    }
}
