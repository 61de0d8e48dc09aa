//! Two hundred and fifty addresses over one component stream (XEP-0114), through what happens to it.

use std::time::Duration;

use serde_json::Value;

use crate::support::bed::{BOTH, Bed, Kind};
use crate::support::person::Person;
use crate::support::program::{Program, Project};

/// Addresses of the range.
const ADDRESSES: usize = 250;
/// After a shutdown the component stays away for 5 to 30 s, and further tries back off.
const RESTART: Duration = Duration::from_secs(90);
/// How long a refusal may take to be known.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn two_hundred_and_fifty_addresses_answer_over_one_stream_and_return_after_a_restart() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        let project = project(&bed, "bots-secret", "");
        bed.register("one.test", &[("visitor".to_owned(), "pw-person".to_owned())]);
        let program = project.run();
        program.wait_online(ADDRESSES as u64 + 1);
        let mut ann = Person::login(bed.kind.address(), &bed.ca(), "visitor@one.test", "pw-person");
        everybody_answers(&mut ann, "hello");
        ann.ask("shop-001@bots.one.test", "!roll 2d6", |heard| heard.starts_with("2d6: "));
        ann.ask("shop-250@bots.one.test", "!remind 1s tea", |heard| heard.starts_with('#'));
        ann.wait_for_text("shop-250@bots.one.test", "the reminder", |heard| heard.ends_with(": tea"));
        one_failure_leaves_the_others(&mut ann);
        a_subscription_is_kept(&mut ann);
        an_unknown_address_is_told(&mut ann);
        assert_eq!(online_lines(&program).len(), 1, "one stream for all");
        drop(ann);

        bed.stop();
        program.wait_until("everybody noticed", RESTART, |status| status["bots"]["online"] == 0);
        bed.start_again();
        let all = |status: &Value| status["bots"]["online"] == ADDRESSES as u64 + 1;
        program.wait_until("all are back", RESTART, all);
        let mut ann = Person::login(bed.kind.address(), &bed.ca(), "visitor@one.test", "pw-person");
        everybody_answers(&mut ann, "again");
        // What was granted before is remembered here: no server keeps this roster.
        ann.wait_for("the presence of a bot that was subscribed to", |stanza| {
            let from = stanza["from"].as_str().unwrap_or_default();
            from.starts_with("shop-007@bots.one.test/") && stanza["presence"] == "available"
        });
        assert!(program.stop().success(), "an orderly end is exit code 0");
    }
}

#[test]
fn a_wrong_secret_is_told_once_and_mended_by_a_reload() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        let project = project(&bed, "wrong", "");
        let program = project.run();
        let refused = |status: &Value| status["bots"]["refused"] == ADDRESSES as u64 + 1;
        let status = program.wait_until("all refused", SOON, refused);
        let detail = status["accounts"][0]["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains("refuses the component's secret"), "{kind:?}: {detail}");
        let told = program
            .log()
            .into_iter()
            .filter(|line| line["level"].as_str().is_some_and(|it| it.eq_ignore_ascii_case("error")))
            .count();
        assert_eq!(told, 1, "{kind:?}: the operator hears of it once, not for each address");
        project.secret("component", "bots-secret");
        program.reload();
        program.wait_online(ADDRESSES as u64 + 1);
        assert!(program.stop().success());
    }
}

/// ejabberd takes a second connection and spreads stanzas over both (protocol K-4): only Prosody refuses.
#[test]
fn a_second_process_is_refused_by_name() {
    let bed = Bed::lend(Kind::Prosody);
    let first = project(&bed, "bots-secret", "");
    let program = first.run();
    program.wait_online(ADDRESSES as u64 + 1);
    let second = project(&bed, "bots-secret", "second");
    let other = second.run();
    let refused = |status: &Value| status["bots"]["refused"] == ADDRESSES as u64 + 1;
    let status = other.wait_until("the second is refused", SOON, refused);
    let detail = status["accounts"][0]["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.contains("another connection serves the component's domain"), "{detail}");
    assert_eq!(program.status()["bots"]["online"], ADDRESSES as u64 + 1);
    assert!(other.stop().success() && program.stop().success());
}

fn project(bed: &Bed, secret: &str, folder: &str) -> Project {
    let port = match bed.kind {
        Kind::Ejabberd => 25347,
        Kind::Prosody => 15347,
    };
    let config = format!(
        "version: 1\n\
         storage: ./data\n\
         scripts: {{ echo: scripts/echo.rhai, dice: scripts/dice.rhai, reminder: scripts/reminder.rhai, bad: scripts/bad.rhai }}\n\
         templates:\n  shop: {{ scripts: [echo, dice, reminder], accept: all, limits: {{ turn: 10s, send: {{ rate: none }} }} }}\n\
         components:\n  gateway:\n    domain: bots.one.test\n    server: 127.0.0.1:{port}\n    \
         secret: {{ file: secrets/component }}\n    template: shop\n    addresses: [\"shop-{{001..{ADDRESSES}}}\"]\n\
         bots:\n  bad: {{ jid: bad@bots.one.test, component: gateway, scripts: [bad] }}\n\
         log: {{ format: json, level: info }}\n"
    );
    let project = Project::new(bed.project_folder().join(folder), &bed.ca(), &config);
    project.secret("component", secret);
    project.write("scripts/bad.rhai", "on(\"message\", |m| { throw \"bad\"; });\n");
    project
}

fn names() -> impl Iterator<Item = String> {
    (1..=ADDRESSES).map(|number| format!("shop-{number:03}@bots.one.test"))
}

fn everybody_answers(ann: &mut Person, text: &str) {
    for name in names() {
        ann.say(&name, &format!("{text} {name}"));
    }
    for name in names() {
        let wanted = format!("{text} {name}");
        ann.wait_for_text(&name, &wanted, |heard| heard == wanted);
    }
}

/// The script of one address throws on every message; the others do not notice.
fn one_failure_leaves_the_others(ann: &mut Person) {
    for _ in 0..20 {
        ann.say("bad@bots.one.test", "hello");
    }
    ann.ask("shop-002@bots.one.test", "still there", |heard| heard == "still there");
}

fn a_subscription_is_kept(ann: &mut Person) {
    ann.subscribe("shop-007@bots.one.test");
    ann.wait_for("the presence of the bot", |stanza| {
        let from = stanza["from"].as_str().unwrap_or_default();
        from.starts_with("shop-007@bots.one.test/") && stanza["presence"] == "available"
    });
}

fn an_unknown_address_is_told(ann: &mut Person) {
    ann.raw("<message to='nobody@bots.one.test' id='n1' type='chat' xmlns='jabber:client'><body>x</body></message>");
    ann.wait_for("an error", |stanza| {
        stanza["from"] == "nobody@bots.one.test" && stanza["bounce"] == "item-not-found"
    });
}

fn online_lines(program: &Program<'_>) -> Vec<Value> {
    program.log().into_iter().filter(|line| line["message"] == "component online").collect()
}
