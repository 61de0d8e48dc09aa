//! A client of another make talks to a bot on a foreign server.

use crate::support::bed::{BOTH, Bed};
use crate::support::gosend::GoSend;
use crate::support::program::Project;

#[test]
fn go_sendxmpp_gets_its_words_back_from_a_bot() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        bed.add("one.test", &["go-bot", "go-ann"]);
        let config = format!(
            "version: 1\nstorage: ./data\nscripts: {{ echo: scripts/echo.rhai }}\n\
             bots:\n  bot: {{ jid: go-bot@one.test, server: {}, tls: {{ ca: CA }}, \
             password: {{ file: secrets/bot }}, scripts: [echo] }}\nlog: {{ format: json, level: debug }}\n",
            kind.address()
        );
        let project = Project::new(bed.project_folder(), &bed.ca(), &config);
        project.secret("bot", "pw");
        let program = project.run();
        program.wait_online(1);
        let mut ann = GoSend::start(kind.address(), &bed.ca(), "go-ann@one.test", "pw", "go-bot@one.test");
        ann.say("hello from Go");
        ann.wait_for(&["<message", "go-bot@one.test/rhapsode", "<body>hello from Go"]);
        assert_eq!(program.status()["messages"]["received"], 1);
    }
}
