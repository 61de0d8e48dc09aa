//! How fast an account may send: a token bucket on a clock that is handed in. Pure.

use std::time::{Duration, Instant};

/// Sends of one account: `rate` a second on average, `burst` at once.
#[derive(Clone, Debug)]
pub struct Throttle {
    /// Tokens a second; `None` is no limit.
    rate: Option<f64>,
    burst: f64,
    tokens: f64,
    at: Option<Instant>,
}

impl Throttle {
    /// A full bucket.
    pub fn new(rate: Option<f64>, burst: u32) -> Self {
        let burst = f64::from(burst.max(1));
        Self { rate, burst, tokens: burst, at: None }
    }

    /// Takes a token, or says when there will be one.
    pub fn take(&mut self, now: Instant) -> Result<(), Instant> {
        let Some(rate) = self.rate else { return Ok(()) };
        if let Some(at) = self.at {
            self.tokens =
                (self.tokens + now.saturating_duration_since(at).as_secs_f64() * rate).min(self.burst);
        }
        self.at = Some(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(now + Duration::from_secs_f64((1.0 - self.tokens) / rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let start = Instant::now();
        let mut throttle = Throttle::new(Some(2.0), 3);
        assert!((0..3).all(|_| throttle.take(start).is_ok()));
        let next = throttle.take(start).expect_err("the bucket is empty");
        assert_eq!(next.duration_since(start), Duration::from_millis(500));
        assert!(throttle.take(next).is_ok());
        assert!(throttle.take(next).is_err());
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let now = Instant::now();
        let mut throttle = Throttle::new(None, 1);
        assert!((0..1000).all(|_| throttle.take(now).is_ok()));
    }
}
