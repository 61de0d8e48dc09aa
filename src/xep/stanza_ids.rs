//! XEP-0359: Unique and Stable Stanza IDs, believed only where the one they name has written them.

use super::{Extension, Xep};
use crate::jid::{BareJid, Jid};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:sid:0";

/// The extension.
pub struct StanzaIds;

impl Extension for StanzaIds {
    fn xep(&self) -> Xep {
        let scope = "the own server's ids sort out duplicates; forged or doubled ones count as none";
        Xep { number: 359, name: "Unique and Stable Stanza IDs", version: "0.7.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn consumes(&self, payload: &Element) -> bool {
        payload.ns() == NS
    }
}

/// The id that `by` gave, where `by` announces that it removes forged ones.
///
/// Two ids of the same `by` are no id: Prosody 0.12.3 lets a forged one stand before its own, so
/// taking the first would let any contact make the account drop somebody else's message.
///
/// More ids than servers and rooms together write are none either: reading addresses takes time.
pub fn trusted(payloads: &[Element], by: &BareJid, announced: bool) -> Option<String> {
    let all = || payloads.iter().filter(|payload| payload.is("stanza-id", NS));
    if !announced || all().nth(MOST).is_some() {
        return None;
    }
    let is_by = |id: &&Element| {
        id.attr("by").and_then(|text| Jid::from_wire(text).ok()).is_some_and(|jid| jid == **by)
    };
    let mut ids = all().filter(is_by);
    match (ids.next(), ids.next()) {
        (Some(id), None) => id.attr("id").filter(|id| !id.is_empty()).map(str::to_owned),
        _ => None,
    }
}

/// Ids of one stanza that are looked at.
const MOST: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_single_id_of_an_announcing_entity_is_trusted() {
        let own = BareJid::parse("bot@example.org").expect("an address");
        let id = |by: &str, id: &str| Element::new("stanza-id", NS).with_attr("by", by).with_attr("id", id);
        let real = id("bot@example.org", "real");
        let forged = id("bot@example.org", "forged");
        let foreign = id("evil@example.org", "x");
        let origin = Element::new("origin-id", NS).with_attr("id", "o");
        let trusted = |ids: &[&Element], announced| {
            trusted(&ids.iter().map(|id| (*id).clone()).collect::<Vec<_>>(), &own, announced)
        };
        assert_eq!(trusted(&[&real, &foreign, &origin], true).as_deref(), Some("real"));
        assert_eq!(trusted(&[&real], false), None);
        assert_eq!(trusted(&[&forged, &real], true), None);
        assert_eq!(trusted(&[&foreign, &origin], true), None);
        assert_eq!(trusted(&[&id("bot@example.org", "")], true), None);
        let among = |foreigners| {
            let ids: Vec<_> = std::iter::repeat_n(&foreign, foreigners).chain([&real]).collect();
            trusted(&ids, true)
        };
        assert_eq!((among(7).as_deref(), among(8)), (Some("real"), None));
    }
}
