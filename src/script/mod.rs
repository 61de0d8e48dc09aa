//! Bots as Rhai scripts: compiling, the sandbox, one turn per event, and the threads that run them.
//!
//! A script declares at its top level what it reacts to; the closures it gives are its handlers. One event is
//! one turn of each script that handles it: what the turn writes, sets and sends is committed together, or not
//! at all. Scripts never touch a socket, an actor or a lock: they queue [`Action`]s.
//!
//! In reading order: `loader` (text to AST), `declare` (what a script declared), `instance` (a loaded script and
//! its turns), `bot` (the scripts of one bot), `pool` (threads, queues, commits).

pub mod api;
mod batch;
mod bot;
mod budget;
mod builtin;
mod chain;
pub mod check;
mod clockwork;
mod closures;
mod command;
mod compare;
mod complaints;
pub mod data;
mod declare;
pub mod definitions;
mod dialog;
mod due;
pub mod error;
mod happening;
mod hear;
pub mod hook;
mod host;
pub mod inspect;
mod instance;
mod invoke;
mod lane;
mod ledger;
pub mod loader;
mod manner;
pub mod memory;
mod menu;
pub mod metrics;
pub mod outside;
mod overlay;
mod parts;
mod passing;
mod pattern;
pub mod pool;
mod printed;
mod quarantine;
mod rates;
mod record;
mod references;
pub mod requests;
pub mod reserved;
pub mod retries;
pub mod roles;
mod rooms;
mod saying;
mod span;
pub mod speech;
mod stack;
mod table;
mod talk;
mod tells;
pub mod testing;
#[cfg(test)]
mod tests;
mod ticker;
pub mod trace;
mod traces;
mod turn;
mod turnstile;
mod unreadable;
mod upload;
mod values;
mod verdict;
pub mod waiting;
mod web;
mod why;
pub mod worst;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::action::Action;
use crate::cron::Schedule;
use crate::event::Event;
use crate::hosts::HostPattern;
use crate::jid::BareJid;
use crate::script::error::ScriptError;
use crate::script::loader::Compiled;
use crate::script::speech::Speech;
use crate::secret::Password;
use crate::store::Allowance;
use crate::store::session::Received;

/// Groups of people by name: addresses, and domains that stand for everybody there.
pub type Roles = BTreeMap<String, Vec<BareJid>>;

/// One bot: an account and the scripts that decide what it does.
#[derive(Clone)]
pub struct BotSpec {
    /// Its name in logs, in the store and for `bot::name()`.
    pub name: String,
    /// Its address.
    pub jid: BareJid,
    /// Its scripts, in the order in which they are asked.
    pub scripts: Vec<ScriptUse>,
    /// Events that may wait; more are refused with [`QueueFull`].
    pub queue: usize,
    /// Addresses with the role `admin`, for commands that ask for it.
    pub admins: Vec<BareJid>,
    /// What it does by the clock.
    pub schedules: Vec<Schedule>,
    /// Groups of people by name, for commands that ask for them.
    pub roles: Roles,
    /// How it speaks where no script says so.
    pub speech: Speech,
}

/// One script as one bot uses it.
#[derive(Clone)]
pub struct ScriptUse {
    /// Its name: the owner of stored values and timers, so it should not change.
    pub name: String,
    /// The compiled text.
    pub compiled: Compiled,
    /// Values for its `option`s, a JSON object.
    pub config: Value,
    /// What one turn may use.
    pub limits: Limits,
    /// What the operator grants it.
    pub permissions: Permissions,
    /// By whose wall clock it tells the time.
    pub timezone: TimeZone,
}

/// What the operator grants a script; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Hosts it may ask over HTTP.
    pub http: Vec<HostPattern>,
    /// Webhooks it may declare, by name.
    pub webhooks: BTreeMap<String, WebhookGrant>,
    /// Secrets it may use, by name. It never reads them.
    pub secrets: BTreeMap<String, Password>,
    /// Whether it may use the store that all bots have in common.
    pub shared: bool,
    /// Bots it may talk to; `*` means all.
    pub bots: Vec<String>,
}

/// How a webhook may be declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebhookGrant {
    /// Whether it may let in everybody: `auth: "none"`.
    pub open: bool,
}

/// What a script may use. Beyond it the turn ends with an error and leaves nothing behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wall-clock time of one turn.
    pub turn: Duration,
    /// Rhai operations of one turn: a second fence, for closures run by built-in functions are not counted.
    pub operations: u64,
    /// Bytes a turn may allocate and a script may keep. At most [`Limits::MEMORY_CEILING`] is granted.
    pub memory: usize,
    /// Bytes of one string.
    pub string: usize,
    /// Elements of one array, nested ones included.
    pub array: usize,
    /// Keys of one object map, nested ones included.
    pub map: usize,
    /// Actions one turn may queue.
    pub actions: usize,
    /// Values and timers one turn may write.
    pub writes: usize,
    /// Bytes of stored values and timers that the script may keep for one bot, counted as the store does.
    pub store: u64,
    /// Durable timers of the script that may wait for one bot.
    pub timers: u64,
}

/// What happened, on its way to a bot.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The event.
    pub event: Event,
    /// Number of its stanza in the session (XEP-0198); comes back in [`Turned::handled`].
    pub number: Option<u64>,
    /// What names this stanza and no other. Outgoing ids follow from it, so a turn that runs again makes the
    /// same ones.
    pub key: String,
}

/// The bot has as many events waiting as it may.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueFull(pub Box<Delivery>);

/// Who is told what the turns of a bot have led to.
pub trait Sink: Send + Sync {
    /// The stanza that `action` becomes, where it is to survive a crash: it goes into the store with the turn.
    /// Called on a script thread before the commit.
    fn durable(&self, action: &Action) -> Option<Stanza> {
        let _not_durable = action;
        None
    }

    /// What becomes safe when the deliveries of these numbers are committed: it goes into the store with them. Called
    /// on a script thread before the commit; refused commits are asked about again.
    fn received(&self, handled: &[u64]) -> Received {
        let _not_kept = handled;
        Received::default()
    }

    /// What became of up to eight events. Called after the commit, from the store's thread or a script thread:
    /// it must not block.
    fn turned(&self, turned: Turned);
}

/// A stanza for the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stanza {
    /// Its `id` attribute.
    pub id: String,
    /// Its text, standing alone.
    pub xml: String,
}

/// One script of a bot as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptState {
    /// Its name.
    pub name: String,
    /// Version that runs, or that should.
    pub version: String,
    /// Whether it runs.
    pub running: bool,
    /// Why it does not, or why it runs in an older version.
    pub trouble: Option<ScriptError>,
    /// Where it is parked because it kept failing: why, and until when.
    pub parked: Option<Cooldown>,
    /// Turns that failed since the bot began.
    pub failures: u64,
    /// Events that it did not get while it was parked.
    pub skipped: u64,
}

/// A script that kept failing is left alone for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cooldown {
    /// `10 turns in a row failed`
    pub why: String,
    /// When it is tried again, if no other version comes before.
    pub until: Timestamp,
}

/// What became of some events of one bot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turned {
    /// What the account is to do, in order. The number is that of the outbox row, 0 where there is none.
    pub actions: Vec<(i64, Action)>,
    /// Numbers of the stanzas that need no longer be kept by the server.
    pub handled: Vec<u64>,
    /// Whether a commit has kept what [`Sink::received`] said of them.
    pub kept: bool,
    /// What went wrong.
    pub failures: Vec<ScriptError>,
    /// Turns that ran: one for each script that handled an event.
    pub turns: u32,
}

impl Limits {
    /// The stack of a script thread holds the longest chain of values that fits into this much memory.
    pub const MEMORY_CEILING: usize = 16 * 1024 * 1024;

    /// 50 ms, 200,000 operations, 4 MiB.
    pub const DEFAULT: Limits = Limits {
        turn: Duration::from_millis(50),
        operations: 200_000,
        memory: 4 * 1024 * 1024,
        string: 65_536,
        array: 4_096,
        map: 1_000,
        actions: 200,
        writes: 1_000,
        store: Allowance::DEFAULT.bytes,
        timers: Allowance::DEFAULT.timers,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
