//! Calls: unknown names, wrong numbers of arguments, handlers with too many parameters, unknown properties.

use std::collections::BTreeSet;

use rhai::{Expr, FnCallExpr, Position};

use crate::diagnostic::{Diagnostic, nearest};
use crate::script::api::{self, Function};
use crate::script::check::types::{self, Type};
use crate::script::check::walk::Walk;
use crate::script::check::{arguments, literal, word, words};
use crate::script::declare;
use crate::script::testing;

/// A call without a dot: `f(x)`, `store::get(x)`, `words::pick(x)`.
pub(super) fn function<'a>(walk: &mut Walk<'a>, call: &'a FnCallExpr, position: Position) -> Type {
    let name = call.name.as_str();
    if !call.namespace.is_empty() {
        return within(walk, call, position);
    }
    event(walk, call);
    // A variable can hold a function.
    if walk.binding(name).is_some() || name.starts_with("anon$") {
        return Type::Unknown;
    }
    let given = call.args.len();
    let own = walk.program.arities(name);
    let natives = walk.natives.global.get(name).cloned().unwrap_or_default();
    if own.is_empty() && natives.is_empty() {
        let found = unknown(walk, name, position);
        walk.find(found);
    } else if !own.contains(&given) && !natives.contains(&given) {
        let taken: BTreeSet<usize> = own.union(&natives).copied().collect();
        let signatures = api::signatures(name);
        let found = wrong_number(walk, name, &taken, given, position);
        walk.find(found.hint_if(its_signatures(&signatures)));
    }
    if own.is_empty() { Type::given_by("", name) } else { Type::Unknown }
}

/// A call of a function of a module.
fn within<'a>(walk: &mut Walk<'a>, call: &'a FnCallExpr, position: Position) -> Type {
    let (name, root, given) = (call.name.as_str(), call.namespace.root().to_owned(), call.args.len());
    if call.namespace.path.len() > 1 {
        return Type::Unknown;
    }
    if let Some(module) = walk.aliases.get(&root) {
        let offered = module.as_ref().and_then(|name| walk.modules.get(name)).cloned().flatten();
        let Some(offered) = offered else { return Type::Unknown };
        match offered.functions.get(name) {
            Some(taken) if taken.contains(&given) => {}
            Some(taken) => {
                let found = wrong_number(walk, name, taken, given, position);
                walk.find(found);
            }
            None if offered.nested => {}
            None => {
                let near = nearest(name, offered.functions.keys().map(String::as_str));
                let found = missing(walk, &format!("{root}::"), name, position)
                    .hint_if(near.map(|near| format!("did you mean `{root}::{near}`?")));
                walk.find(found);
            }
        }
        return Type::Unknown;
    }
    let Some(functions) = walk.natives.modules.get(&root) else {
        if root != "global" {
            let known = walk.natives.modules.keys().chain(walk.aliases.keys()).map(String::as_str);
            let near = nearest(&root, known).map(|near| format!("did you mean `{near}::`?"));
            let at = call.namespace.position();
            let found = Diagnostic::error("script::unknown_module", format!("no module `{root}`"))
                .at(word(walk.source, at), "unknown")
                .hint_if(near);
            walk.find(found);
        }
        return Type::Unknown;
    };
    match functions.get(name) {
        Some(taken) if taken.contains(&given) => {}
        Some(taken) => {
            let prefix = format!("{root}::");
            let signatures: Vec<&str> = api::signatures(name)
                .into_iter()
                .filter(|signature| signature.starts_with(&prefix))
                .collect();
            let found = wrong_number(walk, &format!("{root}::{name}"), taken, given, position);
            walk.find(found.hint_if(its_signatures(&signatures)));
        }
        None => {
            let near = nearest(name, functions.keys().map(String::as_str));
            let found = missing(walk, &format!("{root}::"), name, position)
                .hint_if(near.map(|near| format!("did you mean `{root}::{near}`?")));
            walk.find(found);
        }
    }
    Type::given_by(&root, name)
}

/// A call behind a dot: `m.reply(x)`.
pub(super) fn method<'a>(walk: &mut Walk<'a>, receiver: &Type, call: &'a FnCallExpr, position: Position) {
    let (name, given) = (call.name.as_str(), call.args.len());
    let own = walk.program.arities(name);
    // What a map holds can be called like this, and its functions are known to nobody before it runs.
    if own.contains(&given) || walk.program.keys.contains(name) || walk.binding(name).is_some() {
        return;
    }
    if let Type::Object(object) = receiver {
        return of_object(walk, object, name, given, position);
    }
    let natives: BTreeSet<usize> = walk
        .natives
        .global
        .get(name)
        .into_iter()
        .flatten()
        .filter_map(|arity| arity.checked_sub(1))
        .collect();
    if natives.contains(&given) {
        return;
    }
    let taken: BTreeSet<usize> = own.union(&natives).copied().collect();
    if taken.is_empty() {
        let found = unknown(walk, name, position);
        walk.find(found);
    } else {
        let found = wrong_number(walk, name, &taken, given, position);
        walk.find(found);
    }
}

/// A method of something whose type is known.
fn of_object(walk: &mut Walk<'_>, object: &str, name: &str, given: usize, position: Position) {
    if types::everywhere(name) {
        return;
    }
    let members = types::members(object);
    let methods: Vec<&Function> =
        members.iter().copied().filter(|f| !types::is_property(f) && f.name() == name).collect();
    let taken: BTreeSet<usize> = methods.iter().map(|f| types::parameters_of(f.signature)).collect();
    if taken.contains(&given) {
        return;
    }
    let found = if !methods.is_empty() {
        let signatures: Vec<&str> = methods.iter().map(|f| f.signature).collect();
        wrong_number(walk, name, &taken, given, position).hint_if(its_signatures(&signatures))
    } else if members.iter().any(|f| f.name() == name) {
        Diagnostic::error("script::unknown_function", format!("`{name}` is no function of {}", a(object)))
            .at(word(walk.source, position), "not a function")
            .hint(format!("it is a value: leave the parentheses out, `.{name}`"))
    } else {
        let near = nearest(name, members.iter().filter(|f| !types::is_property(f)).map(|f| f.name()));
        let elsewhere = walk.natives.global.contains_key(name);
        let message = if elsewhere {
            format!("{} has no function `{name}`", a(object))
        } else {
            format!("no function `{name}`")
        };
        let mut known: Vec<&str> =
            members.iter().filter(|f| !types::is_property(f)).map(|f| f.name()).collect();
        known.dedup();
        let hint = match near {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if known.is_empty() => None,
            None => Some(format!("it has {}", list(&known))),
        };
        Diagnostic::error("script::unknown_function", message)
            .at(word(walk.source, position), "unknown")
            .hint_if(hint)
    };
    walk.find(found);
}

/// A property of something whose type is known.
pub(super) fn property(walk: &mut Walk<'_>, receiver: &Type, name: &str, position: Position) {
    let found = match receiver {
        Type::Object(object) => {
            let members = types::members(object);
            if members.iter().any(|f| f.name() == name && types::is_property(f)) {
                return;
            }
            let place = word(walk.source, position);
            if members.iter().any(|f| f.name() == name) {
                Diagnostic::error("script::unknown_property", format!("`{name}` is a function, not a value"))
                    .at(place, "a function")
                    .hint(format!("call it: `.{name}(…)`"))
            } else {
                let near = nearest(name, members.iter().filter(|f| types::is_property(f)).map(|f| f.name()));
                Diagnostic::error("script::unknown_property", format!("{} has no `{name}`", a(object)))
                    .at(place, "unknown")
                    .hint_if(near.map(|near| format!("did you mean `{near}`?")))
            }
        }
        Type::Arguments(known) => {
            if known.iter().any(|argument| argument == name) {
                return;
            }
            let names: Vec<&str> = known.iter().map(String::as_str).collect();
            let hint = match nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => {
                    "it takes none: write them into its first text, `roll <dice:word>`".to_owned()
                }
                None => format!("it takes {}", list(&names)),
            };
            Diagnostic::error("script::unknown_argument", format!("the command takes no argument `{name}`"))
                .at(word(walk.source, position), "unknown")
                .hint(hint)
        }
        Type::Unknown => return,
    };
    walk.find(found);
}

/// The name of an event, where it is written out.
fn event(walk: &mut Walk<'_>, call: &FnCallExpr) {
    if call.name != "on" || !(2..=3).contains(&call.args.len()) {
        return;
    }
    let Some(Expr::StringConstant(event, position)) = call.args.first() else { return };
    if let Err(thrown) = declare::check_event(event) {
        let found = Diagnostic::error("script::unknown_event", format!("no event `{event}`"))
            .at(literal(walk.source, *position), "it never happens")
            .hint_if(thrown.hint);
        walk.find(found);
    }
}

/// What the function that stands last among the arguments is given, where that is known.
pub(super) fn handler_types(call: &FnCallExpr) -> Vec<Type> {
    let module = if call.namespace.is_empty() { "" } else { call.namespace.root() };
    match (module, call.name.as_str(), call.args.first()) {
        ("", "on", Some(Expr::StringConstant(event, _))) if call.args.len() > 1 => {
            vec![Type::of_event(event)]
        }
        ("", "command", Some(Expr::StringConstant(spec, _))) if call.args.len() > 2 => {
            vec![Type::Object("Message"), Type::of_arguments(spec)]
        }
        ("", "hear", Some(_)) if call.args.len() > 1 => vec![Type::Object("Message"), Type::Unknown],
        ("", "webhook", Some(_)) => vec![Type::named("Call")],
        ("http", ..) => vec![Type::named("Response")],
        ("bot", "iq", _) => vec![Type::named("Answer")],
        _ => Vec::new(),
    }
}

/// Whether a handler takes no more than it is given.
pub(super) fn parameters(walk: &mut Walk<'_>, call: &FnCallExpr, closure: &str, captured: usize) {
    let offered = handler_types(call).len();
    let Some(function) = walk.program.functions.get(closure).and_then(|all| all.first()) else { return };
    let own = function.params.len().saturating_sub(captured);
    if own <= offered {
        return;
    }
    let what = match call.args.first() {
        Some(Expr::StringConstant(text, _)) if call.name == "on" => format!("the handler of `{text}`"),
        Some(Expr::StringConstant(text, _)) if call.name == "command" => {
            format!("the command `{}`", text.split_whitespace().next().unwrap_or_default())
        }
        _ => "the function".to_owned(),
    };
    let place = word(walk.source, call.args.last().map_or(function.place, Expr::position));
    let found = Diagnostic::error(
        "script::too_many_parameters",
        format!("{what} has {own} parameters, but is given {}", arguments(offered)),
    )
    .at(place, "too many parameters")
    .hint(if offered == 1 {
        "write `|m|`, or any other name"
    } else {
        "write `|m, a|`, or any other names"
    });
    walk.find(found);
}

fn missing(walk: &Walk<'_>, module: &str, name: &str, position: Position) -> Diagnostic {
    Diagnostic::error("script::unknown_function", format!("no function `{module}{name}`"))
        .at(word(walk.source, position), "unknown")
}

fn unknown(walk: &Walk<'_>, name: &str, position: Position) -> Diagnostic {
    let place = word(walk.source, position);
    if let Some((_, hint)) = words::foreign(name) {
        return Diagnostic::error("script::foreign_word", format!("Rhai has no `{name}`"))
            .at(place, "not a word of Rhai")
            .hint(hint);
    }
    let own = walk.program.named();
    let all =
        walk.natives.global.keys().map(String::as_str).filter(|name| name.starts_with(char::is_alphabetic));
    // What authors call comes before what the engine has: `len` of a text is nearer than `ln`.
    let synonym = words::synonym(name).map(|here| match here.contains(' ') {
        true => format!("use {here}"),
        false => format!("it is called `{here}` here"),
    });
    // In a test, its own functions are nearer than those of the language.
    let test = walk.natives.global.contains_key("sim");
    let tests = testing::api::AREA.functions.iter().filter(|_| test).map(Function::name);
    let hint = nearest(name, own)
        .or_else(|| nearest(name, tests))
        .or_else(|| nearest(name, api::function_names().filter(|name| walk.natives.has(name))))
        .or_else(|| nearest(name, all.filter(|name| !name.contains('$'))))
        .map(|near| format!("did you mean `{near}`?"));
    let of_tests = testing::api::AREA.functions.iter().any(|f| !f.is_method() && f.name() == name);
    let synonym = match of_tests {
        true => Some(format!("`{name}` is for files that end in `{}`", testing::ENDING)),
        false => synonym,
    };
    let hint = synonym.or(hint).or_else(|| {
        let module = walk.natives.modules.iter().find(|(_, functions)| functions.contains_key(name));
        module.map(|(module, _)| format!("there is `{module}::{name}`"))
    });
    Diagnostic::error("script::unknown_function", format!("no function `{name}`"))
        .at(place, "unknown")
        .hint_if(hint)
}

fn wrong_number(
    walk: &Walk<'_>,
    name: &str,
    taken: &BTreeSet<usize>,
    given: usize,
    position: Position,
) -> Diagnostic {
    let numbers: Vec<usize> = taken.iter().copied().collect();
    let takes = match numbers[..] {
        [] => "nothing".to_owned(),
        [only] => arguments(only),
        [.., last] => {
            let all: Vec<String> = numbers[..numbers.len() - 1].iter().map(ToString::to_string).collect();
            format!("{} or {}", all.join(", "), arguments(last))
        }
    };
    Diagnostic::error("script::wrong_arguments", format!("`{name}` takes {takes}, got {given}"))
        .at(word(walk.source, position), "wrong number of arguments")
}

fn its_signatures(signatures: &[&str]) -> Option<String> {
    (!signatures.is_empty()).then(|| format!("it is `{}`", signatures.join("` or `")))
}

/// `a Message`, `an Answer`.
fn a(object: &str) -> String {
    let vowel = object.starts_with(['A', 'E', 'I', 'O', 'U']);
    format!("{} {object}", if vowel { "an" } else { "a" })
}

/// `` `a`, `b` and `c` ``
pub(super) fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|name| format!("`{name}`")).collect();
            format!("{} and `{last}`", first.join(", "))
        }
    }
}
