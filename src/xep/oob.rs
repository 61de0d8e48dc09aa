//! XEP-0066: Out of Band Data. A link with a message; nothing is ever fetched.

use super::{Extension, Xep, fallback, file_sharing};
use crate::event::{Event, FileLink};
use crate::jid::Jid;
use crate::stanza::message::Message;
use crate::xml::Element;

/// Namespace of the form that comes in messages.
pub const NS: &str = "jabber:x:oob";

/// The extension.
pub struct OutOfBand;

impl Extension for OutOfBand {
    fn xep(&self) -> Xep {
        let scope = "links in messages become events; nothing is fetched";
        Xep { number: 66, name: "Out of Band Data", version: "1.5", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn features(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn on_message(&self, message: &Message, from: &Jid) -> Option<Event> {
        // XEP-0447 says the same and more.
        if file_sharing::shared(message).is_some() {
            return None;
        }
        let data = message.payload("x", NS)?;
        let url = url(data)?;
        let description = data.child_text("desc", NS).filter(|text| !text.is_empty());
        Some(Event::File(FileLink {
            from: from.clone(),
            place: from.clone(),
            url,
            description,
            name: None,
            mime: None,
            size: None,
        }))
    }

    fn consumes(&self, payload: &Element) -> bool {
        payload.is("x", NS)
    }
}

/// Whether the text of the message is nothing but its link, as clients without XEP-0066 and XEP-0447 need it.
pub fn is_only_link(message: &Message, text: &str) -> bool {
    let shared = file_sharing::shared(message);
    if shared.is_some() && fallback::stands_in(&message.payloads, file_sharing::NS) {
        return true;
    }
    let link = message.payload("x", NS).and_then(url);
    [shared, link].into_iter().flatten().any(|url| url == text.trim())
}

/// A link beside a text that is the same.
pub fn link(url: &str) -> Element {
    Element::new("x", NS).with_child(Element::new("url", NS).with_text(url))
}

fn url(data: &Element) -> Option<String> {
    let url = data.child_text("url", NS)?.trim().to_owned();
    (!url.is_empty()).then_some(url)
}
