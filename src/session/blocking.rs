//! Blocked addresses, XEP-0191: the server keeps the list, the account changes it.

use std::time::Duration;

use tracing::{debug, warn};

use super::pending::Purpose;
use super::{Refused, Session};
use crate::event::RequestFailed;
use crate::jid::Jid;
use crate::moment::Moment;
use crate::stanza::iq;
use crate::xep::{self, blocking};
use crate::xml::Element;

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(60);

impl Session {
    /// Blocks an address, or takes that back.
    pub(super) fn block(&mut self, now: Moment, jid: Jid, blocked: bool) -> Result<(), Refused> {
        if self.config.hosted {
            return Err(Refused::Forbidden { what: "behind a component there is no server that blocks" });
        }
        // Whoever blocks the own server hears nothing any more.
        if blocked && (self.own.is_self(&jid) || self.own.is_home(&jid)) {
            return Err(Refused::Forbidden { what: "an account cannot block itself or its own server" });
        }
        if !self.pending.has_room() {
            return Err(Refused::Busy);
        }
        let payload = blocking::change(&jid, blocked);
        self.ask(now, "set", None, payload, PATIENCE, Purpose::Blocking { jid, blocked });
        Ok(())
    }

    /// The server has done it, or not.
    pub(super) fn on_blocking(
        &self,
        jid: &Jid,
        blocked: bool,
        outcome: Result<Option<Element>, RequestFailed>,
    ) {
        match outcome {
            Ok(_) => debug!(account = %self.own.bare, %jid, blocked, "blocking"),
            Err(error) => warn!(account = %self.own.bare, %jid, blocked, ?error, "blocking refused"),
        }
    }

    /// Confirms the server's word that the list has changed; false where it is none. Nobody else is believed.
    pub(super) fn on_blocking_push(&mut self, request: &xep::Request<'_>) -> bool {
        let head = request.head;
        if self.config.hosted || !blocking::is_push(request) || !self.own.is_account(head.from.as_ref()) {
            return false;
        }
        let count = blocking::addresses(request.payload).len();
        debug!(account = %self.own.bare, change = request.payload.name(), count, "the list of blocked addresses changed");
        self.send(iq::answer(head, Ok(None)));
        true
    }
}
