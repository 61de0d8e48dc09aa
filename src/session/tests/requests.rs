//! Requests and answers in both directions.

use super::*;
use crate::action::RequestKind;
use crate::event::{Answer, RequestFailed};
use crate::stanza::{ErrorKind, StanzaError};

const PEER: &str = "ann@example.net/x";

#[test]
fn p18_iq_answers_are_matched_on_sender_and_id() {
    let mut account = Account::online("", |_| {});
    let asked = account.perform(ping("t", Some(PEER))).expect("online");
    assert_eq!(
        sent(&asked),
        ["<iq id='~' to='ann@example.net/x' type='get'><ping xmlns='urn:xmpp:ping'/></iq>"]
    );
    let id = id(&asked[0]);
    for (from, id) in [("eve@example.org", &*id), ("ann@example.net", &id), (PEER, "1"), (BARE, &id)] {
        assert_eq!(account.feed(&format!("<iq type='result' from='{from}' id='{id}'/>")), [], "{from} {id}");
    }
    assert_eq!(account.feed(&format!("<iq type='result' id='{id}'/>")), []);
    // The right answer still counts, and only once.
    let answer = format!("<iq type='result' from='Ann@EXAMPLE.net/x' id='{id}'><pong xmlns='x'/></iq>");
    let pong = Element::new("pong", "x".to_owned());
    assert_eq!(account.feed(&answer), [answered("t", Ok(Some(pong)))]);
    assert_eq!(account.feed(&answer), []);
}

#[test]
fn p18_an_error_is_no_result() {
    let mut account = Account::online("", |_| {});
    let asked = account.perform(ping("t", None)).expect("online");
    let error = "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    let got = account.feed(&format!("<iq type='error' from='{BARE}' id='{}'>{error}</iq>", id(&asked[0])));
    let error = StanzaError::new(ErrorKind::Cancel, "item-not-found");
    assert_eq!(got, [answered("t", Err(RequestFailed::Error(error)))]);
}

#[test]
fn p18_requests_end_at_their_deadline() {
    let mut account = Account::online("", |_| {});
    account.perform(ping("t", Some(PEER))).expect("online");
    assert_eq!(account.after(9), []);
    assert_eq!(account.after(1), [answered("t", Err(RequestFailed::Timeout))]);
    assert_eq!(account.session.poll_output(), SessionOutput::Idle(None));
}

#[test]
fn p18_open_requests_are_bounded() {
    let mut account = Account::online("", |_| {});
    let mut open = 0;
    while account.perform(ping("t", Some(PEER))).is_ok() {
        open += 1;
        assert!(open <= 1000);
    }
    assert_eq!(account.perform(ping("t", Some(PEER))), Err(Refused::Busy));
    assert_eq!(account.after(10).len(), open);
    assert!(account.perform(ping("t", Some(PEER))).is_ok());
}

#[test]
fn p18_ids_cannot_be_guessed() {
    let mut account = Account::online("", |_| {});
    let one = account.perform(ping("t", Some(PEER))).expect("online");
    let two = account.perform(ping("t", Some(PEER))).expect("online");
    let (one, two) = (id(&one[0]), id(&two[0]));
    assert_eq!((one.len(), two.len()), (20, 20));
    assert_ne!(one[..4], two[..4]);
}

#[test]
fn p18_every_unknown_request_is_answered_once() {
    let mut account = Account::online("", |_| {});
    for kind in ["get", "set"] {
        let got = account
            .feed(&format!("<iq type='{kind}' id='disco' from='{PEER}'><query xmlns='urn:example'/></iq>"));
        assert_eq!(
            sent(&got),
            ["<iq id='disco' to='ann@example.net/x' type='error'><error type='cancel'>\
              <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"]
        );
        assert_eq!(got.len(), 1);
    }
    let two = format!("<iq type='get' id='1' from='{PEER}'><a xmlns='x'/><b xmlns='x'/></iq>");
    assert_eq!(
        sent(&account.feed(&two)),
        ["<iq id='1' to='ann@example.net/x' type='error'><error type='modify'>\
          <bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"]
    );
}

#[test]
fn p18_results_and_errors_are_never_answered() {
    let mut account = Account::online("", |_| {});
    for stanza in [
        "<iq type='result' id='x' from='eve@example.org'/>",
        "<iq type='result' from='eve@example.org'/>",
        "<iq type='error' id='x' from='eve@example.org'><a xmlns='x'/><b xmlns='x'/></iq>",
        "<iq type='error' from='@@@' id='x'/>",
        "<iq type='get' from='@@@' id='x'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq type='get' to='other@example.org' from='a@b' id='x'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq type='get' to='other@example.org' from='a@b' id='x'/>",
    ] {
        assert_eq!(account.feed(stanza), [], "{stanza}");
    }
}

#[test]
fn ping_version_and_discovery_are_answered_to_anybody() {
    let mut account = Account::online("", |_| {});
    let mut ask = |payload: &str| {
        let got = account.feed(&format!("<iq type='get' id='1' from='{PEER}' to='{FULL}'>{payload}</iq>"));
        sent(&got).join("").replace("<iq id='1' to='ann@example.net/x' type=", "")
    };
    assert_eq!(ask("<ping xmlns='urn:xmpp:ping'/>"), "'result'/>");
    assert_eq!(
        ask("<query xmlns='jabber:iq:version'/>"),
        "'result'><query xmlns='jabber:iq:version'><name>Echo</name><version>1.0</version></query></iq>"
    );
    assert_eq!(
        ask("<query xmlns='http://jabber.org/protocol/disco#items'/>"),
        "'result'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>"
    );
    let info = ask("<query xmlns='http://jabber.org/protocol/disco#info'/>");
    assert!(info.contains("<identity category='client' type='bot' name='Echo'/>"), "{info}");
    assert!(info.contains("<feature var='urn:xmpp:ping'/>"), "{info}");
    assert!(
        ask("<query xmlns='http://jabber.org/protocol/disco#info' node='x'/>").contains("item-not-found")
    );
}

#[test]
fn the_node_of_our_own_capabilities_is_answered_from_bare_and_full_address() {
    let mut account = Account::new(|_| {});
    let asked = account.bind("");
    let done = account.feed(&format!("<iq type='result' id='{}'/>", id(&asked[0])));
    let presence = parse(sent(&done)[0]);
    let caps = presence.child("c", crate::xep::caps::NS).expect("capabilities");
    let node = format!("{}#{}", caps.attr("node").expect("a node"), caps.attr("ver").expect("a hash"));
    for from in [BARE, FULL] {
        let got = account.feed(&format!(
            "<iq type='get' id='disco' from='{from}' to='{FULL}'>\
             <query xmlns='http://jabber.org/protocol/disco#info' node='{node}'/></iq>"
        ));
        let answer = parse(sent(&got)[0]);
        let info = answer.children().next().and_then(crate::xep::disco::Info::parse).expect("an answer");
        let ours = crate::xep::caps::Caps::read(std::slice::from_ref(caps)).expect("capabilities");
        assert!(ours.verify(&info));
        assert_eq!(info.node.as_deref(), Some(&*node));
    }
}

#[test]
fn s30_strangers_do_not_learn_time_and_activity() {
    let contact = "<item jid='friend@example.net' subscription='from'/>\
                   <item jid='to@example.net' subscription='to'/>";
    let mut account = Account::online(contact, |_| {});
    account.after(7);
    let mut ask = |from: &str, payload: &str| {
        let got = account.feed(&format!("<iq type='get' id='1' from='{from}'>{payload}</iq>"));
        sent(&got).join("")
    };
    for payload in ["<time xmlns='urn:xmpp:time'/>", "<query xmlns='jabber:iq:last'/>"] {
        for stranger in ["eve@example.org/x", "to@example.net/x", "example.org"] {
            assert!(ask(stranger, payload).contains("<forbidden "), "{stranger} {payload}");
        }
    }
    assert!(ask("friend@example.net/x", "<query xmlns='jabber:iq:last'/>").contains("seconds='7'"));
    assert!(
        ask("friend@example.net/x", "<time xmlns='urn:xmpp:time'/>")
            .contains("<tzo>+00:00</tzo><utc>2026-01-01T00:00:07Z</utc>")
    );
    assert!(ask("bot@example.org/phone", "<time xmlns='urn:xmpp:time'/>").contains("<utc>"));
}

#[test]
fn nothing_is_done_offline() {
    let mut account = Account::new(|_| {});
    assert_eq!(account.perform(ping("t", None)), Err(Refused::Offline));
    assert_eq!(account.drain(), []);
}

/// A ping that may take ten seconds.
pub(super) fn ping(token: &str, to: Option<&str>) -> Action {
    Action::Request {
        token: token.to_owned(),
        to: to.map(jid),
        kind: RequestKind::Get,
        payload: Element::new("ping", "urn:xmpp:ping"),
        timeout: Duration::from_secs(10),
    }
}

fn answered(token: &str, outcome: Result<Option<Element>, RequestFailed>) -> Got {
    Got::Event(Event::Answer(Answer { token: token.to_owned(), outcome }))
}

#[test]
fn p18_a_contact_may_ask_what_a_script_answers() {
    let mut account = Account::online("<item jid='ann@example.net' subscription='from'/>", |_| {});
    let ask = |id: &str| format!("<iq type='get' id='{id}' from='{PEER}'><query xmlns='urn:example'/></iq>");
    let token = |got: &[Got]| match got {
        [Got::Event(Event::Request(request))] => request.token.clone(),
        other => panic!("{other:?}"),
    };
    let first = token(&account.feed(&ask("1")));
    let answer =
        Action::Respond { token: first.clone(), outcome: Ok(Some(Element::new("a", "urn:example"))) };
    let got = account.perform(answer.clone()).expect("online");
    assert_eq!(sent(&got), ["<iq id='1' to='ann@example.net/x' type='result'><a xmlns='urn:example'/></iq>"]);
    // Only the first answer counts.
    assert_eq!(account.perform(answer), Ok(Vec::new()));
    let late = token(&account.feed(&ask("2")));
    assert_eq!(account.after(29), []);
    assert!(sent(&account.after(1)).join("").contains("remote-server-timeout"));
    let answer = Action::Respond { token: late, outcome: Ok(None) };
    assert_eq!(account.perform(answer), Ok(Vec::new()));
    // What XML cannot carry is refused, and the peer is told all the same.
    let broken = token(&account.feed(&ask("3")));
    let outcome = Ok(Some(Element::new("a", "urn:example").with_text("\u{0}")));
    assert!(matches!(
        account.perform(Action::Respond { token: broken, outcome }),
        Err(Refused::Invalid { .. })
    ));
    assert!(sent(&account.drain()).join("").contains("internal-server-error"));
}

#[test]
fn p18_requests_that_wait_for_a_script_are_bounded() {
    let mut account = Account::online("<item jid='ann@example.net' subscription='both'/>", |_| {});
    let mut open = 0;
    loop {
        let ask = format!("<iq type='set' id='{open}' from='{PEER}'><query xmlns='urn:example'/></iq>");
        match &account.feed(&ask)[..] {
            [Got::Event(Event::Request(_))] => open += 1,
            refused => break assert!(sent(refused).join("").contains("resource-constraint")),
        }
        assert!(open < 100);
    }
    assert_eq!(account.after(30).len(), open);
    // What the runtime answers itself, or nobody, is no script's.
    for ns in ["jabber:iq:roster", "urn:xmpp:carbons:2"] {
        let got = account.feed(&format!("<iq type='set' id='r' from='{PEER}'><query xmlns='{ns}'/></iq>"));
        assert!(sent(&got).join("").contains("service-unavailable"), "{got:?}");
    }
}

/// How many of so many requests from each of these addresses are answered, in the same moment.
fn answers(account: &mut Account, froms: &[String], each: usize) -> usize {
    let ask =
        |from: &String| format!("<iq type='get' id='p' from='{from}'><ping xmlns='urn:xmpp:ping'/></iq>");
    (0..each).map(|_| froms.iter().map(|from| sent(&account.feed(&ask(from))).len()).sum::<usize>()).sum()
}

#[test]
fn sm12_a_flood_of_requests_is_answered_to_a_bound_and_others_are_still_answered() {
    let mut account = Account::online("<item jid='ann@example.net' subscription='both'/>", |_| {});
    // All resources of one address count together.
    let flood = ["eve@example.com/1".to_owned(), "eve@example.com/2".to_owned()];
    assert_eq!(answers(&mut account, &flood, 5_000), 60);
    assert_eq!(answers(&mut account, &["ann@example.net/x".to_owned(), "zoe@example.com".to_owned()], 1), 2);
    account.after(4);
    assert_eq!(answers(&mut account, &flood, 5_000), 20);
    account.after(1_000);
    assert_eq!(answers(&mut account, &flood, 5_000), 60);
}

#[test]
fn sm12_many_strangers_are_bounded_together_and_silence_neither_contacts_nor_the_server() {
    let mut account = Account::online("<item jid='ann@example.net' subscription='both'/>", |_| {});
    let strangers: Vec<String> = (0..2_000).map(|n| format!("e{n}@example.com/x")).collect();
    assert_eq!(answers(&mut account, &strangers, 3), 300);
    let known = ["ann@example.net/x", "example.org", BARE].map(str::to_owned);
    assert_eq!(answers(&mut account, &known, 50), 150);
    let server = ["example.org".to_owned()];
    assert_eq!(answers(&mut account, &server, 5_000), 5_000, "the own server is not counted");
}

#[test]
fn sm12_a_flood_of_what_is_no_request_is_bounded_too_and_answers_are_not_counted() {
    let mut account = Account::online("", |_| {});
    let got: usize =
        (0..500).map(|_| sent(&account.feed("<iq type='get' id='p' from='eve@example.com/1'/>")).len()).sum();
    assert_eq!(got, 60);
    let asked = account.perform(ping("t", Some("eve@example.com/1"))).expect("online");
    let answer = format!("<iq type='result' id='{}' from='eve@example.com/1'/>", id(&asked[0]));
    assert_eq!(account.feed(&answer), [answered("t", Ok(None))]);
}
