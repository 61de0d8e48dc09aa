//! What the benches of the script pool share: a pool of its own, bots that are asked and keep what came of it, and
//! what the process takes meanwhile.

#![allow(dead_code, reason = "each bench uses a part")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rhapsode::action::Action;
use rhapsode::event::{Event, Message};
use rhapsode::ids::Seed;
use rhapsode::jid::{BareJid, Jid};
use rhapsode::moment::Moment;
use rhapsode::script::loader::Compiled;
use rhapsode::script::outside::Nowhere;
use rhapsode::script::pool::{BotHandle, Pool, PoolOptions};
use rhapsode::script::{BotSpec, Delivery, Limits, Permissions, ScriptUse, Sink, Stanza, Turned};
use rhapsode::session;
use rhapsode::store::{Durability, Store, StoreOptions};
use rhapsode::xml::writer;
use serde_json::json;

/// A pool with a thread for each core and a store in the folder for temporary files.
pub fn pool() -> Pool {
    let options = StoreOptions { durability: Durability::Relaxed, ..StoreOptions::default() };
    let store = Store::scratch(options).expect("the folder for temporary files takes a store");
    let pool = Pool::start(PoolOptions {
        flight: None,
        workers: std::thread::available_parallelism().map_or(1, usize::from),
        data: Arc::new(store),
        clock: Arc::new(|| Moment { at: Instant::now(), wall: Timestamp::now() }),
        seed: Seed([7; 32]),
        outside: Arc::new(Nowhere),
    });
    pool.expect("an empty store is readable")
}

/// A script without options and permissions.
pub fn used(compiled: &Compiled, limits: Limits) -> ScriptUse {
    ScriptUse {
        name: "main".to_owned(),
        compiled: compiled.clone(),
        config: json!({}),
        limits,
        permissions: Permissions::default(),
        timezone: jiff::tz::TimeZone::UTC,
    }
}

/// One bot in the pool.
pub struct Player {
    pub handle: BotHandle,
    ear: Arc<Ear>,
}

/// What came of the questions to one bot.
#[derive(Default)]
pub struct Heard {
    /// Questions that nothing came of yet.
    asked: VecDeque<(u64, Instant)>,
    /// From each question to its turn's end, commit included.
    pub spans: Vec<Duration>,
    /// What was said, in order.
    pub texts: Vec<String>,
    /// What failed: without this, a bench waits for answers that never come.
    pub failures: Vec<String>,
    pub turns: u32,
}

struct Ear {
    heard: Mutex<Heard>,
    /// Whether messages go into the store with their turn.
    durable: bool,
}

impl Player {
    pub fn new(pool: &Pool, name: &str, uses: ScriptUse, durable: bool) -> Self {
        let ear = Arc::new(Ear { heard: Mutex::default(), durable });
        let spec = BotSpec {
            speech: Default::default(),
            name: name.to_owned(),
            jid: BareJid::parse(&format!("{name}@bench.example")).expect("a plain name"),
            scripts: vec![uses],
            queue: 256,
            admins: Vec::new(),
            roles: Default::default(),
            schedules: Vec::new(),
        };
        Self { handle: pool.add(spec, ear.clone()), ear }
    }

    /// Whether there was room for the question.
    pub fn ask(&self, number: u64) -> bool {
        self.heard().asked.push_back((number, Instant::now()));
        let from = Jid::parse("juliet@bench.example/balcony").expect("a plain address");
        let event = Event::Message(Box::new(Message::chat(from, "Art thou not Romeo, and a Montague?")));
        self.handle.deliver(Delivery { event, number: Some(number), key: number.to_string() }).is_ok()
    }

    pub fn heard(&self) -> MutexGuard<'_, Heard> {
        self.ear.heard.lock().expect("nobody panics here")
    }

    /// Whether the script runs in this version.
    pub fn runs(&self, version: &str) -> bool {
        self.handle.scripts().iter().any(|script| script.running && script.version == version)
    }
}

impl Sink for Ear {
    fn durable(&self, action: &Action) -> Option<Stanza> {
        let Action::Message(message) = action else { return None };
        if !self.durable {
            return None;
        }
        let element = session::encode(action).ok()?;
        Some(Stanza { id: message.id.clone(), xml: writer::to_string(&element).ok()? })
    }

    fn turned(&self, turned: Turned) {
        let mut heard = self.heard.lock().expect("nobody panics here");
        for number in turned.handled {
            let Some(at) = heard.asked.iter().position(|(asked, _)| *asked == number) else { continue };
            if let Some((_, begun)) = heard.asked.remove(at) {
                heard.spans.push(begun.elapsed());
            }
        }
        heard.turns += turned.turns;
        heard.failures.extend(turned.failures.iter().map(ToString::to_string));
        heard.texts.extend(turned.actions.into_iter().filter_map(|(_, action)| match action {
            Action::Message(message) => Some(message.text),
            _ => None,
        }));
    }
}

/// Waits until `done` says so.
///
/// # Errors
/// What `why` says, where it takes a minute.
pub fn wait(done: impl Fn() -> bool, why: impl Fn() -> String) -> Result<(), String> {
    let begun = Instant::now();
    while !done() {
        if begun.elapsed() > Duration::from_secs(60) {
            return Err(why());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// The middle one, or nothing of nothing.
pub fn median(mut spans: Vec<Duration>) -> Duration {
    spans.sort();
    spans.get(spans.len() / 2).copied().unwrap_or_default()
}

/// CPU time of the process so far, in steps of 10 ms, by `/proc`; nothing where there is none.
pub fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks: u64 =
        after.split_whitespace().skip(11).take(2).filter_map(|tick| tick.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// A line of `/proc/self/status` in bytes, such as `VmRSS` or `VmHWM`; 0 where there is none.
pub fn memory(line: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':'));
    let kib = value.and_then(|value| value.trim().split(' ').next()?.parse::<usize>().ok());
    kib.unwrap_or(0) * 1024
}

/// The most memory that the process had since the last look, in bytes; since its start where the system counts on.
pub fn highest() -> usize {
    let highest = memory("VmHWM");
    // "5" resets `VmHWM`, see proc(5).
    drop(std::fs::write("/proc/self/clear_refs", "5"));
    highest
}

/// How loaded the machine was in the last minute, by `/proc`.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
