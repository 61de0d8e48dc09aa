//! `peer::`: words to other bots of this process, once and for certain.

use std::sync::{Arc, PoisonError};

use rhai::{Dynamic, EvalAltResult, Module};
use serde_json::Value;

use crate::event::Timer;
use crate::script::api::{Area, Function, getter, put};
use crate::script::error::{Kind, Thrown, nearest};
use crate::script::turn::{self, Turn};
use crate::script::values;

pub(super) const AREA: Area = Area {
    title: "Other bots",
    module: Some("peer"),
    about: "Bots of one process can talk to each other without sending messages. It must be granted in bots.yaml: `permissions: { bots: [greeter] }` of the bot or of the script, `\"*\"` for all. What is said is committed with the turn and arrives once, also over a crash. A handler of `tell:TOPIC` gets `told`:",
    objects: &[("told", "Tell")],
    functions: &[
        Function {
            signature: "peer::tell(bot: string, topic: string, data)",
            about: "Raises `tell:TOPIC` in the scripts of that bot. It waits in the store while the bot is busy or paused. Bots that answer each other are stopped after 16 words in a row.",
            example: r#"on("message", |m| peer::tell("helper", "seen", #{ who: m.who }));
on("tell:seen", |told| log::info(`${told.from} has seen ${told.data.who}`));"#,
        },
        Function {
            signature: "peer::tell(bot: string, topic: string)",
            about: "The same without data.",
            example: r#"on("message", |m| peer::tell("helper", "wake_up"));"#,
        },
        Function {
            signature: "told.from: string",
            about: "The name of the bot that says it.",
            example: r#"on("tell:seen", |told| log::info(told.from));"#,
        },
        Function {
            signature: "told.jid: string",
            about: "The address of that bot.",
            example: r#"on("tell:seen", |told| bot::send(told.jid, "thank you"));"#,
        },
        Function {
            signature: "told.topic: string",
            about: "What it is about.",
            example: r#"on("tell:seen", |told| log::info(told.topic));"#,
        },
        Function {
            signature: "told.data",
            about: "What it says.",
            example: r#"on("tell:seen", |told| log::info(`${told.data}`));"#,
        },
    ],
    register,
};

/// What a bot says to another.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::script) struct Tell {
    pub from: String,
    pub jid: String,
    pub topic: String,
    pub data: Value,
    /// Words in a row, this one included.
    pub hops: u32,
}

/// The same as scripts hold it.
#[derive(Clone)]
pub(in crate::script) struct TellObject(pub Arc<Tell>);

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    put(module, "tell", |bot: &str, topic: &str, data: Dynamic| -> Checked<()> { tell(bot, topic, &data) });
    put(module, "tell", |bot: &str, topic: &str| -> Checked<()> { tell(bot, topic, &Dynamic::UNIT) });
    module.set_custom_type::<TellObject>("Tell");
    getter(module, "from", |told: &mut TellObject| told.0.from.clone());
    getter(module, "jid", |told: &mut TellObject| told.0.jid.clone());
    getter(module, "topic", |told: &mut TellObject| told.0.topic.clone());
    getter(module, "data", |told: &mut TellObject| values::from_json(&told.0.data));
}

fn tell(bot: &str, topic: &str, data: &Dynamic) -> Checked<()> {
    turn::act(|turn| {
        permitted(turn, bot)?;
        known(turn, bot)?;
        let data = values::to_json(data).map_err(|why| Thrown::new(Kind::Runtime, why))?;
        turn.tell(bot, topic, &data)
    })
}

fn permitted(turn: &Turn, bot: &str) -> Result<(), Thrown> {
    let granted = &turn.permissions.bots;
    if granted.iter().any(|name| name == "*" || name == bot) {
        return Ok(());
    }
    let message = format!("the script may not talk to the bot `{bot}`");
    let hint = format!(
        "grant it in bots.yaml: `permissions: {{ bots: [{bot}] }}` of the bot `{}` or of the script",
        turn.bot.name
    );
    Err(Thrown::new(Kind::Forbidden, message).hint(hint))
}

fn known(turn: &Turn, bot: &str) -> Result<(), Thrown> {
    let names = turn.bot.names.read().unwrap_or_else(PoisonError::into_inner);
    if names.contains(bot) {
        return Ok(());
    }
    let thrown = Thrown::new(Kind::Runtime, format!("there is no bot `{bot}`"));
    Err(match nearest(bot, names.iter().map(String::as_str)) {
        Some(near) => thrown.hint(format!("did you mean `{near}`?")),
        None => thrown.hint("bots are called by their names in bots.yaml"),
    })
}

impl Tell {
    /// What a timer of [`turn::TELL`] holds.
    pub(in crate::script) fn read(timer: &Timer) -> Self {
        let text = |field: &str| timer.data.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let hops = timer.data.get("hops").and_then(Value::as_u64).and_then(|hops| u32::try_from(hops).ok());
        Self {
            from: text("from"),
            jid: text("jid"),
            topic: timer.name.clone(),
            data: timer.data.get("data").cloned().unwrap_or_default(),
            // What cannot be read is not let through once more.
            hops: hops.unwrap_or(u32::MAX),
        }
    }
}
