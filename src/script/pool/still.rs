//! A pool whose clock stands still: nothing happens by itself, and its owner can wait until nothing more happens.

use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::{Cell, Phase, Pool, PoolOptions, Shared, locked};
use crate::store::error::StoreError;

impl Pool {
    /// Looks at the clock and delivers what is due. Only needed with a clock that tests move.
    pub fn wake(&self) {
        self.shared.ticker.fire(&self.shared);
    }

    /// Starts all threads but that of the timers: nothing happens by itself. Its owner moves the clock, calls
    /// [`Pool::wake`] and waits with [`Pool::settle`].
    ///
    /// # Errors
    /// What the store says, if it cannot be read.
    pub fn start_still(options: PoolOptions) -> Result<Pool, StoreError> {
        Self::begin(options, false)
    }

    /// How long nothing is due, by the pool's clock; `None` where nothing is ever due.
    pub fn next_due(&self) -> Option<Duration> {
        self.shared.ticker.next((self.shared.clock)())
    }

    /// Waits until every bot has done what it had to do, and its sink knows; `false` when that takes longer than
    /// `patience`. Only for a pool that stands still.
    pub fn settle(&self, patience: Duration) -> bool {
        let Some((lock, rested)) = &self.shared.rested else { return false };
        let until = Instant::now() + patience;
        let mut guard = locked(lock);
        while !self.shared.is_idle() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            guard = rested.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Shared {
    /// A bot has done what it had to do.
    pub(super) fn tell_rested(&self) {
        if let Some((lock, rested)) = &self.rested {
            // With the lock, so that nobody looks before and waits after.
            drop(locked(lock));
            rested.notify_all();
        }
    }

    fn is_idle(&self) -> bool {
        let cells: Vec<Arc<Cell>> = locked(&self.bots).values().filter_map(Weak::upgrade).collect();
        cells.iter().all(|cell| {
            let state = locked(&cell.state);
            state.phase == Phase::Idle && !state.has_work()
        })
    }
}
