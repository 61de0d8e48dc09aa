//! Scripts that mean harm, in a whole process: the turn ends, the log says where, everybody else goes on.
//!
//! What a panicking host function does is shown where one can be had: `script/tests/attacks.rs`.

use serde_json::Value;

use crate::support::process::Process;
use crate::support::world::World;

/// The line of each attack is its place in this text; of one that calls nothing, where its handler begins.
const HOSTILE: &str = r#"on("message", |m| {
    if m.text == "loop" { let n = 0; loop { n += 1; } }
    if m.text == "hidden" { while true { try { loop { } } catch { } } }
    if m.text == "bomb" { let s = "x"; loop { s += s; } }
    if m.text == "deep" { deep(0); }
    if m.text == "wrong" { let none = []; none[5] = 1; }
    if m.text == "half" { store::set("half", 1); m.reply("never"); throw "no"; }
    if m.text == "kept" { return m.reply(`[${store::get("half")}]`); }
    m.reply("alive");
});
fn deep(n) { deep(n + 1) }
"#;

#[test]
fn a_harmful_turn_fails_with_its_place_and_nothing_else_does() {
    let (world, process) = start();
    let (mut ann, mut bob) = (world.person("ann"), world.person("bob"));
    // Three costly failures of one bot would park its script: each bot does a part of the harm.
    let attacks = [
        ("hostile", "loop", 2),
        ("hostile", "hidden", 1),
        ("harmful", "bomb", 1),
        ("harmful", "deep", 11),
        ("hostile", "wrong", 6),
        ("harmful", "half", 7),
    ];
    for (failed, (bot, attack, line)) in attacks.into_iter().enumerate() {
        ann.say(bot, attack);
        assert_eq!(bob.ask("good", attack), attack, "the neighbour answers meanwhile");
        process.until(attack, |status| status["turns"]["failed"] == failed + 1);
        let place = format!("scripts/hostile.rhai:{line}:");
        let entry = log(&process).pop().expect("a failure");
        let message = entry["message"].as_str().expect("a text");
        assert!(message.starts_with(&place), "not at {place}: {message}");
        let column = message.split(&place).nth(1).and_then(|rest| rest.split(':').next());
        let column: u32 = column.and_then(|column| column.parse().ok()).expect("a column");
        assert!(column > 0);
        assert_eq!((&entry["bot"], &entry["event"]), (&Value::from(bot), &Value::from("message")));
        assert_eq!(ann.ask(bot, "there?"), "alive", "after {attack}");
    }
    for bot in ["hostile", "harmful", "good"] {
        let account = process.account(bot);
        assert_eq!((&account["state"], &account["connects"]), (&Value::from("online"), &Value::from(1)));
        assert_eq!(account["restarts"], 0);
    }
}

#[test]
fn a_turn_that_fails_leaves_nothing_behind() {
    let (world, process) = start();
    let mut ann = world.person("ann");
    ann.say("hostile", "half");
    process.until("it failed", |status| status["turns"]["failed"] == 1);
    // The reply of the failed turn would come first.
    assert_eq!(ann.ask("hostile", "kept"), "[]");
}

/// Two hostile bots and a good one.
fn start() -> (World, Process) {
    let mut world = World::echo();
    world.without("echo");
    world.script("hostile", HOSTILE);
    for bot in ["hostile", "harmful"] {
        world.bot(bot, "scripts: [scripts/hostile.rhai]\nlimits: { turn: 300ms, operations: 1000M }");
    }
    world.bot("good", "scripts: [scripts/echo.rhai]");
    let process = world.online();
    (world, process)
}

/// Failures of scripts, from the log.
fn log(process: &Process) -> Vec<Value> {
    let stderr = process.stderr();
    let lines = stderr.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    lines.filter(|line| line["level"] == "warn" && !line["script"].is_null()).collect()
}
