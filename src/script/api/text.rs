//! `text::`: small helpers for what people read and write.

use rhai::{Array, Dynamic, EvalAltResult, Module};

use crate::script::api::{Area, Function, bounded, put};
use crate::script::error::{Kind, Thrown};
use crate::script::host::set;
use crate::script::turn;

pub(super) const AREA: Area = Area {
    title: "Text",
    module: Some("text"),
    about: "Beside what strings can do by themselves, such as `len`, `to_lower`, `contains`, `split`, `trim`, `replace`.",
    objects: &[],
    functions: &[
        Function {
            signature: "text::words(t: string) -> array",
            about: "The words, without the spaces between them.",
            example: r#"on("message", |m| m.reply(`${text::words(m.text).len()} words`));"#,
        },
        Function {
            signature: "text::lines(t: string) -> array",
            about: "The lines.",
            example: r#"on("message", |m| m.reply(text::lines(m.text)[0]));"#,
        },
        Function {
            signature: "text::strip(t: string) -> string",
            about: "Without control characters and without space at both ends.",
            example: r#"on("message", |m| m.reply(text::strip("\u0007 a bell ")));"#,
        },
        Function {
            signature: "text::cut(t: string, n: int) -> string",
            about: "At most `n` characters; what was cut ends in `…`.",
            example: r#"on("message", |m| m.reply(text::cut(m.text, 40)));"#,
        },
        Function {
            signature: "text::plural(n: int, one: string, many: string) -> string",
            about: "The number with the right word: `1 reminder`, `2 reminders`.",
            example: r#"on("message", |m| m.reply(text::plural(2, "reminder", "reminders")));"#,
        },
        Function {
            signature: "join(items: array, separator: string) -> string",
            about: "The items as one text; usually written `items.join(\", \")`.",
            example: r#"on("message", |m| m.reply(["a", "b"].join(", ")));"#,
        },
    ],
    register,
};

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    put(module, "words", |t: &str| {
        t.split_whitespace().map(|word| Dynamic::from(word.to_owned())).collect::<Array>()
    });
    put(module, "lines", |t: &str| t.lines().map(|line| Dynamic::from(line.to_owned())).collect::<Array>());
    put(module, "strip", |t: &str| {
        let kept: String = t.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect();
        kept.trim().to_owned()
    });
    put(module, "cut", cut);
    put(module, "plural", |n: i64, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many }));
    set(module, "join", |items: &mut Array, separator: &str| join(items, separator));
}

fn cut(t: &str, n: i64) -> String {
    let n = usize::try_from(n).unwrap_or(0);
    match t.char_indices().nth(n) {
        Some(_) if n == 0 => String::new(),
        Some(_) => t.chars().take(n - 1).chain(['…']).collect(),
        None => t.to_owned(),
    }
}

fn join(items: &Array, separator: &str) -> Checked<String> {
    let limit = turn::string_limit();
    let too_long = || Thrown::new(Kind::Size, format!("the joined text is longer than {limit} bytes"));
    let mut joined = String::new();
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            joined.push_str(separator);
            if joined.len() > limit {
                return Err(too_long().into());
            }
        }
        match bounded(item, limit.saturating_sub(joined.len())) {
            Ok(text) => joined.push_str(&text),
            Err(_) => return Err(too_long().into()),
        }
    }
    Ok(joined)
}
