//! XEP-0424: Message Retraction: taking back what was said, as far as others play along.

use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:message-retract:1";

/// Namespace of XEP-0428, which tells clients what of a message is only for those who know no better.
const FALLBACK: &str = "urn:xmpp:fallback:0";

/// What is shown by clients that know nothing of it.
pub const WORDS: &str = "/me retracted a previous message, but it's unsupported by your client.";

/// The extension.
pub struct Retraction;

impl Extension for Retraction {
    fn xep(&self) -> Xep {
        let scope = "scripts may take back what the bot has said";
        Xep { number: 424, name: "Message Retraction", version: "0.4.2", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }
}

/// What says that message `id` is taken back, beside [`WORDS`] as text.
pub fn retraction(id: &str) -> [Element; 2] {
    [Element::new("retract", NS).with_attr("id", id), Element::new("fallback", FALLBACK).with_attr("for", NS)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::writer;

    #[test]
    fn a_retraction_names_the_message_and_marks_its_text_as_a_stand_in() {
        let written = retraction("m1").map(|element| writer::to_string(&element).expect("plain"));
        assert_eq!(
            written,
            [
                "<retract xmlns='urn:xmpp:message-retract:1' id='m1'/>",
                "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:message-retract:1'/>",
            ]
        );
    }
}
