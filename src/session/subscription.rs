//! Subscriptions, RFC 6121 §3: requests, answers, and whose request is granted without asking.

use super::{Accept, Session};
use crate::event::{Event, SubscriptionVerb};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::stanza::presence::{Presence, PresenceType};
use crate::xml::Element;

/// Beyond this many contacts nobody is accepted without asking: whoever makes up addresses could
/// otherwise grow the roster for ever.
const MOST_CONTACTS: usize = 10_000;

impl SubscriptionVerb {
    /// As the `type` of a presence has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Subscribed => "subscribed",
            Self::Unsubscribe => "unsubscribe",
            Self::Unsubscribed => "unsubscribed",
        }
    }
}

impl Session {
    /// Somebody asks for a subscription or answers a request. Only a request is ever answered, so
    /// no exchange can go on by itself.
    pub(super) fn on_subscription(&mut self, presence: &Presence, verb: &PresenceType, from: &Jid) {
        let verb = match verb {
            PresenceType::Subscribe => SubscriptionVerb::Subscribe,
            PresenceType::Subscribed => SubscriptionVerb::Subscribed,
            PresenceType::Unsubscribe => SubscriptionVerb::Unsubscribe,
            PresenceType::Unsubscribed => SubscriptionVerb::Unsubscribed,
            PresenceType::Available
            | PresenceType::Error(_)
            | PresenceType::Probe
            | PresenceType::Unavailable => return,
        };
        let from = from.to_bare();
        let text = presence.status(&self.config.lang).map(|status| status.text.clone());
        if !self.on_hosted_subscription(&from, verb) {
            return;
        }
        if verb == SubscriptionVerb::Subscribe && self.accepts(&from) {
            self.accept(&from);
        }
        self.event(Event::Subscription { verb, from, text });
    }

    /// Sends one of the four verbs. The server wants the bare JID, §3.1.1.
    pub(super) fn send_subscription(&mut self, to: &BareJid, verb: SubscriptionVerb) {
        self.on_own_verb(to, verb);
        let id = self.ids.next_id();
        let presence = Element::new("presence", ns::CLIENT)
            .with_attr("id", id)
            .with_attr("to", to.as_str())
            .with_attr("type", verb.as_str());
        self.send(presence);
        self.after_own_verb(to, verb);
    }

    fn accepts(&self, from: &BareJid) -> bool {
        let known = self.roster.item(from).is_some();
        let allowed = match &self.config.accept {
            Accept::All => true,
            Accept::Domain => from.local().is_some() && from.domain() == self.own.domain.domain(),
            Accept::List(list) => list.contains(from),
            Accept::None => false,
            Accept::Roster => known,
        };
        allowed && (known || self.roster.len() < MOST_CONTACTS)
    }

    /// "You may", and a request of our own where there is none yet: once per contact.
    fn accept(&mut self, from: &BareJid) {
        self.send_subscription(from, SubscriptionVerb::Subscribed);
        if !self.roster.is_watched(from) && self.asked_back.insert(from.clone(), ()) {
            self.send_subscription(from, SubscriptionVerb::Subscribe);
        }
    }
}
