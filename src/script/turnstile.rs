//! Fairness among bots that write shared values: one that was overtaken often goes first.

use std::sync::{Arc, Mutex};

use crate::script::pool::{Cell, locked};

/// Holds back bots that would write shared values while another has waited too long. Reading is open to all.
#[derive(Default)]
pub(super) struct Turnstile(Mutex<State>);

#[derive(Default)]
struct State {
    /// The bot that goes first.
    first: Option<String>,
    /// Those that wait until it is through.
    waiting: Vec<Arc<Cell>>,
}

impl Turnstile {
    /// Lets that bot go first from now on, unless another does.
    pub(super) fn enter(&self, bot: &str) {
        let mut state = locked(&self.0);
        if state.first.is_none() {
            state.first = Some(bot.to_owned());
        }
    }

    /// That bot is through: gives those that may go on.
    #[must_use]
    pub(super) fn leave(&self, bot: &str) -> Vec<Arc<Cell>> {
        let mut state = locked(&self.0);
        if state.first.as_deref() != Some(bot) {
            return Vec::new();
        }
        state.first = None;
        std::mem::take(&mut state.waiting)
    }

    /// Whether another bot than that one goes first.
    pub(super) fn is_closed_to(&self, bot: &str) -> bool {
        locked(&self.0).first.as_ref().is_some_and(|first| first != bot)
    }

    /// Waits for the one that goes first; false if it is through already.
    pub(super) fn wait(&self, cell: &Arc<Cell>) -> bool {
        let mut state = locked(&self.0);
        let closed = state.first.as_ref().is_some_and(|first| *first != cell.identity.name);
        if closed {
            state.waiting.push(cell.clone());
        }
        closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goes_first_until_it_is_through() {
        let turnstile = Turnstile::default();
        assert!(!turnstile.is_closed_to("a"));
        turnstile.enter("a");
        turnstile.enter("b");
        assert!(!turnstile.is_closed_to("a") && turnstile.is_closed_to("b"));
        assert!(turnstile.leave("b").is_empty());
        assert!(turnstile.is_closed_to("b"));
        assert!(turnstile.leave("a").is_empty());
        assert!(!turnstile.is_closed_to("b"));
    }
}
