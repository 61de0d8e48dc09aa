//! The functions of tests.

use std::collections::BTreeMap;

use rhai::{Array, Dynamic, EvalAltResult, FnPtr, Map, Module, NativeCallContext};

use crate::script::api::{Area, Function, span};
use crate::script::error::{Kind, Thrown};
use crate::script::hook::HookRequest;
use crate::script::host::{LOADED, set};
use crate::script::memory;
use crate::script::outside::HttpResponse;
use crate::script::printed::cut;
use crate::script::testing::expect::{self, Words};
use crate::script::testing::people::{self, Hall, Person, Sim, act, address, room};
use crate::script::testing::playing::{self, Declared, World, known};
use crate::script::testing::stage::{Act, Sent, Sign};
use crate::script::testing::{TESTS, WORLDS, opening};
use crate::script::values;

const fn function(signature: &'static str, about: &'static str, example: &'static str) -> Function {
    Function { signature, about, example }
}

/// What only files that end in `.test.rhai` can call.
pub const AREA: Area = Area {
    title: "Tests",
    module: None,
    about: "In files that end in `.test.rhai`, and only there; `rhapsode test` runs them. What is asked of `sim`, of a person and of a room happens at once, and everything that follows from it has happened when the call is back. Of the functions above, tests have `text::` and `xml::`.",
    objects: &[("sim", "Sim"), ("user", "Person"), ("hall", "Hall")],
    functions: &[
        function(
            "test(name: string, f: || ...)",
            "Declares a test, at the top level. Each has worlds of its own.",
            ECHO,
        ),
        function("sim(script: string) -> Sim", "A world of its own with a bot that runs this script.", ECHO),
        function(
            "sim(script: string, opts: map) -> Sim",
            "The same with options: `jid` (or `bot`, a name of bots.yaml), `config`, `seed`, `now`, `rooms`, `admins`, `roles`, `scripts` (further ones), `webhooks`, `secrets`, `strict`.",
            r#"test("limit", || { let t = sim("echo.rhai", #{ jid: "e@bots.example", config: #{ max_len: 3 }, seed: 7 }); let ann = t.user("ann"); ann.says("hello"); ann.expect("my limit is 3"); });"#,
        ),
        function(
            "sim.user(name: string) -> Person",
            "Somebody: an address, or a name at the bot's domain.",
            ECHO,
        ),
        function("sim.room(jid: string) -> Hall", "A room; the bot comes into it.", ROOM),
        function(
            "sim.advance(span: string|int)",
            "Time passes, and everything that falls due happens.",
            REMIND,
        ),
        function("sim.crash()", "The bot's program is killed; only its store is left.", REMIND),
        function("sim.start()", "The program starts again.", REMIND),
        function("sim.link_down()", "The connection is cut.", LINK),
        function("sim.link_up()", "It is back.", LINK),
        function(
            "sim.kick(code: int)",
            "The bot is removed from its only room, with a status code of XEP-0045: 301, 307, 321, 322, 332 or 333.",
            KICK,
        ),
        function(
            "sim.grant(name: string, role: string)",
            "Somebody has a role from now on; `admin` is one.",
            r#"test("admin", || { let t = sim("feeds.rhai"); t.grant("ann", "admin"); t.http("https://example.org/feed.xml", 503); let ann = t.user("ann"); ann.says("!poll"); ann.expect("Looking at 1 feed"); });"#,
        ),
        function(
            "sim.http(url: string, res)",
            "Requests are answered so from now on: a status, a body, or `status`, `body`, `json`, `headers`. `*` at the end of `url` is any rest; `POST https://…` is another method than GET.",
            r#"test("down", || { let t = sim("feeds.rhai", #{ admins: ["ann@example.org"] }); t.http("GET https://example.org/*", #{ status: 503 }); t.advance("15m"); t.expect_sent(0); });"#,
        ),
        function(
            "sim.webhook(name: string, call: map) -> map",
            "Calls a webhook as somebody who has proved who they are: with `method`, `query`, `headers`, `body` or `json`. Gives `status`, `headers` and `body`.",
            r#"test("deploy", || { let t = sim("deploys.rhai", #{ webhooks: ["deploy"], secrets: #{ deploy_key: "k" } }); let ops = t.room("ops@rooms.example.org"); let res = t.webhook("deploy", #{ json: #{ id: "1", service: "web", state: "ok" } }); expect_eq(res.status, 202); ops.expect("✅ web"); });"#,
        ),
        function(
            "sim.expect_none()",
            "The bot has said nothing that was not expected yet, to anybody.",
            ECHO,
        ),
        function(
            "sim.expect_sent(n: int)",
            "So many messages of the bot have arrived since the beginning.",
            REMIND,
        ),
        function(
            "sim.expect_error(part: string) -> string",
            "A script has failed with this in its words. Without it, a failing script fails the test.",
            r#"fn fails(t) { t.expect_error("division by zero"); }
test("echo never fails", || { let t = sim("echo.rhai"); t.user("ann").says("hi"); t.skip(); });"#,
        ),
        function(
            "sim.skip()",
            "Everything that was said counts as expected.",
            r#"test("chatty", || { let t = sim("echo.rhai"); t.user("ann").says("hi"); t.skip(); });"#,
        ),
        function(
            "sim.store() -> map",
            "What the script has stored, by key.",
            r#"test("empty", || { let t = sim("echo.rhai"); expect_eq(t.store(), #{}); });"#,
        ),
        function(
            "sim.store(script: string) -> map",
            "What this script of the bot has stored.",
            r#"test("empty", || { let t = sim("echo.rhai"); expect_eq(t.store("echo"), #{}); });"#,
        ),
        function(
            "sim.sent: int",
            "Messages of the bot that have arrived since the beginning.",
            r#"test("none", || { let t = sim("echo.rhai"); assert(t.sent == 0); });"#,
        ),
        function(
            "sim.now: string",
            "What the clock shows, in UTC.",
            r#"test("clock", || { let t = sim("echo.rhai", #{ now: "2026-11-23T08:59:00Z" }); t.advance("1m"); expect_eq(t.now, "2026-11-23T09:00:00Z"); });"#,
        ),
        function("user.says(text: string) -> string", "Says it to the bot. Gives the message's id.", ECHO),
        function(
            "user.says_in(room: string, text: string) -> string",
            "Says it in a room; whoever is not in it comes in first.",
            ROOM,
        ),
        function(
            "user.whispers_in(room: string, text: string) -> string",
            "Says it in a room to the bot alone.",
            r#"test("aside", || { let t = sim("echo.rhai"); t.room("team@rooms.example.org"); let ann = t.user("ann"); ann.joins("team@rooms.example.org"); ann.whispers_in("team@rooms.example.org", "psst"); t.skip(); });"#,
        ),
        function(
            "user.edits(id: string, text: string) -> string",
            "Other words for an earlier message, where it was said: a room, or to the bot alone.",
            r#"test("edit", || { let t = sim("echo.rhai"); let ann = t.user("ann"); let id = ann.says("hi"); ann.expect("hi"); ann.edits(id, "ho"); t.skip(); });"#,
        ),
        function(
            "user.reacts(id: string, emoji: string) -> string",
            "Reacts to a message of anybody, where it was said.",
            r#"test("reaction", || { let t = sim("echo.rhai"); let ann = t.user("ann"); ann.says("hi"); let said = ann.expect("hi"); ann.reacts(said.id, "👍"); ann.expect_none(); });"#,
        ),
        function(
            "user.retracts(id: string) -> string",
            "Takes an earlier message back, where it was said.",
            r#"test("retraction", || { let t = sim("echo.rhai"); let ann = t.user("ann"); let id = ann.says("hi"); ann.expect("hi"); ann.retracts(id); ann.expect_none(); });"#,
        ),
        function(
            "user.subscribes()",
            "Asks to see the bot's presence.",
            r#"test("contact", || { let t = sim("echo.rhai"); let ann = t.user("ann"); ann.subscribes(); ann.expect_approved(); });"#,
        ),
        function(
            "user.unsubscribes()",
            "No longer cares for the bot's presence.",
            r#"test("gone", || { let t = sim("echo.rhai"); let ann = t.user("ann"); ann.subscribes(); ann.expect_approved(); ann.unsubscribes(); });"#,
        ),
        function(
            "user.joins(room: string)",
            "Comes into a room.",
            r#"test("welcome", || { let t = sim("moderator.rhai"); t.room("team@rooms.example.org"); let ann = t.user("ann"); ann.joins("team@rooms.example.org"); ann.expect("Welcome, ann"); });"#,
        ),
        function(
            "user.leaves(room: string)",
            "Leaves it.",
            r#"test("bye", || { let t = sim("echo.rhai"); let team = t.room("team@rooms.example.org"); let ann = t.user("ann"); ann.joins(team.jid); ann.leaves(team.jid); expect_eq(team.occupants, ["echo"]); });"#,
        ),
        function(
            "user.expect(part: string) -> map",
            "The next that the bot says to them has this in it. Gives its `text` and `id`.",
            ECHO,
        ),
        function(
            "user.expect_exact(text: string) -> map",
            "The next that the bot says to them is this.",
            r#"test("exact", || { let t = sim("echo.rhai"); let ann = t.user("ann"); ann.says("hi"); ann.expect_exact("hi"); });"#,
        ),
        function(
            "user.expect_match(regex: string) -> map",
            "The next that the bot says to them fits.",
            r#"test("roll", || { let t = sim("dice.rhai", #{ seed: 1 }); let ann = t.user("ann"); ann.says("!roll 1d6"); ann.expect_match(`\d`); });"#,
        ),
        function("user.expect_none()", "The bot has said nothing more to them.", ECHO),
        function(
            "user.expect_approved()",
            "The bot lets them see its presence.",
            r#"test("contact", || { let t = sim("echo.rhai"); let ann = t.user("ann"); ann.subscribes(); ann.expect_approved(); });"#,
        ),
        function(
            "user.expect_reaction(emoji: string)",
            "The bot has reacted with this to something they said.",
            r#"test("none", || { let t = sim("echo.rhai"); t.user("ann").expect_none(); });"#,
        ),
        function(
            "user.skip()",
            "What was said to them counts as expected.",
            r#"test("chatty", || { let t = sim("echo.rhai"); let ann = t.user("ann"); ann.says("hi"); ann.skip(); });"#,
        ),
        function(
            "user.jid: string",
            "Their address.",
            r#"test("names", || { let t = sim("echo.rhai"); expect_eq(t.user("ann").jid, "ann@example.org"); });"#,
        ),
        function("hall.say(name: string, text: string) -> string", "Somebody says it here.", ROOM),
        function("hall.expect(part: string) -> map", "The next that the bot says here has this in it.", KICK),
        function("hall.expect_exact(text: string) -> map", "The next that the bot says here is this.", KICK),
        function("hall.expect_match(regex: string) -> map", "The next that the bot says here fits.", KICK),
        function("hall.expect_none()", "The bot has said nothing more here.", ROOM),
        function(
            "hall.expect_reaction(emoji: string)",
            "The bot has reacted with this to something here.",
            ROOM,
        ),
        function("hall.skip()", "What was said here counts as expected.", ROOM),
        function("hall.kick(code: int)", "The bot is removed from this room.", KICK),
        function("hall.occupants: array", "The nicks of those who are in it, the bot's included.", ROOM),
        function("hall.jid: string", "Its address.", ROOM),
        function(
            "assert(condition: bool)",
            "This has to be true.",
            r#"test("sums", || { assert(1 + 1 == 2); });"#,
        ),
        function(
            "assert(condition: bool, message: string)",
            "The same with words for the failure.",
            r#"test("sums", || { assert(1 + 1 == 2, "sums are off"); });"#,
        ),
        function(
            "expect_eq(found, wanted)",
            "Two values are the same: texts, numbers, lists, maps.",
            r#"test("lists", || { expect_eq([1, 2].map(|n| n * 2), [2, 4]); });"#,
        ),
    ],
    register,
};

const ECHO: &str = r#"test("says it back", || {
    let t = sim("echo.rhai");
    let ann = t.user("ann");
    ann.says("hi");
    ann.expect("hi");
    ann.expect_none();
    t.expect_none();
});"#;
const ROOM: &str = r#"test("rooms", || {
    let t = sim("echo.rhai");
    let team = t.room("team@rooms.example.org");
    let ann = t.user("ann");
    ann.says_in(team.jid, "hello all");
    team.say("bob", "hello");
    team.expect_none();
    expect_eq(team.occupants, ["ann", "bob", "echo"]);
});"#;
const REMIND: &str = r##"test("a crash", || {
    let t = sim("reminder.rhai");
    let ann = t.user("ann");
    ann.says("!remind 10m tea");
    ann.expect("#1, due");
    t.crash();
    t.advance("15m");
    t.start();
    ann.expect("tea (due");
    t.expect_sent(2);
});"##;
const LINK: &str = r#"test("an outage", || {
    let t = sim("echo.rhai");
    let ann = t.user("ann");
    t.link_down();
    ann.says("hi");
    ann.expect_none();
    t.link_up();
    ann.expect("hi");
});"#;
const KICK: &str = r#"test("a kick", || {
    let t = sim("echo.rhai");
    let team = t.room("team@rooms.example.org");
    team.kick(333);
    t.advance("1h");
    expect_eq(team.occupants, ["echo"]);
});"#;

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    module.set_custom_type::<Sim>("Sim");
    module.set_custom_type::<Person>("Person");
    module.set_custom_type::<Hall>("Hall");
    set(module, LOADED, |context: NativeCallContext| -> Checked<()> {
        let state = context.global_runtime_state().clone();
        // An imported module has no run of its own, and needs none.
        drop(playing::with(|run| {
            run.loaded = Some(state);
            Ok(())
        }));
        Ok(())
    });
    set(module, "test", declare);
    set(module, "sim", |script: &str| open(script, &Map::new()));
    set(module, "sim", |script: &str, options: Map| open(script, &options));
    set(module, "assert", |condition: bool| expect::holds(condition, None));
    set(module, "assert", |condition: bool, message: &str| expect::holds(condition, Some(message)));
    set(module, "expect_eq", |found: Dynamic, wanted: Dynamic| expect::equal(&found, &wanted));
    world(module);
    person(module);
    hall(module);
}

fn declare(context: NativeCallContext<'_>, name: &str, function: FnPtr) -> Checked<()> {
    let place = context.call_position();
    playing::with(|run| {
        let wrong = |message: String| Thrown::new(Kind::Declaration, message);
        if !run.declaring {
            return Err(wrong("a test cannot declare another".to_owned()).hint("move it to the top level"));
        }
        if name.trim().is_empty() || run.declared.iter().any(|test| test.name == name) {
            return Err(wrong(format!("there is a test `{}` already, or it has no name", cut(name, 64)))
                .hint("each test has a name of its own"));
        }
        if run.declared.len() >= TESTS {
            return Err(wrong(format!("more than {TESTS} tests in one file")));
        }
        run.declared.push(Declared { name: cut(name, 200), function, place });
        Ok(())
    })
}

fn open(script: &str, options: &Map) -> Checked<Sim> {
    playing::act(|playing| {
        opening::read(script, options, playing.deadline).map(drop)?;
        if playing.worlds.len() >= WORLDS {
            return Err(Thrown::new(Kind::Operations, format!("more than {WORLDS} worlds in one test")));
        }
        Ok(())
    })?;
    playing::with(|run| {
        let wanted = opening::read(script, options, run.playing.deadline)?;
        let stage = memory::uncounted(|| run.theatre.open(&wanted.opening));
        let stage = stage.map_err(|problems| {
            let Some(first) = problems.first() else {
                return Thrown::new(Kind::Runtime, "there is no such world");
            };
            let place = first.place().map(|place| format!("{place}: ")).unwrap_or_default();
            let thrown = Thrown::new(Kind::Runtime, format!("{place}{}", first.message));
            match &first.hint {
                Some(hint) => thrown.hint(hint.clone()),
                None => thrown,
            }
        })?;
        let mut world = World {
            stage,
            strict: wanted.strict,
            heard: std::collections::VecDeque::new(),
            failures: Vec::new(),
            unexpected: Vec::new(),
        };
        memory::uncounted(|| world.collect());
        for room in wanted.rooms {
            world.act(&Act::Enter(room))?;
        }
        run.playing.worlds.push(world);
        Ok(Sim(run.playing.worlds.len() - 1))
    })
}

fn world(module: &mut Module) {
    set(module, "user", |sim: &mut Sim, name: &str| {
        Ok::<_, Box<EvalAltResult>>(Person { sim: sim.0, jid: address(sim.0, name)? })
    });
    set(module, "room", |sim: &mut Sim, name: &str| -> Checked<Hall> {
        let jid = room(sim.0, name)?;
        act(sim.0, format!("* room {jid}"), Act::Enter(jid.clone()))?;
        Ok(Hall { sim: sim.0, jid })
    });
    set(module, "advance", |sim: &mut Sim, by: Dynamic| -> Checked<()> {
        let by = span(&by)?;
        act(sim.0, format!("* {}", crate::script::span::show_span(by)), Act::Advance(by)).map(drop)
    });
    let plain: [(&str, &str, Act); 4] = [
        ("crash", "* crash", Act::Crash),
        ("start", "* start", Act::Start),
        ("link_down", "* link down", Act::Link(false)),
        ("link_up", "* link up", Act::Link(true)),
    ];
    for (name, words, what) in plain {
        set(module, name, move |sim: &mut Sim| act(sim.0, words.to_owned(), what.clone()).map(drop));
    }
    set(module, "kick", |sim: &mut Sim, code: i64| -> Checked<()> { kick(sim.0, String::new(), code) });
    set(module, "grant", |sim: &mut Sim, name: &str, role: &str| -> Checked<()> {
        let who = address(sim.0, name)?;
        act(sim.0, format!("* as {role} {who}"), Act::Grant { who, role: role.to_owned() }).map(drop)
    });
    set(module, "http", http);
    set(module, "webhook", webhook);
    set(module, "expect_none", |sim: &mut Sim| expect::nothing(sim.0, None));
    set(module, "expect_sent", |sim: &mut Sim, number: i64| expect::sent(sim.0, number));
    set(module, "expect_error", |sim: &mut Sim, part: &str| expect::error(sim.0, part));
    set(module, "skip", |sim: &mut Sim| expect::skip(sim.0, None));
    set(module, "store", |sim: &mut Sim| stored(sim.0, None));
    set(module, "store", |sim: &mut Sim, script: &str| stored(sim.0, Some(script)));
    property(module, "sent", |sim: &mut Sim| -> Checked<i64> {
        playing::world(sim.0, |world| Ok(i64::try_from(world.stage.sent()).unwrap_or(i64::MAX)))
    });
    property(module, "now", |sim: &mut Sim| -> Checked<String> {
        playing::world(sim.0, |world| Ok(world.stage.now()))
    });
}

fn person(module: &mut Module) {
    set(module, "says", |who: &mut Person, text: &str| {
        people::send(who, None, false, Sent::Text(text.to_owned()))
    });
    set(module, "says_in", |who: &mut Person, place: &str, text: &str| -> Checked<String> {
        people::send(who, Some(room(who.sim, place)?), false, Sent::Text(text.to_owned()))
    });
    set(module, "whispers_in", |who: &mut Person, place: &str, text: &str| -> Checked<String> {
        people::send(who, Some(room(who.sim, place)?), true, Sent::Text(text.to_owned()))
    });
    set(module, "edits", |who: &mut Person, id: &str, text: &str| {
        people::send(who, None, false, Sent::Edit { id: id.to_owned(), text: text.to_owned() })
    });
    set(module, "reacts", |who: &mut Person, id: &str, emoji: &str| {
        people::send(who, None, false, Sent::Reaction { id: id.to_owned(), emoji: vec![emoji.to_owned()] })
    });
    set(module, "retracts", |who: &mut Person, id: &str| {
        people::send(who, None, false, Sent::Retraction { id: id.to_owned() })
    });
    for (name, on) in [("subscribes", true), ("unsubscribes", false)] {
        set(module, name, move |who: &mut Person| {
            act(who.sim, format!("{} {name}", who.jid), Act::Subscribe { who: who.jid.clone(), on }).map(drop)
        });
    }
    set(module, "joins", |who: &mut Person, place: &str| -> Checked<()> {
        let (who, room) = (who.clone(), room(who.sim, place)?);
        act(who.sim, format!("{} joins {room}", who.jid), Act::Join { who: who.jid, room }).map(drop)
    });
    set(module, "leaves", |who: &mut Person, place: &str| -> Checked<()> {
        let (who, room) = (who.clone(), room(who.sim, place)?);
        act(who.sim, format!("{} leaves {room}", who.jid), Act::Leave { who: who.jid, room }).map(drop)
    });
    set(module, "expect", |who: &mut Person, part: &str| {
        expect::said(who.sim, &who.place(), &Words::Part(part))
    });
    set(module, "expect_exact", |who: &mut Person, text: &str| {
        expect::said(who.sim, &who.place(), &Words::Whole(text))
    });
    set(module, "expect_match", |who: &mut Person, regex: &str| {
        expect::said(who.sim, &who.place(), &Words::Regex(regex))
    });
    set(module, "expect_none", |who: &mut Person| expect::nothing(who.sim, Some(&who.place())));
    set(module, "expect_approved", |who: &mut Person| {
        expect::sign(who.sim, &who.place(), &Sign::Presence("subscribed".to_owned()))
    });
    set(module, "expect_reaction", |who: &mut Person, emoji: &str| {
        expect::sign(who.sim, &who.place(), &Sign::Reaction(emoji.to_owned()))
    });
    set(module, "skip", |who: &mut Person| expect::skip(who.sim, Some(&who.place())));
    property(module, "jid", |who: &mut Person| Ok(who.jid.clone()));
}

fn hall(module: &mut Module) {
    set(module, "say", |hall: &mut Hall, name: &str, text: &str| -> Checked<String> {
        let who = Person { sim: hall.sim, jid: address(hall.sim, name)? };
        people::send(&who, Some(hall.jid.clone()), false, Sent::Text(text.to_owned()))
    });
    set(module, "expect", |hall: &mut Hall, part: &str| {
        expect::said(hall.sim, &hall.place(), &Words::Part(part))
    });
    set(module, "expect_exact", |hall: &mut Hall, text: &str| {
        expect::said(hall.sim, &hall.place(), &Words::Whole(text))
    });
    set(module, "expect_match", |hall: &mut Hall, regex: &str| {
        expect::said(hall.sim, &hall.place(), &Words::Regex(regex))
    });
    set(module, "expect_none", |hall: &mut Hall| expect::nothing(hall.sim, Some(&hall.place())));
    set(module, "expect_reaction", |hall: &mut Hall, emoji: &str| {
        expect::sign(hall.sim, &hall.place(), &Sign::Reaction(emoji.to_owned()))
    });
    set(module, "skip", |hall: &mut Hall| expect::skip(hall.sim, Some(&hall.place())));
    set(module, "kick", |hall: &mut Hall, code: i64| kick(hall.sim, hall.jid.clone(), code));
    property(module, "occupants", |hall: &mut Hall| -> Checked<Array> {
        playing::world(hall.sim, |world| {
            Ok(world.stage.occupants(&hall.jid).into_iter().map(Dynamic::from).collect())
        })
    });
    property(module, "jid", |hall: &mut Hall| Ok(hall.jid.clone()));
}

fn property<T, R>(module: &mut Module, name: &str, get: impl Fn(&mut T) -> Checked<R> + Send + Sync + 'static)
where
    T: rhai::Variant + Clone,
    R: rhai::Variant + Clone,
{
    rhai::FuncRegistration::new_getter(name).set_into_module(module, get);
}

/// An empty room is the only one there is.
fn kick(sim: usize, room: String, code: i64) -> Checked<()> {
    let code = u16::try_from(code).unwrap_or(0);
    act(sim, format!("* kick {code}"), Act::Kick { room, code }).map(drop)
}

fn http(sim: &mut Sim, url: &str, res: Dynamic) -> Checked<()> {
    let (method, url) = match url.split_once(' ') {
        Some((method, url)) => (method.to_ascii_uppercase(), url.trim()),
        None => ("GET".to_owned(), url),
    };
    let mut answer = HttpResponse { status: 200, ..HttpResponse::default() };
    if let Ok(status) = res.as_int() {
        answer.status = status_of(status)?;
    } else if let Ok(body) = res.as_immutable_string_ref() {
        answer.body = body.as_bytes().to_vec();
    } else {
        let Some(map) = res.read_lock::<Map>().map(|map| map.clone()) else {
            let thrown = Thrown::new(Kind::Runtime, "an answer is a status, a body or a map");
            return Err(thrown.hint("write `#{ status: 200, body: \"…\" }`").into());
        };
        for (key, value) in &map {
            match key.as_str() {
                "status" => answer.status = status_of(value.as_int().unwrap_or(0))?,
                "body" => answer.body = opening::text("body", value)?.into_bytes(),
                "json" => answer.body = json(value)?,
                "headers" => answer.headers = pairs(value)?,
                other => return Err(unknown(other, "status, body, json, headers").into()),
            }
        }
    }
    let words = format!("* http {method} {url} → {}", answer.status);
    act(sim.0, words, Act::Http { method, url: url.to_owned(), answer }).map(drop)
}

fn status_of(status: i64) -> Result<u16, Thrown> {
    let status = u16::try_from(status).ok().filter(|status| (100..=599).contains(status));
    status.ok_or_else(|| Thrown::new(Kind::Runtime, "a status is a number from 100 to 599"))
}

fn unknown(key: &str, known: &str) -> Thrown {
    Thrown::new(Kind::Runtime, format!("there is no `{}` here", cut(key, 64))).hint(format!("it has {known}"))
}

fn json(value: &Dynamic) -> Result<Vec<u8>, Thrown> {
    values::to_json(value)
        .map(|value| value.to_string().into_bytes())
        .map_err(|why| Thrown::new(Kind::Runtime, why))
}

/// Names in lower case, and values.
fn pairs(value: &Dynamic) -> Result<Vec<(String, String)>, Thrown> {
    let Some(map) = value.read_lock::<Map>().map(|map| map.clone()) else {
        return Err(Thrown::new(Kind::Runtime, "these are a map of texts"));
    };
    map.iter().map(|(key, value)| Ok((key.to_lowercase(), opening::text(key, value)?))).collect()
}

fn webhook(sim: &mut Sim, name: &str, call: Map) -> Checked<Map> {
    let mut request =
        HookRequest { method: "POST".to_owned(), ip: "192.0.2.1".to_owned(), ..HookRequest::default() };
    for (key, value) in &call {
        match key.as_str() {
            "method" => request.method = opening::text("method", value)?.to_ascii_uppercase(),
            "query" => request.query = pairs(value)?,
            "headers" => request.headers.extend(pairs(value)?),
            "body" => request.body = opening::text("body", value)?.into_bytes(),
            "json" => {
                request.body = json(value)?;
                request.headers.push(("content-type".to_owned(), "application/json".to_owned()));
            }
            other => return Err(unknown(other, "method, query, headers, body, json").into()),
        }
    }
    playing::act(|playing| {
        playing.note(format!("* webhook {name}"));
        let world = known(playing, sim.0)?;
        let answer = memory::uncounted(|| {
            let answer = world.stage.call_hook(name, request);
            world.collect();
            answer
        });
        let answer = answer.map_err(|why| Thrown::new(Kind::Runtime, why))?;
        let headers: Map =
            answer.headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        let mut map = Map::new();
        map.insert("status".into(), i64::from(answer.status).into());
        map.insert("headers".into(), headers.into());
        map.insert("body".into(), body.into());
        Ok(map)
    })
}

fn stored(sim: usize, script: Option<&str>) -> Checked<Map> {
    playing::world(sim, |world| {
        let stored: BTreeMap<_, _> =
            world.stage.stored(script).map_err(|why| Thrown::new(Kind::Runtime, why))?;
        Ok(stored.iter().map(|(key, value)| (key.as_str().into(), values::from_json(value))).collect())
    })
}
