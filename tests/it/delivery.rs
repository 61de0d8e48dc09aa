//! Nothing lost and nothing twice: the process dies at every point where it matters, and the next one goes on.
//!
//! Each point is a drill of the debug build; see docs/delivery.md for what is promised and why. A rule that is left out
//! makes its test fail: that is tested too.

use std::time::Duration;

use rhapsode::store::session::{Position, Received};
use rhapsode::store::{Batch, Durability, Store};

use crate::support::person::Person;
use crate::support::process::{Process, until};
use crate::support::world::{World, jid};

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

/// Kills at no particular moment, some with a server that has forgotten the session when the next process comes.
#[test]
fn kills_at_any_moment_lose_nothing_and_repeat_nothing() {
    for resumption in [Duration::from_secs(300), Duration::from_millis(300)] {
        let world = world_with(resumption);
        let mut ann = world.person("ann");
        let mut process = world.online();
        assert_eq!(ann.ask("counter", "first"), "re first");
        for round in 0..8_u64 {
            (1..=15).for_each(|number| ann.say("counter", &format!("{round} {number}")));
            // Each round a little later: while they are read, turned, sent, acknowledged.
            std::thread::sleep(Duration::from_millis(round * round * 3));
            process.kill();
            process = world.online();
        }
        ann.say("counter", "report");
        let (replies, report) = until_report(&mut ann);
        let expected: Vec<String> =
            (0..8).flat_map(|round| (1..=15).map(move |number| format!("re {round} {number}"))).collect();
        assert_eq!((report.as_str(), replies), ("121 in all, 121 different", expected), "{resumption:?}");
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

/// SM-8: a process was killed longer ago than the server keeps its sessions. The server of this test would have it
/// still: it is not asked.
#[test]
fn the_next_process_begins_anew_when_the_time_for_a_resumption_is_over() {
    for (ago, resumed) in [(600, false), (100, true)] {
        let world = world();
        let first = world.online();
        let mut ann = world.person("ann");
        assert_eq!(ann.ask("counter", "1"), "re 1");
        first.kill();
        let lock =
            std::fs::File::options().write(true).open(world.folder.join("data/lock")).expect("the lock");
        let sign = std::time::SystemTime::now() - Duration::from_secs(ago);
        lock.set_modified(sign).expect("our own file");
        let second = world.online();
        assert_eq!(second.account("counter")["resumed"], resumed, "{ago}");
        assert_eq!(world.server().counts().resumed, u64::from(resumed));
        assert_eq!(ann.ask("counter", "2"), "re 2");
    }
}

/// SM-8: the same where the process before has ended in order, and has noted when.
#[test]
fn a_session_that_was_left_in_order_is_resumed_only_while_it_is_kept() {
    let world = world_with(Duration::from_secs(2));
    let first = world.online();
    let mut ann = world.person("ann");
    assert_eq!(ann.ask("counter", "1"), "re 1");
    first.stop();
    std::thread::sleep(Duration::from_millis(2_100));
    let lost = stored_session(&world);
    assert_eq!(lost["max"], 2, "{lost}");
    assert!(lost["lost"].is_i64(), "{lost}");
    let second = world.online();
    assert_eq!(second.account("counter")["resumed"], false);
    second.kill();
    until("it has died", || (!second.is_running()).then_some(()));
    assert_eq!(stored_session(&world)["lost"], serde_json::Value::Null);
}

/// What the store keeps of the bot's session, while no process has it.
fn stored_session(world: &World) -> serde_json::Value {
    let store = Store::open(&world.folder.join("data"), Durability::Full).expect("nobody has it");
    let kept = store.reader().expect("a reader").session("counter").expect("it is read");
    kept.session.expect("a session").state
}

/// What came while the bot was away, and its session was forgotten, is in the archive: handled once, in order.
#[test]
fn what_came_in_the_meantime_is_read_from_the_archive() {
    let world = world_with(Duration::ZERO);
    let first = world.online();
    let mut ann = world.person("ann");
    assert_eq!(ann.ask("counter", "0"), "re 0");
    const POINTS: [&str; 5] =
        ["nothing", "MamBeforeCommit@1", "MamAfterCommit@1", "MamAfterCommit@2", "BeforeCommit@1"];
    for point in POINTS {
        let process =
            if point == "nothing" { None } else { Some(world.run_with(&[("RHAPSODE_DRILL", point)])) };
        match &process {
            Some(process) => wait_for_death(process, point),
            None => first.kill(),
        }
        let known = world.server().sessions().len();
        assert!(known <= 2, "{point}: {known} sessions");
        // More than a page.
        (1..=60).for_each(|number| ann.say("counter", &format!("{point} {number}")));
    }
    let last = world.online();
    assert_eq!(last.account("counter")["resumed"], false);
    let expected: Vec<String> =
        POINTS.iter().flat_map(|point| (1..=60).map(move |number| format!("re {point} {number}"))).collect();
    ann.say("counter", "report");
    let (replies, report) = until_report(&mut ann);
    assert_eq!(report, "301 in all, 301 different", "{replies:?}");
    let lost: Vec<&String> = expected.iter().filter(|text| !replies.contains(text)).collect();
    assert!(lost.is_empty() && replies == expected, "lost {lost:?}; {replies:?}");
}

/// All replies until the report, and the report.
fn until_report(ann: &mut Person) -> (Vec<String>, String) {
    let mut replies = Vec::new();
    loop {
        let text = ann.text("counter");
        if !text.starts_with("re ") {
            return (replies, text);
        }
        replies.push(text);
    }
}

/// Rule 2: a session whose archive was not read to its end is resumed by a process that must know it.
#[test]
fn a_process_that_dies_in_the_middle_of_the_archive_leaves_the_rest_to_the_next() {
    assert_eq!(dies_in_the_archive(&[]), "121 in all, 121 different");
}

/// Rule 2: the control.
#[test]
fn a_session_that_was_not_caught_up_and_does_not_know_loses_the_rest() {
    let report = dies_in_the_archive(&[("RHAPSODE_DRILL_WITHOUT", "CatchUpFlag")]);
    assert_ne!(report, "121 in all, 121 different");
}

/// Dies after the first page of the second reading, and goes on with `variables`; what the bot has heard then.
fn dies_in_the_archive(variables: &[(&str, &str)]) -> String {
    let world = world_with(Duration::from_secs(300));
    let first = world.online();
    let mut ann = world.person("ann");
    assert_eq!(ann.ask("counter", "0"), "re 0");
    first.kill();
    // The server gives the session up, so that the next process begins one.
    world.server().kick(&jid("counter"), "reset");
    (1..=120).for_each(|number| ann.say("counter", &number.to_string()));
    let second = world.run_with(&[("RHAPSODE_DRILL", "MamAfterCommit@1")]);
    wait_for_death(&second, "the archive");
    let third = world.run_with(variables);
    assert_eq!(third.until_state("counter", "online")["resumed"], true);
    std::thread::sleep(Duration::from_millis(1500));
    // To the session itself: without the rule it is not even there for others.
    let sessions = world.server().sessions();
    let own = sessions.into_iter().find(|session| session.jid.local() == Some("counter"));
    ann.say_to(own.expect("it is online").jid.into(), "report");
    loop {
        let text = ann.text("counter");
        if !text.starts_with("re ") {
            return text;
        }
    }
}

/// Rule 4: what was sent and not acknowledged when the session was forgotten is looked for in the archive.
#[test]
fn what_has_arrived_in_a_session_that_is_forgotten_is_not_sent_again() {
    assert_eq!(replies_over_a_forgotten_session(&[]), ["re 1", "re 2", "re 3"]);
}

/// Rule 4: the control.
#[test]
fn whoever_does_not_begin_at_the_anchor_sends_twice() {
    let replies = replies_over_a_forgotten_session(&[("RHAPSODE_DRILL_WITHOUT", "Anchor")]);
    assert_ne!(replies, ["re 1", "re 2", "re 3"]);
}

/// Ann's side of a conversation with a bot that dies behind its second reply, and whose session is forgotten.
fn replies_over_a_forgotten_session(variables: &[(&str, &str)]) -> Vec<String> {
    let world = world_with(Duration::ZERO);
    let first = world.run_with(&[("RHAPSODE_DRILL", "AfterSend@2")]);
    first.until_online(1);
    let mut ann = world.person("ann");
    let mut replies = vec![ann.ask("counter", "1")];
    ann.say("counter", "2");
    wait_for_death(&first, "the second reply");
    let second = world.run_with(variables);
    assert_eq!(second.until_state("counter", "online")["resumed"], false);
    ann.say("counter", "3");
    while replies.last().is_none_or(|last| last != "re 3") {
        replies.push(ann.text("counter"));
    }
    replies
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

/// The ring: an archive that has forgotten the position is read from ten minutes before it, and what was handled is known.
#[test]
fn an_archive_that_has_forgotten_the_position_repeats_nothing() {
    assert_eq!(over_a_forgotten_position(&[]), "11 in all, 11 different");
}

/// The ring: the control.
#[test]
fn whoever_forgets_what_was_handled_handles_it_again() {
    let report = over_a_forgotten_position(&[("RHAPSODE_DRILL_WITHOUT", "Ring")]);
    assert_ne!(report, "11 in all, 11 different");
    assert!(report.ends_with("11 different"), "{report}");
}

/// What a bot has heard when its archive does not know where it was any more, and the session is gone.
fn over_a_forgotten_position(variables: &[(&str, &str)]) -> String {
    let world = world_with(Duration::ZERO);
    let first = world.online();
    let mut ann = world.person("ann");
    (1..=10).for_each(|number| drop(ann.ask("counter", &number.to_string())));
    first.stop();
    let store = Store::open(&world.folder.join("data"), Durability::Full).expect("nobody has it");
    let kept = store.reader().expect("a reader").session("counter").expect("it is read");
    let forgotten = |position: &Position| Position { id: "forgotten".to_owned(), ..position.clone() };
    let positions: Vec<Position> = kept.positions.iter().map(forgotten).collect();
    assert!(!positions.is_empty() && kept.keys.len() >= 10, "{kept:?}");
    let received = Received { positions, ..Received::default() };
    let batch = Batch { bot: "counter".to_owned(), received, ..Batch::default() };
    store.commit_wait(batch).expect("it is kept");
    drop(store);
    ann.say("counter", "11");
    let second = world.run_with(variables);
    second.until_online(1);
    ann.say("counter", "report");
    until_report(&mut ann).1
}

/// Rule 6: the control. Without it a lost session is resumed as soon as the next process is there.
#[test]
fn a_lost_session_is_not_left_alone_without_the_rule() {
    let control = [("RHAPSODE_DRILL_WITHOUT", "Settle")];
    // The machine may be slow; never as slow every time as the rule is.
    let quick = (0..8).any(|_| {
        let world = world();
        let first = world.online();
        first.kill();
        let began = std::time::Instant::now();
        let second = world.run_with(&control);
        second.until_online(1);
        assert_eq!(second.account("counter")["resumed"], true);
        began.elapsed() < Duration::from_secs(1)
    });
    assert!(quick, "with the rule it takes a second at least");
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
    world_with(Duration::from_secs(300))
}

/// The same with a server that keeps lost sessions for so long.
fn world_with(resumption: Duration) -> World {
    let mut world = World::with(|options| options.resumption = resumption);
    world.script("counter", COUNTER);
    world.bot("counter", "scripts: [scripts/counter.rhai]");
    world
}
