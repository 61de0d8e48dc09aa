//! The benches of the script pool in a small size: that they run to their end, not how fast.

#![allow(
    clippy::duplicate_mod,
    reason = "each bench is a program of its own, and both have the module they share"
)]

use std::time::Duration;

use rhapsode::script::Limits;

#[path = "../../benches/isolation.rs"]
mod isolation;
#[path = "../../benches/reload.rs"]
mod reload;

#[test]
fn the_reload_bench_runs_to_its_end() {
    let size = reload::Size {
        bots: 20,
        more: 5,
        rounds: 2,
        limits: Limits { turn: Duration::from_secs(5), ..Limits::DEFAULT },
    };
    let report = reload::measure(size).expect("every bot answers");
    assert_eq!((report.mixed, report.answers), (0, 20 * (1 + 2 * 4) * 4));
}

#[test]
fn the_reload_bench_tells_why_bots_do_not_answer() {
    // A failed turn has no answer: the bench must say so, not wait for one.
    let limits = Limits { operations: 1, ..Limits::DEFAULT };
    let why = reload::measure(reload::Size { bots: 2, more: 0, rounds: 1, limits });
    let why = why.expect_err("nobody can answer with one operation");
    assert!(why.contains("turns failed") && why.contains("operations"), "{why}");
}

#[test]
fn the_isolation_bench_runs_to_its_end() {
    let report = isolation::measure(30, Duration::from_millis(200)).expect("the good bot answers");
    assert!(report.scripts >= 6 && report.answers > 0, "{report:?}");
}
