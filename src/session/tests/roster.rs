//! The examples of RFC 6121 §2 that the documentation of Protocol::XMPP lists, byte for byte.

use super::*;
use crate::event::{Contact, RosterChange, SubscriptionState};

const NURSE: &str = "nurse@example.com";

#[test]
fn p32_get_and_result_with_a_version() {
    let mut account = Account::new(|_| {});
    let asked = account.bind("<ver xmlns='urn:xmpp:features:rosterver'/>");
    assert_eq!(sent(&asked)[0], "<iq id='~' type='get'><query xmlns='jabber:iq:roster' ver=''/></iq>");
    let got = account.feed(&format!(
        "<iq id='{}' to='bot@example.org/r' type='result'><query xmlns='jabber:iq:roster' ver='ver7'>\
         <item jid='nurse@example.com'/><item jid='romeo@example.net'/></query></iq>",
        id(&asked[0])
    ));
    let items = vec![contact(NURSE), contact("romeo@example.net")];
    assert_eq!(events(&got)[0], &Event::Roster(RosterChange::Loaded { items: items.clone() }));
    assert_eq!(got.last(), Some(&Got::Saved(CachedRoster { ver: "ver7".to_owned(), items })));
}

#[test]
fn p32_a_roster_that_does_not_exist_is_an_error_and_changes_nothing() {
    let cached = CachedRoster { ver: "ver7".to_owned(), items: vec![contact(NURSE)] };
    let mut account = Account::new(|config| config.roster = Some(cached));
    let asked = account.bind("<ver xmlns='urn:xmpp:features:rosterver'/>");
    assert_eq!(sent(&asked)[0], "<iq id='~' type='get'><query xmlns='jabber:iq:roster' ver='ver7'/></iq>");
    let got = account.feed(&format!(
        "<iq id='{}' to='bot@example.org/r' type='error'><error type='auth'>\
         <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
        id(&asked[0])
    ));
    assert!(matches!(events(&got)[..], [Event::Online { .. }]));
    assert!(account.session.contact(&bare(NURSE)).is_some());
}

#[test]
fn p32_an_empty_result_means_unchanged() {
    let cached = CachedRoster { ver: "ver7".to_owned(), items: vec![contact(NURSE)] };
    let mut account = Account::new(|config| config.roster = Some(cached));
    let asked = account.bind("<ver xmlns='urn:xmpp:features:rosterver'/>");
    let got = account.feed(&format!("<iq id='{}' type='result'/>", id(&asked[0])));
    assert_eq!(events(&got)[0], &Event::Roster(RosterChange::Loaded { items: vec![contact(NURSE)] }));
    assert!(!got.iter().any(|got| matches!(got, Got::Saved(_))));
}

#[test]
fn p32_set_and_remove() {
    let mut account = Account::online("", |_| {});
    let set = |name: Option<&str>, groups: &[&str]| Action::RosterSet {
        jid: bare(NURSE),
        name: name.map(str::to_owned),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    };
    let got = account.perform(set(None, &[])).expect("online");
    assert_eq!(
        sent(&got),
        [
            "<iq id='~' type='set'><query xmlns='jabber:iq:roster'><item jid='nurse@example.com'/></query></iq>"
        ]
    );
    let got = account.perform(set(Some("Nurse"), &["Servants"])).expect("online");
    assert_eq!(
        sent(&got),
        ["<iq id='~' type='set'><query xmlns='jabber:iq:roster'><item jid='nurse@example.com' name='Nurse'>\
          <group>Servants</group></item></query></iq>"]
    );
    assert_eq!(account.feed(&format!("<iq id='{}' type='result'/>", id(&got[0]))), []);
    let got = account.perform(Action::RosterRemove { jid: bare(NURSE) }).expect("online");
    assert_eq!(
        sent(&got),
        ["<iq id='~' type='set'><query xmlns='jabber:iq:roster'>\
          <item jid='nurse@example.com' subscription='remove'/></query></iq>"]
    );
    let bad = account.perform(set(Some("\u{0}"), &[]));
    assert!(matches!(bad, Err(Refused::Invalid { .. })));
}

#[test]
fn p32_a_push_is_answered_with_an_empty_result() {
    let mut account = Account::online("", |_| {});
    let got = account.feed(
        "<iq id='a78b4q6ha463' to='bot@example.org/r' type='set'><query xmlns='jabber:iq:roster'>\
         <item jid='nurse@example.com'/></query></iq>",
    );
    assert_eq!(sent(&got), ["<iq id='a78b4q6ha463' type='result'/>"]);
    assert_eq!(events(&got), [&Event::Roster(RosterChange::Set(contact(NURSE)))]);
    let got = account.feed(
        "<iq id='p2' from='bot@example.org' type='set'><query xmlns='jabber:iq:roster' ver='v9'>\
         <item jid='nurse@example.com' subscription='remove'/></query></iq>",
    );
    assert_eq!(sent(&got), ["<iq id='p2' to='bot@example.org' type='result'/>"]);
    assert_eq!(events(&got), [&Event::Roster(RosterChange::Removed(bare(NURSE)))]);
    assert_eq!(got.last(), Some(&Got::Saved(CachedRoster { ver: "v9".to_owned(), items: vec![] })));
}

#[test]
fn p32_a_pending_request_shows_as_ask() {
    let mut account = Account::online("", |_| {});
    let got = account.feed(
        "<iq id='b89c5r7ib574' to='bot@example.org/r' type='set'><query xmlns='jabber:iq:roster'>\
         <item ask='subscribe' jid='juliet@example.com' subscription='none'/></query></iq>",
    );
    assert_eq!(sent(&got), ["<iq id='b89c5r7ib574' type='result'/>"]);
    let juliet = Contact { ask: true, ..contact("juliet@example.com") };
    assert_eq!(events(&got), [&Event::Roster(RosterChange::Set(juliet))]);
}

#[test]
fn p32_many_pushes_are_stored_once_each_input() {
    let mut account = Account::online("", |_| {});
    for n in 0..3 {
        let push = format!(
            "<iq id='{n}' type='set'><query xmlns='jabber:iq:roster' ver='{n}'><item jid='c{n}@example.com'/></query></iq>"
        );
        account.session.on_stanza(account.now, parse(&push));
    }
    let saved: Vec<usize> = account
        .drain()
        .iter()
        .filter_map(|got| match got {
            Got::Saved(roster) => Some(roster.items.len()),
            Got::Event(_) | Got::Sent(_) => None,
        })
        .collect();
    assert_eq!(saved, [3]);
}

fn contact(jid: &str) -> Contact {
    Contact {
        jid: bare(jid),
        name: None,
        subscription: SubscriptionState::None,
        ask: false,
        approved: false,
        groups: Vec::new(),
    }
}
