//! XEP-0085: Chat State Notifications, in and out.

use super::{Extension, Xep};
use crate::event::{ChatState, Event};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::message::Message;
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "http://jabber.org/protocol/chatstates";

/// The extension.
pub struct ChatStates;

const STATES: &[(&str, ChatState)] = &[
    ("active", ChatState::Active),
    ("composing", ChatState::Composing),
    ("gone", ChatState::Gone),
    ("inactive", ChatState::Inactive),
    ("paused", ChatState::Paused),
];

impl Extension for ChatStates {
    fn xep(&self) -> Xep {
        let scope = "states without a text become events; scripts may send states";
        Xep { number: 85, name: "Chat State Notifications", version: "2.1", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn features(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn on_message(&self, message: &Message, from: &Jid) -> Option<Event> {
        // Beside a text the state says nothing that the text does not say.
        if !message.bodies.is_empty() {
            return None;
        }
        let state = message.payloads.iter().find_map(read)?;
        Some(Event::ChatState { from: from.clone(), state })
    }

    fn consumes(&self, payload: &Element) -> bool {
        read(payload).is_some()
    }
}

/// A message that tells a state and nothing else.
pub fn message(to: &Jid, id: &str, state: ChatState) -> Element {
    let name = STATES.iter().find(|(_, known)| *known == state).map_or("active", |(name, _)| name);
    Element::new("message", ns::CLIENT)
        .with_attr("id", id)
        .with_attr("to", to.as_str())
        .with_attr("type", "chat")
        .with_child(Element::new(name, NS))
}

fn read(payload: &Element) -> Option<ChatState> {
    STATES.iter().find(|(name, _)| payload.is(name, NS)).map(|(_, state)| *state)
}
