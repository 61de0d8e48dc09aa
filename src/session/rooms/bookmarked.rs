//! Rooms that the account's bookmarks name: joined like those it is invited to, and no more believed than these.

use tracing::warn;

use super::room::Room;
use super::{DesiredRoom, ROOMS};
use crate::jid::BareJid;
use crate::moment::Moment;
use crate::secret::Password;
use crate::session::Session;
use crate::xep::bookmarks::Bookmark;

/// Rooms outside the configuration that bookmarks may add.
const BOOKMARKED: usize = 200;

impl Session {
    /// Goes into a room, unless it is known already. Joins wait for each other, as always.
    pub(in crate::session) fn enter_bookmarked(&mut self, now: Moment, jid: &BareJid, bookmark: Bookmark) {
        if let Some(room) = self.rooms.table.get_mut(jid) {
            if room.invited && room.is_forgotten() {
                room.begin_anew(now);
                self.rooms.note(jid);
                self.start_joins(now);
            }
            return;
        }
        let others = self.rooms.table.values().filter(|room| room.invited).count();
        if self.rooms.table.len() >= ROOMS || others >= BOOKMARKED {
            return warn!(account = %self.own.bare, room = %jid, "too many rooms: this bookmark is not followed");
        }
        let nick = bookmark.nick.filter(|nick| jid.with_resource(nick).is_ok());
        let nick = nick.unwrap_or_else(|| self.own.bare.local().unwrap_or("bot").to_owned());
        let password = bookmark.password.map(Password::new);
        let desired = DesiredRoom { jid: jid.clone(), nick, password, create: false };
        self.rooms.table.insert(jid.clone(), Room::new(desired, true));
        self.rooms.note(jid);
        self.start_joins(now);
    }

    /// Goes out of a room that is not in the configuration.
    pub(in crate::session) fn leave_bookmarked(&mut self, jid: &BareJid) {
        if self.rooms.table.get(jid).is_some_and(|room| room.invited) {
            self.leave_room(jid, true);
        }
    }
}
