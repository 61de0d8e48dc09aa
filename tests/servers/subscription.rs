//! Whose subscription is approved, and what they see then.

use std::time::Duration;

use serde_json::Value;

use crate::support::bed::{BOTH, Bed};
use crate::support::person::{PATIENCE, Person};
use crate::support::program::Project;
use crate::support::watch;

const BOT: &str = "sub-bot@one.test";

#[test]
fn the_policy_approves_its_own_domain_and_only_that() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        bed.add("one.test", &["sub-bot", "sub-ann"]);
        bed.add("two.test", &["sub-ben"]);
        // No script says a word about subscriptions.
        let config = format!(
            "version: 1\nstorage: ./data\nscripts: {{ echo: scripts/plain.rhai }}\n\
             bots:\n  bot: {{ jid: {BOT}, server: {}, tls: {{ ca: CA }}, password: {{ file: secrets/bot }}, \
             scripts: [echo], accept: domain, presence: {{ status: at work }} }}\n\
             log: {{ format: json, level: debug }}\n",
            kind.address()
        );
        let project = Project::new(bed.project_folder(), &bed.ca(), &config);
        project.write("scripts/plain.rhai", "on(\"message\", |m| m.reply(m.text));\n");
        project.secret("bot", "pw");
        let program = project.run();
        program.wait_online(1);

        let mut ann = Person::login(kind.address(), &bed.ca(), "sub-ann@one.test", "pw");
        let mut ben = Person::login(kind.address(), &bed.ca(), "sub-ben@two.test", "pw");
        ben.subscribe(BOT);
        ann.subscribe(BOT);
        ann.wait_for("approval", |heard| heard["presence"] == "subscribed" && heard["from"] == BOT);
        ann.wait_for("the bot's presence", |heard| heard["presence"] == "available" && of_bot(heard));
        // Ben's message is behind his request: when it is answered, the request has been looked at.
        ben.ask(BOT, "did you see my request?", |heard| heard.starts_with("did you"));
        watch::never("ben sees the bot", Duration::from_secs(1), || {
            // `unavailable`, which Prosody sends where nothing was granted, tells no more than silence.
            let granted = ["available", "subscribed"].map(Value::from);
            let heard =
                ben.heard().into_iter().find(|heard| granted.contains(&heard["presence"]) && of_bot(heard));
            heard.map(|heard| heard.to_string())
        });

        assert!(program.stop().success());
        watch::until("ann sees the bot leave", PATIENCE, || {
            let heard = ann.heard();
            let left = heard.iter().any(|heard| heard["presence"] == "unavailable" && of_bot(heard));
            if left { Ok(()) } else { Err(Value::from(heard)) }
        });
    }
}

fn of_bot(heard: &Value) -> bool {
    heard["from"].as_str().is_some_and(|from| from.split('/').next() == Some(BOT))
}
