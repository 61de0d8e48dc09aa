//! XEP-0444: Message Reactions.

use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:reactions:0";

/// The extension.
pub struct Reactions;

impl Extension for Reactions {
    fn xep(&self) -> Xep {
        Xep {
            number: 444,
            name: "Message Reactions",
            version: "0.2.0",
            scope: "scripts may react to messages and hear of others' reactions",
        }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }
}

/// Reactions that one message may bring; more are left out.
const MOST: usize = 20;
/// Bytes of one reaction: an emoji with all its joiners has some thirty.
const LONGEST: usize = 64;

/// The message that is reacted to, and the reactions: each once, in the order in which they stand.
pub fn read(payloads: &[Element]) -> Option<(&str, Vec<String>)> {
    let reactions = payloads.iter().find(|payload| payload.is("reactions", NS))?;
    let id = reactions.attr("id").filter(|id| !id.is_empty())?;
    let mut emojis: Vec<String> = Vec::new();
    for reaction in reactions.children().filter(|child| child.is("reaction", NS)) {
        let emoji = reaction.text();
        let emoji = emoji.trim();
        let fits = !emoji.is_empty() && emoji.len() <= LONGEST && emojis.len() < MOST;
        if fits && !emojis.iter().any(|known| known == emoji) {
            emojis.push(emoji.to_owned());
        }
    }
    Some((id, emojis))
}

/// The reactions to message `id`, in place of earlier ones; none takes them back.
pub fn reactions<'a>(id: &str, emojis: impl IntoIterator<Item = &'a str>) -> Element {
    let emojis = emojis.into_iter().map(|emoji| Element::new("reaction", NS).with_text(emoji));
    emojis.fold(Element::new("reactions", NS).with_attr("id", id), Element::with_child)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::writer;

    #[test]
    fn of_a_flood_of_reactions_a_few_are_read() {
        assert_eq!(
            read(&[reactions("m1", ["👋", "🐢", "👋", " "])]),
            Some(("m1", vec!["👋".into(), "🐢".into()]))
        );
        assert_eq!(read(&[reactions("m1", [])]), Some(("m1", Vec::new())));
        assert_eq!(read(&[reactions("", ["👋"])]), None);
        let many: Vec<String> = (0..100).map(|n| format!("e{n}")).chain(["x".repeat(65)]).collect();
        let (_, found) = read(&[reactions("m1", many.iter().map(String::as_str))]).expect("reactions");
        assert_eq!(found, many[..20]);
    }

    #[test]
    fn reactions_replace_earlier_ones() {
        let written =
            |emojis: &[&str]| writer::to_string(&reactions("m1", emojis.iter().copied())).expect("plain");
        assert_eq!(
            written(&["👋", "🐢"]),
            "<reactions xmlns='urn:xmpp:reactions:0' id='m1'><reaction>👋</reaction><reaction>🐢</reaction></reactions>"
        );
        assert_eq!(written(&[]), "<reactions xmlns='urn:xmpp:reactions:0' id='m1'/>");
    }
}
