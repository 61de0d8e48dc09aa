//! From the outbox to the stream: nothing of a script is written before the store has the number it is written under
//! (XEP-0198), so that whoever resumes the session knows what has arrived.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::actor::account::Account;
use crate::actor::account::kept::Outcome;
use crate::actor::account::outbox::{IN_FLIGHT, InFlight, Waiting};
use crate::actor::account::rooms::room_of;
use crate::actor::drill::{self, Point, Rule};
use crate::actor::message::SendFailed;
use crate::actor::status::Board;
use crate::moment::Moment;
use crate::net::link::HIGH_MARK;
use crate::session::rooms::Standing;
use crate::store::Batch;
use crate::store::session::Number;
use crate::stream::NotReady;
use crate::xml::Element;

/// Whether stanzas may be written to the stream. While it is shut, those that are not kept wait behind.
#[derive(Default)]
pub(super) enum Gate {
    /// The numbers of these messages are on their way to the store, or there already and the stream has no room.
    Numbers { rows: VecDeque<Waiting>, first: u32, kept: bool },
    /// They may.
    #[default]
    Open,
    /// The session is on its way to the store.
    Session,
}

impl Gate {
    /// Messages that stand in it.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Numbers { rows, .. } => rows.len(),
            Self::Open | Self::Session => 0,
        }
    }
}

/// Stanzas besides messages that may wait for room in the window, or for the gate.
const HELD: usize = 1024;
/// How long the store is left alone after it has refused.
pub(super) const AGAIN: Duration = Duration::from_secs(2);

impl Account {
    /// Writes what may go now.
    pub(super) fn pump_outbox(&mut self, now: Moment) {
        self.outbox.due = None;
        self.settle_old();
        if self.rooms_changed {
            self.unpark();
        }
        let Some(sm) = self.outbox.online else { return };
        if let Gate::Numbers { kept: true, .. } = self.outbox.gate {
            self.write_numbered(now);
        }
        while matches!(self.outbox.gate, Gate::Open) {
            self.send_held(now);
            let ready = self.choose(now);
            if ready.is_empty() {
                return;
            }
            if sm && ready.iter().any(|waiting| waiting.row > 0) && drill::holds(Rule::Numbers) {
                self.number(ready);
            } else {
                self.write_plain(now, ready, sm);
            }
        }
    }

    /// The messages that may be written next, in order.
    fn choose(&mut self, now: Moment) -> VecDeque<Waiting> {
        let mut ready = VecDeque::new();
        self.outbox.forget_abandoned();
        let full = self.stream.as_ref().is_none_or(|stream| stream.is_full());
        // Behind what the archive has to tell of: order is kept.
        if full || !self.outbox.held.is_empty() || !self.outbox.ambiguous.is_empty() {
            return ready;
        }
        while !self.outbox.waiting.is_empty() || self.refill() {
            if let Some(next) = self.outbox.waiting.front_mut() {
                self.session.readdress(&mut next.element);
            }
            if self.park_next() || self.return_next() {
                continue;
            }
            let slow = self.link.as_ref().is_none_or(|link| link.queued() > HIGH_MARK);
            if slow || self.outbox.in_flight.len() + ready.len() >= IN_FLIGHT {
                break;
            }
            if let Err(due) = self.throttle.take(now.at) {
                self.outbox.due = Some(due);
                break;
            }
            ready.extend(self.outbox.waiting.pop_front());
        }
        ready
    }

    /// Gives the first waiting message back where it is for a room that the account will not come into.
    fn return_next(&mut self) -> bool {
        let Some(waiting) = self.outbox.waiting.front() else { return false };
        let room = room_of(&waiting.element);
        let Some(room) = room.filter(|room| self.session.standing_in(room) == Standing::Out) else {
            return false;
        };
        if let Some(waiting) = self.outbox.waiting.pop_front() {
            self.give_back(room, waiting, false);
        }
        true
    }

    /// Shuts the gate and has the store note under which numbers these messages go out.
    pub(super) fn number(&mut self, mut rows: VecDeque<Waiting>) {
        let Some(management) = self.stream.as_ref().and_then(|stream| stream.management()) else {
            return rows.into_iter().rev().for_each(|waiting| self.outbox.waiting.push_front(waiting));
        };
        let first = management.next_number();
        let anchor = self.ledger.read(self.spec.jid.as_str()).map(|position| position.id);
        for (index, waiting) in rows.iter_mut().enumerate().filter(|(_, waiting)| waiting.row > 0) {
            let seq = first.wrapping_add(index as u32);
            waiting.stale = false;
            waiting.number =
                Some(Number { row: waiting.row, epoch: self.epoch, seq, anchor: anchor.clone() });
        }
        self.outbox.gate = Gate::Numbers { rows, first, kept: false };
        self.keep_numbers();
    }

    /// Asks the store to keep what stands in the gate.
    pub(super) fn keep_numbers(&mut self) {
        let Gate::Numbers { rows, .. } = &self.outbox.gate else { return };
        drill::die_at(Point::BeforeNumbers);
        let batch = Batch {
            numbers: rows.iter().filter_map(|waiting| waiting.number.clone()).collect(),
            ..self.unsaved()
        };
        self.keep(batch, Outcome::Numbers);
    }

    /// The store has the numbers.
    pub(super) fn on_numbered(&mut self, now: Moment) {
        drill::die_at(Point::AfterNumbers);
        if let Gate::Numbers { kept, .. } = &mut self.outbox.gate {
            *kept = true;
            self.write_numbered(now);
        }
    }

    /// Writes what stands in the gate. What finds no room keeps its number, so the gate stays shut for all others.
    fn write_numbered(&mut self, now: Moment) {
        let Gate::Numbers { mut rows, first, .. } = std::mem::take(&mut self.outbox.gate) else { return };
        let next = self.stream.as_ref().and_then(|stream| stream.management()).map(|it| it.next_number());
        if next != Some(first) {
            // Another session, or somebody was faster: the numbers are no use.
            return self.number(rows);
        }
        let mut written = 0;
        while let Some(waiting) = rows.pop_front() {
            match self.write(now, waiting, true) {
                Written::Yes => written += 1,
                Written::NoRoom(waiting) => {
                    rows.push_front(waiting);
                    let first = first.wrapping_add(written);
                    self.outbox.gate = Gate::Numbers { rows, first, kept: true };
                    return;
                }
                // Its number is free: those behind it need others.
                Written::Never if rows.is_empty() => {}
                Written::Never => return self.number(rows),
            }
        }
    }

    /// Writes messages that need no number, or cannot have one.
    fn write_plain(&mut self, now: Moment, mut ready: VecDeque<Waiting>, sm: bool) {
        while let Some(waiting) = ready.pop_front() {
            if let Written::NoRoom(waiting) = self.write(now, waiting, sm) {
                ready.push_front(waiting);
                ready.into_iter().rev().for_each(|waiting| self.outbox.waiting.push_front(waiting));
                return;
            }
        }
    }

    fn write(&mut self, now: Moment, waiting: Waiting, sm: bool) -> Written {
        let Some(stream) = &mut self.stream else { return Written::NoRoom(waiting) };
        match stream.send(now.at, waiting.element.clone()) {
            Ok(ticket) => {
                let Waiting { row, element, answer, number, .. } = waiting;
                self.unsent = true;
                Board::add(&self.board.sent, 1);
                self.session.on_sent(now, &element);
                let in_flight = InFlight { ticket, row, answer, number };
                if sm {
                    self.outbox.in_flight.push_back(in_flight);
                } else {
                    self.follow_by_ping(now, in_flight);
                }
                self.show_queue();
                if drill::is_due(Point::MidSend) {
                    self.dying = Some(Dying::MidSend);
                } else if drill::is_due(Point::AfterSend) {
                    self.dying = Some(Dying::AfterSend);
                }
                Written::Yes
            }
            Err(NotReady::Full | NotReady::Offline) => Written::NoRoom(waiting),
            Err(
                unsendable @ (NotReady::NotStanza
                | NotReady::TooLarge { .. }
                | NotReady::Unaddressed
                | NotReady::Unwritable(_)),
            ) => {
                tracing::error!(bot = %self.spec.name, %unsendable, "a message is dropped");
                if waiting.row > 0 {
                    self.outbox.acknowledged.push(waiting.row);
                }
                if let Some(answer) = waiting.answer {
                    // The asker may have gone away.
                    drop(answer.send(Err(SendFailed::Invalid { detail: unsendable.to_string() })));
                }
                Written::Never
            }
        }
    }

    /// Answers and the like that found the window full or the gate shut go before further messages.
    fn send_held(&mut self, now: Moment) {
        while let (Some(element), Some(stream)) = (self.outbox.held.pop_front(), &mut self.stream) {
            match stream.send(now.at, element.clone()) {
                Err(NotReady::Full) => return self.outbox.held.push_front(element),
                Ok(_) => self.unsent = true,
                Err(not_ready) => tracing::warn!(bot = %self.spec.name, %not_ready, "a stanza was not sent"),
            }
        }
    }

    /// A stanza that does not come from a script's message: answers, presence, requests.
    pub(super) fn send_element(&mut self, now: Moment, element: Element) {
        let Some(stream) = &mut self.stream else { return };
        let shut = !matches!(self.outbox.gate, Gate::Open);
        let room = self.outbox.held.len() < HELD;
        if shut && room {
            return self.outbox.held.push_back(element);
        }
        self.unsent = true;
        let sent = if shut { Err(NotReady::Full) } else { stream.send(now.at, element.clone()) };
        match sent {
            Ok(_ticket) => {}
            // An answer that is owed waits for the next acknowledgement; strangers cannot make this grow.
            Err(NotReady::Full) if room => self.outbox.held.push_back(element),
            Err(not_ready) => tracing::warn!(bot = %self.spec.name, %not_ready, "a stanza was not sent"),
        }
    }

    /// When the store is asked again.
    pub(super) fn again_due(&self) -> Option<Instant> {
        self.again_at
    }
}

/// A drill lets the process die when the next bytes are out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dying {
    /// All of them.
    AfterSend,
    /// It is dead already, as far as the peer can see.
    Dead,
    /// Half of them.
    MidSend,
}

/// What became of a message.
enum Written {
    /// It can never be written.
    Never,
    /// The stream takes nothing at the moment.
    NoRoom(Waiting),
    /// It is on its way.
    Yes,
}
