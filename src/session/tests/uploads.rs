//! XEP-0363: which service takes files, and what becomes of them.

use super::{Account, Got, events, id, sent};
use crate::action::Action;
use crate::event::{Answer, Event, RequestFailed};
use crate::xep::upload::Slot;

const INFO: &str = "http://jabber.org/protocol/disco#info";
const ITEMS: &str = "http://jabber.org/protocol/disco#items";
const NS: &str = "urn:xmpp:http:upload:0";

#[test]
fn u1_the_service_is_looked_for_once_and_asked_for_each_file() {
    let mut account = Account::online("", |_| {});
    let asked = account.perform(file("a", 10)).expect("online");
    assert_eq!(
        sent(&asked),
        [format!("<iq id='~' to='example.org' type='get'><query xmlns='{ITEMS}'/></iq>")]
    );
    assert!(account.perform(file("b", 2_000)).expect("online").is_empty(), "it waits with the first");
    let infos = account.feed(&format!(
        "<iq type='result' from='example.org' id='{}'><query xmlns='{ITEMS}'>\
         <item jid='upload.example.org'/><item jid='upload.example.org'/><item jid='x@example.org'/></query></iq>",
        id(&asked[0])
    ));
    assert_eq!(infos.len(), 2, "the server and its item, once each: {infos:?}");
    assert!(account.feed(&info(&infos[0], "example.org", "")).is_empty());
    let form = format!(
        "<feature var='{NS}'/><x xmlns='jabber:x:data' type='result'>\
         <field var='FORM_TYPE'><value>{NS}</value></field>\
         <field var='max-file-size'><value>1000</value></field></x>"
    );
    let got = account.feed(&info(&infos[1], "upload.example.org", &form));
    let slot = format!(
        "<iq id='~' to='upload.example.org' type='get'>\
         <request xmlns='{NS}' filename='a.png' size='10' content-type='image/png'/></iq>"
    );
    assert_eq!(sent(&got), [slot]);
    let refused = events(&got);
    let [Event::Answer(Answer { token, outcome: Err(RequestFailed::Error(error)) })] = &refused[..] else {
        panic!("{refused:?}")
    };
    assert_eq!((token.as_str(), &*error.condition), ("b", "not-acceptable"));
    // Eve knows the id, and is not the service.
    let slot = |from: &str| {
        format!(
            "<iq type='result' from='{from}' id='{}'><slot xmlns='{NS}'><put url='https://up.example.org/1'/>\
             <get url='https://up.example.org/1'/></slot></iq>",
            id(&got[0])
        )
    };
    assert!(account.feed(&slot("eve@example.org/x")).is_empty());
    let answered = account.feed(&slot("upload.example.org"));
    let answered = events(&answered);
    let [Event::Answer(Answer { token, outcome: Ok(Some(payload)) })] = &answered[..] else {
        panic!("{answered:?}")
    };
    assert_eq!(token, "a");
    assert!(Slot::parse(payload).is_some());
    assert_eq!(sent(&account.perform(file("c", 1)).expect("online")).len(), 1, "the service is known");
}

#[test]
fn u1_without_a_service_and_with_a_new_session_everybody_is_told() {
    let mut account = Account::online("", |_| {});
    let asked = account.perform(file("a", 10)).expect("online");
    let lost = account.bind("");
    let told = events(&lost);
    assert!(
        matches!(
            &told[..],
            [Event::Answer(Answer { token, outcome: Err(RequestFailed::SessionLost) })] if token == "a"
        ),
        "{told:?}"
    );
    drop(asked);
    let mut account = Account::online("", |_| {});
    account.perform(file("a", 10)).expect("online");
    // The items never come; the server itself is asked, and takes nothing.
    let infos = account.after(31);
    let told = account.feed(&info(&infos[0], "example.org", ""));
    assert!(matches!(&events(&told)[..], [Event::Answer(Answer { outcome: Err(_), .. })]), "{told:?}");
}

fn file(token: &str, size: u64) -> Action {
    Action::Upload {
        token: token.to_owned(),
        name: "a.png".to_owned(),
        mime: Some("image/png".to_owned()),
        size,
    }
}

fn info(asked: &Got, from: &str, what: &str) -> String {
    format!("<iq type='result' from='{from}' id='{}'><query xmlns='{INFO}'>{what}</query></iq>", id(asked))
}
