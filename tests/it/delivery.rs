//! Nothing lost and nothing twice: the process dies at every point where it matters, and the next one goes on.
//!
//! Each point is a drill of the debug build; see docs/delivery.md for what is promised and why. A rule that is left out
//! makes its test fail: that is tested too.

use std::time::Duration;

use crate::support::person::Person;
use crate::support::process::{Process, until};
use crate::support::world::World;

/// Counts what it hears, and answers it.
const COUNTER: &str = r#"
on("message", |m| {
    if m.text == "report" {
        m.reply(`${store::get("total", 0)} in all, ${store::get("different", 0)} different`);
        return;
    }
    if store::get("heard/" + m.text) == () {
        store::set("different", store::get("different", 0) + 1);
    }
    store::set("heard/" + m.text, true);
    store::set("total", store::get("total", 0) + 1);
    m.reply("re " + m.text);
});
"#;

/// Where the process dies, and at which of its messages.
const POINTS: &[(&str, u32)] = &[
    ("BeforeCommit", 3),
    ("AfterCommit", 3),
    ("BeforeNumbers", 3),
    ("AfterNumbers", 3),
    ("MidSend", 1),
    ("MidSend", 6),
    ("AfterSend", 1),
    ("AfterSend", 5),
    ("AfterAck", 1),
];

#[test]
fn a_process_that_dies_at_any_point_loses_nothing_and_repeats_nothing() {
    let wrong: Vec<String> =
        POINTS.iter().filter_map(|(point, count)| dies_at(&format!("{point}@{count}"), &[]).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_process_that_dies_while_its_session_begins_leaves_nothing_that_the_next_one_trips_over() {
    for point in ["EnabledBeforePersist@1", "EnabledAfterPersist@1"] {
        let world = world();
        let first = world.run_with(&[("RHAPSODE_DRILL", point)]);
        until("it has died", || (!first.is_running()).then_some(()));
        let mut ann = world.person("ann");
        ann.say("counter", "1");
        let _second = world.online();
        assert_eq!(ann.text("counter"), "re 1", "{point}");
        assert_eq!(ann.ask("counter", "report"), "1 in all, 1 different", "{point}");
    }
}

/// Rule 1: the control. Whoever acknowledges what was read and not kept loses it.
#[test]
fn a_stanza_that_is_acknowledged_before_it_is_kept_is_lost() {
    let control = [("RHAPSODE_DRILL_WITHOUT", "AckAfterCommit")];
    let lost = dies_at("BeforeCommit@3", &control).expect_err("the control must fail");
    assert!(lost.contains("lost"), "{lost}");
}

/// Rule 3 of the outbox: the control. Whoever does not note the numbers cannot know what has arrived.
#[test]
fn a_reply_whose_number_is_not_kept_is_sent_twice() {
    let control = [("RHAPSODE_DRILL_WITHOUT", "Numbers")];
    let twice = dies_at("AfterSend@1", &control).expect_err("the control must fail");
    assert!(twice.contains("twice"), "{twice}");
}

#[test]
fn the_next_process_resumes_the_session_of_the_one_before_a_second_later() {
    let world = world();
    let first = world.online();
    let mut ann = world.person("ann");
    assert_eq!(ann.ask("counter", "1"), "re 1");
    first.kill();
    ann.say("counter", "2");
    let began = std::time::Instant::now();
    let second = world.online();
    assert!(began.elapsed() >= Duration::from_secs(1), "a lost session is left alone for a second");
    assert_eq!(second.account("counter")["resumed"], true);
    assert_eq!(world.server().counts().resumed, 1);
    assert_eq!(ann.text("counter"), "re 2");
    assert_eq!(ann.ask("counter", "report"), "2 in all, 2 different");
}

/// Without an archive nobody can tell whether what was not acknowledged has arrived: it may come twice, with one id.
#[test]
fn a_session_that_the_server_has_forgotten_is_begun_anew() {
    let mut world = world();
    let first = world.online();
    let mut ann = world.person("ann");
    ann.say("counter", "1");
    let before = ann.message("counter");
    assert_eq!(before.text, "re 1");
    first.kill();
    world.stop_server();
    world.start_server();
    let mut ann = world.person("ann");
    let second = world.online();
    assert_eq!(second.account("counter")["resumed"], false);
    let again = ann.message("counter");
    assert_eq!((again.text, again.id), (before.text, before.id));
    assert_eq!(ann.ask("counter", "2"), "re 2");
    assert_eq!(ann.ask("counter", "report"), "2 in all, 2 different");
}

/// Lets a bot die at a point while it is talked to, and tells what was lost or came twice.
fn dies_at(point: &str, variables: &[(&str, &str)]) -> Result<(), String> {
    let world = world();
    let variables: Vec<(&str, &str)> = [("RHAPSODE_DRILL", point)].iter().chain(variables).copied().collect();
    let first = world.run_with(&variables);
    first.until_online(1);
    let mut ann = world.person("ann");
    let mut sent = 0;
    let mut say = |ann: &mut Person, count: usize| {
        for _ in 0..count {
            sent += 1;
            ann.say("counter", &sent.to_string());
        }
        sent
    };
    for _ in 0..10 {
        say(&mut ann, 1);
        // Not all at once: each is a turn of its own, at least at the beginning.
        std::thread::sleep(Duration::from_millis(20));
    }
    wait_for_death(&first, point);
    say(&mut ann, 5);
    let variables = &variables[1..];
    let second = world.run_with(variables);
    second.until_online(1);
    let last = say(&mut ann, 5);
    ann.say("counter", "report");
    let mut replies = Vec::new();
    let report = loop {
        let text = ann.text("counter");
        match text.strip_prefix("re ") {
            Some(number) => replies.push(number.parse::<usize>().expect("a number")),
            None => break text,
        }
    };
    let twice: Vec<usize> = (1..=last).filter(|n| replies.iter().filter(|it| *it == n).count() > 1).collect();
    let lost: Vec<usize> = (1..=last).filter(|n| !replies.contains(n)).collect();
    let right = format!("{last} in all, {last} different");
    if twice.is_empty() && lost.is_empty() && report == right && replies.is_sorted() {
        return Ok(());
    }
    Err(format!("{point}: replies {replies:?}, lost {lost:?}, twice {twice:?}; the bot heard {report}")
        .replace("lost []", "none missing")
        .replace("twice []", "none repeated"))
}

fn wait_for_death(process: &Process, point: &str) {
    until(&format!("death at {point}"), || (!process.is_running()).then_some(()));
}

/// One bot that counts.
fn world() -> World {
    let mut world = World::new();
    world.script("counter", COUNTER);
    world.bot("counter", "scripts: [scripts/counter.rhai]");
    world
}
