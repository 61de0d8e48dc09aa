//! The threads that run scripts: a queue per bot, a fast and a slow lane, one commit in flight per bot.
//!
//! A bot is in at most one place: in a lane's run queue, on a thread, or waiting for the store. So its events run
//! one after another, and exactly one version of a script handles each.

pub mod chronicle;
mod fate;
mod handle;
mod lost;
mod still;
mod worker;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::cron::Schedule;
use crate::ids::Seed;
use crate::jid::BareJid;
use crate::moment::Moment;
use crate::script::batch;
use crate::script::bot::{Bot, Item, Progress, Wake};
use crate::script::closures::Fate;
use crate::script::complaints::Complaints;
use crate::script::data::{Data, Read};
use crate::script::hook::{Hook, Hooks};
use crate::script::host::Host;
use crate::script::instance::Surroundings;
use crate::script::lane::Lane;
use crate::script::ledger::Ledger;
use crate::script::metrics::Metrics;
use crate::script::outside::Outside;
use crate::script::overlay::Overlay;
use crate::script::pool::chronicle::Chronicle;
use crate::script::roles::People;
use crate::script::rooms::{Rooms, Seats};
use crate::script::speech;
use crate::script::stack;
use crate::script::table::Table;
use crate::script::ticker::Ticker;
use crate::script::traces::{self, Traces};
use crate::script::turn::Identity;
use crate::script::turnstile::Turnstile;
use crate::script::worst::Worst;
use crate::script::{BotSpec, Delivery, QueueFull, ScriptState, ScriptUse, Sink};
use crate::store::error::StoreError;
use crate::store::flight::Flight;

/// How a pool is started.
#[derive(Clone)]
pub struct PoolOptions {
    /// Threads of the fast lane; the slow lane has one more.
    pub workers: usize,
    /// Where values and timers live: [`crate::store::Store`], or [`crate::script::data::Memory`].
    pub data: Arc<dyn Data>,
    /// The clock. Tests hand in their own and call [`Pool::wake`].
    pub clock: Clock,
    /// From which `rand::` follows. Should be kept over restarts, so that a turn that runs again throws the same.
    pub seed: Seed,
    /// Who makes the requests of scripts: [`crate::http::client::Client`], or
    /// [`crate::script::outside::Nowhere`].
    pub outside: Arc<dyn Outside>,
    /// Notes which turns are at work. With it, messages and timers whose turns fail are tried three times and then given
    /// up as dead letters of the store; without it, a failed turn is the end of the event.
    pub flight: Option<Arc<Flight>>,
}

/// A clock that any thread may read.
pub type Clock = Arc<dyn Fn() -> Moment + Send + Sync>;

/// Events of one bot that run in a row and are committed together.
const ROW: usize = 8;
/// A turn that takes longer sends its bot to the slow lane.
const SLOW: Duration = Duration::from_millis(5);
/// Rows without a slow turn after which a bot returns to the fast lane.
const CLEAN: u32 = 20;

/// The threads that run the scripts of all bots. Dropping it ends them after the turn they are in.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What all threads share.
pub(super) struct Shared {
    pub data: Arc<dyn Data>,
    pub clock: Clock,
    pub seed: Seed,
    pub ticker: Ticker,
    pub outside: Arc<dyn Outside>,
    pub flight: Option<Arc<Flight>>,
    fast: Lane,
    slow: Lane,
    stopping: AtomicBool,
    /// Whether traces hold the texts of messages.
    bodies: AtomicBool,
    /// What the traces of all bots take.
    traces: Arc<Ledger>,
    /// Told when a bot has nothing to do, where somebody waits for that: a pool whose clock stands still.
    rested: Option<(Mutex<()>, Condvar)>,
    bots: Mutex<BTreeMap<String, Weak<Cell>>>,
    addresses: Arc<RwLock<BTreeSet<BareJid>>>,
    names: Arc<RwLock<BTreeSet<String>>>,
    /// The bot whose turns are not to be overtaken by others that write shared values.
    pub turnstile: Turnstile,
    seats: Arc<Seats>,
}

/// One bot on a pool.
#[derive(Clone)]
pub struct BotHandle {
    cell: Arc<Cell>,
    shared: Arc<Shared>,
}

/// One bot: what waits for it, and its scripts.
pub(super) struct Cell {
    pub identity: Arc<Identity>,
    pub sink: Arc<dyn Sink>,
    /// Commits in a row that were refused because shared values had changed.
    pub conflicts: AtomicU32,
    /// Events that may wait.
    capacity: AtomicUsize,
    state: Mutex<State>,
    /// Taken by the one thread that runs the bot.
    bot: Mutex<Option<Bot>>,
    scripts: Mutex<Vec<ScriptState>>,
    hooks: Mutex<Vec<Hook>>,
    traces: Mutex<Traces>,
    /// Failures that were logged.
    pub complaints: Mutex<Complaints>,
    worst: Mutex<Worst>,
}

#[derive(Default)]
struct State {
    /// Replacements, before everything else.
    swaps: VecDeque<Vec<ScriptUse>>,
    /// New schedules, before everything else.
    schedules: Option<Vec<Schedule>>,
    items: VecDeque<Item>,
    /// Events among the items: only they count against the capacity.
    events: usize,
    phase: Phase,
    /// Whether it runs on the slow lane.
    slow: bool,
    clean_rows: u32,
    /// Items that are to be committed one by one, because a row was refused.
    alone: usize,
    /// What became of the last row, until its scripts are told.
    fate: Option<Fate>,
    removed: bool,
}

/// Where a bot is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Nothing to do.
    #[default]
    Idle,
    /// In a run queue, or on a thread.
    Scheduled,
    /// Its last row waits for the store.
    Committing,
}

/// What a thread takes to run.
pub(super) struct Work {
    pub swaps: VecDeque<Vec<ScriptUse>>,
    pub schedules: Option<Vec<Schedule>>,
    pub items: Vec<Item>,
    /// What became of the row before.
    pub fate: Option<Fate>,
    pub removed: bool,
}

impl Pool {
    /// Starts the threads.
    ///
    /// # Errors
    /// What the store says, if it cannot be read.
    pub fn start(options: PoolOptions) -> Result<Pool, StoreError> {
        Self::begin(options, true)
    }

    fn begin(options: PoolOptions, ticking: bool) -> Result<Pool, StoreError> {
        let workers = options.workers.max(1);
        let mut readers = Vec::new();
        for _ in 0..=workers {
            readers.push(options.data.reader()?);
        }
        let shared = Arc::new(Shared {
            ticker: Ticker::new(options.data.next_due()?),
            data: options.data,
            clock: options.clock,
            seed: options.seed,
            outside: options.outside,
            flight: options.flight,
            fast: Lane::default(),
            slow: Lane::default(),
            stopping: AtomicBool::new(false),
            bodies: AtomicBool::new(false),
            traces: Arc::new(Ledger::new(traces::BUDGET)),
            rested: (!ticking).then(Default::default),
            bots: Mutex::default(),
            addresses: Arc::default(),
            names: Arc::default(),
            turnstile: Turnstile::default(),
            seats: Arc::default(),
        });
        let mut threads = Vec::new();
        for (at, reader) in readers.into_iter().enumerate() {
            let shared = shared.clone();
            let name = if at == 0 { "script-slow".to_owned() } else { format!("script-{at}") };
            let thread = stack::spawn(name, move || worker::work(&shared, at == 0, reader));
            // A program without threads runs no bot: there is nothing to fall back to.
            threads.push(thread.expect("the system gives no thread for scripts"));
        }
        if ticking {
            let shared = shared.clone();
            let thread = std::thread::Builder::new().name("script-timers".to_owned());
            let thread = thread.spawn(move || Ticker::run(&shared));
            threads.push(thread.expect("the system gives no thread for timers"));
        }
        Ok(Pool { shared, threads })
    }

    /// Takes a bot in. Its scripts are loaded on a script thread; those that fail to load are parked and told in
    /// [`crate::script::Turned::failures`], the others go on. A bot of the same name must have been removed.
    pub fn add(&self, spec: BotSpec, sink: Arc<dyn Sink>) -> BotHandle {
        locked_write(&self.shared.addresses).insert(spec.jid.clone());
        locked_write(&self.shared.names).insert(spec.name.clone());
        let identity = Arc::new(Identity {
            name: spec.name,
            jid: spec.jid,
            contacts: RwLock::default(),
            people: RwLock::new(People { admins: spec.admins, roles: spec.roles }),
            bots: self.shared.addresses.clone(),
            asking: Arc::default(),
            names: self.shared.names.clone(),
            rooms: Rooms::new(self.shared.seats.clone()),
            rates: Mutex::default(),
            metrics: Metrics::default(),
            speech: RwLock::new(spec.speech),
            stanza: AtomicUsize::new(speech::USUAL),
        });
        let cell = Arc::new(Cell {
            sink,
            conflicts: AtomicU32::new(0),
            capacity: AtomicUsize::new(spec.queue.max(1)),
            state: Mutex::default(),
            bot: Mutex::new(Some(Bot::new(identity.clone()))),
            scripts: Mutex::default(),
            hooks: Mutex::default(),
            traces: Mutex::new(Traces::new(self.shared.traces.clone())),
            complaints: Mutex::default(),
            worst: Mutex::default(),
            identity,
        });
        locked(&self.shared.bots).insert(cell.identity.name.clone(), Arc::downgrade(&cell));
        if !spec.schedules.is_empty() {
            locked(&cell.state).schedules = Some(spec.schedules);
        }
        let handle = BotHandle { cell, shared: self.shared.clone() };
        handle.swap(spec.scripts);
        // Timers of this bot may have been due before it was there.
        self.shared.ticker.look_again();
        handle
    }

    /// What its bots made of their last events.
    pub fn chronicle(&self) -> Chronicle {
        Chronicle { shared: self.shared.clone() }
    }

    /// The webhooks of all its bots.
    pub fn hooks(&self) -> Hooks {
        Hooks { shared: self.shared.clone() }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for lane in [&self.shared.fast, &self.shared.slow] {
            lane.wake_all();
        }
        self.shared.ticker.stop();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            drop(thread.join());
        }
        // Script values are freed on a thread that can bear it.
        let bots: Vec<Arc<Cell>> = locked(&self.shared.bots).values().filter_map(Weak::upgrade).collect();
        stack::on_script_thread(|| {
            for cell in bots {
                cell.dispose();
            }
        });
    }
}

impl Shared {
    /// The bot of that name.
    pub(super) fn bot(&self, name: &str) -> Option<Arc<Cell>> {
        locked(&self.bots).get(name).and_then(Weak::upgrade)
    }

    /// Queues an event if there is room.
    pub(super) fn offer(&self, cell: &Arc<Cell>, delivery: Delivery) -> Result<(), QueueFull> {
        match self.offer_item(cell, Item::Event(delivery)) {
            Err(Item::Event(delivery)) => Err(QueueFull(Box::new(delivery))),
            // What comes back is what was offered.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Queues events as a whole if there is room for one; else gives them back.
    fn offer_group(&self, cell: &Arc<Cell>, group: Vec<Delivery>) -> Result<(), Vec<Delivery>> {
        {
            let mut state = locked(&cell.state);
            if state.removed || state.events >= cell.capacity.load(Ordering::Relaxed) {
                return Err(group);
            }
            state.events += group.len();
            state.items.extend(group.into_iter().map(Item::Event));
        }
        self.schedule(cell);
        Ok(())
    }

    /// Queues something from outside if there is room; else gives it back.
    #[allow(clippy::result_large_err)]
    pub(super) fn offer_item(&self, cell: &Arc<Cell>, item: Item) -> Result<(), Item> {
        {
            let mut state = locked(&cell.state);
            if state.removed || state.events >= cell.capacity.load(Ordering::Relaxed) {
                return Err(item);
            }
            state.events += 1;
            state.items.push_back(item);
        }
        self.schedule(cell);
        Ok(())
    }

    /// Queues something of the script's own doing. It always has room: there is at most one for each declaration
    /// and each request.
    pub(super) fn push(&self, cell: &Arc<Cell>, item: Item) {
        {
            let mut state = locked(&cell.state);
            let waits = |other: &Item| match (other, &item) {
                (
                    Item::Every { script, generation, at, .. },
                    Item::Every { script: script2, generation: generation2, at: at2, .. },
                )
                | (
                    Item::Cron { script, generation, at, .. },
                    Item::Cron { script: script2, generation: generation2, at: at2, .. },
                ) => script == script2 && generation == generation2 && at == at2,
                _ => false,
            };
            if state.removed || state.items.iter().any(waits) {
                return;
            }
            state.items.push_back(item);
        }
        self.schedule(cell);
    }

    /// Puts a bot that has something to do into its lane, unless it is there or busy.
    fn schedule(&self, cell: &Arc<Cell>) {
        let lane = {
            let mut state = locked(&cell.state);
            if state.phase != Phase::Idle || !state.has_work() {
                return;
            }
            state.phase = Phase::Scheduled;
            if state.slow { &self.slow } else { &self.fast }
        };
        lane.push(cell.clone());
    }

    /// The bot's row is done with; what waits may run.
    pub(super) fn release(&self, cell: &Arc<Cell>) {
        locked(&cell.state).phase = Phase::Idle;
        self.schedule(cell);
        self.tell_rested();
    }

    /// Notes when `wakes` are to come.
    pub(super) fn set_wakes(&self, cell: &Arc<Cell>, moment: Moment, wakes: Vec<Wake>) {
        for wake in wakes {
            self.ticker.set(cell, moment.at, wake);
        }
    }
}

impl Cell {
    /// The bot waits for the store.
    pub(super) fn set_committing(&self) {
        locked(&self.state).phase = Phase::Committing;
    }

    /// Its webhooks, as they were after the last replacement or failure.
    pub(super) fn hooks(&self) -> Vec<Hook> {
        locked(&self.hooks).clone()
    }

    /// Moves the bot between the lanes.
    fn judge(&self, slowest: Duration) {
        let mut state = locked(&self.state);
        if slowest > SLOW {
            state.slow = true;
            state.clean_rows = 0;
        } else if state.slow {
            state.clean_rows += 1;
            state.slow = state.clean_rows < CLEAN;
        }
    }

    fn take_work(&self) -> Work {
        let mut state = locked(&self.state);
        let row = if state.alone > 0 { 1 } else { ROW };
        let mut row = row.min(state.items.len());
        // What one stanza has led to is committed together: half a stanza cannot be told from none after a crash.
        while row > 0
            && let (Some(last), Some(next)) = (state.items.get(row - 1), state.items.get(row))
            && batch::number(last).is_some_and(|number| batch::number(next) == Some(number))
        {
            row += 1;
        }
        state.alone = state.alone.saturating_sub(row);
        let items: Vec<Item> = state.items.drain(..row).collect();
        state.events -= items.iter().filter(|item| item.counts()).count();
        let (swaps, schedules) = (std::mem::take(&mut state.swaps), state.schedules.take());
        Work { swaps, schedules, items, fate: state.fate.take(), removed: state.removed }
    }

    fn dispose(&self) {
        if let Some(bot) = locked(&self.bot).take() {
            bot.dispose();
        }
    }
}

impl State {
    fn has_work(&self) -> bool {
        self.removed || !self.swaps.is_empty() || self.schedules.is_some() || !self.items.is_empty()
    }
}

/// Runs what waits for a bot, up to a row, and hands it to the store.
fn run_row(
    shared: &Arc<Shared>,
    cell: &Arc<Cell>,
    work: Work,
    host: &mut Host,
    reader: &mut Option<Box<dyn Read>>,
) {
    if work.removed {
        shared.ticker.lost(work.items.iter().filter_map(batch::timer));
        cell.dispose();
        batch::go_on(shared, &cell.identity.name);
        return;
    }
    let moment = (shared.clock)();
    let mut around = Surroundings {
        data: shared.data.clone(),
        reader: reader.take(),
        moment,
        seed: shared.seed.clone(),
        flight: shared.flight.clone(),
        pending: Overlay::default(),
        hops: 0,
    };
    let mut progress = Progress::default();
    let mut guard = locked(&cell.bot);
    let Some(bot) = guard.as_mut() else {
        shared.ticker.lost(work.items.iter().filter_map(batch::timer));
        *reader = around.reader.take();
        return;
    };
    if let Some(fate) = work.fate {
        bot.settle(fate, &mut progress);
    }
    let swapped = !work.swaps.is_empty();
    for scripts in work.swaps {
        bot.swap(scripts, host, &mut around, &mut progress);
    }
    if swapped {
        bot.table = Arc::new(Table::of(&bot.slots));
    }
    if let Some(schedules) = work.schedules {
        bot.plan(schedules, &mut around, &mut progress);
    }
    // Scripts that begin or end are told before anything else happens.
    let mut waiting: VecDeque<Item> = std::mem::take(&mut progress.passing).into();
    waiting.extend(work.items);
    let mut items = Vec::with_capacity(waiting.len());
    while let Some(item) = waiting.pop_front() {
        chronicle::handle(shared, cell, bot, &item, host, &mut around, &mut progress);
        for passing in progress.passing.drain(..).rev() {
            waiting.push_front(passing);
        }
        items.push(item);
    }
    // Only a replacement, a failure or its end changes how the scripts stand.
    if swapped || !progress.failures.is_empty() || progress.awake || bot.leaves_out() {
        let states = bot.states();
        let table = Table::of(&bot.slots);
        // Traces hold the table that they were made with: as few as possible.
        if *bot.table != table {
            bot.table = Arc::new(table);
        }
        if swapped {
            let names: Vec<String> = states.iter().map(|state| state.name.clone()).collect();
            cell.identity.metrics.retain(&names);
        }
        *locked(&cell.scripts) = states;
        *locked(&cell.hooks) = bot.hooks();
    }
    drop(guard);
    *reader = around.reader.take();
    locked(&cell.worst).take();
    cell.judge(progress.slowest);
    shared.set_wakes(cell, moment, std::mem::take(&mut progress.standing));
    batch::commit(shared, cell, items, around.pending, progress, moment);
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked with the lock held left whole values behind: no update here can stop half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn locked_write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
