//! Events whose turns fail: each script that failed has three tries, and then the event is a dead letter.
//!
//! A retry is a stored timer of the bot, set in the commit that makes the event safe to acknowledge; so nothing waits
//! behind it, and it survives the process. What the other scripts made of the event stands.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use rhai::Dynamic;
use serde_json::{Value, json};

use crate::event::{Event, Message, Timer};
use crate::moment::Moment;
use crate::script::api::timer::TimerObject;
use crate::script::bot::{Bot, Item, Progress};
use crate::script::chain::handles;
use crate::script::declare::Wants;
use crate::script::error::ScriptError;
use crate::script::happening;
use crate::script::host::Host;
use crate::script::instance::Surroundings;
use crate::script::turn::TELL;
use crate::store::TimerRow;
use crate::store::dead::{Letter, RETRIES};

/// How often an event is tried.
pub(super) const TRIES: u32 = 3;

/// How long an event waits after each failure but the last.
const WAITS: [Duration; TRIES as usize - 1] = [Duration::from_secs(1), Duration::from_secs(10)];

/// An event that is tried again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Again {
    /// Only this script takes it; all, where the store had refused what they made of it.
    pub only: Option<usize>,
    /// How often it was tried before.
    pub tries: u32,
}

/// A turn that failed, or was not even begun.
pub(super) struct Failed {
    /// The script; empty where no single one is at fault.
    pub script: String,
    pub error: String,
    /// How often it was tried, this time included.
    pub tries: u32,
    /// Whether another try is of no use.
    pub hopeless: bool,
}

/// Whether this kind of event can be tried again. Everything else belongs to a moment that is over.
fn to_value(event: &Event) -> Option<Value> {
    match event {
        Event::Message(message) => Some(json!({ "message": message.to_value() })),
        Event::Timer(timer) => Some(json!({ "timer": {
            "script": timer.script,
            "name": timer.name,
            "due": timer.due.as_millisecond(),
            "data": timer.data,
        }})),
        _ => None,
    }
}

fn from_value(value: &Value, id: i64, now: Timestamp) -> Option<Event> {
    if let Some(message) = value.get("message") {
        return Message::from_value(message).map(Box::new).map(Event::Message);
    }
    let timer = value.get("timer")?;
    let due = Timestamp::from_millisecond(timer["due"].as_i64()?).ok()?;
    Some(Event::Timer(Timer {
        id,
        script: timer["script"].as_str()?.to_owned(),
        name: timer["name"].as_str()?.to_owned(),
        due,
        late_s: now.duration_since(due).as_secs().max(0),
        data: timer["data"].clone(),
    }))
}

/// The key of the event that a timer is a retry of.
pub(super) fn key_of(timer: &Timer) -> Option<&str> {
    (timer.script == RETRIES).then(|| timer.data["key"].as_str()).flatten()
}

/// Whether an item can be tried again.
pub(super) fn is_kept(item: &Item) -> bool {
    let Item::Event(delivery) = item else { return false };
    matches!(delivery.event, Event::Message(_) | Event::Timer(_))
}

/// How often the event of an item was tried before.
pub(super) fn tries(item: &Item) -> u32 {
    let Item::Event(delivery) = item else { return 0 };
    match &delivery.event {
        Event::Timer(timer) if timer.script == RETRIES => tries_of(timer),
        _ => 0,
    }
}

fn tries_of(timer: &Timer) -> u32 {
    timer.data["tries"].as_u64().and_then(|tries| u32::try_from(tries).ok()).unwrap_or(0)
}

/// What becomes of an event after a failure.
pub(super) enum Next {
    /// It is tried again when this is due.
    Again(TimerRow),
    /// It is given up.
    GivenUp(Letter),
}

impl Failed {
    /// After so many tries.
    pub(super) fn of(failure: &ScriptError, tries: u32) -> Self {
        let (script, error) = (failure.script.clone(), failure.to_string());
        Self { script, error, tries, hopeless: tries >= TRIES }
    }

    /// What becomes of the item. `None` where it is gone: it belongs to a moment, and has killed nobody. `id` gives a
    /// number for a timer.
    pub(super) fn next(self, bot: &str, item: &Item, id: impl FnOnce() -> i64, now: Moment) -> Option<Next> {
        let Self { script, error, tries, hopeless } = self;
        let (kind, from, data) = kept(item, &script, tries);
        let wait = usize::try_from(tries.max(1) - 1).ok().and_then(|at| WAITS.get(at));
        match (data, wait) {
            (Some(data), Some(wait)) if !hopeless => {
                let due = now.wall.saturating_add(*wait).unwrap_or(Timestamp::MAX);
                let name = if script.is_empty() { "*".to_owned() } else { script };
                Some(Next::Again(retry(bot, name, id(), due, data)))
            }
            // Nobody can try it again, and it has not done any harm.
            (None, _) if !hopeless => None,
            (data, _) => Some(Next::GivenUp(Letter {
                id: 0,
                bot: bot.to_owned(),
                script,
                event: happening::id(bot, item),
                kind,
                from,
                tries,
                error,
                at: now.wall,
                data,
            })),
        }
    }
}

/// The timer that a dead letter becomes when it is tried again at once, with all its tries; `None` where nothing of the
/// event was kept.
pub fn revived(letter: &Letter, id: i64, now: Timestamp) -> Option<TimerRow> {
    let mut data = letter.data.clone()?;
    data["tries"] = 0.into();
    let name = if letter.script.is_empty() { "*" } else { &letter.script };
    Some(retry(&letter.bot, name.to_owned(), id, now, data))
}

fn retry(bot: &str, name: String, id: i64, due: Timestamp, data: Value) -> TimerRow {
    TimerRow { id, bot: bot.to_owned(), script: RETRIES.to_owned(), name, due, data }
}

/// What is kept of an item: its kind, who it came from, and the whole of it where it can be tried again.
fn kept(item: &Item, script: &str, tries: u32) -> (String, Option<String>, Option<Value>) {
    let Item::Event(delivery) = item else { return (happening::kind(item), None, None) };
    if let Event::Timer(timer) = &delivery.event
        && timer.script == RETRIES
    {
        let mut data = timer.data.clone();
        data["tries"] = tries.into();
        let text = |field: &str| timer.data[field].as_str().map(str::to_owned);
        return (text("kind").unwrap_or_default(), text("from"), Some(data));
    }
    let kind = happening::kind(item);
    let from = match &delivery.event {
        Event::Message(message) => Some(message.from.to_string()),
        _ => None,
    };
    let data = to_value(&delivery.event).map(|event| {
        json!({
            "event": event, "key": delivery.key, "kind": kind, "from": from, "script": script, "tries": tries,
        })
    });
    (kind, from, data)
}

impl Bot {
    /// Tries an event again whose time has come.
    pub(super) fn retry_due(
        &mut self,
        timer: &Timer,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let script = timer.data["script"].as_str().unwrap_or_default();
        let tries = tries_of(timer);
        let hopeless = |error: &str| Failed {
            script: script.to_owned(),
            error: error.to_owned(),
            tries,
            hopeless: true,
        };
        let only = self.slots.iter().position(|slot| slot.uses.name == script);
        if only.is_some_and(|at| self.slots[at].instance.is_none()) {
            // Parked: it comes due again when the script runs.
            progress.kept.push(timer.id);
            return;
        }
        around.pending.remove_timer(timer.id);
        if only.is_none() && !script.is_empty() {
            progress.failed.push(hopeless("the bot does not use the script any more"));
            return;
        }
        let key = key_of(timer).unwrap_or_default();
        let Some(event) = from_value(&timer.data["event"], timer.id, around.moment.wall) else {
            progress.failed.push(hopeless("this version of the program cannot read the event"));
            return;
        };
        self.again = Some(Again { only, tries });
        match event {
            Event::Message(message) => self.message(&message, key, host, around, progress),
            Event::Timer(timer) if timer.script == TELL => self.told(&timer, key, host, around, progress),
            Event::Timer(timer) => {
                let name = format!("timer:{}", timer.name);
                match only.filter(|at| handles(&self.slots[*at], &name)) {
                    Some(at) => {
                        let Timer { id, script, name: of, due, late_s: _, data } = timer;
                        let bot = self.identity.name.clone();
                        let row = TimerRow { id, bot, script, name: of, due, data };
                        let object = Dynamic::from(TimerObject(Arc::new(row)));
                        let (names, nothing) = ([name.as_str()], || Ok(()));
                        let wants = Wants::default();
                        self.script_chain(at, &names, wants, key, &object, nothing, host, around, progress);
                    }
                    None => progress.failed.push(hopeless("no handler takes this timer any more")),
                }
            }
            // Nothing else is kept.
            _ => {}
        }
        self.again = None;
    }

    /// Sets down what becomes of an item whose turns have failed, in the commit that makes it safe.
    pub(super) fn settle_failed(&self, item: &Item, around: &mut Surroundings, progress: &mut Progress) {
        let mut settled: Vec<String> = Vec::new();
        for failed in progress.failed.drain(..) {
            if around.flight.is_none() || settled.contains(&failed.script) {
                continue;
            }
            settled.push(failed.script.clone());
            let data = &around.data;
            match failed.next(&self.identity.name, item, || data.timer_id(), around.moment) {
                Some(Next::Again(row)) => drop(around.pending.timers.insert(row.id, Some(row))),
                Some(Next::GivenUp(letter)) => around.pending.dead.push(letter),
                None => {}
            }
        }
    }
}

/// A place where a test lets the process die: in turns of this event. Only builds with debug assertions listen.
pub(super) fn die_in(event: &str) {
    static DEADLY: OnceLock<Option<String>> = OnceLock::new();
    if !cfg!(debug_assertions) {
        return;
    }
    let deadly = DEADLY.get_or_init(|| std::env::var("RHAPSODE_DRILL_DEADLY").ok());
    if deadly.as_deref() == Some(event) {
        std::process::abort();
    }
}
