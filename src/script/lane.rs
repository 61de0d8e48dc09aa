//! A run queue: bots that have something to do, in order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::script::pool::{Cell, locked};

/// A run queue. Threads wait at it.
#[derive(Default)]
pub(super) struct Lane {
    queue: Mutex<VecDeque<Arc<Cell>>>,
    filled: Condvar,
}

impl Lane {
    /// Puts a bot behind those that wait. It must not be in a queue already.
    pub(super) fn push(&self, cell: Arc<Cell>) {
        locked(&self.queue).push_back(cell);
        self.filled.notify_one();
    }

    /// The next bot; `None` when the pool stops.
    pub(super) fn next(&self, stopping: &AtomicBool) -> Option<Arc<Cell>> {
        let mut queue = locked(&self.queue);
        loop {
            if stopping.load(Ordering::SeqCst) {
                return None;
            }
            if let Some(cell) = queue.pop_front() {
                return Some(cell);
            }
            queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets all threads see that the pool stops.
    pub(super) fn wake_all(&self) {
        // Whoever has looked at the flag before it was set is waiting by the time the lock is free.
        let _queue = locked(&self.queue);
        self.filled.notify_all();
    }
}
