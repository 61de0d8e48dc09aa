//! XEP-0428: Fallback Indication: which text is only for clients that know no better.

use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:fallback:0";

/// The extension.
pub struct Fallback;

impl Extension for Fallback {
    fn xep(&self) -> Xep {
        let scope =
            "a text that only stands in for a retraction or for reactions is not taken as what was said";
        Xep { number: 428, name: "Fallback Indication", version: "0.2.1", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }
}

/// Says that the whole text stands in for what `ns` says.
pub fn stand_in(ns: &str) -> Element {
    Element::new("fallback", NS).with_attr("for", ns.to_owned())
}

/// Whether the whole text stands in for what `ns` says.
pub fn stands_in(payloads: &[Element], ns: &str) -> bool {
    let whole = |fallback: &Element| match fallback.child("body", NS) {
        Some(body) => body.attr("start").is_none() && body.attr("end").is_none(),
        None => true,
    };
    payloads
        .iter()
        .any(|payload| payload.is("fallback", NS) && payload.attr("for") == Some(ns) && whole(payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_text_for_that_namespace_stands_in() {
        let part = Element::new("body", NS).with_attr("start", "0").with_attr("end", "4");
        assert!(stands_in(&[stand_in("a")], "a"));
        assert!(stands_in(&[stand_in("a").with_child(Element::new("body", NS))], "a"));
        assert!(!stands_in(&[stand_in("a").with_child(part)], "a"));
        assert!(!stands_in(&[stand_in("b")], "a"));
    }
}
