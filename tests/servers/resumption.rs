//! A wire that fails in the middle of a conversation, XEP-0198.

use crate::support::bed::{BOTH, Bed};
use crate::support::person::Person;
use crate::support::program::{LOGIN, Project, account};
use crate::support::proxy::{Proxy, Wire};
use crate::support::watch;

use std::time::Duration;

const BOT: &str = "sm-bot@one.test";

#[test]
fn nothing_is_lost_or_said_twice_when_the_wire_swallows_and_breaks() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        bed.add("one.test", &["sm-bot", "sm-ann"]);
        let proxy = Proxy::start(kind.address());
        let config = format!(
            "version: 1\nstorage: ./data\nscripts: {{ echo: scripts/echo.rhai }}\n\
             bots:\n  bot: {{ jid: {BOT}, server: {}, tls: {{ ca: CA }}, password: {{ file: secrets/bot }}, \
             scripts: [echo], limits: {{ send: {{ rate: none }} }} }}\n\
             log: {{ format: json, level: debug }}\n",
            proxy.address()
        );
        let project = Project::new(bed.project_folder(), &bed.ca(), &config);
        project.secret("bot", "pw");
        let program = project.run();
        program.wait_online(1);
        let mut ann = Person::login(kind.address(), &bed.ca(), "sm-ann@one.test", "pw");
        let mut said = 0;
        say(&mut ann, &mut said, 10);
        wait_for_all(&ann, said);

        for round in 1..=3_u64 {
            // Written by the server, never read by the bot; and in a busy round, answers lost the other way.
            let swallowed = proxy.swallowed();
            if round == 2 {
                say(&mut ann, &mut said, 20);
            }
            proxy.set(Wire::Swallowing);
            say(&mut ann, &mut said, 10);
            watch::until("the wire swallows", Duration::from_secs(5), || {
                if proxy.swallowed() > swallowed { Ok(()) } else { Err(proxy.swallowed()) }
            });
            proxy.cut();
            program.wait_until("the bot noticed", LOGIN, |status| status["bots"]["online"] == 0);
            // And some that the server has to keep.
            say(&mut ann, &mut said, 10);
            proxy.mend();
            wait_for_all(&ann, said);
            let bot = program.account("bot");
            assert_eq!((&bot["resumed"], &bot["connects"]), (&true.into(), &(round + 1).into()), "{kind:?}");
        }
        watch::never("a second answer", Duration::from_secs(2), || {
            let texts = ann.texts_from(BOT);
            (texts.len() > said).then(|| format!("{texts:?}"))
        });
        program.wait_until("every answer is acknowledged", LOGIN, |status| {
            status["messages"]["queued"] == 0 && account(status, "bot")["state"] == "online"
        });
        let status = program.status();
        assert_eq!(status["messages"]["received"], said, "{kind:?}: each message was handled once: {status}");
    }
}

fn say(person: &mut Person, said: &mut usize, count: usize) {
    for _ in 0..count {
        *said += 1;
        person.say(BOT, &format!("number {said}"));
    }
}

/// Every answer, once, in the order of the questions.
fn wait_for_all(person: &Person, said: usize) {
    let wanted: Vec<String> = (1..=said).map(|number| format!("number {number}")).collect();
    let texts = watch::until("all answers", Duration::from_secs(40), || {
        let texts = person.texts_from(BOT);
        if texts.len() >= said { Ok(texts) } else { Err(format!("{} of {said}: {texts:?}", texts.len())) }
    });
    assert_eq!(texts, wanted);
}
