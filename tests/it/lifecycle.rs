//! Beginning and end of a process: signals, the control socket, the lock of the store.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::support::process::{Process, text, until};
use crate::support::world::World;

/// Works until its limit.
const ENDLESS: &str = r#"on("message", |m| loop { });"#;

#[test]
fn sigterm_lets_the_turn_under_way_end_and_leaves_the_session() {
    let mut world = World::new();
    world.script(
        "slow",
        r#"on("message", |m| { let n = 0; while n < 300000 { n += 1; } m.reply("finished " + m.text); });"#,
    );
    world.bot("slow", "scripts: [scripts/slow.rhai]\nlimits: { turn: 20s, operations: 1000M }");
    let process = world.online();
    let mut ann = world.person("ann");
    ann.say("slow", "work");
    process.until("it has begun", |status| status["messages"]["received"] == 1);
    let stderr = process.stop();
    assert!(stderr.contains("stopping") && stderr.contains("\"stopped\""), "{stderr}");
    assert_eq!(ann.text("slow"), "finished work");
    let sessions = world.server().sessions();
    let left = sessions.iter().find(|session| session.jid.local() == Some("slow")).expect("it waits");
    assert!(!left.connected, "{sessions:?}");
    assert!(!process.socket().exists());
}

#[test]
fn sigint_stops_as_well() {
    let world = World::echo();
    let process = world.online();
    process.signal("INT");
    assert!(process.ended().success());
    assert!(world.server().sessions().is_empty());
}

#[test]
fn a_second_sigterm_stops_at_once() {
    let mut world = World::new();
    world.script("endless", ENDLESS);
    world.bot("endless", "scripts: [scripts/endless.rhai]\nlimits: { turn: 20s, operations: 1000M }");
    let process = world.online();
    world.person("ann").say("endless", "work");
    process.until("it has begun", |status| status["messages"]["received"] == 1);
    process.signal("TERM");
    process.until_stderr("stopping");
    let began = Instant::now();
    process.signal("TERM");
    process.ended();
    assert!(began.elapsed() < Duration::from_secs(2), "it took {:?}", began.elapsed());
    assert!(process.stderr().contains("stopped at once"), "{}", process.stderr());
}

#[test]
fn the_stop_command_returns_when_everything_has_ended() {
    let world = World::echo();
    let process = world.online();
    let output = world.command(&["stop", "--leave"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(world.server().sessions().is_empty());
    assert!(process.ended().success());
    // There is nobody left to stop.
    assert_eq!(world.command(&["stop"]).status.code(), Some(1));
}

#[test]
fn the_control_socket_is_for_its_owner_only() {
    let world = World::echo();
    let process = world.online();
    let mode = std::fs::metadata(process.socket()).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let folder = std::fs::metadata(world.folder.join("data")).expect("it is there").permissions().mode();
    assert_eq!(folder & 0o077, 0, "nobody else looks into the store");
}

#[test]
fn a_socket_that_a_killed_process_left_is_replaced() {
    let world = World::echo();
    let process = world.online();
    process.kill();
    assert!(process.socket().exists());
    let output = world.command(&["status"]);
    assert_eq!(output.status.code(), Some(1), "a dead socket is no process");
    let process = world.online();
    assert_ne!(process.status().expect("it answers")["pid"], 0);
}

#[test]
fn commands_to_a_process_that_does_not_run_fail_with_a_hint() {
    let world = World::echo();
    world.write();
    for command in [&["status"][..], &["reload"], &["stop"], &["reconnect", "echo"]] {
        let output = world.command(command);
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        let stderr = text(&output.stderr);
        assert!(stderr.contains("hint: start it with `rhapsode run`"), "{command:?}: {stderr}");
        assert!(output.stdout.is_empty(), "stdout is data");
    }
}

#[test]
fn a_second_process_in_the_same_folder_is_refused_and_told_who_is_there() {
    let world = World::echo();
    let process = world.online();
    let output = world.command(&["run"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(stderr.contains(&process.pid().to_string()), "{stderr}");
    // The first one has lost nothing by it.
    assert_eq!(process.account("echo")["connects"], 1);
    assert_eq!(world.person("ann").ask("echo", "still"), "still");
}

#[test]
fn a_process_that_was_stopped_leaves_its_store_to_the_next() {
    let mut world = World::new();
    world.script("count", r#"on("message", |m| m.reply(`${store::incr("n")}`));"#);
    world.bot("count", "scripts: [scripts/count.rhai]");
    let mut ann = world.person("ann");
    for run in 1..=3 {
        let process = world.online();
        assert_eq!(ann.ask("count", "x"), run.to_string());
        process.stop();
    }
}

#[test]
fn a_start_with_a_mistake_shows_all_of_them_and_ends() {
    let mut world = World::echo();
    world.bot("echo", "scripts: [scripts/missing.rhai]\nacept: all");
    world.script("broken", "on(");
    world.bot("second", "scripts: [scripts/broken.rhai]");
    world.write();
    let output = world.command(&["run"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    for problem in ["missing.rhai", "`acept`", "broken.rhai"] {
        assert!(stderr.contains(problem), "no {problem} in {stderr}");
    }
    assert!(stderr.contains("did you mean `accept`"), "{stderr}");
}

#[test]
fn a_paused_bot_does_not_log_in_until_it_is_let_go() {
    let mut world = World::echo();
    world.bot("echo", "scripts: [scripts/echo.rhai]\npaused: holiday");
    let process = world.run();
    let account = process.until_state("echo", "paused");
    assert_eq!(account["detail"], "holiday");
    assert_eq!(world.server().counts().connections, 0);
    world.bot("echo", "scripts: [scripts/echo.rhai]");
    world.write();
    process.reloaded();
    process.until_state("echo", "online");
    world.bot("echo", "scripts: [scripts/echo.rhai]\npaused: holiday");
    world.write();
    process.reloaded();
    process.until_state("echo", "paused");
    until("its session has ended", || world.server().sessions().is_empty().then_some(()));
}

#[test]
fn reconnect_makes_a_new_connection_and_knows_its_bots() {
    let world = World::echo();
    let process: Process = world.online();
    assert!(world.command(&["reconnect", "echo"]).status.success());
    process.until_connects("echo", 2);
    let output = world.command(&["reconnect", "nobody"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("nobody"));
}
