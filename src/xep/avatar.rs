//! XEP-0084: User Avatar, the account's own: the picture on one node, what it is like on another.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::{Extension, Xep};
use crate::xml::Element;

/// Node and namespace of the picture.
pub const DATA: &str = "urn:xmpp:avatar:data";
/// Node and namespace of what it is like.
pub const METADATA: &str = "urn:xmpp:avatar:metadata";
/// Feature of accounts whose server copies the avatar into the vCard, XEP-0398.
pub const CONVERSION: &str = "urn:xmpp:pep-vcard-conversion:0";

/// The extension.
pub struct Avatar;

impl Extension for Avatar {
    fn xep(&self) -> Xep {
        let scope = "the bot's own, from `profile.avatar`: data, then metadata, only when it has changed; those of others are not fetched";
        Xep { number: 84, name: "User Avatar", version: "1.1.4", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[DATA, METADATA]
    }
}

/// A PNG picture.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub bytes: Arc<[u8]>,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

impl Picture {
    /// What it is known by: SHA-1 of the bytes in hexadecimal digits, §4.2.1.
    pub fn id(&self) -> String {
        hex(&self.bytes)
    }

    /// The bytes as text.
    pub fn base64(&self) -> String {
        STANDARD.encode(&self.bytes)
    }
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({} bytes, {} x {})", self.bytes.len(), self.width, self.height)
    }
}

/// SHA-1 in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The payload of the first node, §3.1.
pub fn data(picture: &Picture) -> Element {
    Element::new("data", DATA).with_text(picture.base64())
}

/// The payload of the second node; without a picture it says that there is none, §3.4.
pub fn metadata(picture: Option<&Picture>) -> Element {
    let metadata = Element::new("metadata", METADATA);
    let Some(picture) = picture else { return metadata };
    metadata.with_child(
        Element::new("info", METADATA)
            .with_attr("bytes", picture.bytes.len().to_string())
            .with_attr("id", picture.id())
            .with_attr("type", "image/png")
            .with_attr("width", picture.width.to_string())
            .with_attr("height", picture.height.to_string()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::writer;

    #[test]
    fn p7_a_picture_is_known_by_its_hash() {
        let picture = Picture { bytes: Arc::from(&b"abc"[..]), width: 1, height: 2 };
        // FIPS 180-4, the example for SHA-1.
        assert_eq!(picture.id(), "a9993e364706816aba3e25717850c26c9cd0d89d");
        let text = |element: &Element| writer::to_string(element).expect("XML");
        assert_eq!(text(&data(&picture)), "<data xmlns='urn:xmpp:avatar:data'>YWJj</data>");
        assert_eq!(
            text(&metadata(Some(&picture))),
            "<metadata xmlns='urn:xmpp:avatar:metadata'><info bytes='3' id='a9993e364706816aba3e25717850c26c9cd0d89d' \
             type='image/png' width='1' height='2'/></metadata>"
        );
        assert_eq!(text(&metadata(None)), "<metadata xmlns='urn:xmpp:avatar:metadata'/>");
        assert_eq!(format!("{picture:?}"), "Picture(3 bytes, 1 x 2)");
    }
}
