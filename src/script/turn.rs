//! The turn that runs on this thread: what host functions read and what they queue.
//!
//! Scripts are synchronous, so the turn is a thread-local that is set around each call. Nothing here reaches the
//! outside: the turn's effects are handed over when it has ended well, and dropped when it has not.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use rhai::{Dynamic, EvalAltResult, FnPtr, GlobalRuntimeState};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::action::Action;
use crate::event::{Contact, RosterChange};
use crate::ids::{IdSource, base32};
use crate::jid::BareJid;
use crate::moment::Moment;
use crate::script::data::{Data, Read};
use crate::script::declare::Declared;
use crate::script::error::{Kind, Thrown};
use crate::script::memory;
use crate::script::metrics::{Changes, Metrics};
use crate::script::overlay::{Entry, Found, Overlay};
use crate::script::printed::cut;
use crate::script::rates::Rates;
use crate::script::reserved;
use crate::script::roles::People;
use crate::script::rooms::Rooms;
use crate::script::speech::Speech;
use crate::script::upload::Parcel;
use crate::script::values;
use crate::script::web::{self, Fetch};
use crate::script::{Limits, Permissions};
use crate::store::error::StoreError;
use crate::store::{SHARED, Scope, TimerRow};

/// Who the bot is.
pub(super) struct Identity {
    pub name: String,
    pub jid: BareJid,
    /// Who may use what is not for all; [`crate::script::pool::BotHandle::configure`] replaces it.
    pub people: RwLock<People>,
    /// The contact list, as far as the server has told it since the last login.
    pub contacts: RwLock<BTreeMap<BareJid, Contact>>,
    /// Addresses of all bots of this process, so that two do not talk to each other for ever.
    pub bots: Arc<RwLock<BTreeSet<BareJid>>>,
    /// Requests to the web that are under way.
    pub asking: Arc<AtomicUsize>,
    /// Names of all bots of this process.
    pub names: Arc<RwLock<BTreeSet<String>>>,
    /// Rooms, as the account last showed them.
    pub rooms: Rooms,
    /// What `rate::over` counts.
    pub rates: Mutex<Rates>,
    /// What `metric::` counts.
    pub metrics: Metrics,
    /// How it speaks where no script says so.
    pub speech: RwLock<Speech>,
    /// Bytes of the largest stanza that its server takes.
    pub stanza: AtomicUsize,
}

impl Identity {
    /// Takes a change of the contact list, before scripts are told of it.
    pub(super) fn note(&self, change: &RosterChange) {
        let mut contacts = self.contacts.write().unwrap_or_else(PoisonError::into_inner);
        match change {
            RosterChange::Loaded { items } => {
                *contacts = items.iter().map(|item| (item.jid.clone(), item.clone())).collect();
            }
            RosterChange::Removed(jid) => drop(contacts.remove(jid)),
            RosterChange::Set(item) => drop(contacts.insert(item.jid.clone(), item.clone())),
        }
    }
}

/// Everything host functions may see and change.
pub(super) struct Turn {
    pub bot: Arc<Identity>,
    pub script: Arc<str>,
    /// The scope beside that of the script, see [`crate::script::dialog`].
    pub beside: Arc<str>,
    pub limits: Limits,
    /// What the operator grants the script.
    pub permissions: Arc<Permissions>,
    pub config: Dynamic,
    /// By whose wall clock the script tells the time.
    pub zone: TimeZone,
    pub moment: Moment,
    /// Name of the event, for failures and logs.
    pub event: String,
    /// See [`crate::script::Delivery::key`].
    pub key: String,
    pub random: IdSource,
    pub reader: Box<dyn Read>,
    pub data: Arc<dyn Data>,
    /// What earlier events of the same batch have written.
    pub pending: Overlay,
    pub own: Overlay,
    pub effects: Effects,
    /// Parameters of the script's functions, by name.
    pub arities: Arc<BTreeMap<String, Vec<usize>>>,
    /// Questions that the script takes answers to.
    pub answers: Arc<BTreeSet<String>>,
    /// Numbers of the closures that wait for `timer::after`.
    pub waiting: BTreeSet<i64>,
    /// Closures that wait for answers.
    pub asked: usize,
    /// Files on their way.
    pub uploading: usize,
    /// The engine's state when loading had come to its end.
    pub loaded: Option<GlobalRuntimeState>,
    /// What is being declared; absent in handlers.
    pub declared: Option<Box<Declared>>,
    /// How many words of bots to each other have led to this turn.
    pub hops: u32,
    /// Lines it wanted to log.
    pub lines: Lines,
    /// Whether `m.stop()` was called.
    pub stopped: bool,
    /// Names made so far, so that no two are the same.
    pub ordinal: u32,
    /// Calls of `rate::over` so far.
    pub calls: u32,
    /// Bytes that the effects take.
    pub weight: usize,
}

/// What a turn asks for besides writes and timers.
#[derive(Default)]
pub(super) struct Effects {
    pub actions: Vec<Action>,
    /// Closures to be called later, while the script lives.
    pub after: Vec<(i64, Duration, FnPtr)>,
    /// Closures that wait for the answer to a request, by its token.
    pub requests: Vec<(String, FnPtr)>,
    /// Requests to the web.
    pub fetches: Vec<Fetch>,
    /// Files to be uploaded, by the token of their slot.
    pub uploads: Vec<(String, Parcel)>,
    /// Changes of metrics.
    pub metrics: Changes,
    /// Closures that are no longer to be called.
    pub cancelled: Vec<i64>,
}

/// Lines that one turn has logged, and those it wanted to.
#[derive(Default)]
pub(super) struct Lines(usize);

impl Lines {
    /// Lines that one turn may log.
    const MOST: usize = 50;

    /// Counts a line, and says whether it is written.
    pub(super) fn take(&mut self) -> bool {
        self.0 = self.0.saturating_add(1);
        self.0 <= Self::MOST
    }

    /// How many lines were not written, where there were too many.
    pub(super) fn unwritten(&self) -> Option<usize> {
        self.0.checked_sub(Self::MOST).filter(|more| *more > 0)
    }
}

/// Bytes of a line in the log.
pub(super) const LINE: usize = 4_096;

/// The script's name of timers that are words to a bot: all its scripts hear them.
pub(super) const TELL: &str = "tell:";
/// Words in a row that bots may say to each other, each because of the one before.
const HOPS: u32 = 16;
/// Bytes that the names around a word take at most.
const ENVELOPE: usize = 4_096;

thread_local! {
    static CURRENT: RefCell<Option<Box<Turn>>> = const { RefCell::new(None) };
}

/// Makes `turn` the one of this thread. There is none before.
pub(super) fn enter(turn: Box<Turn>) {
    CURRENT.with(|current| *current.borrow_mut() = Some(turn));
}

/// Ends this thread's turn and gives it back, if there is one.
pub(super) fn leave() -> Option<Box<Turn>> {
    CURRENT.with(|current| current.borrow_mut().take())
}

/// Runs `work` on the turn, be it loading or handling.
pub(super) fn with<T>(work: impl FnOnce(&mut Turn) -> Result<T, Thrown>) -> Result<T, Box<EvalAltResult>> {
    let result = CURRENT.with(|current| match current.try_borrow_mut() {
        Ok(mut turn) => match turn.as_mut() {
            Some(turn) => work(turn),
            None => Err(Thrown::new(Kind::Forbidden, "this is only available while a bot runs")),
        },
        Err(_) => Err(Thrown::new(Kind::Panic, "a host function was called from within another")),
    });
    result.map_err(Into::into)
}

/// Runs `work` on the turn of a handler; refused while the script loads.
pub(super) fn act<T>(work: impl FnOnce(&mut Turn) -> Result<T, Thrown>) -> Result<T, Box<EvalAltResult>> {
    with(|turn| match turn.declared {
        Some(_) => Err(Thrown::new(Kind::Declaration, "only declarations may stand at the top level")
            .hint("do it in a handler: `on(\"load\", |e| ...)` runs once after loading")),
        None => work(turn),
    })
}

/// Runs `work` on what is being declared; refused in handlers.
pub(super) fn declare<T>(
    work: impl FnOnce(&mut Turn, &mut Declared) -> Result<T, Thrown>,
) -> Result<T, Box<EvalAltResult>> {
    with(|turn| {
        let Some(mut declared) = turn.declared.take() else {
            return Err(Thrown::new(
                Kind::Declaration,
                "declarations must stand at the top level of the script",
            )
            .hint("a reload replaces them as a whole, so they cannot come later"));
        };
        let result = work(turn, &mut declared);
        turn.declared = Some(declared);
        result
    })
}

/// Drops the closures that a failed turn wanted to be called later.
pub(super) fn forget_closures() {
    // There is a turn: this is called between entering and leaving it.
    drop(with(|turn| {
        turn.effects.after.clear();
        for (token, function) in turn.effects.requests.drain(..) {
            // The closure is the script's, the token was never counted.
            drop(function);
            memory::uncounted(|| drop(token));
        }
        Ok(())
    }));
}

/// `print` and `debug` go to the log.
pub(super) fn print(text: &str, line: Option<usize>) {
    // There may be no turn while an imported module is compiled; its prints say nothing about a bot.
    drop(with(|turn| {
        if !turn.lines.take() {
            return Ok(());
        }
        memory::uncounted(|| {
            let text = cut(text, LINE);
            tracing::info!(bot = %turn.bot.name, script = %turn.script, line, "{text}");
        });
        Ok(())
    }));
}

/// Whether `m.stop()` was called.
pub(super) fn stopped() -> bool {
    with(|turn| Ok(turn.stopped)).unwrap_or(true)
}

/// The script's configuration, as a value it can read.
pub(super) fn config() -> Option<Dynamic> {
    with(|turn| Ok(turn.config.clone())).ok()
}

/// The longest string the script may have.
pub(super) fn string_limit() -> usize {
    with(|turn| Ok(turn.limits.string)).unwrap_or(Limits::DEFAULT.string)
}

/// How many keys all maps of a value may have together, and how many bytes all its strings.
pub(super) fn sizes() -> (usize, usize) {
    let limits = with(|turn| Ok(turn.limits)).unwrap_or(Limits::DEFAULT);
    (limits.map, limits.string)
}

impl Turn {
    /// The turn's moment by the wall clock of the script.
    pub(super) fn now(&self) -> Zoned {
        self.moment.wall.to_zoned(self.zone.clone())
    }

    /// The next outgoing id: 20 characters that follow from the bot, the script, the stanza and the count.
    pub(super) fn next_id(&mut self) -> String {
        self.ordinal += 1;
        let mut hash = Sha256::new();
        for part in [self.bot.name.as_bytes(), self.script.as_bytes(), self.key.as_bytes()] {
            hash.update(part);
            hash.update([0]);
        }
        hash.update(self.ordinal.to_be_bytes());
        base32(&hash.finalize())[..20].to_owned()
    }

    /// Queues an action that `make` builds. What it takes is not counted as the script's, for it is freed
    /// elsewhere; `weight` is its size instead.
    pub(super) fn push(&mut self, weight: usize, make: impl FnOnce() -> Action) -> Result<(), Thrown> {
        if self.effects.actions.len() >= self.limits.actions {
            let message = format!("more than {} actions in one turn", self.limits.actions);
            return Err(Thrown::new(Kind::Operations, message).hint(raise("actions")));
        }
        self.weigh(weight)?;
        memory::uncounted(|| self.effects.actions.push(make()));
        Ok(())
    }

    /// The value under `key`, own writes first, and when it expires.
    pub(super) fn entry(&self, key: &str) -> Result<Option<Found>, Thrown> {
        self.entry_in(&self.script, key)
    }

    /// The same in a scope that need not be the script's own.
    pub(super) fn entry_in(&self, script: &Arc<str>, key: &str) -> Result<Option<Found>, Thrown> {
        let now = self.moment.wall;
        let known = self.own.entry(script, key, now);
        match known.or_else(|| self.pending.entry(script, key, now)) {
            Some(entry) => Ok(entry),
            None => {
                let scope = Scope { bot: self.bot.name.clone(), script: script.to_string() };
                self.reader.entry(&scope, key).map_err(|error| from_store(&error))
            }
        }
    }

    /// The same for a value that all bots share. What was read is noted: the turn stands only if it is still so when
    /// the turn is committed.
    pub(super) fn shared_entry(&mut self, key: &str) -> Result<Option<Found>, Thrown> {
        let (script, now) = (SHARED.into(), self.moment.wall);
        let known = self.own.entry(&script, key, now);
        if let Some(entry) = known.or_else(|| self.pending.entry(&script, key, now)) {
            return Ok(entry);
        }
        if let Some(entry) = self.own.seen.get(key).or_else(|| self.pending.seen.get(key)) {
            return Ok(entry.clone());
        }
        let entry = self.reader.entry(&Scope::shared(), key).map_err(|error| from_store(&error))?;
        self.weigh(key.len() + 64 + entry.as_ref().map_or(0, |(value, _)| values::weight(value)))?;
        memory::uncounted(|| drop(self.own.seen.insert(key.to_owned(), entry.clone())));
        Ok(entry)
    }

    /// Sets or removes the value under `key`.
    pub(super) fn put(
        &mut self,
        key: &str,
        value: Option<Value>,
        expires: Option<Timestamp>,
    ) -> Result<(), Thrown> {
        self.put_in(&self.script.clone(), key, value, expires)
    }

    /// The same for a value that all bots share.
    pub(super) fn put_shared(
        &mut self,
        key: &str,
        value: Option<Value>,
        expires: Option<Timestamp>,
    ) -> Result<(), Thrown> {
        self.put_in(&SHARED.into(), key, value, expires)
    }

    /// The same in a scope that need not be the script's own.
    pub(super) fn put_in(
        &mut self,
        script: &Arc<str>,
        key: &str,
        value: Option<Value>,
        expires: Option<Timestamp>,
    ) -> Result<(), Thrown> {
        let bounds = crate::store::Limits::DEFAULT;
        if key.is_empty() || key.len() > bounds.key {
            let message = format!("a key has 1 to {} bytes, not {}", bounds.key, key.len());
            return Err(Thrown::new(Kind::Store, message));
        }
        let weight = value.as_ref().map_or(0, values::weight);
        if value.as_ref().is_some_and(|value| values::written(value) > bounds.value) {
            let message = format!("the value under `{key}` is larger than {} bytes as JSON", bounds.value);
            return Err(Thrown::new(Kind::Store, message));
        }
        self.count_write()?;
        self.weigh(weight + key.len() + 64)?;
        let script = script.clone();
        // What is replaced was not counted either, so it must go before counting resumes.
        memory::uncounted(|| {
            let entry = Entry { value: value.clone(), expires };
            drop(self.own.values.insert((script, key.to_owned()), entry));
        });
        Ok(())
    }

    /// Up to `limit` keys with `prefix`, in order.
    pub(super) fn keys(&self, prefix: &str, limit: usize) -> Result<Vec<String>, Thrown> {
        self.keys_of(&self.script, &self.scope(), prefix, limit)
    }

    /// The same of the values that all bots share.
    pub(super) fn shared_keys(&self, prefix: &str, limit: usize) -> Result<Vec<String>, Thrown> {
        self.keys_of(&SHARED.into(), &Scope::shared(), prefix, limit)
    }

    fn keys_of(
        &self,
        script: &Arc<str>,
        scope: &Scope,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<String>, Thrown> {
        let now = self.moment.wall;
        let own = || self.own.values.range((script.clone(), prefix.to_owned())..);
        let pending = || self.pending.values.range((script.clone(), prefix.to_owned())..);
        let ours = |at: &(Arc<str>, String)| {
            at.0 == *script && at.1.starts_with(prefix) && !at.1.starts_with(reserved::PREFIX)
        };
        let mut changed: BTreeMap<&str, bool> = BTreeMap::new();
        let layers = pending().take_while(|(at, _)| ours(at)).chain(own().take_while(|(at, _)| ours(at)));
        for (at, entry) in layers {
            let lives = entry.value.is_some() && entry.expires.is_none_or(|expires| expires > now);
            changed.insert(&at.1, lives);
        }
        let removed = changed.values().filter(|lives| !**lives).count();
        let stored = self.reader.keys(scope, prefix, limit.saturating_add(removed));
        let stored = stored.map_err(|error| from_store(&error))?;
        let stored = stored.iter().map(String::as_str);
        let mut keys: BTreeSet<&str> = stored.filter(|key| !key.starts_with(reserved::PREFIX)).collect();
        for (key, lives) in changed {
            if lives {
                keys.insert(key)
            } else {
                keys.remove(key)
            };
        }
        Ok(keys.into_iter().take(limit).map(str::to_owned).collect())
    }

    /// Sets a durable timer and gives its number.
    pub(super) fn set_timer(&mut self, due: Timestamp, name: &str, data: Value) -> Result<i64, Thrown> {
        self.set_timer_in(&self.script.clone(), due, name, data)
    }

    /// The same in a scope that need not be the script's own.
    pub(super) fn set_timer_in(
        &mut self,
        script: &Arc<str>,
        due: Timestamp,
        name: &str,
        data: Value,
    ) -> Result<i64, Thrown> {
        let bounds = crate::store::Limits::DEFAULT;
        if name.is_empty() || name.len() > bounds.key {
            let message = format!("the name of a timer has 1 to {} bytes", bounds.key);
            return Err(Thrown::new(Kind::Store, message));
        }
        if values::written(&data) > bounds.value {
            let message = format!("the data of timer `{name}` is larger than {} bytes as JSON", bounds.value);
            return Err(Thrown::new(Kind::Store, message));
        }
        self.count_write()?;
        self.weigh(values::weight(&data) + name.len() + 64)?;
        let id = self.data.timer_id();
        let bot = &self.bot.name;
        let row = memory::uncounted(|| TimerRow {
            id,
            bot: bot.clone(),
            script: script.to_string(),
            name: name.to_owned(),
            due,
            data: data.clone(),
        });
        memory::uncounted(|| drop(self.own.timers.insert(id, Some(row))));
        Ok(id)
    }

    /// Says something to another bot: a timer of that bot that is due at once.
    pub(super) fn tell(&mut self, bot: &str, topic: &str, data: &Value) -> Result<(), Thrown> {
        let bounds = crate::store::Limits::DEFAULT;
        if topic.is_empty() || topic.len() > bounds.key {
            let message = format!("a topic has 1 to {} bytes", bounds.key);
            return Err(Thrown::new(Kind::Store, message));
        }
        if values::written(data) + ENVELOPE > bounds.value {
            let message =
                format!("the data of `{topic}` is larger than {} bytes as JSON", bounds.value - ENVELOPE);
            return Err(Thrown::new(Kind::Store, message));
        }
        if self.hops >= HOPS {
            let message =
                format!("`{topic}` would be the {}th word in a row that bots say to each other", HOPS + 1);
            let hint = "two bots answer each other for ever: let one of them keep silent";
            return Err(Thrown::new(Kind::Forbidden, message).hint(hint));
        }
        self.count_write()?;
        self.weigh(values::weight(data) + topic.len() + bot.len() + 256)?;
        let id = self.data.timer_id();
        memory::uncounted(|| {
            let data = json!({ "from": self.bot.name, "jid": self.bot.jid.as_str(), "hops": self.hops + 1, "data": data });
            let (bot, script, name) = (bot.to_owned(), TELL.to_owned(), topic.to_owned());
            self.own.tells.push(TimerRow { id, bot, script, name, due: self.moment.wall, data });
        });
        Ok(())
    }

    /// Removes a timer; says whether there was one.
    pub(super) fn cancel_timer(&mut self, id: i64) -> Result<bool, Thrown> {
        if self.timer(id)?.is_none() {
            return Ok(false);
        }
        self.drop_timer(id)?;
        Ok(true)
    }

    /// Removes a timer, whoever it belongs to.
    pub(super) fn drop_timer(&mut self, id: i64) -> Result<(), Thrown> {
        self.count_write()?;
        memory::uncounted(|| drop(self.own.timers.insert(id, None)));
        Ok(())
    }

    /// The script's timer of that number.
    pub(super) fn timer(&self, id: i64) -> Result<Option<TimerRow>, Thrown> {
        match self.own.timers.get(&id).or_else(|| self.pending.timers.get(&id)) {
            Some(row) => Ok(row.clone().filter(|row| *row.script == *self.script)),
            None => self.reader.timer(&self.scope(), id).map_err(|error| from_store(&error)),
        }
    }

    /// Up to `limit` of the script's timers, all or those of that name, the earliest first.
    pub(super) fn timers(&self, name: Option<&str>, limit: usize) -> Result<Vec<TimerRow>, Thrown> {
        let mut changed: BTreeMap<i64, Option<&TimerRow>> = BTreeMap::new();
        for (id, row) in self.pending.timers.iter().chain(&self.own.timers) {
            changed.insert(*id, row.as_ref());
        }
        let stored = self.reader.timers(&self.scope(), name, limit + changed.len());
        let stored = stored.map_err(|error| from_store(&error))?;
        let mut rows: Vec<TimerRow> =
            stored.into_iter().filter(|row| !changed.contains_key(&row.id)).collect();
        let fits = |row: &&TimerRow| *row.script == *self.script && name.is_none_or(|name| row.name == name);
        rows.extend(changed.into_values().flatten().filter(fits).cloned());
        rows.retain(|row| !web::is_guard(row));
        rows.sort_by_key(|row| (row.due, row.id));
        rows.truncate(limit);
        Ok(rows)
    }

    fn scope(&self) -> Scope {
        Scope { bot: self.bot.name.clone(), script: self.script.to_string() }
    }

    fn count_write(&self) -> Result<(), Thrown> {
        if self.own.len() < self.limits.writes {
            return Ok(());
        }
        let message = format!("more than {} writes in one turn", self.limits.writes);
        Err(Thrown::new(Kind::Operations, message).hint(raise("writes")))
    }

    /// Charges effects to the turn's memory.
    pub(super) fn weigh(&mut self, bytes: usize) -> Result<(), Thrown> {
        self.weight = self.weight.saturating_add(bytes);
        if self.weight > self.limits.memory {
            let message = format!("the turn sends and stores more than {} KiB", self.limits.memory / 1024);
            return Err(Thrown::new(Kind::Memory, message));
        }
        Ok(())
    }
}

/// What to do about a bound that bots.yaml may move.
pub(super) fn raise(key: &str) -> String {
    format!("`limits.{key}` of the script or the bot in bots.yaml is how many there may be")
}

/// A failure of the store, told to the script.
pub(super) fn from_store(error: &StoreError) -> Thrown {
    Thrown::new(Kind::Store, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_logs_some_lines_and_counts_the_others() {
        let mut lines = Lines::default();
        assert_eq!((0..50).filter(|_| lines.take()).count(), 50);
        assert_eq!(lines.unwritten(), None);
        assert_eq!((0..7).filter(|_| lines.take()).count(), 0);
        assert_eq!(lines.unwritten(), Some(7));
    }
}
