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
        let mut seats = self.seats.0.write().unwrap_or_else(PoisonError::into_inner);
        for (room, nick) in taken(&old) {
            seats.remove(&(room.clone(), nick.to_owned()));
        }
        for (room, nick) in taken(&view) {
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

fn taken(view: &RoomsView) -> impl Iterator<Item = (&BareJid, &str)> {
    view.iter().filter(|(_, room)| room.joined).map(|(jid, room)| (jid, room.nick.as_str()))
}
