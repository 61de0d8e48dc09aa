//! Pings of the account's own (XEP-0199), for servers without stream management: they show that a message was
//! read, and that a silent connection still lives.

use std::time::{Duration, Instant};

use crate::action::{Action, RequestKind};
use crate::actor::account::Account;
use crate::actor::account::outbox::InFlight;
use crate::actor::message::SendFailed;
use crate::event::{Answer, RequestFailed};
use crate::moment::Moment;
use crate::net::error::What;
use crate::net::link::LinkEvent;
use crate::xml::Element;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a connection is tried.
const EVERY: Duration = Duration::from_secs(75);
/// Token of a ping that only asks whether the connection lives.
const ALIVE: &str = "own alive";
/// Beginning of the token of a ping behind a message; its ticket follows.
const SENT: &str = "own sent ";

/// Whether an answer is for the account and not for a script: scripts' tokens never hold a blank.
pub fn is_own_token(token: &str) -> bool {
    token == ALIVE || token.starts_with(SENT)
}

impl Account {
    /// A message was written and nobody will acknowledge it: whoever waits for that gets the ping's answer.
    pub(super) fn follow_by_ping(&mut self, now: Moment, sent: InFlight) {
        let Some(answer) = sent.answer else {
            self.settle(sent.row, None);
            return;
        };
        match self.ping(now, format!("{SENT}{}", sent.ticket.0)) {
            Ok(()) => self.outbox.in_flight.push_back(InFlight { answer: Some(answer), ..sent }),
            // The asker may have gone away.
            Err(detail) => drop(answer.send(Err(SendFailed::Refused { detail }))),
        }
    }

    /// When the connection is tried next; never where the server acknowledges.
    pub(super) fn ping_due(&self) -> Option<Instant> {
        self.ping_at
    }

    /// A session is up.
    pub(super) fn schedule_ping(&mut self, now: Moment, acknowledging: bool) {
        self.ping_at = (!acknowledging).then(|| now.at + EVERY);
    }

    /// It is time to try the connection.
    pub(super) fn on_ping_due(&mut self, now: Moment) {
        self.ping_at = self.outbox.is_online().then(|| now.at + EVERY);
        if self.ping_at.is_some()
            && let Err(detail) = self.ping(now, ALIVE.to_owned())
        {
            tracing::debug!(bot = %self.spec.name, detail, "the connection was not tried");
        }
    }

    /// An answer to one of these pings. An error is an answer too: the server has read what came before.
    pub(super) fn on_pong(&mut self, now: Moment, answer: &Answer) {
        let answered = !matches!(&answer.outcome, Err(RequestFailed::Timeout | RequestFailed::SessionLost));
        if let Some(ticket) = answer.token.strip_prefix(SENT).and_then(|ticket| ticket.parse().ok()) {
            if answered {
                self.take_acked(ticket);
            } else if let Some(index) = self.outbox.in_flight.iter().position(|sent| sent.ticket.0 == ticket)
                && let Some(InFlight { answer: Some(asker), .. }) = self.outbox.in_flight.remove(index)
            {
                // The asker may have gone away.
                drop(asker.send(Err(SendFailed::Timeout)));
            }
        } else if answer.outcome == Err(RequestFailed::Timeout) {
            self.connection += 1;
            let detail = "no answer to a ping".to_owned();
            self.unsent = true;
            self.on_link_event(now, LinkEvent::Failed { what: What::Reset, detail, certificate: false });
        }
    }

    fn ping(&mut self, now: Moment, token: String) -> Result<(), String> {
        let ping = Action::Request {
            token,
            to: Some(self.spec.jid.to_domain().into()),
            kind: RequestKind::Get,
            payload: Element::new("ping", "urn:xmpp:ping"),
            timeout: PATIENCE,
        };
        self.session.perform(now, ping).map_err(|refused| refused.to_string())
    }
}
