//! What scripts do to rooms: roles, affiliations, retraction, invitations, configuration, leaving.

use std::time::Duration;

use tracing::warn;

use super::Session;
use super::room::Moderation;
use crate::action::RoomOrder;
use crate::event::{Bounce, Event, RequestFailed};
use crate::jid::BareJid;
use crate::moment::Moment;
use crate::session::Refused;
use crate::session::pending::Purpose;
use crate::stanza::{ErrorKind, StanzaError};
use crate::xep::{moderation, muc};
use crate::xml::Element;

/// How long a room may take.
const PATIENCE: Duration = Duration::from_secs(60);

impl Session {
    /// Carries out an order. One that cannot be carried out comes back like a message that bounced.
    pub(in crate::session) fn order(
        &mut self,
        now: Moment,
        room: BareJid,
        id: String,
        order: RoomOrder,
    ) -> Result<(), Refused> {
        match &order {
            RoomOrder::Enter { password } => {
                if !self.enter_room(now, &room, password.clone()) {
                    self.bounce_order(room, id, "resource-constraint", "the bot is in too many rooms");
                }
                return Ok(());
            }
            RoomOrder::Leave => {
                let invited = self.rooms.table.get(&room).is_some_and(|room| room.invited);
                self.leave_room(&room, invited);
                return Ok(());
            }
            _ => {}
        }
        let Some(seat) = self.rooms.table.get(&room).filter(|room| room.is_in()) else {
            self.bounce_order(room, id, "not-acceptable", "the bot is not in this room");
            return Ok(());
        };
        if !self.pending.has_room() {
            return Err(Refused::Busy);
        }
        let (kind, payload, what) = match order {
            RoomOrder::Affiliate { jid, affiliation, reason } => {
                ("set", muc::set_affiliation(&jid, affiliation, reason.as_deref()), "an affiliation")
            }
            RoomOrder::Role { nick, role, reason } => {
                ("set", muc::set_role(&nick, role, reason.as_deref()), "a role")
            }
            RoomOrder::Retract { of, reason } => {
                let version = seat.announced.as_ref().and_then(|announced| announced.moderation);
                let Some(version) = version else {
                    self.bounce_order(
                        room,
                        id,
                        "feature-not-implemented",
                        "the room does not retract messages",
                    );
                    return Ok(());
                };
                (
                    "set",
                    moderation::retract(&of, reason.as_deref(), version == Moderation::Old),
                    "a retraction",
                )
            }
            RoomOrder::Invite { jid, reason } => {
                let message = muc::invite(&room, &id, &jid, reason.as_deref());
                crate::session::perform::check(&message)?;
                self.send(message);
                return Ok(());
            }
            RoomOrder::Configure { fields } => {
                let purpose = Purpose::RoomForm { room: room.clone(), id, fields };
                self.ask(now, "get", Some(room.into()), muc::configuration(), PATIENCE, purpose);
                return Ok(());
            }
            RoomOrder::Enter { .. } | RoomOrder::Leave => return Ok(()),
        };
        crate::session::perform::check(&payload)?;
        let purpose = Purpose::RoomOrder { room: room.clone(), id: Some(id), what };
        self.ask(now, kind, Some(room.into()), payload, PATIENCE, purpose);
        Ok(())
    }

    /// The form of the room's configuration came: it goes back with what is changed.
    pub(in crate::session) fn on_room_form(
        &mut self,
        now: Moment,
        room: BareJid,
        id: String,
        fields: &[(String, Vec<String>)],
        outcome: Result<Option<Element>, RequestFailed>,
    ) {
        let what = "a configuration";
        let query = match outcome {
            Ok(query) => query.unwrap_or_else(muc::configuration),
            Err(why) => return self.on_room_order(room, Some(id), what, Err(why)),
        };
        match muc::configured(&query, fields) {
            Ok(filled) if crate::session::perform::check(&filled).is_ok() => {
                let purpose = Purpose::RoomOrder { room: room.clone(), id: Some(id), what };
                self.ask(now, "set", Some(room.into()), filled, PATIENCE, purpose);
            }
            Ok(_) => self.bounce_order(room, id, "bad-request", "a value holds what XML cannot carry"),
            Err(name) => {
                self.bounce_order(room, id, "item-not-found", format!("the room has no field `{name}`"));
            }
        }
    }

    /// The room has carried out an order, or refused it.
    pub(in crate::session) fn on_room_order(
        &mut self,
        room: BareJid,
        id: Option<String>,
        what: &'static str,
        outcome: Result<Option<Element>, RequestFailed>,
    ) {
        let error = match outcome {
            Ok(_) => return,
            Err(RequestFailed::Error(error)) => error,
            Err(RequestFailed::SessionLost | RequestFailed::Timeout) => {
                StanzaError::new(ErrorKind::Wait, "remote-server-timeout")
            }
        };
        warn!(account = %self.own.bare, %room, what, %error, "a room refused");
        if let Some(id) = id {
            self.event(Event::Bounce(Bounce { from: Some(room.into()), id: Some(id), error }));
        }
    }

    fn bounce_order(&mut self, room: BareJid, id: String, condition: &'static str, text: impl Into<String>) {
        let error = StanzaError::new(ErrorKind::Cancel, condition).with_text(text);
        warn!(account = %self.own.bare, %room, %error, "an order for a room was not carried out");
        self.event(Event::Bounce(Bounce { from: Some(room.into()), id: Some(id), error }));
    }
}
