//! Invitations: told to scripts, and accepted where the configuration says from whom.
//!
//! A direct one (XEP-0249) comes from the inviter. In one through a room the inviter is the room's word: it counts
//! only for rooms that the operator has to do with.

use std::time::Duration;

use tracing::{debug, info};

use super::room::{Room, State};
use super::{DesiredRoom, ROOMS};
use crate::event::Event;
use crate::event::room::Invite;
use crate::jid::{BareJid, Jid};
use crate::moment::Moment;
use crate::secret::Password;
use crate::session::Session;
use crate::stanza::message::Message;
use crate::xep::{direct_invite, muc};

/// Invitations that scripts are told of at once.
pub(super) const BURST: u32 = 10;
/// And in the long run, a second.
const RATE: f64 = 0.1;
/// Further invitations to a room in this time are the same one: clients send both forms.
const SAME: Duration = Duration::from_secs(60);
/// Rooms that are remembered for that.
const REMEMBERED: usize = 100;
/// Rooms outside the configuration that the account is in.
const INVITED: usize = 20;

impl Session {
    /// The invitation in a message that is no room talk.
    pub(in crate::session) fn invitation(message: &Message, from: &Jid) -> Option<Invite> {
        if let Some(mediated) = muc::invitation(&message.payloads) {
            let room = from.to_bare();
            // Only the room itself passes them on; beside it stands the direct form for old clients.
            let genuine = from.is_bare() && room.local().is_some();
            return genuine.then_some(Invite {
                room,
                from: mediated.from,
                direct: false,
                reason: mediated.reason,
                password: mediated.password,
                accepted: false,
            });
        }
        let direct = direct_invite::read(&message.payloads)?;
        Some(Invite {
            room: direct.room,
            from: Some(from.clone()),
            direct: true,
            reason: direct.reason,
            password: direct.password,
            accepted: false,
        })
    }

    /// Somebody asks the account in.
    pub(in crate::session) fn on_invited(&mut self, now: Moment, mut invite: Invite) {
        let jid = invite.room.clone();
        if self.standing_in(&jid) == super::Standing::In {
            return debug!(account = %self.own.bare, room = %jid, "invited to where it is");
        }
        let invited = &mut self.rooms.invited;
        invited.retain(|_, at| now.at.saturating_duration_since(*at) < SAME);
        if invited.contains_key(&jid) || invited.len() >= REMEMBERED {
            return debug!(account = %self.own.bare, room = %jid, "invited once more");
        }
        if !self.rooms.invitations.take(now.at, RATE) {
            return debug!(account = %self.own.bare, room = %jid, "too many invitations, this one is dropped");
        }
        invited.insert(jid.clone(), now.at);
        invite.accepted = self.is_welcome(&invite);
        if invite.accepted {
            // What the operator wrote counts: else anybody could lock the account out of a room of its own.
            let known = self.rooms.table.get(&jid).filter(|room| !room.invited);
            let keeps = known.is_some_and(|room| room.desired.password.is_some());
            let password = invite.password.clone().filter(|_| !keeps);
            invite.accepted = self.enter_room(now, &jid, password);
        }
        info!(account = %self.own.bare, room = %jid, from = ?invite.from, accepted = invite.accepted, "invited");
        self.event(Event::Invite(Box::new(invite)));
    }

    fn is_welcome(&self, invite: &Invite) -> bool {
        let policy = &self.config.invites;
        if policy.all {
            return true;
        }
        let known = invite.direct || self.is_home_room(&invite.room);
        let Some(from) = invite.from.as_ref().filter(|_| known).map(Jid::to_bare) else { return false };
        policy.from.contains(&from)
            || (policy.roster && self.roster.is_watcher(&from))
            || (policy.domain && from.to_domain() == self.own.domain)
    }

    /// Whether the operator has to do with the service that this room is on.
    fn is_home_room(&self, room: &BareJid) -> bool {
        let below = format!(".{}", self.own.bare.domain());
        let known = |other: &Room| !other.invited && other.desired.jid.domain() == room.domain();
        room.domain().ends_with(&below) || self.rooms.table.values().any(known)
    }

    /// Goes into a room that somebody named; whether it does.
    pub(super) fn enter_room(&mut self, now: Moment, jid: &BareJid, password: Option<String>) -> bool {
        let password = password.map(Password::new);
        if let Some(room) = self.rooms.table.get_mut(jid) {
            if room.is_in() || room.is_awaiting() {
                return true;
            }
            room.desired.password = password.or_else(|| room.desired.password.take());
            room.begin_anew(now);
        } else {
            let invited = self.rooms.table.values().filter(|room| room.invited).count();
            if self.rooms.table.len() >= ROOMS || invited >= INVITED {
                return false;
            }
            let nick = self.own.bare.local().unwrap_or("bot").to_owned();
            let desired = DesiredRoom { jid: jid.clone(), nick, password, create: false };
            self.rooms.table.insert(jid.clone(), Room::new(desired, true));
        }
        self.rooms.note(jid);
        self.start_joins(now);
        !matches!(self.rooms.table.get(jid).map(|room| &room.state), None | Some(State::Stopped { .. }))
    }
}
