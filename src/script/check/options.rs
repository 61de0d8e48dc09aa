//! Maps of options where a function is called: keys that mean nothing there.

use rhai::Expr;

use crate::diagnostic::{Diagnostic, nearest};
use crate::script::check::calls::list;
use crate::script::check::walk::Walk;
use crate::script::check::word;

/// What a function takes in the map that stands at `place` among its arguments.
struct Options {
    module: Option<&'static str>,
    function: &'static str,
    place: usize,
    keys: &'static [&'static str],
}

const OPTIONS: &[Options] = &[
    Options { module: Some("bot"), function: "send", place: 2, keys: MESSAGE },
    Options { module: Some("http"), function: "get", place: 1, keys: HTTP },
    Options { module: Some("http"), function: "json", place: 2, keys: HTTP },
    Options { module: Some("http"), function: "post", place: 2, keys: HTTP },
    Options { module: Some("http"), function: "request", place: 2, keys: HTTP },
    Options { module: None, function: "reply", place: 1, keys: REPLY },
];

const HTTP: &[&str] = &["body", "etag", "headers", "limit", "secret", "timeout"];
const MESSAGE: &[&str] = &[
    "copy",
    "kind",
    "lang",
    "langs",
    "mentions",
    "spoiler",
    "split",
    "store",
    "styled",
    "subject",
    "thread_id",
];
const REPLY: &[&str] = &[
    "copy",
    "kind",
    "lang",
    "langs",
    "mentions",
    "quote",
    "spoiler",
    "split",
    "store",
    "styled",
    "subject",
    "thread_id",
];

/// Looks at the options of a call.
pub(super) fn check(walk: &mut Walk<'_>, name: &str, module: Option<&str>, arguments: &[Expr]) {
    let Some(options) = OPTIONS.iter().find(|options| options.function == name && options.module == module)
    else {
        return;
    };
    let Some(Expr::Map(map, _)) = arguments.get(options.place) else { return };
    for (key, _) in &map.0 {
        if options.keys.contains(&key.name.as_str()) {
            continue;
        }
        let hint = match nearest(&key.name, options.keys.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has {}", list(options.keys)),
        };
        let found =
            Diagnostic::error("script::unknown_option", format!("`{name}` has no option `{}`", key.name))
                .at(word(walk.source, key.pos), "unknown")
                .hint(hint);
        walk.find(found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::api::AREAS;

    #[test]
    fn every_option_is_in_the_reference_and_no_other() {
        for options in OPTIONS {
            let takes = |f: &&crate::script::api::Function| {
                f.name() == options.function && f.signature.contains("opts: map")
            };
            let (area, function) = AREAS
                .iter()
                .filter(|area| area.module == options.module)
                .find_map(|area| Some((area, area.functions.iter().find(takes)?)))
                .unwrap_or_else(|| panic!("{} takes no options", options.function));
            for key in options.keys {
                let told =
                    |about: &str| about.contains(&format!("`{key}`")) || about.contains(&format!("`{key}:"));
                assert!(told(function.about) || told(area.about), "{}: {key}", function.signature);
            }
        }
    }
}
