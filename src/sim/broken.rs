//! Why a world could not do what it was told.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::jid::JidError;
use crate::store::error::StoreError;

/// How long the machine may take for what no time passes for in the world.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Why the world could not do what it was told.
#[derive(Debug)]
pub enum Broken {
    /// It is written where no address can be.
    Address {
        /// What was written.
        text: String,
        /// What is wrong with it.
        why: JidError,
    },
    /// The bot and the world answer each other without end.
    Endless,
    /// The form that is open has no such field.
    Field {
        /// What was written.
        field: String,
        /// Those it has.
        known: String,
    },
    /// A file beside the test cannot be read.
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// The scripts take longer than anybody waits.
    Hung,
    /// The bot does not run, or runs already.
    NotNow {
        /// What is the matter.
        what: &'static str,
    },
    /// It has taken longer than it may.
    Late,
    /// The store of the world cannot be used.
    Store(StoreError),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { text, why } => write!(f, "`{text}` is no address: {why}"),
            Self::Endless => f.write_str("the bot goes on answering without end"),
            Self::Field { field, known } => write!(f, "the form has no field `{field}`, but: {known}"),
            Self::File { file, why } => write!(f, "`{}`: {why}", file.display()),
            Self::Hung => write!(f, "the scripts have not come to rest within {} s", PATIENCE.as_secs()),
            Self::Late => f.write_str("the test has taken longer than it may"),
            Self::NotNow { what } => f.write_str(what),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Broken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Address { why, .. } => Some(why),
            Self::Store(error) => Some(error),
            Self::Endless
            | Self::Field { .. }
            | Self::File { .. }
            | Self::Hung
            | Self::Late
            | Self::NotNow { .. } => None,
        }
    }
}
