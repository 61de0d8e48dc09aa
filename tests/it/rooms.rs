//! Rooms of whole processes on the embedded server.

use rhapsode::action::{Action, RoomOrder};
use rhapsode::event::Event;
use rhapsode::event::room::RoomChange;
use rhapsode::jid::BareJid;

use crate::support::person::Person;
use crate::support::world::World;

const DEN: &str = "den@rooms.world.localhost";
const LAIR: &str = "lair@rooms.world.localhost";

/// Tells rooms what it is told to, and answers its nick.
const TELLER: &str = r#"
on("message", |m| { room(m.text).say("as ordered"); m.reply("ordered"); });
on("mention", |m| m.reply(`you said ${m.text}`));
on("bounce", |b| bot::send("ann@world.localhost", `bounced: ${b.condition}`));
"#;

#[test]
fn a_bot_makes_its_room_and_answers_its_nick_there() {
    let mut world = World::new();
    world.script("teller", TELLER);
    world.bot("teller", &format!("scripts: [scripts/teller.rhai]\nrooms: [{{ jid: {DEN}, nick: Helper }}]"));
    let process = world.online();
    until_in(&process, 0);
    let mut ann = world.person("ann");
    enter(&mut ann, DEN);
    say(&ann, DEN, "Helper: hello");
    assert_eq!(talk(&mut ann, "Helper"), "you said hello");
}

#[test]
fn what_is_said_to_a_room_waits_until_the_bot_is_in_and_others_pass_it() {
    let mut world = World::new();
    world.script("teller", TELLER);
    let keys = |create: bool| {
        format!("scripts: [scripts/teller.rhai]\nrooms: [{DEN}, {{ jid: {LAIR}, create: {create} }}]")
    };
    world.bot("teller", &keys(false));
    let process = world.online();
    until_in(&process, 0);
    let mut ann = world.person("ann");
    enter(&mut ann, DEN);
    assert_eq!(ann.ask("teller", LAIR), "ordered");
    let waits = |status: &serde_json::Value| status["messages"]["queued"] == 1;
    process.until("the message for the lair waits", waits);
    // One for a room that it is in goes past, and one for a room that is none of its comes back.
    ann.say("teller", DEN);
    assert_eq!(talk(&mut ann, "teller"), "as ordered");
    ann.say("teller", "elsewhere@rooms.world.localhost");
    ann.texts_until("teller", "bounced: not-acceptable");
    // The store keeps it: another process takes it over.
    process.kill();
    let process = world.online();
    process.until("it waits in the next process", waits);
    world.bot("teller", &keys(true));
    world.write();
    process.reloaded();
    until_in(&process, 1);
    process.until("it has gone out", |status| status["messages"]["queued"] == 0);
    assert_eq!(process.account("teller")["connects"], 1, "a room costs no connection");
}

/// Occupants see nothing of an upgrade: nobody leaves, nobody comes, and what was said meanwhile is answered.
#[test]
fn a_process_that_follows_another_is_not_seen_to_be_another() {
    let mut world = World::new();
    world.script("teller", TELLER);
    world.bot("teller", &format!("scripts: [scripts/teller.rhai]\nrooms: [{{ jid: {DEN}, nick: Helper }}]"));
    let first = world.online();
    until_in(&first, 0);
    let mut ann = world.person("ann");
    enter(&mut ann, DEN);
    first.signal("TERM");
    assert!(first.ended().success());
    say(&ann, DEN, "Helper: meanwhile");
    let second = world.online();
    assert_eq!(second.account("teller")["resumed"], true);
    until_in(&second, 0);
    let mut moves = Vec::new();
    let answer = ann.hear("the answer to what was said meanwhile", |event| match event {
        Event::Room(change) => {
            moves.push(change);
            None
        }
        Event::Message(message) if message.nick == "Helper" => Some(message.text),
        _ => None,
    });
    assert_eq!(answer, "you said meanwhile");
    assert_eq!(moves, []);
    say(&ann, DEN, "Helper: again");
    assert_eq!(talk(&mut ann, "Helper"), "you said again");
}

#[test]
fn a_bot_is_back_in_its_room_after_the_server_was_away() {
    let mut world = World::new();
    world.script("teller", TELLER);
    world.bot("teller", &format!("scripts: [scripts/teller.rhai]\nrooms: [{DEN}]"));
    let process = world.online();
    until_in(&process, 0);
    world.stop_server();
    process.until("it has noticed", |status| status["bots"]["online"] == 0);
    world.start_server();
    process.until_online(1);
    until_in(&process, 0);
    let mut ann = world.person("ann");
    enter(&mut ann, DEN);
    say(&ann, DEN, "teller: still there?");
    assert_eq!(talk(&mut ann, "teller"), "you said still there?");
}

fn until_in(process: &crate::support::process::Process, at: usize) {
    process.until("the bot is in", |status| status["accounts"][0]["rooms"][at]["state"] == "in");
}

/// Goes into a room that is there.
fn enter(person: &mut Person, room: &str) {
    let room = BareJid::parse(room).expect("an address");
    let order = RoomOrder::Enter { password: None };
    person.act(Action::Room { room, id: "enter".to_owned(), order });
    person.hear("being in", |event| match event {
        Event::Room(event) => matches!(event.change, RoomChange::Entered { .. }).then_some(()),
        _ => None,
    });
}

fn say(person: &Person, room: &str, text: &str) {
    person.act(Action::Message(rhapsode::action::OutgoingMessage {
        to: room.parse().expect("an address"),
        kind: rhapsode::stanza::MessageKind::Groupchat,
        id: text.to_owned(),
        text: text.to_owned(),
        subject: None,
        lang: None,
        thread: None,
        payloads: Vec::new(),
    }));
}

/// What somebody says next in a room.
fn talk(person: &mut Person, nick: &str) -> String {
    person.hear("talk", |event| match event {
        Event::Message(message) if message.room.is_some() && message.nick == nick => Some(message.text),
        _ => None,
    })
}
