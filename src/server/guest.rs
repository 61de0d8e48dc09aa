//! Guests: sessions without a connection, inside the server. They stand for the people that tests and
//! benchmarks need on the other side, without sockets and streams of their own.

use std::time::Instant;

use crate::xml::Element;

/// Somebody who lives in the server's thread. Nothing here may block: every connection waits meanwhile.
pub trait Guest: Send {
    /// A stanza has been delivered to the guest. Returns what it sends.
    fn on_stanza(&mut self, now: Instant, stanza: &Element) -> Vec<Element>;

    /// The moment has come that was asked for last; the first is the moment of the invitation. Returns
    /// what the guest sends, and when it wants to be asked again: to the millisecond, later rather than
    /// sooner.
    fn on_timeout(&mut self, now: Instant) -> (Vec<Element>, Instant);
}
