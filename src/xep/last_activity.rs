//! XEP-0012: Last Activity. Tells those who see the account's presence how long it has been quiet.

use super::{Account, Answer, Extension, Request, Xep};
use crate::stanza::{ErrorKind, StanzaError};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "jabber:iq:last";

/// The extension.
pub struct LastActivity;

impl Extension for LastActivity {
    fn xep(&self) -> Xep {
        let scope = "answered for contacts who see our presence, refused for others";
        Xep { number: 12, name: "Last Activity", version: "2.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn features(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn on_request(&self, request: &Request<'_>, account: &Account<'_>) -> Option<Answer> {
        if !request.is_get("query", NS) {
            return None;
        }
        // XEP-0012 §4: whoever does not see our presence must not learn our habits either.
        if !account.trusted {
            return Some(Err(StanzaError::new(ErrorKind::Auth, "forbidden")));
        }
        Some(Ok(Some(Element::new("query", NS).with_attr("seconds", account.idle_s.to_string()))))
    }
}
