//! Ten thousand reloads under traffic: memory stays flat, and every message is answered by exactly one version.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rhapsode::action::Action;
use rhapsode::event::{Event, Message};
use rhapsode::ids::Seed;
use rhapsode::jid::{BareJid, Jid};
use rhapsode::moment::Moment;
use rhapsode::script::data::Memory;
use rhapsode::script::loader::compile;
use rhapsode::script::outside::Nowhere;
use rhapsode::script::pool::{Pool, PoolOptions};
use rhapsode::script::{BotSpec, Delivery, Limits, Permissions, QueueFull, ScriptUse, Sink, Turned};

use crate::support::process::PATIENCE;
use crate::support::world::World;

/// Reloads in the pool.
const SWAPS: u64 = 10_000;
/// Messages between two of them.
const TRAFFIC: u64 = 3;
/// Reloads after which allocators, caches and threads have their final size.
const WARM: u64 = 2_000;
/// What the rest may add, in KiB: less than 3 KiB a reload, where one AST alone has more.
const GROWTH: u64 = 16 * 1024;

#[test]
fn ten_thousand_reloads_under_traffic_leave_memory_flat_and_lose_nothing() {
    let clock = || Moment { at: Instant::now(), wall: jiff::Timestamp::now() };
    let pool = Pool::start(PoolOptions {
        flight: None,
        workers: 2,
        data: Arc::new(Memory::new(Arc::new(jiff::Timestamp::now))),
        clock: Arc::new(clock),
        seed: Seed([3; 32]),
        outside: Arc::new(Nowhere),
    })
    .expect("memory can be read");
    let judge = Arc::new(Judge::default());
    let spec = BotSpec {
        speech: Default::default(),
        name: "bot".to_owned(),
        jid: BareJid::parse("bot@world.localhost").expect("a bare JID"),
        scripts: version(0),
        queue: 100,
        admins: Vec::new(),
        roles: Default::default(),
        schedules: Vec::new(),
    };
    let bot = pool.add(spec, judge.clone());
    let ann = Jid::parse("ann@world.localhost/phone").expect("a JID");
    let (mut sent, mut warm) = (0, 0);
    for number in 1..=SWAPS {
        for _ in 0..TRAFFIC {
            sent += 1;
            let event = Event::Message(Box::new(Message::chat(ann.clone(), sent.to_string())));
            let mut delivery = Delivery { event, number: Some(sent), key: sent.to_string() };
            // A full queue holds the sender up, as it does the account.
            while let Err(QueueFull(back)) = bot.deliver(delivery) {
                delivery = *back;
                judge.wait(sent - 50);
            }
        }
        bot.swap(version(number));
        if number == WARM {
            judge.wait(sent);
            warm = resident();
        }
    }
    judge.wait(sent);
    let grown = resident().saturating_sub(warm);
    assert_eq!(judge.verdict(), None);
    assert!(grown < GROWTH, "{} reloads added {grown} KiB to {warm} KiB", SWAPS - WARM);
    println!("{} reloads added {grown} KiB to {warm} KiB; {sent} messages", SWAPS - WARM);
    bot.remove();
}

#[test]
fn fifty_saved_files_under_traffic_answer_every_message_once() {
    let mut world = World::new();
    world.script("echo", &source(0));
    world.bot("echo", "scripts: [scripts/echo.rhai]");
    let process = world.start(&["run"]);
    process.until_online(1);
    let mut ann = world.person("ann");
    let (mut asked, mut answered, mut last) = (0u64, 0u64, 0u64);
    for save in 1..=50 {
        world.script("echo", &source(save));
        let deadline = Instant::now() + PATIENCE;
        while last < save {
            assert!(Instant::now() < deadline, "version {save} never came: {}", process.stderr());
            for _ in 0..3 {
                asked += 1;
                ann.say("echo", &asked.to_string());
            }
            // Two are always under way: the swap happens between messages that wait.
            while answered + 2 < asked {
                let text = ann.text("echo");
                let (version, number) = text.split_once(' ').expect("a version and a number");
                let version: u64 = version.parse().expect("a number");
                answered += 1;
                assert_eq!(number, answered.to_string(), "in order, each once");
                assert!((last..=save).contains(&version), "{text} after version {last}");
                last = version;
            }
        }
    }
    assert_eq!(process.account("echo")["connects"], 1);
    println!("{asked} messages over 50 saved files");
}

/// Checks every answer as it comes and keeps none of them.
#[derive(Default)]
struct Judge {
    answered: AtomicU64,
    state: Mutex<(u64, Option<String>)>,
}

impl Judge {
    /// Waits until so many messages are answered.
    fn wait(&self, count: u64) {
        let deadline = Instant::now() + PATIENCE;
        while self.answered.load(Ordering::Acquire) < count {
            assert_eq!(self.verdict(), None);
            assert!(Instant::now() < deadline, "only {} answers", self.answered.load(Ordering::Acquire));
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// What was wrong first.
    fn verdict(&self) -> Option<String> {
        self.state.lock().expect("no judge panics").1.clone()
    }
}

impl Sink for Judge {
    fn turned(&self, turned: Turned) {
        let mut state = self.state.lock().expect("no judge panics");
        let (last, wrong) = &mut *state;
        for failure in &turned.failures {
            wrong.get_or_insert(failure.to_string());
        }
        for (_, action) in &turned.actions {
            let Action::Message(message) = action else { continue };
            let next = self.answered.load(Ordering::Acquire) + 1;
            let (version, number) = message.text.split_once(' ').unwrap_or_default();
            let version: u64 = version.parse().unwrap_or_default();
            if number != next.to_string() || version < *last {
                wrong.get_or_insert(format!("{} came as answer {next} after version {last}", message.text));
            }
            *last = version;
            self.answered.store(next, Ordering::Release);
        }
    }
}

fn source(version: u64) -> String {
    format!("const VERSION = {version};\non(\"message\", |m| m.reply(`${{VERSION}} ${{m.text}}`));\n")
}

fn version(number: u64) -> Vec<ScriptUse> {
    let compiled = compile("main", Path::new("main.rhai"), &source(number)).expect("it compiles");
    let limits = Limits { turn: Duration::from_secs(5), ..Limits::DEFAULT };
    vec![ScriptUse {
        name: "main".to_owned(),
        compiled,
        config: serde_json::json!({}),
        limits,
        permissions: Permissions::default(),
        timezone: jiff::tz::TimeZone::UTC,
    }]
}

/// Resident memory of this process in KiB.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4
}
