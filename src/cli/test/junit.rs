//! What came of the tests, in the format that build servers read.

use super::Group;
use crate::sim::suite::Outcome;
use crate::xml::Element;
use crate::xml::writer::{self, WriteError};

/// A `testsuites` document.
///
/// # Errors
/// It is too large for one document.
pub(super) fn report(groups: &[Group]) -> Result<String, WriteError> {
    let mut root = counted(Element::new("testsuites", ""), groups.iter().flat_map(|group| &group.outcomes));
    for group in groups {
        let mut suite = counted(Element::new("testsuite", ""), group.outcomes.iter());
        suite.set_attr("name", clean(&group.name));
        for outcome in &group.outcomes {
            suite.push(case(outcome, &group.name));
        }
        root.push(suite);
    }
    Ok(format!("<?xml version='1.0' encoding='UTF-8'?>\n{}\n", writer::to_string(&root)?))
}

fn counted<'a>(element: Element, outcomes: impl Iterator<Item = &'a Outcome> + Clone) -> Element {
    let failures = outcomes.clone().filter(|outcome| outcome.result.is_err()).count();
    let time: f64 = outcomes.clone().map(|outcome| outcome.elapsed.as_secs_f64()).sum();
    element
        .with_attr("tests", outcomes.count().to_string())
        .with_attr("failures", failures.to_string())
        .with_attr("time", format!("{time:.3}"))
}

fn case(outcome: &Outcome, group: &str) -> Element {
    let case = Element::new("testcase", "")
        .with_attr("name", clean(&outcome.name))
        .with_attr("classname", clean(group))
        .with_attr("file", clean(&outcome.file.display().to_string()))
        .with_attr("line", outcome.line.to_string())
        .with_attr("time", format!("{:.3}", outcome.elapsed.as_secs_f64()));
    let Err(failure) = &outcome.result else { return case };
    let text = clean(&[failure.shown.join("\n"), failure.why.join("\n")].join("\n"));
    let message = failure.why.first().map_or("the bot said something else", String::as_str);
    case.with_child(Element::new("failure", "").with_attr("message", clean(message)).with_text(text))
}

/// The text without what XML has no way to write.
fn clean(text: &str) -> String {
    let strange = |c: char| (c < ' ' && !matches!(c, '\n' | '\t')) || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.replace(strange, "\u{fffd}")
}
