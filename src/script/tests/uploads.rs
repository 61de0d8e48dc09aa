//! Files that scripts upload: from the slot to the message.

use super::web::answer;
use super::{Rig, jid, message};
use crate::action::Action;
use crate::event::{Answer, Event, RequestFailed};
use crate::script::outside::HttpOutcome;
use crate::stanza::{ErrorKind, StanzaError};
use crate::xml;

const SOURCE: &str = r##"on("message", |m| bot::upload("dir/a.txt", "text/plain", m.text, |u| {
    if u.ok { u.send(m.place); } else { m.reply(`no: ${u.error}`); }
}));"##;

#[test]
fn u2_a_file_is_put_where_the_slot_says_and_sent_then() {
    let rig = Rig::new();
    rig.web.answer("PUT", "https://up.example.net/1", answer(201, ""));
    let mut bot = rig.bot(SOURCE);
    let token = asked(&bot.handle_event(message("ann@example.org/x", "hello")).actions);
    assert!(rig.web.take_asked().is_empty(), "there is no slot yet");
    bot.handle_event(slot(&token, "https://up.example.net/1"));
    let told = bot.told.wait(|turned| matches!(turned.actions[..], [(_, Action::Message(_))]));
    let [(_, Action::Message(sent))] = &told.actions[..] else { panic!("{told:?}") };
    assert_eq!(
        (sent.to.clone(), sent.text.as_str()),
        (jid("ann@example.org/x"), "https://get.example.net/1")
    );
    let names: Vec<&str> = sent.payloads.iter().map(|payload| payload.name()).collect();
    assert_eq!(names, ["x", "file-sharing", "fallback", "fallback"]);
    let file = sent.payloads[1].children().next().expect("the file");
    assert_eq!(file.child_text("name", file.ns()).as_deref(), Some("a.txt"));
    assert_eq!(file.child_text("size", file.ns()).as_deref(), Some("5"));
    let put = &rig.web.take_asked()[0];
    assert_eq!((put.body.as_slice(), put.redirects), (&b"hello"[..], false));
    let headers = [("authorization", "secret"), ("content-type", "text/plain")];
    assert_eq!(put.headers, headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(!format!("{put:?}").contains("secret"));
}

#[test]
fn u2_what_fails_is_told_and_nothing_is_sent() {
    let cases: [(HttpOutcome, Option<&str>, &str); 4] = [
        (answer(413, ""), Some("https://up.example.net/1"), "no: status 413"),
        (answer(307, ""), Some("https://up.example.net/1"), "no: status 307"),
        (Err("timeout".to_owned()), Some("https://up.example.net/1"), "no: timeout"),
        (
            answer(201, ""),
            Some("http://up.example.net/1"),
            "no: the service gave no place that can be trusted",
        ),
    ];
    for (outcome, put, said) in cases {
        let rig = Rig::new();
        rig.web.answer("PUT", "https://", outcome);
        let mut bot = rig.bot(SOURCE);
        let token = asked(&bot.handle_event(message("ann@example.org/x", "hello")).actions);
        bot.try_event(slot(&token, put.expect("an address")));
        bot.told.wait_texts(|texts| texts.last().is_some_and(|text| text == said));
    }
    let rig = Rig::new();
    let mut bot = rig.bot(SOURCE);
    let token = asked(&bot.handle_event(message("ann@example.org/x", "hello")).actions);
    let error = StanzaError::new(ErrorKind::Cancel, "service-unavailable");
    let refused = Event::Answer(Answer { token, outcome: Err(RequestFailed::Error(error)) });
    assert_eq!(bot.give(refused), ["no: service-unavailable"]);
}

#[test]
fn a_reply_with_a_file_needs_no_function() {
    let rig = Rig::new();
    rig.web.answer("PUT", "https://", answer(200, ""));
    let mut bot = rig.bot(r#"on("message", |m| m.reply_file("a.txt", "text/plain", m.text));"#);
    let token = asked(&bot.handle_event(message("ann@example.org/x", "hello")).actions);
    bot.try_event(slot(&token, "https://up.example.net/1"));
    bot.told.wait_texts(|texts| texts == ["https://get.example.net/1"]);
}

#[test]
fn files_are_checked_before_they_go_anywhere() {
    let rig = Rig::new();
    for (call, part) in [
        (r#"bot::upload("..", "text/plain", "x", |u| ())"#, "without a path"),
        (r#"bot::upload("a", "text", "x", |u| ())"#, "no media type"),
        (r#"bot::upload("a", "text/plain", "", |u| ())"#, "1 to"),
        (r#"bot::upload("a", "text/plain", 5, |u| ())"#, "not a"),
        (r#"for i in 0..17 { bot::upload("a", "text/plain", "x", |u| ()) }"#, "on their way"),
    ] {
        let mut bot = rig.bot(&format!("on(\"message\", |m| {{ {call}; }});"));
        let failure = bot.fail(message("ann@example.org", "go"));
        assert!(failure.message.contains(part), "{call}: {failure}");
    }
}

fn asked(actions: &[(i64, Action)]) -> String {
    match actions {
        [(_, Action::Upload { token, .. })] => token.clone(),
        other => panic!("{other:?}"),
    }
}

fn slot(token: &str, put: &str) -> Event {
    let text = format!(
        "<slot xmlns='urn:xmpp:http:upload:0'><put url='{put}'><header name='Authorization'>secret</header>\
         <header name='Host'>evil</header></put><get url='https://get.example.net/1'/></slot>"
    );
    Event::Answer(Answer { token: token.to_owned(), outcome: Ok(Some(xml::parse(&text).expect("XML"))) })
}
