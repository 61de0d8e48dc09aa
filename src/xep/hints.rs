//! XEP-0334: Message Processing Hints, sent with what nobody needs later.

use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:hints";

/// The extension.
pub struct Hints;

impl Extension for Hints {
    fn xep(&self) -> Xep {
        let scope = "`no-store` goes out with chat states, `store` with reactions, markers and retractions; incoming hints change nothing";
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

/// "Neither archive nor offline storage."
pub fn no_store() -> Element {
    Element::new("no-store", NS)
}
