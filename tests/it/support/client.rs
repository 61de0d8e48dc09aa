//! A client over real sockets: our own initiating stream and nothing else.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rhapsode::ids::Seed;
use rhapsode::jid::BareJid;
use rhapsode::secret::Password;
use rhapsode::stream::management::Management;
use rhapsode::stream::sasl::Credentials;
use rhapsode::stream::{Hangup, Initiating, Online, Output, Secured, Stream, StreamEvent, Window};
use rhapsode::xml::{Element, parse};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Longer than anything takes here; a test that reaches it has failed.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// How a client comes to its server.
#[derive(Clone)]
pub struct Way {
    pub addr: SocketAddr,
    pub direct_tls: bool,
    pub ca_pem: String,
}

/// One connection with its stream.
pub struct Client {
    pub stream: Stream,
    io: Option<Box<dyn Io>>,
    way: Way,
    domain: String,
    events: VecDeque<StreamEvent>,
    gone: bool,
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

impl Client {
    /// Connects; the login goes on with [`Client::next`].
    pub async fn connect(way: &Way, jid: &str, password: &str, change: impl FnOnce(&mut Initiating)) -> Self {
        let jid = BareJid::parse(jid).expect("a bare JID");
        let mut config =
            Initiating::new(jid.clone(), Credentials::Password(Password::new(password.to_owned())));
        config.direct_tls = way.direct_tls;
        // The tests choose how much they send; no answer is waited for in between.
        config.window = Window { stanzas: 10_000, bytes: 64 << 20, ..Window::default() };
        change(&mut config);
        let tcp = TcpStream::connect(way.addr).await.expect("the server listens");
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("random bytes");
        let mut client = Self {
            stream: Stream::initiating(config, Seed(bytes), Instant::now()),
            io: Some(Box::new(tcp)),
            way: way.clone(),
            domain: jid.domain().to_owned(),
            events: VecDeque::new(),
            gone: false,
        };
        if way.direct_tls {
            client.secure().await;
        }
        client
    }

    /// Logs in with the resource `resource`, without roster and presence.
    pub async fn login(way: &Way, jid: &str, password: &str, resource: &str) -> (Self, Online) {
        let mut client =
            Self::connect(way, jid, password, |config| config.resource = Some(resource.to_owned())).await;
        let online = client.online().await;
        (client, online)
    }

    /// Logs in and says that it is there.
    pub async fn available(way: &Way, jid: &str, password: &str, resource: &str) -> Self {
        let (mut client, _) = Self::login(way, jid, password, resource).await;
        client.say("<presence xmlns='jabber:client'/>");
        client.until("own presence", |stanza| stanza.name() == "presence").await;
        client
    }

    /// Resumes the session of a lost connection.
    pub async fn resume(way: &Way, jid: &str, password: &str, session: Management) -> (Self, Online) {
        let mut client = Self::connect(way, jid, password, |config| config.resume = Some(session)).await;
        let online = client.online().await;
        (client, online)
    }

    /// Waits for the end of the login.
    pub async fn online(&mut self) -> Online {
        loop {
            match self.next().await {
                StreamEvent::DeriveKeys(request) => {
                    let keys = request.derive();
                    self.stream.on_keys(Instant::now(), keys);
                }
                StreamEvent::Online(online) => return *online,
                StreamEvent::Fault(fault) => panic!("no login: {fault:?}"),
                _ => {}
            }
        }
    }

    /// Sends a stanza that is written as text.
    pub fn say(&mut self, stanza: &str) {
        let stanza = parse(stanza).expect("well-formed");
        self.stream.send(Instant::now(), stanza).expect("an online stream with room");
    }

    /// Asks and waits for the answer with this id.
    pub async fn ask(&mut self, request: &str) -> Element {
        let id = parse(request).expect("well-formed").attr("id").expect("requests have ids").to_owned();
        self.say(request);
        self.until("an answer", |stanza| stanza.name() == "iq" && stanza.attr("id") == Some(&id)).await
    }

    /// The next stanza for which `wanted` says so; others before it are dropped. All are handled.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&Element) -> bool) -> Element {
        loop {
            match self.next().await {
                StreamEvent::Stanza { number, element } => {
                    if let Some(number) = number {
                        self.stream.acknowledge(Instant::now(), number);
                    }
                    if wanted(&element) {
                        return element;
                    }
                }
                StreamEvent::Fault(fault) => panic!("waiting for {what}: {fault:?}"),
                _ => {}
            }
        }
    }

    /// The body of the next message that has one.
    pub async fn body(&mut self) -> String {
        let message = self.until("a message", |s| s.child_text("body", "jabber:client").is_some()).await;
        message.child_text("body", "jabber:client").unwrap_or_default()
    }

    /// The next event of the stream.
    pub async fn next(&mut self) -> StreamEvent {
        timeout(PATIENCE, async {
            loop {
                self.drain().await;
                if let Some(event) = self.events.pop_front() {
                    return event;
                }
                self.read().await;
            }
        })
        .await
        .expect("the server answers")
    }

    /// Writes what is due.
    pub async fn drain(&mut self) {
        loop {
            match self.stream.poll_output() {
                Output::Transmit(bytes) => {
                    if let Some(io) = &mut self.io {
                        // A server that is gone shows itself when we read.
                        drop(io.write_all(&bytes).await);
                        drop(io.flush().await);
                    }
                }
                Output::Secure => self.secure().await,
                Output::Event(event) => self.events.push_back(event),
                Output::Hangup => self.io = None,
                Output::Idle(_) => return,
            }
        }
    }

    async fn read(&mut self) {
        let mut buffer = [0; 4096];
        let read = match &mut self.io {
            Some(io) => io.read(&mut buffer).await,
            None => panic!("the stream has ended and nothing more comes"),
        };
        match read {
            Ok(0) | Err(_) if self.gone => panic!("the connection has ended and nothing more comes"),
            Ok(0) => {
                self.gone = true;
                self.stream.on_hangup(Instant::now(), Hangup::Closed);
            }
            Ok(length) => self.stream.on_bytes(Instant::now(), &buffer[..length]),
            Err(error) => {
                self.gone = true;
                self.stream.on_hangup(Instant::now(), Hangup::Reset { detail: error.to_string() });
            }
        }
    }

    async fn secure(&mut self) {
        let mut roots = rustls::RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(self.way.ca_pem.as_bytes()).expect("a PEM certificate");
        roots.add(ca).expect("a certificate");
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
        let name = ServerName::try_from(self.domain.clone()).expect("a host name");
        let tcp = self.io.take().expect("secured once");
        let tls =
            TlsConnector::from(Arc::new(config)).connect(name, tcp).await.expect("a trusted certificate");
        let mut exporter = vec![0; 32];
        let label = b"EXPORTER-Channel-Binding";
        tls.get_ref()
            .1
            .export_keying_material(&mut exporter, label, Some(b""))
            .expect("a finished handshake");
        let secured = Secured { exporter: Some(exporter), verified: true, tls13: true, ..Secured::default() };
        self.io = Some(Box::new(tls));
        self.stream.on_secured(Instant::now(), secured);
    }
}
