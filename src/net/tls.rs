//! TLS policy: whom an account trusts, and what a finished handshake proves.

/// Shared by all links of the process: one client configuration per distinct policy.
pub struct TlsContext;

impl TlsContext {
    /// Installs nothing globally; loads the system's authorities when they are first needed.
    pub fn new() -> Self {
        todo!()
    }
}
