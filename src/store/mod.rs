//! What must survive a crash: script values, timers, unsent stanzas, rosters and login keys, in one
//! SQLite file that one process owns.
//!
//! All writes go through one thread, which commits whatever has queued up in one transaction and then
//! calls back; readers are connections of their own, one per thread, and see what is committed.

mod apply;
pub mod dead;
pub mod error;
pub mod flight;
pub mod health;
mod lock;
pub mod reader;
mod schema;
pub mod session;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::SystemTime;

use jiff::Timestamp;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::store::dead::Letter;
use crate::store::error::StoreError;
use crate::store::health::Health;
use crate::store::lock::{FolderLock, ScratchFolder};
use crate::store::reader::StoreReader;
use crate::store::session::{Forget, Number, Received, SessionRow};
use crate::store::writer::{SWEEP_EVERY, Workplace, Writer};

/// The store of one process. Clones share it; the last one to go commits what is queued and closes.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

/// How much a commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The callback comes when the disk has it: survives power loss.
    Full,
    /// Survives the end of the process, but not power loss; the file stays consistent.
    Relaxed,
}

/// How a store is opened.
#[derive(Clone)]
pub struct StoreOptions {
    /// What a commit survives.
    pub durability: Durability,
    /// What is refused as too much.
    pub limits: Limits,
    /// The wall clock by which values expire. Tests hand in their own.
    pub clock: Clock,
}

/// A wall clock that any thread may read.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Bounds of what scripts and callers may leave here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one key or timer name.
    pub key: usize,
    /// Bytes of one value, or of one timer's data, as JSON.
    pub value: usize,
    /// What one script of one bot may keep, unless the batch says otherwise.
    pub scope: Allowance,
    /// Batches that may wait for the writer; more are refused with [`StoreError::Busy`].
    pub queue: usize,
    /// Bytes the file may have. `None`: the disk is the limit.
    pub file: Option<u64>,
}

/// What one script of one bot may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Bytes. A row counts its key (or name), its value and [`ROW_COST`].
    pub bytes: u64,
    /// Timers that wait.
    pub timers: u64,
}

/// What a row counts beside its text.
pub const ROW_COST: u64 = 32;

/// Whose values: one script of one bot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// Name of the bot.
    pub bot: String,
    /// Name of the script.
    pub script: String,
}

/// What one turn of one bot leaves behind: all of it is kept, or none.
#[derive(Clone, Default)]
pub struct Batch {
    /// The bot to which everything below belongs, except `meta`.
    pub bot: String,
    /// Values of its scripts, applied in order.
    pub writes: Vec<Write>,
    /// Values that all bots have in common, in the scope [`Scope::shared`], applied in order.
    pub shared: Vec<Write>,
    /// What the turns went by among those values: if one has changed since, the batch is refused with
    /// [`StoreError::Conflict`] and the turns must run again.
    pub seen: Vec<Seen>,
    /// Timers, applied in order.
    pub timers: Vec<TimerWrite>,
    /// Stanzas to be sent, in order.
    pub outbox: Vec<OutboxRow>,
    /// Outbox rows that the server has acknowledged. A row that is gone already is no error.
    pub sent: Vec<i64>,
    /// Numbers under which outbox rows are about to be written to a stream.
    pub numbers: Vec<Number>,
    /// What of the inbound stanzas is safe with this batch.
    pub received: Received,
    /// The session that begins, or what has changed about it.
    pub session: Option<SessionRow>,
    /// Archive positions that are no use any more.
    pub forget: Forget,
    /// The bot's roster, replaced as a whole.
    pub roster: Option<Roster>,
    /// Login keys that spare the next login the derivation. An empty blob forgets them.
    pub sasl: Option<Zeroizing<Vec<u8>>>,
    /// Values of the runtime itself, by key; `None` removes. Belongs to no bot.
    pub meta: Vec<(String, Option<Value>)>,
    /// Events that are given up.
    pub dead: Vec<Letter>,
    /// Dead letters that go: dropped, or tried again. One that is gone already is no error.
    pub buried: Vec<i64>,
    /// What scripts of this bot may keep, by name. Those that are missing have the store's own limit.
    pub allowed: BTreeMap<String, Allowance>,
}

/// A shared value as a turn has read it; `None` where there was none, or it had expired.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Its key.
    pub key: String,
    /// The value and when it goes away.
    pub entry: Option<(Value, Option<Timestamp>)>,
}

/// A value is set or removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// Whose value.
    pub script: String,
    /// Its key.
    pub key: String,
    /// The value. `None` removes it.
    pub value: Option<Value>,
    /// When it goes away. `None`: never.
    pub expires: Option<Timestamp>,
}

/// A timer is set or removed.
#[derive(Clone, Debug, PartialEq)]
pub enum TimerWrite {
    /// It was cancelled or has been handled. One that is gone already is no error.
    Remove {
        /// Its number.
        id: i64,
    },
    /// Set it. The number comes from [`Store::timer_id`].
    Set(TimerRow),
    /// Set it for the bot that the row names, which need not be the batch's own.
    Tell(TimerRow),
}

/// A timer that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct TimerRow {
    /// Its number, never used twice.
    pub id: i64,
    /// Who gets it. In a batch, the batch's own bot is taken instead.
    pub bot: String,
    /// Which script set it.
    pub script: String,
    /// Its name, not unique.
    pub name: String,
    /// When it is due, in whole milliseconds.
    pub due: Timestamp,
    /// What the script wanted to remember.
    pub data: Value,
}

/// A stanza that is to be sent and not yet acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxRow {
    /// Its number, ascending in the order of commits. Ignored in a batch.
    pub id: i64,
    /// The stanza's `id` attribute.
    pub stanza_id: String,
    /// The stanza, standing alone.
    pub xml: String,
    /// When the script asked for it, in whole milliseconds.
    pub created: Timestamp,
    /// The number it was to be written under. Ignored in a batch: see [`Batch::numbers`].
    pub number: Option<Number>,
}

/// A roster as the server last told it, RFC 6121 §2.6.
#[derive(Clone, Debug, PartialEq)]
pub struct Roster {
    /// The server's version of it.
    pub ver: Option<String>,
    /// Its items.
    pub items: Value,
}

/// What a committed batch was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Numbers of the new outbox rows, in the batch's order.
    pub outbox: Vec<i64>,
    /// The earliest moment among the timers that were set.
    pub earliest: Option<Timestamp>,
}

/// Called once from the store's thread (from the caller's if the store is closed), when a batch is on disk or
/// has failed. It must not block: everyone waits behind it.
pub type Done = Box<dyn FnOnce(Result<Committed, StoreError>) + Send>;

/// Dropped in this order: the writer closes the file last, the scratch folder goes after it.
struct Shared {
    reader: Mutex<StoreReader>,
    writer: Writer,
    _scratch: Option<ScratchFolder>,
    folder: PathBuf,
    clock: Clock,
    queue: usize,
    left: Option<Timestamp>,
    timer_ids: AtomicI64,
}

impl Scope {
    /// Where the values lie that all bots have in common. No bot and no script is called so.
    pub fn shared() -> Self {
        Self { bot: SHARED.to_owned(), script: SHARED.to_owned() }
    }
}

/// See [`Scope::shared`].
pub const SHARED: &str = "*";

impl Batch {
    /// Whether it is one statement of SQL, or several of which each is right by itself.
    fn is_single(&self) -> bool {
        let Self {
            bot: _,
            writes,
            shared,
            seen: _,
            timers,
            outbox,
            sent,
            numbers,
            received,
            session,
            forget,
            roster,
            sasl,
            meta,
            dead,
            buried,
            allowed: _,
        } = self;
        let others = !writes.is_empty()
            || !numbers.is_empty()
            || !received.is_empty()
            || session.is_some()
            || *forget != Forget::Nothing
            || !shared.is_empty()
            || !timers.is_empty()
            || roster.is_some()
            || sasl.is_some()
            || !dead.is_empty()
            || !buried.is_empty()
            || !meta.is_empty();
        // Rows that the server has acknowledged may go in any number: what stays goes with the next batch.
        !others && outbox.len() <= 1 && (outbox.is_empty() || sent.is_empty())
    }
}

impl Store {
    /// Opens or creates the store in the folder `dir`, for this process alone.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process has it; [`StoreError::Corrupt`], [`StoreError::Newer`] and
    /// [`StoreError::Foreign`] if the file is not to be touched; otherwise what the disk said.
    pub fn open(dir: &Path, durability: Durability) -> Result<Self, StoreError> {
        Self::open_with(dir, StoreOptions { durability, ..StoreOptions::default() })
    }

    /// As [`Store::open`], with everything chosen.
    pub fn open_with(dir: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        Self::start(dir, options, None)
    }

    /// A store in a folder of its own that vanishes with it: for trying scripts out.
    pub fn scratch(options: StoreOptions) -> Result<Self, StoreError> {
        let folder = ScratchFolder::create()?;
        let path = folder.path.clone();
        Self::start(&path, options, Some(folder))
    }

    /// The folder it lives in.
    pub fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// The latest moment at which the process before may have lived, two minutes late at most. `None`: nobody can tell.
    pub fn left_at(&self) -> Option<Timestamp> {
        self.shared.left
    }

    /// A connection to read by; one per thread.
    pub fn reader(&self) -> Result<StoreReader, StoreError> {
        StoreReader::open(&self.shared.folder.join(schema::FILE), Arc::clone(&self.shared.clock))
    }

    /// Queues `batch`. Batches are committed in the order of the calls, several at a time; each is kept or
    /// refused by itself.
    pub fn commit(&self, batch: Batch, done: Done) {
        self.shared.writer.push(batch, done, self.shared.queue);
    }

    /// As [`Store::commit`], and waits. Not for threads that others wait for, nor for callbacks.
    pub fn commit_wait(&self, batch: Batch) -> Result<Committed, StoreError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        // The receiver waits two lines below; if it is gone, so is the thread that wanted to know.
        self.commit(batch, Box::new(move |result| drop(sender.send(result))));
        receiver.recv().unwrap_or(Err(StoreError::Closed))
    }

    /// A fresh number for a timer.
    pub fn timer_id(&self) -> i64 {
        self.shared.timer_ids.fetch_add(1, Ordering::Relaxed)
    }

    /// Up to `limit` timers of all bots that are due by `until`, the earliest first.
    pub fn due_timers(&self, until: Timestamp, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        self.shared.reader.lock().unwrap_or_else(PoisonError::into_inner).due_timers(until, limit)
    }

    /// When the next timer of all bots is due.
    pub fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.shared.reader.lock().unwrap_or_else(PoisonError::into_inner).next_due()
    }

    /// How it fares.
    pub fn health(&self) -> Health {
        self.shared.writer.health()
    }

    /// Batches that wait for the writer.
    pub fn queued(&self) -> usize {
        self.shared.writer.queued()
    }

    fn start(dir: &Path, options: StoreOptions, scratch: Option<ScratchFolder>) -> Result<Self, StoreError> {
        let lock = FolderLock::acquire(dir)?;
        let path = dir.join(schema::FILE);
        let connection = schema::open_writer(&path, &options)?;
        let reader = StoreReader::open(&path, Arc::clone(&options.clock))?;
        let timer_ids = AtomicI64::new(reader.last_timer_id()? + 1);
        let clock = Arc::clone(&options.clock);
        let left = lock.left.and_then(|left| latest_life(left, clock()));
        let place = Workplace { connection, path, limits: options.limits, clock, lock };
        let writer = Writer::start(place)?;
        Ok(Self {
            shared: Arc::new(Shared {
                reader: Mutex::new(reader),
                writer,
                _scratch: scratch,
                folder: dir.to_owned(),
                clock: options.clock,
                queue: options.limits.queue,
                left,
                timer_ids,
            }),
        })
    }
}

/// A process that was killed lived on for a while after its last sign.
fn latest_life(sign: SystemTime, now: Timestamp) -> Option<Timestamp> {
    let sign = Timestamp::try_from(sign).ok()?;
    Some(sign.checked_add(2 * SWEEP_EVERY).ok()?.min(now))
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { durability: Durability::Full, limits: Limits::DEFAULT, clock: Arc::new(Timestamp::now) }
    }
}

impl Limits {
    /// Values of 64 KiB; 16 MiB and 10,000 timers a script.
    pub const DEFAULT: Limits =
        Limits { key: 512, value: 65_536, scope: Allowance::DEFAULT, queue: 65_536, file: None };
}

impl Allowance {
    /// 16 MiB and 10,000 timers.
    pub const DEFAULT: Allowance = Allowance { bytes: 16 * 1024 * 1024, timers: 10_000 };
}
