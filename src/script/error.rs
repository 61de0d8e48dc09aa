//! What went wrong in a script, for its author: file, line, column, the calls that led there, and a hint.

use std::fmt;

use rhai::{Dynamic, EvalAltResult, ParseError, ParseErrorType, Position};

use crate::script::Limits;
use crate::script::api;
use crate::script::budget::Exceeded;
use crate::script::printed::cut;
use crate::script::references::CALL_LEVELS;

/// One failure of one script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// The bot whose turn failed; empty where the script was only compiled.
    pub bot: String,
    /// Name of the script.
    pub script: String,
    /// File in which it happened: the script's own, or that of a module it imports.
    pub file: String,
    /// Line, from 1; 0 where it is unknown.
    pub line: usize,
    /// Column, from 1; 0 where it is unknown.
    pub column: usize,
    /// Which rule was broken.
    pub kind: Kind,
    /// What happened, in one line.
    pub message: String,
    /// The calls that led there, the innermost first.
    pub chain: Vec<Frame>,
    /// What would help.
    pub hint: Option<String>,
    /// Name of the event that was being handled.
    pub event: Option<String>,
    /// What `rhapsode why` takes to tell of what was being handled; absent where a script was only loaded.
    pub trace: Option<String>,
}

/// One call on the way to the failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Name of the function; `closure` where it has none.
    pub function: String,
    /// File of the call.
    pub file: String,
    /// Line of the call; 0 where it is unknown.
    pub line: usize,
    /// Column of the call; 0 where it is unknown.
    pub column: usize,
}

/// Which rule was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The text is not a program.
    Compile,
    /// A value of the configuration has the wrong type, or no option of that name exists.
    Config,
    /// The turn took too long.
    Deadline,
    /// A declaration is wrong, or came after loading.
    Declaration,
    /// Something scripts may not do.
    Forbidden,
    /// A module could not be imported.
    Import,
    /// The turn allocated, or the script keeps, more than it may.
    Memory,
    /// Too many operations, actions or writes in one turn.
    Operations,
    /// A function of this program panicked: a fault in it, not in the script.
    Panic,
    /// An error while running.
    Runtime,
    /// A string, array or map grew too large.
    Size,
    /// Calls nested too deeply.
    Stack,
    /// The store refused or failed.
    Store,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.place(), self.message)?;
        let mut frames = self.chain.as_slice();
        while let Some(frame) = frames.first() {
            write!(f, "\n  in {} ({}:{}:{})", frame.function, frame.file, frame.line, frame.column)?;
            // A function that calls itself does so many times.
            let times = frames.iter().take_while(|other| *other == frame).count();
            if times > 1 {
                write!(f, ", {times} times")?;
            }
            frames = &frames[times..];
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ScriptError {}

impl ScriptError {
    /// What stands before the message: `file:line:column: `, as much of it as is known.
    pub(super) fn place(&self) -> String {
        let Self { file, line, column, .. } = self;
        match (file.as_str(), *line) {
            ("", _) => String::new(),
            (file, 0) => format!("{file}: "),
            (file, line) => format!("{file}:{line}:{column}: "),
        }
    }
}

/// What a host function throws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Thrown {
    pub kind: Kind,
    pub message: String,
    pub hint: Option<String>,
}

/// What ends a turn whose budget is used up, at a place that the engine adds. The engine's own error for this loses its
/// place when a function ends. A script can catch this one, and is stopped then: see [`crate::script::budget::end`].
pub(super) fn ended(reason: Exceeded) -> Box<EvalAltResult> {
    EvalAltResult::ErrorRuntime(Dynamic::from(reason), Position::NONE).into()
}

/// Where a failure is to be placed, and what may be suggested.
pub(super) struct Site<'a> {
    pub bot: &'a str,
    pub script: &'a str,
    pub file: &'a str,
    pub event: Option<&'a str>,
    /// Functions of the script itself.
    pub functions: &'a [String],
    pub limits: &'a Limits,
}

impl Thrown {
    /// A failure of the script's doing.
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// The same with a hint.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Thrown> for Box<EvalAltResult> {
    fn from(thrown: Thrown) -> Self {
        EvalAltResult::ErrorRuntime(Dynamic::from(thrown), Position::NONE).into()
    }
}

impl fmt::Display for Thrown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Site<'_> {
    /// A failure without a place of its own.
    pub(super) fn plain(&self, kind: Kind, message: impl Into<String>) -> ScriptError {
        ScriptError {
            bot: self.bot.to_owned(),
            script: self.script.to_owned(),
            file: self.file.to_owned(),
            line: 0,
            column: 0,
            kind,
            message: message.into(),
            chain: Vec::new(),
            hint: None,
            event: self.event.map(str::to_owned),
            trace: None,
        }
    }

    /// A failure of running.
    pub(super) fn eval(&self, error: &EvalAltResult) -> ScriptError {
        let mut chain = Vec::new();
        let mut file = self.file.to_owned();
        let mut error = error;
        loop {
            error = match error {
                EvalAltResult::ErrorInFunctionCall(function, source, inner, position) => {
                    let closure = function.starts_with("anon$");
                    let function = if closure { "closure".to_owned() } else { cut(function, NAME) };
                    // A call without a place is one of the runtime's own.
                    if let (Some(line), Some(column)) = (position.line(), position.position()) {
                        chain.push(Frame { function, file: file.clone(), line, column });
                    }
                    if !source.is_empty() {
                        file.clone_from(source);
                    }
                    inner
                }
                EvalAltResult::ErrorInModule(path, inner, _) => {
                    file.clone_from(path);
                    inner
                }
                _ => break,
            };
        }
        chain.reverse();
        let position = error.position();
        let (kind, message, hint) = self.explain(error);
        ScriptError {
            file,
            line: position.line().unwrap_or(0),
            column: position.position().unwrap_or(0),
            chain,
            hint: hint.map(|hint| cut(hint, LONGEST)),
            ..self.plain(kind, cut(message, LONGEST))
        }
    }

    /// The failure of a turn whose budget is used up. It may have ended otherwise: with an error that a script has made of
    /// the one it caught, or with none.
    pub(super) fn over(&self, reason: Exceeded, error: Option<&EvalAltResult>) -> ScriptError {
        let failure = error.map_or_else(|| self.plain(Kind::Runtime, ""), |error| self.eval(error));
        let (kind, message, hint) = self.explain_end(reason);
        if failure.kind == kind {
            return failure;
        }
        ScriptError { kind, message, hint: Some(hint), ..failure }
    }

    /// A failure of compiling.
    pub(super) fn parse(&self, error: &ParseError) -> ScriptError {
        let ParseError(cause, position) = error;
        let (message, hint) = explain_syntax(cause);
        ScriptError {
            line: position.line().unwrap_or(0),
            column: position.position().unwrap_or(0),
            hint,
            ..self.plain(Kind::Compile, message)
        }
    }

    fn explain(&self, error: &EvalAltResult) -> (Kind, String, Option<String>) {
        use EvalAltResult as E;
        match error {
            E::ErrorRuntime(token, _) => match (token.read_lock::<Thrown>(), token.read_lock::<Exceeded>()) {
                (Some(thrown), _) => (thrown.kind, thrown.message.clone(), thrown.hint.clone()),
                (None, Some(reason)) => {
                    let (kind, message, hint) = self.explain_end(*reason);
                    (kind, message, Some(hint))
                }
                (None, None) if token.is_unit() => {
                    (Kind::Runtime, "the script threw an error".to_owned(), None)
                }
                (None, None) => (Kind::Runtime, cut(token, LONGEST), None),
            },
            E::ErrorTerminated(token, _) => match token.clone().try_cast::<Exceeded>() {
                Some(reason) => self.explain_stop(reason),
                None => (Kind::Runtime, "the script was ended".to_owned(), None),
            },
            E::ErrorTooManyOperations(_) => self.explain_stop(Exceeded::Operations),
            E::ErrorDataTooLarge(what, _) => {
                let what = what.to_lowercase();
                (Kind::Size, format!("{what} too large"), Some(self.size_hint()))
            }
            E::ErrorStackOverflow(_) => self.explain_stop(Exceeded::Depth),
            E::ErrorFunctionNotFound(signature, _) => self.explain_function(signature),
            E::ErrorVariableNotFound(name, _) => {
                let hint = "a `fn` sees a top-level `const NAME` as `global::NAME`, and no top-level `let`; a closure sees both";
                (Kind::Runtime, format!("unknown variable `{name}`"), Some(hint.to_owned()))
            }
            E::ErrorModuleNotFound(name, _) => {
                let hint = nearest(name, api::area_names()).map(|near| format!("did you mean `{near}::`?"));
                (Kind::Import, format!("unknown module `{name}`"), hint)
            }
            E::ErrorDotExpr(text, _) => explain_property(text),
            E::ErrorParsing(cause, _) => {
                let (message, hint) = explain_syntax(cause);
                (Kind::Compile, message, hint)
            }
            other => (Kind::Runtime, lower_first(&without_place(&cut(other, LONGEST))), None),
        }
    }

    fn explain_end(&self, reason: Exceeded) -> (Kind, String, String) {
        let limits = self.limits;
        match reason {
            Exceeded::Deadline => (
                Kind::Deadline,
                format!("the turn took longer than {} ms", limits.turn.as_millis()),
                "raise `limits.turn`, or do less in one turn".to_owned(),
            ),
            Exceeded::Depth => (
                Kind::Stack,
                "calls nest too deeply".to_owned(),
                format!("functions may call each other {CALL_LEVELS} levels deep"),
            ),
            Exceeded::Memory => (
                Kind::Memory,
                format!("the turn took more than {} KiB of memory", limits.memory / 1024),
                "raise `limits.memory`, or keep less at once".to_owned(),
            ),
            Exceeded::Operations => (
                Kind::Operations,
                format!("the turn took more than {} operations", limits.operations),
                "raise `limits.operations`, or do less in one turn".to_owned(),
            ),
            Exceeded::Text => (
                Kind::Size,
                format!("as text, this is longer than {} bytes", limits.string),
                self.size_hint(),
            ),
        }
    }

    /// The engine stopped between two operations, and tells where the function was called that the turn began with.
    fn explain_stop(&self, reason: Exceeded) -> (Kind, String, Option<String>) {
        let (kind, message, mut hint) = self.explain_end(reason);
        if self.event.is_some() {
            hint.push_str("; the place is where the handler begins");
        }
        (kind, message, Some(hint))
    }

    fn size_hint(&self) -> String {
        let Limits { string, array, map, .. } = self.limits;
        format!(
            "a string may have {string} bytes, an array {array} elements, a map {map} keys, nested ones included"
        )
    }

    fn explain_function(&self, signature: &str) -> (Kind, String, Option<String>) {
        let (name, arguments) = signature.split_once(" (").unwrap_or((signature, ")"));
        let arguments = friendly_types(arguments.trim_end_matches(')'));
        let known =
            api::function_names().any(|known| known == name) || self.functions.iter().any(|f| f == name);
        if known {
            let hint = api::signatures(name).join("  |  ");
            let hint = (!hint.is_empty()).then(|| format!("it is {hint}"));
            return (Kind::Runtime, format!("`{name}` does not take ({arguments})"), hint);
        }
        let mut candidates: Vec<&str> = api::function_names().collect();
        candidates.extend(self.functions.iter().map(String::as_str));
        let hint = nearest(name, candidates).map(|near| format!("did you mean `{near}`?"));
        (Kind::Runtime, format!("unknown function `{name}` for ({arguments})"), hint)
    }
}

/// Bytes of a message or a hint. What is thrown can be as large as a script's memory, and many times that as text.
const LONGEST: usize = 512;
/// Bytes of a word that somebody may have meant to write.
const NAME: usize = 64;

/// The candidate that `word` was probably meant to be: at most a third of it differs.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > NAME {
        return None;
    }
    let allowed = (word.chars().count() / 3).max(1);
    let ranked =
        candidates.into_iter().map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate));
    ranked.filter(|&(distance, _)| distance <= allowed).min().map(|(_, candidate)| candidate)
}

fn explain_property(text: &str) -> (Kind, String, Option<String>) {
    // Rhai's words: Unknown property 'txt' - a getter is not registered for type 'Message'
    let mut quoted = text.split('\'').skip(1).step_by(2);
    match (text.starts_with("Unknown property"), quoted.next(), quoted.next()) {
        (true, Some(property), Some(owner)) => {
            let near =
                nearest(property, api::properties(owner)).map(|near| format!("did you mean `{near}`?"));
            (Kind::Runtime, format!("a {owner} has no property `{property}`"), near)
        }
        _ => (Kind::Runtime, lower_first(text), None),
    }
}

pub(super) fn explain_syntax(cause: &ParseErrorType) -> (String, Option<String>) {
    let hint = match cause {
        ParseErrorType::VariableUndefined(name) => {
            nearest(name, ["config"]).map(|near| format!("did you mean `{near}`?"))
        }
        ParseErrorType::ModuleUndefined(name) => {
            nearest(name, api::area_names()).map(|near| format!("did you mean `{near}::`?"))
        }
        ParseErrorType::Reserved(word) => {
            Some(format!("`{word}` means something to the language: use another name, such as `{word}_`"))
        }
        ParseErrorType::PropertyExpected => {
            Some("some words cannot name a property; `thread`, for one, is `thread_id`".to_owned())
        }
        _ => None,
    };
    (lower_first(&cause.to_string()).replace('\'', "`"), hint)
}

/// Types as authors know them: rhai names all spellings that Rust has for a string.
fn friendly_types(arguments: &str) -> String {
    let names = arguments.split(", ").map(|name| match name {
        "&str | ImmutableString | String" | "ImmutableString" => "string",
        "i64" => "int",
        "f64" => "float",
        "()" => "nothing",
        name => name,
    });
    names.collect::<Vec<_>>().join(", ")
}

/// Rhai's words without the place that it puts behind them.
fn without_place(text: &str) -> String {
    text.rfind(" (line ").map_or(text, |at| &text[..at]).to_owned()
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}
