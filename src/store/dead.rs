//! Dead letters: what a bot could not handle, kept until an operator tries it again or drops it.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde_json::Value;

use crate::store::error::StoreError;
use crate::store::{Batch, reader::StoreReader};

/// The script's name of timers that are events to be tried again. No script is called so.
pub const RETRIES: &str = "retry:";

/// Letters that are kept of one bot; beyond that the oldest go, and are counted.
pub const LETTERS: usize = 1_000;

/// Bytes that the events of one bot's letters may take; beyond that the oldest go, and are counted. The newest stays.
pub const BYTES: u64 = 16 * 1024 * 1024;

/// An event that was given up.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// Its number, ascending. Ignored in a batch.
    pub id: i64,
    /// The bot. Ignored in a batch, where the batch's own is taken.
    pub bot: String,
    /// The script that could not handle it; empty where no single one is at fault.
    pub script: String,
    /// What `rhapsode why` and the log call the event.
    pub event: String,
    /// `message`, `timer:tea`…
    pub kind: String,
    /// Who it came from, where somebody did.
    pub from: Option<String>,
    /// How often it was tried.
    pub tries: u32,
    /// What went wrong the last time.
    pub error: String,
    /// When it was given up, in whole milliseconds.
    pub at: Timestamp,
    /// The event itself, where it can be tried again. The store does not look into it.
    pub data: Option<Value>,
}

/// How many letters one bot has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The bot.
    pub bot: String,
    /// Letters that are kept.
    pub kept: u64,
    /// Letters that had to make room for newer ones, ever.
    pub displaced: u64,
    /// Events that wait to be tried again.
    pub waiting: u64,
}

/// Carries out what a batch says about letters.
pub(super) fn apply(connection: &Connection, path: &Path, batch: &Batch) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| StoreError::from_sqlite(path, &error);
    for letter in &batch.dead {
        insert(connection, &batch.bot, letter).map_err(failed)?;
    }
    if !batch.dead.is_empty() {
        let displaced = make_room(connection, &batch.bot).map_err(failed)?;
        if displaced > 0 {
            tracing::warn!(
                bot = batch.bot,
                displaced,
                "the oldest dead letters had to make room for newer ones"
            );
        }
    }
    for id in &batch.buried {
        let mut statement =
            connection.prepare_cached("DELETE FROM dead WHERE id = ?1 AND bot = ?2").map_err(failed)?;
        statement.execute(params![id, batch.bot]).map_err(failed)?;
    }
    Ok(())
}

fn insert(connection: &Connection, bot: &str, letter: &Letter) -> rusqlite::Result<()> {
    let Letter { id: _, bot: _, script, event, kind, from, tries, error, at, data } = letter;
    let mut statement = connection.prepare_cached(
        "INSERT INTO dead (bot, script, event, kind, sender, tries, error, at, data)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let data = data.as_ref().map(Value::to_string);
    statement
        .execute(params![bot, script, event, kind, from, tries, error, at.as_millisecond(), data])
        .map(drop)
}

/// Removes the oldest beyond the bounds, counts them, and says how many.
fn make_room(connection: &Connection, bot: &str) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare_cached(
        "DELETE FROM dead WHERE bot = ?1 AND id IN (
             SELECT id FROM (
                 SELECT id, row_number() OVER newest AS place,
                     sum(ifnull(octet_length(data), 0)) OVER newest AS bytes
                 FROM dead WHERE bot = ?1 WINDOW newest AS (ORDER BY id DESC)
             ) WHERE place > ?2 OR (bytes > ?3 AND place > 1))",
    )?;
    let bounds = (i64::try_from(LETTERS).unwrap_or(i64::MAX), i64::try_from(BYTES).unwrap_or(i64::MAX));
    let displaced = statement.execute(params![bot, bounds.0, bounds.1])?;
    if displaced > 0 {
        let mut statement = connection.prepare_cached(
            "INSERT INTO displaced (bot, letters) VALUES (?1, ?2)
             ON CONFLICT DO UPDATE SET letters = letters + ?2",
        )?;
        statement.execute(params![bot, i64::try_from(displaced).unwrap_or(i64::MAX)])?;
    }
    Ok(displaced)
}

impl StoreReader {
    /// All letters of a bot, the oldest first.
    pub fn letters(&self, bot: &str) -> Result<Vec<Letter>, StoreError> {
        let rows = self.all(
            "SELECT id, script, event, kind, sender, tries, error, at, data FROM dead WHERE bot = ?1 ORDER BY id",
            params![bot],
            |row| {
                let letter = Letter {
                    id: row.get(0)?,
                    bot: bot.to_owned(),
                    script: row.get(1)?,
                    event: row.get(2)?,
                    kind: row.get(3)?,
                    from: row.get(4)?,
                    tries: row.get(5)?,
                    error: row.get(6)?,
                    at: Timestamp::UNIX_EPOCH,
                    data: None,
                };
                Ok((letter, row.get::<_, i64>(7)?, row.get::<_, Option<String>>(8)?))
            },
        )?;
        let whole = |(letter, at, data): (Letter, i64, Option<String>)| {
            let data = data.map(|text| self.json(&text)).transpose()?;
            Ok(Letter { at: self.moment(at)?, data, ..letter })
        };
        rows.into_iter().map(whole).collect()
    }

    /// How many letters there are, and how many events wait to be tried again: bots that have none of both, and never
    /// lost one, are left out.
    pub fn tallies(&self) -> Result<Vec<Tally>, StoreError> {
        self.all(
            "SELECT bot, sum(kept), sum(displaced), sum(waiting) FROM (
                 SELECT bot, 1 AS kept, 0 AS displaced, 0 AS waiting FROM dead
                 UNION ALL SELECT bot, 0, letters, 0 FROM displaced
                 UNION ALL SELECT bot, 0, 0, 1 FROM timers WHERE script = ?1
             ) GROUP BY bot ORDER BY bot",
            params![RETRIES],
            |row| {
                let count = |at: usize| row.get::<_, i64>(at).map(i64::unsigned_abs);
                Ok(Tally { bot: row.get(0)?, kept: count(1)?, displaced: count(2)?, waiting: count(3)? })
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, StoreOptions, TimerRow, TimerWrite};

    #[test]
    fn letters_are_kept_listed_and_buried() {
        let store = store();
        commit(&store, Batch { dead: vec![letter("a1", 10), letter("a2", 10)], ..batch() });
        let letters = read(&store);
        assert_eq!(letters.len(), 2);
        assert_eq!(letters[0], Letter { id: letters[0].id, bot: "b".into(), ..letter("a1", 10) });
        commit(&store, Batch { buried: vec![letters[0].id, 999], ..batch() });
        assert_eq!(read(&store), letters[1..]);
        // Nobody else's.
        let other = Batch { bot: "c".into(), buried: vec![letters[1].id], ..Batch::default() };
        commit(&store, other);
        assert_eq!(read(&store).len(), 1);
    }

    #[test]
    fn the_oldest_make_room_and_are_counted() {
        let store = store();
        for first in (0..LETTERS + 20).step_by(204) {
            let dead = (first..first + 204).map(|number| letter(&number.to_string(), 1)).collect();
            commit(&store, Batch { dead, ..batch() });
        }
        let letters = read(&store);
        assert_eq!((letters.len(), letters[0].event.as_str()), (LETTERS, "20"));
        assert_eq!(tally(&store), Tally { bot: "b".into(), kept: 1_000, displaced: 20, waiting: 0 });
        // Bytes count as well; the newest stays whatever it takes.
        let half = usize::try_from(BYTES / 2).expect("it fits");
        commit(&store, Batch { dead: vec![letter("big", half)], ..batch() });
        commit(&store, Batch { dead: vec![letter("bigger", 2 * half)], ..batch() });
        let letters = read(&store);
        assert_eq!((letters.len(), letters[0].event.as_str()), (1, "bigger"));
        assert_eq!(tally(&store).displaced, 1_021);
    }

    #[test]
    fn what_waits_to_be_tried_again_is_counted() {
        let store = store();
        let row = TimerRow {
            id: store.timer_id(),
            bot: "b".into(),
            script: RETRIES.into(),
            name: "main".into(),
            due: Timestamp::UNIX_EPOCH,
            // More than a script's timer may hold: an event is as large as it came.
            data: "x".repeat(100_000).into(),
        };
        commit(&store, Batch { timers: vec![TimerWrite::Set(row)], ..batch() });
        assert_eq!(tally(&store), Tally { bot: "b".into(), kept: 0, displaced: 0, waiting: 1 });
    }

    fn letter(event: &str, bytes: usize) -> Letter {
        Letter {
            id: 0,
            bot: String::new(),
            script: "main".into(),
            event: event.into(),
            kind: "message".into(),
            from: Some("ann@x".into()),
            tries: 3,
            error: "unknown variable `x`".into(),
            at: Timestamp::UNIX_EPOCH,
            data: Some("x".repeat(bytes).into()),
        }
    }

    fn store() -> Store {
        Store::scratch(StoreOptions::default()).expect("a scratch store")
    }

    fn batch() -> Batch {
        Batch { bot: "b".into(), ..Batch::default() }
    }

    fn commit(store: &Store, batch: Batch) {
        store.commit_wait(batch).expect("it is kept");
    }

    fn read(store: &Store) -> Vec<Letter> {
        store.reader().expect("a reader").letters("b").expect("it is read")
    }

    fn tally(store: &Store) -> Tally {
        store.reader().expect("a reader").tallies().expect("it is read").remove(0)
    }
}
