//! The scripts of one bot: who gets an event, and what a batch of events leads to. Messages are in `talk`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rhai::Dynamic;

use crate::action::Action;
use crate::event::{Answer, Event, RemarkKind, SubscriptionVerb};
use crate::script::api::events::{self, AnswerObject, FailureObject};
use crate::script::budget::Cost;
use crate::script::chain::handles;
use crate::script::clockwork::Clockwork;
use crate::script::declare::Wants;
use crate::script::dialog;
use crate::script::error::{Kind, ScriptError};
use crate::script::hook::{Hook, HookCall, HookResponse};
use crate::script::host::Host;
use crate::script::instance::{Caller, Ended, Instance, Surroundings};
use crate::script::menu::Uses;
use crate::script::metrics::{Change, SeriesKey};
use crate::script::overlay::Overlay;
use crate::script::passing::Passing;
use crate::script::quarantine::lossy;
use crate::script::record::Record;
use crate::script::retries::{self, Again, Failed};
use crate::script::rooms::Heard;
use crate::script::table::Table;
use crate::script::trace::Written;
use crate::script::turn::Identity;
use crate::script::verdict::Notes;
use crate::script::web::{Asking, Fetch, Reply};
use crate::script::{Cooldown, Delivery, ScriptState, ScriptUse};

/// Event of a failed turn.
const ERROR: &str = "error";

/// The scripts of one bot. Lives on script threads only.
pub(super) struct Bot {
    pub(super) identity: Arc<Identity>,
    pub(super) slots: Vec<Slot>,
    pub(super) clockwork: Clockwork,
    pub(super) generations: u64,
    /// Scripts that were replaced, until it is certain that their last turn stands.
    pub(super) leaving: Vec<Instance>,
    /// Commands that people have begun in their client's menu.
    pub(super) uses: Uses,
    /// Its declarations by name, made anew when they may have changed.
    pub(super) table: Arc<Table>,
    /// The event that is handled is tried again.
    pub(super) again: Option<Again>,
}

/// A script as it is used, running or parked.
pub(super) struct Slot {
    pub(super) uses: ScriptUse,
    pub(super) instance: Option<Instance>,
    /// Why it does not run, or runs in an older version.
    pub(super) trouble: Option<ScriptError>,
    pub(super) record: Record,
}

/// Something a bot has to do.
#[derive(Debug)]
pub(super) enum Item {
    /// A script has just begun: its `load` handlers are to run.
    Load(Passing),
    /// A script has been replaced: its `unload` handlers are to run.
    Unload(Passing),
    /// A closure of `timer::after` is due.
    After { script: String, generation: u64, id: i64 },
    /// A slot of a `cron` is due, or with an empty name of a schedule of the bot.
    Cron { script: String, generation: u64, at: usize, slot: Timestamp },
    /// Something happened.
    Event(Delivery),
    /// Somebody called a webhook.
    Hook(Arc<HookCall>),
    /// A script that was parked is tried again.
    Retry { script: String, generation: u64 },
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
            Self::After { .. }
            | Self::Cron { .. }
            | Self::Every { .. }
            | Self::Load(_)
            | Self::Retry { .. }
            | Self::Unload(_)
            | Self::Web { .. } => false,
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
    Retry,
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
    /// What failed of the item that is handled.
    pub failed: Vec<Failed>,
    pub turns: u32,
    pub slowest: Duration,
    /// What the turns of the event that is handled have taken.
    pub cost: Cost,
    /// What they wrote.
    pub written: Vec<Written>,
    /// Which handlers were asked, for the event that is handled.
    pub notes: Notes,
    /// What the items ask for: void if the commit is refused.
    pub wakes: Vec<Wake>,
    /// Due timers that stay stored, for their script does not run now.
    pub kept: Vec<i64>,
    /// Whether a script runs again whose timers may have been kept.
    pub awake: bool,
    /// What loading asks for: stands in any case.
    pub standing: Vec<Wake>,
    /// Slots that have come: kept in any case, also if the turns of the row are given up.
    pub slots: Overlay,
    /// Scripts that have begun or ended, to be told next.
    pub passing: Vec<Item>,
}

impl Bot {
    /// A bot without scripts: [`Bot::swap`] gives it some.
    pub(super) fn new(identity: Arc<Identity>) -> Self {
        Self {
            identity,
            slots: Vec::new(),
            clockwork: Clockwork::default(),
            generations: 0,
            leaving: Vec::new(),
            uses: Uses::default(),
            table: Arc::default(),
            again: None,
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
            parked: slot
                .record
                .parked
                .as_ref()
                .map(|parked| Cooldown { why: parked.why.clone(), until: parked.until }),
            failures: slot.record.failures,
            skipped: slot.record.skipped,
        };
        self.slots.iter().map(state).collect()
    }

    /// Whether how its scripts stand changes with every event, for one of them is left out.
    pub(super) fn leaves_out(&self) -> bool {
        self.slots.iter().any(|slot| slot.record.parked.is_some())
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
        let mut old = std::mem::replace(&mut self.slots, Vec::with_capacity(scripts.len()));
        for uses in scripts {
            let before = old.iter().position(|slot| slot.uses.name == uses.name).map(|at| old.remove(at));
            let slot = match before {
                Some(slot) if slot.goes_on() && same(&slot.uses, &uses) => slot,
                before => self.replace(before, uses, host, around, progress),
            };
            self.slots.push(slot);
        }
        for slot in old {
            let _lost = self.end(slot, around, progress);
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
        self.run(item, host, around, progress);
        self.settle_failed(item, around, progress);
    }

    fn run(&mut self, item: &Item, host: &mut Host, around: &mut Surroundings, progress: &mut Progress) {
        match item {
            Item::After { script, generation, id } => {
                let Some(at) = self.living(script, *generation) else { return };
                let Some(function) = self.slots[at].instance.as_mut().and_then(|i| i.after.call(id)) else {
                    return;
                };
                let key = format!("after:{id}");
                self.turn(at, "after", &key, host, around, progress, move |caller| {
                    caller.call_whole(&function, Vec::new())
                });
            }
            Item::Cron { script, generation, at, slot } if script.is_empty() => {
                self.schedule(*generation, *at, *slot, host, around, progress);
            }
            Item::Cron { script, generation, at, slot } => {
                self.cron(script, *generation, *at, *slot, host, around, progress);
            }
            Item::Event(delivery) => {
                let name = simple_name(&delivery.event);
                self.slots.iter_mut().for_each(|slot| slot.record.skip(name));
                self.event(delivery, host, around, progress);
            }
            Item::Hook(call) => self.hook(call, host, around, progress),
            Item::Load(passing) => self.loaded(passing, host, around, progress),
            Item::Unload(passing) => self.unloaded(passing, host, around, progress),
            Item::Retry { script, generation } => {
                self.retry(script, *generation, host, around, progress);
            }
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
        for instance in self.leaving {
            let _leaked = instance.dispose();
        }
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
        let mut record = before.as_ref().map(|slot| slot.record.renewed()).unwrap_or_default();
        let loaded = Instance::load(uses.clone(), &self.identity, self.generations, host, around);
        let loaded = loaded.and_then(|instance| match self.contested(&instance) {
            None => Ok(instance),
            Some(failure) => {
                record.lose(instance.dispose());
                Err(failure)
            }
        });
        match loaded {
            Ok(mut instance) => {
                if let Some(slot) = before
                    && let Some(lost) = self.end(slot, around, progress)
                {
                    record.lose(lost);
                }
                if !instance.inherit(record.lost) {
                    let failure = lossy(&instance);
                    record.lose(instance.dispose());
                    progress.failures.push(failure.clone());
                    return Slot { uses, instance: None, trouble: Some(failure), record };
                }
                self.wakes(&instance, around, progress);
                progress.awake = true;
                progress.failures.extend(dialog::orphans(&instance, &self.identity.name, around));
                progress.passing.push(Item::Load(Passing::of(&instance, "load", around)));
                Slot { uses, instance: Some(instance), trouble: None, record }
            }
            Err(failure) => {
                progress.failures.push(failure.clone());
                let instance = before.and_then(|slot| slot.instance);
                Slot { uses, instance, trouble: Some(failure), record }
            }
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
            Event::Command(request) => self.menu(request, key, host, around, progress),
            Event::Message(message) => self.message(message, key, host, around, progress),
            Event::Request(request) => self.request(request, key, host, around, progress),
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
        if self.slot_given(answer, host, around, progress) {
            return;
        }
        let waiting =
            |slot: &Slot| slot.instance.as_ref().is_some_and(|i| i.requests.contains(&answer.token));
        let Some(at) = self.slots.iter().position(waiting) else {
            tracing::debug!(bot = %self.identity.name, "nobody waits for this answer any more");
            return;
        };
        let Some(function) = self.slots[at].instance.as_mut().and_then(|i| i.requests.call(&answer.token))
        else {
            return;
        };
        let object = Dynamic::from(AnswerObject(Arc::new((answer.clone(), serde_json::Value::Null))));
        self.turn(at, "answer", key, host, around, progress, move |caller| {
            caller.call_whole(&function, vec![object])
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
        let again = self.again;
        if again.and_then(|again| again.only).is_some_and(|only| only != at) {
            return false;
        }
        let Some(instance) = self.slots[at].instance.as_mut() else { return false };
        let flight = around.flight.clone();
        let flying =
            flight.as_ref().map(|flight| flight.begin(&self.identity.name, &instance.uses.name, key));
        let deaths = flying.as_ref().map_or(0, |flying| flying.deaths);
        let tries = again.map_or(0, |again| again.tries) + deaths;
        if deaths > 0 && tries >= retries::TRIES {
            let failure = deadly(instance, event, deaths);
            progress.failed.push(Failed::of(&failure, tries));
            progress.failures.push(failure);
            return false;
        }
        retries::die_in(event);
        let ended = instance.run(event, key, host, around, work);
        drop(flying);
        let (stopped, spoilt) = (ended.stopped, ended.spoilt);
        let failure = ended.failure.clone().filter(|_| event != ERROR);
        take(ended, instance, progress);
        // What the script makes of its own failure says nothing about how it fares.
        let too_much = match event {
            ERROR => None,
            // Nor does a failure that was to be expected.
            _ if again.is_some() => None,
            _ => self.slots[at].record.note(failure.as_ref().map(|failure| failure.kind), around.moment.at),
        };
        let last = failure.clone();
        progress.failed.extend(failure.as_ref().map(|failure| Failed::of(failure, tries + 1)));
        if spoilt {
            self.renew(at, host, around, progress);
        }
        if let Some(failure) = failure.filter(|_| again.is_none() && handles(&self.slots[at], ERROR)) {
            self.failed(at, failure, key, host, around, progress);
        }
        if let (Some(why), Some(last)) = (too_much, last) {
            self.park(at, why, last, around, progress);
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
}

impl Slot {
    /// Whether a replacement by the same version changes nothing: it runs, or has not cooled down.
    fn goes_on(&self) -> bool {
        self.record.parked.is_some() || (self.instance.is_some() && self.trouble.is_none())
    }
}

/// The failure of a turn that is not run, because the process has died in it.
fn deadly(instance: &Instance, event: &str, deaths: u32) -> ScriptError {
    let message = format!("the process died {deaths} times while this was at work; it is not run again");
    let hint = "see `rhapsode dead list`; the system's log may tell what ended the process";
    ScriptError { hint: Some(hint.to_owned()), ..instance.site(Some(event)).plain(Kind::Panic, message) }
}

/// Adds what a turn has led to.
pub(super) fn take(ended: Ended, instance: &Instance, progress: &mut Progress) {
    progress.turns += 1;
    progress.slowest = progress.slowest.max(ended.cost.time);
    progress.cost += ended.cost;
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
        Event::Command(_) => "command",
        Event::File(_) => "file",
        Event::Invite(_) => "invite",
        Event::Load => "load",
        Event::Message(_) => "message",
        Event::Offline { .. } => "offline",
        Event::Online { .. } => "online",
        Event::Presence(_) => "presence",
        Event::Receipt { .. } => "receipt",
        Event::Room(event) => event.change.name(),
        Event::Remark(remark) => match remark.what {
            RemarkKind::Displayed => "marker",
            RemarkKind::Reactions(_) => "reaction",
            RemarkKind::Retracted => "retract",
        },
        Event::Request(_) => "iq",
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
