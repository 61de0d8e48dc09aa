//! What scripts do to rooms.

use super::*;
use crate::action::RoomOrder;
use crate::event::Bounce;
use crate::event::room::{Affiliation, Role};
use crate::session::rooms::Standing;

const ADMIN: &str = "http://jabber.org/protocol/muc#admin";
const OWNER: &str = "http://jabber.org/protocol/muc#owner";

fn order(account: &mut Account, order: RoomOrder) -> Vec<Got> {
    account.perform(Action::Room { room: bare(ROOM), id: "o1".to_owned(), order }).expect("online")
}

fn bounce(got: &[Got]) -> &Bounce {
    match events(got)[..] {
        [Event::Bounce(bounce)] => bounce,
        _ => panic!("no bounce: {got:?}"),
    }
}

#[test]
fn orders_become_the_requests_of_the_specification() {
    let reason = || Some("why".to_owned());
    let cases = [
        (
            RoomOrder::Role { nick: "bob".to_owned(), role: Role::None, reason: reason() },
            format!("<query xmlns='{ADMIN}'><item nick='bob' role='none'><reason>why</reason></item></query>"),
        ),
        (
            RoomOrder::Role { nick: "bob".to_owned(), role: Role::Participant, reason: None },
            format!("<query xmlns='{ADMIN}'><item nick='bob' role='participant'/></query>"),
        ),
        (
            RoomOrder::Affiliate { jid: bare("bob@example.net"), affiliation: Affiliation::Outcast, reason: reason() },
            format!(
                "<query xmlns='{ADMIN}'><item affiliation='outcast' jid='bob@example.net'><reason>why</reason></item></query>"
            ),
        ),
        (
            RoomOrder::Retract { of: "s1".to_owned(), reason: None },
            "<moderate xmlns='urn:xmpp:message-moderate:1' id='s1'><retract xmlns='urn:xmpp:message-retract:1'/></moderate>"
                .to_owned(),
        ),
    ];
    for (what, expected) in cases {
        let mut account = inside(&["urn:xmpp:message-moderate:1", "urn:xmpp:message-moderate:0"], |_| {});
        let got = order(&mut account, what);
        assert_eq!(sent(&got), [format!("<iq id='~' to='{ROOM}' type='set'>{expected}</iq>")]);
    }
    let mut old = inside(&["urn:xmpp:message-moderate:0"], |_| {});
    let got = order(&mut old, RoomOrder::Retract { of: "s1".to_owned(), reason: None });
    assert!(sent(&got)[0].contains("<apply-to xmlns='urn:xmpp:fasten:0' id='s1'>"), "{got:?}");
    let got = order(&mut old, RoomOrder::Invite { jid: bare("carol@example.net"), reason: None });
    assert_eq!(
        sent(&got),
        [format!(
            "<message to='{ROOM}' id='o1'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='carol@example.net'/></x></message>"
        )]
    );
}

#[test]
fn what_the_room_refuses_comes_back_with_the_id() {
    let mut account = inside(&[], |_| {});
    order(&mut account, RoomOrder::Role { nick: "ann".to_owned(), role: Role::None, reason: None });
    let got = account.refuse(ROOM, ADMIN, "not-allowed");
    let bounced = bounce(&got);
    assert_eq!((bounced.id.as_deref(), bounced.error.condition.as_ref()), (Some("o1"), "not-allowed"));
    let got = order(&mut account, RoomOrder::Retract { of: "s1".to_owned(), reason: None });
    assert_eq!(bounce(&got).error.condition, "feature-not-implemented");
    // An answer from anybody else is none.
    order(&mut account, RoomOrder::Role { nick: "ann".to_owned(), role: Role::None, reason: None });
    assert_eq!(account.refuse("den@rooms.example.org/eve", ADMIN, "not-allowed"), []);
    let got = account.after(61);
    assert_eq!(bounce(&got).error.condition, "remote-server-timeout");
}

#[test]
fn an_order_for_a_room_that_it_is_not_in_comes_back_at_once() {
    let mut account = Account::online("", |_| {});
    let got = order(&mut account, RoomOrder::Role { nick: "ann".to_owned(), role: Role::None, reason: None });
    assert_eq!((bounce(&got).error.condition.as_ref(), sent(&got).len()), ("not-acceptable", 0));
}

#[test]
fn a_room_that_a_script_left_is_joined_with_the_next_session() {
    let mut account = inside(&[], |_| {});
    let got = order(&mut account, RoomOrder::Leave);
    assert_eq!(presences(&got), [format!("<presence type='unavailable' to='{ROOM}/bot'/>")]);
    assert_eq!(account.session.standing_in(&bare(ROOM)), Standing::Out);
    assert_eq!(account.feed(&gone("bot", PLAIN, &[110])), []);
    assert_eq!(account.after(100_000), []);
    account.session.on_offline(account.now);
    account.bind("");
    assert_eq!(account.session.standing_in(&bare(ROOM)), Standing::Coming);
}

#[test]
fn c11_a_configuration_goes_back_with_what_it_came_with() {
    let mut account = inside(&[], |_| {});
    let fields = vec![("membersonly".to_owned(), vec!["1".to_owned()])];
    order(&mut account, RoomOrder::Configure { fields });
    let id = account.asked(OWNER);
    let got = account.feed(&format!(
        "<iq type='result' from='{ROOM}' id='{id}'><query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='form'>\
         <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/muc#roomconfig</value></field>\
         <field var='muc#roomconfig_membersonly' type='boolean'><value>0</value></field>\
         <field var='own-thing' type='list-multi'><value>a</value><value>b</value></field></x></query></iq>"
    ));
    let filled = sent(&got)[0];
    for part in [
        "type='submit'",
        "<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>",
        "<field var='muc#roomconfig_membersonly'><value>1</value></field>",
        "<field var='own-thing'><value>a</value><value>b</value></field>",
    ] {
        assert!(filled.contains(part), "{part} in {filled}");
    }
    order(&mut account, RoomOrder::Configure { fields: vec![("nope".to_owned(), vec![])] });
    let id = account.asked(OWNER);
    let got =
        account.feed(&format!("<iq type='result' from='{ROOM}' id='{id}'><query xmlns='{OWNER}'/></iq>"));
    assert_eq!(bounce(&got).error.text.as_deref(), Some("the room has no field `nope`"));
}
