//! Files: uploaded to the services of both servers, sent, fetched by others; and files of others, never fetched.

use crate::support::bed::{BOTH, Bed, Kind};
use crate::support::person::{Person, python};
use crate::support::program::Project;
use crate::support::watch::{self, words};

const BOT: &str = "file-bot@one.test";
const FETCH: &str = "import ssl,sys,urllib.request as u\n\
                     context = ssl.create_default_context(cafile=sys.argv[2])\n\
                     sys.stdout.buffer.write(u.urlopen(sys.argv[1], context=context).read())";

#[test]
fn u1_a_file_is_uploaded_sent_and_fetched() {
    for kind in BOTH {
        let port = match kind {
            Kind::Prosody => 15281,
            Kind::Ejabberd => 25281,
        };
        let bed = Bed::lend(kind);
        bed.add("one.test", &["file-bot", "file-ann"]);
        let config = |granted: &str| {
            format!(
                "version: 1\nstorage: ./data\nscripts:\n  notes: {{ file: scripts/notes.rhai, permissions: {{ http: [{granted}] }} }}\n\
                 bots:\n  bot: {{ jid: {BOT}, server: {}, tls: {{ ca: CA }}, password: {{ file: secrets/bot }}, \
                 scripts: [notes] }}\nlog: {{ format: json, level: debug }}\n",
                kind.address()
            )
        };
        // The service lies at 127.0.0.1, which is nobody's business unless the operator says so.
        for granted in [None, Some(port)] {
            let entry = granted.map(|port| format!("\"localhost:{port}\"")).unwrap_or_default();
            let project = Project::new(bed.project_folder(), &bed.ca(), &config(&entry)).trusting(&bed.ca());
            project.write("scripts/notes.rhai", include_str!("../../scripts/notes.rhai"));
            project.secret("bot", "pw");
            let program = project.run();
            program.wait_online(1);
            let mut ann = Person::login(kind.address(), &bed.ca(), "file-ann@one.test", "pw");
            ann.ask(BOT, "!note buy æbler", |heard| heard.contains("note"));
            if granted.is_none() {
                let refused = ann.ask(BOT, "!notes", |heard| heard.starts_with("The server"));
                assert!(refused.contains("private address"), "{refused}");
                assert!(program.stop().success());
                continue;
            }
            let url = ann.ask(BOT, "!notes", |heard| heard.starts_with("https://"));
            let mut fetch = std::process::Command::new(python());
            let fetched = watch::output(fetch.args(["-c", FETCH, &url]).arg(bed.ca()));
            assert!(fetched.status.success(), "{url}: {}", words(&fetched));
            let text = String::from_utf8_lossy(&fetched.stdout).into_owned();
            assert!(text.contains("buy æbler"), "{text}");
            // A file of hers is told with all that is known of it, and not fetched: there is no such host.
            ann.raw(&format!(
                "<message to='{BOT}' type='chat' id='f1'><body>https://nowhere.invalid/a.png</body>\
                 <file-sharing xmlns='urn:xmpp:sfs:0'><file xmlns='urn:xmpp:file:metadata:0'>\
                 <media-type>image/png</media-type><name>../../a.png</name><size>42</size></file>\
                 <sources><url-data xmlns='http://jabber.org/protocol/url-data' target='https://nowhere.invalid/a.png'/>\
                 </sources></file-sharing></message>"
            ));
            ann.wait_for_text(BOT, "what the bot says of the file", |heard| {
                heard == "a.png, image/png, 42 bytes: not fetched."
            });
            assert!(program.stop().success());
        }
    }
}
