//! The pool: swaps, lanes, full queues, refused commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use super::{Rig, compiled, message, script, texts};
use crate::script::data::{Data, Memory, Read};
use crate::script::{BotSpec, Delivery, Limits, ScriptUse};
use crate::store::error::StoreError;
use crate::store::{Batch, Done, TimerRow};

#[test]
fn a_swap_under_load_gives_every_event_to_exactly_one_version() {
    let rig = Rig::new();
    let version = |n: usize| {
        vec![script(
            "main",
            &format!("on(\"message\", |m| m.reply(`{n} ${{m.text}} ${{store::incr(\"n\")}}`));"),
        )]
    };
    let bot = rig.add("helper", version(0));
    let mut sent = 0;
    for n in 1..=20 {
        for _ in 0..40 {
            sent += 1;
            let event = message("ann@example.org", &format!("m{sent}"));
            bot.handle
                .deliver(Delivery { event, number: Some(sent), key: format!("k{sent}") })
                .expect("room");
        }
        bot.handle.swap(version(n));
    }
    let said = bot.told.wait_texts(|said| said.len() >= 800);
    assert_eq!(said.len(), 800);
    let mut last = 0;
    for (at, text) in said.iter().enumerate() {
        let parts: Vec<&str> = text.split(' ').collect();
        let version: usize = parts[0].parse().expect("a version");
        assert!(version >= last, "{text} came after version {last}");
        last = version;
        assert_eq!(parts[1], format!("m{}", at + 1));
        assert_eq!(parts[2], (at + 1).to_string(), "values carry over");
    }
}

#[test]
fn a_script_that_is_as_before_keeps_its_state_and_a_broken_one_its_old_version() {
    let rig = Rig::new();
    let counting =
        |n: i64| script("main", &format!("let n = 0; on(\"message\", |m| {{ n += {n}; m.reply(n); }});"));
    let mut bot = rig.add("helper", vec![counting(1)]);
    assert_eq!(bot.ask("x"), ["1"]);
    bot.handle.swap(vec![counting(1)]);
    assert_eq!(bot.ask("x"), ["2"]);
    bot.handle.swap(vec![counting(10)]);
    assert_eq!(bot.ask("x"), ["10"]);
    bot.handle.swap(vec![script("main", r#"on("message", |m| m.reply("new")); throw "broken";"#)]);
    assert_eq!(bot.told.wait_failure().message, "broken");
    assert_eq!(bot.ask("x"), ["20"]);
    let state = bot.handle.scripts().remove(0);
    assert!(state.running && state.trouble.is_some());
    assert_eq!(state.version, counting(10).compiled.version());
}

#[test]
fn a_script_that_does_not_load_is_parked_and_the_others_go_on() {
    let rig = Rig::new();
    let mut bot = rig.add(
        "helper",
        vec![script("bad", "let x = 1 / 0;"), script("good", r#"on("message", |m| m.reply("yes"));"#)],
    );
    let turned = bot.try_event(message("ann@example.org", "x"));
    assert_eq!(texts(&turned.actions), ["yes"]);
    let failure = bot.told.wait_failure();
    assert_eq!((failure.script.as_str(), failure.line), ("bad", 1));
    let running: Vec<bool> = bot.handle.scripts().iter().map(|state| state.running).collect();
    assert_eq!(running, [false, true]);
}

#[test]
fn timers_and_values_carry_over_to_the_next_version() {
    let rig = Rig::new();
    let mut bot = rig.bot(r#"on("message", |m| { timer::at("1m", "t"); store::set("k", "kept"); });"#);
    bot.ask("x");
    bot.handle
        .swap(vec![script("main", r#"on("timer:t", |t| bot::send("ann@example.org", store::get("k")));"#)]);
    rig.advance(Duration::from_secs(61));
    bot.told.wait_texts(|said| said == ["kept"]);
}

#[test]
fn a_timer_without_a_handler_waits_for_a_version_that_has_one() {
    let rig = Rig::new();
    let mut bot = rig.bot(r#"on("message", |m| { timer::at("1m", "t"); });"#);
    bot.ask("x");
    bot.handle.swap(vec![script("main", r#"on("message", |m| m.reply("no handler"));"#)]);
    rig.advance(Duration::from_secs(61));
    assert_eq!(bot.ask("x"), ["no handler"]);
    let handled = r#"on("timer:t", |t| bot::send("ann@example.org", `late ${t.late_s >= 60}`));"#;
    rig.advance(Duration::from_secs(120));
    bot.handle.swap(vec![script("main", handled)]);
    rig.advance(Duration::from_secs(1));
    bot.told.wait_texts(|said| said.iter().any(|text| text == "late true"));
    rig.advance(Duration::from_secs(61));
    bot.handle.swap(vec![script("main", &format!("{handled}\non(\"message\", |m| m.reply(\"again\"));"))]);
    rig.advance(Duration::from_secs(1));
    assert_eq!(bot.ask("x"), ["again"], "it does not come twice");
}

#[test]
fn a_slow_bot_goes_to_the_slow_lane_and_comes_back() {
    let rig = Rig::new();
    let mut bot = rig
        .bot(r#"on("message", |m| { if m.text == "slow" { let x = 0; for i in 0..30000 { x += i; } } });"#);
    bot.ask("slow");
    assert!(bot.handle.is_slow());
    for _ in 0..60 {
        bot.ask("fast");
        if !bot.handle.is_slow() {
            return;
        }
    }
    panic!("it never came back");
}

#[test]
fn a_looping_bot_does_not_hold_up_its_neighbour() {
    let rig = Rig::with(1, |clock| Arc::new(Memory::new(clock)));
    // Long turns that do not fail: those that do would park the script.
    let limits = Limits { turn: Duration::from_secs(30), operations: 10_000_000_000, ..Limits::DEFAULT };
    let source = r#"on("message", |m| { let x = 0; for i in 0..200000 { x += i; } });"#;
    let hostile = rig.add("hostile", vec![ScriptUse { limits, ..script("main", source) }]);
    for n in 0..50 {
        let event = message("ann@example.org", "x");
        hostile.handle.deliver(Delivery { event, number: Some(n), key: n.to_string() }).expect("room");
    }
    // The first row is bounded; after it the bot is on the slow lane, with 42 events left.
    let turned = hostile.told.wait(|turned| turned.turns > 0);
    assert!(turned.failures.is_empty(), "{:?}", turned.failures);
    let mut neighbour = rig.add("neighbour", vec![script("main", r#"on("message", |m| m.reply("here"));"#)]);
    assert_eq!(neighbour.ask("x"), ["here"]);
    assert!(hostile.handle.queued() > 0, "the hostile bot was already done: nothing was shown");
}

#[test]
fn a_full_queue_refuses_and_gives_the_event_back() {
    let rig = Rig::new();
    let told = Arc::new(super::Told::default());
    let slow = script("main", r#"on("message", |m| { let x = 0; for i in 0..20000 { x += i; } });"#);
    let jid = super::jid("helper@example.org").to_bare();
    let spec = BotSpec {
        name: "helper".to_owned(),
        jid,
        scripts: vec![slow],
        queue: 3,
        admins: Vec::new(),
        roles: Default::default(),
        schedules: Vec::new(),
        speech: Default::default(),
    };
    let handle = rig.pool.add(spec, told);
    let delivery =
        |n: u64| Delivery { event: message("ann@example.org", "x"), number: Some(n), key: n.to_string() };
    let refused = (0..1000).find_map(|n| handle.deliver(delivery(n)).err().map(|full| (n, full)));
    let (n, full) = refused.expect("the queue fills up");
    assert_eq!(*full.0, delivery(n));
}

#[test]
fn two_bots_of_one_process_know_each_other() {
    let rig = Rig::new();
    let source = r#"on("message", |m| if !m.is_bot { m.reply("hello"); });"#;
    let mut one = rig.add("one", vec![script("main", source)]);
    let _two = rig.add("two", vec![script("main", source)]);
    assert_eq!(one.ask("x"), ["hello"]);
    assert!(one.give(message("two@example.org/x", "x")).is_empty());
}

#[test]
fn texts_that_are_the_same_share_one_version() {
    let source = "let same = 1;";
    let kept = compiled(source);
    assert!(Arc::ptr_eq(&kept.inner, &compiled(source).inner));
}

#[test]
fn values_and_timers_go_through_the_real_store() {
    let mut store = None;
    let rig = Rig::with(2, |clock| {
        let options = crate::store::StoreOptions { clock, ..crate::store::StoreOptions::default() };
        let opened = crate::store::Store::scratch(options).expect("a scratch store");
        store = Some(opened.clone());
        Arc::new(opened)
    });
    let mut bot = rig.bot(
        r#"on("message", |m| { timer::at("1m", "t", [m.text]); m.reply(`${store::incr("n")} ${store::keys("")}`); });
           on("timer:t", |t| bot::send("ann@example.org", `due ${t.data[0]}`));"#,
    );
    assert_eq!(bot.ask("a"), ["1 [\"n\"]"]);
    assert_eq!(bot.ask("b"), ["2 [\"n\"]"]);
    rig.advance(Duration::from_secs(61));
    bot.told.wait_texts(|said| said.iter().filter(|text| text.starts_with("due ")).count() == 2);
    let store = store.expect("opened above");
    assert_eq!(store.next_due().expect("readable"), None, "handled timers are gone");
}

/// Memory whose first commits are refused.
struct Refusing {
    memory: Memory,
    left: AtomicUsize,
    error: StoreError,
}

impl Data for Refusing {
    fn reader(&self) -> Result<Box<dyn Read>, StoreError> {
        self.memory.reader()
    }

    fn commit(&self, batch: Batch, done: Done) {
        let quota = matches!(self.error, StoreError::Quota { .. });
        let refuses = if quota { !batch.writes.is_empty() } else { true };
        if refuses
            && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        {
            done(Err(self.error.clone()));
        } else {
            self.memory.commit(batch, done);
        }
    }

    fn timer_id(&self) -> i64 {
        self.memory.timer_id()
    }

    fn due_timers(&self, until: Timestamp, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        self.memory.due_timers(until, limit)
    }

    fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.memory.next_due()
    }
}

fn refusing(left: usize, error: StoreError) -> Rig {
    Rig::with(1, move |clock| {
        Arc::new(Refusing { memory: Memory::new(clock), left: AtomicUsize::new(left), error })
    })
}

#[test]
fn turns_run_again_when_the_disk_was_full_and_nothing_is_said_before() {
    let rig = refusing(2, StoreError::Full { path: "store".into() });
    let bot = rig.bot(r#"on("message", |m| { let n = store::incr("n"); m.reply(n); });"#);
    let delivery = Delivery { event: message("ann@example.org", "x"), number: Some(1), key: "k".to_owned() };
    bot.handle.deliver(delivery).expect("room");
    for _ in 0..4 {
        rig.advance(Duration::from_secs(3));
        std::thread::yield_now();
    }
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        rig.advance(Duration::from_secs(3));
        if bot.told.wait_texts(|_| true) == ["1"] {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "it was never said");
        std::thread::yield_now();
    }
}

#[test]
fn an_event_whose_writes_are_too_many_is_dropped_and_told() {
    let rig = refusing(usize::MAX, StoreError::Quota { script: "main".to_owned(), bytes: 2, limit: 1 });
    let mut bot =
        rig.bot(r#"on("message", |m| { if m.text == "write" { store::set("k", 1); } m.reply("ok"); });"#);
    let failure = bot.fail(message("ann@example.org", "write"));
    assert_eq!(failure.script, "main");
    assert_eq!(bot.ask("x"), ["ok"]);
}

#[test]
fn actions_come_in_order_with_the_numbers_of_their_rows() {
    struct Durable(super::Told);
    impl crate::script::Sink for Durable {
        fn durable(&self, action: &crate::action::Action) -> Option<crate::script::Stanza> {
            match action {
                crate::action::Action::Message(message) => {
                    Some(crate::script::Stanza { id: message.id.clone(), xml: "<message/>".to_owned() })
                }
                _ => None,
            }
        }

        fn turned(&self, turned: crate::script::Turned) {
            self.0.turned(turned);
        }
    }
    let rig = Rig::new();
    let sink = Arc::new(Durable(super::Told::default()));
    let source = r#"on("message", |m| { m.typing(); m.reply("a"); m.reply("b"); });"#;
    let jid = super::jid("helper@example.org").to_bare();
    let spec = BotSpec {
        name: "helper".to_owned(),
        jid,
        scripts: vec![script("main", source)],
        queue: 3,
        admins: Vec::new(),
        roles: Default::default(),
        schedules: Vec::new(),
        speech: Default::default(),
    };
    let handle = rig.pool.add(spec, sink.clone());
    handle
        .deliver(Delivery { event: message("ann@example.org", "x"), number: Some(9), key: "k".to_owned() })
        .expect("room");
    let turned = sink.0.wait(|turned| turned.handled == [9]);
    assert_eq!(turned.actions.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(texts(&turned.actions), ["a", "b"]);
}

const REMIND: &str = r#"
    on("message", |m| if m.text == "set" { timer::at("1m", "t"); m.reply("set"); } else { loop { } });
    on("timer:t", |t| bot::send("ann@example.org", "due"));
"#;

/// Keeps a bot's thread busy for a second; its queue is empty then.
fn hold(bot: &super::Player) {
    let event = message("ann@example.org", "loop");
    bot.handle.deliver(Delivery { event, number: None, key: "loop".to_owned() }).expect("room");
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while bot.handle.queued() > 0 {
        assert!(std::time::Instant::now() < deadline, "nobody takes it");
        std::thread::yield_now();
    }
}

fn looping() -> ScriptUse {
    let limits = Limits { turn: Duration::from_secs(1), operations: 10_000_000_000, ..Limits::DEFAULT };
    ScriptUse { limits, ..script("main", REMIND) }
}

#[test]
fn a_timer_that_waited_for_a_removed_bot_reaches_the_next_of_that_name() {
    let rig = Rig::new();
    let mut bot = rig.add("helper", vec![looping()]);
    bot.ask("set");
    hold(&bot);
    rig.advance(Duration::from_secs(61));
    assert_eq!(bot.handle.queued(), 1, "the timer waits");
    bot.handle.remove();
    let bot = rig.add("helper", vec![looping()]);
    assert_eq!(bot.told.wait_texts(|said| !said.is_empty()), ["due"]);
}

#[test]
fn timers_of_a_full_bot_do_not_crowd_out_those_of_others() {
    let rig = Rig::new();
    let many = r#"on("message", |m| if m.text == "set" { for i in 0..600 { timer::at("1m", "t"); } m.reply("set"); } else { loop { } });
        on("timer:t", |t| ());"#;
    let limits = Limits { turn: Duration::from_secs(2), operations: 10_000_000_000, ..Limits::DEFAULT };
    let mut full = rig.add("full", vec![ScriptUse { limits, ..script("main", many) }]);
    full.ask("set");
    let mut other = rig.add("other", vec![script("main", REMIND)]);
    rig.advance(Duration::from_secs(1));
    other.ask("set");
    full.handle.configure(Vec::new(), Default::default(), 1, Vec::new());
    hold(&full);
    let started = std::time::Instant::now();
    rig.advance(Duration::from_secs(62));
    assert_eq!(other.told.wait_texts(|said| said.len() == 2), ["set", "due"]);
    assert!(started.elapsed() < Duration::from_millis(1900), "the full bot was waited for");
}

#[test]
fn a_panic_around_a_turn_costs_one_row_and_no_thread() {
    struct Panicking(super::Told);
    impl crate::script::Sink for Panicking {
        fn durable(&self, action: &crate::action::Action) -> Option<crate::script::Stanza> {
            match action {
                crate::action::Action::Message(message) if message.text == "bad" => {
                    std::panic::resume_unwind(Box::new("on purpose"))
                }
                _ => None,
            }
        }

        fn turned(&self, turned: crate::script::Turned) {
            self.0.turned(turned);
        }
    }
    let rig = Rig::with(1, |clock| Arc::new(Memory::new(clock)));
    let sink = Arc::new(Panicking(super::Told::default()));
    let source = r#"on("message", |m| { m.reply(m.text); store::incr("n"); if m.text == "n" { m.reply(store::get("n")); } });"#;
    let jid = super::jid("helper@example.org").to_bare();
    let spec = BotSpec {
        name: "helper".to_owned(),
        jid,
        scripts: vec![script("main", source)],
        queue: 3,
        admins: Vec::new(),
        roles: Default::default(),
        schedules: Vec::new(),
        speech: Default::default(),
    };
    let handle = rig.pool.add(spec, sink.clone());
    for (number, text) in [(1, "good"), (2, "bad"), (3, "n")] {
        let event = message("ann@example.org", text);
        handle.deliver(Delivery { event, number: Some(number), key: text.to_owned() }).expect("room");
        let turned = sink.0.wait(|turned| turned.handled == [number]);
        // What the bad one wrote went with it, and what was stored before can still be read.
        let expected: &[&str] = [&["good"][..], &[], &["n", "2"]][number as usize - 1];
        assert_eq!(texts(&turned.actions), expected);
    }
}
