//! `store::`: values that survive restarts, one set per script and bot.

use jiff::Timestamp;
use rhai::{Array, Dynamic, EvalAltResult, Module};
use serde_json::Value;

use crate::script::api::{self, Area, Function, put};
use crate::script::error::{Kind, Thrown};
use crate::script::reserved;
use crate::script::turn::{self, Turn};
use crate::script::values;

pub(super) const AREA: Area = Area {
    title: "Stored values",
    module: Some("store"),
    about: "Values of this script of this bot, kept on disk. A turn sees its own writes; they are committed when it has ended well, together with what it sends.",
    objects: &[],
    functions: &[
        Function {
            signature: "store::get(key: string)",
            about: "The value, or nothing.",
            example: r#"on("message", |m| m.reply(store::get("motto") ?? "no motto yet"));"#,
        },
        Function {
            signature: "store::get(key: string, default)",
            about: "The value, or `default`.",
            example: r#"on("message", |m| m.reply(store::get("visits", 0)));"#,
        },
        Function {
            signature: "store::set(key: string, value)",
            about: "Sets it: text, numbers, truth values, arrays, maps, times; no functions.",
            example: r#"on("message", |m| store::set("last/" + m.who, #{ text: m.text, at: time::now() }));"#,
        },
        Function {
            signature: "store::set(key: string, value, ttl: string|int)",
            about: "Sets it for a while.",
            example: r#"on("message", |m| store::set("busy/" + m.who, true, "10m"));"#,
        },
        Function {
            signature: "store::del(key: string) -> bool",
            about: "Removes it; says whether it was there.",
            example: r#"on("message", |m| if store::del("last/" + m.who) { m.reply("forgotten"); });"#,
        },
        Function {
            signature: "store::keys(prefix: string) -> array",
            about: "Up to 1,000 keys that begin so, in order.",
            example: r#"on("message", |m| for key in store::keys("faq/") { log::info(key); });"#,
        },
        Function {
            signature: "store::incr(key: string) -> int",
            about: "Adds one and gives the sum.",
            example: r#"on("message", |m| m.reply(`message ${store::incr("count")}`));"#,
        },
        Function {
            signature: "store::incr(key: string, n: int) -> int",
            about: "Adds `n`.",
            example: r#"on("message", |m| { store::incr("bytes", m.text.bytes); });"#,
        },
        Function {
            signature: "store::incr(key: string, n: int, ttl: string|int) -> int",
            about: "The same; the count starts anew one `ttl` after it began.",
            example: r#"on("message", |m| if store::incr("today/" + m.who, 1, "1d") > 100 { m.reply("enough for today"); });"#,
        },
        Function {
            signature: "store::once(key: string) -> bool",
            about: "True the first time, and never again.",
            example: r#"on("message", |m| if store::once("met/" + m.who) { m.reply("nice to meet you"); });"#,
        },
        Function {
            signature: "store::once(key: string, ttl: string|int) -> bool",
            about: "True at most once per `ttl`.",
            example: r#"on("message", |m| if store::once("greeted/" + m.who, "12h") { m.reply("hello"); });"#,
        },
    ],
    register,
};

/// Most keys one call gives.
const KEYS: usize = 1_000;

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    functions(module, Space::Own);
}

/// Whose values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    /// Those of the script of the bot.
    Own,
    /// Those that all bots have in common.
    Shared,
}

/// Puts the functions into a module.
pub(super) fn functions(module: &mut Module, space: Space) {
    put(module, "get", move |key: &str| -> Checked<Dynamic> { turn::act(|turn| get(turn, space, key)) });
    put(module, "get", move |key: &str, default: Dynamic| -> Checked<Dynamic> {
        turn::act(|turn| get(turn, space, key).map(|value| if value.is_unit() { default } else { value }))
    });
    put(module, "set", move |key: &str, value: Dynamic| -> Checked<()> {
        turn::act(|turn| space.put(turn, key, Some(json(&value)?), None))
    });
    put(module, "set", move |key: &str, value: Dynamic, ttl: Dynamic| -> Checked<()> {
        turn::act(|turn| {
            let expires = Some(expiry(turn, &ttl)?);
            space.put(turn, key, Some(json(&value)?), expires)
        })
    });
    put(module, "del", move |key: &str| -> Checked<bool> {
        turn::act(|turn| {
            let was_there = space.entry(turn, key)?.is_some();
            if was_there {
                space.put(turn, key, None, None)?;
            }
            Ok(was_there)
        })
    });
    put(module, "keys", move |prefix: &str| -> Checked<Array> {
        turn::act(|turn| Ok(space.keys(turn, prefix)?.into_iter().map(Dynamic::from).collect()))
    });
    put(module, "incr", move |key: &str| -> Checked<i64> {
        turn::act(|turn| incr(turn, space, key, 1, None))
    });
    put(module, "incr", move |key: &str, n: i64| -> Checked<i64> {
        turn::act(|turn| incr(turn, space, key, n, None))
    });
    put(module, "incr", move |key: &str, n: i64, ttl: Dynamic| -> Checked<i64> {
        turn::act(|turn| {
            let expires = expiry(turn, &ttl)?;
            incr(turn, space, key, n, Some(expires))
        })
    });
    put(module, "once", move |key: &str| -> Checked<bool> { turn::act(|turn| once(turn, space, key, None)) });
    put(module, "once", move |key: &str, ttl: Dynamic| -> Checked<bool> {
        turn::act(|turn| {
            let expires = expiry(turn, &ttl)?;
            once(turn, space, key, Some(expires))
        })
    });
}

impl Space {
    fn entry(self, turn: &mut Turn, key: &str) -> Result<Option<(Value, Option<Timestamp>)>, Thrown> {
        let key = free(key)?;
        match self {
            Self::Own => turn.entry(key),
            Self::Shared => {
                granted(turn)?;
                turn.shared_entry(key)
            }
        }
    }

    fn put(
        self,
        turn: &mut Turn,
        key: &str,
        value: Option<Value>,
        expires: Option<Timestamp>,
    ) -> Result<(), Thrown> {
        let key = free(key)?;
        match self {
            Self::Own => turn.put(key, value, expires),
            Self::Shared => {
                granted(turn)?;
                turn.put_shared(key, value, expires)
            }
        }
    }

    fn keys(self, turn: &Turn, prefix: &str) -> Result<Vec<String>, Thrown> {
        match self {
            Self::Own => turn.keys(prefix, KEYS),
            Self::Shared => {
                granted(turn)?;
                turn.shared_keys(prefix, KEYS)
            }
        }
    }
}

/// Refuses scripts that may not use what all bots have in common.
fn granted(turn: &Turn) -> Result<(), Thrown> {
    if turn.permissions.shared {
        return Ok(());
    }
    let hint = format!(
        "grant it in bots.yaml: `scripts: {{ {}: {{ file: ..., permissions: {{ shared: true }} }} }}`",
        turn.script
    );
    Err(Thrown::new(Kind::Forbidden, "the script may not use `shared::`").hint(hint))
}

/// Refuses keys that the runtime keeps for itself.
fn free(key: &str) -> Result<&str, Thrown> {
    if key.starts_with(reserved::PREFIX) {
        return Err(Thrown::new(Kind::Store, "keys that begin with U+10FFFF are the runtime's own"));
    }
    Ok(key)
}

fn get(turn: &mut Turn, space: Space, key: &str) -> Result<Dynamic, Thrown> {
    Ok(space.entry(turn, key)?.map_or(Dynamic::UNIT, |(value, _)| values::from_json(&value)))
}

fn incr(turn: &mut Turn, space: Space, key: &str, n: i64, expires: Option<Timestamp>) -> Result<i64, Thrown> {
    let (count, expires) = match space.entry(turn, key)? {
        Some((value, began)) => match value.as_i64() {
            Some(count) => (count, began),
            None => return Err(Thrown::new(Kind::Runtime, format!("the value under `{key}` is no int"))),
        },
        None => (0, expires),
    };
    let sum = count
        .checked_add(n)
        .ok_or_else(|| Thrown::new(Kind::Runtime, format!("`{key}` is too large to add to")))?;
    space.put(turn, key, Some(Value::from(sum)), expires)?;
    Ok(sum)
}

fn once(turn: &mut Turn, space: Space, key: &str, expires: Option<Timestamp>) -> Result<bool, Thrown> {
    if space.entry(turn, key)?.is_some() {
        return Ok(false);
    }
    space.put(turn, key, Some(Value::Bool(true)), expires)?;
    Ok(true)
}

fn expiry(turn: &Turn, ttl: &Dynamic) -> Result<Timestamp, Thrown> {
    let span = api::span(ttl)?;
    turn.moment
        .wall
        .checked_add(span)
        .map_err(|_| Thrown::new(Kind::Runtime, "that is too far in the future"))
}

fn json(value: &Dynamic) -> Result<Value, Thrown> {
    values::to_json(value).map_err(|why| Thrown::new(Kind::Runtime, why))
}
