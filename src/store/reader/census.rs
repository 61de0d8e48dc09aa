//! What waits in the store for a script, summed up: for plans and for `status`.

use rusqlite::params;
use serde_json::Value;

use crate::store::Scope;
use crate::store::error::StoreError;
use crate::store::reader::{StoreReader, bound};

impl StoreReader {
    /// How many timers of the script wait under each of up to `limit` names, in the order of names.
    pub fn timer_names(&self, scope: &Scope, limit: usize) -> Result<Vec<(String, u64)>, StoreError> {
        self.all(
            "SELECT name, COUNT(*) FROM timers WHERE bot = ?1 AND script = ?2 GROUP BY name ORDER BY name LIMIT ?3",
            params![scope.bot, scope.script, bound(limit)],
            |row| Ok((row.get(0)?, u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0))),
        )
    }

    /// Up to `limit` values that have not expired, of those whose keys lie between `from` and before `end`.
    pub fn values_between(
        &self,
        scope: &Scope,
        (from, end): (&str, &str),
        limit: usize,
    ) -> Result<Vec<Value>, StoreError> {
        let texts: Vec<String> = self.all(
            "SELECT value FROM kv WHERE bot = ?1 AND script = ?2 AND key >= ?3 AND key < ?4
             AND (expires IS NULL OR expires > ?5) ORDER BY key LIMIT ?6",
            params![scope.bot, scope.script, from, end, self.now(), bound(limit)],
            |row| row.get(0),
        )?;
        texts.iter().map(|text| self.json(text)).collect()
    }
}
