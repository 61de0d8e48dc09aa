//! What people let know about earlier messages without words: reactions, retractions, markers.
//!
//! Only what is said now counts, and never what the account itself or another bot of this process says. Nobody
//! vouches for the id in a remark: it is the script that knows which message it means, and whose that was.

use crate::event::{Class, Event, Remark, RemarkKind, room::Identity};
use crate::session::Session;
use crate::session::incoming::Placed;
use crate::stanza::MessageKind;
use crate::stanza::message::Message;
use crate::xep::{displayed_markers, fallback, reactions, retraction};

/// Longest id that is passed on; longer ones are no message of anybody we know.
const LONGEST_ID: usize = 512;

impl Session {
    /// The event, where the message is a remark.
    pub(super) fn remark(&self, message: &Message, placed: &Placed) -> Option<Event> {
        if !matches!(placed.class, Class::Delayed | Class::Live) {
            return None;
        }
        let (about, what) = read(message)?;
        let from = &placed.from;
        let bare = from.to_bare();
        let groupchat = message.kind == MessageKind::Groupchat;
        // Of what the room itself says, only that it took something away makes sense here.
        if groupchat && from.is_bare() && what != RemarkKind::Retracted {
            return None;
        }
        let own = match &placed.speaker {
            Some(speaker) => speaker.own,
            None => self.own.is_self(from) || self.config.own_bots.contains(&bare),
        };
        if own || about.len() > LONGEST_ID {
            return None;
        }
        let (nick, who, identity) = match &placed.speaker {
            Some(speaker) => (speaker.nick.clone(), speaker.who.clone(), speaker.identity),
            None => (self.nick(message, from, false), bare.to_string(), Identity::Real),
        };
        let room = (groupchat || placed.speaker.is_some()).then(|| bare.clone());
        let place = if groupchat { bare.into() } else { from.clone() };
        let remark =
            Remark { from: from.clone(), place, room, nick, who, identity, about: about.to_owned(), what };
        Some(Event::Remark(Box::new(remark)))
    }
}

/// Whether the text of a message only stands in for a remark.
pub(super) fn is_stand_in(message: &Message) -> bool {
    let payloads = &message.payloads;
    retraction::retracted(payloads).is_some()
        || (reactions::read(payloads).is_some() && fallback::stands_in(payloads, reactions::NS))
}

fn read(message: &Message) -> Option<(&str, RemarkKind)> {
    let payloads = &message.payloads;
    if let Some(id) = retraction::retracted(payloads) {
        return Some((id, RemarkKind::Retracted));
    }
    if let Some((id, emojis)) = reactions::read(payloads) {
        return Some((id, RemarkKind::Reactions(emojis)));
    }
    displayed_markers::marked(payloads).map(|id| (id, RemarkKind::Displayed))
}
