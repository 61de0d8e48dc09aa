//! XEP-0202: Entity Time. Tells UTC to those who see the account's presence.

use super::{Account, Answer, Extension, Request, Xep};
use crate::stanza::{ErrorKind, StanzaError};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:time";

/// The extension.
pub struct EntityTime;

impl Extension for EntityTime {
    fn xep(&self) -> Xep {
        let scope = "answered with UTC for contacts who see our presence, refused for others";
        Xep { number: 202, name: "Entity Time", version: "2.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn features(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn on_request(&self, request: &Request<'_>, account: &Account<'_>) -> Option<Answer> {
        if !request.is_get("time", NS) {
            return None;
        }
        if !account.trusted {
            return Some(Err(StanzaError::new(ErrorKind::Auth, "forbidden")));
        }
        let utc = account.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let time = Element::new("time", NS)
            .with_child(Element::new("tzo", NS).with_text("+00:00"))
            .with_child(Element::new("utc", NS).with_text(utc));
        Some(Ok(Some(time)))
    }
}
