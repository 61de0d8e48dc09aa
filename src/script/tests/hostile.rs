//! The scripts of `tests/hostile`: each does one harmful thing to a pool that others share, and is stopped.
//!
//! The first line of a script names the kinds of error it may end with (`// expect: deadline|operations`), the second
//! what it tries. `// events: 60` sends it that many messages, for what needs more than one; `// operations: N` gives
//! it more operations, so that only the clock can stop it. `// store: N` lets it keep so many bytes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Player, Rig, message, script};
use crate::script::data::Memory;
use crate::script::error::{Kind, ScriptError};
use crate::script::loader::{SOURCE_LIMIT, compile};
use crate::script::{Limits, ScriptUse};
use crate::store::{Store, StoreOptions};

/// What a turn of a hostile script may take.
const BUDGET: Duration = Duration::from_millis(500);
/// What loading one may take, whatever the turns may: see `Instance::load`.
const LOADING: Duration = Duration::from_secs(1);
/// What the top levels of imported modules may take when a script is compiled, see `loader`.
const COMPILING: Duration = Duration::from_secs(2);
/// The most that one turn may hold at once. It is stopped when it has passed its 4 MiB, and what one host function
/// builds before the next look, a text or an expression of the largest sort, comes on top.
const CEILING: usize = 3 * Limits::DEFAULT.memory;
/// A machine that does other things makes a turn late now and then; a script that escapes is late every time.
const TRIES: usize = 3;

#[test]
fn loops_and_recursion_are_stopped() {
    check(&["loop-", "native-", "recursion-", "sort-", "dedup-", "compare-"]);
}

#[test]
fn what_grows_is_stopped() {
    check(&["grow-", "deep-", "json-", "xml-", "feed-"]);
}

#[test]
fn what_is_kept_over_events_is_bounded() {
    check(&["cycle-", "state-", "timer-", "after-"]);
}

#[test]
fn what_is_stored_is_bounded() {
    check(&["store-"]);
}

#[test]
fn what_is_stored_is_bounded_by_the_store_of_the_program() {
    let rig = Rig::with(1, |clock| {
        let options = StoreOptions { clock, ..StoreOptions::default() };
        Arc::new(Store::scratch(options).expect("a scratch folder"))
    });
    check_on(&rig, &["quota-", "store-", "timer-"]);
}

#[test]
fn compiling_and_loading_are_bounded() {
    check(&["compile-", "declare-", "load-", "import-"]);
}

#[test]
fn everything_else_that_harms_is_stopped() {
    check(&[
        "address-", "ask-", "contact-", "control-", "eval", "exit", "float-", "http-", "int-", "iq-", "log-",
        "metric-", "peer-", "print-", "rand-", "rate-", "react-", "regex-", "reply-", "room-", "secret-",
        "shadow", "shared-", "sleep", "string-", "text-", "throw-", "time-",
    ]);
}

#[test]
fn every_hostile_script_is_run_and_says_what_it_tries() {
    let source = include_str!("hostile.rs");
    for Hostile { name, idea, expect, .. } in corpus() {
        assert!(!expect.is_empty() && !idea.is_empty(), "{name}");
        let family = name.split_once('-').map_or(name.as_str(), |(family, _)| family);
        assert!(source.contains(&format!("\"{family}")), "no test runs `{name}`");
    }
}

#[test]
fn every_way_to_harm_has_a_script_and_every_script_a_way() {
    let named: BTreeSet<String> = corpus().into_iter().map(|hostile| hostile.name).collect();
    let mut tried = BTreeSet::new();
    // A line that is not indented names a way, those below it the scripts.
    let mut ways: Vec<(&str, Vec<&str>)> = Vec::new();
    let lines = include_str!("../../../tests/hostile/routes.txt").lines();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match (line.strip_prefix("    "), ways.last_mut()) {
            (Some(scripts), Some((_, known))) => known.extend(scripts.split_whitespace()),
            (Some(scripts), None) => panic!("no way is named before `{scripts}`"),
            (None, _) => ways.push((line, Vec::new())),
        }
    }
    for (way, scripts) in ways {
        assert!(!scripts.is_empty(), "no script tries `{way}`");
        for script in scripts {
            assert!(named.contains(script), "{way}: there is no script `{script}`");
            tried.insert(script.to_owned());
        }
    }
    let forgotten: Vec<_> = named.difference(&tried).collect();
    assert!(forgotten.is_empty(), "of no way: {forgotten:?}");
}

/// Runs the scripts whose names begin so, one after another, on one pool, whose other bot must answer all along.
fn check(families: &[&str]) {
    check_on(&Rig::with(1, |clock| Arc::new(Memory::new(clock))), families);
}

fn check_on(rig: &Rig, families: &[&str]) {
    let mut neighbour = rig.add("neighbour", vec![script("main", r#"on("message", |m| m.reply("here"));"#)]);
    let mut complaints = Vec::new();
    let chosen = corpus().into_iter().filter(|hostile| families.iter().any(|f| hostile.name.starts_with(f)));
    for hostile in chosen {
        let mut last = Ok(());
        for _ in 0..TRIES {
            last = hostile.run(rig);
            if !matches!(last, Err(Complaint::Late(_))) {
                break;
            }
        }
        if let Err(Complaint::Late(text) | Complaint::Other(text)) = last {
            complaints.push(format!("{}: {text}", hostile.name));
        }
        assert_eq!(neighbour.ask("there?"), ["here"], "after {}", hostile.name);
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// One script of the corpus.
struct Hostile {
    name: String,
    path: PathBuf,
    source: String,
    idea: String,
    expect: Vec<String>,
    events: usize,
    operations: u64,
    store: u64,
}

/// What is wrong with how a script ended.
enum Complaint {
    Late(String),
    Other(String),
}

impl Hostile {
    fn run(&self, rig: &Rig) -> Result<(), Complaint> {
        let begun = Instant::now();
        let compiled = compile("hostile", &self.path, &self.source);
        let took = begun.elapsed();
        if took > 2 * COMPILING {
            return Err(Complaint::Late(format!("compiling took {took:?}")));
        }
        let compiled = match compiled {
            Ok(compiled) => compiled,
            Err(failure) => return self.judge(Some(&failure)),
        };
        let limits =
            Limits { turn: BUDGET, operations: self.operations, store: self.store, ..Limits::DEFAULT };
        let uses = ScriptUse { compiled, limits, ..script("hostile", "") };
        let mut bot = rig.add("hostile", vec![uses]);
        let failure = self.provoke(&mut bot);
        let worst = bot.handle.worst();
        let loaded = bot.told.wait(|_| true).turns > 0;
        bot.handle.remove();
        self.judge(failure.as_ref())?;
        if worst.memory > CEILING {
            let (memory, ceiling) = (worst.memory / 1024, CEILING / 1024);
            return Err(Complaint::Other(format!("a turn held {memory} KiB, more than {ceiling}")));
        }
        let budget = if loaded { BUDGET } else { LOADING };
        if worst.time > 2 * budget {
            return Err(Complaint::Late(format!("a turn took {:?} of {budget:?}", worst.time)));
        }
        Ok(())
    }

    /// Sends what the script waits for until it fails.
    fn provoke(&self, bot: &mut Player) -> Option<ScriptError> {
        for _ in 0..self.events {
            bot.try_event(message("ann@example.org/phone", "x"));
            if let Some(failure) = bot.told.failure() {
                return Some(failure);
            }
        }
        None
    }

    fn judge(&self, failure: Option<&ScriptError>) -> Result<(), Complaint> {
        let Some(failure) = failure else {
            return Err(Complaint::Other(format!("nothing stopped it; expected {:?}", self.expect)));
        };
        let kind = format!("{:?}", failure.kind).to_lowercase();
        if self.expect.contains(&kind) {
            return Ok(());
        }
        let text = format!("ended with {kind}, not {:?}: {failure}", self.expect);
        // On a machine that does other things the clock may be first.
        Err(if failure.kind == Kind::Deadline { Complaint::Late(text) } else { Complaint::Other(text) })
    }
}

fn corpus() -> Vec<Hostile> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the corpus is there") {
        let path = entry.expect("a readable folder").path();
        if path.extension().is_none_or(|extension| extension != "rhai") {
            continue;
        }
        let source = std::fs::read_to_string(&path).expect("a text");
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let mut lines = source.lines().map_while(|line| line.strip_prefix("// "));
        let first = lines.next().and_then(|line| line.strip_prefix("expect: "));
        let expect = first.unwrap_or_else(|| panic!("{name}: the first line says what to expect"));
        let expect = expect.split('|').map(str::to_owned).collect();
        let idea = lines.next().unwrap_or_default().to_owned();
        let number = |key: &str| {
            let line = source.lines().take(4).find_map(|line| line.strip_prefix("// ")?.strip_prefix(key));
            line.map(|text| text.trim().parse::<u64>().expect("a number"))
        };
        let events = number("events:").map_or(1, |events| usize::try_from(events).expect("not that many"));
        let operations = number("operations:").unwrap_or(Limits::DEFAULT.operations);
        let store = number("store:").unwrap_or(Limits::DEFAULT.store);
        all.push(Hostile { name, path, idea, expect, events, operations, store, source });
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(
        all.len() >= 60 && all.iter().any(|hostile| hostile.source.len() > SOURCE_LIMIT),
        "{}",
        all.len()
    );
    all
}
