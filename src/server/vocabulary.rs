//! The words of a server: namespaces that it answers in and the small stanzas it writes itself.

use jiff::Timestamp;

use crate::event::SubscriptionVerb;
use crate::ns;
use crate::stanza::{ErrorKind, StanzaError};
use crate::xep;
use crate::xml::Element;

/// XEP-0280: Message Carbons.
pub const CARBONS: &str = xep::carbons::NS;
/// XEP-0203: Delayed Delivery.
pub const DELAY: &str = xep::delay::NS;
/// XEP-0030: what an address is and can do.
pub const DISCO_INFO: &str = xep::disco::INFO;
/// XEP-0030: what belongs to an address.
pub const DISCO_ITEMS: &str = xep::disco::ITEMS;
/// XEP-0004: Data Forms.
pub const FORM: &str = xep::data_forms::NS;
/// XEP-0297: Stanza Forwarding.
pub const FORWARD: &str = xep::carbons::FORWARD;
/// XEP-0334: Message Processing Hints.
pub const HINTS: &str = xep::hints::NS;
/// XEP-0045: Multi-User Chat.
pub const MUC: &str = "http://jabber.org/protocol/muc";
/// XEP-0045: what a moderator or administrator asks.
pub const MUC_ADMIN: &str = "http://jabber.org/protocol/muc#admin";
/// XEP-0045: what an owner asks.
pub const MUC_OWNER: &str = "http://jabber.org/protocol/muc#owner";
/// XEP-0045: what the room tells its occupants.
pub const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
/// XEP-0045: form type of a room's configuration.
pub const MUC_CONFIG: &str = "http://jabber.org/protocol/muc#roomconfig";
/// XEP-0199: XMPP Ping.
pub const PING: &str = xep::ping::NS;
/// XEP-0184: Message Delivery Receipts.
pub const RECEIPTS: &str = xep::receipts::NS;
/// XEP-0077: In-Band Registration.
pub const REGISTER: &str = "jabber:iq:register";
/// XEP-0410: the room answers the self-ping for the occupant.
pub const SELF_PING: &str = "http://jabber.org/protocol/muc#self-ping-optimization";
/// XEP-0202: Entity Time.
pub const TIME: &str = xep::entity_time::NS;
/// XEP-0092: Software Version.
pub const VERSION: &str = xep::version::NS;

/// A defined condition with the type that RFC 6120 §8.3.3 gives it.
pub fn refusal(condition: &'static str) -> StanzaError {
    let kind = match condition {
        "forbidden" | "not-authorized" | "registration-required" | "subscription-required" => ErrorKind::Auth,
        "bad-request" | "jid-malformed" | "not-acceptable" | "policy-violation" => ErrorKind::Modify,
        "recipient-unavailable" | "resource-constraint" | "remote-server-timeout" => ErrorKind::Wait,
        // All others of §8.3.3 that are used here say: do not retry.
        _ => ErrorKind::Cancel,
    };
    StanzaError::new(kind, condition)
}

/// The answer `type='result'` to a request, addresses swapped.
pub fn result(request: &Element) -> Element {
    Element::new("iq", ns::CLIENT)
        .with_attr("type", "result")
        .with_attr_opt("id", request.attr("id"))
        .with_attr_opt("from", request.attr("to"))
        .with_attr_opt("to", request.attr("from"))
}

/// The answer `type='error'` to any stanza, addresses swapped. `None` where RFC 6120 §8.3.1 forbids an
/// answer: to an error, or to the result of a request.
pub fn error(stanza: &Element, error: &StanzaError) -> Option<Element> {
    let silent = match stanza.attr("type") {
        Some("error") => true,
        Some("result") => stanza.name() == "iq",
        Some(_) | None => false,
    };
    (!silent).then(|| {
        Element::new(stanza.name().to_owned(), ns::CLIENT)
            .with_attr("type", "error")
            .with_attr_opt("id", stanza.attr("id"))
            .with_attr_opt("from", stanza.attr("to"))
            .with_attr_opt("to", stanza.attr("from"))
            .with_child(error.to_element(ns::CLIENT))
    })
}

/// `<delay/>` of XEP-0203, whole milliseconds of UTC.
pub fn delay(from: &str, sent_at: Timestamp) -> Element {
    let millis = Timestamp::from_millisecond(sent_at.as_millisecond()).unwrap_or(sent_at);
    Element::new("delay", DELAY).with_attr("from", from).with_attr("stamp", millis.to_string())
}

/// A presence that holds nothing.
pub fn presence(from: &str, to: &str, kind: Option<&'static str>) -> Element {
    Element::new("presence", ns::CLIENT)
        .with_attr("from", from)
        .with_attr("to", to)
        .with_attr_opt("type", kind)
}

/// `type` of the presence that carries a subscription verb.
pub fn verb_type(verb: SubscriptionVerb) -> &'static str {
    match verb {
        SubscriptionVerb::Subscribe => "subscribe",
        SubscriptionVerb::Subscribed => "subscribed",
        SubscriptionVerb::Unsubscribe => "unsubscribe",
        SubscriptionVerb::Unsubscribed => "unsubscribed",
    }
}

/// The subscription verb that a presence carries.
pub fn verb_of(presence: &Element) -> Option<SubscriptionVerb> {
    match presence.attr("type")? {
        "subscribe" => Some(SubscriptionVerb::Subscribe),
        "subscribed" => Some(SubscriptionVerb::Subscribed),
        "unsubscribe" => Some(SubscriptionVerb::Unsubscribe),
        "unsubscribed" => Some(SubscriptionVerb::Unsubscribed),
        // Availability, probes and errors are no subscription.
        _ => None,
    }
}

/// Roughly the bytes an element takes in memory and on the wire, to bound queues.
///
/// The depth of a stanza is limited where it is read, and with it this recursion.
pub fn weight(element: &Element) -> usize {
    let attributes: usize = element.attributes().iter().map(|a| a.name.len() + a.value.len() + 4).sum();
    let content: usize = element
        .nodes()
        .iter()
        .map(|node| match node {
            crate::xml::Node::Element(child) => weight(child),
            crate::xml::Node::Text(text) => text.len(),
        })
        .sum();
    2 * element.name().len() + element.ns().len() + 5 + attributes + content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_never_answered_with_an_error() {
        let refused = refusal("item-not-found");
        for (name, kind, answered) in [
            ("iq", "error", false),
            ("iq", "result", false),
            ("message", "error", false),
            ("iq", "get", true),
        ] {
            let stanza = Element::new(name, ns::CLIENT).with_attr("type", kind).with_attr("from", "a@b/c");
            assert_eq!(error(&stanza, &refused).is_some(), answered, "{name} {kind}");
        }
    }

    #[test]
    fn the_stamp_of_a_delay_has_milliseconds_and_utc() {
        let stamp = "2026-11-22T08:00:00.123456789Z".parse().expect("an RFC 3339 stamp");
        assert_eq!(delay("a@b", stamp).attr("stamp"), Some("2026-11-22T08:00:00.123Z"));
    }

    #[test]
    fn weight_counts_text_and_children() {
        let small = Element::new("a", "b").with_text("12345");
        let large = Element::new("a", "b").with_child(small.clone());
        assert!(weight(&large) > weight(&small) && weight(&small) > 5);
    }
}
