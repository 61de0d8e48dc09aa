//! Reading what is committed.

mod census;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::store::error::StoreError;
use crate::store::{Clock, OutboxRow, Roster, Scope, TimerRow, apply, schema, session};

/// One thread's view of the store. It sees every commit whose callback has been called.
pub struct StoreReader {
    connection: Connection,
    path: PathBuf,
    clock: Clock,
}

impl StoreReader {
    pub(super) fn open(path: &Path, clock: Clock) -> Result<Self, StoreError> {
        Ok(Self { connection: schema::open_reader(path)?, path: path.to_owned(), clock })
    }

    /// The value under `key`, unless it has expired.
    pub fn get(&self, scope: &Scope, key: &str) -> Result<Option<Value>, StoreError> {
        Ok(self.entry(scope, key)?.map(|(value, _)| value))
    }

    /// The value under `key` and when it expires.
    pub fn entry(&self, scope: &Scope, key: &str) -> Result<Option<(Value, Option<Timestamp>)>, StoreError> {
        let row: Option<(String, Option<i64>)> = self.one(
            "SELECT value, expires FROM kv WHERE bot = ?1 AND script = ?2 AND key = ?3
             AND (expires IS NULL OR expires > ?4)",
            params![scope.bot, scope.script, key, self.now()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let Some((text, expires)) = row else { return Ok(None) };
        Ok(Some((self.json(&text)?, expires.map(|at| self.moment(at)).transpose()?)))
    }

    /// Up to `limit` keys that begin with `prefix`, in byte order.
    pub fn keys(&self, scope: &Scope, prefix: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        let find = || -> rusqlite::Result<Vec<String>> {
            let mut statement = self.connection.prepare_cached(
                "SELECT key FROM kv WHERE bot = ?1 AND script = ?2 AND key >= ?3
                 AND (expires IS NULL OR expires > ?4) ORDER BY key",
            )?;
            let mut rows = statement.query(params![scope.bot, scope.script, prefix, self.now()])?;
            let mut keys = Vec::new();
            while keys.len() < limit {
                let Some(row) = rows.next()? else { break };
                let key: String = row.get(0)?;
                // Keys with one prefix stand together, from the prefix itself on.
                if !key.starts_with(prefix) {
                    break;
                }
                keys.push(key);
            }
            Ok(keys)
        };
        self.sql(find())
    }

    /// Bytes that the script keeps, counted as [`crate::store::Allowance::bytes`] says.
    pub fn usage(&self, scope: &Scope) -> Result<u64, StoreError> {
        Ok(self.sql(apply::kept(&self.connection, &scope.bot, &scope.script))?.bytes)
    }

    /// The script's timer of that number.
    pub fn timer(&self, scope: &Scope, id: i64) -> Result<Option<TimerRow>, StoreError> {
        let raw = self.one(
            "SELECT id, bot, script, name, due_ms, data FROM timers WHERE id = ?1 AND bot = ?2 AND script = ?3",
            params![id, scope.bot, scope.script],
            raw_timer,
        )?;
        raw.map(|raw| self.timer_row(raw)).transpose()
    }

    /// Up to `limit` timers of the script, all or those of that name, the earliest first.
    pub fn timers(
        &self,
        scope: &Scope,
        name: Option<&str>,
        limit: usize,
    ) -> Result<Vec<TimerRow>, StoreError> {
        let raw = self.all(
            "SELECT id, bot, script, name, due_ms, data FROM timers
             WHERE bot = ?1 AND script = ?2 AND (?3 IS NULL OR name = ?3) ORDER BY due_ms, id LIMIT ?4",
            params![scope.bot, scope.script, name, bound(limit)],
            raw_timer,
        )?;
        raw.into_iter().map(|raw| self.timer_row(raw)).collect()
    }

    /// Up to `limit` timers of all bots that are due by `until`, the earliest first.
    pub fn due_timers(&self, until: Timestamp, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        let raw = self.all(
            "SELECT id, bot, script, name, due_ms, data FROM timers
             WHERE due_ms <= ?1 ORDER BY due_ms, id LIMIT ?2",
            params![until.as_millisecond(), bound(limit)],
            raw_timer,
        )?;
        raw.into_iter().map(|raw| self.timer_row(raw)).collect()
    }

    /// When the next timer of all bots is due.
    pub fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let due: Option<i64> =
            self.one("SELECT due_ms FROM timers ORDER BY due_ms, id LIMIT 1", [], |row| row.get(0))?;
        due.map(|at| self.moment(at)).transpose()
    }

    /// When the first timer after the one given is due: for a wheel that holds a part of them.
    pub fn next_due_after(&self, after: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let due: Option<i64> = self.one(
            "SELECT due_ms FROM timers WHERE due_ms > ?1 ORDER BY due_ms, id LIMIT 1",
            params![after.as_millisecond()],
            |row| row.get(0),
        )?;
        due.map(|at| self.moment(at)).transpose()
    }

    /// The bot's unacknowledged stanzas, the oldest first.
    pub fn outbox(&self, bot: &str) -> Result<Vec<OutboxRow>, StoreError> {
        self.outbox_after(bot, 0, usize::MAX)
    }

    /// The bot's unacknowledged stanzas behind row `after`, the oldest first, at most `limit`.
    pub fn outbox_after(&self, bot: &str, after: i64, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        self.outbox_rows(
            "SELECT id, stanza_id, xml, created, epoch, seq, anchor FROM outbox
             WHERE bot = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
            params![bot, after, bound(limit)],
        )
    }

    /// Those of them that have a number, and so may have been written, the oldest first, at most `limit`.
    pub fn outbox_numbered(&self, bot: &str, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        self.outbox_rows(
            "SELECT id, stanza_id, xml, created, epoch, seq, anchor FROM outbox
             WHERE bot = ?1 AND seq IS NOT NULL ORDER BY id LIMIT ?2",
            params![bot, bound(limit)],
        )
    }

    fn outbox_rows(&self, sql: &str, values: impl Params) -> Result<Vec<OutboxRow>, StoreError> {
        let rows = self.all(sql, values, |row| {
            let number = session::number(row.get(0)?, (row.get(4)?, row.get(5)?, row.get(6)?));
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, number))
        })?;
        rows.into_iter()
            .map(|(id, stanza_id, xml, created, number)| {
                Ok(OutboxRow { id, stanza_id, xml, created: self.moment(created)?, number })
            })
            .collect()
    }

    /// The bot's roster.
    pub fn roster(&self, bot: &str) -> Result<Option<Roster>, StoreError> {
        let row: Option<(Option<String>, String)> =
            self.one("SELECT ver, items FROM roster WHERE bot = ?1", params![bot], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let Some((ver, items)) = row else { return Ok(None) };
        Ok(Some(Roster { ver, items: self.json(&items)? }))
    }

    /// The bot's login keys.
    pub fn sasl(&self, bot: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let keys = self.one("SELECT keys FROM sasl WHERE bot = ?1", params![bot], |row| row.get(0))?;
        Ok(keys.map(Zeroizing::new))
    }

    /// A value of the runtime itself.
    pub fn meta(&self, key: &str) -> Result<Option<Value>, StoreError> {
        let text: Option<String> =
            self.one("SELECT value FROM meta WHERE key = ?1", params![key], |row| row.get(0))?;
        text.map(|text| self.json(&text)).transpose()
    }

    /// Reads the whole file for damage, which takes a while: for `doctor`.
    pub fn check(&self) -> Result<(), StoreError> {
        schema::check(&self.connection, &self.path)
    }

    /// The highest timer number that was ever stored.
    pub(super) fn last_timer_id(&self) -> Result<i64, StoreError> {
        let last = self
            .one("SELECT seq FROM sqlite_sequence WHERE name = 'timers'", [], |row| row.get::<_, i64>(0))?;
        Ok(last.unwrap_or(0))
    }

    fn timer_row(&self, raw: RawTimer) -> Result<TimerRow, StoreError> {
        let RawTimer { id, bot, script, name, due, data } = raw;
        Ok(TimerRow { id, bot, script, name, due: self.moment(due)?, data: self.json(&data)? })
    }

    fn now(&self) -> i64 {
        (self.clock)().as_millisecond()
    }

    pub(super) fn moment(&self, milliseconds: i64) -> Result<Timestamp, StoreError> {
        Timestamp::from_millisecond(milliseconds).map_err(|error| self.damaged(error.to_string()))
    }

    pub(super) fn json(&self, text: &str) -> Result<Value, StoreError> {
        serde_json::from_str(text).map_err(|error| self.damaged(format!("a value is not JSON: {error}")))
    }

    fn damaged(&self, detail: String) -> StoreError {
        StoreError::Corrupt { path: self.path.clone(), detail }
    }

    pub(super) fn one<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let find = || self.connection.prepare_cached(sql)?.query_row(values, read).optional();
        self.sql(find())
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let find = || self.connection.prepare_cached(sql)?.query_map(values, read)?.collect();
        self.sql(find())
    }

    fn sql<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| StoreError::from_sqlite(&self.path, &error))
    }
}

struct RawTimer {
    id: i64,
    bot: String,
    script: String,
    name: String,
    due: i64,
    data: String,
}

fn raw_timer(row: &Row<'_>) -> rusqlite::Result<RawTimer> {
    Ok(RawTimer {
        id: row.get(0)?,
        bot: row.get(1)?,
        script: row.get(2)?,
        name: row.get(3)?,
        due: row.get(4)?,
        data: row.get(5)?,
    })
}

fn bound(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
