//! The store against a real folder: groups, quotas, expiry, damage, and the end of the process.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use serde_json::json;

use super::*;

#[test]
fn keeps_values_timers_outbox_roster_keys_and_meta_over_a_restart() {
    let folder = ScratchFolder::create().unwrap();
    let (at, row) = (ms(5_000), |id| OutboxRow {
        id,
        stanza_id: "s1".into(),
        xml: "<a/>".into(),
        created: ms(7),
        number: None,
    });
    let roster = Roster { ver: Some("v7".into()), items: json!([{"jid": "a@b"}]) };
    let timer = TimerRow {
        id: 0,
        bot: "echo".into(),
        script: "main".into(),
        name: "remind".into(),
        due: at,
        data: json!({"to": "x"}),
    };
    let (id, outbox) = {
        let store = Store::open(&folder.path, Durability::Full).unwrap();
        let timer = TimerRow { id: store.timer_id(), ..timer.clone() };
        let committed = store
            .commit_wait(Batch {
                timers: vec![TimerWrite::Set(timer.clone())],
                outbox: vec![row(0)],
                roster: Some(roster.clone()),
                sasl: Some(Zeroizing::new(vec![1, 2, 3])),
                meta: vec![("session/echo".into(), Some(json!({"h": 4})))],
                ..set("k", json!([1, "ü\u{0}", null]))
            })
            .unwrap();
        assert_eq!(committed.earliest, Some(at));
        (timer.id, committed.outbox)
    };
    let store = Store::open(&folder.path, Durability::Relaxed).unwrap();
    let reader = store.reader().unwrap();
    assert_eq!(reader.get(&scope(), "k").unwrap(), Some(json!([1, "ü\u{0}", null])));
    assert_eq!(reader.timer(&scope(), id).unwrap(), Some(TimerRow { id, ..timer.clone() }));
    assert_eq!(reader.outbox("echo").unwrap(), [row(outbox[0])]);
    assert_eq!(reader.outbox("other").unwrap(), []);
    assert_eq!(reader.roster("echo").unwrap(), Some(roster));
    assert_eq!(reader.sasl("echo").unwrap().unwrap().as_slice(), [1, 2, 3]);
    assert_eq!(reader.meta("session/echo").unwrap(), Some(json!({"h": 4})));
    assert_eq!(store.next_due().unwrap(), Some(at));
    assert!(store.timer_id() > id, "a timer's number was given twice");
    reader.check().unwrap();
}

#[test]
fn a_refused_batch_leaves_nothing_and_spares_its_neighbours() {
    let store = scratch(Limits::DEFAULT);
    let big = json!("x".repeat(70_000));
    let mut bad = set("first", json!(1));
    bad.writes.push(write("second", Some(big)));
    bad.meta.push(("m".into(), Some(json!(1))));
    // Held up, so that all three end in one transaction.
    let results = in_one_group(&store, vec![set("a", json!(1)), bad, set("b", json!(2))]);
    assert_eq!(results[0], Ok(Committed::default()));
    assert_eq!(results[1], Err(StoreError::Value { key: "second".into(), bytes: 70_002, limit: 65_536 }));
    assert_eq!(results[2], Ok(Committed::default()));
    let reader = store.reader().unwrap();
    assert_eq!(reader.keys(&scope(), "", 10).unwrap(), ["a", "b"]);
    assert_eq!(reader.meta("m").unwrap(), None);
}

#[test]
fn a_group_that_cannot_be_committed_is_reported_to_everyone_in_it() {
    let store = scratch(Limits { file: Some(200 * 1024), ..Limits::DEFAULT });
    let filler = |key: &str| set(key, json!("x".repeat(50_000)));
    let results = in_one_group(&store, (0..8).map(|n| filler(&n.to_string())).collect());
    let full = results.iter().filter(|result| matches!(result, Err(StoreError::Full { .. }))).count();
    assert!(full >= 4, "{results:?}");
    let kept = store.reader().unwrap().keys(&scope(), "", 10).unwrap();
    let told: Vec<String> = (0..8).filter(|&n| results[n].is_ok()).map(|n| n.to_string()).collect();
    assert_eq!(kept, told, "a callback said other than the disk");
    // It goes on by itself once there is room.
    let mut remove = Batch { bot: "echo".into(), ..Batch::default() };
    remove.writes = kept.iter().map(|key| write(key, None)).collect::<Vec<_>>();
    store.commit_wait(remove).unwrap();
    store.commit_wait(filler("again")).unwrap();
}

#[test]
fn callbacks_come_in_the_order_of_the_commits_and_after_them() {
    let store = scratch(Limits::DEFAULT);
    let (sender, receiver) = mpsc::channel();
    for n in 0..3000_i64 {
        let sender = sender.clone();
        store.commit(set("n", json!(n)), Box::new(move |result| sender.send((n, result.is_ok())).unwrap()));
    }
    let reader = store.reader().unwrap();
    for n in 0..3000 {
        assert_eq!(receiver.recv_timeout(PATIENCE), Ok((n, true)));
        let seen = reader.get(&scope(), "n").unwrap().and_then(|value| value.as_i64()).unwrap();
        assert!(seen >= n, "{seen} is on disk when {n} was called back");
    }
}

/// A power cut in the middle of a write: what was committed before is there, the rest is not, and nothing is damaged.
#[test]
fn a_torn_last_write_costs_that_write_and_nothing_else() {
    let folder = ScratchFolder::create().unwrap();
    let store = Store::open(&folder.path, Durability::Full).unwrap();
    for n in 0..20 {
        store.commit_wait(set(&format!("k{n:02}"), json!("x".repeat(500)))).unwrap();
    }
    let read = |name: &str| std::fs::read(folder.path.join(name)).unwrap();
    let (main, log) = (read(schema::FILE), read(&format!("{}-wal", schema::FILE)));
    let mut before = 0;
    let mut seen = std::collections::BTreeSet::new();
    for length in (0..=log.len()).step_by(4621).chain([log.len()]) {
        for garbage in [false, true] {
            let torn = ScratchFolder::create().unwrap();
            std::fs::write(torn.path.join(schema::FILE), &main).unwrap();
            let mut rest = log[..length].to_vec();
            if garbage {
                rest.extend([0xA5; 700]);
            }
            std::fs::write(torn.path.join(format!("{}-wal", schema::FILE)), rest).unwrap();
            let store = Store::open(&torn.path, Durability::Full)
                .unwrap_or_else(|error| panic!("{length} of {}: {error}", log.len()));
            let reader = store.reader().unwrap();
            reader.check().unwrap();
            let keys = reader.keys(&scope(), "k", 100).unwrap();
            let whole: Vec<String> = (0..keys.len()).map(|n| format!("k{n:02}")).collect();
            assert_eq!(keys, whole, "{length}: a beginning, without a gap");
            assert!(keys.len() >= before, "{length}");
            before = keys.len();
            seen.insert(keys.len());
        }
    }
    assert_eq!(before, 20);
    assert!(seen.len() > 5, "{seen:?}");
    drop(store);
}

#[test]
fn one_process_at_a_time_and_a_killed_one_loses_nothing_committed() {
    let folder = ScratchFolder::create().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::child_commits_and_waits_to_be_killed", "--nocapture"])
        .env(CHILD, &folder.path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ready = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .any(|line| line.unwrap_or_default().ends_with("all committed"));
    let locked = Store::open(&folder.path, Durability::Full).err();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(ready, "the child did not commit");
    let error = StoreError::Locked { folder: folder.path.clone(), pid: Some(child.id()) };
    assert_eq!(locked, Some(error.clone()));
    assert!(error.to_string().ends_with(&format!("in use by process {}", child.id())));
    let store = Store::open(&folder.path, Durability::Full).unwrap();
    assert_eq!(store.reader().unwrap().keys(&scope(), "k", 1000).unwrap().len(), 100);
    assert!(store.timer_id() > 41);
}

/// Not a test of its own: what the child of the test above runs.
#[test]
fn child_commits_and_waits_to_be_killed() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let store = Store::open(Path::new(&folder), Durability::Full).unwrap();
    for n in 0..100 {
        store.commit_wait(set(&format!("k{n}"), json!(n))).unwrap();
    }
    store.commit_wait(Batch { timers: vec![TimerWrite::Set(timer(41, 9))], ..batch() }).unwrap();
    println!("\nall committed");
    std::io::stdout().flush().unwrap();
    // Until the parent kills this process, or is gone itself.
    std::io::stdin().lines().for_each(drop);
}

#[test]
fn expired_values_are_invisible_at_once_and_removed_by_the_sweep() {
    let clock = Arc::new(AtomicI64::new(1_000));
    let store = with_clock(
        &clock,
        Limits { scope: Allowance { bytes: 200, ..Allowance::DEFAULT }, ..Limits::DEFAULT },
    );
    let mut short = set("short", json!("x".repeat(100)));
    short.writes[0].expires = Some(ms(2_000));
    store.commit_wait(short).unwrap();
    let reader = store.reader().unwrap();
    assert_eq!(reader.entry(&scope(), "short").unwrap().map(|(_, expires)| expires), Some(Some(ms(2_000))));
    let another = set("another", json!("y".repeat(100)));
    assert!(matches!(store.commit_wait(another.clone()), Err(StoreError::Quota { limit: 200, .. })));
    clock.store(2_000, Ordering::Relaxed);
    assert_eq!(reader.get(&scope(), "short").unwrap(), None);
    assert_eq!(reader.keys(&scope(), "", 9).unwrap(), [""; 0]);
    // What has expired makes room before anything is refused.
    store.commit_wait(another).unwrap();
    assert_eq!(reader.usage(&scope()).unwrap(), 7 + 102 + ROW_COST);

    let connection = schema::open_writer(&ScratchFile::new().0, &StoreOptions::default()).unwrap();
    for n in 0..5 {
        connection
            .execute("INSERT INTO kv VALUES ('b', 's', ?1, '1', ?2)", (format!("k{n}"), n * 10))
            .unwrap();
    }
    let mut usage = apply::Usage::default();
    assert_eq!(apply::sweep(&connection, &mut usage, ms(30), 3).unwrap(), 3);
    assert_eq!(apply::sweep(&connection, &mut usage, ms(30), 3).unwrap(), 1);
    assert_eq!(apply::sweep(&connection, &mut usage, ms(30), 3).unwrap(), 0);
}

#[test]
fn a_script_keeps_no_more_than_its_quota_whatever_the_order_of_writes() {
    let store =
        scratch(Limits { scope: Allowance { bytes: 1_000, ..Allowance::DEFAULT }, ..Limits::DEFAULT });
    let reader = store.reader().unwrap();
    // Each row: one byte of key, 100 of value, 32.
    let row = |n: usize| write(&n.to_string(), Some(json!("x".repeat(98))));
    let rows = |range: std::ops::Range<usize>| Batch { writes: range.map(row).collect(), ..batch() };
    store.commit_wait(rows(0..5)).unwrap();
    assert_eq!(reader.usage(&scope()).unwrap(), 5 * 133);
    let refused = store.commit_wait(rows(5..8));
    assert_eq!(refused, Err(StoreError::Quota { script: "main".into(), bytes: 8 * 133, limit: 1_000 }));
    // Overwriting costs nothing, removing makes room, timers count, other scripts do not.
    store.commit_wait(rows(0..5)).unwrap();
    store.commit_wait(Batch { writes: vec![write("0", None), row(5), row(6), row(7)], ..batch() }).unwrap();
    let timers = Batch { timers: vec![TimerWrite::Set(timer(1, 5))], ..batch() };
    store.commit_wait(timers.clone()).unwrap();
    store.commit_wait(timers).unwrap();
    assert_eq!(reader.usage(&scope()).unwrap(), 7 * 133 + 1 + 4 + ROW_COST);
    assert!(matches!(store.commit_wait(rows(8..9)), Err(StoreError::Quota { .. })));
    store.commit_wait(Batch { allowed: allow(2_000, 9), ..rows(8..9) }).unwrap();
    let mut other = rows(0..5);
    other.writes.iter_mut().for_each(|write| write.script = "other".into());
    store.commit_wait(other).unwrap();
    store.commit_wait(Batch { timers: vec![TimerWrite::Remove { id: 1 }], ..batch() }).unwrap();
    assert_eq!(reader.usage(&scope()).unwrap(), 8 * 133);
}

#[test]
fn a_script_has_no_more_timers_than_it_may_and_one_that_goes_makes_room() {
    let store = scratch(Limits::DEFAULT);
    let set = |ids: &[i64]| Batch {
        timers: ids.iter().map(|id| TimerWrite::Set(timer(*id, 5))).collect(),
        allowed: allow(9_999, 2),
        ..batch()
    };
    store.commit_wait(set(&[1, 2])).unwrap();
    // The same number again is the same timer.
    store.commit_wait(set(&[1, 2])).unwrap();
    let refused = Err(StoreError::Timers { script: "main".into(), limit: 2 });
    assert_eq!(store.commit_wait(set(&[3])), refused);
    let both = Batch { timers: vec![TimerWrite::Remove { id: 1 }, TimerWrite::Set(timer(4, 5))], ..set(&[]) };
    store.commit_wait(both).unwrap();
    // Another allowance, and those that have more than they may keep what they have.
    store.commit_wait(Batch { allowed: allow(9_999, 4), ..set(&[5, 6]) }).unwrap();
    assert_eq!(store.commit_wait(set(&[7])), refused);
    let fewer =
        vec![TimerWrite::Remove { id: 5 }, TimerWrite::Remove { id: 6 }, TimerWrite::Set(timer(8, 5))];
    store.commit_wait(Batch { timers: fewer, ..set(&[]) }).unwrap();
    let ids = store.reader().unwrap().timers(&scope(), None, 9).unwrap().len();
    assert_eq!(ids, 3);
}

fn allow(bytes: u64, timers: u64) -> std::collections::BTreeMap<String, Allowance> {
    [("main".to_owned(), Allowance { bytes, timers })].into()
}

#[test]
fn timers_come_in_the_order_in_which_they_are_due_and_belong_to_their_bot() {
    let store = scratch(Limits::DEFAULT);
    let set = [(3, 30), (1, 10), (2, 10), (4, 40)].map(|(id, due)| TimerWrite::Set(timer(id, due)));
    let committed = store.commit_wait(Batch { timers: set.to_vec(), ..batch() }).unwrap();
    assert_eq!(committed.earliest, Some(ms(10)));
    let ids = |rows: Vec<TimerRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(store.due_timers(ms(30), 10).unwrap()), [1, 2, 3]);
    assert_eq!(ids(store.due_timers(ms(30), 2).unwrap()), [1, 2]);
    let foreign =
        Batch { bot: "other".into(), timers: vec![TimerWrite::Remove { id: 1 }], ..Batch::default() };
    store.commit_wait(foreign).unwrap();
    assert_eq!(store.next_due().unwrap(), Some(ms(10)));
    let gone = [1, 2, 2].map(|id| TimerWrite::Remove { id });
    store.commit_wait(Batch { timers: gone.to_vec(), ..batch() }).unwrap();
    let reader = store.reader().unwrap();
    assert_eq!(store.next_due().unwrap(), Some(ms(30)));
    assert_eq!(reader.next_due_after(ms(30)).unwrap(), Some(ms(40)));
    assert_eq!(ids(reader.timers(&scope(), Some("n"), 10).unwrap()), [3, 4]);
    assert_eq!(ids(reader.timers(&scope(), Some("m"), 10).unwrap()), [0; 0]);
    assert_eq!(ids(reader.timers(&scope(), None, 1).unwrap()), [3]);
}

#[test]
fn outbox_rows_are_numbered_upwards_and_go_when_sent() {
    let store = scratch(Limits::DEFAULT);
    let row = |id: &str| OutboxRow {
        id: 0,
        stanza_id: id.into(),
        xml: "<m/>".into(),
        created: ms(1),
        number: None,
    };
    let first = store.commit_wait(Batch { outbox: vec![row("a"), row("b")], ..batch() }).unwrap().outbox;
    let second =
        store.commit_wait(Batch { outbox: vec![row("c")], sent: first.clone(), ..batch() }).unwrap().outbox;
    assert!(first[0] < first[1] && first[1] < second[0]);
    let left = store.reader().unwrap().outbox("echo").unwrap();
    assert_eq!(left.iter().map(|row| row.stanza_id.as_str()).collect::<Vec<_>>(), ["c"]);
    let foreign = Batch { bot: "other".into(), sent: second, ..Batch::default() };
    store.commit_wait(foreign).unwrap();
    assert_eq!(store.reader().unwrap().outbox("echo").unwrap().len(), 1);
}

#[test]
fn keys_are_listed_by_prefix_in_byte_order() {
    let store = scratch(Limits::DEFAULT);
    for key in ["faq/b", "faq/a", "faq", "fb", "faq0", "ü/1"] {
        store.commit_wait(set(key, json!(0))).unwrap();
    }
    let reader = store.reader().unwrap();
    assert_eq!(reader.keys(&scope(), "faq/", 10).unwrap(), ["faq/a", "faq/b"]);
    assert_eq!(reader.keys(&scope(), "faq", 2).unwrap(), ["faq", "faq/a"]);
    assert_eq!(reader.keys(&scope(), "ü", 10).unwrap(), ["ü/1"]);
    assert_eq!(reader.keys(&Scope { script: "x".into(), ..scope() }, "", 10).unwrap(), [""; 0]);
}

#[test]
fn names_that_are_empty_or_too_long_are_refused() {
    let store = scratch(Limits { key: 4, ..Limits::DEFAULT });
    assert_eq!(store.commit_wait(set("", json!(1))), Err(StoreError::Key { bytes: 0, limit: 4 }));
    assert_eq!(store.commit_wait(set("käsä", json!(1))), Err(StoreError::Key { bytes: 6, limit: 4 }));
    assert!(store.commit_wait(set("käs", json!(1))).is_ok());
}

#[test]
fn more_than_the_queue_takes_is_refused_in_turn() {
    let store = scratch(Limits { queue: 2, ..Limits::DEFAULT });
    let results = in_one_group(&store, (0..4).map(|n| set("n", json!(n))).collect());
    assert!(results[0].is_ok() && results[1].is_ok());
    assert_eq!(results[2], Err(StoreError::Busy { queued: 2 }));
    assert_eq!(results[3], Err(StoreError::Busy { queued: 3 }));
}

#[test]
fn a_damaged_or_foreign_or_newer_file_is_refused_untouched() {
    let check = |content: &dyn Fn(&Path)| {
        let folder = ScratchFolder::create().unwrap();
        let path = folder.path.join(schema::FILE);
        content(&path);
        let before = std::fs::read(&path).unwrap();
        let error = Store::open(&folder.path, Durability::Full).err().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), before);
        (error, path)
    };
    let (error, path) = check(&|path| std::fs::write(path, [b'x'; 9000]).unwrap());
    assert!(matches!(&error, StoreError::Corrupt { path: named, .. } if *named == path), "{error}");
    assert!(error.hint().unwrap().contains(".recover"));
    let (error, _) = check(&|path| {
        drop(Store::open(path.parent().unwrap(), Durability::Full).unwrap());
        let mut bytes = std::fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 4096].fill(0xEE);
        std::fs::write(path, bytes).unwrap();
    });
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    let statement = |path: &Path, sql: &str| {
        rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
    };
    let (error, path) = check(&|path| statement(path, "CREATE TABLE other (x)"));
    assert_eq!(error, StoreError::Foreign { path });
    let (error, _) = check(&|path| {
        drop(Store::open(path.parent().unwrap(), Durability::Full).unwrap());
        statement(path, "PRAGMA user_version = 99; PRAGMA journal_mode = DELETE");
    });
    assert_eq!(error, StoreError::Newer { found: 99, known: schema::VERSION });
}

#[test]
fn the_version_before_runs_on_the_tables_of_the_next() {
    let folder = ScratchFolder::create().unwrap();
    drop(Store::open(&folder.path, Durability::Full).unwrap());
    let path = folder.path.join(schema::FILE);
    let next = format!("PRAGMA user_version = {}", schema::VERSION + 1);
    rusqlite::Connection::open(&path).unwrap().execute_batch(&next).unwrap();
    let store = Store::open(&folder.path, Durability::Full).unwrap();
    store.commit_wait(set("k", json!(1))).unwrap();
    drop(store);
    let connection = rusqlite::Connection::open(&path).unwrap();
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, schema::VERSION + 1, "the version was taken back");
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let folder = ScratchFolder::create().unwrap();
    let inner = folder.path.join("data");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(inner.join(schema::FILE), "").unwrap();
    std::fs::set_permissions(inner.join(schema::FILE), std::fs::Permissions::from_mode(0o644)).unwrap();
    let store = Store::open(&inner, Durability::Full).unwrap();
    store.commit_wait(Batch { sasl: Some(Zeroizing::new(vec![1])), ..batch() }).unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&inner).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", entry.path());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["lock", "rhapsode.db", "rhapsode.db-shm", "rhapsode.db-wal"]);
    store.commit_wait(Batch { sasl: Some(Zeroizing::new(vec![])), ..batch() }).unwrap();
    assert_eq!(store.reader().unwrap().sasl("echo").unwrap(), None);
}

#[test]
fn the_last_handle_may_go_inside_a_callback_and_a_panicking_callback_harms_nobody() {
    let folder = ScratchFolder::create().unwrap();
    let store = Store::open(&folder.path, Durability::Full).unwrap();
    store.commit(set("a", json!(1)), Box::new(|_| panic!("a caller's fault")));
    assert!(store.commit_wait(set("b", json!(2))).is_ok());
    let (sender, receiver) = mpsc::channel();
    let (held, hold) = mpsc::channel::<()>();
    let last = store.clone();
    store.commit(
        set("c", json!(3)),
        Box::new(move |result| {
            // Waits until `last` is the last.
            let _ = hold.recv();
            drop(last);
            drop(sender.send(result));
        }),
    );
    drop(store);
    drop(held);
    assert!(receiver.recv_timeout(PATIENCE).unwrap().is_ok());
}

/// Queues all `batches` while the writer is held in a callback, and gathers what they were told.
fn in_one_group(store: &Store, batches: Vec<Batch>) -> Vec<Result<Committed, StoreError>> {
    let (release, held) = mpsc::channel::<()>();
    let (entered, inside) = mpsc::channel();
    store.commit(
        Batch::default(),
        Box::new(move |_| {
            entered.send(()).unwrap();
            let _ = held.recv();
        }),
    );
    inside.recv_timeout(PATIENCE).unwrap();
    let (sender, receiver) = mpsc::channel();
    let count = batches.len();
    for batch in batches {
        let sender = sender.clone();
        store.commit(batch, Box::new(move |result| drop(sender.send(result))));
    }
    drop(release);
    (0..count).map(|_| receiver.recv_timeout(PATIENCE).unwrap()).collect()
}

fn scratch(limits: Limits) -> Store {
    Store::scratch(StoreOptions { durability: Durability::Relaxed, limits, ..StoreOptions::default() })
        .unwrap()
}

fn with_clock(clock: &Arc<AtomicI64>, limits: Limits) -> Store {
    let clock = Arc::clone(clock);
    let clock: Clock = Arc::new(move || ms(clock.load(Ordering::Relaxed)));
    Store::scratch(StoreOptions { clock, limits, durability: Durability::Relaxed }).unwrap()
}

/// A path for one connection, in a folder that goes away.
struct ScratchFile(PathBuf, #[allow(dead_code)] ScratchFolder);

impl ScratchFile {
    fn new() -> Self {
        let folder = ScratchFolder::create().unwrap();
        Self(folder.path.join("one.db"), folder)
    }
}

fn scope() -> Scope {
    Scope { bot: "echo".into(), script: "main".into() }
}

fn batch() -> Batch {
    Batch { bot: "echo".into(), ..Batch::default() }
}

fn set(key: &str, value: Value) -> Batch {
    Batch { writes: vec![write(key, Some(value))], ..batch() }
}

fn write(key: &str, value: Option<Value>) -> Write {
    Write { script: "main".into(), key: key.into(), value, expires: None }
}

fn timer(id: i64, due: i64) -> TimerRow {
    TimerRow {
        id,
        bot: "echo".into(),
        script: "main".into(),
        name: "n".into(),
        due: ms(due),
        data: json!(null),
    }
}

fn ms(at: i64) -> Timestamp {
    Timestamp::from_millisecond(at).unwrap()
}

const PATIENCE: Duration = Duration::from_secs(20);

const CHILD: &str = "RHAPSODE_STORE_TEST_CHILD";
