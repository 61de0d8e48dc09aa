//! How long a new version of a script takes to reach all bots that share it, and what a bot costs.
//!
//! `cargo bench --bench reload -- [--json]`
//!
//! 1,000 bots run one script. While each has messages waiting, the next version is swapped in. Counted is the time
//! until the last bot runs it, messages that wait included. Every answer names the version twice, from a constant and
//! from a function: a mix of versions, or an older one after a newer one, ends the bench with exit code 1.

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rhapsode::action::Action;
use rhapsode::event::{Event, Message};
use rhapsode::ids::Seed;
use rhapsode::jid::{BareJid, Jid};
use rhapsode::moment::Moment;
use rhapsode::script::loader::{Compiled, compile};
use rhapsode::script::outside::Nowhere;
use rhapsode::script::pool::{BotHandle, Pool, PoolOptions};
use rhapsode::script::{BotSpec, Delivery, Limits, Permissions, ScriptUse, Sink, Turned};
use rhapsode::store::{Durability, Store, StoreOptions};
use serde_json::json;

fn main() -> ExitCode {
    let json = std::env::args().any(|argument| argument == "--json");
    let store = StoreOptions { durability: Durability::Relaxed, ..StoreOptions::default() };
    let store = Store::scratch(store).expect("the folder for temporary files takes a store");
    let pool = Pool::start(PoolOptions {
        workers: std::thread::available_parallelism().map_or(1, usize::from),
        data: Arc::new(store),
        clock: Arc::new(|| Moment { at: Instant::now(), wall: Timestamp::now() }),
        seed: Seed([7; 32]),
        outside: Arc::new(Nowhere),
    });
    let pool = pool.expect("an empty store is readable");
    let first = version(1);
    let bots: Vec<Player> = (0..BOTS).map(|n| Player::new(&pool, n, &first)).collect();
    wait(|| bots.iter().all(|bot| bot.runs(&first)));
    bots.iter().for_each(|bot| bot.ask(0..WAITING));
    wait(|| bots.iter().all(|bot| bot.answers() == WAITING));

    let mut spans = Vec::new();
    let mut asked = WAITING;
    for number in 2..2 + ROUNDS {
        let next = version(number);
        bots.iter().for_each(|bot| bot.ask(asked..asked + WAITING));
        let begun = Instant::now();
        bots.iter().for_each(|bot| bot.handle.swap(vec![used(&next)]));
        bots.iter().for_each(|bot| bot.ask(asked + WAITING..asked + 2 * WAITING));
        wait(|| bots.iter().all(|bot| bot.runs(&next)));
        spans.push(begun.elapsed());
        asked += 2 * WAITING;
        wait(|| bots.iter().all(|bot| bot.answers() == asked));
    }
    spans.sort();
    let mixed = bots.iter().filter(|bot| !bot.is_monotone()).count();

    let before = resident();
    let latest = version(1 + ROUNDS);
    let more: Vec<Player> = (BOTS..BOTS + MORE).map(|n| Player::new(&pool, n, &latest)).collect();
    wait(|| more.iter().all(|bot| bot.runs(&latest)));
    let bytes = resident().saturating_sub(before) / MORE;

    let (median, worst) = (spans[spans.len() / 2], spans[spans.len() - 1]);
    let (median, worst) = (median.as_secs_f64() * 1e3, worst.as_secs_f64() * 1e3);
    let answers = asked * bots.len();
    if json {
        println!(
            "{}",
            json!({ "bots": BOTS, "median_ms": median, "worst_ms": worst, "answers": answers, "mixed": mixed, "bytes_per_bot": bytes })
        );
    } else {
        println!("| bots | swap, median ms | swap, worst ms | answers | bots with a mix | bytes per bot |");
        println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
        println!("| {BOTS} | {median:.1} | {worst:.1} | {answers} | {mixed} | {bytes} |");
    }
    // Those that nothing was sent to end with the pool.
    bots.into_iter().chain(more).for_each(|bot| bot.handle.remove());
    ExitCode::from(u8::from(mixed > 0))
}

struct Player {
    handle: BotHandle,
    said: Arc<Said>,
}

/// What one bot has answered, in order.
#[derive(Default)]
struct Said(Mutex<Vec<String>>);

impl Player {
    fn new(pool: &Pool, number: usize, compiled: &Compiled) -> Self {
        let name = format!("bot{number}");
        let said = Arc::new(Said::default());
        let spec = BotSpec {
            jid: BareJid::parse(&format!("{name}@bench.example")).expect("a plain name"),
            name,
            scripts: vec![used(compiled)],
            queue: 256,
            admins: Vec::new(),
            roles: Default::default(),
            schedules: Vec::new(),
        };
        Self { handle: pool.add(spec, said.clone()), said }
    }

    fn ask(&self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            let from = Jid::parse("juliet@bench.example/balcony").expect("a plain address");
            let event = Event::Message(Box::new(Message::chat(from, "which?")));
            let delivery = Delivery { event, number: Some(number as u64), key: number.to_string() };
            self.handle.deliver(delivery).expect("the queue holds what a round sends");
        }
    }

    fn runs(&self, compiled: &Compiled) -> bool {
        self.handle.scripts().iter().any(|script| script.running && script.version == compiled.version())
    }

    fn answers(&self) -> usize {
        self.said.0.lock().expect("nobody panics here").len()
    }

    /// Whether each answer came from one version, and none from an older one than the answer before.
    fn is_monotone(&self) -> bool {
        let mut latest = 0;
        self.said.0.lock().expect("nobody panics here").iter().all(|text| {
            let numbers: Vec<usize> = text.split(' ').filter_map(|number| number.parse().ok()).collect();
            let before = latest;
            latest = numbers.first().copied().unwrap_or(0);
            numbers.len() == 2 && numbers[0] == numbers[1] && latest >= before
        })
    }
}

impl Sink for Said {
    fn turned(&self, turned: Turned) {
        let texts = turned.actions.into_iter().filter_map(|(_, action)| match action {
            Action::Message(message) => Some(message.text),
            _ => None,
        });
        self.0.lock().expect("nobody panics here").extend(texts);
    }
}

fn version(number: usize) -> Compiled {
    let source = format!(
        "const VERSION = {number};\nfn version() {{ {number} }}\n\
         on(\"message\", |m| m.reply(`${{VERSION}} ${{version()}}`));\n"
    );
    compile("main", Path::new("bench.rhai"), &source).expect("the bench's own script compiles")
}

fn used(compiled: &Compiled) -> ScriptUse {
    ScriptUse {
        name: "main".to_owned(),
        compiled: compiled.clone(),
        config: json!({}),
        // What is measured is the change of versions, not whether a busy machine holds a turn up.
        limits: Limits { turn: Duration::from_secs(2), ..Limits::DEFAULT },
        permissions: Permissions::default(),
        timezone: jiff::tz::TimeZone::UTC,
    }
}

fn wait(done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the bots do not get there");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Bytes of memory the process has, by `/proc`; 0 where there is none.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").ok().and_then(|text| {
        let pages = text.split(' ').nth(1)?.parse::<usize>().ok()?;
        Some(pages)
    });
    pages.unwrap_or(0) * 4096
}

const BOTS: usize = 1_000;
/// Bots that are added to see what one costs.
const MORE: usize = 4_000;
const ROUNDS: usize = 5;
/// Messages of each bot that wait when the version changes, and as many that come right after.
const WAITING: usize = 4;
