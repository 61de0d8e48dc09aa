//! The moment at which an input happened. The pure core takes it as an argument.

use std::time::Instant;

use jiff::Timestamp;

/// One moment on two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// For deadlines: never jumps.
    pub at: Instant,
    /// For stamps that people and other programs read.
    pub wall: Timestamp,
}
