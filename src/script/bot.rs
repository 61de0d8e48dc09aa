//! The scripts of one bot: who gets an event, commands and help, what a batch of events leads to.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use rhai::Dynamic;

use crate::action::Action;
use crate::event::{Answer, Class, Event, Message, SubscriptionVerb, Timer};
use crate::script::api::events::{self, AnswerObject};
use crate::script::api::message::{Given, MessageObject};
use crate::script::api::timer::TimerObject;
use crate::script::command;
use crate::script::declare::{Command, Handler, Place, Wants};
use crate::script::error::{ScriptError, nearest};
use crate::script::host::Host;
use crate::script::instance::{Caller, Ended, Instance, Surroundings};
use crate::script::memory;
use crate::script::turn::{self, Identity};
use crate::script::{Delivery, ScriptState, ScriptUse};
use crate::stanza::MessageKind;
use crate::store::{Scope, TimerRow};

/// The scripts of one bot. Lives on script threads only.
pub(super) struct Bot {
    identity: Arc<Identity>,
    slots: Vec<Slot>,
    generations: u64,
}

/// A script as it is used, running or parked.
struct Slot {
    uses: ScriptUse,
    instance: Option<Instance>,
    /// Why it does not run, or runs in an older version.
    trouble: Option<ScriptError>,
}

/// Something a bot has to do.
#[derive(Debug)]
pub(super) enum Item {
    /// A closure of `timer::after` is due.
    After { script: String, generation: u64, id: i64 },
    /// Something happened.
    Event(Delivery),
    /// A repetition is due.
    Every { script: String, generation: u64, at: usize, due: Instant },
}

/// What is to be woken, and when.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wake {
    pub script: String,
    pub generation: u64,
    pub kind: WakeKind,
    pub span: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WakeKind {
    After { id: i64 },
    Every { at: usize },
}

/// What a batch of items has led to so far. The writes are in [`Surroundings::pending`].
#[derive(Default)]
pub(super) struct Progress {
    pub actions: Vec<Action>,
    pub failures: Vec<ScriptError>,
    pub turns: u32,
    pub slowest: Duration,
    /// What the items ask for: void if the commit is refused.
    pub wakes: Vec<Wake>,
    /// What loading asks for: stands in any case.
    pub standing: Vec<Wake>,
}

impl Bot {
    /// A bot without scripts: [`Bot::swap`] gives it some.
    pub(super) fn new(identity: Arc<Identity>) -> Self {
        Self { identity, slots: Vec::new(), generations: 0 }
    }

    /// Its scripts and how they are.
    pub(super) fn states(&self) -> Vec<ScriptState> {
        let state = |slot: &Slot| ScriptState {
            name: slot.uses.name.clone(),
            version: slot
                .instance
                .as_ref()
                .map_or(slot.uses.compiled.version(), |i| i.uses.compiled.version())
                .to_owned(),
            running: slot.instance.is_some(),
            trouble: slot.trouble.clone(),
        };
        self.slots.iter().map(state).collect()
    }

    /// Replaces the scripts. One that is as before keeps its state. One whose new version does not load goes on in
    /// the old version, or is parked if there is none.
    pub(super) fn swap(
        &mut self,
        scripts: Vec<ScriptUse>,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let mut old = std::mem::take(&mut self.slots);
        for uses in scripts {
            let before = old.iter().position(|slot| slot.uses.name == uses.name).map(|at| old.remove(at));
            let slot = match before {
                Some(slot)
                    if slot.instance.is_some() && slot.trouble.is_none() && same(&slot.uses, &uses) =>
                {
                    slot
                }
                before => self.replace(before, uses, host, around, progress),
            };
            self.slots.push(slot);
        }
        for slot in old {
            self.end(slot, host, around, progress);
        }
    }

    /// Runs the handlers of one item.
    pub(super) fn handle(
        &mut self,
        item: &Item,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        match item {
            Item::After { script, generation, id } => {
                let Some(at) = self.living(script, *generation) else { return };
                let Some(function) = self.slots[at].instance.as_mut().and_then(|i| i.after.remove(id)) else {
                    return;
                };
                let key = format!("after:{id}");
                self.turn(at, "after", &key, host, around, progress, move |caller| {
                    caller.call_whole(function, Vec::new())
                });
            }
            Item::Event(delivery) => self.event(delivery, host, around, progress),
            Item::Every { script, generation, at: index, due } => {
                let Some(at) = self.living(script, *generation) else { return };
                let every =
                    self.slots[at].instance.as_ref().and_then(|i| i.declared.every.get(*index)).cloned();
                let Some(every) = every else { return };
                let key = format!("every:{index}:{}", around.moment.wall.as_millisecond());
                // The next one follows from when this one was due. After a long sleep, once is enough.
                let next = (*due + every.span).saturating_duration_since(around.moment.at);
                let span = if next.is_zero() { every.span } else { next };
                let kind = WakeKind::Every { at: *index };
                progress.wakes.push(Wake { script: script.clone(), generation: *generation, kind, span });
                self.turn(at, "every", &key, host, around, progress, |caller| {
                    caller.call(&every.call, Vec::new()).map(drop)
                });
            }
        }
    }

    /// Ends all scripts.
    pub(super) fn dispose(self) {
        for slot in self.slots {
            if let Some(instance) = slot.instance {
                let _leaked = instance.dispose();
            }
        }
    }

    fn living(&self, script: &str, generation: u64) -> Option<usize> {
        let lives = |slot: &Slot| {
            slot.uses.name == script && slot.instance.as_ref().is_some_and(|i| i.generation == generation)
        };
        self.slots.iter().position(lives)
    }

    fn replace(
        &mut self,
        before: Option<Slot>,
        uses: ScriptUse,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) -> Slot {
        self.generations += 1;
        match Instance::load(uses.clone(), &self.identity, self.generations, host, around) {
            Ok(instance) => {
                if let Some(slot) = before {
                    self.end(slot, host, around, progress);
                }
                wakes(&instance, progress);
                let mut slot = Slot { uses, instance: Some(instance), trouble: None };
                self.begin(&mut slot, host, around, progress);
                slot
            }
            Err(failure) => {
                progress.failures.push(failure.clone());
                let instance = before.and_then(|slot| slot.instance);
                Slot { uses, instance, trouble: Some(failure) }
            }
        }
    }

    fn begin(&self, slot: &mut Slot, host: &mut Host, around: &mut Surroundings, progress: &mut Progress) {
        let key = format!("load:{}:{}", slot.uses.compiled.version(), around.moment.wall.as_millisecond());
        run_plain(slot, "load", &key, host, around, progress);
    }

    fn end(&self, mut slot: Slot, host: &mut Host, around: &mut Surroundings, progress: &mut Progress) {
        let key = format!("unload:{}:{}", slot.uses.compiled.version(), around.moment.wall.as_millisecond());
        run_plain(&mut slot, "unload", &key, host, around, progress);
        if let Some(instance) = slot.instance {
            let _leaked = instance.dispose();
        }
    }

    fn event(
        &mut self,
        delivery: &Delivery,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let key = &delivery.key;
        match &delivery.event {
            Event::Answer(answer) => self.answer(answer, key, host, around, progress),
            Event::Message(message) => self.message(message, key, host, around, progress),
            Event::Timer(timer) => self.timer(timer, key, host, around, progress),
            Event::Load => {
                self.chain(&["load"], Wants::default(), key, &Dynamic::UNIT, host, around, progress)
            }
            event => {
                let name = simple_name(event);
                self.chain(&[name], Wants::default(), key, &events::object(event), host, around, progress);
            }
        }
    }

    fn message(
        &mut self,
        message: &Message,
        key: &str,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let own = message.from.to_bare() == self.identity.jid && message.room.is_none();
        let wants = Wants {
            delayed: matches!(message.class, Class::Archive | Class::History),
            carbons: matches!(message.class, Class::Carbon { .. }),
            own: own
                || message.own
                || matches!(message.class, Class::Reflection | Class::Carbon { sent: true }),
            encrypted: message.encrypted && message.text.is_empty(),
        };
        let is_bot = {
            let bots = self.identity.bots.read().unwrap_or_else(PoisonError::into_inner);
            message.is_bot || (message.room.is_none() && bots.contains(&message.from.to_bare()))
        };
        let given = Arc::new(Given { message: message.clone(), is_bot });
        let object = Dynamic::from(MessageObject(given.clone()));
        // A corrected command has run already, as it was.
        let talk = message.kind != MessageKind::Headline && message.replaces.is_none();
        if wants == Wants::default()
            && talk
            && let Some((name, rest)) = command::split(&message.text)
            && self.command(name, rest, message, &object, key, host, around, progress)
        {
            return;
        }
        self.chain(self.message_names(message), wants, key, &object, host, around, progress);
        drop(object);
        // A script that keeps the message keeps its memory too.
        if Arc::strong_count(&given) > 1 {
            let bytes = 512 + message.text.len() + 256 * message.payloads.len();
            self.slots.iter_mut().filter_map(|slot| slot.instance.as_mut()).for_each(|i| i.charge(bytes));
        }
    }

    fn message_names(&self, message: &Message) -> &'static [&'static str] {
        match (message.kind, &message.room) {
            (MessageKind::Headline, _) => &["headline"],
            (MessageKind::Groupchat, _) if self.is_addressed(&message.text) => &["mention", "room"],
            (MessageKind::Groupchat, _) => &["room"],
            (MessageKind::Chat | MessageKind::Normal, Some(_)) => &["pm"],
            (MessageKind::Chat | MessageKind::Normal, None) => &["message"],
        }
    }

    /// Whether a room message begins with the bot's name, as in `helper: hello`.
    fn is_addressed(&self, text: &str) -> bool {
        let names = [Some(self.identity.name.as_str()), self.identity.jid.local()];
        let text = text.trim_start().trim_start_matches('@').to_lowercase();
        names.into_iter().flatten().any(|name| {
            let rest = text.strip_prefix(&name.to_lowercase());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', ',', ' ', '!', '?']))
        })
    }

    /// Runs a command; false if there is none of that name and others may have the message.
    #[allow(clippy::too_many_arguments)]
    fn command(
        &mut self,
        name: &str,
        rest: &str,
        message: &Message,
        object: &Dynamic,
        key: &str,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) -> bool {
        let direct = message.kind != MessageKind::Groupchat;
        let heard = |command: &Command| match command.place {
            Place::Any => true,
            Place::Direct => direct,
            Place::Room => !direct,
        };
        let mut found = None;
        let mut first = None;
        for (at, slot) in self.slots.iter().enumerate() {
            for command in
                slot.instance.iter().flat_map(|i| &i.declared.commands).filter(|command| heard(command))
            {
                first.get_or_insert(at);
                if found.is_none() && command.answers_to(name) {
                    found = Some((at, command.clone()));
                }
            }
        }
        let Some(first) = first else { return false };
        let (at, say) = match found {
            Some((at, command)) => match self.permitted(&command, message) {
                false => (at, format!("You may not use !{}.", command.spec.name)),
                true => match command.spec.read(rest, around.moment.wall) {
                    Err(why) => (at, format!("{why}\nUsage: {}", command.spec.usage())),
                    Ok(arguments) => {
                        let event = format!("command {}", command.spec.name);
                        let arguments = vec![object.clone(), Dynamic::from_map(arguments)];
                        self.turn(at, &event, key, host, around, progress, |caller| {
                            caller.call(&command.call, arguments).map(drop)
                        });
                        return true;
                    }
                },
            },
            None if name == "help" => (first, self.help(rest, direct, message)),
            None if direct => (first, self.unknown(name, message)),
            None => return false,
        };
        let object = object.clone();
        self.turn(at, "command", key, host, around, progress, |_| say_to(&object, &say));
        true
    }

    fn permitted(&self, command: &Command, message: &Message) -> bool {
        if command.allow.is_empty() {
            return true;
        }
        let admin = || self.identity.admins.iter().any(|admin| admin.as_str() == message.who);
        command.allow.iter().any(|allowed| if allowed == "admin" { admin() } else { *allowed == message.who })
    }

    fn commands<'a>(&'a self, direct: bool, message: &'a Message) -> impl Iterator<Item = &'a Command> {
        let all =
            self.slots.iter().filter_map(|slot| slot.instance.as_ref()).flat_map(|i| &i.declared.commands);
        let heard = move |command: &&Command| match command.place {
            Place::Any => true,
            Place::Direct => direct,
            Place::Room => !direct,
        };
        all.filter(heard).filter(|command| !command.hidden && self.permitted(command, message))
    }

    fn help(&self, about: &str, direct: bool, message: &Message) -> String {
        let line = |command: &Command| match command.help.as_str() {
            "" => command.spec.usage(),
            help => format!("{}  {help}", command.spec.usage()),
        };
        let about = about.trim().trim_start_matches(command::PREFIX);
        if about.is_empty() {
            return self.commands(direct, message).map(line).collect::<Vec<_>>().join("\n");
        }
        match self.commands(direct, message).find(|command| command.answers_to(about)) {
            Some(command) => line(command),
            None => self.unknown(about, message),
        }
    }

    fn unknown(&self, name: &str, message: &Message) -> String {
        let direct = message.kind != MessageKind::Groupchat;
        let names = self.commands(direct, message).map(|command| command.spec.name.as_str());
        match nearest(name, names) {
            Some(near) => format!("There is no !{name}. Did you mean !{near}?"),
            None => format!("There is no !{name}. Try !help."),
        }
    }

    fn timer(
        &mut self,
        timer: &Timer,
        key: &str,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        if !self.timer_stands(timer, around) {
            return;
        }
        let event = format!("timer:{}", timer.name);
        let row = TimerRow {
            id: timer.id,
            bot: self.identity.name.clone(),
            script: timer.script.clone(),
            name: timer.name.clone(),
            due: timer.due,
            data: timer.data.clone(),
        };
        let object = Dynamic::from(TimerObject(Arc::new(row)));
        // It goes away with the turn's writes, and also if the turn fails: it would fail again.
        around.pending.remove_timer(timer.id);
        match self.slots.iter().position(|slot| slot.uses.name == timer.script) {
            Some(at) if handlers(&self.slots[at], &[event.as_str()], Wants::default()).next().is_some() => {
                self.script_chain(
                    at,
                    &[event.as_str()],
                    Wants::default(),
                    key,
                    &object,
                    host,
                    around,
                    progress,
                );
            }
            _ => {
                tracing::warn!(bot = %self.identity.name, script = timer.script, event, "nobody handles this timer")
            }
        }
    }

    /// Whether the timer has neither been handled nor cancelled since it was found due.
    fn timer_stands(&self, timer: &Timer, around: &Surroundings) -> bool {
        if let Some(stands) = around.pending.timer_stands(timer.id) {
            return stands;
        }
        let scope = Scope { bot: self.identity.name.clone(), script: timer.script.clone() };
        match around.reader.as_ref().map(|reader| reader.timer(&scope, timer.id)) {
            Some(Ok(row)) => row.is_some(),
            // Better twice than never: the row is still there, and is looked at again.
            Some(Err(_)) | None => true,
        }
    }

    fn answer(
        &mut self,
        answer: &Answer,
        key: &str,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        if let Ok(named) = serde_json::from_str::<serde_json::Value>(&answer.token) {
            let text = |field: &str| named.get(field).and_then(serde_json::Value::as_str).unwrap_or_default();
            let event = format!("answer:{}", text("name"));
            let data = named.get("data").cloned().unwrap_or_default();
            let object = Dynamic::from(AnswerObject(Arc::new((answer.clone(), data))));
            match self.slots.iter().position(|slot| slot.uses.name == text("script")) {
                Some(at) => {
                    self.script_chain(
                        at,
                        &[event.as_str()],
                        Wants::default(),
                        key,
                        &object,
                        host,
                        around,
                        progress,
                    );
                }
                None => {
                    tracing::debug!(bot = %self.identity.name, event, "nobody waits for this answer any more")
                }
            }
            return;
        }
        let waiting =
            |slot: &Slot| slot.instance.as_ref().is_some_and(|i| i.requests.contains_key(&answer.token));
        let Some(at) = self.slots.iter().position(waiting) else {
            tracing::debug!(bot = %self.identity.name, "nobody waits for this answer any more");
            return;
        };
        let Some(function) = self.slots[at].instance.as_mut().and_then(|i| i.requests.remove(&answer.token))
        else {
            return;
        };
        let object = Dynamic::from(AnswerObject(Arc::new((answer.clone(), serde_json::Value::Null))));
        self.turn(at, "answer", key, host, around, progress, move |caller| {
            caller.call_whole(function, vec![object])
        });
    }

    /// Offers an event to all scripts in order, until one stops it.
    #[allow(clippy::too_many_arguments)]
    fn chain(
        &mut self,
        names: &[&str],
        wants: Wants,
        key: &str,
        object: &Dynamic,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        for at in 0..self.slots.len() {
            if self.script_chain(at, names, wants, key, object, host, around, progress) {
                break;
            }
        }
    }

    /// Runs the handlers of one script for an event in one turn; true if it stopped the event.
    #[allow(clippy::too_many_arguments)]
    fn script_chain(
        &mut self,
        at: usize,
        names: &[&str],
        wants: Wants,
        key: &str,
        object: &Dynamic,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) -> bool {
        let mut chain: Vec<Handler> = handlers(&self.slots[at], names, wants).cloned().collect();
        if chain.is_empty() {
            return false;
        }
        chain.sort_by_key(|handler| std::cmp::Reverse(handler.priority));
        self.turn(at, names[0], key, host, around, progress, |caller| run_chain(&chain, caller, object))
    }

    /// Runs one turn of one script and takes its effects; true if it stopped the event.
    #[allow(clippy::too_many_arguments)]
    fn turn(
        &mut self,
        at: usize,
        event: &str,
        key: &str,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
        work: impl FnOnce(&Caller<'_>) -> Result<(), Box<rhai::EvalAltResult>>,
    ) -> bool {
        let Some(instance) = self.slots[at].instance.as_mut() else { return false };
        let ended = instance.run(event, key, host, around, work);
        let (stopped, spoilt) = (ended.stopped, ended.spoilt);
        take(ended, instance, progress);
        if spoilt {
            self.renew(at, host, around, progress);
        }
        stopped
    }

    /// Loads a script anew whose state cannot be kept. What it has lost in cycles stays charged; a script that has
    /// lost too much is parked.
    fn renew(&mut self, at: usize, host: &mut Host, around: &mut Surroundings, progress: &mut Progress) {
        let slot = &mut self.slots[at];
        let Some(old) = slot.instance.take() else { return };
        let limit = old.uses.limits.memory;
        let leaked = old.dispose();
        self.generations += 1;
        let loaded = Instance::load(slot.uses.clone(), &self.identity, self.generations, host, around);
        let failure = match loaded {
            Ok(mut instance) => {
                if instance.inherit(leaked) {
                    wakes(&instance, progress);
                    slot.instance = Some(instance);
                    return;
                }
                let message = format!(
                    "the script has lost {} of {} KiB in cycles of values",
                    leaked / 1024,
                    limit / 1024
                );
                let site = instance.site(None);
                let hint = "a map that holds a closure over itself is never freed".to_owned();
                let kind = crate::script::error::Kind::Memory;
                ScriptError { hint: Some(hint), ..site.plain(kind, message) }
            }
            Err(failure) => failure,
        };
        progress.failures.push(failure.clone());
        slot.trouble = Some(failure);
    }
}

/// Runs handlers in turn until one stops the event.
fn run_chain(
    chain: &[Handler],
    caller: &Caller<'_>,
    object: &Dynamic,
) -> Result<(), Box<rhai::EvalAltResult>> {
    for handler in chain {
        let _answer = caller.call(&handler.call, vec![object.clone()])?;
        if turn::stopped() {
            break;
        }
    }
    Ok(())
}

/// Runs the `load` or `unload` handlers of a script.
fn run_plain(
    slot: &mut Slot,
    event: &str,
    key: &str,
    host: &mut Host,
    around: &mut Surroundings,
    progress: &mut Progress,
) {
    let chain: Vec<Handler> = handlers(slot, &[event], Wants::default()).cloned().collect();
    let Some(instance) = slot.instance.as_mut().filter(|_| !chain.is_empty()) else { return };
    let ended = instance.run(event, key, host, around, |caller| run_chain(&chain, caller, &Dynamic::UNIT));
    take(ended, instance, progress);
}

fn take(ended: Ended, instance: &Instance, progress: &mut Progress) {
    progress.turns += 1;
    progress.slowest = progress.slowest.max(ended.elapsed);
    progress.actions.extend(ended.actions);
    progress.failures.extend(ended.failure);
    progress.wakes.extend(ended.after.into_iter().map(|(id, span)| Wake {
        script: instance.uses.name.clone(),
        generation: instance.generation,
        kind: WakeKind::After { id },
        span,
    }));
}

/// The repetitions of a script that has just been loaded.
fn wakes(instance: &Instance, progress: &mut Progress) {
    progress.standing.extend(instance.declared.every.iter().enumerate().map(|(at, every)| Wake {
        script: instance.uses.name.clone(),
        generation: instance.generation,
        kind: WakeKind::Every { at },
        span: every.span,
    }));
}

/// Handlers of a script for any of the names that take an event of that sort.
fn handlers<'a>(slot: &'a Slot, names: &'a [&str], sort: Wants) -> impl Iterator<Item = &'a Handler> {
    let all = slot.instance.iter().flat_map(|instance| &instance.declared.handlers);
    all.filter(move |handler| {
        let Wants { delayed, carbons, own, encrypted } = handler.wants;
        names.contains(&handler.event.as_str())
            && (delayed || !sort.delayed)
            && (carbons || !sort.carbons)
            && (own || !sort.own)
            && (encrypted || !sort.encrypted)
    })
}

/// Whether a script would run as it does.
fn same(old: &ScriptUse, new: &ScriptUse) -> bool {
    old.compiled.version() == new.compiled.version()
        && old.compiled.path() == new.compiled.path()
        && old.config == new.config
        && old.limits == new.limits
}

/// Answers a message in the runtime's own words.
fn say_to(object: &Dynamic, text: &str) -> Result<(), Box<rhai::EvalAltResult>> {
    let Some(given) = object.read_lock::<MessageObject>() else { return Ok(()) };
    memory::uncounted(|| crate::script::api::message::answer(&given.0.message, text))
}

fn simple_name(event: &Event) -> &'static str {
    match event {
        Event::Answer(_) => "answer",
        Event::Bounce(_) => "bounce",
        Event::ChatState { .. } => "typing",
        Event::File(_) => "file",
        Event::Load => "load",
        Event::Message(_) => "message",
        Event::Offline { .. } => "offline",
        Event::Online { .. } => "online",
        Event::Presence(_) => "presence",
        Event::Receipt { .. } => "receipt",
        Event::Roster(_) => "roster",
        Event::Subscription { verb, .. } => match verb {
            SubscriptionVerb::Subscribe => "subscribe",
            SubscriptionVerb::Subscribed => "subscribed",
            SubscriptionVerb::Unsubscribe => "unsubscribe",
            SubscriptionVerb::Unsubscribed => "unsubscribed",
        },
        Event::Timer(_) => "timer",
    }
}
