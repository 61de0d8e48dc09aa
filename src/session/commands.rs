//! Requests that scripts answer, XEP-0050: each is owed one answer, whatever becomes of the script.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tracing::debug;

use super::Session;
use crate::event::Event;
use crate::event::adhoc::CommandRequest;
use crate::jid::Jid;
use crate::moment::Moment;
use crate::stanza::{ErrorKind, Head, StanzaError, iq};
use crate::xep::{self, adhoc};
use crate::xml::Element;

/// How long the scripts may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests that may wait for an answer.
const MOST: usize = 64;
/// Of one address.
const MOST_EACH: usize = 8;

/// Answers that are owed, by asker and id.
#[derive(Debug, Default)]
pub(super) struct Owed {
    open: BTreeMap<(Jid, String), Debt>,
}

#[derive(Debug)]
struct Debt {
    head: Head,
    until: Instant,
    /// The answer, where there was no stream to give it on.
    answer: Option<Element>,
}

impl Owed {
    /// When the next one is given up.
    pub(super) fn due(&self) -> Option<Instant> {
        self.open.values().map(|debt| debt.until).min()
    }

    fn is_full_for(&self, from: &Jid) -> bool {
        let same = self.open.keys().filter(|(other, _)| other.bare_str() == from.bare_str()).count();
        self.open.len() >= MOST || same >= MOST_EACH
    }
}

impl Session {
    /// Gives a request about commands to the scripts; false where it is about something else.
    pub(super) fn on_command(&mut self, now: Moment, request: &xep::Request<'_>, own_node: &str) -> bool {
        if !self.config.commands {
            return false;
        }
        let Some(asked) = adhoc::read(request, own_node) else { return false };
        let head = request.head;
        let person = head.from.clone().filter(|from| self.is_person(from));
        let (ask, from, id) = match (asked, person, head.id.clone()) {
            (Ok(ask), Some(from), Some(id)) => (ask, from, id),
            (Err(error), ..) => {
                self.send(iq::answer(head, Err(error)));
                return true;
            }
            (Ok(_), ..) => {
                let error = StanzaError::new(ErrorKind::Auth, "forbidden");
                self.send(iq::answer(head, Err(error)));
                return true;
            }
        };
        let key = (from.clone(), id.clone());
        if self.commands.open.contains_key(&key) {
            // The same stanza once more, after a resumption: the answer to the first is on its way.
            return true;
        }
        if self.commands.is_full_for(&from) {
            let error = StanzaError::new(ErrorKind::Wait, "resource-constraint");
            self.send(iq::answer(head, Err(error)));
            return true;
        }
        let debt = Debt { head: head.clone(), until: now.at + PATIENCE, answer: None };
        self.commands.open.insert(key, debt);
        self.event(Event::Command(Box::new(CommandRequest { from, id, ask })));
        true
    }

    /// Whether commands can be asked for from this address: neither a server nor an occupant of a room, behind whom
    /// anybody may be (S-24).
    fn is_person(&self, from: &Jid) -> bool {
        from.local().is_some() && !self.rooms.knows(&from.to_bare())
    }

    /// The scripts have answered. Without a stream the answer waits for the same session to go on.
    pub(super) fn answer_command(
        &mut self,
        to: Jid,
        id: String,
        outcome: Result<Option<Element>, StanzaError>,
    ) -> Result<(), super::Refused> {
        let Some(mut debt) = self.commands.open.remove(&(to.clone(), id.clone())) else {
            debug!(account = %self.own.bare, %to, "an answer that is owed no more");
            return Ok(());
        };
        let mut answer = iq::answer(&debt.head, outcome);
        if super::perform::check(&answer).is_err() {
            let error = StanzaError::new(ErrorKind::Cancel, "internal-server-error");
            answer = iq::answer(&debt.head, Err(error));
        }
        if self.online {
            self.send(answer);
        } else {
            debt.answer = Some(answer);
            self.commands.open.insert((to, id), debt);
        }
        Ok(())
    }

    /// The session goes on: what was answered meanwhile is told.
    pub(super) fn pay_commands(&mut self) {
        let answered = self.commands.open.extract_if(.., |_, debt| debt.answer.is_some());
        let answers: Vec<Element> = answered.filter_map(|(_, debt)| debt.answer).collect();
        for answer in answers {
            self.send(answer);
        }
    }

    /// A new session: nobody waits for the answers of the one before.
    pub(super) fn forget_commands(&mut self) {
        self.commands.open.clear();
    }

    /// What took too long is answered here.
    pub(super) fn expire_commands(&mut self, now: Instant) {
        let late: Vec<Debt> =
            self.commands.open.extract_if(.., |_, debt| debt.until <= now).map(|(_, debt)| debt).collect();
        for debt in late {
            let error = StanzaError::new(ErrorKind::Wait, "remote-server-timeout");
            self.send(iq::answer(&debt.head, Err(error)));
        }
    }
}
