//! What hostile scripts take from a good bot that shares the script threads with them.
//!
//! `cargo bench --bench isolation -- [--json] [--runs R] [--each]`
//!
//! A good bot runs `scripts/echo.rhai` and is asked 200 times a second, alone at first, then while every script of
//! `tests/hostile` runs beside it under the limits that every bot has, one after another. The time from delivery to the
//! sink counts, the store included. Exit code 1: the median is more than twice the undisturbed one, a turn took more
//! than twice its budget, or the process grew beyond its ceiling. `--each` tells for each script by how much the process
//! grew at most while it was compiled and while it ran, and what stayed, in MiB over the start.

mod rig;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rhapsode::script::Limits;
use rhapsode::script::loader::{COMPILING, compile};
use rhapsode::script::pool::Pool;
use serde::Serialize;

use rig::{Player, used};

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    pub scripts: usize,
    pub answers: usize,
    pub undisturbed_us: f64,
    pub disturbed_us: f64,
    pub disturbed_p99_us: f64,
    /// The median beside hostile scripts, over the one without.
    pub ratio: f64,
    /// Scripts with a turn of more than twice its budget, in each of three tries.
    pub late: Vec<String>,
    pub worst_turn_ms: f64,
    /// By how much the process was larger than before, at its largest.
    pub grown_mib: f64,
    /// By how much it may be: see [`ceiling`].
    pub ceiling_mib: f64,
    /// What was left of that at the end.
    pub kept_mib: f64,
    pub load: String,
    #[serde(skip)]
    pub steps: Vec<Step>,
}

/// How large the process was around one script, in bytes over the start.
#[derive(Debug, Default)]
pub struct Step {
    pub name: String,
    /// At most while it was compiled, and afterwards.
    pub compiling: usize,
    pub compiled: usize,
    /// At most while it ran, and afterwards.
    pub running: usize,
    pub over: usize,
}

impl Report {
    /// What is not as promised.
    pub fn complaint(&self) -> Option<String> {
        if self.ratio > 2.0 {
            return Some(format!("the neighbour's median is {:.2} times the undisturbed one", self.ratio));
        }
        if !self.late.is_empty() {
            return Some(format!("turns of more than twice their budget: {:?}", self.late));
        }
        let over = self.grown_mib > self.ceiling_mib;
        over.then(|| format!("the process has grown by {:.0} MiB of {:.0}", self.grown_mib, self.ceiling_mib))
    }
}

/// Runs every `step`th script of the corpus beside a bot that was asked for `alone` without them.
///
/// # Errors
/// What kept the good bot from answering.
pub fn measure(step: usize, alone: Duration) -> Result<Report, String> {
    let pool = rig::pool();
    let echo = compile("echo", Path::new("echo.rhai"), include_str!("../scripts/echo.rhai"));
    let echo = echo.map_err(|failure| failure.to_string())?;
    let good = Player::new(&pool, "good", used(&echo, Limits::DEFAULT), true);
    let over = AtomicBool::new(false);
    // First questions pay for what is made once.
    drive(&good, 0, Duration::from_millis(300), &over)?;
    drive(&good, 1_000_000, alone, &over)?;
    let undisturbed = micros(rig::median(std::mem::take(&mut good.heard().spans)));

    // From here on the highest counts.
    rig::highest();
    let before = rig::memory("VmRSS");
    let (corpus, mut late, mut worst) = (corpus(step), Vec::new(), Duration::ZERO);
    let mut steps = Vec::new();
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| drive(&good, 2_000_000, Duration::from_secs(600), &over));
        for path in &corpus {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let mut step = Step { name: name.clone(), ..Step::default() };
            let (took, punctual) = attack(&pool, path, &mut step);
            worst = worst.max(took);
            if !punctual {
                late.push(name);
            }
            steps.push(step);
        }
        over.store(true, Ordering::SeqCst);
        asking.join().expect("nobody panics here")
    })?;
    let kept = rig::memory("VmRSS").saturating_sub(before);
    for step in &mut steps {
        for bytes in [&mut step.compiling, &mut step.compiled, &mut step.running, &mut step.over] {
            *bytes = bytes.saturating_sub(before);
        }
    }
    let grown = steps.iter().map(|step| step.compiling.max(step.running)).max().unwrap_or(0);
    let mut spans = std::mem::take(&mut good.heard().spans);
    spans.sort();
    let p99 = spans.get(spans.len() * 99 / 100).copied().unwrap_or_default();
    let answers = spans.len();
    let disturbed = micros(rig::median(spans));
    good.handle.remove();
    Ok(Report {
        scripts: corpus.len(),
        answers,
        undisturbed_us: undisturbed,
        disturbed_us: disturbed,
        disturbed_p99_us: micros(p99),
        ratio: disturbed / undisturbed.max(f64::MIN_POSITIVE),
        late,
        worst_turn_ms: worst.as_secs_f64() * 1e3,
        grown_mib: mib(grown),
        ceiling_mib: mib(ceiling()),
        kept_mib: mib(kept),
        load: rig::load(),
        steps,
    })
}

#[allow(dead_code, reason = "the smoke test has its own")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let each = arguments.iter().any(|argument| argument == "--each");
    let runs = arguments.iter().position(|argument| argument == "--runs");
    let runs: usize = runs.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(1);
    if !json {
        println!(
            "| scripts | answers | undisturbed µs | disturbed µs | ratio | p99 µs | worst turn ms | late | grown MiB | of | kept MiB | load |"
        );
        println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    }
    let mut code = ExitCode::SUCCESS;
    for _ in 0..runs.max(1) {
        let report = match measure(1, Duration::from_secs(5)) {
            Ok(report) => report,
            Err(why) => {
                eprintln!("{why}");
                return ExitCode::FAILURE;
            }
        };
        if json {
            println!("{}", serde_json::json!(report));
        } else {
            let Report { scripts, answers, undisturbed_us, disturbed_us, ratio, .. } = &report;
            print!("| {scripts} | {answers} | {undisturbed_us:.0} | {disturbed_us:.0} | {ratio:.2} ");
            print!("| {:.0} | {:.0} | {} ", report.disturbed_p99_us, report.worst_turn_ms, report.late.len());
            print!("| {:.1} | {:.0} | {:.1} ", report.grown_mib, report.ceiling_mib, report.kept_mib);
            println!("| {} |", report.load);
        }
        for step in report.steps.iter().filter(|_| each) {
            print!("{:30} {:6.1} {:6.1}", step.name, mib(step.compiling), mib(step.compiled));
            println!(" {:6.1} {:6.1}", mib(step.running), mib(step.over));
        }
        if let Some(complaint) = report.complaint() {
            eprintln!("{complaint}");
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// Asks the good bot at its pace, with numbers from `asked` on, until the time is up or the attacks are over.
fn drive(good: &Player, mut asked: u64, span: Duration, over: &AtomicBool) -> Result<(), String> {
    let begun = Instant::now();
    while begun.elapsed() < span && !over.load(Ordering::SeqCst) {
        asked += 1;
        if !good.ask(asked) {
            return Err("the good bot's queue is full".to_owned());
        }
        std::thread::sleep(PACE);
    }
    rig::wait(|| good.handle.queued() == 0, || "the good bot does not get through its queue".to_owned())
}

/// The longest turn of a script, and whether one try held its budget: a busy machine makes any turn late now and then.
fn attack(pool: &Pool, path: &Path, step: &mut Step) -> (Duration, bool) {
    let mut shortest = Duration::MAX;
    for _ in 0..TRIES {
        let (took, budget) = provoke(pool, path, step);
        shortest = shortest.min(took);
        if took <= 2 * budget {
            return (shortest, true);
        }
    }
    (shortest, false)
}

/// Lets a script do its worst; how long its longest turn took, and how long it may.
fn provoke(pool: &Pool, path: &Path, step: &mut Step) -> (Duration, Duration) {
    let source = std::fs::read_to_string(path).unwrap_or_default();
    let compiled = compile("hostile", path, &source);
    step.compiling = step.compiling.max(rig::highest());
    step.compiled = rig::memory("VmRSS");
    // One that does not compile never runs.
    let Ok(compiled) = compiled else { return (Duration::ZERO, LOADING) };
    let number = |key: &str| {
        let line = source.lines().take(4).find_map(|line| line.strip_prefix("// ")?.strip_prefix(key));
        line.and_then(|text| text.trim().parse::<u64>().ok())
    };
    let operations = number("operations:").unwrap_or(Limits::DEFAULT.operations);
    let bad = Player::new(pool, "bad", used(&compiled, Limits { operations, ..Limits::DEFAULT }), true);
    for event in 0..number("events:").unwrap_or(1) {
        // A full queue of a hostile bot is its own affair, and so is a turn that never says that it is over.
        if !bad.ask(event) || !bad.heard().failures.is_empty() {
            break;
        }
        let begun = Instant::now();
        while bad.heard().spans.len() as u64 <= event && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_micros(500));
        }
    }
    let (worst, loaded) = (bad.handle.worst(), bad.heard().turns > 0);
    bad.handle.remove();
    step.running = step.running.max(rig::highest());
    step.over = rig::memory("VmRSS");
    (worst.time, if loaded { Limits::DEFAULT.turn } else { LOADING })
}

/// By how much the process may grow, in bytes: the table under "One process" in `docs/safety.md`.
fn ceiling() -> usize {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) + 1;
    let (turn, stack) = (3 * Limits::DEFAULT.memory, 4 * Limits::DEFAULT.memory);
    let kept = BOTS * Limits::DEFAULT.memory;
    threads * (turn + stack) + 2 * COMPILING.memory + kept
}

fn corpus(step: usize) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let files = std::fs::read_dir(folder).expect("the corpus is there");
    let files = files.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "rhai")).collect();
    files.sort();
    files.into_iter().step_by(step.max(1)).collect()
}

fn mib(bytes: usize) -> f64 {
    bytes as f64 / 1_048_576.0
}

fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}

/// Between two questions to the good bot.
const PACE: Duration = Duration::from_millis(5);
/// Bots at a time: the good one, and a hostile one.
const BOTS: usize = 2;
/// How often a script is tried that was late.
const TRIES: usize = 3;
/// What loading a script may take, whatever its turns may.
const LOADING: Duration = Duration::from_secs(1);
/// How long a hostile bot is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
