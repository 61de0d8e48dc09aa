//! The tables, how they came about, and connections to them.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::store::error::StoreError;
use crate::store::lock::private_file;
use crate::store::{Durability, StoreOptions};

/// Steps from an empty file to the present tables. Only ever add to the end, and only things that the version
/// before can live with: it must still run on the file.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE kv (
        bot TEXT NOT NULL, script TEXT NOT NULL, key TEXT NOT NULL,
        value TEXT NOT NULL, expires INTEGER,
        PRIMARY KEY (bot, script, key)
    ) WITHOUT ROWID;
    CREATE INDEX kv_expires ON kv (expires) WHERE expires IS NOT NULL;
    CREATE TABLE timers (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        bot TEXT NOT NULL, script TEXT NOT NULL, name TEXT NOT NULL,
        due_ms INTEGER NOT NULL, data TEXT NOT NULL
    );
    CREATE INDEX timers_due ON timers (due_ms, id);
    CREATE INDEX timers_scope ON timers (bot, script, name);
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        bot TEXT NOT NULL, stanza_id TEXT NOT NULL, xml TEXT NOT NULL, created INTEGER NOT NULL
    );
    CREATE INDEX outbox_bot ON outbox (bot, id);
    CREATE TABLE roster (bot TEXT PRIMARY KEY, ver TEXT, items TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE sasl (bot TEXT PRIMARY KEY, keys BLOB NOT NULL) WITHOUT ROWID;
",
    "
    CREATE TABLE session (
        bot TEXT PRIMARY KEY, epoch INTEGER NOT NULL, handled INTEGER NOT NULL,
        state TEXT NOT NULL, catching_up INTEGER NOT NULL, ring TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE archive (
        bot TEXT NOT NULL, archive TEXT NOT NULL, id TEXT NOT NULL, stamp INTEGER NOT NULL,
        PRIMARY KEY (bot, archive)
    ) WITHOUT ROWID;
    ALTER TABLE outbox ADD COLUMN epoch INTEGER;
    ALTER TABLE outbox ADD COLUMN seq INTEGER;
    ALTER TABLE outbox ADD COLUMN anchor TEXT;
",
    "
    CREATE TABLE dead (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        bot TEXT NOT NULL, script TEXT NOT NULL, event TEXT NOT NULL, kind TEXT NOT NULL, sender TEXT,
        tries INTEGER NOT NULL, error TEXT NOT NULL, at INTEGER NOT NULL, data TEXT
    );
    CREATE INDEX dead_bot ON dead (bot, id);
    CREATE TABLE displaced (bot TEXT PRIMARY KEY, letters INTEGER NOT NULL) WITHOUT ROWID;
",
];

/// Version of the tables that this program makes.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// Name of the file in the store's folder.
pub(super) const FILE: &str = "rhapsode.db";

/// Opens the file for the one thread that writes; makes or brings up to date its tables.
pub(super) fn open_writer(path: &Path, options: &StoreOptions) -> Result<Connection, StoreError> {
    // SQLite gives its side files the rights of the main file. It holds login keys.
    private_file(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = connect(path, flags)?;
    let failed = |error: rusqlite::Error| StoreError::from_sqlite(path, &error);
    let found = version(&connection, path)?;
    check_small(&connection, path)?;
    configure(&connection, options).map_err(failed)?;
    migrate(&mut connection, found).map_err(failed)?;
    Ok(connection)
}

/// Opens the file for reading. The writer must be open.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// Reads the whole file for damage.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| StoreError::from_sqlite(path, &error))?;
    if verdict == "ok" { Ok(()) } else { Err(StoreError::Corrupt { path: path.to_owned(), detail: verdict }) }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let failed = |error: rusqlite::Error| StoreError::from_sqlite(path, &error);
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Only a checkpoint after a crash may make anyone wait here.
    connection.busy_timeout(Duration::from_secs(5)).map_err(failed)?;
    Ok(connection)
}

/// The version of the tables in the file; 0 for an empty one. Refuses what is not ours to touch.
fn version(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let number = |sql: &str| -> Result<i64, StoreError> {
        connection.query_row(sql, [], |row| row.get(0)).map_err(|error| StoreError::from_sqlite(path, &error))
    };
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    let owner = number("PRAGMA application_id")?;
    if owner != APPLICATION && (tables > 0 || owner != 0) {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    let found = number("PRAGMA user_version")?;
    // The next version only adds, so this one still runs on it.
    if found > VERSION + 1 {
        return Err(StoreError::Newer { found, known: VERSION });
    }
    Ok(found)
}

/// Damage in a file that is read in no time is found before anything is written to it; larger ones are for
/// `doctor`.
fn check_small(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let size = std::fs::metadata(path).map_err(|error| StoreError::from_io(path, &error))?.len();
    if size <= CHECKED_AT_ONCE { check(connection, path) } else { Ok(()) }
}

fn configure(connection: &Connection, options: &StoreOptions) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.pragma_update(
        None,
        "synchronous",
        match options.durability {
            Durability::Full => "FULL",
            Durability::Relaxed => "NORMAL",
        },
    )?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.query_row("PRAGMA wal_autocheckpoint = 4000", [], |_| Ok(()))?;
    connection.query_row("PRAGMA journal_size_limit = 67108864", [], |_| Ok(()))?;
    if let Some(bytes) = options.limits.file {
        let page: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / page.max(1);
        // SQLite answers with the limit it took, which is never below what is in use.
        connection.query_row(&format!("PRAGMA max_page_count = {}", pages.max(1)), [], |_| Ok(()))?;
    }
    Ok(())
}

fn migrate(connection: &mut Connection, found: i64) -> rusqlite::Result<()> {
    if found >= VERSION {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    // A negative version cannot come from us; the first step then fails on its tables.
    for step in &MIGRATIONS[usize::try_from(found).unwrap_or(0)..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// `Rhap`: how SQLite files say whose they are.
const APPLICATION: i64 = 0x5268_6170;

/// More than the statements that exist, so that none is prepared twice.
const STATEMENTS: usize = 64;

const CHECKED_AT_ONCE: u64 = 8 * 1024 * 1024;
