//! One batch, as SQL, with its bounds. The caller wraps it in a savepoint.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use crate::store::error::StoreError;
use crate::store::{
    Allowance, Batch, Committed, Limits, OutboxRow, ROW_COST, SHARED, Scope, Seen, TimerRow, TimerWrite,
    Write, dead, session,
};

/// Bytes that each script keeps, counted once and then carried along.
#[derive(Default)]
pub(super) struct Usage {
    known: BTreeMap<Scope, Allowance>,
}

/// What a batch changed, to be taken over into [`Usage`] once it is sure to stay.
pub(super) type Change = Vec<(Scope, Allowance)>;

/// Carries out `batch`. After an error the savepoint must be rolled back.
pub(super) fn apply(
    connection: &Connection,
    path: &Path,
    batch: &Batch,
    limits: &Limits,
    usage: &mut Usage,
    now: Timestamp,
) -> Result<(Committed, Change), StoreError> {
    let mut apply = Apply { connection, path, bot: &batch.bot, limits, counts: BTreeMap::new() };
    for seen in &batch.seen {
        apply.check_seen(seen, now)?;
    }
    apply.count_before(batch, usage)?;
    let mut committed = Committed::default();
    for write in &batch.writes {
        apply.write(&batch.bot, &write.script, write)?;
    }
    for write in &batch.shared {
        apply.write(SHARED, SHARED, write)?;
    }
    for timer in &batch.timers {
        match timer {
            TimerWrite::Remove { id } => apply.remove_timer(*id, usage)?,
            TimerWrite::Set(row) | TimerWrite::Tell(row) => {
                let owner = if let TimerWrite::Tell(row) = timer { &row.bot } else { &batch.bot };
                apply.set_timer(owner, row, usage)?;
                committed.earliest =
                    Some(committed.earliest.map_or(row.due, |earliest: Timestamp| earliest.min(row.due)));
            }
        }
    }
    let change = apply.count_after(&batch.allowed, now)?;
    for row in &batch.outbox {
        committed.outbox.push(apply.queue(row)?);
    }
    for id in &batch.sent {
        apply.execute("DELETE FROM outbox WHERE id = ?1 AND bot = ?2", params![id, batch.bot])?;
    }
    apply.rest(batch)?;
    session::apply(connection, path, batch)?;
    dead::apply(connection, path, batch)?;
    Ok((committed, change))
}

/// Removes up to `limit` values that expired by `now`; says how many.
pub(super) fn sweep(
    connection: &Connection,
    usage: &mut Usage,
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare_cached(
        "DELETE FROM kv WHERE (bot, script, key) IN
             (SELECT bot, script, key FROM kv WHERE expires <= ?1 ORDER BY expires LIMIT ?2)
         RETURNING bot, script, octet_length(key) + octet_length(value)",
    )?;
    let mut rows = statement.query(params![now.as_millisecond(), to_i64(limit)])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let scope = Scope { bot: row.get(0)?, script: row.get(1)? };
        let bytes: i64 = row.get(2)?;
        if let Some(known) = usage.known.get_mut(&scope) {
            known.bytes = known.bytes.saturating_sub(bytes.unsigned_abs() + ROW_COST);
        }
        count += 1;
    }
    Ok(count)
}

/// What one script keeps, read from the tables.
pub(super) fn kept(connection: &Connection, bot: &str, script: &str) -> rusqlite::Result<Allowance> {
    let mut statement = connection.prepare_cached(
        "SELECT (SELECT ifnull(sum(octet_length(key) + octet_length(value) + ?3), 0)
                 FROM kv WHERE bot = ?1 AND script = ?2)
              + (SELECT ifnull(sum(octet_length(name) + octet_length(data) + ?3), 0)
                 FROM timers WHERE bot = ?1 AND script = ?2),
                (SELECT count(*) FROM timers WHERE bot = ?1 AND script = ?2)",
    )?;
    let (bytes, timers): (i64, i64) =
        statement.query_row(params![bot, script, ROW_COST as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Allowance { bytes: bytes.unsigned_abs(), timers: timers.unsigned_abs() })
}

impl Usage {
    /// Takes over what a batch changed.
    pub(super) fn keep(&mut self, change: Change) {
        self.known.extend(change);
    }

    /// Forgets everything: a transaction did not hold, so what was counted may be wrong.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }
}

struct Apply<'a> {
    connection: &'a Connection,
    path: &'a Path,
    bot: &'a str,
    limits: &'a Limits,
    /// By scope: what it kept before, and what it keeps now.
    counts: BTreeMap<Scope, Count>,
}

#[derive(Clone, Copy)]
struct Count {
    before: Allowance,
    now: Allowance,
}

impl Apply<'_> {
    /// Knows, before the first change, what every script that adds something keeps.
    fn count_before(&mut self, batch: &Batch, usage: &mut Usage) -> Result<(), StoreError> {
        let scope = |bot: &str, script: &str| Scope { bot: bot.to_owned(), script: script.to_owned() };
        let of_timers = batch.timers.iter().filter_map(|timer| match timer {
            TimerWrite::Remove { .. } => None,
            TimerWrite::Set(row) => Some(scope(&batch.bot, &row.script)),
            TimerWrite::Tell(row) => Some(scope(&row.bot, &row.script)),
        });
        let of_writes = batch.writes.iter().map(|write| scope(&batch.bot, &write.script));
        let of_shared = batch.shared.iter().map(|_| Scope::shared());
        for scope in of_writes.chain(of_shared).chain(of_timers) {
            if self.counts.contains_key(&scope) {
                continue;
            }
            let before = match usage.known.get(&scope) {
                Some(known) => *known,
                None => {
                    let counted = self.sql(kept(self.connection, &scope.bot, &scope.script))?;
                    usage.known.insert(scope.clone(), counted);
                    counted
                }
            };
            self.counts.insert(scope, Count { before, now: before });
        }
        Ok(())
    }

    /// Refuses the batch if a shared value is not what its turns went by.
    fn check_seen(&self, seen: &Seen, now: Timestamp) -> Result<(), StoreError> {
        let row: Option<(String, Option<i64>)> = self.sql(
            self.connection
                .prepare_cached(
                    "SELECT value, expires FROM kv WHERE bot = ?1 AND script = ?1 AND key = ?2
                     AND (expires IS NULL OR expires > ?3)",
                )
                .and_then(|mut statement| {
                    statement
                        .query_row(params![SHARED, seen.key, now.as_millisecond()], |row| {
                            Ok((row.get(0)?, row.get(1)?))
                        })
                        .optional()
                }),
        )?;
        let same = match (&row, &seen.entry) {
            (None, None) => true,
            (Some((text, expires)), Some((value, seen_expires))) => {
                // Both are read from the same text, so that they are the same to the last digit, or not at all.
                *expires == seen_expires.map(Timestamp::as_millisecond)
                    && serde_json::from_str::<Value>(text).is_ok_and(|stored| stored == *value)
            }
            _ => false,
        };
        if same { Ok(()) } else { Err(StoreError::Conflict { key: seen.key.clone() }) }
    }

    fn write(&mut self, bot: &str, script: &str, write: &Write) -> Result<(), StoreError> {
        self.check_key(&write.key)?;
        let old: Option<i64> = self.sql(
            self.connection
                .prepare_cached(
                    "SELECT octet_length(value) FROM kv WHERE bot = ?1 AND script = ?2 AND key = ?3",
                )
                .and_then(|mut statement| {
                    statement.query_row(params![bot, script, write.key], |row| row.get(0)).optional()
                }),
        )?;
        let size = |value: u64| value + write.key.len() as u64 + ROW_COST;
        let removed = old.map_or(0, |bytes| size(bytes.unsigned_abs()));
        let Some(value) = &write.value else {
            if old.is_some() {
                self.execute(
                    "DELETE FROM kv WHERE bot = ?1 AND script = ?2 AND key = ?3",
                    params![bot, script, write.key],
                )?;
            }
            self.account(bot, script, 0, removed);
            return Ok(());
        };
        let text = self.json(&write.key, value)?;
        let expires = write.expires.map(Timestamp::as_millisecond);
        self.execute(
            "INSERT INTO kv (bot, script, key, value, expires) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET value = ?4, expires = ?5",
            params![bot, script, write.key, text, expires],
        )?;
        self.account(bot, script, size(text.len() as u64), removed);
        Ok(())
    }

    fn set_timer(&mut self, bot: &str, row: &TimerRow, usage: &Usage) -> Result<(), StoreError> {
        self.check_key(&row.name)?;
        let data = match row.script.as_str() {
            // An event is as large as it came: streams bound it.
            dead::RETRIES => row.data.to_string(),
            _ => self.json(&row.name, &row.data)?,
        };
        // The same number again replaces the timer: the turn that set it runs again.
        self.remove_timer(row.id, usage)?;
        self.execute(
            "INSERT INTO timers (id, bot, script, name, due_ms, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![row.id, bot, row.script, row.name, row.due.as_millisecond(), data],
        )?;
        self.account(bot, &row.script, (row.name.len() + data.len()) as u64 + ROW_COST, 0);
        if let Some(count) = self.count(bot, &row.script) {
            count.now.timers += 1;
        }
        Ok(())
    }

    fn remove_timer(&mut self, id: i64, usage: &Usage) -> Result<(), StoreError> {
        let removed: Option<(String, i64)> = self.sql(
            self.connection
                .prepare_cached(
                    "DELETE FROM timers WHERE id = ?1 AND bot = ?2
                     RETURNING script, octet_length(name) + octet_length(data)",
                )
                .and_then(|mut statement| {
                    statement
                        .query_row(params![id, self.bot], |row| Ok((row.get(0)?, row.get(1)?)))
                        .optional()
                }),
        )?;
        let Some((script, bytes)) = removed else { return Ok(()) };
        let scope = Scope { bot: self.bot.to_owned(), script };
        if !self.counts.contains_key(&scope) {
            // A script that is not known yet is counted when it next adds something, without this timer.
            let Some(known) = usage.known.get(&scope) else { return Ok(()) };
            self.counts.insert(scope.clone(), Count { before: *known, now: *known });
        }
        self.account(self.bot, &scope.script, 0, bytes.unsigned_abs() + ROW_COST);
        if let Some(count) = self.count(self.bot, &scope.script) {
            count.now.timers = count.now.timers.saturating_sub(1);
        }
        Ok(())
    }

    /// Refuses scripts that grew beyond what they are allowed; what has expired does not count against them.
    fn count_after(
        &mut self,
        allowed: &BTreeMap<String, Allowance>,
        now: Timestamp,
    ) -> Result<Change, StoreError> {
        let counts = std::mem::take(&mut self.counts);
        let mut change = Vec::with_capacity(counts.len());
        for (scope, mut count) in counts {
            let Scope { bot, script } = &scope;
            let own = allowed.get(script).filter(|_| bot == self.bot);
            let Allowance { bytes, timers } = own.copied().unwrap_or(self.limits.scope);
            if count.now.timers > count.before.timers && count.now.timers > timers {
                return Err(StoreError::Timers { script: script.clone(), limit: timers });
            }
            if count.now.bytes > count.before.bytes && count.now.bytes > bytes {
                self.execute(
                    "DELETE FROM kv WHERE bot = ?1 AND script = ?2 AND expires <= ?3",
                    params![bot, script, now.as_millisecond()],
                )?;
                count.now = self.sql(kept(self.connection, bot, script))?;
                if count.now.bytes > bytes {
                    let found = count.now.bytes;
                    return Err(StoreError::Quota { script: script.clone(), bytes: found, limit: bytes });
                }
            }
            change.push((scope, count.now));
        }
        Ok(change)
    }

    fn queue(&self, row: &OutboxRow) -> Result<i64, StoreError> {
        self.execute(
            "INSERT INTO outbox (bot, stanza_id, xml, created) VALUES (?1, ?2, ?3, ?4)",
            params![self.bot, row.stanza_id, row.xml, row.created.as_millisecond()],
        )?;
        Ok(self.connection.last_insert_rowid())
    }

    fn rest(&self, batch: &Batch) -> Result<(), StoreError> {
        if let Some(roster) = &batch.roster {
            self.execute(
                "INSERT INTO roster (bot, ver, items) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET ver = ?2, items = ?3",
                params![self.bot, roster.ver, roster.items.to_string()],
            )?;
        }
        match &batch.sasl {
            None => {}
            Some(keys) if keys.is_empty() => {
                self.execute("DELETE FROM sasl WHERE bot = ?1", params![self.bot])?;
            }
            Some(keys) => self.execute(
                "INSERT INTO sasl (bot, keys) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET keys = ?2",
                params![self.bot, keys.as_slice()],
            )?,
        }
        for (key, value) in &batch.meta {
            self.check_key(key)?;
            match value {
                None => self.execute("DELETE FROM meta WHERE key = ?1", params![key])?,
                Some(value) => self.execute(
                    "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2",
                    params![key, value.to_string()],
                )?,
            }
        }
        Ok(())
    }

    fn account(&mut self, bot: &str, script: &str, added: u64, removed: u64) {
        if let Some(count) = self.count(bot, script) {
            count.now.bytes = (count.now.bytes + added).saturating_sub(removed);
        }
    }

    fn count(&mut self, bot: &str, script: &str) -> Option<&mut Count> {
        self.counts.get_mut(&Scope { bot: bot.to_owned(), script: script.to_owned() })
    }

    fn check_key(&self, key: &str) -> Result<(), StoreError> {
        let (bytes, limit) = (key.len(), self.limits.key);
        if bytes == 0 || bytes > limit { Err(StoreError::Key { bytes, limit }) } else { Ok(()) }
    }

    fn json(&self, key: &str, value: &Value) -> Result<String, StoreError> {
        let text = value.to_string();
        let (bytes, limit) = (text.len(), self.limits.value);
        if bytes > limit {
            return Err(StoreError::Value { key: key.to_owned(), bytes, limit });
        }
        Ok(text)
    }

    fn execute(&self, sql: &str, values: impl rusqlite::Params) -> Result<(), StoreError> {
        let result = self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute(values));
        self.sql(result).map(drop)
    }

    fn sql<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| StoreError::from_sqlite(self.path, &error))
    }
}

fn to_i64(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
