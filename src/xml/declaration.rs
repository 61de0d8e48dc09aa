//! The XML declaration before a stream header, RFC 6120 §11.4 to §11.6.

use super::error::{Construct, XmlError};
use super::tag::{self, RawAttribute};

/// Judges a complete `<?xml … ?>`; positions count from its first byte.
pub(super) fn check(text: &str) -> Result<(), XmlError> {
    let inside = text.strip_prefix("<?").and_then(|t| t.strip_suffix("?>"));
    let inside = inside.ok_or(XmlError::Syntax { at: 0, expected: "`?>`" })?;
    let (target, end) = tag::name_of(inside);
    if target != "xml" {
        return Err(XmlError::Restricted { at: 0, construct: Construct::ProcessingInstruction });
    }
    let mut attributes = Vec::new();
    tag::read(&inside[end..], end + 2, 3, &mut attributes)?;
    let mut rest = attributes.as_slice();
    match take(&mut rest, "version") {
        Some(version) if version.value == "1.0" => {}
        Some(version) => return Err(XmlError::Version { at: tag::position(version.value_at, 0) }),
        None => return Err(XmlError::Syntax { at: 5, expected: "`version` in the XML declaration" }),
    }
    if let Some(encoding) = take(&mut rest, "encoding")
        && !encoding.value.eq_ignore_ascii_case("utf-8")
    {
        return Err(XmlError::Encoding { at: tag::position(encoding.value_at, 0) });
    }
    if let Some(standalone) = take(&mut rest, "standalone")
        && !matches!(standalone.value, "yes" | "no")
    {
        let at = tag::position(standalone.value_at, 0);
        return Err(XmlError::Syntax { at, expected: "`yes` or `no`" });
    }
    match rest.first() {
        None => Ok(()),
        Some(other) => Err(XmlError::Syntax {
            at: tag::position(other.at, 0),
            expected: "nothing else in the XML declaration",
        }),
    }
}

/// Takes the next pseudo-attribute if it has this name: their order is fixed.
fn take<'a>(rest: &mut &[RawAttribute<'a>], name: &str) -> Option<RawAttribute<'a>> {
    let (first, others) = rest.split_first()?;
    if !first.prefix.is_empty() || first.local != name {
        return None;
    }
    *rest = others;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_rfc_6120_asks_for() {
        for text in [
            "<?xml version='1.0'?>",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
            "<?xml version='1.0' encoding='utf-8' standalone='yes' ?>",
            "<?xml\nversion = '1.0'?>",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn names_the_condition_of_each_refusal() {
        for (text, condition) in [
            ("<?xml version='1.1'?>", "not-well-formed"),
            ("<?xml encoding='UTF-8'?>", "not-well-formed"),
            ("<?xml version='1.0' standalone='yes' encoding='UTF-8'?>", "not-well-formed"),
            ("<?xml version='1.0'encoding='UTF-8'?>", "not-well-formed"),
            ("<?xml version='1.0' standalone='maybe'?>", "not-well-formed"),
            ("<?xml?>", "not-well-formed"),
            ("<?xml version='1.0' encoding='UTF-16'?>", "unsupported-encoding"),
            ("<?xml version='1.0' encoding='ISO-8859-1'?>", "unsupported-encoding"),
            ("<?xml-stylesheet href='a'?>", "restricted-xml"),
            ("<?php?>", "restricted-xml"),
        ] {
            assert_eq!(check(text).map_err(|e| e.condition()), Err(condition), "{text}");
        }
    }
}
