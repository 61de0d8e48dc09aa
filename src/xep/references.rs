//! XEP-0372: References: which words of a text name somebody.

use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:reference:0";

/// The extension.
pub struct References;

impl Extension for References {
    fn xep(&self) -> Xep {
        let scope = "scripts may say which words of what they send name somebody; what others refer to is left to scripts";
        Xep { number: 372, name: "References", version: "0.7.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }
}

/// "These words name that entity." The place counts characters (code points) and ends behind the last one; without
/// one, the message as a whole does.
pub fn mention(address: &str, place: Option<(usize, usize)>) -> Element {
    let mention = Element::new("reference", NS)
        .with_attr("type", "mention")
        .with_attr("uri", format!("xmpp:{}", escaped(address)));
    match place {
        Some((begin, end)) => mention.with_attr("begin", begin.to_string()).with_attr("end", end.to_string()),
        None => mention,
    }
}

/// The address as part of an XMPP URI, RFC 5122 §2.2: everything but what may stand there is percent-encoded.
fn escaped(address: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~@/!$'()*+,;=:".contains(&b);
    let mut uri = String::with_capacity(address.len());
    for byte in address.bytes() {
        match plain(byte) {
            true => uri.push(byte.into()),
            false => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::writer;

    #[test]
    fn a_mention_names_an_address_and_its_place() {
        for (address, place, expected) in [
            (
                "ann@example.org",
                Some((0, 3)),
                "type='mention' uri='xmpp:ann@example.org' begin='0' end='3'/>",
            ),
            (
                "den@rooms.example.org/Åse & co",
                None,
                "type='mention' uri='xmpp:den@rooms.example.org/%C3%85se%20%26%20co'/>",
            ),
        ] {
            let written = writer::to_string(&mention(address, place)).expect("XML");
            assert_eq!(written, format!("<reference xmlns='{NS}' {expected}"));
        }
    }
}
