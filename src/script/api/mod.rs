//! The functions scripts call: one file per area, one line each in [`AREAS`].
//!
//! A host function only reads its arguments and the turn, and queues effects; it never blocks.

pub mod ask;
pub mod bot;
pub mod declare;
pub mod events;
pub mod feed;
pub mod http;
pub mod log;
pub mod message;
pub mod metric;
pub mod peer;
pub mod pubsub;
pub mod rand;
pub mod rate;
pub mod remarks;
pub mod request;
pub mod respond;
pub mod room;
pub mod room_events;
pub mod secret;
pub mod shared;
pub mod store;
pub mod text;
pub mod time;
pub mod timer;
pub mod upload;
pub mod webhook;
pub mod xml;

use std::fmt::Write as _;
use std::sync::OnceLock;

use rhai::{Dynamic, FuncRegistration, Module, Shared, Variant};

use crate::script::declare::EVENTS;
use crate::script::error::{Kind, Thrown};
use crate::script::host::placed;
use crate::script::printed::cut;
use crate::script::testing;

/// One area of functions.
pub struct Area {
    /// Its heading.
    pub title: &'static str,
    /// `Some("store")` for functions called `store::…`; `None` for those without a module's name, and for objects.
    pub module: Option<&'static str>,
    /// What it is for.
    pub about: &'static str,
    /// What objects are called in signatures, and by the language: `("m", "Message")`.
    pub objects: &'static [(&'static str, &'static str)],
    /// Its functions and properties.
    pub functions: &'static [Function],
    /// Puts them into a module.
    pub(super) register: fn(&mut Module),
}

/// One function or property.
pub struct Function {
    /// How it is called, with types.
    pub signature: &'static str,
    /// What it does, in a sentence or two.
    pub about: &'static str,
    /// A whole script that uses it; a test runs it.
    pub example: &'static str,
}

/// Types of the arguments of commands.
pub const ARGUMENT_TYPES: &[(&str, &str)] = &[
    ("bool", "`yes`, `no`, `true`, `false`, `on` or `off`"),
    ("choice(a|b)", "one of these words"),
    ("float", "a number"),
    ("int", "a whole number"),
    ("jid", "an address"),
    ("rest", "everything up to the end of the text"),
    ("room", "the address of a room"),
    ("span", "a span such as `10m`, as seconds"),
    ("user", "somebody's address, without resource"),
    ("when", "a time such as `10m`, `17:30` or `tomorrow 9:00`"),
    ("word", "one word, or several in double quotes; the type where none is named"),
];

/// Events a handler can be declared for, with when they happen.
pub fn events() -> &'static [(&'static str, &'static str)] {
    EVENTS
}

/// All areas, in the order of the reference.
pub const AREAS: &[Area] = &[
    declare::AREA,
    message::AREA,
    respond::AREA,
    ask::AREA,
    events::AREA,
    remarks::AREA,
    bot::AREA,
    request::AREA,
    upload::AREA,
    room::AREA,
    room_events::AREA,
    store::AREA,
    shared::AREA,
    peer::AREA,
    timer::AREA,
    time::AREA,
    text::AREA,
    rand::AREA,
    rate::AREA,
    metric::AREA,
    xml::AREA,
    pubsub::AREA,
    http::AREA,
    webhook::AREA,
    secret::AREA,
    feed::AREA,
    log::AREA,
];

/// What tests can call: areas that do not act as a bot, and their own.
pub const TEST_AREAS: &[Area] = &[text::AREA, xml::AREA, testing::api::AREA, testing::menu::AREA];

/// Every area, those of tests included.
pub fn all_areas() -> impl Iterator<Item = &'static Area> {
    let shared = |area: &&Area| AREAS.iter().any(|known| known.title == area.title);
    AREAS.iter().chain(TEST_AREAS.iter().filter(move |area| !shared(area)))
}

/// An area as engines take it.
pub(super) struct Registered {
    pub name: Option<&'static str>,
    pub module: Shared<Module>,
}

/// The areas as modules that all engines share.
pub(super) fn modules() -> &'static [Registered] {
    static MODULES: OnceLock<Vec<Registered>> = OnceLock::new();
    MODULES.get_or_init(|| AREAS.iter().map(build).collect())
}

/// The areas of tests.
pub(super) fn test_modules() -> &'static [Registered] {
    static MODULES: OnceLock<Vec<Registered>> = OnceLock::new();
    MODULES.get_or_init(|| TEST_AREAS.iter().map(build).collect())
}

fn build(area: &Area) -> Registered {
    let mut module = Module::new();
    (area.register)(&mut module);
    module.build_index();
    Registered { name: area.module, module: module.into() }
}

impl Function {
    /// One line of an area's table.
    pub(in crate::script) const fn new(
        signature: &'static str,
        about: &'static str,
        example: &'static str,
    ) -> Self {
        Self { signature, about, example }
    }

    /// The bare name: `get` of `store::get(key)`, `text` of `m.text`.
    pub fn name(&self) -> &'static str {
        let end = self.signature.find(['(', ' ', ':']).unwrap_or(self.signature.len());
        let path = match self.signature.find("::") {
            Some(at) => &self.signature[at + 2..],
            None => self.signature,
        };
        let path = if path.len() == self.signature.len() { &path[..end] } else { path };
        let path = &path[..path.find(['(', ' ', ':']).unwrap_or(path.len())];
        path.rsplit_once('.').map_or(path, |(_, name)| name)
    }

    /// Whether it is called behind a dot.
    pub(super) fn is_method(&self) -> bool {
        !self.is_property() && self.owner().is_some()
    }

    fn is_property(&self) -> bool {
        !self.signature.contains('(')
    }

    fn owner(&self) -> Option<&'static str> {
        let (owner, _) = self.signature.split_once('.')?;
        (!owner.contains([':', '('])).then_some(owner)
    }
}

/// Names of modules such as `store`.
pub(super) fn area_names() -> impl Iterator<Item = &'static str> {
    all_areas().filter_map(|area| area.module)
}

/// Names of all functions, without module.
pub(super) fn function_names() -> impl Iterator<Item = &'static str> {
    all_areas().flat_map(|area| area.functions).filter(|function| !function.is_property()).map(Function::name)
}

/// Signatures of the functions of that name.
pub(super) fn signatures(name: &str) -> Vec<&'static str> {
    let all = all_areas().flat_map(|area| area.functions);
    all.filter(|f| !f.is_property() && f.name() == name).map(|f| f.signature).collect()
}

/// Properties of objects whose type goes by that name.
pub(super) fn properties(owner: &str) -> impl Iterator<Item = &'static str> {
    let objects = all_areas().flat_map(|area| area.objects);
    let short: Vec<&str> = objects.filter(|(_, name)| *name == owner).map(|(short, _)| *short).collect();
    let all = all_areas().flat_map(|area| area.functions).filter(|function| function.is_property());
    all.filter(move |f| f.owner().is_some_and(|owner| short.contains(&owner))).map(Function::name)
}

/// The function whose example handles that event.
pub(super) fn example_of(event: &str) -> Option<&'static str> {
    let declared = format!("on(\"{}", event.strip_suffix("NAME").unwrap_or(event));
    let closed = if event.ends_with(":NAME") { declared } else { format!("{declared}\"") };
    let all = AREAS.iter().flat_map(|area| area.functions);
    all.filter(|function| function.example.contains(&closed)).map(|function| function.signature).next()
}

/// The anchor that Markdown readers give a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// The reference of all events and functions, in Markdown.
pub fn reference_markdown() -> String {
    let mut page = String::from(
        "# Script functions\n\nThis page is generated from the tables in `src/script/api`; every example is run by a test.\n\n## Events\n\n| event | happens when | example |\n|---|---|---|\n",
    );
    for (event, about) in EVENTS {
        let example = example_of(event).map_or(String::new(), |signature| {
            format!("[`{}`](#{})", signature.replace('|', "\\|"), anchor(signature))
        });
        // Writing into a string cannot fail.
        let _ = writeln!(page, "| `{event}` | {about} | {example} |");
    }
    for area in all_areas() {
        let _ = writeln!(page, "\n## {}\n\n{}", area.title, area.about);
        for Function { signature, about, example } in area.functions {
            let _ = writeln!(page, "\n### `{signature}`\n\n{about}\n\n```rhai\n{}\n```", example.trim());
        }
    }
    page
}

/// Registers `area::name`.
pub(super) fn put<A: 'static, const N: usize, const X: bool, R, const F: bool, Function>(
    module: &mut Module,
    name: &str,
    function: Function,
) where
    R: Variant + Clone,
    Function: rhai::RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
{
    let function = placed(function.into_rhai_function(true, true));
    FuncRegistration::new(name).set_into_module_raw(module, Function::param_types(), function);
}

/// Registers a property of an object.
pub(super) fn getter<A: 'static, const N: usize, const X: bool, R, const F: bool, Function>(
    module: &mut Module,
    name: &str,
    function: Function,
) where
    R: Variant + Clone,
    Function: rhai::RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
{
    FuncRegistration::new_getter(name).set_into_module(module, function);
}

/// The text, or nothing.
pub(super) fn optional(text: Option<&str>) -> Dynamic {
    text.map_or(Dynamic::UNIT, Into::into)
}

/// What a script wants to be said: any value, as people read it.
///
/// # Errors
/// Where it is empty, takes more than `limit` bytes though it is no string, or holds a character that XML cannot carry.
pub(super) fn words(value: &Dynamic, limit: usize) -> Result<String, Thrown> {
    let text = match value.as_immutable_string_ref() {
        Ok(text) => text.to_string(),
        Err(_) => match value.read_lock::<time::Time>() {
            Some(time) => time.to_string(),
            None => bounded(value, limit)?,
        },
    };
    if text.is_empty() {
        return Err(Thrown::new(Kind::Runtime, "there is no text to send"));
    }
    check_characters(&text)?;
    Ok(text)
}

/// A value as text of at most `limit` bytes. Values share their parts, so that few bytes of a map of maps can be
/// gigabytes of text, in one call that nothing can stop.
///
/// # Errors
/// Where it is longer.
pub(super) fn bounded(value: &Dynamic, limit: usize) -> Result<String, Thrown> {
    struct Bounded(String, usize);
    impl std::fmt::Write for Bounded {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            if text.len() > self.1.saturating_sub(self.0.len()) {
                return Err(std::fmt::Error);
            }
            self.0.push_str(text);
            Ok(())
        }
    }
    let mut text = Bounded(String::new(), limit);
    match write!(text, "{value}") {
        Ok(()) => Ok(text.0),
        Err(_) => Err(Thrown::new(Kind::Size, format!("as text, this is longer than {limit} bytes"))),
    }
}

/// Refuses what XML 1.0 §2.2 does not allow.
pub(super) fn check_characters(text: &str) -> Result<(), Thrown> {
    let forbidden =
        |c: &char| (*c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}');
    match text.chars().find(forbidden) {
        Some(c) => {
            let message = format!("the text holds U+{:04X}, which XML cannot carry", u32::from(c));
            Err(Thrown::new(Kind::Runtime, message).hint("`text::strip(t)` takes such characters out"))
        }
        None => Ok(()),
    }
}

/// A span: text such as `15m`, or seconds.
pub(super) fn span(value: &Dynamic) -> Result<std::time::Duration, Thrown> {
    let read = if let Ok(text) = value.as_immutable_string_ref() {
        crate::script::span::parse_span(&text)
    } else if let Ok(seconds) = value.as_int() {
        u64::try_from(seconds).ok().filter(|s| *s <= 3650 * 86_400).map(std::time::Duration::from_secs)
    } else {
        value
            .as_float()
            .ok()
            .filter(|s| (0.0..=3650.0 * 86_400.0).contains(s))
            .map(std::time::Duration::from_secs_f64)
    };
    read.ok_or_else(|| {
        Thrown::new(Kind::Runtime, format!("`{}` is no span", cut(value, 64)))
            .hint("write \"90s\", \"15m\" or \"1h30m\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::command::CommandSpec;

    #[test]
    fn the_types_of_arguments_are_those_that_commands_take() {
        for (kind, _) in ARGUMENT_TYPES {
            assert!(CommandSpec::parse(&format!("x <a:{kind}>")).is_ok(), "{kind}");
        }
        let why = CommandSpec::parse("x <a:nothing>").expect_err("no such type");
        let known = why.split("there are ").nth(1).expect("the types").split(' ').count();
        assert_eq!(known, ARGUMENT_TYPES.len(), "{why}");
    }

    #[test]
    fn text_of_a_value_stops_at_the_limit() {
        let part = Dynamic::from("x".repeat(1000));
        let value = Dynamic::from_array(vec![part; 100]);
        assert_eq!(bounded(&value, 200_000).ok(), Some(value.to_string()));
        assert!(bounded(&value, 50_000).is_err_and(|why| why.kind == Kind::Size));
    }
}
