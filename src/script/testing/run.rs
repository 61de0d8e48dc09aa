//! Running the tests of one file.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rhai::{Dynamic, Engine, EvalAltResult, GlobalRuntimeState, NativeCallContext, Position, Scope};

use crate::diagnostic::Source;
use crate::script::budget::Running;
use crate::script::error::{Kind, ScriptError, Site};
use crate::script::host::Host;
use crate::script::loader::{Inner, compile_test};
use crate::script::testing::OPERATIONS;
use crate::script::testing::caret;
use crate::script::testing::playing::{self, Declared, Failed, Playing, Run};
use crate::script::testing::stage::Theatre;
use crate::script::{Limits, memory, stack};

/// What one test may use; what happens in its worlds has limits of its own.
fn limits(time: Duration) -> Limits {
    Limits { turn: time, operations: OPERATIONS, memory: Limits::MEMORY_CEILING, ..Limits::DEFAULT }
}

/// What came of one test.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Its name.
    pub name: String,
    /// Where it begins.
    pub line: usize,
    /// Why it failed.
    pub result: Result<(), Report>,
    /// How long it took.
    pub elapsed: Duration,
}

/// Why a test failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Where; 0 where that is unknown.
    pub line: usize,
    /// What happened, and what should have: lines behind `  `, `- ` or `+ `.
    pub shown: Vec<String>,
    /// Why, with the place, the line and a caret.
    pub why: Vec<String>,
}

/// Runs those tests of a text that `wants` names, in their order. Each may take so much real `time`, what happens in its
/// worlds included; so may the top level.
///
/// # Errors
/// The text is no program, or its top level fails.
pub fn run(
    path: &Path,
    text: &str,
    theatre: Box<dyn Theatre + Send>,
    wants: &(dyn Fn(&str) -> bool + Sync),
    time: Duration,
) -> Result<Vec<Verdict>, ScriptError> {
    stack::on_script_thread(|| {
        let file = path.display().to_string();
        let inner = compile_test(path, text)?;
        let mut host = Host::for_tests();
        let engine = host.engine(&limits(time));
        playing::begin(Run {
            theatre,
            declared: Vec::new(),
            declaring: true,
            loaded: None,
            playing: Playing::new(Instant::now() + time),
        });
        let outcome = all(engine, &inner, &file, text, wants, time);
        drop(playing::end());
        outcome
    })
}

fn all(
    engine: &Engine,
    inner: &Inner,
    file: &str,
    text: &str,
    wants: &dyn Fn(&str) -> bool,
    time: Duration,
) -> Result<Vec<Verdict>, ScriptError> {
    let limits = limits(time);
    let stage = Site { bot: "", script: "", file, event: None, functions: &inner.functions, limits: &limits };
    guarded(&stage, || engine.eval_ast_with_scope::<Dynamic>(&mut Scope::new(), &inner.ast).map(drop))?;
    let source = Source::new(file, text);
    let ready = playing::with(|run| {
        run.declaring = false;
        Ok((run.loaded.take(), std::mem::take(&mut run.declared)))
    });
    let (global, declared) = ready.map_err(|error| stage.eval(&error))?;
    let Some(mut global) = global else {
        return Err(stage.plain(Kind::Declaration, "the top level must run to its end: no `return` there"));
    };
    global.level = 0;
    let wanted = declared.into_iter().filter(|test| wants(&test.name));
    Ok(wanted.map(|test| one(engine, inner, &global, &stage, &source, test)).collect())
}

/// Runs one test in worlds of its own.
fn one(
    engine: &Engine,
    inner: &Inner,
    global: &GlobalRuntimeState,
    site: &Site<'_>,
    source: &Arc<Source>,
    test: Declared,
) -> Verdict {
    let began = Instant::now();
    let fresh = playing::with(|run| {
        run.playing = Playing::new(began + site.limits.turn);
        Ok(())
    });
    let called = fresh.map_err(|error| site.eval(&error)).and_then(|()| {
        guarded(site, || {
            let context = NativeCallContext::new_with_all_fields(
                engine,
                test.function.fn_name(),
                Some(&inner.file),
                global,
                inner.places.get(test.function.fn_name()).copied().unwrap_or(Position::NONE),
            );
            test.function.call_raw(&context, None, []).map(drop)
        })
    });
    let result = judged(called, source, test.place.line().unwrap_or(1));
    // Its worlds end before the next begins.
    drop(playing::with(|run| {
        memory::uncounted(|| run.playing.worlds.clear());
        Ok(())
    }));
    Verdict { name: test.name, line: test.place.line().unwrap_or(1), result, elapsed: began.elapsed() }
}

/// Runs `work` within the budget of one test; a panic becomes a failure.
fn guarded(
    site: &Site<'_>,
    work: impl FnOnce() -> Result<(), Box<EvalAltResult>>,
) -> Result<(), ScriptError> {
    let running = Running::start(site.limits, site.limits.memory);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    match outcome {
        Ok(result) => match (running.exceeded(), result) {
            (None, Ok(())) => Ok(()),
            (Some(reason), result) => Err(limited(site.over(reason, result.err().as_deref()), site.limits)),
            (None, Err(error)) => Err(limited(site.eval(&error), site.limits)),
        },
        Err(_) => {
            Err(site.plain(Kind::Panic, "the program panicked: this is a fault of it, please report it"))
        }
    }
}

/// The limits of a test are no settings.
fn limited(error: ScriptError, limits: &Limits) -> ScriptError {
    let hint = match error.kind {
        Kind::Deadline => format!("a test has {} s of real time: let it do less", limits.turn.as_secs_f64()),
        Kind::Operations => format!("a test has {} operations: let it do less", limits.operations),
        Kind::Memory => format!("a test has {} MiB: let it keep less", limits.memory / 1024 / 1024),
        _ => return error,
    };
    ScriptError { hint: Some(hint), message: error.message.replace("the turn", "the test"), ..error }
}

/// What the call and the worlds it leaves behind amount to.
fn judged(called: Result<(), ScriptError>, source: &Source, line: usize) -> Result<(), Report> {
    let state = playing::with(|run| {
        let left = leftovers(&run.playing);
        let shown = run.playing.inputs.iter().map(|input| format!("  {input}")).collect::<Vec<_>>();
        Ok((run.playing.failed.take(), left, shown, std::mem::take(&mut run.playing.printed)))
    });
    let (failed, left, inputs, printed) = state.unwrap_or_default();
    let mut report = match (called, failed) {
        (Ok(()), None) => match left {
            None => return Ok(()),
            Some(Failed { message, shown, why }) => {
                let mut report = Report { line, shown: inputs, why: Vec::new() };
                report.shown.extend(shown);
                report.why.push(message);
                report.why.extend(why);
                report
            }
        },
        // It was caught, and is true nevertheless.
        (Ok(()), Some(failed)) => Report {
            line,
            shown: failed.shown,
            why: std::iter::once(format!("{} (and the test has caught it)", failed.message))
                .chain(failed.why)
                .collect(),
        },
        (Err(error), failed) => placed(&error, failed, left, source, inputs),
    };
    report.why.extend(printed.into_iter().map(|line| format!("printed: {line}")));
    Err(report)
}

/// A failure with its place, its line, and a caret.
fn placed(
    error: &ScriptError,
    failed: Option<Failed>,
    left: Option<Failed>,
    source: &Source,
    inputs: Vec<String>,
) -> Report {
    let expected = failed.as_ref().is_some_and(|failed| failed.message == error.message);
    let mut why = vec![format!("{}{}", error.place(), error.message)];
    if error.file == source.name {
        why.extend(caret::shown(source, error.line, error.column));
    }
    // The innermost call is the test itself.
    for frame in error.chain.iter().filter(|frame| frame.function != "closure") {
        why.push(format!("in {} ({}:{}:{})", frame.function, frame.file, frame.line, frame.column));
    }
    why.extend(error.hint.iter().map(|hint| format!("hint: {hint}")));
    let shown = match failed.filter(|_| expected) {
        Some(failed) => {
            why.extend(failed.why);
            failed.shown
        }
        None => {
            why.extend(left.into_iter().flat_map(|left| left.why));
            inputs
        }
    };
    Report { line: error.line, shown, why }
}

/// What nobody expected, in all worlds.
fn leftovers(playing: &Playing) -> Option<Failed> {
    let mut failed = Failed::default();
    let mut messages = Vec::new();
    for world in &playing.worlds {
        failed.why.extend(world.trouble());
        if world.strict {
            failed.shown.extend(world.left(None));
        }
    }
    if !failed.shown.is_empty() {
        messages.push("the bot has said what nobody expected");
        failed.why.push(
            "hint: `expect` it, pass over it with `skip()`, or write `sim(…, #{ strict: false })`".to_owned(),
        );
    }
    if playing.worlds.iter().any(|world| !world.failures.is_empty()) {
        messages.push("a script has failed");
    }
    if playing.worlds.iter().any(|world| !world.unexpected.is_empty()) {
        messages.push("a script has asked the web for what is not there");
    }
    failed.message = messages.join(", and ");
    (!messages.is_empty()).then_some(failed)
}
