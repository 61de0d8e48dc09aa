//! Commands as people type them.

use super::{Rig, message, script};

const SOURCE: &str = r#"
    command("roll <sides:int> [times:int=1]", "Roll dice", |m, a| m.reply(`${a.times} of ${a.sides}`));
    command("stop", #{ help: "Stop it", allow: ["admin"], alias: "halt" }, |m, a| m.reply("stopped"));
    command("secret", #{ hidden: true }, || bot::send("ann@example.org", "psst"));
    on("message", |m| m.reply("chat"));
"#;

#[test]
fn a_command_gets_its_arguments_and_nothing_else_gets_the_message() {
    let rig = Rig::new();
    let mut bot = rig.bot(SOURCE);
    assert_eq!(bot.ask("!roll 6"), ["1 of 6"]);
    assert_eq!(bot.ask("!roll 6 3"), ["3 of 6"]);
    assert_eq!(bot.ask("!secret"), ["psst"]);
    assert_eq!(bot.ask("roll 6"), ["chat"]);
    assert_eq!(bot.ask("!!!"), ["chat"]);
}

#[test]
fn wrong_arguments_are_answered_with_the_usage() {
    let rig = Rig::new();
    let mut bot = rig.bot(SOURCE);
    assert_eq!(
        bot.ask("!roll many"),
        ["`sides` is a whole number, not `many`\nUsage: !roll <sides> [times]"]
    );
    assert_eq!(bot.ask("!roll"), ["`sides` is missing\nUsage: !roll <sides> [times]"]);
}

#[test]
fn only_those_allowed_may_use_or_see_a_command() {
    let rig = Rig::new();
    let mut bot = rig.bot(SOURCE);
    assert_eq!(bot.ask("!stop"), ["You may not use !stop."]);
    assert_eq!(bot.give(message("boss@example.org/pc", "!halt")), ["stopped"]);
    assert_eq!(bot.ask("!help"), ["!roll <sides> [times]  Roll dice"]);
    let all = bot.give(message("boss@example.org/pc", "!help"));
    assert_eq!(all, ["!roll <sides> [times]  Roll dice\n!stop  Stop it"]);
}

#[test]
fn new_admins_count_from_the_next_turn() {
    let rig = Rig::new();
    let mut bot = rig.bot(SOURCE);
    assert_eq!(bot.ask("!stop"), ["You may not use !stop."]);
    bot.handle.configure(vec![super::jid("ann@example.org").to_bare()], Default::default(), 10, Vec::new());
    assert_eq!(bot.ask("!stop"), ["stopped"]);
    assert_eq!(bot.give(message("boss@example.org/pc", "!stop")), ["You may not use !stop."]);
}

#[test]
fn an_unknown_command_is_answered_one_to_one_and_ignored_in_rooms() {
    let rig = Rig::new();
    let mut bot = rig.bot(SOURCE);
    assert_eq!(bot.ask("!rol 6"), ["There is no !rol. Did you mean !roll?"]);
    assert_eq!(bot.ask("!whatever"), ["There is no !whatever. Try !help."]);
    let room = super::jid("team@rooms.example.org").to_bare();
    let given = crate::event::Message {
        kind: crate::stanza::MessageKind::Groupchat,
        room: Some(room.clone()),
        place: room.into(),
        ..super::plain("team@rooms.example.org/ann", "!rol 6")
    };
    assert!(bot.give(crate::event::Event::Message(Box::new(given))).is_empty());
}

#[test]
fn a_bot_without_commands_takes_everything_as_talk() {
    let rig = Rig::new();
    let mut bot = rig.add("helper", vec![script("main", r#"on("message", |m| m.reply(m.text));"#)]);
    assert_eq!(bot.ask("!roll"), ["!roll"]);
}
