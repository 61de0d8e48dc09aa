//! A row in which the program has panicked outside of a turn: what is left to do for it.

use std::sync::Arc;

use super::{Cell, Shared, locked};
use crate::action::Action;
use crate::script::bot::{Item, Progress};
use crate::script::closures::Fate;
use crate::script::data::Read;
use crate::script::hook::{HookCall, HookResponse};
use crate::script::instance::Surroundings;
use crate::script::overlay::Overlay;
use crate::script::{Turned, batch, menu};

/// What is known of a row before it runs, should it be lost. It does not run again: it would most likely end the
/// same way.
pub(super) struct Lost {
    /// What comes again and again.
    repeating: Vec<Item>,
    hooks: Vec<Arc<HookCall>>,
    /// Answers that are owed.
    owed: Vec<Action>,
    timers: Vec<i64>,
    handled: Vec<u64>,
}

impl Lost {
    pub(super) fn of(items: &[Item]) -> Self {
        let hook = |item: &Item| match item {
            Item::Hook(call) => Some(call.clone()),
            _ => None,
        };
        Self {
            repeating: items.iter().filter_map(repeating).collect(),
            hooks: items.iter().filter_map(hook).collect(),
            owed: menu::unanswered(items),
            timers: items.iter().filter_map(batch::timer).collect(),
            handled: items.iter().filter_map(batch::number).collect(),
        }
    }

    /// Lets go on what repeats, answers who waits, and frees the bot. Stored timers stay stored until a script of
    /// the bot is replaced.
    pub(super) fn settle(self, shared: &Arc<Shared>, cell: &Arc<Cell>, reader: &mut Option<Box<dyn Read>>) {
        for call in self.hooks {
            call.answer(HookResponse::status(500));
        }
        shared.ticker.keep(self.timers);
        let slots = go_on(shared, cell, &self.repeating, reader);
        let turned = Turned {
            actions: self.owed.into_iter().map(|action| (0, action)).collect(),
            handled: self.handled,
            ..Turned::default()
        };
        if slots.is_empty() {
            batch::tell(shared, cell, turned);
            return;
        }
        let (shared2, cell2) = (shared.clone(), cell.clone());
        let done = move |result| {
            if let Err(error) = result {
                tracing::error!(bot = %cell2.identity.name, %error, "slots that came cannot be remembered");
            }
            batch::tell(&shared2, &cell2, turned);
        };
        cell.set_committing();
        shared.data.commit(slots.into_batch(&cell.identity.name), Box::new(done));
    }
}

/// Awaits what repeats anew, and gives the slots that have come.
fn go_on(
    shared: &Arc<Shared>,
    cell: &Arc<Cell>,
    repeating: &[Item],
    reader: &mut Option<Box<dyn Read>>,
) -> Overlay {
    let moment = (shared.clock)();
    let mut around = Surroundings {
        data: shared.data.clone(),
        reader: reader.take(),
        moment,
        seed: shared.seed.clone(),
        flight: None,
        pending: Overlay::default(),
        hops: 0,
    };
    let mut progress = Progress::default();
    if let Some(bot) = locked(&cell.bot).as_mut() {
        bot.settle(Fate::GivenUp, &mut progress);
        for item in repeating {
            bot.pass(item, &mut around, &mut progress);
        }
    }
    *reader = around.reader.take();
    shared.set_wakes(cell, moment, progress.wakes);
    progress.slots
}

fn repeating(item: &Item) -> Option<Item> {
    match item {
        Item::Cron { script, generation, at, slot } => {
            Some(Item::Cron { script: script.clone(), generation: *generation, at: *at, slot: *slot })
        }
        Item::Every { script, generation, at, due } => {
            Some(Item::Every { script: script.clone(), generation: *generation, at: *at, due: *due })
        }
        Item::Retry { script, generation } => {
            Some(Item::Retry { script: script.clone(), generation: *generation })
        }
        Item::After { .. }
        | Item::Event(_)
        | Item::Hook(_)
        | Item::Load(_)
        | Item::Unload(_)
        | Item::Web { .. } => None,
    }
}
