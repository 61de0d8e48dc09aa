//! What went wrong in a script, for its author: file, line, column, the calls that led there, and a hint.

use std::fmt;

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
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        for frame in &self.chain {
            write!(f, "\n  in {} ({}:{}:{})", frame.function, frame.file, frame.line, frame.column)?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ScriptError {}
