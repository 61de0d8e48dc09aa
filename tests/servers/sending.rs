//! `rhapsode send`: exit code 0 means that the server has the message.

use crate::support::bed::{BOTH, Bed};
use crate::support::person::Person;
use crate::support::program::Project;
use crate::support::proxy::{Proxy, Wire};
use crate::support::watch::words;

const BOT: &str = "send-bot@one.test";
const ANN: &str = "send-ann@one.test";

#[test]
fn send_ends_well_only_after_the_acknowledgement() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        bed.add("one.test", &["send-bot", "send-ann"]);
        let proxy = Proxy::start(kind.address());
        let config = format!(
            "version: 1\nstorage: ./data\nscripts: {{ echo: scripts/echo.rhai }}\n\
             bots:\n  bot: {{ jid: {BOT}, server: {}, tls: {{ ca: CA }}, password: {{ file: secrets/bot }}, \
             scripts: [echo] }}\nlog: {{ format: json, level: debug }}\n",
            proxy.address()
        );
        let project = Project::new(bed.project_folder(), &bed.ca(), &config);
        project.secret("bot", "pw");
        let ann = Person::login(kind.address(), &bed.ca(), ANN, "pw");

        // Alone: no process runs.
        send(&project, "alone", &[], Ok(()));
        ann.wait_for_text(BOT, "alone", |heard| heard == "alone");
        proxy.cut();
        send(&project, "into nothing", &["--within", "3"], Err("acknowledge"));
        proxy.mend();

        // Through the process that runs.
        let program = project.run();
        program.wait_online(1);
        send(&project, "through the process", &[], Ok(()));
        ann.wait_for_text(BOT, "through the process", |heard| heard == "through the process");
        proxy.set(Wire::Held);
        send(&project, "held back", &["--within", "2"], Err("acknowledge"));
        assert_eq!(ann.texts_from(BOT).last().map(String::as_str), Some("through the process"));
        proxy.set(Wire::Open);
        send(&project, "open again", &[], Ok(()));
        ann.wait_for_text(BOT, "open again", |heard| heard == "open again");
        assert!(program.stop().success());
    }
}

#[test]
fn send_refuses_what_it_cannot_do() {
    let bed = Bed::lend(crate::support::bed::Kind::Prosody);
    let config = format!(
        "version: 1\nstorage: ./data\nscripts: {{ echo: scripts/echo.rhai }}\n\
         bots:\n  bot: {{ jid: {BOT}, server: {}, tls: {{ ca: CA }}, password: {{ file: secrets/bot }}, \
         scripts: [echo] }}\nlog: {{ format: json }}\n",
        bed.kind.address()
    );
    let project = Project::new(bed.project_folder(), &bed.ca(), &config);
    project.secret("bot", "not this one");
    let unknown = project.command(&["send", "--from", "nobody", "--to", ANN, "text"]);
    assert_eq!(unknown.status.code(), Some(1), "{}", words(&unknown));
    send(&project, "refused", &[], Err("not-authorized"));
}

/// Sends as the bot. An error must be told in words that hold the given one.
fn send(project: &Project, text: &str, more: &[&str], outcome: Result<(), &str>) {
    let mut arguments = vec!["send", "--from", "bot", "--to", ANN];
    arguments.extend(more);
    arguments.push(text);
    let output = project.command(&arguments);
    match outcome {
        Ok(()) => assert!(output.status.success(), "{text}: {}", words(&output)),
        Err(why) => {
            assert_eq!(output.status.code(), Some(1), "{text}: {}", words(&output));
            assert!(words(&output).contains(why), "{text}: {}", words(&output));
        }
    }
}
