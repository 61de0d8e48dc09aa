//! Rooms between the session and the rest: what scripts and `status` see of them, and messages that wait until the
//! account is in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::actor::account::Account;
use crate::event::room::RoomsView;
use crate::event::{Bounce, Event};
use crate::jid::{BareJid, Jid};
use crate::session::rooms::Standing;
use crate::stanza::{ErrorKind, StanzaError};
use crate::xml::Element;

/// Messages that wait for one room; further ones come back.
const PARKED: usize = 1000;

/// Rows of the outbox that wait for rooms. The messages themselves stay in the store.
#[derive(Default)]
pub(super) struct Parked {
    rows: BTreeMap<BareJid, BTreeSet<i64>>,
}

impl Parked {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.rows.values().map(BTreeSet::len).sum()
    }

    /// Lets a row wait; `false` where too many do.
    pub(super) fn insert(&mut self, room: BareJid, row: i64) -> bool {
        let rows = self.rows.entry(room).or_default();
        let fits = rows.len() < PARKED || rows.contains(&row);
        if fits {
            rows.insert(row);
        }
        fits
    }

    fn rooms(&self) -> impl Iterator<Item = &BareJid> {
        self.rows.keys()
    }

    fn take(&mut self, room: &BareJid) -> BTreeSet<i64> {
        self.rows.remove(room).unwrap_or_default()
    }
}

/// The room that a message is talk for.
pub(super) fn room_of(message: &Element) -> Option<BareJid> {
    let to = message.attr("to").filter(|_| message.attr("type") == Some("groupchat"))?;
    Some(Jid::from_wire(to).ok()?.to_bare())
}

impl Account {
    /// The rooms as they are, if that has changed since they were last shown.
    pub(super) fn take_rooms(&mut self) -> Option<Arc<RoomsView>> {
        if !std::mem::take(&mut self.rooms_changed) {
            return None;
        }
        let view = Arc::new(self.session.rooms_view());
        self.board.show_rooms(Arc::clone(&view));
        self.keep_seats();
        Some(view)
    }

    /// Takes up messages for rooms that are no longer on the way: they go out, or come back.
    pub(super) fn unpark(&mut self) {
        let ready: Vec<BareJid> = self
            .outbox
            .parked
            .rooms()
            .filter(|room| self.session.standing_in(room) != Standing::Coming)
            .cloned()
            .collect();
        for room in ready {
            let rows = self.outbox.parked.take(&room);
            self.outbox.read_again(rows);
            self.load_outbox();
        }
    }

    /// A message for a room that the account will not come into.
    pub(super) fn return_to_script(&mut self, room: BareJid, element: &Element, full: bool) {
        let (condition, text) = match full {
            true => ("resource-constraint", "too many messages wait for this room"),
            false => ("not-acceptable", "the bot is not in this room and will not come in"),
        };
        tracing::warn!(bot = %self.spec.name, %room, text, "a message is not sent");
        let error = StanzaError::new(ErrorKind::Cancel, condition).with_text(text);
        let id = element.attr("id").map(str::to_owned);
        self.queue_delivery(Event::Bounce(Bounce { from: Some(room.into()), id, error }), None);
    }
}
