//! FAST, XEP-0484: from the second login on a token takes the place of the password.

use crate::support::bed::{Bed, Kind};
use crate::support::person::Person;
use crate::support::program::{Program, Project};

#[test]
fn a_token_takes_the_place_of_the_password_until_the_server_forgets_it() {
    let bed = Bed::lend(Kind::Prosody);
    bed.add("one.test", &["token-bot", "token-ann"]);
    let project = project(&bed, "token-bot");
    let password = bed.kind.mechanism("SHA-1");
    let mut ann = Person::login(bed.kind.address(), &bed.ca(), "token-ann@one.test", "pw");
    for (expected, connections) in [(password.as_str(), 1), (TOKEN, 1), (TOKEN, 1)] {
        let program = project.run();
        program.wait_online(1);
        assert_eq!(logins(&program), [expected]);
        assert_eq!(program.said("bot", "connected").len(), connections);
        ann.ask("token-bot@one.test", "hello", |heard| heard == "hello");
        no_token_is_told(&program);
        assert!(program.stop().success());
    }

    bed.forget_tokens("one.test", "token-bot");
    let program = project.run();
    program.wait_online(1);
    assert_eq!(logins(&program), [password.as_str()], "the password is as good as ever");
    assert_eq!(program.said("bot", "connected").len(), 2);
    let told = program.said("bot", "offline");
    let detail = told[0]["detail"].as_str().unwrap_or_default();
    assert!(detail.starts_with("the server no longer takes the login token: "), "{told:?}");
    ann.ask("token-bot@one.test", "again", |heard| heard == "again");
    assert!(program.stop().success());

    let program = project.run();
    program.wait_online(1);
    assert_eq!(logins(&program), [TOKEN], "it has asked for another one");
    no_token_is_told(&program);
    assert!(program.stop().success());
}

/// Whoever writes a new password into the configuration wants it to be tried.
#[test]
fn a_token_goes_with_the_password_that_it_was_given_for() {
    let bed = Bed::lend(Kind::Prosody);
    bed.add("one.test", &["token-new"]);
    let project = project(&bed, "token-new");
    let program = project.run();
    program.wait_online(1);
    assert!(program.stop().success());
    project.secret("bot", "wrong");
    let program = project.run();
    program.wait_until("the refusal", std::time::Duration::from_secs(20), |status| {
        status["bots"]["online"] == 0 && status.to_string().contains("refused")
    });
    assert!(logins(&program).is_empty());
    assert!(program.stop().success());
    project.secret("bot", "pw");
    let program = project.run();
    program.wait_online(1);
    assert_eq!(logins(&program), [bed.kind.mechanism("SHA-1")]);
    assert!(program.stop().success());
}

/// Prosody with the shim knows `tls-exporter`.
const TOKEN: &str = "HT-SHA-256-EXPR";

fn project(bed: &Bed, name: &str) -> Project {
    let config = format!(
        "version: 1\nstorage: ./data\nscripts: {{ echo: scripts/echo.rhai }}\n\
         bots:\n  bot: {{ scripts: [echo], jid: {name}@one.test, password: {{ file: secrets/bot }}, server: {}, tls: {{ ca: CA }} }}\n\
         log: {{ format: json, level: debug }}\n",
        bed.kind.address()
    );
    let project = Project::new(bed.project_folder(), &bed.ca(), &config);
    project.secret("bot", "pw");
    project
}

/// By what mechanisms the bot has come online.
fn logins(program: &Program<'_>) -> Vec<String> {
    let lines = program.said("bot", "online").into_iter();
    lines.filter_map(|line| line["mechanism"].as_str().map(str::to_owned)).collect()
}

/// What Prosody's tokens begin with is in no line of the log.
fn no_token_is_told(program: &Program<'_>) {
    assert!(program.log().iter().all(|line| !line.to_string().contains("secret-token:")));
}
