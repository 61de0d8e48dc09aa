//! How long a new version of a script takes to reach all bots that share it, and what a bot costs.
//!
//! `cargo bench --bench reload -- [--json] [--runs R]`
//!
//! 1,000 bots run one script. While each has messages waiting, the next version is swapped in. Counted is the time
//! until the last bot runs it, messages that wait included, beside the time of as many messages without a swap. Every
//! answer names the version twice, from a constant and from a function: a mix of versions, or an older one after a
//! newer one, ends the bench with exit code 1, and so does a turn that fails.

mod rig;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rhapsode::script::Limits;
use rhapsode::script::loader::{Compiled, compile};
use serde::Serialize;

use rig::{Player, used};

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Size {
    pub bots: usize,
    /// Bots that are added to see what one costs.
    pub more: usize,
    pub rounds: usize,
    pub limits: Limits,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    pub bots: usize,
    pub swap_median_ms: f64,
    pub swap_worst_ms: f64,
    /// CPU time of one swap, messages included.
    pub swap_cpu_ms: f64,
    /// The same messages without a swap.
    pub messages_ms: f64,
    pub answers: usize,
    pub mixed: usize,
    /// Memory of a bot that has done nothing yet.
    pub bytes_per_bot: usize,
    /// What a bot has taken more once it has answered `HEARD` messages: their traces, and what the bench keeps of them.
    pub bytes_after_messages: usize,
    pub load: String,
}

/// Runs the bench.
///
/// # Errors
/// What kept the bots from answering.
pub fn measure(size: Size) -> Result<Report, String> {
    let pool = rig::pool();
    let limits = size.limits;
    let add =
        |n: usize, compiled: &Compiled| Player::new(&pool, &format!("bot{n}"), used(compiled, limits), false);
    let first = version(1);
    let bots: Vec<Player> = (0..size.bots).map(|n| add(n, &first)).collect();
    live(&bots, &first)?;
    let mut asked = 0;
    ask(&bots, &mut asked);
    answered(&bots, asked)?;

    let (mut swaps, mut plain, mut spent) = (Vec::new(), Vec::new(), Duration::ZERO);
    for number in 2..2 + size.rounds {
        let begun = Instant::now();
        ask(&bots, &mut asked);
        ask(&bots, &mut asked);
        answered(&bots, asked)?;
        plain.push(begun.elapsed());

        let next = version(number);
        let before = rig::cpu();
        ask(&bots, &mut asked);
        let begun = Instant::now();
        bots.iter().for_each(|bot| bot.handle.swap(vec![used(&next, limits)]));
        ask(&bots, &mut asked);
        live(&bots, &next)?;
        swaps.push(begun.elapsed());
        answered(&bots, asked)?;
        spent += rig::cpu() - before;
    }
    let latest = version(1 + size.rounds);
    let before = rig::memory("VmRSS");
    let more: Vec<Player> = (size.bots..size.bots + size.more).map(|n| add(n, &latest)).collect();
    live(&more, &latest)?;
    let grown = rig::memory("VmRSS").saturating_sub(before);
    let mut heard = 0;
    let before = rig::memory("VmRSS");
    while heard < HEARD {
        ask(&more, &mut heard);
        answered(&more, heard)?;
    }
    let after_messages = rig::memory("VmRSS").saturating_sub(before);

    let report = Report {
        bots: size.bots,
        swap_worst_ms: millis(swaps.iter().max().copied().unwrap_or_default()),
        swap_median_ms: millis(rig::median(swaps)),
        swap_cpu_ms: millis(spent) / size.rounds.max(1) as f64,
        messages_ms: millis(rig::median(plain)),
        answers: asked * bots.len(),
        mixed: bots.iter().filter(|bot| !is_monotone(&bot.heard().texts)).count(),
        bytes_per_bot: grown / size.more.max(1),
        bytes_after_messages: after_messages / size.more.max(1),
        load: rig::load(),
    };
    // Those that nothing was sent to end with the pool.
    bots.into_iter().chain(more).for_each(|bot| bot.handle.remove());
    Ok(report)
}

#[allow(dead_code, reason = "the smoke test has its own")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let runs = arguments.iter().position(|argument| argument == "--runs");
    let runs: usize = runs.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(1);
    // What is measured is the change of versions, not whether a busy machine holds a turn up.
    let limits = Limits { turn: Duration::from_secs(2), ..Limits::DEFAULT };
    let size = Size { bots: 1_000, more: 4_000, rounds: 5, limits };
    if !json {
        println!(
            "| bots | swap, median ms | worst ms | CPU ms | messages alone ms | answers | bots with a mix | bytes per bot | after 40 messages | load |"
        );
        println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    }
    let mut clean = true;
    for _ in 0..runs.max(1) {
        let report = match measure(size) {
            Ok(report) => report,
            Err(why) => {
                eprintln!("{why}");
                return ExitCode::FAILURE;
            }
        };
        clean &= report.mixed == 0;
        if json {
            println!("{}", serde_json::json!(report));
            continue;
        }
        let Report { bots, swap_median_ms, swap_worst_ms, swap_cpu_ms, messages_ms, answers, mixed, .. } =
            &report;
        print!("| {bots} | {swap_median_ms:.1} | {swap_worst_ms:.1} | {swap_cpu_ms:.0} | {messages_ms:.1} ");
        println!(
            "| {answers} | {mixed} | {} | +{} | {} |",
            report.bytes_per_bot, report.bytes_after_messages, report.load
        );
    }
    ExitCode::from(u8::from(!clean))
}

fn ask(bots: &[Player], asked: &mut usize) {
    for number in *asked..*asked + WAITING {
        bots.iter().for_each(|bot| assert!(bot.ask(number as u64), "the queue holds what a round sends"));
    }
    *asked += WAITING;
}

fn live(bots: &[Player], compiled: &Compiled) -> Result<(), String> {
    let version = compiled.version();
    let done = || bots.iter().all(|bot| bot.runs(version) || failed(bot));
    rig::wait(done, || told("run the version", bots, |bot| bot.runs(version)))?;
    none_failed(bots)
}

fn answered(bots: &[Player], asked: usize) -> Result<(), String> {
    let done = || bots.iter().all(|bot| bot.heard().texts.len() == asked || failed(bot));
    rig::wait(done, || told("have answered", bots, |bot| bot.heard().texts.len() == asked))?;
    none_failed(bots)
}

fn failed(bot: &Player) -> bool {
    !bot.heard().failures.is_empty()
}

/// A turn that failed has no answer, so nobody must wait for one.
fn none_failed(bots: &[Player]) -> Result<(), String> {
    let failures: Vec<String> = bots.iter().flat_map(|bot| bot.heard().failures.clone()).collect();
    match failures.first() {
        Some(first) => Err(format!("{} turns failed, the first with: {first}", failures.len())),
        None => Ok(()),
    }
}

fn told(what: &str, bots: &[Player], done: impl Fn(&Player) -> bool) -> String {
    let through = bots.iter().filter(|bot| done(bot)).count();
    let slow = bots.iter().filter(|bot| bot.handle.is_slow()).count();
    format!("after a minute {through} of {} bots {what}; {slow} are on the slow lane", bots.len())
}

/// Whether each answer came from one version, and none from an older one than the answer before.
fn is_monotone(texts: &[String]) -> bool {
    let mut latest = 0;
    texts.iter().all(|text| {
        let numbers: Vec<usize> = text.split(' ').filter_map(|number| number.parse().ok()).collect();
        let before = latest;
        latest = numbers.first().copied().unwrap_or(0);
        numbers.len() == 2 && numbers[0] == numbers[1] && latest >= before
    })
}

fn version(number: usize) -> Compiled {
    let source = format!(
        "const VERSION = {number};\nfn version() {{ {number} }}\n\
         on(\"message\", |m| m.reply(`${{VERSION}} ${{version()}}`));\n"
    );
    compile("main", Path::new("bench.rhai"), &source).expect("the bench's own script compiles")
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

/// Messages of each bot that wait when the version changes, and as many that come right after.
const WAITING: usize = 4;
/// Messages that the bots of the second group answer, so that their traces are seen in memory.
const HEARD: usize = 40;
