//! How many requests are answered: a flood of them is not answered by a flood (RFC 6120 §13.12).
//!
//! Each address has a bucket of its own, and strangers share one besides, so that many addresses are no way around it.
//! Nothing is said about what is not answered: an error would be an answer. The account's own server and the
//! account itself are not counted.

use std::time::Instant;

use tracing::debug;

use super::Session;
use super::bucket::Bucket;
use super::window::Window;
use crate::jid::Jid;
use crate::moment::Moment;

/// Requests of one address that are answered at once.
const BURST: u32 = 60;
/// And in the long run, a second.
const RATE: f64 = 5.0;
/// The same for all strangers together.
const STRANGERS_BURST: u32 = 300;
const STRANGERS_RATE: f64 = 30.0;
/// Addresses that are remembered; one that comes back later begins with a full bucket.
const KNOWN: usize = 256;

/// Who has asked how much.
#[derive(Debug)]
pub(super) struct Askers {
    each: Window<Jid, Bucket>,
    strangers: Bucket,
}

impl Default for Askers {
    fn default() -> Self {
        Self { each: Window::new(KNOWN), strangers: Bucket::new(STRANGERS_BURST) }
    }
}

impl Askers {
    /// Whether one more request of this address is answered.
    fn take(&mut self, now: Instant, from: Jid, stranger: bool) -> bool {
        // What one address floods with takes nothing from the others.
        self.each.entry(from, || Bucket::new(BURST)).take(now, RATE)
            && (!stranger || self.strangers.take(now, STRANGERS_RATE))
    }
}

impl Session {
    /// Whether a request from this address gets an answer, and has any effect.
    pub(super) fn heeds(&mut self, now: Moment, from: Option<&Jid>) -> bool {
        let Some(from) = from.filter(|from| !self.own.is_home(from)) else { return true };
        let bare = from.to_bare();
        // In a room each occupant counts for himself: nobody silences the account for the others.
        let occupant = self.rooms.knows(&bare);
        let stranger = !occupant && !self.is_trusted(Some(from));
        let key = if occupant { from.clone() } else { bare.into() };
        let heeded = self.askers.take(now.at, key, stranger);
        if !heeded {
            debug!(account = %self.own.bare, %from, "too many requests: this one is not answered");
        }
        heeded
    }
}
