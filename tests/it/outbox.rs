//! What a committed turn has said is sent, whatever happens between the commit and the server.

use crate::support::process::Process;
use crate::support::world::World;

/// Sends five numbered messages two seconds after it was asked to; the sixth turn fails after it has said something.
const LATER: &str = r#"
on("message", |m| {
    if m.text != "later" { return m.reply(m.text); }
    for i in 1..=5 { timer::at("2s", "say", #{ to: m.who, text: `late ${i}` }); }
    timer::at("2s", "say", #{ to: m.who, text: "uncommitted", fail: true });
    m.reply("I will");
});
on("timer:say", |t| {
    bot::send(t.data.to, t.data.text);
    if t.data.fail == true { throw "this turn leaves nothing behind"; }
});
"#;

#[test]
fn what_was_committed_while_offline_is_sent_after_the_reconnect() {
    let (mut world, process) = offline_with_five();
    world.start_server();
    let mut ann = world.person("ann");
    assert!(world.command(&["reconnect", "bot"]).status.success());
    assert_eq!(ann.texts_until("bot", "late 5"), expected());
    assert_eq!(ann.ask("bot", "done"), "done");
    process.until("all is acknowledged", |status| status["messages"]["queued"] == 0);
}

#[test]
fn what_was_committed_outlives_a_kill_and_nothing_else_does() {
    let (mut world, process) = offline_with_five();
    process.kill();
    world.start_server();
    let mut ann = world.person("ann");
    let process = world.online();
    assert_eq!(ann.texts_until("bot", "late 5"), expected());
    assert_eq!(ann.ask("bot", "done"), "done");
    process.until("all is acknowledged", |status| status["messages"]["queued"] == 0);
    process.stop();
    // Acknowledged is gone from the store: a third process has nothing to send.
    let process = world.online();
    assert_eq!(ann.ask("bot", "third"), "third");
    assert_eq!(process.status().expect("it answers")["messages"]["sent"], 1);
}

#[test]
fn messages_of_one_bot_stay_in_order_over_a_lost_session() {
    let mut world = World::new();
    world.script("many", r#"on("message", |m| for i in 1..=150 { m.reply(`${i}`); });"#);
    world.bot("many", "scripts: [scripts/many.rhai]");
    let process = world.online();
    let mut ann = world.person("ann");
    ann.say("many", "go");
    let mut heard: Vec<u32> = (0..20).map(|_| ann.text("many").parse().expect("a number")).collect();
    // The session is ended for good: what was not acknowledged is sent anew.
    world.server().kick(&crate::support::world::jid("many"), "reset");
    while heard.last() != Some(&150) {
        heard.push(ann.text("many").parse().expect("a number"));
    }
    process.until("all is acknowledged", |status| status["messages"]["queued"] == 0);
    ann.say("many", "go");
    assert_eq!(ann.text("many"), "1", "nothing is left of before");
    let mut once = heard.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once, (1..=150).collect::<Vec<u32>>(), "nothing is lost");
    let backwards = heard.windows(2).filter(|pair| pair[1] <= pair[0]).count();
    assert!(backwards <= 1, "at most one step back, to what was not acknowledged: {heard:?}");
}

/// A bot that is offline with five committed messages.
fn offline_with_five() -> (World, Process) {
    let mut world = World::new();
    world.script("later", LATER);
    world.bot("bot", "scripts: [scripts/later.rhai]");
    let process = world.online();
    let mut ann = world.person("ann");
    assert_eq!(ann.ask("bot", "later"), "I will");
    drop(ann);
    process.until("the promise is acknowledged", |status| status["messages"]["acked"] == 1);
    world.stop_server();
    process.until_state("bot", "retrying");
    process.until("five wait and one has failed", |status| {
        status["messages"]["queued"] == 5 && status["turns"]["failed"] == 1
    });
    (world, process)
}

fn expected() -> Vec<String> {
    (1..=5).map(|number| format!("late {number}")).collect()
}
