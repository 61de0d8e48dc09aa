//! What goes out: committed messages, paced, numbered and followed until the server has them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::action::{Action, OutgoingMessage};
use crate::actor::account::Account;
use crate::actor::account::rooms::{Parked, room_of};
use crate::actor::account::sending::Gate;
use crate::actor::drill::{self, Point, Rule};
use crate::actor::message::{SendFailed, SendNow};
use crate::actor::status::Board;
use crate::jid::BareJid;
use crate::moment::Moment;
use crate::session;
use crate::session::archive::Seek;
use crate::session::rooms::Standing;
use crate::stanza::MessageKind;
use crate::store::OutboxRow;
use crate::store::session::Number;
use crate::stream::Ticket;
use crate::xml::{self, Element};

/// Messages on the wire that the server has not acknowledged: bounds what a reconnect may repeat.
pub(super) const IN_FLIGHT: usize = 64;
/// Messages kept in memory; what is beyond waits in the store.
const IN_MEMORY: usize = 256;
/// Acknowledged rows that are deleted together.
const FLUSH_COUNT: usize = 32;
/// How long an acknowledged row may stay in the store.
pub(super) const FLUSH_AFTER: Duration = Duration::from_millis(500);

/// Messages between their commit and the server's acknowledgement.
#[derive(Default)]
pub struct Outbox {
    /// Not written yet, in order.
    pub(super) waiting: VecDeque<Waiting>,
    /// Written, in the order of their tickets.
    pub(super) in_flight: VecDeque<InFlight>,
    /// Written in the session before, which could not be resumed.
    old: VecDeque<InFlight>,
    /// Acknowledged rows that are still in the store.
    pub(super) acknowledged: Vec<i64>,
    /// Highest row seen, so that the store is asked only for later ones.
    highest: i64,
    /// Rows up to `highest` that are to be read once more: written, and nobody knows whether they arrived.
    again: BTreeSet<i64>,
    /// Rows behind `highest` that were read at the start, because they may have been written.
    early: BTreeSet<i64>,
    /// Rows after this were never seen.
    seen: i64,
    /// Rows beyond those in memory wait in the store.
    more: bool,
    /// Rows that wait until the account is in a room.
    pub(super) parked: Parked,
    /// Online, and whether the server acknowledges (XEP-0198).
    pub(super) online: Option<bool>,
    /// Stanzas besides messages that found the window full, or the gate shut.
    pub(super) held: VecDeque<Element>,
    /// When the throttle lets the next one pass.
    pub(super) due: Option<Instant>,
    /// Whether stanzas may be written.
    pub(super) gate: Gate,
    /// The last session but the present one, and how many stanzas of it have arrived, where anybody knows.
    word: Option<(u32, Option<u32>)>,
    /// Written in a session that is lost, and only the archive can tell whether they have arrived.
    pub(super) ambiguous: VecDeque<Waiting>,
    /// When the oldest message was said that may have been written by an earlier process.
    since: Option<Timestamp>,
}

pub(super) struct Waiting {
    pub(super) row: i64,
    pub(super) element: Element,
    pub(super) answer: Option<oneshot::Sender<Result<(), SendFailed>>>,
    /// The number under which it may have been written.
    pub(super) number: Option<Number>,
    /// The store has a number for it under which it was never written.
    pub(super) stale: bool,
}

pub(super) struct InFlight {
    pub(super) ticket: Ticket,
    pub(super) row: i64,
    pub(super) answer: Option<oneshot::Sender<Result<(), SendFailed>>>,
    pub(super) number: Option<Number>,
}

/// Whether a stanza that was written, or was about to be, has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Arrived,
    Missing,
    Unknown,
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
        if let Gate::Numbers { rows, .. } = std::mem::take(&mut self.gate) {
            for waiting in rows.into_iter().rev() {
                self.waiting.push_front(Waiting { number: None, stale: true, ..waiting });
            }
        }
        self.online.take().is_some()
    }

    /// What becomes of a stanza that has this number in the store.
    fn fate(&self, number: &Number) -> Fate {
        match self.word {
            Some((epoch, Some(handled))) if epoch == number.epoch => {
                let covered = handled.wrapping_sub(number.seq) < 1 << 31;
                if covered { Fate::Arrived } else { Fate::Missing }
            }
            _ => Fate::Unknown,
        }
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
    pub(super) fn forget_abandoned(&mut self) {
        let wanted = |answer: &oneshot::Sender<_>| !answer.is_closed();
        self.waiting.retain(|waiting| waiting.row > 0 || waiting.answer.as_ref().is_none_or(wanted));
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.in_flight.len() + self.ambiguous.len() + self.gate.len()
    }

    /// Lets a message wait in front of those that were committed after it.
    pub(super) fn insert(&mut self, waiting: Waiting) {
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
            let old_news = (row.id <= self.outbox.seen && !self.outbox.again.remove(&row.id))
                || self.outbox.early.contains(&row.id);
            if old_news || known.contains(&row.id) {
                continue;
            }
            self.take_row(row);
        }
        self.show_queue();
    }

    /// Messages that an earlier process has written, or was about to write.
    pub(super) fn load_written(&mut self) {
        match self.deps.outbox_numbered(&self.spec.name) {
            Ok(rows) => {
                for row in rows {
                    self.outbox.early.insert(row.id);
                    self.take_row(row);
                }
            }
            Err(error) => {
                tracing::error!(bot = %self.spec.name, %error, "messages under way cannot be read from the store");
            }
        }
    }

    fn take_row(&mut self, row: OutboxRow) {
        if row.number.is_some() {
            self.outbox.since = Some(self.outbox.since.map_or(row.created, |since| since.min(row.created)));
        }
        match xml::parse(&row.xml) {
            Ok(element) => {
                self.take_in(Waiting {
                    row: row.id,
                    element,
                    answer: None,
                    number: row.number,
                    stale: false,
                });
            }
            Err(error) => {
                let (bot, row) = (&self.spec.name, row.id);
                tracing::error!(bot, row, %error, "an unsent message is not readable and is dropped");
                self.outbox.acknowledged.push(row);
            }
        }
    }

    /// The session goes on: messages that have a number in the store and were not written under it get another before
    /// anything else is written.
    pub(super) fn renumber(&mut self, now: Moment) {
        let epoch = self.epoch;
        let mut rows = VecDeque::new();
        for mut waiting in std::mem::take(&mut self.outbox.waiting) {
            let numbered = waiting.number.as_ref().is_some_and(|number| number.epoch == epoch);
            if !numbered && !waiting.stale {
                self.outbox.waiting.push_back(waiting);
                continue;
            }
            if numbered {
                waiting.element = self.session.late(now, waiting.element);
            }
            rows.push_back(waiting);
        }
        if !rows.is_empty() {
            self.number(rows);
        }
    }

    /// Lets a message wait: for its turn, or where it may have arrived, for the archive to tell.
    pub(super) fn take_in(&mut self, waiting: Waiting) {
        let fate = match &waiting.number {
            Some(_) if self.outbox.online.is_none() && self.management.is_some() => None,
            Some(number) => Some(self.outbox.fate(number)),
            None => Some(Fate::Missing),
        };
        match fate {
            Some(Fate::Arrived) => self.settle(waiting.row, waiting.answer),
            // Only a session tells.
            None | Some(Fate::Missing) => self.outbox.insert(waiting),
            Some(Fate::Unknown) => self.outbox.ambiguous.push_back(waiting),
        }
    }

    /// It is known now, or never will be, how many stanzas of session `epoch` have arrived.
    pub(super) fn on_word(&mut self, epoch: u32, handled: Option<u32>) {
        self.outbox.word = Some((epoch, handled));
        let waiting = std::mem::take(&mut self.outbox.waiting);
        let unsure = std::mem::take(&mut self.outbox.ambiguous);
        for waiting in waiting.into_iter().chain(unsure) {
            self.take_in(waiting);
        }
        self.seek_own();
    }

    /// The archive has told all it knows: what it does not hold goes out again.
    pub(super) fn resend_ambiguous(&mut self, now: Moment) {
        for waiting in std::mem::take(&mut self.outbox.ambiguous) {
            let element = self.session.late(now, waiting.element);
            self.outbox.insert(Waiting { element, number: None, ..waiting });
        }
    }

    /// The archive holds a message that the account has sent.
    pub(super) fn on_own_archived(&mut self, id: &str) {
        let index = self.outbox.ambiguous.iter().position(|waiting| waiting.element.attr("id") == Some(id));
        if let Some(Waiting { row, answer, .. }) = index.and_then(|index| self.outbox.ambiguous.remove(index))
        {
            self.settle(row, answer);
            self.show_queue();
        }
    }

    /// Where the archive is to be searched for what may have arrived: at the place that was reached when the oldest of it
    /// was numbered.
    fn seek_own(&mut self) {
        let mut seek = BTreeMap::new();
        if let Some(number) = self.outbox.ambiguous.iter().find_map(|waiting| waiting.number.as_ref()) {
            let after = number.anchor.clone();
            let since = self.outbox.since.unwrap_or_else(|| self.deps.now().wall);
            seek.insert(self.spec.jid.clone(), Seek { after, since });
        }
        if drill::holds(Rule::Anchor) {
            self.session.seek_own(seek);
        }
    }

    /// An action of a committed turn. Messages with a row wait here; everything else is done now or never.
    pub(super) fn queue_action(&mut self, now: Moment, row: i64, action: Action) {
        if let Action::Message(_) = &action {
            return self.queue_message(row, &action);
        }
        let token = action.token().map(str::to_owned);
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
                self.outbox.waiting.push_back(Waiting {
                    row,
                    element,
                    answer: None,
                    number: None,
                    stale: false,
                });
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
            Ok(element) => self.outbox.waiting.push_back(Waiting {
                row: 0,
                element,
                answer: Some(answer),
                number: None,
                stale: false,
            }),
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

    /// What the stream did not report as lost has arrived before the session ended.
    pub(super) fn settle_old(&mut self) {
        while let Some(InFlight { row, answer, .. }) = self.outbox.old.pop_front() {
            self.settle(row, answer);
        }
    }

    pub(super) fn refill(&mut self) -> bool {
        if self.outbox.more {
            self.load_outbox();
        }
        !self.outbox.waiting.is_empty()
    }

    /// Lets the first waiting message wait for its room, if the account is on its way there: others pass it.
    pub(super) fn park_next(&mut self) -> bool {
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
    pub(super) fn give_back(&mut self, room: BareJid, waiting: Waiting, full: bool) {
        let Waiting { row, element, answer, .. } = waiting;
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

    pub(super) fn on_acked(&mut self, now: Moment, up_to: u64) {
        self.take_acked(up_to);
        drill::die_at(Point::AfterAck);
        if self.outbox.acknowledged.len() >= FLUSH_COUNT {
            self.flush();
        } else {
            self.schedule_flush(now);
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
            Some(InFlight { row, answer, number, .. }) => {
                let element = self.session.late(now, element);
                self.take_in(Waiting { row, element, answer, number, stale: false });
            }
            None => self.session.on_lost(now, element),
        }
    }

    pub(super) fn show_queue(&self) {
        let queued = self.outbox.len() + self.outbox.parked.len();
        self.board.queued.store(queued as u64, std::sync::atomic::Ordering::Relaxed);
    }
}
