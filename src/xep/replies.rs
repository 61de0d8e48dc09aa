//! XEP-0461: Message Replies: which message one answers.

use super::{Extension, Xep};
use crate::jid::Jid;
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:reply:0";

/// The extension.
pub struct Replies;

impl Extension for Replies {
    fn xep(&self) -> Xep {
        let scope =
            "scripts see which message is answered, without the quoted text, and may answer with a quotation";
        Xep { number: 461, name: "Message Replies", version: "0.2.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn features(&self) -> &'static [&'static str] {
        &[NS]
    }
}

/// The id of the message that is answered.
pub fn answered(payloads: &[Element]) -> Option<&str> {
    let reply = payloads.iter().find(|payload| payload.is("reply", NS))?;
    reply.attr("id").filter(|id| !id.is_empty())
}

/// Longest quotation, in characters.
const QUOTED: usize = 300;

/// Says which message is answered: `id` as the room gave it, or in a talk of two as the sender wrote it.
pub fn reply(to: &Jid, id: &str) -> Element {
    Element::new("reply", NS).with_attr("to", to.as_str()).with_attr("id", id)
}

/// The beginning of `text` as a quotation for clients that do not know replies, with the line break behind it.
pub fn quotation(text: &str) -> String {
    let short: String = text.chars().take(QUOTED).collect();
    let mut quoted = String::new();
    for line in short.lines() {
        quoted.push_str("> ");
        quoted.push_str(line);
        quoted.push('\n');
    }
    if short.len() < text.len() {
        quoted.pop();
        quoted.push_str("…\n");
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotation_is_short_and_cut_between_characters() {
        assert_eq!(quotation("one\ntwo"), "> one\n> two\n");
        let long = quotation(&"é".repeat(400));
        assert_eq!(long.chars().count(), 2 + 300 + 2, "{long}");
        assert!(long.ends_with("é…\n"));
    }

    #[test]
    fn the_answered_message_is_named_by_its_id() {
        let reply =
            |id: &str| [Element::new("reply", NS).with_attr("to", "ann@example.org").with_attr("id", id)];
        assert_eq!(answered(&reply("m1")), Some("m1"));
        assert_eq!(answered(&reply("")), None);
        assert_eq!(answered(&[Element::new("reply", "urn:example").with_attr("id", "m1")]), None);
    }
}
