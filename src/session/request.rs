//! Requests and answers: every get and set is answered once, an answer never.

use tracing::{debug, warn};

use super::pending::Purpose;
use super::{Session, SessionOutput};
use crate::event::{Answer, Event, RequestFailed};
use crate::jid::Jid;
use crate::moment::Moment;
use crate::ns;
use crate::stanza::iq::{self, Iq, IqKind};
use crate::stanza::{ErrorKind, Head, StanzaError};
use crate::xep::{self, caps, disco};
use crate::xml::Element;

impl Session {
    pub(super) fn on_iq(&mut self, now: Moment, iq: Iq) {
        let asks = matches!(iq.kind, IqKind::Get(_) | IqKind::Set(_));
        if asks && !self.heeds(now, iq.head.from.as_ref()) {
            return;
        }
        match iq.kind {
            IqKind::Get(payload) => self.on_request(now, &iq.head, false, &payload),
            IqKind::Set(payload) => self.on_request(now, &iq.head, true, &payload),
            IqKind::Result(payload) => self.on_answer(now, &iq.head, Ok(payload)),
            IqKind::Error(error) => self.on_answer(now, &iq.head, Err(RequestFailed::Error(error))),
        }
    }

    fn on_request(&mut self, now: Moment, head: &Head, set: bool, payload: &Element) {
        if set
            && !self.config.hosted
            && payload.is("query", ns::ROSTER)
            && self.own.is_account(head.from.as_ref())
        {
            return self.on_roster_push(head, payload);
        }
        let own_node = caps::own_node(&self.ver);
        let request = xep::Request { head, set, payload };
        if self.on_command(now, &request, &own_node) || self.on_blocking_push(&request) {
            return;
        }
        let account = xep::Account {
            jid: &self.own.bare,
            info: &self.info,
            caps_node: &own_node,
            software: (&self.config.software.name, &self.config.software.version),
            idle_s: self.last_active.map_or(0, |last| now.at.saturating_duration_since(last).as_secs()),
            now: now.wall,
            trusted: self.is_trusted(head.from.as_ref()),
        };
        let trusted = account.trusted;
        let answer = match xep::answer(&request, &account) {
            Some(answer) => answer,
            None if trusted && !xep::is_known(payload.ns()) => {
                return self.hand_up(now, head, set, payload);
            }
            // RFC 6120 §8.4: silence would leave the asker waiting. A roster push of a stranger
            // ends here as well (S-2).
            None => Err(StanzaError::new(ErrorKind::Cancel, "service-unavailable")),
        };
        self.send(iq::answer(head, answer));
    }

    /// Whether the sender is the account itself or a contact who sees its presence anyway.
    pub(super) fn is_trusted(&self, from: Option<&Jid>) -> bool {
        from.is_none_or(|from| self.own.is_self(from) || self.roster.is_watcher(&from.to_bare()))
    }

    fn on_roster_push(&mut self, head: &Head, query: &Element) {
        match self.roster.on_push(query) {
            Ok(change) => {
                self.roster_changed = true;
                self.send(iq::answer(head, Ok(None)));
                self.event(Event::Roster(change));
            }
            Err(error) => self.send(iq::answer(head, Err(error))),
        }
    }

    fn on_answer(&mut self, now: Moment, head: &Head, outcome: Result<Option<Element>, RequestFailed>) {
        let Some(id) = head.id.as_deref() else { return };
        let Some(purpose) = self.pending.take(head.from.as_ref(), id, &self.own) else {
            return debug!(account = %self.own.bare, from = ?head.from, "answer that nobody asked for");
        };
        self.on_outcome(now, purpose, outcome);
    }

    /// A request of ours ended without an answer.
    pub(super) fn on_failed(&mut self, now: Moment, purpose: Purpose, why: RequestFailed) {
        self.on_outcome(now, purpose, Err(why));
    }

    fn on_outcome(&mut self, now: Moment, purpose: Purpose, outcome: Result<Option<Element>, RequestFailed>) {
        match purpose {
            Purpose::Script { token } | Purpose::UploadSlot { token } => {
                self.outputs.push_back(SessionOutput::Event(Event::Answer(Answer { token, outcome })));
            }
            Purpose::Password => self.on_password(outcome),
            Purpose::Publish(publishing) => self.on_publishing(now, *publishing, outcome),
            // Of a session that is gone nothing is left to go on with.
            _ if outcome == Err(RequestFailed::SessionLost) => {}
            Purpose::Archive { query } => self.on_page(now, &query, outcome),
            Purpose::Blocking { jid, blocked } => self.on_blocking(&jid, blocked, outcome),
            Purpose::Bookmarks { native } => self.on_bookmarks(now, native, outcome),
            Purpose::BookmarksWritten => self.warn_refused("bookmarks are not written", outcome),
            Purpose::Caps(caps) => self.on_caps(caps, outcome),
            Purpose::Carbons => self.warn_refused("no carbons", outcome),
            Purpose::Discover => self.on_discovered(now, outcome),
            Purpose::Profile { part, name, awaits } => self.on_profile(now, part, name, awaits, outcome),
            Purpose::RoomForm { room, id, fields } => self.on_room_form(now, room, id, &fields, outcome),
            Purpose::RoomInfo { room, epoch } => self.on_room_info(now, &room, epoch, outcome),
            Purpose::RoomOrder { room, id, what } => self.on_room_order(room, id, what, outcome),
            Purpose::RoomPing { room, epoch } => self.on_room_ping(now, &room, epoch, &outcome),
            Purpose::RosterChange => self.warn_refused("roster change refused", outcome),
            Purpose::RosterGet => self.on_roster(now, outcome),
            Purpose::UploadInfo { jid } => self.on_upload_info(now, jid, outcome),
            Purpose::UploadItems => self.on_upload_items(now, outcome),
        }
    }

    /// Keeps what a contact's software can, where the hash in its presence fits (S-21).
    fn on_caps(&mut self, caps: caps::Caps, outcome: Result<Option<Element>, RequestFailed>) {
        let info = outcome.ok().flatten().as_ref().and_then(disco::Info::parse);
        let kept = info.is_some_and(|info| self.caps.insert(caps, info));
        debug!(account = %self.own.bare, kept, "capabilities");
    }

    fn warn_refused(&self, what: &'static str, outcome: Result<Option<Element>, RequestFailed>) {
        if let Err(error) = outcome {
            warn!(account = %self.own.bare, ?error, "{what}");
        }
    }
}
