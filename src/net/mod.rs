//! The connection to a server: name resolution, dialling, TLS, and the task that reads and writes.
//! Bytes in, bytes out: only `host_meta` looks into any.

pub mod binding;
pub mod dial;
pub mod error;
pub mod host_meta;
pub mod link;
pub mod resolve;
pub mod srv;
mod tickets;
pub mod tls;
mod websocket;
mod wire;

#[cfg(all(test, feature = "demo"))]
mod tests;

use std::path::PathBuf;

use url::Url;

/// Where one account connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Domain of the account's JID: what SRV is asked for and what the certificate must name.
    pub domain: String,
    /// Host and port that the operator (or `see-other-host`) names instead of SRV.
    pub server: Option<(String, u16)>,
    /// By which transport.
    pub transport: Transport,
    /// How a connection over TCP becomes secure.
    pub tls: TlsMode,
    /// PEM file of further authorities that this account trusts, beside the system's. Read anew for every
    /// connection.
    pub ca: Option<PathBuf>,
}

/// By which transport a server is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// Over TCP, RFC 6120.
    #[default]
    Tcp,
    /// Over TCP; where no server can be reached that way, as with [`Transport::HostMeta`].
    Either,
    /// Over WebSocket, RFC 7395, where the domain's host-meta says (XEP-0156).
    HostMeta,
    /// Over WebSocket at this `wss:` URL, whose host the certificate must name.
    Web(Url),
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
