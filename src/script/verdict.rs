//! Why a declaration took an event, or did not: noted in passing, put into words only when somebody asks.

use rhai::Dynamic;

use crate::script::api::message::MessageObject;
use crate::script::declare::{Handler, Wants};

/// What became of one event at one declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Answer,
    Arguments,
    AsksFirst,
    Carbon,
    Cooldown,
    Delayed,
    EarlierFailed,
    Encrypted,
    Failed,
    NameDiffers(u8),
    NotAllowed,
    OtherEvent,
    OtherScript,
    Own,
    Place,
    Ran,
    Rooms,
    Stopped,
    TextDiffers,
    TooMany,
}

/// Which list of a script a declaration is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Commands,
    Handlers,
}

/// One declaration that was asked. Handlers for other events are not noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub slot: usize,
    pub list: List,
    pub index: usize,
    pub verdict: Verdict,
}

/// Notes of one event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notes {
    pub all: Vec<Note>,
    /// Scripts whose handlers were asked.
    pub reached: usize,
    /// Whether the message names the bot.
    pub addressed: bool,
    /// Whether it begins like a command.
    pub command: bool,
    /// Whether it was a command or an answer, and so nothing for other handlers.
    pub taken: bool,
    /// What sort of message it is.
    pub sort: Wants,
}

/// Most notes of one event.
const MOST: usize = 64;

impl Notes {
    /// Bytes that they take beside themselves.
    pub(super) fn weight(&self) -> usize {
        self.all.capacity() * size_of::<Note>()
    }

    /// Notes one, while there is room.
    pub(super) fn push(&mut self, slot: usize, list: List, index: usize, verdict: Verdict) {
        if self.all.len() < MOST && verdict != Verdict::OtherEvent {
            self.all.push(Note { slot, list, index, verdict });
        }
    }
}

/// Whether a handler for any of the names takes an event of that sort, [`Verdict::Ran`], or why not.
pub(super) fn judge(handler: &Handler, names: &[&str], sort: Wants, object: &Dynamic) -> Verdict {
    if handler.heard.is_none() && !names.contains(&handler.event.as_str()) {
        return Verdict::OtherEvent;
    }
    let given = object.read_lock::<MessageObject>();
    if handler.heard.is_some() && given.is_none() {
        return Verdict::OtherEvent;
    }
    let Wants { delayed, carbons, own, encrypted } = handler.wants;
    // The narrowest comes first: what an own resource sent is a copy too.
    if sort.delayed && !delayed {
        return Verdict::Delayed;
    }
    if sort.carbons && !carbons {
        return Verdict::Carbon;
    }
    if sort.own && !own {
        return Verdict::Own;
    }
    if sort.encrypted && !encrypted {
        return Verdict::Encrypted;
    }
    let Some(given) = given else {
        return if handler.rooms.is_empty() { Verdict::Ran } else { Verdict::Rooms };
    };
    let given = &given.0;
    let room = given.message.room.as_ref();
    if !handler.rooms.is_empty() && !room.is_some_and(|room| handler.rooms.contains(room)) {
        return Verdict::Rooms;
    }
    match &handler.heard {
        None => Verdict::Ran,
        // What answers a question is for those who asked, and for nobody else.
        Some(_) if given.asked.is_some() => Verdict::Answer,
        Some(heard) if !heard.listens(&given.message, given.addressed) => Verdict::Place,
        Some(heard) if !heard.pattern.occurs(given.text()) => Verdict::TextDiffers,
        Some(_) => Verdict::Ran,
    }
}
