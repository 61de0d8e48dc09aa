//! One account's XMPP session as it is kept: what of the inbound stanzas is safe, how far each archive was read,
//! and under which numbers stanzas were written (XEP-0198, XEP-0313).
//!
//! It is kept in the transaction that keeps what the stanzas led to, so that a new process goes on where the old one
//! has stopped, whatever stopped it.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde_json::Value;

use crate::store::error::StoreError;
use crate::store::{Batch, reader::StoreReader};

/// Keys of stanzas that are remembered as handled, for each bot.
pub const RING: usize = 128;

/// Hexadecimal digits of one key in the ring.
const DIGITS: usize = 16;

/// A session under stream management, and what another process needs to go on with it.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRow {
    /// Which session of the bot it is; every new one has a higher number.
    pub epoch: u32,
    /// Inbound stanzas of it that are safe, modulo 2^32.
    pub handled: u32,
    /// What belongs to it: its id, its address, what its server can. The store does not look into it.
    pub state: Value,
    /// The archive was not read to its end since the session began.
    pub catching_up: bool,
}

/// What a batch makes safe of what has come in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Received {
    /// The session and its stanza up to which everything is safe. Of another session than the kept one, or behind
    /// what is kept, it changes nothing.
    pub handled: Option<(u32, u32)>,
    /// Keys of stanzas that are handled with this batch, the oldest first.
    pub keys: Vec<u64>,
    /// How far archives are read with it.
    pub positions: Vec<Position>,
}

/// How far one archive was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Whose archive it is: the account, or a room.
    pub archive: String,
    /// Id of the last message that was handled.
    pub id: String,
    /// When the archive got it, in whole milliseconds.
    pub stamp: Timestamp,
}

/// A stanza of the outbox is about to be written to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// The row.
    pub row: i64,
    /// The session.
    pub epoch: u32,
    /// Which stanza of the session it is, modulo 2^32.
    pub seq: u32,
    /// The last position in the account's archive before it was written: there its copy is looked for.
    pub anchor: Option<String>,
}

/// What is not known any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Forget {
    /// The session, what was handled and where archives were left: the bot has become another account.
    Everything,
    /// Nothing.
    #[default]
    Nothing,
}

/// What is kept of a bot's session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// The last session.
    pub session: Option<SessionRow>,
    /// Keys of handled stanzas, the oldest first.
    pub keys: Vec<u64>,
    /// How far archives were read.
    pub positions: Vec<Position>,
}

impl Received {
    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.handled.is_none() && self.keys.is_empty() && self.positions.is_empty()
    }
}

/// Carries out what a batch says about the session.
pub(super) fn apply(connection: &Connection, path: &Path, batch: &Batch) -> Result<(), StoreError> {
    let execute = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        let result = connection.prepare_cached(sql).and_then(|mut statement| statement.execute(values));
        result.map(drop).map_err(|error| StoreError::from_sqlite(path, &error))
    };
    let bot = &batch.bot;
    if batch.forget == Forget::Everything {
        execute("DELETE FROM session WHERE bot = ?1", params![bot])?;
        execute("DELETE FROM archive WHERE bot = ?1", params![bot])?;
    }
    if let Some(SessionRow { epoch, handled, state, catching_up }) = &batch.session {
        execute(
            "INSERT INTO session (bot, epoch, handled, state, catching_up, ring) VALUES (?1, ?2, ?3, ?4, ?5, '')
             ON CONFLICT DO UPDATE SET handled = CASE WHEN epoch = ?2 THEN handled ELSE ?3 END,
                 epoch = ?2, state = ?4, catching_up = ?5",
            params![bot, epoch, handled, state.to_string(), catching_up],
        )?;
    }
    let Received { handled, keys, positions } = &batch.received;
    if handled.is_some() || !keys.is_empty() {
        let (epoch, handled) = handled.unzip();
        // Only forward, modulo 2^32: two commits may be on their way, and the later one may know less.
        execute(
            "INSERT INTO session (bot, epoch, handled, state, catching_up, ring)
                 VALUES (?1, 0, 0, 'null', 0, substr(?4, 1, ?5))
             ON CONFLICT DO UPDATE SET
                 handled = CASE WHEN epoch = ?2 AND ((?3 - handled) & 4294967295) < 2147483648
                     THEN ?3 ELSE handled END,
                 ring = substr(?4 || ring, 1, ?5)",
            params![bot, epoch, handled, digits(keys), (RING * DIGITS) as i64],
        )?;
    }
    for Position { archive, id, stamp } in positions {
        execute(
            "INSERT INTO archive (bot, archive, id, stamp) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET id = ?3, stamp = ?4",
            params![bot, archive, id, stamp.as_millisecond()],
        )?;
    }
    for Number { row, epoch, seq, anchor } in &batch.numbers {
        execute(
            "UPDATE outbox SET epoch = ?3, seq = ?4, anchor = ?5 WHERE id = ?1 AND bot = ?2",
            params![row, bot, epoch, seq, anchor],
        )?;
    }
    Ok(())
}

impl StoreReader {
    /// What is kept of the bot's session.
    pub fn session(&self, bot: &str) -> Result<Kept, StoreError> {
        let row: Option<(u32, u32, String, bool, String)> = self.one(
            "SELECT epoch, handled, state, catching_up, ring FROM session WHERE bot = ?1",
            params![bot],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
        )?;
        let rows: Vec<(String, String, i64)> = self.all(
            "SELECT archive, id, stamp FROM archive WHERE bot = ?1 ORDER BY archive",
            params![bot],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        let mut kept = Kept::default();
        for (archive, id, stamp) in rows {
            kept.positions.push(Position { archive, id, stamp: self.moment(stamp)? });
        }
        if let Some((epoch, handled, state, catching_up, ring)) = row {
            kept.session = Some(SessionRow { epoch, handled, state: self.json(&state)?, catching_up });
            kept.keys = keys(&ring);
        }
        Ok(kept)
    }
}

/// The ring as text, the newest first.
fn digits(keys: &[u64]) -> String {
    keys.iter().rev().map(|key| format!("{key:016x}")).collect()
}

/// The other way round. What is no key is left out: at worst a stanza is handled that was handled before.
fn keys(ring: &str) -> Vec<u64> {
    let chunk = |chunk: &[u8]| u64::from_str_radix(std::str::from_utf8(chunk).ok()?, 16).ok();
    ring.as_bytes().chunks_exact(DIGITS).rev().filter_map(chunk).collect()
}

/// The number a row of the outbox has, from its three columns.
pub(super) fn number(row: i64, columns: (Option<u32>, Option<u32>, Option<String>)) -> Option<Number> {
    let (Some(epoch), Some(seq), anchor) = columns else { return None };
    Some(Number { row, epoch, seq, anchor })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{OutboxRow, Store, StoreOptions};

    #[test]
    fn a_session_is_kept_and_what_is_safe_only_grows() {
        let store = store();
        let safe = |epoch, handled, keys: &[u64]| Batch {
            received: Received { handled: Some((epoch, handled)), keys: keys.to_vec(), positions: vec![] },
            ..batch()
        };
        commit(&store, Batch { session: Some(session(3, 0)), ..batch() });
        commit(&store, safe(3, 7, &[1, 2]));
        commit(&store, safe(3, 5, &[]));
        commit(&store, safe(2, 900, &[3]));
        let kept = read(&store);
        assert_eq!(kept.session, Some(session(3, 7)));
        assert_eq!(kept.keys, [1, 2, 3]);
        // The same session with another state keeps its count, the next one begins its own.
        commit(&store, Batch { session: Some(session(3, 0)), ..batch() });
        assert_eq!(read(&store).session, Some(session(3, 7)));
        commit(&store, Batch { session: Some(session(4, 0)), ..batch() });
        assert_eq!(read(&store).session, Some(session(4, 0)));
    }

    /// XEP-0198 §4: counters wrap at 2^32.
    #[test]
    fn what_is_safe_passes_the_wrap() {
        let store = store();
        commit(&store, Batch { session: Some(session(1, u32::MAX - 1)), ..batch() });
        for handled in [u32::MAX, 1, 0] {
            let received = Received { handled: Some((1, handled)), ..Received::default() };
            commit(&store, Batch { received, ..batch() });
        }
        assert_eq!(read(&store).session.map(|row| row.handled), Some(1));
    }

    #[test]
    fn the_ring_forgets_the_oldest() {
        let store = store();
        for first in [0, 100] {
            let keys: Vec<u64> = (first..first + 100).collect();
            commit(&store, Batch { received: Received { keys, ..Received::default() }, ..batch() });
        }
        assert_eq!(read(&store).keys, (72..200).collect::<Vec<u64>>());
    }

    #[test]
    fn positions_and_numbers_are_kept_until_the_bot_is_another_account() {
        let store = store();
        let position = Position { archive: "room@x".into(), id: "a7".into(), stamp: Timestamp::UNIX_EPOCH };
        let received = Received { positions: vec![position.clone()], ..Received::default() };
        let row = OutboxRow {
            id: 0,
            stanza_id: "s".into(),
            xml: "<message/>".into(),
            created: Timestamp::UNIX_EPOCH,
            number: None,
        };
        let committed = store.commit_wait(Batch { received, outbox: vec![row], ..batch() }).expect("kept");
        let number = Number { row: committed.outbox[0], epoch: 2, seq: u32::MAX, anchor: Some("a7".into()) };
        commit(&store, Batch { numbers: vec![number.clone()], ..batch() });
        assert_eq!(read(&store).positions, [position]);
        let rows = store.reader().expect("a reader").outbox("b").expect("rows");
        assert_eq!(rows[0].number, Some(number));
        commit(&store, Batch { forget: Forget::Everything, ..batch() });
        assert_eq!(read(&store), Kept::default());
    }

    fn store() -> Store {
        Store::scratch(StoreOptions::default()).expect("a scratch store")
    }

    fn batch() -> Batch {
        Batch { bot: "b".into(), ..Batch::default() }
    }

    fn session(epoch: u32, handled: u32) -> SessionRow {
        SessionRow { epoch, handled, state: serde_json::json!({"id": "x"}), catching_up: true }
    }

    fn commit(store: &Store, batch: Batch) {
        store.commit_wait(batch).expect("it is kept");
    }

    fn read(store: &Store) -> Kept {
        store.reader().expect("a reader").session("b").expect("it is read")
    }
}
