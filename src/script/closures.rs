//! Closures that a script has left behind: for `timer::after`, and for answers to its requests.
//!
//! A row of turns is one transaction, and its commit may be refused. So a closure that was called is kept, and one
//! that is new is known as such, until the fate of the row is known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rhai::FnPtr;

use crate::script::error::{Kind, Thrown};
use crate::script::memory;
use crate::script::turn::Turn;

/// Closures of one script that may wait for `timer::after`.
pub(super) const AFTER: usize = 100;

/// Closures of one script that may wait for the answers to its requests.
pub(super) const REQUESTS: usize = 100;

/// What became of a row of turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was committed: what it has called is spent.
    Committed,
    /// Nothing of it was kept, and it does not run again.
    GivenUp,
    /// Nothing of it was kept, and it runs again.
    PutBack,
}

/// Closures that wait, by what names them; or files that wait to be uploaded.
pub(super) struct Closures<Name, What = FnPtr> {
    waiting: BTreeMap<Name, Arc<What>>,
    /// Those that a turn of the open row has called.
    spent: BTreeMap<Name, Arc<What>>,
    /// Those that a turn of the open row has taken back.
    cancelled: BTreeMap<Name, Arc<What>>,
    /// Those among all of them that the open row has brought.
    fresh: BTreeSet<Name>,
}

impl<Name, What> Default for Closures<Name, What> {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            spent: BTreeMap::new(),
            cancelled: BTreeMap::new(),
            fresh: BTreeSet::new(),
        }
    }
}

impl<Name: Clone + Ord, What> Closures<Name, What> {
    /// Notes one that is to be called later.
    pub(super) fn keep(&mut self, name: Name, function: What) {
        self.fresh.insert(name.clone());
        self.waiting.insert(name, Arc::new(function));
    }

    /// Takes one to be called.
    pub(super) fn call(&mut self, name: &Name) -> Option<Arc<What>> {
        let (name, function) = self.waiting.remove_entry(name)?;
        self.spent.insert(name, function.clone());
        Some(function)
    }

    /// Takes one back, so that it is not called.
    pub(super) fn cancel(&mut self, name: &Name) {
        if let Some((name, function)) = self.waiting.remove_entry(name) {
            self.cancelled.insert(name, function);
        }
    }

    /// Whether one of that name waits.
    pub(super) fn contains(&self, name: &Name) -> bool {
        self.waiting.contains_key(name)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The names of those that wait.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.waiting.keys()
    }

    /// Ends the open row. Gives the closures that nobody needs any more; what they hold is the script's memory.
    #[must_use]
    pub(super) fn settle(&mut self, fate: Fate) -> Vec<Arc<What>> {
        let (spent, cancelled) = (std::mem::take(&mut self.spent), std::mem::take(&mut self.cancelled));
        let fresh = std::mem::take(&mut self.fresh);
        let mut dead = Vec::new();
        match fate {
            Fate::Committed => {
                dead.extend(spent.into_values().chain(cancelled.into_values()));
                return dead;
            }
            // The turn that called it is over for good, one that took it back has never been.
            Fate::GivenUp => dead.extend(spent.into_values()),
            Fate::PutBack => self.waiting.extend(spent),
        }
        self.waiting.extend(cancelled);
        // Whoever brought them has never been, or brings them again.
        dead.extend(fresh.iter().filter_map(|name| self.waiting.remove(name)));
        dead
    }
}

impl Turn {
    /// How many closures wait for `timer::after`.
    pub(super) fn after_waiting(&self) -> usize {
        self.waiting.len() + self.effects.after.len()
    }

    /// Takes back a closure of `timer::after`; says whether it waited.
    pub(super) fn cancel_after(&mut self, id: i64) -> bool {
        let waits = self.waiting.contains(&id) || self.effects.after.iter().any(|(other, ..)| *other == id);
        let first = waits && !self.effects.cancelled.contains(&id);
        if first {
            memory::uncounted(|| self.effects.cancelled.push(id));
        }
        first
    }

    /// Whether one more closure may wait for an answer.
    ///
    /// # Errors
    /// Where too many wait.
    pub(super) fn may_ask(&self) -> Result<(), Thrown> {
        if self.asked + self.effects.requests.len() < REQUESTS {
            return Ok(());
        }
        let message = format!("{REQUESTS} functions of this script wait for answers already");
        Err(Thrown::new(Kind::Operations, message).hint("ask again when some have come"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closures(names: &[i64]) -> Closures<i64> {
        let mut all = Closures::default();
        for name in names {
            all.keep(*name, FnPtr::new("f").expect("a name"));
        }
        assert!(all.settle(Fate::Committed).is_empty());
        all
    }

    fn open_row() -> Closures<i64> {
        let mut all = closures(&[1, 2, 3]);
        assert!(all.call(&1).is_some() && all.call(&1).is_none());
        all.cancel(&2);
        for fresh in [4, 5, 6] {
            all.keep(fresh, FnPtr::new("f").expect("a name"));
        }
        assert!(all.call(&4).is_some());
        all.cancel(&5);
        assert_eq!((all.len(), all.contains(&3), all.contains(&6)), (2, true, true));
        all
    }

    #[test]
    fn the_fate_of_a_row_decides_what_waits() {
        for (fate, waiting, dead) in [
            (Fate::Committed, vec![3, 6], 4),
            (Fate::GivenUp, vec![2, 3], 4),
            (Fate::PutBack, vec![1, 2, 3], 3),
        ] {
            let mut all = open_row();
            assert_eq!(all.settle(fate).len(), dead, "{fate:?}");
            assert_eq!(all.names().copied().collect::<Vec<_>>(), waiting, "{fate:?}");
            assert!(all.settle(Fate::PutBack).is_empty(), "{fate:?}: the row is over");
        }
    }
}
