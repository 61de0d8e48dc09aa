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

/// Takes out what others have written as ids of `by`, §3.2. Where there are more ids than servers and rooms together
/// write, all of them go.
pub fn take_out(message: &mut Element, by: &BareJid) {
    let many = message.children().filter(|child| child.is("stanza-id", NS)).nth(MOST).is_some();
    let is_by = |child: &Element| {
        child.attr("by").and_then(|text| Jid::from_wire(text).ok()).is_some_and(|jid| jid == **by)
    };
    message.retain_children(|child| !(child.is("stanza-id", NS) && (many || is_by(child))));
}

/// The id that `by` gives.
pub fn stanza_id(by: &BareJid, id: &str) -> Element {
    Element::new("stanza-id", NS).with_attr("by", by.as_str()).with_attr("id", id)
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
    // §3.2: however its address is written.
    #[test]
    fn what_others_wrote_as_ones_own_id_is_taken_out() {
        let room = BareJid::parse("den@rooms.example.org").expect("an address");
        let id = |by: &str| Element::new("stanza-id", NS).with_attr("by", by).with_attr("id", "x");
        let left = |ids: &[Element]| {
            let mut message =
                ids.iter().cloned().fold(Element::new("message", crate::ns::CLIENT), Element::with_child);
            take_out(&mut message, &room);
            message.children().filter_map(|id| id.attr("by")).map(str::to_owned).collect::<Vec<_>>()
        };
        let others = [id("evil@example.org"), id("den@rooms.example.org/nick"), id("")];
        assert_eq!(left(&others).len(), 3);
        assert!(
            left(&[stanza_id(&room, "y"), id("DEN@Rooms.example.org"), id("den@rooms.example.org.")])
                .is_empty()
        );
        assert!(left(&vec![id("evil@example.org"); MOST + 1]).is_empty());
    }
}
