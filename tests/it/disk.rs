//! The disk says no: full, read-only, failed, damaged. Nothing is acknowledged that is not kept, connections stay, and it goes
//! on when it is over.

use std::fs;
use std::path::PathBuf;

use crate::support::person::Person;
use crate::support::process::{Process, text};
use crate::support::world::World;

const COUNTER: &str = r#"
on("message", |m| {
    if m.text != "report" { store::set("total", store::get("total", 0) + 1); }
    m.reply(if m.text == "report" { `${store::get("total", 0)} in all` } else { "re " + m.text });
});
"#;

#[test]
fn a_full_or_read_only_disk_is_waited_for_and_nothing_is_lost() {
    let (world, word) = world();
    let process = run(&world, &word);
    let mut ann = world.person("ann");
    assert_eq!(ann.ask("counter", "0"), "re 0");
    for (round, said) in ["full", "read-only"].into_iter().enumerate() {
        fs::write(&word, said).expect("written");
        let numbers: Vec<usize> = (1..=5).map(|number| round * 10 + number).collect();
        numbers.iter().for_each(|number| ann.say("counter", &number.to_string()));
        let status = process.until("it says so", |status| status["store"]["state"] == "waiting");
        let detail = status["store"]["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(if said == "full" { "no space left" } else { "read-only" }), "{detail}");
        assert_eq!(status["bots"]["online"], 1, "the connection stays");
        assert!(text(&process.command(&["status"]).stdout).contains("store     waiting: "));
        assert_eq!(process.status().expect("it answers")["messages"]["sent"], status["messages"]["sent"]);
        fs::remove_file(&word).expect("it was there");
        let replies: Vec<String> = numbers.iter().map(|_| ann.text("counter")).collect();
        let expected: Vec<String> = numbers.iter().map(|number| format!("re {number}")).collect();
        assert_eq!(replies, expected);
        process.until("it is over", |status| status["store"]["state"] == "ok");
    }
    assert_eq!(ann.ask("counter", "report"), "11 in all");
    assert_eq!(process.account("counter")["connects"], 1);
    let log = process.stderr();
    assert_eq!(log.matches("nothing is kept").count(), 2, "once each time: {log}");
    assert_eq!(log.matches("the store keeps again").count(), 2, "{log}");
}

#[test]
fn a_store_that_waits_is_tried_again_though_nobody_asks() {
    let (world, word) = world();
    let process = run(&world, &word);
    fs::write(&word, "full").expect("written");
    let mut ann = world.person("ann");
    ann.say("counter", "1");
    process.until("it says so", |status| status["store"]["state"] == "waiting");
    fs::remove_file(&word).expect("it was there");
    process.until("it is over", |status| status["store"]["state"] == "ok");
    assert_eq!(ann.text("counter"), "re 1");
}

/// What a failed flush has left is unknown: the process ends, and the next one finds what was committed.
#[test]
fn a_disk_that_fails_ends_the_process_and_the_next_one_goes_on() {
    let (world, word) = world();
    let process = run(&world, &word);
    let mut ann = world.person("ann");
    assert_eq!(ann.ask("counter", "1"), "re 1");
    fs::write(&word, "io").expect("written");
    (2..=4).for_each(|number| ann.say("counter", &number.to_string()));
    assert_eq!(process.ended().code(), Some(1));
    let said = process.stderr();
    assert!(said.contains("nothing more can be kept") && said.contains("hint: look at the disk"), "{said}");
    fs::remove_file(&word).expect("it was there");
    let _next = run(&world, &word);
    let replies: Vec<String> = (2..=4).map(|_| ann.text("counter")).collect();
    assert_eq!(replies, ["re 2", "re 3", "re 4"]);
    assert_eq!(report(&mut ann), "4 in all");
}

#[test]
fn a_damaged_store_is_refused_with_the_way_out() {
    let (world, word) = world();
    let process = run(&world, &word);
    let mut ann = world.person("ann");
    assert_eq!(ann.ask("counter", "1"), "re 1");
    process.stop();
    let path = world.folder.join("data/rhapsode.db");
    let good = fs::read(&path).expect("the store");
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle..middle + 4096].fill(0xEE);
    fs::write(&path, &bad).expect("written");
    let refused = world.command(&["run", "--no-watch"]);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said.contains("is damaged") && said.contains("put a backup in the file's place"), "{said}");
    assert_eq!(fs::read(&path).expect("the store"), bad, "nothing was written to it");
    // As the hint says.
    fs::write(&path, &good).expect("written");
    let _next = run(&world, &word);
    assert_eq!(report(&mut ann), "1 in all");
}

fn report(ann: &mut Person) -> String {
    ann.ask("counter", "report")
}

fn run(world: &World, word: &std::path::Path) -> Process {
    let process = world.run_with(&[("RHAPSODE_DRILL_STORE", word.to_str().expect("UTF-8"))]);
    process.until_online(1);
    process
}

/// A bot, and the file in which the test says what the disk says.
fn world() -> (World, PathBuf) {
    let mut world = World::new();
    world.script("counter", COUNTER);
    world.bot("counter", "scripts: [scripts/counter.rhai]");
    let word = world.folder.join("disk");
    (world, word)
}
