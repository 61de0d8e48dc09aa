//! What goes out: committed messages, paced, numbered and followed until the server has them.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::action::{Action, OutgoingMessage};
use crate::actor::account::Account;
use crate::actor::account::rooms::{Parked, room_of};
use crate::actor::message::{SendFailed, SendNow};
use crate::actor::status::Board;
use crate::jid::BareJid;
use crate::moment::Moment;
use crate::net::link::HIGH_MARK;
use crate::session;
use crate::session::rooms::Standing;
use crate::stanza::MessageKind;
use crate::store::Batch;
use crate::stream::{NotReady, Ticket};
use crate::xml::{self, Element};

/// Messages on the wire that the server has not acknowledged: bounds what a reconnect may repeat.
const IN_FLIGHT: usize = 64;
/// Messages kept in memory; what is beyond waits in the store.
const IN_MEMORY: usize = 256;
/// Acknowledged rows that are deleted together.
const FLUSH_COUNT: usize = 32;
/// How long an acknowledged row may stay in the store.
pub(super) const FLUSH_AFTER: Duration = Duration::from_millis(500);

/// Stanzas besides messages that may wait for room in the window.
const HELD: usize = 256;

/// Messages between their commit and the server's acknowledgement.
#[derive(Default)]
pub struct Outbox {
    /// Not written yet, in order.
    waiting: VecDeque<Waiting>,
    /// Written, in the order of their tickets.
    pub(super) in_flight: VecDeque<InFlight>,
    /// Written in the session before, which could not be resumed.
    old: VecDeque<InFlight>,
    /// Acknowledged rows that are still in the store.
    acknowledged: Vec<i64>,
    /// Highest row seen, so that the store is asked only for later ones.
    highest: i64,
    /// Rows up to `highest` that are to be read once more: written, and nobody knows whether they arrived.
    again: BTreeSet<i64>,
    /// Rows after this were never seen.
    seen: i64,
    /// Rows beyond those in memory wait in the store.
    more: bool,
    /// Rows that wait until the account is in a room.
    pub(super) parked: Parked,
    /// Online, and whether the server acknowledges (XEP-0198).
    online: Option<bool>,
    /// Stanzas besides messages that found the window full.
    held: VecDeque<Element>,
    /// When the throttle lets the next one pass.
    due: Option<Instant>,
}

struct Waiting {
    row: i64,
    element: Element,
    answer: Option<oneshot::Sender<Result<(), SendFailed>>>,
}

pub(super) struct InFlight {
    pub(super) ticket: Ticket,
    pub(super) row: i64,
    pub(super) answer: Option<oneshot::Sender<Result<(), SendFailed>>>,
}

impl Outbox {
    /// A session is up; with `sm`, the server acknowledges.
    pub fn online(&mut self, sm: bool) {
        self.online = Some(sm);
    }

    /// The session is gone. `true` when there was one.
    pub fn offline(&mut self) -> bool {
        self.due = None;
        self.held.clear();
        self.online.take().is_some()
    }

    /// A new session counts from one. With `resuming`, the stream tells next which stanzas of the old one are
    /// lost, and those it does not name have arrived; without, nobody knows, and all of them are sent again.
    pub fn restart(&mut self, resuming: bool) {
        let old = std::mem::take(&mut self.in_flight);
        if resuming {
            self.old = old;
            return;
        }
        self.read_again(old.iter().map(|sent| sent.row).filter(|row| *row > 0));
        // Their askers' channels close: nobody can say whether these messages arrived.
    }

    /// These rows are to be read from the store once more.
    pub(super) fn read_again(&mut self, rows: impl IntoIterator<Item = i64>) {
        self.again.extend(rows);
        if let Some(first) = self.again.first() {
            self.seen = self.seen.max(self.highest);
            self.highest = first - 1;
            self.more = true;
        }
    }

    /// Whether rows wait to be deleted from the store.
    pub fn has_acknowledged(&self) -> bool {
        !self.acknowledged.is_empty()
    }

    /// Whether there is a session.
    pub fn is_online(&self) -> bool {
        self.online.is_some()
    }

    /// Whether something waits to be written or acknowledged.
    pub fn is_busy(&self) -> bool {
        self.len() > 0
    }

    /// When it wants to be looked at.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// A message whose asker has given up is not sent behind its back.
    fn forget_abandoned(&mut self) {
        let wanted = |answer: &oneshot::Sender<_>| !answer.is_closed();
        self.waiting.retain(|waiting| waiting.row > 0 || waiting.answer.as_ref().is_none_or(wanted));
    }

    fn len(&self) -> usize {
        self.waiting.len() + self.in_flight.len()
    }

    /// Lets a message wait in front of those that were committed after it.
    fn insert(&mut self, waiting: Waiting) {
        let place = self.waiting.iter().position(|other| other.row > waiting.row);
        self.waiting.insert(place.unwrap_or(self.waiting.len()), waiting);
    }
}

impl Account {
    /// Messages that an earlier process committed and did not get out.
    pub(super) fn load_outbox(&mut self) {
        let bot = &self.spec.name;
        let rows = match self.deps.outbox_after(bot, self.outbox.highest, IN_MEMORY) {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(bot, %error, "unsent messages cannot be read from the store");
                return;
            }
        };
        self.outbox.more = rows.len() == IN_MEMORY;
        // A row that the server has acknowledged stays in the store for a moment.
        let mut known = self.outbox.acknowledged.clone();
        known.extend(self.outbox.waiting.iter().map(|waiting| waiting.row));
        for row in rows {
            self.outbox.highest = self.outbox.highest.max(row.id);
            let old_news = row.id <= self.outbox.seen && !self.outbox.again.remove(&row.id);
            if old_news || known.contains(&row.id) {
                continue;
            }
            match xml::parse(&row.xml) {
                Ok(element) => self.outbox.insert(Waiting { row: row.id, element, answer: None }),
                Err(error) => {
                    tracing::error!(bot, row = row.id, %error, "an unsent message is not readable and is dropped");
                    self.outbox.acknowledged.push(row.id);
                }
            }
        }
        self.show_queue();
    }

    /// An action of a committed turn. Messages with a row wait here; everything else is done now or never.
    pub(super) fn queue_action(&mut self, now: Moment, row: i64, action: Action) {
        if let Action::Message(_) = &action {
            return self.queue_message(row, &action);
        }
        let token = match &action {
            Action::Request { token, .. } => Some(token.clone()),
            _ => None,
        };
        if let Err(refused) = self.session.perform(now, action) {
            tracing::warn!(bot = %self.spec.name, %refused, "an action of a script was not carried out");
            if let Some(token) = token {
                self.answer_unasked(token);
            }
        }
    }

    fn queue_message(&mut self, row: i64, action: &Action) {
        if row > 0 && row <= self.outbox.highest.max(self.outbox.seen) {
            // It was read from the store between its commit and the word of it.
            return;
        }
        if row > 0 && (self.outbox.more || self.outbox.len() >= IN_MEMORY) {
            self.outbox.more = true;
            return;
        }
        match session::encode(action) {
            Ok(element) => {
                self.outbox.highest = self.outbox.highest.max(row);
                self.outbox.waiting.push_back(Waiting { row, element, answer: None });
                self.show_queue();
            }
            Err(refused) => tracing::error!(bot = %self.spec.name, %refused, "a message cannot be sent"),
        }
    }

    /// A message from outside the scripts, whose sender waits for the acknowledgement.
    pub(super) fn send_now(&mut self, message: SendNow) {
        let SendNow { to, text, answer } = message;
        self.outbox.forget_abandoned();
        if self.outbox.waiting.len() >= IN_MEMORY {
            // The asker may have gone away.
            drop(
                answer.send(Err(SendFailed::Refused { detail: "too many messages are waiting".to_owned() })),
            );
            return;
        }
        let standing = self.board.standing();
        if matches!(
            standing.state,
            crate::actor::status::State::Refused | crate::actor::status::State::Paused
        ) {
            // The asker may have gone away.
            drop(answer.send(Err(SendFailed::Refused { detail: standing.detail })));
            return;
        }
        let action = Action::Message(OutgoingMessage {
            to,
            kind: MessageKind::Chat,
            id: self.ids.next_id(),
            text,
            subject: None,
            lang: None,
            thread: None,
            payloads: Vec::new(),
        });
        match session::encode(&action) {
            Ok(element) => self.outbox.waiting.push_back(Waiting { row: 0, element, answer: Some(answer) }),
            // The asker may have gone away.
            Err(refused) => drop(answer.send(Err(SendFailed::Invalid { detail: refused.to_string() }))),
        }
    }

    /// Nobody who waits for an acknowledgement will get one.
    pub(super) fn fail_waiting(&mut self, detail: &str) {
        for waiting in &mut self.outbox.waiting {
            if let Some(answer) = waiting.answer.take() {
                // The asker may have gone away.
                drop(answer.send(Err(SendFailed::Refused { detail: detail.to_owned() })));
            }
        }
        self.outbox.waiting.retain(|waiting| waiting.row > 0);
    }

    /// Writes what may go now.
    pub(super) fn pump_outbox(&mut self, now: Moment) {
        self.outbox.due = None;
        self.settle_old();
        if self.rooms_changed {
            self.unpark();
        }
        let Some(sm) = self.outbox.online else { return };
        self.send_held(now);
        while !self.outbox.waiting.is_empty() || self.refill() {
            if self.park_next() {
                continue;
            }
            let slow = self.link.as_ref().is_none_or(|link| link.queued() > HIGH_MARK);
            if slow || self.outbox.in_flight.len() >= IN_FLIGHT {
                return;
            }
            if let Err(due) = self.throttle.take(now.at) {
                self.outbox.due = Some(due);
                return;
            }
            if !self.write_next(now, sm) {
                return;
            }
        }
    }

    /// What the stream did not report as lost has arrived before the session ended.
    fn settle_old(&mut self) {
        while let Some(InFlight { row, answer, .. }) = self.outbox.old.pop_front() {
            self.settle(row, answer);
        }
    }

    /// Answers and the like that found the window full go before further messages.
    fn send_held(&mut self, now: Moment) {
        while let (Some(element), Some(stream)) = (self.outbox.held.pop_front(), &mut self.stream) {
            match stream.send(now.at, element.clone()) {
                Err(NotReady::Full) => return self.outbox.held.push_front(element),
                Ok(_) => self.unsent = true,
                Err(not_ready) => tracing::warn!(bot = %self.spec.name, %not_ready, "a stanza was not sent"),
            }
        }
    }

    fn refill(&mut self) -> bool {
        if self.outbox.more {
            self.load_outbox();
        }
        !self.outbox.waiting.is_empty()
    }

    /// Lets the first waiting message wait for its room, if the account is on its way there: others pass it.
    fn park_next(&mut self) -> bool {
        let Some(Waiting { row, element, .. }) = self.outbox.waiting.front() else { return false };
        let room = room_of(element).filter(|room| self.session.standing_in(room) == Standing::Coming);
        let (row, Some(room)) = (*row, room) else { return false };
        if row <= 0 || !self.outbox.parked.insert(room.clone(), row) {
            if let Some(waiting) = self.outbox.waiting.pop_front() {
                self.give_back(room, waiting, true);
            }
            return true;
        }
        self.outbox.waiting.pop_front();
        self.show_queue();
        true
    }

    /// A message for a room comes back to the scripts.
    fn give_back(&mut self, room: BareJid, waiting: Waiting, full: bool) {
        let Waiting { row, element, answer } = waiting;
        if row > 0 {
            self.outbox.acknowledged.push(row);
        }
        if let Some(answer) = answer {
            // The asker may have gone away.
            drop(answer.send(Err(SendFailed::Refused { detail: "not in this room".to_owned() })));
        }
        self.return_to_script(room, &element, full);
        self.show_queue();
    }

    /// Writes the first waiting message; `false` when the stream takes no more.
    fn write_next(&mut self, now: Moment, sm: bool) -> bool {
        self.outbox.forget_abandoned();
        let (Some(stream), Some(waiting)) = (&mut self.stream, self.outbox.waiting.pop_front()) else {
            return false;
        };
        if let Some(room) = room_of(&waiting.element)
            && self.session.standing_in(&room) == Standing::Out
        {
            self.give_back(room, waiting, false);
            return true;
        }
        let Waiting { row, element, answer } = waiting;
        match stream.send(now.at, element.clone()) {
            Ok(ticket) => {
                self.unsent = true;
                Board::add(&self.board.sent, 1);
                self.session.on_sent(now, &element);
                let in_flight = InFlight { ticket, row, answer };
                if sm {
                    self.outbox.in_flight.push_back(in_flight);
                } else {
                    self.follow_by_ping(now, in_flight);
                }
                self.show_queue();
                true
            }
            Err(NotReady::Full | NotReady::Offline) => {
                self.outbox.waiting.push_front(Waiting { row, element, answer });
                false
            }
            Err(unsendable @ (NotReady::NotStanza | NotReady::TooLarge { .. } | NotReady::Unwritable(_))) => {
                tracing::error!(bot = %self.spec.name, %unsendable, "a message is dropped");
                if row > 0 {
                    self.outbox.acknowledged.push(row);
                }
                if let Some(answer) = answer {
                    // The asker may have gone away.
                    drop(answer.send(Err(SendFailed::Invalid { detail: unsendable.to_string() })));
                }
                true
            }
        }
    }

    /// A stanza that does not come from a script's message: answers, presence, requests.
    pub(super) fn send_element(&mut self, now: Moment, element: Element) {
        let Some(stream) = &mut self.stream else { return };
        self.unsent = true;
        match stream.send(now.at, element.clone()) {
            Ok(_ticket) => {}
            // An answer that is owed waits for the next acknowledgement; strangers cannot make this grow.
            Err(NotReady::Full) if self.outbox.held.len() < HELD => self.outbox.held.push_back(element),
            Err(not_ready) => tracing::warn!(bot = %self.spec.name, %not_ready, "a stanza was not sent"),
        }
    }

    pub(super) fn on_acked(&mut self, now: Moment, up_to: u64) {
        self.take_acked(up_to);
        if self.outbox.acknowledged.len() >= FLUSH_COUNT {
            self.flush_acknowledged();
        } else if !self.outbox.acknowledged.is_empty() && self.flush_at.is_none() {
            self.flush_at = Some(now.at + FLUSH_AFTER);
        }
    }

    pub(super) fn take_acked(&mut self, up_to: u64) {
        while self.outbox.in_flight.front().is_some_and(|first| first.ticket.0 <= up_to) {
            let Some(InFlight { row, answer, .. }) = self.outbox.in_flight.pop_front() else { break };
            self.settle(row, answer);
        }
        self.show_queue();
    }

    /// The server has it.
    pub(super) fn settle(&mut self, row: i64, answer: Option<oneshot::Sender<Result<(), SendFailed>>>) {
        Board::add(&self.board.acked, 1);
        if row > 0 {
            self.outbox.acknowledged.push(row);
        }
        if let Some(answer) = answer {
            // The asker may have gone away.
            drop(answer.send(Ok(())));
        }
    }

    /// Never acknowledged, and the session is lost: a message of ours waits again, the session decides on the rest.
    pub(super) fn on_lost(&mut self, now: Moment, ticket: Ticket, element: Element) {
        let index = self.outbox.old.iter().position(|sent| sent.ticket == ticket);
        match index.and_then(|index| self.outbox.old.remove(index)) {
            Some(InFlight { row, answer, .. }) => {
                let element = self.session.late(now, element);
                self.outbox.insert(Waiting { row, element, answer });
            }
            None => self.session.on_lost(now, element),
        }
    }

    /// Deletes acknowledged rows from the store.
    pub(super) fn flush_acknowledged(&mut self) {
        self.flush_at = None;
        if self.outbox.acknowledged.is_empty() {
            return;
        }
        let bot = self.spec.name.clone();
        let batch = Batch {
            bot: bot.clone(),
            sent: std::mem::take(&mut self.outbox.acknowledged),
            ..Batch::default()
        };
        self.deps.store.commit(
            batch,
            Box::new(move |result| {
                if let Err(error) = result {
                    tracing::warn!(bot, %error, "sent messages stay in the store and may be sent again after a restart");
                }
            }),
        );
    }

    fn show_queue(&self) {
        let queued = self.outbox.len() + self.outbox.parked.len();
        self.board.queued.store(queued as u64, std::sync::atomic::Ordering::Relaxed);
    }
}
