//! `rhapsode why` asks a running process what became of a message.

use rhapsode::action::Action;

use crate::support::process::{Process, text};
use crate::support::world::World;

const HELP: &str = r#"
command("refund <order:word>", #{}, |m, a| m.reply(`refunded ${a.order}`));
on("room", |m| ());
hear("refund", |m| m.reply("heard"));
on("message", |m| if m.text == "fail" { throw "no such order" } else if m.text != "quiet" { m.reply("yes") });
"#;

#[test]
fn a_mistyped_command_is_explained_handler_by_handler() {
    let (_world, process, mut ann) = helped("");
    assert!(ann.ask("help", "!refnd 1234").contains("Did you mean !refund?"));
    let told = why(&process, &["help"]);
    assert!(told.contains("help ← ann@world.localhost/"), "{told}");
    assert!(told.contains("  11 characters  one to one  ["), "{told}");
    assert!(
        told.contains("  command  refund      no   name differs (did you mean it? distance 1)"),
        "{told}"
    );
    assert!(told.contains("  on       room        no   a command or an answer"), "{told}");
    assert!(told.contains("  → sent to ann@world.localhost/") && told.contains("  → 1 message, "), "{told}");
    assert!(!told.contains("refnd"), "no text without `bodies`: {told}");
}

#[test]
fn a_message_is_found_by_its_own_id_and_by_that_of_its_answer() {
    let (_world, process, mut ann) = helped("");
    ann.say("help", "hello");
    let answer = ann.message("help");
    let id = answer.id.expect("answers have ids");
    let told = why(&process, &[&id]);
    assert!(told.contains(&format!(" as {id}")) && told.contains("  on       message     yes"), "{told}");
    assert!(told.contains("  hear     /refund/    no   text does not match"), "{told}");
    let json: serde_json::Value = serde_json::from_str(&why(&process, &[&id, "--json"])).expect("JSON");
    assert_eq!((&json["bot"], &json["sent"][0]["id"]), (&"help".into(), &id.into()));
    let own = json["message_ids"][0].as_str().expect("the message has an id");
    assert!(why(&process, &[own]).contains("  on       message     yes"));
}

#[test]
fn the_log_line_of_a_failure_names_what_to_ask_for() {
    let (_world, process, mut ann) = helped("");
    ann.say("help", "fail");
    let log = process.until_stderr("no such order");
    let line = log.lines().find(|line| line.contains("no such order")).expect("just found");
    let json: serde_json::Value = serde_json::from_str(&why(&process, &["help", "--json"])).expect("JSON");
    let id = json["id"].as_str().expect("an id");
    assert!(line.contains(id), "{line}");
    let told = why(&process, &[id]);
    assert!(told.contains("  on       message     yes  and failed"), "{told}");
    assert!(told.contains("→ failed: ") && told.contains("help.rhai:5:"), "{told}");
    assert!(told.contains("→ nothing was sent"), "{told}");
}

#[test]
fn what_the_clock_does_is_traced_like_a_message_and_found_by_kind() {
    let mut world = World::new();
    world.script("clock", r#"every("1s", || throw "no tick"); on("message", |m| m.reply("yes"));"#);
    world.bot("clock", "scripts: [scripts/clock.rhai]");
    let process = world.online();
    let log = process.until_stderr("no tick");
    let line = log.lines().find(|line| line.contains("no tick")).expect("just found");
    let id = why_json(&process, "clock")
        .iter()
        .filter(|event| event["kind"] == "every")
        .filter_map(|event| event["id"].as_str().map(str::to_owned))
        .find(|id| line.contains(id.as_str()))
        .unwrap_or_else(|| panic!("no event has the id of {line}"));
    let told = why(&process, &[&id]);
    assert!(
        told.contains("clock ← every 1s") && told.contains("  every    1s          yes  and failed"),
        "{told}"
    );
    assert!(told.contains("→ nothing was sent, ") && told.contains(" µs, version "), "{told}");
    let mut ann = world.person("ann");
    assert_eq!(ann.ask("clock", "hi"), "yes");
    let told = why(&process, &["clock", "--kind", "message"]);
    assert!(told.contains("clock ← ann@world.localhost/") && !told.contains("every"), "{told}");
    assert!(why(&process, &["clock", "--kind", "every:1s"]).contains("clock ← every 1s"));
    let refused = process.command(&["why", "clock", "--kind", "webhook"]);
    assert_eq!(refused.status.code(), Some(1));
    let refused = text(&refused.stderr);
    assert!(refused.contains("`clock` has no `webhook`") && refused.contains("every, message"), "{refused}");
}

#[test]
fn a_message_that_nobody_handles_is_told_even_after_a_flood_of_presence() {
    let mut world = World::new();
    world.script("deaf", r#"on("room", |m| ()); on("presence", |p| ());"#);
    world.bot("deaf", "scripts: [scripts/deaf.rhai]");
    let process = world.online();
    let mut ann = world.person("ann");
    ann.say("deaf", "anybody there?");
    process.until("the message was handled", |_| {
        why_json(&process, "deaf").iter().any(|e| e["kind"] == "message")
    });
    for n in 0..30 {
        let to = rhapsode::jid::Jid::parse("deaf@world.localhost").expect("valid");
        let status = Some(n.to_string());
        ann.act(Action::PresenceTo { to, available: true, show: None, status });
    }
    ann.say("deaf", "the last");
    process.until("both messages are there", |_| {
        why_json(&process, "deaf").iter().filter(|event| event["kind"] == "message").count() == 2
    });
    let told = why(&process, &["deaf", "--last", "99"]);
    assert!(told.contains("  on       room        no   one to one, handler wants room talk"), "{told}");
    assert!(told.contains("→ nothing was sent"), "{told}");
}

#[test]
fn with_bodies_an_event_becomes_a_test() {
    let (_world, process, mut ann) = helped("log: { bodies: true }");
    assert_eq!(ann.ask("help", "!refund 7"), "refunded 7");
    let section = why(&process, &["help", "--last", "1", "--as-test"]);
    assert_eq!(section, "== help\nann: !refund 7\nbot: refunded 7\n");
    assert!(why(&process, &["help", "--last", "1"]).contains("\"!refund 7\""));
}

#[test]
fn what_is_unknown_is_refused_with_a_hint() {
    let (_world, process, mut ann) = helped("");
    let refused = |arguments: &[&str]| {
        let output = process.command(&[&["why"], arguments].concat());
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
        text(&output.stderr)
    };
    assert!(refused(&["hlep"]).contains("hint: did you mean the bot `help`?"));
    assert!(refused(&["ffffffffffff"]).contains("nothing is known of `ffffffffffff`"));
    assert_eq!(ann.ask("help", "hi"), "yes");
    assert!(refused(&["help", "--last", "1", "--as-test"]).contains("bodies: true"));
    process.stop();
    assert!(refused(&["help"]).contains("no process answers"));
}

fn helped(head: &str) -> (World, Process, crate::support::person::Person) {
    let mut world = World::new();
    world.script("help", HELP);
    world.bot("help", "scripts: [scripts/help.rhai]");
    world.head(&format!("login: {{ pace: none, jitter: 0s }}\n{head}"));
    let process = world.online();
    let ann = world.person("ann");
    (world, process, ann)
}

fn why(process: &Process, arguments: &[&str]) -> String {
    let output = process.command(&[&["why"], arguments].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    // Without `--last`, the newest event is the last block, and all blocks are shown.
    let all = text(&output.stdout);
    match arguments {
        [_, "--json"] => all.lines().last().unwrap_or_default().to_owned(),
        _ => all,
    }
}

fn why_json(process: &Process, bot: &str) -> Vec<serde_json::Value> {
    let output = process.command(&["why", bot, "--json", "--last", "99"]);
    text(&output.stdout).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
