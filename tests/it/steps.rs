//! What the seed promised and other files do not show already: rows are in `seed.rs`.

use rhapsode::action::{Action, OutgoingMessage};
use rhapsode::event::{Event, RosterChange, SubscriptionVerb};
use rhapsode::stanza::{MessageKind, PresenceKind};
use rhapsode::xml::parse;

use crate::support::process::until;
use crate::support::world::{ECHO, World, jid};

#[test]
fn p1_the_six_steps_happen_in_their_order() {
    let world = World::new();
    // Connect, secure, log in: a person is only there when all of it is done.
    let mut ann = world.person("ann");
    assert_eq!(world.server().sessions().len(), 1);
    ann.hear("the roster", |event| matches!(event, Event::Roster(RosterChange::Loaded { .. })).then_some(()));
    until("presence", || world.server().sessions()[0].available.then_some(()));
    let mut bob = world.person("bob");
    ann.say("bob", "a message");
    assert_eq!(bob.text("ann"), "a message");
    drop(ann);
    until("the end", || (world.server().sessions().len() == 1).then_some(()));
}

#[test]
fn p45_formatting_in_html_changes_nothing_about_the_text() {
    let world = World::echo();
    let _process = world.online();
    let mut ann = world.person("ann");
    let html = "<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'>\
                <p>other <b>words</b></p></body></html>";
    ann.act(Action::Message(OutgoingMessage {
        to: jid("echo"),
        kind: MessageKind::Chat,
        id: "formatted".to_owned(),
        text: "the text".to_owned(),
        subject: None,
        lang: None,
        thread: None,
        payloads: vec![parse(html).expect("well-formed")],
    }));
    assert_eq!(ann.text("echo"), "the text");
}

#[test]
fn n6_requests_rosters_and_presence_reach_the_script() {
    let mut world = World::new();
    world.script(
        "tell",
        r#"
        on("subscribe", |c| { c.approve(); bot::contact(c.from).subscribe(); bot::send(c.from, "subscribe"); });
        on("subscribed", |c| bot::send(c.from, "subscribed"));
        on("roster", |r| store::incr("rosters"));
        on("presence", |p| store::set("seen/" + p.who, p.kind));
        on("message", |m| m.reply(`${store::get("rosters") > 0} ${store::get("seen/" + m.who)}`));
        "#,
    );
    world.bot("tell", "scripts: [scripts/tell.rhai]\naccept: none");
    let _process = world.online();
    let mut ann = world.person("ann");
    ann.act(subscription(SubscriptionVerb::Subscribe));
    ann.hear("the bot's presence", |event| match event {
        Event::Presence(presence) if presence.from.to_bare() == jid("tell").to_bare() => {
            (presence.kind == PresenceKind::Available).then_some(())
        }
        _ => None,
    });
    assert_eq!(ann.text("tell"), "subscribe");
    ann.act(subscription(SubscriptionVerb::Subscribed));
    assert_eq!(ann.text("tell"), "subscribed");
    assert_eq!(ann.ask("tell", "what have you heard?"), "true available");
}

#[test]
fn n9_whether_an_account_is_connected_can_be_asked_at_any_time() {
    let mut world = World::echo();
    world.stop_server();
    let process = world.run();
    process.until_state("echo", "retrying");
    world.start_server();
    process.until_state("echo", "online");
    process.signal("TERM");
    assert!(process.ended().success());
    assert!(process.status().is_none());
}

#[test]
fn n10_what_is_written_and_what_has_arrived_are_told_apart() {
    let mut world = World::new();
    world.script("echo", ECHO);
    world.bot("echo", "scripts: [scripts/echo.rhai]");
    let process = world.online();
    let mut ann = world.person("ann");
    for number in 1..=5 {
        assert_eq!(ann.ask("echo", &number.to_string()), number.to_string());
    }
    let status = process.until("all have arrived", |status| status["messages"]["acked"] == 5);
    assert_eq!((&status["messages"]["sent"], &status["messages"]["queued"]), (&5.into(), &0.into()));
}

fn subscription(verb: SubscriptionVerb) -> Action {
    Action::Subscription { to: jid("tell").to_bare(), verb }
}
