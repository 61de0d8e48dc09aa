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
            scope: "scripts may react to messages",
        }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }
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
