//! `shared::` and `peer::`: what bots of one process have in common and say to each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::script::data::{Data, Memory};
use crate::script::error::Kind;
use crate::script::tests::{Player, Rig, message, script, texts};
use crate::script::turn::TELL;
use crate::script::{Delivery, Permissions, ScriptUse};
use crate::store::{Batch, Scope, Store, StoreOptions, TimerRow, TimerWrite, Write};

/// A script that may use what is shared, and talk to all.
fn granted(source: &str) -> ScriptUse {
    let permissions = Permissions { shared: true, bots: vec!["*".to_owned()], ..Permissions::default() };
    ScriptUse { permissions, ..script("main", source) }
}

/// A rig over SQLite.
fn sqlite() -> (Store, Rig) {
    let mut kept = None;
    let rig = Rig::with(2, |clock| {
        let store = Store::scratch(StoreOptions { clock, ..StoreOptions::default() }).expect("a store");
        kept = Some(store.clone());
        Arc::new(store)
    });
    (kept.expect("made above"), rig)
}

fn flood(bots: &mut [Player], each: u64, text: impl Fn(u64) -> String) -> Vec<String> {
    for number in 1..=each {
        for bot in bots.iter() {
            let event = message("ann@example.org/phone", &text(number));
            let key = format!("key-{number}");
            bot.handle.deliver(Delivery { event, number: Some(number), key }).expect("there is room");
        }
    }
    for bot in bots.iter() {
        bot.told.wait(|turned| turned.handled.contains(&each));
    }
    let count = usize::try_from(each).expect("a small number");
    bots.iter().flat_map(|bot| bot.told.wait_texts(|said| said.len() >= count)).collect()
}

#[test]
fn bots_see_what_others_have_set() {
    let rig = Rig::new();
    let source = r#"on("message", |m| {
    if m.text == "set" { shared::set("motd", #{ by: bot::name() }); shared::set("a/gone", 1); shared::del("a/gone"); }
    m.reply(`${shared::get("motd")?.by} ${shared::keys("m")} ${shared::keys("a/").len()} ${store::get("motd", "own: none")}`);
});"#;
    let mut one = rig.add("one", vec![granted(source)]);
    let mut two = rig.add("two", vec![granted(source)]);
    assert_eq!(one.ask("set"), ["one [\"motd\"] 0 own: none"]);
    assert_eq!(two.ask("x"), ["one [\"motd\"] 0 own: none"]);
}

#[test]
fn what_is_shared_needs_a_grant() {
    let rig = Rig::new();
    for (at, call) in
        ["get(\"a\")", "set(\"a\", 1)", "keys(\"\")", "incr(\"a\")", "once(\"a\")", "del(\"a\")"]
            .into_iter()
            .enumerate()
    {
        let mut bot = rig
            .add(&format!("bot{at}"), vec![script("main", &format!("on(\"message\", |m| shared::{call});"))]);
        let failure = bot.fail(message("ann@example.org", "x"));
        assert_eq!((failure.kind, failure.line), (Kind::Forbidden, 1), "{call}");
        assert!(failure.hint.is_some_and(|hint| hint.contains("permissions: { shared: true }")), "{call}");
    }
}

#[test]
fn a_grant_that_is_taken_back_holds_from_the_next_turn_on() {
    let rig = Rig::new();
    let source = r#"on("message", |m| m.reply(shared::incr("n")));"#;
    let mut bot = rig.add("one", vec![granted(source)]);
    assert_eq!(bot.ask("x"), ["1"]);
    bot.handle.swap(vec![script("main", source)]);
    assert_eq!(bot.fail(message("ann@example.org", "x")).kind, Kind::Forbidden);
}

#[test]
fn two_bots_that_count_at_once_lose_nothing() {
    for rig in [Rig::new(), sqlite().1] {
        let source = r#"on("message", |m| m.reply(shared::incr("n")));"#;
        let mut bots = ["one", "two", "three"].map(|name| rig.add(name, vec![granted(source)]));
        let said = flood(&mut bots, 100, |_| "x".to_owned());
        let numbers: BTreeSet<u64> = said.iter().map(|text| text.parse().expect("a number")).collect();
        assert_eq!((said.len(), numbers.len()), (300, 300), "no two turns get the same sum");
        assert_eq!(numbers.last(), Some(&300));
    }
}

#[test]
fn once_is_once_among_bots_that_try_at_the_same_time() {
    let (_, rig) = sqlite();
    let source = r#"on("message", |m| m.reply(`${shared::once(m.text)}`));"#;
    let mut bots = ["one", "two"].map(|name| rig.add(name, vec![granted(source)]));
    let said = flood(&mut bots, 100, |number| format!("key {number}"));
    assert_eq!(said.iter().filter(|text| *text == "true").count(), 100);
}

#[test]
fn what_was_read_must_still_hold_at_the_commit() {
    let (store, rig) = sqlite();
    let source = r#"on("message", |m| { shared::set("n", shared::get("n", 0) * 2 + 1); m.reply(shared::get("n")); });"#;
    let mut bot = rig.add("one", vec![granted(source)]);
    assert_eq!(bot.ask("x"), ["1"]);
    let write = Write { script: String::new(), key: "n".into(), value: Some(10.into()), expires: None };
    store.commit_wait(Batch { shared: vec![write], ..Batch::default() }).expect("it is kept");
    assert_eq!(bot.ask("x"), ["21"]);
    let stale = crate::store::Seen { key: "n".into(), entry: Some((10.into(), None)) };
    let refused = store.commit_wait(Batch { seen: vec![stale], sent: vec![1], ..Batch::default() });
    assert!(matches!(refused, Err(crate::store::error::StoreError::Conflict { key }) if key == "n"));
    assert_eq!(store.reader().expect("a reader").get(&Scope::shared(), "n"), Ok(Some(21.into())));
}

#[test]
fn a_bot_hears_what_another_says() {
    let rig = Rig::new();
    let mut hall = rig.add("hall", vec![script("main", HALL), script("second", HALL)]);
    hall.ask("loaded");
    let mut door = rig
        .add("door", vec![granted(r#"on("message", |m| peer::tell("hall", "guest", #{ who: m.text }));"#)]);
    door.ask("eve");
    rig.pool.wake();
    let said = hall.told.wait_texts(|said| said.len() >= 4);
    assert_eq!(said[2..], ["door door@example.org guest eve", "door door@example.org guest eve"]);
}

#[test]
fn a_word_of_a_turn_that_fails_is_not_said() {
    let rig = Rig::new();
    let mut hall = rig.add("hall", vec![script("main", HALL)]);
    let source = r#"on("message", |m| { peer::tell("hall", "guest", #{ who: m.text }); if m.text == "eve" { throw "no"; } });"#;
    let mut door = rig.add("door", vec![granted(source)]);
    door.fail(message("ann@example.org", "eve"));
    door.ask("adam");
    rig.pool.wake();
    assert_eq!(hall.told.wait_texts(|said| !said.is_empty()), ["door door@example.org guest adam"]);
    assert_eq!(hall.ask("x"), ["x"]);
}

#[test]
fn what_is_said_to_a_bot_that_is_away_arrives_once_it_is_back() {
    let (store, rig) = sqlite();
    // What `peer::tell` of the bot `door` leaves behind, while `hall` does not run.
    let data = json!({ "from": "door", "jid": "door@example.org", "hops": 1, "data": { "who": "eve" } });
    let row = TimerRow {
        id: store.timer_id(),
        bot: "hall".into(),
        script: TELL.into(),
        name: "guest".into(),
        due: "2026-03-01T11:00:00Z".parse().expect("a stamp"),
        data,
    };
    let batch = Batch { bot: "door".into(), timers: vec![TimerWrite::Tell(row)], ..Batch::default() };
    store.commit_wait(batch).expect("it is kept");
    rig.pool.wake();
    let hall = rig.add("hall", vec![script("main", HALL)]);
    let said = hall.told.wait_texts(|said| !said.is_empty());
    assert_eq!(said, ["door door@example.org guest eve"]);
    assert_eq!(Data::next_due(&store), Ok(None), "it is not said again");
}

#[test]
fn what_finds_no_room_stays_in_the_store() {
    let rig = Rig::new();
    let hall = rig.add("hall", vec![script("main", HALL)]);
    hall.handle.configure(Vec::new(), BTreeMap::new(), 1, Vec::new());
    let source = r#"on("message", |m| if m.text == "x" { for n in 0..50 { peer::tell("hall", "guest", #{ who: n }); } });"#;
    let mut door = rig.add("door", vec![granted(source)]);
    door.ask("x");
    // A word may find the one place taken more than once: the clock goes on until all are heard.
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut said = Vec::new();
    while said.len() < 50 {
        assert!(Instant::now() < deadline, "only {said:?} was heard");
        rig.advance(Duration::from_secs(2));
        door.ask("nothing");
        said = hall.told.wait_texts(|_| true);
    }
    let in_order: Vec<String> = (0..50).map(|n| format!("door door@example.org guest {n}")).collect();
    let all: BTreeSet<_> = said.iter().collect();
    assert_eq!((said.len(), all), (50, in_order.iter().collect()));
}

#[test]
fn talking_to_a_bot_needs_a_grant_and_a_bot() {
    let rig = Rig::new();
    let _hall = rig.add("hall", vec![script("main", HALL)]);
    let source = r#"on("message", |m| peer::tell(m.text, "guest"));"#;
    let mut plain = rig.add("plain", vec![script("main", source)]);
    let failure = plain.fail(message("ann@example.org", "hall"));
    assert_eq!(failure.kind, Kind::Forbidden);
    assert!(failure.hint.is_some_and(|hint| hint.contains("permissions: { bots: [hall] }")));
    let only = Permissions { bots: vec!["hall".to_owned()], ..Permissions::default() };
    let mut narrow = rig.add("narrow", vec![ScriptUse { permissions: only, ..script("main", source) }]);
    narrow.ask("hall");
    assert_eq!(narrow.fail(message("ann@example.org", "plain")).kind, Kind::Forbidden);
    let mut wide = rig.add("wide", vec![granted(source)]);
    let failure = wide.fail(message("ann@example.org", "hal"));
    assert_eq!(failure.message, "there is no bot `hal`");
    assert_eq!(failure.hint.as_deref(), Some("did you mean `hall`?"));
}

#[test]
fn what_cannot_be_said_is_refused() {
    let rig = Rig::new();
    for (at, (call, expected)) in [
        ("peer::tell(\"bot0\", \"\")", "a topic has 1 to 512 bytes"),
        ("peer::tell(\"bot0\", \"a\", || 1)", "function"),
        (
            "{ let s = \"x\"; for i in 0..15 { s += s; } peer::tell(\"bot0\", \"a\", [s, s]) }",
            "is larger than",
        ),
        ("for i in 0..2000 { peer::tell(\"bot0\", \"a\") }", "more than 1000 writes in one turn"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut bot = rig.add(&format!("bot{at}"), vec![granted(&format!("on(\"message\", |m| {call});"))]);
        let failure = bot.fail(message("ann@example.org", "x"));
        assert!(failure.message.contains(expected), "{call}: {failure}");
    }
}

#[test]
fn two_bots_that_answer_each_other_are_stopped() {
    let rig = Rig::with(2, |clock| Arc::new(Memory::new(clock)));
    let source = |other: &str| {
        granted(&format!(
            "on(\"message\", |m| peer::tell(\"{other}\", \"ping\", 1));
on(\"tell:ping\", |told| {{ bot::send(\"ann@example.org\", `${{told.data}}`); peer::tell(\"{other}\", \"ping\", told.data + 1); }});"
        ))
    };
    let mut one = rig.add("one", vec![source("two")]);
    let two = rig.add("two", vec![source("one")]);
    one.ask("x");
    rig.pool.wake();
    // The sixteenth word is the last: its answer is refused, and with it what the turn would have sent.
    let failure = one.told.wait_failure();
    assert_eq!((failure.kind, failure.event.as_deref()), (Kind::Forbidden, Some("tell:ping")));
    assert!(failure.message.contains("17th word in a row"), "{failure}");
    assert_eq!(two.told.wait_texts(|said| said.len() >= 8), ["1", "3", "5", "7", "9", "11", "13", "15"]);
    let own: Vec<String> = one.told.wait_texts(|_| true);
    assert_eq!(own, ["2", "4", "6", "8", "10", "12", "14"]);
    assert!(texts(&one.try_event(message("ann@example.org", "y")).actions).is_empty());
}

/// Says what it hears.
const HALL: &str = r#"on("message", |m| m.reply(m.text));
on("tell:guest", |told| bot::send("ann@example.org", `${told.from} ${told.jid} ${told.topic} ${told.data?.who}`));"#;
