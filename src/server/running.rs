//! Starting an embedded server, asking it what it sees, stopping it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::jid::{FullJid, Jid};
use crate::server::options::ServerOptions;

/// The embedded server; it exists only as a [`Running`] one.
pub struct Server;

/// A server in its own thread. Dropping it stops the server.
pub struct Running {
    addr: SocketAddr,
    direct_addr: Option<SocketAddr>,
    ca_pem: String,
}

/// Why a server does not start.
#[derive(Debug)]
pub enum ServerError {
    /// No certificate could be made.
    Certificate { source: rcgen::Error },
    /// The domain is no host name, or an account's name no localpart.
    Jid { text: String, source: crate::jid::JidError },
    /// The address cannot be listened on.
    Listen { addr: SocketAddr, source: std::io::Error },
    /// The address would be reachable from other machines.
    NotLoopback { addr: SocketAddr },
    /// A file of the certificate authority cannot be read or written.
    File { path: PathBuf, source: std::io::Error },
    /// Another process listens there; the next port may be free.
    PortInUse { addr: SocketAddr },
    /// The operating system gives no thread, runtime or random bytes.
    Start { source: std::io::Error },
    /// TLS refuses the certificate that was made.
    Tls { source: rustls::Error },
}

/// One session as the server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionReport {
    /// The bound address.
    pub jid: FullJid,
    /// Whether a connection carries it; otherwise it waits for its resumption.
    pub connected: bool,
    /// Whether it has sent available presence.
    pub available: bool,
}

/// What a server has counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted.
    pub connections: u64,
    /// Sessions bound.
    pub bound: u64,
    /// Sessions resumed.
    pub resumed: u64,
    /// Stanzas that came from clients.
    pub received: u64,
    /// Stanzas that were handed to the streams of clients.
    pub sent: u64,
    /// Messages stored for accounts that were offline.
    pub stored: u64,
    /// Connections ended because the client did not read.
    pub overflows: u64,
}

impl Server {
    /// Starts a server in a thread of its own, from any runtime or none.
    pub fn start(_options: ServerOptions) -> Result<Running, ServerError> {
        todo!()
    }
}

impl Running {
    /// Where clients connect and ask for STARTTLS.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where clients begin with TLS at once.
    pub fn direct_addr(&self) -> Option<SocketAddr> {
        self.direct_addr
    }

    /// The certificate authority that signed this server's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Ends every stream with `system-shutdown` and waits for the thread, about a second at most.
    pub fn stop(self) {
        todo!()
    }

    /// Drops the connections of an account or of one resource without a word, as a broken network
    /// does. Sessions with stream management wait for their resumption. Returns how many.
    pub fn cut(&self, _jid: &Jid) -> usize {
        todo!()
    }

    /// Ends the streams of an account or of one resource with a stream error, such as
    /// `policy-violation`. Nothing is left to resume. Returns how many.
    pub fn kick(&self, _jid: &Jid, _condition: &'static str) -> usize {
        todo!()
    }

    /// Makes an account or changes its password; open sessions stay.
    pub fn set_password(&self, _user: &str, _password: &str) -> Result<(), ServerError> {
        todo!()
    }

    /// All sessions, sorted by address.
    pub fn sessions(&self) -> Vec<SessionReport> {
        todo!()
    }

    /// What has been counted since the start.
    pub fn counts(&self) -> Counts {
        todo!()
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate { .. } => f.write_str("no certificate could be made"),
            Self::Jid { text, .. } => write!(f, "`{text}` is no address"),
            Self::Listen { addr, .. } => write!(f, "cannot listen on `{addr}`"),
            Self::NotLoopback { addr } => {
                write!(f, "`{addr}` is no loopback address: this server is not made for a network")
            }
            Self::File { path, .. } => write!(f, "`{}` cannot be read or written", path.display()),
            Self::PortInUse { addr } => write!(f, "`{addr}` is in use by another program"),
            Self::Start { .. } => f.write_str("the system gives no thread, runtime or random bytes"),
            Self::Tls { .. } => f.write_str("the certificate that was made is refused"),
        }
    }
}

impl std::error::Error for ServerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Certificate { source } => Some(source),
            Self::Jid { source, .. } => Some(source),
            Self::Listen { source, .. } | Self::File { source, .. } | Self::Start { source } => Some(source),
            Self::Tls { source } => Some(source),
            Self::NotLoopback { .. } | Self::PortInUse { .. } => None,
        }
    }
}
