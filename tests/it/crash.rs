//! `kill -9` in the middle of something: what scripts were told to remember goes on in the next process, once.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rhapsode::store::{Batch, Durability, Store, TimerWrite, Write};

use crate::support::person::Person;
use crate::support::process::{Process, until};
use crate::support::world::World;

/// Reminders as they are shipped.
const REMINDER: &str = include_str!("../../scripts/reminder.rhai");

/// A conversation in two steps that ends by itself.
const ORDER: &str = r##"
command("order", "Order", |m, a| m.ask("what", "What?", #{ timeout: "1h", on_timeout: "Never mind." }));
on("answer:what", |m| m.ask("many", "How many?", #{ data: #{ what: m.text } }));
on("answer:many", |m| m.reply(`${m.text} ${m.data.what}`));
on("message", |m| m.reply(`talk: ${m.text}`));
"##;

const WIPE: &str = r#"
command("wipe <what:word>", #{ confirm: true }, |m, a| { store::set("wiped", a.what); m.reply(`wiped ${a.what}`); });
on("message", |m| m.reply(`${store::get("wiped", "nothing")}`));
"#;

const DAILY: &str = r#"
cron("0 9 * * *", #{ name: "daily", catch_up: true }, |t| {
    let count = store::get("count", 0) + 1;
    store::set("count", count);
    bot::send("ann@world.localhost", `slot ${count}, late: ${t.late_s > 0}`);
});
on("message", |m| m.reply(`${store::get("count", 0)}`));
"#;

#[test]
fn a_reminder_outlives_a_kill_and_comes_once_and_says_that_it_is_late() {
    let (world, process) = world("reminder", REMINDER);
    let mut ann = Ann::of(&world);
    let set = ann.ask("reminder", "!remind 1h tea");
    assert!(set.starts_with('#'), "{set}");
    kill(&world, &process);
    an_hour_and_a_half_later(&world);
    let process = world.online();
    let late = ann.text("reminder");
    assert!(late.starts_with("ann: tea (due ") && late.ends_with("; I was away)"), "{late}");
    assert_eq!(ann.ask("reminder", "!reminders"), "None.");
    process.until("all is acknowledged", |status| status["messages"]["queued"] == 0);
    process.stop();
    // A third process has nothing to remind of.
    let process = world.online();
    assert_eq!(ann.ask("reminder", "!reminders"), "None.");
    assert_eq!(process.status().expect("it answers")["messages"]["sent"], 1);
}

#[test]
fn a_reminder_that_is_not_due_waits_on_after_a_kill() {
    let (world, process) = world("reminder", REMINDER);
    let mut ann = Ann::of(&world);
    ann.ask("reminder", "!remind 1h tea");
    kill(&world, &process);
    let _process = world.online();
    let listed = ann.ask("reminder", "!reminders");
    assert!(listed.starts_with('#') && listed.ends_with(" tea"), "{listed}");
}

#[test]
fn a_conversation_goes_on_after_a_kill_at_every_step() {
    let (world, process) = world("order", ORDER);
    let mut ann = Ann::of(&world);
    assert_eq!(ann.ask("order", "!order"), "What?");
    kill(&world, &process);
    let process = world.online();
    assert_eq!(ann.ask("order", "pizza"), "How many?");
    kill(&world, &process);
    let _process = world.online();
    assert_eq!(ann.ask("order", "3"), "3 pizza");
    assert_eq!(ann.ask("order", "3"), "talk: 3", "nothing is open any more");
}

#[test]
fn a_question_whose_time_ran_out_while_the_bot_was_dead_ends_with_its_words() {
    let (world, process) = world("order", ORDER);
    let mut ann = Ann::of(&world);
    assert_eq!(ann.ask("order", "!order"), "What?");
    kill(&world, &process);
    an_hour_and_a_half_later(&world);
    let _process = world.online();
    assert_eq!(ann.text("order"), "Never mind.");
}

#[test]
fn a_confirmation_outlives_a_kill_and_runs_once() {
    let (world, process) = world("wipe", WIPE);
    let mut ann = Ann::of(&world);
    let asked = ann.ask("wipe", "!wipe disk");
    assert!(!asked.starts_with("wiped"), "{asked}");
    kill(&world, &process);
    let process = world.online();
    assert_eq!(ann.ask("wipe", "yes"), "wiped disk");
    kill(&world, &process);
    let _process = world.online();
    assert_eq!(ann.ask("wipe", "yes"), "disk", "nothing is open any more");
}

#[test]
fn a_missed_slot_of_a_cron_line_is_made_up_for_once_after_a_kill() {
    let (world, process) = world("daily", DAILY);
    let mut ann = Ann::of(&world);
    let script = process.account("daily")["scripts"][0]["name"].as_str().expect("a name").to_owned();
    assert_eq!(ann.ask("daily", "x"), "0");
    kill(&world, &process);
    // Its memory of the last slot is two days old.
    let before = Timestamp::now() - SignedDuration::from_hours(48);
    let write = Write {
        script,
        key: "\u{10ffff}cron/daily".to_owned(),
        value: Some(before.as_millisecond().into()),
        expires: None,
    };
    let batch = Batch { bot: "daily".to_owned(), writes: vec![write], ..Batch::default() };
    store(&world).commit_wait(batch).expect("it is written");
    let process = world.online();
    assert_eq!(ann.text("daily"), "slot 1, late: true");
    assert_eq!(ann.ask("daily", "x"), "1");
    kill(&world, &process);
    let _process = world.online();
    assert_eq!(ann.ask("daily", "x"), "1");
}

/// Somebody whose client shows what comes twice with one id only once: what a dead process has sent, and could not note
/// as acknowledged, comes again.
struct Ann {
    person: Person,
    seen: BTreeSet<String>,
}

impl Ann {
    fn of(world: &World) -> Self {
        Self { person: world.person("ann"), seen: BTreeSet::new() }
    }

    fn text(&mut self, from: &str) -> String {
        loop {
            let message = self.person.message(from);
            if self.seen.insert(message.id.expect("bots give their messages ids")) {
                return message.text;
            }
        }
    }

    fn ask(&mut self, to: &str, text: &str) -> String {
        self.person.say(to, text);
        self.text(to)
    }
}

/// A world with one bot and one script of one name, and its process.
fn world(name: &str, source: &str) -> (World, Process) {
    let mut world = World::new();
    world.script(name, source);
    world.bot(name, &format!("scripts: [scripts/{name}.rhai]"));
    let process = world.online();
    (world, process)
}

/// Kills the process when the server knows that it has handled everything: what it does not know, it delivers again.
fn kill(world: &World, process: &Process) {
    until("everything is acknowledged", || {
        let sessions = world.server().sessions();
        let mut bots = sessions.iter().filter(|session| session.jid.local() != Some("ann"));
        bots.all(|session| session.unacked == 0).then_some(())
    });
    process.kill();
}

/// Lets all stored timers be due ninety minutes earlier, as if the process had been dead for so long.
fn an_hour_and_a_half_later(world: &World) {
    let store = store(world);
    let rows = store.due_timers(Timestamp::MAX, 100).expect("the store of a killed process can be read");
    assert!(!rows.is_empty(), "what was confirmed is stored");
    for mut row in rows {
        row.due -= SignedDuration::from_mins(90);
        let bot = row.bot.clone();
        let batch = Batch { bot, timers: vec![TimerWrite::Set(row)], ..Batch::default() };
        store.commit_wait(batch).expect("it is written");
    }
}

/// The store while no process has it.
fn store(world: &World) -> Store {
    Store::open(&world.folder.join("data"), Durability::Full).expect("a killed process holds no lock")
}
