//! Requests of others that a script answers: who asked, and until when an answer may come.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tracing::debug;

use super::{Refused, Session, perform};
use crate::event::{Event, Request};
use crate::moment::Moment;
use crate::stanza::{ErrorKind, Head, StanzaError, iq};
use crate::xml::Element;

/// Most requests that may wait for an answer.
const LIMIT: usize = 64;
/// Most of one peer.
const EACH: usize = 16;
/// How long a script may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Requests that wait for a script, by their token.
#[derive(Debug, Default)]
pub(super) struct Asked(BTreeMap<String, (Head, Instant)>);

impl Asked {
    /// When the first one has waited long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.values().map(|(_, deadline)| *deadline).min()
    }

    /// Nobody waits for an answer of a session that is gone.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn has_room(&self, head: &Head) -> bool {
        let peer = head.from.as_ref().map(|from| from.bare_str());
        let same = |(other, _): &&(Head, Instant)| other.from.as_ref().map(|from| from.bare_str()) == peer;
        self.0.len() < LIMIT && self.0.values().filter(same).count() < EACH
    }
}

impl Session {
    /// Tells the scripts of a request that nothing else answers.
    pub(super) fn hand_up(&mut self, now: Moment, head: &Head, set: bool, payload: &Element) {
        if !self.asked.has_room(head) {
            let busy = StanzaError::new(ErrorKind::Wait, "resource-constraint");
            return self.send(iq::answer(head, Err(busy)));
        }
        let token = self.ids.next_id();
        let from = head.from.clone().unwrap_or_else(|| self.own.bare.clone().into());
        self.asked.0.insert(token.clone(), (head.clone(), now.at + PATIENCE));
        self.event(Event::Request(Box::new(Request { token, from, set, payload: payload.clone() })));
    }

    /// A script answers. What XML cannot carry becomes an error, for the peer waits.
    pub(super) fn respond(
        &mut self,
        token: &str,
        outcome: Result<Option<Element>, StanzaError>,
    ) -> Result<(), Refused> {
        let Some((head, _)) = self.asked.0.remove(token) else {
            debug!(account = %self.own.bare, "a request was answered before, or too late");
            return Ok(());
        };
        let answer = iq::answer(&head, outcome);
        let checked = perform::check(&answer);
        self.send(match &checked {
            Ok(()) => answer,
            Err(_) => iq::answer(&head, Err(StanzaError::new(ErrorKind::Cancel, "internal-server-error"))),
        });
        checked
    }

    /// RFC 6120 §8.2.3: whoever asks gets an answer, also where no script gives one.
    pub(super) fn on_asked_timeout(&mut self, now: Moment) {
        let late: Vec<_> = self.asked.0.extract_if(.., |_, (_, deadline)| *deadline <= now.at).collect();
        for (_, (head, _)) in late {
            let error = StanzaError::new(ErrorKind::Wait, "remote-server-timeout");
            if self.online {
                self.send(iq::answer(&head, Err(error)));
            }
        }
    }
}
