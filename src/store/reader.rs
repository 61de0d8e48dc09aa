//! Reading what is committed.

use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::store::error::StoreError;
use crate::store::{Clock, OutboxRow, Roster, Scope, TimerRow};

/// One thread's view of the store. It sees every commit whose callback has been called.
pub struct StoreReader {
    connection: Connection,
    clock: Clock,
}

impl StoreReader {
    /// The value under `key`, unless it has expired.
    pub fn get(&self, scope: &Scope, key: &str) -> Result<Option<Value>, StoreError> {
        todo!()
    }

    /// The value under `key` and when it expires.
    pub fn entry(&self, scope: &Scope, key: &str) -> Result<Option<(Value, Option<Timestamp>)>, StoreError> {
        todo!()
    }

    /// Up to `limit` keys that begin with `prefix`, in byte order.
    pub fn keys(&self, scope: &Scope, prefix: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        todo!()
    }

    /// Bytes that the script keeps, counted as [`crate::store::Limits::scope`] says.
    pub fn usage(&self, scope: &Scope) -> Result<u64, StoreError> {
        todo!()
    }

    /// The script's timer of that number.
    pub fn timer(&self, scope: &Scope, id: i64) -> Result<Option<TimerRow>, StoreError> {
        todo!()
    }

    /// Up to `limit` timers of the script, all or those of that name, the earliest first.
    pub fn timers(
        &self,
        scope: &Scope,
        name: Option<&str>,
        limit: usize,
    ) -> Result<Vec<TimerRow>, StoreError> {
        todo!()
    }

    /// Up to `limit` timers of all bots that are due by `until`, the earliest first.
    pub fn due_timers(&self, until: Timestamp, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        todo!()
    }

    /// When the next timer of all bots is due.
    pub fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        todo!()
    }

    /// The bot's unacknowledged stanzas, the oldest first.
    pub fn outbox(&self, bot: &str) -> Result<Vec<OutboxRow>, StoreError> {
        todo!()
    }

    /// The bot's roster.
    pub fn roster(&self, bot: &str) -> Result<Option<Roster>, StoreError> {
        todo!()
    }

    /// The bot's login keys.
    pub fn sasl(&self, bot: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        todo!()
    }

    /// A value of the runtime itself.
    pub fn meta(&self, key: &str) -> Result<Option<Value>, StoreError> {
        todo!()
    }

    /// Reads the whole file for damage, which takes a while: for `doctor`.
    pub fn check(&self) -> Result<(), StoreError> {
        todo!()
    }
}
