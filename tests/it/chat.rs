//! `rhapsode chat` through a pipe: people, time, crashes, live scripts, and conversations that become tests.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

use crate::support::process::{command, run_to_end, text};
use crate::support::world::scratch;

const REMINDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/reminder.rhai");

/// What is shown when these lines are typed.
fn talk(folder: &Path, arguments: &[&str], lines: &str) -> String {
    let line: Vec<&str> = ["chat"].iter().chain(arguments).copied().collect();
    let mut child = command(folder, &line)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built");
    child.stdin.take().expect("piped above").write_all(lines.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_reminder_comes_when_time_passes_also_over_a_crash() {
    let folder = scratch();
    let shown = talk(
        &folder,
        &[REMINDER, "--now", "2026-11-23T09:00:00Z"],
        "!remind 10m tea\n/crash\n/wait 15m\n/start\n/as bob\n!reminders\n/quit\n",
    );
    assert!(shown.contains("you are ann@example.org · time stands at 2026-11-23 09:00"), "{shown}");
    assert!(shown.contains("#1, due"), "{shown}");
    assert!(shown.contains("ann: tea (due") && shown.contains("I was away"), "{shown}");
    assert!(shown.contains("bob → reminder") && shown.contains("None."), "{shown}");
}

#[test]
fn the_typing_person_is_who_they_say() {
    let folder = scratch();
    fs::write(folder.join("who.rhai"), "on(\"message\", |m| m.reply(`you are ${m.from}`));\n")
        .expect("a file");
    let shown = talk(&folder, &["who.rhai", "--jid", "eve@elsewhere.example"], "hi\n/quit\n");
    assert!(shown.contains("you are eve@elsewhere.example · time"), "{shown}");
    assert!(shown.contains("eve → who  hi\nwho          you are eve@elsewhere.example"), "{shown}");
    let output = run_to_end(&folder, &["chat", "who.rhai", "--jid", "elsewhere.example@"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
}

#[test]
fn the_menu_is_at_hand_and_is_recorded() {
    let folder = scratch();
    fs::write(
        folder.join("dice.rhai"),
        "command(\"roll <n:int>\", \"Roll\", |m, a| m.reply(`rolled ${a.n}`));\n",
    )
    .expect("a file");
    let arguments = ["dice.rhai", "--record", "menu.chat"];
    let shown = talk(&folder, &arguments, "/menu\n/open\n/open roll\n/fill n=4\n/press\n/press\n/quit\n");
    assert!(shown.contains("roll: Roll") && shown.contains("rolled 4"), "{shown}");
    assert!(shown.contains("write /menu, /open roll") && shown.contains("no command is open"), "{shown}");
    let record = fs::read_to_string(folder.join("menu.chat")).expect("it was saved");
    assert!(record.contains("* fill ann n=4\n* press ann\nbot: [roll] completed"), "{record}");
    fs::create_dir_all(folder.join("tests")).expect("a folder");
    fs::rename(folder.join("menu.chat"), folder.join("tests/menu.chat")).expect("moved");
    let output = run_to_end(&folder, &["test"]);
    assert!(output.status.success(), "{}", text(&output.stdout));
}

#[test]
fn a_saved_script_is_live_and_a_broken_one_changes_nothing() {
    let folder = scratch();
    let script = folder.join("says.rhai");
    let says = |what: &str| format!("on(\"message\", |m| m.reply(\"{what}\"));\n");
    fs::write(&script, says("one")).expect("a scratch file");
    let mut child = command(&folder, &["chat", "says.rhai"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program was built");
    let mut stdin = child.stdin.take().expect("piped above");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped above"));
    let mut ask = |until: &str| {
        writeln!(stdin, "hello").expect("it reads");
        let mut seen = String::new();
        while !seen.contains(until) {
            assert_ne!(stdout.read_line(&mut seen).expect("it writes"), 0, "waited for {until}: {seen}");
        }
        seen
    };
    ask("one");
    // Another length, so that a clock of whole seconds cannot hide the change.
    fs::write(&script, says("two and more")).expect("a scratch file");
    set_older(&script, 10);
    assert!(ask("two and more").contains(" → "));
    fs::write(&script, "on(\"message\", |m| m.reply(").expect("a scratch file");
    set_older(&script, 20);
    assert!(ask("two and more").contains("not taken over"));
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn a_recorded_conversation_is_a_test_that_passes() {
    let folder = scratch();
    let shown = talk(
        &folder,
        &[REMINDER, "--record", "tests/new.chat", "--now", "2026-11-23T09:00:00Z"],
        "!remind 10m tea … and /cake/\n/wait 15m\n/quit\n",
    );
    assert!(shown.contains("saved tests/new.chat"), "{shown}");
    let output = run_to_end(&folder, &["test"]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).ends_with("1 passed, 0 failed\n"), "{}", text(&output.stdout));
    let again = run_to_end(&folder, &["chat", REMINDER, "--record", "tests/new.chat"]);
    assert_eq!(again.status.code(), Some(1), "what is there is not written over");
}

#[test]
fn why_tells_what_became_of_the_last_event_handler_by_handler() {
    let folder = scratch();
    fs::write(
        folder.join("x.rhai"),
        "command(\"roll\", \"Roll\", |m, a| m.reply(\"4\"));\non(\"room\", |m| m.reply(\"no\"));\n\
         on(\"message\", |m| { let zero = 0; m.reply(`${1 / zero}`); });\n",
    )
    .expect("a scratch file");
    let shown = talk(&folder, &["x.rhai"], "!rol\n/why\n!roll\n/why\n/as bob\n/why\nboom\n/why\n/quit\n");
    let told: Vec<&str> = shown.split("  /why\n").skip(1).collect();
    let has = |at: usize, parts: &[&str]| {
        for part in parts {
            assert!(told[at].contains(part), "no `{part}` in\n{}", told[at]);
        }
    };
    has(0, &["x ← ann@example.org", "\"!rol\"  one to one", "did you mean it?"]);
    has(1, &["  command  roll        yes\n", "→ sent to ann@example.org", "→ 1 message, "]);
    has(1, &["  on       room        no   "]);
    // Nothing has reached the bot since.
    has(2, &["\"!roll\"", "→ 1 message, "]);
    has(3, &["x ← bob@example.org", "yes  and failed", "→ failed: ", "x.rhai:3:", "→ nothing was sent"]);
    let shown = talk(&folder, &["x.rhai"], "!roll\n/crash\n/why\n/quit\n");
    assert!(shown.contains("→ 1 message, "), "what was known stays known: {shown}");
}

#[test]
fn a_broken_bots_yaml_keeps_nobody_from_talking_to_a_file() {
    let folder = scratch();
    fs::write(folder.join("bots.yaml"), "bots: { x: { jid: nobody } }\n").expect("a scratch file");
    fs::write(folder.join("x.rhai"), "on(\"message\", |m| m.reply(\"here\"));\n").expect("a scratch file");
    let shown = talk(&folder, &["x.rhai"], "hi\n");
    assert!(shown.contains("here"), "{shown}");
    let output = run_to_end(&folder, &["chat", "x"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("bots.yaml"), "{}", text(&output.stderr));
}

#[test]
fn what_cannot_be_talked_to_is_said_with_a_hint() {
    let folder = scratch();
    fs::write(
        folder.join("bots.yaml"),
        format!("bots:\n  helper: {{ jid: h@example.org, password: {{ env: X }}, scripts: [{REMINDER}] }}\n"),
    )
    .expect("a scratch file");
    let output = command(&folder, &["chat", "helpr"]).env("X", "x").output().expect("the program was built");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("did you mean `helper`"), "{}", text(&output.stderr));
    let output = run_to_end(&folder, &["chat", REMINDER, "--now", "soon"]);
    assert_eq!(output.status.code(), Some(1));
    let shown = talk(&folder, &[REMINDER], "/wiat 5m\n/xml\n!remind\n/xml\n");
    assert!(shown.contains("did you mean `/wait`"), "{shown}");
    assert!(shown.contains("Usage: !remind"), "{shown}");
    assert!(shown.contains("<message"), "{shown}");
}

/// Moves a file's time of change, for clocks that do not tell two changes apart.
fn set_older(path: &Path, seconds: u64) {
    let time = std::time::SystemTime::now() - std::time::Duration::from_secs(seconds);
    fs::File::open(path).and_then(|file| file.set_modified(time)).expect("our own file");
}
