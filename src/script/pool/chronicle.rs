//! What the bots of a pool made of their last events: noted here, read by operators.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;

use crate::script::bot::{Bot, Progress};
use crate::script::error::ScriptError;
use crate::script::pool::{Cell, Shared, locked};
use crate::script::trace::{self, Told, Trace};
use crate::script::{Delivery, memory};

/// What the bots of a pool made of their last events.
#[derive(Clone)]
pub struct Chronicle {
    pub(super) shared: Arc<Shared>,
}

impl Chronicle {
    /// The names of all bots.
    pub fn bots(&self) -> Vec<String> {
        locked(&self.shared.bots).keys().cloned().collect()
    }

    /// The last events of one bot, the oldest first; `None` where there is no such bot.
    pub fn of(&self, bot: &str) -> Option<Vec<Trace>> {
        self.shared.bot(bot).map(|cell| locked(&cell.traces).all())
    }

    /// Whether events are remembered with the texts of their messages, from the next one on.
    pub fn keep_bodies(&self, keep: bool) {
        self.shared.bodies.store(keep, Ordering::Relaxed);
    }
}

impl Cell {
    /// The store refused what an event has led to.
    pub(in crate::script) fn note_loss(&self, id: &str, failure: &ScriptError) {
        memory::uncounted(|| locked(&self.traces).note_loss(id, failure));
    }
}

/// How much there was of turns, actions and failures before an event.
pub(super) struct Before {
    turns: u32,
    actions: usize,
    failures: usize,
}

impl Before {
    pub(super) fn of(progress: &Progress) -> Self {
        let Progress { turns, actions, failures, .. } = progress;
        Self { turns: *turns, actions: actions.len(), failures: failures.len() }
    }
}

/// Remembers what came of one event, and tells its failures how it is called.
pub(super) fn note(
    shared: &Shared,
    cell: &Cell,
    bot: &Bot,
    delivery: &Delivery,
    at: Timestamp,
    progress: &mut Progress,
    before: &Before,
) {
    memory::uncounted(|| {
        let id = trace::id(&delivery.key);
        let failures = progress.failures.get_mut(before.failures..).unwrap_or_default();
        for failure in &mut *failures {
            failure.trace = Some(id.clone());
        }
        let told = Told {
            turns: progress.turns - before.turns,
            actions: progress.actions.get(before.actions..).unwrap_or_default(),
            failures,
            written: std::mem::take(&mut progress.written),
            notes: std::mem::take(&mut progress.notes),
            spent: progress.spent,
            table: bot.table.clone(),
            bodies: shared.bodies.load(Ordering::Relaxed),
        };
        let trace = Trace::new(id, at, &delivery.event, told);
        locked(&cell.traces).record(&delivery.event, trace);
    });
}
