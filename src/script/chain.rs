//! Which handlers of a script an event has, and running them in order.

use rhai::Dynamic;

use crate::script::api::message::MessageObject;
use crate::script::api::text::captured;
use crate::script::bot::Slot;
use crate::script::declare::{Handler, Wants};
use crate::script::hear::Heard;
use crate::script::instance::Caller;
use crate::script::turn;

/// Runs handlers in turn until one stops the event.
pub(super) fn run_chain(
    chain: &[Handler],
    caller: &Caller<'_>,
    object: &Dynamic,
) -> Result<(), Box<rhai::EvalAltResult>> {
    for handler in chain {
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

/// Handlers of a script for any of the names that take an event of that sort.
pub(super) fn handlers<'a>(
    slot: &'a Slot,
    names: &'a [&str],
    sort: Wants,
    object: &'a Dynamic,
) -> impl Iterator<Item = &'a Handler> {
    let all = slot.instance.iter().flat_map(|instance| &instance.declared.handlers);
    all.filter(move |handler| {
        let Wants { delayed, carbons, own, encrypted } = handler.wants;
        (handler.heard.is_some() || names.contains(&handler.event.as_str()))
            && (delayed || !sort.delayed)
            && (carbons || !sort.carbons)
            && (own || !sort.own)
            && (encrypted || !sort.encrypted)
            && (handler.heard.is_none() && handler.rooms.is_empty() || is_for(handler, object))
    })
}

/// Whether a handler wants what is said there, and hears what it listens for.
fn is_for(handler: &Handler, object: &Dynamic) -> bool {
    let Some(given) = object.read_lock::<MessageObject>() else { return false };
    let given = &given.0;
    let room = given.message.room.as_ref();
    let in_place = handler.rooms.is_empty() || room.is_some_and(|room| handler.rooms.contains(room));
    // What answers a question is for those who asked, and for nobody else.
    let is_open = given.asked.is_none();
    let hears = |heard: &Heard| is_open && heard.fits(&given.message, given.text(), given.addressed);
    in_place && handler.heard.as_ref().is_none_or(hears)
}

/// Whether a script has handlers for an event that all of them get.
pub(super) fn handles(slot: &Slot, event: &str) -> bool {
    let mut all = slot.instance.iter().flat_map(|instance| &instance.declared.handlers);
    all.any(|handler| handler.event == event)
}
