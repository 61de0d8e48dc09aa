//! The connection to a server: name resolution, dialling, TLS, and the task that reads and writes.
//! Nothing here knows XML: bytes in, bytes out.

pub mod binding;
pub mod dial;
pub mod error;
pub mod link;
pub mod resolve;
pub mod srv;
mod tickets;
pub mod tls;
mod wire;

#[cfg(all(test, feature = "demo"))]
mod tests;

use std::path::PathBuf;

/// Where one account connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Domain of the account's JID: what SRV is asked for and what the certificate must name.
    pub domain: String,
    /// Host and port that the operator (or `see-other-host`) names instead of SRV.
    pub server: Option<(String, u16)>,
    /// How the connection becomes secure.
    pub tls: TlsMode,
    /// PEM file of further authorities that this account trusts, beside the system's. Read anew for every
    /// connection.
    pub ca: Option<PathBuf>,
}

/// How a connection becomes secure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// TLS from the first byte, XEP-0368. SRV: `_xmpps-client` only; with `server`, its port speaks TLS.
    Direct,
    /// STARTTLS, RFC 6120 §5. SRV: both kinds by priority, so a link may turn out to be direct.
    StartTls,
}

/// One host to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// It speaks TLS from the first byte.
    pub direct_tls: bool,
}
