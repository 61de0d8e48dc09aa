//! XEP-0393: Message Styling. Text is never styled by us, and may be kept from being styled by others.

use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:styling:0";

/// The extension.
pub struct Styling;

impl Extension for Styling {
    fn xep(&self) -> Xep {
        let scope = "never interpreted; scripts may ask that what they say is shown as it is written";
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
