//! What becomes of a row that has run, as its bot learns of it.

use super::{Cell, locked};
use crate::script::bot::Item;
use crate::script::closures::Fate;

impl Cell {
    /// Puts a row back to run again, in front of what waits; one at a time if the row itself was at fault.
    pub(in crate::script) fn put_back(&self, items: Vec<Item>, alone: bool) {
        let mut state = locked(&self.state);
        state.fate = Some(Fate::PutBack);
        if alone {
            state.alone = items.len();
        }
        state.events += items.iter().filter(|item| item.counts()).count();
        for item in items.into_iter().rev() {
            state.items.push_front(item);
        }
    }

    /// Notes what became of the last row: its scripts learn of it before the next one.
    pub(in crate::script) fn decide(&self, fate: Fate) {
        locked(&self.state).fate = Some(fate);
    }
}
