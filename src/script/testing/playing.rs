//! The test that runs on this thread: its worlds, what was heard in them, and why it fails.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Instant;

use rhai::{EvalAltResult, FnPtr, GlobalRuntimeState, Position};

use crate::script::error::{Kind, ScriptError, Thrown};
use crate::script::memory;
use crate::script::testing::stage::{Act, Heard, Place, Sign, Stage, Theatre};

/// Inputs that are shown with a failure.
const SHOWN: usize = 3;
/// Lines that are shown with a failure.
pub(super) const LINES: usize = 20;
/// What a world has said and nobody has looked at.
const UNHEARD: usize = 10_000;

thread_local! {
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
}

/// The run of one file.
pub(in crate::script) struct Run {
    pub theatre: Box<dyn Theatre + Send>,
    pub declared: Vec<Declared>,
    /// Whether the top level still runs.
    pub declaring: bool,
    /// The engine's state behind the last statement.
    pub loaded: Option<GlobalRuntimeState>,
    pub playing: Playing,
}

/// A test as it was declared.
pub(in crate::script) struct Declared {
    pub name: String,
    pub function: FnPtr,
    pub place: Position,
}

/// The test that runs.
pub(in crate::script) struct Playing {
    pub worlds: Vec<World>,
    pub deadline: Instant,
    /// The last things that happened.
    pub inputs: VecDeque<String>,
    /// What was found first; a `catch` does not make it right.
    pub failed: Option<Failed>,
    /// What the test has printed.
    pub printed: Vec<String>,
}

/// Why a test fails.
#[derive(Clone, Default)]
pub(in crate::script) struct Failed {
    pub message: String,
    pub shown: Vec<String>,
    /// Further lines about it.
    pub why: Vec<String>,
}

/// One world of the test.
pub(in crate::script) struct World {
    pub stage: Box<dyn Stage>,
    /// Whether what nobody expected is a failure.
    pub strict: bool,
    pub heard: VecDeque<Heard>,
    pub failures: Vec<ScriptError>,
    pub unexpected: Vec<String>,
}

impl Playing {
    pub(super) fn new(deadline: Instant) -> Self {
        Self { worlds: Vec::new(), deadline, inputs: VecDeque::new(), failed: None, printed: Vec::new() }
    }

    pub(super) fn note(&mut self, input: String) {
        if self.inputs.len() >= SHOWN {
            self.inputs.pop_front();
        }
        self.inputs.push_back(input);
    }

    /// Notes a failure and gives what ends the test. `lines` are what was expected and what came instead.
    pub(super) fn fail(&mut self, message: String, lines: Vec<String>, hint: Option<&str>) -> Thrown {
        let mut shown: Vec<String> = self.inputs.iter().map(|input| format!("  {input}")).collect();
        shown.extend(lines);
        let mut thrown = Thrown::new(Kind::Runtime, message.clone());
        if let Some(hint) = hint {
            thrown = thrown.hint(hint);
        }
        let why = self.worlds.iter().flat_map(World::trouble).collect();
        self.failed.get_or_insert(Failed { message, shown, why });
        thrown
    }
}

impl World {
    /// Takes over what has happened.
    pub(super) fn collect(&mut self) {
        self.heard.extend(self.stage.heard());
        self.failures.extend(self.stage.failures());
        self.unexpected.extend(self.stage.unexpected());
        self.heard.truncate(UNHEARD);
        self.failures.truncate(UNHEARD);
        self.unexpected.truncate(UNHEARD);
    }

    /// Does something to the world.
    pub(super) fn act(&mut self, act: &Act) -> Result<String, Thrown> {
        // The world is none of the script's memory.
        memory::uncounted(|| {
            let done = self.stage.act(act);
            self.collect();
            done.map_err(|why| Thrown::new(Kind::Runtime, why))
        })
    }

    /// What went wrong in scripts and on the web, in lines.
    pub(super) fn trouble(&self) -> Vec<String> {
        let failures = self
            .failures
            .iter()
            .flat_map(|error| error.to_string().lines().map(str::to_owned).collect::<Vec<_>>());
        let requests = self.unexpected.iter().map(|request| {
            format!(
                "nobody expected the request `{request}`: answer it with `t.http(\"{request}\", #{{ … }})`"
            )
        });
        failures.chain(requests).take(LINES).collect()
    }

    /// What the bot has said in a place, or anywhere, and nobody has expected, in lines.
    pub(super) fn left(&self, place: Option<&Place>) -> Vec<String> {
        let lines = self.heard.iter().filter(|heard| place.is_none_or(|place| heard.place == *place));
        lines
            .filter_map(|heard| match &heard.what {
                Sign::Text(text) => Some(line("+ ", &heard.place, text)),
                Sign::Presence(_) | Sign::Reaction(_) => None,
            })
            .flatten()
            .take(LINES)
            .collect()
    }
}

/// `+ bot → ann@example.org: text`, further lines below.
pub(super) fn line(mark: &str, place: &Place, text: &str) -> Vec<String> {
    let (Place::Direct(to) | Place::Room(to)) = place;
    let mut lines = text.split('\n');
    let first = lines.next().unwrap_or_default();
    let further = lines.map(|line| format!("{mark}    {line}"));
    std::iter::once(format!("{mark}bot → {to}: {first}")).chain(further).collect()
}

/// Begins the run of a file on this thread; whoever ends it takes it with [`end`].
pub(super) fn begin(run: Run) {
    RUN.with(|current| *current.borrow_mut() = Some(run));
}

/// Ends the run.
pub(super) fn end() -> Option<Run> {
    RUN.with(|current| current.borrow_mut().take())
}

/// Works on the run.
pub(in crate::script) fn with<T>(
    work: impl FnOnce(&mut Run) -> Result<T, Thrown>,
) -> Result<T, Box<EvalAltResult>> {
    let result = RUN.with(|current| match current.try_borrow_mut() {
        Ok(mut run) => match run.as_mut() {
            Some(run) => work(run),
            None => Err(Thrown::new(Kind::Forbidden, "this is only available while tests run")),
        },
        Err(_) => Err(Thrown::new(Kind::Panic, "a host function was called from within another")),
    });
    result.map_err(Into::into)
}

/// Works on the test that runs; refused at the top level.
pub(super) fn act<T>(work: impl FnOnce(&mut Playing) -> Result<T, Thrown>) -> Result<T, Box<EvalAltResult>> {
    with(|run| {
        if run.declaring {
            return Err(Thrown::new(Kind::Declaration, "only tests may stand at the top level")
                .hint("write `test(\"its name\", || { … });` around it"));
        }
        work(&mut run.playing)
    })
}

/// Works on one world of the test.
pub(super) fn world<T>(
    number: usize,
    work: impl FnOnce(&mut World) -> Result<T, Thrown>,
) -> Result<T, Box<EvalAltResult>> {
    act(|playing| work(known(playing, number)?))
}

/// One world of the test.
pub(super) fn known(playing: &mut Playing, number: usize) -> Result<&mut World, Thrown> {
    playing.worlds.get_mut(number).ok_or_else(|| {
        Thrown::new(Kind::Runtime, "this world belongs to a test that is over")
            .hint("each test has worlds of its own: call `sim` in it")
    })
}
