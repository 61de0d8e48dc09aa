//! The server without sockets and without a clock: its owner carries the bytes and says what time it is.
//!
//! Everything else is the server itself: hub, domain, rooms, and the receiving role of the stream.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::BytesMut;

use crate::ids::{IdSource, Seed};
use crate::jid::{BareJid, FullJid, Jid, JidError};
use crate::moment::Moment;
use crate::secret::Password;
use crate::stanza::StanzaError;
use crate::stream::fault::{Condition, StreamError};
use crate::stream::sasl::MECHANISMS;
use crate::stream::{Hangup, Keepalive, Output, Receiving, Resumable, Secured, Window};
use crate::xml::Element;

use super::credentials::Credentials;
use super::domain::{Domain, SessionId};
use super::guest::Guest;
use super::hub::{Expiry, Hub, SharedHub};
use super::link::Order;
use super::talk::Talk;

/// How long the session of a lost connection waits for its resumption.
const RESUMPTION: Duration = Duration::from_secs(300);

/// A server that does nothing by itself.
pub struct SimulatedServer {
    hub: SharedHub,
    wire: Option<Wire>,
    /// Sessions that wait for their resumption, and until when.
    expiries: Vec<(Instant, Expiry)>,
}

/// The one connection of the server.
struct Wire {
    number: u64,
    talk: Talk,
}

/// What a connection wants from who carries its bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Bytes for the client.
    pub bytes: BytesMut,
    /// The TLS handshake comes next.
    pub secure: bool,
    /// Nothing follows: hang up.
    pub hangup: bool,
    /// When the connection wants to be looked at again.
    pub due: Option<Instant>,
}

impl SimulatedServer {
    /// A server of this domain without accounts.
    ///
    /// # Errors
    /// `domain` is no domain.
    pub fn new(domain: &str, seed: Seed) -> Result<Self, JidError> {
        let mut ids = IdSource::new(seed);
        let domain = Domain::new(domain, false, ids.fork())?;
        let mut receiving = Receiving {
            mechanisms: MECHANISMS
                .iter()
                .map(|(_, mechanism)| *mechanism)
                .filter(|mechanism| mechanism.name() == "SCRAM-SHA-256")
                .collect(),
            management: Some(Resumable { max: RESUMPTION.as_secs() as u32, location: None }),
            // A simulated link does not fall silent: it is up or down.
            keepalive: Keepalive { idle: Duration::from_secs(1 << 30), answer: Duration::from_secs(20) },
            window: Window { ask_every: 1, ..Window::default() },
            ..Receiving::new(domain.name(), ids.next_bytes())
        };
        receiving.features.clear();
        let mut salt = [0; 16];
        salt.copy_from_slice(&ids.next_bytes()[..16]);
        let credentials = Credentials::new(salt, receiving.iterations);
        let hub =
            Hub::new(domain, credentials, receiving, ids).bounded(RESUMPTION, usize::MAX, Duration::MAX);
        Ok(Self { hub: Rc::new(RefCell::new(hub)), wire: None, expiries: Vec::new() })
    }

    /// Serves a further domain.
    pub fn serve(&mut self, host: &str) {
        self.hub.borrow_mut().domain.serve(host);
    }

    /// Serves rooms on a further host.
    pub fn serve_rooms(&mut self, host: &str) {
        self.hub.borrow_mut().domain.serve_rooms(host);
    }

    /// Makes an account on a domain that is served.
    ///
    /// # Errors
    /// The domain is not served, or the address has no localpart.
    pub fn open_account(&mut self, jid: BareJid, password: Password) -> Result<(), JidError> {
        self.hub.borrow_mut().domain.open_account(jid, password)
    }

    /// A person takes their place at the server.
    ///
    /// # Errors
    /// There is no such account.
    pub fn invite(
        &mut self,
        now: Moment,
        jid: &BareJid,
        guest: Box<dyn Guest>,
    ) -> Result<(SessionId, FullJid), StanzaError> {
        let mut hub = self.hub.borrow_mut();
        let key = hub.domain.key_of(jid).unwrap_or_default().to_owned();
        hub.invite(now, &key, guest)
    }

    /// A person sends a stanza.
    pub fn say(&mut self, now: Moment, session: SessionId, stanza: Element) {
        self.hub.borrow_mut().on_stanza(now, session, stanza);
    }

    /// Removes a session from a room; `false` where it is not in there.
    pub fn expel(&mut self, now: Moment, room: &BareJid, real: &FullJid, code: &'static str) -> bool {
        self.hub.borrow_mut().expel(now, room, real, code)
    }

    /// Ends the sessions of an account with a stream error. Returns how many.
    pub fn kick(&mut self, now: Moment, jid: &Jid, condition: &'static str) -> usize {
        self.hub.borrow_mut().kick(now, jid, condition)
    }

    /// A client connects; the connection before it, if any, is lost.
    pub fn connect(&mut self, now: Moment) {
        self.hangup(now);
        let (number, link) = self.hub.borrow_mut().connect(now.at, false);
        self.wire = Some(Wire { number, talk: Talk::new(link, Rc::clone(&self.hub)) });
    }

    /// The connection is lost.
    pub fn hangup(&mut self, now: Moment) {
        let Some(Wire { number, talk }) = self.wire.take() else { return };
        talk.link.stream.borrow_mut().on_hangup(now.at, Hangup::Closed);
        let expiry = self.hub.borrow_mut().disconnect(now, number, &talk.link);
        self.expiries.extend(expiry.map(|expiry| (now.at + expiry.after, expiry)));
    }

    /// Bytes of the client.
    pub fn on_bytes(&mut self, now: Moment, bytes: &[u8]) {
        if let Some(wire) = &self.wire {
            wire.talk.link.stream.borrow_mut().on_bytes(now.at, bytes);
        }
    }

    /// The handshake is done.
    pub fn on_secured(&mut self, now: Moment) {
        if let Some(wire) = &self.wire {
            wire.talk
                .link
                .stream
                .borrow_mut()
                .on_secured(now.at, Secured { tls13: true, ..Secured::default() });
        }
    }

    /// Deadlines that have come.
    pub fn on_timeout(&mut self, now: Moment) {
        if let Some(wire) = &self.wire {
            wire.talk.link.stream.borrow_mut().on_timeout(now.at);
        }
        let (due, later) = std::mem::take(&mut self.expiries).into_iter().partition(|(at, _)| *at <= now.at);
        self.expiries = later;
        let due: Vec<(Instant, Expiry)> = due;
        for (_, expiry) in due {
            self.hub.borrow_mut().expire(now, expiry.session, expiry.generation);
        }
    }

    /// When the next waiting session is given up.
    pub fn due(&self) -> Option<Instant> {
        self.expiries.iter().map(|(at, _)| *at).min()
    }

    /// Carries out what the connection has to do, up to a handshake or until it is idle.
    pub fn poll(&mut self, now: Moment) -> Carried {
        let mut carried = Carried::default();
        let Some(wire) = &mut self.wire else { return carried };
        loop {
            let output = wire.talk.link.stream.borrow_mut().poll_output();
            match output {
                Output::Transmit(bytes) => carried.bytes.extend_from_slice(&bytes),
                Output::Secure => {
                    carried.secure = true;
                    return carried;
                }
                Output::Event(event) => wire.talk.on_event(now, event),
                Output::Hangup => {
                    carried.hangup = true;
                    return carried;
                }
                Output::Idle(due) => {
                    if !wire.talk.forward(now) && !wire.obey() {
                        carried.due = due;
                        return carried;
                    }
                }
            }
        }
    }
}

impl Wire {
    /// Carries out an order of the hub; `false` where there is none.
    fn obey(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        match self.talk.link.poll_news(&mut context, false) {
            Poll::Ready(Some(Order::End(condition))) => {
                let condition = Condition::from_name(condition).unwrap_or(Condition::UndefinedCondition);
                self.talk.link.stream.borrow_mut().end(&StreamError::new(condition));
                true
            }
            // Nothing else is ordered here: there is one connection, and it is read at once.
            Poll::Ready(Some(Order::Cut | Order::Leave | Order::Overflow) | None) | Poll::Pending => false,
        }
    }
}
