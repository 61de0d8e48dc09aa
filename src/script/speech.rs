//! How a bot speaks in the runtime's own words, and how much it may say at once.

use std::sync::Arc;

/// What bots.yaml says about how a bot speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Speech {
    /// Bytes of the longest text that goes out as one message; absent: as long as the server takes.
    pub longest: Option<usize>,
    /// What somebody is told, at most once a day, whose message cannot be read; absent: nothing.
    pub unreadable: Option<Arc<str>>,
}

/// Bytes of a stanza that servers take where they say nothing else.
pub(super) const USUAL: usize = 262_144;

/// Bytes of a stanza that are kept free for what a server and the stream add to it: addresses, ids, a delay.
pub(super) const SPARE: usize = 1_024;
