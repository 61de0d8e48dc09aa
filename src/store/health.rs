//! How the store fares: whether it keeps what it is given, waits for the disk, or has given up.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::error::StoreError;

/// How the store fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It takes nothing more until the process is started again: the disk has failed.
    Failed(StoreError),
    /// It keeps nothing for the moment, and tries again by itself.
    Waiting(StoreError),
    /// It keeps what it is given.
    #[default]
    Well,
}

/// The health of one store, told when it changes.
#[derive(Default)]
pub(super) struct Fare {
    now: Mutex<Health>,
}

impl Fare {
    pub(super) fn now(&self) -> Health {
        self.health().clone()
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(*self.health(), Health::Waiting(_))
    }

    /// The disk has failed: that stays.
    pub(super) fn fail(&self, why: &StoreError) {
        let mut now = self.health();
        if !matches!(*now, Health::Failed(_)) {
            tracing::error!(failure = %why, "the store takes nothing more");
            *now = Health::Failed(why.clone());
        }
    }

    /// Nothing could be kept.
    pub(super) fn wait(&self, why: &StoreError) {
        let mut now = self.health();
        if *now == Health::Well {
            tracing::error!(
                failure = %why,
                "nothing is kept: no turn counts and nothing is acknowledged until it is; connections stay"
            );
            *now = Health::Waiting(why.clone());
        }
    }

    /// Something was kept.
    pub(super) fn recover(&self) {
        let mut now = self.health();
        if matches!(*now, Health::Waiting(_)) {
            tracing::info!("the store keeps again what it is given");
            *now = Health::Well;
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        // Whole values only.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a test lets the disk say: the word in the file that `RHAPSODE_DRILL_STORE` names. Only builds with debug
/// assertions look.
pub(super) fn drilled(path: &Path) -> Option<StoreError> {
    if !cfg!(debug_assertions) {
        return None;
    }
    let word = std::fs::read_to_string(std::env::var_os("RHAPSODE_DRILL_STORE")?).ok()?;
    let path = path.to_owned();
    match word.trim() {
        "full" => Some(StoreError::Full { path }),
        "io" => Some(StoreError::Io { path, detail: "disk I/O error (a drill)".to_owned() }),
        "read-only" => Some(StoreError::ReadOnly { path }),
        _ => None,
    }
}
