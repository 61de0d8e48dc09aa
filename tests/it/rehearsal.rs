//! Tests that are written in Rhai, as `rhapsode test` runs them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rhapsode::script::check::check;
use rhapsode::script::testing::api::AREA;
use rhapsode::sim::casting::Troupe;
use rhapsode::sim::suite::{Failure, KINDS, Outcome, Ran, Wanted};

use crate::support::process::{run_to_end, text};
use crate::support::world::scratch;

#[test]
fn the_sample_passes_as_it_is_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let outcomes = ran(&root.join("tests/bots/reminder.test.rhai")).expect("it can be read");
    assert_eq!(outcomes.len(), 1);
    assert!(outcomes[0].result.is_ok(), "{:#?}", outcomes[0]);
}

#[test]
fn every_example_of_the_reference_passes_and_checks() {
    let mut wrong = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for function in AREA.functions.iter().filter(|function| seen.insert(function.example)) {
        for outcome in run(function.example).expect(function.example) {
            if let Err(failure) = outcome.result {
                wrong.push(format!("{}\n{}\n{failure:#?}", function.signature, function.example));
            }
        }
        let found = check(Path::new("x.test.rhai"), function.example).diagnostics;
        if !found.is_empty() {
            wrong.push(format!("{}: {found:#?}", function.example));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A room of the simulated world looks to a script as a room of a server does.
#[test]
fn scripts_see_their_rooms_and_react_in_them() {
    seen(
        r#"test("rooms", || {
            let t = sim("seer.rhai", #{ rooms: ["team@rooms.example.org"] });
            let team = t.room("team@rooms.example.org");
            let ann = t.user("ann");
            ann.says("where");
            ann.expect_exact("true: seer");
            team.say("ann", "one");
            team.say("bob", "two");
            team.expect_reaction("👀");
            team.expect_reaction("👀");
            ann.says("where");
            ann.expect_exact("true: ann bob seer");
            t.user("bob").leaves(team.jid);
            ann.says("where");
            ann.expect_exact("true: ann seer");
            team.kick(307);
            ann.says("where");
            ann.expect_exact("false:");
            t.advance("1h");
            t.crash();
            t.start();
            ann.says("where");
            ann.expect_exact("true: ann seer");
            t.link_down();
            t.link_up();
            ann.says("where");
            ann.expect_exact("true: ann seer");
        });"#,
    );
    seen(
        r#"test("names", || {
            let t = sim("seer.rhai", #{ rooms: ["team@rooms.example.org"] });
            let team = t.room("team@rooms.example.org");
            let said = team.say("ann", "one");
            let ann = t.user("ann");
            ann.reacts(said, "👍");
            team.expect_exact("ann: 👍 to one");
            ann.edits(said, "two");
            ann.retracts(said);
            team.expect_exact("one is gone");
        });"#,
    );
}

/// Passes with a script that tells what it sees of its room.
fn seen(test: &str) {
    let folder = scripts(&[("seer.rhai", SEER)]);
    let outcomes = in_folder(&folder, test).expect("it can be read");
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()), "{test}\n{outcomes:#?}");
}

const SEER: &str = r#"
on("room", |m| { store::set(m.stanza_id, m.text); if !m.react("👀") { m.reply("no reaction"); } });
on("message", |m| {
    let team = room("team@rooms.example.org");
    m.reply(text::strip(`${team.joined}: ${team.occupants().map(|who| who.nick).join(" ")}`));
});
on("reaction", |n| room(n.room).say(`${n.nick}: ${n.emojis[0]} to ${store::get(n.about)}`));
on("retract", |n| room(n.room).say(store::get(n.about) + " is gone"));
"#;

#[test]
fn the_tests_of_the_page_pass() {
    let page = include_str!("../../docs/testing.md");
    let tests: Vec<&str> =
        page.split("```rhai\n").skip(1).map(|rest| rest.split("```").next().unwrap_or("")).collect();
    assert!(!tests.is_empty());
    for test in tests {
        passed(test);
    }
}

#[test]
fn a_failure_has_its_place_a_caret_and_what_came_instead() {
    let failure = failed(
        "test(\"x\", || {\n    let ann = sim(\"echo.rhai\").user(\"ann\");\n    ann.says(\"hi\");\n    ann.expect(\"ho\");\n});",
    );
    assert_eq!(
        failure.shown,
        ["  ann@example.org: hi", "- bot → ann@example.org: …ho…", "+ bot → ann@example.org: hi"]
    );
    assert!(
        failure.why[0].ends_with(".test.rhai:4:9: ann@example.org has heard something else"),
        "{failure:#?}"
    );
    assert_eq!(failure.why[1..3], ["4 |     ann.expect(\"ho\");", "  |         ^^^^^^"]);
}

#[test]
fn what_nobody_expected_fails_unless_the_test_says_otherwise() {
    let test = |rest: &str| format!("test(\"x\", || {{ let t = sim(\"echo.rhai\"{rest} }});");
    let failure = failed(&test("); t.user(\"ann\").says(\"hi\");"));
    assert_eq!(failure.why[0], "the bot has said what nobody expected");
    assert!(failure.shown.contains(&"+ bot → ann@example.org: hi".to_owned()), "{failure:#?}");
    for rest in [
        "); t.user(\"ann\").says(\"hi\"); t.skip();",
        "); let ann = t.user(\"ann\"); ann.says(\"hi\"); ann.skip();",
        ", #{ strict: false }); t.user(\"ann\").says(\"hi\");",
    ] {
        passed(&test(rest));
    }
}

#[test]
fn a_failure_that_is_caught_is_one_nevertheless() {
    let failure = failed(
        r#"test("x", || { let t = sim("echo.rhai"); try { t.user("ann").expect("x"); } catch { } });"#,
    );
    assert!(failure.why[0].ends_with("(and the test has caught it)"), "{failure:#?}");
}

#[test]
fn a_script_that_fails_and_a_request_that_nobody_expects_fail_the_test() {
    let folder = scripts(&[("boom.rhai", "on(\"message\", |m| { let zero = 0; m.reply(`${1 / zero}`); });")]);
    let test = |rest: &str| {
        format!("test(\"x\", || {{ let t = sim(\"boom.rhai\"); t.user(\"ann\").says(\"hi\"); {rest} }});")
    };
    let failure = only(in_folder(&folder, &test("")));
    assert!(
        failure.why.iter().any(|line| line.contains("boom.rhai:1:") && line.contains("division by zero")),
        "{failure:#?}"
    );
    let outcomes = in_folder(&folder, &test("t.expect_error(\"division by zero\");")).expect("it runs");
    assert!(outcomes[0].result.is_ok(), "{outcomes:#?}");
    let failure = failed(r#"test("x", || { let t = sim("feeds.rhai"); t.advance("15m"); });"#);
    assert!(failure.why.iter().any(|line| line.contains("GET https://example.org/feed.xml")), "{failure:#?}");
}

#[test]
fn mistakes_in_a_test_are_told_with_hints() {
    for (text, message, hint) in [
        ("test(\"x\", || { sim(\"echo.rhai\").advnce(\"1m\"); });", "advnce", "did you mean `advance`?"),
        ("tset(\"x\", || { });", "no function `tset`", "did you mean `test`?"),
        ("test(\"x\", || { sim(); });", "`sim` takes", "sim(script: string"),
    ] {
        let problems = run(text).expect_err(text);
        let found = problems.iter().any(|found| {
            found.message.contains(message) && found.hint.as_deref().is_some_and(|it| it.contains(hint))
        });
        assert!(found, "{text}: {problems:#?}");
    }
    for (text, message, hint) in [
        ("test(\"x\", || { sim(\"echo.rhai\", #{ sed: 1 }); });", "no option `sed`", "did you mean `seed`?"),
        ("test(\"x\", || { sim(\"ecco.rhai\"); });", "no script `ecco.rhai`", "files are named from"),
        (
            "test(\"x\", || { let n = 3; sim(\"echo.rhai\").user(n); });",
            "`user` does not take",
            "sim.user(name: string)",
        ),
        ("test(\"x\", || { sim(\"echo.rhai\").start(); });", "the bot runs already", ""),
        ("test(\"x\", || { sim(\"echo.rhai\").room(\"team\"); });", "`team` is no room", "write its address"),
        ("test(\"x\", || { test(\"y\", || { }); });", "a test cannot declare another", "top level"),
        (
            "test(\"x\", || { sim(\"echo.rhai\", #{ config: #{ nothing: 1 } }); });",
            "no script has an option `nothing`",
            "",
        ),
    ] {
        let told = failed(text).why.join("\n");
        assert!(told.contains(message) && told.contains(hint), "{text}: {told}");
    }
    for (text, message) in [
        ("sim(\"echo.rhai\");", "only tests may stand at the top level"),
        ("test(\"x\", || { }); test(\"x\", || { });", "there is a test `x` already"),
        ("", "there is no test in this file"),
    ] {
        let problems = run(text).expect_err(text);
        assert!(problems[0].message.contains(message), "{text}: {problems:#?}");
    }
}

#[test]
fn a_test_cannot_hang_or_grow_and_the_next_one_runs() {
    for (text, message) in [
        ("loop { }", "operations"),
        ("let a = []; loop { a.push(\"x\" + a.len()); }", "array"),
        ("loop { sim(\"echo.rhai\"); }", "more than 8 worlds in one test"),
    ] {
        let text = format!("test(\"x\", || {{ {text} }}); test(\"y\", || {{ }});");
        let outcomes = run(&text).expect("it can be read");
        let failure = outcomes[0].result.as_ref().expect_err(&text);
        assert!(failure.why.join("\n").contains(message), "{text}: {failure:#?}");
        assert!(outcomes[1].result.is_ok(), "{outcomes:#?}");
    }
}

#[test]
fn a_test_ends_when_its_time_is_over_and_the_next_one_runs() {
    let folder = scripts(&[("tick.rhai", "every(\"1s\", || store::incr(\"n\"));")]);
    let file = folder.join("scripts/x.test.rhai");
    for (text, message) in [
        ("loop { }", "let it do less"),
        ("sim(\"tick.rhai\").advance(\"365d\");", "the test has taken longer than it may"),
        ("try { sim(\"tick.rhai\").advance(\"365d\"); } catch { } loop { }", "let it do less"),
    ] {
        let test = format!("test(\"x\", || {{ {text} }}); test(\"y\", || {{ }});");
        std::fs::write(&file, &test).expect("a scratch file");
        let wanted = Wanted { time: Some(Duration::from_millis(300)), ..Wanted::default() };
        let began = Instant::now();
        let troupe = Troupe { root: folder.clone(), settings: None };
        let outcomes = kind(&file)(&troupe, &file, &wanted).expect("it can be read");
        let failure = outcomes[0].result.as_ref().expect_err(&test);
        assert!(failure.why.join("\n").contains(message), "{text}: {failure:#?}");
        assert!(began.elapsed() < Duration::from_secs(20), "{text}: {:?}", began.elapsed());
        assert!(outcomes[1].result.is_ok(), "{outcomes:#?}");
    }
}

#[test]
fn what_people_do_to_messages_reaches_the_bot_where_they_were_said() {
    let folder = scripts(&[(
        "listens.rhai",
        r#"on("message", |m| if m.replaces == () { m.reply("heard " + m.text); });
on("room", |m| if m.replaces == () { m.reply("all heard " + m.text); });
on("pm", |m| if m.replaces == () { m.reply("psst, " + m.text); });
on("edit", |m| m.reply("now " + m.text));
fn says(n, text) { if n.place == n.room { room(n.room).say(text); } else { bot::send(n.place, text); } }
on("retract", |n| says(n, "gone"));
on("reaction", |n| says(n, n.emojis.join("+")));"#,
    )]);
    let test = r#"
test("to the bot alone", || {
    let t = sim("listens.rhai");
    let ann = t.user("ann");
    let id = ann.says("one");
    let answer = ann.expect_exact("heard one");
    ann.edits(id, "two");
    ann.expect_exact("now two");
    ann.reacts(answer.id, "👍");
    ann.expect_exact("👍");
    ann.retracts(id);
    ann.expect_exact("gone");
});
test("in a room", || {
    let t = sim("listens.rhai");
    let team = t.room("team@rooms.example.org");
    let ann = t.user("ann");
    let id = ann.says_in(team.jid, "one");
    let answer = team.expect_exact("all heard one");
    ann.edits(id, "two");
    team.expect_exact("now two");
    ann.reacts(answer.id, "👍");
    team.expect_exact("👍");
    t.user("bob").reacts(id, "🎉");
    team.expect_exact("🎉");
    ann.retracts(id);
    team.expect_exact("gone");
    ann.expect_none();
});
test("in a room, to the bot alone", || {
    let t = sim("listens.rhai");
    let team = t.room("team@rooms.example.org");
    let ann = t.user("ann");
    let id = ann.whispers_in(team.jid, "one");
    ann.expect_exact("psst, one");
    ann.edits(id, "two");
    ann.expect_exact("now two");
    ann.retracts(id);
    ann.expect_exact("gone");
    team.expect_none();
});"#;
    for outcome in in_folder(&folder, test).expect("it can be read") {
        assert!(outcome.result.is_ok(), "{outcome:#?}");
    }
}

#[test]
fn reactions_of_the_bot_are_expected_and_their_absence_is_told() {
    let folder = scripts(&[("likes.rhai", r#"on("message", |m| m.react("👍"));"#)]);
    let test = |emoji: &str| {
        format!(
            "test(\"x\", || {{ let ann = sim(\"likes.rhai\").user(\"ann\"); ann.says(\"hi\"); ann.expect_reaction(\"{emoji}\"); ann.expect_none(); }});"
        )
    };
    let outcomes = in_folder(&folder, &test("👍")).expect("it can be read");
    assert!(outcomes[0].result.is_ok(), "{outcomes:#?}");
    let failure = only(in_folder(&folder, &test("🎉")));
    assert!(failure.shown.contains(&"- bot → ann@example.org: (reaction 🎉)".to_owned()), "{failure:#?}");
    assert!(failure.shown.contains(&"+ bot → ann@example.org: (reaction 👍)".to_owned()), "{failure:#?}");
}

#[test]
fn a_world_has_the_roles_and_the_further_scripts_that_its_test_names() {
    let folder = scripts(&[
        (
            "one.rhai",
            r#"command("order <what:rest>", #{ help: "Order", allow: ["staff"] }, |m, a| { store::set("last", a.what); m.reply("ordered"); });"#,
        ),
        ("two.rhai", r#"command("two", "Two", |m, a| { store::set("n", 2); m.reply("from two"); });"#),
    ]);
    let test = r#"
test("roles and scripts", || {
    let t = sim("one.rhai", #{ roles: #{ staff: ["ann", "eve@elsewhere.example"] }, scripts: ["two.rhai"] });
    for name in ["ann", "eve@elsewhere.example"] {
        let who = t.user(name);
        who.says("!order tea");
        who.expect_exact("ordered");
    }
    let bob = t.user("bob");
    bob.says("!order tea");
    bob.expect("may not");
    bob.says("!two");
    bob.expect_exact("from two");
    expect_eq([t.store(), t.store("two")], [#{ last: "tea" }, #{ n: 2 }]);
});
test("without them", || {
    let ann = sim("one.rhai").user("ann");
    ann.says("!order tea");
    ann.expect("may not");
    ann.says("!two");
    ann.skip();
});
test("no such script", || { sim("one.rhai").store("two"); });"#;
    let outcomes = in_folder(&folder, test).expect("it can be read");
    assert!(outcomes[..2].iter().all(|outcome| outcome.result.is_ok()), "{outcomes:#?}");
    let why = outcomes[2].result.as_ref().expect_err("there is none").why.join("\n");
    assert!(why.contains("the bot has no script `two`"), "{why}");
}

#[test]
fn the_same_seed_gives_the_same_chance() {
    passed(
        r#"fn roll(seed) { let ann = sim("dice.rhai", #{ seed: seed }).user("ann"); ann.says("!roll 9d100"); ann.expect("").text }
test("seeds", || { expect_eq(roll(1), roll(1)); assert(roll(1) != roll(2)); });"#,
    );
}

#[test]
fn a_constant_of_the_top_level_is_there_in_functions_of_a_test() {
    passed("const WHO = \"ann\"; fn who() { global::WHO } test(\"x\", || { expect_eq(who(), WHO); });");
}

#[test]
fn both_kinds_of_tests_run_together_and_are_filtered_and_reported() {
    let folder = scripts(&[("x.rhai", "on(\"message\", |m| m.reply(m.text));")]);
    let write = |file: &str, content: &str| {
        std::fs::create_dir_all(folder.join("tests")).expect("a scratch folder");
        std::fs::write(folder.join(file), content).expect("a scratch file");
    };
    write("tests/x.chat", "script: x.rhai\n\n== echo\nann: hi\nbot: hi\n");
    write(
        "scripts/x.test.rhai",
        "test(\"good\", || { let ann = sim(\"x.rhai\").user(\"ann\"); ann.says(\"a\"); ann.expect(\"a\"); });\ntest(\"bad\", || assert(false, \"no <luck>\"));\n",
    );
    let output = run_to_end(&folder, &["test", "--junit", "out.xml"]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.ends_with("2 passed, 1 failed\n") && told.contains("✗ scripts/x.test.rhai:2  bad"),
        "{told}"
    );
    let report = std::fs::read_to_string(folder.join("out.xml")).expect("it was written");
    assert!(report.contains("no &lt;luck>") || report.contains("no &lt;luck&gt;"), "{report}");
    let output = run_to_end(&folder, &["test", "good"]);
    assert_eq!(text(&output.stdout).lines().last(), Some("1 passed, 0 failed"));
}

#[test]
fn check_looks_through_tests_and_finds_no_fault_in_good_ones() {
    let folder = scripts(&[("x.rhai", "on(\"message\", |m| m.reply(m.text));")]);
    std::fs::write(folder.join("bots.yaml"), "version: 1\nscripts: { x: scripts/x.rhai }\nbots:\n  x:\n    jid: x@example.org\n    password: { env: PATH }\n    scripts: [x]\n").expect("a scratch file");
    std::fs::write(
        folder.join("scripts/x.test.rhai"),
        "test(\"a\", || { let t = sim(\"x.rhai\"); t.user(\"ann\").expect_none(); });\n",
    )
    .expect("a scratch file");
    let output = run_to_end(&folder, &["check", "--deny-warnings"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    std::fs::write(folder.join("scripts/x.test.rhai"), "tset(\"a\", || { });\n").expect("a scratch file");
    let output = run_to_end(&folder, &["check"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("did you mean `test`?"), "{}", text(&output.stdout));
}

fn run(test: &str) -> Ran {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = scratch();
    let file = folder.join("x.test.rhai");
    std::fs::write(&file, test).expect("a scratch file");
    let troupe = Troupe { root: root.to_owned(), settings: None };
    kind(&file)(&troupe, &file, &Wanted::default())
}

fn ran(file: &Path) -> Ran {
    let troupe = Troupe { root: PathBuf::from(env!("CARGO_MANIFEST_DIR")), settings: None };
    kind(file)(&troupe, file, &Wanted::default())
}

fn in_folder(folder: &Path, test: &str) -> Ran {
    let file = folder.join("scripts/x.test.rhai");
    std::fs::write(&file, test).expect("a scratch file");
    kind(&file)(&Troupe { root: folder.to_owned(), settings: None }, &file, &Wanted::default())
}

fn kind(file: &Path) -> fn(&Troupe, &Path, &Wanted) -> Ran {
    let name = file.to_string_lossy();
    KINDS.iter().find(|kind| name.ends_with(kind.ending)).expect("a kind of test").run
}

fn passed(test: &str) {
    let outcomes: Vec<Outcome> = run(test).expect("it can be read");
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()), "{test}\n{outcomes:#?}");
}

fn failed(test: &str) -> Failure {
    only(run(test))
}

fn only(ran: Ran) -> Failure {
    let outcome = ran.expect("it can be read").remove(0);
    outcome.result.expect_err("it fails")
}

/// A folder with these scripts.
fn scripts(files: &[(&str, &str)]) -> PathBuf {
    let folder = scratch();
    std::fs::create_dir_all(folder.join("scripts")).expect("a scratch folder");
    for (name, content) in files {
        std::fs::write(folder.join("scripts").join(name), content).expect("a scratch file");
    }
    folder
}
