//! What bots do every day, with slixmpp on both servers: a poll that is voted on with reactions, the help desk, nodes for
//! the account alone, and long or unreadable messages.

use crate::support::bed::{BOTH, Bed, Kind, Lent};
use crate::support::person::Person;
use crate::support::program::{Program, Project};

const POLL: &str = r##"
command("ask <question:rest>", "Start a poll", |m, a| { store::set("poll", m.reply(`${a.question} 👍 or 👎?`)); });
on("reaction", |r| if r.about == store::get("poll") { store::set(`vote/${r.who}`, r.emojis); });
command("count", "How it stands", |m, a| {
    let votes = store::keys("vote/").map(|key| store::get(key));
    let told = [];
    for emoji in ["👍", "👎"] { told.push(`${emoji} ${votes.filter(|vote| emoji in vote).len()}`); }
    m.reply(told.join(", "));
});
"##;

const NODES: &str = r##"
const NODE = "urn:example:everyday";
command("note <text:rest>", "Keep something", |m, a| {
    let note = xml::element("note", NODE).with_text(a.text);
    pubsub::publish(NODE, note, #{ id: a.text, secret: true, keep: "all" }, |it| m.reply(`kept ${a.text}: ${it.ok} ${it.error}`));
});
command("notes", "All of them", |m, a| pubsub::items(NODE, |a| {
    let texts = a.items.map(|item| item.xml.text);
    texts.sort();
    m.reply(`notes: ${texts.join(" ")}`);
}));
command("drop <id:word>", "One less", |m, a| pubsub::retract(NODE, a.id, |a| m.reply(`dropped: ${a.ok} ${a.error}`)));
command("none", "A node that is not there", |m, a| pubsub::items("urn:example:none", |a| m.reply(`none: ${a.error} ${a.items.len()}`)));
command("open <text:word>", "For everybody", |m, a| {
    pubsub::publish("urn:example:open", xml::element("x", "urn:example:open").with_text(a.text), #{ access: "open", keep: 5 }, |a| m.reply(`open: ${a.ok} ${a.error}`));
});
command("spy <who:jid>", "What others see", |m, a| {
    pubsub::items(NODE, #{ service: a.who }, |it| m.reply(`private: ${it.ok} ${it.items.len()}`));
    pubsub::items("urn:example:open", #{ service: a.who }, |it| m.reply(`public: ${it.ok} ${it.items.len()}`));
});
command("long", "Much to say", |m, a| {
    let lines = [];
    for n in 0..80 { lines.push(`line ${n} <&> æøå`); }
    m.reply(lines.join("\n"));
});
"##;

#[test]
fn a_poll_is_voted_on_with_reactions_and_a_changed_mind_counts_once() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        bed.add("one.test", &["vote-bot", "vote-ann", "vote-bob"]);
        let project =
            project(&bed, "vote-bot", "scripts: { poll: scripts/poll.rhai }", "scripts: [poll]", "");
        project.write("scripts/poll.rhai", POLL);
        let program = online(&project, 1);
        let bot = "vote-bot@one.test";
        let mut ann = person(&bed, "vote-ann");
        let mut bob = person(&bed, "vote-bob");
        ann.say(bot, "!ask Lunch?");
        let asked = ann.wait_for("the question", |heard| {
            heard["message"].as_str().is_some_and(|text| text == "Lunch? 👍 or 👎?")
        });
        let id = asked["id"].as_str().expect("messages have ids").to_owned();
        let react = |emojis: &[&str]| {
            let emojis: String = emojis.iter().map(|emoji| format!("<reaction>{emoji}</reaction>")).collect();
            format!(
                "<message to='{bot}' type='chat' id='r-{}'><reactions xmlns='urn:xmpp:reactions:0' id='{id}'>{emojis}\
                 </reactions><store xmlns='urn:xmpp:hints'/></message>",
                emojis.len()
            )
        };
        ann.raw(&react(&["👍"]));
        ann.ask(bot, "!count", |text| text == "👍 1, 👎 0");
        bob.raw(&react(&["👍", "👎"]));
        bob.ask(bot, "!count", |text| text == "👍 2, 👎 1");
        ann.raw(&react(&["👎"]));
        ann.ask(bot, "!count", |text| text == "👍 1, 👎 2");
        ann.raw(&react(&[]));
        ann.ask(bot, "!count", |text| text == "👍 1, 👎 1");
        assert!(program.stop().success());
    }
}

#[test]
fn the_help_desk_learns_answers_asks_back_and_hands_over_to_a_room() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        bed.add("one.test", &["desk-bot", "desk-ann", "desk-staff"]);
        let room = "desk-team@conference.one.test";
        let keys = format!(
            "scripts: [desk], config: {{ team_room: \"{room}\" }}, rooms: [{{ jid: \"{room}\", create: true }}], roles: {{ staff: [desk-staff@one.test] }}"
        );
        let project = project(&bed, "desk-bot", "scripts: { desk: scripts/desk.rhai }", &keys, "");
        project.write("scripts/desk.rhai", include_str!("../../scripts/helpdesk.rhai"));
        let program = online(&project, 1);
        let bot = "desk-bot@one.test";
        let mut ann = person(&bed, "desk-ann");
        let mut staff = person(&bed, "desk-staff");
        ann.ask(bot, "!faq", |text| text.starts_with("Nothing is known yet"));
        ann.ask(bot, "!learn refund never", |text| text == "You may not use !learn.");
        staff.ask(bot, "!learn refund within 14 days", |text| text == "Learned \"refund\".");
        ann.ask(bot, "!faq", |text| text == "Topics: refund");
        ann.ask(bot, "I want my money back", |text| text == "About refunds: within 14 days");
        staff.raw(&format!(
            "<presence to='{room}/Staff'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ));
        staff.wait_for("the room", |heard| heard["from"] == format!("{room}/Staff"));
        ann.ask(bot, "!human", |text| text == "What is your order number?");
        ann.ask(bot, "dunno", |text| text == "Digits only, please.");
        ann.ask(bot, "4711", |text| text == "A person will write to you here.");
        staff.wait_for_text(room, "the question of ann", |text| text.ends_with("asks about order 4711"));
        assert!(program.stop().success());
    }
}

#[test]
fn s25_p3_a_node_is_made_as_it_is_to_be_and_others_see_nothing_of_a_private_one() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        bed.add("one.test", &["node-bot", "node-spy", "node-ann"]);
        let spy = format!(
            "  spy: {{ jid: node-spy@one.test, server: {}, tls: {{ ca: CA }}, password: {{ file: secrets/bot }}, scripts: [nodes] }}\n",
            kind.address()
        );
        let project =
            project(&bed, "node-bot", "scripts: { nodes: scripts/nodes.rhai }", "scripts: [nodes]", &spy);
        project.write("scripts/nodes.rhai", NODES);
        let program = online(&project, 2);
        let (bot, other) = ("node-bot@one.test", "node-spy@one.test");
        let mut ann = person(&bed, "node-ann");
        ann.ask(bot, "!none", |text| text == "none: item-not-found 0");
        ann.ask(bot, "!note one", |text| text == "kept one: true ");
        ann.ask(bot, "!note two", |text| text == "kept two: true ");
        ann.ask(bot, "!notes", |text| text == "notes: one two");
        ann.ask(bot, "!open a", |text| text == "open: true ");
        ann.say(other, &format!("!spy {bot}"));
        ann.wait_for_text(other, "nothing of what is private", |text| text == "private: false 0");
        ann.wait_for_text(other, "what is public", |text| text == "public: true 1");
        ann.ask(bot, "!drop one", |text| text == "dropped: true ");
        ann.ask(bot, "!notes", |text| text == "notes: two");
        assert!(program.stop().success());
    }
}

#[test]
fn x10_long_answers_come_in_parts_and_sealed_messages_are_answered_once() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        bed.add("one.test", &["long-bot", "long-ann"]);
        let keys = "scripts: [nodes], limits: { message: 1KiB }, unreadable: \"Plain words, please.\"";
        let project = project(&bed, "long-bot", "scripts: { nodes: scripts/nodes.rhai }", keys, "");
        project.write("scripts/nodes.rhai", NODES);
        let program = online(&project, 1);
        let bot = "long-bot@one.test";
        let mut ann = person(&bed, "long-ann");
        ann.ask(bot, "!long", |text| text.ends_with("line 79 <&> æøå"));
        let parts = ann.texts_from(bot);
        assert!(parts.len() > 1 && parts.iter().all(|part| part.len() <= 1024), "{parts:?}");
        let wanted: Vec<String> = (0..80).map(|n| format!("line {n} <&> æøå")).collect();
        assert_eq!(parts.join("\n"), wanted.join("\n"));
        for n in 0..2 {
            ann.raw(&format!(
                "<message to='{bot}' type='chat' id='s{n}'><body>I sent you an OMEMO encrypted message</body>\
                 <encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/></encrypted>\
                 <encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl'/></message>"
            ));
        }
        ann.wait_for_text(bot, "that it cannot be read", |text| text == "Plain words, please.");
        ann.ask(bot, "!none", |text| text.starts_with("none:"));
        let told = ann.texts_from(bot).iter().filter(|text| *text == "Plain words, please.").count();
        assert_eq!(told, 1);
        assert!(program.stop().success());
    }
}

fn project(bed: &Lent, account: &str, scripts: &str, keys: &str, more: &str) -> Project {
    let address = bed.kind.address();
    let config = format!(
        "version: 1\nstorage: ./data\n{scripts}\nbots:\n  bot: {{ jid: {account}@one.test, server: {address}, \
         tls: {{ ca: CA }}, password: {{ file: secrets/bot }}, {keys} }}\n{more}log: {{ format: json, level: debug }}\n"
    );
    let project = Project::new(bed.project_folder(), &bed.ca(), &config);
    project.secret("bot", "pw");
    project
}

fn online<'a>(project: &'a Project, bots: u64) -> Program<'a> {
    let program = project.run();
    program.wait_online(bots);
    program
}

fn person(bed: &Lent, name: &str) -> Person {
    let address = Kind::address(bed.kind);
    Person::login(address, &bed.ca(), &format!("{name}@one.test"), "pw")
}
