//! Questions: `m.ask`, and what their answers carry.

use rhai::{Array, Dynamic, EvalAltResult, Map, Module};

use crate::script::api::message::{MessageObject, reply};
use crate::script::api::{self, Area, Function, check_characters, getter, optional};
use crate::script::declare::{known_keys, text, texts};
use crate::script::dialog::{self, Asked, Open, PATIENCE};
use crate::script::error::{Kind, Thrown, nearest};
use crate::script::host::set;
use crate::script::turn::{self, Turn};
use crate::script::values;

pub(super) const AREA: Area = Area {
    title: "Questions",
    module: None,
    about: "The next message of the same person in the same place is the answer: it goes to `on(\"answer:NAME\", |m| …)` and to no other handler. A question is part of the turn that asks it and survives reloads, restarts and crashes. A command does not answer it and leaves it open; `!cancel` closes it, unless a script has a command of that name. Somebody has one open question of a script in one place: a new one replaces it.",
    objects: &[("m", "Message")],
    functions: &[
        Function {
            signature: "m.ask(name: string, text) -> string",
            about: "Says `text` and waits an hour for the answer. Gives the id of the message.",
            example: r#"on("message", |m| m.ask("age", "How old are you?"));
on("answer:age", |m| m.reply(`${m.text} already!`));"#,
        },
        Function {
            signature: "m.ask(name: string, text, opts: map) -> string",
            about: "The same with `timeout` (a span), `on_timeout` (words to say then; without them the question ends silently and the next message is an ordinary one), `data` (for `m.data` of the answer), `choices` (an array of texts: anything else is asked again; `m.text` is then one of them as it stands there).",
            example: r#"on("message", |m| m.ask("size", "Small or large?", #{
    timeout: "10m", on_timeout: "Never mind.", data: #{ order: m.text }, choices: ["small", "large"],
}));
on("answer:size", |m| m.reply(`${m.data.order}, ${m.text}`));"#,
        },
        Function {
            signature: "m.asked: string",
            about: "The name of the question that this answers, or nothing.",
            example: r#"on("message", |m| if m.asked == () { m.ask("age", "How old are you?"); });
on("answer:age", |m| m.reply(m.asked));"#,
        },
        Function {
            signature: "m.data",
            about: "What `m.ask` was given as `data`, or nothing.",
            example: r#"on("message", |m| m.ask("age", "How old are you?", #{ data: m.nick }));
on("answer:age", |m| m.reply(`${m.data} is ${m.text}`));"#,
        },
    ],
    register,
};

/// Most choices of one question.
const CHOICES: usize = 50;

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    set(module, "ask", |m: &mut MessageObject, name: &str, said: Dynamic| ask(m, name, &said, &Map::new()));
    set(module, "ask", |m: &mut MessageObject, name: &str, said: Dynamic, opts: Map| {
        ask(m, name, &said, &opts)
    });
    getter(module, "asked", |m: &mut MessageObject| {
        optional(m.0.asked.as_ref().map(|asked| asked.name.as_str()))
    });
    getter(module, "data", |m: &mut MessageObject| match &m.0.asked {
        Some(asked) => values::from_json(&asked.data),
        None => Dynamic::UNIT,
    });
}

fn ask(m: &MessageObject, name: &str, said: &Dynamic, opts: &Map) -> Checked<String> {
    let message = &m.0.message;
    turn::act(|turn| {
        let keys = ["choices", "data", "on_timeout", "timeout"];
        known_keys("ask", opts, &keys).map_err(at_run)?;
        check_handler(turn, name)?;
        let span = match opts.get("timeout") {
            Some(value) => api::span(value)?,
            None => PATIENCE,
        };
        let data = match opts.get("data") {
            Some(value) => values::to_json(value).map_err(|why| Thrown::new(Kind::Runtime, why))?,
            None => serde_json::Value::Null,
        };
        let choices = choices(opts)?;
        let key = dialog::spot(message);
        let ending = text(opts, "on_timeout").map_err(at_run)?.filter(|words| !words.is_empty());
        if let Some(words) = &ending {
            check_characters(words)?;
        }
        let end = |turn: &mut Turn, words: &String| dialog::end_with(turn, message, &key, words, span);
        let timer = ending.as_ref().map(|words| end(turn, words)).transpose()?;
        let asked = Asked { name: name.to_owned(), data, choices, timer };
        dialog::open(turn, &key, &Open::Asked(asked), span)
    })?;
    reply(message, said, &Map::new())
}

/// A question without a handler could not be answered.
fn check_handler(turn: &Turn, name: &str) -> Result<(), Thrown> {
    if turn.answers.contains(name) {
        return Ok(());
    }
    let thrown = Thrown::new(Kind::Runtime, format!("nothing takes the answer to `{name}`"));
    Err(match nearest(name, turn.answers.iter().map(String::as_str)) {
        Some(near) => thrown.hint(format!("did you mean `{near}`?")),
        None => thrown.hint(format!("add `on(\"answer:{name}\", |m| …)`")),
    })
}

fn choices(opts: &Map) -> Result<Vec<String>, Thrown> {
    let choices = texts(opts, "choices").map_err(at_run)?;
    let empty =
        opts.get("choices").is_some_and(|given| given.read_lock::<Array>().is_some_and(|a| a.is_empty()));
    if empty || choices.len() > CHOICES || choices.iter().any(|choice| choice.trim().is_empty()) {
        return Err(Thrown::new(Kind::Runtime, format!("`choices` has 1 to {CHOICES} texts")));
    }
    for choice in &choices {
        check_characters(choice)?;
    }
    Ok(choices.into_iter().map(|choice| choice.trim().to_owned()).collect())
}

fn at_run(thrown: Thrown) -> Thrown {
    Thrown { kind: Kind::Runtime, ..thrown }
}
