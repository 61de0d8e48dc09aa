//! XEP-0308: Last Message Correction. A correction is marked: it is no new command.

use super::{Extension, Xep};
use crate::stanza::message::Message;
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:message-correct:0";

/// The extension.
pub struct Correction;

impl Extension for Correction {
    fn xep(&self) -> Xep {
        let scope = "incoming corrections are marked with the id they replace; scripts may correct what the bot has said";
        Xep { number: 308, name: "Last Message Correction", version: "1.2.1", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn features(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn consumes(&self, payload: &Element) -> bool {
        payload.is("replace", NS)
    }
}

/// What marks a message as the correction of message `id`.
pub fn correction(id: &str) -> Element {
    Element::new("replace", NS).with_attr("id", id)
}

/// The id of the message that this one corrects; an absent one still marks the correction.
pub fn replaces(message: &Message) -> Option<String> {
    message.payload("replace", NS).map(|replace| replace.attr("id").unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::writer;

    #[test]
    fn a_correction_names_the_message_it_replaces() {
        let written = writer::to_string(&correction("bad1")).expect("plain");
        assert_eq!(written, "<replace xmlns='urn:xmpp:message-correct:0' id='bad1'/>");
    }
}
