//! How a stream ends: for good, for another connection, over a fault, with an error.

use std::time::Instant;

use super::fault::StreamError;
use super::management::Management;
use super::phase::Phase;
use super::{Role, Stream};

impl Stream {
    /// Ends the stream in order: what is queued goes out, what is unacknowledged is waited for a
    /// little, then `</stream:stream>` in both directions. [`StreamEvent::Closed`] tells the end.
    pub fn close(&mut self, now: Instant) {
        match self.role {
            Role::Hosted(_) if self.core.phase != Phase::Ended => self.core.end_in_order(),
            _ => self.core.close(now),
        }
    }

    /// Ends the stream and leaves the session to whoever resumes it: what is queued goes out, what is unacknowledged
    /// is waited for a little, the peer is told what is safe, and the connection is hung up without
    /// `</stream:stream>`, XEP-0198 §5. Where the session cannot be resumed, the same as [`Stream::close`].
    pub fn suspend(&mut self, now: Instant) {
        if self.is_resumable() {
            self.core.suspends = true;
        }
        self.close(now);
    }

    /// Whether another connection may take up the session.
    pub fn is_resumable(&self) -> bool {
        !matches!(self.role, Role::Hosted(_)) && self.core.is_resumable()
    }

    /// Takes out what resumption needs, after a fault or instead of closing. A stream that was
    /// online tells the peer what is safe and hangs up without `</stream:stream>`, so that the
    /// session stays. `None` where there was no session and nothing is unacknowledged.
    pub fn abandon(&mut self) -> Option<Management> {
        self.core.abandon()
    }

    /// Ends the stream and its session with a stream error, such as `conflict` or `system-shutdown`.
    /// What is unacknowledged stays in [`Stream::management`].
    pub fn end(&mut self, error: &StreamError) {
        self.core.end(error);
    }
}
