//! XEP-0334: Message Processing Hints, sent with what nobody needs later.

use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:hints";

/// The extension.
pub struct Hints;

impl Extension for Hints {
    fn xep(&self) -> Xep {
        let scope = "`no-store` goes out with chat states, it, `no-copy` and `store` where a script asks, `store` with reactions, markers and retractions; incoming hints change nothing";
        Xep { number: 334, name: "Message Processing Hints", version: "1.0.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn consumes(&self, payload: &Element) -> bool {
        payload.ns() == NS
    }
}

/// "Archive it, though it has no text."
pub fn store() -> Element {
    Element::new("store", NS)
}

/// "No copies to other resources of the account", XEP-0280.
pub fn no_copy() -> Element {
    Element::new("no-copy", NS)
}

/// "Neither archive nor offline storage."
pub fn no_store() -> Element {
    Element::new("no-store", NS)
}
