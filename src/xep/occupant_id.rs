//! XEP-0421: Occupant identifiers: who somebody is in a room that hides addresses.
//!
//! Only a room that announces the feature takes out what occupants write themselves.

use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:occupant-id:0";

/// The extension.
pub struct OccupantIds;

impl Extension for OccupantIds {
    fn xep(&self) -> Xep {
        let scope = "the identity of occupants where the room hides addresses; believed only of rooms that announce it";
        Xep { number: 421, name: "Occupant identifiers for semi-anonymous MUCs", version: "1.0.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn consumes(&self, payload: &Element) -> bool {
        payload.is("occupant-id", NS)
    }
}

/// The id among the payloads of a stanza from an occupant. Two are none: one of them is made up.
pub fn read(payloads: &[Element]) -> Option<String> {
    let mut ids = payloads.iter().filter(|payload| payload.is("occupant-id", NS));
    match (ids.next(), ids.next()) {
        (Some(id), None) => id.attr("id").filter(|id| (1..=LONGEST).contains(&id.len())).map(str::to_owned),
        _ => None,
    }
}

/// Ids are hashes or UUIDs; longer ones only take memory.
const LONGEST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s12_only_a_single_id_is_one() {
        let id = |id: &str| Element::new("occupant-id", NS).with_attr("id", id);
        assert_eq!(read(&[id("a")]).as_deref(), Some("a"));
        assert_eq!(read(&[id("a"), id("b")]), None);
        assert_eq!(read(&[id("")]), None);
        assert_eq!(read(&[id(&"a".repeat(LONGEST + 1))]), None);
    }
}
