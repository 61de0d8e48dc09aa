//! STARTTLS, RFC 6120 §5: the elements. When they may stand is in [`super::features`].

use crate::ns;
use crate::xml::Element;

/// `<starttls/>`, which asks for TLS.
pub(super) fn request() -> Element {
    Element::new("starttls", ns::TLS)
}

/// `<proceed/>`: TLS begins behind its `>`.
pub(super) fn proceed() -> Element {
    Element::new("proceed", ns::TLS)
}

/// The stream feature. There is no stream without TLS here.
pub(super) fn feature() -> Element {
    Element::new("starttls", ns::TLS).with_child(Element::new("required", ns::TLS))
}
