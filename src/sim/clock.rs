//! A clock that stands still until somebody moves it; both faces move together.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::moment::Moment;

/// Shared by everything in one world.
#[derive(Clone)]
pub struct VirtualClock(Arc<Mutex<Moment>>);

impl VirtualClock {
    /// Stands at this moment of the calendar.
    pub fn new(wall: Timestamp) -> Self {
        // Only differences of the other face are ever used.
        Self(Arc::new(Mutex::new(Moment { at: Instant::now(), wall })))
    }

    /// What it shows.
    pub fn now(&self) -> Moment {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves it forward; beyond the end of the calendar it stands still.
    pub fn advance(&self, span: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(at), Ok(wall)) = (now.at.checked_add(span), now.wall.checked_add(span)) {
            *now = Moment { at, wall };
        }
    }
}
