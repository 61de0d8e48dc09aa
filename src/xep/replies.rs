//! XEP-0461: Message Replies: which message one answers.

use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:reply:0";

/// The extension.
pub struct Replies;

impl Extension for Replies {
    fn xep(&self) -> Xep {
        let scope = "scripts see which message is answered";
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answered_message_is_named_by_its_id() {
        let reply =
            |id: &str| [Element::new("reply", NS).with_attr("to", "ann@example.org").with_attr("id", id)];
        assert_eq!(answered(&reply("m1")), Some("m1"));
        assert_eq!(answered(&reply("")), None);
        assert_eq!(answered(&[Element::new("reply", "urn:example").with_attr("id", "m1")]), None);
    }
}
