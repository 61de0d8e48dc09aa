//! What the engine has: functions by name with the numbers of arguments they take, and properties.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{Engine, OptimizationLevel};

use crate::script::api::{AREAS, Area, Function, TEST_AREAS};
use crate::script::check::types::parameters_of;
use crate::script::host::Host;

/// The functions of the engine.
pub(super) struct Natives {
    host: Host,
    /// Functions without a module's name, by name.
    pub global: BTreeMap<String, BTreeSet<usize>>,
    /// Functions such as `store::get`, by module and name.
    pub modules: BTreeMap<String, BTreeMap<String, BTreeSet<usize>>>,
}

impl Natives {
    pub(super) fn new() -> Self {
        Self::of(Host::new(), AREAS)
    }

    /// Those of tests.
    pub(super) fn of_tests() -> Self {
        Self::of(Host::for_tests(), TEST_AREAS)
    }

    fn of(mut host: Host, areas: &[Area]) -> Self {
        let engine = host.engine_mut();
        engine.set_strict_variables(false);
        engine.set_optimization_level(OptimizationLevel::None);
        let mut natives = Self { global: BTreeMap::new(), modules: BTreeMap::new(), host };
        for signature in natives.engine().gen_fn_signatures(true) {
            natives.note(&signature);
        }
        natives.methods(areas);
        for (name, arities) in KEYWORDS {
            natives.global.entry((*name).to_owned()).or_default().extend(arities.iter().copied());
        }
        natives
    }

    pub(super) fn engine(&mut self) -> &Engine {
        self.host.engine_mut()
    }

    /// Whether a function goes by that name, in a module or without one.
    pub(super) fn has(&self, name: &str) -> bool {
        self.global.contains_key(name) || self.modules.values().any(|functions| functions.contains_key(name))
    }

    /// The engine does not list what the modules of areas offer without their name.
    fn methods(&mut self, areas: &[Area]) {
        let callable = |function: &&Function| {
            let before = function.signature.split_once('(').map(|(before, _)| before);
            before.is_some_and(|before| !before.contains("::"))
        };
        for function in areas.iter().flat_map(|area| area.functions).filter(callable) {
            let arity = parameters_of(function.signature) + usize::from(function.is_method());
            self.global.entry(function.name().to_owned()).or_default().insert(arity);
        }
    }

    /// `store::get(_, _)` is `get` of `store` with two arguments.
    fn note(&mut self, signature: &str) {
        let Some((path, rest)) = signature.split_once('(') else { return };
        let arity = arity(rest);
        let (module, name) = match path.split_once("::") {
            Some((module, name)) => (Some(module), name),
            None => (None, path),
        };
        let functions = match module {
            Some(module) => self.modules.entry(module.to_owned()).or_default(),
            None => &mut self.global,
        };
        functions.entry(name.to_owned()).or_default().insert(arity);
    }
}

/// How many parameters stand before the closing parenthesis.
fn arity(parameters: &str) -> usize {
    let (mut depth, mut commas, mut some) = (0_i32, 0, false);
    for c in parameters.chars() {
        match c {
            ')' if depth == 0 => break,
            '(' | '<' | '[' => depth += 1,
            ')' | '>' | ']' => depth -= 1,
            ',' if depth == 0 => commas += 1,
            _ => {}
        }
        some |= !c.is_whitespace();
    }
    if some { commas + 1 } else { 0 }
}

/// Functions that the language itself has; as methods they have one argument more.
const KEYWORDS: &[(&str, &[usize])] = &[
    ("Fn", &[1]),
    ("call", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    ("curry", &[2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    ("debug", &[0, 1]),
    ("is_def_fn", &[2, 3]),
    ("is_def_var", &[1]),
    ("is_shared", &[1]),
    ("print", &[0, 1]),
    ("type_of", &[1]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_counted() {
        for (text, count) in
            [(")", 0), ("_)", 1), ("_, _) -> X", 2), ("a: &mut Message, f: Fn(A, B)) -> Result<A, B>", 2)]
        {
            assert_eq!(arity(text), count, "{text}");
        }
    }

    #[test]
    fn functions_of_the_program_and_of_the_engine_are_known() {
        crate::script::stack::on_script_thread(|| {
            let natives = Natives::new();
            assert!(natives.global["reply"].contains(&2) && natives.global["reply"].contains(&3));
            assert!(natives.global["push"].contains(&2));
            assert_eq!(natives.modules["store"]["get"], BTreeSet::from([1, 2]));
        });
    }
}
