//! Examples of commands, as scripts declare them: what is typed is answered so.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;

use crate::diagnostic::Diagnostic;
use crate::moment::Moment;
use crate::script::inspect::{CommandSeen, inspect};
use crate::sim::casting::{Cast, Roles, Troupe};
use crate::sim::play;
use crate::sim::suite::{Outcome, Ran, Wanted};
use crate::sim::transcript::{Direction, Section, Step, What};

/// Who types.
const WHO: &str = "ann";

/// Runs the examples of every script that a bot of bots.yaml uses, once each, with the configuration of the first
/// bot that uses it.
///
/// # Errors
/// A script is not there or does not compile.
pub fn all(troupe: &Troupe, wanted: &Wanted) -> Ran {
    let mut outcomes = Vec::new();
    let mut problems: Vec<Diagnostic> = Vec::new();
    let mut seen = BTreeSet::new();
    for bot in troupe.settings.iter().flat_map(|settings| &settings.bots) {
        let new: Vec<&str> =
            bot.scripts.iter().map(|used| used.script.as_str()).filter(|name| seen.insert(*name)).collect();
        if new.is_empty() {
            continue;
        }
        let roles = Roles { bot: Some(bot.name.clone()), ..Roles::default() };
        match troupe.cast(&roles, &troupe.root) {
            Ok(cast) => {
                for name in new {
                    outcomes.extend(of_script(&cast, name, wanted));
                }
            }
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(outcomes) } else { Err(problems) }
}

fn of_script(cast: &Cast, name: &str, wanted: &Wanted) -> Vec<Outcome> {
    let mut alone = cast.clone();
    alone.setup.bot.scripts.retain(|script| script.name == name);
    let Some(script) = alone.setup.bot.scripts.first() else { return Vec::new() };
    let file = script.compiled.path().to_owned();
    let now = Moment { at: Instant::now(), wall: Timestamp::UNIX_EPOCH };
    // One that does not load has no examples; `check` says why, and so does every conversation with it.
    let Ok(inspected) = inspect(script, now) else { return Vec::new() };
    let mut outcomes = Vec::new();
    for command in &inspected.commands {
        for (typed, answer) in &command.examples {
            let section = section(command, typed, answer);
            if wanted.wants(Path::new("examples"), &section.name) || wanted.wants(&file, &section.name) {
                let mut outcome = play::alone(&alone, &section, &file);
                if let Err(failure) = &mut outcome.result {
                    // They are no lines of the script.
                    failure.edits.clear();
                }
                outcomes.push(outcome);
            }
        }
    }
    outcomes
}

/// The example as a conversation with somebody who may use the command.
fn section(command: &CommandSeen, typed: &str, answer: &str) -> Section {
    let step = |what| Step { line: command.line, end: command.line + 1, what };
    let mut roles = command.roles.clone();
    roles.push("admin".to_owned());
    let mut steps: Vec<Step> = roles
        .into_iter()
        .map(|role| step(What::Do(Direction::As { role, who: Some(WHO.to_owned()) })))
        .collect();
    steps.push(step(What::Says { who: WHO.to_owned(), text: typed.to_owned() }));
    steps.push(step(What::Expect { to: None, text: answer.to_owned() }));
    Section { name: typed.to_owned(), line: command.line, steps }
}
