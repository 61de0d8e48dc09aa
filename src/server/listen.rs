//! Loopback sockets and the server's end of TLS.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::stream::Secured;

use super::certificate::Identity;
use super::running::ServerError;

/// The bytes that one TLS session may hold back for a client that does not read.
const TLS_BUFFER: usize = 16 << 10;

/// Accepts TLS with one certificate.
pub(super) struct Tls {
    acceptor: TlsAcceptor,
    end_point: Vec<u8>,
}

/// A connection before and after TLS.
pub(super) enum Transport {
    /// As it was accepted.
    Plain(TcpStream),
    /// Behind a finished handshake.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Binds a socket that only this machine reaches.
pub(super) fn listen(addr: SocketAddr) -> Result<TcpListener, ServerError> {
    if !addr.ip().is_loopback() {
        return Err(ServerError::NotLoopback { addr });
    }
    let bound = TcpListener::bind(addr).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => ServerError::PortInUse { addr },
        _ => ServerError::Listen { addr, source },
    })
}

impl Tls {
    /// One configuration for all connections, with stateless tickets for resumption.
    pub fn new(identity: &Identity) -> Result<Self, ServerError> {
        let config = || -> Result<ServerConfig, rustls::Error> {
            let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(vec![identity.certificate.clone()], identity.key.clone_key())?;
            config.ticketer = ticketer()?;
            config.send_tls13_tickets = 1;
            config.alpn_protocols = vec![b"xmpp-client".to_vec()];
            Ok(config)
        };
        let config = config().map_err(|source| ServerError::Tls { source })?;
        // RFC 5929 §4.1: the certificate is signed with SHA-256, so that is its hash.
        let end_point = Sha256::digest(&identity.certificate).to_vec();
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), end_point })
    }

    /// Answers the handshake of a client.
    pub async fn accept(&self, tcp: TcpStream) -> io::Result<(Transport, Secured)> {
        let mut tls = self.acceptor.accept(tcp).await?;
        let (_, session) = tls.get_mut();
        session.set_buffer_limit(Some(TLS_BUFFER));
        let tls13 = session.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
        // RFC 9266 §4.2: on TLS 1.2 the exporter needs the extended master secret; leave it to 1.3.
        let exporter = if tls13 {
            let label = b"EXPORTER-Channel-Binding";
            session.export_keying_material(vec![0; 32], label, Some(b"")).ok()
        } else {
            None
        };
        let end_point = Some(self.end_point.clone());
        let secured = Secured { exporter, end_point, verified: false, tls13, peer_identity: None };
        Ok((Transport::Tls(Box::new(tls)), secured))
    }
}

#[cfg(feature = "aws-lc")]
fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

#[cfg(all(feature = "ring", not(feature = "aws-lc")))]
fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

#[cfg(feature = "aws-lc")]
fn ticketer() -> Result<Arc<dyn rustls::server::ProducesTickets>, rustls::Error> {
    rustls::crypto::aws_lc_rs::Ticketer::new()
}

#[cfg(all(feature = "ring", not(feature = "aws-lc")))]
fn ticketer() -> Result<Arc<dyn rustls::server::ProducesTickets>, rustls::Error> {
    rustls::crypto::ring::Ticketer::new()
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_others_reach_is_refused() {
        for addr in ["0.0.0.0:0", "[::]:0", "192.0.2.1:5222"] {
            let addr = addr.parse().expect("an address with a port");
            assert!(matches!(listen(addr), Err(ServerError::NotLoopback { .. })), "{addr}");
        }
    }

    #[test]
    fn a_busy_port_is_told_apart() {
        let any = "127.0.0.1:0".parse().expect("an address with a port");
        let first = listen(any).expect("a free port");
        let addr = first.local_addr().expect("a bound socket");
        assert!(matches!(listen(addr), Err(ServerError::PortInUse { addr: busy }) if busy == addr));
    }
}
