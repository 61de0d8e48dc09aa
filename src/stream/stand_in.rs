//! What is delivered instead of a stanza that is beyond the limits.
//!
//! Ending the stream over it would be for ever: the server keeps it and delivers it again. So it is
//! counted and acknowledged like any other, and says nothing.

use tracing::warn;

use crate::ns;
use crate::xml::{Element, XmlError};

/// An empty stanza for a frame that passed a limit on what it holds. Every other error stays one.
pub(super) fn instead(frame: &str, error: XmlError) -> Result<Element, XmlError> {
    let XmlError::Limit { .. } = error else { return Err(error) };
    let name = match name(frame) {
        // A request without a sender would be the server's, and be answered.
        "message" | "iq" => "message",
        "presence" => "presence",
        _ => return Err(error),
    };
    warn!(%error, bytes = frame.len(), "a stanza beyond the limits counts as an empty one");
    Ok(Element::new(name, ns::CLIENT))
}

/// The name in the first tag. Where it has no prefix, it is in the namespace of the stream: a server
/// has no reason to write a stanza otherwise.
fn name(frame: &str) -> &str {
    let inside = frame.strip_prefix('<').unwrap_or(frame);
    let end = inside.find([' ', '\t', '\r', '\n', '/', '>']).unwrap_or(inside.len());
    &inside[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Reader;

    #[test]
    fn only_a_stanza_beyond_a_limit_becomes_an_empty_one() {
        let deep = format!("{}{}", "<a>".repeat(64), "</a>".repeat(64));
        let wide: String = (0..129).map(|n| format!(" a{n}=''")).collect();
        let bound: String = (0..129).map(|n| format!("<a xmlns:p{n}='u'>")).collect();
        for (frame, name) in [
            (format!("<message from='a@b'>{deep}</message>"), Some("message")),
            (format!("<presence{wide}/>"), Some("presence")),
            (format!("<iq>{bound}</iq>"), Some("message")),
            (format!("<message id='{}'/>", "x".repeat(70_000)), Some("message")),
            (format!("<messages>{deep}</messages>"), None),
            ("<message><a></message>".to_owned(), None),
            ("<message>&ent;</message>".to_owned(), None),
        ] {
            let error = Reader::within(ns::CLIENT).element(&frame).expect_err("it is refused");
            let expected = name.map(|name| Element::new(name, ns::CLIENT)).ok_or(error.clone());
            assert_eq!(instead(&frame, error), expected, "{:.40}", frame);
        }
    }
}
