//! The one thread that writes: it takes whatever has queued up, commits it in one transaction, and calls back.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tracing::{debug, error, warn};

use crate::store::apply::{Usage, apply, sweep};
use crate::store::error::StoreError;
use crate::store::health::{Fare, Health, drilled};
use crate::store::lock::FolderLock;
use crate::store::{Batch, Clock, Committed, Done, Limits};

/// The queue in front of the thread. Dropping it commits what is queued and waits for the thread to end.
pub(super) struct Writer {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread works with.
pub(super) struct Workplace {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    pub(super) limits: Limits,
    pub(super) clock: Clock,
    /// Let go of after the connection is closed.
    pub(super) lock: FolderLock,
}

impl Writer {
    pub(super) fn start(place: Workplace) -> Result<Self, StoreError> {
        let queue = Arc::new(Queue::default());
        let path = place.path.clone();
        let work = Work {
            place,
            queue: Arc::clone(&queue),
            usage: Usage::default(),
            broken: None,
            swept: Instant::now(),
        };
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || work.run())
            .map_err(|error| StoreError::from_io(&path, &error))?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// Queues `batch`; beyond `limit` waiting ones it is answered with [`StoreError::Busy`], in its turn.
    pub(super) fn push(&self, batch: Batch, done: Done, limit: usize) {
        let mut state = self.queue.state();
        if state.closed {
            drop(state);
            return done(Err(StoreError::Closed));
        }
        let queued = state.jobs.len();
        let order = if queued < limit { Order::Commit(Box::new(batch)) } else { Order::Refuse { queued } };
        state.jobs.push_back(Job { order, done });
        drop(state);
        self.queue.ready.notify_one();
    }

    pub(super) fn health(&self) -> Health {
        self.queue.fare.now()
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.state().jobs.len()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.state().closed = true;
        self.queue.ready.notify_one();
        let Some(thread) = self.thread.take() else { return };
        // A callback may hold the last handle: the thread cannot wait for itself, and ends after this group.
        if thread.thread().id() != thread::current().id() && thread.join().is_err() {
            error!("the store's thread had panicked");
        }
    }
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    ready: Condvar,
    fare: Fare,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

struct Job {
    order: Order,
    done: Done,
}

enum Order {
    Commit(Box<Batch>),
    Refuse { queued: usize },
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to do, at most `patience`. `None`: nothing is left and nothing will come.
    fn take(&self, patience: Duration) -> Option<Vec<Job>> {
        let idle = |state: &mut State| state.jobs.is_empty() && !state.closed;
        let (mut state, _) = self
            .ready
            .wait_timeout_while(self.state(), patience, idle)
            .unwrap_or_else(PoisonError::into_inner);
        if state.jobs.is_empty() && state.closed {
            return None;
        }
        let count = state.jobs.len().min(GROUP);
        Some(state.jobs.drain(..count).collect())
    }
}

struct Work {
    place: Workplace,
    queue: Arc<Queue>,
    usage: Usage,
    /// The disk has failed: nothing more is written.
    broken: Option<StoreError>,
    swept: Instant,
}

type Outcome = Result<Committed, StoreError>;

impl Work {
    fn run(mut self) {
        loop {
            let waiting = self.queue.fare.is_waiting();
            let Some(jobs) = self.queue.take(if waiting { PROBE_EVERY } else { SWEEP_EVERY }) else { break };
            if !jobs.is_empty() {
                self.group(jobs);
            } else if waiting {
                self.probe();
            }
            if self.swept.elapsed() >= SWEEP_EVERY {
                self.swept = Instant::now();
                self.show_life();
                self.sweep();
            }
        }
        self.show_life();
        if self.broken.is_none() {
            self.checkpoint();
        }
    }

    /// Commits `jobs` together and tells each its own outcome, in order.
    fn group(&mut self, jobs: Vec<Job>) {
        let (orders, callbacks): (Vec<Order>, Vec<Done>) =
            jobs.into_iter().map(|job| (job.order, job.done)).unzip();
        let mut outcomes = Vec::with_capacity(orders.len());
        let result = match &self.broken {
            Some(broken) => Err(broken.clone()),
            None => self.transaction(orders, &mut outcomes),
        };
        if let Err(failure) = &result {
            self.fail(failure, &mut outcomes, callbacks.len());
        }
        self.judge(&outcomes);
        for (done, outcome) in callbacks.into_iter().zip(outcomes) {
            // One caller's fault must not take the store from all others.
            if catch_unwind(AssertUnwindSafe(|| done(outcome))).is_err() {
                error!("a callback of the store panicked");
            }
        }
    }

    /// Puts an outcome for each order into `outcomes`; an error concerns all of them.
    fn transaction(&mut self, orders: Vec<Order>, outcomes: &mut Vec<Outcome>) -> Result<(), StoreError> {
        self.sql("BEGIN IMMEDIATE")?;
        for order in orders {
            let outcome = match order {
                Order::Commit(batch) => self.one(&batch),
                Order::Refuse { queued } => Err(StoreError::Busy { queued }),
            };
            if let Err(failure) = &outcome
                && (failure.is_fatal() || self.place.connection.is_autocommit())
            {
                // Either the disk cannot be trusted, or SQLite took back everything: a full disk can do that.
                return Err(failure.clone());
            }
            outcomes.push(outcome);
        }
        match drilled(&self.place.path) {
            Some(failure) => Err(failure),
            None => self.sql("COMMIT"),
        }
    }

    /// What a group says of the disk. One batch may be too large where a smaller one is kept.
    fn judge(&self, outcomes: &[Outcome]) {
        if outcomes.iter().any(Outcome::is_ok) {
            self.queue.fare.recover();
        } else if let Some(failure) =
            outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).find(|it| it.is_passing())
        {
            self.queue.fare.wait(failure);
        }
    }

    /// Looks whether something is kept again, though nobody asks for it.
    fn probe(&mut self) {
        let sql = "INSERT INTO meta (key, value) VALUES ('probe', '0')
                   ON CONFLICT DO UPDATE SET value = CASE value WHEN '0' THEN '1' ELSE '0' END";
        let mut outcome = self.sql("BEGIN IMMEDIATE").and_then(|()| self.sql(sql));
        if let Some(failure) = drilled(&self.place.path) {
            outcome = Err(failure);
        }
        match outcome.and_then(|()| self.sql("COMMIT")) {
            Ok(()) => self.queue.fare.recover(),
            Err(failure) => self.fail(&failure, &mut Vec::new(), 0),
        }
    }

    /// One batch in a savepoint of its own, so that a bad one leaves its neighbours alone. One statement needs none:
    /// SQLite takes back what it had done when it fails.
    fn one(&mut self, batch: &Batch) -> Outcome {
        if batch.is_single() {
            let place = &self.place;
            let now = (place.clock)();
            let applied = apply(&place.connection, &place.path, batch, &place.limits, &mut self.usage, now);
            return applied.map(|(committed, _)| committed);
        }
        self.sql("SAVEPOINT batch")?;
        let place = &self.place;
        let now = (place.clock)();
        match apply(&place.connection, &place.path, batch, &place.limits, &mut self.usage, now) {
            Ok((committed, change)) => {
                self.sql("RELEASE batch")?;
                self.usage.keep(change);
                Ok(committed)
            }
            Err(failure) => {
                if !self.place.connection.is_autocommit() {
                    self.sql("ROLLBACK TO batch")?;
                    self.sql("RELEASE batch")?;
                }
                Err(failure)
            }
        }
    }

    /// The group did not hold: whoever thought to be in it hears why.
    fn fail(&mut self, failure: &StoreError, outcomes: &mut Vec<Outcome>, count: usize) {
        for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_ok()) {
            *outcome = Err(failure.clone());
        }
        outcomes.resize(count, Err(failure.clone()));
        self.usage.forget();
        if !self.place.connection.is_autocommit()
            && let Err(failure) = self.sql("ROLLBACK")
        {
            self.stop(failure);
        }
        if failure.is_fatal() {
            self.stop(failure.clone());
        } else if failure.is_passing() {
            // Told once, with the health.
            debug!(%failure, "nothing of this group was stored");
        } else {
            warn!(%failure, "nothing of this group was stored");
        }
    }

    fn stop(&mut self, failure: StoreError) {
        if self.broken.is_none() {
            self.queue.fare.fail(&failure);
            self.broken = Some(failure);
        }
    }

    /// Removes what has expired, a bounded amount at a time.
    fn sweep(&mut self) {
        if self.broken.is_some() {
            return;
        }
        let now = (self.place.clock)();
        if let Err(failure) = sweep(&self.place.connection, &mut self.usage, now, SWEEP_ROWS) {
            // What has expired is invisible anyway; the next sweep tries again.
            warn!(%failure, "expired values were not removed");
            self.usage.forget();
        }
    }

    fn show_life(&self) {
        self.place.lock.show_life((self.place.clock)().into());
    }

    fn checkpoint(&self) {
        let result = self.place.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(failure) = result {
            // The log holds everything; the next start reads it.
            warn!(%failure, "the log was not written back on closing");
        }
    }

    fn sql(&self, sql: &str) -> Result<(), StoreError> {
        let connection = &self.place.connection;
        match connection.prepare_cached(sql).and_then(|mut statement| statement.execute([])) {
            Ok(_) => Ok(()),
            Err(error) => Err(StoreError::from_sqlite(&self.place.path, &error)),
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let jobs = {
            let mut state = self.queue.state();
            state.closed = true;
            std::mem::take(&mut state.jobs)
        };
        for job in jobs {
            (job.done)(Err(StoreError::Closed));
        }
    }
}

/// Batches in one transaction, so that the first of a long queue does not wait for the last.
const GROUP: usize = 1024;

/// How often a store that waits for the disk is tried.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// How often what has expired is removed, and a sign of life is left.
pub(super) const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// About 10 ms of work.
const SWEEP_ROWS: usize = 2000;
