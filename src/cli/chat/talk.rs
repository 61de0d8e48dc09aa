//! One conversation: what is typed becomes what somebody says or what happens, and what the bot says is shown.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::cli::chat::person;
use crate::cli::chat::record::Record;
use crate::cli::{Common, Failure};
use crate::config::units;
use crate::jid::BareJid;
use crate::moment::Moment;
use crate::ops::render::{Format, render};
use crate::ops::scripts::diagnostic;
use crate::printable::printable;
use crate::script::error::ScriptError;
use crate::script::inspect::inspect;
use crate::script::testing::chosen::Choice;
use crate::script::trace::Trace;
use crate::sim::broken::Broken;
use crate::sim::casting::{Cast, Roles, Troupe};
use crate::sim::world::{Place, World};

/// The words that are no talk.
const WORDS: &[(&str, &str)] = &[
    ("/as", "/as bob          speak as somebody else"),
    ("/crash", "/crash           kill the bot's program; /start runs it again"),
    ("/down", "/down            cut the connection; /up mends it"),
    ("/fill", "/fill sides=6    fill a field of the form that is open"),
    ("/help", "/help            this"),
    ("/menu", "/menu            the bot's commands, as your client shows them"),
    ("/open", "/open roll       begin one of them"),
    ("/press", "/press           send the form; /press next, prev, complete or cancel"),
    ("/quit", "/quit            leave"),
    ("/room", "/room team@…     speak in a room; /room alone comes back"),
    ("/start", "/start           run the bot's program again"),
    ("/up", "/up              mend the connection"),
    ("/wait", "/wait 15m        let time pass"),
    (
        "/why",
        "/why             which handlers saw the last event, why the others did not, and what came of it",
    ),
    ("/xml", "/xml             the stanzas of the last thing that happened"),
];
/// Columns for names, so that texts stand below each other.
const NAME: usize = 12;

/// What a line leads to.
pub enum Turn {
    /// The next one.
    Next,
    /// The end.
    Quit,
}

/// A conversation.
pub struct Talk<'a> {
    world: World,
    troupe: Troupe,
    roles: Roles,
    cast: Cast,
    me: BareJid,
    room: Option<BareJid>,
    record: Record,
    /// When each script file was last changed.
    seen: Vec<(PathBuf, Option<SystemTime>)>,
    failures: Vec<ScriptError>,
    /// Ids of the events that are known.
    known: BTreeSet<String>,
    /// The events of the last thing that led to any.
    events: Vec<Trace>,
    stanzas: Vec<String>,
    common: &'a Common,
}

impl<'a> Talk<'a> {
    /// Starts the bot in a world of its own.
    pub fn begin(troupe: Troupe, roles: Roles, name: &str, common: &'a Common) -> Result<Self, Failure> {
        let cast = troupe.cast(&roles, Path::new("")).map_err(Failure::Problems)?;
        let me = person(name, cast.setup.bot.jid.domain())?;
        let world = World::new(cast.setup.clone()).map_err(|broken| Failure::new(broken.to_string()))?;
        let seen = changes(&cast);
        let mut talk = Self {
            world,
            troupe,
            roles,
            cast,
            me,
            room: None,
            record: Record::default(),
            seen,
            failures: Vec::new(),
            known: BTreeSet::new(),
            events: Vec::new(),
            stanzas: Vec::new(),
            common,
        };
        talk.world.welcome(&talk.me.clone()).map_err(|broken| Failure::new(broken.to_string()))?;
        talk.show();
        Ok(talk)
    }

    /// Who is who, in one line.
    pub fn introduce(&self) {
        let scripts: Vec<String> = self
            .world
            .scripts()
            .iter()
            .map(|used| format!("{} {}", used.name, used.compiled.version()))
            .collect();
        println!("{} · you are {} · time stands at {} · /help", scripts.join(", "), self.me, self.clock());
    }

    /// What stands before a line.
    pub fn prompt(&self) -> String {
        let me = self.me.local().unwrap_or_default();
        match &self.room {
            Some(room) => format!("{me} → {room}  "),
            None => format!("{me} → {}  ", self.cast.setup.bot.name),
        }
    }

    /// What Tab completes: the words with a slash, and the commands of the bot.
    pub fn words(&self) -> Vec<String> {
        let now = Moment { at: std::time::Instant::now(), wall: self.cast.setup.now };
        let mut words: BTreeSet<String> = WORDS.iter().map(|(word, _)| (*word).to_owned()).collect();
        words.insert("!help".to_owned());
        for used in self.world.scripts() {
            let Ok(seen) = inspect(used, now) else { continue };
            let names =
                seen.commands.iter().filter_map(|command| command.usage.split(' ').next().map(str::to_owned));
            words.extend(names);
        }
        words.into_iter().collect()
    }

    /// Takes over scripts that were saved since the last line; whether there were any. One with mistakes changes
    /// nothing.
    pub fn follow_files(&mut self) -> bool {
        let now = changes(&self.cast);
        if now == self.seen {
            return false;
        }
        self.seen = now;
        match self.troupe.cast(&self.roles, Path::new("")) {
            Ok(cast) => {
                let versions: Vec<String> = cast
                    .setup
                    .bot
                    .scripts
                    .iter()
                    .zip(self.world.scripts())
                    .filter(|(new, old)| new.compiled.version() != old.compiled.version())
                    .map(|(new, old)| {
                        format!("{}: {} → {}", new.name, old.compiled.version(), new.compiled.version())
                    })
                    .collect();
                if versions.is_empty() {
                    return false;
                }
                let scripts = cast.setup.bot.scripts.clone();
                self.cast = cast;
                let swapped = self.world.swap(scripts);
                println!("· {}", versions.join(", "));
                self.after(swapped);
                true
            }
            Err(problems) => {
                eprint!("{}", render(&problems, Format::Human(self.common.style(true))));
                println!("· not taken over: the version before goes on");
                false
            }
        }
    }

    /// Does what a line says.
    pub fn take(&mut self, line: &str) -> Turn {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        match word {
            "" => {}
            "/quit" | "/q" => return Turn::Quit,
            "/help" => WORDS.iter().for_each(|(_, help)| println!("  {help}")),
            "/as" => self.speak_as(rest),
            "/room" => self.go_to(rest),
            "/wait" => self.wait(rest),
            "/crash" => self.happen("crash", World::crash),
            "/start" => self.happen("start", World::start),
            "/down" => self.happen("link down", World::link_down),
            "/up" => self.happen("link up", World::link_up),
            "/menu" | "/open" | "/fill" | "/press" => self.choose(&word[1..], rest),
            "/why" => self.why(),
            "/xml" => self.stanzas.iter().for_each(|stanza| println!("  {}", printable(stanza))),
            _ if word.starts_with('/') && word.len() > 1 && !word[1..].contains('/') && word != "/me" => {
                let near = crate::diagnostic::did_you_mean(word, WORDS.iter().map(|(word, _)| *word));
                println!("· no word `{word}`; {}", near.unwrap_or_else(|| "/help lists them".to_owned()));
            }
            _ => self.say(line),
        }
        Turn::Next
    }

    /// Writes the conversation as a test.
    pub fn save(&self, file: &Path) -> Result<(), Failure> {
        let mut header: Vec<String> = match &self.roles.bot {
            Some(bot) => vec![format!("bot: {bot}")],
            None => Vec::new(),
        };
        if self.roles.bot.is_none() {
            // Tests name scripts from their own folder; a whole path is right from anywhere.
            let whole = |file: &PathBuf| file.canonicalize().unwrap_or_else(|_| file.clone());
            header.extend(self.cast.files.iter().map(|file| format!("script: {}", whole(file).display())));
        }
        let start = self.cast.setup.now.to_zoned(self.cast.zone.clone());
        header.push(format!("now: {start}"));
        self.record
            .write(&header, file)
            .map_err(|error| Failure::new(format!("`{}`: {error}", file.display())))?;
        println!("saved {}", file.display());
        Ok(())
    }

    fn say(&mut self, text: &str) {
        let who = self.known_as(&self.me);
        self.record.says(&who, text);
        let said = self.world.says(&self.me.clone(), self.room.clone().as_ref(), text);
        self.after(said);
    }

    fn speak_as(&mut self, name: &str) {
        match person(name, self.cast.setup.bot.jid.domain()) {
            Ok(jid) => {
                let welcome = self.world.welcome(&jid);
                self.me = jid;
                self.after(welcome);
            }
            Err(failure) => self.common.say(&failure),
        }
    }

    fn go_to(&mut self, room: &str) {
        let room = match room {
            "" => None,
            room => match BareJid::parse(room) {
                Ok(jid) if jid.local().is_some() => Some(jid),
                _ => return println!("· `{room}` is no room: write `/room team@rooms.example.org`"),
            },
        };
        if let Some(jid) = &room
            && !self.cast.setup.session.rooms.iter().any(|known| known.jid == *jid)
        {
            println!("· the bot is not in {jid}: put it under `rooms:` of the bot to let it hear you there");
        }
        self.record.place(room.as_ref().map(|room| room.as_str()));
        self.room = room;
    }

    fn wait(&mut self, span: &str) {
        match units::duration(span) {
            Ok(span) if span <= Duration::from_secs(366 * 86_400) => {
                self.record.direction(&format!("+{}s", span.as_secs()));
                let passed = self.world.advance(span);
                self.after(passed);
                println!("· it is {}", self.clock());
            }
            _ => println!("· `{span}` is no time to wait: write `/wait 15m`, at most a year"),
        }
    }

    /// What a client does with the bot's commands.
    fn choose(&mut self, word: &str, rest: &str) {
        let who = self.known_as(&self.me);
        let parsed = Choice::parse(word, format!("{who} {rest}").trim_end());
        match parsed {
            Some(Ok((who, choice))) => {
                let me = self.me.clone();
                self.happen(choice.written(&who).trim_end(), |world| world.choose_aloud(&me, &choice));
            }
            Some(Err(_)) | None => {
                println!("· write /menu, /open roll, /fill sides=6, /press or /press cancel")
            }
        }
    }

    fn happen(&mut self, direction: &str, what: impl FnOnce(&mut World) -> Result<(), Broken>) {
        let happened = what(&mut self.world);
        if happened.is_ok() {
            self.record.direction(direction);
        }
        self.after(happened);
    }

    /// The last events as `rhapsode why` tells them, and the failures with their lines.
    fn why(&self) {
        if self.events.is_empty() {
            println!("· nothing has reached the bot yet");
        }
        for (at, event) in self.events.iter().enumerate() {
            let gap = if at > 0 { "\n" } else { "" };
            println!("{gap}{}", event.explain(&self.cast.setup.bot.name).trim_end());
        }
        for failure in &self.failures {
            eprint!("{}", render(&[diagnostic(failure)], Format::Human(self.common.style(true))));
        }
    }

    /// Shows what came of it.
    fn after(&mut self, outcome: Result<(), Broken>) {
        if let Err(broken) = outcome {
            println!("· {broken}");
        }
        self.show();
    }

    fn show(&mut self) {
        self.stanzas = self.world.take_stanzas();
        self.notice();
        for line in self.world.unheard() {
            let (here, to) = match &line.place {
                Place::Room(room) => (self.room.as_ref() == Some(room), room.to_string()),
                Place::Direct(jid) => (self.room.is_none() && *jid == self.me, self.known_as(jid)),
            };
            let text = line.text.lines().map(printable).collect::<Vec<_>>().join(&format!("\n{:NAME$} ", ""));
            let bot = &self.cast.setup.bot.name;
            if here {
                println!("{bot:NAME$} {text}");
            } else {
                println!("{bot} → {to}  {text}");
            }
            self.record.heard((!here).then_some(to.as_str()), &line.text);
        }
        self.failures = self.world.take_failures();
        for failure in &self.failures {
            eprint!("{}", render(&[diagnostic(failure)], Format::Human(self.common.style(true))));
        }
        for request in self.world.take_unexpected() {
            println!("· {request}: nobody answers here; the script is told that the connection failed");
        }
    }

    /// Finds the events that are new; where nothing is, those from before stay the last ones.
    fn notice(&mut self) {
        let all = self.world.traces();
        let new: Vec<Trace> = all.iter().filter(|event| !self.known.contains(&event.id)).cloned().collect();
        if !new.is_empty() {
            self.events = new;
        }
        self.known = all.into_iter().map(|event| event.id).collect();
    }

    /// A name where that is enough, else the address.
    fn known_as(&self, jid: &BareJid) -> String {
        let home = jid.domain() == self.cast.setup.bot.jid.domain();
        jid.local().filter(|_| home).map_or_else(|| jid.to_string(), str::to_owned)
    }

    fn clock(&self) -> String {
        self.world.now().wall.to_zoned(self.cast.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
    }
}

fn changes(cast: &Cast) -> Vec<(PathBuf, Option<SystemTime>)> {
    let changed = |file: &PathBuf| std::fs::metadata(file).and_then(|meta| meta.modified()).ok();
    let imports = cast.setup.bot.scripts.iter().flat_map(|used| used.compiled.imports());
    cast.files.iter().chain(imports).map(|file| (file.clone(), changed(file))).collect()
}
