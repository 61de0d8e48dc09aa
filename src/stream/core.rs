//! What both roles share: the inbound and outbound side, the session, and every way a stream ends.

use std::time::Instant;

use crate::ids::{IdSource, Seed};
use crate::ns;
use crate::stream::acks::Pace;
use crate::stream::bind;
use crate::stream::fault::{Circumstances, Fault, Side, StreamError, What};
use crate::stream::framing::Framing;
use crate::stream::management::{self, Management};
use crate::stream::output::Outputs;
use crate::stream::phase::Phase;
use crate::stream::timer::{Timer, Timers};
use crate::stream::{Hangup, Keepalive, NotReady, Output, StreamEvent, Ticket, Window};
use crate::xml::{Element, Framer, Limits, Reader, writer};

/// The part of a stream that does not depend on its role.
pub(super) struct Core {
    pub receiving: bool,
    pub phase: Phase,
    /// How the stream stands on its transport.
    pub framing: Framing,
    pub framer: Framer,
    /// There once the other side's header was read.
    pub reader: Option<Reader>,
    pub ids: IdSource,
    pub timers: Timers,
    pub outputs: Outputs,
    /// The session under management: of this stream if `managed`, else an earlier one.
    pub session: Option<Box<Management>>,
    pub managed: bool,
    /// The session stays with the peer when the stream ends.
    pub suspends: bool,
    pub pace: Pace,
    /// Stanzas sent while nothing was managed.
    tickets: u64,
    pub keepalive: Keepalive,
    pub window: Window,
    /// Bounds of inbound elements after login.
    pub limits: Limits,
    /// Bytes of the largest outbound stanza.
    pub stanza_limit: usize,
    /// The peer's certificate was verified.
    pub trusted: bool,
    /// Our header of the current stream is out, so an error may follow.
    pub header_sent: bool,
    /// When something last arrived.
    pub heard: Instant,
    /// Features may still come although stanzas flow: a server may send them behind an inline resumption.
    pub late_features: bool,
    /// The proof of a login is out that resumes the session along with it.
    pub resuming: bool,
    /// The owner has stopped reading by itself: silence is not the peer's.
    pub paused: bool,
}

/// What becomes of white space between STARTTLS and the handshake, where RFC 6120 §5.3.3 allows none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blanks {
    /// It is thrown away, and never reaches the secured stream.
    Dropped,
    /// It ends the stream like any other byte.
    Refused,
}

impl Core {
    pub fn new(
        receiving: bool,
        seed: Seed,
        now: Instant,
        limits: Limits,
        keepalive: Keepalive,
        window: Window,
    ) -> Self {
        Self {
            receiving,
            phase: Phase::AwaitSecured,
            framing: Framing::Document,
            framer: Framer::new(Limits::BEFORE_LOGIN),
            reader: None,
            ids: IdSource::new(seed),
            timers: Timers::default(),
            outputs: Outputs::default(),
            session: None,
            managed: false,
            suspends: false,
            pace: Pace::default(),
            tickets: 0,
            keepalive,
            window,
            limits,
            stanza_limit: usize::MAX,
            trusted: false,
            header_sent: false,
            heard: now,
            late_features: false,
            resuming: false,
            paused: false,
        }
    }

    /// Goes on to what is awaited next and sets its deadline.
    pub fn await_next(&mut self, now: Instant, phase: Phase) {
        self.phase = phase;
        match phase.patience() {
            Some(patience) => self.timers.set(Timer::Step, now + patience),
            None => self.timers.clear(Timer::Step),
        }
    }

    /// Takes in what arrived; `false` where there is nothing to read.
    pub fn take_bytes(&mut self, now: Instant, bytes: &[u8]) -> bool {
        if bytes.is_empty() || self.phase == Phase::Ended {
            return false;
        }
        if self.phase == Phase::AwaitSecured {
            // RFC 6120 §5.4.3.3: nothing may stand between `<proceed/>` and the handshake.
            self.fault(What::TlsInjected);
            return false;
        }
        self.heard = now;
        self.timers.clear(Timer::Dead);
        if !self.phase.reads() && self.framer.buffered() + bytes.len() > self.limits.bytes.min(AHEAD) {
            self.fault(What::TooMuchAhead);
            return false;
        }
        self.framer.push(bytes);
        true
    }

    /// Asks for TLS. What already lies behind the last frame was sent by somebody in between; only white
    /// space is dropped where `blanks` says so.
    pub fn secure(&mut self, now: Instant, blanks: Blanks) {
        self.outputs.push(Output::Secure);
        self.await_next(now, Phase::AwaitSecured);
        let behind = self.framer.behind();
        let tolerable = match blanks {
            Blanks::Dropped => behind.iter().all(u8::is_ascii_whitespace),
            Blanks::Refused => behind.is_empty(),
        };
        if !tolerable {
            self.fault(What::TlsInjected);
        }
        self.forget_stream(self.framing.framer(Limits::BEFORE_LOGIN));
    }

    /// The stream restarts after login, on the same channel, RFC 6120 §6.4.6.
    pub fn restart(&mut self) {
        self.forget_stream(self.framer.restart(self.limits.of_bytes()));
    }

    /// The stream goes on after a login by SASL2, with the bounds of one that has logged in.
    pub fn keep_on(&mut self) {
        self.framer.set_limits(self.limits.of_bytes());
    }

    fn forget_stream(&mut self, framer: Framer) {
        self.framer = framer;
        self.reader = None;
        self.header_sent = false;
    }

    /// Writes our stream header, in one piece with what follows.
    pub fn say_header_of(&mut self, header: &Element, content_ns: &str) {
        match writer::write_open(header, content_ns, self.outputs.bytes()) {
            Ok(()) => self.header_sent = true,
            Err(error) => self.fault(What::Unwritable { error }),
        }
    }

    /// Writes a stanza, and keeps it where it is managed.
    pub fn send(&mut self, now: Instant, stanza: &Element) -> Result<Ticket, NotReady> {
        if !self.phase.is_online() {
            return Err(NotReady::Offline);
        }
        if !is_stanza(stanza) {
            return Err(NotReady::NotStanza);
        }
        if self.is_full() {
            self.ask(now);
            return Err(NotReady::Full);
        }
        let (size, kept) = self.write_stanza(stanza).map_err(NotReady::Unwritable)?;
        if size > self.stanza_limit {
            self.unwrite(&kept);
            return Err(NotReady::TooLarge { bytes: size, limit: self.stanza_limit });
        }
        let Some(session) = self.session.as_mut().filter(|_| self.managed) else {
            self.written();
            self.tickets += 1;
            return Ok(Ticket(self.tickets));
        };
        let ticket = session.next_ticket();
        let held = self.phase == Phase::AwaitProbe;
        session.push(kept.text(self.outputs.bytes()), held);
        if held {
            self.unwrite(&kept);
        } else {
            self.written();
            self.count_sent(now);
        }
        Ok(Ticket(ticket))
    }

    pub fn is_full(&self) -> bool {
        self.session.as_ref().filter(|_| self.managed).is_some_and(|session| {
            session.unacked_len() >= self.window.stanzas || session.unacked_bytes() >= self.window.bytes
        })
    }

    /// The ticket of the next stanza of a session that begins now.
    pub fn next_ticket(&self) -> u64 {
        self.tickets + 1
    }

    /// An element while stanzas flow; given back where it is neither a stanza nor ours to know.
    pub fn on_element_online(&mut self, now: Instant, element: Element) -> Option<Element> {
        if is_stanza(&element) {
            self.deliver(element);
        } else if element.is("error", ns::STREAM) {
            self.fault(What::StreamError(StreamError::from_element(&element)));
        } else if element.is("features", ns::STREAM) && std::mem::take(&mut self.late_features) {
            // They say what a stream can that is gone on with.
        } else if self.managed && element.is("r", ns::SM) {
            self.on_request(now);
        } else if self.managed && element.is("a", ns::SM) {
            match management::h(&element) {
                Some(handled) => self.on_answer(now, handled),
                None => self.unexpected(&element),
            }
        } else {
            return Some(element);
        }
        None
    }

    fn deliver(&mut self, element: Element) {
        if self.managed && self.phase == Phase::AwaitClose {
            // It can no longer be acknowledged: the peer keeps it, and would deliver it once more.
            return;
        }
        let number = match self.session.as_mut().filter(|_| self.managed) {
            Some(session) => match session.count_inbound() {
                Some(number) => Some(number),
                // Repeated after a resumption, and the owner holds it.
                None => return,
            },
            None if self.receiving && bind::asks_session(&element) => {
                return self.say(&bind::iq("result", element.attr("id").unwrap_or_default()));
            }
            None => None,
        };
        self.outputs.event(StreamEvent::Stanza { number, element });
    }

    /// Ends the stream over an element that has no place here.
    pub fn unexpected(&mut self, element: &Element) {
        let name = element.name().to_owned();
        self.fault(if is_stanza(element) {
            What::UnexpectedStanza { name }
        } else {
            What::UnexpectedElement { name, ns: element.ns().to_owned() }
        });
    }

    /// The other side closed its half, RFC 6120 §4.4.
    pub fn on_close(&mut self) {
        if self.phase == Phase::AwaitClose {
            self.end_in_order();
        } else if self.receiving {
            self.say_end();
            self.end_in_order();
        } else {
            self.fault(What::StreamClosed);
        }
    }

    pub fn on_hangup(&mut self, cause: Hangup) {
        match cause {
            _ if self.phase == Phase::Ended => {}
            _ if self.phase == Phase::AwaitClose => self.end_in_order(),
            Hangup::Closed if self.framer.mid_element() => {
                self.fault(What::ConnectionLost { detail: "closed inside an element".to_owned() });
            }
            Hangup::Closed => self.fault(What::ConnectionLost { detail: "closed by the peer".to_owned() }),
            Hangup::ConnectFailed { detail } => self.fault(What::ConnectFailed { detail }),
            Hangup::Reset { detail } => self.fault(What::ConnectionLost { detail }),
            Hangup::TlsFailed { detail, certificate } => self.fault(What::TlsFailed { detail, certificate }),
        }
    }

    pub fn on_step_overdue(&mut self, now: Instant) {
        match self.phase {
            Phase::AwaitClose => self.end_in_order(),
            Phase::AwaitLastAck => self.say_close(now),
            Phase::AwaitProbe if self.paused => {}
            Phase::AwaitProbe => self.fault(What::ResumptionStuck),
            phase => self.fault(What::TimedOut { awaited: phase.awaited() }),
        }
    }

    pub fn close(&mut self, now: Instant) {
        let waits = self.managed && self.session.as_ref().is_some_and(|session| session.unacked_len() > 0);
        match self.phase {
            Phase::AwaitClose | Phase::AwaitLastAck | Phase::Ended => {}
            Phase::Online if waits => {
                self.ask(now);
                self.await_next(now, Phase::AwaitLastAck);
            }
            Phase::AwaitProbe | Phase::Online => self.say_close(now),
            phase => {
                if self.header_sent && phase != Phase::AwaitSecured {
                    self.say_end();
                }
                self.end_in_order();
            }
        }
    }

    /// Whether the peer keeps the session for another connection.
    pub fn is_resumable(&self) -> bool {
        self.managed && self.phase.is_online() && self.session.as_ref().is_some_and(|it| it.id().is_some())
    }

    /// Says what is handled and closes our half, or hangs up so that the session stays.
    pub fn say_close(&mut self, now: Instant) {
        self.timers.clear_all();
        self.say_news(now);
        if self.suspends {
            self.outputs.event(StreamEvent::Closed);
            return self.hang_up();
        }
        self.say_end();
        self.await_next(now, Phase::AwaitClose);
    }

    pub fn end_in_order(&mut self) {
        if let Some(session) = self.session.as_mut().filter(|_| self.managed) {
            session.forget();
        }
        self.outputs.event(StreamEvent::Closed);
        self.hang_up();
    }

    /// The owner ends the stream with an error of its own.
    pub fn end(&mut self, error: &StreamError) {
        if self.phase == Phase::Ended {
            return;
        }
        if self.header_sent && self.phase != Phase::AwaitSecured {
            self.say(&error.to_element());
            self.say_end();
        }
        self.end_in_order();
    }

    pub fn abandon(&mut self) -> Option<Management> {
        if self.phase.is_online() {
            // The moment matters only to answers that follow, and there is none.
            self.say_news(self.heard);
        }
        if self.phase != Phase::Ended {
            self.hang_up();
        }
        let session = self.session.take()?;
        (session.id().is_some() || session.unacked_len() > 0).then_some(*session)
    }

    /// Ends the stream over a fault: tells the peer what it has to know, then the owner.
    pub fn fault(&mut self, what: What) {
        match self.phase {
            Phase::Ended => return,
            // Nobody misses a stream that was being closed.
            Phase::AwaitClose => return self.end_in_order(),
            _ => {}
        }
        self.settle(&what);
        let fault = Fault::new(
            what,
            Circumstances {
                receiving: self.receiving,
                resumable: self.session.as_ref().is_some_and(|session| session.id().is_some()),
                trusted: self.trusted,
            },
        );
        let error = StreamError::of(&fault.what);
        let audible = self.header_sent && self.phase != Phase::AwaitSecured;
        if audible && (fault.side != Side::Transport || error.is_some()) {
            if let Some(error) = error {
                // A constant element: nothing in it can be refused.
                drop(self.write(&error.to_element()));
            }
            self.say_end();
        }
        self.outputs.event(StreamEvent::Fault(fault));
        self.hang_up();
    }

    /// What the fault means for the session.
    fn settle(&mut self, what: &What) {
        let Some(session) = &mut self.session else { return };
        match self.phase {
            // A server whose reader is stuck calls our bytes ill-formed.
            Phase::AwaitProbe if matches!(what, What::StreamError(_)) => session.forget(),
            _ if what.ends_session() => session.forget(),
            // The peer would repeat what we cannot take, for ever.
            _ if self.managed && matches!(what, What::Xml(_) | What::UnexpectedElement { .. }) => {
                session.forget();
            }
            Phase::AwaitProbe | Phase::AwaitResumed => session.count_attempt(),
            Phase::AwaitChallenge if self.resuming => session.count_attempt(),
            _ => {}
        }
    }

    fn hang_up(&mut self) {
        self.outputs.push(Output::Hangup);
        self.phase = Phase::Ended;
        self.timers.clear_all();
        self.framer = self.framing.framer(self.limits);
        self.reader = None;
    }
}

/// Bytes that may lie unread while the owner has to speak.
const AHEAD: usize = 262_144 + 16_384;

/// Whether this is one of the three stanzas, RFC 6120 §8.
pub(super) fn is_stanza(element: &Element) -> bool {
    element.ns() == ns::CLIENT && matches!(element.name(), "message" | "presence" | "iq")
}
