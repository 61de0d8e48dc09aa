//! Words before the login, XEP-0077 §3.1: only behind TLS, in either role.

use std::time::Instant;

use crate::ns;
use crate::stream::core::Core;
use crate::stream::phase::Phase;
use crate::stream::{Stream, StreamEvent};
use crate::xml::Element;

/// The stream feature, XEP-0077 §8.
pub(super) const FEATURE: &str = "http://jabber.org/features/iq-register";

impl Stream {
    /// Receiving: the answer to [`StreamEvent::BeforeLogin`]. Initiating: a request, after [`StreamEvent::MayRegister`].
    /// At any other time nothing is sent.
    pub fn say_before_login(&mut self, now: Instant, stanza: &Element) {
        match (self.core.receiving, self.core.phase) {
            (true, Phase::AwaitStep) => self.core.say(stanza),
            (false, Phase::AwaitRegistration) => {
                self.core.say(stanza);
                self.core.await_next(now, Phase::AwaitRegistration);
            }
            _ => {}
        }
    }
}

/// TLS is up, and an account is to be registered.
pub(super) fn begin(core: &mut Core, now: Instant, features: &Element) {
    core.await_next(now, Phase::AwaitRegistration);
    core.outputs.event(StreamEvent::MayRegister { announced: features.has_child("register", FEATURE) });
}

/// What the server says meanwhile.
pub(super) fn on_element(core: &mut Core, element: Element) {
    if element.is("iq", ns::CLIENT) {
        core.outputs.event(StreamEvent::BeforeLogin(element));
    } else {
        core.unexpected(&element);
    }
}
