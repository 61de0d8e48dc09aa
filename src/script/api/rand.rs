//! `rand::`: chance. A turn that runs again throws the same numbers; nobody can tell them beforehand.

use rhai::{Array, Dynamic, EvalAltResult, Module};

use crate::script::api::{Area, Function, put};
use crate::script::error::{Kind, Thrown};
use crate::script::turn::{self, Turn};

pub(super) const AREA: Area = Area {
    title: "Chance",
    module: Some("rand"),
    about: "A turn that has to run again, after a crash for instance, throws the same numbers.",
    objects: &[],
    functions: &[
        Function {
            signature: "rand::int(from: int, to: int) -> int",
            about: "A whole number; both ends can come up.",
            example: r#"on("message", |m| m.reply(rand::int(1, 6)));"#,
        },
        Function {
            signature: "rand::float() -> float",
            about: "From 0 to below 1.",
            example: r#"on("message", |m| if rand::float() < 0.1 { m.reply("lucky"); });"#,
        },
        Function {
            signature: "rand::pick(items: array)",
            about: "One of the items; nothing if there are none.",
            example: r#"on("message", |m| m.reply(rand::pick(["yes", "no", "perhaps"])));"#,
        },
        Function {
            signature: "rand::shuffle(items: array) -> array",
            about: "The items in another order.",
            example: r#"on("message", |m| m.reply(rand::shuffle([1, 2, 3])));"#,
        },
    ],
    register,
};

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    put(module, "int", |from: i64, to: i64| -> Checked<i64> {
        turn::act(|turn| {
            if from > to {
                return Err(Thrown::new(Kind::Runtime, format!("there is no number from {from} to {to}")));
            }
            // As wide as the whole range of i64, so in 128 bits.
            let count = (i128::from(to) - i128::from(from) + 1) as u128;
            let drawn = below(turn, count);
            i64::try_from(i128::from(from) + drawn as i128)
                .map_err(|_| Thrown::new(Kind::Panic, "a random number left its range"))
        })
    });
    put(module, "float", || -> Checked<f64> { turn::act(|turn| Ok(turn.random.next_fraction())) });
    put(module, "pick", |items: Array| -> Checked<Dynamic> {
        turn::act(|turn| {
            if items.is_empty() {
                return Ok(Dynamic::UNIT);
            }
            let at = below(turn, items.len() as u128) as usize;
            Ok(items[at].clone())
        })
    });
    put(module, "shuffle", |mut items: Array| -> Checked<Array> {
        turn::act(|turn| {
            for last in (1..items.len()).rev() {
                let other = below(turn, last as u128 + 1) as usize;
                items.swap(last, other);
            }
            Ok(items)
        })
    });
}

/// A number below `count`, which is at most 2^64: 128 random bits make the bias one in 2^64.
fn below(turn: &mut Turn, count: u128) -> u128 {
    let bytes = turn.random.next_bytes();
    let mut word = [0; 16];
    word.copy_from_slice(&bytes[..16]);
    u128::from_be_bytes(word) % count
}
