//! When what is due: one thread and one heap for the timers of all bots.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::event::{Event, Timer};
use crate::moment::Moment;
use crate::script::Delivery;
use crate::script::bot::{Item, Wake, WakeKind};
use crate::script::clockwork::BACK;
use crate::script::pool::{Cell, Shared, locked};
use crate::store::TimerRow;

/// The longest sleep: a wall clock that was set forward is noticed after this.
const LONGEST: Duration = Duration::from_secs(10);
/// When a timer whose bot is busy or away is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Timers that are looked up at once.
const ROWS: usize = 256;

/// The timers of a pool.
pub(super) struct Ticker {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Repetitions, delays and releases, by when they are due.
    heap: BinaryHeap<Reverse<Entry>>,
    /// Slots of cron lines, by the wall clock.
    slots: BTreeMap<(Timestamp, u64), (Weak<Cell>, Wake)>,
    /// When it was last looked at the clock.
    seen: Option<Moment>,
    /// When the next stored timer is due, as far as is known.
    next_due: Option<Timestamp>,
    /// Stored timers that are on their way to a bot.
    flying: BTreeSet<i64>,
    /// Due timers whose bot is not here, or whose script is parked.
    orphans: BTreeSet<i64>,
    /// Due timers whose bot had no room when they were last tried. They stay stored, in front of later ones.
    refused: BTreeSet<i64>,
    count: u64,
    stopped: bool,
}

struct Entry {
    at: Instant,
    number: u64,
    cell: Weak<Cell>,
    what: What,
}

enum What {
    /// A bot whose commit was refused may try again.
    Release,
    Wake(Wake),
}

impl Ticker {
    /// With the moment at which the first stored timer is due.
    pub(super) fn new(next_due: Option<Timestamp>) -> Self {
        let state = State {
            heap: BinaryHeap::new(),
            slots: BTreeMap::new(),
            seen: None,
            next_due,
            flying: BTreeSet::new(),
            orphans: BTreeSet::new(),
            refused: BTreeSet::new(),
            count: 0,
            stopped: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// What the thread does.
    pub(super) fn run(shared: &Arc<Shared>) {
        let ticker = &shared.ticker;
        loop {
            ticker.fire(shared);
            let now = (shared.clock)();
            let state = locked(&ticker.state);
            if state.stopped {
                return;
            }
            let wait = state.wait(now);
            if !wait.is_zero() {
                drop(ticker.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    /// Ends the thread.
    pub(super) fn stop(&self) {
        locked(&self.state).stopped = true;
        self.changed.notify_all();
    }

    /// Delivers everything that is due.
    pub(super) fn fire(&self, shared: &Arc<Shared>) {
        let now = (shared.clock)();
        self.fire_heap(shared, now);
        self.fire_slots(shared, now);
        self.fire_stored(shared, now);
    }

    /// How long nothing is due; `None` where nothing is ever due.
    pub(super) fn next(&self, now: Moment) -> Option<Duration> {
        let state = locked(&self.state);
        let heap = state.heap.peek().map(|Reverse(entry)| entry.at.saturating_duration_since(now.at));
        let until =
            |due: Timestamp| Duration::try_from(due.duration_since(now.wall)).unwrap_or(Duration::ZERO);
        let slot = state.slots.first_key_value().map(|((slot, _), _)| until(*slot));
        [heap, slot, state.next_due.map(until)].into_iter().flatten().min()
    }

    /// Wakes a bot `wake.span` after `from`, or when a slot has come.
    pub(super) fn set(&self, cell: &Arc<Cell>, from: Instant, wake: Wake) {
        if let WakeKind::Cron { slot, .. } = wake.kind {
            let mut state = locked(&self.state);
            state.count += 1;
            let number = state.count;
            state.slots.insert((slot, number), (Arc::downgrade(cell), wake));
            self.changed.notify_one();
            return;
        }
        let at = from + wake.span;
        self.push(cell, at, What::Wake(wake));
    }

    /// Lets a bot go on at that moment.
    pub(super) fn release_at(&self, cell: &Arc<Cell>, at: Instant) {
        self.push(cell, at, What::Release);
    }

    /// A stored timer has been set.
    pub(super) fn note_due(&self, due: Timestamp) {
        let mut state = locked(&self.state);
        if state.next_due.is_none_or(|next| due < next) {
            state.next_due = Some(due);
            self.changed.notify_one();
        }
    }

    /// Stored timers may be due whose bot was not there before.
    pub(super) fn look_again(&self) {
        locked(&self.state).orphans.clear();
        self.note_due(Timestamp::UNIX_EPOCH);
    }

    /// Stored timers have been handled and removed.
    pub(super) fn settled(&self, ids: impl Iterator<Item = i64>) {
        let mut state = locked(&self.state);
        for id in ids {
            state.flying.remove(&id);
        }
    }

    /// Due timers stay stored for a script that does not run: until [`Ticker::look_again`] they are left alone.
    pub(super) fn keep(&self, ids: Vec<i64>) {
        let mut state = locked(&self.state);
        for id in ids {
            state.flying.remove(&id);
            state.orphans.insert(id);
        }
    }

    /// Stored timers did not reach the bot they were on their way to: they are looked for anew.
    pub(super) fn lost(&self, ids: impl Iterator<Item = i64>) {
        let any = {
            let mut state = locked(&self.state);
            ids.filter(|id| state.flying.remove(id)).count() > 0
        };
        if any {
            self.look_again();
        }
    }

    fn push(&self, cell: &Arc<Cell>, at: Instant, what: What) {
        let mut state = locked(&self.state);
        state.count += 1;
        let number = state.count;
        state.heap.push(Reverse(Entry { at, number, cell: Arc::downgrade(cell), what }));
        self.changed.notify_one();
    }

    fn fire_heap(&self, shared: &Arc<Shared>, now: Moment) {
        loop {
            let entry = {
                let mut state = locked(&self.state);
                match state.heap.peek() {
                    Some(Reverse(entry)) if entry.at <= now.at => state.heap.pop(),
                    _ => return,
                }
            };
            let Some(Reverse(Entry { at, cell, what, .. })) = entry else { return };
            let Some(cell) = cell.upgrade() else { continue };
            match what {
                What::Release => shared.release(&cell),
                What::Wake(Wake { script, generation, kind, .. }) => {
                    let item = match kind {
                        WakeKind::After { id } => Item::After { script, generation, id },
                        WakeKind::Cron { at, slot } => Item::Cron { script, generation, at, slot },
                        WakeKind::Every { at: index } => {
                            Item::Every { script, generation, at: index, due: at }
                        }
                        WakeKind::Retry => Item::Retry { script, generation },
                    };
                    shared.push(&cell, item);
                }
            }
        }
    }

    /// Tells bots of slots that have come. Where the clock was set back far, bots look at all of theirs anew.
    fn fire_slots(&self, shared: &Arc<Shared>, now: Moment) {
        let due: Vec<(Weak<Cell>, Wake)> = {
            let mut state = locked(&self.state);
            let before = state.seen.replace(now);
            if before.is_some_and(|before| set_back(before, now) > BACK) {
                std::mem::take(&mut state.slots).into_values().collect()
            } else {
                let later = state.slots.split_off(&(now.wall, u64::MAX));
                std::mem::replace(&mut state.slots, later).into_values().collect()
            }
        };
        for (cell, wake) in due {
            let (Some(cell), WakeKind::Cron { at, slot }) = (cell.upgrade(), wake.kind) else { continue };
            shared.push(&cell, Item::Cron { script: wake.script, generation: wake.generation, at, slot });
        }
    }

    fn fire_stored(&self, shared: &Arc<Shared>, now: Moment) {
        let limit = {
            let mut state = locked(&self.state);
            if state.next_due.is_none_or(|due| due > now.wall) {
                return;
            }
            state.next_due = None;
            // Those that are on their way, without a bot or without room stand first: they are still stored.
            ROWS + state.flying.len() + state.orphans.len() + state.refused.len()
        };
        let rows = match shared.data.due_timers(Timestamp::MAX, limit) {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(%error, "timers cannot be read");
                self.note_due(now.wall.saturating_add(AGAIN).unwrap_or(Timestamp::MAX));
                return;
            }
        };
        let full = rows.len() >= limit;
        let (mut refused, mut later) = (BTreeSet::new(), None);
        for row in rows {
            if row.due > now.wall {
                later = Some(row.due);
                break;
            }
            let id = row.id;
            if !self.deliver(shared, row, now) {
                refused.insert(id);
            }
        }
        let again = now.wall.saturating_add(AGAIN).unwrap_or(Timestamp::MAX);
        let again = (!refused.is_empty()).then_some(again);
        // Replaced as a whole: all of them were read and tried, for the limit makes room for those known before.
        let grown = {
            let mut state = locked(&self.state);
            let grown = !refused.is_subset(&state.refused);
            state.refused = refused;
            grown
        };
        // More may be due behind what was read. If nothing new was learned, the next try would be the same one.
        let more = (full && later.is_none() && (grown || again.is_none())).then_some(now.wall);
        for due in [later, again, more].into_iter().flatten() {
            self.note_due(due);
        }
    }

    /// Hands a due timer to its bot; false if the bot has no room now.
    fn deliver(&self, shared: &Arc<Shared>, row: TimerRow, now: Moment) -> bool {
        let id = row.id;
        if locked(&self.state).orphans.contains(&id) {
            return true;
        }
        let Some(cell) = shared.bot(&row.bot) else {
            locked(&self.state).orphans.insert(id);
            return true;
        };
        if !locked(&self.state).flying.insert(id) {
            return true;
        }
        let key = format!("timer:{id}:{}", row.due.as_millisecond());
        let late_s = now.wall.duration_since(row.due).as_secs().max(0);
        let TimerRow { script, name, due, data, .. } = row;
        let event = Event::Timer(Timer { id, script, name, due, late_s, data });
        let delivered = shared.offer(&cell, Delivery { event, number: None, key }).is_ok();
        if !delivered {
            locked(&self.state).flying.remove(&id);
        }
        delivered
    }
}

impl State {
    /// How long nothing is due.
    fn wait(&self, now: Moment) -> Duration {
        let heap =
            self.heap.peek().map_or(LONGEST, |Reverse(entry)| entry.at.saturating_duration_since(now.at));
        let stored = match self.next_due {
            Some(due) => Duration::try_from(due.duration_since(now.wall)).unwrap_or(Duration::ZERO),
            None => LONGEST,
        };
        let slot = match self.slots.first_key_value() {
            Some(((slot, _), _)) => {
                Duration::try_from(slot.duration_since(now.wall)).unwrap_or(Duration::ZERO)
            }
            None => LONGEST,
        };
        heap.min(stored).min(slot).min(LONGEST)
    }
}

/// By how much the wall clock was set back between the two.
fn set_back(before: Moment, now: Moment) -> SignedDuration {
    let passed = SignedDuration::try_from(now.at.saturating_duration_since(before.at));
    passed.unwrap_or(SignedDuration::ZERO).saturating_sub(now.wall.duration_since(before.wall))
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
