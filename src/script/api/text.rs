//! `text::`: small helpers for what people read and write.

use std::sync::Arc;

use rhai::{Array, Dynamic, EvalAltResult, FuncRegistration, ImmutableString, Module};

use crate::script::api::{Area, Function, bounded, optional, put};
use crate::script::compare::charge;
use crate::script::error::{Kind, Thrown};
use crate::script::host::set;
use crate::script::pattern::{Pattern, Places};
use crate::script::turn;
use crate::xep::styling;

pub(super) const AREA: Area = Area {
    title: "Text",
    module: Some("text"),
    about: "Beside what strings can do by themselves, such as `len`, `to_lower`, `contains`, `split`, `trim`, `replace`.",
    objects: &[("caps", "Captures")],
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
            signature: "text::split(t: string, separator: string) -> array",
            about: "The parts between separators, without space around them and without empty ones.",
            example: r#"on("message", |m| m.reply(text::split("tea, milk,, sugar", ",")[1]));"#,
        },
        Function {
            signature: "matches(t: string, regex: string) -> bool",
            about: "Whether the expression occurs in the text; usually written `t.matches(regex)`. `^` and `$` stand for its ends.",
            example: r##"on("message", |m| if m.text.matches(#"^\d+$"#) { m.reply("a number"); });"##,
        },
        Function {
            signature: "text::find(t: string, regex: string) -> string",
            about: "The first part that matches, or nothing.",
            example: r##"on("message", |m| m.reply(text::find(m.text, #"\w+"#) ?? "no word"));"##,
        },
        Function {
            signature: "text::captures(t: string, regex: string) -> Captures",
            about: "The first match with its groups, or nothing.",
            example: r##"on("message", |m| {
    let caps = text::captures(m.text, #"(?<first>\w+) (\w+)"#);
    if caps != () { m.reply(`${caps["first"]}, then ${caps[2]}`); }
});"##,
        },
        Function {
            signature: "text::replace(t: string, regex: string, by: string) -> string",
            about: "The text with every match replaced. In `by`, `$1` and `${name}` stand for groups, `$$` for a dollar.",
            example: r##"on("message", |m| m.reply(text::replace(m.text, #"(\w+)@\S+"#, "$1")));"##,
        },
        Function {
            signature: "caps.len() -> int",
            about: "How many groups there are, the whole match included. `caps[0]` is the whole match, `caps[1]` the first group, `caps[\"name\"]` a named one; a group that took no part is `()`.",
            example: r##"hear(#"(\w)(\w)"#, |m, caps| m.reply(`${caps.len()}: ${caps[0]}`));"##,
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
            signature: "text::plain(t: string) -> string",
            about: "The text in a form that clients show as it is written: `*`, `_`, `~`, a backtick or `>` style nothing, and `/me` at its beginning is no action. For words of others inside of a text that is styled.",
            example: r#"on("message", |m| m.reply(`*You said:* ${text::plain(m.text)}`));"#,
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
    put(module, "plain", |t: &str| styling::plain(t));
    put(module, "plural", |n: i64, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many }));
    put(module, "split", split);
    set(module, "matches", |t: &mut ImmutableString, regex: &str| -> Checked<bool> {
        let pattern = Pattern::recent(regex)?;
        pattern.check(t)?;
        Ok(pattern.occurs(t))
    });
    put(module, "find", |t: &str, regex: &str| -> Checked<Dynamic> {
        let pattern = Pattern::recent(regex)?;
        pattern.check(t)?;
        Ok(optional(pattern.first(t).map(|found| &t[found])))
    });
    put(module, "captures", |t: &str, regex: &str| -> Checked<Dynamic> {
        let pattern = Pattern::recent(regex)?;
        pattern.check(t)?;
        Ok(captured(&pattern, t)?.unwrap_or(Dynamic::UNIT))
    });
    put(module, "replace", replace);
    module.set_custom_type::<CapturesObject>("Captures");
    FuncRegistration::new_index_getter().set_into_module(module, |caps: &mut CapturesObject, at: i64| {
        optional(usize::try_from(at).ok().and_then(|at| caps.0.group(at)))
    });
    FuncRegistration::new_index_getter().set_into_module(
        module,
        |caps: &mut CapturesObject, name: &str| -> Checked<Dynamic> {
            match caps.0.pattern.names().find(|(_, known)| *known == name) {
                Some((at, _)) => Ok(optional(caps.0.group(at))),
                None => Err(Thrown::new(Kind::Runtime, format!("the pattern has no group `{name}`"))
                    .hint(format!("groups are named so: (?<{name}>…)"))
                    .into()),
            }
        },
    );
    set(module, "len", |caps: &mut CapturesObject| i64::try_from(caps.0.places.len()).unwrap_or(0));
    set(module, "to_string", |caps: &mut CapturesObject| caps.0.matched.clone());
    set(module, "join", |items: &mut Array, separator: &str| join(items, separator));
}

/// What matched, as scripts hold it.
#[derive(Clone)]
struct CapturesObject(Arc<Caught>);

struct Caught {
    matched: String,
    /// Places within `matched`.
    places: Places,
    pattern: Pattern,
}

impl Caught {
    fn group(&self, at: usize) -> Option<&str> {
        self.places.get(at)?.clone().map(|place| &self.matched[place])
    }
}

/// The first match of a pattern in a text, for a script.
///
/// # Errors
/// Where it is too long for its groups to be told.
pub(in crate::script) fn captured(pattern: &Pattern, text: &str) -> Checked<Option<Dynamic>> {
    let Some(places) = pattern.groups(text)? else { return Ok(None) };
    let whole = places.first().cloned().flatten().unwrap_or_default();
    let within = |place: std::ops::Range<usize>| place.start - whole.start..place.end - whole.start;
    let places = places.into_iter().map(|place| place.map(within)).collect();
    let caught = Caught { matched: text[whole.clone()].to_owned(), places, pattern: pattern.clone() };
    Ok(Some(Dynamic::from(CapturesObject(Arc::new(caught)))))
}

fn split(t: &str, separator: &str) -> Checked<Array> {
    if separator.is_empty() {
        return Err(Thrown::new(Kind::Runtime, "the separator is empty").into());
    }
    let parts = t.split(separator).map(str::trim).filter(|part| !part.is_empty());
    Ok(parts.map(|part| Dynamic::from(part.to_owned())).collect())
}

fn replace(t: &str, regex: &str, by: &str) -> Checked<String> {
    let pattern = Pattern::recent(regex)?;
    pattern.check(t)?;
    let limit = turn::string_limit();
    let mut result = String::new();
    let push = |result: &mut String, part: &str| -> Checked<()> {
        if part.len() > limit.saturating_sub(result.len()) {
            let message = format!("the replaced text is longer than {limit} bytes");
            return Err(Thrown::new(Kind::Size, message).into());
        }
        result.push_str(part);
        Ok(())
    };
    let (mut copied, mut from) = (0, 0);
    while from <= t.len() {
        charge(1)?;
        let Some(places) = pattern.groups_at(t, from)? else { break };
        let whole = places.first().cloned().flatten().unwrap_or_default();
        push(&mut result, &t[copied..whole.start])?;
        expand(by, t, &places, &pattern, |part| push(&mut result, part))?;
        copied = whole.end;
        // Behind an empty match the next one starts a character further on.
        from = match t[whole.end..].chars().next() {
            Some(next) if whole.is_empty() => whole.end + next.len_utf8(),
            None if whole.is_empty() => break,
            Some(_) | None => whole.end,
        };
    }
    push(&mut result, &t[copied..])?;
    Ok(result)
}

/// Writes `by` with its groups: `$1`, `${name}`, `$$`.
fn expand(
    by: &str,
    t: &str,
    places: &Places,
    pattern: &Pattern,
    mut push: impl FnMut(&str) -> Checked<()>,
) -> Checked<()> {
    let mut rest = by;
    while let Some(at) = rest.find('$') {
        push(&rest[..at])?;
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            push("$")?;
            rest = after;
            continue;
        }
        let (name, after) = match rest.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(parts) => parts,
            None => rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())),
        };
        if name.is_empty() {
            push("$")?;
            continue;
        }
        rest = after;
        let number =
            name.parse().ok().or_else(|| pattern.names().find(|(_, known)| *known == name).map(|f| f.0));
        if let Some(place) = number.and_then(|number: usize| places.get(number).cloned().flatten()) {
            push(&t[place])?;
        }
    }
    push(rest)
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
