//! Starting an embedded server, asking it what it sees, stopping it.

use std::cell::RefCell;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::warn;

use crate::ids::{IdSource, Seed};
use crate::jid::{FullJid, Jid, JidError};
use crate::ns;
use crate::secret::Password;
use crate::stanza::StanzaError;
use crate::stream::{Receiving, Resumable};
use crate::xml::Element;

use super::certificate;
use super::connection::serve;
use super::credentials::Credentials;
use super::domain::{Domain, SessionId};
use super::guest::Guest;
use super::hub::{Hub, SharedHub, present};
use super::link::Order;
use super::listen::{Tls, listen};
use super::options::ServerOptions;

/// The embedded server; it exists only as a [`Running`] one.
pub struct Server;

/// A server in its own thread. Dropping it stops the server.
pub struct Running {
    addr: SocketAddr,
    direct_addr: Option<SocketAddr>,
    ca_pem: String,
    /// Each request waits for its answer, so that no more than the callers' number queues here.
    requests: UnboundedSender<Request>,
    thread: Option<JoinHandle<()>>,
}

/// Why a server does not start.
#[derive(Debug)]
pub enum ServerError {
    /// No certificate could be made.
    Certificate { source: rcgen::Error },
    /// A file of the certificate authority cannot be read or written.
    File { path: PathBuf, source: std::io::Error },
    /// The domain is no host name, or an account's name no localpart.
    Jid { text: String, source: JidError },
    /// The address cannot be listened on.
    Listen { addr: SocketAddr, source: std::io::Error },
    /// The address would be reachable from other machines.
    NotLoopback { addr: SocketAddr },
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
    /// Stanzas that it was given and has not acknowledged.
    pub unacked: usize,
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

/// What [`Running`] asks the server's thread, each with the way of its answer.
enum Request {
    Counts { answer: Sender<Counts> },
    Cut { jid: Jid, answer: Sender<usize> },
    Invite { user: String, guest: Box<dyn Guest>, answer: Sender<Result<FullJid, StanzaError>> },
    Kick { jid: Jid, condition: &'static str, answer: Sender<usize> },
    Sessions { answer: Sender<Vec<SessionReport>> },
    SetPassword { user: String, password: Password, answer: Sender<Result<(), JidError>> },
    Stop,
}

impl Server {
    /// Starts a server in a thread of its own, from any runtime or none. When it returns, clients can
    /// connect.
    pub fn start(options: ServerOptions) -> Result<Running, ServerError> {
        let mut ids = IdSource::new(random_seed()?);
        let hub = assemble(&options, &mut ids)?;
        let identity = certificate::identity(&options.domain, &options.certificates)?;
        let tls = Tls::new(&identity)?;
        let listener = Listener::bind(options.listen)?;
        let direct = options.listen_direct.map(Listener::bind).transpose()?;
        let (addr, direct_addr) = (listener.addr, direct.as_ref().map(|direct| direct.addr));
        let (requests, inbox) = unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| ServerError::Start { source })?;
        let run = move || {
            let listeners = [Some((listener, false)), direct.map(|direct| (direct, true))];
            let hub = Rc::new(RefCell::new(hub()));
            let main = run(hub, listeners.into_iter().flatten().collect(), Rc::new(tls), inbox);
            LocalSet::new().block_on(&runtime, main);
        };
        let thread = std::thread::Builder::new().name("xmpp-server".to_owned()).spawn(run);
        let thread = Some(thread.map_err(|source| ServerError::Start { source })?);
        Ok(Running { addr, direct_addr, ca_pem: identity.ca_pem, requests, thread })
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
    pub fn stop(mut self) {
        self.halt();
    }

    /// Drops the connections of an account or of one resource without a word, as a broken network
    /// does. Sessions with stream management wait for their resumption. Returns how many.
    pub fn cut(&self, jid: &Jid) -> usize {
        self.ask(|answer| Request::Cut { jid: jid.clone(), answer }).unwrap_or_default()
    }

    /// Ends the sessions of an account or of one resource with a stream error, such as
    /// `policy-violation`. Nothing is left to resume. Returns how many.
    pub fn kick(&self, jid: &Jid, condition: &'static str) -> usize {
        self.ask(|answer| Request::Kick { jid: jid.clone(), condition, answer }).unwrap_or_default()
    }

    /// Lets a guest in as a session of this account, which must exist. `None` where the account is not
    /// there, or the server is gone.
    pub fn invite(&self, user: &str, guest: Box<dyn Guest>) -> Option<FullJid> {
        let user = user.to_owned();
        self.ask(|answer| Request::Invite { user, guest, answer })?.ok()
    }

    /// Makes an account or changes its password; open sessions stay.
    pub fn set_password(&self, user: &str, password: &str) -> Result<(), ServerError> {
        let (user, password) = (user.to_owned(), Password::new(password.to_owned()));
        let text = user.clone();
        let done = self.ask(|answer| Request::SetPassword { user, password, answer });
        done.unwrap_or(Ok(())).map_err(|source| ServerError::Jid { text, source })
    }

    /// All sessions, sorted by address.
    pub fn sessions(&self) -> Vec<SessionReport> {
        self.ask(|answer| Request::Sessions { answer }).unwrap_or_default()
    }

    /// What has been counted since the start.
    pub fn counts(&self) -> Counts {
        self.ask(|answer| Request::Counts { answer }).unwrap_or_default()
    }

    /// Asks the server's thread. `None` where that thread is gone, by a panic: then there is no session
    /// and no connection either.
    fn ask<T>(&self, request: impl FnOnce(Sender<T>) -> Request) -> Option<T> {
        let (answer, answered) = channel();
        self.requests.send(request(answer)).ok()?;
        answered.recv().ok()
    }

    fn halt(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        // A thread that is gone needs no request, and its panic was already reported by its hook.
        drop(self.requests.send(Request::Stop));
        drop(thread.join());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.halt();
    }
}

/// A bound socket with the address that it got.
struct Listener {
    socket: TcpListener,
    addr: SocketAddr,
}

impl Listener {
    fn bind(addr: SocketAddr) -> Result<Self, ServerError> {
        let socket = listen(addr)?;
        let addr = socket.local_addr().map_err(|source| ServerError::Listen { addr, source })?;
        Ok(Self { socket, addr })
    }
}

/// Checks the options; the hub itself is made in the thread that it stays in.
fn assemble(
    options: &ServerOptions,
    ids: &mut IdSource,
) -> Result<impl FnOnce() -> Hub + Send + use<>, ServerError> {
    let wrong = |text: &str| {
        let text = text.to_owned();
        move |source| ServerError::Jid { text, source }
    };
    let mut domain = Domain::new(&options.domain, options.open_registration, ids.fork())
        .map_err(wrong(&options.domain))?;
    domain.bound_archive(options.archive);
    for (user, password) in &options.accounts {
        domain.set_password(user, Password::new(password.clone())).map_err(wrong(user))?;
    }
    let mut salt = [0; 16];
    salt.copy_from_slice(&ids.next_bytes()[..16]);
    let credentials = Credentials::new(salt, options.iterations);
    let max = u32::try_from(options.resumption.as_secs()).unwrap_or(u32::MAX);
    let receiving = Receiving {
        mechanisms: options.mechanisms.clone(),
        iterations: options.iterations,
        management: Some(Resumable { max, location: options.location.clone() }),
        registration: options.open_registration,
        features: vec![Element::new("ver", ns::ROSTER_VERSIONING), Element::new("sub", ns::PRE_APPROVAL)],
        ..Receiving::new(domain.name(), ids.next_bytes())
    };
    let ids = IdSource::new(ids.fork());
    let (resumption, backlog, stall) = (options.resumption, options.backlog, options.stall);
    Ok(move || Hub::new(domain, credentials, receiving, ids).bounded(resumption, backlog, stall))
}

/// The server's main task.
async fn run(
    hub: SharedHub,
    listeners: Vec<(Listener, bool)>,
    tls: Rc<Tls>,
    mut inbox: UnboundedReceiver<Request>,
) {
    let mut accepting = Vec::new();
    for (listener, direct_tls) in listeners {
        accepting.push(spawn_local(accept(listener, direct_tls, Rc::clone(&tls), Rc::clone(&hub))));
    }
    while let Some(request) = inbox.recv().await {
        if !answer(&hub, request) {
            break;
        }
    }
    accepting.iter().for_each(tokio::task::JoinHandle::abort);
    hub.borrow_mut().stop();
    let deadline = Instant::now() + SHUTDOWN;
    while !hub.borrow().is_idle() && Instant::now() < deadline {
        sleep(Duration::from_millis(5)).await;
    }
    // What has been ended still writes its last words.
    sleep(Duration::from_millis(20)).await;
}

async fn accept(listener: Listener, direct_tls: bool, tls: Rc<Tls>, hub: SharedHub) {
    let listener = match tokio::net::TcpListener::from_std(listener.socket) {
        Ok(listener) => listener,
        Err(error) => return warn!(%error, "cannot listen"),
    };
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => {
                // Latency only: a socket that refuses this works all the same.
                drop(tcp.set_nodelay(true));
                spawn_local(serve(tcp, Rc::clone(&tls), Rc::clone(&hub), direct_tls));
            }
            Err(error) => {
                // Out of descriptors, or the client has gone already: others may go meanwhile.
                warn!(%error, "cannot accept");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Answers a request; `false` when the server has to stop. Whoever asked may have gone.
fn answer(shared: &SharedHub, request: Request) -> bool {
    let mut hub = shared.borrow_mut();
    match request {
        Request::Counts { answer } => {
            let counts = Counts { stored: hub.domain.stored(), ..hub.counts };
            let _ = answer.send(counts);
        }
        Request::Cut { jid, answer } => {
            let _ = answer.send(hub.order(&jid, Order::Cut));
        }
        Request::Invite { user, guest, answer } => {
            let invited = hub.invite(present(), &user, guest);
            if let Ok((session, _)) = &invited {
                spawn_local(attend(Rc::clone(shared), *session));
            }
            let _ = answer.send(invited.map(|(_, jid)| jid));
        }
        Request::Kick { jid, condition, answer } => {
            let _ = answer.send(hub.kick(present(), &jid, condition));
        }
        Request::Sessions { answer } => {
            let _ = answer.send(hub.sessions());
        }
        Request::SetPassword { user, password, answer } => {
            let _ = answer.send(hub.domain.set_password(&user, password));
        }
        Request::Stop => return false,
    }
    true
}

/// Asks a guest what it has to say, as often as it wants, until it has gone.
async fn attend(hub: SharedHub, session: SessionId) {
    loop {
        let next = hub.borrow_mut().ask_guest(present(), session);
        let Some(next) = next else { return };
        sleep_until(next.into()).await;
    }
}

fn random_seed() -> Result<Seed, ServerError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| ServerError::Start { source: error.into() })?;
    Ok(Seed(bytes))
}

/// How long streams have to end when the server stops.
const SHUTDOWN: Duration = Duration::from_secs(1);

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate { .. } => f.write_str("no certificate could be made"),
            Self::File { path, .. } => write!(f, "`{}` cannot be read or written", path.display()),
            Self::Jid { text, .. } => write!(f, "`{text}` is no address"),
            Self::Listen { addr, .. } => write!(f, "cannot listen on `{addr}`"),
            Self::NotLoopback { addr } => {
                write!(f, "`{addr}` is no loopback address: this server is not made for a network")
            }
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
            Self::File { source, .. } | Self::Listen { source, .. } | Self::Start { source } => Some(source),
            Self::Tls { source } => Some(source),
            Self::NotLoopback { .. } | Self::PortInUse { .. } => None,
        }
    }
}
