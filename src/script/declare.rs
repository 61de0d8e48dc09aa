//! What a script declared while it was loaded: handlers, commands, repetitions, options.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use rhai::{Dynamic, FnPtr, Map};
use serde_json::Value;

use crate::cron::{self, Cron, Unreadable};
use crate::jid::BareJid;
use crate::script::api;
use crate::script::clockwork::{CronJob, Job, unused};
use crate::script::command::CommandSpec;
use crate::script::error::{Kind, Thrown, nearest};
use crate::script::hear::Heard;
use crate::script::hook::Hook;
use crate::script::requests;
use crate::script::roles::Allowed;
use crate::script::values;

/// The declarations of one loaded script.
#[derive(Default)]
pub(super) struct Declared {
    pub handlers: Vec<Handler>,
    pub commands: Vec<Command>,
    pub every: Vec<Every>,
    pub cron: Vec<CronJob>,
    pub webhooks: Vec<Webhook>,
    pub options: BTreeMap<String, OptionSpec>,
    /// Names of questions that the script takes answers to.
    pub answers: Arc<BTreeSet<String>>,
    /// Parameters of every function of the script, closures included, by name.
    pub arities: Arc<BTreeMap<String, Vec<usize>>>,
}

impl Declared {
    /// Gives back room for declarations that will not come: each bot has its own.
    pub(super) fn shrink(&mut self) {
        self.handlers.shrink_to_fit();
        self.commands.shrink_to_fit();
        self.every.shrink_to_fit();
        self.cron.shrink_to_fit();
        self.webhooks.shrink_to_fit();
    }
}

/// `on(event, opts, f)`
#[derive(Clone)]
pub(super) struct Handler {
    pub event: String,
    pub call: Callback,
    /// Higher runs earlier; 0 unless said.
    pub priority: i64,
    /// Which messages beside live ones it wants.
    pub wants: Wants,
    /// Rooms whose messages it wants; all where the list is empty.
    pub rooms: Vec<BareJid>,
    /// The expression it listens for.
    pub heard: Option<Heard>,
    /// Line of the declaration.
    pub line: usize,
}

/// Options that `on` and `hear` have in common.
pub(super) struct HandlerOptions {
    priority: i64,
    wants: Wants,
    rooms: Vec<BareJid>,
}

/// Messages that a handler gets only if it asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wants {
    /// History of rooms and archives.
    pub delayed: bool,
    /// Copies of what other resources of the account receive and send.
    pub carbons: bool,
    /// What the bot itself wrote, or another bot of this process.
    pub own: bool,
    /// What cannot be read, because it is encrypted.
    pub encrypted: bool,
}

/// `command(spec, opts, f)`
#[derive(Clone)]
pub(super) struct Command {
    pub spec: CommandSpec,
    pub call: Callback,
    pub help: String,
    pub alias: Vec<String>,
    pub hidden: bool,
    /// Who may use it; empty means all.
    pub allow: Vec<Allowed>,
    /// How long somebody has to wait before they use it again.
    pub cooldown: Option<Duration>,
    /// What is asked before it runs.
    pub confirm: Option<Confirm>,
    /// What is typed, and what is answered.
    pub examples: Vec<(String, String)>,
    pub place: Place,
    pub line: usize,
}

/// What is asked before a command runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Confirm {
    /// The command as it was typed.
    Typed,
    /// The script's own words.
    Words(String),
}

/// Where a command is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Everywhere.
    Any,
    /// One to one.
    Direct,
    /// In rooms.
    Room,
}

/// `every(span, f)`
#[derive(Clone)]
pub(super) struct Every {
    pub span: Duration,
    pub call: Callback,
    pub line: usize,
}

/// `webhook(name, opts, f)`
#[derive(Clone)]
pub(super) struct Webhook {
    pub hook: Hook,
    pub call: Callback,
    pub line: usize,
}

/// `option(name, default, help)`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OptionSpec {
    pub default: Value,
    pub help: String,
    pub line: usize,
}

/// A function of the script and how many of the offered arguments it takes.
#[derive(Clone)]
pub(super) struct Callback {
    pub function: FnPtr,
    pub arity: usize,
}

/// Events a handler can be declared for; `NAME` stands for one of the script's own.
pub const EVENTS: &[(&str, &str)] = &[
    (
        "answer:NAME",
        "what somebody said to the question of `m.ask(name, text)`, or the answer to `bot::iq` or `http::` by name",
    ),
    ("bounce", "an own message came back as an error"),
    (
        "edit",
        "somebody corrected a message: `m.replaces` says which; `message` and `room` get it behind this one",
    ),
    ("error", "a turn of this script failed"),
    ("file", "somebody sent a link to a file"),
    ("headline", "an alert that expects no reply"),
    ("invite", "somebody asks the bot into a room"),
    (
        "iq:NAME",
        "somebody who may asks for something of that namespace: the script answers, see [Requests of others](#requests-of-others)",
    ),
    ("load", "the script was loaded or replaced"),
    ("marker", "somebody has seen everything up to a message"),
    ("mention", "a room message that names the bot"),
    ("message", "a message, one to one"),
    ("offline", "the connection is lost"),
    ("online", "the connection is up"),
    ("pm", "a private message from a room occupant"),
    ("presence", "somebody's presence changed"),
    ("reaction", "somebody reacted to a message"),
    ("receipt", "a message of the bot was received"),
    ("retract", "somebody took a message back"),
    ("room", "a message in a room"),
    ("room:join", "somebody came into a room"),
    ("room:leave", "somebody left a room, or was removed"),
    ("room:lost", "the bot is out of a room, or did not get in"),
    ("room:nick", "somebody in a room has another nick"),
    ("room:role", "somebody in a room has another role or affiliation"),
    ("room:self", "the bot is in a room"),
    ("room:subject", "a room has another subject"),
    ("roster", "the contact list changed"),
    ("subscribe", "somebody wants to see the bot's presence"),
    ("subscribed", "somebody lets the bot see their presence"),
    ("tell:NAME", "another bot of this process said something: `peer::tell(bot, topic, data)`"),
    ("timer:NAME", "a timer of `timer::at` is due"),
    ("typing", "somebody's chat state changed"),
    ("unload", "the script is about to be replaced"),
    ("unsubscribe", "somebody no longer wants to see the bot's presence"),
    ("unsubscribed", "somebody took the bot's view of their presence away"),
];

/// Most cron lines of one script.
const CRONS: usize = 100;
/// Most repetitions of one script.
const REPETITIONS: usize = 100;
/// Most commands of one script.
const COMMANDS: usize = 500;
/// Most handlers of one script, those of `hear` included.
pub(super) const HANDLERS: usize = 1_000;
/// Most options of one script.
const OPTIONS: usize = 200;

impl Declared {
    /// Notes a handler.
    pub(super) fn on(&mut self, event: &str, opts: &Map, function: FnPtr, line: usize) -> Result<(), Thrown> {
        room(self.handlers.len(), HANDLERS, "handlers")?;
        check_event(event)?;
        requests::check(event, &self.handlers)?;
        known_keys("on", opts, HandlerOptions::KEYS)?;
        let options = HandlerOptions::read(opts)?;
        let call = self.callback(function, 1, &format!("the handler of `{event}`"))?;
        self.handlers.push(options.handler(event, call, line));
        Ok(())
    }

    /// Notes a command.
    pub(super) fn command(
        &mut self,
        spec: &str,
        opts: &Map,
        function: FnPtr,
        line: usize,
    ) -> Result<(), Thrown> {
        room(self.commands.len(), COMMANDS, "commands")?;
        let spec = CommandSpec::parse(spec).map_err(|why| Thrown::new(Kind::Declaration, why))?;
        let known = ["alias", "allow", "confirm", "cooldown", "example", "help", "hidden", "where"];
        known_keys("command", opts, &known)?;
        let place = match text(opts, "where")?.as_deref() {
            None | Some("any") => Place::Any,
            Some("direct") => Place::Direct,
            Some("room") => Place::Room,
            Some(other) => {
                let message = format!("`where` is `any`, `direct` or `room`, not `{other}`");
                return Err(Thrown::new(Kind::Declaration, message));
            }
        };
        let alias = texts(opts, "alias")?;
        for name in std::iter::once(&spec.name).chain(&alias) {
            if self.commands.iter().any(|command| command.answers_to(name)) {
                return Err(Thrown::new(
                    Kind::Declaration,
                    format!("the command `{name}` is declared twice"),
                ));
            }
        }
        let allow = texts(opts, "allow")?;
        let allow = allow.iter().map(|text| Allowed::parse(text)).collect::<Result<Vec<_>, _>>()?;
        let call = self.callback(function, 2, &format!("the command `{}`", spec.name))?;
        self.commands.push(Command {
            call,
            help: text(opts, "help")?.unwrap_or_default(),
            alias,
            hidden: flag(opts, "hidden")?,
            allow,
            cooldown: cooldown(opts)?,
            confirm: confirm(opts)?,
            examples: examples(opts)?,
            place,
            line,
            spec,
        });
        Ok(())
    }

    /// Notes a repetition.
    pub(super) fn every(&mut self, span: Duration, function: FnPtr, line: usize) -> Result<(), Thrown> {
        room(self.every.len(), REPETITIONS, "lines with `every`")?;
        if span < Duration::from_secs(1) {
            return Err(Thrown::new(Kind::Declaration, "`every` takes a span of one second or more"));
        }
        let call = self.callback(function, 0, "the function of `every`")?;
        self.every.push(Every { span, call, line });
        Ok(())
    }

    /// Notes a cron line, by the clock of `zone` unless it has one of its own.
    pub(super) fn cron(
        &mut self,
        cron_line: &str,
        opts: &Map,
        function: FnPtr,
        zone: &TimeZone,
        line: usize,
    ) -> Result<(), Thrown> {
        known_keys("cron", opts, &["catch_up", "name", "timezone"])?;
        room(self.cron.len(), CRONS, "cron lines")?;
        let refused =
            |why: Unreadable| Thrown { hint: why.hint, ..Thrown::new(Kind::Declaration, why.message) };
        let zone = match text(opts, "timezone")? {
            Some(name) => cron::zone(&name).map_err(refused)?,
            None => zone.clone(),
        };
        let cron = Cron::parse(cron_line, zone).map_err(refused)?;
        let used = |name: &str| self.cron.iter().any(|other| other.job.name == name);
        let name = match text(opts, "name")? {
            Some(name) if name.is_empty() || name.len() > 200 => {
                return Err(Thrown::new(Kind::Declaration, "the `name` of a cron line has 1 to 200 bytes"));
            }
            Some(name) if used(&name) => {
                let message = format!("the cron line `{name}` is declared twice");
                return Err(Thrown::new(Kind::Declaration, message));
            }
            Some(name) => name,
            None => unused(cron.line().to_owned(), used),
        };
        let call = self.callback(function, 1, "the function of `cron`")?;
        self.cron.push(CronJob { job: Job { name, cron, catch_up: flag(opts, "catch_up")? }, call, line });
        Ok(())
    }

    /// Notes an option and gives its value: that of `config`, where it has the type of the default.
    pub(super) fn option(
        &mut self,
        name: &str,
        default: &Dynamic,
        help: &str,
        line: usize,
        config: &Value,
    ) -> Result<Dynamic, Thrown> {
        room(self.options.len(), OPTIONS, "options")?;
        let json = values::to_json(default).map_err(|why| Thrown::new(Kind::Declaration, why))?;
        let given = config.get(name);
        if let Some(given) = given {
            check_type(name, &json, given)?;
        }
        let float = json.is_f64();
        self.options.insert(name.to_owned(), OptionSpec { default: json, help: help.to_owned(), line });
        Ok(match given {
            Some(given) if float => given.as_f64().map_or_else(|| default.clone(), Dynamic::from),
            Some(given) => values::from_json(given),
            None => default.clone(),
        })
    }

    /// Whether a message may be the answer to something the script has asked.
    pub(super) fn asks(&self) -> bool {
        !self.answers.is_empty() || self.commands.iter().any(|command| command.confirm.is_some())
    }

    /// Checks that `function` exists and can be called with at most `offered` arguments.
    pub(super) fn callback(&self, function: FnPtr, offered: usize, what: &str) -> Result<Callback, Thrown> {
        callback(&self.arities, function, offered, what)
    }
}

/// Checks that `function` is among `arities` and can be called with at most `offered` arguments; it takes as many
/// of them as it can.
pub(super) fn callback(
    arities: &BTreeMap<String, Vec<usize>>,
    function: FnPtr,
    offered: usize,
    what: &str,
) -> Result<Callback, Thrown> {
    let Some(known) = arities.get(function.fn_name()) else {
        let hint = nearest(function.fn_name(), arities.keys().map(String::as_str))
            .map(|near| format!("did you mean `{near}`?"));
        let thrown =
            Thrown::new(Kind::Declaration, format!("{what}: there is no function `{}`", function.fn_name()));
        return Err(Thrown { hint, ..thrown });
    };
    let curried = function.curry().len();
    let fitting = known.iter().filter_map(|parameters| parameters.checked_sub(curried));
    match fitting.filter(|&arity| arity <= offered).max() {
        Some(arity) => Ok(Callback { function, arity }),
        None => {
            let message = format!("{what} takes too many parameters: it is given {offered}");
            Err(Thrown::new(Kind::Declaration, message))
        }
    }
}

impl HandlerOptions {
    pub(super) const KEYS: &[&str] = &["carbons", "delayed", "encrypted", "own", "priority", "rooms"];

    pub(super) fn read(opts: &Map) -> Result<Self, Thrown> {
        let wants = Wants {
            delayed: flag(opts, "delayed")?,
            carbons: flag(opts, "carbons")?,
            own: flag(opts, "own")?,
            encrypted: flag(opts, "encrypted")?,
        };
        let priority = match opts.get("priority") {
            Some(value) => value.as_int().map_err(|_| wrong("priority", "an int", value))?,
            None => 0,
        };
        let room = |text: String| {
            let jid = BareJid::parse(&text).ok().filter(|jid| jid.local().is_some());
            jid.ok_or_else(|| Thrown::new(Kind::Declaration, format!("`{text}` is no address of a room")))
        };
        let rooms = texts(opts, "rooms")?.into_iter().map(room).collect::<Result<Vec<_>, _>>()?;
        if rooms.is_empty() && opts.contains_key("rooms") {
            let thrown = Thrown::new(Kind::Declaration, "`rooms` is empty, so this would never be called");
            return Err(thrown.hint("leave it out for all rooms"));
        }
        Ok(Self { priority, wants, rooms })
    }

    pub(super) fn handler(self, event: &str, call: Callback, line: usize) -> Handler {
        let Self { priority, wants, rooms } = self;
        Handler { event: event.to_owned(), call, priority, wants, rooms, heard: None, line }
    }
}

impl Command {
    /// Whether it goes by that name.
    pub(super) fn answers_to(&self, name: &str) -> bool {
        self.spec.name == name || self.alias.iter().any(|alias| alias == name)
    }
}

/// Whether there is room for one more of what a script may declare so often.
pub(super) fn room(count: usize, most: usize, what: &str) -> Result<(), Thrown> {
    if count < most {
        return Ok(());
    }
    Err(Thrown::new(Kind::Declaration, format!("more than {most} {what}")))
}

/// Whether an event of that name can happen.
pub(super) fn check_event(event: &str) -> Result<(), Thrown> {
    let (family, own) = match event.split_once(':') {
        Some((family, own)) => (format!("{family}:NAME"), Some(own)),
        None => (event.to_owned(), None),
    };
    if EVENTS.iter().any(|(name, _)| *name == event && !name.ends_with(":NAME")) {
        return Ok(());
    }
    if EVENTS.iter().any(|(name, _)| *name == family) && own != Some("") {
        return Ok(());
    }
    let thrown = Thrown::new(Kind::Declaration, format!("there is no event `{event}`"));
    let near = nearest(event, EVENTS.iter().map(|(name, _)| *name)).or_else(|| {
        let bare = event.split(':').next().unwrap_or_default();
        let families = EVENTS.iter().filter_map(|(name, _)| name.strip_suffix(":NAME"));
        nearest(bare, families).and_then(|family| {
            EVENTS.iter().map(|(name, _)| *name).find(|n| n.strip_suffix(":NAME") == Some(family))
        })
    });
    Err(match near {
        Some(near) => thrown.hint(format!("did you mean `{near}`?")),
        None => thrown,
    })
}

/// Refuses keys of `opts` that mean nothing.
pub(super) fn known_keys(what: &str, opts: &Map, known: &[&str]) -> Result<(), Thrown> {
    for key in opts.keys() {
        if !known.contains(&key.as_str()) {
            let thrown = Thrown::new(Kind::Declaration, format!("`{what}` has no option `{key}`"));
            return Err(match nearest(key, known.iter().copied()) {
                Some(near) => thrown.hint(format!("did you mean `{near}`?")),
                None => thrown.hint(format!("it has {}", known.join(", "))),
            });
        }
    }
    Ok(())
}

/// The text under `key`.
pub(super) fn text(opts: &Map, key: &str) -> Result<Option<String>, Thrown> {
    match opts.get(key) {
        Some(value) => match value.as_immutable_string_ref() {
            Ok(text) => Ok(Some(text.to_string())),
            Err(_) => Err(wrong(key, "a string", value)),
        },
        None => Ok(None),
    }
}

/// The text or the texts under `key`.
pub(super) fn texts(opts: &Map, key: &str) -> Result<Vec<String>, Thrown> {
    let Some(value) = opts.get(key) else {
        return Ok(Vec::new());
    };
    if let Ok(text) = value.as_immutable_string_ref() {
        return Ok(vec![text.to_string()]);
    }
    let Ok(items) = value.as_array_ref() else {
        return Err(wrong(key, "a string or an array of strings", value));
    };
    let item = |item: &Dynamic| match item.as_immutable_string_ref() {
        Ok(text) => Ok(text.to_string()),
        Err(_) => Err(wrong(key, "an array of strings", item)),
    };
    items.iter().map(item).collect()
}

fn cooldown(opts: &Map) -> Result<Option<Duration>, Thrown> {
    let Some(value) = opts.get("cooldown") else { return Ok(None) };
    let span = api::span(value).map_err(|why| Thrown { kind: Kind::Declaration, ..why })?;
    if span < Duration::from_secs(1) {
        return Err(Thrown::new(Kind::Declaration, "`cooldown` is a span of one second or more"));
    }
    Ok(Some(span))
}

fn confirm(opts: &Map) -> Result<Option<Confirm>, Thrown> {
    let Some(value) = opts.get("confirm") else { return Ok(None) };
    if let Ok(wanted) = value.as_bool() {
        return Ok(wanted.then_some(Confirm::Typed));
    }
    match value.as_immutable_string_ref() {
        Ok(words) if words.trim().is_empty() => {
            Err(Thrown::new(Kind::Declaration, "`confirm` is `true` or a question, not an empty text"))
        }
        Ok(words) => Ok(Some(Confirm::Words(words.to_string()))),
        Err(_) => Err(wrong("confirm", "true or a question", value)),
    }
}

/// A pair of what is typed and what is answered, or several.
fn examples(opts: &Map) -> Result<Vec<(String, String)>, Thrown> {
    let Some(value) = opts.get("example") else { return Ok(Vec::new()) };
    let expected = "[\"!name\", \"answer\"] or an array of such pairs";
    let Ok(items) = value.as_array_ref() else { return Err(wrong("example", expected, value)) };
    let said = |item: &Dynamic| item.as_immutable_string_ref().ok().map(|text| text.to_string());
    let pair = |items: &[Dynamic]| match items {
        [typed, answered] => Some((said(typed)?, said(answered)?)),
        _ => None,
    };
    if let Some(one) = pair(&items) {
        return Ok(vec![one]);
    }
    let each = items.iter().map(|item| item.as_array_ref().ok().and_then(|items| pair(&items)));
    each.collect::<Option<Vec<_>>>()
        .ok_or_else(|| Thrown::new(Kind::Declaration, format!("`example` is {expected}")))
}

/// The truth value under `key`; false where it is missing.
fn flag(opts: &Map, key: &str) -> Result<bool, Thrown> {
    match opts.get(key) {
        Some(value) => value.as_bool().map_err(|_| wrong(key, "true or false", value)),
        None => Ok(false),
    }
}

pub(super) fn wrong(key: &str, expected: &str, found: &Dynamic) -> Thrown {
    Thrown::new(Kind::Declaration, format!("`{key}` is {expected}, not a {}", values::kind(found)))
}

fn check_type(name: &str, default: &Value, given: &Value) -> Result<(), Thrown> {
    let fits = match default {
        Value::Null => true,
        Value::Bool(_) => given.is_boolean(),
        Value::Number(number) if number.is_f64() => given.is_number(),
        Value::Number(_) => given.is_i64() || given.is_u64(),
        Value::String(_) => given.is_string(),
        Value::Array(_) => given.is_array(),
        Value::Object(_) => given.is_object(),
    };
    if fits {
        return Ok(());
    }
    let message =
        format!("the option `{name}` is a {}, not {given}", values::kind(&values::from_json(default)));
    Err(Thrown::new(Kind::Config, message).hint("change it under `config` of the bot or of its script"))
}
