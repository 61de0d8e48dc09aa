//! Stream headers, RFC 6120 §4.7.

use crate::ns;
use crate::stream::fault::HeaderProblem;
use crate::xml::{Element, StreamHeader};

/// The header of the initiating entity. `from` tells who we are, so it waits for TLS, §4.7.1.
pub(super) fn request(to: &str, from: Option<&str>, lang: &str) -> Element {
    Element::new("stream", ns::STREAM)
        .with_attr_opt("from", from)
        .with_attr("to", to)
        .with_attr("version", "1.0")
        .with_lang(Some(lang))
}

/// The header of the receiving entity.
pub(super) fn response(id: &str, from: &str, to: Option<&str>, lang: &str) -> Element {
    Element::new("stream", ns::STREAM)
        .with_attr("id", id)
        .with_attr("from", from)
        .with_attr_opt("to", to)
        .with_attr("version", "1.0")
        .with_lang(Some(lang))
}

/// Checks what either side may expect of the other's header; a response also needs an `id`, §4.7.3.
pub(super) fn check(header: &StreamHeader, response: bool) -> Result<(), HeaderProblem> {
    if !header.element.is("stream", ns::STREAM) {
        return Err(HeaderProblem::Root);
    }
    if header.default_ns != ns::CLIENT {
        return Err(HeaderProblem::ContentNamespace);
    }
    if !header.element.attr("version").is_some_and(is_version_one) {
        return Err(HeaderProblem::Version);
    }
    if response && header.element.attr("id").is_none_or(str::is_empty) {
        return Err(HeaderProblem::IdMissing);
    }
    Ok(())
}

/// Major and minor are numbers of their own, so `1.10` is above `1.9`, §4.7.5.
fn is_version_one(version: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    match version.split_once('.') {
        Some((major, minor)) => {
            number(major) && number(minor) && major.trim_start_matches('0').parse().unwrap_or(0u32) >= 1
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Reader;

    /// RFC 6120 §4.7, §4.8
    #[test]
    fn each_rule_of_the_header_is_checked() {
        let good = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
                    id='a' version='1.0'>";
        let cases = [
            (good.to_owned(), None),
            (good.replace("1.0", "1.10"), None),
            (good.replace("stream:", "s:").replace("xmlns:stream", "xmlns:s"), None),
            (good.replace("id='a' ", ""), Some(HeaderProblem::IdMissing)),
            (good.replace("'a'", "''"), Some(HeaderProblem::IdMissing)),
            (good.replace("version='1.0'", ""), Some(HeaderProblem::Version)),
            (good.replace("1.0", "0.9"), Some(HeaderProblem::Version)),
            (good.replace("1.0", "one"), Some(HeaderProblem::Version)),
            (good.replace("jabber:client", "jabber:server"), Some(HeaderProblem::ContentNamespace)),
            (good.replace("etherx", "example"), Some(HeaderProblem::Root)),
        ];
        for (text, expected) in cases {
            let (_, header) = Reader::header(&text).expect("well-formed");
            assert_eq!(check(&header, true).err(), expected, "{text}");
        }
    }
}
