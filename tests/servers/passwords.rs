//! A wrong password costs one try, and a right one is taken without disturbing the others.

use std::time::Duration;

use crate::support::bed::{BOTH, Bed};
use crate::support::program::{LOGIN, Project, account, connects};
use crate::support::proxy::Proxy;
use crate::support::watch;

const WRONG: &str = "bot-07";
/// The usual back-off begins with 1 to 3 s: whoever retries does it within this time.
const SILENCE: Duration = Duration::from_secs(5);

#[test]
fn a_wrong_password_is_tried_once_and_a_reload_brings_the_right_one() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        let proxy = Proxy::start(kind.address());
        let config = format!(
            "version: 1\nstorage: ./data\nscripts: {{ echo: scripts/echo.rhai }}\n\
             templates:\n  all: {{ server: {}, tls: {{ ca: CA }}, scripts: [echo] }}\n\
             accounts_files:\n  \
             - {{ file: bots.csv, template: all, jid: \"{{name}}@one.test\", password: {{ file: \"secrets/{{name}}\" }} }}\n\
             login: {{ pace: none, jitter: 0s }}\nlog: {{ format: json, level: debug }}\n",
            proxy.address()
        );
        let project = Project::new(bed.project_folder(), &bed.ca(), &config);
        let accounts: Vec<(String, String)> =
            (1..=20).map(|number| (format!("bot-{number:02}"), format!("pw-{number}"))).collect();
        bed.register("one.test", &accounts);
        let rows: String = accounts.iter().map(|(name, _)| format!("{name}\n")).collect();
        project.write("bots.csv", &format!("name\n{rows}"));
        for (name, password) in &accounts {
            project.secret(name, if name == WRONG { "not this one" } else { password });
        }

        let program = project.run();
        let settled = program.wait_until("19 are online and one is refused", LOGIN, |status| {
            status["bots"]["online"] == 19 && status["bots"]["refused"] == 1
        });
        let refused = account(&settled, WRONG);
        assert_eq!((&refused["state"], &refused["connects"]), (&"refused".into(), &0.into()), "{refused}");
        assert!(refused["detail"].as_str().is_some_and(|why| why.contains("not-authorized")), "{refused}");
        watch::never("another try", SILENCE, || {
            (proxy.accepted() != 20).then(|| format!("{} connections", proxy.accepted()))
        });
        let told = "refused: this account waits for a changed configuration";
        assert_eq!(program.said(WRONG, told).len(), 1, "told once");

        project.secret(WRONG, "pw-7");
        program.reload();
        let after = program.wait_online(20);
        assert_eq!(proxy.accepted(), 21, "one more connection, that of {WRONG}");
        let (mut before, mut after) = (connects(&settled), connects(&after));
        assert_eq!((before.remove(WRONG), after.remove(WRONG)), (Some(0), Some(1)));
        assert_eq!(before, after, "the other 19 were not touched");
    }
}
