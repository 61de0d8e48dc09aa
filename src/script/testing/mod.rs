//! Tests of scripts that are written in Rhai: `*.test.rhai`.
//!
//! The top level declares tests; each is then run in its order, with a budget of its own. What it does to a bot it does
//! through [`stage`], which the simulated world implements.

pub mod api;
mod caret;
pub mod chosen;
mod expect;
pub mod menu;
mod opening;
mod people;
pub(super) mod playing;
mod run;
pub mod stage;

pub use run::{Report, Verdict, run};

/// How the names of test files end.
pub const ENDING: &str = ".test.rhai";

/// Real time that one test may take, what happens in its worlds included.
pub const TIME: std::time::Duration = std::time::Duration::from_secs(60);
/// Operations of one test.
pub const OPERATIONS: u64 = 2_000_000;
/// Worlds of one test.
pub const WORLDS: usize = 8;
/// Tests of one file.
pub const TESTS: usize = 500;
