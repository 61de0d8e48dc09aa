//! Texts in quotes that were meant to be templates.

use rhai::Position;

use crate::diagnostic::Diagnostic;
use crate::script::check::literal;
use crate::script::check::walk::Walk;

/// A text in quotes with `${…}` in it.
pub(super) fn check(walk: &mut Walk<'_>, text: &str, position: Position) {
    if position.is_none() || !is_template(text) {
        return;
    }
    let place = literal(walk.source, position);
    if !walk.source.text[place.span.start..].starts_with('"') {
        return;
    }
    let found = Diagnostic::warning(
        "script::plain_string",
        "this text is sent as written: `${` works in backquotes only",
    )
    .at(place, "not a template")
    .hint("write `...` instead of \"...\"");
    walk.find(found);
}

/// Whether it holds `${…}`.
fn is_template(text: &str) -> bool {
    text.match_indices("${").any(|(at, _)| text[at..].contains('}'))
}
