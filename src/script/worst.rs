//! The most that turns have taken: what the budget and its enforcement are measured by.

use std::cell::Cell;
use std::time::Duration;

/// The most that one turn, or the loading of one script, has taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worst {
    /// From its start until what it had built was freed.
    pub time: Duration,
    /// Bytes that its thread held at once beyond those at its start, what is not charged to scripts included.
    pub memory: usize,
}

thread_local! {
    static SEEN: Cell<Worst> = const { Cell::new(Worst { time: Duration::ZERO, memory: 0 }) };
}

/// Notes what one turn of this thread has taken.
pub(super) fn note(time: Duration, memory: usize) {
    let seen = SEEN.get();
    SEEN.set(Worst { time: seen.time.max(time), memory: seen.memory.max(memory) });
}

impl Worst {
    /// Adds what this thread has noted since it was last asked.
    pub(super) fn take(&mut self) {
        let seen = SEEN.take();
        *self = Worst { time: self.time.max(seen.time), memory: self.memory.max(seen.memory) };
    }
}
