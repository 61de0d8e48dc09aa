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
fn what_check_says_is_explained_offline() {
    let folder = scratch();
    let all = run_to_end(&folder, &["explain"]);
    assert!(all.status.success() && text(&all.stdout).contains("script::plain_string"));
    let page = run_to_end(&folder, &["explain", "script::plain_string"]);
    assert!(page.status.success() && text(&page.stdout).contains("backquotes"));
    let json: Value =
        serde_json::from_slice(&run_to_end(&folder, &["explain", "plain_string", "--json"]).stdout)
            .expect("JSON and nothing else");
    assert_eq!(json["name"], "script::plain_string");
    let unknown = run_to_end(&folder, &["explain", "script::plain_strng"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        unknown.stdout.is_empty() && text(&unknown.stderr).contains("did you mean `script::plain_string`")
    );
}

#[test]
fn the_script_functions_are_looked_up_offline() {
    let folder = scratch();
    let output = run_to_end(&folder, &["api", "store::get"]);
    assert!(output.status.success());
    let page = text(&output.stdout);
    assert!(page.contains("store::get(key: string)") && !page.contains("m.reply(text"), "{page}");
    assert!(text(&run_to_end(&folder, &["api", "room:join"]).stdout).contains("Events"));
    assert!(text(&run_to_end(&folder, &["api", "when"]).stdout).contains("17:30"));
    let all: Value = serde_json::from_slice(&run_to_end(&folder, &["api", "--json"]).stdout).expect("JSON");
    assert!(all["functions"].as_array().is_some_and(|all| all.len() > 100));
    assert!(all["events"].as_array().is_some_and(|all| all.len() > 20));
    let unknown = run_to_end(&folder, &["api", "replyy"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("did you mean `reply`"), "{}", text(&unknown.stderr));
}

#[test]
fn editors_get_definitions_and_a_schema() {
    let mut world = World::echo();
    std::fs::create_dir_all(world.folder.join("scripts")).expect("the folder");
    let script = "option(\"greeting\", \"hello\", \"what it says\");\noption(\"most\", 3);\n";
    std::fs::write(world.folder.join("scripts/said.rhai"), script).expect("written");
    world.bot("said", "scripts: [scripts/said.rhai]");
    world.write();
    let output = world.command(&["definitions", "--out", "r.d.rhai"]);
    assert!(output.status.success() && output.stdout.is_empty());
    let file = std::fs::read_to_string(world.folder.join("r.d.rhai")).expect("written");
    assert_eq!(file, text(&world.command(&["definitions"]).stdout));
    assert!(file.starts_with("module static;") && file.contains("fn reply(m: Message, text: ?) -> string;"));
    let plain: Value = serde_json::from_slice(&world.command(&["schema"]).stdout).expect("JSON");
    assert_eq!(plain["$schema"], "http://json-schema.org/draft-07/schema#");
    let config = &plain["definitions"]["bot"]["properties"]["config"];
    assert!(config["properties"].is_null());
    let project: Value =
        serde_json::from_slice(&world.command(&["schema", "--project"]).stdout).expect("JSON");
    for section in ["bot", "use"] {
        let config = &project["definitions"][section]["properties"]["config"]["properties"];
        assert_eq!(config["greeting"]["type"], "string", "{config:#}");
        assert_eq!(config["greeting"]["description"], "what it says");
        assert_eq!(config["most"]["type"], "integer");
    }
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
    let sarif: Value =
        serde_json::from_slice(&world.command(&["check", "--format", "sarif"]).stdout).expect("JSON");
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    assert_eq!((&sarif["version"], results.len()), (&Value::from("2.1.0"), stdout.lines().count()));
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
