//! What scripts see of rooms: the account's tables as they were last shown, read only and shared.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::event::room::{Occupant, RoomView, RoomsView};
use crate::event::{Event, Message};
use crate::jid::{BareJid, Jid};

/// Who sits where, of all bots of this process: room and nick to the bot's name.
#[derive(Default)]
pub(super) struct Seats(RwLock<BTreeMap<(BareJid, String), String>>);

/// The rooms of one bot.
#[derive(Default)]
pub(super) struct Rooms {
    view: RwLock<Arc<RoomsView>>,
    seats: Arc<Seats>,
    heard: Mutex<Option<Heard>>,
}

/// What the event at hand says about somebody in a room. It is right even if they have left since, or somebody else
/// has taken their nick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub room: BareJid,
    pub nick: String,
    pub real_jid: Option<Jid>,
    /// The id that the sender gave the message, and the id that the room gave it.
    pub ids: Option<(String, String)>,
}

impl Heard {
    /// What a message says about its sender.
    pub(super) fn in_message(message: &Message) -> Option<Self> {
        Some(Self {
            room: message.room.clone()?,
            nick: message.nick.clone(),
            real_jid: message.real_jid.clone(),
            ids: message.id.clone().zip(message.stanza_id.clone()),
        })
    }

    /// What an event says about the occupant that it is about.
    pub(super) fn in_event(event: &Event) -> Option<Self> {
        let Event::Room(event) = event else { return None };
        let occupant = event.change.occupant()?;
        Some(Self {
            room: event.room.clone(),
            nick: occupant.nick.clone(),
            real_jid: occupant.real_jid.clone(),
            ids: None,
        })
    }
}

impl Rooms {
    /// Rooms of a bot that shares `seats` with all others.
    pub(super) fn new(seats: Arc<Seats>) -> Self {
        Self { seats, ..Self::default() }
    }

    /// The tables have changed.
    pub(super) fn show(&self, bot: &str, view: Arc<RoomsView>) {
        let old = {
            let mut shown = self.view.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *shown, Arc::clone(&view))
        };
        // Hardly any change is about the bot's own seat, and all bots of the process wait for this lock.
        let mut gone = taken(&old, &view).peekable();
        let mut come = taken(&view, &old).peekable();
        if gone.peek().is_none() && come.peek().is_none() {
            return;
        }
        let mut seats = self.seats.0.write().unwrap_or_else(PoisonError::into_inner);
        for (room, nick) in gone {
            let seat = (room.clone(), nick.to_owned());
            // Another bot may have taken it, and have said so first.
            if seats.get(&seat).is_some_and(|owner| owner == bot) {
                seats.remove(&seat);
            }
        }
        for (room, nick) in come {
            seats.insert((room.clone(), nick.to_owned()), bot.to_owned());
        }
    }

    /// One room.
    pub(super) fn view(&self, room: &BareJid) -> Option<Arc<RoomView>> {
        self.view.read().unwrap_or_else(PoisonError::into_inner).get(room).cloned()
    }

    /// Somebody in a room, as far as it is known.
    pub(super) fn occupant(&self, room: &BareJid, nick: &str) -> Option<Arc<Occupant>> {
        self.view(room)?.occupants.get(nick).cloned()
    }

    /// Whether a bot of this process sits there.
    pub(super) fn is_bot(&self, room: &BareJid, nick: &str) -> bool {
        let seats = self.seats.0.read().unwrap_or_else(PoisonError::into_inner);
        // Only rooms with a bot of ours are looked up at all, so this costs little.
        !seats.is_empty() && seats.contains_key(&(room.clone(), nick.to_owned()))
    }

    /// The event that is about to be handled, or none.
    pub(super) fn hear(&self, heard: Option<Heard>) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = heard;
    }

    /// What the event at hand says, where it is about this room.
    pub(super) fn heard(&self, room: &BareJid) -> Option<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone().filter(|heard| heard.room == *room)
    }

    /// The bot is gone.
    pub(super) fn vacate(&self, bot: &str) {
        self.show(bot, Arc::default());
    }
}

/// The seats that are taken in `view` and not in `other`.
fn taken<'a>(view: &'a RoomsView, other: &'a RoomsView) -> impl Iterator<Item = (&'a BareJid, &'a str)> {
    let same = |a: &Arc<RoomView>, b: &Arc<RoomView>| Arc::ptr_eq(a, b) || (b.joined && a.nick == b.nick);
    view.iter()
        .filter(move |(jid, room)| room.joined && !other.get(*jid).is_some_and(|other| same(room, other)))
        .map(|(jid, room)| (jid, room.nick.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_that_another_bot_has_taken_stays_taken() {
        let seats = Arc::new(Seats::default());
        let (one, two) = (Rooms::new(seats.clone()), Rooms::new(seats));
        let den = BareJid::parse("den@rooms.example.org").expect("valid");
        one.show("one", sitting(&den, "bot"));
        assert!(two.is_bot(&den, "bot"));
        two.show("two", sitting(&den, "bot"));
        one.show("one", sitting(&den, "bot_"));
        assert!(one.is_bot(&den, "bot") && one.is_bot(&den, "bot_"));
        two.vacate("two");
        one.vacate("one");
        assert!(!one.is_bot(&den, "bot") && !one.is_bot(&den, "bot_"));
    }

    fn sitting(room: &BareJid, nick: &str) -> Arc<RoomsView> {
        let view = RoomView {
            nick: nick.to_owned(),
            joined: true,
            standing: "in".to_owned(),
            subject: None,
            occupants: Arc::default(),
        };
        Arc::new(RoomsView::from([(room.clone(), Arc::new(view))]))
    }
}
