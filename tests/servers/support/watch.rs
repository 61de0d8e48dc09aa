//! Waiting for something that can be observed, with a deadline.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// How often something is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Waits until `look` finds something. Says what is missing, and what was seen last, when `patience` ends.
pub fn until<T, S: std::fmt::Display>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Result<T, S>,
) -> T {
    let end = Instant::now() + patience;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if Instant::now() >= end => {
                panic!("not within {patience:?}: {what}\nlast seen: {seen}")
            }
            Err(_) => std::thread::sleep(LOOK),
        }
    }
}

/// Watches for a while that something does not happen: the only way to see that nothing comes.
pub fn never(what: &str, span: Duration, mut happened: impl FnMut() -> Option<String>) {
    let end = Instant::now() + span;
    while Instant::now() < end {
        if let Some(seen) = happened() {
            panic!("must not happen: {what}\nseen: {seen}");
        }
        std::thread::sleep(LOOK);
    }
}

/// Runs a command to its end; panics with its words when it fails.
pub fn run(command: &mut Command) -> Output {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, words(&output));
    output
}

/// Runs a command to its end, however it ends.
pub fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"))
}

/// What a command wrote.
pub fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
