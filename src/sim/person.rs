//! Somebody who talks with the bot: a session at the simulated server that only listens.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::jid::BareJid;
use crate::server::domain::SessionId;
use crate::server::guest::Guest;
use crate::xml::Element;

/// What all people have heard, in the order in which it came.
#[derive(Clone, Default)]
pub(super) struct Ears(Arc<Mutex<VecDeque<(BareJid, Element)>>>);

impl Ears {
    pub fn take(&self) -> VecDeque<(BareJid, Element)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One person at the server.
pub(super) struct Person {
    pub session: SessionId,
}

/// The person's place at the server.
pub(super) struct Listener {
    pub jid: BareJid,
    pub ears: Ears,
}

impl Guest for Listener {
    fn on_stanza(&mut self, _: Instant, stanza: &Element) -> Vec<Element> {
        let mut heard = self.ears.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push_back((self.jid.clone(), stanza.clone()));
        Vec::new()
    }

    fn on_timeout(&mut self, now: Instant) -> (Vec<Element>, Instant) {
        (Vec::new(), now + Duration::from_secs(1 << 30))
    }
}
