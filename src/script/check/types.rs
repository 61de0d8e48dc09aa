//! What is known of values without running anything: the objects that events bring, and arguments of commands.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::script::api::{Function, all_areas};
use crate::script::command::CommandSpec;

/// What a value is known to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Type {
    /// The arguments of a command, by name.
    Arguments(Arc<Vec<String>>),
    /// An object of the reference, such as `Message`.
    Object(&'static str),
    /// Anything.
    #[default]
    Unknown,
}

/// What handlers of an event are given. Events that are not here are given something unknown.
const EVENTS: &[(&str, &str)] = &[
    ("bounce", "Bounce"),
    ("file", "File"),
    ("headline", "Message"),
    ("invite", "Invite"),
    ("mention", "Message"),
    ("message", "Message"),
    ("offline", "Offline"),
    ("online", "Online"),
    ("pm", "Message"),
    ("presence", "Presence"),
    ("receipt", "Receipt"),
    ("room", "Message"),
    ("roster", "Roster"),
    ("subscribe", "Subscription"),
    ("subscribed", "Subscription"),
    ("typing", "Typing"),
    ("unsubscribe", "Subscription"),
    ("unsubscribed", "Subscription"),
];

/// Functions that every value has.
const EVERY: &[&str] = &["call", "curry", "is_shared", "to_debug", "to_string", "type_of"];

impl Type {
    /// What the handler of an event is given.
    pub(super) fn of_event(event: &str) -> Self {
        let families = [("iq:", "Request"), ("room:", "RoomEvent"), ("tell:", "Tell"), ("timer:", "Timer")];
        let name = families.iter().find(|(family, _)| event.starts_with(family)).map(|(_, name)| *name);
        let name = name.or_else(|| EVENTS.iter().find(|(known, _)| *known == event).map(|(_, name)| *name));
        name.map_or(Self::Unknown, Self::Object)
    }

    /// What the second parameter of a command is.
    pub(super) fn of_arguments(spec: &str) -> Self {
        match CommandSpec::parse(spec) {
            Ok(spec) => Self::Arguments(Arc::new(spec.arguments.into_iter().map(|a| a.name).collect())),
            Err(_) => Self::Unknown,
        }
    }

    /// The object of that name, where the reference has it.
    pub(super) fn named(name: &str) -> Self {
        object(name).map_or(Self::Unknown, Self::Object)
    }

    /// What a function of the reference gives: `Contact` of `bot::contact(jid: string) -> Contact`.
    pub(super) fn given_by(module: &str, name: &str) -> Self {
        let mut found = BTreeSet::new();
        let (module, prefix) = if module.is_empty() { (None, name) } else { (Some(module), module) };
        for area in all_areas().filter(|area| area.module == module) {
            for function in
                area.functions.iter().filter(|f| f.name() == name && f.signature.starts_with(prefix))
            {
                found.insert(function.signature.split_once("-> ").map(|(_, result)| result.trim()));
            }
        }
        let only = if found.len() == 1 { found.into_iter().next().flatten() } else { None };
        only.and_then(object).map_or(Self::Unknown, Self::Object)
    }
}

/// The object of that name.
fn object(name: &str) -> Option<&'static str> {
    all_areas().flat_map(|area| area.objects).map(|(_, object)| *object).find(|object| *object == name)
}

/// Properties and methods of an object.
pub(super) fn members(object: &str) -> Vec<&'static Function> {
    let short: Vec<&str> = all_areas()
        .flat_map(|area| area.objects)
        .filter(|(_, name)| *name == object)
        .map(|(short, _)| *short)
        .collect();
    let all = all_areas().flat_map(|area| area.functions);
    all.filter(|function| {
        let owner = function.signature.split_once('.').map(|(owner, _)| owner);
        owner.is_some_and(|owner| short.contains(&owner))
    })
    .collect()
}

/// Whether values of every type have that function.
pub(super) fn everywhere(name: &str) -> bool {
    EVERY.contains(&name)
}

/// Whether a member is a property.
pub(super) fn is_property(function: &Function) -> bool {
    !function.signature.contains('(')
}

/// How many parameters a method of the reference takes: 2 of `m.reply(text, opts: map) -> string`.
pub(super) fn parameters_of(signature: &str) -> usize {
    let inside = signature.split_once('(').map_or("", |(_, rest)| rest);
    let (mut depth, mut count, mut some) = (0_usize, 1, false);
    let mut bars = false;
    for c in inside.chars() {
        match c {
            ')' if depth == 0 => break,
            '(' => depth += 1,
            ')' => depth -= 1,
            '|' => bars = !bars,
            ',' if depth == 0 && !bars => count += 1,
            _ => {}
        }
        some |= !c.is_whitespace();
    }
    if some { count } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::declare::EVENTS as DECLARED;

    #[test]
    fn every_event_and_object_named_here_exists() {
        for (event, name) in EVENTS {
            assert!(DECLARED.iter().any(|(known, _)| known == event), "{event}");
            assert!(object(name).is_some() && !members(name).is_empty(), "{name}");
        }
    }

    #[test]
    fn results_of_functions_are_known_from_the_reference() {
        assert_eq!(Type::given_by("bot", "contact"), Type::Object("Contact"));
        assert_eq!(Type::given_by("", "room"), Type::Object("Room"));
        for event in ["room:join", "tell:x", "timer:x", "invite"] {
            assert!(matches!(Type::of_event(event), Type::Object(name) if object(name).is_some()), "{event}");
        }
        assert_eq!(Type::given_by("store", "get"), Type::Unknown);
    }
}
