//! The directions of transcripts: each with what follows from it, and the same talk without it, which fails.

use rhapsode::sim::casting::Troupe;
use rhapsode::sim::suite::{KINDS, Wanted};

use crate::support::world::scratch;

#[test]
fn http_answers_a_request() {
    let talk = "ann: go\nbot: 503";
    check(
        r#"on("message", |m| http::get("https://api.example.net/x?y", #{}, |r| m.reply(`${r.status}`)));"#,
        &format!("* http GET https://api.example.net/x* → 503\n{talk}"),
        talk,
    );
}

#[test]
fn a_role_lets_whoever_speaks_next_or_is_named_use_a_command() {
    let script = r#"command("stop", #{ help: "Stop", allow: ["admin"] }, |m, a| m.reply("stopped"));"#;
    check(script, "* as admin\nann: !stop\nbot: stopped", "ann: !stop\nbot: stopped");
    check(script, "* as admin bob\nbob: !stop\nbot: stopped", "* as admin bob\nann: !stop\nbot: stopped");
}

#[test]
fn a_kick_takes_the_bot_out_of_its_room() {
    let script = r#"on("room:lost", |e| bot::send("ann@example.org", `lost ${e.room}`));"#;
    let heard = "bot → ann: lost team@rooms.example.org";
    check(
        script,
        &format!("[team@rooms.example.org]\n* kick 333\n{heard}"),
        &format!("[team@rooms.example.org]\n* +1s\n{heard}"),
    );
}

#[test]
fn people_come_into_a_room_and_go() {
    let script = r#"on("room:join", |e| room(e.room).say(`hi ${e.nick}`)); on("room:leave", |e| room(e.room).say(`bye ${e.nick}`));"#;
    let room = "[team@rooms.example.org]";
    check(script, &format!("{room}\n* join bob\nbot: hi bob"), &format!("{room}\n* join bob\nbot: hi ann"));
    check(
        script,
        &format!("{room}\n* join bob\nbot: hi bob\n* leave bob\nbot: bye bob"),
        &format!("{room}\n* join bob\nbot: hi bob\n* leave ann\nbot: bye bob"),
    );
}

#[test]
fn what_is_kept_is_there_in_the_next_conversation() {
    let script = r#"on("message", |m| m.reply(`${store::incr("n", 1)}`));"#;
    let talk = "ann: one\nbot: 1\n\n== next\nann: two\nbot: 2";
    assert!(passes(script, "keep: yes\n", talk));
    assert!(!passes(script, "", talk));
}

#[test]
fn an_arrow_names_whom_the_bot_speaks_to() {
    let script = r#"on("message", |m| bot::send("bob@example.org", m.text));"#;
    check(script, "ann: hi\nbot → bob: hi", "ann: hi\nbot: hi");
    check(script, "ann: hi\nbot -> bob: hi", "ann: hi\nbot → eve: hi");
}

/// What is said to the bot alone is no talk of a room.
#[test]
fn a_message_handler_hears_nothing_in_a_room() {
    let script = r#"on("message", |m| m.reply(m.text));"#;
    check(
        script,
        "[team@rooms.example.org]\nann: hello all",
        "[team@rooms.example.org]\nann: hello all\nbot: hello all",
    );
}

fn check(script: &str, good: &str, bad: &str) {
    assert!(passes(script, "", good), "{script}\n{good}");
    assert!(!passes(script, "", bad), "{script}\n{bad}");
}

fn passes(script: &str, header: &str, talk: &str) -> bool {
    let folder = scratch();
    std::fs::write(folder.join("x.rhai"), script).expect("a scratch file");
    let file = folder.join("x.chat");
    std::fs::write(&file, format!("script: x.rhai\n{header}\n== talk\n{talk}\n")).expect("a scratch file");
    let troupe = Troupe { root: folder, settings: None };
    let outcomes = (KINDS[0].run)(&troupe, &file, &Wanted::default()).expect("it can be read");
    outcomes.iter().all(|outcome| outcome.result.is_ok())
}
