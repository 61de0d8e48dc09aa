//! `<iq/>`, RFC 6120 §8.2.3: requests with exactly one child, and their answers.

use super::{ErrorKind, Head, Malformed, StanzaError};
use crate::xml::Element;

/// A request or an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Iq {
    /// Addresses, id, language.
    pub head: Head,
    /// The `type` with what it carries.
    pub kind: IqKind,
}

/// `type` of an IQ with its payload.
#[derive(Clone, Debug, PartialEq)]
pub enum IqKind {
    /// A request failed.
    Error(StanzaError),
    /// Asks for something.
    Get(Element),
    /// A request succeeded.
    Result(Option<Element>),
    /// Changes something.
    Set(Element),
}

impl Iq {
    /// Reads an `<iq/>`. A request without exactly one child, or of an unknown type, is to be
    /// answered with `bad-request`.
    pub fn parse(head: Head, element: &Element) -> Result<Self, Malformed> {
        let bad_request = |head| {
            Err(Malformed::Answer {
                head: Box::new(head),
                error: StanzaError::new(ErrorKind::Modify, "bad-request"),
            })
        };
        let mut children = element.children();
        let (first, second) = (children.next(), children.next());
        let kind = match (element.attr("type"), first, second) {
            (Some("get"), Some(payload), None) if head.id.is_some() => IqKind::Get(payload.clone()),
            (Some("set"), Some(payload), None) if head.id.is_some() => IqKind::Set(payload.clone()),
            // An answer to an answer would go on for ever: these are only ever matched or dropped.
            (Some("result"), payload, _) => IqKind::Result(payload.cloned()),
            (Some("error"), ..) => IqKind::Error(StanzaError::from_stanza(element)),
            _ => return bad_request(head),
        };
        Ok(Self { head, kind })
    }
}

/// A request of ours.
pub fn request(kind: &'static str, id: &str, to: Option<&str>, payload: Element) -> Element {
    Element::new("iq", crate::ns::CLIENT)
        .with_attr("id", id)
        .with_attr_opt("to", to)
        .with_attr("type", kind)
        .with_child(payload)
}

/// The answer to a request: a result, or the error that refuses it.
pub fn answer(request: &Head, outcome: Result<Option<Element>, StanzaError>) -> Element {
    let head = request.reply();
    match outcome {
        Ok(payload) => {
            let mut element = head.element("iq", Some("result"));
            if let Some(payload) = payload {
                element.push(payload);
            }
            element
        }
        Err(error) => head.element("iq", Some("error")).with_child(error.to_element(crate::ns::CLIENT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ns;
    use crate::stanza::Stanza;

    #[test]
    fn p43_a_request_has_exactly_one_child() {
        for kind in ["get", "set"] {
            assert!(matches!(parse(iq(kind, 1)), Ok(Stanza::Iq(_))));
            for children in [0, 2, 3] {
                let refused = parse(iq(kind, children));
                let Err(Malformed::Answer { head, error }) = refused else { panic!("{refused:?}") };
                assert_eq!((head.id.as_deref(), &*error.condition), (Some("q1"), "bad-request"));
            }
        }
    }

    #[test]
    fn p43_an_unknown_type_is_a_bad_request() {
        assert!(matches!(parse(iq("ask", 1)), Err(Malformed::Answer { .. })));
        let mut untyped = iq("get", 1);
        untyped.remove_attr("type");
        assert!(matches!(parse(untyped), Err(Malformed::Answer { .. })));
    }

    #[test]
    fn results_and_errors_are_never_to_be_answered() {
        for kind in ["result", "error"] {
            for children in 0..3 {
                assert!(matches!(parse(iq(kind, children)), Ok(Stanza::Iq(_))), "{kind} {children}");
            }
        }
    }

    #[test]
    fn an_error_carries_type_condition_and_text() {
        let error = StanzaError::new(ErrorKind::Auth, "forbidden").with_text("no");
        let head = Head { id: Some("q1".to_owned()), ..Head::default() };
        let Ok(Stanza::Iq(iq)) = parse(answer(&head, Err(error.clone()))) else { panic!("no iq") };
        assert_eq!(iq.kind, IqKind::Error(error));
    }

    fn iq(kind: &str, children: usize) -> Element {
        let mut iq = Element::new("iq", ns::CLIENT).with_attr("type", kind).with_attr("id", "q1");
        for _ in 0..children {
            iq.push(Element::new("query", "urn:example"));
        }
        iq
    }

    fn parse(element: Element) -> Result<Stanza, Malformed> {
        Stanza::parse(element)
    }
}
