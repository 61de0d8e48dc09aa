//! XEP-0333: Displayed Markers: "I have read up to here".

use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:chat-markers:0";

/// The extension.
pub struct DisplayedMarkers;

impl Extension for DisplayedMarkers {
    fn xep(&self) -> Xep {
        let scope = "scripts may mark what they have dealt with, where the sender asked for it, and hear of others' markers";
        Xep { number: 333, name: "Displayed Markers", version: "0.7.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }
}

/// Whether the sender wants to know that the message was displayed.
pub fn wanted(payloads: &[Element]) -> bool {
    payloads.iter().any(|payload| payload.is("markable", NS))
}

/// The id of the message up to which everything has been displayed.
pub fn marked(payloads: &[Element]) -> Option<&str> {
    let marker = payloads.iter().find(|payload| payload.is("displayed", NS))?;
    marker.attr("id").filter(|id| !id.is_empty())
}

/// "Everything up to this message has been displayed."
pub fn displayed(id: &str) -> Element {
    Element::new("displayed", NS).with_attr("id", id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::writer;

    #[test]
    fn a_marker_names_the_message_and_is_only_given_where_it_is_wanted() {
        let written = writer::to_string(&displayed("message-1")).expect("plain");
        assert_eq!(written, "<displayed xmlns='urn:xmpp:chat-markers:0' id='message-1'/>");
        assert_eq!(marked(&[displayed("message-1")]), Some("message-1"));
        assert_eq!(
            marked(&[displayed(""), Element::new("displayed", "urn:example").with_attr("id", "x")]),
            None
        );
        assert!(wanted(&[Element::new("markable", NS)]));
        assert!(!wanted(&[displayed("x"), Element::new("markable", "urn:example")]));
    }
}
