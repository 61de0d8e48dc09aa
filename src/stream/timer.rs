//! The deadlines of a stream, by name. There is no timer object: the owner is told the next moment.

use std::time::Instant;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// Repeat an `<a/>` that was held back.
    Answer,
    /// Ask for an `<a/>`.
    Ask,
    /// The peer gave no sign of life.
    Dead,
    /// Nothing was heard for a while.
    Idle,
    /// An `<r/>` has no answer.
    Overdue,
    /// A step of the negotiation takes too long.
    Step,
}

const ALL: [Timer; 6] = [Timer::Answer, Timer::Ask, Timer::Dead, Timer::Idle, Timer::Overdue, Timer::Step];

/// At most one deadline for each name.
#[derive(Default)]
pub(super) struct Timers {
    due: [Option<Instant>; ALL.len()],
}

impl Timers {
    pub fn set(&mut self, timer: Timer, due: Instant) {
        self.due[timer as usize] = Some(due);
    }

    pub fn clear(&mut self, timer: Timer) {
        self.due[timer as usize] = None;
    }

    pub fn clear_all(&mut self) {
        self.due = Default::default();
    }

    pub fn is_set(&self, timer: Timer) -> bool {
        self.due[timer as usize].is_some()
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Instant> {
        self.due.iter().flatten().min().copied()
    }

    /// Takes out the earliest deadline that has come.
    pub fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let timer = ALL
            .into_iter()
            .filter(|timer| self.due[*timer as usize].is_some_and(|due| due <= now))
            .min_by_key(|timer| self.due[*timer as usize])?;
        self.clear(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn deadlines_come_in_order_and_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut timers = Timers::default();
        timers.set(Timer::Step, at(2));
        timers.set(Timer::Ask, at(1));
        timers.set(Timer::Dead, at(9));
        assert_eq!(timers.next(), Some(at(1)));
        assert_eq!(timers.take_due(start), None);
        assert_eq!(timers.take_due(at(5)), Some(Timer::Ask));
        assert_eq!(timers.take_due(at(5)), Some(Timer::Step));
        assert_eq!(timers.take_due(at(5)), None);
        assert_eq!(timers.next(), Some(at(9)));
    }
}
