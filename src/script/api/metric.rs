//! `metric::`: numbers for the operator.

use std::collections::BTreeMap;

use rhai::{Dynamic, EvalAltResult, Map, Module};

use crate::script::api::{Area, Function, bounded, put};
use crate::script::error::{Kind, Thrown};
use crate::script::memory;
use crate::script::metrics::{Change, MetricKind, SERIES, SeriesKey};
use crate::script::turn::{self, Turn};

pub(super) const AREA: Area = Area {
    title: "Metrics",
    module: Some("metric"),
    about: "Numbers that `rhapsode status --json` shows under `metrics`. They change when the turn has succeeded, and start at nothing with the process. A name is made of `a-z`, `0-9` and `_`, and does not begin with a digit. A script of a bot has up to 100 series: each name with each set of labels is one.",
    objects: &[],
    functions: &[
        Function {
            signature: "metric::inc(name: string)",
            about: "Counts one.",
            example: r#"on("message", |m| metric::inc("messages"));"#,
        },
        Function {
            signature: "metric::inc(name: string, labels: map)",
            about: "Counts one of a kind. Labels should have few values: a person's address is no label.",
            example: r#"on("message", |m| metric::inc("messages", #{ kind: m.kind }));"#,
        },
        Function {
            signature: "metric::inc(name: string, labels: map, n: int|float)",
            about: "Counts `n`, which is not negative.",
            example: r#"on("message", |m| metric::inc("bytes", #{}, m.text.bytes));"#,
        },
        Function {
            signature: "metric::set(name: string, value: int|float)",
            about: "Sets a number that goes up and down.",
            example: r#"on("message", |m| metric::set("waiting", timer::list().len()));"#,
        },
        Function {
            signature: "metric::set(name: string, value: int|float, labels: map)",
            about: "The same for one of a kind.",
            example: r#"on("message", |m| metric::set("waiting", timer::list("tea").len(), #{ what: "tea" }));"#,
        },
    ],
    register,
};

/// Labels of one series.
const LABELS: usize = 8;
/// Bytes of a name, and of a label's value.
const LONGEST: usize = 100;

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    let one = || Dynamic::from(1_i64);
    put(module, "inc", move |name: &str| -> Checked<()> {
        change(name, &Map::new(), &one(), MetricKind::Counter)
    });
    put(module, "inc", move |name: &str, labels: Map| -> Checked<()> {
        change(name, &labels, &one(), MetricKind::Counter)
    });
    put(module, "inc", |name: &str, labels: Map, n: Dynamic| -> Checked<()> {
        change(name, &labels, &n, MetricKind::Counter)
    });
    put(module, "set", |name: &str, value: Dynamic| -> Checked<()> {
        change(name, &Map::new(), &value, MetricKind::Gauge)
    });
    put(module, "set", |name: &str, value: Dynamic, labels: Map| -> Checked<()> {
        change(name, &labels, &value, MetricKind::Gauge)
    });
}

fn change(name: &str, labels: &Map, value: &Dynamic, kind: MetricKind) -> Checked<()> {
    turn::act(|turn| {
        check_name("metric", name)?;
        let labels = read_labels(labels)?;
        let value = number(name, value, kind)?;
        let script = turn.script.clone();
        let series =
            memory::uncounted(|| SeriesKey { script, name: name.to_owned(), labels: labels.clone() });
        note(turn, series, Change { kind, value })
    })
}

/// Adds to what the turn asks for, within the bounds.
fn note(turn: &mut Turn, series: SeriesKey, change: Change) -> Result<(), Thrown> {
    let Change { kind, value } = change;
    let name = &series.name;
    let before =
        turn.effects.metrics.iter().find(|(other, _)| other.name == *name).map(|(_, other)| other.kind);
    let before = before.or_else(|| turn.bot.metrics.kind(&turn.script, name));
    if let Some(before) = before.filter(|before| *before != kind) {
        let message = format!("the metric `{name}` is a {} already", before.as_str());
        return Err(Thrown::new(Kind::Runtime, message).hint("`inc` and `set` take names of their own"));
    }
    if let Some(known) = turn.effects.metrics.get_mut(&series) {
        known.value = if kind == MetricKind::Counter { known.value + value } else { value };
        memory::uncounted(|| drop(series));
        return Ok(());
    }
    if turn.bot.metrics.count(&turn.script, turn.effects.metrics.keys().chain([&series])) > SERIES {
        let message = format!("the script would have more than {SERIES} series of metrics");
        return Err(Thrown::new(Kind::Operations, message)
            .hint("labels are for few values: not for addresses, texts or numbers"));
    }
    memory::uncounted(|| turn.effects.metrics.insert(series, change));
    Ok(())
}

fn number(name: &str, value: &Dynamic, kind: MetricKind) -> Result<f64, Thrown> {
    let number = value.as_float().or_else(|_| value.as_int().map(|int| int as f64));
    let number = number.ok().filter(|number| number.is_finite());
    let number =
        number.ok_or_else(|| Thrown::new(Kind::Runtime, format!("the value of `{name}` is no number")))?;
    if kind == MetricKind::Counter && number < 0.0 {
        let thrown = Thrown::new(Kind::Runtime, format!("`{name}` only grows: {number} cannot be added"));
        return Err(thrown.hint("`metric::set` is for what goes up and down"));
    }
    Ok(number)
}

fn read_labels(labels: &Map) -> Result<BTreeMap<String, String>, Thrown> {
    if labels.len() > LABELS {
        return Err(Thrown::new(Kind::Runtime, format!("a metric has at most {LABELS} labels")));
    }
    let mut read = BTreeMap::new();
    for (name, value) in labels {
        check_name("label", name)?;
        let text = match value.as_immutable_string_ref() {
            Ok(text) if text.len() <= LONGEST => text.to_string(),
            Ok(_) => {
                return Err(Thrown::new(
                    Kind::Runtime,
                    format!("the label `{name}` is longer than {LONGEST} bytes"),
                ));
            }
            Err(_) => bounded(value, LONGEST)?,
        };
        read.insert(name.to_string(), text);
    }
    Ok(read)
}

fn check_name(what: &str, name: &str) -> Result<(), Thrown> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if first
        && name.len() <= LONGEST
        && bytes.all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_')
    {
        return Ok(());
    }
    let shown: String = name.chars().take(40).collect();
    Err(Thrown::new(Kind::Runtime, format!("`{shown}` is no name of a {what}"))
        .hint("write it with `a-z`, `0-9` and `_`, such as `messages_total`"))
}
