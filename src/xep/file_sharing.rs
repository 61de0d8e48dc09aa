//! XEP-0447: Stateless File Sharing. A file that lies somewhere, with what is known of it; nothing is ever fetched.

use super::file_metadata::Metadata;
use super::{Extension, Xep};
use crate::event::{Event, FileLink};
use crate::jid::Jid;
use crate::stanza::message::Message;
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:sfs:0";
/// Namespace of links, XEP-0103.
const URL: &str = "http://jabber.org/protocol/url-data";

/// The extension.
pub struct FileSharing;

impl Extension for FileSharing {
    fn xep(&self) -> Xep {
        let scope = "uploaded files are sent so, beside XEP-0066; files that come become events, and nothing is fetched";
        Xep { number: 447, name: "Stateless file sharing", version: "0.3.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn features(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn on_message(&self, message: &Message, from: &Jid) -> Option<Event> {
        let sharing = message.payload("file-sharing", NS)?;
        let url = url(sharing)?;
        let file = sharing.children().find_map(Metadata::parse).unwrap_or_default();
        let Metadata { name, mime, size, description, sha256: _ } = file;
        Some(Event::File(FileLink {
            from: from.clone(),
            place: from.clone(),
            url,
            description,
            name,
            mime,
            size,
        }))
    }

    fn consumes(&self, payload: &Element) -> bool {
        payload.is("file-sharing", NS)
    }
}

/// The first address of the file that a message shares.
pub fn shared(message: &Message) -> Option<String> {
    url(message.payload("file-sharing", NS)?)
}

fn url(sharing: &Element) -> Option<String> {
    let sources = sharing.child("sources", NS)?;
    let targets = sources.children().filter(|source| source.is("url-data", URL));
    let url =
        targets.filter_map(|source| source.attr("target")).map(str::trim).find(|url| !url.is_empty())?;
    Some(url.to_owned())
}

/// Shares a file that lies at `url`.
pub fn sharing(url: &str, file: &Metadata) -> Element {
    let source = Element::new("url-data", URL).with_attr("target", url);
    Element::new("file-sharing", NS)
        .with_attr("disposition", "inline")
        .with_child(file.to_element())
        .with_child(Element::new("sources", NS).with_child(source))
}
