//! Whose message an id names, so that nobody corrects or takes back what another has said: XEP-0308 §4, XEP-0424 §5.
//!
//! In a room without occupant ids and without real addresses only a nick is known. What was said from it counts as
//! its owner's until the nick leaves, or the account does and cannot see who has it meanwhile.

use super::Session;
use super::incoming::Placed;
use super::window::Window;
use crate::event::Class;
use crate::jid::BareJid;
use crate::stanza::message::Message;
use crate::xep::{correction, retraction};

/// Messages whose author is remembered, of all conversations together.
const REMEMBERED: usize = 256;
/// Longest id that is remembered, in bytes.
const LONGEST_ID: usize = 512;

/// Who has said what lately.
#[derive(Debug)]
pub struct Authors {
    said: Window<(BareJid, String), Author>,
}

/// Who an id belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Author {
    /// Whoever had a nick that has changed hands since.
    Gone,
    /// The strongest identity known, as in `who` of an event.
    Known(String),
}

impl Default for Authors {
    fn default() -> Self {
        Self { said: Window::new(REMEMBERED) }
    }
}

impl Authors {
    /// The nick of a room is free: what was said from it is nobody's from now on.
    pub(super) fn vacate(&mut self, room: &BareJid, nick: &str) {
        let seat = format!("{room}/{nick}");
        self.forget(|place, who| place == room && *who == seat);
    }

    /// The account was not in the room for a while: nicks may have changed hands.
    pub(super) fn vacate_all(&mut self, room: &BareJid) {
        let seats = format!("{room}/");
        self.forget(|place, who| place == room && who.starts_with(&seats));
    }

    fn forget(&mut self, whose: impl Fn(&BareJid, &str) -> bool) {
        self.said.change(|(place, _), author| {
            if matches!(author, Author::Known(who) if whose(place, who)) {
                *author = Author::Gone;
            }
        });
    }
}

impl Session {
    /// Whether a correction or retraction is of somebody else's message, as far as that message is remembered. Notes
    /// who said this one, where it is talk of its own.
    pub(super) fn meddles(&mut self, message: &Message, placed: &Placed) -> bool {
        if !matches!(placed.class, Class::Delayed | Class::Live | Class::Reflection) {
            return false;
        }
        let place = placed.from.to_bare();
        let who = placed.speaker.as_ref().map_or_else(|| place.to_string(), |speaker| speaker.who.clone());
        let by_room = placed.speaker.is_some() && placed.from.is_bare();
        let replaced = correction::replaces(message);
        let about = replaced.as_deref().or_else(|| retraction::retracted(&message.payloads));
        let Some(about) = about else {
            for id in [&message.head.id, &placed.stanza_id].into_iter().flatten() {
                if id.len() <= LONGEST_ID {
                    self.authors.said.insert((place.clone(), id.clone()), Author::Known(who.clone()));
                }
            }
            return false;
        };
        // The room takes back what moderators want gone (XEP-0425), whoever said it.
        if by_room && replaced.is_none() {
            return false;
        }
        let key = (place, about.to_owned());
        let ours = placed.class != Class::Reflection && self.sent.find(&key).is_some();
        let other = self.authors.said.find(&key).is_some_and(|author| *author != Author::Known(who));
        ours || other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(text: &str) -> BareJid {
        BareJid::parse(text).expect("an address")
    }

    #[test]
    fn only_nicks_of_that_room_are_vacated() {
        let den = room("den@rooms.example.org");
        let mut authors = Authors::default();
        for (place, id, who) in [
            ("den@rooms.example.org", "1", "den@rooms.example.org/ann"),
            ("den@rooms.example.org", "2", "den@rooms.example.org/bob"),
            ("den@rooms.example.org", "3", "ann@example.org"),
            ("hall@rooms.example.org", "4", "hall@rooms.example.org/ann"),
        ] {
            authors.said.insert((room(place), id.to_owned()), Author::Known(who.to_owned()));
        }
        let gone = |authors: &Authors| -> Vec<bool> {
            [(&den, "1"), (&den, "2"), (&den, "3"), (&room("hall@rooms.example.org"), "4")]
                .map(|(place, id)| authors.said.find(&(place.clone(), id.to_owned())) == Some(&Author::Gone))
                .to_vec()
        };
        authors.vacate(&den, "ann");
        assert_eq!(gone(&authors), [true, false, false, false]);
        authors.vacate_all(&den);
        assert_eq!(gone(&authors), [true, true, false, false]);
    }
}
