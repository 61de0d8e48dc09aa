//! `rhapsode test --watch`: the tests run again when a file is saved, and only what has changed is told.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::{Group, Test, run_once, show};
use crate::cli::{Common, Failure as Stop};
use crate::ops::watch::Changes;
use crate::sim::casting::{Mistakes, Troupe};
use crate::sim::suite::{self, Outcome};

/// What was told of each test last: by file and name.
type Told = BTreeMap<(PathBuf, String), String>;

/// Runs until somebody ends it; fails where the last run did.
pub(super) fn run(command: Test, common: &Common) -> Result<(), Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Stop::new(format!("no runtime: {error}")))?;
    let passed = runtime.block_on(watch(command, common));
    // A test that still runs is nobody's any more.
    runtime.shutdown_background();
    if passed? { Ok(()) } else { Err(Stop::Said) }
}

async fn watch(command: Test, common: &Common) -> Result<bool, Stop> {
    let refused = |error: &dyn std::fmt::Display| Stop::new(format!("files cannot be watched: {error}"));
    let mut signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
        .map_err(|error| refused(&error))?;
    let mut told = None;
    let mut passed = false;
    let options = command.options();
    // Before the first run: what is saved while it goes on is seen.
    let mut changes = Changes::of(folders(common)).map_err(|error| refused(&error))?;
    loop {
        let run = {
            let (options, common) = (options.clone(), common.clone());
            tokio::task::spawn_blocking(move || run_once(&options, &common))
        };
        let ran = tokio::select! {
            ran = run => ran,
            _ = signal.recv() => return Ok(passed),
        };
        match ran {
            Ok(Ok(groups)) => {
                passed = tell(&mut told, &groups, common);
                if let Some(file) = &options.junit {
                    super::write_report(&groups, file)?;
                }
            }
            Ok(Err(failure)) => {
                passed = false;
                told = None;
                common.say(&failure);
            }
            Err(error) => return Err(Stop::new(format!("the tests broke off: {error}"))),
        }
        eprintln!("waiting for a saved file; Ctrl-C ends");
        changes.follow(folders(common));
        tokio::select! {
            seen = changes.next() => if seen.is_none() { return Ok(passed); },
            _ = signal.recv() => return Ok(passed),
        }
    }
}

/// Prints everything the first time, and afterwards what is other than before, then the sum. Whether all passed.
fn tell(told: &mut Option<Told>, groups: &[Group], common: &Common) -> bool {
    let style = common.style(std::io::stdout().is_terminal());
    let outcomes = || groups.iter().flat_map(|group| &group.outcomes);
    let now: Told = outcomes().map(|outcome| (key(outcome), show::verdict(outcome, style))).collect();
    let text = match told.replace(now.clone()) {
        None => show::all(groups, style),
        Some(before) => {
            let new = |outcome: &&Outcome| before.get(&key(outcome)) != now.get(&key(outcome));
            let mut text: String =
                outcomes().filter(new).map(|outcome| show::verdict(outcome, style)).collect();
            let gone = before.keys().filter(|key| !now.contains_key(*key));
            gone.for_each(|(file, name)| text.push_str(&show::gone(file, name, style)));
            text.push_str(&show::sum(groups));
            text
        }
    };
    print!("{text}");
    // Somebody may read this through a pipe. Where nobody does, the next line ends the program.
    drop(std::io::stdout().flush());
    outcomes().all(|outcome| outcome.result.is_ok())
}

fn key(outcome: &Outcome) -> (PathBuf, String) {
    (outcome.file.clone(), outcome.name.clone())
}

/// The folder of bots.yaml, those of tests and scripts with what is below them, and those of the scripts of bots.yaml.
fn folders(common: &Common) -> BTreeSet<PathBuf> {
    let whole = |path: &Path| if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_owned() };
    // Where none is found, the run says so.
    let file = super::configuration(common).ok().flatten();
    let root = file.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
    let mut all = BTreeSet::from([whole(&root)]);
    all.extend(suite::folders(&root));
    // With mistakes in it, what it names is known as far as it can be read.
    let found = file.and_then(|file| Troupe::of(&file, Mistakes::PassOver).ok());
    let settings = found.and_then(|(troupe, _)| troupe.settings);
    let scripts = settings.iter().flat_map(|settings| settings.scripts.values());
    all.extend(scripts.filter_map(|script| script.file.parent()).map(whole));
    all
}
