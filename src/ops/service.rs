//! The running process as a whole: what it was told to be, what it is, and how it gets from one to the other.
//!
//! A reload reads everything, checks everything, compiles everything, and only then changes anything.

mod password;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use tokio::sync::{Mutex, oneshot};

use crate::actor::deps::{Deps, StartFailed};
use crate::actor::message::{
    Apply, Parting, ReconnectBots, SendFailed, SendFrom, SendNow, StopReport, Survey,
};
use crate::actor::runtime::Runtime;
use crate::actor::status::Board;
use crate::config;
use crate::config::settings::{Durability, Settings, Webhooks};
use crate::diagnostic::Diagnostic;
use crate::http::client::{Client, ClientOptions};
use crate::http::server::{Bound, Server};
use crate::ids::{IdSource, Seed};
use crate::jid::Jid;
use crate::moment::Moment;
use crate::net::tls::TlsContext;
use crate::ops::dead::{self, Deed, Refused, Shown};
use crate::ops::glob::select;
use crate::ops::log::Levels;
use crate::ops::reload::change::change;
use crate::ops::reload::{Loaded, Outcome, ReloadPlan, RoomsOf};
use crate::ops::report::Status;
use crate::ops::scripts::{self, Declarations, Library, Rehearsal};
use crate::ops::unwanted;
use crate::ops::why::{self, Explained};
use crate::script::hook::Hooks as WebHooks;
use crate::script::pool::chronicle::Chronicle;
use crate::script::pool::{Pool, PoolOptions};
use crate::secret::Password;
use crate::store::error::StoreError;
use crate::store::flight::Flight;
use crate::store::health::Health;
use crate::store::{self, Store};

/// One process of bots.
pub struct Service {
    runtime: Runtime,
    loaded: RefCell<Arc<Loaded>>,
    store: Store,
    /// One reload at a time.
    reloading: Mutex<()>,
    last_reload: RefCell<Option<String>>,
    started: Instant,
    levels: Option<Levels>,
    before_change: RefCell<Option<Hook>>,
    hooks: WebHooks,
    chronicle: Chronicle,
    /// Hears webhooks, where the configuration says so.
    listener: RefCell<Option<Server>>,
}

/// How often it is looked whether the store has failed.
const LOOK_AT_STORE: Duration = Duration::from_millis(200);

/// Told of a configuration before it is applied.
type Hook = Box<dyn Fn(&Settings)>;

/// A configuration that has been read and checked as a whole.
pub struct Prepared {
    settings: Settings,
    library: Library,
    declared: Declarations,
    /// What does not stop it.
    pub warnings: Vec<Diagnostic>,
}

/// A configuration as far as it could be read.
struct Read {
    settings: Option<Settings>,
    library: Library,
    rehearsal: Rehearsal,
    /// What is wrong before the rehearsal.
    diagnostics: Vec<Diagnostic>,
}

/// Reads and checks a configuration with its scripts.
///
/// # Errors
/// Every problem of every file.
pub fn prepare(path: &Path) -> Result<Prepared, Vec<Diagnostic>> {
    let Read { settings, library, rehearsal, mut diagnostics } = read(path);
    diagnostics.extend(rehearsal.diagnostics);
    match settings {
        Some(settings) if !diagnostics.iter().any(Diagnostic::is_error) => {
            Ok(Prepared { settings, library, declared: rehearsal.declared, warnings: diagnostics })
        }
        _ => Err(diagnostics),
    }
}

/// Reads everything and runs all declarations in a shadow.
fn read(path: &Path) -> Read {
    let var = |name: &str| std::env::var(name).ok();
    let found = config::inspect(path, &config::Surroundings { var: &var, run_commands: true });
    let (library, problems) = scripts::load(&found.scripts);
    let mut diagnostics = found.diagnostics;
    diagnostics.extend(problems);
    let rehearsal =
        found.settings.as_ref().map(|settings| scripts::rehearse(settings, &library)).unwrap_or_default();
    Read { settings: found.settings, library, rehearsal, diagnostics }
}

impl Prepared {
    /// What was read.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Only one bot comes online, and none has scripts; the settings of the others are still there to be looked at.
    #[must_use]
    pub fn only_connecting(mut self, bot: &str) -> Self {
        self.settings.webhooks = None;
        for settings in &mut self.settings.bots {
            settings.scripts.clear();
            settings.rooms.clear();
            if settings.name != bot {
                settings.paused.get_or_insert_default();
            }
        }
        self.library.clear();
        self
    }

    /// Only one bot, without its scripts: to send a message and leave.
    #[must_use]
    pub fn only(mut self, bot: &str) -> Self {
        self.settings.bots.retain(|settings| settings.name == bot);
        self.settings.webhooks = None;
        for settings in &mut self.settings.bots {
            settings.scripts.clear();
            settings.rooms.clear();
        }
        self.library.clear();
        self
    }
}

impl Service {
    /// Starts everything. Must be called on the thread of an actor system, see [`crate::actor::runtime::block_on`].
    ///
    /// # Errors
    /// When the store or a thread cannot be had.
    pub fn start(prepared: Prepared, levels: Option<Levels>) -> Result<(Rc<Self>, Applying), StartFailed> {
        let Prepared { settings, library, declared, .. } = prepared;
        let durability = match settings.durability {
            Durability::Full => store::Durability::Full,
            Durability::Relaxed => store::Durability::Relaxed,
        };
        let store = Store::open(&settings.storage, durability).map_err(StartFailed::Store)?;
        let installation = installation(&store)?;
        let seed = random_seed()?;
        let tls = Arc::new(TlsContext::new());
        let flight = Flight::open(&store).map_err(StartFailed::Store)?;
        let pool = Pool::start(PoolOptions {
            flight: Some(Arc::new(flight)),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            data: Arc::new(store.clone()),
            clock: Arc::new(|| Moment { at: Instant::now(), wall: Timestamp::now() }),
            seed: IdSource::new(seed.clone()).fork(),
            outside: Arc::new(
                Client::start(tls.clone(), ClientOptions::default()).map_err(StartFailed::Thread)?,
            ),
        })
        .map_err(StartFailed::Store)?;
        let hooks = pool.hooks();
        let chronicle = pool.chronicle();
        chronicle.keep_bodies(settings.log.bodies);
        let listener = match settings.webhooks {
            Some(webhooks) => Some(listen(webhooks, &hooks)?),
            None => None,
        };
        let deps = Deps::new(store.clone(), pool, tls, seed, installation)?;
        let runtime = Runtime::start(Arc::new(deps), 0);
        let settings = Arc::new(settings);
        let nothing = Settings { bots: Vec::new(), ..(*settings).clone() };
        let apply = change(&nothing, &Library::new(), &settings, &library);
        let service = Self {
            runtime: runtime.clone(),
            loaded: RefCell::new(Arc::new(Loaded { settings, library, declared })),
            store,
            reloading: Mutex::new(()),
            last_reload: RefCell::new(None),
            started: Instant::now(),
            levels,
            before_change: RefCell::new(None),
            hooks,
            chronicle,
            listener: RefCell::new(listener),
        };
        Ok((Rc::new(service), Applying { runtime, apply }))
    }

    /// The configuration that is in force.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.loaded.borrow().settings)
    }

    /// Calls `hook` with every new configuration that is about to be applied.
    pub fn before_change(&self, hook: impl Fn(&Settings) + 'static) {
        *self.before_change.borrow_mut() = Some(Box::new(hook));
    }

    /// Where the control socket lies: beside the store.
    pub fn socket(&self) -> PathBuf {
        socket_path(&self.settings().storage)
    }

    /// Reads everything anew and changes over, completely or not at all.
    pub async fn reload(&self, dry_run: bool) -> ReloadPlan {
        let _one_at_a_time = self.reloading.lock().await;
        let old = Arc::clone(&self.loaded.borrow());
        let (rooms, store) = (self.rooms().await, self.store.clone());
        let planned = tokio::task::spawn_blocking(move || plan(&old, &rooms, &store)).await;
        let plan = match planned {
            Ok((plan, Some((loaded, apply)))) if plan.outcome == Outcome::Planned && !dry_run => {
                self.change_over(plan, loaded, apply).await
            }
            Ok((plan, _)) => plan,
            Err(fault) => {
                let text = format!("reading the configuration failed by a fault of this program: {fault}");
                ReloadPlan::refused(&[Diagnostic::error("reload::fault", text)])
            }
        };
        let outcome = match plan.outcome {
            Outcome::Applied => "applied",
            Outcome::Refused => "refused, the old configuration stays",
            Outcome::Planned | Outcome::Unchanged => return plan,
        };
        if !dry_run {
            *self.last_reload.borrow_mut() = Some(format!("{outcome} at {}", Timestamp::now()));
        }
        plan
    }

    /// In how many rooms each bot is.
    async fn rooms(&self) -> RoomsOf {
        // Without a registry there are no bots to speak of.
        let surveyed = self.runtime.ask(Survey).await.unwrap_or_default();
        let joined = |board: &Board| board.rooms().values().filter(|room| room.standing == "in").count();
        surveyed.into_iter().map(|one| (one.name, joined(&one.board))).collect()
    }

    async fn change_over(&self, mut plan: ReloadPlan, loaded: Loaded, apply: Apply) -> ReloadPlan {
        let settings = Arc::clone(&loaded.settings);
        // The old address stays until the new one is had.
        let bound = match settings.webhooks.filter(|_| apply.plan.webhooks) {
            Some(webhooks) => match Bound::bind(webhooks.listen) {
                Ok(bound) => Some(bound),
                Err(error) => {
                    plan.find(&[cannot_listen(webhooks, &error)]);
                    return plan;
                }
            },
            None => None,
        };
        if let Some(levels) = &self.levels
            && apply.plan.log
        {
            levels.set(&settings.log);
        }
        if let Some(before_change) = &*self.before_change.borrow() {
            before_change(&settings);
        }
        self.chronicle.keep_bodies(settings.log.bodies);
        let webhooks_changed = apply.plan.webhooks;
        if self.runtime.apply(apply).await.is_err() {
            plan.find(&[Diagnostic::error("reload::registry", "the registry is gone; restart the process")]);
            return plan;
        }
        if webhooks_changed {
            let server = bound.map(|bound| bound.serve(self.hooks.clone())).transpose();
            // Without a thread nobody hears webhooks; the bots go on.
            *self.listener.borrow_mut() =
                server.inspect_err(|error| tracing::error!(%error, "no thread for webhooks")).ok().flatten();
        }
        *self.loaded.borrow_mut() = Arc::new(loaded);
        plan.outcome = Outcome::Applied;
        plan
    }

    /// How the bots stand whose names fit one of the patterns, or all; with what waits for scripts in vain.
    ///
    /// # Errors
    /// In words, which patterns fit no bot.
    pub async fn status_of(&self, patterns: &[String]) -> Result<Status, String> {
        let mut status = self.survey(patterns).await?;
        let (loaded, store) = (Arc::clone(&self.loaded.borrow()), self.store.clone());
        let unchanged = status.clone();
        let look = move || {
            if let Err(error) = unwanted::note(&mut status, &loaded, &store) {
                tracing::warn!(%error, "what waits for scripts is not known");
            }
            status
        };
        Ok(tokio::task::spawn_blocking(look).await.unwrap_or(unchanged))
    }

    async fn survey(&self, patterns: &[String]) -> Result<Status, String> {
        // Without a registry there are no bots to speak of.
        let mut surveyed = self.runtime.ask(Survey).await.unwrap_or_default();
        let names: Vec<&str> = surveyed.iter().map(|one| one.name.as_str()).collect();
        let wanted: BTreeSet<String> = select(&names, patterns)?.into_iter().map(str::to_owned).collect();
        surveyed.retain(|one| wanted.contains(&one.name));
        let file = self.settings().file.display().to_string();
        let last_reload = self.last_reload.borrow().clone();
        let mut status = Status::new(&surveyed, self.started.elapsed().as_secs(), file, last_reload);
        status.store = self.store.health().into();
        Ok(status)
    }

    /// How everybody stands, as far as memory tells.
    pub async fn status(&self) -> Status {
        // Without patterns none can be wrong.
        self.survey(&[]).await.unwrap_or_else(|_| Status::new(&[], 0, String::new(), None))
    }

    /// What became of the last events of a bot, or of those that are called so; with a kind, of those of that kind.
    ///
    /// # Errors
    /// In words, where nothing is known.
    pub fn why(&self, about: &str, kind: Option<&str>, last: usize) -> Result<Vec<Explained>, String> {
        why::explain(&self.chronicle, about, kind, last)
    }

    /// Does something with dead letters; gives those it was done with.
    ///
    /// # Errors
    /// In words, why nothing was done.
    pub async fn dead(&self, deed: Deed, which: Vec<String>) -> Result<Vec<Shown>, String> {
        let names: Vec<String> = self.settings().bots.iter().map(|bot| bot.name.clone()).collect();
        let store = self.store.clone();
        let done = tokio::task::spawn_blocking(move || dead::act(&store, &names, deed, &which)).await;
        if deed == Deed::Retry {
            self.chronicle.look_again();
        }
        match done {
            Ok(Ok(letters)) => Ok(letters),
            Ok(Err(Refused::Store(error))) => Err(error.to_string()),
            Ok(Err(Refused::Unknown(text))) => Err(text),
            Err(fault) => Err(format!("this failed by a fault of the program: {fault}")),
        }
    }

    /// Closes and reopens the connections of the bots whose names fit one of the patterns; names them.
    ///
    /// # Errors
    /// In words, which patterns fit no bot, and which bots do not run.
    pub async fn reconnect(&self, patterns: &[String]) -> Result<Vec<String>, String> {
        let settings = self.settings();
        let names: Vec<&str> = settings.bots.iter().map(|bot| bot.name.as_str()).collect();
        let bots: Vec<String> = select(&names, patterns)?.into_iter().map(str::to_owned).collect();
        let gone = self.runtime.ask(ReconnectBots(bots.clone())).await.unwrap_or(bots.clone());
        if gone.is_empty() { Ok(bots) } else { Err(format!("does not run: {}", gone.join(", "))) }
    }

    /// Sends one message and waits until the server has acknowledged it.
    pub async fn send(&self, bot: String, to: Jid, text: String, within: Duration) -> Result<(), SendFailed> {
        let (answer, outcome) = oneshot::channel();
        let request = SendFrom { bot, message: SendNow { to, text, answer } };
        if self.runtime.ask(request).await.is_err() {
            return Err(SendFailed::Unknown);
        }
        match tokio::time::timeout(within, outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => {
                Err(SendFailed::Refused { detail: "it ended before the message was sent".to_owned() })
            }
            Err(_) => Err(SendFailed::Timeout),
        }
    }

    /// Resolves when the store has failed for good: whoever runs the process should end it at once, for nothing that happens
    /// now is kept.
    pub async fn store_failed(&self) -> StoreError {
        loop {
            if let Health::Failed(error) = self.store.health() {
                return error;
            }
            tokio::time::sleep(LOOK_AT_STORE).await;
        }
    }

    /// Stops everybody in order.
    pub async fn stop(&self, parting: Parting) -> StopReport {
        self.runtime.stop(parting).await
    }
}

/// Reads everything anew and compares it with what runs: the plan, and what carries it out, if anything was readable.
fn plan(old: &Loaded, rooms: &RoomsOf, store: &Store) -> (ReloadPlan, Option<(Loaded, Apply)>) {
    let Read { settings, library, rehearsal, diagnostics } = read(&old.settings.file);
    let Rehearsal { declared, missing, diagnostics: rehearsed } = rehearsal;
    let Some(settings) = settings else { return (ReloadPlan::refused(&diagnostics), None) };
    let new = Loaded { settings: Arc::new(settings), library, declared };
    let apply = change(&old.settings, &old.library, &new.settings, &new.library);
    // Without it the plan leaves out what waits.
    let reader = store.reader().inspect_err(|error| tracing::warn!(%error, "the store cannot be read")).ok();
    let mut plan = ReloadPlan::new(old, &new, &apply.plan, rooms, reader.as_ref());
    if plan.is_empty() && apply.plan.is_empty() {
        plan.outcome = Outcome::Unchanged;
    }
    plan.asks(&missing);
    plan.find(&diagnostics);
    plan.find(&rehearsed);
    (plan, Some((new, apply)))
}

/// The first configuration on its way to the registry.
pub struct Applying {
    runtime: Runtime,
    apply: Apply,
}

impl Applying {
    /// Hands it over: the logins begin.
    pub async fn apply(self) {
        // The registry was started a moment ago; if it is gone, `status` shows no bots.
        let _ = self.runtime.apply(self.apply).await;
    }
}

/// The control socket beside the store in this folder.
pub fn socket_path(storage: &Path) -> PathBuf {
    storage.join("control.sock")
}

/// Starts to hear webhooks.
fn listen(webhooks: Webhooks, hooks: &WebHooks) -> Result<Server, StartFailed> {
    let Webhooks { listen, .. } = webhooks;
    let failed = |error: std::io::Error| StartFailed::Listen { address: listen.to_string(), error };
    Bound::bind(listen).and_then(|bound| bound.serve(hooks.clone())).map_err(failed)
}

fn cannot_listen(webhooks: Webhooks, error: &std::io::Error) -> Diagnostic {
    let message = format!("webhooks cannot be heard at `{}`: {error}", webhooks.listen);
    Diagnostic::error("webhooks::listen", message).hint("name another port under `webhooks.listen`")
}

/// The name this store was given when it was made: resources follow from it.
fn installation(store: &Store) -> Result<String, StartFailed> {
    const KEY: &str = "installation";
    let reader = store.reader().map_err(StartFailed::Store)?;
    if let Some(serde_json::Value::String(name)) = reader.meta(KEY).map_err(StartFailed::Store)? {
        return Ok(name);
    }
    let name = IdSource::new(random_seed()?).next_id();
    let batch =
        store::Batch { meta: vec![(KEY.to_owned(), Some(name.clone().into()))], ..store::Batch::default() };
    store.commit_wait(batch).map_err(StartFailed::Store)?;
    Ok(name)
}

/// A password of 256 random bits, which every server and every terminal can carry.
///
/// # Errors
/// When the system has no random bits.
pub fn new_password() -> Result<Password, StartFailed> {
    Ok(Password::new(URL_SAFE_NO_PAD.encode(random_seed()?.0)))
}

/// 256 random bits of the system.
pub fn random_seed() -> Result<Seed, StartFailed> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| StartFailed::Thread(std::io::Error::other(error.to_string())))?;
    Ok(Seed(seed))
}
