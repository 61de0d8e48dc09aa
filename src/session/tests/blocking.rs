//! Blocking as it looks on the wire.

use super::*;

#[test]
fn x6_addresses_are_blocked_and_unblocked_by_the_own_server() {
    let mut account = Account::online("", |_| {});
    let blocked = account.perform(block("spam@example.net", true)).expect("online");
    assert_eq!(
        sent(&blocked),
        [
            "<iq id='~' type='set'><block xmlns='urn:xmpp:blocking'><item jid='spam@example.net'/></block></iq>"
        ]
    );
    assert_eq!(account.feed(&format!("<iq type='result' id='{}' from='{BARE}'/>", id(&blocked[0]))), []);
    let freed = account.perform(block("spam@example.net", false)).expect("online");
    assert!(sent(&freed)[0].contains("<unblock"), "{freed:?}");
    for own in [BARE, FULL, "example.org"] {
        assert!(matches!(account.perform(block(own, true)), Err(Refused::Forbidden { .. })), "{own}");
    }
}

#[test]
fn x6_behind_a_component_there_is_nobody_who_blocks() {
    let mut account = Account::online("", |_| {});
    let mut config = SessionConfig::new(bare(BARE));
    config.hosted = true;
    account.session.configure(account.now, config);
    assert!(matches!(account.perform(block("a@example.net", true)), Err(Refused::Forbidden { .. })));
}

#[test]
fn x6_pushes_count_only_from_the_own_account() {
    let mut account = Account::online("", |_| {});
    let push = |from: &str, payload: &str| format!("<iq type='set' id='p'{from}>{payload}</iq>");
    let payloads = [
        "<block xmlns='urn:xmpp:blocking'><item jid='a@example.net'/></block>",
        "<unblock xmlns='urn:xmpp:blocking'/>",
        "<query xmlns='jabber:iq:privacy'><list name='blocked'/></query>",
    ];
    for payload in payloads {
        for from in ["", " from='bot@example.org'"] {
            let got = account.feed(&push(from, payload));
            assert_eq!(got.len(), 1);
            assert!(sent(&got)[0].contains("type='result'"), "{from} {payload}: {got:?}");
        }
        for from in ["eve@example.net/x", "example.org", "bot@example.org/other", "eve@example.org"] {
            let got = account.feed(&push(&format!(" from='{from}'"), payload));
            assert_eq!(got.len(), 1);
            assert!(sent(&got)[0].contains("service-unavailable"), "{from} {payload}: {got:?}");
        }
    }
}

fn block(address: &str, blocked: bool) -> Action {
    Action::Block { jid: jid(address), blocked }
}
