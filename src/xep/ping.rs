//! XEP-0199: XMPP Ping. Answers pings.

use super::{Account, Answer, Extension, Request, Xep};

/// Namespace.
pub const NS: &str = "urn:xmpp:ping";

/// The extension.
pub struct Ping;

impl Extension for Ping {
    fn xep(&self) -> Xep {
        Xep { number: 199, name: "XMPP Ping", version: "2.0.1", scope: "pings are answered" }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn features(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn on_request(&self, request: &Request<'_>, _account: &Account<'_>) -> Option<Answer> {
        request.is_get("ping", NS).then_some(Ok(None))
    }
}
