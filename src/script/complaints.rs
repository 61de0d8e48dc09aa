//! What goes wrong goes to the log, but not again and again: a script that fails at every message would fill it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Failures of one script that are logged within [`SPAN`]; those beyond are only counted.
pub(super) const BURST: u32 = 5;
/// After this a script's failures are logged again.
pub(super) const SPAN: Duration = Duration::from_secs(60);
/// Scripts that are told apart.
const SCRIPTS: usize = 1_000;

/// Failures of a bot's scripts, as the log has them.
#[derive(Default)]
pub(super) struct Complaints(BTreeMap<String, Told>);

struct Told {
    since: Instant,
    logged: u32,
    silent: u64,
}

impl Complaints {
    /// Whether a failure is to be logged, and how many of the same script were not since the last one that was.
    pub(super) fn note(&mut self, script: &str, now: Instant) -> Option<u64> {
        if !self.0.contains_key(script) {
            if self.0.len() >= SCRIPTS {
                self.0.clear();
            }
            self.0.insert(script.to_owned(), Told { since: now, logged: 0, silent: 0 });
        }
        let told = self.0.get_mut(script)?;
        if now.saturating_duration_since(told.since) >= SPAN {
            (told.since, told.logged) = (now, 0);
        }
        if told.logged >= BURST {
            told.silent += 1;
            return None;
        }
        told.logged += 1;
        Some(std::mem::take(&mut told.silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_fails_at_once_again_is_logged_a_few_times_a_minute() {
        let now = Instant::now();
        let mut complaints = Complaints::default();
        for _ in 0..BURST {
            assert_eq!(complaints.note("bad", now), Some(0));
        }
        for _ in 0..1_000 {
            assert_eq!(complaints.note("bad", now), None);
        }
        assert_eq!(complaints.note("other", now), Some(0));
        assert_eq!(complaints.note("bad", now + SPAN), Some(1_000));
        assert_eq!(complaints.note("bad", now + SPAN), Some(0));
    }
}
