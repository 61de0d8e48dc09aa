//! `<presence/>`, RFC 6121 §4.7.

use super::{Head, Malformed, Show, StanzaError, Text, best_language, texts};
use crate::ns;
use crate::xml::Element;

/// A presence as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Presence {
    /// Addresses, id, language.
    pub head: Head,
    /// The `type`.
    pub kind: PresenceType,
    /// `<show/>`; an unknown one says nothing.
    pub show: Option<Show>,
    /// All `<status/>` in the order they were written.
    pub statuses: Vec<Text>,
    /// `<priority/>`; 0 where it is absent or no number from −128 to 127.
    pub priority: i8,
    /// All other children.
    pub payloads: Vec<Element>,
}

/// `type` of a presence, RFC 6121 §4.7.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresenceType {
    /// No `type`.
    Available,
    /// An own presence came back.
    Error(StanzaError),
    /// A server asks for our presence.
    Probe,
    /// "May I see you?"
    Subscribe,
    /// "You may."
    Subscribed,
    /// No longer there.
    Unavailable,
    /// "I no longer want to see you."
    Unsubscribe,
    /// "You may not", or "no longer".
    Unsubscribed,
}

impl Presence {
    /// Reads a `<presence/>`.
    pub fn parse(head: Head, element: &Element) -> Result<Self, Malformed> {
        let kind = match element.attr("type") {
            None => PresenceType::Available,
            Some("error") => PresenceType::Error(StanzaError::from_stanza(element)),
            Some("probe") => PresenceType::Probe,
            Some("subscribe") => PresenceType::Subscribe,
            Some("subscribed") => PresenceType::Subscribed,
            Some("unavailable") => PresenceType::Unavailable,
            Some("unsubscribe") => PresenceType::Unsubscribe,
            Some("unsubscribed") => PresenceType::Unsubscribed,
            // RFC 6121 §4.7.1 gives an unknown type no meaning to fall back on.
            Some(_) => return Err(Malformed::Drop { why: "an unknown presence type" }),
        };
        let lang = head.lang.clone();
        Ok(Self {
            head,
            kind,
            show: element.child_text("show", ns::CLIENT).and_then(|text| Show::parse(&text)),
            statuses: texts(element, "status", lang.as_deref()),
            priority: priority(element),
            payloads: element.children().filter(|child| child.ns() != ns::CLIENT).cloned().collect(),
        })
    }

    /// Status in the language nearest to `wanted`; an empty one counts as none.
    pub fn status(&self, wanted: &str) -> Option<&Text> {
        best_language(&self.statuses, wanted).filter(|status| !status.text.is_empty())
    }

    /// The first payload `name` of namespace `ns`.
    pub fn payload(&self, name: &str, ns: &str) -> Option<&Element> {
        self.payloads.iter().find(|payload| payload.is(name, ns))
    }
}

/// Available presence, RFC 6121 §4.7.2. Nothing is written that says nothing: no empty `<show/>`.
pub fn available(show: Option<Show>, status: Option<&str>, priority: i8) -> Element {
    let mut presence = Element::new("presence", ns::CLIENT);
    if let Some(show) = show {
        presence.push(text("show", show.as_str()));
    }
    push_status(&mut presence, status);
    if priority != 0 {
        presence.push(text("priority", &priority.to_string()));
    }
    presence
}

/// Unavailable presence, RFC 6121 §4.5.
pub fn unavailable(status: Option<&str>) -> Element {
    let mut presence = Element::new("presence", ns::CLIENT).with_attr("type", "unavailable");
    push_status(&mut presence, status);
    presence
}

fn push_status(presence: &mut Element, status: Option<&str>) {
    if let Some(status) = status.filter(|status| !status.is_empty()) {
        presence.push(text("status", status));
    }
}

fn text(name: &'static str, text: &str) -> Element {
    Element::new(name, ns::CLIENT).with_text(text)
}

fn priority(element: &Element) -> i8 {
    element.child_text("priority", ns::CLIENT).and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::Stanza;

    #[test]
    fn p47_presence_is_typed() {
        let away = element(None)
            .with_child(child("show", " xa "))
            .with_child(child("status", "Gone fishing"))
            .with_child(child("priority", "-128"))
            .with_child(Element::new("c", "http://jabber.org/protocol/caps"));
        let presence = parse(away).expect("a presence");
        assert_eq!((presence.kind.clone(), presence.show), (PresenceType::Available, Some(Show::Xa)));
        assert_eq!(presence.status("en").map(|s| s.text.as_str()), Some("Gone fishing"));
        assert_eq!((presence.priority, presence.payloads.len()), (-128, 1));
    }

    #[test]
    fn what_a_peer_gets_wrong_counts_as_absent() {
        for priority in ["128", "", "high", "1e1"] {
            let presence = parse(element(None).with_child(child("priority", priority))).expect("a presence");
            assert_eq!(presence.priority, 0, "{priority}");
        }
        let presence = parse(element(None).with_child(child("show", "busy"))).expect("a presence");
        assert_eq!(presence.show, None);
        assert_eq!(parse(element(Some("invisible"))), None);
    }

    #[test]
    fn p26_own_presence_says_nothing_in_empty_elements() {
        assert_eq!(available(None, Some(""), 0), element(None));
        let full = available(Some(Show::Dnd), Some("busy"), -1);
        let presence = parse(full).expect("a presence");
        assert_eq!((presence.show, presence.priority), (Some(Show::Dnd), -1));
        assert_eq!(presence.status("en").map(|s| s.text.as_str()), Some("busy"));
    }

    fn element(kind: Option<&str>) -> Element {
        Element::new("presence", ns::CLIENT).with_attr_opt("type", kind)
    }

    fn child(name: &'static str, text: &str) -> Element {
        Element::new(name, ns::CLIENT).with_text(text)
    }

    fn parse(element: Element) -> Option<Presence> {
        match Stanza::parse(element) {
            Ok(Stanza::Presence(presence)) => Some(presence),
            _ => None,
        }
    }
}
