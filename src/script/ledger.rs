//! What all bots together may take of the program's memory for something, and what each of them takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What all take together.
pub(super) struct Ledger {
    taken: AtomicUsize,
    /// Bytes that they may take.
    budget: usize,
}

/// What one of them takes. It is given back in the end.
pub(super) struct Share {
    ledger: Arc<Ledger>,
    bytes: usize,
}

impl Ledger {
    pub(super) fn new(budget: usize) -> Self {
        Self { taken: AtomicUsize::new(0), budget }
    }

    /// Bytes that all take together.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Whether they take more than they may.
    pub(super) fn is_over(&self) -> bool {
        self.taken() > self.budget
    }
}

impl Share {
    /// A share of nothing.
    pub(super) fn of(ledger: Arc<Ledger>) -> Self {
        Self { ledger, bytes: 0 }
    }

    /// Takes that much from now on; says whether all take more than they may.
    pub(super) fn set(&mut self, bytes: usize) -> bool {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.ledger.taken.fetch_add(more, Ordering::Relaxed),
            None => self.ledger.taken.fetch_sub(self.bytes - bytes, Ordering::Relaxed),
        };
        self.bytes = bytes;
        self.ledger.is_over()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}
