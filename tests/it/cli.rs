//! The command line as other programs see it: exit codes, streams, JSON, and what is never printed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::process::{run_to_end, text};
use crate::support::world::{ECHO, World, scratch};

#[test]
fn wrong_usage_is_exit_code_2_and_says_so_on_stderr() {
    let folder = scratch();
    for line in [
        &[][..],
        &["fly"],
        &["run", "--no-such-option"],
        &["send", "--from", "x"],
        &["check", "--format", "x"],
    ] {
        let output = run_to_end(&folder, line);
        assert_eq!(output.status.code(), Some(2), "{line:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{line:?}");
    }
    for line in [&["--help"][..], &["--version"], &["run", "--help"]] {
        let output = run_to_end(&folder, line);
        assert_eq!(output.status.code(), Some(0), "{line:?}");
        assert!(output.stderr.is_empty() && !output.stdout.is_empty(), "{line:?}");
    }
}

#[test]
fn completions_and_the_manual_are_printed() {
    let folder = scratch();
    for shell in ["bash", "zsh", "fish"] {
        let output = run_to_end(&folder, &["completions", shell]);
        assert!(output.status.success(), "{shell}");
        let script = text(&output.stdout);
        assert!(script.contains("rhapsode") && script.contains("dry-run"), "{shell}: {script}");
    }
    let output = run_to_end(&folder, &["man"]);
    assert!(output.status.success());
    let page = text(&output.stdout);
    assert!(page.contains(".TH") && page.contains("reconnect"), "{page}");
}

#[test]
fn status_as_json_has_what_is_promised() {
    let world = World::echo();
    let process = world.online();
    assert_eq!(world.person("ann").ask("echo", "x"), "x");
    process.until("it is acknowledged", |status| status["messages"]["acked"] == 1);
    let output = world.command(&["status", "--json"]);
    assert!(output.status.success() && output.stderr.is_empty());
    let status: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    assert_eq!(status["pid"], process.pid());
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert!(status["uptime_s"].is_u64());
    for (group, fields) in [
        ("bots", &["total", "online", "connecting", "retrying", "refused", "paused"][..]),
        ("messages", &["received", "sent", "acked", "queued"]),
        ("turns", &["handled", "failed"]),
    ] {
        for field in fields {
            assert!(status[group][field].is_u64(), "{group}.{field}: {status:#}");
        }
    }
    assert_eq!(status["messages"], serde_json::json!({"received": 1, "sent": 1, "acked": 1, "queued": 0}));
    assert_eq!(status["turns"], serde_json::json!({"handled": 1, "failed": 0}));
    let account = &status["accounts"][0];
    for field in ["name", "jid", "state", "since", "resumed", "detail", "scripts"] {
        assert!(!account[field].is_null(), "accounts[].{field}: {account:#}");
    }
    let script = &account["scripts"][0];
    assert_eq!(script["state"], "running");
    assert!(script["name"].is_string() && script["version"].is_string());
}

#[test]
fn status_for_people_names_what_needs_attention() {
    let mut world = World::echo();
    world.bot("wrong", "scripts: [scripts/echo.rhai]");
    world.secret("wrong", "geheim-falsch");
    let process = world.run();
    process.until_state("wrong", "refused");
    process.until_state("echo", "online");
    let status = text(&world.command(&["status"]).stdout);
    let line = status.lines().find(|line| line.contains("wrong")).expect("its line");
    assert!(line.contains("refused") && line.contains("not-authorized"), "{status}");
}

#[test]
fn send_goes_through_the_running_process() {
    let world = World::echo();
    let process = world.online();
    let mut ann = world.person("ann");
    let output = world.command(&["send", "--from", "echo", "--to", "ann@world.localhost", "kettle"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    // It had been acknowledged before the command ended.
    assert_eq!(process.status().expect("it answers")["messages"]["acked"], 1);
    assert_eq!(ann.text("echo"), "kettle");
    assert_eq!(world.server().counts().connections, 2, "the bot's own connection and ann's");
    let unknown = world.command(&["send", "--from", "nobody", "--to", "ann@world.localhost", "x"]);
    assert_eq!(unknown.status.code(), Some(1));
    let nowhere = world.command(&["send", "--from", "echo", "--to", "@@", "x"]);
    assert_eq!(nowhere.status.code(), Some(1));
}

#[test]
fn send_logs_in_by_itself_where_no_process_runs() {
    let world = World::echo();
    world.write();
    let mut ann = world.person("ann");
    let send = ["send", "--from", "echo", "--to", "ann@world.localhost", "by myself"];
    let output = world.command(&send);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(ann.text("echo"), "by myself");
    assert!(world.server().sessions().iter().all(|session| session.jid.local() != Some("echo")));
    world.secret("echo", "geheim-falsch");
    let output = world.command(&send);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("not-authorized"), "{}", text(&output.stderr));
}

#[test]
fn check_finds_every_mistake_at_once_and_touches_no_network() {
    let mut world = World::echo();
    world.script("broken", "on(\"message\", |m| {\n    m.reply(;\n});");
    world.bot("echo", "scripts: [scripts/echo.rhai, scripts/broken.rhai]\nacept: all");
    world.write();
    let output = world.command(&["check", "--format", "short"]);
    assert_eq!(output.status.code(), Some(1));
    let stdout = text(&output.stdout);
    assert!(
        stdout.contains("broken.rhai:3:1: error: `}` closes nothing: `(` is still open")
            && stdout.contains("`acept`"),
        "{stdout}"
    );
    for line in stdout.lines() {
        let mut parts = line.splitn(4, ':');
        let place = (parts.next(), parts.next(), parts.next());
        assert!(place.1.is_some_and(|line| line.parse::<u32>().is_ok()), "file:line:column: {line}");
        assert!(place.2.is_some_and(|column| column.parse::<u32>().is_ok()), "file:line:column: {line}");
    }
    world.bot("echo", "scripts: [scripts/echo.rhai]");
    world.write();
    assert!(world.command(&["check", "--deny-warnings"]).status.success());
    assert_eq!(world.server().counts().connections, 0);
}

#[test]
fn check_refuses_a_role_that_the_bot_does_not_define() {
    let mut world = World::echo();
    world.script("faq", "command(\"learn\", #{ allow: [\"stuff\"] }, |m, a| m.reply(\"ok\"));");
    world.bot("echo", "scripts: [scripts/faq.rhai]\nroles: { staff: [ann@world.localhost] }");
    world.write();
    let output = world.command(&["check", "--format", "short"]);
    assert_eq!(output.status.code(), Some(1));
    let stdout = text(&output.stdout);
    assert!(stdout.contains("faq.rhai:1:1: error: bot `echo` has no role `stuff`"), "{stdout}");
    world.script("faq", "command(\"learn\", #{ allow: [\"staff\"] }, |m, a| m.reply(\"ok\"));");
    assert!(world.command(&["check"]).status.success());
}

#[test]
fn no_password_and_no_body_is_ever_logged() {
    let mut world = World::new();
    // An error text that a script makes of what it was told is the script's own affair; it says nothing here.
    world.script("echo", ECHO);
    world.script("failing", r#"on("message", |m| { throw "on purpose"; });"#);
    world.bot("echo", "scripts: [scripts/echo.rhai]");
    world.bot("failing", "scripts: [scripts/failing.rhai]");
    world.bot("refused", "scripts: [scripts/echo.rhai]");
    world.secret("refused", "geheim-falsch");
    let process = world.start(&["run", "--no-watch", "-vv"]);
    process.until_state("echo", "online");
    process.until_state("refused", "refused");
    let mut ann = world.person("ann");
    ann.say("failing", "body-of-a-message");
    assert_eq!(ann.ask("echo", "body-of-a-message"), "body-of-a-message");
    // Once more with keys that are known, and with a secret that changes while it runs.
    world.server().set_password("echo", "geheim-anders").expect("a localpart");
    world.secret("echo", "geheim-anders");
    process.reloaded();
    process.until_connects("echo", 2);
    process.until("the failure is told", |status| status["turns"]["failed"] == 1);
    let stderr = process.stop();
    assert!(stderr.contains("\"debug\""), "-vv says more: {stderr}");
    let plain = ["geheim-falsch", "geheim-anders"].into_iter().chain(world.passwords());
    for password in plain {
        let hidden = [password.to_owned(), STANDARD.encode(password)];
        let found = hidden.iter().find(|hidden| stderr.contains(hidden.trim_end_matches('=')));
        assert_eq!(found, None, "in the log");
    }
    let (traced, rest): (Vec<&str>, Vec<&str>) = stderr.lines().partition(|line| line.contains("\"trace\""));
    assert!(!rest.concat().contains("body-of-a-message"), "above trace, beside {} lines", traced.len());
}

#[test]
fn log_lines_are_json_objects_with_their_fields() {
    let world = World::echo();
    let process = world.online();
    let stderr = process.stop();
    let lines: Vec<Value> = stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    for line in &lines {
        for field in ["timestamp", "level", "message"] {
            assert!(line[field].is_string(), "{line}");
        }
    }
    assert!(lines.iter().any(|line| line["message"] == "online" && line["bot"] == "echo"), "{stderr}");
}
