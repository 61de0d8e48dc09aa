//! `<message/>`, RFC 6121 §5.

use super::{Head, MessageKind, StanzaError, Text, best_language, texts};
use crate::ns;
use crate::xml::Element;

/// A message as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Addresses, id, language.
    pub head: Head,
    /// The `type`; for an error the kind has no meaning.
    pub kind: MessageKind,
    /// Why our own message came back: present exactly where `type='error'`.
    pub error: Option<StanzaError>,
    /// All `<body/>` in the order they were written.
    pub bodies: Vec<Text>,
    /// All `<subject/>` in the order they were written.
    pub subjects: Vec<Text>,
    /// The conversation it belongs to.
    pub thread: Option<Thread>,
    /// All other children.
    pub payloads: Vec<Element>,
}

/// `<thread/>`, RFC 6121 §5.2.5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Opaque identifier.
    pub id: String,
    /// The thread it grew out of.
    pub parent: Option<String>,
}

impl Message {
    /// Reads a `<message/>`. There is nothing in one that would make it unusable.
    pub fn parse(head: Head, element: &Element) -> Self {
        let lang = head.lang.clone();
        let error = (element.attr("type") == Some("error")).then(|| StanzaError::from_stanza(element));
        Self {
            kind: kind(element.attr("type")),
            error,
            bodies: texts(element, "body", lang.as_deref()),
            subjects: texts(element, "subject", lang.as_deref()),
            thread: element.child("thread", ns::CLIENT).and_then(thread),
            payloads: element.children().filter(|child| child.ns() != ns::CLIENT).cloned().collect(),
            head,
        }
    }

    /// Body in the language nearest to `wanted`; an empty one counts as none.
    pub fn body(&self, wanted: &str) -> Option<&Text> {
        best_language(&self.bodies, wanted).filter(|body| !body.text.is_empty())
    }

    /// Subject in the language nearest to `wanted`.
    pub fn subject(&self, wanted: &str) -> Option<&Text> {
        best_language(&self.subjects, wanted)
    }

    /// The first payload `name` of namespace `ns`.
    pub fn payload(&self, name: &str, ns: &str) -> Option<&Element> {
        self.payloads.iter().find(|payload| payload.is(name, ns))
    }

    /// The message as an element: what [`Message::parse`] reads comes out the same.
    pub fn to_element(&self) -> Element {
        let kind = match self.error {
            Some(_) => Some("error"),
            None if self.kind == MessageKind::Normal => None,
            None => Some(self.kind.as_str()),
        };
        let mut element = self.head.element("message", kind);
        for (name, texts) in [("subject", &self.subjects), ("body", &self.bodies)] {
            for text in texts {
                let own = text.lang.as_deref().filter(|_| text.lang != self.head.lang);
                element.push(Element::new(name, ns::CLIENT).with_lang(own).with_text(text.text.clone()));
            }
        }
        if let Some(thread) = &self.thread {
            let child = Element::new("thread", ns::CLIENT).with_attr_opt("parent", thread.parent.as_deref());
            element.push(child.with_text(thread.id.clone()));
        }
        for payload in &self.payloads {
            element.push(payload.clone());
        }
        if let Some(error) = &self.error {
            element.push(error.to_element(ns::CLIENT));
        }
        element
    }
}

/// RFC 6121 §5.2.2: what is absent or unknown is `normal`.
fn kind(text: Option<&str>) -> MessageKind {
    match text {
        Some("chat") => MessageKind::Chat,
        Some("groupchat") => MessageKind::Groupchat,
        Some("headline") => MessageKind::Headline,
        _ => MessageKind::Normal,
    }
}

fn thread(element: &Element) -> Option<Thread> {
    let id = element.text().trim().to_owned();
    (!id.is_empty()).then(|| Thread { id, parent: element.attr("parent").map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::{ErrorKind, Stanza};

    #[test]
    fn p44_the_five_types_are_told_apart() {
        let of = |kind: Option<&str>| {
            let message = parse(element(kind));
            (message.kind, message.error.is_some())
        };
        assert_eq!(of(Some("chat")), (MessageKind::Chat, false));
        assert_eq!(of(Some("groupchat")), (MessageKind::Groupchat, false));
        assert_eq!(of(Some("headline")), (MessageKind::Headline, false));
        assert_eq!(of(Some("normal")), (MessageKind::Normal, false));
        assert_eq!(of(None), (MessageKind::Normal, false));
        assert_eq!(of(Some("gossip")), (MessageKind::Normal, false));
        assert!(of(Some("error")).1);
    }

    #[test]
    fn p44_of_several_bodies_one_is_chosen_by_language() {
        let body =
            |lang: Option<&str>, text: &str| Element::new("body", ns::CLIENT).with_lang(lang).with_text(text);
        let message = parse(
            element(Some("chat"))
                .with_lang(Some("en"))
                .with_child(body(Some("de"), "Hallo"))
                .with_child(body(None, "Hello"))
                .with_child(body(Some("fr"), "Salut")),
        );
        let text = |wanted| message.body(wanted).map(|body| body.text.as_str());
        assert_eq!((text("en"), text("de"), text("fr-CA")), (Some("Hello"), Some("Hallo"), Some("Salut")));
        assert_eq!(message.bodies.len(), 3);
    }

    #[test]
    fn p30_a_message_survives_being_written_and_read() {
        let stanza_error = StanzaError::new(ErrorKind::Wait, "remote-server-timeout").with_text("later");
        let message = Message {
            head: Head { id: Some("m1".to_owned()), lang: Some("en".to_owned()), ..Head::default() },
            kind: MessageKind::Normal,
            error: Some(stanza_error),
            bodies: vec![Text { lang: Some("de".to_owned()), text: "<&>\"'".to_owned() }],
            subjects: vec![Text { lang: Some("en".to_owned()), text: "S".to_owned() }],
            thread: Some(Thread { id: "t".to_owned(), parent: Some("p".to_owned()) }),
            payloads: vec![Element::new("x", "urn:example:unknown").with_text("kept")],
        };
        assert_eq!(parse(message.to_element()), message);
    }

    #[test]
    fn a_nested_stanza_is_no_payload_and_no_body_of_ours() {
        let nested = element(None).with_child(Element::new("body", ns::CLIENT).with_text("evil"));
        let message = parse(element(None).with_child(nested));
        assert_eq!((message.body("en"), message.payloads.len()), (None, 0));
    }

    fn element(kind: Option<&str>) -> Element {
        Element::new("message", ns::CLIENT).with_attr_opt("type", kind)
    }

    fn parse(element: Element) -> Message {
        match Stanza::parse(element) {
            Ok(Stanza::Message(message)) => message,
            other => panic!("no message: {other:?}"),
        }
    }
}
