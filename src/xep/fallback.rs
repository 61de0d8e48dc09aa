//! XEP-0428: Fallback Indication: which text is only for clients that know no better.

use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:fallback:0";

/// The extension.
pub struct Fallback;

impl Extension for Fallback {
    fn xep(&self) -> Xep {
        let scope = "a text that only stands in for a retraction or for reactions is not taken as what was said, nor is the quotation of a reply";
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

/// Says that the first `end` characters of the text stand in for what `ns` says.
pub fn beginning(ns: &str, end: usize) -> Element {
    let body = Element::new("body", NS).with_attr("start", "0").with_attr("end", end.to_string());
    stand_in(ns).with_child(body)
}

/// The text without the part that stands in for what `ns` says. Offsets count characters (code points); one that lies
/// outside of the text, or behind the other, takes nothing away that is not there.
pub fn without(payloads: &[Element], ns: &str, text: &str) -> Option<String> {
    let fits = |payload: &&Element| payload.is("fallback", NS) && payload.attr("for") == Some(ns);
    let body = payloads.iter().find(fits)?.child("body", NS)?;
    let start: usize = body.attr("start")?.trim().parse().ok()?;
    let end: usize = body.attr("end")?.trim().parse().ok()?;
    let kept = |(at, c): (usize, char)| (at < start || at >= end).then_some(c);
    Some(text.chars().enumerate().filter_map(kept).collect())
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
    fn x5_a_part_is_cut_out_by_characters_and_never_panics() {
        let part = |start: &str, end: &str| {
            let body = Element::new("body", NS).with_attr("start", start).with_attr("end", end);
            [stand_in("a").with_child(body)]
        };
        let without = |start, end| super::without(&part(start, end), "a", "> é\nja");
        assert_eq!(without("0", "4").as_deref(), Some("ja"));
        assert_eq!(without("4", "99999999").as_deref(), Some("> é\n"));
        assert_eq!(without("4", "2").as_deref(), Some("> é\nja"));
        assert_eq!((without("-1", "4"), without("0", "1e9")), (None, None));
        assert_eq!(super::without(&[beginning("a", 4)], "a", "> é\nja").as_deref(), Some("ja"));
        assert_eq!(super::without(&[beginning("b", 4)], "a", "text"), None);
    }

    #[test]
    fn only_a_whole_text_for_that_namespace_stands_in() {
        let part = Element::new("body", NS).with_attr("start", "0").with_attr("end", "4");
        assert!(stands_in(&[stand_in("a")], "a"));
        assert!(stands_in(&[stand_in("a").with_child(Element::new("body", NS))], "a"));
        assert!(!stands_in(&[stand_in("a").with_child(part)], "a"));
        assert!(!stands_in(&[stand_in("b")], "a"));
    }
}
