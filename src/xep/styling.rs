//! XEP-0393: Message Styling. Text is never styled by us, and may be kept from being styled by others.

use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:styling:0";

/// The extension.
pub struct Styling;

impl Extension for Styling {
    fn xep(&self) -> Xep {
        let scope = "never interpreted; scripts may ask that what they say is shown as it is written, or have parts of it escaped";
        Xep { number: 393, name: "Message Styling", version: "1.1.1", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }
}

/// "Show it as it is written."
pub fn unstyled() -> Element {
    Element::new("unstyled", NS)
}

/// The text in a form that no client takes for styling (§5), nor its beginning for an action (XEP-0245): a word joiner,
/// which nobody sees, stands before each character that could begin something.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    if text.starts_with("/me ") {
        plain.push(JOINER);
    }
    let mut before = '\n';
    for c in text.chars() {
        let span = matches!(c, '*' | '_' | '~' | '`') && !before.is_alphanumeric() && before != JOINER;
        let block = c == '>' && matches!(before, '\n' | '\r');
        if span || block {
            plain.push(JOINER);
        }
        plain.push(c);
        before = c;
    }
    plain
}

/// U+2060 WORD JOINER: no white space, no letter, of no width.
const JOINER: char = '\u{2060}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x9_what_could_begin_styling_no_longer_does() {
        for (text, expected) in [
            ("plain text", "plain text"),
            ("2*3*4 snake_case", "2*3*4 snake_case"),
            ("*bold* _x_", "|*bold* |_x_"),
            ("(*bold*)", "(|*bold*)"),
            ("```\ncode\n```", "|`|`|`\ncode\n|`|`|`"),
            ("> quoted\n> more > less", "|> quoted\n|> more > less"),
            ("/me waves", "|/me waves"),
            ("say /me ", "say /me "),
            ("~~gone~~", "|~|~gone~|~"),
            ("", ""),
        ] {
            assert_eq!(plain(text).replace(JOINER, "|"), expected, "{text}");
        }
    }

    #[test]
    fn x9_escaping_twice_is_escaping_once() {
        for text in ["*bold* ~x~", "> a\n/me b", "/me c", "```"] {
            assert_eq!(plain(&plain(text)), plain(text));
        }
    }
}
