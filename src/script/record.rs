//! A script that keeps failing is parked: it gets no events for a while, and the others go on.
//!
//! Nothing here reads a clock: what happens when follows from the moments of the turns.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::moment::Moment;
use crate::script::error::Kind;
use crate::script::instance::Instance;

/// Turns in a row that may fail.
pub(super) const IN_A_ROW: u32 = 10;
/// Failures within [`SPAN`], whatever succeeds between them.
pub(super) const LATELY: usize = 20;
/// Failures within [`SPAN`] that cost others time or memory: of the clock, of memory, panics.
pub(super) const COSTLY: usize = 3;
/// How long a failure is remembered.
pub(super) const SPAN: Duration = Duration::from_secs(60);
/// How long a script is parked for the first time; every further time it is twice as long.
pub(super) const FIRST: Duration = Duration::from_secs(10 * 60);
/// How long a script is parked at most.
pub(super) const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// Memory that an instance leaves behind and that is forgiven: it may be the counting.
const NOISE: isize = 64 * 1024;

/// How a script of a bot fares.
#[derive(Default)]
pub(super) struct Record {
    /// Turns that failed.
    pub failures: u64,
    /// Events that it did not get while it was parked.
    pub skipped: u64,
    /// Bytes that its instances have lost for good.
    pub lost: isize,
    pub parked: Option<Parked>,
    in_a_row: u32,
    lately: VecDeque<Instant>,
    costly: VecDeque<Instant>,
    /// How long it was parked the last time, and when that ended.
    before: Option<(Duration, Instant)>,
}

/// Why and until when a script is parked.
pub(super) struct Parked {
    /// `10 turns in a row failed`
    pub why: String,
    /// When it is tried again.
    pub until: Timestamp,
    /// Tells the wake that ends it from those of earlier times.
    pub generation: u64,
    pub span: Duration,
    /// Events that it handled.
    events: BTreeSet<String>,
}

impl Record {
    /// The record of another version of the script: only what is lost, and what was counted, goes on.
    pub(super) fn renewed(&self) -> Self {
        let Self { failures, skipped, lost, .. } = *self;
        Self { failures, skipped, lost, ..Self::default() }
    }

    /// Notes how a turn ended; gives the reason where the script is to be parked.
    pub(super) fn note(&mut self, failure: Option<Kind>, now: Instant) -> Option<String> {
        let Some(kind) = failure else {
            self.in_a_row = 0;
            return None;
        };
        self.failures += 1;
        self.in_a_row += 1;
        remember(&mut self.lately, LATELY, now);
        if matches!(kind, Kind::Deadline | Kind::Memory | Kind::Panic) {
            remember(&mut self.costly, COSTLY, now);
        }
        let seconds = SPAN.as_secs();
        if self.costly.len() >= COSTLY {
            return Some(format!(
                "{COSTLY} turns within {seconds} s took too much time or memory, or panicked"
            ));
        }
        if self.in_a_row >= IN_A_ROW {
            return Some(format!("{IN_A_ROW} turns in a row failed"));
        }
        (self.lately.len() >= LATELY).then(|| format!("{LATELY} turns within {seconds} s failed"))
    }

    /// Parks the script; each time that follows soon takes twice as long.
    pub(super) fn park(&mut self, why: String, events: BTreeSet<String>, generation: u64, now: Moment) {
        let span = match self.before {
            Some((span, ended)) if now.at.saturating_duration_since(ended) <= span => (span * 2).min(LONGEST),
            Some(_) | None => FIRST,
        };
        let until = now.wall.checked_add(span).unwrap_or(Timestamp::MAX);
        self.forget();
        self.parked = Some(Parked { why, until, generation, span, events });
    }

    /// The cool-down is over: the script is tried again. Gives the events it handled.
    pub(super) fn resume(&mut self, now: Instant) -> BTreeSet<String> {
        self.forget();
        let Some(parked) = self.parked.take() else { return BTreeSet::new() };
        self.before = Some((parked.span, now));
        parked.events
    }

    /// An event that the script would have had.
    pub(super) fn skip(&mut self, event: &str) {
        if self.parked.as_ref().is_some_and(|parked| parked.events.contains(event)) {
            self.skipped += 1;
        }
    }

    /// An instance has ended and left that much behind.
    pub(super) fn lose(&mut self, bytes: isize) {
        self.lost = if bytes > NOISE { bytes } else { 0 };
    }

    fn forget(&mut self) {
        self.in_a_row = 0;
        self.lately.clear();
        self.costly.clear();
    }
}

/// Names of the events that a script handles; commands and what it listens for are messages.
pub(super) fn events(instance: &Instance) -> BTreeSet<String> {
    let declared = &instance.declared;
    let handled = declared.handlers.iter().map(|handler| match &handler.heard {
        Some(_) => "message".to_owned(),
        None => handler.event.clone(),
    });
    let commands = declared.commands.first().map(|_| "message".to_owned());
    handled.chain(commands).collect()
}

fn remember(times: &mut VecDeque<Instant>, most: usize, now: Instant) {
    times.retain(|time| now.saturating_duration_since(*time) < SPAN);
    times.push_back(now);
    if times.len() > most {
        times.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNTIME: Option<Kind> = Some(Kind::Runtime);

    #[test]
    fn ten_failures_in_a_row_park_and_a_success_between_them_does_not() {
        let start = Instant::now();
        let hourly = |n: u32| start + n * SPAN;
        let mut record = Record::default();
        for n in 0..9 {
            assert_eq!(record.note(RUNTIME, hourly(n)), None);
        }
        assert_eq!(record.note(None, hourly(9)), None);
        for n in 10..19 {
            assert_eq!(record.note(RUNTIME, hourly(n)), None);
        }
        assert_eq!(record.note(RUNTIME, hourly(19)).as_deref(), Some("10 turns in a row failed"));
        assert_eq!(record.failures, 19);
    }

    #[test]
    fn twenty_failures_within_a_minute_park_whatever_succeeds_between_them() {
        let now = Instant::now();
        let mut record = Record::default();
        for _ in 0..19 {
            assert_eq!(record.note(RUNTIME, now), None);
            assert_eq!(record.note(None, now), None);
        }
        // After a minute they count no more.
        assert_eq!(record.note(RUNTIME, now + SPAN), None);
        for _ in 0..18 {
            assert_eq!(record.note(None, now + SPAN), None);
            assert_eq!(record.note(RUNTIME, now + SPAN), None);
        }
        record.note(None, now + SPAN);
        assert_eq!(record.note(RUNTIME, now + SPAN).as_deref(), Some("20 turns within 60 s failed"));
    }

    #[test]
    fn three_costly_failures_park() {
        for kind in [Kind::Deadline, Kind::Memory, Kind::Panic] {
            let now = Instant::now();
            let mut record = Record::default();
            assert_eq!(record.note(Some(kind), now), None);
            assert_eq!(record.note(Some(kind), now), None);
            assert_eq!(record.note(Some(kind), now + SPAN), None);
            assert_eq!(record.note(Some(kind), now + SPAN), None);
            assert!(record.note(Some(kind), now + SPAN).is_some(), "{kind:?}");
        }
    }

    #[test]
    fn each_time_takes_twice_as_long_up_to_six_hours_until_the_script_has_done_well() {
        let mut now = Moment { at: Instant::now(), wall: Timestamp::UNIX_EPOCH };
        let mut record = Record::default();
        let mut spans = Vec::new();
        for generation in 0..8 {
            record.park("why".to_owned(), BTreeSet::new(), generation, now);
            let span = record.parked.as_ref().map(|parked| parked.span).unwrap();
            spans.push(span.as_secs() / 60);
            now.at += span;
            record.resume(now.at);
        }
        assert_eq!(spans, [10, 20, 40, 80, 160, 320, 360, 360]);
        now.at += LONGEST + SPAN;
        record.park("why".to_owned(), BTreeSet::new(), 9, now);
        assert_eq!(record.parked.map(|parked| parked.span), Some(FIRST));
    }
}
