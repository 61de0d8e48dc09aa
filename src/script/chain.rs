//! Which handlers of a script an event has, and running them in order.

use std::cell::Cell;
use std::cmp::Ordering;

use rhai::Dynamic;

use crate::script::api::message::MessageObject;
use crate::script::api::text::captured;
use crate::script::bot::{Bot, Progress, Slot};
use crate::script::declare::{Handler, Wants};
use crate::script::host::Host;
use crate::script::instance::{Caller, Surroundings};
use crate::script::turn;
use crate::script::verdict::{List, Verdict, judge};

impl Bot {
    /// Runs the handlers of one script for an event in one turn, `before` first; true if it stopped the event.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn script_chain(
        &mut self,
        at: usize,
        names: &[&str],
        wants: Wants,
        key: &str,
        object: &Dynamic,
        before: impl FnOnce() -> Result<(), Box<rhai::EvalAltResult>>,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) -> bool {
        if self.again.and_then(|again| again.only).is_some_and(|only| only != at) {
            return false;
        }
        let mut chain: Vec<(usize, Handler)> = Vec::new();
        let all = self.slots[at].instance.iter().flat_map(|instance| &instance.declared.handlers);
        for (index, handler) in all.enumerate() {
            match judge(handler, names, wants, object) {
                Verdict::Ran => chain.push((index, handler.clone())),
                why_not => progress.notes.push(at, List::Handlers, index, why_not),
            }
        }
        if chain.is_empty() {
            return false;
        }
        chain.sort_by_key(|(_, handler)| std::cmp::Reverse(handler.priority));
        let (begun, failures) = (Cell::new(0), progress.failures.len());
        let stopped = self.turn(at, names[0], key, host, around, progress, |caller| {
            before()?;
            run_chain(chain.iter().map(|(_, handler)| handler), caller, object, &begun)
        });
        let failed = progress.failures.len() > failures;
        for (place, (index, _)) in chain.iter().enumerate() {
            let verdict = match (place + 1).cmp(&begun.get()) {
                Ordering::Equal if failed => Verdict::Failed,
                Ordering::Less | Ordering::Equal => Verdict::Ran,
                Ordering::Greater if failed => Verdict::EarlierFailed,
                Ordering::Greater => Verdict::Stopped,
            };
            progress.notes.push(at, List::Handlers, *index, verdict);
        }
        stopped
    }
}

/// Runs handlers in turn until one stops the event, and counts those that it has begun in `begun`.
pub(super) fn run_chain<'a>(
    chain: impl IntoIterator<Item = &'a Handler>,
    caller: &Caller<'_>,
    object: &Dynamic,
    begun: &Cell<usize>,
) -> Result<(), Box<rhai::EvalAltResult>> {
    for handler in chain {
        begun.set(begun.get() + 1);
        let mut arguments = vec![object.clone()];
        if let (Some(heard), Some(given)) = (&handler.heard, object.read_lock::<MessageObject>()) {
            let Some(captures) = captured(&heard.pattern, given.0.text())? else { continue };
            arguments.push(captures);
        }
        let _answer = caller.call(&handler.call, arguments)?;
        if turn::stopped() {
            break;
        }
    }
    Ok(())
}

/// Whether a script has handlers for an event that all of them get.
pub(super) fn handles(slot: &Slot, event: &str) -> bool {
    let mut all = slot.instance.iter().flat_map(|instance| &instance.declared.handlers);
    all.any(|handler| handler.event == event)
}
