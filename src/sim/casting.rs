//! Who plays: from scripts, options and bots.yaml to the setup of a world.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde_json::{Map, Value};

use crate::actor::bot::speech;
use crate::actor::deps::session_config;
use crate::config::settings::Settings;
use crate::config::{self, Surroundings};
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::hosts::HostPattern;
use crate::jid::BareJid;
use crate::moment::Moment;
use crate::ops::scripts::{self, diagnostic};
use crate::script::inspect::inspect;
use crate::script::loader::compile;
use crate::script::{BotSpec, Limits, Permissions, ScriptUse};
use crate::session::SessionConfig;
use crate::session::rooms::DesiredRoom;
use crate::sim::transcript::Section;
use crate::sim::world::Setup;

/// A turn may take this long: the machine that runs the tests may be busy, and its pace is no part of the world.
const TURN: Duration = Duration::from_secs(5);
/// When nothing says when.
const NOW: &str = "2026-01-05T09:00:00Z";

/// Where scripts and bots are looked for.
pub struct Troupe {
    /// The folder of the project.
    pub root: PathBuf,
    /// What bots.yaml means, where there is one.
    pub settings: Option<Settings>,
}

/// Who plays, as a transcript, a test or the command line says.
#[derive(Clone, Debug, Default)]
pub struct Roles {
    /// Scripts, by file or by their name in bots.yaml.
    pub scripts: Vec<String>,
    /// The bot: its name, or an address.
    pub bot: Option<String>,
    /// Values for the scripts' options.
    pub config: BTreeMap<String, Value>,
    /// Rooms that the bot is in, beside those that bots.yaml names.
    pub rooms: Vec<String>,
    /// What the clock shows first.
    pub now: Option<Zoned>,
    /// From what chance follows.
    pub seed: Option<u64>,
}

/// What is found for them.
#[derive(Clone)]
pub struct Cast {
    /// The world to build.
    pub setup: Setup,
    /// The files of the scripts.
    pub files: Vec<PathBuf>,
    /// The zone of the clock.
    pub zone: TimeZone,
}

impl Cast {
    /// The world for one conversation: the bot is in the rooms where it plays.
    pub fn setup_for(&self, section: &Section) -> Setup {
        let mut setup = self.setup.clone();
        let nick = setup.bot.name.clone();
        for room in section.rooms().filter_map(|room| BareJid::parse(room).ok()) {
            enter(&mut setup.session, &nick, room);
        }
        setup
    }
}

/// The bot is in this room too.
fn enter(session: &mut SessionConfig, nick: &str, room: BareJid) {
    if !session.rooms.iter().any(|known| known.jid == room) {
        let nick = nick.to_owned();
        session.rooms.push(DesiredRoom { jid: room, nick, password: None, create: true });
    }
}

/// What a bots.yaml with mistakes means to whoever wants to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistakes {
    /// None of its bots is needed: it is as if there were none.
    PassOver,
    /// It is refused.
    Refuse,
    /// Secrets that are not on this machine only keep its bots from playing; it is refused for anything else.
    RefuseButSecrets,
}

impl Troupe {
    /// The folder of a bots.yaml, and what it means where nothing is wrong with it. Nobody logs in anywhere, so a
    /// variable that is not set is no mistake. The errors that were passed over come with it.
    ///
    /// # Errors
    /// What is wrong, as far as `mistakes` refuses it.
    pub fn of(file: &Path, mistakes: Mistakes) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let var = |name: &str| std::env::var(name).ok().or_else(|| Some("simulated".to_owned()));
        let found = config::inspect(file, &Surroundings { var: &var, run_commands: false });
        let root = file.parent().unwrap_or(Path::new("")).to_owned();
        let errors = found.diagnostics.into_iter().filter(Diagnostic::is_error);
        let passes = |problem: &Diagnostic| match mistakes {
            Mistakes::PassOver => true,
            Mistakes::Refuse => false,
            Mistakes::RefuseButSecrets => problem.name.starts_with("config::secret"),
        };
        let (passed, refused): (Vec<_>, Vec<_>) = errors.partition(passes);
        if refused.is_empty() { Ok((Self { root, settings: found.settings }, passed)) } else { Err(refused) }
    }

    /// Finds scripts and the bot. `near` is the folder from which files are named.
    ///
    /// # Errors
    /// Something is not there, or does not compile.
    pub fn cast(&self, roles: &Roles, near: &Path) -> Result<Cast, Vec<Diagnostic>> {
        let bots = self.settings.iter().flat_map(|settings| &settings.bots);
        let known = bots.clone().find(|bot| {
            let named = roles.bot.as_deref();
            named == Some(bot.name.as_str()) || named == Some(bot.jid.as_str())
        });
        let zone = match (&roles.now, known) {
            (Some(now), _) if *now.time_zone() != TimeZone::UTC => now.time_zone().clone(),
            (_, Some(bot)) => bot.timezone.clone(),
            _ => TimeZone::UTC,
        };
        let mut problems = Vec::new();
        let mut files = Vec::new();
        let mut uses = Vec::new();
        if roles.scripts.is_empty() {
            let Some((settings, bot)) = self.settings.as_ref().zip(known) else {
                let name = roles.bot.as_deref().unwrap_or_default();
                let missing = if name.is_empty() {
                    "no script is named".to_owned()
                } else {
                    format!("no bot `{name}` in bots.yaml")
                };
                return Err(vec![
                    Diagnostic::error("chat::cast", missing).hint("name a script: `script: help.rhai`"),
                ]);
            };
            let wanted: Vec<_> = settings
                .scripts
                .values()
                .filter(|script| bot.scripts.iter().any(|used| used.script == script.name))
                .cloned()
                .collect();
            let (library, broken) = scripts::load(&wanted);
            problems.extend(broken);
            files.extend(wanted.into_iter().map(|script| script.file));
            uses = scripts::uses(bot, &library);
        }
        for script in &roles.scripts {
            match self.script(script, near) {
                Ok((file, one)) => {
                    files.push(file);
                    uses.push(one);
                }
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        for used in &mut uses {
            used.limits = Limits { turn: used.limits.turn.max(TURN), ..used.limits };
            used.timezone = zone.clone();
        }
        let now =
            roles.now.as_ref().map_or_else(|| NOW.parse().unwrap_or(Timestamp::UNIX_EPOCH), Zoned::timestamp);
        let unknown = configure(&mut uses, &roles.config, now);
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let name =
            roles.bot.as_deref().unwrap_or_else(|| uses.first().map_or("bot", |used| used.name.as_str()));
        let name =
            known.map_or_else(|| name.split('@').next().unwrap_or("bot").to_owned(), |bot| bot.name.clone());
        let jid = match (known, roles.bot.as_deref().filter(|bot| bot.contains('@'))) {
            (Some(bot), _) => Ok(bot.jid.clone()),
            (None, Some(jid)) => BareJid::parse(jid),
            (None, None) => BareJid::parse(&format!("{}@example.org", name.replace(['/', ' '], "-"))),
        };
        let jid = jid.map_err(|why| {
            vec![
                Diagnostic::error("chat::cast", format!("the bot has no address: {why}"))
                    .hint("write `bot: help@example.org`"),
            ]
        })?;
        let mut session = match known {
            Some(bot) => session_config(bot, None, Arc::default()),
            // As bots.yaml has it where it says nothing.
            None => SessionConfig { commands: true, ..SessionConfig::new(jid.clone()) },
        };
        for room in &roles.rooms {
            let room = BareJid::parse(room).map_err(|why| {
                vec![Diagnostic::error("chat::cast", format!("`{room}` is no room: {why}"))]
            })?;
            enter(&mut session, &name, room);
        }
        let bot = BotSpec {
            name,
            jid,
            scripts: uses,
            queue: 1000,
            admins: known.map(|bot| bot.admins.clone()).unwrap_or_default(),
            schedules: known.map(|bot| bot.schedules.clone()).unwrap_or_default(),
            roles: known.map(|bot| bot.roles.clone()).unwrap_or_default(),
            speech: known.map(speech).unwrap_or_default(),
        };
        Ok(Cast { setup: Setup { bot, session, now, seed: roles.seed.unwrap_or(42) }, files, zone })
    }

    /// A script by its file or by its name.
    fn script(&self, script: &str, near: &Path) -> Result<(PathBuf, ScriptUse), Diagnostic> {
        let named = self
            .settings
            .as_ref()
            .and_then(|settings| settings.scripts.get(script))
            .map(|found| found.file.clone());
        let parent = near.parent().unwrap_or(near);
        let mut places = vec![
            near.join(script),
            parent.join("scripts").join(script),
            parent.join(script),
            self.root.join("scripts").join(script),
            self.root.join(script),
        ];
        places.extend(named);
        let with_ending: Vec<PathBuf> =
            places.iter().map(|place| place.with_added_extension("rhai")).collect();
        places.extend(with_ending);
        let Some(file) = places.into_iter().find(|place| place.is_file()) else {
            return Err(Diagnostic::error("chat::script", format!("no script `{script}`"))
                .hint("files are named from the folder of the test, or from `scripts` beside it"));
        };
        let file = tidy(&file);
        let text = std::fs::read_to_string(&file)
            .map_err(|why| Diagnostic::error("script::unreadable", format!("`{}`: {why}", file.display())))?;
        let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let compiled = compile(&name, &file, &text).map_err(|error| diagnostic(&error))?;
        let declared = self.settings.as_ref().and_then(|settings| {
            let bot = settings.bots.iter().find(|bot| bot.scripts.iter().any(|used| used.script == name))?;
            let library = BTreeMap::from([(name.clone(), compiled.clone())]);
            scripts::uses(bot, &library).into_iter().next()
        });
        let permissions = declared.map_or_else(everything, |declared| declared.permissions);
        let used = ScriptUse {
            name,
            compiled,
            config: Value::Object(Map::new()),
            limits: Limits::DEFAULT,
            permissions,
            timezone: TimeZone::UTC,
        };
        Ok((file, used))
    }
}

/// What a script may do that no bots.yaml grants anything.
fn everything() -> Permissions {
    Permissions {
        http: vec![HostPattern::any()],
        shared: true,
        bots: vec!["*".to_owned()],
        ..Permissions::default()
    }
}

/// Gives each script those of the values for which it has an option. One that does not load gets them all, and tells
/// by itself what is wrong.
fn configure(uses: &mut [ScriptUse], config: &BTreeMap<String, Value>, now: Timestamp) -> Vec<Diagnostic> {
    if config.is_empty() {
        return Vec::new();
    }
    let mut known = BTreeSet::new();
    let mut open = false;
    for used in uses {
        let options = inspect(used, Moment { at: std::time::Instant::now(), wall: now });
        let options: Option<BTreeSet<String>> =
            options.ok().map(|seen| seen.options.into_iter().map(|option| option.name).collect());
        open |= options.is_none();
        let Value::Object(own) = &mut used.config else { continue };
        for (name, value) in config {
            if options.as_ref().is_none_or(|options| options.contains(name)) {
                own.insert(name.clone(), value.clone());
            }
        }
        known.extend(options.unwrap_or_default());
    }
    let unknown = config.keys().filter(|name| !open && !known.contains(*name));
    unknown
        .map(|name| {
            Diagnostic::error("chat::cast", format!("no script has an option `{name}`"))
                .hint_if(did_you_mean(name, known.iter().map(String::as_str)))
        })
        .collect()
}

/// The path without `.` and `x/..`.
fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if tidied.file_name().is_some() => {
                tidied.pop();
            }
            part => tidied.push(part),
        }
    }
    tidied
}
