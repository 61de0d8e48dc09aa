//! What another account of the same server can pretend. Neither server stops it (protocol note, finding 1):
//! the pushes, answers and copies below arrive as they were written.

use std::time::Duration;

use crate::support::bed::{BOTH, Bed};
use crate::support::person::Person;
use crate::support::program::{Program, Project};
use crate::support::watch;

/// Asks whoever says `question`, keeps contacts, and tells what it was told.
const SCRIPT: &str = r#"
on("message", |m| {
    if m.text == "add me" {
        bot::contact(m.who).save("a friend", []);
    } else if m.text == "question" {
        bot::iq("get", m.from, "<question xmlns='urn:example:question'/>", |a| m.reply(`answer: ${a.xml}`));
        return;
    }
    m.reply(`heard: ${m.text}`);
});
"#;

#[test]
fn s2_a_roster_push_from_a_stranger_changes_nothing() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        let [bot, ann, mallory] = ["bot", "ann", "mallory"].map(|name| format!("s2-{name}@one.test"));
        let project = project(&bed, "s2");
        let program = project.run();
        let session = online(&program);
        let mut mallory = Person::login(kind.address(), &bed.ca(), &mallory, "pw");
        let mut ann = Person::login(kind.address(), &bed.ca(), &ann, "pw");

        mallory.raw(&format!(
            "<iq type='set' id='push' to='{session}'><query xmlns='jabber:iq:roster'>\
             <item jid='{}' subscription='both'/></query></iq>",
            bare(&mallory.jid)
        ));
        // `accept: roster` would let a contact in; the real one is, so the test can tell the difference.
        mallory.subscribe(&bot);
        mallory.ask(&bot, "hello", |heard| heard == "heard: hello");
        ann.ask(&bot, "add me", |heard| heard == "heard: add me");
        ann.subscribe(&bot);
        ann.wait_for("approval", |heard| heard["presence"] == "subscribed" && heard["from"] == bot);
        watch::never("mallory is a contact", Duration::from_secs(1), || {
            let heard = mallory.heard().into_iter().find(|heard| heard["presence"] == "subscribed");
            heard.map(|heard| heard.to_string())
        });
    }
}

#[test]
fn s3_an_answer_from_somebody_who_was_not_asked_is_not_believed() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        let [bot, ann, mallory] = ["bot", "ann", "mallory"].map(|name| format!("s3-{name}@one.test"));
        let project = project(&bed, "s3");
        let program = project.run();
        let session = online(&program);
        let mut mallory = Person::login(kind.address(), &bed.ca(), &mallory, "pw");
        let mut ann = Person::login(kind.address(), &bed.ca(), &ann, "pw");

        ann.say(&bot, "question");
        let asked = ann.wait_for("the question", |heard| heard["asked"].is_string());
        let id = asked["asked"].as_str().expect("found above");
        // Mallory has learnt the id: all that is left is who sends.
        mallory.raw(&answer(&session, id, "forged"));
        mallory.ask(&bot, "hello", |heard| heard == "heard: hello");
        ann.raw(&answer(&session, id, "genuine"));
        let told = ann.wait_for_text(&bot, "the answer", |heard| heard.starts_with("answer: "));
        assert!(told.contains("genuine") && !told.contains("forged"), "{kind:?}: {told}");
    }
}

#[test]
fn s1_s4_copies_and_archive_results_from_a_stranger_reach_no_script() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        let [bot, ann, mallory] = ["bot", "ann", "mallory"].map(|name| format!("s1-{name}@one.test"));
        let project = project(&bed, "s1");
        let program = project.run();
        let session = online(&program);
        let mut mallory = Person::login(kind.address(), &bed.ca(), &mallory, "pw");
        let ann = Person::login(kind.address(), &bed.ca(), &ann, "pw");

        let forwarded = format!(
            "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='{}' to='{bot}' \
             type='chat' id='inner'><body>made up</body></message></forwarded>",
            ann.jid
        );
        for wrapper in [
            format!("<received xmlns='urn:xmpp:carbons:2'>{forwarded}</received>"),
            format!("<sent xmlns='urn:xmpp:carbons:2'>{forwarded}</sent>"),
            format!("<result xmlns='urn:xmpp:mam:2' queryid='q' id='1'>{forwarded}</result>"),
        ] {
            mallory.raw(&format!("<message to='{session}' type='chat'>{wrapper}</message>"));
        }
        mallory.ask(&bot, "hello", |heard| heard == "heard: hello");
        watch::never("the bot answers what ann did not say", Duration::from_secs(1), || {
            let said = [&ann, &mallory]
                .iter()
                .any(|person| person.texts_from(&bot).iter().any(|text| text.contains("made up")));
            said.then(|| format!("{:?}", ann.heard()))
        });
        assert_eq!(program.status()["messages"]["received"], 1, "only the plain message reached the script");
    }
}

/// A bot and two people of this test's own.
fn project(bed: &Bed, test: &str) -> Project {
    let names = ["ann", "bot", "mallory"].map(|name| format!("{test}-{name}"));
    bed.add("one.test", &names.each_ref().map(String::as_str));
    let config = format!(
        "version: 1\nstorage: ./data\nscripts: {{ probe: scripts/probe.rhai }}\n\
         bots:\n  bot: {{ jid: {test}-bot@one.test, server: {}, tls: {{ ca: CA }}, password: {{ file: secrets/bot }}, \
         scripts: [probe], accept: roster }}\nlog: {{ format: json, level: debug }}\n",
        bed.kind.address()
    );
    let project = Project::new(bed.project_folder(), &bed.ca(), &config);
    project.write("scripts/probe.rhai", SCRIPT);
    project.secret("bot", "pw");
    project
}

/// Waits for the bot and tells its full address.
fn online(program: &Program<'_>) -> String {
    program.wait_online(1);
    let online = program.said("bot", "online");
    online[0]["jid"].as_str().expect("a field of this line").to_owned()
}

fn bare(jid: &str) -> &str {
    jid.split('/').next().unwrap_or(jid)
}

fn answer(to: &str, id: &str, text: &str) -> String {
    format!("<iq type='result' to='{to}' id='{id}'><answer xmlns='urn:example:question'>{text}</answer></iq>")
}
