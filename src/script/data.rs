//! The durable side of scripts as they need it: the store, or memory for trying scripts out.

use jiff::Timestamp;
use serde_json::Value;

use crate::store::error::StoreError;
use crate::store::{Batch, Done, Scope, TimerRow};

/// Where values and timers live.
pub trait Data: Send + Sync {
    /// A view for one thread.
    fn reader(&self) -> Result<Box<dyn Read>, StoreError>;
    /// Queues a batch; see [`crate::store::Store::commit`].
    fn commit(&self, batch: Batch, done: Done);
    /// A fresh number for a timer.
    fn timer_id(&self) -> i64;
    /// Up to `limit` timers due by `until`, the earliest first.
    fn due_timers(&self, until: Timestamp, limit: usize) -> Result<Vec<TimerRow>, StoreError>;
    /// When the next timer is due.
    fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;
}

/// What is committed, as one thread sees it.
pub trait Read: Send {
    /// The value under `key` and when it expires, unless it has.
    fn entry(&self, scope: &Scope, key: &str) -> Result<Option<(Value, Option<Timestamp>)>, StoreError>;
    /// Up to `limit` keys that begin with `prefix`, in byte order.
    fn keys(&self, scope: &Scope, prefix: &str, limit: usize) -> Result<Vec<String>, StoreError>;
    /// The script's timer of that number.
    fn timer(&self, scope: &Scope, id: i64) -> Result<Option<TimerRow>, StoreError>;
    /// Up to `limit` timers of the script, the earliest first.
    fn timers(&self, scope: &Scope, name: Option<&str>, limit: usize) -> Result<Vec<TimerRow>, StoreError>;
}

impl Data for crate::store::Store {
    fn reader(&self) -> Result<Box<dyn Read>, StoreError> {
        Ok(Box::new(crate::store::Store::reader(self)?))
    }

    fn commit(&self, batch: Batch, done: Done) {
        crate::store::Store::commit(self, batch, done);
    }

    fn timer_id(&self) -> i64 {
        crate::store::Store::timer_id(self)
    }

    fn due_timers(&self, until: Timestamp, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        crate::store::Store::due_timers(self, until, limit)
    }

    fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        crate::store::Store::next_due(self)
    }
}

impl Read for crate::store::reader::StoreReader {
    fn entry(&self, scope: &Scope, key: &str) -> Result<Option<(Value, Option<Timestamp>)>, StoreError> {
        crate::store::reader::StoreReader::entry(self, scope, key)
    }

    fn keys(&self, scope: &Scope, prefix: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        crate::store::reader::StoreReader::keys(self, scope, prefix, limit)
    }

    fn timer(&self, scope: &Scope, id: i64) -> Result<Option<TimerRow>, StoreError> {
        crate::store::reader::StoreReader::timer(self, scope, id)
    }

    fn timers(&self, scope: &Scope, name: Option<&str>, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        crate::store::reader::StoreReader::timers(self, scope, name, limit)
    }
}
