//! The bot reaches its server over WebSocket, RFC 7395.

use std::time::Duration;

use crate::support::bed::{BOTH, Bed};
use crate::support::person::Person;
use crate::support::program::{LOGIN, Project};
use crate::support::proxy::{Proxy, Wire};
use crate::support::watch;

const BOT: &str = "ws-bot@one.test";

#[test]
fn over_a_websocket_it_logs_in_talks_resumes_after_a_cut_and_hands_over_to_the_next_process() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        bed.add("one.test", &["ws-bot", "ws-ann"]);
        let proxy = Proxy::start(kind.web_address());
        let url = format!("wss://localhost:{}{}", proxy.address().port(), kind.web_path());
        let project = one_bot(&bed, BOT, &url);
        let program = project.run();
        program.wait_online(1);
        assert_eq!(program.account("bot")["transport"], "websocket", "{kind:?}");
        let mut ann = Person::login(kind.address(), &bed.ca(), "ws-ann@one.test", "pw");
        let mut said = 0;
        // Several at once, and one that is long and full of markup.
        say(&mut ann, &mut said, 20);
        let long = "<&>\u{1f980} ".repeat(2_000);
        ann.say(BOT, long.trim());
        wait_for(&ann, &long, said);

        // Written by the server and never read by the bot.
        let swallowed = proxy.swallowed();
        proxy.set(Wire::Swallowing);
        say(&mut ann, &mut said, 5);
        watch::until("the wire swallows", Duration::from_secs(5), || {
            if proxy.swallowed() > swallowed { Ok(()) } else { Err(proxy.swallowed()) }
        });
        proxy.cut();
        program.wait_until("the bot noticed", LOGIN, |status| status["bots"]["online"] == 0);
        say(&mut ann, &mut said, 5);
        proxy.mend();
        wait_for(&ann, &long, said);
        let bot = program.account("bot");
        assert_eq!((&bot["resumed"], &bot["connects"]), (&true.into(), &2.into()), "{kind:?}");

        // The server keeps the session that a process leaves, as over TCP.
        assert!(program.suspend().success());
        say(&mut ann, &mut said, 3);
        let program = project.run();
        program.wait_online(1);
        wait_for(&ann, &long, said);
        assert_eq!(program.account("bot")["resumed"], true, "{kind:?}");
        watch::never("a second answer", Duration::from_secs(2), || {
            let texts = ann.texts_from(BOT);
            (texts.len() > said + 1).then(|| format!("{texts:?}"))
        });
        assert!(program.stop().success());
    }
}

fn one_bot(bed: &Bed, jid: &str, url: &str) -> Project {
    let config = format!(
        "version: 1\nstorage: ./data\nscripts: {{ echo: scripts/echo.rhai }}\n\
         bots:\n  bot: {{ jid: {jid}, connect: '{url}', tls: {{ ca: CA }}, password: {{ file: secrets/bot }}, \
         scripts: [echo], config: {{ max_len: 100000 }}, limits: {{ send: {{ rate: none }} }} }}\n\
         log: {{ format: json, level: debug }}\n"
    );
    let project = Project::new(bed.project_folder(), &bed.ca(), &config);
    project.secret("bot", "pw");
    project
}

fn say(person: &mut Person, said: &mut usize, count: usize) {
    for _ in 0..count {
        *said += 1;
        person.say(BOT, &format!("number {said}"));
    }
}

/// Every answer, once, in the order of the questions; the long one came after the twentieth.
fn wait_for(person: &Person, long: &str, said: usize) {
    let mut wanted: Vec<String> = (1..=said).map(|number| format!("number {number}")).collect();
    wanted.insert(20, long.trim().to_owned());
    let texts = watch::until("all answers", Duration::from_secs(40), || {
        let texts = person.texts_from(BOT);
        if texts.len() >= wanted.len() {
            Ok(texts)
        } else {
            Err(format!("{} of {}", texts.len(), wanted.len()))
        }
    });
    assert_eq!(texts, wanted);
}
