//! The scripts of one bot: who gets an event, and what a batch of events leads to. Messages are in `talk`.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rhai::Dynamic;

use crate::action::Action;
use crate::event::{Answer, Event, SubscriptionVerb, Timer};
use crate::script::api::events::{self, AnswerObject, FailureObject};
use crate::script::api::timer::TimerObject;
use crate::script::chain::{handlers, handles, run_chain};
use crate::script::clockwork::Clockwork;
use crate::script::declare::{Handler, Wants};
use crate::script::dialog;
use crate::script::error::ScriptError;
use crate::script::hook::{Hook, HookCall, HookResponse};
use crate::script::host::Host;
use crate::script::instance::{Caller, Ended, Instance, Surroundings};
use crate::script::metrics::{Change, SeriesKey};
use crate::script::rooms::Heard;
use crate::script::table::Table;
use crate::script::trace::Written;
use crate::script::turn::{Identity, TELL};
use crate::script::verdict::Notes;
use crate::script::web::{Asking, Fetch, Reply};
use crate::script::{Delivery, ScriptState, ScriptUse};
use crate::store::{Scope, TimerRow};

/// Event of a failed turn.
const ERROR: &str = "error";

/// The scripts of one bot. Lives on script threads only.
pub(super) struct Bot {
    pub(super) identity: Arc<Identity>,
    pub(super) slots: Vec<Slot>,
    pub(super) clockwork: Clockwork,
    generations: u64,
    /// Its declarations by name, made anew when they may have changed.
    pub(super) table: Arc<Table>,
}

/// A script as it is used, running or parked.
pub(super) struct Slot {
    pub(super) uses: ScriptUse,
    pub(super) instance: Option<Instance>,
    /// Why it does not run, or runs in an older version.
    pub(super) trouble: Option<ScriptError>,
}

/// Something a bot has to do.
#[derive(Debug)]
pub(super) enum Item {
    /// A closure of `timer::after` is due.
    After { script: String, generation: u64, id: i64 },
    /// A slot of a `cron` is due, or with an empty name of a schedule of the bot.
    Cron { script: String, generation: u64, at: usize, slot: Timestamp },
    /// Something happened.
    Event(Delivery),
    /// Somebody called a webhook.
    Hook(Arc<HookCall>),
    /// What came of a request to the web.
    Web { reply: Arc<Reply>, _asking: Option<Asking> },
    /// A repetition is due.
    Every { script: String, generation: u64, at: usize, due: Instant },
}

impl Item {
    /// Whether it comes from outside, and so counts against the queue's capacity.
    pub(super) fn counts(&self) -> bool {
        match self {
            Self::Event(_) | Self::Hook(_) => true,
            Self::After { .. } | Self::Cron { .. } | Self::Every { .. } | Self::Web { .. } => false,
        }
    }
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
    Cron { at: usize, slot: Timestamp },
    Every { at: usize },
}

/// What a batch of items has led to so far. The writes are in [`Surroundings::pending`].
#[derive(Default)]
pub(super) struct Progress {
    pub actions: Vec<Action>,
    /// Requests to the web, to be made after the commit.
    pub fetches: Vec<Fetch>,
    pub metrics: Vec<(SeriesKey, Change)>,
    /// Answers to webhooks, to be given after the commit.
    pub answers: Vec<(Arc<HookCall>, HookResponse)>,
    pub failures: Vec<ScriptError>,
    pub turns: u32,
    pub slowest: Duration,
    /// Time of the turns of the event that is handled.
    pub spent: Duration,
    /// What they wrote.
    pub written: Vec<Written>,
    /// Which handlers were asked, for the event that is handled.
    pub notes: Notes,
    /// What the items ask for: void if the commit is refused.
    pub wakes: Vec<Wake>,
    /// What loading asks for: stands in any case.
    pub standing: Vec<Wake>,
}

impl Bot {
    /// A bot without scripts: [`Bot::swap`] gives it some.
    pub(super) fn new(identity: Arc<Identity>) -> Self {
        Self {
            identity,
            slots: Vec::new(),
            clockwork: Clockwork::default(),
            generations: 0,
            table: Arc::default(),
        }
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

    /// The webhooks of its scripts that run. Where two have one name, the first script's counts.
    pub(super) fn hooks(&self) -> Vec<Hook> {
        let running = self.slots.iter().filter_map(|slot| slot.instance.as_ref());
        running.flat_map(|instance| &instance.declared.webhooks).map(|webhook| webhook.hook.clone()).collect()
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
        around.hops = 0;
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
            Item::Cron { script, generation, at, slot } if script.is_empty() => {
                self.schedule(*generation, *at, *slot, host, around, progress);
            }
            Item::Cron { script, generation, at, slot } => {
                self.cron(script, *generation, *at, *slot, host, around, progress);
            }
            Item::Event(delivery) => self.event(delivery, host, around, progress),
            Item::Hook(call) => self.hook(call, host, around, progress),
            Item::Web { reply, .. } => self.web(reply, host, around, progress),
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

    pub(super) fn living(&self, script: &str, generation: u64) -> Option<usize> {
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
                self.wakes(&instance, around, progress);
                progress.failures.extend(dialog::orphans(&instance, &self.identity.name, around));
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
                if let Event::Roster(change) = event {
                    self.identity.note(change);
                }
                let name = simple_name(event);
                self.identity.rooms.hear(Heard::in_event(event));
                self.chain(&[name], Wants::default(), key, &events::object(event), host, around, progress);
            }
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
        if let Some(script) = dialog::script_of(timer) {
            return self.question_ends(timer, script, key, host, around, progress);
        }
        if let Some(reply) = Reply::interrupted(timer) {
            self.web(&Arc::new(reply), host, around, progress);
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
        if timer.script == TELL {
            return self.told(timer, key, host, around, progress);
        }
        match self.slots.iter().position(|slot| slot.uses.name == timer.script) {
            Some(at) if handles(&self.slots[at], &event) => {
                self.script_chain(
                    at,
                    &[event.as_str()],
                    Wants::default(),
                    key,
                    &object,
                    || Ok(()),
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
    pub(super) fn timer_stands(&self, timer: &Timer, around: &Surroundings) -> bool {
        self.row_stands(timer.id, &timer.script, around)
    }

    /// The same for its row in the store.
    pub(super) fn row_stands(&self, id: i64, script: &str, around: &Surroundings) -> bool {
        if let Some(stands) = around.pending.timer_stands(id) {
            return stands;
        }
        let scope = Scope { bot: self.identity.name.clone(), script: script.to_owned() };
        match around.reader.as_ref().map(|reader| reader.timer(&scope, id)) {
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
                        || Ok(()),
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
    pub(super) fn chain(
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
            progress.notes.reached = at + 1;
            if self.script_chain(at, names, wants, key, object, || Ok(()), host, around, progress) {
                break;
            }
        }
    }

    /// Runs one turn of one script and takes its effects; true if it stopped the event.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn turn(
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
        let failure = ended.failure.clone().filter(|_| event != ERROR);
        take(ended, instance, progress);
        if spoilt {
            self.renew(at, host, around, progress);
        }
        if let Some(failure) = failure.filter(|_| handles(&self.slots[at], ERROR)) {
            self.failed(at, failure, key, host, around, progress);
        }
        stopped
    }

    /// Tells a script of its own failure, in a turn of its own.
    fn failed(
        &mut self,
        at: usize,
        failure: ScriptError,
        key: &str,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let object = Dynamic::from(FailureObject(Arc::new(failure)));
        let key = format!("{key}:{ERROR}");
        let before = || Ok(());
        self.script_chain(at, &[ERROR], Wants::default(), &key, &object, before, host, around, progress);
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
                    self.wakes(&instance, around, progress);
                    self.slots[at].instance = Some(instance);
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
        self.slots[at].trouble = Some(failure);
    }
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
    let object = Dynamic::UNIT;
    let chain: Vec<Handler> = handlers(slot, event).cloned().collect();
    let Some(instance) = slot.instance.as_mut().filter(|_| !chain.is_empty()) else { return };
    let ended =
        instance.run(event, key, host, around, |caller| run_chain(&chain, caller, &object, &Cell::new(0)));
    take(ended, instance, progress);
}

fn take(ended: Ended, instance: &Instance, progress: &mut Progress) {
    progress.turns += 1;
    progress.slowest = progress.slowest.max(ended.elapsed);
    progress.spent += ended.elapsed;
    progress.written.extend(ended.written);
    progress.actions.extend(ended.actions);
    progress.fetches.extend(ended.fetches);
    progress.metrics.extend(ended.metrics);
    progress.failures.extend(ended.failure);
    progress.wakes.extend(ended.after.into_iter().map(|(id, span)| Wake {
        script: instance.uses.name.clone(),
        generation: instance.generation,
        kind: WakeKind::After { id },
        span,
    }));
}

/// Whether a script would run as it does.
fn same(old: &ScriptUse, new: &ScriptUse) -> bool {
    old.compiled.version() == new.compiled.version()
        && old.compiled.path() == new.compiled.path()
        && old.config == new.config
        && old.limits == new.limits
        && old.permissions == new.permissions
        && old.timezone == new.timezone
}

pub(super) fn simple_name(event: &Event) -> &'static str {
    match event {
        Event::Answer(_) => "answer",
        Event::Bounce(_) => "bounce",
        Event::ChatState { .. } => "typing",
        Event::File(_) => "file",
        Event::Invite(_) => "invite",
        Event::Load => "load",
        Event::Message(_) => "message",
        Event::Offline { .. } => "offline",
        Event::Online { .. } => "online",
        Event::Presence(_) => "presence",
        Event::Receipt { .. } => "receipt",
        Event::Room(event) => event.change.name(),
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
