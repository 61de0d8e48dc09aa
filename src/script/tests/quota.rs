//! What a script may keep, on the store of the program: what is refused is refused whole.

use std::sync::Arc;

use super::{Player, Rig, message, patient, script};
use crate::script::error::Kind;
use crate::script::{Limits, ScriptUse};
use crate::store::{Allowance, Scope, Store, StoreOptions};

/// Bytes that the script may keep.
const QUOTA: u64 = 100_000;
/// Timers that it may have.
const TIMERS: u64 = 3;

/// Writes, sets a timer, counts and answers, in one turn.
const GREEDY: &str = r#"on("message", |m| {
    let words = m.text.split(" ");
    let s = "";
    s.pad(parse_int(words[1]), 'x');
    store::incr("turns");
    store::set("first/" + words[0], words[0]);
    for i in 0..parse_int(words[2]) { timer::at("9d", "far", #{ word: words[0] }); }
    store::set("big/" + words[0], s);
    store::del("first/gone");
    m.reply("kept " + words[0]);
});
on("timer:far", |t| ());"#;

#[test]
fn a_turn_that_the_quota_refuses_leaves_nothing_behind() {
    let (rig, store) = on_the_store();
    let mut bot = rig.add("helper", vec![greedy()]);
    assert_eq!(bot.ask("one 50000 1"), ["kept one"]);
    let before = everything(&store);
    assert_eq!(before.keys, ["big/one", "first/one", "turns"]);
    for refused in ["two 60000 1", "three 50000 1", "four 10 3"] {
        let failure = bot.fail(message("ann@example.org/phone", refused));
        assert_eq!((failure.kind, failure.script.as_str()), (Kind::Store, "main"), "{refused}: {failure}");
        let bound = if refused.starts_with("four") { "limits.timers" } else { "limits.store" };
        assert!(failure.hint.as_deref().is_some_and(|hint| hint.contains(bound)), "{refused}: {failure}");
        assert_eq!(everything(&store), before, "after {refused}");
    }
    // It goes on with what fits, and the count has not counted what was refused.
    assert_eq!(bot.ask("five 10 1"), ["kept five"]);
    let after = everything(&store);
    assert_eq!(after.keys, ["big/five", "big/one", "first/five", "first/one", "turns"]);
    assert_eq!((after.turns, after.timers), (2, 2));
    assert!(after.usage.bytes <= QUOTA && after.outbox == 0, "{after:?}");
}

#[test]
fn one_turn_of_a_row_that_the_quota_refuses_takes_no_other_with_it() {
    let (rig, store) = on_the_store();
    let bot = rig.add("helper", vec![greedy()]);
    // They are delivered at once, so that several of them are one row and one commit.
    let words = ["a 30000 1", "b 30000 0", "c 90000 1", "d 10 1", "e 90000 0", "f 20 0"];
    for (at, text) in words.iter().enumerate() {
        let number = at as u64 + 1;
        let event = message("ann@example.org/phone", text);
        let key = format!("row-{number}");
        bot.handle.deliver(crate::script::Delivery { event, number: Some(number), key }).expect("room");
    }
    let said = settled(&bot, words.len());
    assert_eq!(said, ["kept a", "kept b", "kept d", "kept f"]);
    let after = everything(&store);
    let kept = ["a", "b", "d", "f"];
    let keys = kept.iter().map(|word| format!("big/{word}"));
    let keys = keys.chain(kept.iter().map(|word| format!("first/{word}"))).chain(["turns".to_owned()]);
    assert_eq!(after.keys, keys.collect::<Vec<_>>());
    assert_eq!((after.turns, after.timers), (4, 2));
}

#[test]
fn a_script_that_is_refused_does_not_take_the_room_of_another() {
    let (rig, store) = on_the_store();
    let mut hostile = rig.add("hostile", vec![greedy()]);
    let mut bot = rig.add("helper", vec![greedy()]);
    hostile.fail(message("ann@example.org/phone", "one 99999 1"));
    assert_eq!(bot.ask("one 50000 1"), ["kept one"]);
    assert_eq!(everything(&store).keys, ["big/one", "first/one", "turns"]);
    let scope = Scope { bot: "hostile".to_owned(), script: "main".to_owned() };
    assert_eq!(store.reader().expect("a reader").keys(&scope, "", 9).expect("read"), [""; 0]);
}

fn on_the_store() -> (Rig, Arc<Store>) {
    let mut store = None;
    let rig = Rig::with(1, |clock| {
        let options = StoreOptions { clock, ..StoreOptions::default() };
        let scratch = Arc::new(Store::scratch(options).expect("a scratch folder"));
        store = Some(scratch.clone());
        scratch
    });
    (rig, store.expect("set above"))
}

fn greedy() -> ScriptUse {
    ScriptUse { limits: Limits { store: QUOTA, timers: TIMERS, ..patient() }, ..script("main", GREEDY) }
}

/// All that `helper` has in the store.
#[derive(Debug, PartialEq, Eq)]
struct Everything {
    keys: Vec<String>,
    turns: i64,
    timers: usize,
    usage: Allowance,
    outbox: usize,
}

fn everything(store: &Store) -> Everything {
    let reader = store.reader().expect("a reader");
    let scope = Scope { bot: "helper".to_owned(), script: "main".to_owned() };
    let turns = reader.get(&scope, "turns").expect("read").and_then(|value| value.as_i64());
    let timers = reader.timers(&scope, None, 99).expect("read").len();
    Everything {
        keys: reader.keys(&scope, "", 99).expect("read"),
        turns: turns.unwrap_or(0),
        timers,
        usage: Allowance { bytes: reader.usage(&scope).expect("read"), timers: timers as u64 },
        outbox: reader.outbox("helper").expect("read").len(),
    }
}

/// Waits until that many events are handled, and gives what was said.
fn settled(bot: &Player, events: usize) -> Vec<String> {
    for number in 1..=events as u64 {
        bot.told.wait(|turned| turned.handled.contains(&number));
    }
    bot.told.wait_texts(|_| true)
}
