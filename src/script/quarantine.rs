//! Scripts that keep failing: loaded anew, parked, tried again. When that is due is in `record`.

use std::collections::BTreeSet;

use crate::script::bot::{Bot, Item, Progress, Slot, Wake, WakeKind};
use crate::script::error::{Kind, ScriptError};
use crate::script::host::Host;
use crate::script::instance::{Instance, Surroundings};
use crate::script::passing::Passing;
use crate::script::record::{self, Parked};

impl Bot {
    /// Loads a script anew whose state cannot be kept. What it has lost in cycles stays charged; a script that has
    /// lost too much is parked.
    pub(super) fn renew(
        &mut self,
        at: usize,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let slot = &mut self.slots[at];
        let Some(old) = slot.instance.take() else { return };
        let leaked = old.dispose();
        slot.record.lose(leaked);
        self.generations += 1;
        let loaded = Instance::load(slot.uses.clone(), &self.identity, self.generations, host, around);
        let failure = match loaded {
            Ok(mut instance) => {
                if instance.inherit(leaked) {
                    self.wakes(&instance, around, progress);
                    self.slots[at].instance = Some(instance);
                    return;
                }
                let failure = lossy(&instance);
                self.slots[at].record.lose(instance.dispose());
                failure
            }
            Err(failure) => failure,
        };
        progress.failures.push(failure.clone());
        self.slots[at].trouble = Some(failure);
    }

    /// Leaves out a script that failed too often, until it has cooled down or another version comes.
    pub(super) fn park(
        &mut self,
        at: usize,
        why: String,
        last: ScriptError,
        around: &Surroundings,
        progress: &mut Progress,
    ) {
        let slot = &mut self.slots[at];
        // Where it cannot even be loaded any more, that is why.
        let Some(instance) = slot.instance.take() else { return };
        let events = record::events(&instance);
        slot.record.lose(instance.dispose());
        self.cool_down(at, why, last, events, around, progress);
    }

    fn cool_down(
        &mut self,
        at: usize,
        why: String,
        last: ScriptError,
        events: BTreeSet<String>,
        around: &Surroundings,
        progress: &mut Progress,
    ) {
        self.generations += 1;
        let (generation, slot) = (self.generations, &mut self.slots[at]);
        slot.record.park(why, events, generation, around.moment);
        slot.trouble = Some(last);
        if let Some(Parked { why, until, span, .. }) = &slot.record.parked {
            let (script, span) = (slot.uses.name.clone(), *span);
            tracing::error!(bot = %self.identity.name, script, why, %until, "parked");
            progress.standing.push(Wake { script, generation, kind: WakeKind::Retry, span });
        }
    }

    /// Tries a script again that has cooled down.
    pub(super) fn retry(
        &mut self,
        script: &str,
        generation: u64,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let waits = |slot: &Slot| {
            slot.uses.name == script
                && slot.record.parked.as_ref().is_some_and(|p| p.generation == generation)
        };
        let Some(at) = self.slots.iter().position(waits) else { return };
        self.generations += 1;
        let events = self.slots[at].record.resume(around.moment.at);
        let uses = self.slots[at].uses.clone();
        let failure = match Instance::load(uses, &self.identity, self.generations, host, around) {
            Ok(mut instance) => {
                if !instance.inherit(self.slots[at].record.lost) {
                    let failure = lossy(&instance);
                    self.slots[at].record.lose(instance.dispose());
                    progress.failures.push(failure.clone());
                    let why = "it has lost too much memory".to_owned();
                    self.cool_down(at, why, failure, events, around, progress);
                    return;
                }
                tracing::info!(bot = %self.identity.name, script, "tried again");
                self.wakes(&instance, around, progress);
                progress.awake = true;
                progress.passing.push(Item::Load(Passing::of(&instance, "load", around)));
                let slot = &mut self.slots[at];
                (slot.instance, slot.trouble) = (Some(instance), None);
                return;
            }
            Err(failure) => failure,
        };
        progress.failures.push(failure.clone());
        let why = "it cannot be loaded again".to_owned();
        self.cool_down(at, why, failure, events, around, progress);
    }
}

/// Why a script that has lost too much memory runs no more.
pub(super) fn lossy(instance: &Instance) -> ScriptError {
    let limit = instance.uses.limits.memory / 1024;
    let message = format!("the script has lost more than half of its {limit} KiB in cycles of values");
    let hint = "a map that holds a closure over itself is never freed; `limits.memory` is how much there is";
    ScriptError { hint: Some(hint.to_owned()), ..instance.site(None).plain(Kind::Memory, message) }
}
