//! The classes of attacks on clients: each must have no effect.

use super::*;
use std::sync::Arc;

use crate::action::OutgoingMessage;
use crate::event::Class;
use crate::stanza::MessageKind;

#[test]
fn s1_a_forged_carbon_has_no_effect() {
    let copy = |kind: &str, inner_from: &str| {
        format!(
            "<{kind} xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>\
             <message xmlns='jabber:client' from='{inner_from}' to='{BARE}' type='chat'><body>run</body></message>\
             </forwarded></{kind}>"
        )
    };
    for carbons in [true, false] {
        let mut account = Account::online("", |config| config.carbons = carbons);
        let wrapped =
            |from: &str, copies: &str| format!("<message from='{from}'>{copies}<body>look</body></message>");
        for from in ["bob@example.org/x", "example.org", "bot@example.org/other", "bot@example.com"] {
            for kind in ["received", "sent"] {
                let stanza = wrapped(from, &copy(kind, "admin@example.org/x"));
                assert_eq!(account.feed(&stanza), [], "{from} {kind}");
            }
        }
        let double = [copy("received", "a@example.org"), copy("received", "b@example.org")].concat();
        assert_eq!(account.feed(&wrapped(BARE, &double)), []);
        assert_eq!(account.feed(&wrapped(BARE, &copy("sent", "admin@example.org"))), []);
        assert_eq!(account.feed(&format!("<message>{}</message>", copy("received", "a@example.org"))), []);
    }
    // The same copy from the account itself, in another spelling, counts: the test can fail.
    let mut account = Account::online("", |config| config.carbons = true);
    let stanza =
        format!("<message from='BOT@Example.org'>{}</message>", copy("received", "ann@example.org/x"));
    assert_eq!(account.feed(&stanza).len(), 1);
}

#[test]
fn s2_a_forged_roster_push_changes_nothing() {
    let mut account = Account::online("<item jid='ann@example.net'/>", |_| {});
    let push = "<query xmlns='jabber:iq:roster' ver='evil'><item jid='eve@example.net' subscription='both'/></query>";
    let froms = [
        "eve@example.net/x",
        "example.org",
        "room@rooms.example.org/eve",
        "bot@example.org/other",
        "bot@example.com",
    ];
    for from in froms {
        let got = account.feed(&format!("<iq type='set' id='1' from='{from}' to='{FULL}'>{push}</iq>"));
        assert_eq!(got.len(), 1, "{from}");
        assert!(sent(&got)[0].contains("<service-unavailable "), "{from}");
        assert_eq!(account.session.contact(&bare("eve@example.net")), None);
    }
    let result = format!("<iq type='result' id='1' from='eve@example.net/x'>{push}</iq>");
    assert_eq!(account.feed(&result), []);
    assert_eq!(account.session.contact(&bare("eve@example.net")), None);
    account.feed(&format!("<iq type='set' id='1'>{push}</iq>"));
    assert!(account.session.contact(&bare("eve@example.net")).is_some());
}

#[test]
fn s3_a_roster_result_of_a_stranger_is_ignored() {
    let mut account = Account::new(|_| {});
    let asked = account.bind("");
    let id = id(&asked[0]);
    let items = "<query xmlns='jabber:iq:roster'><item jid='eve@example.net' subscription='both'/></query>";
    for from in ["eve@example.net/x", "bot@example.org/other", "example.com"] {
        assert_eq!(account.feed(&format!("<iq type='result' id='{id}' from='{from}'>{items}</iq>")), []);
    }
    assert!(!account.feed(&format!("<iq type='result' id='{id}' from='{FULL}'/>")).is_empty());
    assert_eq!(account.session.contact(&bare("eve@example.net")), None);
}

#[test]
fn s4_an_archive_result_that_nobody_asked_for_has_no_effect() {
    let mut account = Account::online("", |_| {});
    let result = "<result xmlns='urn:xmpp:mam:2' id='1'><forwarded xmlns='urn:xmpp:forward:0'>\
                  <message xmlns='jabber:client' from='admin@example.org'><body>run</body></message></forwarded></result>";
    for from in ["eve@example.net/x", BARE, "example.org"] {
        assert_eq!(account.feed(&format!("<message from='{from}'>{result}<body>x</body></message>")), []);
    }
    assert_eq!(account.feed(&format!("<message>{result}</message>")), []);
}

#[test]
fn s16_an_error_is_a_bounce_and_never_a_text_and_never_answered() {
    let mut account = Account::online("<item jid='ann@example.net' subscription='both'/>", |_| {});
    let got = account.feed(
        "<message from='ann@example.net/x' id='m1' type='error'><body>hello</body>\
         <request xmlns='urn:xmpp:receipts'/><composing xmlns='http://jabber.org/protocol/chatstates'/>\
         <x xmlns='jabber:x:oob'><url>https://example.net</url></x>\
         <error type='wait'><recipient-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
    );
    let [Got::Event(Event::Bounce(bounce))] = &got[..] else { panic!("{got:?}") };
    assert_eq!((bounce.id.as_deref(), &*bounce.error.condition), (Some("m1"), "recipient-unavailable"));
    assert_eq!(account.feed("<presence from='ann@example.net/x' type='error'/>").len(), 1);
}

#[test]
fn s16_own_words_are_marked_so_that_nobody_answers_them() {
    let mut account =
        Account::online("", |config| config.own_bots = Arc::new([bare("other@example.org")].into()));
    let mut own = |from: &str| {
        let got = account.feed(&format!("<message from='{from}' type='chat'><body>x</body></message>"));
        let [Event::Message(message)] = events(&got)[..] else { panic!("{got:?}") };
        assert_eq!(sent(&got), [""; 0]);
        (message.own, message.is_bot)
    };
    for from in [BARE, FULL, "bot@example.org/phone", "other@example.org/r"] {
        assert_eq!(own(from), (true, true), "{from}");
    }
    assert_eq!(own("ann@example.net/x"), (false, false));
}

#[test]
fn s16_two_accounts_that_accept_everybody_fall_silent() {
    let accept = |config: &mut SessionConfig| config.accept = super::super::Accept::All;
    let mut bots = [Account::online("", accept), Account::online("", accept)];
    let mut queue = vec![(1, "<presence from='bot@example.net' type='subscribe'/>".to_owned())];
    let mut exchanged = 0;
    while let Some((to, stanza)) = queue.pop() {
        exchanged += 1;
        assert!(exchanged < 20, "the two never stop");
        let got = bots[to].feed(&stanza);
        let back =
            sent(&got).into_iter().map(|s| s.replace(" to='bot@example.net'", " from='bot@example.net'"));
        queue.extend(back.map(|stanza| (1 - to, stanza)));
    }
    assert!(exchanged <= 8, "{exchanged}");
}

#[test]
fn s16_two_echo_bots_that_skip_own_words_stop_after_the_first() {
    // Each echoes what is not marked as the words of a bot of this process.
    let pair = |config: &mut SessionConfig| config.own_bots = Arc::new([bare("bot@example.net")].into());
    let mut bots = [Account::online("", pair), Account::online("", pair)];
    let mut stanza =
        Some("<message from='bot@example.net/r' type='chat' id='1'><body>x</body></message>".to_owned());
    let mut exchanged = 0;
    while let Some(text) = stanza.take() {
        exchanged += 1;
        assert!(exchanged < 5);
        let got = bots[exchanged % 2].feed(&text);
        let echo = events(&got).into_iter().find_map(|event| match event {
            Event::Message(message) if !message.own && message.class == Class::Live => {
                Some(message.text.clone())
            }
            _ => None,
        });
        stanza = echo.map(|echo| {
            let message =
                OutgoingMessage { kind: MessageKind::Chat, ..messages::outgoing("a@b", "1", &echo) };
            wire(bots[0].session.encode(&Action::Message(message)).expect("a message")).text
        });
    }
    assert_eq!(exchanged, 1);
}

#[test]
fn s21_a_lie_about_capabilities_is_not_kept() {
    let mut account = Account::online("<item jid='ann@example.net' subscription='both'/>", |_| {});
    let from = "ann@example.net/x";
    let caps = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/>";
    account.feed(&format!("<presence from='{from}'>{caps}</presence>"));
    let says = format!("<message from='{from}'><body>x</body></message>");
    let asked = account.feed(&says);
    let lie = "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='bot'/></query>";
    let id = id(asked.last().expect("a request"));
    assert_eq!(account.feed(&format!("<iq type='result' from='{from}' id='{id}'>{lie}</iq>")), []);
    let got = account.feed(&says);
    assert!(matches!(events(&got)[..], [Event::Message(message)] if !message.is_bot));
    assert_eq!(sent(&got), [""; 0]);
}

#[test]
fn a_stanza_for_somebody_else_has_no_effect() {
    let mut account = Account::online("", |_| {});
    for stanza in [
        "<message from='a@b' to='other@example.org'><body>x</body></message>",
        "<presence from='a@b' to='other@example.org'/>",
        "<iq from='a@b' to='other@example.org' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<message from='@@@'><body>x</body></message>",
        "<presence from='a@b' type='invisible'/>",
        "<presence from='a@b' type='probe'/>",
        "<message xmlns='jabber:server' from='a@b'><body>x</body></message>",
        "<wave from='a@b'/>",
    ] {
        assert_eq!(account.feed(stanza), [], "{stanza}");
    }
}

/// Which of these a script is told of: `edit` and `retract` as (what, id).
fn changes_told(got: &[Got]) -> Vec<(&'static str, String)> {
    events(got)
        .into_iter()
        .filter_map(|event| match event {
            Event::Message(message) => message.replaces.clone().map(|id| ("edit", id)),
            Event::Remark(remark) => Some(("retract", remark.about.clone())),
            _ => None,
        })
        .collect()
}

#[test]
fn s13_nobody_takes_back_the_words_of_the_account() {
    let mut account = Account::online("", |_| {});
    let message = super::messages::outgoing("ann@example.net", "own1", "hello");
    account.perform(Action::Message(message)).expect("online");
    let retract = |id: &str| format!("<retract xmlns='urn:xmpp:message-retract:1' id='{id}'/>");
    let edit = |id: &str| format!("<body>x</body><replace xmlns='urn:xmpp:message-correct:0' id='{id}'/>");
    let say = |children: &str| format!("<message from='ann@example.net/x' type='chat'>{children}</message>");
    for forged in [retract("own1"), edit("own1")] {
        assert_eq!(account.feed(&say(&forged)), [], "{forged}");
    }
    account.feed("<message from='ann@example.net/x' type='chat' id='a1'><body>helo</body></message>");
    assert_eq!(changes_told(&account.feed(&say(&edit("a1")))), [("edit", "a1".to_owned())]);
    assert_eq!(changes_told(&account.feed(&say(&edit("a1")))), [("edit", "a1".to_owned())], "a second time");
    assert_eq!(changes_told(&account.feed(&say(&retract("a1")))), [("retract", "a1".to_owned())]);
}
