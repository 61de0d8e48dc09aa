//! Scripts that begin and end: `load` and `unload` as turns of a row like others, which run again if it is refused.

use std::cell::Cell;

use rhai::Dynamic;

use crate::script::bot::{Bot, Item, Progress, Slot, Wake, WakeKind, take};
use crate::script::chain::run_chain;
use crate::script::closures::Fate;
use crate::script::declare::Handler;
use crate::script::host::Host;
use crate::script::instance::{Instance, Surroundings};
use crate::script::quarantine::lossy;

/// A script that begins or ends.
#[derive(Clone, Debug)]
pub(super) struct Passing {
    pub script: String,
    pub generation: u64,
    /// Names the turn, the same each time it runs.
    pub key: String,
}

impl Passing {
    /// The beginning or the end of that script, now.
    pub(super) fn of(instance: &Instance, event: &str, around: &Surroundings) -> Self {
        let (version, now) = (instance.uses.compiled.version(), around.moment.wall.as_millisecond());
        let key = format!("{event}:{version}:{now}");
        Self { script: instance.uses.name.clone(), generation: instance.generation, key }
    }
}

impl Bot {
    /// Runs the `load` handlers of a script that has begun.
    pub(super) fn loaded(
        &mut self,
        passing: &Passing,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let Some(at) = self.living(&passing.script, passing.generation) else { return };
        let Some(instance) = self.slots[at].instance.as_mut() else { return };
        run_plain(instance, "load", &passing.key, host, around, progress);
    }

    /// Runs the `unload` handlers of a script that was replaced.
    pub(super) fn unloaded(
        &mut self,
        passing: &Passing,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let Some(instance) = self.leaving.iter_mut().find(|one| one.generation == passing.generation) else {
            return;
        };
        run_plain(instance, "unload", &passing.key, host, around, progress);
    }

    /// Ends a script. Gives the bytes that it has lost for good, if it ran and has nothing more to say; one that has
    /// goes when its last turn is committed.
    pub(super) fn end(
        &mut self,
        slot: Slot,
        around: &Surroundings,
        progress: &mut Progress,
    ) -> Option<isize> {
        let instance = slot.instance?;
        if !instance.declared.handlers.iter().any(|handler| handler.event == "unload") {
            return Some(instance.dispose());
        }
        progress.passing.push(Item::Unload(Passing::of(&instance, "unload", around)));
        self.leaving.push(instance);
        None
    }

    /// Takes in what became of the last row. Scripts that could not do with what their ends have cost are among
    /// the failures.
    pub(super) fn settle(&mut self, fate: Fate, progress: &mut Progress) {
        for instance in self.slots.iter_mut().filter_map(|slot| slot.instance.as_mut()) {
            instance.settle(fate);
        }
        if fate == Fate::PutBack {
            self.leaving.iter_mut().for_each(|instance| instance.settle(fate));
            return;
        }
        for instance in std::mem::take(&mut self.leaving) {
            let name = instance.uses.name.clone();
            let lost = instance.dispose();
            if let Some(at) = self.slots.iter().position(|slot| slot.uses.name == name) {
                self.lose(at, lost, progress);
            }
        }
    }

    /// Charges a script with what its earlier version has lost.
    fn lose(&mut self, at: usize, lost: isize, progress: &mut Progress) {
        let slot = &mut self.slots[at];
        slot.record.lose(lost);
        let Some(mut instance) = slot.instance.take() else { return };
        if instance.inherit(lost) {
            slot.instance = Some(instance);
            return;
        }
        let failure = lossy(&instance);
        slot.record.lose(instance.dispose());
        progress.failures.push(failure.clone());
        slot.trouble = Some(failure);
    }

    /// A row is lost in which the program has panicked: what repeats goes on all the same.
    pub(super) fn pass(&mut self, item: &Item, around: &mut Surroundings, progress: &mut Progress) {
        match item {
            Item::Every { script, generation, at, .. } => {
                let Some(place) = self.living(script, *generation) else { return };
                let declared = &self.slots[place].instance;
                let Some(every) = declared.as_ref().and_then(|i| i.declared.every.get(*at)) else { return };
                let (script, kind) = (script.clone(), WakeKind::Every { at: *at });
                progress.wakes.push(Wake { script, generation: *generation, kind, span: every.span });
            }
            Item::Cron { script, generation, at, slot } => {
                self.pass_slot(script, *generation, *at, *slot, around, progress);
            }
            Item::Retry { script, generation } => {
                let parked = self.slots.iter().filter(|slot| slot.uses.name == *script);
                let parked = parked.filter_map(|slot| slot.record.parked.as_ref());
                if let Some(parked) = parked.into_iter().find(|parked| parked.generation == *generation) {
                    let (script, kind, span) = (script.clone(), WakeKind::Retry, parked.span);
                    progress.wakes.push(Wake { script, generation: *generation, kind, span });
                }
            }
            Item::After { .. }
            | Item::Event(_)
            | Item::Hook(_)
            | Item::Load(_)
            | Item::Unload(_)
            | Item::Web { .. } => {}
        }
    }
}

/// Runs the `load` or `unload` handlers of a script.
fn run_plain(
    instance: &mut Instance,
    event: &str,
    key: &str,
    host: &mut Host,
    around: &mut Surroundings,
    progress: &mut Progress,
) {
    let wanted = |handler: &&Handler| handler.event == event && handler.rooms.is_empty();
    let chain: Vec<Handler> = instance.declared.handlers.iter().filter(wanted).cloned().collect();
    if chain.is_empty() {
        return;
    }
    let object = Dynamic::UNIT;
    let ended =
        instance.run(event, key, host, around, |caller| run_chain(&chain, caller, &object, &Cell::new(0)));
    take(ended, instance, progress);
}
