//! What hostile bots take from a good one that shares the script threads with them.
//!
//! `cargo bench --bench isolation -- [--seconds S] [--runs R] [--json]`
//!
//! Good bots run `scripts/echo.rhai` and are asked 1,000 times a second in all; hostile ones are asked ten times a
//! second each, and run what is worst in `tests/hostile`, under the limits that every bot has. The time from delivery to the sink counts, the store included.

use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rhapsode::action::Action;
use rhapsode::event::{Event, Message};
use rhapsode::ids::Seed;
use rhapsode::jid::{BareJid, Jid};
use rhapsode::moment::Moment;
use rhapsode::script::loader::compile;
use rhapsode::script::outside::Nowhere;
use rhapsode::script::pool::{BotHandle, Pool, PoolOptions};
use rhapsode::script::{BotSpec, Delivery, Limits, Permissions, ScriptUse, Sink, Stanza, Turned};
use rhapsode::session;
use rhapsode::store::{Durability, Store, StoreOptions};
use rhapsode::xml::writer;
use serde::Serialize;
use serde_json::json;

fn main() -> ExitCode {
    let (mut seconds, mut runs, mut json) = (5, 3, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1);
        match argument.as_str() {
            // What `cargo bench` adds.
            "--bench" => {}
            "--json" => json = true,
            "--seconds" => seconds = value(),
            "--runs" => runs = value() as usize,
            other => {
                eprintln!("no option `{other}`");
                return ExitCode::from(2);
            }
        }
    }
    let mut rows: Vec<Row> = Vec::new();
    for hostile in HOSTILE {
        let measured: Vec<Row> =
            (0..runs.max(1)).map(|_| measure(hostile, Duration::from_secs(seconds))).collect();
        rows.push(median(&measured));
    }
    let undisturbed = rows[0].p50_us;
    rows.iter_mut().for_each(|row| row.ratio = row.p50_us / undisturbed);
    print(&rows, json);
    ExitCode::SUCCESS
}

fn measure(hostile: usize, span: Duration) -> Row {
    let options = StoreOptions { durability: Durability::Relaxed, ..StoreOptions::default() };
    let store = Store::scratch(options).expect("the folder for temporary files takes a store");
    let pool = Pool::start(PoolOptions {
        workers: std::thread::available_parallelism().map_or(1, usize::from),
        data: Arc::new(store),
        clock: Arc::new(|| Moment { at: Instant::now(), wall: Timestamp::now() }),
        seed: Seed([7; 32]),
        outside: Arc::new(Nowhere),
    });
    let pool = pool.expect("an empty store is readable");
    let (sender, answers) = channel();
    let echo = include_str!("../scripts/echo.rhai");
    let good: Vec<Player> =
        (0..GOOD).map(|n| Player::new(&pool, &format!("good{n}"), echo, Some(&sender))).collect();
    let bad: Vec<Player> = (0..hostile)
        .map(|n| Player::new(&pool, &format!("bad{n}"), ATTACKS[n % ATTACKS.len()], None))
        .collect();
    // First offences are part of what is measured; loading the scripts is not.
    std::thread::sleep(Duration::from_millis(300));
    let _ = answers.try_iter().count();
    let refused = drive(&good, &bad, span);
    let row = summed(hostile, &answers, refused, bad.iter().filter(|player| player.handle.is_slow()).count());
    for player in good.into_iter().chain(bad) {
        player.handle.remove();
    }
    row
}

/// Asks the bots at their paces. How many questions to good bots were refused.
fn drive(good: &[Player], bad: &[Player], span: Duration) -> usize {
    let begun = Instant::now();
    let (mut asked, mut attacked, mut refused) = (0_u32, 0_u32, 0);
    while begun.elapsed() < span {
        let passed = begun.elapsed().as_secs_f64();
        while f64::from(attacked) < passed * ATTACK_RATE && !bad.is_empty() {
            attacked += 1;
            // A full queue of a hostile bot is its own affair.
            bad.iter().for_each(|player| {
                let _ = player.ask(attacked);
            });
        }
        while f64::from(asked) < passed * RATE {
            asked += 1;
            refused += usize::from(!good[asked as usize % good.len()].ask(asked));
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    // The last answers of good bots.
    std::thread::sleep(Duration::from_millis(500));
    refused
}

fn summed(hostile: usize, answers: &Receiver<Duration>, refused: usize, quarantined: usize) -> Row {
    let mut spans: Vec<f64> = answers.try_iter().map(|span| span.as_secs_f64() * 1e6).collect();
    spans.sort_by(f64::total_cmp);
    let at = |part: f64| spans.get((spans.len() as f64 * part) as usize).copied().unwrap_or(0.0);
    let (p50_us, p99_us) = (at(0.5), at(0.99));
    let worst_us = spans.last().copied().unwrap_or(0.0);
    Row { hostile, quarantined, answers: spans.len(), refused, p50_us, p99_us, worst_us, ratio: 1.0 }
}

/// One bot in the pool.
struct Player {
    handle: BotHandle,
    asked: Arc<Mutex<Vec<(u64, Instant)>>>,
}

struct Ear {
    asked: Arc<Mutex<Vec<(u64, Instant)>>>,
    answers: Option<Mutex<Sender<Duration>>>,
}

impl Player {
    fn new(pool: &Pool, name: &str, source: &str, answers: Option<&Sender<Duration>>) -> Self {
        let compiled =
            compile(name, Path::new("bench.rhai"), source).expect("the bench's own script compiles");
        let scripts = vec![ScriptUse {
            name: "main".to_owned(),
            compiled,
            config: json!({}),
            limits: Limits::DEFAULT,
            permissions: Permissions::default(),
            timezone: jiff::tz::TimeZone::UTC,
        }];
        let jid = BareJid::parse(&format!("{name}@bench.example")).expect("a plain name");
        let spec = BotSpec {
            name: name.to_owned(),
            jid,
            scripts,
            queue: 256,
            admins: Vec::new(),
            roles: Default::default(),
            schedules: Vec::new(),
        };
        let asked = Arc::new(Mutex::new(Vec::new()));
        let ear = Ear { asked: Arc::clone(&asked), answers: answers.cloned().map(Mutex::new) };
        Self { handle: pool.add(spec, Arc::new(ear)), asked }
    }

    /// Whether there was room for the question.
    fn ask(&self, number: u32) -> bool {
        let number = u64::from(number);
        self.asked.lock().expect("nobody panics here").push((number, Instant::now()));
        let from = Jid::parse("juliet@bench.example/balcony").expect("a plain address");
        let event = Event::Message(Box::new(Message::chat(from, "Art thou not Romeo, and a Montague?")));
        self.handle.deliver(Delivery { event, number: Some(number), key: number.to_string() }).is_ok()
    }
}

impl Sink for Ear {
    fn durable(&self, action: &Action) -> Option<Stanza> {
        let Action::Message(message) = action else { return None };
        let element = session::encode(action).ok()?;
        Some(Stanza { id: message.id.clone(), xml: writer::to_string(&element).ok()? })
    }

    fn turned(&self, turned: Turned) {
        let mut asked = self.asked.lock().expect("nobody panics here");
        for number in turned.handled {
            let Some(at) = asked.iter().position(|(asked, _)| *asked == number) else { continue };
            let (_, begun) = asked.swap_remove(at);
            if let Some(answers) = &self.answers {
                // The bench may be over.
                let _ = answers.lock().expect("nobody panics here").send(begun.elapsed());
            }
        }
    }
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
struct Row {
    hostile: usize,
    /// Hostile bots on the slow lane at the end.
    quarantined: usize,
    answers: usize,
    refused: usize,
    p50_us: f64,
    p99_us: f64,
    worst_us: f64,
    /// The median, over the median without hostile bots.
    ratio: f64,
}

/// The run with the middle median.
fn median(rows: &[Row]) -> Row {
    let mut rows = rows.to_vec();
    rows.sort_by(|a, b| a.p50_us.total_cmp(&b.p50_us));
    rows.swap_remove(rows.len() / 2)
}

fn print(rows: &[Row], json: bool) {
    if json {
        return println!("{}", json!(rows));
    }
    println!(
        "| hostile bots | in the slow lane | answers | refused | p50 µs | p99 µs | worst ms | median, of undisturbed |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for row in rows {
        println!(
            "| {} | {} | {} | {} | {:.0} | {:.0} | {:.1} | {:.2} |",
            row.hostile,
            row.quarantined,
            row.answers,
            row.refused,
            row.p50_us,
            row.p99_us,
            row.worst_us / 1000.0,
            row.ratio
        );
    }
}

const HOSTILE: [usize; 3] = [0, 1, 10];
const GOOD: usize = 20;
/// Questions a second to all good bots.
const RATE: f64 = 1000.0;
/// Questions a second to each hostile bot.
const ATTACK_RATE: f64 = 10.0;

/// The worst kinds of the corpus: they fill their time in built-in functions, take all memory, or keep it.
const ATTACKS: [&str; 10] = [
    include_str!("../tests/hostile/native-nested.rhai"),
    include_str!("../tests/hostile/grow-closures.rhai"),
    include_str!("../tests/hostile/grow-map-strings.rhai"),
    include_str!("../tests/hostile/recursion-caught.rhai"),
    include_str!("../tests/hostile/regex-unicode.rhai"),
    include_str!("../tests/hostile/sort-liar.rhai"),
    include_str!("../tests/hostile/cycle-map.rhai"),
    include_str!("../tests/hostile/state-closures.rhai"),
    include_str!("../tests/hostile/throw-loop.rhai"),
    include_str!("../tests/hostile/xml-builder.rhai"),
];
