//! `timer::`: durable timers by name, and short delays that may be lost.

use std::sync::Arc;

use jiff::Timestamp;
use rhai::{Array, Dynamic, EvalAltResult, FnPtr, Module};
use serde_json::Value;

use crate::script::api::time::Time;
use crate::script::api::{self, Area, Function, getter, put};
use crate::script::closures::AFTER;
use crate::script::declare;
use crate::script::error::{Kind, Thrown};
use crate::script::memory;
use crate::script::span::parse_when;
use crate::script::turn::{self, Turn};
use crate::script::values;
use crate::store::TimerRow;

pub(super) const AREA: Area = Area {
    title: "Timers",
    module: Some("timer"),
    about: "A timer is a name, a moment and some data; it survives reloads, restarts and outages. When it is due, the event `timer:NAME` comes. In `t`, what handlers of it and `timer::list` get:",
    objects: &[("t", "Timer")],
    functions: &[
        Function {
            signature: "timer::at(when: time|string|int, name: string) -> int",
            about: "Sets one and gives its number. `when` is a time, a text such as `10m`, `17:30` or `tomorrow 9:00` (by the clock of the bot's zone), or seconds from now.",
            example: r#"on("message", |m| { timer::at("10m", "tea"); });
on("timer:tea", |t| log::info("tea is ready"));"#,
        },
        Function {
            signature: "timer::at(when: time|string|int, name: string, data) -> int",
            about: "The same with data to remember.",
            example: r#"on("message", |m| { timer::at("10m", "tea", #{ to: m.place }); });
on("timer:tea", |t| bot::send(t.data.to, "tea is ready"));"#,
        },
        Function {
            signature: "timer::after(span: string|int, f: ||) -> int",
            about: "Calls `f` once, after a while; forgotten when the script is replaced or the program ends.",
            example: r#"on("message", |m| { timer::after("5s", || m.reply("still here")); });"#,
        },
        Function {
            signature: "timer::cancel(id: int) -> bool",
            about: "Cancels one; says whether it was waiting.",
            example: r#"on("message", |m| { let id = timer::at("1h", "tea"); timer::cancel(id); });"#,
        },
        Function {
            signature: "timer::find(id: int) -> Timer",
            about: "The one of that number, or nothing.",
            example: r#"on("message", |m| { let t = timer::find(timer::at("1h", "tea")); log::info(t.name); });"#,
        },
        Function {
            signature: "timer::list() -> array",
            about: "Up to 1,000 that wait, the earliest first.",
            example: r#"on("message", |m| m.reply(`${timer::list().len()} timers`));"#,
        },
        Function {
            signature: "timer::list(name: string) -> array",
            about: "Those of one name.",
            example: r#"on("message", |m| for t in timer::list("tea") { timer::cancel(t.id); });"#,
        },
        Function {
            signature: "t.id: int",
            about: "Its number.",
            example: r#"on("timer:tea", |t| log::info(t.id));"#,
        },
        Function {
            signature: "t.name: string",
            about: "Its name.",
            example: r#"on("timer:tea", |t| log::info(t.name));"#,
        },
        Function {
            signature: "t.due: time",
            about: "When it is, or was, due.",
            example: r#"on("timer:tea", |t| log::info(time::show(t.due)));"#,
        },
        Function {
            signature: "t.late_s: int",
            about: "By how many seconds it is late, because the bot was away.",
            example: r#"on("timer:tea", |t| if t.late_s > 60 { log::warn("late"); });"#,
        },
        Function {
            signature: "t.data",
            about: "What was to be remembered.",
            example: r#"on("timer:tea", |t| log::info(`${t.data}`));"#,
        },
    ],
    register,
};

/// Most timers one call gives.
const LIST: usize = 1_000;

/// A timer as scripts hold it.
#[derive(Clone)]
pub(in crate::script) struct TimerObject(pub Arc<TimerRow>);

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    put(module, "at", |when: Dynamic, name: &str| -> Checked<i64> { at(&when, name, &Dynamic::UNIT) });
    put(module, "at", |when: Dynamic, name: &str, data: Dynamic| -> Checked<i64> { at(&when, name, &data) });
    put(module, "after", |span: Dynamic, f: FnPtr| -> Checked<i64> { after(&span, f) });
    put(module, "cancel", |id: i64| -> Checked<bool> {
        turn::act(|turn| {
            if id >= 0 {
                return turn.cancel_timer(id);
            }
            Ok(turn.cancel_after(id))
        })
    });
    put(module, "find", |id: i64| -> Checked<Dynamic> {
        turn::act(|turn| Ok(turn.timer(id)?.map_or(Dynamic::UNIT, object)))
    });
    put(module, "list", || -> Checked<Array> {
        turn::act(|turn| Ok(turn.timers(None, LIST)?.into_iter().map(object).collect()))
    });
    put(module, "list", |name: &str| -> Checked<Array> {
        turn::act(|turn| Ok(turn.timers(Some(name), LIST)?.into_iter().map(object).collect()))
    });
    module.set_custom_type::<TimerObject>("Timer");
    getter(module, "id", |t: &mut TimerObject| t.0.id);
    getter(module, "name", |t: &mut TimerObject| t.0.name.clone());
    getter(module, "due", |t: &mut TimerObject| Time(t.0.due));
    getter(module, "late_s", |t: &mut TimerObject| -> Checked<i64> {
        turn::with(|turn| Ok(turn.moment.wall.duration_since(t.0.due).as_secs().max(0)))
    });
    getter(module, "data", |t: &mut TimerObject| values::from_json(&t.0.data));
}

fn object(row: TimerRow) -> Dynamic {
    Dynamic::from(TimerObject(Arc::new(row)))
}

fn at(when: &Dynamic, name: &str, data: &Dynamic) -> Checked<i64> {
    turn::act(|turn| {
        let due = moment(turn, when)?;
        let data: Value = values::to_json(data).map_err(|why| Thrown::new(Kind::Runtime, why))?;
        turn.set_timer(due, name, data)
    })
}

fn moment(turn: &Turn, when: &Dynamic) -> Result<Timestamp, Thrown> {
    let now = turn.moment.wall;
    if let Some(time) = when.read_lock::<Time>() {
        return Ok(time.0);
    }
    let read = match when.as_immutable_string_ref() {
        Ok(text) => parse_when(&text, &turn.now()),
        Err(_) => api::span(when).ok().and_then(|span| now.checked_add(span).ok()),
    };
    read.ok_or_else(|| {
        Thrown::new(Kind::Runtime, format!("`{when}` is no moment"))
            .hint("write \"10m\", \"17:30\" or \"tomorrow 9:00\"")
    })
}

fn after(span: &Dynamic, f: FnPtr) -> Checked<i64> {
    turn::act(|turn| {
        let span = api::span(span)?;
        declare::callback(&turn.arities, f.clone(), 0, "the function of `timer::after`")?;
        if turn.after_waiting() >= AFTER {
            let message = format!("more than {} functions wait for `timer::after`", AFTER);
            return Err(Thrown::new(Kind::Operations, message));
        }
        let id = -turn.data.timer_id();
        memory::uncounted(|| turn.effects.after.push((id, span, f)));
        Ok(id)
    })
}
