//! XEP-0060: what a node has to be like before something is published on it.

use super::{Account, Got, events, id, sent};
use crate::action::{Action, NodeAccess, NodeKeeps, Publication};
use crate::event::{Answer, Event, RequestFailed};
use crate::xml::Element;

const NS: &str = "http://jabber.org/protocol/pubsub";
const CONFIG: &str = "http://jabber.org/protocol/pubsub#node_config";

#[test]
fn p3_a_condition_that_holds_takes_one_request() {
    let mut account = Account::online("", |_| {});
    let asked = account.perform(publication(|_| {})).expect("online");
    let text = sent(&asked)[0];
    assert!(text.contains("<publish node='n'>") && text.contains("<publish-options>"), "{text}");
    assert!(text.contains("<value>max</value>") && !text.contains(" to="), "{text}");
    let payload = format!("<pubsub xmlns='{NS}'><publish node='n'><item id='7'/></publish></pubsub>");
    let done = account.feed(&result(&asked[0], &payload));
    assert!(matches!(outcome(&done), Ok(Some(_))), "{done:?}");
}

/// Prosody: the node is otherwise, so it is changed and the item published again.
#[test]
fn p3_a_node_that_is_otherwise_is_changed_once() {
    let mut account = Account::online("", |_| {});
    let asked = account.perform(publication(|_| {})).expect("online");
    let configure = account.feed(&error(&asked[0], "cancel", "conflict"));
    assert!(sent(&configure)[0].contains("#owner'><configure node='n'>"), "{configure:?}");
    assert!(sent(&configure)[0].contains(CONFIG));
    let again = account.feed(&result(&configure[0], ""));
    assert!(sent(&again)[0].contains("<publish node='n'>"), "{again:?}");
    assert!(!sent(&again)[0].contains("max_items"), "only who may see it is a condition: {again:?}");
    let refused = account.feed(&error(&again[0], "cancel", "conflict"));
    assert_eq!(condition(&refused), "conflict", "it is not tried for ever");
}

/// COMPAT: ejabberd 23.01 does not know `max_items` as a condition, and says `wait`, which invites endless retries.
#[test]
fn p3_a_service_that_does_not_know_the_condition_gets_the_node_made_first() {
    for there in [false, true] {
        let mut account = Account::online("", |_| {});
        let asked = account.perform(publication(|_| {})).expect("online");
        let mut next = account.feed(&error(&asked[0], "wait", "resource-constraint"));
        assert!(sent(&next)[0].contains("<create node='n'/><configure>"), "{next:?}");
        if there {
            next = account.feed(&error(&next[0], "cancel", "conflict"));
            assert!(sent(&next)[0].contains("#owner'><configure node='n'>"), "{next:?}");
        }
        assert!(sent(&next)[0].contains("<value>max</value>"), "{next:?}");
        let again = account.feed(&result(&next[0], ""));
        assert!(sent(&again)[0].contains("<value>presence</value>"), "{again:?}");
        assert!(!sent(&again)[0].contains("max_items"), "{again:?}");
        let done = account.feed(&result(&again[0], ""));
        assert_eq!(outcome(&done), Ok(None));
    }
}

/// CVE-2019-1000021: a server that does not know the condition would show it to everybody.
#[test]
fn s25_private_data_waits_until_the_node_is_known_to_be_for_the_account_alone() {
    let mut account = Account::online("", |_| {});
    let asked = account.perform(publication(private)).expect("online");
    assert!(sent(&asked)[0].contains("type='get'"), "nothing goes out at once: {asked:?}");
    assert!(!sent(&asked)[0].contains("secret"));
    let next = account.feed(&result(&asked[0], &config("whitelist")));
    assert!(
        sent(&next)[0].contains("secret") && sent(&next)[0].contains("<value>whitelist</value>"),
        "{next:?}"
    );
    assert_eq!(outcome(&account.feed(&result(&next[0], ""))), Ok(None));
}

#[test]
fn p4_a_node_that_others_see_is_closed_and_looked_at_again() {
    for (first, second, published) in [
        ("presence", "whitelist", true),
        ("open", "open", false),
        ("", "", false),
        ("authorize", "presence", false),
    ] {
        let mut account = Account::online("", |_| {});
        let asked = account.perform(publication(private)).expect("online");
        let closed = account.feed(&result(&asked[0], &config(first)));
        assert!(sent(&closed)[0].contains("<value>whitelist</value>"), "{closed:?}");
        let asked = account.feed(&result(&closed[0], ""));
        assert!(sent(&asked)[0].contains("type='get'"), "{asked:?}");
        let last = account.feed(&result(&asked[0], &config(second)));
        assert_eq!(sent(&last).iter().any(|text| text.contains("secret")), published, "{first}, {second}");
        if !published {
            assert_eq!(condition(&last), "not-acceptable");
        }
    }
}

#[test]
fn p4_a_node_that_is_not_there_is_made_and_looked_at_and_what_is_refused_is_not_published() {
    let mut account = Account::online("", |_| {});
    let asked = account.perform(publication(private)).expect("online");
    let made = account.feed(&error(&asked[0], "cancel", "item-not-found"));
    assert!(
        sent(&made)[0].contains("<create node='n'/>") && sent(&made)[0].contains("whitelist"),
        "{made:?}"
    );
    let asked = account.feed(&result(&made[0], ""));
    let next = account.feed(&result(&asked[0], &config("whitelist")));
    assert!(sent(&next)[0].contains("secret"), "{next:?}");
    for answer in ["feature-not-implemented", "forbidden", "service-unavailable", "conflict"] {
        let mut account = Account::online("", |_| {});
        let asked = account.perform(publication(private)).expect("online");
        let done = account.feed(&error(&asked[0], "cancel", answer));
        assert_eq!((sent(&done).len(), condition(&done)), (0, answer.to_owned()));
    }
    // A stranger's word for it is none.
    let mut account = Account::online("", |_| {});
    let asked = account.perform(publication(private)).expect("online");
    let forged =
        result(&asked[0], &config("whitelist")).replace("from='bot@example.org'", "from='eve@example.org'");
    assert!(account.feed(&forged).is_empty());
}

#[test]
fn p2_a_publication_without_an_answer_ends() {
    let mut account = Account::online("", |_| {});
    account.perform(publication(private)).expect("online");
    let late = account.after(61);
    assert_eq!(outcome(&late), Err(RequestFailed::Timeout));
    let mut account = Account::online("", |config| config.hosted = false);
    let asked = account
        .perform(publication(|it| it.service = Some(super::jid("pubsub.example.org"))))
        .expect("online");
    assert!(sent(&asked)[0].contains("to='pubsub.example.org'"), "{asked:?}");
    let bad = publication(|it| it.node = "\u{1}".to_owned());
    assert!(account.perform(bad).is_err());
}

fn publication(change: impl FnOnce(&mut Publication)) -> Action {
    let mut publication = Publication {
        token: "t".to_owned(),
        service: None,
        node: "n".to_owned(),
        id: Some("7".to_owned()),
        payload: Element::new("secret", "urn:example"),
        access: Some(NodeAccess::Presence),
        keeps: Some(NodeKeeps::All),
        private: false,
    };
    change(&mut publication);
    Action::Publish(Box::new(publication))
}

fn private(publication: &mut Publication) {
    publication.access = None;
    publication.private = true;
}

fn config(access: &str) -> String {
    format!(
        "<pubsub xmlns='{NS}#owner'><configure node='n'><x xmlns='jabber:x:data' type='form'>\
         <field var='FORM_TYPE' type='hidden'><value>{CONFIG}</value></field>\
         <field var='pubsub#access_model' type='list-single'><value>{access}</value></field></x></configure></pubsub>"
    )
}

fn result(asked: &Got, payload: &str) -> String {
    format!("<iq type='result' from='bot@example.org' id='{}'>{payload}</iq>", id(asked))
}

fn error(asked: &Got, kind: &str, condition: &str) -> String {
    format!(
        "<iq type='error' from='bot@example.org' id='{}'><error type='{kind}'>\
         <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
        id(asked)
    )
}

fn outcome(all: &[Got]) -> Result<Option<Element>, RequestFailed> {
    let all = events(all);
    let [Event::Answer(Answer { token, outcome })] = &all[..] else { panic!("{all:?}") };
    assert_eq!(token, "t");
    outcome.clone()
}

fn condition(all: &[Got]) -> String {
    match outcome(all) {
        Err(RequestFailed::Error(error)) => error.condition.into_owned(),
        other => panic!("{other:?}"),
    }
}
