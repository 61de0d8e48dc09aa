//! What a bot has to do, as traces and log lines call it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::event::adhoc::CommandAsk;
use crate::event::{Event, Message, Timer};
use crate::script::bot::{Bot, Item, simple_name};
use crate::script::budget::since_start;
use crate::script::dialog;
use crate::script::hook::HookCall;
use crate::script::instance::Instance;
use crate::script::retries;
use crate::script::span::show_span;
use crate::script::trace;
use crate::script::turn::TELL;
use crate::script::web::{GUARD, Reply};
use crate::store::dead::RETRIES;

/// One item, before it is handled.
pub(super) struct Happening<'a> {
    /// `message`, `timer`, `every`…
    pub kind: &'static str,
    /// Which of its kind: the name of a timer, a question or a webhook, the line of a `cron`, the span of an `every`.
    pub name: Option<Cow<'a, str>>,
    /// The script that has left a function for it, where no handler of an event takes it.
    pub script: Option<Cow<'a, str>>,
    /// Who it came from, where somebody did.
    pub from: Option<Cow<'a, str>>,
    /// Another name under which people may know it.
    pub alias: Option<&'a str>,
    /// The message that it is.
    pub message: Option<&'a Message>,
    /// How it is remembered.
    pub manner: Manner,
}

/// How much there is of something, and so how it is remembered: nothing pushes out what people ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// What the bot does by itself, perhaps every second.
    Clock,
    /// What others send in floods.
    Noise,
    /// What somebody said or did.
    Talk,
}

impl<'a> Happening<'a> {
    /// Something of that kind that somebody did.
    pub(super) fn new(kind: &'static str) -> Self {
        Self { kind, name: None, script: None, from: None, alias: None, message: None, manner: Manner::Talk }
    }

    /// Something of that kind that the bot does by itself, with a function of that script.
    fn own(kind: &'static str, script: &'a str) -> Self {
        Self { script: Some(Cow::Borrowed(script)), manner: Manner::Clock, ..Self::new(kind) }
    }

    /// An item as it is before that bot handles it.
    pub(super) fn of(item: &'a Item, bot: &Bot) -> Self {
        match item {
            Item::After { script, .. } => Self::own("after", script),
            Item::Cron { script, at, .. } if script.is_empty() => {
                let name = bot.clockwork.emits(*at).map(|name| Cow::Owned(name.to_owned()));
                Self { name, script: None, ..Self::own("schedule", script) }
            }
            Item::Cron { script, generation, at, .. } => {
                let cron = running(bot, script, *generation).and_then(|i| i.declared.cron.get(*at));
                let name = cron.map(|cron| Cow::Owned(cron.job.name.clone()));
                Self { name, ..Self::own("cron", script) }
            }
            Item::Event(delivery) => Self::event(&delivery.event, bot),
            Item::Every { script, generation, at, .. } => {
                let every = running(bot, script, *generation).and_then(|i| i.declared.every.get(*at));
                let name = every.map(|every| Cow::Owned(show_span(every.span)));
                Self { name, ..Self::own("every", script) }
            }
            Item::Hook(call) => Self::hook(call, bot),
            Item::Load(passing) => Self::own("load", &passing.script),
            Item::Retry { script, .. } => Self::own("retry", script),
            Item::Unload(passing) => Self::own("unload", &passing.script),
            Item::Web { reply, .. } => Self::web(reply),
        }
    }

    /// Whether it leaves no trace where nothing came of it.
    pub(super) fn is_silent(&self) -> bool {
        self.manner == Manner::Clock && self.script.is_some()
    }

    fn event(event: &'a Event, bot: &Bot) -> Self {
        let plain = Self::new(simple_name(event));
        match event {
            Event::Answer(answer) => Self::answer(&answer.token, bot),
            Event::ChatState { .. } | Event::Presence(_) => Self { manner: Manner::Noise, ..plain },
            Event::Command(request) => {
                let from = Some(Cow::Borrowed(request.from.as_str()));
                match &request.ask {
                    CommandAsk::Step(step) => Self { name: Some(Cow::Borrowed(&step.node)), from, ..plain },
                    CommandAsk::Info { .. } | CommandAsk::Items => {
                        Self { from, manner: Manner::Noise, ..plain }
                    }
                }
            }
            Event::Message(message) => {
                let from = Some(Cow::Borrowed(message.from.as_str()));
                Self { from, message: Some(message), ..plain }
            }
            Event::Timer(timer) => Self::timer(timer),
            Event::Bounce(_)
            | Event::File(_)
            | Event::Invite(_)
            | Event::Load
            | Event::Offline { .. }
            | Event::Online { .. }
            | Event::Receipt { .. }
            | Event::Remark(_)
            | Event::Room(_)
            | Event::Roster(_)
            | Event::Request(_)
            | Event::Subscription { .. } => plain,
        }
    }

    /// The answer to a request over XMPP: its token names the handler, or a function that waits.
    fn answer(token: &str, bot: &Bot) -> Self {
        let plain = Self::new("answer");
        if let Ok(named) = serde_json::from_str::<serde_json::Value>(token) {
            let name = named.get("name").and_then(serde_json::Value::as_str);
            return Self { name: name.map(|name| Cow::Owned(name.to_owned())), ..plain };
        }
        let waits = |instance: &&Instance| {
            let token = token.to_owned();
            instance.requests.contains(&token) || instance.uploads.contains(&token)
        };
        let mut running = bot.slots.iter().filter_map(|slot| slot.instance.as_ref());
        Self { script: running.find(waits).map(owned), ..plain }
    }

    fn timer(timer: &'a Timer) -> Self {
        if let Some(script) = dialog::script_of(timer) {
            return Self::own("question", script);
        }
        let text = |field: &str| timer.data.get(field).and_then(serde_json::Value::as_str);
        if timer.name == GUARD {
            return Self {
                name: text("name").map(Cow::Borrowed),
                manner: Manner::Clock,
                ..Self::new("answer")
            };
        }
        if timer.script == RETRIES {
            let from = text("from").map(Cow::Borrowed);
            return Self { name: text("kind").map(Cow::Borrowed), from, ..Self::new("again") };
        }
        let name = Some(Cow::Borrowed(timer.name.as_str()));
        if timer.script == TELL {
            return Self { name, from: text("from").map(Cow::Borrowed), ..Self::new("tell") };
        }
        Self { name, manner: Manner::Clock, ..Self::new("timer") }
    }

    fn hook(call: &'a Arc<HookCall>, bot: &Bot) -> Self {
        let declares =
            |instance: &&Instance| instance.declared.webhooks.iter().any(|w| w.hook.name == call.name);
        let mut running = bot.slots.iter().filter_map(|slot| slot.instance.as_ref());
        Self {
            name: Some(Cow::Borrowed(&call.name)),
            script: running.find(declares).map(owned),
            from: Some(Cow::Borrowed(&call.request.ip)),
            alias: Some(&call.request.id),
            ..Self::new("webhook")
        }
    }

    fn web(reply: &'a Reply) -> Self {
        match reply.event() {
            Some(name) => {
                Self { name: Some(Cow::Borrowed(name)), manner: Manner::Clock, ..Self::new("answer") }
            }
            None => Self::own("answer", reply.script()),
        }
    }
}

/// What `rhapsode why` takes to tell of an item. It is the same when the item is handled again.
pub(super) fn id(bot: &str, item: &Item) -> String {
    trace::id(bot, &key(item))
}

/// What an item is, where its bot is not at hand.
pub(super) fn kind(item: &Item) -> String {
    match item {
        Item::After { .. } => "after".to_owned(),
        Item::Cron { .. } => "cron".to_owned(),
        Item::Event(delivery) => match &delivery.event {
            Event::Timer(timer) if timer.script == TELL => format!("tell:{}", timer.name),
            Event::Timer(timer) => format!("timer:{}", timer.name),
            event => simple_name(event).to_owned(),
        },
        Item::Every { .. } => "every".to_owned(),
        Item::Hook(call) => format!("webhook:{}", call.name),
        Item::Load(_) => "load".to_owned(),
        Item::Retry { .. } => "retry".to_owned(),
        Item::Unload(_) => "unload".to_owned(),
        Item::Web { .. } => "answer".to_owned(),
    }
}

/// What names an item and no other of its bot.
fn key(item: &Item) -> Cow<'_, str> {
    Cow::Owned(match item {
        Item::After { script, generation, id } => format!("after:{script}:{generation}:{id}"),
        Item::Cron { script, generation, at, slot } => {
            format!("cron:{script}:{generation}:{at}:{}", slot.as_millisecond())
        }
        // Every try has the name of the first.
        Item::Event(delivery) => match &delivery.event {
            Event::Timer(timer) => return Cow::Borrowed(retries::key_of(timer).unwrap_or(&delivery.key)),
            _ => return Cow::Borrowed(&delivery.key),
        },
        Item::Every { script, generation, at, due } => {
            format!("every:{script}:{generation}:{at}:{}", since_start(*due).as_nanos())
        }
        Item::Hook(call) => format!("webhook:{}", call.request.id),
        Item::Load(passing) | Item::Unload(passing) => {
            format!("{}:{}:{}", passing.script, passing.generation, passing.key)
        }
        Item::Retry { script, generation } => format!("retry:{script}:{generation}"),
        Item::Web { reply, .. } => format!("http:{}:{}", reply.script(), reply.key()),
    })
}

fn owned<'a>(instance: &Instance) -> Cow<'a, str> {
    Cow::Owned(instance.uses.name.clone())
}

fn running<'a>(bot: &'a Bot, script: &str, generation: u64) -> Option<&'a Instance> {
    let mut all = bot.slots.iter().filter_map(|slot| slot.instance.as_ref());
    all.find(|instance| instance.uses.name == script && instance.generation == generation)
}
