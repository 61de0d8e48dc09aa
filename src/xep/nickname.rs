//! XEP-0172: User Nickname. What a sender wants to be called; never an identity.

use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "http://jabber.org/protocol/nick";

/// Longest nickname that is taken, in characters.
const LONGEST: usize = 64;

/// The extension.
pub struct Nickname;

impl Extension for Nickname {
    fn xep(&self) -> Xep {
        let scope =
            "names senders who are not in the roster; the bot's own, from `profile.nick`, is published";
        Xep { number: 172, name: "User Nickname", version: "1.1", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn consumes(&self, payload: &Element) -> bool {
        payload.is("nick", NS)
    }
}

/// A nickname as it is published.
pub fn element(nick: &str) -> Element {
    Element::new("nick", NS).with_text(nick)
}

/// The nickname among these payloads: one line, cut to a bearable length.
pub fn read(payloads: &[Element]) -> Option<String> {
    let text = payloads.iter().find(|payload| payload.is("nick", NS))?.text();
    let nick: String = text.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    (!nick.is_empty()).then_some(nick)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p44_a_nickname_is_one_bounded_line() {
        let nick = |text: &str| read(&[Element::new("nick", NS).with_text(text)]);
        assert_eq!(nick(" Ann\n\u{1b}[31m ").as_deref(), Some("Ann[31m"));
        assert_eq!(nick(&"é".repeat(100)).map(|nick| nick.chars().count()), Some(64));
        assert_eq!((nick(""), nick(" \n ")), (None, None));
    }
}
