//! Why a connection could not be made or kept.

use std::error::Error;
use std::fmt;

/// A failure, with one sentence for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetError {
    /// What failed.
    pub what: What,
    /// In lower case, without a full stop, naming hosts and values.
    pub detail: String,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The file of further authorities, or the system's list, cannot be used: the operator has to act.
    Authorities,
    /// The server's certificate was not accepted: trying again soon will not help.
    Certificate,
    /// Bytes arrived before the handshake: an injection, or a confused server (RFC 6120 §5.4.3.3).
    DataBeforeTls,
    /// No address took the connection.
    Dial,
    /// The handshake did not end in time, or failed otherwise.
    Handshake,
    /// DNS says that the domain offers no XMPP service (target `.`), or that the name does not exist.
    NoService,
    /// More was queued to be written than the hard limit.
    Overflow,
    /// The connection broke while reading or writing, or ended without the TLS notice.
    Reset,
    /// The name could not be resolved now; later it may.
    Resolve,
}

impl NetError {
    pub(super) fn new(what: What, detail: impl Into<String>) -> Self {
        Self { what, detail: detail.into() }
    }
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Error for NetError {}
