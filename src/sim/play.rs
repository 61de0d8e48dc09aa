//! Plays a conversation: each line in its order against a world, and nothing else may be said.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::diagnostic::{self, Diagnostic, Source};
use crate::jid::BareJid;
use crate::sim::broken::Broken;
use crate::sim::casting::{Cast, Roles, Troupe};
use crate::sim::compare::{Awaited, Round};
use crate::sim::leftover::Leftover;
use crate::sim::suite::{Edit, Failure, Outcome, Wanted};
use crate::sim::transcript::{self, Direction, Header, LONGEST, Section, Step, Transcript, What};
use crate::sim::world::{Place, World};

/// Runs the conversations of a file. A conversation has a world of its own, unless the header says `keep:`.
///
/// # Errors
/// The file cannot be read, or its scripts are not there or do not compile.
pub fn file(troupe: &Troupe, path: &Path, wanted: &Wanted) -> Result<Vec<Outcome>, Vec<Diagnostic>> {
    let source = source(path).map_err(|problem| vec![problem])?;
    let transcript = transcript::parse(&source)?;
    if transcript.sections.is_empty() {
        let empty = Diagnostic::error("chat::empty", "there is no conversation in this file");
        let start = diagnostic::Place::new(&source, 0..0);
        return Err(vec![empty.at(start, "").hint("begin one with `== its name`")]);
    }
    if !transcript.sections.iter().any(|section| wanted.wants(path, &section.name)) {
        return Ok(Vec::new());
    }
    let cast = cast(troupe, &transcript, path)?;
    let (mut kept, mut leftover) = (None, Leftover::default());
    let mut outcomes = Vec::new();
    for section in &transcript.sections {
        let counts = wanted.wants(path, &section.name);
        // What a later conversation builds on has to happen, wanted or not.
        if !counts && !transcript.header.keep {
            continue;
        }
        let began = Instant::now();
        let before = kept.take().filter(|_| transcript.header.keep);
        let told = before.as_ref().map(|_| leftover.told());
        let (mut result, world) = conversation(&cast, section, path, before);
        if let (Err((_, failure)), Some(told)) = (&mut result, told) {
            failure.why.extend(told);
        }
        if let Some(world) = world.as_ref().filter(|_| transcript.header.keep) {
            leftover.look(world, &section.name);
        }
        kept = world;
        if counts {
            outcomes.push(outcome(path, section, result, began));
        }
    }
    Ok(outcomes)
}

/// The text of a test, as it is shown.
///
/// # Errors
/// It cannot be read, or is too long.
pub fn source(path: &Path) -> Result<Arc<Source>, Diagnostic> {
    let text = bounded(path);
    let shown = path.display().to_string();
    text.map(|text| Source::new(shown, text))
        .map_err(|why| Diagnostic::error("chat::unreadable", format!("`{}`: {why}", path.display())))
}

/// A text file that is not longer than any test.
fn bounded(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|why| why.to_string())?;
    let mut text = String::new();
    let read = file.take(LONGEST as u64 + 1).read_to_string(&mut text).map_err(|why| why.to_string())?;
    if read > LONGEST { Err(format!("is longer than {LONGEST} bytes")) } else { Ok(text) }
}

/// Plays one conversation in a world of its own.
pub(super) fn alone(cast: &Cast, section: &Section, path: &Path) -> Outcome {
    let began = Instant::now();
    let (result, _) = conversation(cast, section, path, None);
    outcome(path, section, result, began)
}

fn outcome(file: &Path, section: &Section, result: Result<(), (usize, Failure)>, began: Instant) -> Outcome {
    let (line, result) = match result {
        Ok(()) => (section.line, Ok(())),
        Err((line, failure)) => (line, Err(failure)),
    };
    Outcome { file: file.to_owned(), line, name: section.name.clone(), result, elapsed: began.elapsed() }
}

/// Who plays, as the header says. Problems get the place of the line that brought them.
fn cast(troupe: &Troupe, transcript: &Transcript, path: &Path) -> Result<Cast, Vec<Diagnostic>> {
    let header = &transcript.header;
    let roles = Roles {
        scripts: header.scripts.iter().map(|(script, _)| script.clone()).collect(),
        bot: header.bot.as_ref().map(|(bot, _)| bot.clone()),
        config: header.config.clone(),
        rooms: header.rooms.clone(),
        now: header.now.clone(),
        seed: header.seed,
    };
    let near = path.parent().unwrap_or(Path::new(""));
    let placed = |problem: Diagnostic| {
        if problem.place().is_some() {
            return problem;
        }
        let span = span_of(header, &problem.message);
        problem.at(diagnostic::Place::new(&transcript.source, span), "")
    };
    let found = troupe.cast(&roles, near);
    found.map_err(|problems| problems.into_iter().map(placed).collect())
}

/// The header's line that a problem is about.
fn span_of(header: &Header, message: &str) -> std::ops::Range<usize> {
    let lines = header.scripts.iter().chain(&header.bot);
    let about = lines.clone().find(|(text, _)| message.contains(&format!("`{text}`")));
    about.or_else(|| lines.clone().next()).map_or(0..0, |(_, span)| span.clone())
}

type Played = (Result<(), (usize, Failure)>, Option<World>);

/// Plays one conversation, in the world that is handed over or in a new one. The world comes back while it is whole.
fn conversation(cast: &Cast, section: &Section, path: &Path, kept: Option<World>) -> Played {
    let world = kept.map_or_else(|| World::new(cast.setup_for(section)), Ok);
    match world {
        Ok(world) => play(world, section, path),
        Err(broken) => (Err((section.line, Failure::because(broken.to_string()))), None),
    }
}

/// Plays one conversation in this world.
fn play(world: World, section: &Section, path: &Path) -> Played {
    let mut stage = Stage {
        world,
        path,
        section,
        room: None,
        spoke: None,
        round: Round::new(None, section.line + 1),
        first: None,
        edits: Vec::new(),
    };
    for (index, step) in section.steps.iter().enumerate() {
        if let Err(broken) = stage.step(index, step) {
            stage.close();
            let (line, mut failure) = stage.first.take().unwrap_or((step.line, Failure::default()));
            failure.why.push(broken.to_string());
            return (Err((line, failure)), None);
        }
    }
    stage.close();
    match stage.first.take() {
        None => (Ok(()), Some(stage.world)),
        Some((line, failure)) => (Err((line, Failure { edits: stage.edits, ..failure })), Some(stage.world)),
    }
}

/// A conversation while it is played.
struct Stage<'a> {
    world: World,
    path: &'a Path,
    section: &'a Section,
    /// Where `bot:` and people speak; between two where it is none.
    room: Option<String>,
    /// Who spoke last.
    spoke: Option<String>,
    /// What must be said before anything else happens.
    round: Round<'a>,
    /// The first round that went wrong.
    first: Option<(usize, Failure)>,
    /// What would make all of them right.
    edits: Vec<Edit>,
}

impl<'a> Stage<'a> {
    fn step(&mut self, index: usize, step: &'a Step) -> Result<(), Broken> {
        match &step.what {
            What::Place(room) => {
                self.room.clone_from(room);
                self.round.moved(step.end);
                Ok(())
            }
            What::Expect { to, text } => {
                let place = self.place(to.as_deref())?;
                self.round.await_line(Awaited { step, to: to.as_deref(), pattern: text, place });
                Ok(())
            }
            What::Says { who, text } => {
                self.next(step);
                self.spoke = Some(who.clone());
                let (who, room) = (self.world.address(who)?, self.here()?);
                self.world.says(&who, room.as_ref(), text)
            }
            What::Do(direction) => {
                self.next(step);
                self.direct(index, direction)
            }
        }
    }

    /// Ends what was awaited; this step comes next.
    fn next(&mut self, step: &'a Step) {
        self.close();
        self.round = Round::new(Some(step), step.end);
    }

    fn close(&mut self) {
        let here = self.place(None).ok().flatten();
        let heard = self.world.unheard();
        let mut failure = self.round.failure(heard, here.as_ref(), self.world.bot().domain());
        for error in self.world.take_failures() {
            let failure = failure.get_or_insert_with(|| self.round.unchanged());
            failure.1.why.extend(error.to_string().lines().map(str::to_owned));
        }
        for request in self.world.take_unexpected() {
            let failure = failure.get_or_insert_with(|| self.round.unchanged());
            failure.1.why.push(format!("nobody expected the request `{request}`"));
            failure.1.why.push(format!("hint: write `* http {request} → 200 the answer` before it"));
        }
        if let Some((line, failure)) = failure {
            self.edits.extend(failure.edits.iter().cloned());
            self.first.get_or_insert((line, failure));
        }
    }

    fn here(&self) -> Result<Option<BareJid>, Broken> {
        self.room.as_deref().map(|room| self.world.address(room)).transpose()
    }

    /// Where `bot:` or `bot → to:` is said; unknown where nobody has spoken yet.
    fn place(&self, to: Option<&str>) -> Result<Option<Place>, Broken> {
        if let Some(to) = to {
            let place = self.world.address(to)?;
            let room = self.world.rooms().any(|room| *room == place);
            return Ok(Some(if room { Place::Room(place) } else { Place::Direct(place) }));
        }
        if let Some(room) = self.here()? {
            return Ok(Some(Place::Room(room)));
        }
        self.spoke.as_deref().map(|who| self.world.address(who).map(Place::Direct)).transpose()
    }

    fn direct(&mut self, index: usize, direction: &Direction) -> Result<(), Broken> {
        match direction {
            Direction::As { role, who } => {
                let following = self.section.steps[index..].iter().find_map(|step| match &step.what {
                    What::Says { who, .. } => Some(who),
                    What::Do(_) | What::Expect { .. } | What::Place(_) => None,
                });
                let Some(who) = who.as_ref().or(following).or(self.spoke.as_ref()) else {
                    return Err(Broken::NotNow { what: "nobody speaks who could have this role" });
                };
                let who = self.world.address(who)?;
                self.world.grant(&who, role)
            }
            Direction::Crash => self.world.crash(),
            Direction::Http { method, url, status, body, file } => {
                let body = match file {
                    Some(file) => {
                        let file = self.path.parent().unwrap_or(Path::new("")).join(file);
                        bounded(&file).map_err(|why| Broken::File { file, why })?
                    }
                    None => body.clone(),
                };
                self.world.answer(method, url, *status, &body);
                Ok(())
            }
            Direction::Join(who) => self.moves(who, World::join),
            Direction::Kick(code) => match self.here()? {
                Some(room) => self.world.kick(&room, *code),
                None => Err(Broken::NotNow { what: "a kick needs a room: write `[room@host]` before it" }),
            },
            Direction::Leave(who) => self.moves(who, World::leave),
            Direction::Link(true) => self.world.link_up(),
            Direction::Link(false) => self.world.link_down(),
            Direction::Menu { who, choice } => {
                self.spoke = Some(who.clone());
                let who = self.world.address(who)?;
                self.world.choose_aloud(&who, choice)
            }
            Direction::Start => self.world.start(),
            Direction::Wait(span) => self.world.advance(*span),
        }
    }

    fn moves(
        &mut self,
        who: &str,
        act: fn(&mut World, &BareJid, &BareJid) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        let who = self.world.address(who)?;
        match self.here()? {
            Some(room) => act(&mut self.world, &who, &room),
            None => {
                Err(Broken::NotNow { what: "there is no room to come to: write `[room@host]` before it" })
            }
        }
    }
}
