//! What people have begun in menus and not ended.

use std::time::{Duration, Instant};

use crate::jid::Jid;
use crate::stanza::{ErrorKind, StanzaError};
use crate::xep::adhoc;

/// How long somebody may leave a page.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// Uses that one bot keeps.
const MOST: usize = 64;
/// Of one address; a further one takes the place of the oldest.
const MOST_EACH: usize = 4;

/// What one bot keeps of its menu.
#[derive(Default)]
pub(in crate::script) struct Uses {
    open: Vec<Use>,
}

/// One command that somebody has chosen.
pub(super) struct Use {
    /// Names it; cannot be guessed.
    pub id: String,
    /// Who has begun it. Nobody else goes on with it.
    pub from: Jid,
    /// The command.
    pub node: String,
    pub state: State,
    until: Instant,
    /// The last step, and how it stood before: a turn that runs again finds what it found the first time.
    before: Option<(String, State)>,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub stage: Stage,
    /// What was filled in, by argument.
    pub values: Vec<(String, String)>,
    /// It has come to its end.
    pub over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its arguments are asked for.
    Arguments,
    /// It is to be confirmed.
    Confirm,
}

impl Use {
    pub(super) fn new(id: String, from: Jid, node: String, state: State, now: Instant) -> Self {
        Self { id, from, node, state, until: now + PATIENCE, before: None }
    }
}

impl Uses {
    /// Keeps what somebody has begun.
    ///
    /// # Errors
    /// Where others have begun too much.
    pub(super) fn insert(&mut self, one: Use, now: Instant) -> Result<(), StanzaError> {
        // The same turn once more makes the same again.
        self.open.retain(|other| other.id != one.id);
        let of_sender = |other: &Use| !other.state.over && other.from.bare_str() == one.from.bare_str();
        if self.open.iter().filter(|other| of_sender(other)).count() >= MOST_EACH
            && let Some(oldest) = self.open.iter().position(of_sender)
        {
            self.open.remove(oldest);
        }
        if self.open.len() >= MOST {
            // Those that are over are kept only so that they can be told from those that never were.
            match self.open.iter().position(|other| other.state.over || other.until <= now) {
                Some(place) => drop(self.open.remove(place)),
                None => return Err(StanzaError::new(ErrorKind::Wait, "resource-constraint")),
            }
        }
        self.open.push(one);
        Ok(())
    }

    /// Takes out what `from` has begun, for the step that `key` names.
    ///
    /// # Errors
    /// Where there is nothing of that name of theirs, or it has lain too long.
    pub(super) fn take(
        &mut self,
        id: &str,
        from: &Jid,
        node: &str,
        now: Instant,
        key: &str,
    ) -> Result<Use, StanzaError> {
        let theirs = |one: &Use| one.id == id && one.from == *from && one.node == node;
        let place = self.open.iter().position(theirs).ok_or_else(adhoc::bad_session)?;
        let mut one = self.open.remove(place);
        match one.before.take() {
            Some((step, state)) if step == key => one.state = state,
            _ => {}
        }
        if one.state.over || one.until <= now {
            let error = if one.state.over { adhoc::bad_session() } else { adhoc::expired() };
            self.open.insert(place, one);
            return Err(error);
        }
        one.before = Some((key.to_owned(), one.state.clone()));
        one.until = now + PATIENCE;
        Ok(one)
    }

    /// Keeps it for the next step.
    pub(super) fn put(&mut self, one: Use) {
        self.open.push(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s24_a_use_belongs_to_a_full_jid_and_a_command() {
        let now = Instant::now();
        let mut uses = Uses::default();
        uses.insert(begun("s", "ann@example.org/pc", now), now).expect("there is room");
        for (id, from, node) in [
            ("s", "ann@example.org/phone", "roll"),
            ("s", "eve@example.org/pc", "roll"),
            ("s", "ann@example.org", "roll"),
            ("s", "ann@example.org/pc", "wipe"),
            ("t", "ann@example.org/pc", "roll"),
        ] {
            let taken = uses.take(id, &jid(from), node, now, "k");
            assert_eq!(taken.map(|_| ()), Err(adhoc::bad_session()), "{id} {from} {node}");
        }
        assert!(uses.take("s", &jid("ann@example.org/pc"), "roll", now, "k").is_ok());
    }

    #[test]
    fn f2_a_use_ends_with_its_time() {
        let now = Instant::now();
        let mut uses = Uses::default();
        uses.insert(begun("s", "ann@example.org/pc", now), now).expect("there is room");
        let ann = jid("ann@example.org/pc");
        let one = uses.take("s", &ann, "roll", now + PATIENCE / 2, "k1").expect("in time");
        uses.put(one);
        let later = now + PATIENCE + PATIENCE / 4;
        let one = uses.take("s", &ann, "roll", later, "k2").expect("every step prolongs it");
        uses.put(one);
        let taken = uses.take("s", &ann, "roll", later + PATIENCE, "k3");
        assert_eq!(taken.map(|_| ()), Err(adhoc::expired()));
    }

    #[test]
    fn f2_a_step_that_runs_again_finds_what_it_found_and_another_does_not() {
        let now = Instant::now();
        let mut uses = Uses::default();
        uses.insert(begun("s", "ann@example.org/pc", now), now).expect("there is room");
        let ann = jid("ann@example.org/pc");
        let mut one = uses.take("s", &ann, "roll", now, "k1").expect("begun");
        (one.state.stage, one.state.over) = (Stage::Confirm, true);
        uses.put(one);
        let again = uses.take("s", &ann, "roll", now, "k1").expect("the same step");
        assert_eq!((again.state.stage, again.state.over), (Stage::Arguments, false));
        let mut again = again;
        again.state.over = true;
        uses.put(again);
        assert_eq!(uses.take("s", &ann, "roll", now, "k2").map(|_| ()), Err(adhoc::bad_session()));
    }

    #[test]
    fn f2_a_flood_pushes_out_its_own_and_nobody_elses() {
        let now = Instant::now();
        let mut uses = Uses::default();
        uses.insert(begun("bob", "bob@example.org/pc", now), now).expect("there is room");
        for n in 0..100 {
            let from = format!("ann@example.org/{n}");
            uses.insert(begun(&n.to_string(), &from, now), now).expect("her own make room");
        }
        assert_eq!(uses.open.len(), 1 + MOST_EACH);
        let mut refused = 0;
        for n in 0..2 * MOST {
            let begun = begun(&format!("x{n}"), &format!("eve{n}@example.org/pc"), now);
            refused += usize::from(uses.insert(begun, now).is_err());
        }
        assert_eq!((uses.open.len(), refused > 0), (MOST, true));
        assert!(uses.take("bob", &jid("bob@example.org/pc"), "roll", now, "k").is_ok());
        let later = now + PATIENCE;
        uses.insert(begun("y", "cat@example.org/pc", later), later).expect("what has expired makes room");
    }

    fn begun(id: &str, from: &str, now: Instant) -> Use {
        let state = State { stage: Stage::Arguments, values: Vec::new(), over: false };
        Use::new(id.to_owned(), jid(from), "roll".to_owned(), state, now)
    }

    fn jid(text: &str) -> Jid {
        Jid::parse(text).expect("an address")
    }
}
