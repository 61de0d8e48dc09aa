//! `time::`: now, reading and showing moments, by the clock of the bot's time zone.

use std::fmt;

use jiff::{SignedDuration, Timestamp, Zoned};
use rhai::{Dynamic, EvalAltResult, Module};

use crate::cron;
use crate::script::api::{self, Area, Function, getter, put};
use crate::script::error::{Kind, Thrown};
use crate::script::host::set;
use crate::script::span::{parse_when, show_span};
use crate::script::turn;

pub(super) const AREA: Area = Area {
    title: "Time",
    module: Some("time"),
    about: "Moments are values that can be compared, moved by seconds (`t + 60`) and subtracted (`a - b` is seconds). Days and times of day are those of the bot's `timezone` in bots.yaml, else of UTC.",
    objects: &[("when", "Time")],
    functions: &[
        Function {
            signature: "time::now() -> time",
            about: "The moment of the turn: it does not move while a handler runs.",
            example: r#"on("message", |m| m.reply(`it is ${time::show(time::now())}`));"#,
        },
        Function {
            signature: "time::show(t: time) -> string",
            about: "As people read it: `2026-03-01 17:30 CET`.",
            example: r#"on("message", |m| m.reply(time::show(m.stamp)));"#,
        },
        Function {
            signature: "time::show(t: time, format: string) -> string",
            about: "By a format of strftime: `%d.%m. %H:%M`.",
            example: r#"on("message", |m| m.reply(time::show(time::now(), "%H:%M")));"#,
        },
        Function {
            signature: "time::show(t: time, format: string, zone: string) -> string",
            about: "The same by the clock of another zone.",
            example: r#"on("message", |m| m.reply(time::show(time::now(), "%H:%M in Tokyo", "Asia/Tokyo")));"#,
        },
        Function {
            signature: "time::date(t: time) -> string",
            about: "Its day: `2026-03-01`.",
            example: r#"on("message", |m| if store::once(`seen/${m.who}/${time::date(time::now())}`) { m.reply("the first time today"); });"#,
        },
        Function {
            signature: "time::clock(t: time) -> string",
            about: "Its time of day: `17:30`.",
            example: r#"on("message", |m| if time::clock(time::now()) >= "22:00" { m.reply("go to bed"); });"#,
        },
        Function {
            signature: "time::hour(t: time) -> int",
            about: "Its hour, 0 to 23.",
            example: r#"on("message", |m| if time::hour(time::now()) < 9 { m.reply("not open yet"); });"#,
        },
        Function {
            signature: "time::weekday(t: time) -> string",
            about: "Its day of the week: `monday`.",
            example: r#"on("message", |m| if time::weekday(time::now()) in ["saturday", "sunday"] { m.reply("see you on Monday"); });"#,
        },
        Function {
            signature: "time::parse(text: string) -> time",
            about: "Reads `10m`, `17:30`, `tomorrow 9:00`, `2026-12-24 18:00` or RFC 3339; nothing where it is none of these.",
            example: r#"on("message", |m| if time::parse(m.text) == () { m.reply("when?"); });"#,
        },
        Function {
            signature: "time::seconds(span: string|int) -> int",
            about: "A span in seconds.",
            example: r#"on("message", |m| m.reply(time::seconds("1h30m")));"#,
        },
        Function {
            signature: "time::span(seconds: int) -> string",
            about: "Seconds as people read them: `1h 30m`.",
            example: r#"on("message", |m| m.reply(time::span(5400)));"#,
        },
        Function {
            signature: "when.unix: int",
            about: "Seconds since 1970.",
            example: r#"on("message", |m| m.reply(time::now().unix));"#,
        },
        Function {
            signature: "when.iso: string",
            about: "As RFC 3339.",
            example: r#"on("message", |m| m.reply(time::now().iso));"#,
        },
    ],
    register,
};

/// A moment as scripts hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::script) struct Time(pub Timestamp);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    put(module, "now", || -> Checked<Time> { turn::with(|turn| Ok(Time(turn.moment.wall))) });
    put(module, "show", |t: Time| -> Checked<String> { show(&here(t)?, "%Y-%m-%d %H:%M %Z") });
    put(module, "show", |t: Time, format: &str| -> Checked<String> { show(&here(t)?, format) });
    put(module, "show", |t: Time, format: &str, zone: &str| -> Checked<String> {
        let zone = cron::zone(zone)
            .map_err(|why| Thrown { hint: why.hint, ..Thrown::new(Kind::Runtime, why.message) })?;
        show(&t.0.to_zoned(zone), format)
    });
    put(module, "date", |t: Time| -> Checked<String> { show(&here(t)?, "%Y-%m-%d") });
    put(module, "clock", |t: Time| -> Checked<String> { show(&here(t)?, "%H:%M") });
    put(module, "hour", |t: Time| -> Checked<i64> { Ok(i64::from(here(t)?.hour())) });
    put(module, "weekday", |t: Time| -> Checked<String> { Ok(show(&here(t)?, "%A")?.to_lowercase()) });
    put(module, "parse", |text: &str| -> Checked<Dynamic> {
        turn::with(|turn| {
            Ok(parse_when(text, &turn.now()).map_or(Dynamic::UNIT, |moment| Dynamic::from(Time(moment))))
        })
    });
    put(module, "seconds", |span: Dynamic| -> Checked<i64> { Ok(api::span(&span)?.as_secs() as i64) });
    put(module, "span", |seconds: i64| {
        show_span(std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
    });
    module.set_custom_type::<Time>("Time");
    getter(module, "unix", |t: &mut Time| t.0.as_second());
    getter(module, "iso", |t: &mut Time| t.to_string());
    set(module, "to_string", |t: &mut Time| t.to_string());
    set(module, "to_debug", |t: &mut Time| t.to_string());
    set(module, "+", |t: Time, seconds: i64| moved(t, seconds));
    set(module, "-", |t: Time, seconds: i64| moved(t, seconds.saturating_neg()));
    set(module, "-", |a: Time, b: Time| a.0.duration_since(b.0).as_secs());
    set(module, "==", |a: Time, b: Time| a == b);
    set(module, "!=", |a: Time, b: Time| a != b);
    set(module, "<", |a: Time, b: Time| a < b);
    set(module, "<=", |a: Time, b: Time| a <= b);
    set(module, ">", |a: Time, b: Time| a > b);
    set(module, ">=", |a: Time, b: Time| a >= b);
}

/// By the clock of the script.
fn here(t: Time) -> Checked<Zoned> {
    turn::with(|turn| Ok(t.0.to_zoned(turn.zone.clone())))
}

fn show(t: &Zoned, format: &str) -> Checked<String> {
    jiff::fmt::strtime::format(format, t)
        .map_err(|why| Thrown::new(Kind::Runtime, format!("`{format}` is no format: {why}")).into())
}

fn moved(t: Time, seconds: i64) -> Checked<Time> {
    let moment = t.0.checked_add(SignedDuration::from_secs(seconds));
    moment.map(Time).map_err(|_| Thrown::new(Kind::Runtime, "that moment is out of range").into())
}
