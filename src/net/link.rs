//! The connection task: one per account, one chunk in flight.
//!
//! It resolves, dials, and then reads one chunk at a time: the next only when the owner has replied to the
//! last, so that a peer that sends too fast is slowed by TCP. Writing goes on meanwhile.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::net::dial::dial;
use crate::net::error::{NetError, What};
use crate::net::host_meta::{Internet, Place, lookup};
use crate::net::resolve::endpoints;
use crate::net::tls::{SecuredInfo, TlsContext, handshake};
use crate::net::websocket::{self, Opened};
use crate::net::wire::{Command, Io, Queue, Step, Wire};
use crate::net::{Target, Transport};

/// Takes what a link has to tell. The next chunk is read only when `inbound` has resolved.
pub trait LinkOwner: Send + 'static {
    /// Something happened. `Err(Gone)` ends the link.
    fn inbound(&mut self, event: LinkEvent) -> impl Future<Output = Result<(), Gone>>;
}

/// Nobody wants the link any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// What happened to a link. `Closed` and `Failed` are the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// Bytes arrived: at most 16 KiB.
    Bytes(Bytes),
    /// The connection ended in order: the peer closed (over TLS: with its notice), or we hung up.
    Closed,
    /// The connection stands. With `direct_tls`, `Secured` follows at once.
    Connected {
        /// TLS from the first byte.
        direct_tls: bool,
        /// Over WebSocket: each piece that is transmitted is a message of its own.
        websocket: bool,
        /// The peer's address.
        peer: SocketAddr,
    },
    /// It could not be made, or broke.
    Failed {
        /// What failed.
        what: What,
        /// One sentence for the operator.
        detail: String,
        /// The certificate was refused: trying again soon will not help.
        certificate: bool,
    },
    /// The handshake has ended and the certificate is good.
    Secured(SecuredInfo),
}

/// The write queue is beyond its hard limit; the link ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow {
    /// Bytes that are queued.
    pub queued: usize,
}

/// How long things may take, and how much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkOptions {
    /// From the first DNS question to a connection (and handshake, where TLS is direct).
    pub connect: Duration,
    /// One TLS handshake.
    pub handshake: Duration,
    /// From `hang_up` to the end.
    pub hang_up: Duration,
    /// Bytes that may wait to be written.
    pub most: usize,
}

/// Commands a link. When the last clone goes, the link ends without flushing.
#[derive(Clone)]
pub struct LinkHandle {
    guard: Arc<Guard>,
}

struct Guard(Arc<Queue>);

impl LinkHandle {
    /// Queues `bytes`; says how many wait now. Above [`HIGH_MARK`] the owner should hold back. A link that has
    /// ended or hung up takes them silently: its last event says, or said, so.
    ///
    /// # Errors
    /// [`Overflow`] beyond [`LinkOptions::most`]: `bytes` are not queued, and the link fails.
    pub fn transmit(&self, bytes: Bytes) -> Result<usize, Overflow> {
        self.guard.0.push(bytes).map_err(|queued| Overflow { queued })
    }

    /// Writes what is queued, then starts TLS. What is transmitted after this goes over TLS.
    pub fn secure(&self) {
        self.guard.0.command(Command::Secure);
    }

    /// Writes what is queued, within a bounded time, then closes. `Closed` follows, or `Failed`.
    pub fn hang_up(&self) {
        self.guard.0.command(Command::HangUp);
    }

    /// Bytes that wait to be written.
    pub fn queued(&self) -> usize {
        self.guard.0.bytes()
    }

    /// Resolves when at most [`LOW_MARK`] bytes wait, or the link has ended. The future does not keep the link
    /// alive.
    pub fn drained(&self) -> impl Future<Output = ()> + Send + 'static {
        let queue = Arc::clone(&self.guard.0);
        async move { queue.drained(LOW_MARK).await }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            handshake: Duration::from_secs(20),
            hang_up: Duration::from_secs(5),
            most: 1024 * 1024,
        }
    }
}

/// Starts a link on the current thread's `LocalSet` (an actix arbiter has one).
pub fn spawn<O: LinkOwner>(target: Target, tls: Arc<TlsContext>, owner: O) -> LinkHandle {
    spawn_with(target, tls, LinkOptions::default(), owner)
}

/// As [`spawn`], with other bounds.
pub fn spawn_with<O: LinkOwner>(
    target: Target,
    tls: Arc<TlsContext>,
    options: LinkOptions,
    owner: O,
) -> LinkHandle {
    let queue = Arc::new(Queue::new(options.most));
    let handle = LinkHandle { guard: Arc::new(Guard(Arc::clone(&queue))) };
    tokio::task::spawn_local(run(target, tls, options, owner, queue));
    handle
}

/// Why a link is over, if its owner is still there to be told.
enum End {
    Closed,
    Gone,
}

async fn run<O: LinkOwner>(
    target: Target,
    tls: Arc<TlsContext>,
    options: LinkOptions,
    mut owner: O,
    queue: Arc<Queue>,
) {
    let end = tokio::select! {
        biased;
        () = queue.abandoned() => Ok(End::Gone),
        end = live(&target, &tls, options, &mut owner, &queue) => end,
        () = hang_up_expired(&queue, options.hang_up) => {
            Err(NetError::new(What::Reset, "the server did not take what was left to be written"))
        }
    };
    queue.end();
    let last = match end {
        Ok(End::Gone) => return,
        Ok(End::Closed) => LinkEvent::Closed,
        Err(NetError { what, detail }) => {
            LinkEvent::Failed { what, detail, certificate: what == What::Certificate }
        }
    };
    match owner.inbound(last).await {
        // Whether the owner still cares makes no difference any more.
        Ok(()) | Err(Gone) => {}
    }
}

async fn hang_up_expired(queue: &Queue, patience: Duration) {
    queue.hung_up().await;
    sleep(patience).await;
}

async fn live<O: LinkOwner>(
    target: &Target,
    tls: &Arc<TlsContext>,
    options: LinkOptions,
    owner: &mut O,
    queue: &Queue,
) -> Result<End, NetError> {
    let Standing { io, peer, secured, config } = tokio::select! {
        biased;
        // Nothing can be written yet, so there is nothing to wait for.
        () = queue.hung_up() => return Ok(End::Closed),
        // In a box of its own, as the upgrade below: an established connection keeps no room for how it came about.
        standing = Box::pin(connect(target, tls, options)) => standing?,
    };
    let mut wire = Wire::new(io, queue, &target.domain, LOW_MARK);
    let websocket = matches!(wire.io, Io::Web(_));
    let connected = LinkEvent::Connected { direct_tls: secured.is_some(), websocket, peer };
    let mut events = VecDeque::from([connected]);
    events.extend(secured.map(LinkEvent::Secured));
    loop {
        while let Some(event) = events.pop_front() {
            if wire.write_during(owner.inbound(event)).await == Err(Gone) {
                return Ok(End::Gone);
            }
        }
        match wire.step().await? {
            Step::Received(Some(bytes)) => events.push_back(LinkEvent::Bytes(bytes)),
            Step::Received(None) => return Box::pin(half_closed(&mut wire, options.hang_up)).await,
            Step::Command(Command::Secure) => {
                let info = Box::pin(upgrade(&mut wire, target, &config, options.handshake)).await?;
                events.push_back(LinkEvent::Secured(info));
            }
            Step::Command(Command::HangUp) => {
                // Everything is written; a peer that does not close its side in time is no failure.
                match timeout(options.hang_up / 2, Box::pin(wire.shut_down())).await {
                    Ok(()) | Err(_) => return Ok(End::Closed),
                }
            }
        }
    }
}

/// The peer has closed its direction; ours may still have something to say.
async fn half_closed(wire: &mut Wire<'_>, patience: Duration) -> Result<End, NetError> {
    let rest = async {
        wire.flush().await?;
        wire.shut_down().await;
        Ok(End::Closed)
    };
    // The peer said that it is done, so a peer that does not take the rest is no failure.
    timeout(patience, rest).await.unwrap_or(Ok(End::Closed))
}

/// A connection that can be used.
struct Standing {
    io: Io,
    peer: SocketAddr,
    secured: Option<SecuredInfo>,
    config: Arc<ClientConfig>,
}

async fn connect(target: &Target, tls: &Arc<TlsContext>, options: LinkOptions) -> Result<Standing, NetError> {
    let mut tried = Vec::new();
    match timeout(options.connect, attempt(target, tls, options, &mut tried)).await {
        Ok(result) => result,
        Err(_) => {
            let seconds = options.connect.as_secs_f32();
            let tried = if tried.is_empty() { "no address answered".to_owned() } else { tried.join("; ") };
            let detail = format!("no server could be reached within {seconds} s: {tried}");
            Err(NetError::new(What::Dial, detail))
        }
    }
}

async fn attempt(
    target: &Target,
    tls: &Arc<TlsContext>,
    options: LinkOptions,
    tried: &mut Vec<String>,
) -> Result<Standing, NetError> {
    let config = tls.client(target.ca.as_deref()).await?;
    match &target.transport {
        Transport::Tcp => over_tcp(target, config, options, tried).await,
        Transport::Web(url) => {
            let place = Place { url: url.clone(), private: true };
            over_websocket(&place, config, options).await
        }
        Transport::HostMeta => {
            let place = lookup(&target.domain, &config, &Internet).await?;
            over_websocket(&place, config, options).await
        }
        Transport::Either => {
            let patience = options.connect / 2;
            let first = timeout(patience, over_tcp(target, Arc::clone(&config), options, tried)).await;
            let unreachable = |what| matches!(what, What::Dial | What::NoService | What::Resolve);
            let error = match first {
                Ok(Err(error)) if unreachable(error.what) => error,
                Ok(result) => return result,
                Err(_) => {
                    let detail =
                        format!("no server could be reached over TCP within {} s", patience.as_secs_f32());
                    NetError::new(What::Dial, detail)
                }
            };
            tried.push(error.detail.clone());
            let place = match lookup(&target.domain, &config, &Internet).await {
                Ok(place) => place,
                // That a domain has no host-meta is no news: what matters is that its server is away.
                Err(other) => {
                    return Err(NetError { detail: format!("{}; {}", error.detail, other.detail), ..error });
                }
            };
            over_websocket(&place, config, options).await
        }
    }
}

async fn over_websocket(
    place: &Place,
    config: Arc<ClientConfig>,
    options: LinkOptions,
) -> Result<Standing, NetError> {
    let Opened { socket, peer, secured } =
        websocket::open(place, &config, &Internet, options.handshake).await?;
    Ok(Standing { io: Io::Web(Box::new(socket)), peer, secured: Some(secured), config })
}

async fn over_tcp(
    target: &Target,
    config: Arc<ClientConfig>,
    options: LinkOptions,
    tried: &mut Vec<String>,
) -> Result<Standing, NetError> {
    let mut endpoints = VecDeque::from(endpoints(target).await?);
    loop {
        let dialled = dial(&mut endpoints, tried).await?;
        let peer = dialled.peer;
        if !dialled.endpoint.direct_tls {
            return Ok(Standing { io: Io::Plain(dialled.stream), peer, secured: None, config });
        }
        let config = Arc::clone(&config);
        match handshake(
            Arc::clone(&config),
            &target.domain,
            dialled.stream,
            Some("xmpp-client"),
            options.handshake,
        )
        .await
        {
            Ok((stream, info)) => {
                return Ok(Standing { io: Io::Tls(Box::new(stream)), peer, secured: Some(info), config });
            }
            // A port that does not speak TLS is passed over, a wrong certificate is not.
            Err(error) if error.what == What::Handshake && !endpoints.is_empty() => {
                tried.push(format!("{} ({peer}): {error}", dialled.endpoint.host));
            }
            Err(error) => return Err(error),
        }
    }
}

/// STARTTLS: everything in the clear has been written; nothing in the clear may have come in beyond what the
/// owner was given.
async fn upgrade(
    wire: &mut Wire<'_>,
    target: &Target,
    config: &Arc<ClientConfig>,
    patience: Duration,
) -> Result<SecuredInfo, NetError> {
    let stream = match std::mem::replace(&mut wire.io, Io::Upgrading) {
        Io::Plain(stream) => stream,
        Io::Tls(_) | Io::Upgrading | Io::Web(_) => {
            return Err(NetError::new(What::Handshake, "TLS was asked for twice"));
        }
    };
    if early_data(&stream)? {
        return Err(NetError::new(What::DataBeforeTls, "the server sent data before the TLS handshake"));
    }
    let (stream, info) = handshake(Arc::clone(config), &target.domain, stream, None, patience).await?;
    wire.io = Io::Tls(Box::new(stream));
    Ok(info)
}

/// Bytes that wait now were sent before the peer could have seen the handshake's first message. Later ones
/// would be part of the handshake, and fail it.
fn early_data(stream: &TcpStream) -> Result<bool, NetError> {
    match stream.try_read(&mut [0]) {
        Ok(0) => Err(NetError::new(What::Reset, "the server ended the connection before the TLS handshake")),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(NetError::new(What::Reset, format!("the connection broke: {error}"))),
    }
}

/// Bytes above which the owner should hold back.
pub const HIGH_MARK: usize = 64 * 1024;

/// Bytes at which the owner may go on.
pub const LOW_MARK: usize = 16 * 1024;
