//! What the bots of a pool made of their last events: noted here, read by operators.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::script::bot::{Bot, Item, Progress};
use crate::script::error::ScriptError;
use crate::script::happening::{self, Happening};
use crate::script::host::Host;
use crate::script::instance::Surroundings;
use crate::script::memory;
use crate::script::pool::{Cell, Shared, locked};
use crate::script::trace::{Told, Trace};

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

    /// Stored timers may be due that were not set by a turn.
    pub fn look_again(&self) {
        self.shared.ticker.look_again();
    }

    /// Bytes that the memory of all bots takes.
    pub fn bytes(&self) -> usize {
        self.shared.traces.taken()
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

/// Handles an item, remembers what came of it, and tells its failures how it is called.
pub(super) fn handle(
    shared: &Shared,
    cell: &Cell,
    bot: &mut Bot,
    item: &Item,
    host: &mut Host,
    around: &mut Surroundings,
    progress: &mut Progress,
) {
    let happening = Happening::of(item, bot);
    let (turns, actions, failures) = (progress.turns, progress.actions.len(), progress.failures.len());
    (progress.notes, progress.cost) = Default::default();
    progress.written.clear();
    bot.handle(item, host, around, progress);
    let failures = progress.failures.get_mut(failures..).unwrap_or_default();
    let turns = progress.turns - turns;
    if happening.is_silent() && turns == 0 && failures.is_empty() {
        return;
    }
    memory::uncounted(|| {
        let id = happening::id(&cell.identity.name, item);
        for failure in &mut *failures {
            failure.trace = Some(id.clone());
        }
        let told = Told {
            turns,
            actions: progress.actions.get(actions..).unwrap_or_default(),
            failures,
            written: std::mem::take(&mut progress.written),
            notes: std::mem::take(&mut progress.notes),
            cost: progress.cost,
            table: bot.table.clone(),
            bodies: shared.bodies.load(Ordering::Relaxed),
        };
        let trace = Trace::new(id, around.moment.wall, &happening, told);
        locked(&cell.traces).record(happening.manner, trace);
    });
}
