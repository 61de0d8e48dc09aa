//! Rooms on foreign servers, XEP-0045: getting in, staying in, and being told to go.

use std::time::Duration;

use serde_json::Value;

use crate::support::bed::{BOTH, Bed, Kind, Lent};
use crate::support::person::Person;
use crate::support::program::{LOGIN, Program, Project, account};
use crate::support::watch;

const SCRIPT: &str = r#"
on("mention", |m| m.reply(`${m.nick} is ${m.role} and ${m.affiliation}, and said: ${m.text}`));
on("room", |m| if m.text == "again" { m.reply("again"); });
on("pm", |m| m.reply(`psst: ${m.text}`));
on("room:join", |e| room(e.room).say(`welcome ${e.nick}`));
on("message", |m| {
    let words = m.text.split(" ");
    let den = room(words[1]);
    switch words[0] {
        "say" => den.say("told to say this"),
        "kick" => den.kick(words[2], "told to"),
        "ban" => den.ban(words[2], "told to"),
        "list" => m.reply(den.occupants().map(|who| who.nick).join(",")),
    }
});
on("bounce", |b| bot::send("ANN", `bounced: ${b.condition}`));
"#;

#[test]
fn a_bot_joins_talks_hears_its_nick_and_answers_nothing_twice() {
    for kind in BOTH {
        let place = Place::new(kind, "talk");
        let mut ann = place.owner();
        let project = place.project("create: false");
        let program = project.run();
        place.wait_in(&program);
        ann.raw(&place.talk("Helper: hello"));
        ann.wait_for_text(&place.room, "the answer", |text| {
            text == "Ann is moderator and owner, and said: hello"
        });
        ann.raw(&place.talk("again"));
        ann.wait_for_text(&place.room, "its own", |text| text == "again");
        watch::until("the bot's", Duration::from_secs(10), || {
            let count = ann.texts_from(&place.room).iter().filter(|text| *text == "again").count();
            if count == 2 { Ok(()) } else { Err(count) }
        });
        watch::never("it hears itself", Duration::from_secs(2), || {
            let texts = ann.texts_from(&place.room);
            (texts.iter().filter(|text| *text == "again").count() > 2).then(|| format!("{texts:?}"))
        });
        ann.raw(&format!("<message to='{}/Helper' type='chat'><body>hush</body></message>", place.room));
        ann.wait_for_text(&place.room, "the whisper", |text| text == "psst: hush");
        ann.ask(&place.bot, &format!("list {}", place.room), |text| text == "Ann,Helper");

        let mut bob = place.person("bob");
        bob.raw(&place.join("Bob"));
        bob.wait_for_text(&place.room, "the greeting", |text| text == "welcome Bob");
        // He is no moderator: his address is hidden from the bot, who is none either.
        ann.say(&place.bot, &format!("kick {} Bob", place.room));
        ann.wait_for_text(&place.bot, "the refusal", |text| {
            text == "bounced: forbidden" || text == "bounced: not-allowed"
        });
        ann.raw(&place.admin(&format!("<item affiliation='admin' jid='{}'/>", place.bot)));
        watch::until("the bot is a moderator", Duration::from_secs(10), || {
            ann.say(&place.bot, &format!("kick {} Bob", place.room));
            let gone = bob.heard().iter().any(|heard| {
                heard["presence"] == "unavailable" && heard["from"] == format!("{}/Bob", place.room)
            });
            if gone {
                Ok(())
            } else {
                std::thread::yield_now();
                Err("bob is there")
            }
        });
    }
}

#[test]
fn whatever_takes_it_out_it_comes_back() {
    for kind in BOTH {
        let place = Place::new(kind, "loss");
        let mut ann = place.owner();
        let project = place.project("create: true");
        let program = project.run();
        place.wait_in(&program);

        ann.raw(&place.admin("<item nick='Helper' role='none'><reason>enough</reason></item>"));
        place.wait_state(&program, "kicked", |state| state.starts_with("lost: kicked"));
        assert_eq!(
            place.lost(&program).last().map(|line| line["code"].clone()),
            Some(307.into()),
            "{kind:?}"
        );
        place.wait_in(&program);

        let destroy = "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy><reason>over</reason></destroy></query>";
        ann.raw(&format!("<iq type='set' id='d' to='{}'>{destroy}</iq>", place.room));
        place.wait_state(&program, "destroyed", |state| state.starts_with("lost: the room was destroyed"));
        place.make(&mut ann);
        place.wait_in(&program);

        // The one before holds the seat when the next begins: it is the same account, so it gets the same nick.
        program.kill();
        let program = project.run();
        place.wait_in(&program);
        assert_eq!(place.standing(&program)["nick"], "Helper", "{kind:?}");

        place.bed.stop();
        program.wait_until("the bot noticed", LOGIN, |status| status["bots"]["online"] == 0);
        place.bed.start_again();
        program.wait_online(1);
        place.wait_in(&program);
    }
}

#[test]
fn a_ban_is_for_good_and_a_taken_nick_is_none() {
    for kind in BOTH {
        let place = Place::new(kind, "ban");
        let mut ann = place.owner();
        let mut bob = place.person("bob");
        bob.raw(&place.join("Helper"));
        bob.wait_for("bob has the nick", |heard| heard["from"] == format!("{}/Helper", place.room));
        let project = place.project("create: false");
        let program = project.run();
        place.wait_in(&program);
        assert_eq!(place.standing(&program)["nick"], "Helper_", "{kind:?}");
        bob.raw(&format!("<presence to='{}/Helper' type='unavailable'/>", place.room));
        watch::until("the nick that it wanted", Duration::from_secs(10), || {
            let nick = place.standing(&program)["nick"].clone();
            if nick == "Helper" { Ok(()) } else { Err(nick) }
        });

        ann.raw(
            &place.admin(&format!(
                "<item affiliation='outcast' jid='{}'><reason>go</reason></item>",
                place.bot
            )),
        );
        place.wait_state(&program, "banned", |state| state.starts_with("stopped: banned"));
        // What is said there now comes back instead of waiting for ever.
        ann.say(&place.bot, &format!("say {}", place.room));
        ann.wait_for_text(&place.bot, "the bounce", |text| text == "bounced: not-acceptable");
        watch::never("it comes back", Duration::from_secs(3), || {
            let state = place.standing(&program)["state"].clone();
            (!state.as_str().unwrap_or_default().starts_with("stopped")).then(|| state.to_string())
        });
    }
}

#[test]
fn passwords_and_members_are_told_apart_and_a_reload_helps() {
    for kind in BOTH {
        let place = Place::new(kind, "door");
        let mut ann = place.owner();
        place.configure(&mut ann, &[("passwordprotectedroom", "1"), ("roomsecret", "sesame")]);
        let project = place.project("create: false");
        let program = project.run();
        place.wait_state(&program, "without password", |state| {
            state.starts_with("lost: the password is wrong")
        });
        // What is said meanwhile waits.
        ann.say(&place.bot, &format!("say {}", place.room));
        program.wait_until("a message waits", LOGIN, |status| status["messages"]["queued"] == 1);
        project.secret("room", "sesame");
        project.write("bots.yaml", &place.config("create: false, password: { file: secrets/room }"));
        program.reload();
        place.wait_in(&program);
        ann.wait_for_text(&place.room, "what waited", |text| text == "told to say this");
        assert_eq!(program.account("bot")["connects"], 1, "{kind:?}: a room costs no connection");
        drop(program);

        place
            .configure(&mut ann, &[("passwordprotectedroom", "0"), ("roomsecret", ""), ("membersonly", "1")]);
        let program = project.run();
        place.wait_state(&program, "no member", |state| {
            state.starts_with("stopped: the room is for members only")
        });
        ann.raw(&place.admin(&format!("<item affiliation='member' jid='{}'/>", place.bot)));
        let output = project.command(&["reconnect", "bot"]);
        assert!(output.status.success(), "{output:?}");
        place.wait_in(&program);
    }
}

/// XEP-0198 §5 over two processes: the room sees nobody leave or come, and what was said in between is answered once.
#[test]
fn an_upgrade_is_seen_by_nobody_in_the_room() {
    for kind in BOTH {
        let place = Place::new(kind, "upgrade");
        let mut ann = place.owner();
        let project = place.project("create: false");
        let first = project.run();
        place.wait_in(&first);
        let before = ann.heard().len();
        assert!(first.suspend().success());
        ann.raw(&place.talk("Helper: meanwhile"));
        let second = project.run();
        place.wait_in(&second);
        assert_eq!(second.account("bot")["resumed"], true, "{kind:?}");
        ann.wait_for_text(&place.room, "the answer", |text| text.ends_with("and said: meanwhile"));
        ann.raw(&place.talk("Helper: again"));
        ann.wait_for_text(&place.room, "the next answer", |text| text.ends_with("and said: again"));
        let helper = format!("{}/Helper", place.room);
        let heard = ann.heard();
        let left =
            heard[before..].iter().filter(|it| it["presence"] == "unavailable" && it["from"] == helper);
        assert_eq!(left.count(), 0, "{kind:?}");
        let answers = ann.texts_from(&place.room);
        let count = answers.iter().filter(|text| text.ends_with("said: meanwhile")).count();
        assert_eq!(count, 1, "{kind:?}: {answers:?}");
        assert!(second.stop().success());
    }
}

/// A room of this test's own on one server, and who goes there.
struct Place {
    bed: Lent,
    name: &'static str,
    room: String,
    bot: String,
}

impl Place {
    fn new(kind: Kind, name: &'static str) -> Self {
        let bed = Bed::lend(kind);
        let names = ["ann", "bob", "bot"].map(|who| format!("{name}-{who}"));
        bed.add("one.test", &names.each_ref().map(String::as_str));
        let room = format!("rooms-{name}@conference.one.test");
        Self { bed, name, room, bot: format!("{name}-bot@one.test") }
    }

    fn person(&self, who: &str) -> Person {
        let jid = format!("{}-{who}@one.test", self.name);
        Person::login(self.bed.kind.address(), &self.bed.ca(), &jid, "pw")
    }

    /// Ann, who has made the room.
    fn owner(&self) -> Person {
        let mut ann = self.person("ann");
        self.make(&mut ann);
        ann
    }

    fn make(&self, ann: &mut Person) {
        let before = ann.heard().len();
        ann.raw(&self.join("Ann"));
        let own = format!("{}/Ann", self.room);
        watch::until("ann is in", Duration::from_secs(10), || {
            let heard = ann.heard();
            let there =
                heard[before..].iter().any(|heard| heard["presence"] == "available" && heard["from"] == own);
            if there { Ok(()) } else { Err(Value::from(heard).to_string()) }
        });
        self.configure(ann, &[]);
    }

    fn configure(&self, ann: &mut Person, fields: &[(&str, &str)]) {
        let fields: String = fields
            .iter()
            .map(|(name, value)| format!("<field var='muc#roomconfig_{name}'><value>{value}</value></field>"))
            .collect();
        let form = "<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>";
        ann.raw(&format!(
            "<iq type='set' id='c' to='{}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
             <x xmlns='jabber:x:data' type='submit'>{form}{fields}</x></query></iq>",
            self.room
        ));
    }

    fn join(&self, nick: &str) -> String {
        format!("<presence to='{}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>", self.room)
    }

    fn talk(&self, text: &str) -> String {
        format!("<message to='{}' type='groupchat'><body>{text}</body></message>", self.room)
    }

    fn admin(&self, item: &str) -> String {
        format!(
            "<iq type='set' id='a' to='{}'><query xmlns='http://jabber.org/protocol/muc#admin'>{item}</query></iq>",
            self.room
        )
    }

    fn config(&self, room: &str) -> String {
        format!(
            "version: 1\nstorage: ./data\nscripts: {{ den: scripts/den.rhai }}\n\
             bots:\n  bot:\n    jid: {}\n    server: {}\n    tls: {{ ca: {} }}\n    password: {{ file: secrets/bot }}\n    \
             scripts: [den]\n    rooms: [{{ jid: {}, nick: Helper, {room} }}]\n    limits: {{ send: {{ rate: none }} }}\n\
             log: {{ format: json, level: debug }}\n",
            self.bot,
            self.bed.kind.address(),
            self.bed.ca().display(),
            self.room
        )
    }

    fn project(&self, room: &str) -> Project {
        let project = Project::new(self.bed.project_folder(), &self.bed.ca(), &self.config(room));
        let ann = format!("{}-ann@one.test", self.name);
        project.write("scripts/den.rhai", &SCRIPT.replace("ANN", &ann));
        project.secret("bot", "pw");
        project
    }

    fn standing(&self, program: &Program<'_>) -> Value {
        program.account("bot")["rooms"][0].clone()
    }

    fn wait_in(&self, program: &Program<'_>) {
        self.wait_state(program, "in", |state| state == "in");
    }

    fn wait_state(&self, program: &Program<'_>, what: &str, fits: impl Fn(&str) -> bool) {
        program.wait_until(&format!("{:?}: {what}", self.bed.kind), LOGIN, |status| {
            fits(account(status, "bot")["rooms"][0]["state"].as_str().unwrap_or_default())
        });
    }

    /// The log lines about losing a room.
    fn lost(&self, program: &Program<'_>) -> Vec<Value> {
        let mut lines = program.log();
        lines.retain(|line| line["message"] == "out of a room");
        lines
    }
}
