//! XEP-0184: Message Delivery Receipts: given to contacts who ask, and told to scripts.

use super::{Extension, Xep};
use crate::event::Event;
use crate::jid::Jid;
use crate::ns;
use crate::stanza::MessageKind;
use crate::stanza::message::Message;
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:receipts";

/// The extension.
pub struct Receipts;

impl Extension for Receipts {
    fn xep(&self) -> Xep {
        let scope = "given for live one-to-one messages of contacts who ask; received ones become events";
        Xep { number: 184, name: "Message Delivery Receipts", version: "1.4.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn features(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn on_message(&self, message: &Message, from: &Jid) -> Option<Event> {
        let id = message.payload("received", NS)?.attr("id")?;
        Some(Event::Receipt { from: from.clone(), id: id.to_owned() })
    }

    fn consumes(&self, payload: &Element) -> bool {
        payload.ns() == NS
    }
}

/// The id to confirm, where the sender asked for it and the message may be confirmed at all:
/// one-to-one, with an id, and no receipt itself.
pub fn wanted(message: &Message) -> Option<&str> {
    let one_to_one = match message.kind {
        MessageKind::Chat | MessageKind::Normal => true,
        MessageKind::Groupchat | MessageKind::Headline => false,
    };
    let asked = message.payload("request", NS).is_some() && message.payload("received", NS).is_none();
    message.head.id.as_deref().filter(|_| one_to_one && asked && message.error.is_none())
}

/// The receipt for message `of`. It has no text and asks for no receipt.
pub fn receipt(to: &Jid, id: &str, kind: MessageKind, of: &str) -> Element {
    Element::new("message", ns::CLIENT)
        .with_attr("id", id)
        .with_attr("to", to.as_str())
        .with_attr("type", kind.as_str())
        .with_child(Element::new("received", NS).with_attr("id", of))
}
