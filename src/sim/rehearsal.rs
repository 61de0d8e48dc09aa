//! Tests written in Rhai, `*.test.rhai`: what they ask of a world, done in this one.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::diagnostic::{Diagnostic, Place as Range};
use crate::jid::BareJid;
use crate::ns;
use crate::ops::scripts::diagnostic;
use crate::script::check::check;
use crate::script::error::ScriptError;
use crate::script::hook::{HookRequest, HookResponse};
use crate::script::testing::chosen::{Answer, Choice};
use crate::script::testing::stage::{Act, Heard, Opening, Place as Where, Sent, Sign, Stage, Theatre};
use crate::script::testing::{self, Verdict};
use crate::script::{WebhookGrant, testing::Report};
use crate::secret::Password;
use crate::sim::broken::Broken;
use crate::sim::casting::{Roles, Troupe};
use crate::sim::play;
use crate::sim::suite::{Failure, Outcome, Ran, Wanted};
use crate::sim::transcript;
use crate::sim::world::acts::To;
use crate::sim::world::{Done, Place, World};
use crate::xml::Element;

/// Keys that a test can look at at once.
const KEYS: usize = 1_000;

/// Messages in rooms whose place is remembered.
const SAID: usize = 10_000;

/// Runs the tests of a file.
///
/// # Errors
/// The file cannot be read, calls what is not there, or its top level fails.
pub fn file(troupe: &Troupe, path: &Path, wanted: &Wanted) -> Ran {
    let source = play::source(path).map_err(|problem| vec![problem])?;
    let mistakes: Vec<Diagnostic> =
        check(path, &source.text).diagnostics.into_iter().filter(Diagnostic::is_error).collect();
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let near = path.parent().unwrap_or(Path::new("")).to_owned();
    let own = Troupe { root: troupe.root.clone(), settings: troupe.settings.clone() };
    let theatre = Box::new(Rehearsal { troupe: own, near });
    let verdicts = testing::run(
        path,
        &source.text,
        theatre,
        &|name| wanted.wants(path, name),
        wanted.time.unwrap_or(testing::TIME),
    );
    let verdicts = verdicts.map_err(|error| vec![diagnostic(&error)])?;
    if verdicts.is_empty() && wanted.filters.is_empty() {
        let empty = Diagnostic::error("chat::empty", "there is no test in this file");
        let empty = empty.at(Range::new(&source, 0..0), "");
        return Err(vec![empty.hint("declare one: `test(\"its name\", || { … });`")]);
    }
    Ok(verdicts.into_iter().map(|verdict| outcome(path, verdict)).collect())
}

fn outcome(path: &Path, verdict: Verdict) -> Outcome {
    let Verdict { name, line, result, elapsed } = verdict;
    let (line, result) = match result {
        Ok(()) => (line, Ok(())),
        Err(Report { line: at, shown, why }) => {
            let line = if at == 0 { line } else { at };
            (line, Err(Failure { shown, why, edits: Vec::new() }))
        }
    };
    Outcome { file: path.to_owned(), line, name, result, elapsed }
}

/// Builds worlds for the tests of one file.
struct Rehearsal {
    troupe: Troupe,
    /// The folder from which scripts are named.
    near: PathBuf,
}

impl Theatre for Rehearsal {
    fn open(&self, opening: &Opening) -> Result<Box<dyn Stage>, Vec<Diagnostic>> {
        let told = |message: String| vec![Diagnostic::error("chat::cast", message)];
        let now = match &opening.now {
            Some(text) => Some(transcript::moment(text).ok_or_else(|| {
                let wrong = Diagnostic::error("chat::cast", format!("`{text}` is no moment"));
                vec![wrong.hint("write `2026-11-23T08:59:00[Europe/Oslo]` or `2026-11-23T08:59:00Z`")]
            })?),
            None => None,
        };
        let roles = Roles {
            scripts: opening.scripts.clone(),
            bot: opening.bot.clone(),
            config: opening.config.clone(),
            // The test lets the bot enter them when the world is there.
            rooms: Vec::new(),
            now,
            seed: opening.seed,
        };
        let mut setup = self.troupe.cast(&roles, &self.near)?.setup;
        for script in &mut setup.bot.scripts {
            for name in &opening.webhooks {
                script.permissions.webhooks.insert(name.clone(), WebhookGrant { open: true });
            }
            for (name, secret) in &opening.secrets {
                script.permissions.secrets.insert(name.clone(), Password::new(secret.clone()));
            }
        }
        let scripts = setup.bot.scripts.iter().map(|script| script.name.clone()).collect();
        let mut world = World::new(setup).map_err(|broken| told(broken.to_string()))?;
        world.limit(opening.deadline);
        for (role, people) in &opening.roles {
            for who in people {
                let granted = world.address(who).and_then(|who| world.grant(&who, role));
                granted.map_err(|broken| told(broken.to_string()))?;
            }
        }
        Ok(Box::new(Played { world, scripts, said: VecDeque::new() }))
    }
}

/// One world of a test.
struct Played {
    world: World,
    /// Names of the scripts.
    scripts: Vec<String>,
    /// What was said in rooms, by id: where, and whether to the bot alone.
    said: VecDeque<(String, BareJid, bool)>,
}

impl Stage for Played {
    fn act(&mut self, act: &Act) -> Result<String, String> {
        self.does(act).map_err(|broken| broken.to_string())
    }

    fn heard(&mut self) -> Vec<Heard> {
        let gestures = self.world.take_gestures().into_iter().map(|gesture| Heard {
            place: place(&gesture.place),
            what: match gesture.what {
                Done::Presence(kind) => Sign::Presence(kind),
                Done::Reaction(emoji) => Sign::Reaction(emoji),
            },
            id: String::new(),
        });
        let mut heard: Vec<Heard> = gestures.collect();
        let lines = self.world.unheard();
        for line in &lines {
            if let Place::Room(room) = &line.place {
                self.note(&line.id, room, false);
            }
        }
        heard.extend(lines.into_iter().map(|line| Heard {
            place: place(&line.place),
            what: Sign::Text(line.text),
            id: line.id,
        }));
        heard
    }

    fn failures(&mut self) -> Vec<ScriptError> {
        self.world.take_failures()
    }

    fn unexpected(&mut self) -> Vec<String> {
        self.world.take_unexpected()
    }

    fn address(&self, name: &str) -> Result<String, String> {
        self.world.address(name).map(|jid| jid.to_string()).map_err(|broken| broken.to_string())
    }

    fn sent(&self) -> usize {
        self.world.sent()
    }

    fn stored(&self, script: Option<&str>) -> Result<BTreeMap<String, Value>, String> {
        let known = self.scripts.iter().find(|name| script.is_none_or(|script| *name == script));
        let Some(known) = known else {
            return Err(format!("the bot has no script `{}`", script.unwrap_or_default()));
        };
        let all = self.world.stored(known, KEYS + 1).map_err(|why| why.to_string())?;
        if all.len() > KEYS {
            return Err(format!("the script has stored more than {KEYS} values"));
        }
        Ok(all)
    }

    fn occupants(&self, room: &str) -> Vec<String> {
        BareJid::parse(room).map(|room| self.world.occupants(&room)).unwrap_or_default()
    }

    fn call_hook(&mut self, name: &str, request: HookRequest) -> Result<HookResponse, String> {
        self.world.call_hook(name, request).map_err(|broken| broken.to_string())
    }

    fn choose(&mut self, who: &str, choice: &Choice) -> Result<Answer, String> {
        let chosen = self.world.address(who).and_then(|who| self.world.choose(&who, choice));
        chosen.map_err(|broken| broken.to_string())
    }

    fn now(&self) -> String {
        self.world.now().wall.to_string()
    }

    fn is_online(&self) -> bool {
        self.world.is_online()
    }
}

impl Played {
    fn does(&mut self, act: &Act) -> Result<String, Broken> {
        let world = &mut self.world;
        let done = match act {
            Act::Advance(span) => world.advance(*span),
            Act::Crash => world.crash(),
            Act::Enter(room) => world.address(room).and_then(|room| world.enter(&room)),
            Act::Grant { who, role } => world.address(who).and_then(|who| world.grant(&who, role)),
            Act::Http { method, url, answer } => {
                world.answer_with(method, url, answer.clone());
                Ok(())
            }
            Act::Join { who, room } => {
                let (who, room) = (world.address(who)?, world.address(room)?);
                world.join(&who, &room)
            }
            Act::Kick { room, code } => {
                let room = match room.as_str() {
                    "" => only(world)?,
                    room => world.address(room)?,
                };
                world.kick(&room, *code)
            }
            Act::Leave { who, room } => {
                let (who, room) = (world.address(who)?, world.address(room)?);
                world.leave(&who, &room)
            }
            Act::Link(true) => world.link_up(),
            Act::Link(false) => world.link_down(),
            Act::Send { who, room, whispered, what } => {
                let who = world.address(who)?;
                let room = room.as_ref().map(|room| world.address(room)).transpose()?;
                let room = room.map(|room| (room, *whispered)).or_else(|| self.place_of(what));
                let to = match &room {
                    Some((room, true)) => To::Aside(room),
                    Some((room, false)) => To::Room(room),
                    None => To::Bot,
                };
                let id = self.world.send(&who, to, children(&self.as_known(what, room.as_ref())))?;
                if let Some((room, whispered)) = &room {
                    self.note(&id, room, *whispered);
                }
                return Ok(id);
            }
            Act::Start => world.start(),
            Act::Subscribe { who, on } => world.address(who).and_then(|who| world.subscribe(&who, *on)),
        };
        done.map(|()| String::new())
    }
}

impl Played {
    /// Remembers where something was said; the oldest is forgotten in time.
    fn note(&mut self, id: &str, room: &BareJid, whispered: bool) {
        if self.said.len() >= SAID {
            self.said.pop_front();
        }
        self.said.push_back((id.to_owned(), room.clone(), whispered));
    }

    /// What people do to a message of a room names it as the room does; a correction as its sender did. XEP-0308 §3,
    /// XEP-0424 §5.1, XEP-0444 §3.1
    fn as_known(&self, what: &Sent, room: Option<&(BareJid, bool)>) -> Sent {
        let Some((room, false)) = room else { return what.clone() };
        match what {
            Sent::Edit { .. } | Sent::Text(_) => what.clone(),
            Sent::Reaction { id, emoji } => {
                Sent::Reaction { id: self.world.id_in(room, id), emoji: emoji.clone() }
            }
            Sent::Retraction { id } => Sent::Retraction { id: self.world.id_in(room, id) },
        }
    }

    /// What is done to a message is done where it was said.
    fn place_of(&self, what: &Sent) -> Option<(BareJid, bool)> {
        let about = match what {
            Sent::Edit { id, .. } | Sent::Reaction { id, .. } | Sent::Retraction { id } => id,
            Sent::Text(_) => return None,
        };
        let known = self.said.iter().rev().find(|(id, ..)| id == about);
        known.map(|(_, room, whispered)| (room.clone(), *whispered))
    }
}

/// The only room of the bot.
fn only(world: &World) -> Result<BareJid, Broken> {
    let mut rooms = world.rooms();
    match (rooms.next(), rooms.next()) {
        (Some(room), None) => Ok(room.clone()),
        (None, _) => Err(Broken::NotNow { what: "the bot is in no room: call `room` first" }),
        (Some(_), Some(_)) => {
            Err(Broken::NotNow { what: "the bot is in several rooms: call `kick` of one of them" })
        }
    }
}

fn place(place: &Place) -> Where {
    match place {
        Place::Direct(jid) => Where::Direct(jid.to_string()),
        Place::Room(jid) => Where::Room(jid.to_string()),
    }
}

fn children(what: &Sent) -> Vec<Element> {
    let body = |text: &str| Element::new("body", ns::CLIENT).with_text(text.to_owned());
    match what {
        Sent::Text(text) => vec![body(text)],
        Sent::Edit { id, text } => {
            let replace = Element::new("replace", "urn:xmpp:message-correct:0").with_attr("id", id.clone());
            vec![body(text), replace]
        }
        Sent::Reaction { id, emoji } => {
            let ns = "urn:xmpp:reactions:0";
            let mut reactions = Element::new("reactions", ns).with_attr("id", id.clone());
            for emoji in emoji {
                reactions.push(Element::new("reaction", ns).with_text(emoji.clone()));
            }
            vec![reactions, Element::new("store", "urn:xmpp:hints")]
        }
        Sent::Retraction { id } => {
            let retract = Element::new("retract", "urn:xmpp:message-retract:1").with_attr("id", id.clone());
            vec![retract, Element::new("store", "urn:xmpp:hints")]
        }
    }
}
