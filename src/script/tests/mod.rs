//! Scripts as a whole: what authors are promised, and what attackers are not.

mod attacks;
mod between;
mod clockwork;
mod commands;
mod counts;
mod examples;
mod feeds;
mod harmless;
mod hooks;
mod hostile;
mod load;
mod manner;
mod menu;
mod poison;
mod quota;
mod reasons;
mod refusals;
mod respond;
mod rooms;
mod saying;
mod talk;
mod time;
mod traces;
mod turns;
mod unreadable;
mod uploads;
mod web;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::action::{Action, OutgoingMessage};
use crate::cron::Schedule;
use crate::event::{Event, Message};
use crate::hosts::HostPattern;
use crate::ids::Seed;
use crate::jid::{BareJid, Jid};
use crate::moment::Moment;
use crate::script::data::{Data, Memory};
use crate::script::error::ScriptError;
use crate::script::loader::{Compiled, compile};
use crate::script::outside::{Outside, Recorded};
use crate::script::pool::{BotHandle, Pool, PoolOptions};
use crate::script::{BotSpec, Delivery, Limits, Permissions, Roles, ScriptUse, Sink, Turned, WebhookGrant};
use crate::secret::Password;
use crate::store::Store;
use crate::store::flight::Flight;

/// A pool with a clock of its own.
pub(super) struct Rig {
    pub pool: Pool,
    clock: Arc<Mutex<Moment>>,
    /// What the web answers.
    pub web: Arc<Recorded>,
}

/// One bot of a rig and what it has done.
pub(super) struct Player {
    pub handle: BotHandle,
    pub told: Arc<Told>,
    count: u64,
}

/// What a sink was told.
#[derive(Default)]
pub(super) struct Told {
    all: Mutex<Vec<Turned>>,
    more: Condvar,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(2, |clock| Arc::new(Memory::new(clock)))
    }

    /// With a number of threads, and with data of its own.
    pub(super) fn with(workers: usize, data: impl FnOnce(crate::store::Clock) -> Arc<dyn Data>) -> Self {
        let web = Arc::new(Recorded::default());
        Self::start(workers, data, web.clone(), web, None)
    }

    /// On a store, with retries and dead letters.
    pub(super) fn on(store: &Store) -> Self {
        let web = Arc::new(Recorded::default());
        let flight = Flight::open(store).expect("it opens");
        let data = Arc::new(store.clone());
        Self::start(2, |_| data, web.clone(), web, Some(Arc::new(flight)))
    }

    /// With a web of its own.
    pub(super) fn outside(outside: Arc<dyn Outside>) -> Self {
        Self::start(2, |clock| Arc::new(Memory::new(clock)), outside, Arc::default(), None)
    }

    fn start(
        workers: usize,
        data: impl FnOnce(crate::store::Clock) -> Arc<dyn Data>,
        outside: Arc<dyn Outside>,
        web: Arc<Recorded>,
        flight: Option<Arc<Flight>>,
    ) -> Self {
        let start = Moment { at: Instant::now(), wall: "2026-03-01T12:00:00Z".parse().expect("a stamp") };
        let clock = Arc::new(Mutex::new(start));
        let (moments, walls) = (clock.clone(), clock.clone());
        let options = PoolOptions {
            flight,
            workers,
            data: data(Arc::new(move || walls.lock().expect("the clock").wall)),
            clock: Arc::new(move || *moments.lock().expect("the clock")),
            seed: Seed([7; 32]),
            outside,
        };
        Self { pool: Pool::start(options).expect("memory can be read"), clock, web }
    }

    pub(super) fn add(&self, name: &str, scripts: Vec<ScriptUse>) -> Player {
        self.scheduled(name, scripts, Vec::new())
    }

    /// A bot that does something by the clock.
    pub(super) fn scheduled(&self, name: &str, scripts: Vec<ScriptUse>, schedules: Vec<Schedule>) -> Player {
        let told = Arc::new(Told::default());
        let spec = BotSpec {
            name: name.to_owned(),
            jid: jid(&format!("{name}@example.org")).to_bare(),
            scripts,
            queue: 1000,
            admins: vec![BareJid::parse("boss@example.org").expect("valid")],
            schedules,
            roles: Roles::from([(
                "staff".to_owned(),
                vec![jid("ann@example.org").to_bare(), jid("example.net").to_bare()],
            )]),
            speech: Default::default(),
        };
        Player { handle: self.pool.add(spec, told.clone()), told, count: 0 }
    }

    /// A bot with one script.
    pub(super) fn bot(&self, source: &str) -> Player {
        self.add("helper", vec![script("main", source)])
    }

    /// Sets the wall clock, as a person or NTP does.
    pub(super) fn set_wall(&self, wall: &str) {
        self.clock.lock().expect("the clock").wall = wall.parse().expect("a stamp");
        self.pool.wake();
    }

    pub(super) fn advance(&self, span: Duration) {
        {
            let mut now = self.clock.lock().expect("the clock");
            now.at += span;
            now.wall = now.wall.checked_add(span).expect("not that far");
        }
        self.pool.wake();
    }
}

impl Player {
    /// Says something to the bot and gives what it answers.
    pub(super) fn ask(&mut self, text: &str) -> Vec<String> {
        self.give(message("ann@example.org/phone", text))
    }

    /// Gives the bot an event and waits until it has been handled; gives the texts sent for it.
    pub(super) fn give(&mut self, event: Event) -> Vec<String> {
        texts(&self.handle_event(event).actions)
    }

    /// The same, and there must have been no failure.
    pub(super) fn handle_event(&mut self, event: Event) -> Turned {
        let turned = self.try_event(event);
        assert!(turned.failures.is_empty(), "{}", turned.failures[0]);
        turned
    }

    /// Gives the bot an event that must fail, and gives the failure.
    pub(super) fn fail(&mut self, event: Event) -> ScriptError {
        let turned = self.try_event(event);
        assert!(turned.actions.is_empty(), "{:?}", turned.actions);
        turned.failures.into_iter().next().expect("the turn fails")
    }

    pub(super) fn try_event(&mut self, event: Event) -> Turned {
        self.count += 1;
        let number = self.count;
        let key = format!("key-{number}");
        self.handle.deliver(Delivery { event, number: Some(number), key }).expect("there is room");
        self.told.wait(|turned| turned.handled.contains(&number))
    }
}

impl Told {
    /// Waits for something that fits.
    pub(super) fn wait(&self, fits: impl Fn(&Turned) -> bool) -> Turned {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut all = self.all.lock().expect("the list");
        loop {
            if let Some(turned) = all.iter().find(|turned| fits(turned)) {
                return turned.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not told of it in time; told of {all:#?}");
            all = self.more.wait_timeout(all, left).expect("the list").0;
        }
    }

    /// Waits until all texts together fit.
    pub(super) fn wait_texts(&self, fits: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut all = self.all.lock().expect("the list");
        loop {
            let said: Vec<String> = all.iter().flat_map(|turned| texts(&turned.actions)).collect();
            if fits(&said) {
                return said;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not said in time; said {said:#?}, told of {all:#?}");
            all = self.more.wait_timeout(all, left).expect("the list").0;
        }
    }

    /// How many turns have failed so far.
    pub(super) fn failures(&self) -> usize {
        self.all.lock().expect("the list").iter().map(|turned| turned.failures.len()).sum()
    }

    /// The first failure so far.
    pub(super) fn failure(&self) -> Option<ScriptError> {
        self.all.lock().expect("the list").iter().find_map(|turned| turned.failures.first().cloned())
    }

    /// Waits for a failure.
    pub(super) fn wait_failure(&self) -> ScriptError {
        self.wait(|turned| !turned.failures.is_empty()).failures.remove(0)
    }
}

impl Sink for Told {
    fn turned(&self, turned: Turned) {
        self.all.lock().expect("the list").push(turned);
        self.more.notify_all();
    }
}

pub(super) fn compiled(source: &str) -> Compiled {
    compile("main", Path::new("scripts/main.rhai"), source).unwrap_or_else(|failure| panic!("{failure}"))
}

pub(super) fn script(name: &str, source: &str) -> ScriptUse {
    ScriptUse {
        name: name.to_owned(),
        compiled: compiled(source),
        config: json!({}),
        limits: patient(),
        permissions: permissions(),
        timezone: TimeZone::UTC,
    }
}

/// What the scripts of tests and examples are granted.
pub(super) fn permissions() -> Permissions {
    let hosts = ["api.example.net", "*.feeds.example", "http://127.0.0.1:8080"];
    let secrets = [("api_key", "key of the api"), ("deploy_key", "key of deploys")];
    Permissions {
        http: hosts.iter().map(|host| HostPattern::parse(host).expect("a host")).collect(),
        webhooks: [("deploy", false), ("open", true)]
            .map(|(name, open)| (name.to_owned(), WebhookGrant { open }))
            .into(),
        shared: false,
        bots: Vec::new(),
        secrets: secrets.map(|(name, key)| (name.to_owned(), Password::new(key.to_owned()))).into(),
    }
}

pub(super) fn configured(source: &str, config: Value) -> ScriptUse {
    ScriptUse { config, ..script("main", source) }
}

/// Time limits for a machine that runs many tests at once, without optimisation.
pub(super) fn patient() -> Limits {
    Limits { turn: Duration::from_secs(2), ..Limits::DEFAULT }
}

pub(super) fn jid(text: &str) -> Jid {
    Jid::parse(text).expect("a valid address")
}

pub(super) fn plain(from: &str, text: &str) -> Message {
    Message { id: Some("in-1".to_owned()), ..Message::chat(jid(from), text) }
}

pub(super) fn message(from: &str, text: &str) -> Event {
    Event::Message(Box::new(plain(from, text)))
}

pub(super) fn texts(actions: &[(i64, Action)]) -> Vec<String> {
    sent(actions).into_iter().map(|message| message.text).collect()
}

pub(super) fn sent(actions: &[(i64, Action)]) -> Vec<OutgoingMessage> {
    let messages = actions.iter().filter_map(|(_, action)| match action {
        Action::Message(message) => Some(message.clone()),
        _ => None,
    });
    messages.collect()
}

pub(super) fn now() -> Moment {
    Moment { at: Instant::now(), wall: Timestamp::UNIX_EPOCH }
}
