//! Reloading: completely or not at all, and never more of a disturbance than the change needs.

use std::fs;

use serde_json::Value;

use crate::support::process::{Process, text};
use crate::support::world::{ECHO, World};

/// Counts in its own memory: a script that is loaded anew begins again.
const COUNTER: &str = r#"
const WORD = option("word", "n", "what comes before the number");
let n = 0;
on("message", |m| { n += 1; m.reply(`${WORD} ${n}`); });
"#;

#[test]
fn a_changed_script_is_swapped_and_the_connection_is_not_touched() {
    let world = World::echo();
    let process = world.online();
    let mut ann = world.person("ann");
    assert_eq!(ann.ask("echo", "one"), "one");
    let before = Standing::of(&world, &process);
    world.script("echo", r#"on("message", |m| m.reply("new " + m.text));"#);
    let output = process.reload(&[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("echo"), "the plan names the bot: {}", text(&output.stdout));
    assert_eq!(ann.ask("echo", "two"), "new two");
    let after = Standing::of(&world, &process);
    assert_ne!(after.version, before.version);
    assert_eq!(after, Standing { version: after.version.clone(), ..before });
}

#[test]
fn a_broken_configuration_changes_nothing_and_is_placed() {
    let world = World::echo();
    let process = world.online();
    let mut ann = world.person("ann");
    let before = Standing::of(&world, &process);
    let broken = world.yaml().replace("    scripts: [scripts/echo.rhai]", "    scriptz: [scripts/echo.rhai]");
    let line = 1 + broken.lines().position(|line| line.contains("scriptz")).expect("just written");
    world.put("bots.yaml", &broken);
    let output = process.reload(&[]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(stderr.contains(&format!("bots.yaml:{line}:")) && stderr.contains("`scriptz`"), "{stderr}");
    assert_eq!(ann.ask("echo", "still there"), "still there");
    assert_eq!(Standing::of(&world, &process), before);
    // And it is no dead end.
    world.write();
    process.reloaded();
}

#[test]
fn a_broken_script_changes_nothing_and_is_placed() {
    let mut world = World::echo();
    world.script("other", ECHO);
    world.bot("other", "scripts: [scripts/other.rhai]");
    let process = world.online();
    let mut ann = world.person("ann");
    let before = Standing::of(&world, &process);
    // One script is changed rightly, one wrongly: neither may become live.
    world.script("other", r#"on("message", |m| m.reply("changed"));"#);
    world.script("echo", "on(\"message\", |m| {\n    m.reply(;\n});");
    let output = process.reload(&[]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("echo.rhai:3:1: error: `}` closes nothing"), "{stderr}");
    assert_eq!(ann.ask("echo", "still"), "still");
    assert_eq!(ann.ask("other", "as before"), "as before");
    assert_eq!(Standing::of(&world, &process), before);
}

#[test]
fn a_script_that_fails_while_it_loads_changes_nothing() {
    let world = World::echo();
    let process = world.online();
    let mut ann = world.person("ann");
    world.script("echo", "let x = 1;\nlet y = x / 0;\non(\"message\", |m| m.reply(\"never\"));");
    let output = process.reload(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("echo.rhai:2:"), "{}", text(&output.stderr));
    assert_eq!(ann.ask("echo", "still"), "still");
}

#[test]
fn bots_are_added_and_removed_while_the_others_stay() {
    let mut world = World::echo();
    let process = world.online();
    let before = Standing::of(&world, &process);
    let mut ann = world.person("ann");
    world.bot("second", "scripts: [scripts/echo.rhai]");
    world.write();
    process.reloaded();
    process.until_online(2);
    assert_eq!(ann.ask("second", "welcome"), "welcome");
    world.without("second");
    world.write();
    process.reloaded();
    process.until("it is gone", |status| status["bots"]["total"] == 1);
    crate::support::process::until("its session has ended in order", || {
        let sessions = world.server().sessions();
        sessions.iter().all(|session| session.jid.local() != Some("second")).then_some(())
    });
    let after = Standing::of(&world, &process);
    assert_eq!((after.since, after.connects), (before.since, before.connects));
}

#[test]
fn a_changed_password_costs_only_its_own_connection() {
    let mut world = World::echo();
    world.bot("other", "scripts: [scripts/echo.rhai]");
    let process = world.online();
    world.server().set_password("echo", "geheim-neu").expect("a localpart");
    world.secret("echo", "geheim-neu");
    process.reloaded();
    process.until_connects("echo", 2);
    assert_eq!(process.account("other")["connects"], 1);
}

#[test]
fn a_refused_login_tries_again_with_the_changed_password() {
    let world = World::echo();
    world.secret("echo", "geheim-falsch");
    let process = world.run();
    process.until_state("echo", "refused");
    world.secret("echo", world.passwords().last().expect("that of the bot"));
    process.reloaded();
    process.until_state("echo", "online");
}

#[test]
fn a_dry_run_tells_the_plan_and_changes_nothing() {
    let mut world = World::echo();
    let process = world.online();
    let mut ann = world.person("ann");
    let before = Standing::of(&world, &process);
    world.script("echo", r#"on("message", |m| m.reply("new"));"#);
    world.bot("second", "scripts: [scripts/echo.rhai]");
    world.write();
    let output = process.reload(&["--dry-run"]);
    assert!(output.status.success());
    let plan = text(&output.stdout);
    assert!(plan.contains("second") && plan.contains("echo"), "{plan}");
    assert_eq!(ann.ask("echo", "old"), "old");
    assert_eq!(Standing::of(&world, &process), before);
    assert_eq!(process.status().expect("it answers")["bots"]["total"], 1);
}

#[test]
fn sighup_reloads() {
    let world = World::echo();
    let process = world.online();
    let before = Standing::of(&world, &process);
    world.script("echo", r#"on("message", |m| m.reply("by signal"));"#);
    process.signal("HUP");
    process.until("the new version runs", |status| version(status, 0) != before.version);
    assert_eq!(world.person("ann").ask("echo", "x"), "by signal");
    // A broken one is told in the log, and nothing else happens.
    world.script("echo", "on(");
    process.signal("HUP");
    process.until_stderr("echo.rhai:1:");
    assert_eq!(world.person("ann").ask("echo", "x"), "by signal");
}

#[test]
fn saved_files_are_live_however_an_editor_saves() {
    let world = World::echo();
    let process = world.start(&["run"]);
    process.until_online(1);
    let path = world.folder.join("scripts/echo.rhai");
    let mut ann = world.person("ann");
    let mut seen = version(&process.status().expect("it answers"), 0);
    let source = |word: &str| format!("on(\"message\", |m| m.reply(\"{word} \" + m.text));");
    let mut saved = |word: &str, save: &dyn Fn(&str)| {
        save(&source(word));
        let status = process.until(word, |status| version(status, 0) != seen);
        seen = version(&status, 0);
        assert_eq!(ann.ask("echo", "x"), format!("{word} x"));
    };
    saved("renamed", &|text| world.script("echo", text));
    saved("again", &|text| world.script("echo", text));
    saved("in-place", &|text| fs::write(&path, text).expect("our file"));
    saved("backed-up", &|text| {
        fs::rename(&path, path.with_extension("rhai~")).expect("our file");
        fs::write(&path, text).expect("our file");
    });
    assert_eq!(process.account("echo")["connects"], 1);
}

#[test]
fn a_watched_file_with_a_mistake_is_told_and_the_old_one_goes_on() {
    let world = World::echo();
    let process = world.start(&["run"]);
    process.until_online(1);
    world.script("echo", "on(\"message\", |m| m.reply(;");
    process.until_stderr("echo.rhai:1:");
    assert_eq!(world.person("ann").ask("echo", "still"), "still");
}

#[test]
fn a_changed_option_concerns_only_its_script() {
    let mut world = World::new();
    world.script("one", COUNTER);
    world.script("two", &COUNTER.replace("\"n\"", "\"m\""));
    let keys = |word: &str| {
        format!("scripts: [{{ use: scripts/one.rhai, config: {{ word: {word} }} }}, scripts/two.rhai]")
    };
    world.bot("both", &keys("a"));
    let process = world.online();
    let mut ann = world.person("ann");
    ann.say("both", "x");
    assert_eq!([ann.text("both"), ann.text("both")], ["a 1", "m 1"]);
    world.bot("both", &keys("b"));
    world.write();
    process.reloaded();
    ann.say("both", "x");
    assert_eq!([ann.text("both"), ann.text("both")], ["b 1", "m 2"], "the other one keeps its memory");
    assert_eq!(process.account("both")["connects"], 1);
}

#[test]
fn an_unknown_option_is_refused_where_it_is_written() {
    let mut world = World::new();
    world.script("one", COUNTER);
    world.bot("bot", "scripts: [scripts/one.rhai]");
    let process = world.online();
    world.bot("bot", "scripts: [{ use: scripts/one.rhai, config: { wort: x } }]");
    world.write();
    let line = 1 + world.yaml().lines().position(|line| line.contains("wort")).expect("just written");
    let output = process.reload(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("wort") && stderr.contains(&format!("bots.yaml:{line}:")), "{stderr}");
}

/// What a reload must not change by the way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Standing {
    version: String,
    since: String,
    connects: u64,
    total: u64,
    bound: u64,
}

impl Standing {
    /// Of the first bot.
    fn of(world: &World, process: &Process) -> Self {
        let status = process.status().expect("it answers");
        let account = &status["accounts"][0];
        Self {
            version: version(&status, 0),
            since: account["since"].to_string(),
            connects: account["connects"].as_u64().expect("a number"),
            total: status["bots"]["total"].as_u64().expect("a number"),
            bound: world.server().sessions().iter().filter(|s| s.jid.local() == Some("echo")).count() as u64,
        }
    }
}

fn version(status: &Value, account: usize) -> String {
    status["accounts"][account]["scripts"][0]["version"].as_str().expect("a version").to_owned()
}
