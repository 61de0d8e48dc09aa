//! The running process as a whole: what it was told to be, what it is, and how it gets from one to the other.
//!
//! A reload reads everything, checks everything, compiles everything, and only then changes anything.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{Mutex, oneshot};

use crate::actor::deps::{Deps, StartFailed};
use crate::actor::message::{Apply, ReconnectBots, SendFailed, SendFrom, SendNow, StopReport, Survey};
use crate::actor::runtime::Runtime;
use crate::config;
use crate::config::diff::{Change, Plan, diff};
use crate::config::settings::{BotSettings, Durability, Settings, Webhooks};
use crate::diagnostic::Diagnostic;
use crate::http::client::{Client, ClientOptions};
use crate::http::server::{Bound, Server};
use crate::ids::{IdSource, Seed};
use crate::jid::Jid;
use crate::moment::Moment;
use crate::net::tls::TlsContext;
use crate::ops::log::Levels;
use crate::ops::report::Status;
use crate::ops::scripts::{self, Library};
use crate::ops::why::{self, Explained};
use crate::script::ScriptUse;
use crate::script::hook::Hooks as WebHooks;
use crate::script::pool::chronicle::Chronicle;
use crate::script::pool::{Pool, PoolOptions};
use crate::store::{self, Store};

/// One process of bots.
pub struct Service {
    runtime: Runtime,
    loaded: RefCell<Loaded>,
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

/// Told of a configuration before it is applied.
type Hook = Box<dyn Fn(&Settings)>;

/// What runs.
struct Loaded {
    settings: Arc<Settings>,
    library: Library,
}

/// A configuration that has been read and checked as a whole.
pub struct Prepared {
    settings: Settings,
    library: Library,
    /// What does not stop it.
    pub warnings: Vec<Diagnostic>,
}

/// How a reload ended.
#[derive(Debug)]
pub struct Reloaded {
    /// Whether anything was changed.
    pub applied: bool,
    /// The plan, for people; empty when nothing changes.
    pub plan: String,
    /// Errors that stopped it, or warnings.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads and checks a configuration with its scripts.
///
/// # Errors
/// Every problem of every file.
pub fn prepare(path: &Path) -> Result<Prepared, Vec<Diagnostic>> {
    let var = |name: &str| std::env::var(name).ok();
    let found = config::inspect(path, &config::Surroundings { var: &var, run_commands: true });
    let (library, problems) = scripts::load(&found.scripts);
    let mut diagnostics = found.diagnostics;
    diagnostics.extend(problems);
    if let Some(settings) = &found.settings {
        diagnostics.extend(scripts::rehearse(settings, &library));
    }
    match found.settings {
        Some(settings) if !diagnostics.iter().any(Diagnostic::is_error) => {
            Ok(Prepared { settings, library, warnings: diagnostics })
        }
        _ => Err(diagnostics),
    }
}

impl Prepared {
    /// What was read.
    pub fn settings(&self) -> &Settings {
        &self.settings
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
        let Prepared { settings, library, .. } = prepared;
        let durability = match settings.durability {
            Durability::Full => store::Durability::Full,
            Durability::Relaxed => store::Durability::Relaxed,
        };
        let store = Store::open(&settings.storage, durability).map_err(StartFailed::Store)?;
        let installation = installation(&store)?;
        let seed = random_seed()?;
        let tls = Arc::new(TlsContext::new());
        let pool = Pool::start(PoolOptions {
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
        let deps = Deps::new(store, pool, tls, seed, installation)?;
        let runtime = Runtime::start(Arc::new(deps), 0);
        let settings = Arc::new(settings);
        let nothing = Settings { bots: Vec::new(), ..(*settings).clone() };
        let apply = change(&nothing, &Library::new(), &settings, &library);
        let service = Self {
            runtime: runtime.clone(),
            loaded: RefCell::new(Loaded { settings, library }),
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
    pub async fn reload(&self, dry_run: bool) -> Reloaded {
        let _one_at_a_time = self.reloading.lock().await;
        let file = self.settings().file.clone();
        let prepared = tokio::task::spawn_blocking(move || prepare(&file)).await;
        let reloaded = match prepared {
            Ok(Ok(prepared)) => self.change_over(prepared, dry_run).await,
            Ok(Err(diagnostics)) => Reloaded { applied: false, plan: String::new(), diagnostics },
            Err(fault) => {
                let text = format!("reading the configuration failed by a fault of this program: {fault}");
                let diagnostics = vec![Diagnostic::error("reload::fault", text)];
                Reloaded { applied: false, plan: String::new(), diagnostics }
            }
        };
        if !dry_run && (reloaded.applied || reloaded.diagnostics.iter().any(Diagnostic::is_error)) {
            let outcome = if reloaded.applied { "applied" } else { "refused, the old configuration stays" };
            *self.last_reload.borrow_mut() = Some(format!("{outcome} at {}", Timestamp::now()));
        }
        reloaded
    }

    async fn change_over(&self, prepared: Prepared, dry_run: bool) -> Reloaded {
        let Prepared { settings, library, warnings } = prepared;
        let settings = Arc::new(settings);
        let apply = {
            let loaded = self.loaded.borrow();
            change(&loaded.settings, &loaded.library, &settings, &library)
        };
        let plan = if apply.plan.is_empty() { String::new() } else { apply.plan.to_string() };
        if dry_run || apply.plan.is_empty() {
            return Reloaded { applied: false, plan, diagnostics: warnings };
        }
        // The old address stays until the new one is had.
        let bound = match settings.webhooks.filter(|_| apply.plan.webhooks) {
            Some(webhooks) => match Bound::bind(webhooks.listen) {
                Ok(bound) => Some(bound),
                Err(error) => {
                    let diagnostics = vec![cannot_listen(webhooks, &error)];
                    return Reloaded { applied: false, plan, diagnostics };
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
            let gone = Diagnostic::error("reload::registry", "the registry is gone; restart the process");
            return Reloaded { applied: false, plan, diagnostics: vec![gone] };
        }
        if webhooks_changed {
            let server = bound.map(|bound| bound.serve(self.hooks.clone())).transpose();
            // Without a thread nobody hears webhooks; the bots go on.
            *self.listener.borrow_mut() =
                server.inspect_err(|error| tracing::error!(%error, "no thread for webhooks")).ok().flatten();
        }
        *self.loaded.borrow_mut() = Loaded { settings, library };
        Reloaded { applied: true, plan, diagnostics: warnings }
    }

    /// How everybody stands.
    pub async fn status(&self) -> Status {
        // Without a registry there are no bots to speak of.
        let surveyed = self.runtime.ask(Survey).await.unwrap_or_default();
        let file = self.settings().file.display().to_string();
        Status::new(&surveyed, self.started.elapsed().as_secs(), file, self.last_reload.borrow().clone())
    }

    /// What became of the last events of a bot, or of those that are called so.
    ///
    /// # Errors
    /// In words, where nothing is known.
    pub fn why(&self, about: &str, last: usize) -> Result<Vec<Explained>, String> {
        why::explain(&self.chronicle, about, last)
    }

    /// Closes and reopens the connections of these bots; says which names are unknown.
    pub async fn reconnect(&self, bots: Vec<String>) -> Vec<String> {
        self.runtime.ask(ReconnectBots(bots.clone())).await.unwrap_or(bots)
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

    /// Stops everybody in order.
    pub async fn stop(&self) -> StopReport {
        self.runtime.stop().await
    }
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

/// Everything the registry needs to get from one configuration to the next.
fn change(old: &Settings, old_library: &Library, new: &Arc<Settings>, library: &Library) -> Apply {
    let mut plan = diff(old, new);
    add_changed_scripts(&mut plan, old, old_library, new, library);
    let mut concerned: BTreeSet<&str> = plan.added.iter().map(String::as_str).collect();
    concerned.extend(plan.rescript.iter().map(|change| change.bot.as_str()));
    let scripts: BTreeMap<String, Vec<ScriptUse>> = new
        .bots
        .iter()
        .filter(|bot| concerned.contains(bot.name.as_str()))
        .map(|bot| (bot.name.clone(), scripts::uses(bot, library)))
        .collect();
    Apply { settings: Arc::clone(new), plan, scripts }
}

/// A script file that changed concerns every bot that uses it, although no line of the configuration did.
fn add_changed_scripts(
    plan: &mut Plan,
    old: &Settings,
    old_library: &Library,
    new: &Settings,
    library: &Library,
) {
    let version = |library: &Library, name: &str| library.get(name).map(|script| script.version().to_owned());
    let known: BTreeSet<&str> = old.bots.iter().map(|bot| bot.name.as_str()).collect();
    for bot in new.bots.iter().filter(|bot| known.contains(bot.name.as_str())) {
        let keys = changed_scripts(bot, |name| {
            old_library.contains_key(name) && version(old_library, name) != version(library, name)
        });
        if keys.is_empty() {
            continue;
        }
        let untouched = !plan.touched().contains(bot.name.as_str());
        match plan.rescript.iter_mut().find(|change| change.bot == bot.name) {
            Some(change) => change.keys.extend(keys),
            None => plan.rescript.push(Change { bot: bot.name.clone(), keys }),
        }
        if untouched {
            plan.unchanged = plan.unchanged.saturating_sub(1);
        }
    }
}

fn changed_scripts(bot: &BotSettings, changed: impl Fn(&str) -> bool) -> Vec<String> {
    bot.scripts
        .iter()
        .filter(|script| changed(&script.script))
        .map(|script| format!("script {}", script.script))
        .collect()
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

/// 256 random bits of the system.
pub fn random_seed() -> Result<Seed, StartFailed> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| StartFailed::Thread(std::io::Error::other(error.to_string())))?;
    Ok(Seed(seed))
}
