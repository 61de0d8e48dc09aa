//! Silence, RFC 6120 §4.6: a sign of life is asked for, or at least given.

use std::time::Instant;

use crate::stream::core::Core;
use crate::stream::fault::What;
use crate::stream::framing::Framing;
use crate::stream::phase::Phase;
use crate::stream::timer::Timer;

impl Core {
    /// Stanzas flow from here on.
    pub fn go_online(&mut self, now: Instant, phase: Phase) {
        // Drawn once for each stream, so that many accounts do not ask in the same second.
        let spread = 0.8 + 0.4 * self.ids.next_fraction();
        self.keepalive.idle = self.keepalive.idle.mul_f64(spread);
        self.timers.set(Timer::Idle, now + self.keepalive.idle);
        self.await_next(now, phase);
    }

    /// Checks how long it has been silent. The deadline moves only here, not with each byte.
    pub fn on_idle(&mut self, now: Instant) {
        let due = self.heard + self.keepalive.idle;
        if due > now {
            return self.timers.set(Timer::Idle, due);
        }
        if self.managed {
            self.ask(now);
            if !self.timers.is_set(Timer::Dead) {
                self.timers.set(Timer::Dead, now + self.keepalive.answer);
            }
        } else if self.framing == Framing::Document {
            // Nothing obliges the peer to answer white space; it only shows a broken transport.
            self.outputs.bytes().push(b' ');
        }
        self.timers.set(Timer::Idle, now + self.keepalive.idle);
    }

    /// Nothing came although it was asked for. While the owner does not read, that says nothing.
    pub fn on_dead(&mut self) {
        if !self.paused {
            self.fault(What::Silence);
        }
    }

    /// The owner reads again: the peer has as long to be heard as if it had spoken now.
    pub fn on_reading_again(&mut self, now: Instant) {
        if !std::mem::take(&mut self.paused) || !self.phase.takes_stanzas() {
            return;
        }
        self.heard = now;
        self.timers.clear(Timer::Dead);
        self.await_answer(now);
        if self.phase == Phase::AwaitProbe {
            self.await_next(now, Phase::AwaitProbe);
        }
    }
}
