//! Commands from the menu of slixmpp, through both servers.

use serde_json::{Value, json};

use crate::support::bed::{BOTH, Bed};
use crate::support::person::Person;
use crate::support::program::Project;

const BOT: &str = "menu-bot@one.test/desk";
const SCRIPT: &str = r##"
command("roll <sides:int> [way:choice(high|low)=high] [loud:bool]", "Roll dice", |m, a| {
    m.reply(`rolled ${a.sides} ${a.way} ${a.loud} æ`);
});
command("wipe", #{ help: "Wipe it", allow: ["admin"], confirm: true }, |m| m.reply("wiped"));
command("hush", #{ hidden: true }, |m| m.reply("psst"));
"##;

#[test]
fn f2_slixmpp_finds_fills_and_completes_commands() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        bed.add("one.test", &["menu-bot", "menu-ann"]);
        bed.add("two.test", &["menu-ben"]);
        let config = format!(
            "version: 1\nstorage: ./data\nscripts: {{ menu: scripts/menu.rhai }}\n\
             bots:\n  bot: {{ jid: menu-bot@one.test, resource: desk, server: {}, tls: {{ ca: CA }}, \
             password: {{ file: secrets/bot }}, scripts: [menu], admins: [menu-ann@one.test] }}\n\
             log: {{ format: json, level: debug }}\n",
            kind.address()
        );
        let project = Project::new(bed.project_folder(), &bed.ca(), &config);
        project.write("scripts/menu.rhai", SCRIPT);
        project.secret("bot", "pw");
        let program = project.run();
        program.wait_online(1);

        let mut ann = Person::login(kind.address(), &bed.ca(), "menu-ann@one.test", "pw");
        let mut ben = Person::login(kind.address(), &bed.ca(), "menu-ben@two.test", "pw");
        let menu = |of: &mut Person| of.commands(BOT)["commands"].clone();
        assert_eq!(menu(&mut ann), json!([["roll", "Roll dice"], ["wipe", "Wipe it"]]));
        assert_eq!(menu(&mut ben), json!([["roll", "Roll dice"]]));

        let form = ben.command(BOT, json!({ "node": "roll", "action": "execute" }));
        let fields = json!([
            ["sides", "text-single", true, null],
            ["way", "list-single", false, "high"],
            ["loud", "boolean", false, null]
        ]);
        assert_eq!((&form["status"], &form["fields"]), (&json!("executing"), &fields), "{form}");
        let values = json!({ "sides": "six", "way": "low", "loud": true });
        let filled = |session: &Value, values: &Value| json!({ "node": "roll", "action": "complete", "session": session, "values": values });
        let thief = ann.command(BOT, filled(&form["session"], &values));
        assert_eq!(thief["error"], "bad-request", "{thief}");
        let wrong = ben.command(BOT, filled(&form["session"], &values));
        assert_eq!(wrong["notes"], json!([["error", "`sides` is a whole number, not `six`"]]), "{wrong}");
        let values = json!({ "sides": "6", "way": "low", "loud": true });
        let done = ben.command(BOT, filled(&form["session"], &values));
        assert_eq!(done["status"], "completed", "{done}");
        assert_eq!(done["notes"], json!([["info", "rolled 6 low true æ"]]));

        let refused = ben.command(BOT, json!({ "node": "wipe", "action": "execute" }));
        assert_eq!(refused["error"], "forbidden", "{refused}");
        let refused = ben.command(BOT, json!({ "node": "hush", "action": "execute" }));
        assert_eq!(refused["error"], "item-not-found", "{refused}");
        let sure = ann.command(BOT, json!({ "node": "wipe", "action": "execute" }));
        assert_eq!(sure["notes"], json!([["warn", "Really !wipe?"]]), "{sure}");
        let go = json!({ "node": "wipe", "action": "complete", "session": sure["session"] });
        assert_eq!(ann.command(BOT, go)["notes"], json!([["info", "wiped"]]));
        assert!(program.stop().success());
    }
}
