//! TLS policy: whom an account trusts, how a handshake is made, and what its failure means.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ProtocolVersion};
use rustls_platform_verifier::Verifier;
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::net::binding;
use crate::net::error::{NetError, What};
use crate::net::resolve::ascii;
use crate::net::tickets::Tickets;

/// Shared by all links of the process: one client configuration per distinct policy. There is none that does
/// without verification.
pub struct TlsContext {
    provider: Arc<CryptoProvider>,
    configs: Mutex<Configs>,
}

/// By hash of the further authorities; `None` for the system's alone.
type Configs = BTreeMap<Option<[u8; 32]>, Arc<ClientConfig>>;

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

impl TlsContext {
    /// Installs nothing globally; the system's authorities are read when they are first needed.
    pub fn new() -> Self {
        Self { provider: Arc::new(provider()), configs: Mutex::default() }
    }

    /// The configuration that trusts the system's authorities, and those in the PEM file `ca`.
    ///
    /// # Errors
    /// [`What::Authorities`] if the file cannot be used, or if there is nobody to trust.
    pub async fn client(self: &Arc<Self>, ca: Option<&Path>) -> Result<Arc<ClientConfig>, NetError> {
        if ca.is_none()
            && let Some(config) = self.known_default()
        {
            return Ok(config);
        }
        let (context, ca) = (Arc::clone(self), ca.map(Path::to_owned));
        spawn_blocking(move || context.config(ca)).await.unwrap_or_else(|stopped| {
            // Only a panic or the end of the runtime comes here.
            Err(NetError::new(What::Authorities, format!("the authorities could not be read: {stopped}")))
        })
    }

    fn known_default(&self) -> Option<Arc<ClientConfig>> {
        // Whoever holds the lock may be reading files: this thread must not wait for that.
        match self.configs.try_lock() {
            Ok(configs) => configs.get(&None).cloned(),
            Err(TryLockError::Poisoned(configs)) => configs.into_inner().get(&None).cloned(),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn config(&self, ca: Option<PathBuf>) -> Result<Arc<ClientConfig>, NetError> {
        let (key, authorities) = match &ca {
            None => (None, Vec::new()),
            Some(path) => {
                let (hash, authorities) = read_authorities(path)?;
                (Some(hash), authorities)
            }
        };
        // Held while building, so that many accounts that start together build it once.
        let mut configs = self.configs();
        if let Some(config) = configs.get(&key) {
            return Ok(Arc::clone(config));
        }
        if configs.len() >= POLICIES {
            // Files that were replaced leave configurations behind that no link uses.
            configs.retain(|_, config| Arc::strong_count(config) > 1);
        }
        let config = Arc::new(self.build(authorities)?);
        configs.insert(key, Arc::clone(&config));
        Ok(config)
    }

    fn build(&self, authorities: Vec<CertificateDer<'static>>) -> Result<ClientConfig, NetError> {
        let failed = |error: rustls::Error| {
            NetError::new(What::Authorities, format!("no authorities to trust: {error}"))
        };
        let verifier =
            Verifier::new_with_extra_roots(authorities, Arc::clone(&self.provider)).map_err(failed)?;
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(failed)?
            // This name covers every verifier from outside the library; ours is the platform's own.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.resumption = Resumption::store(Arc::new(Tickets::default()));
        Ok(config)
    }

    fn configs(&self) -> MutexGuard<'_, Configs> {
        self.configs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for TlsContext {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes the handshake as a client and checks that the certificate names `domain`, the JID's domain.
/// `protocol` announces what follows (XEP-0368); a server that does not answer to that is fine.
pub async fn handshake(
    config: Arc<ClientConfig>,
    domain: &str,
    stream: TcpStream,
    protocol: Option<&str>,
    patience: Duration,
) -> Result<(TlsStream<TcpStream>, SecuredInfo), NetError> {
    let name = ServerName::try_from(ascii(domain)?).map_err(|_| {
        NetError::new(What::Certificate, format!("no certificate can name the domain `{domain}`"))
    })?;
    let alpn = protocol.into_iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let connector = TlsConnector::from(config);
    let mut stream = match timeout(patience, connector.with_alpn(alpn).connect(name, stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(failure(domain, &error)),
        Err(_) => {
            let detail = format!("the TLS handshake took longer than {} s", patience.as_secs_f32());
            return Err(NetError::new(What::Handshake, detail));
        }
    };
    let (_, connection) = stream.get_mut();
    // What does not fit stays in the link's own queue, where it is counted.
    connection.set_buffer_limit(Some(16 * 1024));
    let info = SecuredInfo {
        exporter: binding::exporter(connection),
        end_point: connection
            .peer_certificates()
            .and_then(|chain| chain.first())
            .and_then(|certificate| binding::end_point(certificate)),
        tls13: connection.protocol_version() == Some(ProtocolVersion::TLSv1_3),
    };
    Ok((stream, info))
}

/// What an error of the TLS layer means; `otherwise` if it comes from below.
pub(super) fn explain(domain: &str, error: &io::Error, otherwise: What) -> NetError {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return NetError::new(otherwise, error.to_string());
    };
    match tls {
        rustls::Error::InvalidCertificate(reason) => {
            NetError::new(What::Certificate, certificate_sentence(domain, reason))
        }
        rustls::Error::NoCertificatesPresented => {
            NetError::new(What::Certificate, "the server shows no certificate")
        }
        rustls::Error::InvalidMessage(_) => NetError::new(
            What::Handshake,
            format!("the server answers with something that is not TLS: {tls}"),
        ),
        // Whatever else goes wrong between the two is one kind for us: the handshake or the record layer failed.
        _ => NetError::new(What::Handshake, format!("TLS failed: {tls}")),
    }
}

fn failure(domain: &str, error: &io::Error) -> NetError {
    let explained = explain(domain, error, What::Handshake);
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return NetError::new(What::Handshake, "the server ended the connection during the TLS handshake");
    }
    explained
}

fn certificate_sentence(domain: &str, reason: &CertificateError) -> String {
    match reason {
        CertificateError::BadSignature => {
            "the server's certificate is not signed by the authority that it names".to_owned()
        }
        CertificateError::Expired => "the server's certificate has expired".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the server's certificate expired on {}", day(*not_after))
        }
        CertificateError::NotValidForName => {
            format!("the server's certificate is not for `{domain}`")
        }
        CertificateError::NotValidForNameContext { presented, .. } => wrong_name(domain, presented),
        CertificateError::NotValidYet => "the server's certificate is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("the server's certificate is valid from {} only: is this machine's clock right?", day(*not_before))
        }
        CertificateError::Revoked => "the server's certificate has been revoked".to_owned(),
        CertificateError::UnknownIssuer => {
            "the server's certificate comes from an authority that is unknown here; one of your own belongs under \
             `tls: { ca: … }`"
                .to_owned()
        }
        // The rest is rare, and the library's words are as good as any.
        _ => format!("the server's certificate was refused: {reason}"),
    }
}

/// The library writes `DnsName("example.org")`, and other kinds of names in other ways: those do not count.
fn wrong_name(domain: &str, presented: &[String]) -> String {
    let hosts: Vec<&str> = presented.iter().filter_map(|name| name.split('"').nth(1)).take(8).collect();
    if hosts.is_empty() {
        return format!(
            "the server's certificate names no host, so it is not for `{domain}` (its common name does not count)"
        );
    }
    format!("the server's certificate is for `{}`, not for `{domain}`", hosts.join("`, `"))
}

fn day(at: UnixTime) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds)
        .map_or_else(|_| "a far day".to_owned(), |at| at.strftime("%F").to_string())
}

type Authorities = ([u8; 32], Vec<CertificateDer<'static>>);

fn read_authorities(path: &Path) -> Result<Authorities, NetError> {
    let failed = |why: &dyn std::fmt::Display| {
        let detail = format!("the authorities in `{}` cannot be used: {why}", path.display());
        NetError::new(What::Authorities, detail)
    };
    let text = std::fs::read(path).map_err(|error| failed(&error))?;
    let certificates: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(|error| failed(&error))?;
    if certificates.is_empty() {
        return Err(failed(&"the file holds no certificate in PEM form"));
    }
    Ok((Sha256::digest(&text).into(), certificates))
}

#[cfg(feature = "aws-lc")]
pub(super) fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

#[cfg(all(feature = "ring", not(feature = "aws-lc")))]
pub(super) fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

#[cfg(not(any(feature = "aws-lc", feature = "ring")))]
compile_error!("choose one of the features `aws-lc` and `ring`");

/// More than any sensible configuration has.
const POLICIES: usize = 64;
