//! How long to wait before the next try, and when to stop trying. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Shortest wait. ejabberd hands a resumed session's counter over late: never sooner than 1 s.
const BASE: Duration = Duration::from_secs(1);
/// Longest wait.
const CAP: Duration = Duration::from_secs(300);
/// How long a session has to last before the next loss starts at [`BASE`] again.
const SETTLED: Duration = Duration::from_secs(60);

/// Decorrelated jitter: each wait is uniform between the base and three times the last one.
#[derive(Clone, Debug)]
pub struct Backoff {
    last: Duration,
    live_since: Option<Instant>,
    /// Tries since the last session that settled.
    pub tries: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { last: BASE, live_since: None, tries: 0 }
    }
}

impl Backoff {
    /// A session is up.
    pub fn on_live(&mut self, now: Instant) {
        self.live_since = Some(now);
    }

    /// A session or a try ended: the wait before the next, drawn with `fraction` in `[0, 1)`.
    ///
    /// A TCP connect alone never resets the wait; a session that lasted a minute does.
    pub fn on_lost(&mut self, now: Instant, fraction: f64) -> Duration {
        let settled = self.live_since.take().is_some_and(|since| now.duration_since(since) >= SETTLED);
        if settled {
            self.last = BASE;
            self.tries = 0;
        }
        self.tries += 1;
        let span = (self.last * 3).saturating_sub(BASE);
        self.last = (BASE + span.mul_f64(fraction)).min(CAP);
        self.last
    }

    /// The wait for a fault that wants a longer one: at least `floor`, with up to half of it on top.
    pub fn at_least(&mut self, now: Instant, floor: Duration, fraction: f64) -> Duration {
        let wait = self.on_lost(now, fraction);
        wait.max(floor + (floor / 2).mul_f64(fraction))
    }

    /// The operator changed something: the next try is a first try.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Counts events in a sliding window: restarts of a crashing actor, conflicts of an account.
#[derive(Clone, Debug)]
pub struct Intensity {
    limit: usize,
    window: Duration,
    seen: VecDeque<Instant>,
}

impl Intensity {
    /// At most `limit` events in `window` are fine.
    pub fn new(limit: usize, window: Duration) -> Self {
        Self { limit, window, seen: VecDeque::new() }
    }

    /// Counts one event; `false` when that is one too many.
    pub fn allow(&mut self, now: Instant) -> bool {
        while self.seen.front().is_some_and(|at| now.duration_since(*at) > self.window) {
            self.seen.pop_front();
        }
        self.seen.push_back(now);
        self.seen.len() <= self.limit
    }
}

/// Spreads logins: hands out moments that are at least `interval` apart.
#[derive(Clone, Debug)]
pub struct Pace {
    interval: Option<Duration>,
    next: Option<Instant>,
}

impl Pace {
    /// `per_second` logins a second; `None` switches the limit off.
    pub fn new(per_second: Option<f64>) -> Self {
        Self {
            interval: per_second.filter(|rate| *rate > 0.0).map(|rate| Duration::from_secs_f64(1.0 / rate)),
            next: None,
        }
    }

    /// Reserves the next free moment, now at the earliest.
    pub fn reserve(&mut self, now: Instant) -> Instant {
        let Some(interval) = self.interval else { return now };
        let at = self.next.map_or(now, |next| next.max(now));
        self.next = Some(at + interval);
        at
    }
}

/// Tells a server that went down from an account that lost its connection.
#[derive(Clone, Debug, Default)]
pub struct Losses {
    recent: BTreeMap<String, VecDeque<Instant>>,
}

impl Losses {
    /// Losses within this time belong together.
    const TOGETHER: Duration = Duration::from_secs(2);
    /// Fewer accounts than this disturb no server.
    const MANY: usize = 20;

    /// Counts a loss at `host`, which has so many `accounts`; whether it is one of many.
    pub fn add(&mut self, host: &str, accounts: usize, now: Instant) -> bool {
        let recent = self.recent.entry(host.to_owned()).or_default();
        while recent.front().is_some_and(|at| now.duration_since(*at) > Self::TOGETHER) {
            recent.pop_front();
        }
        recent.push_back(now);
        recent.len() >= Self::MANY.max(accounts / 5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_between_base_and_cap_and_grow() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        let waits: Vec<Duration> = (0..12).map(|_| backoff.on_lost(now, 0.999)).collect();
        assert!(waits.windows(2).all(|w| w[0] <= w[1]), "{waits:?}");
        assert!(waits[0] >= BASE && waits[0] <= BASE * 3);
        assert_eq!(waits[11], CAP);
        assert_eq!(Backoff::default().on_lost(now, 0.0), BASE);
    }

    #[test]
    fn only_a_session_that_lasted_resets_the_wait() {
        let start = Instant::now();
        let mut backoff = Backoff::default();
        for _ in 0..8 {
            backoff.on_lost(start, 0.9);
        }
        backoff.on_live(start);
        assert!(
            backoff.on_lost(start + Duration::from_secs(5), 0.9) > BASE * 3,
            "a short session must not reset"
        );
        backoff.on_live(start + Duration::from_secs(10));
        assert!(backoff.on_lost(start + Duration::from_secs(71), 0.9) <= BASE * 3);
        assert_eq!(backoff.tries, 1);
    }

    #[test]
    fn intensity_counts_only_its_window() {
        let start = Instant::now();
        let mut intensity = Intensity::new(2, Duration::from_secs(60));
        assert!(intensity.allow(start));
        assert!(intensity.allow(start));
        assert!(!intensity.allow(start + Duration::from_secs(1)));
        assert!(intensity.allow(start + Duration::from_secs(120)));
    }

    #[test]
    fn a_server_that_loses_a_fifth_of_its_accounts_is_down() {
        let now = Instant::now();
        let mut losses = Losses::default();
        let first: Vec<bool> = (0..25).map(|_| losses.add("a.example", 100, now)).collect();
        assert!(!first[18] && first[19], "twenty of a hundred are a fifth");
        assert!(!losses.add("b.example", 100, now), "another server is not concerned");
        assert!(!losses.add("a.example", 100, now + Duration::from_secs(3)), "later losses are single again");
    }

    #[test]
    fn pace_spreads_logins_and_none_does_not() {
        let now = Instant::now();
        let mut pace = Pace::new(Some(10.0));
        let slots: Vec<Instant> = (0..3).map(|_| pace.reserve(now)).collect();
        assert_eq!(slots[2].duration_since(now), Duration::from_millis(200));
        assert_eq!(Pace::new(None).reserve(now), now);
    }
}
