//! Requests that scripts answer: one answer each, whatever happens.

use super::*;
use crate::event::adhoc::{CommandAsk, CommandRequest};
use crate::stanza::{ErrorKind, StanzaError};
use crate::xep::adhoc;

const PEER: &str = "ann@example.net/x";
const SET: &str = "<command xmlns='http://jabber.org/protocol/commands' node='roll'/>";

#[test]
fn f2_requests_about_commands_go_to_the_scripts_and_come_back_answered() {
    let mut account = account();
    let items = format!("<query xmlns='{}' node='{}'/>", crate::xep::disco::ITEMS, adhoc::NS);
    let got = account.feed(&iq("get", "1", PEER, &items));
    let request = asked(&got);
    assert_eq!((request.from.as_str(), request.id.as_str(), &request.ask), (PEER, "1", &CommandAsk::Items));
    let answered = account.perform(answer(PEER, "1")).expect("taken");
    assert_eq!(sent(&answered), ["<iq id='1' to='ann@example.net/x' type='result'><done xmlns='x'/></iq>"]);
    assert_eq!(account.perform(answer(PEER, "1")).expect("taken"), [], "only once");
}

#[test]
fn f2_without_a_menu_nothing_is_offered() {
    let mut account = Account::online("", |_| {});
    let got = account.feed(&iq("set", "1", PEER, SET));
    assert!(sent(&got)[0].contains("service-unavailable"), "{got:?}");
    let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    assert!(!sent(&account.feed(&iq("get", "2", PEER, info)))[0].contains(adhoc::NS));
    let mut account = self::account();
    assert!(sent(&account.feed(&iq("get", "2", PEER, info)))[0].contains(adhoc::NS));
}

#[test]
fn s24_servers_occupants_and_nobody_give_no_commands() {
    let mut account = account_in("den@rooms.example.org");
    for from in ["example.org", "example.net", "den@rooms.example.org/ann", "den@rooms.example.org"] {
        let got = account.feed(&iq("set", "1", from, SET));
        assert_eq!(got.len(), 1);
        assert!(sent(&got)[0].contains("<forbidden"), "{from}: {got:?}");
    }
    let got = account.feed(&format!("<iq type='set' id='1'>{SET}</iq>"));
    assert!(sent(&got)[0].contains("<forbidden"), "{got:?}");
}

#[test]
fn f2_what_the_scripts_do_not_answer_is_answered_after_a_while() {
    let mut account = account();
    asked(&account.feed(&iq("set", "1", PEER, SET)));
    assert_eq!(account.after(59), []);
    let late = account.after(1);
    assert!(sent(&late)[0].contains("remote-server-timeout"), "{late:?}");
    assert_eq!(account.perform(answer(PEER, "1")).expect("taken"), []);
}

#[test]
fn f2_a_flood_is_refused_and_others_are_heard() {
    let mut account = account();
    let mut refused = 0;
    for n in 0..50 {
        let got = account.feed(&iq("set", &n.to_string(), &format!("eve@example.net/{n}"), SET));
        refused += usize::from(sent(&got).first().is_some_and(|text| text.contains("resource-constraint")));
    }
    assert_eq!(refused, 42);
    asked(&account.feed(&iq("set", "1", PEER, SET)));
    for n in 0..100 {
        account.feed(&iq("set", "1", &format!("eve{n}@example.net/x"), SET));
    }
    let got = account.feed(&iq("set", "2", PEER, SET));
    assert!(sent(&got)[0].contains("resource-constraint"), "there is a bound for all: {got:?}");
}

#[test]
fn f2_an_answer_waits_for_the_session_to_go_on_and_ends_with_it() {
    let mut account = account();
    asked(&account.feed(&iq("set", "1", PEER, SET)));
    account.session.on_offline(account.now);
    assert_eq!(account.perform(answer(PEER, "1")).expect("kept"), []);
    let resumed = account.resume();
    assert!(sent(&resumed)[0].contains("<done"), "{resumed:?}");
    // The server has delivered it twice: the first is still being answered.
    asked(&account.feed(&iq("set", "2", PEER, SET)));
    assert_eq!(account.feed(&iq("set", "2", PEER, SET)), []);
    account.session.on_offline(account.now);
    account.bind("");
    assert_eq!(account.perform(answer(PEER, "2")).expect("nobody waits"), []);
}

#[test]
fn f2_garbage_is_refused_before_any_script_sees_it() {
    let mut account = account();
    for (payload, condition) in [
        ("<command xmlns='http://jabber.org/protocol/commands'/>", "bad-payload"),
        ("<command xmlns='http://jabber.org/protocol/commands' node='x' action='rm'/>", "malformed-action"),
    ] {
        let got = account.feed(&iq("set", "1", PEER, payload));
        assert_eq!(got.len(), 1);
        assert!(sent(&got)[0].contains(condition), "{got:?}");
    }
}

fn account() -> Account {
    Account::online("", |config| config.commands = true)
}

/// An account that is on its way into a room.
fn account_in(room: &str) -> Account {
    let desired = crate::session::rooms::DesiredRoom {
        jid: bare(room),
        nick: "bot".to_owned(),
        password: None,
        create: false,
    };
    Account::online("", |config| {
        config.commands = true;
        config.rooms = vec![desired];
    })
}

fn iq(kind: &str, id: &str, from: &str, payload: &str) -> String {
    format!("<iq type='{kind}' id='{id}' from='{from}' to='{FULL}'>{payload}</iq>")
}

fn asked(got: &[Got]) -> &CommandRequest {
    match &events(got)[..] {
        [Event::Command(request)] => request,
        other => panic!("{other:?}"),
    }
}

fn answer(to: &str, id: &str) -> Action {
    let outcome: Result<_, StanzaError> = Ok(Some(Element::new("done", "x")));
    let refused = StanzaError::new(ErrorKind::Cancel, "item-not-found");
    assert!(refused.specific.is_none());
    Action::Answer { to: jid(to), id: id.to_owned(), outcome }
}
