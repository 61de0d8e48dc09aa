//! The login: what is asked, in which order, and what a cut or a resumption leaves of it.

use super::*;
use crate::event::{Answer, RequestFailed, RosterChange};
use crate::stanza::Show;

#[test]
fn n4_roster_discovery_and_capabilities_are_really_asked_for() {
    let mut account = Account::new(|_| {});
    let asked = account.bind("");
    assert_eq!(
        sent(&asked),
        [
            "<iq id='~' type='get'><query xmlns='jabber:iq:roster'/></iq>",
            "<iq id='~' to='bot@example.org' type='get'>\
             <query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
            "<iq id='~' to='example.org' type='get'>\
             <query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
        ]
    );
    let done = account.feed(&format!("<iq type='result' id='{}'/>", id(&asked[0])));
    assert!(
        sent(&done)[0].starts_with("<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node=")
    );
}

#[test]
fn the_order_is_roster_presence_online() {
    let mut account = Account::new(|_| {});
    let asked = account.bind("");
    assert_eq!(events(&asked), Vec::<&Event>::new());
    let done = account.feed(&format!("<iq type='result' id='{}' from='{BARE}'/>", id(&asked[0])));
    assert!(matches!(
        &done[..],
        [
            Got::Event(Event::Roster(RosterChange::Loaded { .. })),
            Got::Sent(_),
            Got::Event(Event::Online { resumed: false, .. }),
        ]
    ));
}

#[test]
fn n3_the_first_presence_is_the_configured_one() {
    let account = |presence: super::super::OwnPresence| {
        let mut account = Account::new(|config| config.presence = presence);
        let asked = account.bind("");
        let done = account.feed(&format!("<iq type='result' id='{}'/>", id(&asked[0])));
        sent(&done)[0].split("<c ").next().unwrap_or_default().to_owned()
    };
    assert_eq!(account(super::super::OwnPresence::default()), "<presence>");
    let presence =
        super::super::OwnPresence { show: Some(Show::Dnd), status: Some("<busy>".to_owned()), priority: -1 };
    assert_eq!(
        account(presence),
        "<presence><show>dnd</show><status>&lt;busy&gt;</status><priority>-1</priority>"
    );
}

#[test]
fn a_server_without_a_roster_does_not_keep_the_account_offline() {
    let refused = "<error type='auth'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    let mut account = Account::new(|_| {});
    let asked = account.bind("");
    let done = account.feed(&format!("<iq type='error' id='{}'>{refused}</iq>", id(&asked[0])));
    assert!(matches!(events(&done)[..], [Event::Online { .. }]));

    let mut silent = Account::new(|_| {});
    silent.bind("");
    assert_eq!(silent.after(29), []);
    assert!(matches!(events(&silent.after(2))[..], [Event::Online { .. }]));
}

#[test]
fn a_resumed_session_asks_for_nothing_again() {
    let mut account = Account::online("", |_| {});
    account.session.on_offline(account.now);
    let resumed = account.resume();
    assert!(matches!(&resumed[..], [Got::Event(Event::Online { resumed: true, .. })]));
}

#[test]
fn a_login_that_was_cut_goes_on_after_the_resumption() {
    let mut account = Account::new(|_| {});
    let asked = account.bind("");
    account.session.on_offline(account.now);
    assert_eq!(account.resume(), []);
    let done = account.feed(&format!("<iq type='result' id='{}'/>", id(&asked[0])));
    assert!(matches!(events(&done)[..], [Event::Roster(_), Event::Online { resumed: false, .. }]));

    let mut late = Account::new(|_| {});
    late.bind("");
    late.session.on_offline(late.now);
    // The roster request times out while there is no stream to send presence on.
    assert_eq!(late.after(60), []);
    assert!(matches!(events(&late.resume())[..], [Event::Online { resumed: false, .. }]));
}

#[test]
fn open_requests_survive_a_resumption_and_end_with_the_session() {
    let lost = |resumed: bool| {
        let mut account = Account::online("", |_| {});
        let asked = account.perform(requests::ping("t", Some("ann@example.net/x"))).expect("online");
        account.session.on_offline(account.now);
        let back = if resumed { account.resume() } else { account.bind("") };
        let answer = format!("<iq type='result' from='ann@example.net/x' id='{}'/>", id(&asked[0]));
        (answers(&back), answers(&account.feed(&answer)))
    };
    let answer = |outcome| vec![Answer { token: "t".to_owned(), outcome }];
    assert_eq!(lost(true), (vec![], answer(Ok(None))));
    assert_eq!(lost(false), (answer(Err(RequestFailed::SessionLost)), vec![]));
}

#[test]
fn carbons_are_switched_on_before_presence_and_only_where_announced() {
    let enable = "<iq id='~' type='set'><enable xmlns='urn:xmpp:carbons:2'/></iq>";
    for (features, expected) in [("<feature var='urn:xmpp:carbons:2'/>", true), ("", false)] {
        let mut account = Account::new(|config| config.carbons = true);
        let asked = account.bind("");
        let [roster, own, domain] = &asked[..] else { panic!("{asked:?}") };
        assert_eq!(
            sent(&account.feed(&format!("<iq type='result' id='{}'/>", id(roster)))),
            Vec::<&str>::new()
        );
        let disco = "http://jabber.org/protocol/disco#info";
        let info = |id: String, from: &str| {
            format!(
                "<iq type='result' id='{id}' from='{from}'><query xmlns='{disco}'>{features}</query></iq>"
            )
        };
        assert_eq!(account.feed(&info(id(own), BARE)), []);
        let done = account.feed(&info(id(domain), "example.org"));
        let done = sent(&done);
        assert_eq!(done[0] == enable, expected);
        assert!(done[done.len() - 1].starts_with("<presence>"));
    }
}

#[test]
fn a_lost_message_is_sent_again_with_its_time_and_nothing_else_is() {
    let mut account = Account::online("", |_| {});
    let message = messages::outgoing("ann@example.net", "m1", "hello");
    let first = account.perform(Action::Message(message)).expect("online");
    account.after(90);
    account.session.on_offline(account.now);
    for stanza in [
        sent(&first)[0],
        "<presence/>",
        "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<message to='a@b'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
        "<message to='a@b'><received xmlns='urn:xmpp:receipts' id='1'/></message>",
    ] {
        account.session.on_lost(account.now, parse(stanza));
    }
    let again = "<message id='m1' to='ann@example.net' type='chat'><body>hello</body>\
                 <delay xmlns='urn:xmpp:delay' from='bot@example.org' stamp='2026-01-01T00:00:00Z'/></message>";
    let bound = account.bind("");
    let messages: Vec<&str> = sent(&bound).into_iter().filter(|s| s.starts_with("<message")).collect();
    assert_eq!(messages, [again]);
    // A second loss does not make it younger.
    account.session.on_lost(account.now, parse(again));
    assert_eq!(sent(&account.drain()), [again]);
}

#[test]
fn a_new_configuration_takes_effect_without_a_login() {
    let mut account = Account::online("", |_| {});
    let mut config = SessionConfig::new(bare(BARE));
    config.software = super::super::Software { name: "Echo".to_owned(), version: "1.0".to_owned() };
    account.session.configure(account.now, config.clone());
    assert_eq!(account.drain(), []);
    config.presence.show = Some(Show::Away);
    account.session.configure(account.now, config);
    assert!(sent(&account.drain())[0].starts_with("<presence><show>away</show><c "));
}

fn answers(all: &[Got]) -> Vec<Answer> {
    let answer = |event: &&Event| match event {
        Event::Answer(answer) => Some(answer.clone()),
        _ => None,
    };
    events(all).iter().filter_map(answer).collect()
}

/// XEP-0352 §5: a client counts as active until it says otherwise, also after a resumption.
#[test]
fn x7_nothing_is_held_back_from_a_bot() {
    let mut account = Account::new(|_| {});
    let asked = account.bind("<csi xmlns='urn:xmpp:csi:0'/>");
    account.feed(&format!("<iq type='result' id='{}'/>", id(&asked[0])));
    account.session.on_offline(account.now);
    account.resume();
    account.after(3600);
    assert!(account.sent.len() >= 4, "{:?}", account.sent);
    assert!(account.sent.iter().all(|(_, text, _)| !text.contains("urn:xmpp:csi:0")), "{:?}", account.sent);
}
