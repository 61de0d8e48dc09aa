//! What came of the tests, for people.

use std::time::Duration;

use super::Group;
use crate::cli::shown;
use crate::ops::render::Style;
use crate::printable::printable;
use crate::sim::suite::{Failure, Outcome};

/// A line for each file, every failure, and the sum.
pub(super) fn all(groups: &[Group], style: Style) -> String {
    let mut text = String::new();
    let width = groups.iter().map(|group| group.name.chars().count()).max().unwrap_or(0);
    for group in groups {
        let passed = group.outcomes.iter().filter(|outcome| outcome.result.is_ok()).count();
        let elapsed: Duration = group.outcomes.iter().map(|outcome| outcome.elapsed).sum();
        let count = format!("{passed} of {}", group.outcomes.len());
        text.push_str(&format!("  {:width$}  {count:>10}  {:>6} ms\n", group.name, elapsed.as_millis()));
    }
    let outcomes = || groups.iter().flat_map(|group| &group.outcomes);
    for outcome in outcomes() {
        if let Err(why) = &outcome.result {
            failure(&mut text, outcome, why, style);
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&sum(groups));
    text
}

/// The last line.
pub(super) fn sum(groups: &[Group]) -> String {
    let outcomes = || groups.iter().flat_map(|group| &group.outcomes);
    let failed = outcomes().filter(|outcome| outcome.result.is_err()).count();
    format!("{} passed, {failed} failed\n", outcomes().count() - failed)
}

/// What came of one test: a line, and why it failed.
pub(super) fn verdict(outcome: &Outcome, style: Style) -> String {
    let mut text = String::new();
    match &outcome.result {
        Ok(()) => {
            let mark = if style.unicode { "✓" } else { "ok" };
            let (green, plain) = if style.colour { ("\x1b[32m", "\x1b[0m") } else { ("", "") };
            let (file, name) = (shown(&outcome.file), printable(&outcome.name));
            text.push_str(&format!("  {green}{mark}{plain} {file}  {name}\n"));
        }
        Err(why) => failure(&mut text, outcome, why, style),
    }
    text
}

/// A test that is no more.
pub(super) fn gone(file: &std::path::Path, name: &str, style: Style) -> String {
    let mark = if style.unicode { "·" } else { "-" };
    format!("  {mark} {}  {} is gone\n", shown(file), printable(name))
}

fn failure(text: &mut String, outcome: &Outcome, failure: &Failure, style: Style) {
    let mark = if style.unicode { "✗" } else { "x" };
    let (red, green, plain) = if style.colour { ("\x1b[31m", "\x1b[32m", "\x1b[0m") } else { ("", "", "") };
    let place = format!("{}:{}", shown(&outcome.file), outcome.line);
    text.push_str(&format!("\n  {red}{mark}{plain} {place}  {}\n", printable(&outcome.name)));
    for line in &failure.shown {
        let colour = match line.as_bytes().first() {
            Some(b'-') => red,
            Some(b'+') => green,
            _ => "",
        };
        let end = if colour.is_empty() { "" } else { plain };
        text.push_str(&format!("    {colour}{}{end}\n", printable(line)));
    }
    for (index, line) in failure.why.iter().enumerate() {
        let head = if index == 0 { "why: " } else { "     " };
        text.push_str(&format!("    {head}{}\n", printable(line)));
    }
}
