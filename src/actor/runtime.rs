//! The services that all actors share, the threads they run on, and the order in which all of it ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use std::collections::{BTreeMap, BTreeSet};

use actix::{Actor, Addr, Arbiter, ArbiterHandle};
use jiff::Timestamp;

use crate::actor::backoff::Pace;
use crate::actor::derive::Derive;
use crate::actor::message::{Apply, StopAll, StopReport};
use crate::actor::registry::Registry;
use crate::config::settings::{Accept, BotSettings, Login, Resource, Settings, Show};
use crate::ids::{IdSource, Seed, base32};
use crate::jid::BareJid;
use crate::moment::Moment;
use crate::net::tls::TlsContext;
use crate::script::pool::Pool;
use crate::session::{self, CachedRoster, OwnPresence, SessionConfig, Software};
use crate::stanza;
use crate::store::error::StoreError;
use crate::store::reader::StoreReader;
use crate::store::{Batch, OutboxRow, Store};

/// Arbiters beyond this many bring nothing: the sockets are not the bottleneck.
const MOST_ARBITERS: usize = 4;

/// What the actors share.
pub struct Deps {
    /// Values, timers, outbox, rosters.
    pub store: Store,
    /// The script threads.
    pub pool: Pool,
    /// TLS policies.
    pub tls: Arc<TlsContext>,
    /// The thread for SCRAM keys.
    pub derive: Derive,
    reader: Mutex<StoreReader>,
    login: Mutex<LoginQueue>,
    ids: Mutex<IdSource>,
    own_bots: Mutex<Arc<BTreeSet<BareJid>>>,
    installation: String,
}

/// Login queues by server.
struct LoginQueue {
    rules: Login,
    queues: BTreeMap<String, Pace>,
}

impl Deps {
    /// Puts the services together. `installation` names this store for good: stable resources follow from it.
    pub fn new(
        store: Store,
        pool: Pool,
        tls: Arc<TlsContext>,
        seed: Seed,
        installation: String,
    ) -> Result<Self, StartFailed> {
        Ok(Self {
            reader: Mutex::new(store.reader().map_err(StartFailed::Store)?),
            derive: Derive::start().map_err(StartFailed::Thread)?,
            login: Mutex::new(LoginQueue {
                rules: Login { pace: None, jitter: Duration::ZERO },
                queues: BTreeMap::new(),
            }),
            ids: Mutex::new(IdSource::new(seed)),
            own_bots: Mutex::default(),
            store,
            pool,
            tls,
            installation,
        })
    }

    /// The moment it is.
    pub fn now(&self) -> Moment {
        Moment { at: Instant::now(), wall: Timestamp::now() }
    }

    /// A fresh secret for one actor.
    pub fn seed(&self) -> Seed {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).fork()
    }

    /// The next free moment for a login at the account's server.
    pub fn reserve_login(&self, spec: &BotSettings, now: Instant) -> Instant {
        let host =
            spec.server.as_ref().map_or_else(|| spec.jid.domain().to_owned(), |server| server.host.clone());
        let mut login = self.login.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = login.rules.pace.map(|rate| rate.per_second());
        login.queues.entry(host).or_insert_with(|| Pace::new(rate)).reserve(now)
    }

    /// Takes over what a new configuration says about logins and about which accounts are ours.
    pub fn configure(&self, settings: &Settings) {
        let mut login = self.login.lock().unwrap_or_else(PoisonError::into_inner);
        if login.rules != settings.login {
            login.queues.clear();
            login.rules = settings.login;
        }
        let own_bots = settings.bots.iter().map(|bot| bot.jid.clone()).collect();
        *self.own_bots.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(own_bots);
    }

    /// The resourcepart an account asks for: the configured one, or one that stays the same for good.
    pub fn resource(&self, spec: &BotSettings) -> String {
        match &spec.resource {
            Resource::Fixed(resource) => resource.clone(),
            Resource::Auto => {
                format!("rhapsode.{}", short_hash(&[&self.installation, spec.jid.as_str()]))
            }
        }
    }

    /// What the session of an account is told.
    pub fn session_config(&self, spec: &BotSettings) -> SessionConfig {
        let own_bots = Arc::clone(&self.own_bots.lock().unwrap_or_else(PoisonError::into_inner));
        SessionConfig {
            accept: match &spec.accept {
                Accept::None => session::Accept::None,
                Accept::Domain => session::Accept::Domain,
                Accept::Roster => session::Accept::Roster,
                Accept::All => session::Accept::All,
                Accept::List(list) => session::Accept::List(list.clone()),
            },
            presence: OwnPresence {
                show: spec.presence.show.map(|show| match show {
                    Show::Away => stanza::Show::Away,
                    Show::Chat => stanza::Show::Chat,
                    Show::Dnd => stanza::Show::Dnd,
                    Show::Xa => stanza::Show::Xa,
                }),
                status: spec.presence.status.clone(),
                priority: spec.presence.priority,
            },
            software: Software { name: "Rhapsode".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            roster: self.cached_roster(&spec.name),
            own_bots,
            lang: spec.lang.clone(),
            ..SessionConfig::new(spec.jid.clone())
        }
    }

    fn cached_roster(&self, bot: &str) -> Option<CachedRoster> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        match reader.roster(bot) {
            Ok(roster) => roster.and_then(|roster| CachedRoster::from_value(&roster.items)),
            Err(error) => {
                tracing::warn!(bot, %error, "the stored roster cannot be read; it will be fetched");
                None
            }
        }
    }

    /// Unsent messages of a bot behind row `after`, at most `limit`.
    pub fn outbox_after(&self, bot: &str, after: i64, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).outbox_after(bot, after, limit)
    }
}

/// Twelve characters that follow from the parts.
fn short_hash(parts: &[&str]) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    base32(&digest)[..12].to_owned()
}

/// Why the runtime did not start.
#[derive(Debug)]
pub enum StartFailed {
    /// The store cannot be used.
    Store(StoreError),
    /// No thread could be started.
    Thread(std::io::Error),
}

impl std::fmt::Display for StartFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Thread(error) => write!(f, "no thread could be started: {error}"),
        }
    }
}

impl std::error::Error for StartFailed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Thread(error) => Some(error),
        }
    }
}

/// The running actors, commanded from the thread of the actix system.
#[derive(Clone)]
pub struct Runtime {
    registry: Addr<Registry>,
    /// The services.
    pub deps: Arc<Deps>,
}

impl Runtime {
    /// Starts the registry on the current system, with `arbiters` threads for accounts (0: one per core).
    pub fn start(deps: Arc<Deps>, arbiters: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = if arbiters == 0 { cores.min(MOST_ARBITERS) } else { arbiters };
        let arbiters: Vec<ArbiterHandle> = (0..count).map(|_| Arbiter::new().handle()).collect();
        let registry = Registry::new(Arc::clone(&deps), arbiters).start();
        Self { registry, deps }
    }

    /// Changes over to a configuration.
    pub async fn apply(&self, change: Apply) -> Result<(), Ended> {
        self.registry.send(change).await.map_err(|_| Ended)
    }

    /// Asks the registry anything it answers.
    pub async fn ask<M>(&self, message: M) -> Result<M::Result, Ended>
    where
        M: actix::Message + Send + 'static,
        M::Result: Send,
        Registry: actix::Handler<M>,
        <Registry as Actor>::Context: actix::dev::ToEnvelope<Registry, M>,
    {
        self.registry.send(message).await.map_err(|_| Ended)
    }

    /// Stops all accounts in order, then the store's queue is written. Says who did not end in time.
    pub async fn stop(&self) -> StopReport {
        // A registry that is gone has no account left to report.
        let report = self.registry.send(StopAll).await.unwrap_or_default();
        // What the accounts wrote last is on disk when this, behind it in the queue, is.
        let store = self.deps.store.clone();
        let flushed = tokio::task::spawn_blocking(move || store.commit_wait(Batch::default())).await;
        if !matches!(flushed, Ok(Ok(_))) {
            tracing::warn!("the last writes may be missing from the store: messages may be sent again");
        }
        report
    }
}

/// The registry is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended;

/// Runs `main` on a new actor system on this thread; it ends with `main`.
pub fn block_on<T>(main: impl Future<Output = T>) -> T {
    actix::System::new().block_on(main)
}
