//! The connection task: one per account, one chunk in flight.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::net::Target;
use crate::net::error::What;
use crate::net::tls::TlsContext;

/// Takes what a link has to tell. The next chunk is read only when `inbound` has resolved.
pub trait LinkOwner: Send + 'static {
    /// Something happened. `Err(Gone)` ends the link.
    fn inbound(&mut self, event: LinkEvent) -> impl Future<Output = Result<(), Gone>>;
}

/// Nobody wants the link any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// What happened to a link. `Closed` and `Failed` are the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// Bytes arrived.
    Bytes(Bytes),
    /// The peer closed in order (over TLS: with its notice).
    Closed,
    /// The connection stands. With `direct_tls`, `Secured` follows at once.
    Connected {
        /// TLS from the first byte.
        direct_tls: bool,
        /// The peer's address.
        peer: SocketAddr,
    },
    /// It could not be made, or broke.
    Failed {
        /// What failed.
        what: What,
        /// One sentence for the operator.
        detail: String,
        /// The certificate was refused: trying again soon will not help.
        certificate: bool,
    },
    /// The handshake has ended and the certificate is good.
    Secured(SecuredInfo),
}

/// What the finished handshake offers for channel binding, RFC 9266 and RFC 5929.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecuredInfo {
    /// `tls-exporter`; over TLS 1.3 only.
    pub exporter: Option<Vec<u8>>,
    /// `tls-server-end-point`; none where the certificate's signature names no single hash.
    pub end_point: Option<Vec<u8>>,
    /// TLS 1.3.
    pub tls13: bool,
}

/// The write queue is beyond its hard limit; the link ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow {
    /// Bytes that are queued.
    pub queued: usize,
}

/// Commands a link from its own thread. Dropping the last one closes the link without flushing.
#[derive(Clone)]
pub struct LinkHandle {}

impl LinkHandle {
    /// Queues `bytes`; says how many wait now. Above [`HIGH_MARK`] the owner should hold back.
    pub fn transmit(&self, bytes: Bytes) -> Result<usize, Overflow> {
        todo!()
    }

    /// Writes what is queued, then starts TLS.
    pub fn secure(&self) {
        todo!()
    }

    /// Writes what is queued, within a bounded time, then closes.
    pub fn hang_up(&self) {
        todo!()
    }

    /// Bytes that wait to be written.
    pub fn queued(&self) -> usize {
        todo!()
    }

    /// Resolves when at most [`LOW_MARK`] bytes wait, or the link has ended.
    pub async fn drained(&self) {
        todo!()
    }
}

/// Bytes above which the owner should hold back.
pub const HIGH_MARK: usize = 64 * 1024;

/// Bytes at which the owner may go on.
pub const LOW_MARK: usize = 16 * 1024;

/// Starts a link on the current thread's `LocalSet` (an actix arbiter has one).
pub fn spawn<O: LinkOwner>(target: Target, tls: Arc<TlsContext>, owner: O) -> LinkHandle {
    todo!()
}
