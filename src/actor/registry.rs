//! The registry actor: holds what should run, starts it, and starts it again after a crash.
//!
//! `actix::Supervisor` does not survive a panic, so this is the supervisor: every account and bot carries a
//! [`DownNotice`] whose drop tells the registry, with the number of the start it belonged to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, ArbiterHandle, AsyncContext, Context, Handler, ResponseFuture};
use tokio::sync::oneshot;

use crate::actor::account::{Account, Parts};
use crate::actor::backoff::{Backoff, Intensity};
use crate::actor::bot::{Bot, bot_spec, speech};
use crate::actor::deps::Deps;
use crate::actor::inbox::{Inbox, Wake};
use crate::actor::ledger::Ledger;
use crate::actor::message::{
    Apply, ChangePasswordOf, Configure, Down, Parting, Reconnect, ReconnectBots, SendFailed, SendFrom, Stop,
    StopAll, StopReport, Survey, Surveyed, Swap,
};
use crate::actor::notice::{DownNotice, Part};
use crate::actor::registry::components::Components;
use crate::actor::status::{Board, State};
use crate::config::settings::BotSettings;
use crate::script::ScriptUse;

/// Crashes of one account that are taken as bad luck, in [`WINDOW`].
const CRASHES: usize = 5;
/// See [`CRASHES`].
const WINDOW: Duration = Duration::from_secs(60);
/// How long an account stays down that crashed too often; doubled each time.
const QUARANTINE: Duration = Duration::from_secs(60);
/// See [`QUARANTINE`].
const LONGEST_QUARANTINE: Duration = Duration::from_secs(3600);
/// How long after a crash the next one counts as the first.
const FORGIVEN: Duration = Duration::from_secs(2 * 3600);
/// How long accounts may take to close their streams.
const STOPPING: Duration = Duration::from_secs(8);

/// The registry.
pub struct Registry {
    deps: Arc<Deps>,
    arbiters: Vec<ArbiterHandle>,
    next_arbiter: usize,
    generation: u64,
    entries: BTreeMap<String, Entry>,
    components: Components,
    downs: Inbox<Down>,
    stopping: Option<oneshot::Sender<StopReport>>,
}

/// One bot that should run.
struct Entry {
    spec: Arc<BotSettings>,
    scripts: Vec<ScriptUse>,
    board: Arc<Board>,
    arbiter: usize,
    /// The start that counts; notices of others are old news.
    generation: u64,
    running: Option<Unit>,
    /// Told to end so that a new start can follow; two starts never share an outbox.
    ending: Option<Ending>,
    crashes: Crashes,
}

/// How often one account has crashed, and what that means for the next start.
struct Crashes {
    backoff: Backoff,
    recent: Intensity,
    quarantine: Duration,
    last: Option<Instant>,
}

impl Default for Crashes {
    fn default() -> Self {
        let recent = Intensity::new(CRASHES, WINDOW);
        Self { backoff: Backoff::default(), recent, quarantine: QUARANTINE, last: None }
    }
}

impl Crashes {
    /// The account was started.
    fn on_start(&mut self, now: Instant) {
        self.backoff.on_live(now);
    }

    /// It has crashed: how long it stays down. Crashes that come often lead to quarantine, each longer than the
    /// one before.
    fn on_crash(&mut self, now: Instant) -> Duration {
        if self.last.is_some_and(|last| now.duration_since(last) >= FORGIVEN) {
            *self = Self::default();
        }
        self.last = Some(now);
        let wait = self.backoff.on_lost(now, 0.5);
        if self.recent.allow(now) {
            return wait;
        }
        let wait = self.quarantine;
        self.quarantine = (self.quarantine * 2).min(LONGEST_QUARANTINE);
        wait
    }
}

/// Why a unit was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Its bot panicked.
    Crash,
    /// It is another account now.
    Replace,
}

/// An account and its bot: if one crashes, both start afresh.
struct Unit {
    account: Addr<Account>,
    bot: Addr<Bot>,
}

impl Registry {
    /// A registry with nothing to run, for accounts on these arbiters.
    pub fn new(deps: Arc<Deps>, arbiters: Vec<ArbiterHandle>) -> Self {
        Self {
            deps,
            arbiters,
            next_arbiter: 0,
            generation: 0,
            entries: BTreeMap::new(),
            components: Components::new(),
            downs: Inbox::default(),
            stopping: None,
        }
    }

    fn add(&mut self, spec: BotSettings, scripts: Vec<ScriptUse>) {
        let name = spec.name.clone();
        let entry = Entry {
            board: Arc::new(Board::new(self.deps.now().wall)),
            spec: Arc::new(spec),
            scripts,
            arbiter: self.next_arbiter,
            generation: 0,
            running: None,
            ending: None,
            crashes: Crashes::default(),
        };
        self.next_arbiter = (self.next_arbiter + 1) % self.arbiters.len().max(1);
        self.entries.insert(name.clone(), entry);
        self.start_unit(&name);
    }

    /// Starts an account and its bot from what should run: nothing of an earlier start is kept.
    fn start_unit(&mut self, name: &str) {
        if self.stopping.is_some() {
            return;
        }
        let Some(entry) = self.entries.get_mut(name) else { return };
        let Some(arbiter) = self.arbiters.get(entry.arbiter) else { return };
        self.generation += 1;
        entry.generation = self.generation;
        let notice = |part| DownNotice::new(name, part, entry.generation, &self.downs);
        let (from_bot, ledger) = (Inbox::default(), Arc::new(Ledger::default()));
        let spec = bot_spec(&entry.spec, entry.scripts.clone());
        let bot = Bot::new(
            Arc::clone(&self.deps),
            spec,
            Arc::clone(&entry.board),
            notice(Part::Bot),
            from_bot.clone(),
            Arc::clone(&ledger),
        );
        let bot = Bot::start_in_arbiter(arbiter, move |_| bot);
        let parts = Parts {
            deps: Arc::clone(&self.deps),
            spec: Arc::clone(&entry.spec),
            board: Arc::clone(&entry.board),
            notice: notice(Part::Account),
            seed: self.deps.seed(),
            bot: bot.clone().recipient(),
            from_bot,
            ledger,
        };
        let account = Account::start_in_arbiter(arbiter, move |_| Account::new(parts));
        entry.running = Some(Unit { account, bot });
        entry.crashes.on_start(Instant::now());
    }

    fn remove(&mut self, name: &str) {
        if let Some(entry) = self.entries.remove(name)
            && let Some(unit) = entry.running
        {
            unit.stop();
        }
    }

    /// An account or a bot is gone. In order, that is the end of it; by a panic, both start again later.
    fn on_down(&mut self, down: Down, ctx: &mut Context<Self>) {
        if down.part == Part::Component {
            return self.on_component_down(&down, ctx);
        }
        let now = Instant::now();
        let Some(entry) = self.entries.get_mut(&down.name) else { return };
        if entry.generation != down.generation {
            return;
        }
        let Some(unit) = &entry.running else { return };
        unit.stop();
        if down.part == Part::Bot {
            // The account follows; only then may a new one take over its outbox.
            if down.panicked {
                entry.ending = entry.ending.or(Some(Ending::Crash));
            }
            return;
        }
        entry.running = None;
        if self.stopping.is_some() {
            return self.report_if_ended();
        }
        let ending = entry.ending.take();
        if ending == Some(Ending::Replace) {
            return self.start_unit(&down.name);
        }
        let panicked = down.panicked || ending == Some(Ending::Crash);
        let wait = entry.crashes.on_crash(now);
        entry.generation = 0;
        Board::add(&entry.board.restarts, 1);
        let detail =
            if panicked { "a fault in this program ended the account" } else { "the account ended unasked" };
        let next = jiff::SignedDuration::try_from(wait).ok().map(|wait| self.deps.now().wall + wait);
        entry.board.set(self.deps.now().wall, State::Retrying, detail, next);
        tracing::error!(bot = %down.name, retry_s = wait.as_secs(), panicked, "restarting");
        let name = down.name;
        ctx.run_later(wait, move |registry, _| {
            if registry.entries.get(&name).is_some_and(|entry| entry.running.is_none()) {
                registry.start_unit(&name);
            }
        });
    }

    fn report_if_ended(&mut self) {
        if self.entries.values().all(|entry| entry.running.is_none())
            && self.components_ended()
            && let Some(stopping) = self.stopping.take()
        {
            // Whoever asked may have given up.
            drop(stopping.send(StopReport::default()));
        }
    }
}

impl Unit {
    fn stop(&self) {
        // Actors that are gone need no word.
        drop(self.account.try_send(Stop(Parting::Final)));
        drop(self.bot.try_send(Stop(Parting::Final)));
    }
}

impl Actor for Registry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.downs.attach(ctx.address().recipient());
    }
}

impl Handler<Wake> for Registry {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Context<Self>) {
        for down in self.downs.take() {
            self.on_down(down, ctx);
        }
    }
}

impl Handler<Apply> for Registry {
    type Result = ();

    fn handle(&mut self, change: Apply, _: &mut Context<Self>) {
        let Apply { settings, plan, mut scripts } = change;
        self.deps.configure(&settings);
        self.apply_components(&settings);
        for name in &plan.removed {
            self.remove(name);
        }
        // Everybody knows which accounts are of this process; otherwise only who is concerned is told.
        let all = !plan.added.is_empty() || !plan.removed.is_empty();
        let touched = plan.touched();
        for bot in &settings.bots {
            let scripts = scripts.remove(&bot.name);
            if !self.entries.contains_key(&bot.name) {
                self.add(bot.clone(), scripts.unwrap_or_default());
                continue;
            }
            if !all && !touched.contains(bot.name.as_str()) {
                continue;
            }
            self.change(bot, scripts, plan.reconnect.iter().any(|change| change.bot == bot.name));
        }
    }
}

impl Registry {
    /// Gives a running bot its new settings. Only a change of the connection costs the connection.
    fn change(&mut self, bot: &BotSettings, scripts: Option<Vec<ScriptUse>>, reconnect: bool) {
        let Some(entry) = self.entries.get_mut(&bot.name) else { return };
        let other_account = entry.spec.jid != bot.jid || entry.spec.component != bot.component;
        entry.spec = Arc::new(bot.clone());
        if let Some(scripts) = &scripts {
            entry.scripts.clone_from(scripts);
        }
        let swap = Swap {
            scripts,
            admins: bot.admins.clone(),
            roles: bot.roles.clone(),
            queue: bot.limits.queue,
            schedules: bot.schedules.clone(),
            speech: speech(bot),
        };
        let Some(unit) = &entry.running else { return };
        if other_account {
            // Roster, session and keys belong to the address: nothing of the old one is kept.
            entry.ending = Some(Ending::Replace);
            return unit.stop();
        }
        let told = unit.account.try_send(Configure(Arc::clone(&entry.spec))).is_ok()
            && unit.bot.try_send(swap).is_ok()
            && (!reconnect || unit.account.try_send(Reconnect).is_ok());
        if !told {
            // A mailbox that takes nothing belongs to an actor that hangs or is gone: start it afresh.
            tracing::error!(bot = %bot.name, "did not take its new settings and is restarted");
            entry.ending = Some(Ending::Replace);
            unit.stop();
        }
    }
}

impl Handler<Survey> for Registry {
    type Result = actix::MessageResult<Survey>;

    fn handle(&mut self, _: Survey, _: &mut Context<Self>) -> Self::Result {
        let survey = self.entries.iter().map(|(name, entry)| Surveyed {
            name: name.clone(),
            jid: entry.spec.jid.to_string(),
            board: Arc::clone(&entry.board),
        });
        actix::MessageResult(survey.collect())
    }
}

impl Handler<ReconnectBots> for Registry {
    type Result = actix::MessageResult<ReconnectBots>;

    fn handle(&mut self, message: ReconnectBots, _: &mut Context<Self>) -> Self::Result {
        let mut unknown = Vec::new();
        for name in message.0 {
            match self.entries.get(&name).and_then(|entry| entry.running.as_ref()) {
                Some(unit) => {
                    // Full: the account has a great deal to do and is certainly not stuck offline.
                    drop(unit.account.try_send(Reconnect));
                }
                None => unknown.push(name),
            }
        }
        actix::MessageResult(unknown)
    }
}

impl Handler<SendFrom> for Registry {
    type Result = ();

    fn handle(&mut self, request: SendFrom, _: &mut Context<Self>) {
        let unit = self.entries.get(&request.bot).and_then(|entry| entry.running.as_ref());
        let Some(unit) = unit else {
            // The asker may have gone away.
            drop(request.message.answer.send(Err(SendFailed::Unknown)));
            return;
        };
        // A refusal drops the message and with it the answer's sender, which the asker sees.
        drop(unit.account.try_send(request.message));
    }
}

impl Handler<ChangePasswordOf> for Registry {
    type Result = bool;

    fn handle(&mut self, request: ChangePasswordOf, _: &mut Context<Self>) -> bool {
        let unit = self.entries.get(&request.bot).and_then(|entry| entry.running.as_ref());
        unit.is_some_and(|unit| unit.account.try_send(request.message).is_ok())
    }
}

impl Handler<StopAll> for Registry {
    type Result = ResponseFuture<StopReport>;

    fn handle(&mut self, StopAll(parting): StopAll, ctx: &mut Context<Self>) -> Self::Result {
        let (ended, report) = oneshot::channel();
        self.stopping = Some(ended);
        for entry in self.entries.values() {
            if let Some(unit) = &entry.running {
                drop(unit.account.try_send(Stop(parting)));
            }
        }
        self.report_if_ended();
        ctx.run_later(STOPPING, |registry, _| {
            let open = registry.entries.iter().filter(|(_, entry)| entry.running.is_some());
            let report = StopReport { open: open.map(|(name, _)| name.clone()).collect() };
            if let Some(stopping) = registry.stopping.take() {
                // Whoever asked may have given up.
                drop(stopping.send(report));
            }
        });
        Box::pin(async move { report.await.unwrap_or_default() })
    }
}

mod components;
#[cfg(test)]
mod tests;
