//! The flight recorder: which turns were at work when a process died, so that the next one knows what has killed it.
//!
//! One line of a file a thread, written before a turn and cleared after it. Nothing is flushed: it survives the end of
//! the process, not that of the machine, and costs two writes into memory of the system.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::store::error::StoreError;
use crate::store::{Batch, Store};

/// Deaths of the process, by the turn that was at work, and the place where the present turns are noted.
pub struct Flight {
    file: File,
    deaths: BTreeMap<String, u32>,
    /// Turns that were at work at a death run one at a time: so only one of them is ever the next suspect.
    alone: Mutex<()>,
}

/// A turn at work. Dropping it clears its line.
pub struct Turn<'a> {
    flight: &'a Flight,
    seat: u64,
    /// How often the process died while this very turn was at work.
    pub deaths: u32,
    _alone: Option<MutexGuard<'a, ()>>,
}

/// Name of the file in the store's folder.
const FILE: &str = "flight";
/// Where the deaths are kept, among the values of the runtime.
const DEATHS: &str = "deaths";
/// Turns that are remembered; beyond that the oldest go.
const MOST: usize = 256;
/// Bytes of a line.
const LINE: usize = 256;
/// Bytes of the file that are read: more threads than a machine has.
const LONGEST: u64 = 1024 * LINE as u64;
/// Hexadecimal digits that name a turn.
const DIGITS: usize = 32;

/// Threads that have run turns.
static SEATS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static SEAT: Cell<Option<u64>> = const { Cell::new(None) };
}

impl Flight {
    /// Reads what the process before has left in the store's folder, counts it durably, and begins anew.
    ///
    /// # Errors
    /// What the disk or the store says.
    pub fn open(store: &Store) -> Result<Self, StoreError> {
        let path = store.folder().join(FILE);
        let failed = |error: std::io::Error| StoreError::from_io(&path, &error);
        let mut options = OpenOptions::new();
        // Names of bots and scripts are nobody else's business.
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(failed)?;
        let mut left = Vec::new();
        (&file).take(LONGEST).read_to_end(&mut left).map_err(failed)?;
        let mut known = deaths(store)?;
        let killers: Vec<String> = left.chunks(LINE).filter_map(name).collect();
        for killer in &killers {
            let count = known.iter().position(|(name, _)| name == killer).map_or(0, |at| known.remove(at).1);
            known.push((killer.clone(), count.saturating_add(1)));
        }
        if !killers.is_empty() {
            known.drain(..known.len().saturating_sub(MOST));
            store.commit_wait(Batch {
                meta: vec![(DEATHS.to_owned(), Some(json!(known)))],
                ..Batch::default()
            })?;
            let at_work: Vec<String> = left.chunks(LINE).filter_map(words).collect();
            tracing::warn!(at_work = at_work.join(", "), "the process before died in the middle of turns");
        }
        // Only now: who dies before that counts again, and rather too much than never.
        file.set_len(0).map_err(failed)?;
        file.write_all_at(&[b' '; 64 * LINE], 0).map_err(failed)?;
        Ok(Self { file, deaths: known.into_iter().collect(), alone: Mutex::new(()) })
    }

    /// A turn begins. If it was at work when a process died, no other such turn runs beside it.
    pub fn begin(&self, bot: &str, script: &str, key: &str) -> Turn<'_> {
        let name = digest(bot, script, key);
        let deaths = self.deaths.get(&name).copied().unwrap_or(0);
        let alone = (deaths > 0).then(|| self.alone.lock().unwrap_or_else(PoisonError::into_inner));
        let seat = SEAT.with(|seat| match seat.get() {
            Some(taken) => taken,
            None => {
                let taken = SEATS.fetch_add(1, Ordering::Relaxed);
                seat.set(Some(taken));
                taken
            }
        });
        let mut line = [b' '; LINE];
        let text = name.bytes().chain([b' ']).chain(bot.bytes()).chain([b' ']).chain(script.bytes());
        line.iter_mut().zip(text).for_each(|(place, byte)| *place = byte);
        self.note(seat, &line);
        Turn { flight: self, seat, deaths, _alone: alone }
    }

    fn note(&self, seat: u64, line: &[u8]) {
        if let Err(error) = self.file.write_at(line, seat * LINE as u64) {
            // The turn runs all the same; a death in it would not be known.
            tracing::debug!(%error, "the flight recorder takes nothing");
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.flight.note(self.seat, &[b' '; DIGITS]);
    }
}

/// The deaths that are known, the latest last. What cannot be read is none: at worst something is tried more often.
fn deaths(store: &Store) -> Result<Vec<(String, u32)>, StoreError> {
    let kept = store.reader()?.meta(DEATHS)?;
    let entry = |entry: &Value| {
        let count = entry[1].as_u64().and_then(|count| u32::try_from(count).ok())?;
        Some((entry[0].as_str()?.to_owned(), count))
    };
    Ok(kept.as_ref().and_then(Value::as_array).into_iter().flatten().filter_map(entry).collect())
}

/// The name of the turn that a line is about; `None` where the line is clear.
fn name(line: &[u8]) -> Option<String> {
    let digits = std::str::from_utf8(line.get(..DIGITS)?).ok()?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| digits.to_owned())
}

/// Bot and script of a line, for people.
fn words(line: &[u8]) -> Option<String> {
    name(line)?;
    Some(String::from_utf8_lossy(line.get(DIGITS..)?).trim().chars().filter(|c| !c.is_control()).collect())
}

fn digest(bot: &str, script: &str, key: &str) -> String {
    let mut hash = Sha256::new();
    for part in [bot, script, key] {
        hash.update(part);
        hash.update([0]);
    }
    let mut digits = String::with_capacity(2 * 32);
    for byte in hash.finalize() {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits.truncate(DIGITS);
    digits
}

/// Forgets what a process has left, where it is certain that it ended in order.
pub fn forget(folder: &Path) {
    if let Err(error) = std::fs::remove_file(folder.join(FILE))
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "the flight recorder could not be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreOptions;

    #[test]
    fn who_is_at_work_when_the_process_dies_is_known_to_the_next() {
        let store = Store::scratch(StoreOptions::default()).expect("a scratch store");
        for deaths in 0..3 {
            let flight = Flight::open(&store).expect("it opens");
            assert_eq!(flight.begin("b", "main", "good").deaths, 0, "it came to its end");
            let turn = flight.begin("b", "main", "bad");
            assert_eq!(turn.deaths, deaths);
            // As if the process had ended here.
            std::mem::forget(turn);
        }
        let flight = Flight::open(&store).expect("it opens");
        assert_eq!(flight.begin("b", "main", "bad").deaths, 3);
        drop(flight);
        let flight = Flight::open(&store).expect("it opens");
        assert_eq!(flight.begin("b", "main", "bad").deaths, 3, "nothing has died since");
        assert_eq!(flight.begin("b", "other", "bad").deaths, 0);
    }

    #[test]
    fn rubbish_and_long_names_are_borne() {
        let store = Store::scratch(StoreOptions::default()).expect("a scratch store");
        std::fs::write(store.folder().join(FILE), vec![0xff; 3 * LINE + 7]).expect("written");
        let flight = Flight::open(&store).expect("it opens");
        let long = "x".repeat(10_000);
        std::mem::forget(flight.begin(&long, &long, &long));
        let flight = Flight::open(&store).expect("it opens");
        assert_eq!(flight.begin(&long, &long, &long).deaths, 1);
    }

    #[test]
    fn the_oldest_deaths_are_forgotten() {
        let store = Store::scratch(StoreOptions::default()).expect("a scratch store");
        for number in 0..MOST + 2 {
            let flight = Flight::open(&store).expect("it opens");
            std::mem::forget(flight.begin("b", "main", &number.to_string()));
        }
        let flight = Flight::open(&store).expect("it opens");
        assert_eq!(flight.begin("b", "main", "0").deaths, 0);
        assert_eq!(flight.begin("b", "main", &(MOST + 1).to_string()).deaths, 1);
    }
}
