//! A server with certificates made here, and the far end of a link's owner.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::net::error::What;
use crate::net::link::{Gone, LinkEvent, LinkHandle, LinkOptions, LinkOwner, spawn_with};
use crate::net::tls::{SecuredInfo, TlsContext, provider};
use crate::net::{Target, TlsMode, Transport};

/// Runs `test` where links can be spawned, within a deadline.
pub(super) async fn run(test: impl Future<Output = ()>) {
    timeout(PATIENCE, LocalSet::new().run_until(test)).await.expect("the test took too long");
}

/// A listening server with a certificate for it, and an authority that links are told to trust.
pub(super) struct Bed {
    pub(super) listener: TcpListener,
    pub(super) key: KeyPair,
    pub(super) certificate: CertificateDer<'static>,
    pub(super) context: Arc<TlsContext>,
    pub(super) folder: Folder,
    pub(super) alpn: Option<&'static str>,
    pub(super) versions: Vec<&'static SupportedProtocolVersion>,
}

impl Bed {
    pub(super) async fn new(names: &[&str]) -> Self {
        Self::from(issued(params(names))).await
    }

    /// Without an issuer, links trust some other authority.
    pub(super) async fn from(
        (key, certificate, issuer): (
            KeyPair,
            CertificateDer<'static>,
            Option<CertifiedIssuer<'static, KeyPair>>,
        ),
    ) -> Self {
        let folder = Folder::create();
        let issuer = issuer.unwrap_or_else(authority);
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            key,
            certificate,
            context: Arc::new(TlsContext::new()),
            folder,
            alpn: None,
            versions: rustls::ALL_VERSIONS.to_vec(),
        }
    }

    pub(super) fn target(&self, tls: TlsMode) -> Target {
        let server = Some(("127.0.0.1".to_owned(), self.listener.local_addr().unwrap().port()));
        let ca = Some(self.folder.path().join("ca.pem"));
        Target { domain: "example.org".into(), server, transport: Transport::Tcp, tls, ca }
    }

    pub(super) fn link(&self, tls: TlsMode) -> (LinkHandle, Owner) {
        self.link_to(self.target(tls), LinkOptions::default())
    }

    pub(super) fn link_to(&self, target: Target, options: LinkOptions) -> (LinkHandle, Owner) {
        let (sender, events) = mpsc::unbounded_channel();
        (spawn_with(target, Arc::clone(&self.context), options, Recorder { sender }), Owner { events })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![self.certificate.clone()],
                PrivateKeyDer::try_from(self.key.serialize_der()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    pub(super) async fn accept_tls(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.acceptor().accept(stream).await
    }
}

/// The owner of a link: passes everything on and waits for the test's reply.
pub(super) struct Recorder {
    sender: mpsc::UnboundedSender<(LinkEvent, oneshot::Sender<()>)>,
}

impl LinkOwner for Recorder {
    async fn inbound(&mut self, event: LinkEvent) -> Result<(), Gone> {
        let (reply, replied) = oneshot::channel();
        self.sender.send((event, reply)).map_err(|_| Gone)?;
        replied.await.map_err(|_| Gone)
    }
}

/// The test's end of a [`Recorder`].
pub(super) struct Owner {
    pub(super) events: mpsc::UnboundedReceiver<(LinkEvent, oneshot::Sender<()>)>,
}

impl Owner {
    pub(super) async fn take(&mut self) -> (LinkEvent, oneshot::Sender<()>) {
        self.events.recv().await.expect("the link is over")
    }

    pub(super) async fn next(&mut self) -> LinkEvent {
        let (event, reply) = self.take().await;
        // After the last event nobody waits for the reply.
        let _ = reply.send(());
        event
    }

    pub(super) async fn secured(&mut self) -> SecuredInfo {
        match self.next().await {
            LinkEvent::Secured(info) => info,
            other => panic!("not secured: {other:?}"),
        }
    }

    pub(super) async fn fails(&mut self, expected: What, words: &str) {
        match self.next().await {
            LinkEvent::Failed { what, detail, certificate: false } => {
                assert!(what == expected && detail.contains(words), "{what:?}: {detail}");
            }
            other => panic!("no failure: {other:?}"),
        }
    }
}

pub(super) fn issued(
    params: CertificateParams,
) -> (KeyPair, CertificateDer<'static>, Option<CertifiedIssuer<'static, KeyPair>>) {
    let issuer = authority();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap().der().clone();
    (key, certificate, Some(issuer))
}

pub(super) fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = params(&[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::OrganizationName, "test authority");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

pub(super) fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).unwrap()
}

pub(super) async fn expect(stream: &mut (impl AsyncRead + Unpin), expected: &[u8]) {
    let mut read = vec![0; expected.len()];
    stream.read_exact(&mut read).await.unwrap();
    assert_eq!(read, expected);
}

pub(super) fn length(event: &LinkEvent) -> usize {
    match event {
        LinkEvent::Bytes(bytes) => bytes.len(),
        other => panic!("no bytes: {other:?}"),
    }
}

/// A folder that goes away.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn create() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("rhapsode-net-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Counts what is read from the socket, under TLS.
pub(super) struct Counting {
    pub(super) inner: TcpStream,
    pub(super) read: Arc<AtomicUsize>,
}

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.read.fetch_add(buf.filled().len() - before, Ordering::Relaxed);
        poll
    }
}

impl AsyncWrite for Counting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

pub(super) const PATIENCE: Duration = Duration::from_secs(30);
