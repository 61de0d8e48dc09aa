//! Replies with quotations, as they pass through both servers.

use crate::support::bed::{BOTH, Bed};
use crate::support::person::Person;
use crate::support::program::Project;

const BOT: &str = "reply-bot@one.test";
const SCRIPT: &str = r##"
command("vote <n:int>", "Vote", |m, a| m.reply(`voted ${a.n} on ${m.reply_to_id}`));
on("message", |m| m.reply("yes", #{ quote: true, spoiler: "a secret", langs: #{ no: "ja" } }));
"##;

#[test]
fn x5_quotations_go_out_and_are_not_taken_as_what_was_said() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        bed.add("one.test", &["reply-bot", "reply-ann"]);
        let config = format!(
            "version: 1\nstorage: ./data\nscripts: {{ vote: scripts/vote.rhai }}\n\
             bots:\n  bot: {{ jid: {BOT}, server: {}, tls: {{ ca: CA }}, password: {{ file: secrets/bot }}, \
             scripts: [vote] }}\nlog: {{ format: json, level: debug }}\n",
            kind.address()
        );
        let project = Project::new(bed.project_folder(), &bed.ca(), &config);
        project.write("scripts/vote.rhai", SCRIPT);
        project.secret("bot", "pw");
        let program = project.run();
        program.wait_online(1);
        let mut ann = Person::login(kind.address(), &bed.ca(), "reply-ann@one.test", "pw");
        ann.ask(BOT, "is it æ?", |heard| heard == "> is it æ?\nyes");
        ann.raw(&format!(
            "<message to='{BOT}' type='chat' id='r1'><body>&gt; yés?\n!vote 2</body>\
             <reply xmlns='urn:xmpp:reply:0' to='{BOT}' id='m7'/>\
             <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='7'/></fallback>\
             </message>"
        ));
        ann.wait_for_text(BOT, "the vote", |heard| heard == "voted 2 on m7");
        assert!(program.stop().success());
    }
}
