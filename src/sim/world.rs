//! The world: what a test or a person at the terminal can do to it, and what the bot says in it.
//!
//! Every input runs on until nothing moves any more: no byte is on its way, no script runs, nothing waits for the
//! store. Only then does the next input come, so the same inputs have the same outcome.

pub mod acts;
mod menu;
mod outages;
mod outcome;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::ids::{IdSource, Seed};
use crate::jid::{BareJid, Jid, JidError};
use crate::moment::Moment;
use crate::ns;
use crate::script::error::ScriptError;
use crate::script::{BotSpec, ScriptUse};
use crate::secret::Password;
use crate::server::simulated::SimulatedServer;
use crate::session::SessionConfig;
use crate::sim::broken::{Broken, PATIENCE};
use crate::sim::clock::VirtualClock;
use crate::sim::person::{Ears, Listener, Person};
use crate::sim::process::{PASSWORD, Process};
use crate::sim::web::Web;
use crate::store::reader::StoreReader;
use crate::store::{Durability, Limits, Store, StoreOptions};
use crate::xml::{Element, writer};

/// Steps of one input; a bot that answers itself would go on for ever.
const STEPS: usize = 10_000;
/// Stanzas that are kept to be shown.
const SHOWN: usize = 200;
/// Lines that the bot may say in answer to one input.
const LINES: usize = 10_000;
/// Deadlines at one and the same moment after which the bot is taken to go on for ever.
const STUCK: usize = 1_000;

/// What a world is made of.
#[derive(Clone)]
pub struct Setup {
    /// The bot and its scripts.
    pub bot: BotSpec,
    /// How its account behaves.
    pub session: SessionConfig,
    /// What the clock shows first.
    pub now: Timestamp,
    /// From what chance follows, and every id.
    pub seed: u64,
}

/// Where something is said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Between the bot and one person.
    Direct(BareJid),
    /// In a room, for all.
    Room(BareJid),
}

/// Something that the bot has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where.
    pub place: Place,
    /// What.
    pub text: String,
    /// The stanza's `id`.
    pub id: String,
}

/// Something that the bot has done without words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gesture {
    /// Where.
    pub place: Place,
    /// What.
    pub what: Done,
}

/// What it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// A presence of this type: `subscribed`, `subscribe`, …
    Presence(String),
    /// A reaction, XEP-0444.
    Reaction(String),
}

/// One bot and everything around it.
pub struct World {
    setup: Setup,
    clock: VirtualClock,
    store: Store,
    reader: StoreReader,
    server: SimulatedServer,
    process: Option<Process>,
    web: Web,
    starts: u64,
    link: bool,
    /// Who has finished the handshake's first half: bot and server.
    handshake: (bool, bool),
    server_due: Option<Instant>,
    people: BTreeMap<BareJid, Person>,
    /// Who is in which room.
    present: BTreeSet<(BareJid, BareJid)>,
    /// What is said in rooms: where and with which id, and the id that the room gave it.
    named: BTreeMap<(BareJid, String), String>,
    ears: Ears,
    /// What people's clients show of the bot's commands.
    clients: BTreeMap<BareJid, menu::Client>,
    asked: Option<menu::Asked>,
    ids: IdSource,
    lines: VecDeque<Line>,
    gestures: VecDeque<Gesture>,
    /// When it gives up.
    deadline: Option<Instant>,
    sent: usize,
    failures: Vec<ScriptError>,
    stanzas: VecDeque<String>,
}

impl World {
    /// Builds the world and starts the bot in it.
    ///
    /// # Errors
    /// There is no place for the store, or the scripts do not come to rest.
    pub fn new(setup: Setup) -> Result<Self, Broken> {
        let clock = VirtualClock::new(setup.now);
        let walls = clock.clone();
        let store = Store::scratch(StoreOptions {
            durability: Durability::Relaxed,
            limits: Limits::DEFAULT,
            clock: Arc::new(move || walls.now().wall),
        })
        .map_err(Broken::Store)?;
        let reader = store.reader().map_err(Broken::Store)?;
        let mut ids = IdSource::new(seed(setup.seed));
        let jid = setup.bot.jid.clone();
        let address = |why| Broken::Address { text: jid.to_string(), why };
        let mut server = SimulatedServer::new(jid.domain(), ids.fork()).map_err(address)?;
        let password = || Password::new(PASSWORD.to_owned());
        server.open_account(jid.clone(), password()).map_err(address)?;
        let mut world = Self {
            clock,
            store,
            reader,
            server,
            process: None,
            web: Web::default(),
            starts: 0,
            link: true,
            handshake: (false, false),
            server_due: None,
            people: BTreeMap::new(),
            present: BTreeSet::new(),
            named: BTreeMap::new(),
            ears: Ears::default(),
            clients: BTreeMap::new(),
            asked: None,
            ids,
            lines: VecDeque::new(),
            gestures: VecDeque::new(),
            deadline: None,
            sent: 0,
            failures: Vec::new(),
            stanzas: VecDeque::new(),
            setup,
        };
        world.start()?;
        Ok(world)
    }

    /// What the clock shows.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The bot's address.
    pub fn bot(&self) -> &BareJid {
        &self.setup.bot.jid
    }

    /// The address that a name stands for: `ann` is at home where the bot is.
    ///
    /// # Errors
    /// It cannot be an address.
    pub fn address(&self, name: &str) -> Result<BareJid, Broken> {
        let parsed = if name.contains('@') {
            BareJid::parse(name)
        } else {
            Jid::from_parts(Some(name), self.bot().domain(), None).map(|jid| jid.to_bare())
        };
        parsed.map_err(|why| Broken::Address { text: name.to_owned(), why })
    }

    /// Lets somebody be there.
    ///
    /// # Errors
    /// The address has no name in front.
    pub fn welcome(&mut self, jid: &BareJid) -> Result<(), Broken> {
        if self.people.contains_key(jid) || jid == self.bot() {
            return Ok(());
        }
        let now = self.now();
        if jid.domain() != self.bot().domain() {
            self.server.serve(jid.domain());
        }
        let address = |why| Broken::Address { text: jid.to_string(), why };
        self.server.open_account(jid.clone(), Password::new(PASSWORD.to_owned())).map_err(address)?;
        let listener = Box::new(Listener { jid: jid.clone(), ears: self.ears.clone() });
        let invited = self.server.invite(now, jid, listener);
        let (session, _) = invited.map_err(|_| address(JidError::Resource))?;
        self.people.insert(jid.clone(), Person { session });
        Ok(())
    }

    /// Somebody says something to the bot, or in a room; whoever is not in the room yet joins it first.
    ///
    /// # Errors
    /// The world does not come to rest.
    pub fn says(&mut self, who: &BareJid, room: Option<&BareJid>, text: &str) -> Result<(), Broken> {
        self.welcome(who)?;
        if let Some(room) = room {
            self.join(who, room)?;
        }
        let id = self.ids.next_id();
        let (to, kind) = match room {
            Some(room) => (room.as_str(), "groupchat"),
            None => (self.setup.bot.jid.as_str(), "chat"),
        };
        let message = Element::new("message", ns::CLIENT)
            .with_attr("to", to)
            .with_attr("type", kind)
            .with_attr("id", id)
            .with_child(Element::new("body", ns::CLIENT).with_text(text));
        self.speak(who, message)
    }

    /// Somebody sends any stanza.
    ///
    /// # Errors
    /// The world does not come to rest.
    pub fn speak(&mut self, who: &BareJid, stanza: Element) -> Result<(), Broken> {
        self.welcome(who)?;
        self.show(&format!("{who} →"), &stanza);
        let now = self.now();
        if let Some(person) = self.people.get(who) {
            self.server.say(now, person.session, stanza);
        }
        self.settle()
    }

    /// Somebody comes into a room; nothing happens where they are in it.
    ///
    /// # Errors
    /// The world does not come to rest.
    pub fn join(&mut self, who: &BareJid, room: &BareJid) -> Result<(), Broken> {
        self.welcome(who)?;
        self.server.serve_rooms(room.domain());
        if !self.present.insert((room.clone(), who.clone())) {
            return Ok(());
        }
        let nick = who.local().unwrap_or("somebody");
        let join = Element::new("presence", ns::CLIENT)
            .with_attr("to", format!("{room}/{nick}"))
            .with_child(Element::new("x", "http://jabber.org/protocol/muc"));
        self.speak(who, join)
    }

    /// Somebody leaves a room.
    ///
    /// # Errors
    /// The world does not come to rest.
    pub fn leave(&mut self, who: &BareJid, room: &BareJid) -> Result<(), Broken> {
        if !self.present.remove(&(room.clone(), who.clone())) {
            return Ok(());
        }
        let nick = who.local().unwrap_or("somebody");
        let leave = Element::new("presence", ns::CLIENT)
            .with_attr("to", format!("{room}/{nick}"))
            .with_attr("type", "unavailable");
        self.speak(who, leave)
    }

    /// The room's service removes the bot, for the reason that a status code of XEP-0045 names.
    ///
    /// # Errors
    /// The bot is not in the room, or the world does not come to rest.
    pub fn kick(&mut self, room: &BareJid, code: u16) -> Result<(), Broken> {
        let code = match code {
            301 => "301",
            307 => "307",
            321 => "321",
            322 => "322",
            332 => "332",
            333 => "333",
            _ => {
                return Err(Broken::NotNow {
                    what: "a kick has one of the codes 301, 307, 321, 322, 332 and 333",
                });
            }
        };
        let now = self.now();
        let full = self.bot().with_resource("rhapsode");
        let inside = full.is_ok_and(|full| self.server.expel(now, room, &full, code));
        if !inside {
            return Err(Broken::NotNow { what: "the bot is not in this room" });
        }
        self.settle()
    }

    /// Time passes, and everything that falls due happens in its order.
    ///
    /// # Errors
    /// The world does not come to rest.
    pub fn advance(&mut self, span: Duration) -> Result<(), Broken> {
        let Some(end) = self.now().at.checked_add(span) else {
            return Err(Broken::NotNow { what: "the time is longer than any clock" });
        };
        let mut stuck = 0;
        loop {
            let now = self.now().at;
            let due = self.due().filter(|due| *due <= end);
            let Some(due) = due else {
                self.clock.advance(end - now);
                return self.tick();
            };
            let step = due.saturating_duration_since(now);
            stuck = if step.is_zero() { stuck + 1 } else { 0 };
            if stuck > STUCK {
                return Err(Broken::Endless);
            }
            self.clock.advance(step);
            self.tick()?;
        }
    }

    fn due(&self) -> Option<Instant> {
        let process = self.process.as_ref();
        let own = process.and_then(|process| process.due(self.now()));
        let retry = process.filter(|_| self.link).and_then(Process::retry_at);
        [own, retry, self.server_due, self.server.due()].into_iter().flatten().min()
    }

    /// The clock has moved.
    fn tick(&mut self) -> Result<(), Broken> {
        let now = self.now();
        self.server.on_timeout(now);
        if let Some(process) = &mut self.process {
            process.on_timeout(now);
            if self.link && process.retry_at().is_some_and(|at| at <= now.at) {
                self.connect();
            }
        }
        self.settle()
    }

    /// Takes other scripts, as a reload does.
    ///
    /// # Errors
    /// The world does not come to rest.
    pub fn swap(&mut self, scripts: Vec<ScriptUse>) -> Result<(), Broken> {
        self.setup.bot.scripts.clone_from(&scripts);
        if let Some(process) = &self.process {
            process.swap(scripts);
        }
        self.settle()
    }

    /// Somebody has a role from now on; `admin` is one.
    ///
    /// # Errors
    /// The world does not come to rest.
    pub fn grant(&mut self, who: &BareJid, role: &str) -> Result<(), Broken> {
        let spec = &mut self.setup.bot;
        let list =
            if role == "admin" { &mut spec.admins } else { spec.roles.entry(role.to_owned()).or_default() };
        if !list.contains(who) {
            list.push(who.clone());
        }
        if let Some(process) = &self.process {
            process.configure(&self.setup.bot);
        }
        self.settle()
    }

    /// Runs until nothing moves and nothing is due at this moment.
    fn settle(&mut self) -> Result<(), Broken> {
        for _ in 0..STUCK {
            self.rest()?;
            match self.process.as_ref().filter(|process| process.has_due()) {
                Some(process) => process.wake(),
                None => return Ok(()),
            }
        }
        Err(Broken::Endless)
    }

    /// Runs until nothing moves.
    fn rest(&mut self) -> Result<(), Broken> {
        let now = self.now();
        for _ in 0..STEPS {
            self.in_time()?;
            let mut moved = self.carry(now)?;
            if let Some(process) = &mut self.process {
                moved |= process.feed();
                if !process.settle(PATIENCE) {
                    return Err(Broken::Hung);
                }
                let (told, failures) = process.collect(now);
                moved |= told;
                self.failures.extend(failures);
            }
            if self.lines.len() > LINES {
                return Err(Broken::Endless);
            }
            if !moved {
                return Ok(());
            }
        }
        Err(Broken::Endless)
    }

    /// Carries bytes between the bot and its server; `true` if there were any.
    fn carry(&mut self, now: Moment) -> Result<bool, Broken> {
        let mut moved = false;
        let up = self.process.as_mut().map(|process| process.drain(now)).unwrap_or_default();
        for stanza in &up.written {
            self.on_written(stanza)?;
        }
        for stanza in &up.read {
            self.on_read(stanza);
        }
        if !up.bytes.is_empty() {
            moved = true;
            self.server.on_bytes(now, &up.bytes);
        }
        let down = self.server.poll(now);
        self.server_due = down.due;
        if !down.bytes.is_empty() {
            moved = true;
            if let Some(process) = &mut self.process {
                process.on_bytes(now, &down.bytes);
            }
        }
        self.handshake = (self.handshake.0 | up.secure, self.handshake.1 | down.secure);
        if self.handshake == (true, true) {
            moved = true;
            self.handshake = (false, false);
            self.server.on_secured(now);
            if let Some(process) = &mut self.process {
                process.on_secured(now);
            }
        }
        if up.hangup || down.hangup {
            moved = true;
            self.server.hangup(now);
            if let Some(process) = &mut self.process {
                process.on_hangup(now);
            }
        }
        for (who, stanza) in self.ears.take() {
            moved = true;
            self.on_heard(&who, &stanza);
        }
        Ok(moved)
    }

    /// The bot has written a stanza: everybody whom it writes to exists.
    fn on_written(&mut self, stanza: &Element) -> Result<(), Broken> {
        self.show("bot →", stanza);
        let Some(to) = stanza.attr("to").and_then(|to| Jid::from_wire(to).ok()) else { return Ok(()) };
        let joins = stanza.name() == "presence" && stanza.has_child("x", "http://jabber.org/protocol/muc");
        if joins || stanza.attr("type") == Some("groupchat") {
            self.server.serve_rooms(to.domain());
        } else if stanza.name() == "message" && to.is_bare() && to.local().is_some() {
            self.welcome(&to.to_bare())?;
        }
        Ok(())
    }

    /// The bot has read a stanza. What it said in a room is said when the room reflects it.
    fn on_read(&mut self, stanza: &Element) {
        self.show("bot ←", stanza);
        let from = stanza.attr("from").and_then(|from| Jid::from_wire(from).ok());
        let (Some(from), Some("groupchat")) = (from, stanza.attr("type")) else { return };
        let by_bot =
            !self.present.iter().any(|(room, who)| *room == from.to_bare() && from.resource() == who.local());
        if stanza.name() == "message"
            && from.resource().is_some()
            && by_bot
            && !stanza.has_child("delay", "urn:xmpp:delay")
        {
            self.reacted(&Place::Room(from.to_bare()), stanza);
            self.said(Place::Room(from.to_bare()), stanza);
        }
    }

    fn on_heard(&mut self, who: &BareJid, stanza: &Element) {
        let from = stanza.attr("from").and_then(|from| Jid::from_wire(from).ok());
        let Some(from) = from else { return };
        self.gesture(who, &from, stanza);
        self.name(&from, stanza);
        self.answered(who, stanza);
        if stanza.name() != "message" {
            return;
        }
        let own = from.to_bare() == *self.bot();
        // A whisper in a room comes from the bot's place in it.
        let whispered = stanza.attr("type") == Some("chat") && from.resource().is_some() && !own;
        if (own || whispered) && !matches!(stanza.attr("type"), Some("groupchat" | "error")) {
            self.said(Place::Direct(who.clone()), stanza);
        }
    }

    fn said(&mut self, place: Place, stanza: &Element) {
        if let Some(text) = stanza.child_text("body", ns::CLIENT) {
            self.sent += 1;
            let id = stanza.attr("id").unwrap_or_default().to_owned();
            self.lines.push_back(Line { place, text, id });
        }
    }

    fn show(&mut self, who: &str, stanza: &Element) {
        if self.stanzas.len() >= SHOWN {
            self.stanzas.pop_front();
        }
        if let Ok(text) = writer::to_string(stanza) {
            self.stanzas.push_back(format!("{who} {text}"));
        }
    }
}

/// The seed of everything, from a number that people can write.
fn seed(number: u64) -> Seed {
    let mut bytes = [0x5e; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Seed(bytes)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jiff::tz::TimeZone;
    use serde_json::json;

    use super::*;
    use crate::script::loader::compile;
    use crate::script::{Limits as Turn, Permissions};

    #[test]
    fn a_bot_answers_those_who_talk_to_it() {
        let mut world = world(r#"on("message", |m| m.reply(`you said: ${m.text}`));"#);
        assert_eq!(ask(&mut world, "ann", "hi"), ["you said: hi"]);
        assert_eq!(ask(&mut world, "bob@elsewhere.example", "ho"), ["you said: ho"]);
        assert_eq!(world.sent(), 2);
    }

    #[test]
    fn timers_fire_in_their_order_when_time_passes() {
        let mut world = world(REMIND);
        ask(&mut world, "ann", "20m second");
        ask(&mut world, "ann", "10m first");
        world.advance(minutes(9)).expect("time passes");
        assert!(world.unheard().is_empty());
        world.advance(minutes(60)).expect("time passes");
        assert_eq!(texts(&mut world), ["first", "second"]);
    }

    #[test]
    fn a_crash_loses_nothing_and_doubles_nothing() {
        let mut world = world(REMIND);
        assert_eq!(ask(&mut world, "ann", "10m tea"), ["noted"]);
        world.crash().expect("it runs");
        world.says(&ann(), None, "1m while away").expect("the server keeps it");
        world.advance(minutes(15)).expect("time passes");
        assert!(world.unheard().is_empty());
        world.start().expect("it does not run");
        world.advance(minutes(2)).expect("time passes");
        let mut all = texts(&mut world);
        all.sort();
        assert_eq!(all, ["noted", "tea", "while away"]);
        assert_eq!(world.sent(), 4);
    }

    // XEP-0198 §5
    #[test]
    fn what_is_said_while_the_link_is_down_arrives_once() {
        let mut world = world(
            r#"on("message", |m| m.reply("again " + m.text)); every("1m", || bot::send("ann@example.org", "tick"));"#,
        );
        ask(&mut world, "ann", "one");
        world.link_down().expect("it is up");
        world.says(&ann(), None, "two").expect("the server keeps it");
        world.advance(Duration::from_secs(90)).expect("time passes");
        assert!(world.unheard().is_empty());
        world.link_up().expect("it is down");
        let mut all = texts(&mut world);
        all.sort();
        assert_eq!(all, ["again two", "tick"]);
    }

    #[test]
    fn the_same_seed_gives_the_same_words_and_ids() {
        let run = |seed| {
            let mut setup = setup(r#"on("message", |m| m.reply(`${rand::int(1, 1000000)}`));"#);
            setup.seed = seed;
            let mut world = World::new(setup).expect("a world");
            let mut all = Vec::new();
            for _ in 0..3 {
                world.says(&ann(), None, "dice").expect("it answers");
                all.extend(world.unheard());
            }
            (all, world.take_stanzas())
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1).0, run(2).0);
    }

    #[test]
    fn a_bot_that_never_rests_is_told() {
        let mut world = world(
            r#"on("message", |m| { bot::send("ann@example.org", "x"); timer::at("1s", "t", 1); }); on("timer:t", |t| timer::at("0s", "t", 1));"#,
        );
        world.says(&ann(), None, "go").expect("one answer");
        assert!(matches!(world.advance(Duration::from_secs(3)), Err(Broken::Endless)));
    }

    #[test]
    fn failures_of_scripts_are_kept_with_their_place() {
        let mut world = world("on(\"message\", |m| {\n    m.reply(1 / 0);\n});");
        assert!(ask(&mut world, "ann", "hi").is_empty());
        let failures = world.take_failures();
        assert_eq!(failures.len(), 1);
        assert_eq!(failures[0].line, 2);
    }

    #[test]
    fn what_cannot_be_done_now_is_refused() {
        let mut world = world("");
        assert!(matches!(world.start(), Err(Broken::NotNow { .. })));
        assert!(matches!(world.link_up(), Err(Broken::NotNow { .. })));
        assert!(matches!(
            world.kick(&BareJid::parse("r@rooms.example.org").expect("valid"), 333),
            Err(Broken::NotNow { .. })
        ));
        world.crash().expect("it runs");
        assert!(matches!(world.crash(), Err(Broken::NotNow { .. })));
        assert!(matches!(world.address("a b@"), Err(Broken::Address { .. })));
    }

    const REMIND: &str = r#"
        on("message", |m| {
            let parts = m.text.split(" ");
            timer::at(parts[0], "t", m.text.sub_string(parts[0].len() + 1));
            m.reply("noted");
        });
        on("timer:t", |t| bot::send("ann@example.org", t.data));
    "#;

    fn ann() -> BareJid {
        BareJid::parse("ann@example.org").expect("valid")
    }

    fn minutes(number: u64) -> Duration {
        Duration::from_secs(number * 60)
    }

    fn ask(world: &mut World, who: &str, text: &str) -> Vec<String> {
        let who = world.address(who).expect("a name");
        world.says(&who, None, text).expect("the world rests");
        texts(world)
    }

    fn texts(world: &mut World) -> Vec<String> {
        world.unheard().into_iter().map(|line| line.text).collect()
    }

    fn world(source: &str) -> World {
        World::new(setup(source)).expect("a world")
    }

    fn setup(source: &str) -> Setup {
        let jid = BareJid::parse("help@example.org").expect("valid");
        let script = ScriptUse {
            name: "main".to_owned(),
            compiled: compile("main", Path::new("main.rhai"), source).expect("it compiles"),
            config: json!({}),
            limits: Turn { turn: Duration::from_secs(5), ..Turn::DEFAULT },
            permissions: Permissions::default(),
            timezone: TimeZone::UTC,
        };
        Setup {
            bot: BotSpec {
                name: "help".to_owned(),
                jid: jid.clone(),
                scripts: vec![script],
                queue: 1000,
                admins: Vec::new(),
                schedules: Vec::new(),
                roles: BTreeMap::new(),
                speech: Default::default(),
            },
            session: SessionConfig::new(jid),
            now: "2026-11-23T08:59:00Z".parse().expect("a stamp"),
            seed: 42,
        }
    }
}
