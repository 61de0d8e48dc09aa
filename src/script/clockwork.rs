//! `cron` of scripts and `schedules` of bots: which slot is next, and what happens when it has come.
//!
//! The last slot that came due is kept in the store with the turn that it led to, so that none comes twice, whatever
//! happens to the clock or the program. While the program runs no slot is lost: one that is noticed late comes late,
//! once. Those that pass while it does not run are left out, but the last one where `catch_up` is asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rhai::Dynamic;
use serde_json::Value;

use crate::cron::{Cron, Schedule};
use crate::script::api::timer::TimerObject;
use crate::script::bot::{Bot, Progress, Wake, WakeKind};
use crate::script::declare::{Callback, Wants};
use crate::script::host::Host;
use crate::script::instance::{Instance, Surroundings};
use crate::script::overlay::Overlay;
use crate::script::reserved;
use crate::store::TimerRow;

/// A clock set back by more than this is taken as put right: what came due before counts no more.
pub(super) const BACK: SignedDuration = SignedDuration::from_hours(1);
/// How long the last slot of a line is remembered after the next one, if nobody asks for it any more.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(24 * 90);

/// `cron(line, opts, f)`
#[derive(Clone)]
pub(super) struct CronJob {
    pub job: Job,
    pub call: Callback,
    /// Line of the declaration.
    pub line: usize,
}

/// A cron line with what tells it from others.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Job {
    /// Its name, among those of the script or of the bot.
    pub name: String,
    pub cron: Cron,
    pub catch_up: bool,
}

/// What a bot does by the clock besides its scripts.
#[derive(Default)]
pub(super) struct Clockwork {
    schedules: Vec<(Job, Schedule)>,
    /// Tells wakes of these schedules from those of earlier ones.
    generation: u64,
    /// Slots that are to come, by script and name of the line, so that none is lost when a script is replaced.
    upcoming: BTreeMap<(String, String), Timestamp>,
}

/// The owner of schedules, where a script's name would be. No script is called so.
pub(super) const SCHEDULES: &str = "";

impl Clockwork {
    /// The name of the timer that a schedule raises.
    pub(super) fn emits(&self, at: usize) -> Option<&str> {
        self.schedules.get(at).map(|(_, schedule)| schedule.emit.as_str())
    }
}

impl Bot {
    /// Replaces the schedules. Those that are as before go on.
    pub(super) fn plan(
        &mut self,
        schedules: Vec<Schedule>,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        self.clockwork.generation += 1;
        let mut jobs: Vec<(Job, Schedule)> = Vec::with_capacity(schedules.len());
        for schedule in schedules {
            let cron = schedule.cron.clone();
            let base = format!("{}/{}", schedule.emit, cron.line());
            let name = unused(base, |name| jobs.iter().any(|(job, _)| job.name == name));
            jobs.push((Job { name, cron, catch_up: schedule.catch_up }, schedule));
        }
        self.clockwork.schedules = jobs;
        let generation = self.clockwork.generation;
        let jobs: Vec<Job> = self.clockwork.schedules.iter().map(|(job, _)| job.clone()).collect();
        self.clockwork
            .upcoming
            .retain(|(script, name), _| script != SCHEDULES || jobs.iter().any(|job| job.name == *name));
        for (at, job) in jobs.iter().enumerate() {
            let slot = self.first(SCHEDULES, job, around);
            self.await_slot(SCHEDULES, generation, at, job, slot, &mut progress.standing);
        }
    }

    /// The repetitions of a script that has just been loaded.
    pub(super) fn wakes(&mut self, instance: &Instance, around: &mut Surroundings, progress: &mut Progress) {
        let (script, generation) = (&instance.uses.name, instance.generation);
        progress.standing.extend(instance.declared.every.iter().enumerate().map(|(at, every)| Wake {
            script: script.clone(),
            generation,
            kind: WakeKind::Every { at },
            span: every.span,
        }));
        let jobs: Vec<_> = instance.declared.cron.iter().map(|cron| cron.job.clone()).collect();
        self.await_crons(script, generation, &jobs, around, progress);
    }

    /// Awaits the lines of a script that has just been loaded.
    fn await_crons(
        &mut self,
        script: &str,
        generation: u64,
        jobs: &[Job],
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        self.clockwork
            .upcoming
            .retain(|(owner, name), _| owner != script || jobs.iter().any(|job| job.name == *name));
        for (at, job) in jobs.iter().enumerate() {
            let slot = self.first(script, job, around);
            self.await_slot(script, generation, at, job, slot, &mut progress.standing);
        }
    }

    /// A slot of a script's line has come.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn cron(
        &mut self,
        script: &str,
        generation: u64,
        at: usize,
        slot: Timestamp,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let Some(place) = self.living(script, generation) else { return };
        let declared = self.slots[place].instance.as_ref().and_then(|i| i.declared.cron.get(at)).cloned();
        let Some(CronJob { job, call, .. }) = declared else { return };
        if !self.come_due(script, generation, at, &job, slot, around, progress) {
            return;
        }
        let object = self.object(script, &job.name, slot);
        self.turn(place, "cron", &key(&job, slot), host, around, progress, move |caller| {
            caller.call(&call, vec![object]).map(drop)
        });
    }

    /// A slot of a schedule has come.
    pub(super) fn schedule(
        &mut self,
        generation: u64,
        at: usize,
        slot: Timestamp,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        if generation != self.clockwork.generation {
            return;
        }
        let Some((job, schedule)) = self.clockwork.schedules.get(at).cloned() else { return };
        if !self.come_due(SCHEDULES, generation, at, &job, slot, around, progress) {
            return;
        }
        let event = format!("timer:{}", schedule.emit);
        let object = self.object(SCHEDULES, &schedule.emit, slot);
        let before = progress.turns;
        let names = [event.as_str()];
        self.chain(&names, Wants::default(), &key(&job, slot), &object, host, around, progress);
        if progress.turns == before {
            tracing::warn!(bot = %self.identity.name, event, "no script handles what the schedule raises");
        }
    }

    /// A slot has come in a row that is lost: it is remembered, and the next one awaited.
    pub(super) fn pass_slot(
        &mut self,
        script: &str,
        generation: u64,
        at: usize,
        slot: Timestamp,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let job = if script == SCHEDULES {
            let lives = generation == self.clockwork.generation;
            self.clockwork.schedules.get(at).filter(|_| lives).map(|(job, _)| job.clone())
        } else {
            let living = self.living(script, generation).and_then(|at| self.slots[at].instance.as_ref());
            living.and_then(|instance| instance.declared.cron.get(at)).map(|cron| cron.job.clone())
        };
        if let Some(job) = job {
            let _comes = self.come_due(script, generation, at, &job, slot, around, progress);
        }
    }

    /// Notes that a slot has come and awaits the next one; false if it has not come after all, for the clock was
    /// set back, or if it came before.
    #[allow(clippy::too_many_arguments)]
    fn come_due(
        &mut self,
        script: &str,
        generation: u64,
        at: usize,
        job: &Job,
        slot: Timestamp,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) -> bool {
        let now = around.moment.wall;
        let last = self.last(script, job, around);
        let comes = slot <= now && last.is_none_or(|last| last < slot);
        let after = if comes { now } else { last.map_or(now, |last| last.max(now)) };
        let next = job.cron.next(after);
        self.await_slot(script, generation, at, job, next, &mut progress.wakes);
        if comes {
            remember(script, job, slot, next, &mut around.pending);
            remember(script, job, slot, next, &mut progress.slots);
        }
        comes
    }

    /// The first slot to wait for.
    fn first(&mut self, script: &str, job: &Job, around: &mut Surroundings) -> Option<Timestamp> {
        let now = around.moment.wall;
        let last = self.last(script, job, around);
        let at = (script.to_owned(), job.name.clone());
        // It came due for the version before, which had no time for it.
        let waits = self.clockwork.upcoming.get(&at).copied().filter(|slot| *slot <= now);
        if let Some(slot) = waits.filter(|slot| last.is_none_or(|last| last < *slot)) {
            return Some(slot);
        }
        if job.catch_up {
            match last {
                Some(last) => {
                    let missed = job.cron.last(now).filter(|slot| *slot > last);
                    if missed.is_some() {
                        return missed;
                    }
                }
                // Nothing was missed before the line existed.
                None => remember(script, job, now, job.cron.next(now), &mut around.pending),
            }
        }
        job.cron.next(last.map_or(now, |last| last.max(now)))
    }

    /// The last slot that has come, as far as it is to be believed.
    fn last(&self, script: &str, job: &Job, around: &Surroundings) -> Option<Timestamp> {
        let key = reserved::cron(&job.name);
        let value = around.entry(&self.identity.name, &script.into(), &key).map(|(value, _)| value);
        let last = Timestamp::from_millisecond(value?.as_i64()?).ok()?;
        let latest = around.moment.wall.checked_add(BACK).unwrap_or(Timestamp::MAX);
        (last <= latest).then_some(last)
    }

    fn await_slot(
        &mut self,
        script: &str,
        generation: u64,
        at: usize,
        job: &Job,
        slot: Option<Timestamp>,
        wakes: &mut Vec<Wake>,
    ) {
        let place = (script.to_owned(), job.name.clone());
        let Some(slot) = slot else {
            self.clockwork.upcoming.remove(&place);
            return;
        };
        self.clockwork.upcoming.insert(place, slot);
        let kind = WakeKind::Cron { at, slot };
        wakes.push(Wake { script: script.to_owned(), generation, kind, span: Duration::ZERO });
    }

    fn object(&self, script: &str, name: &str, slot: Timestamp) -> Dynamic {
        let (bot, script, name) = (self.identity.name.clone(), script.to_owned(), name.to_owned());
        Dynamic::from(TimerObject(Arc::new(TimerRow {
            id: 0,
            bot,
            script,
            name,
            due: slot,
            data: Value::Null,
        })))
    }
}

/// The first of `base`, `base#2`, `base#3`... that is not used.
pub(super) fn unused(base: String, used: impl Fn(&str) -> bool) -> String {
    let others = (2..).map(|number| format!("{base}#{number}"));
    std::iter::once(base.clone()).chain(others).find(|name| !used(name)).unwrap_or(base)
}

/// What names a slot and no other event.
fn key(job: &Job, slot: Timestamp) -> String {
    format!("cron:{}:{}", job.name, slot.as_millisecond())
}

/// Keeps the last slot, also if the turn fails: it would fail again.
fn remember(script: &str, job: &Job, slot: Timestamp, next: Option<Timestamp>, writes: &mut Overlay) {
    let expires = next.unwrap_or(slot).checked_add(FORGOTTEN).ok();
    writes.set(script, reserved::cron(&job.name), Value::from(slot.as_millisecond()), expires);
}
