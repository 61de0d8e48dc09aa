//! `status` of a running process, and names of bots with stars.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::process::text;
use crate::support::world::{ECHO, World};

#[test]
fn names_with_stars_choose_bots_everywhere() {
    let mut world = World::echo();
    for name in ["shop-1", "shop-2"] {
        world.bot(name, "scripts: [scripts/echo.rhai]");
    }
    let process = world.online();
    let names = |arguments: &[&str]| -> Vec<String> {
        let status = json(&process.command(&[&["status", "--json"], arguments].concat()));
        assert_eq!(status["bots"]["total"], status["accounts"].as_array().map_or(0, Vec::len));
        let accounts = status["accounts"].as_array().cloned().unwrap_or_default();
        accounts.iter().map(|account| account["name"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(names(&[]), ["echo", "shop-1", "shop-2"]);
    assert_eq!(names(&["shop-*"]), ["shop-1", "shop-2"]);
    assert_eq!(names(&["e?ho", "shop-2"]), ["echo", "shop-2"]);
    let shown = text(&process.command(&["status", "shop-1"]).stdout);
    assert!(shown.contains("shop-1") && !shown.contains("shop-2"), "{shown}");
    for arguments in [["status", "shap-1"], ["reconnect", "shap-*"]] {
        let output = process.command(&arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("no such bot: {}", arguments[1])), "{said}");
    }
    let output = process.command(&["reconnect", "shop-*"]);
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("shop-1\nshop-2\n", Some(0)));
    process.until_connects("shop-1", 2);
    process.until_connects("shop-2", 2);
    assert_eq!(process.account("echo")["connects"], 1);
    let mut ann = world.person("ann");
    assert_eq!([ann.ask("shop-1", "a"), ann.ask("shop-2", "b")], ["a", "b"]);
    let why = text(&process.command(&["why", "shop-*", "--json"]).stdout);
    for name in ["shop-1", "shop-2"] {
        assert!(why.contains(&format!("\"bot\":\"{name}\"")), "{why}");
    }
}

#[test]
fn what_waits_in_vain_and_what_is_parked_is_told() {
    let mut world = World::echo();
    world.script(
        "tea",
        r#"on("message", |m| { timer::at("2h", "old"); m.ask("sugar", "sugar?"); });
on("timer:old", |t| { }); on("answer:sugar", |m| m.reply("ok"));"#,
    );
    world.bot("tea", "scripts: [scripts/tea.rhai]");
    world.script("bad", r#"on("message", |m| { throw "never"; });"#);
    world.bot("bad", "scripts: [scripts/bad.rhai]");
    let process = world.online();
    let mut ann = world.person("ann");
    assert_eq!(ann.ask("tea", "hello"), "sugar?");
    let script =
        |name: &str| json(&process.command(&["status", "--json", name]))["accounts"][0]["scripts"][0].clone();
    let before = script("tea");
    assert_eq!(before["timers_without_handler"], json!({}));
    assert_eq!(before["questions_orphaned"], json!({}));
    world.script("tea", ECHO);
    process.reloaded();
    process.until("the new version runs", |status| {
        let accounts = status["accounts"].as_array().cloned().unwrap_or_default();
        accounts.iter().any(|one| one["name"] == "tea" && one["scripts"][0]["version"] != before["version"])
    });
    let after = script("tea");
    assert_eq!(after["timers_without_handler"], json!({ "old": 1 }));
    assert_eq!(after["questions_orphaned"], json!({ "sugar": 1 }));
    let shown = text(&process.command(&["status", "tea"]).stdout);
    assert!(shown.contains("tea  timers without a handler: old: 1\n"), "{shown}");
    assert!(shown.contains("tea  questions without a handler: sugar: 1\n"), "{shown}");
    for _ in 0..11 {
        ann.say("bad", "x");
    }
    process.until("it is parked", |status| {
        let accounts = status["accounts"].as_array().cloned().unwrap_or_default();
        accounts.iter().any(|one| one["scripts"][0]["parked"]["skipped"] == 1)
    });
    let parked = script("bad");
    assert_eq!(
        (&parked["failures"], &parked["parked"]["why"]),
        (&json!(10), &json!("10 turns in a row failed"))
    );
    assert!(parked["parked"]["until"].as_str().is_some_and(|until| until.ends_with('Z')), "{parked}");
    assert_eq!(script("echo")["parked"], Value::Null);
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}
