//! The durable side of scripts as they need it: the store, or memory for trying scripts out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::Value;

use crate::store::error::StoreError;
use crate::store::{Batch, Clock, Committed, Done, SHARED, Scope, Seen, TimerRow, TimerWrite};

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

/// Values and timers in memory: for tests, for trying scripts out, and where nothing is to be kept.
#[derive(Clone)]
pub struct Memory {
    clock: Clock,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    values: BTreeMap<(String, String, String), (Value, Option<Timestamp>)>,
    timers: BTreeMap<i64, TimerRow>,
    last_timer: i64,
    last_row: i64,
}

impl Memory {
    /// Empty. Values expire by `clock`.
    pub fn new(clock: Clock) -> Self {
        Self { clock, kept: Arc::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Data for Memory {
    fn reader(&self) -> Result<Box<dyn Read>, StoreError> {
        Ok(Box::new(self.clone()))
    }

    fn commit(&self, batch: Batch, done: Done) {
        let mut committed = Committed::default();
        {
            let mut kept = self.kept();
            let now = (self.clock)();
            let stale = batch.seen.iter().find(|seen| {
                let at = (SHARED.to_owned(), SHARED.to_owned(), seen.key.clone());
                let entry = kept.values.get(&at).filter(|(_, expires)| expires.is_none_or(|it| it > now));
                entry != seen.entry.as_ref()
            });
            if let Some(Seen { key, .. }) = stale {
                let key = key.clone();
                drop(kept);
                return done(Err(StoreError::Conflict { key }));
            }
            let own = batch.writes.into_iter().map(|write| (batch.bot.clone(), write.script.clone(), write));
            let shared = batch.shared.into_iter().map(|write| (SHARED.to_owned(), SHARED.to_owned(), write));
            for (bot, script, write) in own.chain(shared) {
                let at = (bot, script, write.key);
                match write.value {
                    Some(value) => kept.values.insert(at, (value, write.expires)),
                    None => kept.values.remove(&at),
                };
            }
            for timer in batch.timers {
                match timer {
                    TimerWrite::Remove { id } => {
                        kept.timers.remove(&id);
                    }
                    TimerWrite::Set(row) | TimerWrite::Tell(row) => {
                        committed.earliest = Some(committed.earliest.map_or(row.due, |due| due.min(row.due)));
                        kept.timers.insert(row.id, row);
                    }
                }
            }
            for _ in batch.outbox {
                kept.last_row += 1;
                committed.outbox.push(kept.last_row);
            }
        }
        done(Ok(committed));
    }

    fn timer_id(&self) -> i64 {
        let mut kept = self.kept();
        kept.last_timer += 1;
        kept.last_timer
    }

    fn due_timers(&self, until: Timestamp, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        let kept = self.kept();
        let mut due: Vec<&TimerRow> = kept.timers.values().filter(|row| row.due <= until).collect();
        due.sort_by_key(|row| (row.due, row.id));
        Ok(due.into_iter().take(limit).cloned().collect())
    }

    fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.kept().timers.values().map(|row| row.due).min())
    }
}

impl Read for Memory {
    fn entry(&self, scope: &Scope, key: &str) -> Result<Option<(Value, Option<Timestamp>)>, StoreError> {
        let now = (self.clock)();
        let at = (scope.bot.clone(), scope.script.clone(), key.to_owned());
        let entry = self.kept().values.get(&at).cloned();
        Ok(entry.filter(|(_, expires)| expires.is_none_or(|expires| expires > now)))
    }

    fn keys(&self, scope: &Scope, prefix: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        let now = (self.clock)();
        let from = (scope.bot.clone(), scope.script.clone(), prefix.to_owned());
        let kept = self.kept();
        let ours = kept.values.range(from..).take_while(|((bot, script, key), _)| {
            *bot == scope.bot && *script == scope.script && key.starts_with(prefix)
        });
        let living = ours.filter(|(_, (_, expires))| expires.is_none_or(|expires| expires > now));
        Ok(living.take(limit).map(|((_, _, key), _)| key.clone()).collect())
    }

    fn timer(&self, scope: &Scope, id: i64) -> Result<Option<TimerRow>, StoreError> {
        let row = self.kept().timers.get(&id).cloned();
        Ok(row.filter(|row| row.bot == scope.bot && row.script == scope.script))
    }

    fn timers(&self, scope: &Scope, name: Option<&str>, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        let kept = self.kept();
        let ours = |row: &&TimerRow| {
            row.bot == scope.bot && row.script == scope.script && name.is_none_or(|name| row.name == name)
        };
        let mut rows: Vec<TimerRow> = kept.timers.values().filter(ours).cloned().collect();
        rows.sort_by_key(|row| (row.due, row.id));
        rows.truncate(limit);
        Ok(rows)
    }
}

/// No values and no timers: what a thread reads by between turns.
pub(super) struct Nothing;

impl Read for Nothing {
    fn entry(&self, _: &Scope, _: &str) -> Result<Option<(Value, Option<Timestamp>)>, StoreError> {
        Ok(None)
    }

    fn keys(&self, _: &Scope, _: &str, _: usize) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn timer(&self, _: &Scope, _: i64) -> Result<Option<TimerRow>, StoreError> {
        Ok(None)
    }

    fn timers(&self, _: &Scope, _: Option<&str>, _: usize) -> Result<Vec<TimerRow>, StoreError> {
        Ok(Vec::new())
    }
}
