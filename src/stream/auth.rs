//! The elements that carry SASL, RFC 6120 §6.4, and the announcement of what is offered.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::ns;
use crate::stream::fault::SaslCondition;
use crate::stream::sasl::error::SaslError;
use crate::xml::Element;

/// The two ways in which the messages of SASL travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// RFC 6120 §6: the stream restarts after the login.
    Sasl,
    /// XEP-0388: it does not, and more travels along.
    Sasl2,
}

impl Profile {
    /// The namespace of its elements.
    pub fn ns(self) -> &'static str {
        match self {
            Self::Sasl => ns::SASL,
            Self::Sasl2 => ns::SASL2,
        }
    }

    /// The feature that lists its mechanisms.
    fn feature(self) -> &'static str {
        match self {
            Self::Sasl => "mechanisms",
            Self::Sasl2 => "authentication",
        }
    }
}

/// `<auth/>`; an initial response of no bytes differs from none, §6.4.2.
pub(super) fn auth(mechanism: &'static str, initial: Option<&[u8]>) -> Element {
    let auth = Element::new("auth", ns::SASL).with_attr("mechanism", mechanism);
    match initial {
        Some(data) => auth.with_text(encode(data)),
        None => auth,
    }
}

/// `<challenge/>`, `<response/>`, which carry no bytes as no text.
pub(super) fn message(profile: Profile, name: &'static str, data: &[u8]) -> Element {
    Element::new(name, profile.ns()).with_text(STANDARD.encode(data))
}

/// `<success/>`, perhaps with additional data.
pub(super) fn success(additional: Option<&[u8]>) -> Element {
    let success = Element::new("success", ns::SASL);
    match additional {
        Some(data) => success.with_text(encode(data)),
        None => success,
    }
}

/// `<abort/>`
pub(super) fn abort(profile: Profile) -> Element {
    Element::new("abort", profile.ns())
}

/// `<failure/>`
pub(super) fn failure(profile: Profile, condition: SaslCondition) -> Element {
    Element::new("failure", profile.ns()).with_child(Element::new(condition.name(), ns::SASL))
}

/// Reads `<failure/>`. An unknown condition is treated as a refusal: trying again could be taken
/// for guessing. Conditions keep the namespace of RFC 6120 in SASL2; some servers write the other one.
pub(super) fn read_failure(failure: &Element) -> (SaslCondition, Option<String>) {
    let condition = failure
        .children()
        .filter(|child| child.ns() == ns::SASL || child.ns() == failure.ns())
        .find_map(|child| SaslCondition::from_name(child.name()))
        .unwrap_or(SaslCondition::NotAuthorized);
    let text = [failure.ns(), ns::SASL].into_iter().find_map(|ns| failure.child_text("text", ns));
    (condition, text)
}

/// The bytes in an element: `None` without text, `=` for none at all. White space may stand
/// between, as some servers break long lines.
pub(super) fn data(element: &Element) -> Result<Option<Vec<u8>>, SaslError> {
    let text: String = element.text().chars().filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\n')).collect();
    match text.as_str() {
        "" => Ok(None),
        "=" => Ok(Some(Vec::new())),
        text => STANDARD.decode(text).map(Some).map_err(|_| SaslError::Malformed { part: "the Base64" }),
    }
}

/// The names in `<mechanisms/>` or `<authentication/>`.
pub(super) fn mechanisms(profile: Profile, features: &Element) -> Vec<String> {
    features
        .child(profile.feature(), profile.ns())
        .into_iter()
        .flat_map(Element::children)
        .filter(|child| child.is("mechanism", profile.ns()))
        .map(|child| child.text().trim().to_owned())
        .collect()
}

/// The channel-binding types of XEP-0440; `None` where the server sent no list.
pub(super) fn bindings(features: &Element) -> Option<Vec<String>> {
    let list = features.child("sasl-channel-binding", ns::SASL_CB)?;
    Some(
        list.children()
            .filter(|child| child.is("channel-binding", ns::SASL_CB))
            .filter_map(|child| child.attr("type").map(str::to_owned))
            .collect(),
    )
}

/// `<mechanisms/>` or `<authentication/>` with these names.
pub(super) fn mechanisms_feature(profile: Profile, names: &[String]) -> Element {
    let mechanism = |name: &String| Element::new("mechanism", profile.ns()).with_text(name.clone());
    names.iter().map(mechanism).fold(Element::new(profile.feature(), profile.ns()), Element::with_child)
}

/// The list of XEP-0440.
pub(super) fn bindings_feature(names: &[String]) -> Element {
    let binding =
        |name: &String| Element::new("channel-binding", ns::SASL_CB).with_attr("type", name.clone());
    names.iter().map(binding).fold(Element::new("sasl-channel-binding", ns::SASL_CB), Element::with_child)
}

fn encode(data: &[u8]) -> String {
    if data.is_empty() { "=".to_owned() } else { STANDARD.encode(data) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6120 §6.4.2, A-14
    #[test]
    fn an_empty_response_differs_from_none() {
        for (text, expected) in [
            ("", Ok(None)),
            ("=", Ok(Some(vec![]))),
            (" AGFi\n Yw== ", Ok(Some(b"\0abc".to_vec()))),
            ("AGFiYw=", Err(SaslError::Malformed { part: "the Base64" })),
            ("A*==", Err(SaslError::Malformed { part: "the Base64" })),
        ] {
            assert_eq!(data(&Element::new("success", ns::SASL).with_text(text)), expected, "{text:?}");
        }
        assert_eq!(auth("ANONYMOUS", Some(b"")).text(), "=");
        assert_eq!(auth("SCRAM-SHA-1", None).text(), "");
        assert_eq!(message(Profile::Sasl, "response", b"").text(), "");
    }
}
