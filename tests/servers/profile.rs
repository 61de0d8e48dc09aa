//! What a bot tells of itself, and the bookmarks of its account, on foreign servers.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::support::bed::{BOTH, Bed, Kind};
use crate::support::person::Person;
use crate::support::program::Project;
use crate::support::watch;

/// Asks its own server for what is there.
const MIRROR: &str = r#"
on("message", |m| {
    let ask = switch text::split(m.text, " ")[0] {
        "card" => "<vCard xmlns='vcard-temp'/>",
        "avatar" => "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:metadata'/></pubsub>",
        "nick" => "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='http://jabber.org/protocol/nick'/></pubsub>",
        "private" => "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>",
        _ => "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:bookmarks:1'/></pubsub>",
    };
    bot::iq("get", bot::jid(), ask, |answer| m.reply(m.text + ": " + if answer.ok { `${answer.xml}` } else { answer.error }));
});
"#;

#[test]
fn p7_p8_the_profile_is_there_on_both_servers_and_published_once() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        bed.add("one.test", &["profile-bot", "profile-ann"]);
        let folder = bed.project_folder();
        let profile = "profile: { name: Tea bot, nick: tea, about: Makes tea, avatar: tea.png }";
        let project = project(&bed, &folder, "profile-bot", profile);
        let picture = picture();
        fs::write(folder.join("tea.png"), &picture).expect("writable");
        let mut ann = Person::login(kind.address(), &bed.ca(), "profile-ann@one.test", "pw");
        let program = project.run();
        program.wait_online(1);
        let published = |count: usize| {
            watch::until("the profile is published", Duration::from_secs(20), || {
                let said = program.log();
                let said = said.iter().filter(|line| line["message"] == "profile published").count();
                if said == count { Ok(()) } else { Err(format!("{said} parts")) }
            });
        };
        published(3);
        let bot = "profile-bot@one.test";
        let card = look(&mut ann, bot, "card");
        for part in ["Tea bot", "tea", "Makes tea", "BINVAL"] {
            assert!(card.contains(part), "{kind:?}: {part}: {card}");
        }
        let avatar = look(&mut ann, bot, "avatar");
        assert!(
            avatar.contains("image/png") && avatar.contains(&picture.len().to_string()),
            "{kind:?}: {avatar}"
        );
        assert!(look(&mut ann, bot, "nick").contains(">tea<"), "{kind:?}");
        assert!(program.stop().success());

        // The next process publishes nothing; a picture that goes is taken back, and the rest stays.
        let program = project.run();
        program.wait_online(1);
        look(&mut ann, bot, "card");
        let said = program.log();
        assert!(said.iter().all(|line| line["message"] != "profile published"), "{kind:?}");
        project.write("bots.yaml", &config(&bed, "profile-bot", &profile.replace(", avatar: tea.png", "")));
        program.reload();
        watch::until("the avatar is taken back", Duration::from_secs(20), || {
            let avatar = look(&mut ann, bot, "avatar");
            if avatar.contains("image/png") { Err(avatar) } else { Ok(()) }
        });
        assert!(program.stop().success());
    }
}

#[test]
fn p5_bookmarks_are_written_read_and_followed() {
    for kind in BOTH {
        let bed = Bed::lend(kind);
        bed.add("one.test", &["mark-bot", "mark-ann"]);
        let folder = bed.project_folder();
        let own = "bookmarks: keep\n    rooms: [mark-own@conference.one.test]";
        let project = project(&bed, &folder, "mark-bot", own);
        let (bot, own) = ("mark-bot@one.test", "mark-own@conference.one.test");
        let mut ann = Person::login(kind.address(), &bed.ca(), "mark-ann@one.test", "pw");
        let place = if kind == Kind::Prosody { "native" } else { "private" };
        let program = project.run();
        program.wait_online(1);
        watch::until("its own room is bookmarked", Duration::from_secs(20), || {
            let marks = look(&mut ann, bot, place);
            if marks.contains(own) { Ok(()) } else { Err(marks) }
        });
        // Somebody keeps the room alive while the bot is away.
        ann.raw(&format!(
            "<presence xmlns='jabber:client' to='{own}/ann'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ));
        ann.wait_for("ann is in the room", |heard| heard["from"] == format!("{own}/ann"));
        assert!(program.stop().success());

        // Nothing but the bookmark says where to go.
        project.write("bots.yaml", &config(&bed, "mark-bot", "bookmarks: join"));
        let program = project.run();
        program.wait_online(1);
        program.wait_until("it is in the room of its bookmarks", Duration::from_secs(30), |status| {
            status["accounts"][0]["rooms"]
                .as_array()
                .is_some_and(|rooms| rooms.iter().any(|room| room["jid"] == own && room["state"] == "in"))
        });
        assert!(program.stop().success());
    }
}

/// What the mirror says to that; each question has a number, so that no earlier answer counts.
fn look(person: &mut Person, bot: &str, what: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let question = format!("{what} {}", NUMBER.fetch_add(1, Ordering::Relaxed));
    person.ask(bot, &question, |heard| heard.starts_with(&format!("{question}: ")))
}

fn project(bed: &Bed, folder: &std::path::Path, bot: &str, keys: &str) -> Project {
    let project = Project::new(folder.to_owned(), &bed.ca(), &config(bed, bot, keys));
    project.secret("bot", "pw");
    project.write("scripts/mirror.rhai", MIRROR);
    project
}

fn config(bed: &Bed, bot: &str, keys: &str) -> String {
    format!(
        "version: 1\nstorage: ./data\nscripts: {{ mirror: scripts/mirror.rhai }}\nbots:\n  bot:\n    \
         jid: {bot}@one.test\n    server: {}\n    tls: {{ ca: CA }}\n    password: {{ file: secrets/bot }}\n    \
         scripts: [mirror]\n    {keys}\nlog: {{ format: json, level: debug }}\n",
        bed.kind.address()
    )
    .replace("CA", &bed.ca().display().to_string())
}

/// A grey picture of one pixel, as it stands in ISO/IEC 15948: signature, IHDR, IDAT, IEND with their checksums.
fn picture() -> Vec<u8> {
    let hex = "89504e470d0a1a0a0000000d4948445200000001000000010800000000\
               3a7e9b550000000a49444154789c636000000002000148afa471\
               0000000049454e44ae426082";
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).expect("digits"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("digits")).collect()
}
