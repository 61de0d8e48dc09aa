//! A row of turns whose commit is refused has never been: what it called, brought and began is there again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{Player, Rig, Told, message, script};
use crate::action::Action;
use crate::event::{Answer, Event};
use crate::script::data::{Data, Memory, Read};
use crate::script::error::Kind;
use crate::script::reserved;
use crate::script::{BotSpec, Delivery, Sink, Stanza, Turned};
use crate::store::error::StoreError;
use crate::store::{Batch, Done, TimerRow};

/// Memory that refuses commits when it is told to.
#[derive(Clone)]
struct Fickle {
    memory: Memory,
    next: Arc<Mutex<(usize, StoreError)>>,
    /// Whether keys of the runtime are refused too.
    strict: Arc<AtomicUsize>,
}

impl Fickle {
    /// Refuses the next so many commits that write values.
    fn refuse(&self, times: usize, error: StoreError) {
        *self.next.lock().expect("the list") = (times, error);
    }
}

impl Data for Fickle {
    fn reader(&self) -> Result<Box<dyn Read>, StoreError> {
        self.memory.reader()
    }

    fn commit(&self, batch: Batch, done: Done) {
        let strict = self.strict.load(Ordering::SeqCst) > 0;
        let counts = batch.writes.iter().any(|write| strict || !write.key.starts_with(reserved::PREFIX));
        let refused = {
            let mut next = self.next.lock().expect("the list");
            let refused = (counts && next.0 > 0).then(|| next.1.clone());
            next.0 -= usize::from(refused.is_some());
            refused
        };
        match refused {
            Some(error) => done(Err(error)),
            None => self.memory.commit(batch, done),
        }
    }

    fn timer_id(&self) -> i64 {
        self.memory.timer_id()
    }

    fn due_timers(&self, until: jiff::Timestamp, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        self.memory.due_timers(until, limit)
    }

    fn next_due(&self) -> Result<Option<jiff::Timestamp>, StoreError> {
        self.memory.next_due()
    }
}

fn fickle() -> (Rig, Fickle) {
    let mut made = None;
    let rig = Rig::with(1, |clock| {
        let memory = Memory::new(clock);
        let next = Arc::new(Mutex::new((0, full())));
        let data = Fickle { memory, next, strict: Arc::default() };
        made = Some(data.clone());
        Arc::new(data)
    });
    (rig, made.expect("made above"))
}

fn full() -> StoreError {
    StoreError::Full { path: "store".into() }
}

fn quota() -> StoreError {
    StoreError::Quota { script: "main".to_owned(), bytes: 2, limit: 1 }
}

fn conflict() -> StoreError {
    StoreError::Conflict { key: "n".to_owned() }
}

/// Lets time pass until all texts together fit.
fn pass(rig: &Rig, told: &Told, fits: impl Fn(&[String]) -> bool) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let said = told.wait_texts(|_| true);
        if fits(&said) {
            return said;
        }
        assert!(Instant::now() < deadline, "not said in time; said {said:#?}");
        rig.advance(Duration::from_millis(500));
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_closure_of_after_is_called_again_when_its_commit_was_refused() {
    let (rig, data) = fickle();
    let mut bot = rig.bot(
        r#"on("message", |m| { timer::after("5s", || { store::incr("n"); m.reply(`after ${store::get("n")}`); }); });"#,
    );
    bot.ask("go");
    data.refuse(2, full());
    assert_eq!(pass(&rig, &bot.told, |said| !said.is_empty()), ["after 1"]);
}

#[test]
fn a_closure_of_an_answer_is_called_again_when_its_commit_was_refused() {
    let (rig, data) = fickle();
    let mut bot = rig.bot(
        r#"on("message", |m| bot::iq("get", m.from, "<ping xmlns='urn:xmpp:ping'/>", |a| { store::incr("n"); m.reply(`answer ${a.error}`); }));"#,
    );
    let turned = bot.handle_event(message("ann@example.org/pc", "ask"));
    let token = turned.actions.iter().find_map(|(_, action)| match action {
        Action::Request { token, .. } => Some(token.clone()),
        _ => None,
    });
    data.refuse(3, conflict());
    let answer =
        Answer { token: token.expect("a request"), outcome: Err(crate::event::RequestFailed::Timeout) };
    assert_eq!(bot.give(Event::Answer(answer)), ["answer timeout"]);
}

#[test]
fn a_closure_of_the_web_is_called_again_when_its_commit_was_refused() {
    let (rig, data) = fickle();
    let mut bot = rig.bot(
        r#"on("message", |m| http::get("https://api.example.net/x", |r| { store::incr("n"); m.reply(`web ${r.ok}`); }));"#,
    );
    data.refuse(3, conflict());
    bot.ask("go");
    bot.told.wait_texts(|said| said == ["web false"]);
}

#[test]
fn what_a_refused_row_brought_is_not_brought_twice() {
    let (rig, data) = fickle();
    let mut bot = rig.bot(
        r#"on("message", |m| { store::incr("n"); timer::after("5s", || m.reply("after")); m.reply("set"); });"#,
    );
    // More often than functions may wait.
    data.refuse(150, conflict());
    assert_eq!(bot.ask("go"), ["set"]);
    rig.advance(Duration::from_secs(6));
    bot.told.wait_texts(|said| said == ["set", "after"]);
}

#[test]
fn what_a_refused_row_took_back_still_comes() {
    let (rig, data) = fickle();
    let mut bot = rig.bot(
        r#"let id = 0;
        on("message", |m| switch m.text {
            "set" => { id = timer::after("5s", || m.reply("after")); },
            _ => { timer::cancel(id); store::set("k", 1); },
        });"#,
    );
    bot.ask("set");
    data.refuse(1, quota());
    assert_eq!(bot.fail(message("ann@example.org/phone", "cancel")).kind, Kind::Store);
    rig.advance(Duration::from_secs(6));
    bot.told.wait_texts(|said| said == ["after"]);
}

#[test]
fn cancelling_says_whether_it_waited() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"on("message", |m| {
            let id = timer::after("5s", || m.reply("never"));
            m.reply(`${timer::cancel(id)} ${timer::cancel(id)} ${timer::cancel(-77)}`);
        });"#,
    );
    assert_eq!(bot.ask("x"), ["true false false"]);
}

#[test]
fn closures_that_were_cancelled_or_called_cost_no_memory() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"let id = 0;
        fn large() { let s = ""; s.pad(60000, 'x'); s }
        on("message", |m| switch m.text {
            "same" => { let big = large(); let id = timer::after("5s", || big.len()); timer::cancel(id); },
            "set" => { let big = large(); id = timer::after("1h", || big.len()); },
            "cancel" => { timer::cancel(id); },
            _ => { let big = large(); timer::after("1s", || big.len()); }
        });"#,
    );
    for _ in 0..80 {
        for text in ["same", "set", "cancel", "call"] {
            bot.ask(text);
        }
        rig.advance(Duration::from_secs(2));
    }
}

#[test]
fn repetitions_go_on_after_a_refused_commit() {
    for strict in [0, 1] {
        let (rig, data) = fickle();
        data.strict.store(strict, Ordering::SeqCst);
        let bot = rig.bot(
            r#"every("1m", || { store::incr("n"); bot::send("ann@example.org", "every"); });
               cron("* * * * *", || { store::incr("n"); bot::send("ann@example.org", "cron"); });"#,
        );
        bot.told.wait_texts(|_| true);
        for _ in 0..3 {
            data.refuse(4, quota());
            let before = bot.told.wait_texts(|_| true).len();
            pass(&rig, &bot.told, |said| {
                let new = &said[before..];
                new.iter().any(|text| text == "every") && new.iter().any(|text| text == "cron")
            });
        }
    }
}

#[test]
fn a_slot_whose_commit_was_refused_does_not_come_twice() {
    let (rig, data) = fickle();
    let source = |word: &str| {
        format!(
            r#"cron("0 * * * *", #{{ catch_up: true }}, |t| {{ store::set("k", 1); bot::send("ann@example.org", "{word}"); }});
               on("message", |m| m.reply("here {word}"));"#
        )
    };
    let mut bot = rig.bot(&source("old"));
    assert_eq!(bot.ask("x"), ["here old"]);
    data.refuse(1, quota());
    rig.advance(Duration::from_secs(3_600));
    assert_eq!(bot.told.wait_failure().kind, Kind::Store);
    rig.advance(Duration::from_secs(60));
    bot.handle.swap(vec![script("main", &source("new"))]);
    rig.advance(Duration::from_secs(1));
    assert_eq!(bot.ask("x"), ["here new"]);
    assert_eq!(bot.ask("x"), ["here new"]);
    rig.advance(Duration::from_secs(3_600));
    let said = bot.told.wait_texts(|said| said.contains(&"new".to_owned()));
    assert_eq!(said, ["here old", "here new", "here new", "new"]);
}

/// Panics around the turns that say `bad`.
#[derive(Default)]
struct Panicking(Told, AtomicUsize);

impl Sink for Panicking {
    fn durable(&self, action: &Action) -> Option<Stanza> {
        let Action::Message(message) = action else { return None };
        let bad = message.text.starts_with("bad")
            && self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if bad {
            std::panic::resume_unwind(Box::new("on purpose"));
        }
        None
    }

    fn turned(&self, turned: Turned) {
        self.0.turned(turned);
    }
}

fn panicking(rig: &Rig, times: usize, source: &str) -> (crate::script::pool::BotHandle, Arc<Panicking>) {
    let sink = Arc::new(Panicking(Told::default(), AtomicUsize::new(times)));
    let spec = BotSpec {
        name: "helper".to_owned(),
        jid: super::jid("helper@example.org").to_bare(),
        scripts: vec![script("main", source)],
        queue: 3,
        admins: Vec::new(),
        roles: Default::default(),
        schedules: Vec::new(),
        speech: Default::default(),
    };
    (rig.pool.add(spec, sink.clone()), sink)
}

#[test]
fn repetitions_go_on_after_a_panic_around_a_turn() {
    for declaration in [r#"every("1m", "#, r#"cron("* * * * *", "#] {
        let rig = Rig::with(1, |clock| Arc::new(Memory::new(clock)));
        let source = format!(r#"{declaration} || bot::send("ann@example.org", "bad"));"#);
        let (_handle, sink) = panicking(&rig, 2, &source);
        pass(&rig, &sink.0, |said| said.len() == 2);
        assert_eq!(sink.1.load(Ordering::SeqCst), 0, "it panicked twice");
    }
}

#[test]
fn a_stored_timer_whose_row_panicked_comes_to_the_next_version() {
    let rig = Rig::with(1, |clock| Arc::new(Memory::new(clock)));
    let source = r#"on("message", |m| { timer::at("1m", "t"); m.reply("set"); });
        on("timer:t", |t| bot::send("ann@example.org", "bad timer"));"#;
    let (handle, sink) = panicking(&rig, 1, source);
    let delivery = Delivery { event: message("ann@example.org", "x"), number: Some(1), key: "k".to_owned() };
    handle.deliver(delivery).expect("room");
    sink.0.wait_texts(|said| said == ["set"]);
    rig.advance(Duration::from_secs(61));
    let deadline = Instant::now() + Duration::from_secs(20);
    while sink.1.load(Ordering::SeqCst) > 0 {
        assert!(Instant::now() < deadline, "the timer never came");
        std::thread::yield_now();
    }
    handle.swap(vec![script("main", &format!("{source}\n// again"))]);
    pass(&rig, &sink.0, |said| said == ["set", "bad timer"]);
}

#[test]
fn load_and_unload_run_again_when_their_commit_was_refused() {
    let (rig, data) = fickle();
    let source = |word: &str| {
        format!(
            r#"on("load", |e| {{ store::incr("loads"); bot::send("ann@example.org", `load {word} ${{store::get("loads")}}`); }});
               on("unload", |e| {{ store::incr("ends"); bot::send("ann@example.org", `unload {word} ${{store::get("ends")}}`); }});
               on("message", |m| m.reply("here {word}"));"#
        )
    };
    data.refuse(2, full());
    let bot = rig.bot(&source("old"));
    assert_eq!(pass(&rig, &bot.told, |said| !said.is_empty()), ["load old 1"]);
    for error in [full(), conflict()] {
        let before = bot.told.wait_texts(|_| true).len();
        data.refuse(2, error);
        let (from, to) = if before == 1 { ("old", "new") } else { ("new", "newer") };
        bot.handle.swap(vec![script("main", &source(to))]);
        let said = pass(&rig, &bot.told, |said| said.len() == before + 2);
        let count = before.div_ceil(2);
        assert_eq!(said[before..], [format!("unload {from} {count}"), format!("load {to} {}", count + 1)]);
    }
    let mut bot = Player { ..bot };
    assert_eq!(bot.ask("x"), ["here newer"]);
}

#[test]
fn load_of_a_script_that_was_parked_runs_again_when_its_commit_was_refused() {
    let (rig, data) = fickle();
    let mut bot = rig.bot(
        r#"on("load", |e| { store::incr("loads"); bot::send("ann@example.org", `load ${store::get("loads")}`); });
           on("message", |m| throw "no");"#,
    );
    bot.told.wait_texts(|said| said == ["load 1"]);
    while bot.handle.scripts()[0].parked.is_none() {
        bot.fail(message("ann@example.org", "x"));
    }
    data.refuse(2, full());
    assert_eq!(pass(&rig, &bot.told, |said| said.len() == 2), ["load 1", "load 2"]);
}

#[test]
fn a_load_that_is_too_much_is_given_up_and_told() {
    let (rig, data) = fickle();
    data.refuse(usize::MAX, quota());
    let mut bot = rig.bot(
        r#"on("load", |e| { store::set("k", 1); bot::send("ann@example.org", "load"); }); on("message", |m| m.reply("here"));"#,
    );
    assert_eq!(bot.told.wait_failure().kind, Kind::Store);
    assert_eq!(bot.ask("x"), ["here"]);
}

#[test]
fn a_stanza_of_two_events_whose_writes_are_too_many_is_given_up_as_one() {
    let (rig, data) = fickle();
    let mut bot = rig.bot(
        r#"on("message", |m| { if m.text != "x" { store::set("k", 1); } m.reply(m.text); if m.text == "hold" { let n = 0; while n < 20000 { n += 1; } } });"#,
    );
    data.refuse(usize::MAX, quota());
    // Behind one that takes a while, so that both are there when their row begins.
    for (number, key) in [(7, "hold"), (8, "one"), (8, "two")] {
        let event = message("ann@example.org", key);
        bot.handle.deliver(Delivery { event, number: Some(number), key: key.to_owned() }).expect("room");
    }
    let turned = bot.told.wait(|turned| turned.handled.contains(&8));
    assert_eq!(turned.failures.len(), 1);
    assert!(turned.actions.is_empty());
    assert_eq!(bot.ask("x"), ["x"]);
}
