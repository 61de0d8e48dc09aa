//! Subscriptions: the four verbs, and whom the policy accepts.

use super::super::Accept;
use super::*;
use crate::event::SubscriptionVerb;

#[test]
fn p23_subscribe_and_approve() {
    assert_eq!(
        wire_of(SubscriptionVerb::Subscribe),
        "<presence id='~' to='juliet@example.com' type='subscribe'/>"
    );
    assert_eq!(
        wire_of(SubscriptionVerb::Subscribed),
        "<presence id='~' to='juliet@example.com' type='subscribed'/>"
    );
}

#[test]
fn p24_unsubscribe_ends_our_own_subscription() {
    assert_eq!(
        wire_of(SubscriptionVerb::Unsubscribe),
        "<presence id='~' to='juliet@example.com' type='unsubscribe'/>"
    );
}

#[test]
fn p25_deny_and_revoke_are_unsubscribed() {
    assert_eq!(
        wire_of(SubscriptionVerb::Unsubscribed),
        "<presence id='~' to='juliet@example.com' type='unsubscribed'/>"
    );
}

#[test]
fn p28_all_four_verbs_reach_the_scripts() {
    let mut account = Account::online("", |_| {});
    let verbs = [
        ("subscribe", SubscriptionVerb::Subscribe),
        ("subscribed", SubscriptionVerb::Subscribed),
        ("unsubscribe", SubscriptionVerb::Unsubscribe),
        ("unsubscribed", SubscriptionVerb::Unsubscribed),
    ];
    for (kind, verb) in verbs {
        let got = account.feed(&format!(
            "<presence from='ann@example.net/x' type='{kind}'><status>hi</status></presence>"
        ));
        let event = Event::Subscription { verb, from: bare("ann@example.net"), text: Some("hi".to_owned()) };
        assert_eq!(got, [Got::Event(event)]);
    }
}

#[test]
fn the_policy_decides_who_is_accepted_without_asking() {
    let friend = "<item jid='friend@example.net'/>";
    let cases: [(Accept, &[&str]); 5] = [
        (Accept::None, &[]),
        (
            Accept::All,
            &[
                "eve@example.net",
                "friend@example.net",
                "listed@example.net",
                "near@example.org",
                "example.org",
            ],
        ),
        (Accept::Domain, &["near@example.org"]),
        (Accept::Roster, &["friend@example.net"]),
        (Accept::List(vec![bare("listed@example.net")]), &["listed@example.net"]),
    ];
    for (accept, accepted) in cases {
        for from in
            ["eve@example.net", "friend@example.net", "listed@example.net", "near@example.org", "example.org"]
        {
            let mut account = Account::online(friend, |config| config.accept = accept.clone());
            let got = account.feed(&format!("<presence from='{from}' type='subscribe'/>"));
            let yes = accepted.contains(&from);
            assert_eq!(sent(&got).len(), if yes { 2 } else { 0 }, "{accept:?} {from}");
            assert_eq!(events(&got).len(), 1);
        }
    }
}

#[test]
fn an_accepted_contact_is_asked_back_once() {
    let mut account = Account::online("", |config| config.accept = Accept::All);
    let request = "<presence from='ann@example.net' type='subscribe'/>";
    assert_eq!(
        sent(&account.feed(request)),
        [
            "<presence id='~' to='ann@example.net' type='subscribed'/>",
            "<presence id='~' to='ann@example.net' type='subscribe'/>",
        ]
    );
    assert_eq!(sent(&account.feed(request)), ["<presence id='~' to='ann@example.net' type='subscribed'/>"]);
    for kind in ["subscribed", "unsubscribe", "unsubscribed"] {
        assert_eq!(
            sent(&account.feed(&format!("<presence from='ann@example.net' type='{kind}'/>"))),
            [""; 0]
        );
    }
}

#[test]
fn a_contact_we_see_already_is_not_asked_back() {
    for item in [
        "<item jid='ann@example.net' subscription='to'/>",
        "<item jid='ann@example.net' subscription='none' ask='subscribe'/>",
    ] {
        let mut account = Account::online(item, |config| config.accept = Accept::All);
        let got = account.feed("<presence from='ann@example.net' type='subscribe'/>");
        assert_eq!(sent(&got), ["<presence id='~' to='ann@example.net' type='subscribed'/>"]);
    }
}

#[test]
fn an_account_does_not_subscribe_to_itself() {
    let mut account = Account::online("", |_| {});
    let action = Action::Subscription { to: bare(BARE), verb: SubscriptionVerb::Subscribe };
    assert!(matches!(account.perform(action), Err(Refused::Forbidden { .. })));
    assert_eq!(account.feed(&format!("<presence from='{BARE}' type='subscribe'/>")), []);
}

fn wire_of(verb: SubscriptionVerb) -> String {
    let mut account = Account::online("", |_| {});
    let got = account.perform(Action::Subscription { to: bare("juliet@example.com"), verb }).expect("online");
    sent(&got).join("")
}
