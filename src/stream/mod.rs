//! One XMPP stream, RFC 6120 §4, in either role, without a socket, a clock or a task.
//!
//! Give one input (`on_…`, `send`, `close`). Then take outputs from [`Stream::poll_output`] until
//! [`Output::Idle`]. Then give the next input. Outputs stand in one queue because their order is
//! part of the protocol: these bytes, then TLS.
//!
//! [`initiating`] and [`receiving`] say in which order things are negotiated; [`phase`] draws it.
//! What both share is in [`core`]. A fault is an event: what the peer has to be told is already
//! queued before it, and [`Output::Hangup`] behind it.

pub mod fault;
pub mod management;
pub mod sasl;
mod words;

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::ids::Seed;
use crate::jid::{BareJid, FullJid};
use crate::stanza::StanzaError;
use crate::stream::fault::Fault;
use crate::stream::management::Management;
use crate::stream::sasl::Credentials;
use crate::stream::sasl::channel::Channel;
use crate::stream::sasl::choose::Preference;
use crate::stream::sasl::client::Iterations;
use crate::stream::sasl::keys::{KeyRequest, ScramKeys};
use crate::stream::sasl::server::AccountKeys;
use crate::stream::sasl::{MECHANISMS, Mechanism};
use crate::xml::{Element, Limits, WriteError};

/// One XMPP stream.
pub struct Stream {
    _core: (),
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
    /// Initiating: both sides have proved who they are. Keys worth keeping come along.
    /// Receiving: the client has proved to be `username`; `None` for ANONYMOUS: the owner makes one up.
    Authenticated { mechanism: Mechanism, keys: Option<ScramKeys>, username: Option<String> },
    /// Receiving: an IQ of XEP-0077 before login; answer with [`Stream::reply_before_login`].
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
    /// Where `handled_known`, none of them has arrived; otherwise each may have.
    Lost { stanzas: Vec<(Ticket, Element)>, handled_known: bool },
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
    /// How we logged in.
    pub mechanism: Mechanism,
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
    /// The stream is not online.
    Offline,
    /// The stanza is larger than the peer accepts; sending it would end the stream.
    TooLarge { bytes: usize, limit: usize },
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
    /// What the account proves itself with.
    pub credentials: Credentials,
    /// Keys of an earlier login.
    pub keys: Option<ScramKeys>,
    /// TLS comes first, XEP-0368; otherwise STARTTLS.
    pub direct_tls: bool,
    /// How much channel binding is wanted.
    pub channel_binding: Preference,
    /// The account has used SCRAM before: never PLAIN again.
    pub used_scram: bool,
    /// The account has used channel binding before: never without again.
    pub used_plus: bool,
    /// The operator lets the account send its password, over verified TLS.
    pub allow_plain: bool,
    /// Iterations a server may ask for.
    pub iterations: Iterations,
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

/// When silence is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence after which the peer is asked for a sign of life; drawn from ±20 % of this.
    pub idle: Duration,
    /// How long it may take to give one.
    pub answer: Duration,
}

/// How much may be unacknowledged, and when an acknowledgement is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Stanzas; more are refused with [`NotReady::Full`].
    pub stanzas: usize,
    /// Bytes; a single stanza always fits.
    pub bytes: usize,
    /// Ask after this many stanzas.
    pub ask_every: u32,
    /// Ask this long after the first stanza that was not asked for.
    pub ask_after: Duration,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self { idle: Duration::from_secs(60), answer: Duration::from_secs(20) }
    }
}

impl Default for Window {
    /// 128 KiB take a server that reads 10 kB/s (a common default) 13 s: less than `answer`.
    fn default() -> Self {
        Self { stanzas: 256, bytes: 128 * 1024, ask_every: 16, ask_after: Duration::from_secs(1) }
    }
}

impl Initiating {
    /// An account with a password and the usual settings.
    pub fn new(jid: BareJid, credentials: Credentials) -> Self {
        Self {
            jid,
            resource: None,
            credentials,
            keys: None,
            direct_tls: false,
            channel_binding: Preference::default(),
            used_scram: false,
            used_plus: false,
            allow_plain: false,
            iterations: Iterations::default(),
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

impl Secured {
    fn channel(&self) -> Channel {
        Channel {
            exporter: self.exporter.clone(),
            end_point: self.end_point.clone(),
            verified: self.verified,
            version: Some(if self.tls13 { 0x0304 } else { 0x0303 }),
        }
    }
}

impl Stream {
    /// The end that connects. Its first bytes are due at once, or after `on_secured` with direct TLS.
    pub fn initiating(_config: Initiating, _seed: Seed, _now: Instant) -> Self {
        unimplemented!()
    }

    /// The end that was connected to.
    pub fn receiving(_config: Receiving, _seed: Seed, _now: Instant) -> Self {
        unimplemented!()
    }

    /// Bytes have arrived, in the clear before `on_secured` and decrypted after it.
    pub fn on_bytes(&mut self, _now: Instant, _bytes: &[u8]) {
        unimplemented!()
    }

    /// The handshake that [`Output::Secure`] asked for, or that came first with direct TLS, is done.
    pub fn on_secured(&mut self, _now: Instant, _tls: Secured) {
        unimplemented!()
    }

    /// The transport has ended.
    pub fn on_hangup(&mut self, __now: Instant, _cause: Hangup) {
        unimplemented!()
    }

    /// The moment of [`Output::Idle`] has come. Calling it early does nothing.
    pub fn on_timeout(&mut self, _now: Instant) {
        unimplemented!()
    }

    /// Initiating: the keys that [`StreamEvent::DeriveKeys`] asked for.
    pub fn on_keys(&mut self, _now: Instant, _keys: ScramKeys) {
        unimplemented!()
    }

    /// Receiving: what is known of the account that [`StreamEvent::Authenticate`] named.
    pub fn on_account(&mut self, _now: Instant, _account: Option<AccountKeys>) {
        unimplemented!()
    }

    /// Receiving: the address that [`StreamEvent::Bind`] asked for, or why not.
    pub fn on_bound(&mut self, _now: Instant, _answer: Result<FullJid, StanzaError>) {
        unimplemented!()
    }

    /// Receiving: the session that [`StreamEvent::Resume`] asked for, as its last stream gave it up;
    /// or, where it is gone, how many stanzas it had handled, if that is still known.
    pub fn on_resume(&mut self, _now: Instant, _answer: Result<Management, Option<u32>>) {
        unimplemented!()
    }

    /// Receiving: the answer to [`StreamEvent::BeforeLogin`].
    pub fn reply_before_login(&mut self, __now: Instant, _answer: &Element) {
        unimplemented!()
    }

    /// Sends a stanza. Under stream management it is kept until the peer has acknowledged it.
    pub fn send(&mut self, _now: Instant, _stanza: Element) -> Result<Ticket, NotReady> {
        unimplemented!()
    }

    /// Inbound stanzas up to number `handled` are safe. The peer is never told of more than this.
    pub fn acknowledge(&mut self, _now: Instant, handled: u32) {
        unimplemented!()
    }

    /// Ends the stream in order: what is queued goes out, what is unacknowledged is waited for a
    /// little, then `</stream:stream>` in both directions. [`StreamEvent::Closed`] tells the end.
    pub fn close(&mut self, _now: Instant) {
        unimplemented!()
    }

    /// Takes out what resumption needs, after a fault or instead of closing. A stream that was
    /// online tells the peer what is safe and hangs up without `</stream:stream>`, so that the
    /// session stays. `None` where there was no session and nothing is unacknowledged.
    pub fn abandon(&mut self) -> Option<Management> {
        unimplemented!()
    }

    /// Whether stanzas may be sent.
    pub fn is_online(&self) -> bool {
        unimplemented!()
    }

    /// The session under stream management, where there is one.
    pub fn management(&self) -> Option<&Management> {
        unimplemented!()
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Output {
        unimplemented!()
    }
}
