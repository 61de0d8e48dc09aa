//! What an account shows to the world: its state and its counters, readable from any thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::event::room::RoomsView;
use crate::script::metrics::Metric;

/// Where an account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A login is under way or about to begin.
    Connecting,
    /// Ready for stanzas.
    Online,
    /// Paused in the configuration.
    Paused,
    /// Will not try again before the configuration changes.
    Refused,
    /// Will try again by itself.
    Retrying,
    /// Told to stop.
    Stopped,
}

impl State {
    /// The word used in `status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Online => "online",
            Self::Paused => "paused",
            Self::Refused => "refused",
            Self::Retrying => "retrying",
            Self::Stopped => "stopped",
        }
    }
}

/// The part that changes with the state.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Where the account stands.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// Whether the stream was resumed.
    pub resumed: bool,
    /// `tcp` or `websocket`; empty before the first connection.
    pub transport: &'static str,
    /// One sentence for the operator; empty while all is well.
    pub detail: String,
    /// When the next try begins.
    pub next_try: Option<Timestamp>,
    /// Connections made in this process.
    pub connects: u64,
}

/// One script of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptStanding {
    /// Name in the configuration.
    pub name: String,
    /// Content hash.
    pub version: String,
    /// `running`, or why not.
    pub state: String,
    /// Turns that failed since the bot began.
    pub failures: u64,
    /// Where it is left alone because it kept failing.
    pub parked: Option<Parked>,
}

/// A script that is left alone for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// `10 turns in a row failed`
    pub why: String,
    /// When it is tried again.
    pub until: Timestamp,
    /// Events it did not get meanwhile.
    pub skipped: u64,
}

/// Asks the pool how the scripts of a bot stand.
type Scripts = Box<dyn Fn() -> Vec<ScriptStanding> + Send>;
/// Asks the pool what the scripts of a bot count.
type Metrics = Box<dyn Fn() -> Vec<Metric> + Send>;

/// One account's board.
pub struct Board {
    standing: Mutex<Standing>,
    scripts: Mutex<Option<Scripts>>,
    rooms: Mutex<Arc<RoomsView>>,
    metrics: Mutex<Option<Metrics>>,
    /// Messages received.
    pub received: AtomicU64,
    /// Messages written to the stream.
    pub sent: AtomicU64,
    /// Messages the server has acknowledged.
    pub acked: AtomicU64,
    /// Messages that wait to be sent or acknowledged.
    pub queued: AtomicU64,
    /// Turns committed.
    pub turns: AtomicU64,
    /// Turns that failed.
    pub failed: AtomicU64,
    /// Restarts of the actor after a panic.
    pub restarts: AtomicU64,
}

impl Board {
    /// An account that has not begun.
    pub fn new(now: Timestamp) -> Self {
        Self {
            standing: Mutex::new(Standing {
                state: State::Connecting,
                since: now,
                resumed: false,
                transport: "",
                detail: String::new(),
                next_try: None,
                connects: 0,
            }),
            scripts: Mutex::new(None),
            rooms: Mutex::default(),
            metrics: Mutex::new(None),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            acked: AtomicU64::new(0),
            queued: AtomicU64::new(0),
            turns: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
        }
    }

    /// A copy of where it stands.
    pub fn standing(&self) -> Standing {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The state alone.
    pub fn state(&self) -> State {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).state
    }

    /// Changes the state; `since` moves only when the state does.
    pub fn set(&self, now: Timestamp, state: State, detail: impl Into<String>, next_try: Option<Timestamp>) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if standing.state != state {
            standing.since = now;
        }
        standing.state = state;
        standing.detail = detail.into();
        standing.next_try = next_try;
    }

    /// A connection stands.
    pub fn connected(&self, transport: &'static str) {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).transport = transport;
    }

    /// The stream is up.
    pub fn online(&self, now: Timestamp, resumed: bool) {
        self.set(now, State::Online, "", None);
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.resumed = resumed;
        standing.since = now;
        standing.connects += 1;
    }

    /// The scripts as they run now.
    pub fn scripts(&self) -> Vec<ScriptStanding> {
        let scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        scripts.as_ref().map(|ask| ask()).unwrap_or_default()
    }

    /// Names whom to ask for the scripts.
    pub fn ask_scripts(&self, ask: impl Fn() -> Vec<ScriptStanding> + Send + 'static) {
        *self.scripts.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(ask));
    }

    /// The rooms as they were last shown.
    pub fn rooms(&self) -> Arc<RoomsView> {
        Arc::clone(&self.rooms.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The rooms have changed.
    pub fn show_rooms(&self, rooms: Arc<RoomsView>) {
        *self.rooms.lock().unwrap_or_else(PoisonError::into_inner) = rooms;
    }

    /// What the scripts count.
    pub fn metrics(&self) -> Vec<Metric> {
        let metrics = self.metrics.lock().unwrap_or_else(PoisonError::into_inner);
        metrics.as_ref().map(|ask| ask()).unwrap_or_default()
    }

    /// Names whom to ask for what the scripts count.
    pub fn ask_metrics(&self, ask: impl Fn() -> Vec<Metric> + Send + 'static) {
        *self.metrics.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(ask));
    }

    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    /// Reads a counter.
    pub fn read(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}
