//! `rate::`: whether something happens too often.

use std::sync::PoisonError;

use rhai::{Dynamic, EvalAltResult, Module};
use sha2::{Digest, Sha256};

use crate::script::api::{self, Area, Function, put};
use crate::script::error::{Kind, Thrown};
use crate::script::memory;
use crate::script::rates::HIGHEST;
use crate::script::turn::{self, Turn};

pub(super) const AREA: Area = Area {
    title: "Rates",
    module: Some("rate"),
    about: "Counts in memory, by the clock of the turn, one set per script and bot. They stand even where the turn fails, and over a reload; a restart of the program forgets them. Of 10,000 keys per bot (fewer where keys and counts are large) the one that was counted least lately is forgotten for a new one.",
    objects: &[],
    functions: &[Function {
        signature: "rate::over(key: string, n: int, span: string|int) -> bool",
        about: "Counts this call, and says whether there were more than `n` of that key in the last `span`. `n` is 1 to 1,000.",
        example: r#"on("message", |m| if rate::over("flood/" + m.who, 6, "10s") { m.reply("slow down"); });"#,
    }],
    register,
};

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    put(module, "over", |key: &str, n: i64, span: Dynamic| -> Checked<bool> {
        turn::act(|turn| over(turn, key, n, &span))
    });
}

fn over(turn: &mut Turn, key: &str, n: i64, span: &Dynamic) -> Result<bool, Thrown> {
    let longest = crate::store::Limits::DEFAULT.key;
    if key.is_empty() || key.len() > longest {
        return Err(Thrown::new(Kind::Runtime, format!("a key has 1 to {longest} bytes, not {}", key.len())));
    }
    let limit = usize::try_from(n).ok().filter(|_| (1..=HIGHEST).contains(&n)).ok_or_else(|| {
        Thrown::new(Kind::Runtime, format!("`rate::over` counts up to {HIGHEST}, at least 1, not {n}"))
    })?;
    let span = api::span(span)?;
    turn.calls += 1;
    let mut hash = Sha256::new();
    hash.update(turn.key.as_bytes());
    hash.update(turn.calls.to_be_bytes());
    let hash = hash.finalize();
    // Eight of the 32 bytes that there are.
    let number = u64::from_be_bytes(hash[..8].try_into().expect("eight bytes"));
    let now = turn.moment.wall;
    // The counts are the bot's and outlive the script.
    let over = memory::uncounted(|| {
        let mut rates = turn.bot.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.over(&turn.script, key, limit, span, now, number)
    });
    Ok(over)
}
