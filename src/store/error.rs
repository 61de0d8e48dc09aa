//! What can go wrong with the store, who has to act, and what to do.

use std::fmt;
use std::path::PathBuf;

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
