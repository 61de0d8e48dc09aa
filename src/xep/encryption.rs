//! XEP-0380: Explicit Message Encryption. A sealed message has no text that could be meant.

use super::{Extension, Xep};
use crate::stanza::message::Message;

/// Namespace.
pub const NS: &str = "urn:xmpp:eme:0";

/// OMEMO as clients speak it, and as XEP-0384 has it by now; OpenPGP, new and old.
const SEALED: &[(&str, &str)] = &[
    ("encrypted", "eu.siacs.conversations.axolotl"),
    ("encrypted", "urn:xmpp:omemo:2"),
    ("encryption", NS),
    ("openpgp", "urn:xmpp:openpgp:0"),
    ("x", "jabber:x:encrypted"),
];

/// The extension.
pub struct Encryption;

impl Extension for Encryption {
    fn xep(&self) -> Xep {
        let scope = "sealed messages are recognised; their fallback text is never taken as what was said, and the sender is told once a day";
        Xep { number: 380, name: "Explicit Message Encryption", version: "0.4.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }
}

/// Whether the content is sealed and the body only says so.
pub fn is_sealed(message: &Message) -> bool {
    message.payloads.iter().any(|payload| SEALED.iter().any(|(name, ns)| payload.is(name, ns)))
}
