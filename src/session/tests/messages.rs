//! Messages and presence, in and out.

use super::*;
use crate::action::OutgoingMessage;
use crate::event::{ChatState, Class, FileLink, Message};
use crate::stanza::{MessageKind, PresenceKind, Show};

const ANN: &str = "ann@example.net/x";
const CONTACT: &str = "<item jid='ann@example.net' name='Ann B' subscription='both'/>";

#[test]
fn p30_a_message_has_all_its_parts() {
    let mut account = Account::online(CONTACT, |_| {});
    let message = one(&account.feed(&format!(
        "<message from='{ANN}' to='{FULL}' id='m1' type='chat' xml:lang='en'><subject>S</subject><body>Hi</body>\
         <thread parent='t0'>t1</thread><odd xmlns='urn:example'>kept</odd>\
         <active xmlns='http://jabber.org/protocol/chatstates'/></message>"
    )));
    let expected = Message {
        id: Some("m1".to_owned()),
        nick: "Ann B".to_owned(),
        subject: Some("S".to_owned()),
        lang: Some("en".to_owned()),
        thread: Some("t1".to_owned()),
        payloads: vec![Element::new("odd", "urn:example".to_owned()).with_text("kept")],
        ..Message::chat(jid(ANN), "Hi")
    };
    assert_eq!(message, expected);
    assert_eq!((message.place, message.who), (jid(ANN), "ann@example.net".to_owned()));
}

#[test]
fn p44_the_text_is_in_the_account_s_language() {
    let bodies = "<body>first</body><body xml:lang='de'>Hallo</body><body xml:lang='en'>Hello</body>";
    for (lang, text) in [("de", "Hallo"), ("en", "Hello"), ("fr", "first")] {
        let mut account = Account::online("", |config| config.lang = lang.to_owned());
        let message = one(&account.feed(&format!("<message from='{ANN}'>{bodies}</message>")));
        assert_eq!(message.text, text);
    }
}

#[test]
fn p44_a_sender_without_a_roster_name_names_himself() {
    let mut account = Account::online("", |_| {});
    let mut nick = |from: &str, nick: &str| {
        let nick = format!("<nick xmlns='http://jabber.org/protocol/nick'>{nick}</nick>");
        one(&account.feed(&format!("<message from='{from}'><body>x</body>{nick}</message>"))).nick
    };
    assert_eq!(nick("eve@example.net", "Evie"), "Evie");
    assert_eq!(nick("eve@example.net", ""), "eve");
    assert_eq!(nick("example.net", ""), "example.net");
}

#[test]
fn p44_kinds_are_told_apart() {
    let mut account = Account::online("", |_| {});
    let mut kind = |kind: &str| {
        one(&account.feed(&format!("<message from='{ANN}' type='{kind}'><body>x</body></message>"))).kind
    };
    assert_eq!(kind("headline"), MessageKind::Headline);
    assert_eq!(kind("normal"), MessageKind::Normal);
    assert_eq!(kind("gossip"), MessageKind::Normal);
    assert_eq!(kind("chat"), MessageKind::Chat);
}

#[test]
fn p46_chat_states_come_and_go() {
    let mut account = Account::online("", |_| {});
    let got = account.feed(&format!(
        "<message from='{ANN}' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
    ));
    assert_eq!(events(&got), [&Event::ChatState { from: jid(ANN), state: ChatState::Composing }]);
    let got = account.perform(Action::ChatState { to: jid(ANN), state: ChatState::Paused }).expect("online");
    assert_eq!(
        sent(&got),
        ["<message id='~' to='ann@example.net/x' type='chat'>\
          <paused xmlns='http://jabber.org/protocol/chatstates'/><no-store xmlns='urn:xmpp:hints'/></message>"]
    );
}

#[test]
fn p28_a_link_is_a_file() {
    let mut account = Account::online("", |_| {});
    let oob = "<x xmlns='jabber:x:oob'><url>https://example.net/a.png</url><desc>a cat</desc></x>";
    let file = FileLink {
        from: jid(ANN),
        place: jid(ANN),
        url: "https://example.net/a.png".to_owned(),
        description: Some("a cat".to_owned()),
        name: None,
        mime: None,
        size: None,
    };
    // The body repeats the link for those who do not know XEP-0066: it says nothing more.
    let only = format!("<message from='{ANN}'><body>https://example.net/a.png</body>{oob}</message>");
    assert_eq!(events(&account.feed(&only)), [&Event::File(file.clone())]);
    let beside = format!("<message from='{ANN}'><body>look!</body>{oob}</message>");
    let got = account.feed(&beside);
    assert!(matches!(events(&got)[..], [Event::Message(_), Event::File(found)] if *found == file));
}

#[test]
fn p28_a_shared_file_is_one_event_with_name_and_size() {
    let mut account = Account::online("", |_| {});
    let url = "https://example.net/a.png";
    let got = account.feed(&format!(
        "<message from='{ANN}'><body>{url}</body><x xmlns='jabber:x:oob'><url>{url}</url></x>\
         <file-sharing xmlns='urn:xmpp:sfs:0'><file xmlns='urn:xmpp:file:metadata:0'>\
         <media-type>image/png</media-type><name>../a.png</name><size>42</size></file>\
         <sources><url-data xmlns='http://jabber.org/protocol/url-data' target='{url}'/></sources>\
         </file-sharing></message>"
    ));
    let file = FileLink {
        from: jid(ANN),
        place: jid(ANN),
        url: url.to_owned(),
        description: None,
        name: Some("a.png".to_owned()),
        mime: Some("image/png".to_owned()),
        size: Some(42),
    };
    assert_eq!(events(&got), [&Event::File(file)]);
}

#[test]
fn x5_the_quotation_of_a_reply_is_not_what_was_said() {
    let mut account = Account::online("", |_| {});
    let reply = |body: &str, end: u32| {
        format!(
            "<message from='{ANN}' id='m2'><body>{body}</body><reply xmlns='urn:xmpp:reply:0' id='m1'/>\
             <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='{end}'/></fallback>\
             </message>"
        )
    };
    for (body, end, expected) in
        [("&gt; é?\n!vote 1", 5, "!vote 1"), ("&gt; é?\n", 5, "> é?\n"), ("short", 4_000_000_000, "short")]
    {
        let got = account.feed(&reply(body, end));
        let [Event::Message(message)] = &events(&got)[..] else { panic!("{got:?}") };
        assert_eq!(message.text, expected);
    }
}

#[test]
fn p47_presence_is_told_with_all_it_says() {
    let mut account = Account::online(CONTACT, |_| {});
    let got = account.feed(&format!(
        "<presence from='{ANN}'><show>xa</show><status>off</status><priority>-3</priority></presence>"
    ));
    let presence = crate::event::Presence {
        from: jid(ANN),
        kind: PresenceKind::Available,
        show: Some(Show::Xa),
        status: Some("off".to_owned()),
        priority: -3,
    };
    assert_eq!(events(&got), [&Event::Presence(Box::new(presence))]);
    assert_eq!(account.session.residents(&bare("ann@example.net")).count(), 1);
    account.feed(&format!("<presence from='{ANN}' type='unavailable'/>"));
    assert_eq!(account.session.residents(&bare("ann@example.net")).count(), 0);
    account.feed("<presence from='eve@example.net/x'/>");
    assert_eq!(account.session.residents(&bare("eve@example.net")).count(), 0);
    account.feed(&format!("<presence from='{ANN}'><status>{}</status></presence>", "€".repeat(1000)));
    let kept =
        account.session.residents(&bare("ann@example.net")).next().and_then(|(_, it)| it.status.clone());
    assert_eq!(kept, Some("€".repeat(341)));
    for own in [BARE, FULL, "bot@example.org/phone"] {
        assert_eq!(account.feed(&format!("<presence from='{own}'/>")), [], "{own}");
    }
    assert_eq!(account.feed("<presence/>"), []);
}

#[test]
fn p22_a_message_is_built_and_sent_as_it_is_encoded() {
    let mut account = Account::online("", |_| {});
    let message = OutgoingMessage {
        subject: Some("S".to_owned()),
        lang: Some("en".to_owned()),
        thread: Some("t".to_owned()),
        payloads: vec![Element::new("x", "urn:example")],
        ..outgoing("ann@example.net", "m1", "a < b & \"c\"")
    };
    let action = Action::Message(message);
    let encoded = wire(account.session.encode(&action).expect("a message")).text;
    assert_eq!(
        encoded,
        "<message id='m1' to='ann@example.net' type='chat' xml:lang='en'><subject>S</subject>\
         <body>a &lt; b &amp; \"c\"</body><thread>t</thread><x xmlns='urn:example'/></message>"
    );
    assert_eq!(sent(&account.perform(action).expect("online")), [encoded]);
}

#[test]
fn what_xml_cannot_carry_is_refused_before_it_is_sent() {
    let mut account = Account::online("", |_| {});
    for text in ["\u{0}", "a\u{1b}[31m", "\u{fffe}"] {
        let action = Action::Message(outgoing("ann@example.net", "m1", text));
        assert!(matches!(account.session.encode(&action), Err(Refused::Invalid { .. })));
        assert!(matches!(account.perform(action), Err(Refused::Invalid { .. })));
    }
    let status = Action::Presence { show: None, status: Some("\u{1}".to_owned()), priority: 0 };
    assert!(matches!(account.perform(status), Err(Refused::Invalid { .. })));
    assert_eq!(account.drain(), []);
}

#[test]
fn the_class_says_which_way_a_message_came() {
    let mut account = Account::online("", |config| config.carbons = true);
    let delay =
        |from: &str, stamp: &str| format!("<delay xmlns='urn:xmpp:delay' from='{from}' stamp='{stamp}'/>");
    let old = "2025-12-31T23:00:00Z";
    let mut class = |from: &str, kind: &str, extra: &str| {
        let message = format!("<message from='{from}' type='{kind}'><body>x</body>{extra}</message>");
        let message = one(&account.feed(&message));
        (message.class, message.stamp.is_some())
    };
    assert_eq!(class(ANN, "chat", ""), (Class::Live, false));
    assert_eq!(class(ANN, "chat", &delay("example.org", old)), (Class::Delayed, true));
    assert_eq!(class(ANN, "chat", &delay(BARE, old)), (Class::Delayed, true));
    // Only the account's own server is believed about lateness.
    assert_eq!(class(ANN, "chat", &delay("ann@example.net", old)), (Class::Live, false));
    assert_eq!(class(FULL, "chat", ""), (Class::Reflection, false));
}

#[test]
fn p26_presence_is_sent_to_all_to_one_and_taken_back() {
    let mut account = Account::online("", |_| {});
    let status = || Some("lunch".to_owned());
    let got = account.perform(Action::Presence { show: Some(Show::Away), status: status(), priority: 5 });
    let all = "<presence><show>away</show><status>lunch</status><priority>5</priority><c ";
    assert!(sent(&got.expect("online"))[0].starts_with(all));
    let to = |available| Action::PresenceTo { to: jid(ANN), available, show: None, status: status() };
    let got = account.perform(to(true)).expect("online");
    assert!(sent(&got)[0].starts_with("<presence to='ann@example.net/x'><status>lunch</status><c "));
    let got = account.perform(to(false)).expect("online");
    let gone = "<presence type='unavailable' to='ann@example.net/x'><status>lunch</status></presence>";
    assert_eq!(sent(&got), [gone]);
    account.session.on_closing();
    assert_eq!(sent(&account.drain()), ["<presence type='unavailable'/>"]);
}

#[test]
fn a_copy_is_marked_and_never_answered() {
    let mut account = Account::online(CONTACT, |config| config.carbons = true);
    let mut copy = |kind: &str, from: &str, to: &str| {
        let inner = format!(
            "<message xmlns='jabber:client' from='{from}' to='{to}' id='1' type='chat'><body>x</body>\
             <request xmlns='urn:xmpp:receipts'/></message>"
        );
        let stanza = format!(
            "<message from='{BARE}' to='{FULL}'><{kind} xmlns='urn:xmpp:carbons:2'>\
             <forwarded xmlns='urn:xmpp:forward:0'>{inner}</forwarded></{kind}></message>"
        );
        let got = account.feed(&stanza);
        assert_eq!(sent(&got), [""; 0]);
        one(&got)
    };
    let received = copy("received", ANN, "bot@example.org/phone");
    assert_eq!(
        (received.class, received.place, received.own),
        (Class::Carbon { sent: false }, jid(ANN), false)
    );
    let sent = copy("sent", "bot@example.org/phone", ANN);
    assert_eq!((sent.class, sent.place, sent.own), (Class::Carbon { sent: true }, jid(ANN), true));
}

#[test]
fn m15_the_same_archive_id_is_handled_once() {
    let mut account = Account::online("", |_| {});
    let id = |by: &str, id: &str| format!("<stanza-id xmlns='urn:xmpp:sid:0' by='{by}' id='{id}'/>");
    let mut handled = |ids: &str| {
        let got = account.feed(&format!("<message from='{ANN}' id='same'><body>x</body>{ids}</message>"));
        !got.is_empty()
    };
    assert!(handled(&id(BARE, "a")));
    assert!(!handled(&id(BARE, "a")));
    assert!(handled(&id(BARE, "b")));
    // What a sender writes never makes a message disappear.
    assert!(handled(&id("ann@example.net", "b")));
    assert!(handled(&id("ann@example.net", "b")));
    assert!(handled(&(format!("{}{}", id(BARE, "b"), id(BARE, "c")))));
    assert!(handled(&(format!("{}{}", id(BARE, "b"), id(BARE, "c")))));
    assert!(handled("") && handled(""));
}

#[test]
fn m15_ids_are_not_believed_of_a_server_that_does_not_announce_them() {
    let mut account = Account::new(|_| {});
    let asked = account.bind("");
    account.feed(&format!("<iq type='result' id='{}'/>", id(&asked[0])));
    let message = format!(
        "<message from='{ANN}'><body>x</body><stanza-id xmlns='urn:xmpp:sid:0' by='{BARE}' id='a'/></message>"
    );
    assert_eq!(
        (one(&account.feed(&message)).stanza_id, one(&account.feed(&message)).stanza_id),
        (None, None)
    );
}

#[test]
fn x1_a_receipt_is_given_only_to_a_contact_who_asks() {
    let mut account = Account::online(CONTACT, |_| {});
    let mut given = |from: &str, kind: &str, id: &str, extra: &str| {
        let request = format!("<request xmlns='urn:xmpp:receipts'/>{extra}");
        let stanza = format!("<message from='{from}' type='{kind}' {id}><body>x</body>{request}</message>");
        sent(&account.feed(&stanza)).join("")
    };
    assert_eq!(
        given(ANN, "chat", "id='m1'", ""),
        "<message id='~' to='ann@example.net/x' type='chat'><received xmlns='urn:xmpp:receipts' id='m1'/></message>"
    );
    assert_eq!(given("eve@example.net/x", "chat", "id='m1'", ""), "");
    assert_eq!(given(ANN, "chat", "", ""), "");
    assert_eq!(given(ANN, "groupchat", "id='m1'", ""), "");
    assert_eq!(given(ANN, "error", "id='m1'", ""), "");
    assert_eq!(given(ANN, "headline", "id='m1'", ""), "");
    assert_eq!(given(FULL, "chat", "id='m1'", ""), "");
    assert_eq!(given(ANN, "chat", "id='m1'", "<received xmlns='urn:xmpp:receipts' id='z'/>"), "");
    let got = account
        .feed(&format!("<message from='{ANN}'><received xmlns='urn:xmpp:receipts' id='mine'/></message>"));
    assert_eq!(got, [Got::Event(Event::Receipt { from: jid(ANN), id: "mine".to_owned() })]);
}

#[test]
fn x4_a_correction_is_marked() {
    let mut account = Account::online("", |_| {});
    let replace = "<replace xmlns='urn:xmpp:message-correct:0' id='m0'/>";
    let message = one(&account.feed(&format!("<message from='{ANN}'><body>!stop</body>{replace}</message>")));
    assert_eq!(message.replaces.as_deref(), Some("m0"));
}

#[test]
fn x10_the_fallback_text_of_a_sealed_message_is_no_text() {
    let mut account = Account::online("", |_| {});
    for sealed in
        ["<encrypted xmlns='eu.siacs.conversations.axolotl'/>", "<encryption xmlns='urn:xmpp:eme:0'/>"]
    {
        let message =
            one(&account.feed(&format!("<message from='{ANN}'><body>!stop</body>{sealed}</message>")));
        assert_eq!((message.text.as_str(), message.encrypted), ("", true));
    }
}

#[test]
fn d3_a_contact_s_software_is_asked_for_once_and_only_when_it_talks() {
    let mut account = Account::online(CONTACT, |_| {});
    let info = crate::xep::disco::Info {
        identities: vec![crate::xep::disco::Identity {
            category: "client".to_owned(),
            kind: "bot".to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let ver = crate::xep::caps::ver(&info, crate::xep::caps::Hash::Sha1).expect("well formed");
    let caps = format!("<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='{ver}'/>");
    let stranger = "eve@example.net/x";
    for from in [ANN, stranger] {
        assert_eq!(sent(&account.feed(&format!("<presence from='{from}'>{caps}</presence>"))), [""; 0]);
    }
    let says = |from: &str| format!("<message from='{from}'><body>x</body></message>");
    assert_eq!(sent(&account.feed(&says(stranger))), [""; 0]);
    let asked = account.feed(&says(ANN));
    assert!(!one(&asked).is_bot);
    let query = format!("<query xmlns='http://jabber.org/protocol/disco#info' node='n#{ver}'/>");
    assert_eq!(sent(&asked), [format!("<iq id='~' to='ann@example.net/x' type='get'>{query}</iq>")]);
    assert_eq!(sent(&account.feed(&says(ANN))), [""; 0]);
    let identity = "<identity category='client' type='bot'/>";
    account.feed(&format!(
        "<iq type='result' from='{ANN}' id='{}'><query xmlns='http://jabber.org/protocol/disco#info'>{identity}</query></iq>",
        id(asked.last().expect("a request"))
    ));
    assert!(one(&account.feed(&says(ANN))).is_bot);
}

/// A chat message with a text.
pub(super) fn outgoing(to: &str, id: &str, text: &str) -> OutgoingMessage {
    OutgoingMessage {
        to: jid(to),
        kind: MessageKind::Chat,
        id: id.to_owned(),
        text: text.to_owned(),
        subject: None,
        lang: None,
        thread: None,
        payloads: Vec::new(),
    }
}

/// The one message event among the outputs.
fn one(all: &[Got]) -> Message {
    match events(all)[..] {
        [Event::Message(message)] => (**message).clone(),
        ref other => panic!("not one message: {other:?}"),
    }
}
