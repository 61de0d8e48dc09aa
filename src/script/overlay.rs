//! What turns have written and nobody has committed yet: turns read through it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::store::dead::Letter;
use crate::store::{Allowance, Batch, SHARED, Seen, TimerRow, TimerWrite, Write};

/// Uncommitted values and timers, by script.
#[derive(Clone, Default)]
pub(super) struct Overlay {
    pub(super) values: BTreeMap<(Arc<str>, String), Entry>,
    pub(super) timers: BTreeMap<i64, Option<TimerRow>>,
    /// Shared values as they were read.
    pub(super) seen: BTreeMap<String, Option<Found>>,
    /// Words to other bots.
    pub(super) tells: Vec<TimerRow>,
    /// Events that are given up.
    pub(super) dead: Vec<Letter>,
    /// What the scripts that have written may keep.
    pub(super) allowed: BTreeMap<Arc<str>, Allowance>,
}

/// A value and when it expires.
pub(super) type Found = (Value, Option<Timestamp>);

/// An uncommitted value: `None` where it was removed.
#[derive(Clone)]
pub(super) struct Entry {
    pub value: Option<Value>,
    pub expires: Option<Timestamp>,
}

impl Overlay {
    /// Writes a value of the runtime itself.
    pub(super) fn set(&mut self, script: &str, key: String, value: Value, expires: Option<Timestamp>) {
        self.values.insert((script.into(), key), Entry { value: Some(value), expires });
    }

    /// Puts `later` on top.
    pub(super) fn absorb(&mut self, later: Overlay) {
        self.values.extend(later.values);
        self.timers.extend(later.timers);
        self.seen.extend(later.seen);
        self.tells.extend(later.tells);
        self.dead.extend(later.dead);
        self.allowed.extend(later.allowed);
    }

    /// What has been written under a key: `Some(None)` where it was removed or has expired.
    pub(super) fn entry(&self, script: &Arc<str>, key: &str, now: Timestamp) -> Option<Option<Found>> {
        if self.values.is_empty() {
            return None;
        }
        let entry = self.values.get(&(script.clone(), key.to_owned()))?;
        let lives = entry.expires.is_none_or(|expires| expires > now);
        Some(entry.value.clone().filter(|_| lives).map(|value| (value, entry.expires)))
    }

    /// Removes a value.
    pub(super) fn remove(&mut self, script: &Arc<str>, key: &str) {
        self.values.insert((script.clone(), key.to_owned()), Entry { value: None, expires: None });
    }

    /// Marks a timer as handled.
    pub(super) fn remove_timer(&mut self, id: i64) {
        self.timers.insert(id, None);
    }

    /// Whether the timer is known here, and whether it still stands.
    pub(super) fn timer_stands(&self, id: i64) -> Option<bool> {
        self.timers.get(&id).map(Option::is_some)
    }

    /// Whether nothing would be written.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether something is written that all bots share.
    pub(super) fn writes_shared(&self) -> bool {
        self.values.keys().any(|(script, _)| **script == *SHARED)
    }

    /// As the store takes it, for that bot.
    pub(super) fn into_batch(self, bot: &str) -> Batch {
        let mut batch = Batch { bot: bot.to_owned(), ..Batch::default() };
        for ((script, key), Entry { value, expires }) in self.values {
            let list = if *script == *SHARED { &mut batch.shared } else { &mut batch.writes };
            list.push(Write { script: script.to_string(), key, value, expires });
        }
        let timers = self.timers.into_iter().map(|(id, row)| match row {
            Some(row) => TimerWrite::Set(row),
            None => TimerWrite::Remove { id },
        });
        batch.timers = timers.chain(self.tells.into_iter().map(TimerWrite::Tell)).collect();
        batch.dead = self.dead;
        batch.allowed =
            self.allowed.into_iter().map(|(script, allowed)| (script.to_string(), allowed)).collect();
        batch.seen = self.seen.into_iter().map(|(key, entry)| Seen { key, entry }).collect();
        batch
    }

    /// Things to be written.
    pub(super) fn len(&self) -> usize {
        self.values.len() + self.timers.len() + self.tells.len() + self.dead.len()
    }
}
