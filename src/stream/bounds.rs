//! What an owner may set about patience and memory of a stream.

use std::time::Duration;

/// When silence is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence after which the peer is asked for a sign of life; drawn from ±20 % of this.
    pub idle: Duration,
    /// How long it may take to give one.
    pub answer: Duration,
}

/// How much may be unacknowledged, and when an acknowledgement is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Stanzas; more are refused with [`NotReady::Full`](super::NotReady::Full).
    pub stanzas: usize,
    /// Bytes; a single stanza always fits.
    pub bytes: usize,
    /// Ask after this many stanzas.
    pub ask_every: u32,
    /// Ask this long after the first stanza that was not asked for.
    pub ask_after: Duration,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self { idle: Duration::from_secs(60), answer: Duration::from_secs(20) }
    }
}

impl Default for Window {
    /// 128 KiB take a server that reads 10 kB/s (a common default) 13 s: less than `answer`.
    fn default() -> Self {
        Self { stanzas: 256, bytes: 128 * 1024, ask_every: 16, ask_after: Duration::from_secs(1) }
    }
}
