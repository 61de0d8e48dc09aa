//! Another password for the account, XEP-0077 §3.3.

use std::time::Duration;

use super::pending::Purpose;
use super::{Refused, Session, SessionOutput, perform};
use crate::event::RequestFailed;
use crate::moment::Moment;
use crate::secret::Password;
use crate::xep::registration;
use crate::xml::Element;

/// How long the server may take: it derives keys and writes them.
const PATIENCE: Duration = Duration::from_secs(30);

impl Session {
    /// Asks the server for another password; what became of it comes as [`SessionOutput::PasswordChanged`]. The stream
    /// that carries it is encrypted: there is no other.
    ///
    /// # Errors
    /// When nothing was asked.
    pub fn change_password(&mut self, now: Moment, password: &Password) -> Result<(), Refused> {
        if self.config.hosted {
            return Err(Refused::Forbidden {
                what: "behind a component there is no account and no password",
            });
        }
        if !self.online {
            return Err(Refused::Offline);
        }
        if !self.pending.has_room() {
            return Err(Refused::Busy);
        }
        let user = self.own.bare.local().unwrap_or_default();
        let payload = registration::change(user, password.reveal());
        perform::check(&payload)?;
        // COMPAT: Prosody 0.12 hears this only where it is addressed to nobody, which means the own server too.
        self.ask(now, "set", None, payload, PATIENCE, Purpose::Password);
        Ok(())
    }

    /// Whether the answer of the server is still awaited.
    pub fn is_changing_password(&self) -> bool {
        self.pending.any(|purpose| *purpose == Purpose::Password)
    }

    pub(super) fn on_password(&mut self, outcome: Result<Option<Element>, RequestFailed>) {
        self.outputs.push_back(SessionOutput::PasswordChanged(outcome.map(drop)));
    }
}
