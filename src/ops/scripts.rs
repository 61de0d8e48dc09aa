//! Script files to compiled scripts, with every problem as a diagnostic.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::config::options::ScriptOption;
use crate::config::settings::{BotSettings, ScriptSettings, Settings, TurnLimits};
use crate::diagnostic::{Diagnostic, Place, Source};
use crate::moment::Moment;
use crate::ops::findings::{BotGrants, Findings, Missing, hidden_commands};
use crate::script::check::{Checked, check};
use crate::script::error::{Kind, ScriptError};
use crate::script::inspect::{CommandSeen, Inspected, inspect};
use crate::script::loader::{Compiled, compile};
use crate::script::requests;
use crate::script::{Limits, Permissions, ScriptUse, WebhookGrant, roles};

/// Compiled scripts by their name in the configuration.
pub type Library = BTreeMap<String, Compiled>;

/// What scripts declare with the configurations that bots give them.
#[derive(Clone, Debug, Default)]
pub struct Declarations(BTreeMap<(String, String), Inspected>);

impl Declarations {
    /// Of a script with these values for its options; `None` where it does not load.
    pub fn of(&self, script: &crate::config::settings::ScriptUse) -> Option<&Inspected> {
        let config = Value::Object(script.config.clone());
        self.0.get(&(script.script.clone(), config.to_string()))
    }
}

/// What the declarations of all scripts, run in a shadow, have shown.
#[derive(Default)]
pub struct Rehearsal {
    /// What is wrong, or suspicious.
    pub diagnostics: Vec<Diagnostic>,
    /// What is declared.
    pub declared: Declarations,
    /// What scripts ask for and are not granted.
    pub missing: Vec<Missing>,
}

/// Reads and compiles all scripts. Everything that is wrong comes back at once.
pub fn load(scripts: &[ScriptSettings]) -> (Library, Vec<Diagnostic>) {
    let mut library = Library::new();
    let mut diagnostics = Vec::new();
    for script in scripts {
        match std::fs::read_to_string(&script.file) {
            Ok(text) => match compile(&script.name, &script.file, &text) {
                Ok(compiled) => drop(library.insert(script.name.clone(), compiled)),
                Err(error) => diagnostics.extend(refused(&error, &check(&script.file, &text))),
            },
            Err(error) => diagnostics.push(
                Diagnostic::error("script::unreadable", format!("`{}`: {error}", script.file.display()))
                    .at(script.place.clone(), "named here"),
            ),
        }
    }
    (library, diagnostics)
}

/// Why a script does not compile. The checks know the same mistake in better words, and others besides.
fn refused(error: &ScriptError, checked: &Checked) -> Vec<Diagnostic> {
    let mut diagnostics = checked.diagnostics.clone();
    let known = |found: &Diagnostic| {
        found.is_error() && found.place().is_some_and(|place| place.source.name == error.file)
    };
    if error.kind != Kind::Compile || !diagnostics.iter().any(known) {
        diagnostics.insert(0, diagnostic(error));
    }
    diagnostics
}

/// All that is wrong in one text, as `check` says it of a script that no bot uses yet.
pub fn examine(name: &str, file: &Path, text: &str) -> Vec<Diagnostic> {
    match compile(name, file, text) {
        Ok(compiled) => {
            let library = Library::from([(name.to_owned(), compiled)]);
            let findings = Findings::of(&library);
            let mut diagnostics = findings.diagnostics();
            for compiled in library.into_values() {
                let script = ScriptUse {
                    name: name.to_owned(),
                    compiled,
                    config: Value::Object(serde_json::Map::new()),
                    limits: Limits::DEFAULT,
                    permissions: Permissions::default(),
                    timezone: jiff::tz::TimeZone::UTC,
                };
                if let Err(error) = inspect(&script, now())
                    // Nobody grants anything to a script without a bot.
                    && error.kind != Kind::Forbidden
                    && !findings.covers(&error.file, error.line)
                {
                    diagnostics.push(diagnostic(&error));
                }
            }
            diagnostics
        }
        Err(error) => refused(&error, &check(file, text)),
    }
}

/// What the scripts declare with `option`, each name once.
pub fn options(library: &Library) -> Vec<ScriptOption> {
    let mut options: BTreeMap<String, ScriptOption> = BTreeMap::new();
    for (name, compiled) in library {
        let script = ScriptUse {
            name: name.clone(),
            compiled: compiled.clone(),
            config: Value::Object(serde_json::Map::new()),
            limits: Limits::DEFAULT,
            permissions: Permissions::default(),
            timezone: jiff::tz::TimeZone::UTC,
        };
        for option in inspect(&script, now()).into_iter().flat_map(|inspected| inspected.options) {
            let found =
                ScriptOption { name: option.name.clone(), default: option.default, help: option.help };
            // Two scripts may give one name two types: then the schema must not choose.
            let differs = |known: &mut ScriptOption| {
                if !same_type(&known.default, &found.default) {
                    known.default = Value::Null;
                }
            };
            options.entry(option.name).and_modify(differs).or_insert(found);
        }
    }
    options.into_values().collect()
}

fn same_type(one: &Value, other: &Value) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
        && one.as_number().map(serde_json::Number::is_f64)
            == other.as_number().map(serde_json::Number::is_f64)
}

fn now() -> Moment {
    Moment { at: std::time::Instant::now(), wall: jiff::Timestamp::now() }
}

/// What the texts of all scripts say about themselves, whatever the settings are.
pub fn read_through(library: &Library) -> Vec<Diagnostic> {
    Findings::of(library).diagnostics()
}

/// Looks through all scripts, and runs the declarations of every script of every bot in a shadow, with that bot's configuration: what would
/// park a script, and calls that would fail when they are reached. Many bots that use a script alike count once.
pub fn rehearse(settings: &Settings, library: &Library) -> Rehearsal {
    let now = now();
    let findings = Findings::of(library);
    let mut seen = BTreeSet::new();
    let mut together = BTreeSet::new();
    let mut diagnostics = findings.diagnostics();
    let mut declared = Declarations::default();
    let mut missing: Vec<Missing> = Vec::new();
    let mut bot_grants = BotGrants::default();
    for bot in &settings.bots {
        bot_grants.note(bot, &findings);
        let uses = uses(bot, library);
        // Bots that are told apart by their accounts alone have the same scripts in the same order.
        if together.insert(uses.iter().map(|script| script.name.clone()).collect::<Vec<_>>())
            && uses.len() > 1
        {
            diagnostics.extend(side_by_side(&uses, now));
        }
        for (script, settings) in uses.iter().zip(&bot.scripts) {
            let roles: Vec<String> = bot.roles.keys().cloned().collect();
            if !seen.insert((
                script.name.clone(),
                script.config.to_string(),
                format!("{:?}", script.permissions),
                roles,
            )) {
                continue;
            }
            let problems = match inspect(script, now) {
                Ok(inspected) => {
                    let problems = unknown_roles(&inspected, script, bot);
                    declared.0.insert((script.name.clone(), script.config.to_string()), inspected);
                    problems
                }
                Err(error) => vec![error],
            };
            for found in findings.missing(script) {
                let same = |known: &Missing| {
                    (&known.script, known.permission, &known.value)
                        == (&found.script, found.permission, &found.value)
                };
                if !missing.iter().any(same) {
                    missing.push(found);
                }
            }
            let mut grants = findings.with(script, bot);
            grants.extend(findings.unused_grants(script, settings));
            let known = |problem: &&ScriptError| {
                let same =
                    |place: &Place| place.source.name == problem.file && place.position().0 == problem.line;
                findings.covers(&problem.file, problem.line)
                    || grants.iter().any(|found| found.is_error() && found.place().is_some_and(same))
            };
            let problems: Vec<&ScriptError> = problems.iter().filter(|problem| !known(problem)).collect();
            let found = problems.iter().map(|problem| at_option(diagnostic(problem), problem, settings));
            for found in found.chain(grants) {
                if !diagnostics.contains(&found) {
                    diagnostics.push(found);
                }
            }
        }
    }
    diagnostics.extend(bot_grants.unused());
    Rehearsal { diagnostics, declared, missing }
}

/// What scripts of one bot take from each other.
fn side_by_side(uses: &[ScriptUse], now: Moment) -> Vec<Diagnostic> {
    let inspected: Vec<(&ScriptUse, Inspected)> =
        uses.iter().filter_map(|script| Some((script, inspect(script, now).ok()?))).collect();
    let scripts: Vec<_> = inspected.iter().map(|(script, seen)| (*script, seen)).collect();
    let mut found = hidden_commands(&scripts);
    found.extend(contested(&scripts).iter().map(diagnostic));
    found
}

/// Requests that two scripts of one bot would answer: the later one does not load.
fn contested(scripts: &[(&ScriptUse, &Inspected)]) -> Vec<ScriptError> {
    let mut found = Vec::new();
    for (at, (script, inspected)) in scripts.iter().enumerate() {
        for (event, line) in inspected.events.iter().filter(|(event, _)| event.starts_with(requests::PREFIX))
        {
            let Some((other, _)) = scripts[..at].iter().find(|(_, earlier)| earlier.handles(event)) else {
                continue;
            };
            found.push(declared_wrongly(script, *line, requests::twice(event, &other.name)));
        }
    }
    found
}

/// A declaration that cannot stand, at its line.
fn declared_wrongly(script: &ScriptUse, line: usize, message: String) -> ScriptError {
    ScriptError {
        bot: String::new(),
        script: script.name.clone(),
        file: script.compiled.path().display().to_string(),
        line,
        column: 1,
        kind: Kind::Declaration,
        message,
        chain: Vec::new(),
        hint: None,
        event: None,
        trace: None,
    }
}

/// Commands that ask for roles which the bot does not have: nobody could use them.
fn unknown_roles(inspected: &Inspected, script: &ScriptUse, bot: &BotSettings) -> Vec<ScriptError> {
    let unknown = |command: &CommandSeen| {
        let (name, hint) = roles::unknown(&command.roles, &bot.roles)?;
        let message = format!("bot `{}` has no role `{name}`, which {} asks for", bot.name, command.usage);
        let found = declared_wrongly(script, command.line, message);
        Some(ScriptError { bot: bot.name.clone(), hint: Some(hint), ..found })
    };
    inspected.commands.iter().filter_map(unknown).collect()
}

/// A wrong value of an option is a mistake of the configuration: that is the place to show first.
fn at_option(
    found: Diagnostic,
    error: &ScriptError,
    settings: &crate::config::settings::ScriptUse,
) -> Diagnostic {
    if error.kind != Kind::Config {
        return found;
    }
    let named = settings.places.iter().find(|(name, _)| error.message.contains(&format!("`{name}`")));
    let place = named.map_or(&settings.place, |(_, place)| place);
    Diagnostic { labels: Vec::new(), ..found }.at(place.clone(), "")
}

/// The scripts of one bot; one that is missing from the library was reported when it was loaded.
pub fn uses(bot: &BotSettings, library: &Library) -> Vec<ScriptUse> {
    let one = |script: &crate::config::settings::ScriptUse| {
        Some(ScriptUse {
            name: script.script.clone(),
            compiled: library.get(&script.script)?.clone(),
            config: Value::Object(script.config.clone()),
            limits: limits(script.limits),
            permissions: Permissions {
                http: script.permissions.http.clone(),
                webhooks: script
                    .permissions
                    .webhooks
                    .iter()
                    .map(|(name, open)| (name.clone(), WebhookGrant { open: *open }))
                    .collect(),
                secrets: script.permissions.secrets.clone(),
                shared: script.permissions.shared,
                bots: script.permissions.bots.clone(),
            },
            timezone: bot.timezone.clone(),
        })
    };
    bot.scripts.iter().filter_map(one).collect()
}

fn limits(turn: TurnLimits) -> Limits {
    Limits {
        turn: turn.turn,
        operations: turn.operations,
        memory: usize::try_from(turn.memory).unwrap_or(usize::MAX),
        actions: usize::try_from(turn.actions).unwrap_or(usize::MAX),
        writes: usize::try_from(turn.writes).unwrap_or(usize::MAX),
        store: turn.store,
        timers: turn.timers,
        ..Limits::DEFAULT
    }
}

/// A script's problem with its line and a caret.
pub fn diagnostic(error: &ScriptError) -> Diagnostic {
    let text = std::fs::read_to_string(&error.file).unwrap_or_default();
    let source: Arc<Source> = Source::new(error.file.clone(), text);
    let (name, place) = match unknown_key(&source, error) {
        Some(place) => ("script::unknown_option", place),
        None => (name(error.kind), word(&source, error.line, error.column)),
    };
    let mut diagnostic =
        Diagnostic::error(name, error.message.clone()).at(place, "").hint_if(error.hint.clone());
    for frame in &error.chain {
        if frame.file == error.file && frame.line > 0 {
            diagnostic = diagnostic.at(
                Place::at(&source, frame.line, frame.column.max(1)),
                format!("called from `{}`", frame.function),
            );
        }
    }
    diagnostic
}

/// Where an option stands that a declaration does not have; the failure knows only the declaration.
fn unknown_key(source: &Arc<Source>, error: &ScriptError) -> Option<Place> {
    let (_, rest) = error.message.split_once("has no option `")?;
    let key = rest.strip_suffix('`').filter(|_| error.kind == Kind::Declaration)?;
    let start = source.offset(error.line, error.column);
    let text = &source.text[start..];
    let found = text.match_indices(key).find(|(at, _)| {
        let before = text[..*at].chars().next_back();
        let after = text[at + key.len()..].trim_start_matches('"').trim_start();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_') && after.starts_with(':')
    });
    found.map(|(at, _)| Place::new(source, start + at..start + at + key.len()))
}

/// The word at a line and column: a caret under one letter is hard to see.
fn word(source: &Arc<Source>, line: usize, column: usize) -> Place {
    let place = Place::at(source, line.max(1), column.max(1));
    let rest = &source.text[place.span.start..];
    let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    Place::new(source, place.span.start..place.span.start + length.max(place.span.len()))
}

/// The stable name of a kind of problem.
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Compile => "script::syntax",
        Kind::Config => "script::option",
        Kind::Deadline => "script::deadline",
        Kind::Declaration => "script::declaration",
        Kind::Forbidden => "script::forbidden",
        Kind::Import => "script::import",
        Kind::Memory => "script::memory",
        Kind::Operations => "script::operations",
        Kind::Panic => "script::panic",
        Kind::Runtime => "script::runtime",
        Kind::Size => "script::size",
        Kind::Stack => "script::stack",
        Kind::Store => "script::store",
    }
}
