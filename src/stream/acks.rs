//! Acknowledgements on the wire, XEP-0198 §4: when `<r/>` and `<a/>` are written, and what they do.

use std::time::{Duration, Instant};

use crate::stream::core::Core;
use crate::stream::fault::What;
use crate::stream::framing::Framing;
use crate::stream::management::{self, BadHandled};
use crate::stream::phase::Phase;
use crate::stream::timer::Timer;
use crate::stream::{StreamEvent, Ticket};

/// How asking and answering stand.
#[derive(Default)]
pub(super) struct Pace {
    /// Stanzas sent since the last `<r/>`.
    unasked: u32,
    /// An `<r/>` has no answer yet.
    asked: bool,
    /// The last `<a/>` we wrote.
    said: Option<Said>,
    /// The peer asked while not everything was safe: it hears of it when it is.
    owed: bool,
}

#[derive(Clone, Copy)]
struct Said {
    at: Instant,
    handled: u32,
}

impl Core {
    /// One more stanza is out: an acknowledgement is asked for after some, or after a while.
    pub fn count_sent(&mut self, now: Instant) {
        self.pace.unasked = self.pace.unasked.saturating_add(1);
        if self.pace.unasked >= self.window.ask_every {
            self.ask(now);
        } else if !self.pace.asked && !self.timers.is_set(Timer::Ask) {
            self.timers.set(Timer::Ask, now + self.window.ask_after);
        }
    }

    /// Writes `<r/>`, unless one is unanswered.
    pub fn ask(&mut self, now: Instant) {
        self.timers.clear(Timer::Ask);
        if !self.managed || self.pace.asked {
            return;
        }
        self.pace.asked = true;
        self.pace.unasked = 0;
        self.await_answer(now);
        self.say(&management::request());
    }

    /// Gives an `<r/>` that is open its whole time to be answered.
    pub fn await_answer(&mut self, now: Instant) {
        self.timers.clear(Timer::Overdue);
        if self.pace.asked {
            // A slow peer may first have to read all that is unacknowledged.
            self.timers.set(Timer::Overdue, now + OVERDUE.max(self.keepalive.answer * 3));
        }
    }

    /// `<r/>`: answered at once, never waiting for the owner. An answer that says nothing new is
    /// given twice a second at most, so that a flood of requests is not answered by one of answers.
    pub fn on_request(&mut self, now: Instant) {
        let Some(session) = &self.session else { return };
        self.pace.owed = session.open_inbound() > 0;
        match self.pace.said {
            Some(said) if said.handled == session.handled() && now < said.at + REPEAT => {
                self.timers.set(Timer::Answer, said.at + REPEAT);
            }
            _ => self.say_handled(now),
        }
    }

    /// Writes `<a/>`.
    pub fn say_handled(&mut self, now: Instant) {
        self.timers.clear(Timer::Answer);
        let Some(session) = self.session.as_ref().filter(|_| self.managed) else { return };
        let handled = session.handled();
        self.pace.owed &= session.open_inbound() > 0;
        self.pace.said = Some(Said { at: now, handled });
        self.say(&management::answer(handled));
    }

    /// Writes `<a/>` if the peer does not know yet what it would say.
    pub fn say_news(&mut self, now: Instant) {
        let Some(session) = self.session.as_ref().filter(|_| self.managed) else { return };
        if session.handled() != self.pace.said.map_or(0, |said| said.handled) {
            self.say_handled(now);
        }
    }

    /// The owner made stanzas safe.
    pub fn acknowledge(&mut self, now: Instant, handled: u32) {
        let Some(session) = &mut self.session else { return };
        if !session.acknowledge(handled) || !self.managed || !self.phase.is_online() {
            return;
        }
        let unsaid = session.handled().wrapping_sub(self.pace.said.map_or(0, |said| said.handled));
        if unsaid >= UNSAID || (self.pace.owed && session.open_inbound() == 0) {
            self.say_handled(now);
        }
    }

    /// `<a h=''/>`
    pub fn on_answer(&mut self, now: Instant, handled: u32) {
        let Some(session) = &mut self.session else { return };
        match session.on_handled(handled) {
            Ok(covered) => self.covered(covered),
            // A late answer, or one of a server that counts anew: it takes nothing back.
            Err(BadHandled::Backwards) => {}
            Err(BadHandled::TooHigh { handled, sent }) => {
                return self.fault(What::HandledTooHigh { handled, sent });
            }
        }
        self.pace.asked = false;
        self.timers.clear(Timer::Overdue);
        match self.phase {
            Phase::AwaitProbe => {
                self.await_next(now, Phase::Online);
                self.resend(now);
            }
            // The answer was one to an older question.
            Phase::AwaitLastAck if self.pace.unasked > 0 && self.is_open() => self.ask(now),
            Phase::AwaitLastAck => self.say_close(now),
            _ if self.pace.unasked > 0 && !self.timers.is_set(Timer::Ask) => {
                self.timers.set(Timer::Ask, now + self.window.ask_after);
            }
            _ => {}
        }
    }

    /// Whether stanzas are unacknowledged.
    fn is_open(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.unacked_len() > 0)
    }

    /// Tells the owner what the peer has.
    pub fn covered(&mut self, covered: Option<Ticket>) {
        if let Some(Ticket(up_to)) = covered {
            self.outputs.event(StreamEvent::Acked { up_to });
        }
    }

    /// Writes everything unacknowledged again, in order, XEP-0198 §5.
    pub fn resend(&mut self, now: Instant) {
        let Some(session) = &mut self.session else { return };
        session.released();
        let open = session.unacked_len() > 0;
        match self.framing {
            Framing::Document => {
                for (_, stanza) in session.unacked() {
                    self.outputs.bytes().extend_from_slice(stanza.as_bytes());
                }
            }
            Framing::Messages => {
                for (_, stanza) in session.lost() {
                    self.say(&stanza);
                }
            }
        }
        if open {
            self.ask(now);
        }
    }
}

/// How often an `<a/>` may be repeated without news.
const REPEAT: Duration = Duration::from_millis(500);
/// How many safe stanzas the peer is told of without having asked: it keeps them all until then.
const UNSAID: u32 = 32;
/// How long an `<r/>` may stay unanswered although the peer talks; ejabberd is as patient.
const OVERDUE: Duration = Duration::from_secs(60);
