//! The shipped scripts as people talk with them, and `rhapsode test` as other programs see it.

use std::path::{Path, PathBuf};

use rhapsode::sim::casting::Troupe;
use rhapsode::sim::suite::{Wanted, files};

use crate::support::process::{command, run_to_end, text};
use crate::support::world::scratch;

/// All that `rhapsode test` finds in this repository; no shipped script is without a test that names it.
#[test]
fn the_shipped_scripts_say_what_their_conversations_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let troupe = Troupe { root: root.to_owned(), settings: None };
    let mut untested = shipped(root);
    assert!(untested.len() > 10, "{untested:?}");
    let mut wrong = Vec::new();
    for (kind, file) in files(root) {
        let source = std::fs::read_to_string(&file).expect("it was just found");
        untested.retain(|script| !source.contains(script.as_str()));
        let outcomes = (kind.run)(&troupe, &file, &Wanted::default());
        let outcomes = outcomes.unwrap_or_else(|problems| panic!("{}: {problems:#?}", file.display()));
        assert!(!outcomes.is_empty(), "{}", file.display());
        wrong.extend(outcomes.into_iter().filter(|outcome| outcome.result.is_err()));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(untested.is_empty(), "no test names {untested:?}");
}

/// The names of the files in `scripts`.
fn shipped(root: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(root.join("scripts")).expect("the shipped scripts");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".rhai") && !name.ends_with(".test.rhai")).collect()
}

#[test]
fn a_failure_shows_what_was_said_and_what_should_have_been() {
    let folder =
        project("== answers\nann: hi\nbot: hi\n\n== wrong\nann: one\nbot: two\n\n== boom\nann: boom\n");
    let output = run_to_end(&folder, &["test"]);
    assert_eq!(output.status.code(), Some(1));
    let told = without_times(&text(&output.stdout));
    assert_eq!(
        told,
        "  tests/x.chat      1 of 3\n  examples          1 of 2\n\n\
         \x20 ✗ tests/x.chat:9  wrong\n      ann: one\n    - bot: two\n    + bot: one\n\n\
         \x20 ✗ tests/x.chat:12  boom\n      ann: boom\n\
         \x20   why: scripts/x.rhai:2:54: division by zero: 1 / 0\n\
         \x20          in closure (scripts/x.rhai:1:19)\n\n\
         \x20 ✗ scripts/x.rhai:5  !no\n      ann: !no\n    - bot: pong\n    + bot: never\n\n\
         2 passed, 3 failed\n"
    );
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}

/// Saved files run the tests again; what is as before is not told twice.
#[test]
fn watched_tests_tell_what_has_changed() {
    use std::io::{BufRead, BufReader, Write};

    let folder = project("== answers\nann: hi\nbot: hi\n\n== wrong\nann: one\nbot: two\n");
    let mut child = command(&folder, &["test", "--watch", "x.chat"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the program was built");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped above"));
    let mut until_sum = || {
        let mut seen = String::new();
        while !seen.lines().last().is_some_and(|line| line.ends_with(" failed")) {
            assert_ne!(stdout.read_line(&mut seen).expect("it writes"), 0, "{seen}");
        }
        seen
    };
    let first = until_sum();
    assert!(first.contains("1 of 2") && first.contains("- bot: two"), "{first}");
    let test = folder.join("tests/x.chat");
    let mended = std::fs::read_to_string(&test).expect("a test").replace("bot: two", "bot: one");
    let save = |text: &str| {
        let mut file = std::fs::File::create(&test).expect("a test");
        file.write_all(text.as_bytes()).expect("it is written");
    };
    save(&mended);
    let second = until_sum();
    assert!(
        second.contains("wrong") && !second.contains("answers") && second.ends_with("2 passed, 0 failed\n"),
        "{second}"
    );
    save(&mended.replace("== answers\nann: hi\nbot: hi", "== answers\nann: hi\nbot: ho"));
    let third = until_sum();
    assert!(
        third.contains("- bot: ho") && !third.contains("wrong") && third.ends_with("1 passed, 1 failed\n"),
        "{third}"
    );
    let pid = child.id().to_string();
    let killed = std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill");
    assert!(killed.success());
    assert_eq!(child.wait().expect("it ends").code(), Some(1), "the last run failed");
}

#[test]
fn blessing_writes_what_the_bot_says_and_shows_it() {
    let folder = project("== talk\nann: one\nann: two\nbot: 2\nbot: 3\n* +1m\nbot: never\n");
    let output = run_to_end(&folder, &["test", "--bless", "talk"]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}");
    for line in ["+bot: one", "-bot: 2", "+bot: two", "-bot: 3", "-bot: never", "1 passed, 0 failed"] {
        assert!(told.lines().any(|found| found == line), "no `{line}` in\n{told}");
    }
    let blessed = std::fs::read_to_string(folder.join("tests/x.chat")).expect("it is there");
    assert!(blessed.ends_with("== talk\nann: one\nbot: one\nann: two\nbot: two\n* +1m\n"), "{blessed}");
}

#[test]
fn a_report_for_build_servers_is_xml() {
    let folder = project("== fine\nann: <hi>\nbot: <hi>\n\n== wrong\nann: a\nbot: <&\n");
    let output = run_to_end(&folder, &["test", "--junit", "out.xml", "tests/"]);
    assert_eq!(output.status.code(), Some(1));
    let report = std::fs::read_to_string(folder.join("out.xml")).expect("it was written");
    for part in ["<testsuites tests=", "failures=", "classname=", "- bot: &lt;&amp;"] {
        assert!(report.contains(part), "no `{part}` in {report}");
    }
}

#[test]
fn a_filter_chooses_by_file_and_by_name() {
    let folder = project("== one\nann: 1\nbot: 1\n\n== two\nann: 2\nbot: 3\n");
    let output = run_to_end(&folder, &["test", "one"]);
    assert!(text(&output.stdout).ends_with("\n1 passed, 0 failed\n"));
    let output = run_to_end(&folder, &["test", "x.chat"]);
    assert!(text(&output.stdout).ends_with("\n1 passed, 1 failed\n"));
    let output = run_to_end(&folder, &["test", "nowhere"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "0 passed, 0 failed\n");
    assert_eq!(text(&output.stderr), "rhapsode: no test has `nowhere` in its name\n");
}

#[test]
fn a_mistake_in_the_format_is_told_with_its_place() {
    let folder = project("== one\nann: 1\n* crsh\n");
    let output = run_to_end(&folder, &["test"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("tests/x.chat:5:1") && stderr.contains("did you mean `* crash`?"), "{stderr}");
    assert!(text(&output.stdout).contains("✗ tests/x.chat:5"), "{}", text(&output.stdout));
}

#[test]
fn a_secret_that_is_elsewhere_keeps_no_script_from_being_tested() {
    let folder = project("== one\nann: 1\nbot: 1\n");
    let elsewhere = YAML.replace("{ env: NOT_SET_ANYWHERE }", "{ file: elsewhere }");
    std::fs::write(folder.join("bots.yaml"), elsewhere).expect("a scratch file");
    let output = run_to_end(&folder, &["test"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert_eq!(text(&output.stdout).lines().last(), Some("1 passed, 0 failed"), "no examples");
    assert!(text(&output.stderr).contains("hint: without them tests cannot name bots"));
    std::fs::write(folder.join("bots.yaml"), "bots: { x: { jid: nobody } }\n").expect("a scratch file");
    let output = run_to_end(&folder, &["test"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
}

#[test]
fn a_room_of_the_header_is_one_that_the_bot_speaks_in() {
    let script = "on(\"message\", |m| { room(\"team@rooms.example.org\").say(m.text); });\n";
    for (header, last) in
        [("rooms: team@rooms.example.org\n", "1 passed, 0 failed"), ("", "0 passed, 1 failed")]
    {
        let folder = project("");
        std::fs::write(folder.join("scripts/x.rhai"), script).expect("a scratch file");
        let test = format!("script: x.rhai\n{header}\n== talk\nann: hi\nbot → team@rooms.example.org: hi\n");
        std::fs::write(folder.join("tests/x.chat"), test).expect("a scratch file");
        let output = run_to_end(&folder, &["test"]);
        assert_eq!(text(&output.stdout).lines().last(), Some(last), "{}", text(&output.stdout));
    }
}

/// A folder with one bot, one script and one test.
fn project(sections: &str) -> PathBuf {
    let folder = scratch();
    for (file, content) in [
        ("bots.yaml", YAML),
        ("scripts/x.rhai", SCRIPT),
        ("tests/x.chat", &format!("script: x.rhai\n\n{sections}")),
    ] {
        let file = folder.join(file);
        std::fs::create_dir_all(file.parent().expect("it is in a folder")).expect("a scratch folder");
        std::fs::write(file, content).expect("a scratch file");
    }
    folder
}

/// The rows without how long it took.
fn without_times(told: &str) -> String {
    let row = |line: &str| match line.strip_suffix(" ms").and_then(|row| row.rsplit_once(" of ")) {
        Some((head, rest)) => format!("{head} of {}", rest.split(' ').next().unwrap_or_default()),
        None => line.to_owned(),
    };
    let lines: Vec<String> = told.lines().map(row).collect();
    lines.join("\n") + "\n"
}

const YAML: &str = "version: 1\nscripts: { x: scripts/x.rhai }\nbots:\n  x:\n    jid: x@example.org\n    password: { env: NOT_SET_ANYWHERE }\n    scripts: [x]\n";
const SCRIPT: &str = r#"on("message", |m| {
    if m.text == "boom" { let zero = 0; m.reply(`${1 / zero}`); }
    m.reply(m.text); });
command("yes", #{ help: "Say yes", example: ["!yes", "y…"] }, |m, a| m.reply("yes"));
command("no", #{ help: "Say no", example: ["!no", "pong"] }, |m, a| m.reply("never"));
"#;
