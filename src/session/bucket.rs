//! A token bucket: how much of something others may do to the account.

use std::time::Instant;

/// So many at once, and so many a second in the long run.
#[derive(Clone, Debug)]
pub struct Bucket {
    level: f64,
    burst: f64,
    at: Option<Instant>,
}

impl Bucket {
    /// A full bucket.
    pub fn new(burst: u32) -> Self {
        Self { level: f64::from(burst), burst: f64::from(burst), at: None }
    }

    /// Takes one out; `false` where there is none.
    pub fn take(&mut self, now: Instant, per_second: f64) -> bool {
        let passed = self.at.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.at = Some(now);
        self.level = (self.level + passed * per_second).min(self.burst);
        let there = self.level >= 1.0;
        if there {
            self.level -= 1.0;
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_fills_again_and_never_above_the_brim() {
        let start = Instant::now();
        let mut bucket = Bucket::new(2);
        let mut take = |seconds| bucket.take(start + Duration::from_secs(seconds), 0.5);
        assert_eq!([take(0), take(0), take(0), take(1), take(2)], [true, true, false, false, true]);
        assert_eq!([take(1000), take(1000), take(1000)], [true, true, false]);
    }
}
