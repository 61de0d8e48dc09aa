//! A loaded script of one bot: its declarations, its state, and its turns.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rhai::{Dynamic, Engine, EvalAltResult, FnPtr, GlobalRuntimeState, NativeCallContext, Position, Scope};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::action::Action;
use crate::ids::{IdSource, Seed};
use crate::moment::Moment;
use crate::script::budget::{Cost, Running};
use crate::script::closures::{Closures, Fate};
use crate::script::data::{Data, Nothing, Read};
use crate::script::declare::{self, Callback, Declared};
use crate::script::dialog;
use crate::script::error::{Kind, ScriptError, Site, nearest};
use crate::script::host::Host;
use crate::script::loader::Inner;
use crate::script::memory;
use crate::script::metrics::Changes;
use crate::script::overlay::Overlay;
use crate::script::trace::{self, Written};
use crate::script::turn::{self, Effects, Identity, Lines, Turn};
use crate::script::upload::Parcel;
use crate::script::web::Fetch;
use crate::script::worst;
use crate::script::{Limits, Permissions, ScriptUse};
use crate::store::flight::Flight;
use crate::store::{self, Allowance};

/// The settings of a script, as `config.name` reads them.
#[derive(Clone)]
pub(super) struct Config(pub Arc<Value>);

/// A loaded script.
pub(super) struct Instance {
    pub uses: ScriptUse,
    pub declared: Declared,
    /// Tells the repetitions and delays of this instance from those of one that it replaced.
    pub generation: u64,
    /// Closures of `timer::after`, by number.
    pub after: Closures<i64>,
    /// Closures that wait for an answer, by token.
    pub requests: Closures<String>,
    /// Files that wait for a slot, by token.
    pub uploads: Closures<String, Parcel>,
    /// The scope beside that of the script, see [`crate::script::dialog`].
    pub beside: Arc<str>,
    identity: Arc<Identity>,
    permissions: Arc<Permissions>,
    name: Arc<str>,
    config: Config,
    global: GlobalRuntimeState,
    /// Bytes its state holds, and those it has lost in cycles.
    retained: isize,
}

/// What a turn needs from its surroundings.
pub(super) struct Surroundings {
    pub data: Arc<dyn Data>,
    pub reader: Option<Box<dyn Read>>,
    pub moment: Moment,
    pub seed: Seed,
    /// Where turns are noted, where failed events are tried again and given up as dead letters.
    pub flight: Option<Arc<Flight>>,
    /// What earlier events of the batch have written.
    pub pending: Overlay,
    /// How many words of bots to each other have led to the event.
    pub hops: u32,
}

impl Surroundings {
    /// The value under a key between two turns, and when it expires.
    pub(super) fn entry(
        &self,
        bot: &str,
        script: &Arc<str>,
        key: &str,
    ) -> Option<(Value, Option<Timestamp>)> {
        if let Some(known) = self.pending.entry(script, key, self.moment.wall) {
            return known;
        }
        let scope = store::Scope { bot: bot.to_owned(), script: script.to_string() };
        match self.reader.as_ref()?.entry(&scope, key) {
            Ok(entry) => entry,
            Err(error) => {
                tracing::error!(bot, %error, "the store cannot be read");
                None
            }
        }
    }
}

/// How a turn ended.
pub(super) struct Ended {
    /// What is to be done; nothing if it failed.
    pub actions: Vec<Action>,
    /// Requests to the web to be made.
    pub fetches: Vec<Fetch>,
    /// Changes of metrics; none if it failed.
    pub metrics: Changes,
    /// What it has written, by name; nothing if it failed.
    pub written: Vec<Written>,
    /// Closures to be called later: their numbers, and how much later.
    pub after: Vec<(i64, Duration)>,
    pub failure: Option<ScriptError>,
    /// Whether no other handler is to get the event.
    pub stopped: bool,
    pub cost: Cost,
    /// Whether the state is not to be trusted or too large, so that the script must be loaded anew.
    pub spoilt: bool,
}

/// Calls functions of the script within its turn.
pub(super) struct Caller<'a> {
    engine: &'a Engine,
    global: &'a GlobalRuntimeState,
    inner: &'a Inner,
}

impl Caller<'_> {
    /// Calls a function with as many of `arguments` as it takes.
    pub(super) fn call(
        &self,
        callback: &Callback,
        arguments: Vec<Dynamic>,
    ) -> Result<Dynamic, Box<EvalAltResult>> {
        self.call_pointer(&callback.function, callback.arity, arguments)
    }

    /// Calls a function that was checked when it was handed in, with as many of `arguments` as it takes.
    pub(super) fn call_whole(
        &self,
        function: &FnPtr,
        arguments: Vec<Dynamic>,
    ) -> Result<(), Box<EvalAltResult>> {
        let offered = arguments.len();
        let callback = declare::callback(&self.inner.arities, function.clone(), offered, "the function")?;
        self.call(&callback, arguments).map(drop)
    }

    fn call_pointer(
        &self,
        function: &FnPtr,
        arity: usize,
        mut arguments: Vec<Dynamic>,
    ) -> Result<Dynamic, Box<EvalAltResult>> {
        arguments.truncate(arity);
        // The state in which the script was left after loading: constants, imports, functions.
        let context = NativeCallContext::new_with_all_fields(
            self.engine,
            function.fn_name(),
            Some(&self.inner.file),
            self.global,
            // The engine replaces the place of a broken limit by that of the call: this is the nearest it knows.
            self.inner.places.get(function.fn_name()).copied().unwrap_or(Position::NONE),
        );
        function.call_raw(&context, None, arguments)
    }
}

impl Instance {
    /// Runs the top level of a script and keeps what it declares.
    pub(super) fn load(
        uses: ScriptUse,
        identity: &Arc<Identity>,
        generation: u64,
        host: &mut Host,
        around: &mut Surroundings,
    ) -> Result<Self, ScriptError> {
        let limits = granted(&uses.limits);
        let uses = ScriptUse { limits, ..uses };
        let name: Arc<str> = uses.name.as_str().into();
        let inner = uses.compiled.inner.clone();
        let mut instance = Self {
            declared: Declared::default(),
            generation,
            after: Closures::default(),
            requests: Closures::default(),
            uploads: Closures::default(),
            beside: dialog::beside(&uses.name),
            identity: identity.clone(),
            permissions: Arc::new(uses.permissions.clone()),
            name,
            config: Config(Arc::new(uses.config.clone())),
            global: host.engine(&limits).new_global_runtime_state(),
            retained: 0,
            uses,
        };
        let mut turn = instance.turn("load", "load", around);
        turn.declared = Some(Box::new(Declared { arities: inner.arities.clone(), ..Declared::default() }));
        // A slow machine may take its time to load; a handler may not.
        let patient = Limits { turn: limits.turn.max(Duration::from_secs(1)), ..limits };
        let engine = host.engine(&limits);
        let site = instance.site(None);
        let (turn, result, growth, _) = measure(turn, &site, &patient, limits.memory, || {
            let mut scope = Scope::new();
            engine.eval_ast_with_scope::<Dynamic>(&mut scope, &inner.ast).map(drop)
        });
        let mut turn = finish(turn, around);
        instance.retained = growth;
        result?;
        let site = instance.site(None);
        let Some(global) = turn.loaded.take() else {
            return Err(site.plain(
                Kind::Declaration,
                "the top level of a script must run to its end: no `return` there",
            ));
        };
        let mut declared = turn.declared.take().map(|declared| *declared).unwrap_or_default();
        declared.shrink();
        instance.check_config(&declared)?;
        instance.config = Config(Arc::new(merged(&instance.uses.config, &declared)));
        instance.global = global;
        instance.global.level = 0;
        let answers = declared.handlers.iter().filter_map(|handler| handler.event.strip_prefix("answer:"));
        let answers = Arc::new(answers.map(str::to_owned).collect());
        instance.declared = Declared { answers, ..declared };
        Ok(instance)
    }

    /// Runs one turn: `work` calls the handlers. Its writes are added to those of `around`, unless it fails.
    pub(super) fn run(
        &mut self,
        event: &str,
        key: &str,
        host: &mut Host,
        around: &mut Surroundings,
        work: impl FnOnce(&Caller<'_>) -> Result<(), Box<EvalAltResult>>,
    ) -> Ended {
        let limits = self.uses.limits;
        let turn = self.turn(event, key, around);
        let left =
            usize::try_from(self.retained).map_or(limits.memory, |kept| limits.memory.saturating_sub(kept));
        let inner = &self.uses.compiled.inner;
        let caller = Caller { engine: host.engine(&limits), global: &self.global, inner };
        let site = self.site(Some(event));
        let (turn, result, growth, cost) = measure(turn, &site, &limits, left, || work(&caller));
        let mut turn = finish(turn, around);
        self.retained = (self.retained + growth).max(0);
        let kept = usize::try_from(self.retained).unwrap_or(0);
        let mut failure = result.err();
        if failure.is_none() && kept > limits.memory {
            let message = format!("the script keeps {} KiB, more than {}", kept / 1024, limits.memory / 1024);
            let site = self.site(Some(event));
            let hint = "it was loaded anew: keep data in `store::`, not in variables";
            failure = Some(ScriptError { hint: Some(hint.to_owned()), ..site.plain(Kind::Memory, message) });
        }
        let spoilt = match &failure {
            Some(failure) => {
                failure.kind == Kind::Panic || (failure.kind == Kind::Memory && kept > limits.memory / 2)
            }
            None => false,
        };
        if failure.is_some() {
            return Ended {
                actions: Vec::new(),
                fetches: Vec::new(),
                metrics: Changes::new(),
                written: Vec::new(),
                after: Vec::new(),
                failure,
                stopped: turn.stopped,
                cost,
                spoilt,
            };
        }
        let written = trace::written(&turn.own);
        if !turn.own.is_empty() {
            let allowed = Allowance { bytes: limits.store, timers: limits.timers };
            turn.own.allowed.extend([(self.name.clone(), allowed), (self.beside.clone(), allowed)]);
        }
        around.pending.absorb(std::mem::take(&mut turn.own));
        let fetches = std::mem::take(&mut turn.effects.fetches);
        let metrics = std::mem::take(&mut turn.effects.metrics);
        let (actions, after) = self.keep(std::mem::take(&mut turn.effects));
        Ended { actions, fetches, metrics, written, after, failure, stopped: turn.stopped, cost, spoilt }
    }

    /// Ends the script and tells how many bytes it has lost in cycles for good.
    pub(super) fn dispose(self) -> isize {
        let before = memory::held();
        let retained = self.retained;
        drop(self);
        (retained + (memory::held() - before)).max(0)
    }

    /// Charges what an earlier instance has lost; false if there is no room left to run.
    pub(super) fn inherit(&mut self, leaked: isize) -> bool {
        self.retained += leaked;
        usize::try_from(self.retained).is_ok_and(|kept| kept <= self.uses.limits.memory / 2)
    }

    /// Charges an event that the script still holds.
    pub(super) fn charge(&mut self, bytes: usize) {
        self.retained = self.retained.saturating_add_unsigned(bytes);
    }

    /// A failure of this script without a place.
    pub(super) fn site<'a>(&'a self, event: Option<&'a str>) -> Site<'a> {
        let inner = &self.uses.compiled.inner;
        Site {
            bot: &self.identity.name,
            script: &self.name,
            file: &inner.file,
            event,
            functions: &inner.functions,
            limits: &self.uses.limits,
        }
    }

    /// Closures that wait stay with the script; everything else is handed on.
    fn keep(&mut self, effects: Effects) -> (Vec<Action>, Vec<(i64, Duration)>) {
        let mut after = Vec::with_capacity(effects.after.len());
        for (id, span, function) in effects.after {
            after.push((id, span));
            self.after.keep(id, function);
        }
        // They may be of the same turn.
        for id in &effects.cancelled {
            self.after.cancel(id);
        }
        after.retain(|(id, _)| !effects.cancelled.contains(id));
        for (token, function) in effects.requests {
            self.requests.keep(token, function);
        }
        for (token, parcel) in effects.uploads {
            self.uploads.keep(token, parcel);
        }
        (effects.actions, after)
    }

    /// Ends the row that its last turns were part of.
    pub(super) fn settle(&mut self, fate: Fate) {
        drop(self.uploads.settle(fate));
        let after = self.after.settle(fate).into_iter();
        let dead: Vec<Option<FnPtr>> =
            after.chain(self.requests.settle(fate)).map(|function| Arc::try_unwrap(function).ok()).collect();
        if dead.is_empty() {
            return;
        }
        // What they hold was the script's memory; the list of them was not.
        let before = memory::held();
        let mut dead = dead.into_iter();
        for function in &mut dead {
            drop(function);
        }
        self.retained = (self.retained + (memory::held() - before)).max(0);
    }

    fn turn(&self, event: &str, key: &str, around: &mut Surroundings) -> Box<Turn> {
        let reader = around.reader.take().unwrap_or_else(|| Box::new(Nothing));
        Box::new(Turn {
            bot: self.identity.clone(),
            script: self.name.clone(),
            beside: self.beside.clone(),
            limits: self.uses.limits,
            permissions: self.permissions.clone(),
            config: Dynamic::from(self.config.clone()),
            zone: self.uses.timezone.clone(),
            moment: around.moment,
            event: event.to_owned(),
            key: key.to_owned(),
            random: IdSource::new(seed(&around.seed, &self.identity.name, &self.name, key)),
            reader,
            data: around.data.clone(),
            pending: std::mem::take(&mut around.pending),
            own: Overlay::default(),
            effects: Effects::default(),
            arities: self.uses.compiled.inner.arities.clone(),
            answers: self.declared.answers.clone(),
            waiting: self.after.names().copied().collect::<BTreeSet<i64>>(),
            asked: self.requests.len(),
            uploading: self.uploads.len(),
            loaded: None,
            declared: None,
            hops: around.hops,
            lines: Lines::default(),
            stopped: false,
            ordinal: 0,
            calls: 0,
            weight: 0,
        })
    }

    fn check_config(&self, declared: &Declared) -> Result<(), ScriptError> {
        let Some(given) = self.uses.config.as_object() else {
            return Ok(());
        };
        let Some(unknown) = given.keys().find(|name| !declared.options.contains_key(*name)) else {
            return Ok(());
        };
        let near = nearest(unknown, declared.options.keys().map(String::as_str));
        let hint = near.map(|near| format!("did you mean `{near}`?"));
        let message = format!("the script has no option `{unknown}`");
        Err(ScriptError { hint, ..self.site(None).plain(Kind::Config, message) })
    }
}

/// Gives back what the turn had borrowed.
fn finish(mut turn: Box<Turn>, around: &mut Surroundings) -> Box<Turn> {
    around.pending = std::mem::take(&mut turn.pending);
    around.reader = Some(std::mem::replace(&mut turn.reader, Box::new(Nothing)));
    turn
}

/// Runs `work` as this thread's turn within a budget; a panic becomes a failure. Also gives the memory that was
/// not given back, and what the turn has taken.
fn measure(
    turn: Box<Turn>,
    site: &Site<'_>,
    limits: &Limits,
    bytes: usize,
    work: impl FnOnce() -> Result<(), Box<EvalAltResult>>,
) -> (Box<Turn>, Result<(), ScriptError>, isize, Cost) {
    turn::enter(turn);
    let running = Running::start(limits, bytes);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    let cost = running.cost();
    // The failure outlives the turn, what it was made from does not: only the latter is the script's memory.
    let result = match outcome {
        Ok(result) => match (running.exceeded(), result) {
            (None, Ok(())) => Ok(()),
            (Some(reason), result) => Err(memory::uncounted(|| site.over(reason, result.err().as_deref()))),
            (None, Err(error)) => Err(memory::uncounted(|| site.eval(&error))),
        },
        Err(panic) => Err(memory::uncounted(|| panicked(site, panic.as_ref()))),
    };
    if result.is_err() {
        turn::forget_closures();
    }
    let growth = running.growth();
    // With the time it takes to free what the turn had built.
    worst::note(running.elapsed(), running.peak());
    drop(running);
    // Nothing but `leave` takes the turn away, and it was entered above.
    let turn = turn::leave().expect("the turn entered above");
    if let Some(more) = turn.lines.unwritten() {
        tracing::info!(bot = site.bot, script = site.script, event = site.event, "… {more} more lines");
    }
    (turn, result, growth, cost)
}

fn panicked(site: &Site<'_>, panic: &(dyn std::any::Any + Send)) -> ScriptError {
    let message = format!("the program panicked: {}", describe(panic));
    let hint = "this is a fault of the program, please report it";
    ScriptError { hint: Some(hint.to_owned()), ..site.plain(Kind::Panic, message) }
}

fn describe(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}

/// The limits as far as the threads can bear them.
fn granted(limits: &Limits) -> Limits {
    Limits {
        memory: limits.memory.min(Limits::MEMORY_CEILING),
        array: limits.array.clamp(1, 10_000),
        map: limits.map.clamp(1, 1_000),
        string: limits.string.clamp(1, 1024 * 1024),
        ..*limits
    }
}

/// The configuration with the defaults of what it leaves out.
fn merged(config: &Value, declared: &Declared) -> Value {
    let mut all: serde_json::Map<String, Value> =
        declared.options.iter().map(|(name, option)| (name.clone(), option.default.clone())).collect();
    if let Some(given) = config.as_object() {
        all.extend(given.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    Value::Object(all)
}

/// From what the chance of one turn follows.
pub(super) fn seed(seed: &Seed, bot: &str, script: &str, key: &str) -> Seed {
    let mut hash = Sha256::new();
    hash.update(seed.0);
    for part in [bot, script, key] {
        hash.update(part);
        hash.update([0]);
    }
    Seed(hash.finalize().into())
}
