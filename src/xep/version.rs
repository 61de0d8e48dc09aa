//! XEP-0092: Software Version. Tells name and version, never the operating system.

use super::{Account, Answer, Extension, Request, Xep};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "jabber:iq:version";

/// The extension.
pub struct SoftwareVersion;

impl Extension for SoftwareVersion {
    fn xep(&self) -> Xep {
        let scope = "name and version are told, the operating system is not";
        Xep { number: 92, name: "Software Version", version: "1.1", scope }
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
        let (name, version) = account.software;
        let child = |tag: &'static str, text: &str| Element::new(tag, NS).with_text(text);
        let query = Element::new("query", NS);
        Some(Ok(Some(query.with_child(child("name", name)).with_child(child("version", version)))))
    }
}
