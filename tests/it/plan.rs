//! The plan of a reload: what it says before it happens, in the log, on the terminal and to programs.

use serde_json::{Value, json};

use crate::support::process::{Process, text};
use crate::support::world::{ECHO, World};

/// Two timers, a question, a command and a repetition.
const OLD: &str = r#"
command("brew <what:word>", "Brew something", |m, a| {
    timer::at("2h", "tea"); timer::at("1h", "milk");
    m.ask("sugar", "sugar?");
});
every("15m", || { });
on("timer:tea", |t| { });
on("timer:milk", |t| { });
on("answer:sugar", |m| m.reply("ok"));
"#;

/// No milk, no sugar, by the clock.
const NEW: &str = r#"
command("brew <what:word> [how:word]", "Brew something", |m, a| m.reply("new"));
cron("0 9 * * *", |t| { });
on("timer:tea", |t| { });
"#;

#[test]
fn the_plan_says_what_becomes_of_timers_questions_and_declarations() {
    let (world, process) = brewing();
    let old = process.account("echo")["scripts"][0]["version"].as_str().expect("a version").to_owned();
    world.script("echo", NEW);
    let said = text(&process.reload(&["--dry-run"]).stdout);
    for part in [
        "script  echo  ",
        &format!("{old} → "),
        "bot echo switches, timers kept: 1, without a handler: 1 (milk), questions kept: 0, orphaned: 1 (sugar)\n",
        "        + command `!brew <what> [how]`\n        + cron `0 9 * * *`\n",
        "        - command `!brew <what>`\n",
        "        - event `answer:sugar`, `timer:milk`\n",
        "        - every `15m`\n",
        "nothing was applied (--dry-run)",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    let plan = json(&process, &["--dry-run", "--json"], 0);
    let script = &plan["scripts"][0];
    assert_eq!(plan["outcome"], "planned", "{plan:#}");
    assert_eq!((&script["from"], &script["bots"]), (&json!(old), &json!(["echo"])));
    assert_eq!(script["timers"], json!({ "kept": 1, "without_handler": { "milk": 1 } }));
    assert_eq!(script["questions"], json!({ "kept": 0, "without_handler": { "sugar": 1 } }));
    assert_eq!(script["added"][1], json!({ "kind": "cron", "name": "0 9 * * *" }));
    // It was only a plan.
    assert_eq!(process.account("echo")["scripts"][0]["version"], old);
    let applied = json(&process, &["--json"], 0);
    assert_eq!(applied["outcome"], "applied");
    assert_eq!(applied["scripts"], plan["scripts"]);
    process.until("the new version runs", |status| {
        status["accounts"][0]["scripts"][0]["version"] == script["to"]
    });
    assert_eq!(json(&process, &["--json"], 0)["outcome"], "unchanged");
}

#[test]
fn the_log_shows_the_plan_after_a_signal() {
    let (world, process) = brewing();
    world.script("echo", NEW);
    process.signal("HUP");
    let log = process.until_stderr("✓ applied");
    assert!(log.contains("timers kept: 1, without a handler: 1 (milk)"), "{log}");
    world.script("echo", "on(");
    process.signal("HUP");
    let log = process.until_stderr("✗ not applied: ");
    assert!(log.contains("does not load") && log.contains("echo.rhai:1:"), "{log}");
}

#[test]
fn one_broken_script_among_many_changes_nothing_and_the_plan_says_so() {
    let mut world = World::echo();
    for name in ["one", "two", "three"] {
        world.script(name, ECHO);
        world.bot(name, &format!("scripts: [scripts/{name}.rhai]"));
    }
    let process = world.online();
    let before = process.status().expect("it answers")["accounts"].clone();
    world.script("one", r#"on("message", |m| m.reply("good"));"#);
    world.script("two", "on(\"message\", |m| { m.rply(1); ");
    world.without("three");
    world.write();
    let output = process.reload(&[]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in [
        "script  one  ",
        "does not load  bot two keeps what runs",
        "two.rhai:1:",
        "three",
        "removed",
        "✗ not applied: ",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    assert_eq!(text(&output.stdout), "");
    let plan = json(&process, &["--json"], 1);
    assert_eq!((&plan["outcome"], &plan["scripts"][2]["to"]), (&json!("refused"), &Value::Null), "{plan:#}");
    assert!(plan["problems"].as_u64() > Some(0) && plan["findings"][0]["line"] == 1, "{plan:#}");
    let after = process.status().expect("it answers")["accounts"].clone();
    assert_eq!(after, before);
}

#[test]
fn an_option_that_is_wrong_for_one_bot_refuses_the_whole() {
    let mut world = World::new();
    world.script("one", r#"const N = option("n", 1, "a number"); on("message", |m| m.reply(`${N}`));"#);
    let uses = |n: &str| format!("scripts: [{{ use: scripts/one.rhai, config: {{ n: {n} }} }}]");
    world.bot("good", &uses("1"));
    world.bot("bad", &uses("1"));
    let process = world.online();
    world.bot("good", &uses("2"));
    world.bot("bad", &uses("many"));
    world.write();
    let plan = json(&process, &["--json"], 1);
    assert_eq!(plan["outcome"], "refused");
    let steps: Vec<&Value> = plan["bots"].as_array().expect("a list").iter().collect();
    assert_eq!(steps[1]["keys"], json!(["config.n"]), "{plan:#}");
    assert_eq!(world.person("ann").ask("good", "x"), "1");
}

#[test]
fn a_permission_that_nobody_grants_is_named_with_its_place_in_the_file() {
    let mut world = World::new();
    world.script("faq", ECHO);
    world.head("login: { pace: none, jitter: 0s }\nscripts: { faq: scripts/faq.rhai }");
    world.bot("faq", "scripts: [faq]");
    let process = world.online();
    world.script("faq", r#"on("message", |m| http::get("https://api.example.net/x", |r| m.reply(r.body)));"#);
    let output = process.reload(&["--dry-run"]);
    let said = text(&output.stderr);
    let line = "asks for  http: api.example.net  not granted → add to scripts.faq.permissions.http\n";
    assert!(said.contains(line) && output.status.code() == Some(1), "{said}");
    assert!(said.contains("✗ not applied: 1 problem"), "{said}");
    let plan = json(&process, &["--dry-run", "--json"], 1);
    assert_eq!(plan["not_granted"][0]["path"], "scripts.faq.permissions.http");
}

#[test]
fn a_bot_that_goes_leaves_its_rooms_and_one_that_changes_keeps_its_connection() {
    let mut world = World::echo();
    world.bot("gone", &format!("rooms: [one@{}, two@{}]", rooms(), rooms()));
    world.bot("shop", "scripts: [scripts/echo.rhai]");
    let process = world.online();
    let joined = |account: &Value| {
        account["rooms"]
            .as_array()
            .is_some_and(|rooms| rooms.len() == 2 && rooms.iter().all(|room| room["state"] == "in"))
    };
    process.until("it is in its rooms", |status| {
        status["accounts"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["name"] == "gone" && joined(one)))
    });
    world.without("gone");
    world.bot("shop", "scripts: [scripts/echo.rhai]\nlimits: { turn: 1s }\nadmins: [ann@world.localhost]");
    world.write();
    let said = text(&process.reload(&["--dry-run"]).stdout);
    let line = |start: &str| said.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
    assert!(line("bot     gone").ends_with("removed              leaves 2 rooms, goes offline"), "{said}");
    assert!(
        line("bot     shop").ends_with("limits.turn, admins  script restarts, connection stays"),
        "{said}"
    );
    let plan = json(&process, &["--json"], 0);
    assert_eq!(plan["bots"][0]["leaves_rooms"], 2);
    assert_eq!((&plan["bots"][1]["connection"], &plan["untouched"]), (&json!("stays"), &json!(1)));
}

fn rooms() -> String {
    format!("rooms.{}", crate::support::world::DOMAIN)
}

/// One bot with everything of [`OLD`] waiting.
fn brewing() -> (World, Process) {
    let world = World::echo();
    world.script("echo", OLD);
    let process = world.online();
    assert_eq!(world.person("ann").ask("echo", "!brew tea"), "sugar?");
    (world, process)
}

/// What `reload` prints as JSON with these arguments.
fn json(process: &Process, arguments: &[&str], code: i32) -> Value {
    let output = process.reload(arguments);
    assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}
