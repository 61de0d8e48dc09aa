//! Which certificates are believed: the classes of the test bed, each on a host of its own.

use crate::support::bed::{BOTH, Bed, Kind};
use crate::support::program::{LOGIN, Project, account};

/// Hosts whose certificate must be refused. Prosody shows the one made for the host; ejabberd does so for
/// `expired` and `self`, and shows that of one.test where no certificate fits the name.
const REFUSED: [&str; 5] = ["cnonly", "expired", "self", "srv", "wrong"];

#[test]
fn each_certificate_fault_ends_the_connection_before_the_login_and_a_wildcard_passes() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        let mut config = format!(
            "version: 1\nstorage: ./data\nscripts: {{ echo: scripts/echo.rhai }}\n\
             defaults: {{ server: {}, tls: {{ ca: CA }}, scripts: [echo], password: {{ file: secrets/bot }} }}\n\
             log: {{ format: json, level: debug }}\nlogin: {{ pace: none, jitter: 0s }}\n\
             bots:\n  wild: {{ jid: bot@a.wild.test }}\n",
            kind.address()
        );
        for host in REFUSED {
            config += &format!("  {host}: {{ jid: bot@{host}.test }}\n");
        }
        let project = Project::new(bed.project_folder(), &bed.ca(), &config);
        project.secret("bot", "pw");
        if kind == Kind::Ejabberd {
            bed.add("a.wild.test", &["bot"]);
        }
        let program = project.run();
        let status = program.wait_until("everybody is past TLS or refused", LOGIN, |status| {
            status["bots"]["retrying"] == REFUSED.len() && status["bots"]["connecting"] == 0
        });
        for host in REFUSED {
            let bot = account(&status, host);
            let detail = bot["detail"].as_str().unwrap_or_default();
            assert!(detail.starts_with("certificate refused"), "{kind:?} {host}: {bot}");
            assert_eq!(bot["connects"], 0, "{bot}");
            assert_eq!(program.said(host, "authenticated").len(), 0, "no credentials over such a connection");
        }
        let wild = account(&status, "wild");
        match kind {
            Kind::Ejabberd => assert_eq!(wild["state"], "online", "{wild}"),
            // Its hosts of the certificate faults take any password, and offer PLAIN alone for that. The
            // certificate was taken when the account refuses that mechanism (protocol note, A-5).
            Kind::Prosody => {
                let detail = wild["detail"].as_str().unwrap_or_default();
                assert!(detail.contains("offers only PLAIN"), "{wild}");
            }
        }
    }
}
