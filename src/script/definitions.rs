//! What scripts can call as a Rhai definition file, which the language servers of editors read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::script::api::{Function, all_areas};

/// The text of `rhapsode.d.rhai`.
pub fn definitions() -> String {
    let mut page = String::from(
        "module static;\n\n/// Settings of the script: the values of its `option`s.\nlet config;\n",
    );
    let mut modules: BTreeMap<&str, Vec<&Function>> = BTreeMap::new();
    for function in all_areas().flat_map(|area| area.functions) {
        match module(function.signature) {
            Some(module) => modules.entry(module).or_default().push(function),
            None => define(&mut page, function, ""),
        }
    }
    for (module, functions) in modules {
        // Writing into a string cannot fail.
        let _ = writeln!(page, "\nmodule {module} {{");
        for function in functions {
            define(&mut page, function, "    ");
        }
        page.push_str("}\n");
    }
    page
}

/// `store` of `store::get(key: string)`.
fn module(signature: &str) -> Option<&str> {
    signature.split('(').next()?.split_once("::").map(|(module, _)| module)
}

fn define(page: &mut String, function: &Function, indent: &str) {
    let _ = writeln!(page);
    for line in function.about.lines() {
        let _ = writeln!(page, "{indent}/// {line}");
    }
    let _ = writeln!(page, "{indent}///\n{indent}/// ```rhai");
    for line in function.example.trim().lines() {
        let _ = writeln!(page, "{indent}/// {line}");
    }
    let _ = writeln!(page, "{indent}/// ```\n{indent}{}", declaration(function));
}

/// `fn reply(m: Message, text: ?) -> string;`
fn declaration(function: &Function) -> String {
    let signature = function.signature;
    let name = function.name();
    let owner =
        signature.split(['(', ':', ' ']).next().and_then(|path| path.split_once('.')).map(|(owner, _)| owner);
    let own = owner.map(|owner| format!("{owner}: {}", object(owner)));
    let Some((_, rest)) = signature.split_once('(') else {
        let kind = signature.split_once(": ").map_or("?", |(_, kind)| kind);
        return format!("fn get {name}({}) -> {kind};", own.unwrap_or_default());
    };
    let (inside, result) = rest.rsplit_once(')').unwrap_or((rest, ""));
    let parameters: Vec<String> =
        own.into_iter().chain(parameters(inside).iter().map(|p| typed(p))).collect();
    let result = result.trim().strip_prefix("->").map_or("()", str::trim);
    format!("fn {name}({}) -> {result};", parameters.join(", "))
}

/// The object that goes by a short name in the reference.
fn object(short: &str) -> &'static str {
    let mut objects = all_areas().flat_map(|area| area.objects);
    objects.find(|(known, _)| *known == short).map_or("?", |(_, name)| name)
}

/// The parameters of a signature; a function's own stand between bars.
fn parameters(inside: &str) -> Vec<&str> {
    let (mut parts, mut start, mut bars) = (Vec::new(), 0, false);
    for (at, c) in inside.char_indices() {
        match c {
            '|' if inside[..at].ends_with(": ") || bars => bars = !bars,
            ',' if !bars => {
                parts.push(inside[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(inside[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

fn typed(parameter: &str) -> String {
    match parameter.split_once(':') {
        Some((name, kind)) if kind.trim().starts_with('|') => format!("{name}: Fn"),
        Some((name, kind)) => format!("{name}: {}", kind.trim().replace('|', " | ")),
        None => format!("{parameter}: ?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_of_every_form_are_defined() {
        let page = definitions();
        for line in [
            "fn on(event: string, opts: map, f: Fn) -> ();",
            "fn hear(regex: string, f: Fn) -> ();",
            "fn get text(m: Message) -> string;",
            "fn reply(m: Message, text: ?) -> string;",
            "    fn at(when: time | string | int, name: string, data: ?) -> int;",
            "module store {",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }

    #[test]
    fn every_function_of_the_reference_is_defined_with_its_words() {
        let page = definitions();
        let count = page.lines().filter(|line| line.trim_start().starts_with("fn ")).count();
        assert_eq!(count, all_areas().map(|area| area.functions.len()).sum::<usize>());
        for function in all_areas().flat_map(|area| area.functions) {
            let first = function.about.lines().next().unwrap_or_default();
            assert!(page.contains(first), "{}", function.signature);
        }
    }
}
