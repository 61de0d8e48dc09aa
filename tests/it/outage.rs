//! Lost connections: what is resumed, what is retried, what waits for the operator, and that nothing is lost.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use rhapsode::server::{Server, ServerOptions};

use crate::support::detour::Detour;
use crate::support::process::{Process, until};
use crate::support::world::{ECHO, World, jid};

#[test]
fn cuts_lose_nothing_and_repeat_nothing_in_either_direction() {
    let world = World::echo();
    let process = world.online();
    let mut ann = world.person("ann");
    let mut heard = 0;
    for number in 1..=100 {
        ann.say("echo", &number.to_string());
        if number % 25 == 10 {
            world.cut("echo");
        }
        if number % 25 == 20 {
            // Ten more were said to nobody. What waits is resumed now and not after the pause.
            hasten(&world, &process, "echo");
            until("it is back", || process.account("echo")["resumed"].as_bool().filter(|it| *it));
            while heard < number {
                heard += 1;
                assert_eq!(ann.text("echo"), heard.to_string());
            }
        }
    }
    while heard < 100 {
        heard += 1;
        assert_eq!(ann.text("echo"), heard.to_string());
    }
    assert_eq!(ann.ask("echo", "last"), "last", "and nothing came twice");
    assert_eq!(world.server().counts().resumed, 4);
    let messages = process.until("all is acknowledged", |status| status["messages"]["queued"] == 0);
    assert_eq!(messages["messages"]["acked"], 101);
    assert_eq!(messages["messages"]["received"], 101);
}

#[test]
fn a_cut_is_resumed_without_anybody_doing_anything() {
    let world = World::echo();
    let process = world.online();
    world.cut("echo");
    let account = process.until_connects("echo", 2);
    assert_eq!(account["resumed"], true);
    assert_eq!(world.person("ann").ask("echo", "back"), "back");
}

#[test]
fn a_server_that_comes_back_finds_its_bots_again() {
    let mut world = World::echo();
    let process = world.online();
    world.stop_server();
    let account = process.until_state("echo", "retrying");
    assert!(account["detail"].as_str().expect("a text").contains("system-shutdown"), "{account}");
    assert!((4..=31).contains(&pause(&account)), "{account}");
    world.start_server();
    hasten(&world, &process, "echo");
    let account = process.until_state("echo", "online");
    assert_eq!((&account["resumed"], &account["connects"]), (&Value::from(false), &Value::from(2)));
    assert_eq!(world.person("ann").ask("echo", "hello again"), "hello again");
}

#[test]
fn a_server_that_is_not_there_is_tried_again_until_it_is() {
    let mut world = World::echo();
    world.stop_server();
    let process = world.run();
    let account = process.until_state("echo", "retrying");
    assert!((0..=4).contains(&pause(&account)), "{account}");
    world.start_server();
    process.until_state("echo", "online");
}

#[test]
fn a_wrong_password_is_tried_once_and_waits_for_the_operator() {
    let mut world = World::echo();
    world.bot("other", "scripts: [scripts/echo.rhai]");
    world.secret("echo", "geheim-falsch");
    let process = world.run();
    let account = process.until_state("echo", "refused");
    assert!(account["detail"].as_str().expect("a text").contains("not-authorized"), "{account}");
    assert_eq!(account["next_try"], Value::Null);
    process.until_state("other", "online");
    // One connection for the refused login and one for the other bot; a second try would be a third.
    let connections = world.server().counts().connections;
    assert_eq!(connections, 2);
    // The cure is a login by order, once.
    world.secret("echo", world.passwords().find(|it| it.contains("-echo-")).expect("its password"));
    process.reloaded();
    process.until_state("echo", "online");
    assert_eq!(world.server().counts().connections, 3);
}

#[test]
fn stream_errors_lead_to_the_pauses_of_the_table() {
    for (condition, low, high) in [
        ("conflict", 30, 90),
        ("policy-violation", 60, 300),
        ("resource-constraint", 10, 60),
        ("reset", 1, 3),
    ] {
        let world = World::echo();
        let process = world.online();
        let resource = resource(&world);
        assert_eq!(world.server().kick(&jid("echo"), condition), 1);
        let account = process.until_state("echo", "retrying");
        assert!(account["detail"].as_str().expect("a text").contains(condition), "{account}");
        // Seconds are cut off, and a moment has passed since.
        assert!((low - 2..=high + 1).contains(&pause(&account)), "{condition}: {account}");
        assert_eq!(world.person("ann").ask_after(&process, "echo"), "back");
        assert_eq!(self::resource(&world), resource, "the resource never changes");
    }
}

#[test]
fn a_redirection_without_an_address_is_a_reconnect() {
    let world = World::echo();
    let process = world.online();
    assert_eq!(world.server().kick(&jid("echo"), "see-other-host"), 1);
    process.until_connects("echo", 2);
}

#[test]
fn logins_are_paced() {
    let mut world = World::new();
    world.script("echo", ECHO);
    for number in 0..10 {
        world.bot(&format!("bot-{number}"), "scripts: [scripts/echo.rhai]");
    }
    world.head("login: { pace: 5/s, jitter: 0s }");
    let began = Instant::now();
    let process = world.online();
    // Nine intervals of 200 ms lie between ten logins.
    assert!(began.elapsed() >= Duration::from_millis(1750), "after {:?}", began.elapsed());
    drop(process);
}

#[test]
fn a_fleet_comes_back_at_its_pace_too() {
    let mut world = World::new();
    world.script("echo", ECHO);
    for number in 0..10 {
        world.bot(&format!("bot-{number}"), "scripts: [scripts/echo.rhai]");
    }
    world.head("login: { pace: 4/s, jitter: 0s }");
    let process = world.online();
    for number in 0..10 {
        assert_eq!(world.server().kick(&jid(&format!("bot-{number}")), "reset"), 1);
    }
    let kicked = Instant::now();
    process.until("all are back", |status| {
        let accounts = status["accounts"].as_array().expect("a list");
        accounts.iter().all(|account| account["connects"] == 2 && account["state"] == "online")
    });
    assert!(kicked.elapsed() >= Duration::from_millis(2200), "after {:?}", kicked.elapsed());
}

/// SM-7: the server names a place at which its sessions are resumed.
#[test]
fn a_session_is_resumed_where_the_server_wants_it_and_elsewhere_when_nobody_is_there() {
    let (world, detour) = located();
    let process = world.online();
    assert_eq!(detour.accepted(), 0, "the first login goes the usual way");
    world.cut("echo");
    assert_eq!(process.until_connects("echo", 2)["resumed"], true);
    assert_eq!(detour.accepted(), 1);
    // Nobody is there any more: the next try goes the usual way, and there the session is as well.
    detour.close();
    world.cut("echo");
    assert_eq!(process.until_connects("echo", 3)["resumed"], true);
    assert_eq!(world.server().counts().resumed, 2);
    assert_eq!(world.person("ann").ask("echo", "back"), "back");
}

#[test]
fn the_place_of_a_session_is_known_to_the_next_process() {
    let (world, detour) = located();
    let first = world.online();
    // Its session is in the store with this turn at the latest.
    assert_eq!(world.person("ann").ask("echo", "there?"), "there?");
    first.kill();
    let process = world.online();
    assert_eq!(process.account("echo")["resumed"], true);
    assert_eq!(detour.accepted(), 1);
}

/// SM-7, S-8: the place has to prove that it is the account's domain; a stranger there costs one try and no more.
#[test]
fn a_stranger_at_the_place_that_the_server_named_gets_nothing() {
    let (world, detour) = located();
    let process = world.online();
    let stranger =
        Server::start(ServerOptions { domain: "elsewhere.localhost".to_owned(), ..ServerOptions::default() });
    let stranger = stranger.expect("a free port");
    detour.lead_to(stranger.addr());
    let began = Instant::now();
    world.cut("echo");
    assert_eq!(process.until_connects("echo", 2)["resumed"], true);
    assert!(began.elapsed() < Duration::from_secs(60), "a wrong certificate there is no reason to stay away");
    assert_eq!((detour.accepted(), stranger.counts().bound), (1, 0));
}

/// A world whose server wants its sessions to be resumed by way of a detour, and that.
fn located() -> (World, Detour) {
    let detour = Detour::start();
    let location = Some(detour.address().to_string());
    let mut world = World::with(|options| options.location = location);
    world.script("echo", ECHO);
    world.bot("echo", "scripts: [scripts/echo.rhai]");
    detour.lead_to(world.server().addr());
    (world, detour)
}

/// Seconds until the next try.
fn pause(account: &Value) -> i64 {
    let next: Timestamp = account["next_try"].as_str().expect("a stamp").parse().expect("a stamp");
    (next - Timestamp::now()).get_seconds()
}

/// Reconnects by order, once the process has noticed that the connection is gone.
fn hasten(world: &World, process: &Process, bot: &str) {
    process.until_state(bot, "retrying");
    assert!(world.command(&["reconnect", bot]).status.success());
}

/// The resource of the bot's session.
fn resource(world: &World) -> String {
    let sessions = world.server().sessions();
    let own = sessions.iter().find(|session| session.jid.local() == Some("echo")).expect("it is online");
    own.jid.to_string()
}

/// Brings the bot back by order and asks it.
trait Back {
    fn ask_after(self, process: &Process, bot: &str) -> String;
}

impl Back for crate::support::person::Person {
    fn ask_after(mut self, process: &Process, bot: &str) -> String {
        assert!(process.command(&["reconnect", bot]).status.success());
        process.until_state(bot, "online");
        self.ask(bot, "back")
    }
}
