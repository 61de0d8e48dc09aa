//! `kill -9` against foreign servers: effects and replies are counted on both sides.
//!
//! What dies at which point is tested against the embedded server (`tests/it/delivery.rs`); here it is shown that the
//! servers count, keep and archive as the rules of docs/delivery.md assume.

use std::time::Duration;

use crate::support::bed::{BOTH, Bed, Kind};
use crate::support::person::Person;
use crate::support::program::Project;
use crate::support::watch;

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

/// Messages between two kills.
const BURST: usize = 15;

/// Where processes die, one after another, while bursts of messages come in.
const POINTS: &[&str] = &[
    "BeforeCommit@2",
    "AfterCommit@2",
    "BeforeNumbers@2",
    "AfterNumbers@2",
    "MidSend@1",
    "AfterSend@2",
    "MidSend@2",
    "AfterAck@1",
    "BeforeCommit@1",
    "AfterSend@1",
];

#[test]
fn processes_that_die_at_every_point_lose_nothing_and_repeat_nothing() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        let outcome = loop_of(&bed, "kills", POINTS, None);
        assert_eq!(outcome, Ok(()), "{kind:?}");
    }
}

/// The control: what is acknowledged before it is kept is lost.
#[test]
fn processes_that_acknowledge_first_lose_messages() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        let outcome = loop_of(&bed, "control", &["BeforeCommit@2"; 3], Some("AckAfterCommit"));
        assert!(outcome.is_err(), "{kind:?}: the control must fail");
    }
}

/// Talks to a bot whose processes die at these points, with one rule left out perhaps, and compares.
fn loop_of(bed: &Bed, name: &str, points: &[&str], without: Option<&str>) -> Result<(), String> {
    let (bot, friend) = (format!("{name}-bot"), format!("{name}-ann"));
    bed.add("one.test", &[&bot, &friend]);
    let address = bed.kind.address();
    let project = Project::new(
        bed.project_folder(),
        &bed.ca(),
        &format!(
            "version: 1\nstorage: ./data\nscripts: {{ counter: scripts/counter.rhai }}\n\
             bots:\n  bot: {{ jid: {bot}@one.test, server: {address}, tls: {{ ca: CA }}, \
             password: {{ file: secrets/bot }}, scripts: [counter], limits: {{ send: {{ rate: none }} }} }}\n\
             log: {{ format: json, level: debug }}\n"
        ),
    );
    project.write("scripts/counter.rhai", COUNTER);
    project.secret("bot", "pw");
    let to = format!("{bot}@one.test");
    let mut ann = Person::login(address, &bed.ca(), &format!("{friend}@one.test"), "pw");
    project.run().wait_online(1);
    let mut said = 0;
    for point in points {
        let mut variables = vec![("RHAPSODE_DRILL", *point)];
        variables.extend(without.map(|rule| ("RHAPSODE_DRILL_WITHOUT", rule)));
        let mut program = project.run_with(&variables);
        for _ in 0..BURST {
            said += 1;
            ann.say(&to, &format!("number {said}"));
            // Several turns, not one.
            std::thread::sleep(Duration::from_millis(10));
        }
        // At `AfterAck` the server may have had nothing left to acknowledge: then it is killed all the same.
        program.wait_for_death(Duration::from_secs(8));
    }
    let last = project.run();
    last.wait_online(1);
    ann.say(&to, "report");
    let texts = watch::until("the report", Duration::from_secs(60), || {
        let texts = ann.texts_from(&to);
        if texts.iter().any(|text| text.contains("in all")) { Ok(texts) } else { Err(texts.len()) }
    });
    let wanted: Vec<String> = (1..=said)
        .map(|number| format!("re number {number}"))
        .chain([format!("{said} in all, {said} different")])
        .collect();
    if texts == wanted {
        return Ok(());
    }
    let lost: Vec<&String> = wanted.iter().filter(|text| !texts.contains(text)).collect();
    let twice: Vec<&String> =
        texts.iter().filter(|text| texts.iter().filter(|other| other == text).count() > 1).collect();
    Err(format!(
        "{}: lost {lost:?}, twice {twice:?}, last {:?}",
        server(bed.kind),
        &texts[texts.len().saturating_sub(20)..]
    ))
}

fn server(kind: Kind) -> &'static str {
    kind.name()
}
