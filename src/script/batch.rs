//! From a row of turns to the store and on to the sink: nothing is told before it is kept.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::action::Action;
use crate::event::Event;
use crate::event::adhoc::CommandRequest;
use crate::moment::Moment;
use crate::script::bot::{Item, Progress, WakeKind};
use crate::script::closures::Fate;
use crate::script::dialog;
use crate::script::error::{Kind, ScriptError};
use crate::script::happening;
use crate::script::hook::{self, HookCall};
use crate::script::menu;
use crate::script::overlay::Overlay;
use crate::script::pool::{Cell, Shared, locked};
use crate::script::retries::{self, Failed, Next};
use crate::script::turn::TELL;
use crate::script::web;
use crate::script::{Turned, memory};
use crate::store::dead::RETRIES;
use crate::store::error::StoreError;
use crate::store::session::Received;
use crate::store::{Batch, Committed, OutboxRow, SHARED, TimerWrite};

/// How long a bot waits before it tries a commit again that the store refused.
const AGAIN: Duration = Duration::from_secs(2);

/// How often a bot is overtaken before others have to wait for it.
const PATIENCE: u32 = 3;

/// A row that waits for the store.
struct Row {
    items: Vec<Item>,
    progress: Progress,
    /// For each action, whether it has a row in the outbox.
    durable: Vec<bool>,
    moment: Moment,
    /// What becomes of its turns when it is done.
    fate: Fate,
}

/// Commits what a row of turns has led to, and tells the sink. The bot goes on when that has happened.
pub(super) fn commit(
    shared: &Arc<Shared>,
    cell: &Arc<Cell>,
    items: Vec<Item>,
    pending: Overlay,
    progress: Progress,
    moment: Moment,
) {
    let (outbox, durable) = outbox(cell, &progress.actions, moment);
    let row = Row { items, progress, durable, moment, fate: Fate::Committed };
    if pending.is_empty() && outbox.is_empty() {
        row.done(shared, cell, &Committed::default(), false);
        return;
    }
    cell.set_committing();
    if pending.writes_shared() && shared.turnstile.is_closed_to(&cell.identity.name) {
        cell.put_back(row.items, false);
        if row.progress.awake {
            shared.ticker.look_again();
        }
        if !shared.turnstile.wait(cell) {
            shared.release(cell);
        }
        return;
    }
    let received = row.received(cell);
    let batch = Batch { outbox, received, ..pending.into_batch(&cell.identity.name) };
    let (shared2, cell2) = (shared.clone(), cell.clone());
    let done = move |result: Result<Committed, StoreError>| match result {
        Ok(committed) => row.done(&shared2, &cell2, &committed, true),
        Err(error) => row.refused(&shared2, &cell2, &error),
    };
    shared.data.commit(batch, Box::new(done));
}

/// The rows for those actions that are to survive a crash.
fn outbox(cell: &Cell, actions: &[Action], moment: Moment) -> (Vec<OutboxRow>, Vec<bool>) {
    let mut rows = Vec::new();
    let mut durable = Vec::with_capacity(actions.len());
    for action in actions {
        let stanza = cell.sink.durable(action);
        durable.push(stanza.is_some());
        if let Some(stanza) = stanza {
            rows.push(OutboxRow {
                id: 0,
                stanza_id: stanza.id,
                xml: stanza.xml,
                created: moment.wall,
                number: None,
            });
        }
    }
    (rows, durable)
}

impl Row {
    /// What of the inbound stanzas is safe with this row.
    fn received(&self, cell: &Cell) -> Received {
        let handled: Vec<u64> = self.items.iter().filter_map(number).collect();
        if handled.is_empty() { Received::default() } else { cell.sink.received(&handled) }
    }

    /// The row is over; `kept`: in the store, with what it makes safe.
    fn done(self, shared: &Arc<Shared>, cell: &Arc<Cell>, committed: &Committed, kept: bool) {
        cell.conflicts.store(0, Ordering::Relaxed);
        cell.decide(self.fate);
        shared.set_wakes(cell, self.moment, self.progress.wakes);
        for (call, response) in self.progress.answers {
            call.answer(response);
        }
        // Calls whose turn failed, or that no script took.
        hook::fail_all(&self.items);
        cell.identity.metrics.apply(self.progress.metrics);
        for fetch in self.progress.fetches {
            web::fetch(shared, cell, fetch);
        }
        if let Some(due) = committed.earliest {
            shared.ticker.note_due(due);
        }
        let mut rows = committed.outbox.iter().copied();
        let actions = self.progress.actions.into_iter().zip(self.durable);
        let actions = actions.map(|(action, durable)| {
            // The store gives one number for each row it was given, in order.
            let row = if durable { rows.next().unwrap_or(0) } else { 0 };
            (row, action)
        });
        let handled: Vec<u64> = self.items.iter().filter_map(number).collect();
        let turned = Turned {
            actions: actions.collect(),
            kept: kept && !handled.is_empty(),
            handled,
            failures: self.progress.failures,
            turns: self.progress.turns,
        };
        log(cell, &turned.failures, self.moment.at);
        shared.ticker.settled(self.items.iter().filter_map(timer));
        shared.ticker.keep(self.progress.kept);
        if self.progress.awake {
            shared.ticker.look_again();
        }
        tell(shared, cell, turned);
    }

    /// The store kept nothing of the row. What the scripts wrote is at fault, or the store is.
    fn refused(self, shared: &Arc<Shared>, cell: &Arc<Cell>, error: &StoreError) {
        if let StoreError::Conflict { key } = error {
            return self.overtaken(shared, cell, key);
        }
        if error.is_passing() {
            // The store has told so, once for all bots.
            tracing::debug!(bot = %cell.identity.name, %error, "a commit was refused");
        } else {
            tracing::error!(bot = %cell.identity.name, %error, "a commit was refused");
        }
        if self.progress.awake {
            shared.ticker.look_again();
        }
        let culprit = match error {
            StoreError::Key { .. }
            | StoreError::Quota { .. }
            | StoreError::Timers { .. }
            | StoreError::Value { .. } => true,
            // The store is at fault, or the disk, or whoever runs the program.
            _ => false,
        };
        if culprit && is_one(&self.items) {
            self.give_up(shared, cell, error);
            return;
        }
        // The turns run again; their ids come out the same, and nothing of them was sent.
        cell.put_back(self.items, culprit);
        if culprit {
            shared.release(cell);
        } else {
            shared.ticker.release_at(cell, self.moment.at + AGAIN);
        }
    }

    /// Another bot has changed what the turns went by: they run again, with what is there now. One that is overtaken
    /// again and again gets the others to wait.
    fn overtaken(self, shared: &Arc<Shared>, cell: &Arc<Cell>, key: &str) {
        let name = &cell.identity.name;
        let conflicts = cell.conflicts.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::debug!(bot = %name, key, conflicts, "a shared value was changed by another bot; the turn runs again");
        if conflicts >= PATIENCE {
            shared.turnstile.enter(name);
        }
        if self.progress.awake {
            shared.ticker.look_again();
        }
        // One event at a time is quicker than a row.
        cell.put_back(self.items, true);
        shared.release(cell);
    }

    /// Drops what one event has led to, and only removes the timer that it was.
    fn give_up(self, shared: &Arc<Shared>, cell: &Arc<Cell>, error: &StoreError) {
        let failure = self.failure(cell, error);
        for item in &self.items {
            cell.note_loss(&happening::id(&cell.identity.name, item), &failure);
        }
        let refused = self.refused_events(shared, cell, error);
        let mut failures = self.progress.failures;
        failures.push(failure);
        let Progress { kept, awake, turns, mut wakes, mut slots, .. } = self.progress;
        // What the turns asked for has never been; what repeats goes on.
        wakes.retain(|wake| !matches!(wake.kind, WakeKind::After { .. }));
        if self.fate == Fate::GivenUp {
            // The store does not even take the slots.
            slots = Overlay::default();
        }
        let actions = menu::unanswered(&self.items);
        let progress =
            Progress { actions, failures, turns, kept: kept.clone(), awake, wakes, ..Progress::default() };
        let gone = self.items.iter().filter_map(timer).filter(|id| !kept.contains(id));
        let mut timers: Vec<TimerWrite> = gone.map(|id| TimerWrite::Remove { id }).collect();
        let mut dead = Vec::new();
        for next in refused {
            match next {
                Next::Again(row) => timers.push(TimerWrite::Set(row)),
                Next::GivenUp(letter) => dead.push(letter),
            }
        }
        let durable = vec![false; progress.actions.len()];
        let row = Row { progress, durable, fate: Fate::GivenUp, ..self };
        if timers.is_empty() && dead.is_empty() && slots.is_empty() {
            row.done(shared, cell, &Committed::default(), false);
            return;
        }
        let received = row.received(cell);
        let batch = Batch { timers, dead, received, ..slots.into_batch(&cell.identity.name) };
        let (shared2, cell2) = (shared.clone(), cell.clone());
        shared.data.commit(
            batch,
            Box::new(move |result| match result {
                Ok(committed) => row.done(&shared2, &cell2, &committed, true),
                Err(error) => row.refused(&shared2, &cell2, &error),
            }),
        );
    }
}

impl Row {
    /// What the store has refused, as a failure of the script that wrote too much.
    fn failure(&self, cell: &Cell, error: &StoreError) -> ScriptError {
        let script = match error {
            StoreError::Quota { script, .. } | StoreError::Timers { script, .. } => {
                dialog::owner(script).unwrap_or(script).to_owned()
            }
            _ => String::new(),
        };
        ScriptError {
            bot: cell.identity.name.clone(),
            script,
            file: String::new(),
            line: 0,
            column: 0,
            kind: Kind::Store,
            message: error.to_string(),
            chain: Vec::new(),
            hint: Some(remedy(error)),
            event: None,
            trace: self.items.first().map(|item| happening::id(&cell.identity.name, item)),
        }
    }

    /// What becomes of its events when the store has refused what all scripts together have made of them.
    fn refused_events(&self, shared: &Arc<Shared>, cell: &Arc<Cell>, error: &StoreError) -> Vec<Next> {
        if shared.flight.is_none() {
            return Vec::new();
        }
        // Where there is no room for more retries, there is for a letter: the oldest goes.
        let crowded = matches!(error,
            StoreError::Quota { script, .. } | StoreError::Timers { script, .. } if script == RETRIES);
        let next = |item: &Item| {
            let tries = retries::tries(item) + 1;
            let failed = Failed {
                script: String::new(),
                error: error.to_string(),
                tries,
                hopeless: crowded || tries >= retries::TRIES,
            };
            let bot = &cell.identity.name;
            retries::is_kept(item).then(|| failed.next(bot, item, || shared.data.timer_id(), self.moment))?
        };
        self.items.iter().filter_map(next).collect()
    }
}

/// Whether a row cannot be run in parts: it is one item, or what one stanza has led to.
fn is_one(items: &[Item]) -> bool {
    let mut numbers = items.iter().map(number);
    match numbers.next() {
        Some(Some(first)) => numbers.all(|other| other == Some(first)),
        _ => items.len() <= 1,
    }
}

/// What became of the event, and which key moves the bound.
fn remedy(error: &StoreError) -> String {
    let dropped = "the event's writes and messages were dropped";
    let raise = |key: &str| {
        format!("{dropped}; `limits.{key}` of the script or the bot in bots.yaml is how much it may keep")
    };
    match error {
        // What all bots have in common has one bound for all.
        StoreError::Quota { script, .. } if script != SHARED => raise("store"),
        StoreError::Timers { script, .. } if script != TELL => raise("timers"),
        _ => dropped.to_owned(),
    }
}

/// Logs what went wrong, unless it goes wrong all the time.
fn log(cell: &Cell, failures: &[ScriptError], now: Instant) {
    for failure in failures {
        let ScriptError { script, event, trace, .. } = failure;
        let Some(silent) = locked(&cell.complaints).note(script, now) else { continue };
        if silent > 0 {
            tracing::warn!(bot = %cell.identity.name, script, "{silent} more failures of this script were not logged");
        }
        tracing::warn!(bot = %cell.identity.name, script, event, trace, "{failure}");
    }
}

/// Tells the sink, and lets the bot go on whatever the sink does.
pub(super) fn tell(shared: &Arc<Shared>, cell: &Arc<Cell>, turned: Turned) {
    if turned != Turned::default() {
        let sink = || memory::uncounted(|| cell.sink.turned(turned));
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(sink)).is_err() {
            tracing::error!(bot = %cell.identity.name, "the account panicked when it was told of a turn");
        }
    }
    go_on(shared, &cell.identity.name);
    shared.release(cell);
}

/// Lets those go on that had to wait for the bot.
pub(super) fn go_on(shared: &Arc<Shared>, bot: &str) {
    for other in shared.turnstile.leave(bot) {
        shared.release(&other);
    }
}

pub(super) fn number(item: &Item) -> Option<u64> {
    match item {
        Item::Event(delivery) => delivery.number,
        Item::After { .. }
        | Item::Cron { .. }
        | Item::Every { .. }
        | Item::Hook(_)
        | Item::Load(_)
        | Item::Retry { .. }
        | Item::Unload(_)
        | Item::Web { .. } => None,
    }
}

/// The call of a webhook that an item is.
pub(super) fn hook(item: &Item) -> Option<&HookCall> {
    match item {
        Item::Hook(call) => Some(call),
        Item::After { .. }
        | Item::Cron { .. }
        | Item::Event(_)
        | Item::Every { .. }
        | Item::Load(_)
        | Item::Retry { .. }
        | Item::Unload(_)
        | Item::Web { .. } => None,
    }
}

/// The request about commands that an item is.
pub(super) fn command(item: &Item) -> Option<&CommandRequest> {
    match item {
        Item::Event(delivery) => match &delivery.event {
            Event::Command(request) => Some(request),
            _ => None,
        },
        Item::After { .. }
        | Item::Cron { .. }
        | Item::Every { .. }
        | Item::Hook(_)
        | Item::Load(_)
        | Item::Retry { .. }
        | Item::Unload(_)
        | Item::Web { .. } => None,
    }
}

/// The durable timer that an item is.
pub(super) fn timer(item: &Item) -> Option<i64> {
    match item {
        Item::Event(delivery) => match &delivery.event {
            Event::Timer(timer) => Some(timer.id),
            _ => None,
        },
        Item::Web { reply, .. } => reply.guard(),
        Item::After { .. }
        | Item::Cron { .. }
        | Item::Every { .. }
        | Item::Hook(_)
        | Item::Load(_)
        | Item::Retry { .. }
        | Item::Unload(_) => None,
    }
}
