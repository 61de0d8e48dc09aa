//! What a `bots.yaml` means once everything is merged and checked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use url::Url;

use crate::config::password_file::PasswordFile;
use crate::cron::Schedule;
use crate::diagnostic::Place;
use crate::hosts::HostPattern;
use crate::jid::BareJid;
use crate::secret::Password;

/// The whole configuration: bots in the order of their names.
#[derive(Clone)]
pub struct Settings {
    /// The file this was read from.
    pub file: PathBuf,
    /// The folder of the store; absolute or relative to the working directory.
    pub storage: PathBuf,
    /// What a commit survives.
    pub durability: Durability,
    /// The external components, sorted by name.
    pub components: Vec<ComponentSettings>,
    /// Every account, from `bots`, `accounts_files` and `components`, sorted by name.
    pub bots: Vec<BotSettings>,
    /// Every script some bot uses or `scripts` declares, by name.
    pub scripts: BTreeMap<String, ScriptSettings>,
    /// Where webhooks are heard.
    pub webhooks: Option<Webhooks>,
    /// How fast accounts log in.
    pub login: Login,
    /// What is logged and how.
    pub log: Log,
}

/// Where webhooks are heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Webhooks {
    /// On this machine, unless behind a proxy.
    pub listen: SocketAddr,
    /// Whether a proxy on another machine stands in front.
    pub behind_proxy: bool,
}

/// One account.
#[derive(Clone)]
pub struct BotSettings {
    /// Its name in logs, the command line and metrics.
    pub name: String,
    /// Its address; always with a localpart.
    pub jid: BareJid,
    /// Its password; empty behind a component, and where it logs in as nobody.
    pub password: Password,
    /// The file it is in, where it is in one of its own.
    pub password_file: Option<PasswordFile>,
    /// Logs in as nobody (ANONYMOUS): only the domain of `jid` counts, and the server makes up the account.
    pub anonymous: bool,
    /// How much its login is bound to the TLS channel.
    pub channel_binding: ChannelBinding,
    /// The component it stands behind, instead of an account of its own.
    pub component: Option<String>,
    /// Where to connect instead of asking DNS.
    pub server: Option<HostPort>,
    /// By which transport.
    pub connect: Connect,
    /// How the connection is secured.
    pub tls: Tls,
    /// The resourcepart it asks for.
    pub resource: Resource,
    /// Its scripts in order; a script occurs once.
    pub scripts: Vec<ScriptUse>,
    /// What all its scripts see as `config`, before their own.
    pub config: Map<String, Value>,
    /// Rooms it is in.
    pub rooms: Vec<Room>,
    /// Whose subscription requests are answered without asking the scripts.
    pub accept: Accept,
    /// Whose invitations into rooms it follows.
    pub invites: Invites,
    /// What somebody is told whose message cannot be read; `None`: nothing.
    pub unreadable: Option<String>,
    /// Who may give it orders.
    pub admins: Vec<BareJid>,
    /// Groups of people by name: addresses, and domains that stand for everybody there.
    pub roles: BTreeMap<String, Vec<BareJid>>,
    /// What it may use up.
    pub limits: Limits,
    /// How it shows itself.
    pub presence: Presence,
    /// What is made of the account's bookmarks.
    pub bookmarks: Bookmarks,
    /// What it tells of itself.
    pub profile: Profile,
    /// Language of its streams, `xml:lang`.
    pub lang: String,
    /// By whose wall clock its scripts tell the time.
    pub timezone: TimeZone,
    /// What it does by the clock.
    pub schedules: Vec<Schedule>,
    /// Words for `status`, metrics and filters.
    pub labels: BTreeMap<String, String>,
    /// Whether clients show its commands as a menu, XEP-0050.
    pub menu: bool,
    /// The reason it stays offline, empty when none was given; `None` while it runs.
    pub paused: Option<String>,
    /// Where it stands: its key in `bots.yaml` or its line in an accounts file.
    pub place: Place,
}

/// What is made of an account's bookmarks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bookmarks {
    /// Nothing.
    #[default]
    Ignore,
    /// The bot is in those that say so.
    Join,
    /// The same, and its own rooms are among them.
    Keep,
}

/// What a bot tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Its name for people.
    pub name: Option<String>,
    /// What it wants to be called.
    pub nick: Option<String>,
    /// A sentence about it.
    pub about: Option<String>,
    /// Where there is more about it.
    pub url: Option<String>,
    /// Its picture.
    pub avatar: Option<Picture>,
}

/// A PNG picture that was looked at.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub bytes: Arc<[u8]>,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({} bytes, {} x {})", self.bytes.len(), self.width, self.height)
    }
}

/// An external component, XEP-0114.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentSettings {
    /// Its name in the file.
    pub name: String,
    /// The domain it serves.
    pub domain: BareJid,
    /// Where the server listens for it.
    pub server: HostPort,
    /// What it and the server both know.
    pub secret: Password,
    /// Whether it may leave this machine, in the clear.
    pub insecure: bool,
    /// Where it stands.
    pub place: Place,
}

/// A script as one bot uses it.
#[derive(Clone)]
pub struct ScriptUse {
    /// The key in [`Settings::scripts`].
    pub script: String,
    /// The bot's `config` with the entry's own keys over it.
    pub config: Map<String, Value>,
    /// Where each key of `config` was written, for problems with its value.
    pub places: Arc<BTreeMap<String, Place>>,
    /// The bot's limits with the script's own over them.
    pub limits: TurnLimits,
    /// What the script is granted, and the bot.
    pub permissions: Permissions,
    /// Where the bot names the script.
    pub place: Place,
    /// Where each grant of the script stands.
    pub grants: Arc<Grants>,
    /// Where the grants to all scripts of the bot stand.
    pub bot_grants: Arc<Grants>,
}

/// Where grants stand: by the key below `permissions`, and what is granted.
pub type Grants = BTreeMap<(String, String), Place>;

/// A script file and what it may do.
#[derive(Clone)]
pub struct ScriptSettings {
    /// The key, or the path where a bot gave a path.
    pub name: String,
    /// The file; relative to the working directory.
    pub file: PathBuf,
    /// What the operator grants it.
    pub permissions: Permissions,
    /// Limits that replace those of the bots using it.
    pub limits: TurnOverrides,
    /// Where it was declared.
    pub place: Place,
    /// Where each grant stands.
    pub grants: Arc<Grants>,
}

/// What the operator grants a script; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Hosts it may ask over HTTP: `api.example.net`, `*.example.net`.
    pub http: Vec<HostPattern>,
    /// Webhooks it may declare, and whether everybody may call them.
    pub webhooks: BTreeMap<String, bool>,
    /// Secrets it may use.
    pub secrets: BTreeMap<String, Password>,
    /// Whether it may use the store that all bots have in common.
    pub shared: bool,
    /// Bots it may talk to; `*` means all.
    pub bots: Vec<String>,
}

/// What a script may use up for one bot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnLimits {
    /// Wall clock per event.
    pub turn: Duration,
    /// Rhai operations per event.
    pub operations: u64,
    /// Bytes a bot's values may hold.
    pub memory: u64,
    /// Bytes of stored values and timers.
    pub store: u64,
    /// Actions per event.
    pub actions: u64,
    /// Values and timers written per event.
    pub writes: u64,
    /// Durable timers that wait.
    pub timers: u64,
}

/// Limits a script sets for itself, `None` where the bot's hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnOverrides {
    /// Wall clock per event.
    pub turn: Option<Duration>,
    /// Rhai operations per event.
    pub operations: Option<u64>,
    /// Bytes a bot's values may hold.
    pub memory: Option<u64>,
    /// Bytes of stored values and timers.
    pub store: Option<u64>,
    /// Actions per event.
    pub actions: Option<u64>,
    /// Values and timers written per event.
    pub writes: Option<u64>,
    /// Durable timers that wait.
    pub timers: Option<u64>,
}

impl TurnOverrides {
    /// These, and `base` where nothing is said.
    pub fn over(self, base: TurnLimits) -> TurnLimits {
        TurnLimits {
            turn: self.turn.unwrap_or(base.turn),
            operations: self.operations.unwrap_or(base.operations),
            memory: self.memory.unwrap_or(base.memory),
            store: self.store.unwrap_or(base.store),
            actions: self.actions.unwrap_or(base.actions),
            writes: self.writes.unwrap_or(base.writes),
            timers: self.timers.unwrap_or(base.timers),
        }
    }
}

/// What one bot may use up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Per turn, where a script sets nothing else.
    pub turn: TurnLimits,
    /// How fast it may send.
    pub send: SendLimit,
    /// Events that may wait for a turn.
    pub queue: usize,
    /// Bytes of the longest text that goes out as one message; `None`: what the server takes.
    pub message: Option<usize>,
}

/// A token bucket for what a bot sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SendLimit {
    /// Stanzas in the long run; `None` switches the limit off.
    pub rate: Option<Rate>,
    /// Stanzas that may go at once, at least 1.
    pub burst: u32,
}

/// So many per period: `30/m` is 30 per minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At least 1.
    pub count: u32,
    /// The period, more than nothing.
    pub per: Duration,
}

impl Rate {
    /// Events per second.
    pub fn per_second(self) -> f64 {
        f64::from(self.count) / self.per.as_secs_f64()
    }

    /// The time between two events at an even pace.
    pub fn interval(self) -> Duration {
        self.per / self.count.max(1)
    }
}

/// A host and port written as `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A host name or an IP address without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl HostPort {
    /// Reads `host:port`, an IPv6 address in brackets.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address,
            None if host.contains(':') => return None,
            None => host,
        };
        let odd = |c: char| c.is_whitespace() || matches!(c, '/' | '@' | '[' | ']');
        let port = port.parse().ok().filter(|port| *port > 0)?;
        (!host.is_empty() && !host.contains(odd)).then(|| Self { host: host.to_owned(), port })
    }
}

/// How a connection is secured. There is no way to leave it open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// When TLS begins.
    pub mode: TlsMode,
    /// PEM file of authorities trusted besides those of the system.
    pub ca: Option<PathBuf>,
}

/// When TLS begins on a connection to a `server` named in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// After STARTTLS, RFC 6120 §5; DNS may still name direct TLS where no server is given.
    #[default]
    StartTls,
    /// With the first byte, XEP-0368.
    Direct,
}

/// The resourcepart a bot asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Resource {
    /// Made once per bot and kept over restarts.
    #[default]
    Auto,
    /// As written.
    Fixed(String),
}

/// By which transport a bot reaches its server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Connect {
    /// TCP; where that fails, WebSocket by the domain's host-meta.
    Auto,
    /// TCP.
    #[default]
    Tcp,
    /// WebSocket at this `wss:` URL.
    Url(Url),
    /// WebSocket by the domain's host-meta, XEP-0156.
    WebSocket,
}

/// How much a login is bound to the TLS channel, so that nobody between the two ends can pass it on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Where both ends can; once it was bound, never again without.
    #[default]
    Prefer,
    /// Bound, or no login at all.
    Require,
    /// Not bound: for a proxy that ends TLS in front of the server.
    Never,
}

/// Whose subscription requests are answered yes without asking the scripts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Accept {
    /// Nobody's.
    #[default]
    None,
    /// Those from the bot's own domain.
    Domain,
    /// Those of contacts in the roster.
    Roster,
    /// Everybody's.
    All,
    /// Those of these addresses.
    List(Vec<BareJid>),
}

/// A room a bot is in, XEP-0045.
#[derive(Clone)]
pub struct Room {
    /// Its address.
    pub jid: BareJid,
    /// The nick there; the bot's localpart when not given.
    pub nick: Option<String>,
    /// What the room asks for.
    pub password: Option<Password>,
    /// Whether it is made where there is none.
    pub create: bool,
}

/// Whose invitations into rooms a bot follows without asking the scripts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invites {
    /// Everybody's.
    pub all: bool,
    /// Those of its admins.
    pub admin: bool,
    /// Those from its own domain.
    pub domain: bool,
    /// Those of contacts in the roster.
    pub roster: bool,
    /// Those of these addresses.
    pub from: Vec<BareJid>,
}

/// How a bot shows itself, RFC 6121 §4.7.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// `None` is plainly available.
    pub show: Option<Show>,
    /// A sentence for people.
    pub status: Option<String>,
    /// -128 to 127.
    pub priority: i8,
}

/// Kinds of availability, RFC 6121 §4.7.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// For a while not there.
    Away,
    /// Glad to talk.
    Chat,
    /// Not to be disturbed.
    Dnd,
    /// Not there for long.
    Xa,
}

impl Show {
    /// The text of `<show/>`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Chat => "chat",
            Self::Dnd => "dnd",
            Self::Xa => "xa",
        }
    }
}

/// What a commit of the store survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Power loss.
    #[default]
    Full,
    /// The end of the process, not power loss.
    Relaxed,
}

/// How fast accounts log in; resumed sessions don't count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Login {
    /// Per server host; `None` switches the pace off.
    pub pace: Option<Rate>,
    /// Reconnects are spread over this time.
    pub jitter: Duration,
}

/// What is logged and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// A level, or a filter of `tracing-subscriber` such as `info,rhapsode::net=debug`.
    pub level: String,
    /// Whether message bodies may appear at the level `trace`.
    pub bodies: bool,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `Text` on a terminal, `Json` elsewhere.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// The levels of `log: { level }`.
pub const LOG_LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
