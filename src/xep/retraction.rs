//! XEP-0424: Message Retraction: taking back what was said, as far as others play along.

use super::{Extension, Xep, fallback};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:message-retract:1";

/// Namespaces of the version before, which Debian's servers and older clients speak.
const OLD: &str = "urn:xmpp:message-retract:0";
/// XEP-0422, which carried it.
const FASTEN: &str = "urn:xmpp:fasten:0";

/// What is shown by clients that know nothing of it.
pub const WORDS: &str = "/me retracted a previous message, but it's unsupported by your client.";

/// The extension.
pub struct Retraction;

impl Extension for Retraction {
    fn xep(&self) -> Xep {
        let scope = "scripts may take back what the bot has said, and hear what others take back";
        Xep { number: 424, name: "Message Retraction", version: "0.4.2", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }
}

/// What says that message `id` is taken back, beside [`WORDS`] as text.
pub fn retraction(id: &str) -> [Element; 2] {
    [Element::new("retract", NS).with_attr("id", id), fallback::stand_in(NS)]
}

/// The id of the message that is taken back.
pub fn retracted(payloads: &[Element]) -> Option<&str> {
    let retract = payloads.iter().find(|payload| payload.is("retract", NS));
    let older = || {
        payloads.iter().find(|payload| payload.is("apply-to", FASTEN) && payload.has_child("retract", OLD))
    };
    retract.or_else(older)?.attr("id").filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::writer;

    #[test]
    fn both_versions_of_a_retraction_are_read() {
        assert_eq!(retracted(&retraction("m1")), Some("m1"));
        let older = Element::new("apply-to", FASTEN).with_attr("id", "m2");
        assert_eq!(retracted(std::slice::from_ref(&older)), None);
        assert_eq!(retracted(&[older.with_child(Element::new("retract", OLD))]), Some("m2"));
    }

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
