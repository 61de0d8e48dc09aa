//! XEP-0153: vCard-Based Avatars: the hash of the picture in the presence, where no server adds it.

use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "vcard-temp:x:update";

/// The extension.
pub struct VCardAvatar;

impl Extension for VCardAvatar {
    fn xep(&self) -> Xep {
        let scope = "the bot's own, where the server does not make it of XEP-0084 (XEP-0398); hashes of others lead to no question";
        Xep { number: 153, name: "vCard-Based Avatars", version: "1.1.1", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }
}

/// What the presence says of the picture in the card, §3.
pub fn element(hash: &str) -> Element {
    Element::new("x", NS).with_child(Element::new("photo", NS).with_text(hash))
}
