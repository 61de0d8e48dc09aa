//! Names of variables: unknown ones, those that a `fn` cannot see, and state that a reload loses.

use rhai::{Expr, ImmutableString, Namespace, Position};

use crate::diagnostic::{Diagnostic, Place, nearest};
use crate::script::check::types::Type;
use crate::script::check::walk::Walk;
use crate::script::check::{word, words};

/// A variable as the engine keeps it: its place on the stack, its name, its module.
type Variable = (Option<std::num::NonZeroUsize>, ImmutableString, Namespace, u64);

/// Methods that change what they are called on.
const CHANGING: &[&str] = &[
    "append", "clear", "drain", "insert", "mixin", "pop", "push", "remove", "retain", "set", "shift",
    "truncate",
];

/// A name that is used as a value.
pub(super) fn check(walk: &mut Walk<'_>, variable: &Variable, position: Position) -> Type {
    let (_, name, namespace, _) = variable;
    if !namespace.is_empty() {
        if namespace.root() == "global" && !walk.globals.contains_key(name.as_str()) {
            // The engine has constants of its own in other modules, none in this one.
            let near = nearest(name, walk.globals.keys().map(String::as_str))
                .map(|n| format!("did you mean `global::{n}`?"));
            let place = word(walk.source, position);
            let found = Diagnostic::error("script::unknown_variable", format!("no constant `{name}`"))
                .at(place, "unknown");
            walk.find(found.hint_if(near));
        }
        return Type::Unknown;
    }
    if let Some(binding) = walk.binding(name) {
        return binding.holds.clone();
    }
    if name == "config" || walk.program.functions.contains_key(name.as_str()) {
        return Type::Unknown;
    }
    let place = word(walk.source, position);
    let found = match walk.globals.get(name.as_str()) {
        Some(global) if walk.function => invisible(walk, name, place, *global),
        Some(global) => {
            Diagnostic::error("script::unknown_variable", format!("`{name}` is used before it is there"))
                .at(place, "too early")
                .at(word(walk.source, *global), "it begins here")
        }
        None => unknown(walk, name, place),
    };
    walk.find(found);
    Type::Unknown
}

fn invisible(walk: &Walk<'_>, name: &str, place: Place, global: Position) -> Diagnostic {
    let there = word(walk.source, global);
    let line = walk.source.text[..there.span.start].rsplit('\n').next().unwrap_or_default();
    let constant = line.trim_end().ends_with("const");
    let (what, hint) = if constant {
        ("const", format!("write `global::{name}`, hand it over as a parameter, or use a closure"))
    } else {
        ("let", "keep it with `store::`, hand it over as a parameter, or use a closure".to_owned())
    };
    Diagnostic::error(
        "script::invisible_variable",
        format!("a `fn` cannot see the top-level `{what} {name}`"),
    )
    .at(place, "not visible here")
    .at(there, "declared here")
    .hint(hint)
}

fn unknown(walk: &Walk<'_>, name: &str, place: Place) -> Diagnostic {
    if let Some((_, hint)) = words::foreign(name) {
        return Diagnostic::error("script::foreign_word", format!("Rhai has no `{name}`"))
            .at(place, "not a word of Rhai")
            .hint(hint);
    }
    let candidates =
        walk.scope.iter().map(|binding| binding.name.as_str()).chain(["config"]).chain(walk.program.named());
    let near = nearest(name, candidates).map(|near| format!("did you mean `{near}`?"));
    let hint = near.or_else(|| {
        walk.function.then(|| "a `fn` sees its parameters and its own variables, nothing else".to_owned())
    });
    Diagnostic::error("script::unknown_variable", format!("no variable `{name}`"))
        .at(place, "unknown")
        .hint_if(hint)
}

/// A place that is written to.
pub(super) fn changed(walk: &mut Walk<'_>, target: &Expr) {
    if let Some((name, position)) = root(target) {
        lost(walk, name, position);
    }
}

/// A method that may change what it is called on.
pub(super) fn mutated(walk: &mut Walk<'_>, target: &Expr, right: &Expr) {
    let method = match right {
        Expr::MethodCall(call, _) => call.name.as_str(),
        _ => return,
    };
    if CHANGING.contains(&method)
        && let Some((name, position)) = root(target)
    {
        lost(walk, name, position);
    }
}

fn lost(walk: &mut Walk<'_>, name: &str, position: Position) {
    if walk.closures == 0 || !walk.binding(name).is_some_and(|binding| binding.global_let) {
        return;
    }
    if !walk.lost.insert(name.to_owned()) {
        return;
    }
    let message = format!("what `{name}` holds is lost when the script is reloaded");
    let found = Diagnostic::warning("script::lost_state", message)
        .at(word(walk.source, position), "changed here")
        .hint("keep it with `store::set` and `store::get`");
    walk.find(found);
}

/// The variable that a target begins with.
fn root(target: &Expr) -> Option<(&str, Position)> {
    match target {
        Expr::Variable(variable, _, position) if variable.2.is_empty() => {
            Some((variable.1.as_str(), *position))
        }
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => root(&pair.lhs),
        _ => None,
    }
}
