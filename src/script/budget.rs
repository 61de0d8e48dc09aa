//! What one turn may still use: time, operations, memory. Rhai asks before every operation.

use std::cell::Cell;
use std::ops::AddAssign;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::script::Limits;
use crate::script::memory;

/// Which part of the budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exceeded {
    /// The wall-clock time.
    Deadline,
    /// The levels of calls.
    Depth,
    /// The memory.
    Memory,
    /// The operations.
    Operations,
    /// The bytes of a text, where a value is shown as one.
    Text,
}

/// What a turn has taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Operations of the script. Those of closures that built-in functions run are not counted.
    pub operations: u64,
    /// Wall-clock time.
    pub time: Duration,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.operations = self.operations.saturating_add(other.operations);
        self.time = self.time.saturating_add(other.time);
    }
}

/// The budget of the turn that runs on this thread. Dropping it ends the budget.
pub(super) struct Running {
    started: Instant,
    before: isize,
    /// Operations that it may use.
    granted: u64,
    /// The budget around it: a test compiles the scripts that it tries.
    around: (Budget, (isize, usize), Option<(Exceeded, u8)>),
}

#[derive(Clone, Copy)]
struct Budget {
    /// Tick at which time is over.
    deadline: u64,
    /// Value of [`memory::held`] that may not be passed.
    ceiling: isize,
    operations: u64,
}

/// Bytes by which a turn may grow before its values are looked at again.
const LOOK_AFTER: usize = 16 * 1024;
/// Operations that are left to a turn whose budget is used up. The engine forgets where it was when it is stopped between
/// two operations, and knows the place of a variable or a host function that refuses: one of them comes soon.
const LAST: u8 = 8;
const UNLIMITED: Budget = Budget { deadline: u64::MAX, ceiling: isize::MAX, operations: u64::MAX };

thread_local! {
    static LEFT: Cell<Budget> = const { Cell::new(UNLIMITED) };
    /// Value of [`memory::held`] at which the values are looked at next, and bytes they may refer to.
    static LOOK: Cell<(isize, usize)> = const { Cell::new((isize::MAX, usize::MAX)) };
    /// What the turn must end for, and how many operations it has left to do so.
    static OVER: Cell<Option<(Exceeded, u8)>> = const { Cell::new(None) };
}

/// Milliseconds since [`epoch`], kept by one thread: reading a clock at every operation costs a third.
static TICK: AtomicU64 = AtomicU64::new(0);
static BUSY: AtomicUsize = AtomicUsize::new(0);
static PARKED: AtomicBool = AtomicBool::new(false);

impl Running {
    /// Starts the budget of a turn that may allocate `memory` bytes.
    pub(super) fn start(limits: &Limits, memory: usize) -> Self {
        let ticker = ticker();
        BUSY.fetch_add(1, Ordering::SeqCst);
        if PARKED.load(Ordering::SeqCst) {
            ticker.unpark();
        }
        let started = Instant::now();
        let now = started.duration_since(epoch()).as_millis() as u64;
        let before = memory::held();
        memory::mark();
        let around = (LEFT.get(), LOOK.get(), OVER.get());
        OVER.set(None);
        LOOK.set((before.saturating_add_unsigned(LOOK_AFTER), memory));
        LEFT.set(Budget {
            deadline: now.saturating_add(limits.turn.as_millis() as u64).saturating_add(1),
            ceiling: before.saturating_add_unsigned(memory),
            operations: limits.operations,
        });
        Self { started, before, granted: limits.operations, around }
    }

    /// What the turn must end for, even if it did not: scripts catch errors, and some built-in functions keep those of
    /// the closures that they call to themselves.
    pub(super) fn exceeded(&self) -> Option<Exceeded> {
        over()
    }

    /// How long the turn has run.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// What the turn has taken so far.
    pub(super) fn cost(&self) -> Cost {
        Cost { operations: self.granted.saturating_sub(LEFT.get().operations), time: self.elapsed() }
    }

    /// How much more than at the start the thread's memory was at its largest.
    pub(super) fn peak(&self) -> usize {
        usize::try_from(memory::peak() - self.before).unwrap_or(0)
    }

    /// By how much the thread's memory has grown since the start.
    pub(super) fn growth(&self) -> isize {
        memory::held() - self.before
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        LEFT.set(self.around.0);
        LOOK.set(self.around.1);
        OVER.set(self.around.2);
        BUSY.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Counts one operation and says whether the engine must stop.
pub(super) fn spend() -> Option<Exceeded> {
    used_up(1).and_then(last_operations)
}

/// Counts operations that one call of a host function takes, and says whether it must fail.
pub(super) fn spend_many(operations: u64) -> Option<Exceeded> {
    used_up(operations).map(end)
}

fn used_up(operations: u64) -> Option<Exceeded> {
    LEFT.with(|cell| {
        let mut left = cell.get();
        left.operations = match left.operations.checked_sub(operations) {
            Some(more) => more,
            None => return Some(Exceeded::Operations),
        };
        cell.set(left);
        if memory::held() > left.ceiling {
            Some(Exceeded::Memory)
        } else if TICK.load(Ordering::Relaxed) >= left.deadline {
            Some(Exceeded::Deadline)
        } else {
            None
        }
    })
}

/// Lets the turn end at the next variable or host function, for `reason` unless there was one before, which it gives.
#[cold]
pub(super) fn end(reason: Exceeded) -> Exceeded {
    let (first, last) = OVER.get().unwrap_or((reason, LAST));
    OVER.set(Some((first, last)));
    // Whoever asks for either is told from now on.
    LOOK.set((isize::MIN, LOOK.get().1));
    LEFT.set(Budget { deadline: 0, ..LEFT.get() });
    first
}

/// What the turn must end for.
pub(super) fn over() -> Option<Exceeded> {
    OVER.get().map(|(reason, _)| reason)
}

#[cold]
fn last_operations(reason: Exceeded) -> Option<Exceeded> {
    let first = end(reason);
    let last = OVER.get().map_or(0, |(_, last)| last);
    OVER.set(Some((first, last.saturating_sub(1))));
    (last == 0).then_some(first)
}

/// Bytes the turn may still allocate: host functions ask before they build something large.
pub(super) fn memory_left() -> usize {
    LEFT.with(|cell| usize::try_from(cell.get().ceiling.saturating_sub(memory::held())).unwrap_or(0))
}

/// What the values of a turn may refer to, where they have grown since this was last asked: now is the time to look.
pub(super) fn may_refer_to() -> Option<usize> {
    let (next, most) = LOOK.get();
    let held = memory::held();
    if held <= next {
        return None;
    }
    if over().is_none() {
        LOOK.set((held.saturating_add_unsigned(LOOK_AFTER), most));
    }
    Some(most)
}

fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

/// How long after the program had its first turn.
pub(super) fn since_start(moment: Instant) -> Duration {
    moment.saturating_duration_since(epoch())
}

/// The thread that counts milliseconds while a turn runs, and sleeps when none has for a while.
fn ticker() -> &'static Thread {
    static TICKER: OnceLock<Thread> = OnceLock::new();
    TICKER.get_or_init(|| {
        let epoch = epoch();
        let thread = std::thread::Builder::new().name("script-tick".to_owned()).spawn(move || tick(epoch));
        // Without a second thread no script could be stopped, so running on is no choice.
        thread.expect("the system gives no thread for the script clock").thread().clone()
    })
}

fn tick(epoch: Instant) {
    let mut idle = 0;
    loop {
        idle = if BUSY.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
        if idle > 100 {
            PARKED.store(true, Ordering::SeqCst);
            if BUSY.load(Ordering::SeqCst) == 0 {
                std::thread::park();
            }
            PARKED.store(false, Ordering::SeqCst);
            idle = 0;
        }
        TICK.store(epoch.elapsed().as_millis() as u64, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_runs_out_within_a_few_ticks() {
        let limits = Limits { turn: Duration::from_millis(20), operations: u64::MAX, ..Limits::DEFAULT };
        let running = Running::start(&limits, usize::MAX >> 2);
        let exceeded = loop {
            if let Some(exceeded) = spend() {
                break exceeded;
            }
        };
        assert_eq!(exceeded, Exceeded::Deadline);
        assert!(running.elapsed() >= Duration::from_millis(20));
        assert!(running.elapsed() < Duration::from_millis(500), "{:?}", running.elapsed());
    }

    #[test]
    fn operations_and_memory_run_out() {
        let limits = Limits { operations: 10, ..Limits::DEFAULT };
        let running = Running::start(&limits, 1 << 20);
        assert_eq!(running.cost().operations, 0);
        let stopped = |most: u8| (0..most).find_map(|n| spend().map(|reason| (n, reason)));
        assert_eq!(stopped(10), None);
        assert_eq!(over(), None);
        assert_eq!(stopped(20), Some((LAST, Exceeded::Operations)));
        assert_eq!(over(), Some(Exceeded::Operations));
        assert_eq!(running.cost().operations, 10);
        drop(running);

        let running = Running::start(&Limits::DEFAULT, 1000);
        assert_eq!(spend(), None);
        let bytes = vec![0u8; 2000];
        assert_eq!(spend_many(1), Some(Exceeded::Memory));
        assert_eq!(memory_left(), 0);
        drop(bytes);
        // What has once been too much stays so, whatever else is used up by then.
        assert_eq!(stopped(20), Some((LAST, Exceeded::Memory)));
        assert_eq!(spend_many(1), Some(Exceeded::Memory));
        assert!(may_refer_to().is_some());
        drop(running);
        assert_eq!((spend(), over(), may_refer_to()), (None, None, None));
    }
}
