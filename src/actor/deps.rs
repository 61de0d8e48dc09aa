//! The services that all actors share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::actor::backoff::{Losses, Pace};
use crate::actor::component::Word;
use crate::actor::derive::Derive;
use crate::actor::inbox::Inbox;
use crate::config::settings::{self, Accept, BotSettings, Login, Resource, Room, Settings, Show};
use crate::ids::{IdSource, Seed, base32};
use crate::jid::BareJid;
use crate::moment::Moment;
use crate::net::tls::TlsContext;
use crate::script::pool::Pool;
use crate::session::bookmarks::Bookmarks;
use crate::session::profile::{Profile, Published};
use crate::session::rooms::{DesiredRoom, Invites};
use crate::session::{self, CachedRoster, OwnPresence, SessionConfig, Software};
use crate::stanza;
use crate::store::error::StoreError;
use crate::store::reader::StoreReader;
use crate::store::session::Kept;
use crate::store::{OutboxRow, Store};
use crate::xep::avatar::Picture;
use crate::xep::vcard::Card;

/// Most messages that are read at the start because they may have been written.
const NUMBERED: usize = 1024;

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
    hubs: Mutex<BTreeMap<String, Inbox<Word>>>,
    own_bots: Mutex<Arc<BTreeSet<BareJid>>>,
    installation: String,
}

/// Login queues by server.
struct LoginQueue {
    rules: Login,
    queues: BTreeMap<String, Pace>,
    /// Accounts of each server.
    accounts: BTreeMap<String, usize>,
    losses: Losses,
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
                accounts: BTreeMap::new(),
                losses: Losses::default(),
            }),
            ids: Mutex::new(IdSource::new(seed)),
            hubs: Mutex::default(),
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

    /// Where the accounts of a component leave what they have to say, whether it runs or not.
    pub fn hub(&self, component: &str) -> Inbox<Word> {
        let mut hubs = self.hubs.lock().unwrap_or_else(PoisonError::into_inner);
        hubs.entry(component.to_owned()).or_default().clone()
    }

    /// The next free moment for a login at the account's server.
    pub fn reserve_login(&self, spec: &BotSettings, now: Instant) -> Instant {
        let mut login = self.login.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = login.rules.pace.map(|rate| rate.per_second());
        login.queues.entry(host(spec)).or_insert_with(|| Pace::new(rate)).reserve(now)
    }

    /// An account lost its session. When its server has lost many at once, the time over which they spread
    /// their returns: resumptions wait for nobody else.
    pub fn on_loss(&self, spec: &BotSettings, now: Instant) -> Option<Duration> {
        let host = host(spec);
        let mut login = self.login.lock().unwrap_or_else(PoisonError::into_inner);
        let accounts = login.accounts.get(&host).copied().unwrap_or_default();
        login.losses.add(&host, accounts, now).then_some(login.rules.jitter)
    }

    /// Takes over what a new configuration says about logins and about which accounts are ours.
    pub fn configure(&self, settings: &Settings) {
        let mut login = self.login.lock().unwrap_or_else(PoisonError::into_inner);
        if login.rules != settings.login {
            login.queues.clear();
            login.rules = settings.login;
        }
        login.accounts.clear();
        for bot in &settings.bots {
            *login.accounts.entry(host(bot)).or_default() += 1;
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

    /// The UUID by which a server knows this installation of an account (XEP-0388 §2.4): the same in every process on
    /// these data, and no other's, because the data have one process at a time.
    pub fn user_agent(&self, spec: &BotSettings) -> String {
        uuid(&[&self.installation, spec.jid.as_str(), &spec.name])
    }

    /// What the session of an account is told.
    pub fn session_config(&self, spec: &BotSettings) -> SessionConfig {
        let own_bots = Arc::clone(&self.own_bots.lock().unwrap_or_else(PoisonError::into_inner));
        // A made-up account has no contacts, and one of before is somebody else's by now.
        let roster = if spec.anonymous { None } else { self.cached_roster(&spec.name) };
        SessionConfig { published: self.published(spec), ..session_config(spec, roster, own_bots) }
    }

    /// What of its profile an account's server has. Another account is told of all.
    fn published(&self, spec: &BotSettings) -> Published {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        match reader.meta(&published_key(spec)) {
            Ok(value) => value.as_ref().map(Published::from_value).unwrap_or_default(),
            Err(error) => {
                tracing::warn!(bot = spec.name, %error, "what was published is not known; it is published again");
                Published::default()
            }
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

    /// What an earlier process has left of a bot's session.
    pub fn kept_session(&self, bot: &str) -> Result<Kept, StoreError> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).session(bot)
    }

    /// What an earlier process has left of a bot's login.
    pub fn kept_login(&self, bot: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).sasl(bot)
    }

    /// Messages of a bot that may have been written: no more than were ever under way at once, for some sessions.
    pub fn outbox_numbered(&self, bot: &str) -> Result<Vec<OutboxRow>, StoreError> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).outbox_numbered(bot, NUMBERED)
    }

    /// Unsent messages of a bot behind row `after`, at most `limit`.
    pub fn outbox_after(&self, bot: &str, after: i64, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).outbox_after(bot, after, limit)
    }
}

fn desired(spec: &BotSettings, room: &Room) -> DesiredRoom {
    let nick = room.nick.clone().or_else(|| spec.jid.local().map(str::to_owned));
    DesiredRoom {
        jid: room.jid.clone(),
        nick: nick.unwrap_or_else(|| spec.name.clone()),
        password: room.password.clone(),
        create: room.create,
    }
}

fn invites(spec: &BotSettings) -> Invites {
    let invites = &spec.invites;
    let admins = spec.admins.iter().filter(|_| invites.admin);
    Invites {
        all: invites.all,
        domain: invites.domain,
        roster: invites.roster,
        from: invites.from.iter().chain(admins).cloned().collect(),
    }
}

/// Where the store has what of an account's profile was published.
pub fn published_key(spec: &BotSettings) -> String {
    format!("profile {} {}", spec.name, spec.jid)
}

fn profile(profile: &settings::Profile) -> Profile {
    let settings::Profile { name, nick, about, url, avatar } = profile.clone();
    let avatar = avatar.map(|picture| {
        let settings::Picture { bytes, width, height } = picture;
        Picture { bytes, width, height }
    });
    Profile { card: Card { name, nick, about, url }, avatar }
}

/// What the session of an account is told, with the roster that was stored and the accounts that are ours.
pub fn session_config(
    spec: &BotSettings,
    roster: Option<CachedRoster>,
    own_bots: Arc<BTreeSet<BareJid>>,
) -> SessionConfig {
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
        roster,
        own_bots,
        lang: spec.lang.clone(),
        commands: spec.menu,
        rooms: spec.rooms.iter().map(|room| desired(spec, room)).collect(),
        invites: invites(spec),
        archive: spec.component.is_none() && !spec.anonymous,
        bookmarks: match spec.bookmarks {
            settings::Bookmarks::Ignore => Bookmarks::Ignore,
            settings::Bookmarks::Join => Bookmarks::Join,
            settings::Bookmarks::Keep => Bookmarks::Keep,
        },
        profile: profile(&spec.profile),
        hosted: spec.component.is_some(),
        ..SessionConfig::new(spec.jid.clone())
    }
}

/// What counts as one server: the configured host, else the domain.
fn host(spec: &BotSettings) -> String {
    spec.server.as_ref().map_or_else(|| spec.jid.domain().to_owned(), |server| server.host.clone())
}

/// Twelve characters that follow from the parts.
fn short_hash(parts: &[&str]) -> String {
    base32(&digest(parts))[..12].to_owned()
}

/// A UUID of the kind whose bits are all made up (version 4), made of these.
fn uuid(parts: &[&str]) -> String {
    let mut bytes = digest(parts);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = |range: std::ops::Range<usize>| -> String {
        bytes[range].iter().map(|byte| format!("{byte:02x}")).collect()
    };
    [hex(0..4), hex(4..6), hex(6..8), hex(8..10), hex(10..16)].join("-")
}

fn digest(parts: &[&str]) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// Why the runtime did not start.
#[derive(Debug)]
pub enum StartFailed {
    /// An address that is to be listened at cannot be had.
    Listen {
        /// It.
        address: String,
        /// Why.
        error: std::io::Error,
    },
    /// The store cannot be used.
    Store(StoreError),
    /// No thread could be started.
    Thread(std::io::Error),
}

impl std::fmt::Display for StartFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Listen { address, error } => {
                write!(
                    f,
                    "webhooks cannot be heard at `{address}`: {error}\nhint: name another port under `webhooks.listen`"
                )
            }
            Self::Store(error) => match error.hint() {
                Some(hint) => write!(f, "{error}\nhint: {hint}"),
                None => error.fmt(f),
            },
            Self::Thread(error) => write!(f, "no thread could be started: {error}"),
        }
    }
}

impl std::error::Error for StartFailed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Listen { error, .. } | Self::Thread(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9562 §5.4
    #[test]
    fn an_agent_is_a_uuid_of_its_own() {
        let one = uuid(&["here", "a@b.example", "a"]);
        let parts: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!((&one[14..15], "89ab".contains(&one[19..20])), ("4", true), "{one}");
        assert_eq!(one, uuid(&["here", "a@b.example", "a"]));
        assert_ne!(one, uuid(&["there", "a@b.example", "a"]));
        assert_ne!(one, uuid(&["here", "a@b.example", "b"]));
    }
}
