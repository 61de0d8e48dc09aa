//! Drills: places where a test lets the process die, and rules that a test leaves out to see itself fail.
//!
//! Only builds with debug assertions listen to them; in a release build every question here is answered with "no" at
//! compile time. See docs/decisions/0041.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Where a process can die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A message was acknowledged, and the store does not know.
    AfterAck,
    /// The turns are committed and nobody was told.
    AfterCommit,
    /// The numbers of messages are in the store, and nothing is written.
    AfterNumbers,
    /// A message is on the wire.
    AfterSend,
    /// The turns have run and nothing is kept.
    BeforeCommit,
    /// Messages are chosen and have no numbers.
    BeforeNumbers,
    /// The server has begun a session that the store does not know.
    EnabledBeforePersist,
    /// The same, and the store does.
    EnabledAfterPersist,
    /// A page of the archive has arrived and is not handled.
    MamBeforeCommit,
    /// A page of the archive is handled and the next not asked for.
    MamAfterCommit,
    /// Half of a message is on the wire.
    MidSend,
}

/// A rule that a test leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Stanzas are acknowledged when they are kept, not when they are read.
    AckAfterCommit,
    /// The search for own messages begins at the anchor.
    Anchor,
    /// A session that was not caught up is caught up after its resumption.
    CatchUpFlag,
    /// Messages have numbers in the store before they are written.
    Numbers,
    /// What was handled is known to the next process.
    Ring,
    /// A lost session is left alone for a second.
    Settle,
}

/// What the environment asks for: `RHAPSODE_DRILL=Point@count` and `RHAPSODE_DRILL_WITHOUT=Rule`.
struct Drill {
    point: Option<(String, u32)>,
    without: Option<String>,
    passed: AtomicU32,
}

static DRILL: OnceLock<Drill> = OnceLock::new();

fn drill() -> &'static Drill {
    DRILL.get_or_init(|| {
        let point = std::env::var("RHAPSODE_DRILL").ok().and_then(|text| {
            let (name, count) = text.split_once('@')?;
            Some((name.to_owned(), count.parse().ok()?))
        });
        let without = std::env::var("RHAPSODE_DRILL_WITHOUT").ok();
        Drill { point, without, passed: AtomicU32::new(0) }
    })
}

/// Whether the process is to die here this time.
pub fn is_due(point: Point) -> bool {
    if !cfg!(debug_assertions) {
        return false;
    }
    let Some((name, count)) = &drill().point else { return false };
    *name == format!("{point:?}") && drill().passed.fetch_add(1, Ordering::SeqCst) + 1 == *count
}

/// Ends the process as `kill -9` does, if it is to die here.
pub fn die_at(point: Point) {
    if is_due(point) {
        std::process::abort();
    }
}

/// Ends the process when what was given to the system is out.
pub fn die_soon() {
    std::thread::spawn(|| {
        std::thread::sleep(Duration::from_millis(50));
        std::process::abort();
    });
}

/// Whether a rule holds.
pub fn holds(rule: Rule) -> bool {
    !cfg!(debug_assertions) || drill().without.as_deref() != Some(&format!("{rule:?}"))
}
