//! How often something has happened of late, for `rate::over`: in memory, one set per bot.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

/// Counts of one bot. They outlive its scripts and turns that fail, and end with the process.
#[derive(Default)]
pub(super) struct Rates {
    windows: BTreeMap<Key, Window>,
    /// Keys by when they were last counted, the oldest first.
    order: BTreeMap<u64, Key>,
    count: u64,
    bytes: usize,
}

/// Script and key.
type Key = (String, String);

struct Window {
    /// When it happened, and what tells this call from others, the newest last.
    calls: VecDeque<(Timestamp, u64)>,
    /// Its place in [`Rates::order`].
    at: u64,
}

/// Keys of one bot; the one that was counted least lately is forgotten for a new one.
pub(super) const KEYS: usize = 10_000;
/// Bytes that the counts of one bot take, about.
const BYTES: usize = 2 * 1024 * 1024;
/// The highest count that can be asked for.
pub(super) const HIGHEST: i64 = 1_000;

impl Rates {
    /// Counts a call; whether there are more than `limit` within `span`, this one included. A call of the same
    /// number is the same one: its turn runs again.
    pub(super) fn over(
        &mut self,
        script: &str,
        key: &str,
        limit: usize,
        span: Duration,
        now: Timestamp,
        number: u64,
    ) -> bool {
        let at = (script.to_owned(), key.to_owned());
        self.count += 1;
        let window = match self.windows.get_mut(&at) {
            Some(window) => {
                self.order.remove(&window.at);
                window.at = self.count;
                window
            }
            None => {
                self.bytes += cost(&at);
                self.windows.entry(at.clone()).or_insert(Window { calls: VecDeque::new(), at: self.count })
            }
        };
        self.order.insert(self.count, at);
        let before = window.calls.len();
        if !window.calls.iter().any(|(_, known)| *known == number) {
            window.calls.push_back((now, number));
        }
        // One more than the limit shows that it was passed.
        while window.calls.len() > limit + 1 {
            window.calls.pop_front();
        }
        let from = now.checked_sub(span).unwrap_or(Timestamp::MIN);
        let recent = window.calls.iter().filter(|(when, _)| *when > from).count();
        self.bytes = (self.bytes + window.calls.len() * CALL).saturating_sub(before * CALL);
        self.forget();
        recent > limit
    }

    /// Keeps the bounds.
    fn forget(&mut self) {
        while self.windows.len() > KEYS || self.bytes > BYTES {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            if let Some(window) = self.windows.remove(&oldest) {
                self.bytes = self.bytes.saturating_sub(cost(&oldest) + window.calls.len() * CALL);
            }
        }
    }
}

/// What one call takes.
const CALL: usize = size_of::<(Timestamp, u64)>();

/// What a key takes, in both maps.
fn cost((script, key): &Key) -> usize {
    2 * (script.len() + key.len()) + 128
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(10);

    #[test]
    fn the_window_slides() {
        let mut rates = Rates::default();
        let over = |rates: &mut Rates, second: i64| {
            let now = Timestamp::from_second(second).expect("a moment");
            rates.over("main", "k", 2, SPAN, now, second.unsigned_abs())
        };
        assert!(![0, 4].iter().any(|second| over(&mut rates, *second)));
        assert!(over(&mut rates, 9), "three within ten seconds");
        assert!(over(&mut rates, 12), "calls that were over count too");
        assert!(!over(&mut rates, 30));
    }

    #[test]
    fn a_call_whose_turn_runs_again_counts_once() {
        let mut rates = Rates::default();
        let now = Timestamp::UNIX_EPOCH;
        assert!((0..5).all(|_| !rates.over("main", "k", 1, SPAN, now, 7)));
        assert!(rates.over("main", "k", 1, SPAN, now, 8));
    }

    #[test]
    fn the_oldest_key_is_forgotten_for_a_new_one() {
        let mut rates = Rates::default();
        let now = Timestamp::UNIX_EPOCH;
        for number in 0..KEYS as u64 {
            rates.over("main", &format!("key {number}"), 1, SPAN, now, number);
        }
        // Counted again, so the next is the oldest.
        rates.over("main", "key 0", 1, SPAN, now, 100_000);
        rates.over("main", "new", 1, SPAN, now, 100_001);
        assert_eq!((rates.windows.len(), rates.order.len()), (KEYS, KEYS));
        assert!(rates.over("main", "key 0", 1, SPAN, now, 100_002));
        assert!(!rates.over("main", "key 1", 1, SPAN, now, 100_003));
    }

    #[test]
    fn long_keys_and_high_limits_are_bounded_by_bytes() {
        let mut rates = Rates::default();
        let now = Timestamp::UNIX_EPOCH;
        for number in 0..200_000_u64 {
            let key = format!("{:0>400}", number / 1_000);
            rates.over("main", &key, 1_000, SPAN, now, number);
            assert!(rates.bytes <= BYTES);
        }
        let held: usize =
            rates.windows.iter().map(|(key, window)| cost(key) + window.calls.len() * CALL).sum();
        assert_eq!(held, rates.bytes);
    }
}
