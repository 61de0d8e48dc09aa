//! Resource binding, RFC 6120 §7, and the session request of RFC 3921 §3.

use crate::jid::{FullJid, Jid};
use crate::ns;
use crate::stanza::{ErrorKind, StanzaError};
use crate::xml::Element;

/// Asks for a resource; the server chooses where `None`.
pub(super) fn request(id: &str, resource: Option<&str>) -> Element {
    let mut bind = Element::new("bind", ns::BIND);
    if let Some(resource) = resource {
        bind.push(Element::new("resource", ns::BIND).with_text(resource));
    }
    iq("set", id).with_child(bind)
}

/// Asks for a session, which only servers without RFC 6120 need.
pub(super) fn session_request(id: &str) -> Element {
    iq("set", id).with_child(Element::new("session", ns::SESSION))
}

/// Reads an answer to the request `id`; `None` where it is none.
pub(super) fn answer<'a>(element: &'a Element, id: &str) -> Option<Result<&'a Element, StanzaError>> {
    if !element.is("iq", ns::CLIENT) || element.attr("id") != Some(id) {
        return None;
    }
    match element.attr("type") {
        Some("result") => Some(Ok(element)),
        Some("error") => Some(Err(StanzaError::from_stanza(element))),
        _ => None,
    }
}

/// The address in the answer to [`request`].
pub(super) fn address(answer: &Element) -> Result<FullJid, StanzaError> {
    answer
        .child("bind", ns::BIND)
        .and_then(|bind| bind.child_text("jid", ns::BIND))
        .and_then(|jid| Jid::from_wire(jid.trim()).ok()?.to_full())
        .ok_or_else(no_address)
}

/// The server says that a resource is bound and not which.
pub(super) fn no_address() -> StanzaError {
    StanzaError::new(ErrorKind::Cancel, "undefined-condition")
        .with_text("the answer names no address with a resource")
}

/// Receiving: the resource a client asks for; `None` where this is no request for one.
pub(super) fn requested(iq: &Element) -> Option<Option<String>> {
    if !iq.is("iq", ns::CLIENT) || iq.attr("type") != Some("set") {
        return None;
    }
    let bind = iq.child("bind", ns::BIND)?;
    Some(bind.child_text("resource", ns::BIND).filter(|resource| !resource.is_empty()))
}

/// Receiving: tells the address.
pub(super) fn result(id: &str, jid: &FullJid) -> Element {
    let jid = Element::new("jid", ns::BIND).with_text(jid.as_str());
    iq("result", id).with_child(Element::new("bind", ns::BIND).with_child(jid))
}

/// Receiving: refuses a request.
pub(super) fn refusal(id: &str, error: &StanzaError) -> Element {
    iq("error", id).with_child(error.to_element(ns::CLIENT))
}

/// Receiving: whether this asks for a session.
pub(super) fn asks_session(element: &Element) -> bool {
    element.is("iq", ns::CLIENT)
        && element.attr("type") == Some("set")
        && element.has_child("session", ns::SESSION)
}

/// An iq of this type.
pub(super) fn iq(kind: &'static str, id: &str) -> Element {
    Element::new("iq", ns::CLIENT).with_attr("type", kind).with_attr("id", id)
}

/// The stream feature.
pub(super) fn feature() -> Element {
    Element::new("bind", ns::BIND)
}

/// The stream feature for old clients; those that know RFC 6120 skip it.
pub(super) fn session_feature() -> Element {
    Element::new("session", ns::SESSION).with_child(Element::new("optional", ns::SESSION))
}
