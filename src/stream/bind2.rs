//! Bind 2, XEP-0386: the elements. A resource is bound within the login, and what belongs to a session is
//! switched on with it.

use crate::ns;
use crate::stanza::StanzaError;
use crate::xml::Element;

/// What a server switches on together with a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extras {
    /// Copies of what other resources send and receive, XEP-0280.
    pub carbons: bool,
    /// Stream management, XEP-0198.
    pub management: bool,
}

/// What the server offers among its inline features; `None` where it is not Bind 2.
pub(super) fn offer(inline: &Element) -> Option<Extras> {
    let bind = inline.child("bind", ns::BIND2)?;
    let offers = |name: &str| {
        bind.child("inline", ns::BIND2).is_some_and(|inline| {
            let mut features = inline.children().filter(|child| child.is("feature", ns::BIND2));
            features.any(|feature| feature.attr("var") == Some(name))
        })
    };
    Some(Extras { carbons: offers(CARBONS), management: offers(ns::SM) })
}

/// `<bind/>` for a resource that the server makes of `tag`, with `extras` switched on.
pub(super) fn request(tag: &str, extras: Extras) -> Element {
    let mut bind = Element::new("bind", ns::BIND2);
    bind.push(Element::new("tag", ns::BIND2).with_text(tag));
    if extras.management {
        bind.push(Element::new("enable", ns::SM).with_attr("resume", "true"));
    }
    if extras.carbons {
        bind.push(Element::new("enable", CARBONS));
    }
    bind
}

/// Why `<failed/>` in a success says that there is no resource. Servers differ in how they wrap it.
pub(super) fn refusal(failed: &Element) -> StanzaError {
    if failed.has_child("error", failed.ns()) {
        return StanzaError::from_stanza(failed);
    }
    let error =
        failed.children().cloned().fold(Element::new("error", failed.ns().to_owned()), Element::with_child);
    StanzaError::from_stanza(&Element::new("failed", failed.ns().to_owned()).with_child(error))
}

/// XEP-0280.
const CARBONS: &str = "urn:xmpp:carbons:2";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::parse;

    #[test]
    fn only_what_is_offered_in_the_right_place_counts() {
        let inline = |inside: &str| {
            let text = format!("<inline xmlns='urn:xmpp:sasl:2'>{inside}</inline>");
            parse(&text).expect("well-formed")
        };
        let feature = |name: &str| format!("<feature var='{name}'/>");
        let bind = |inside: &str| format!("<bind xmlns='urn:xmpp:bind:0'>{inside}</bind>");
        let all = format!("<inline>{}{}</inline>", feature("urn:xmpp:sm:3"), feature("urn:xmpp:carbons:2"));
        assert_eq!(offer(&inline(&bind(&all))), Some(Extras { carbons: true, management: true }));
        assert_eq!(offer(&inline(&bind(""))), Some(Extras::default()));
        assert_eq!(offer(&inline(&bind(&feature("urn:xmpp:sm:3")))), Some(Extras::default()));
        assert_eq!(offer(&inline("<sm xmlns='urn:xmpp:sm:3'/>")), None);
        // The name in the examples of older texts.
        assert_eq!(offer(&inline("<bind xmlns='urn:xmpp:bind2:1'/>")), None);
    }

    #[test]
    fn a_refusal_is_read_with_and_without_its_wrapping() {
        let condition = "<conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>";
        for (inside, expected) in [
            (format!("<error type='cancel'>{condition}</error>"), "conflict"),
            (condition.to_owned(), "conflict"),
            (String::new(), "undefined-condition"),
        ] {
            let failed = parse(&format!("<failed xmlns='urn:xmpp:bind:0'>{inside}</failed>"));
            assert_eq!(&*refusal(&failed.expect("well-formed")).condition, expected);
        }
    }
}
