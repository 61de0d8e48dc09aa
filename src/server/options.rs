//! What an embedded server is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::server::archive::MESSAGES;
use crate::stream::sasl::{MECHANISMS, Mechanism};

/// Everything an embedded server needs to know; `ServerOptions::default()` is `demo.localhost` on a
/// free port with no account.
#[derive(Clone)]
pub struct ServerOptions {
    /// The domain that is served; rooms live on `rooms.` and this.
    pub domain: String,
    /// Where clients connect and ask for STARTTLS. Loopback only; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where clients begin with TLS at once (XEP-0368), where that is wanted.
    pub listen_direct: Option<SocketAddr>,
    /// Accounts that exist from the start: localpart and password.
    pub accounts: Vec<(String, String)>,
    /// Whether a client may make an account for itself, XEP-0077.
    pub open_registration: bool,
    /// Where the certificate authority comes from.
    pub certificates: Certificates,
    /// How long the session of a lost connection waits for its resumption, XEP-0198.
    pub resumption: Duration,
    /// Where clients are told to resume, if not at the usual place, XEP-0198 §5.
    pub location: Option<String>,
    /// What clients may log in with; `-PLUS` is offered only where TLS has binding data.
    pub mechanisms: Vec<Mechanism>,
    /// Iterations of PBKDF2 for SCRAM; RFC 7677 wants at least 4096.
    pub iterations: u32,
    /// Messages that the archive of an account holds, XEP-0313; 0: there is none.
    pub archive: usize,
    /// Bytes that may wait for a client that does not read before it is disconnected.
    pub backlog: usize,
    /// How long a client may take no byte at all while bytes wait for it.
    pub stall: Duration,
}

/// Where the certificate authority comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificates {
    /// Made at start and forgotten at the end.
    Fresh,
    /// Kept in this folder as `ca.pem` and `ca.key` (mode 0600), made there when missing: a second
    /// start goes on with the authority that clients already trust.
    Folder(PathBuf),
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            domain: "demo.localhost".to_owned(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            listen_direct: None,
            accounts: Vec::new(),
            open_registration: false,
            certificates: Certificates::Fresh,
            resumption: Duration::from_secs(300),
            location: None,
            mechanisms: MECHANISMS
                .iter()
                .map(|(_, mechanism)| *mechanism)
                .filter(|mechanism| mechanism.is_scram() || *mechanism == Mechanism::Plain)
                .collect(),
            iterations: 4096,
            archive: MESSAGES,
            backlog: 4 << 20,
            stall: Duration::from_secs(20),
        }
    }
}
