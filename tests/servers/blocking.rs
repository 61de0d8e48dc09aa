//! Addresses that a script blocks, on both servers.

use crate::support::bed::{BOTH, Bed};
use crate::support::person::Person;
use crate::support::program::Project;

const BOT: &str = "block-bot@one.test";
const SCRIPT: &str = r##"
command("block <who:user>", "Block", |m, a| { bot::block(a.who); m.reply("blocked"); });
command("unblock <who:user>", "Unblock", |m, a| { bot::unblock(a.who); m.reply("unblocked"); });
command("list", "List", |m| bot::blocked(|a| m.reply(`list: ${a.jids}`)));
on("message", |m| m.reply(m.text));
"##;

#[test]
fn x6_what_is_blocked_is_not_heard_until_it_is_unblocked() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        bed.add("one.test", &["block-bot", "block-ann", "block-eve"]);
        let config = format!(
            "version: 1\nstorage: ./data\nscripts: {{ block: scripts/block.rhai }}\n\
             bots:\n  bot: {{ jid: {BOT}, server: {}, tls: {{ ca: CA }}, password: {{ file: secrets/bot }}, \
             scripts: [block] }}\nlog: {{ format: json, level: debug }}\n",
            kind.address()
        );
        let project = Project::new(bed.project_folder(), &bed.ca(), &config);
        project.write("scripts/block.rhai", SCRIPT);
        project.secret("bot", "pw");
        let program = project.run();
        program.wait_online(1);
        let mut ann = Person::login(kind.address(), &bed.ca(), "block-ann@one.test", "pw");
        let mut eve = Person::login(kind.address(), &bed.ca(), "block-eve@one.test", "pw");
        eve.ask(BOT, "one", |heard| heard == "one");
        ann.ask(BOT, "!block block-eve@one.test", |heard| heard == "blocked");
        ann.ask(BOT, "!list", |heard| heard == r#"list: ["block-eve@one.test"]"#);
        eve.say(BOT, "two");
        eve.wait_for("a refusal", |heard| heard["bounce"].is_string());
        ann.ask(BOT, "!unblock block-eve@one.test", |heard| heard == "unblocked");
        ann.ask(BOT, "!list", |heard| heard == "list: []");
        eve.ask(BOT, "three", |heard| heard == "three");
        assert!(!eve.texts_from(BOT).contains(&"two".to_owned()));
        assert!(program.stop().success());
    }
}
