//! Poison: messages that make a turn fail, and messages that end the process, each in the list of dead letters after
//! exactly three tries, while everything else is exact.

use std::time::Duration;

use serde_json::Value;

use crate::support::world::World;

/// Counts what it hears, and answers it; what is poison fails, and each of its tries is counted outside of the turn.
const COUNTER: &str = r#"
command("die", "Ends everything", |m, a| m.reply("alive"));
on("message", |m| {
    if m.text == "report" {
        m.reply(`${store::get("total", 0)} in all`);
        return;
    }
    if m.text.starts_with("poison") { throw m.text; }
    store::set("total", store::get("total", 0) + 1);
    m.reply("re " + m.text);
});
"#;

/// Commands named `die` end the process.
const DEADLY: &[(&str, &str)] = &[("RHAPSODE_DRILL_DEADLY", "command die")];

#[test]
fn one_in_a_hundred_fails_and_some_end_the_process_and_all_else_is_exact() {
    let world = world();
    let mut ann = world.person("ann");
    let mut process = world.run_with(DEADLY);
    process.until_online(1);
    let mut deaths = 0;
    let mut expected = Vec::new();
    for number in 1..=600 {
        match number {
            _ if number % 100 == 50 => ann.say("counter", &format!("poison {number}")),
            225 | 425 => ann.say("counter", "!die"),
            _ => {
                ann.say("counter", &number.to_string());
                expected.push(format!("re {number}"));
            }
        }
        if number % 100 == 99 {
            std::thread::sleep(Duration::from_millis(200));
        }
        if !process.is_running() {
            deaths += 1;
            process = world.run_with(DEADLY);
        }
    }
    // Until nothing dies any more and all was answered.
    let mut replies = Vec::new();
    while replies.len() < expected.len() {
        match ann.text_within("counter", Duration::from_millis(300)) {
            Some(text) => replies.push(text),
            None if !process.is_running() => {
                deaths += 1;
                assert!(deaths <= 6, "each killer ends the process three times");
                process = world.run_with(DEADLY);
            }
            None => {}
        }
    }
    assert_eq!(replies, expected);
    let status = process.until("all is given up", |status| status["dead"]["letters"] == 8);
    assert_eq!((deaths, &status["dead"]["waiting"]), (6, &Value::from(0)));
    assert_eq!(ann.ask("counter", "report"), format!("{} in all", expected.len()));
    let letters = list(&world, &["--json"]);
    let tries: Vec<u64> = letters.iter().map(|letter| letter["tries"].as_u64().expect("a count")).collect();
    assert_eq!(tries, [3; 8]);
    let killers = letters.iter().filter(|letter| {
        letter["error"].as_str().is_some_and(|error| error.contains("the process died 3 times"))
    });
    assert_eq!(killers.count(), 2);
}

#[test]
fn dead_letters_are_listed_tried_again_and_dropped() {
    let world = world();
    let process = world.online();
    let mut ann = world.person("ann");
    ann.say("counter", "poison secret");
    ann.say("counter", "poison too");
    assert_eq!(ann.ask("counter", "1"), "re 1");
    process.until("both wait", |status| status["dead"]["waiting"] == 2);
    let status = process.until("both are given up", |status| status["dead"]["letters"] == 2);
    assert_eq!(status["accounts"][0]["dead"]["letters"], 2);
    let shown = output(&world, &["dead", "list", "c*"]);
    assert!(shown.contains("message from ann@world.localhost/test  tries 3"), "{shown}");
    let first = list(&world, &["--json"])[0]["id"].as_str().expect("an id").to_owned();
    let why = output(&world, &["why", &first]);
    assert!(why.contains("poison"), "{why}");
    // Not the one that was mended, and not before it was.
    world.script("counter", r#"on("message", |m| m.reply("mended " + m.text));"#);
    assert!(world.command(&["reload"]).status.success());
    assert_eq!(output(&world, &["dead", "retry", &first]).trim(), first);
    assert_eq!(ann.text("counter"), "mended poison secret");
    assert_eq!(output(&world, &["dead", "drop", "counter"]).lines().count(), 1);
    process.until("none is left", |status| status["dead"]["letters"] == 0);
    let unknown = world.command(&["dead", "drop", "cuonter"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("did you mean `counter`?"));
    assert_eq!(world.command(&["dead", "retry"]).status.code(), Some(2));
}

/// An operator may look while no process runs: one that ends again and again, say.
#[test]
fn dead_letters_can_be_looked_at_while_no_process_runs() {
    let world = world();
    let process = world.online();
    let mut ann = world.person("ann");
    ann.say("counter", "poison");
    process.until("it is given up", |status| status["dead"]["letters"] == 1);
    process.stop();
    assert_eq!(list(&world, &["--json"]).len(), 1);
    assert_eq!(output(&world, &["dead", "drop", "*"]).lines().count(), 1);
    assert_eq!(list(&world, &["--json"]).len(), 0);
}

fn list(world: &World, arguments: &[&str]) -> Vec<Value> {
    let arguments: Vec<&str> = ["dead", "list"].iter().chain(arguments).copied().collect();
    output(world, &arguments).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// What a command that must succeed prints.
fn output(world: &World, arguments: &[&str]) -> String {
    let output = world.command(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn world() -> World {
    let mut world = World::new();
    world.script("counter", COUNTER);
    world.bot("counter", "scripts: [scripts/counter.rhai]");
    world
}
