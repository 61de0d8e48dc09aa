//! The directions of transcripts: each with what follows from it, and the same talk without it, which fails.

use rhapsode::sim::casting::Troupe;
use rhapsode::sim::suite::{KINDS, Outcome, Wanted};

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

/// What makes a conversation fail that would pass alone is named, with the conversation that left it.
#[test]
fn what_was_left_over_is_named_where_a_conversation_fails() {
    let script = r#"
        on("message", |m| {
            if m.text == "later" { timer::at("1h", "ring", "tea"); return; }
            m.reply(`${store::incr("rolls", 1)}`);
        });
        on("timer:ring", |t| { });
    "#;
    let talk = "ann: one\nbot: 1\n\n== quiet\nann: later\n\n== dice\nann: two\nbot: 1";
    let why = whys(script, "keep: yes\n", talk);
    assert!(why[0].is_empty() && why[1].is_empty(), "{why:?}");
    let told = why[2].join("\n");
    assert!(told.contains("store key \"rolls\" of x was 1 at the start: `== talk` left it so"), "{told}");
    assert!(told.contains("timer \"ring\""), "{told}");
    assert!(told.contains("with \"tea\" was due at") && told.contains("`== quiet` left it so"), "{told}");
    // Nothing is left where each begins anew; and then the first and the last are alike.
    assert!(whys(script, "", talk).iter().all(Vec::is_empty));
    assert!(passes(script, "", talk));
}

#[test]
fn an_arrow_names_whom_the_bot_speaks_to() {
    let script = r#"on("message", |m| bot::send("bob@example.org", m.text));"#;
    check(script, "ann: hi\nbot → bob: hi", "ann: hi\nbot: hi");
    check(script, "ann: hi\nbot -> bob: hi", "ann: hi\nbot → eve: hi");
}

/// The menu of a person's client, over the wire: what is listed, opened, filled and pressed.
#[test]
fn a_menu_is_used_as_a_client_uses_it() {
    let script = r#"
        command("roll <sides:int> [loud:bool=no]", "Roll dice", |m, a| { m.reply(`rolled ${a.sides} ${a.loud}`); bot::send("bob@example.org", "psst"); });
        command("wipe", #{ help: "Wipe it", confirm: "Really?" }, |m| m.reply("wiped"));
        command("halt", #{ allow: ["admin"] }, |m| m.reply("halted"));
    "#;
    let form =
        "bot: [roll] !roll <sides> [loud]\n  Roll dice\n  sides* (a whole number):\n  loud: no\n  → complete";
    check(
        script,
        &format!(
            "* menu ann\nbot: [menu]\n  roll: Roll dice\n  wipe: Wipe it\n* open ann roll\n{form}\n* fill ann sides=6\n\
             * press ann complete\nbot: [roll] completed\n  rolled 6 false\nbot → bob: psst\n* open ann wipe\n\
             bot: [wipe] executing\n  warn: Really?\n  → complete\n* press ann cancel\nbot: [wipe] canceled\n\
             * open ann halt\nbot: [halt] refused: forbidden\n* as admin ann\n* open ann halt\nbot: [halt] completed\n  halted"
        ),
        &format!(
            "* open ann roll\n{form}\n* fill ann sides=6\n* press ann\nbot: [roll] completed\n  rolled 7 false\nbot → bob: psst"
        ),
    );
    // A client may press what is not offered; the bot refuses. A mistake is told beside the form.
    check(
        script,
        "* open ann roll\nbot: …\n* press ann next\nbot: [roll] refused: bad-request, bad-action",
        "* open ann roll\nbot: …\n* press ann next\nbot: [roll] completed…",
    );
    check(
        script,
        "* open ann roll\nbot: …\n* fill ann sides=many\n* press ann\n\
         bot: [roll] !roll <sides> [loud]\n  error: `sides` is a whole number, not `many`\n…\n* press ann cancel\nbot: [roll] canceled"
            .replace("\n…", "\n  …")
            .as_str(),
        "* open ann roll\nbot: …\n* fill ann siddes=6",
    );
    for wrong in [
        "* press ann",
        "* fill ann sides=6",
        "* crash\n* menu ann\nbot: [menu] empty",
        "* link down\n* menu ann",
    ] {
        assert!(!passes(script, "", wrong), "{wrong}");
    }
    assert!(passes(script, "", "* crash\n* +6m\n* menu ann\nbot: [menu] refused: service-unavailable"));
}

/// The sample of the page is a conversation with a shipped script.
#[test]
fn the_menu_of_the_page_is_as_the_page_says() {
    let page = include_str!("../../docs/testing.md");
    let blocks = page.split("```text\n").skip(1).filter_map(|rest| rest.split("```").next());
    let talk = blocks.into_iter().find(|block| block.contains("* open ")).expect("the sample");
    let script = std::fs::read_to_string("scripts/dice.rhai").expect("a shipped script");
    assert!(passes(&script, "", talk), "{talk}");
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
    played(script, header, talk).iter().all(|outcome| outcome.result.is_ok())
}

/// Of each conversation why it failed.
fn whys(script: &str, header: &str, talk: &str) -> Vec<Vec<String>> {
    let outcomes = played(script, header, talk).into_iter();
    outcomes.map(|outcome| outcome.result.err().map(|failure| failure.why).unwrap_or_default()).collect()
}

fn played(script: &str, header: &str, talk: &str) -> Vec<Outcome> {
    let folder = scratch();
    std::fs::write(folder.join("x.rhai"), script).expect("a scratch file");
    let file = folder.join("x.chat");
    std::fs::write(&file, format!("script: x.rhai\n{header}\n== talk\n{talk}\n")).expect("a scratch file");
    let troupe = Troupe { root: folder, settings: None };
    (KINDS[0].run)(&troupe, &file, &Wanted::default()).expect("it can be read")
}
