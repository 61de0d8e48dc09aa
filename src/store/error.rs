//! What can go wrong with the store, who has to act, and what to do.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::store::SHARED;

/// Why the store refused or failed. One error is told to everyone whom it concerns, so it can be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// More batches wait than the store takes.
    Busy {
        /// How many wait.
        queued: usize,
    },
    /// The store has been closed.
    Closed,
    /// A shared value is no longer what the batch went by. Nothing is wrong: its turns are to run again.
    Conflict {
        /// Its key.
        key: String,
    },
    /// The file is damaged and must not be written to.
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        detail: String,
    },
    /// The file is a database of some other program.
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The disk, or the space allowed to the file, is full. Nothing of the batch was kept.
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The disk failed. The store takes nothing more: what a failed flush left behind is unknown.
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// A key or timer name is empty or too long.
    Key {
        /// Its bytes.
        bytes: usize,
        /// The most allowed.
        limit: usize,
    },
    /// Another process has the store.
    Locked {
        /// The folder.
        folder: PathBuf,
        /// That process, if it could be read.
        pid: Option<u32>,
    },
    /// A newer version of the program has changed the file beyond what this one may touch.
    Newer {
        /// Version of the file's tables.
        found: i64,
        /// Version this program knows.
        known: i64,
    },
    /// A script of the batch would keep more than it may.
    Quota {
        /// The script.
        script: String,
        /// What it would keep, in bytes.
        bytes: u64,
        /// The most allowed.
        limit: u64,
    },
    /// The file, its folder or the disk is read-only. Nothing of the batch was kept.
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// A script of the batch would have more timers than it may.
    Timers {
        /// The script.
        script: String,
        /// The most allowed.
        limit: u64,
    },
    /// SQLite refused a statement: a fault in this program.
    Sql {
        /// SQLite's extended result code.
        code: i32,
        /// Its words.
        detail: String,
    },
    /// A value or a timer's data is too large.
    Value {
        /// Its key or name.
        key: String,
        /// Its bytes as JSON.
        bytes: usize,
        /// The most allowed.
        limit: usize,
    },
}

impl StoreError {
    /// What the operator can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Corrupt { .. } => Some(
                "stop the program and put a backup in the file's place (removing its `-wal` and `-shm`); without \
                 one, `sqlite3 rhapsode.db .recover | sqlite3 recovered.db` saves what can be read",
            ),
            Self::Foreign { .. } => Some("name another folder under `storage`"),
            Self::Full { .. } => Some("make room on the disk; the store goes on by itself"),
            Self::Io { .. } => Some("look at the disk and at the folder's owner, then start again"),
            Self::Locked { .. } => {
                Some("one process at a time: stop the other, or name another folder under `storage`")
            }
            Self::ReadOnly { .. } => {
                Some("make the folder and its disk writable; the store goes on by itself")
            }
            Self::Newer { .. } => Some("go back to the newer version, or to a backup from before it"),
            Self::Busy { .. }
            | Self::Closed
            | Self::Conflict { .. }
            | Self::Key { .. }
            | Self::Quota { .. }
            | Self::Sql { .. }
            | Self::Timers { .. }
            | Self::Value { .. } => None,
        }
    }

    /// The store takes nothing more: the process should end, and whoever starts it again finds what was
    /// committed. A flush that failed must not be tried again, for what it left on the disk is unknown.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Corrupt { .. } | Self::Io { .. } => true,
            Self::Busy { .. }
            | Self::Closed
            | Self::Conflict { .. }
            | Self::Foreign { .. }
            | Self::Full { .. }
            | Self::Key { .. }
            | Self::Locked { .. }
            | Self::Newer { .. }
            | Self::Quota { .. }
            | Self::ReadOnly { .. }
            | Self::Sql { .. }
            | Self::Timers { .. }
            | Self::Value { .. } => false,
        }
    }

    /// Nothing can be kept for the moment, whatever it is; it is tried again.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::ReadOnly { .. })
    }

    pub(super) fn from_io(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path: path.to_owned() },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path: path.to_owned() },
            _ => Self::Io { path: path.to_owned(), detail: error.to_string() },
        }
    }

    pub(super) fn from_sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        let detail = error.to_string();
        match error {
            rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
                ErrorCode::DiskFull => Self::Full { path },
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Corrupt { path, detail },
                ErrorCode::ReadOnly => Self::ReadOnly { path },
                ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::SystemIoFailure => {
                    Self::Io { path, detail }
                }
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                    // Someone looks inside with another tool, and holds a lock for longer than we wait.
                    Self::Locked { folder: path.parent().unwrap_or(&path).to_owned(), pid: None }
                }
                // The rest means that this program used SQLite wrongly.
                _ => Self::Sql { code: failure.extended_code, detail },
            },
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => Self::Corrupt { path, detail },
            // Misuse of the library, as above.
            _ => Self::Sql { code: 0, detail },
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy { queued } => write!(f, "the store is behind by {queued} turns"),
            Self::Closed => write!(f, "the store is closed"),
            Self::Conflict { key } => write!(f, "the shared value `{key}` was changed by another bot"),
            Self::Corrupt { path, detail } => {
                write!(f, "the store `{}` is damaged: {detail}", path.display())
            }
            Self::Foreign { path } => write!(f, "`{}` belongs to another program", path.display()),
            Self::Full { path } => write!(f, "no space left for the store `{}`", path.display()),
            Self::Io { path, detail } => {
                write!(f, "the disk refuses the store `{}`: {detail}", path.display())
            }
            Self::Key { bytes: 0, .. } => write!(f, "a key or timer name is empty"),
            Self::Key { bytes, limit } => {
                write!(f, "a key or timer name has {bytes} bytes; {limit} are allowed")
            }
            Self::Locked { folder, pid: Some(pid) } => {
                write!(f, "the store folder `{}` is in use by process {pid}", folder.display())
            }
            Self::Locked { folder, pid: None } => {
                write!(f, "the store folder `{}` is in use by another process", folder.display())
            }
            Self::Newer { found, known } => {
                write!(f, "the store has format {found}, and this program knows format {known}")
            }
            Self::Quota { script, bytes, limit } if script == SHARED => {
                write!(f, "what all bots share would take {bytes} bytes; {limit} are allowed")
            }
            Self::Quota { script, bytes, limit } => {
                write!(f, "script `{script}` would keep {bytes} bytes; {limit} are allowed")
            }
            Self::ReadOnly { path } => write!(f, "the store `{}` is read-only", path.display()),
            Self::Timers { script, limit } => {
                write!(f, "script `{script}` would have more than {limit} timers waiting")
            }
            Self::Sql { code, detail } => write!(f, "the store was used wrongly ({code}): {detail}"),
            Self::Value { key, bytes, limit } => {
                write!(f, "the value of `{key}` has {bytes} bytes as JSON; {limit} are allowed")
            }
        }
    }
}

impl Error for StoreError {}
