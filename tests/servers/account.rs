//! Accounts that the program makes on foreign servers, and their passwords.

use std::fs;

use crate::support::bed::{BOTH, Bed};
use crate::support::person::Person;
use crate::support::program::Project;
use crate::support::watch::{self, words};

const BOT: &str = "made-bot@one.test";

#[test]
fn f3_an_account_is_registered_gets_another_password_and_logs_in_with_it() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        let config = format!(
            "version: 1\nstorage: ./data\nscripts: {{ echo: scripts/echo.rhai }}\n\
             bots:\n  bot: {{ jid: {BOT}, server: {}, tls: {{ ca: CA }}, password: {{ file: secrets/bot }}, \
             scripts: [echo] }}\nlog: {{ format: json, level: debug }}\n",
            kind.address()
        );
        let folder = bed.project_folder();
        let project = Project::new(folder.clone(), &bed.ca(), &config);
        let file = folder.join("secrets/bot");
        let (file_name, server, ca) = (file.display().to_string(), kind.address().to_string(), bed.ca());
        let ca = ca.display().to_string();
        let register =
            ["account", "register", BOT, "--server", &server, "--ca", &ca, "--password-file", &file_name];
        let made = project.command(&register);
        assert!(made.status.success(), "{kind:?}: {}", words(&made));
        let first = fs::read_to_string(&file).expect("kept");

        let mut twice = register;
        let other = folder.join("secrets/other").display().to_string();
        twice[8] = &other;
        let refused = project.command(&twice);
        assert!(
            !refused.status.success() && words(&refused).contains("conflict"),
            "{kind:?}: {}",
            words(&refused)
        );
        assert!(!folder.join("secrets/other").exists());

        let program = project.run();
        program.wait_online(1);
        let changed = project.command(&["account", "password", "bot"]);
        assert!(changed.status.success(), "{kind:?}: {}", words(&changed));
        let second = fs::read_to_string(&file).expect("kept");
        assert_ne!(first, second);
        assert!(project.command(&["reconnect", "bot"]).status.success());
        program.wait_until("it logs in with the new one", watch_login(), |status| {
            status["accounts"][0]["connects"] == 2 && status["bots"]["online"] == 1
        });
        assert!(program.stop().success());
        let person = Person::login(kind.address(), &bed.ca(), BOT, second.trim());
        drop(person);
        let log = fs::read_to_string(folder.join("log.json")).expect("a log");
        for secret in [first.trim(), second.trim()] {
            assert!(!log.contains(secret), "{kind:?}");
        }

        // Nobody has told the server yet: the next login does.
        fs::write(folder.join("secrets/bot.next"), "another-one-4711\n").expect("writable");
        let program = project.run();
        program.wait_online(1);
        watch::until("the file has it", std::time::Duration::from_secs(20), || {
            let kept = fs::read_to_string(&file).expect("kept");
            if kept == "another-one-4711\n" { Ok(()) } else { Err("not yet") }
        });
        assert!(program.stop().success());
    }
}

fn watch_login() -> std::time::Duration {
    crate::support::program::LOGIN
}
