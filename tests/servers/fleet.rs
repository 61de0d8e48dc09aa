//! Forty accounts on two domains in one process, through everything that happens to a fleet.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::bed::{BOTH, Bed, Kind};
use crate::support::person::Person;
use crate::support::program::{Program, Project, connects};
use crate::support::proxy::Proxy;

/// Accounts on each domain.
const EACH: usize = 20;
/// The domains, the hash that their servers store, and who talks to the bots there.
const DOMAINS: [(&str, &str, &str, &str); 2] =
    [("one", "one.test", "SHA-1", "ann@one.test"), ("two", "two.test", "SHA-256", "ben@two.test")];
/// After a shutdown the accounts stay away for 5 to 30 s, and further tries back off.
const RESTART: Duration = Duration::from_secs(90);

#[test]
fn forty_accounts_on_two_domains_answer_resume_after_a_cut_and_return_after_a_restart() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        let proxy = Proxy::start(bed.kind.address());
        let project = fleet(&bed, &proxy);
        let program = project.run();
        timed(kind, "log in", || log_in(kind, &program));
        answer(&bed);
        timed(kind, "notice the cut and resume", || resume(&program, &proxy));
        answer_once(&bed, "after the cut");
        timed(kind, "return after a restart", || restart(&bed, &program));
        answer_once(&bed, "after the restart");
        assert!(program.stop().success(), "an orderly end is exit code 0");
    }
}

/// The same echo, command and timer scripts for everybody.
fn fleet(bed: &Bed, proxy: &Proxy) -> Project {
    let config = format!(
        "version: 1\n\
         storage: ./data\n\
         scripts: {{ echo: scripts/echo.rhai, dice: scripts/dice.rhai, reminder: scripts/reminder.rhai }}\n\
         templates:\n  fleet:\n    server: {}\n    tls: {{ ca: CA }}\n    scripts: [echo, dice, reminder]\n    \
         limits: {{ send: {{ rate: none }} }}\n\
         accounts_files:\n  \
         - {{ file: one.csv, template: fleet, jid: \"{{name}}@one.test\", password: {{ file: \"secrets/{{name}}\" }} }}\n  \
         - {{ file: two.csv, template: fleet, jid: \"{{name}}@two.test\", password: {{ file: \"secrets/{{name}}\" }} }}\n\
         login: {{ pace: none, jitter: 0s }}\n\
         log: {{ format: json, level: debug }}\n",
        proxy.address()
    );
    let project = Project::new(bed.project_folder(), &bed.ca(), &config);
    for (short, domain, _, person) in DOMAINS {
        let mut accounts: Vec<(String, String)> =
            names(short).map(|name| (name.clone(), format!("pw-{name}"))).collect();
        let rows: String = accounts.iter().map(|(name, _)| format!("{name}\n")).collect();
        project.write(&format!("{short}.csv"), &format!("name\n{rows}"));
        for (name, password) in &accounts {
            project.secret(name, password);
        }
        let localpart = person.split('@').next().expect("an address has one");
        accounts.push((localpart.to_owned(), "pw-person".to_owned()));
        bed.register(domain, &accounts);
    }
    project
}

fn names(short: &str) -> impl Iterator<Item = String> {
    (1..=EACH).map(move |number| format!("{short}-{number:02}"))
}

/// Everybody comes online, each with the mechanism that fits its domain and server.
fn log_in(kind: Kind, program: &Program<'_>) {
    program.wait_online(2 * EACH as u64);
    for (short, _, hash, _) in DOMAINS {
        for name in names(short) {
            let online = program.said(&name, "online");
            assert_eq!(online.len(), 1, "{name} came online once: {online:?}");
            assert_eq!(online[0]["mechanism"], kind.mechanism(hash), "{name} on {kind:?}");
        }
    }
}

/// Messages, commands and timers are answered on both domains.
fn answer(bed: &Bed) {
    for (short, domain, _, person) in DOMAINS {
        let mut person = Person::login(bed.kind.address(), &bed.ca(), person, "pw-person");
        for name in names(short) {
            person.say(&format!("{name}@{domain}"), &format!("hello {name}"));
        }
        for name in names(short) {
            let text = format!("hello {name}");
            person.wait_for_text(&format!("{name}@{domain}"), &text, |heard| heard == text);
        }
        let first = format!("{short}-01@{domain}");
        person.ask(&first, "!roll 2d6", |heard| heard.starts_with("2d6: "));
        person.ask(&first, "!remind 1s tea", |heard| heard.starts_with('#'));
        person.wait_for_text(&first, "the reminder", |heard| heard.ends_with(": tea"));
        let last = format!("{short}-{EACH:02}@{domain}");
        person.ask(&last, "!reminders", |heard| heard == "None.");
    }
}

/// All connections break at once; every account goes on with its session.
fn resume(program: &Program<'_>, proxy: &Proxy) {
    let before = connects(&program.status());
    proxy.cut();
    program.wait_until("everybody noticed", RESTART, |status| status["bots"]["online"] == 0);
    proxy.mend();
    let status = program.wait_online(2 * EACH as u64);
    for account in status["accounts"].as_array().expect("promised") {
        assert_eq!(account["resumed"], true, "{account}");
    }
    let after = connects(&status);
    assert!(before.iter().all(|(name, count)| after[name] == count + 1), "{before:?}\n{after:?}");
}

/// The server goes down in order and comes back without the sessions it had.
fn restart(bed: &Bed, program: &Program<'_>) {
    bed.stop();
    program.wait_until("everybody noticed", RESTART, |status| status["bots"]["online"] == 0);
    bed.start_again();
    let online = |status: &Value| status["bots"]["online"] == 2 * EACH as u64;
    let status = program.wait_until("all are back", RESTART, online);
    for account in status["accounts"].as_array().expect("promised") {
        assert_eq!((&account["resumed"], &account["restarts"]), (&false.into(), &0.into()), "{account}");
    }
}

/// Figures for those who run this with `--nocapture`.
fn timed(kind: Kind, what: &str, step: impl FnOnce()) {
    let begun = Instant::now();
    step();
    println!("{kind:?}: {} accounts {what}: {:.1} s", 2 * EACH, begun.elapsed().as_secs_f32());
}

fn answer_once(bed: &Bed, text: &str) {
    for (short, domain, _, person) in DOMAINS {
        let mut person = Person::login(bed.kind.address(), &bed.ca(), person, "pw-person");
        for name in names(short) {
            person.say(&format!("{name}@{domain}"), text);
        }
        for name in names(short) {
            person.wait_for_text(&format!("{name}@{domain}"), text, |heard| heard == text);
        }
    }
}
