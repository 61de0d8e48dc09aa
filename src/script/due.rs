//! Stored timers that are due: whose they are, and whether they may go.

use std::sync::Arc;

use rhai::Dynamic;

use crate::event::Timer;
use crate::script::api::timer::TimerObject;
use crate::script::bot::{Bot, Progress};
use crate::script::chain::handles;
use crate::script::declare::Wants;
use crate::script::dialog;
use crate::script::host::Host;
use crate::script::instance::Surroundings;
use crate::script::turn::TELL;
use crate::script::web::Reply;
use crate::store::dead::RETRIES;
use crate::store::{Scope, TimerRow};

impl Bot {
    /// Hands a timer to its script.
    pub(super) fn timer(
        &mut self,
        timer: &Timer,
        key: &str,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        if !self.timer_stands(timer, around) {
            return;
        }
        if timer.script == RETRIES {
            return self.retry_due(timer, host, around, progress);
        }
        let owner = dialog::script_of(timer).unwrap_or(&timer.script);
        if !self.may_remove(owner) {
            progress.kept.push(timer.id);
            return;
        }
        if let Some(script) = dialog::script_of(timer) {
            return self.question_ends(timer, script, key, host, around, progress);
        }
        if let Some(reply) = Reply::interrupted(timer) {
            self.web(&Arc::new(reply), host, around, progress);
            return;
        }
        let event = format!("timer:{}", timer.name);
        let row = TimerRow {
            id: timer.id,
            bot: self.identity.name.clone(),
            script: timer.script.clone(),
            name: timer.name.clone(),
            due: timer.due,
            data: timer.data.clone(),
        };
        let object = Dynamic::from(TimerObject(Arc::new(row)));
        if timer.script == TELL {
            around.pending.remove_timer(timer.id);
            return self.told(timer, key, host, around, progress);
        }
        let owner = self.slots.iter().position(|slot| slot.uses.name == timer.script);
        let Some(at) = owner.filter(|at| handles(&self.slots[*at], &event)) else {
            // It stays stored: a version with the handler gets it.
            tracing::warn!(bot = %self.identity.name, script = timer.script, event, "nobody handles this timer; it waits for a version of the script that does");
            progress.kept.push(timer.id);
            return;
        };
        // It goes away with the turn's writes, and also if the turn fails: then a retry is set.
        around.pending.remove_timer(timer.id);
        let names = [event.as_str()];
        self.script_chain(at, &names, Wants::default(), key, &object, || Ok(()), host, around, progress);
    }

    /// Whether a timer of that script may be removed when it is due. While the script is parked its timers stay
    /// stored: they come due again when it runs.
    pub(super) fn may_remove(&self, script: &str) -> bool {
        let slot = self.slots.iter().find(|slot| slot.uses.name == script);
        slot.is_none_or(|slot| slot.instance.is_some())
    }

    /// Whether the timer has neither been handled nor cancelled since it was found due.
    pub(super) fn timer_stands(&self, timer: &Timer, around: &Surroundings) -> bool {
        self.row_stands(timer.id, &timer.script, around)
    }

    /// The same for its row in the store.
    pub(super) fn row_stands(&self, id: i64, script: &str, around: &Surroundings) -> bool {
        if let Some(stands) = around.pending.timer_stands(id) {
            return stands;
        }
        let scope = Scope { bot: self.identity.name.clone(), script: script.to_owned() };
        match around.reader.as_ref().map(|reader| reader.timer(&scope, id)) {
            Some(Ok(row)) => row.is_some(),
            // Better twice than never: the row is still there, and is looked at again.
            Some(Err(_)) | None => true,
        }
    }
}
