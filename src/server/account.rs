//! One account: its password, its contacts, its sessions, and what waits for it.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use crate::jid::BareJid;
use crate::ns;
use crate::secret::Password;
use crate::xml::Element;

use super::archive::Archive;
use super::domain::SessionId;
use super::roster::Roster;
use super::vocabulary::{DELAY, HINTS, MUC_USER, RECEIPTS, delay, weight};

/// Messages that wait for one account.
pub const MAX_OFFLINE: usize = 500;
/// Their size together, roughly in bytes.
pub const MAX_OFFLINE_WEIGHT: usize = 1 << 20;

/// One account of the domain.
pub struct Account {
    /// Its address.
    pub jid: BareJid,
    /// What its owner logs in with.
    pub password: Password,
    /// Its contacts.
    pub roster: Roster,
    /// Its sessions by resource.
    pub resources: BTreeMap<String, SessionId>,
    /// Messages that came while nobody was there.
    pub offline: Offline,
    /// Messages that it received and sent.
    pub archive: Archive,
}

/// Messages for an account without available resource, XEP-0160; bounded in number and weight.
#[derive(Default)]
pub struct Offline {
    messages: VecDeque<Element>,
    weight: usize,
}

impl Offline {
    /// Keeps a message with the moment it came. `false` means that the store is full.
    pub fn store(&mut self, domain: &str, now: Timestamp, mut message: Element) -> bool {
        if !message.has_child("delay", DELAY) {
            message.push(delay(domain, now));
        }
        let weight = weight(&message);
        if self.messages.len() >= MAX_OFFLINE || self.weight + weight > MAX_OFFLINE_WEIGHT {
            return false;
        }
        self.weight += weight;
        self.messages.push_back(message);
        true
    }

    /// Takes all messages out, oldest first.
    pub fn take(&mut self) -> VecDeque<Element> {
        self.weight = 0;
        std::mem::take(&mut self.messages)
    }
}

/// Whether a message is worth keeping for later: it says something (XEP-0160 §3) and does not forbid it
/// (XEP-0334 §4.2).
pub fn is_storable(message: &Element) -> bool {
    !message.has_child("no-store", HINTS)
        && (message.has_child("body", ns::CLIENT)
            || message.has_child("store", HINTS)
            || message.has_child("x", MUC_USER)
            || message.has_child("received", RECEIPTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_message_is_stamped_once() {
        let mut offline = Offline::default();
        assert!(offline.store("x", Timestamp::UNIX_EPOCH, message("one")));
        let first = offline.take().pop_front().expect("one was stored");
        assert_eq!(first.child("delay", DELAY).and_then(|d| d.attr("from")), Some("x"));
        assert!(offline.store("y", Timestamp::UNIX_EPOCH, first));
        let again = offline.take().pop_front().expect("one was stored");
        assert_eq!(again.children().filter(|c| c.is("delay", DELAY)).count(), 1);
    }

    #[test]
    fn the_store_is_bounded_in_number_and_in_weight() {
        let mut offline = Offline::default();
        let stored = (0..MAX_OFFLINE + 5)
            .filter(|n| offline.store("x", Timestamp::UNIX_EPOCH, message(&n.to_string())));
        assert_eq!(stored.count(), MAX_OFFLINE);
        offline.take();
        let large = "x".repeat(MAX_OFFLINE_WEIGHT / 3);
        let stored = (0..5).filter(|_| offline.store("x", Timestamp::UNIX_EPOCH, message(&large)));
        assert_eq!(stored.count(), 2);
    }

    #[test]
    fn a_chat_state_alone_is_not_kept() {
        let state = Element::new("message", ns::CLIENT)
            .with_child(Element::new("composing", crate::xep::chat_states::NS));
        assert!(!is_storable(&state));
        assert!(is_storable(&message("hi")));
        assert!(!is_storable(&message("hi").with_child(Element::new("no-store", HINTS))));
    }

    fn message(text: &str) -> Element {
        Element::new("message", ns::CLIENT).with_child(Element::new("body", ns::CLIENT).with_text(text))
    }
}
