//! How messages are sent: quotations, spoilers, hints, languages.

use super::{Rig, message, plain, sent};
use crate::event::{Event, Message};
use crate::xml::writer;

#[test]
fn x5_a_reply_quotes_and_names_what_it_answers() {
    let given = Message { id: Some("m1".to_owned()), ..plain("ann@example.org/x", "is æ there?\nnow") };
    let (text, payloads) = replied("#{ quote: true }", given.clone());
    assert_eq!(text, "> is æ there?\n> now\nyes");
    assert_eq!(
        payloads,
        [
            "<reply xmlns='urn:xmpp:reply:0' to='ann@example.org/x' id='m1'/>",
            "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='20'/></fallback>"
        ]
    );
    // Without an id there is nothing to name it by.
    let (text, payloads) = replied("#{ quote: true }", Message { id: None, ..given.clone() });
    assert_eq!((text.as_str(), payloads.len()), ("> is æ there?\n> now\nyes", 0));
    assert_eq!(replied("#{ quote: false }", given), ("yes".to_owned(), Vec::new()));
}

#[test]
fn m18_options_become_elements() {
    for (opts, element) in [
        ("spoiler: true", "<spoiler xmlns='urn:xmpp:spoiler:0'/>"),
        ("spoiler: \"the end\"", "<spoiler xmlns='urn:xmpp:spoiler:0'>the end</spoiler>"),
        ("styled: false", "<unstyled xmlns='urn:xmpp:styling:0'/>"),
        ("store: false", "<no-store xmlns='urn:xmpp:hints'/>"),
        ("store: true", "<store xmlns='urn:xmpp:hints'/>"),
        ("copy: false", "<no-copy xmlns='urn:xmpp:hints'/>"),
        ("langs: #{ no: \"ja\" }", "<body xmlns='jabber:client' xml:lang='no'>ja</body>"),
    ] {
        let (text, payloads) = replied(&format!("#{{ {opts} }}"), plain("ann@example.org/x", "?"));
        assert_eq!((text.as_str(), payloads), ("yes", vec![element.to_owned()]), "{opts}");
    }
    let (_, payloads) =
        replied("#{ copy: true, styled: (), spoiler: false }", plain("ann@example.org/x", "?"));
    assert!(payloads.is_empty(), "{payloads:?}");
}

#[test]
fn options_of_the_wrong_kind_are_refused() {
    let rig = Rig::new();
    for (call, part) in [
        ("m.reply(\"a\", #{ quote: 5 })", "`quote` is true or false"),
        ("m.reply(\"a\", #{ spoiler: 5 })", "`spoiler` is a string or true"),
        ("m.reply(\"a\", #{ langs: \"no\" })", "`langs` is a map"),
        ("m.reply(\"a\", #{ langs: #{ \"x y\": \"b\" } })", "is no language"),
        ("bot::send(\"ann@example.org\", \"a\", #{ quote: true })", "only a reply can quote"),
    ] {
        let mut bot = rig.bot(&format!("on(\"message\", |m| {{ {call}; }});"));
        let failure = bot.fail(message("ann@example.org", "go"));
        assert!(failure.message.contains(part), "{call}: {failure}");
    }
}

/// Text and payloads of an answer with these options.
fn replied(opts: &str, given: Message) -> (String, Vec<String>) {
    let rig = Rig::new();
    let mut bot = rig.bot(&format!("on(\"message\", |m| {{ m.reply(\"yes\", {opts}); }});"));
    let turned = bot.handle_event(Event::Message(Box::new(given)));
    let [message] = &sent(&turned.actions)[..] else { panic!("{turned:?}") };
    let payloads = message.payloads.iter().map(|it| writer::to_string(it).expect("XML")).collect();
    (message.text.clone(), payloads)
}
