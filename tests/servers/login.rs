//! What a process keeps over its own end: the roster's version and timers; and the direct way in.

use crate::support::bed::{BOTH, Bed, Kind};
use crate::support::person::Person;
use crate::support::program::Project;
use crate::support::watch;

use std::time::Duration;

#[test]
fn a_second_process_asks_with_the_roster_version_that_the_first_stored() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        bed.add("one.test", &["ver-bot", "ver-ann"]);
        let project =
            one_bot(&bed, &format!("jid: ver-bot@one.test, server: {}, tls: {{ ca: CA }}", kind.address()));

        let program = project.run();
        program.wait_online(1);
        assert_eq!(unchanged(&program), [false], "{kind:?}: nothing is stored at the first login");
        let mut ann = Person::login(kind.address(), &bed.ca(), "ver-ann@one.test", "pw");
        ann.subscribe("ver-bot@one.test");
        ann.wait_for("approval", |heard| {
            heard["presence"] == "subscribed" && heard["from"] == "ver-bot@one.test"
        });
        ann.ask("ver-bot@one.test", "hello", |heard| heard == "hello");
        assert!(program.stop().success());

        // RFC 6121 §2.6: both servers announce versioning and answer a version they know with an empty result.
        let program = project.run();
        program.wait_online(1);
        let asked = program.log().into_iter().find(|line| line["message"] == "asking for the roster");
        let ver = asked.as_ref().and_then(|line| line["ver"].as_str()).unwrap_or_default();
        assert!(!ver.is_empty(), "{kind:?}: asked without a version: {asked:?}");
        // The stream is online before the roster has come.
        watch::until("the roster's answer", Duration::from_secs(10), || {
            if unchanged(&program).is_empty() { Err("nothing yet") } else { Ok(()) }
        });
        assert_eq!(unchanged(&program), [true], "{kind:?}: version {ver}");
    }
}

#[test]
fn a_timer_outlives_its_process_and_rings_once() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        bed.add("two.test", &["timer-bot", "timer-ben"]);
        let way = format!("jid: timer-bot@two.test, server: {}, tls: {{ ca: CA }}", kind.address());
        let project = one_bot(&bed, &way);
        let program = project.run();
        program.wait_online(1);
        let mut ben = Person::login(kind.address(), &bed.ca(), "timer-ben@two.test", "pw");
        ben.ask("timer-bot@two.test", "!remind 3s tea", |heard| heard.starts_with("#1, due"));
        assert!(program.stop().success());

        let program = project.run();
        program.wait_online(1);
        ben.wait_for_text("timer-bot@two.test", "the reminder", |heard| heard.starts_with("timer-ben: tea"));
        let rung =
            || ben.texts_from("timer-bot@two.test").iter().filter(|heard| heard.contains("tea")).count();
        watch::never("a second reminder", Duration::from_secs(2), || {
            (rung() > 1).then(|| format!("{:?}", ben.heard()))
        });
    }
}

/// A process that is killed has not told the server what it handled: the server may deliver that again, so
/// a command of the last moment may be carried out twice. What it stored is there all the same.
#[test]
fn a_timer_outlives_a_killed_process() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        bed.add("two.test", &["kill-bot", "kill-ben"]);
        let way = format!("jid: kill-bot@two.test, server: {}, tls: {{ ca: CA }}", kind.address());
        let project = one_bot(&bed, &way);
        let program = project.run();
        program.wait_online(1);
        let mut ben = Person::login(kind.address(), &bed.ca(), "kill-ben@two.test", "pw");
        ben.ask("kill-bot@two.test", "!remind 3s tea", |heard| heard.starts_with("#1, due"));
        program.kill();

        let program = project.run();
        program.wait_online(1);
        ben.wait_for_text("kill-bot@two.test", "the reminder", |heard| heard.starts_with("kill-ben: tea"));
    }
}

#[test]
fn direct_tls_leads_to_the_same_login() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        bed.add("one.test", &["direct-bot"]);
        let way = format!(
            "jid: direct-bot@one.test, server: {}, tls: {{ mode: direct, ca: CA }}",
            kind.direct_address()
        );
        let project = one_bot(&bed, &way);
        let program = project.run();
        program.wait_online(1);
        let connected = program.said("bot", "connected");
        assert_eq!(connected[0]["direct_tls"], true, "{connected:?}");
        assert_eq!(program.said("bot", "online")[0]["mechanism"], kind.mechanism("SHA-1"));
        assert!(program.stop().success());
    }
}

/// XEP-0175: the address comes from the server with each session, and scripts and people see that one.
#[test]
fn who_logs_in_as_nobody_is_somebody_else_each_time() {
    let bed = Bed::lend(Kind::Prosody);
    bed.add("one.test", &["nobody-ann"]);
    let config = format!(
        "version: 1\nstorage: ./data\nscripts: {{ echo: scripts/echo.rhai }}\n\
         bots:\n  bot: {{ scripts: [echo], jid: anon.one.test, anonymous: true, server: {}, tls: {{ ca: CA }} }}\n\
         log: {{ format: json, level: debug }}\n",
        bed.kind.address()
    );
    let project = Project::new(bed.project_folder(), &bed.ca(), &config);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let program = project.run();
        program.wait_online(1);
        let online = program.said("bot", "online").remove(0);
        assert_eq!(online["mechanism"], "ANONYMOUS");
        let jid = online["jid"].as_str().expect("a field of this line").to_owned();
        assert!(jid.contains("@anon.one.test/"), "{jid}");
        assert!(!seen.contains(&jid), "{jid} again");
        let mut ann = Person::login(bed.kind.address(), &bed.ca(), "nobody-ann@one.test", "pw");
        ann.say(&jid, "hello");
        ann.wait_for("the echo", |heard| heard["from"] == jid.as_str() && heard["message"] == "hello");
        seen.push(jid);
        assert!(program.stop().success());
    }
}

#[test]
fn the_login_is_bound_as_the_configuration_says() {
    for (kind, wish, expected) in [
        (Kind::Prosody, "prefer", Some("SCRAM-SHA-1-PLUS")),
        (Kind::Prosody, "never", Some("SCRAM-SHA-1")),
        (Kind::Prosody, "require", Some("SCRAM-SHA-1-PLUS")),
        // 23.01 offers no list of types, and what it takes is not in TLS 1.3.
        (Kind::Ejabberd, "require", None),
    ] {
        let bed = Bed::lend(kind);
        bed.add("one.test", &[&format!("bound-{wish}")]);
        let project = one_bot(
            &bed,
            &format!(
                "jid: bound-{wish}@one.test, channel_binding: {wish}, server: {}, tls: {{ ca: CA }}",
                kind.address()
            ),
        );
        let program = project.run();
        match expected {
            Some(mechanism) => {
                program.wait_online(1);
                assert_eq!(program.said("bot", "online")[0]["mechanism"], mechanism, "{kind:?} {wish}");
            }
            None => watch::until("the refusal", Duration::from_secs(20), || {
                let log = program.log();
                let refused = log.iter().any(|line| {
                    line["detail"].as_str().is_some_and(|it| it.contains("channel binding is required"))
                });
                if refused { Ok(()) } else { Err(format!("{log:?}")) }
            }),
        }
        assert!(program.stop().success());
    }
}

/// One bot with the shipped echo and reminder scripts.
fn one_bot(bed: &Bed, way: &str) -> Project {
    let config = format!(
        "version: 1\n\
         storage: ./data\n\
         scripts: {{ echo: scripts/echo.rhai, reminder: scripts/reminder.rhai }}\n\
         bots:\n  bot: {{ scripts: [echo, reminder], password: {{ file: secrets/bot }}, {way} }}\n\
         log: {{ format: json, level: debug }}\n"
    );
    let project = Project::new(bed.project_folder(), &bed.ca(), &config);
    project.secret("bot", "pw");
    project
}

/// What each answer to the roster request said.
fn unchanged(program: &crate::support::program::Program<'_>) -> Vec<bool> {
    let lines = program.log().into_iter().filter(|line| line["message"] == "roster");
    lines.map(|line| line["unchanged"].as_bool().expect("a field of this line")).collect()
}
