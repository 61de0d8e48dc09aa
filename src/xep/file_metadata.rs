//! XEP-0446: File Metadata Element. What is said of a file before anybody fetches it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:file:metadata:0";
/// Namespace of hashes, XEP-0300.
const HASHES: &str = "urn:xmpp:hashes:2";
/// Longest name or type that is taken, in characters.
const LONGEST: usize = 255;

/// The extension.
pub struct FileMetadata;

/// What a sender says of a file. Nobody vouches for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Name without a path.
    pub name: Option<String>,
    /// Media type.
    pub mime: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// Words for people.
    pub description: Option<String>,
    /// SHA-256 of the content, where it is known.
    pub sha256: Option<Vec<u8>>,
}

impl Extension for FileMetadata {
    fn xep(&self) -> Xep {
        let scope = "name, type, size and SHA-256 go out with files and are told of those that come";
        Xep { number: 446, name: "File metadata element", version: "0.2.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }
}

impl Metadata {
    /// Reads a `<file/>`.
    pub fn parse(file: &Element) -> Option<Self> {
        if !file.is("file", NS) {
            return None;
        }
        let line = |name| {
            let text = file.child_text(name, NS)?;
            let text: String = text.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
            (!text.is_empty()).then_some(text)
        };
        let hash =
            file.children().find(|hash| hash.is("hash", HASHES) && hash.attr("algo") == Some("sha-256"));
        Some(Self {
            name: line("name").as_deref().and_then(base_name),
            mime: line("media-type"),
            size: file.child_text("size", NS).and_then(|size| size.trim().parse().ok()),
            description: line("desc"),
            sha256: hash
                .and_then(|hash| STANDARD.decode(hash.text().trim()).ok())
                .filter(|hash| hash.len() == 32),
        })
    }

    /// The `<file/>`.
    pub fn to_element(&self) -> Element {
        let mut file = Element::new("file", NS);
        let size = self.size.map(|size| size.to_string());
        let texts = [
            ("media-type", self.mime.clone()),
            ("name", self.name.clone()),
            ("size", size),
            ("desc", self.description.clone()),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                file.push(Element::new(name, NS).with_text(text));
            }
        }
        if let Some(hash) = &self.sha256 {
            file.push(
                Element::new("hash", HASHES).with_attr("algo", "sha-256").with_text(STANDARD.encode(hash)),
            );
        }
        file
    }
}

/// The name without a path (S-26); `None` where nothing is left that names a file.
pub fn base_name(name: &str) -> Option<String> {
    let name = name.rsplit(['/', '\\']).next()?.trim();
    (!matches!(name, "" | "." | "..")).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s26_a_name_has_no_path() {
        let names = ["../../etc/passwd", "C:\\a\\b.txt", "..", "/", "cat.png"];
        let read: Vec<Option<String>> = names.into_iter().map(base_name).collect();
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(read, [some("passwd"), some("b.txt"), None, None, some("cat.png")]);
    }

    #[test]
    fn what_is_written_is_read() {
        let file = Metadata {
            name: Some("cat.png".to_owned()),
            mime: Some("image/png".to_owned()),
            size: Some(42),
            description: None,
            sha256: Some(vec![7; 32]),
        };
        assert_eq!(Metadata::parse(&file.to_element()), Some(file));
        let odd = Element::new("file", NS).with_child(Element::new("size", NS).with_text("-3"));
        assert_eq!(Metadata::parse(&odd), Some(Metadata::default()));
    }
}
