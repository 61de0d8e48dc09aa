//! XEP-0425: Moderated Message Retraction: a moderator takes back what somebody else said.

use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace of version 0.3.
pub const NS: &str = "urn:xmpp:message-moderate:1";
/// Namespace of version 0.2, which rooms of Prosody 0.12 have.
pub const OLD: &str = "urn:xmpp:message-moderate:0";
/// XEP-0424 in the version that goes with [`NS`].
const RETRACT: &str = "urn:xmpp:message-retract:1";
/// XEP-0424 in the version that goes with [`OLD`].
const OLD_RETRACT: &str = "urn:xmpp:message-retract:0";
/// XEP-0422, the envelope of the older version.
const FASTEN: &str = "urn:xmpp:fasten:0";

/// The extension.
pub struct Moderation;

impl Extension for Moderation {
    fn xep(&self) -> Xep {
        let scope = "messages of others are retracted, in the version of 0.3 or 0.2 that the room announces";
        Xep { number: 425, name: "Moderated Message Retraction", version: "0.3.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS, OLD]
    }
}

/// The request for a room that has this version; `id` is the id that the room gave the message.
pub fn retract(id: &str, reason: Option<&str>, old: bool) -> Element {
    let reason = |ns: &'static str| {
        reason.filter(|reason| !reason.is_empty()).map(|reason| Element::new("reason", ns).with_text(reason))
    };
    let with = |parent: Element, child: Option<Element>| match child {
        Some(child) => parent.with_child(child),
        None => parent,
    };
    if old {
        let moderate = Element::new("moderate", OLD).with_child(Element::new("retract", OLD_RETRACT));
        let moderate = with(moderate, reason(OLD));
        return Element::new("apply-to", FASTEN).with_attr("id", id).with_child(moderate);
    }
    let moderate = Element::new("moderate", NS).with_attr("id", id);
    with(moderate.with_child(Element::new("retract", RETRACT)), reason(NS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::writer;

    #[test]
    fn both_versions_are_as_the_specification_prints_them() {
        let written = |old| writer::to_string(&retract("s1", Some("spam"), old)).expect("can be written");
        assert_eq!(
            written(false),
            "<moderate xmlns='urn:xmpp:message-moderate:1' id='s1'><retract xmlns='urn:xmpp:message-retract:1'/>\
             <reason>spam</reason></moderate>"
        );
        assert_eq!(
            written(true),
            "<apply-to xmlns='urn:xmpp:fasten:0' id='s1'><moderate xmlns='urn:xmpp:message-moderate:0'>\
             <retract xmlns='urn:xmpp:message-retract:0'/><reason>spam</reason></moderate></apply-to>"
        );
    }
}
