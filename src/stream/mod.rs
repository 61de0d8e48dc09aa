//! One XMPP stream, RFC 6120 §4, in either role, without a socket, a clock or a task.
//!
//! Give one input (`on_…`, `send`, `close`). Then take outputs from [`Stream::poll_output`] until
//! [`Output::Idle`]. Then give the next input. Outputs stand in one queue because their order is
//! part of the protocol: these bytes, then TLS.
//!
//! [`initiating`] and [`receiving`] say in which order things are negotiated; [`phase`] draws it.
//! What both share is in [`core`]. A fault is an event: what the peer has to be told is already
//! queued before it, and [`Output::Hangup`] behind it.

mod acks;
mod auth;
mod bind;
mod bind2;
mod bounds;
pub mod component;
mod core;
mod ending;
mod fast;
pub mod fault;
mod features;
pub mod framing;
mod header;
mod initiating;
mod inline;
mod keepalive;
pub mod management;
mod output;
pub mod phase;
mod receiving;
mod registering;
pub mod sasl;
mod sasl2;
mod stand_in;
mod starttls;
mod timer;
mod words;

use std::time::Instant;

use bytes::Bytes;

use crate::ids::Seed;
use crate::jid::{BareJid, FullJid};
use crate::stanza::StanzaError;
use crate::stream::component::Handshake;
use crate::stream::core::Core;
use crate::stream::fault::{Fault, What};
use crate::stream::framing::Framing;
use crate::stream::initiating::Initiator;
use crate::stream::management::Management;
use crate::stream::phase::Phase;
use crate::stream::receiving::Receiver;
use crate::stream::sasl::Credentials;
use crate::stream::sasl::choose::Preference;
use crate::stream::sasl::client::Iterations;
use crate::stream::sasl::keys::{KeyRequest, ScramKeys};
use crate::stream::sasl::server::AccountKeys;
use crate::stream::sasl::token::{Token, TokenLogin};
use crate::stream::sasl::{MECHANISMS, Mechanism};
use crate::stream::timer::Timer;
use crate::xml::{Element, Frame, Limits, Reader, WriteError};

pub use crate::stream::bounds::{Keepalive, Window};

/// One XMPP stream.
pub struct Stream {
    core: Core,
    role: Role,
}

/// What is left to negotiate, and for whom. Gone once the stream is online.
enum Role {
    Component(Option<Box<Handshake>>),
    /// One address behind a component: its owner gives stanzas and takes bytes.
    Hosted(FullJid),
    Initiating(Option<Box<Initiator>>),
    Receiving(Box<Receiver>),
}

/// What the owner has to do, in this order.
#[derive(Debug)]
pub enum Output {
    /// Write these bytes.
    Transmit(Bytes),
    /// Flush, then start TLS as this side of the handshake; answer with [`Stream::on_secured`].
    Secure,
    /// Something the owner wants to know.
    Event(StreamEvent),
    /// Close the transport; nothing follows.
    Hangup,
    /// Nothing left to do before this moment, or before the next input.
    Idle(Option<Instant>),
}

/// What happened on the stream.
#[derive(Debug)]
pub enum StreamEvent {
    /// The peer has received the stanzas up to this ticket.
    Acked { up_to: u64 },
    /// Receiving: somebody logs in; answer with [`Stream::on_account`].
    Authenticate(AuthRequest),
    /// Initiating: both sides have proved who they are. Keys and a token worth keeping come along.
    /// Receiving: the client has proved to be `username`; `None` for ANONYMOUS: the owner makes one up.
    Authenticated {
        mechanism: Mechanism,
        keys: Option<ScramKeys>,
        token: Option<Token>,
        username: Option<String>,
    },
    /// An IQ of XEP-0077 before login; answer with [`Stream::say_before_login`].
    BeforeLogin(Element),
    /// Receiving: the client wants this resource; answer with [`Stream::on_bound`].
    Bind { resource: Option<String> },
    /// The stream has ended in order.
    Closed,
    /// Initiating: derive these keys away from this thread; answer with [`Stream::on_keys`].
    DeriveKeys(KeyRequest),
    /// Receiving: the client enabled stream management; `id` where the session can be resumed.
    Enabled { id: Option<String>, max: Option<u32> },
    /// The stream has ended otherwise.
    Fault(Fault),
    /// Initiating, directly behind [`StreamEvent::Online`]: an earlier session could not be resumed.
    /// These stanzas of it, oldest first, were never acknowledged; tickets are those of that session.
    /// With `handled`, the peer has received so many of the session and none of these; otherwise each may have arrived.
    Lost { stanzas: Vec<(Ticket, Element)>, handled: Option<u32> },
    /// Initiating: the stream is encrypted, and the registration may begin; whether the server says that it takes any.
    MayRegister { announced: bool },
    /// Initiating: stanzas may flow.
    Online(Box<Online>),
    /// Receiving: the client wants its session back; answer with [`Stream::on_resume`].
    Resume { id: String, handled: u32 },
    /// A message, presence or iq. `number` is what [`Stream::acknowledge`] takes, modulo 2^32;
    /// `None` where the peer does not count it.
    Stanza { number: Option<u32>, element: Element },
}

/// A session under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Online {
    /// The address the server gave us.
    pub jid: FullJid,
    /// Whether this is the session of before: roster, presence and rooms are as they were.
    pub resumed: bool,
    /// The features that the server announced after login.
    pub features: Element,
    /// Whether stanzas are acknowledged, XEP-0198.
    pub sm: bool,
    /// Seconds for which the server keeps the session after a loss, where it says so.
    pub resume_max: Option<u32>,
    /// How many stanzas of ours the server has of this session, modulo 2^32.
    pub peer_handled: u32,
    /// How we logged in.
    pub mechanism: Mechanism,
    /// Whether copies of what other resources send and receive are on already, XEP-0280.
    pub carbons: bool,
}

/// Somebody logs in, RFC 6120 §6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthRequest {
    /// The localpart of the account, prepared.
    pub username: String,
    /// The mechanism in use.
    pub mechanism: Mechanism,
}

/// The number of an outgoing stanza in its session, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Why a stanza was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// Too much is unacknowledged; there is room after the next [`StreamEvent::Acked`].
    Full,
    /// It is no message, presence or iq.
    NotStanza,
    /// The stream is not online.
    Offline,
    /// The stanza is larger than the peer accepts; sending it would end the stream.
    TooLarge { bytes: usize, limit: usize },
    /// It names no recipient, and nobody adds one on a component's stream.
    Unaddressed,
    /// It cannot be written as XML.
    Unwritable(WriteError),
}

/// How the transport ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hangup {
    /// The peer closed the connection.
    Closed,
    /// No connection came about.
    ConnectFailed { detail: String },
    /// The connection broke.
    Reset { detail: String },
    /// The TLS handshake failed; `certificate` where the peer's certificate is to blame.
    TlsFailed { detail: String, certificate: bool },
}

/// A finished TLS handshake.
#[derive(Clone, Debug, Default)]
pub struct Secured {
    /// `EXPORTER-Channel-Binding`, 32 bytes, RFC 9266; `None` where it is not defined.
    pub exporter: Option<Vec<u8>>,
    /// `tls-server-end-point`, RFC 5929 §4; `None` where it is not defined.
    pub end_point: Option<Vec<u8>>,
    /// Initiating: the certificate was verified and names the account's domain.
    pub verified: bool,
    /// Whether the version is 1.3 and not 1.2.
    pub tls13: bool,
    /// Receiving: the localpart that the client's certificate proves, for EXTERNAL.
    pub peer_identity: Option<String>,
}

/// What the initiating entity needs to know.
#[derive(Clone, Debug)]
pub struct Initiating {
    /// The account. With ANONYMOUS only its domain counts.
    pub jid: BareJid,
    /// The resource to ask for; the server chooses where `None`.
    pub resource: Option<String>,
    /// What a server that knows Bind 2 makes a resource of, instead of `resource`: neither host nor person, XEP-0386 §3.2.
    pub tag: Option<String>,
    /// Ask for carbons where that goes along with the login, XEP-0386.
    pub carbons: bool,
    /// What the account proves itself with.
    pub credentials: Credentials,
    /// Keys of an earlier login.
    pub keys: Option<ScramKeys>,
    /// A token to log in with instead, where the server takes it, XEP-0484.
    pub token: Option<TokenLogin>,
    /// Ask for a token along with a login by password.
    pub want_token: bool,
    /// TLS comes first, XEP-0368; otherwise STARTTLS.
    pub direct_tls: bool,
    /// How the stream stands on its transport. Over WebSocket, TLS comes first.
    pub framing: Framing,
    /// How much channel binding is wanted.
    pub channel_binding: Preference,
    /// The account has used SCRAM before: never PLAIN again.
    pub used_scram: bool,
    /// The account has used channel binding before: never without again.
    pub used_plus: bool,
    /// The operator lets the account send its password, over verified TLS.
    pub allow_plain: bool,
    /// A UUID of this installation and account, which SASL2 tells the server: the same at each login, and never that
    /// of another process, XEP-0388 §2.4.
    pub user_agent: Option<String>,
    /// Iterations a server may ask for.
    pub iterations: Iterations,
    /// Nobody logs in: an account is registered, XEP-0077.
    pub register: bool,
    /// A session to resume, or to report as lost.
    pub resume: Option<Management>,
    /// `xml:lang` of the stream.
    pub lang: String,
    /// Bounds of inbound elements once logged in.
    pub limits: Limits,
    /// When silence is checked.
    pub keepalive: Keepalive,
    /// How much may be unacknowledged.
    pub window: Window,
}

/// What the receiving entity needs to know.
#[derive(Clone, Debug)]
pub struct Receiving {
    /// The one domain served.
    pub domain: String,
    /// TLS comes first, XEP-0368; otherwise STARTTLS.
    pub direct_tls: bool,
    /// Offered in this order; `-PLUS` only where TLS has binding data.
    pub mechanisms: Vec<Mechanism>,
    /// Makes up the salts of accounts that do not exist; the same for the life of the server.
    pub secret: [u8; 32],
    /// PBKDF2 iterations of such accounts: those of real ones.
    pub iterations: u32,
    /// Offer stream management; resumption for as many seconds as it says.
    pub management: Option<Resumable>,
    /// Offer registration before login, XEP-0077.
    pub registration: bool,
    /// Further features to announce after login.
    pub features: Vec<Element>,
    /// `xml:lang` of the stream.
    pub lang: String,
    /// Bounds of inbound elements once the client has logged in.
    pub limits: Limits,
    /// When silence is checked.
    pub keepalive: Keepalive,
    /// How much may be unacknowledged.
    pub window: Window,
}

/// What a server grants under stream management.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resumable {
    /// Seconds for which a lost session is kept; 0: acknowledgements only.
    pub max: u32,
    /// Where to resume, if not at the usual place.
    pub location: Option<String>,
}

impl Initiating {
    /// An account with a password and the usual settings.
    pub fn new(jid: BareJid, credentials: Credentials) -> Self {
        Self {
            jid,
            resource: None,
            tag: None,
            carbons: false,
            credentials,
            keys: None,
            token: None,
            want_token: false,
            direct_tls: false,
            framing: Framing::Document,
            channel_binding: Preference::default(),
            used_scram: false,
            used_plus: false,
            allow_plain: false,
            user_agent: None,
            iterations: Iterations::default(),
            register: false,
            resume: None,
            lang: "en".to_owned(),
            limits: Limits::DEFAULT,
            keepalive: Keepalive::default(),
            window: Window::default(),
        }
    }
}

impl Receiving {
    /// A domain with every mechanism but EXTERNAL and ANONYMOUS, and the usual settings.
    pub fn new(domain: impl Into<String>, secret: [u8; 32]) -> Self {
        let usual = |mechanism: &Mechanism| mechanism.is_scram() || *mechanism == Mechanism::Plain;
        Self {
            domain: domain.into(),
            direct_tls: false,
            mechanisms: MECHANISMS.iter().map(|(_, mechanism)| *mechanism).filter(usual).collect(),
            secret,
            iterations: 4096,
            management: Some(Resumable { max: 300, location: None }),
            registration: false,
            features: Vec::new(),
            lang: "en".to_owned(),
            limits: Limits::DEFAULT,
            keepalive: Keepalive::default(),
            window: Window { stanzas: 5_000, bytes: 4 << 20, ..Window::default() },
        }
    }
}

impl Stream {
    /// The end that connects. Its first bytes are due at once, or after `on_secured` with direct TLS.
    pub fn initiating(config: Initiating, seed: Seed, now: Instant) -> Self {
        let mut core = Core::new(false, seed, now, config.limits, config.keepalive, config.window);
        core.framing = config.framing;
        core.framer = core.framing.framer(Limits::BEFORE_LOGIN);
        let initiator = Initiator::begin(config, &mut core, now);
        Self { core, role: Role::Initiating(Some(Box::new(initiator))) }
    }

    /// The end that was connected to.
    pub fn receiving(config: Receiving, seed: Seed, now: Instant) -> Self {
        let mut core = Core::new(true, seed, now, config.limits, config.keepalive, config.window);
        let receiver = Receiver::begin(config, &mut core, now);
        Self { core, role: Role::Receiving(Box::new(receiver)) }
    }

    /// Bytes have arrived, in the clear before `on_secured` and decrypted after it.
    pub fn on_bytes(&mut self, now: Instant, bytes: &[u8]) {
        if self.core.take_bytes(now, bytes) {
            self.read(now);
        }
    }

    /// The handshake that [`Output::Secure`] asked for, or that came first with direct TLS, is done.
    pub fn on_secured(&mut self, now: Instant, tls: Secured) {
        // At any other time it is the answer to a question that the stream has given up since.
        if self.core.phase == Phase::AwaitSecured {
            self.core.trusted = tls.verified;
            match &mut self.role {
                Role::Initiating(Some(initiator)) => initiator.on_secured(&mut self.core, now, tls),
                Role::Component(_) | Role::Hosted(_) | Role::Initiating(None) => {}
                Role::Receiving(receiver) => receiver.on_secured(&mut self.core, now, tls),
            }
        }
    }

    /// The transport has ended.
    pub fn on_hangup(&mut self, _now: Instant, cause: Hangup) {
        self.core.on_hangup(cause);
    }

    /// The moment of [`Output::Idle`] has come. Calling it early does nothing.
    pub fn on_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.core.timers.take_due(now) {
            match timer {
                Timer::Answer => self.core.say_handled(now),
                Timer::Ask => self.core.ask(now),
                Timer::Dead | Timer::Overdue => self.core.on_dead(),
                Timer::Idle => self.core.on_idle(now),
                Timer::Step => self.core.on_step_overdue(now),
            }
        }
    }

    /// The owner stops giving bytes although there may be some: until [`Stream::on_reading_again`]
    /// silence does not end the stream. The peer may still be asked for a sign of life.
    pub fn on_reading_paused(&mut self) {
        self.core.paused = true;
    }

    /// The owner reads again after [`Stream::on_reading_paused`]: silence counts from now.
    pub fn on_reading_again(&mut self, now: Instant) {
        self.core.on_reading_again(now);
    }

    /// Initiating: the keys that [`StreamEvent::DeriveKeys`] asked for.
    pub fn on_keys(&mut self, now: Instant, keys: ScramKeys) {
        if let (Phase::AwaitKeys, Role::Initiating(Some(initiator))) = (self.core.phase, &mut self.role) {
            initiator.on_keys(&mut self.core, now, keys);
            self.read(now);
        }
    }

    /// Receiving: what is known of the account that [`StreamEvent::Authenticate`] named.
    pub fn on_account(&mut self, now: Instant, account: Option<AccountKeys>) {
        if let (Phase::AwaitAccount, Role::Receiving(receiver)) = (self.core.phase, &mut self.role) {
            receiver.on_account(&mut self.core, now, account.as_ref());
            self.read(now);
        }
    }

    /// Receiving: the address that [`StreamEvent::Bind`] asked for, or why not.
    pub fn on_bound(&mut self, now: Instant, answer: Result<FullJid, StanzaError>) {
        if let (Phase::AwaitAddress, Role::Receiving(receiver)) = (self.core.phase, &mut self.role) {
            receiver.on_bound(&mut self.core, now, answer);
            self.read(now);
        }
    }

    /// Receiving: the session that [`StreamEvent::Resume`] asked for, as its last stream gave it up;
    /// or, where it is gone, how many stanzas it had handled, if that is still known.
    pub fn on_resume(&mut self, now: Instant, answer: Result<Management, Option<u32>>) {
        if let (Phase::AwaitRevival, Role::Receiving(receiver)) = (self.core.phase, &mut self.role) {
            receiver.on_resume(&mut self.core, now, answer);
            self.read(now);
        }
    }

    /// Sends a stanza. Under stream management it is kept until the peer has acknowledged it.
    pub fn send(&mut self, now: Instant, mut stanza: Element) -> Result<Ticket, NotReady> {
        if let Role::Hosted(own) = &self.role {
            component::stamp(&mut stanza, own)?;
        }
        self.core.send(now, &stanza)
    }

    /// Inbound stanzas up to number `handled` are safe. The peer is never told of more than this.
    pub fn acknowledge(&mut self, now: Instant, handled: u32) {
        self.core.acknowledge(now, handled);
    }

    /// Whether [`Stream::send`] would answer [`NotReady::Full`].
    pub fn is_full(&self) -> bool {
        self.core.is_full()
    }

    /// Whether stanzas may be sent.
    pub fn is_online(&self) -> bool {
        self.core.phase.is_online()
    }

    /// The session under stream management, where there is one.
    pub fn management(&self) -> Option<&Management> {
        self.core.session.as_deref()
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Output {
        match self.core.outputs.pop() {
            Some(output) => output,
            None => Output::Idle(self.core.timers.next()),
        }
    }

    /// Reads frames until there is no whole one left or the owner has to say something first.
    fn read(&mut self, now: Instant) {
        while self.core.phase.reads() {
            let stands_in = self.core.phase.takes_stanzas() && !self.core.receiving;
            let limits = self.core.limits;
            let frame = match self.core.framer.next_frame() {
                Ok(None) => break,
                Ok(Some(Frame::Whitespace)) => continue,
                Ok(Some(Frame::StreamOpen(text))) => Reader::header(text)
                    .map(|(reader, header)| Piece::Header((reader.with_limits(limits), header))),
                Ok(Some(Frame::Element(text))) => {
                    let (known, framing) = (self.core.reader.as_ref(), self.core.framing);
                    match framing::piece(text, known, framing, limits, stands_in) {
                        Some(piece) => piece,
                        None => break,
                    }
                }
                Ok(Some(Frame::StreamClose)) => Ok(Piece::Close),
                Err(error) => Err(error),
            };
            match frame {
                Ok(piece) => self.on_piece(now, piece),
                Err(error) => self.fault(What::Xml(error)),
            }
        }
    }

    fn on_piece(&mut self, now: Instant, piece: Piece) {
        if let Some(problem) = self.core.disorder(&piece) {
            return self.fault(What::HeaderInvalid { problem });
        }
        match (piece, &mut self.role) {
            (Piece::Close, _) => self.core.on_close(),
            (Piece::Header((reader, header)), Role::Initiating(Some(initiator))) => {
                initiator.on_header(&mut self.core, now, reader, &header);
            }
            (Piece::Header((reader, header)), Role::Receiving(receiver)) => {
                receiver.on_header(&mut self.core, now, reader, &header);
            }
            (Piece::Header((reader, header)), Role::Component(Some(handshake))) => {
                handshake.on_header(&mut self.core, now, reader, &header);
            }
            (Piece::Header(_), Role::Component(None) | Role::Hosted(_) | Role::Initiating(None)) => {}
            (Piece::Element(element), role) if self.core.phase.takes_stanzas() => {
                if let Some(element) = self.core.on_element_online(now, element) {
                    match role {
                        Role::Component(_) | Role::Hosted(_) | Role::Initiating(_) => {
                            self.core.unexpected(&element)
                        }
                        Role::Receiving(receiver) => receiver.on_element_online(&mut self.core, element),
                    }
                }
            }
            (Piece::Element(element), Role::Initiating(Some(initiator))) => {
                initiator.on_element(&mut self.core, now, element);
            }
            (Piece::Element(element), Role::Receiving(receiver)) => {
                receiver.on_element(&mut self.core, now, element);
            }
            (Piece::Element(element), Role::Component(Some(handshake))) => {
                handshake.on_element(&mut self.core, now, element);
            }
            (Piece::Element(_), Role::Component(None) | Role::Hosted(_) | Role::Initiating(None)) => {}
        }
        if self.core.phase.takes_stanzas() {
            // Passwords and features are of no more use.
            match &mut self.role {
                Role::Component(handshake) => *handshake = None,
                Role::Initiating(initiator) => *initiator = None,
                Role::Hosted(_) | Role::Receiving(_) => {}
            }
        }
    }

    fn fault(&mut self, what: What) {
        if let Role::Receiving(receiver) = &mut self.role {
            // RFC 6120 §4.9.1.2: an error needs a stream to stand in.
            receiver.open(&mut self.core);
        }
        self.core.fault(what);
    }
}

/// One frame, parsed.
enum Piece {
    Header((Reader, crate::xml::StreamHeader)),
    Element(Element),
    Close,
}
