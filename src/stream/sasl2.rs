//! SASL2, XEP-0388: the elements. One exchange carries login and more, and the stream does not restart.
//! What is asked for and granted along with it is in [`super::inline`].

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::jid::Jid;
use crate::ns;
use crate::stream::auth;
use crate::stream::sasl::error::SaslError;
use crate::xml::Element;

/// `<authenticate/>`. An initial response of no bytes is an empty element and differs from none.
/// `agent` is a UUID of this installation and account, XEP-0388 §2.4.
pub(super) fn authenticate(mechanism: &'static str, initial: Option<&[u8]>, agent: Option<&str>) -> Element {
    let mut authenticate = Element::new("authenticate", ns::SASL2).with_attr("mechanism", mechanism);
    if let Some(data) = initial {
        authenticate.push(Element::new("initial-response", ns::SASL2).with_text(STANDARD.encode(data)));
    }
    if let Some(agent) = agent {
        let software = Element::new("software", ns::SASL2).with_text("Rhapsode");
        authenticate.push(Element::new("user-agent", ns::SASL2).with_attr("id", agent).with_child(software));
    }
    authenticate
}

/// What the server takes along with the login; `None` where it names nothing.
pub(super) fn inline(features: &Element) -> Option<&Element> {
    features.child("authentication", ns::SASL2)?.child("inline", ns::SASL2)
}

/// The bytes of a child such as `<additional-data/>`: `None` without it, none at all where it is empty.
pub(super) fn data(parent: &Element, name: &str) -> Result<Option<Vec<u8>>, SaslError> {
    match parent.child(name, ns::SASL2) {
        Some(child) => auth::data(child).map(|data| Some(data.unwrap_or_default())),
        None => Ok(None),
    }
}

/// Whom `<success/>` says that we are: a full JID where a resource was bound.
pub(super) fn identifier(success: &Element) -> Option<Jid> {
    let text = success.child_text("authorization-identifier", ns::SASL2)?;
    Jid::from_wire(text.trim()).ok()
}

/// The tasks that `<continue/>` leaves to the client, XEP-0388 §2.6.3; no more of them than fit a log line.
pub(super) fn tasks(element: &Element) -> Vec<String> {
    const SHOWN: usize = 8;
    element
        .child("tasks", ns::SASL2)
        .into_iter()
        .flat_map(Element::children)
        .filter(|child| child.is("task", ns::SASL2))
        .map(|task| task.text().trim().chars().take(64).collect())
        .take(SHOWN)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::parse;

    ///
    #[test]
    fn an_empty_response_is_an_empty_element_and_none_is_none() {
        let empty = authenticate("ANONYMOUS", Some(b""), None);
        assert_eq!(empty.child_text("initial-response", ns::SASL2).as_deref(), Some(""));
        assert_eq!(data(&empty, "initial-response"), Ok(Some(Vec::new())));
        let none = authenticate("SCRAM-SHA-256", None, Some("d4565fa7-4d72-4749-b3d3-740edbf87770"));
        assert_eq!(data(&none, "initial-response"), Ok(None));
        assert!(none.child("user-agent", ns::SASL2).is_some_and(|agent| agent.attr("id").is_some()));
    }

    #[test]
    fn what_a_success_says_is_read_and_what_is_no_address_is_none() {
        let success = |inside: &str| {
            parse(&format!("<success xmlns='urn:xmpp:sasl:2'>{inside}</success>")).expect("well-formed")
        };
        let full = "<authorization-identifier> a@b.example/c </authorization-identifier>";
        assert_eq!(identifier(&success(full)).map(|jid| jid.to_string()), Some("a@b.example/c".to_owned()));
        for odd in
            ["", "<authorization-identifier/>", "<authorization-identifier>@</authorization-identifier>"]
        {
            assert_eq!(identifier(&success(odd)), None, "{odd}");
        }
        let broken = success("<additional-data>A*</additional-data>");
        assert_eq!(data(&broken, "additional-data"), Err(SaslError::Malformed { part: "the Base64" }));
    }

    #[test]
    fn tasks_are_few_and_short() {
        let task = format!("<task>{}</task>", "x".repeat(1000)).repeat(100);
        let more = parse(&format!("<continue xmlns='urn:xmpp:sasl:2'><tasks>{task}</tasks></continue>"));
        let found = tasks(&more.expect("well-formed"));
        assert_eq!((found.len(), found[0].len()), (8, 64));
    }
}
