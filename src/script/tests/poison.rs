//! Events whose turns fail: three tries, then a dead letter; nothing else is touched.

use std::time::Duration;

use serde_json::json;

use super::{Player, Rig, message, script};
use crate::script::retries;
use crate::store::dead::{Letter, RETRIES, Tally};
use crate::store::flight::Flight;
use crate::store::{Allowance, Batch, Limits, Scope, Store, StoreOptions, TimerRow, TimerWrite};

/// Counts its tries; `bad` never works, `late` works the third time.
const COUNTS: &str = r#"
let tries = #{};
on("message", |m| {
    log::info("heard");
    if m.text == "good" { m.reply("re good"); return; }
    tries[m.text] = (tries[m.text] ?? 0) + 1;
    if m.text == "late" && tries.late == 3 { store::set("done", true); m.reply("re late"); return; }
    throw `${m.text} ${tries[m.text]}`;
});
command("bad", "fails", |m, a| { throw "a command"; });
"#;

#[test]
fn an_event_is_given_up_after_exactly_three_tries_and_nothing_waits_for_it() {
    let (store, rig) = rig();
    let mut bot = rig.bot(COUNTS);
    bot.fail(message("ann@example.org/phone", "bad"));
    assert_eq!(bot.ask("good"), ["re good"]);
    assert_eq!(tally(&store), Some(Tally { bot: "helper".into(), kept: 0, displaced: 0, waiting: 1 }));
    rig.advance(Duration::from_millis(900));
    assert_eq!(failures(&bot), 1, "not before its time");
    again(&rig, &bot, Duration::from_millis(200), 2);
    rig.advance(Duration::from_secs(9));
    assert_eq!(failures(&bot), 2);
    again(&rig, &bot, Duration::from_secs(2), 3);
    let letters = letters(&store);
    let Letter { bot: name, script, kind, from, tries, error, .. } = &letters[0];
    assert_eq!(
        (letters.len(), name.as_str(), script.as_str(), kind.as_str()),
        (1, "helper", "main", "message")
    );
    assert_eq!((from.as_deref(), *tries), (Some("ann@example.org/phone"), 3));
    assert!(error.contains("bad 3"), "{error}");
    assert_eq!(tally(&store), Some(Tally { bot: "helper".into(), kept: 1, displaced: 0, waiting: 0 }));
    rig.advance(Duration::from_secs(3600));
    assert_eq!(bot.ask("good"), ["re good"]);
    assert_eq!(failures(&bot), 3, "it is over");
}

#[test]
fn an_event_that_works_at_last_is_done_once() {
    let (store, rig) = rig();
    let mut bot = rig.bot(COUNTS);
    bot.fail(message("ann@example.org/phone", "late"));
    again(&rig, &bot, Duration::from_secs(1), 2);
    rig.advance(Duration::from_secs(10));
    assert_eq!(bot.told.wait_texts(|said| !said.is_empty()), ["re late"]);
    assert_eq!(tally(&store), None);
    let done = store.reader().expect("a reader").get(&scope(), "done").expect("read");
    assert_eq!(done, Some(json!(true)));
}

#[test]
fn only_the_script_that_failed_tries_again() {
    let (store, rig) = rig();
    let counts = r#"on("message", |m| { let n = (store::get("n") ?? 0) + 1; store::set("n", n); m.reply(`n ${n}`); });"#;
    let bad = r#"on("message", |m| { throw "no"; });"#;
    let mut bot = rig.add("helper", vec![script("good", counts), script("bad", bad)]);
    let turned = bot.try_event(message("ann@example.org/phone", "x"));
    assert_eq!(super::texts(&turned.actions), ["n 1"]);
    again(&rig, &bot, Duration::from_secs(1), 2);
    again(&rig, &bot, Duration::from_secs(10), 3);
    assert_eq!(bot.told.wait_texts(|said| !said.is_empty()), ["n 1"]);
    assert_eq!(letters(&store).iter().map(|it| it.script.as_str()).collect::<Vec<_>>(), ["bad"]);
}

#[test]
fn commands_and_timers_are_tried_again_and_given_up_too() {
    let (store, rig) = rig();
    let timers = r#"on("message", |m| timer::at("1h", "tea")); on("timer:tea", |t| { throw "cold"; });"#;
    let mut bot = rig.add("helper", vec![script("main", COUNTS), script("timers", timers)]);
    bot.fail(message("ann@example.org/phone", "!bad"));
    again(&rig, &bot, Duration::from_secs(1), 2);
    again(&rig, &bot, Duration::from_secs(10), 3);
    assert_eq!(bot.ask("good"), ["re good"]);
    again(&rig, &bot, Duration::from_secs(3600), 4);
    again(&rig, &bot, Duration::from_secs(1), 5);
    again(&rig, &bot, Duration::from_secs(10), 6);
    let letters = letters(&store);
    let told: Vec<(&str, &str, u32)> =
        letters.iter().map(|it| (it.script.as_str(), it.kind.as_str(), it.tries)).collect();
    assert_eq!(told, [("main", "message", 3), ("timers", "timer:tea", 3)]);
}

#[test]
fn retries_outlive_the_process_and_letters_can_be_tried_again() {
    let store = Store::scratch(StoreOptions::default()).expect("a scratch store");
    let rig = Rig::on(&store);
    let mut bot = rig.bot(COUNTS);
    bot.fail(message("ann@example.org/phone", "late"));
    drop((bot, rig));
    let rig = Rig::on(&store);
    let bot = rig.bot(r#"on("message", |m| { throw "never"; });"#);
    again(&rig, &bot, Duration::from_secs(1), 1);
    again(&rig, &bot, Duration::from_secs(10), 2);
    let letter = letters(&store).remove(0);
    assert_eq!(letter.tries, 3);
    bot.handle.swap(vec![script("main", r#"on("message", |m| m.reply("mended: " + m.text));"#)]);
    let now = "2026-03-01T12:00:12Z".parse().expect("a stamp");
    let row = retries::revived(&letter, store.timer_id(), now).expect("it was kept");
    let batch = Batch { bot: "helper".into(), timers: vec![TimerWrite::Set(row)], ..Batch::default() };
    store.commit_wait(Batch { buried: vec![letter.id], ..batch }).expect("kept");
    rig.pool.chronicle().look_again();
    rig.advance(Duration::from_secs(10));
    assert_eq!(bot.told.wait_texts(|said| !said.is_empty()), ["mended: late"]);
    assert_eq!(tally(&store), None);
}

#[test]
fn a_script_that_is_gone_leaves_a_letter_and_one_that_is_parked_is_waited_for() {
    let (store, rig) = rig();
    let mut bot = rig.bot(COUNTS);
    bot.fail(message("ann@example.org/phone", "bad"));
    bot.handle.swap(Vec::new());
    rig.advance(Duration::from_secs(1));
    let found = || (!letters(&store).is_empty()).then_some(());
    (0..500)
        .find_map(|_| {
            found().or_else(|| {
                std::thread::sleep(Duration::from_millis(10));
                None
            })
        })
        .expect("a letter");
    let letter = letters(&store).remove(0);
    assert_eq!((letter.tries, letter.error.as_str()), (1, "the bot does not use the script any more"));
}

#[test]
fn what_the_store_refuses_is_tried_again_as_a_whole() {
    let (store, rig) = rig();
    let greedy =
        r#"on("message", |m| { for n in 0..40 { store::set(`k${n}`, "x".pad(60000)); } m.reply("kept"); });"#;
    let greedy = greedy.replace(r#""x".pad(60000)"#, r#"let_it"#);
    let greedy = greedy.replace(
        "let_it",
        r#"{ let s = "0123456789"; s += s; s += s; s += s; s += s; s += s; s += s; s += s; s }"#,
    );
    let mut uses = script("main", &greedy);
    uses.limits.store = 10_000;
    let mut bot = rig.add("helper", vec![uses]);
    bot.fail(message("ann@example.org/phone", "x"));
    again(&rig, &bot, Duration::from_secs(1), 2);
    again(&rig, &bot, Duration::from_secs(10), 3);
    let letters = letters(&store);
    assert_eq!((letters.len(), letters[0].tries, letters[0].script.as_str()), (1, 3, ""));
}

#[test]
fn where_no_more_retries_fit_there_is_a_letter_at_once() {
    let limits = Limits { scope: Allowance { timers: 3, ..Allowance::DEFAULT }, ..Limits::DEFAULT };
    let store = Store::scratch(StoreOptions { limits, ..StoreOptions::default() }).expect("a scratch store");
    let rig = Rig::on(&store);
    for _ in 0..3 {
        let row = TimerRow {
            id: store.timer_id(),
            bot: "helper".into(),
            script: RETRIES.into(),
            name: "main".into(),
            due: "2030-01-01T00:00:00Z".parse().expect("a stamp"),
            data: json!({}),
        };
        let batch = Batch { bot: "helper".into(), timers: vec![TimerWrite::Set(row)], ..Batch::default() };
        store.commit_wait(batch).expect("kept");
    }
    let mut bot = rig.bot(COUNTS);
    bot.fail(message("ann@example.org/phone", "bad"));
    assert_eq!(letters(&store).iter().map(|it| it.tries).collect::<Vec<_>>(), [1]);
    assert_eq!(bot.ask("good"), ["re good"]);
}

#[test]
fn a_turn_in_which_the_process_has_died_three_times_is_not_run() {
    let store = Store::scratch(StoreOptions::default()).expect("a scratch store");
    for _ in 0..3 {
        let flight = Flight::open(&store).expect("it opens");
        std::mem::forget(flight.begin("helper", "main", "key-1"));
    }
    let rig = Rig::on(&store);
    let mut bot = rig.bot(COUNTS);
    let failure = bot.fail(message("ann@example.org/phone", "good"));
    assert!(failure.message.starts_with("the process died 3 times"), "{failure}");
    assert_eq!(
        letters(&store).iter().map(|it| (it.tries, it.data.is_some())).collect::<Vec<_>>(),
        [(3, true)]
    );
    assert_eq!(bot.ask("good"), ["re good"], "others are");
}

/// Lets time pass, and waits until so many turns have failed.
fn again(rig: &Rig, bot: &Player, span: Duration, count: usize) {
    rig.advance(span);
    for _ in 0..1000 {
        if failures(bot) >= count {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(failures(bot), count);
}

fn failures(bot: &Player) -> usize {
    bot.told.failures()
}

fn rig() -> (Store, Rig) {
    let store = Store::scratch(StoreOptions::default()).expect("a scratch store");
    let rig = Rig::on(&store);
    (store, rig)
}

fn scope() -> Scope {
    Scope { bot: "helper".into(), script: "main".into() }
}

fn letters(store: &Store) -> Vec<Letter> {
    store.reader().expect("a reader").letters("helper").expect("read")
}

fn tally(store: &Store) -> Option<Tally> {
    store.reader().expect("a reader").tallies().expect("read").pop()
}
