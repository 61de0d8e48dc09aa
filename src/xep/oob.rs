//! XEP-0066: Out of Band Data. A link with a message; nothing is ever fetched.

use super::{Extension, Xep};
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
        let data = message.payload("x", NS)?;
        let url = url(data)?;
        let description = data.child_text("desc", NS).filter(|text| !text.is_empty());
        Some(Event::File(FileLink { from: from.clone(), place: from.clone(), url, description }))
    }

    fn consumes(&self, payload: &Element) -> bool {
        payload.is("x", NS)
    }
}

/// Whether the text of the message is nothing but its link, as clients without XEP-0066 need it.
pub fn is_only_link(message: &Message, text: &str) -> bool {
    message.payload("x", NS).and_then(url).is_some_and(|url| url == text.trim())
}

fn url(data: &Element) -> Option<String> {
    let url = data.child_text("url", NS)?.trim().to_owned();
    (!url.is_empty()).then_some(url)
}
