//! Why a connection could not be made or kept.

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The server's certificate was not accepted.
    Certificate,
    /// The file of further authorities cannot be used.
    Authorities,
    /// Bytes arrived before the handshake: an injection, or a confused server (RFC 6120 §5.4.3.3).
    DataBeforeTls,
    /// No address took the connection.
    Dial,
    /// The handshake did not end in time, or failed otherwise.
    Handshake,
    /// More was queued to be written than the hard limit.
    Overflow,
    /// The connection broke while reading or writing.
    Reset,
    /// The name could not be resolved now; later it may.
    Resolve,
    /// DNS says that the domain offers no XMPP service (target `.`) or does not exist.
    NoService,
}
