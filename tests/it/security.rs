//! Attacks that take a whole process: floods, two processes with one account, libraries with known holes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rhapsode::event::Event;

use crate::support::process::{Process, until};
use crate::support::world::{ECHO, World};

/// S-17: one peer floods a bot; the bot answers others, and the other bots feel nothing.
#[test]
fn s17_a_flood_from_one_peer_leaves_the_others_their_answers() {
    const FLOOD: u64 = 5_000;
    let mut world = World::echo();
    world.script("count", r#"on("message", |m| if m.text != "flood" { m.reply(m.text); });"#);
    world.bot("flooded", "scripts: [scripts/count.rhai]");
    let process = world.online();
    let mut mallory = world.person("bob");
    for number in 1..=FLOOD {
        mallory.say("flooded", "flood");
        // As fast as the server takes it: a client that is not heard has a window of its own.
        if number % 40 == 0 {
            until("the server has it", || (world.server().counts().received >= number).then_some(()));
        }
    }
    // While that is under way, the neighbour answers.
    let mut ann = world.person("ann");
    for number in 0..20 {
        assert_eq!(ann.ask("echo", &number.to_string()), number.to_string());
    }
    // And the flooded bot gets to what came behind the flood, with nothing lost before it.
    assert_eq!(ann.ask("flooded", "are you there"), "are you there");
    // What the server's own queue does not take comes back to its sender.
    let mut sent_back = 0;
    mallory.say("flooded", "the last one");
    mallory.hear("the answer behind the flood", |event| match event {
        Event::Bounce(_) => {
            sent_back += 1;
            None
        }
        Event::Message(message) if message.text == "the last one" => Some(()),
        _ => None,
    });
    let account = process.account("flooded");
    assert_eq!((account["state"].as_str(), account["connects"].as_u64()), (Some("online"), Some(1)));
    process.until("all of the flood is counted", |status| {
        status["messages"]["received"].as_u64() == Some(FLOOD + 22 - sent_back)
    });
}

/// S-19: two processes with one account and one resource do not throw each other out for ever.
#[test]
fn s19_of_two_processes_with_one_account_one_stays_away() {
    let mut world = World::new();
    world.script("echo", ECHO);
    world.bot("echo", "resource: here\nscripts: [scripts/echo.rhai]");
    let first = world.online();
    fs::write(
        world.folder.join("other.yaml"),
        world.yaml().replacen("storage: ./data", "storage: ./other", 1),
    )
    .expect("a scratch file");
    let second = Process::start(&world.folder, "other", &["--config", "other.yaml", "run", "--no-watch"]);
    second.until_state("echo", "online");
    let account = first.until_state("echo", "retrying");
    assert!(account["detail"].as_str().expect("a text").contains("conflict"), "{account}");
    // The one that was there first waits at least half a minute: the other one is not disturbed meanwhile.
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(first.account("echo")["connects"], 1);
    assert_eq!(second.account("echo")["connects"], 1);
    assert_eq!(world.person("ann").ask("echo", "who is it"), "who is it");
}

/// S-32: libraries that parse what strangers send are of a version without the known holes.
#[test]
fn s32_libraries_are_newer_than_their_known_holes() {
    let lock =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).expect("it is kept");
    for (name, least, hole) in [
        ("quick-xml", (0, 41, 0), "RUSTSEC-2026-0194, RUSTSEC-2026-0195"),
        ("rhai", (1, 19, 0), "CVE-2024-36760"),
        ("rustls-webpki", (0, 103, 13), "RUSTSEC-2026-0098, -0099, -0104"),
    ] {
        let versions = versions(&lock, name);
        assert!(!versions.is_empty(), "{name} is used");
        for version in versions {
            assert!(version >= least, "{name} {version:?} has {hole}");
        }
    }
}

/// The versions of a package in the lock file.
fn versions(lock: &str, name: &str) -> BTreeSet<(u64, u64, u64)> {
    let head = format!("name = \"{name}\"\nversion = \"");
    lock.split(&head)
        .skip(1)
        .map(|rest| {
            let version = rest.split('"').next().expect("text before the quote");
            let mut numbers = version.split('.').map(|part| part.parse::<u64>().expect("a released version"));
            let mut next = || numbers.next().expect("three numbers");
            (next(), next(), next())
        })
        .collect()
}
