//! Long texts become several messages; words name people.

use super::{Player, Rig, message, plain, sent};
use crate::event::{Event, Message};
use crate::script::error::Kind;
use crate::script::speech::Speech;
use crate::xml::writer;

#[test]
fn a_long_answer_is_split_at_lines_and_the_id_is_that_of_the_last_part() {
    let (rig, source) = (
        Rig::new(),
        r#"on("message", |m| { log::info("x"); store::set("id", m.reply(m.text)); });
        command("id", "", |m, a| m.reply(store::get("id")));"#,
    );
    let mut bot = rig.bot(source);
    bot.handle.speak(Speech { longest: Some(1024), ..Speech::default() });
    let line = "a line of some words, again and again";
    let text = [line; 100].join("\n");
    let said = sent(&bot.handle_event(message("ann@example.org/phone", &text)).actions);
    assert_eq!(said.len(), 4);
    assert!(said.iter().all(|part| part.text.len() <= 1024 && part.text.lines().all(|it| it == line)));
    let together = said.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join("\n");
    assert_eq!(together, text);
    let ids: std::collections::BTreeSet<&str> = said.iter().map(|part| part.id.as_str()).collect();
    assert_eq!(ids.len(), 4);
    assert_eq!(bot.ask("!id"), [said[3].id.clone()]);
}

#[test]
fn the_servers_limit_counts_what_xml_makes_of_the_text() {
    let rig = Rig::new();
    let mut bot = rig.bot(r#"on("message", |m| m.reply(m.text));"#);
    let text = "<&>".repeat(5_000);
    assert_eq!(answer(&mut bot, &text).len(), 1);
    bot.handle.note_stanza_limit(10_000);
    let parts = answer(&mut bot, &text);
    assert!(parts.len() > 5, "{}", parts.len());
    assert_eq!(parts.concat(), text);
    for part in &parts {
        assert!(crate::script::parts::written(part) < 9_500);
    }
}

#[test]
fn what_may_not_be_split_is_refused_and_not_lost_on_the_way() {
    let rig = Rig::new();
    for (call, why) in [
        ("m.reply(m.text, #{ split: false })", "may not be split"),
        ("bot::send(m.from, m.text, #{ split: false })", "may not be split"),
        ("m.reply(m.text, #{ langs: #{ no: m.text } })", "several languages"),
        ("m.reply(m.text, #{ subject: m.text })", "what goes with the text"),
        ("let s = \"a\"; s.pad(20000, '\\u0301'); m.reply(s)", "one character"),
    ] {
        let mut bot = rig.bot(&format!("on(\"message\", |m| {{ {call}; }});"));
        bot.handle.note_stanza_limit(10_000);
        let failure = bot.fail(message("ann@example.org", &"word ".repeat(3_000)));
        assert_eq!(failure.kind, Kind::Size, "{call}: {failure}");
        assert!(failure.message.contains(why), "{call}: {failure}");
    }
    // The bot's own limit is a matter of style: it splits only what may be split.
    let mut bot = rig.bot("on(\"message\", |m| m.reply(m.text, #{ split: false }));");
    bot.handle.speak(Speech { longest: Some(1024), ..Speech::default() });
    assert_eq!(answer(&mut bot, &"word ".repeat(3_000)).len(), 1);
}

#[test]
fn a_quotation_and_a_subject_go_with_the_first_part_and_hints_with_each() {
    let rig = Rig::new();
    let source = r#"on("message", |m| {
        let s = ""; s.pad(1500, 'x');
        m.reply(s, #{ quote: true, subject: "S", store: false, thread_id: "t" });
    });"#;
    let mut bot = rig.bot(source);
    bot.handle.speak(Speech { longest: Some(1024), ..Speech::default() });
    let given = Message { id: Some("m1".to_owned()), ..plain("ann@example.org/x", "what?") };
    let said = sent(&bot.handle_event(Event::Message(Box::new(given))).actions);
    let names: Vec<Vec<&str>> =
        said.iter().map(|part| part.payloads.iter().map(|it| it.name()).collect()).collect();
    assert_eq!(names, [vec!["reply", "fallback", "no-store"], vec!["no-store"]]);
    assert!(said[0].text.starts_with("> what?\nxxx") && said[1].text.starts_with("xxx"));
    let subjects: Vec<Option<&str>> = said.iter().map(|part| part.subject.as_deref()).collect();
    assert_eq!(subjects, [Some("S"), None]);
    assert!(said.iter().all(|part| part.thread.as_deref() == Some("t")));
}

#[test]
fn parts_count_as_actions() {
    let rig = Rig::new();
    let mut bot = rig.bot(r#"on("message", |m| { for i in 0..10 { m.reply(m.text); } });"#);
    bot.handle.speak(Speech { longest: Some(1024), ..Speech::default() });
    let failure = bot.fail(message("ann@example.org", &"line\n".repeat(6_000)));
    assert!(failure.message.contains("actions in one turn"), "{failure}");
}

#[test]
fn words_name_people_where_they_stand() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"on("message", |m| m.reply("Anna, Åse and Ann: hi", #{ quote: true,
            mentions: #{ Ann: "ann@example.org", "Åse": "ase@example.org/x y", Bo: "bo@example.org" } }));
        on("mention", |m| m.reply("Eve: yes", #{ mentions: ["Eve"] }));"#,
    );
    let given = Message { id: Some("m1".to_owned()), ..plain("ann@example.org/x", "æ?") };
    let said = sent(&bot.handle_event(Event::Message(Box::new(given))).actions);
    assert_eq!(said[0].text, "> æ?\nAnna, Åse and Ann: hi");
    let written = |message: &crate::action::OutgoingMessage| -> Vec<String> {
        let references = message.payloads.iter().filter(|it| it.name() == "reference");
        references.map(|it| writer::to_string(it).expect("XML")).collect()
    };
    let open = "<reference xmlns='urn:xmpp:reference:0' type='mention' uri='xmpp:";
    assert_eq!(
        written(&said[0]),
        [
            format!("{open}ann@example.org' begin='19' end='22'/>"),
            format!("{open}bo@example.org'/>"),
            format!("{open}ase@example.org/x%20y' begin='11' end='14'/>"),
        ]
    );
    let room = super::jid("den@rooms.example.org").to_bare();
    let given = Message {
        room: Some(room.clone()),
        place: room.into(),
        kind: crate::stanza::MessageKind::Groupchat,
        own_nick: Some("helper".to_owned()),
        ..plain("den@rooms.example.org/Eve", "helper: there?")
    };
    let said = sent(&bot.handle_event(Event::Message(Box::new(given))).actions);
    assert_eq!(written(&said[0]), [format!("{open}den@rooms.example.org/Eve' begin='0' end='3'/>")]);
    for (mentions, why) in [
        ("5", "a map such as"),
        ("#{ Ann: 5 }", "a map such as"),
        ("#{ Ann: \"a@b@c/\" }", "is no address"),
        ("#{ \"\": \"ann@example.org\" }", "the word is empty"),
    ] {
        let mut bot = rig.bot(&format!("on(\"message\", |m| m.reply(\"a\", #{{ mentions: {mentions} }}));"));
        let failure = bot.fail(message("ann@example.org", "x"));
        assert!(failure.message.contains(why), "{mentions}: {failure}");
    }
}

/// A name that is split over two messages is named with the last.
#[test]
fn each_is_named_once_in_the_part_where_the_word_is() {
    let rig = Rig::new();
    let source = r#"on("message", |m| {
        let s = "Bo "; s.pad(1020, 'x');
        m.reply(s + "\nAnn and Bo", #{ mentions: #{ Ann: "ann@example.org", Bo: "bo@example.org" } });
    });"#;
    let mut bot = rig.bot(source);
    bot.handle.speak(Speech { longest: Some(1024), ..Speech::default() });
    let said = sent(&bot.handle_event(message("ann@example.org", "x")).actions);
    let uris: Vec<Vec<(Option<&str>, Option<&str>)>> = said
        .iter()
        .map(|part| part.payloads.iter().map(|it| (it.attr("uri"), it.attr("begin"))).collect())
        .collect();
    assert_eq!(
        uris,
        [vec![(Some("xmpp:bo@example.org"), Some("0"))], vec![(Some("xmpp:ann@example.org"), Some("0"))]]
    );
}

fn answer(bot: &mut Player, text: &str) -> Vec<String> {
    bot.give(message("ann@example.org", text))
}
