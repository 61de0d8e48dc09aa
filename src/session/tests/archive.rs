//! Reading the archive: before presence and after, page by page, and what has no effect.

use super::*;
use crate::event::Class;
use crate::session::archive::{Marks, Reached, Seek};

/// How far the archive is read at the beginning of a test.
const REACHED: &str = "a1";

#[test]
fn the_archive_is_read_before_presence_and_once_more_after_it() {
    let (mut account, first) = reading();
    assert!(query(&first).contains("<max>50</max><after>a1</after>"), "{first:?}");
    let got = page(&mut account, &first, &[("a2", 10, "one"), ("a3", 11, "two")], true);
    assert_eq!(texts(&got), ["one", "two"]);
    let marks = account.session.take_marks();
    assert_eq!((marks.keys.len(), reached(&marks)), (2, vec!["a3"]));
    // Not before the owner has handled the page.
    assert!(!sent(&got).iter().any(|stanza| stanza.starts_with("<presence")));
    assert!(account.session.awaits_owner());
    let shown = go_on(&mut account);
    assert!(sent(&shown)[0].starts_with("<presence"), "{shown:?}");
    assert!(query(&shown).contains("<after>a3</after>"), "{shown:?}");
    // What comes live meanwhile moves no position; the archive holds it as well, and it is told once.
    let live = account.feed(&message("a4", "three"));
    assert_eq!((texts(&live), reached(&account.session.take_marks())), (vec!["three"], vec![]));
    let got = page(&mut account, &shown, &[("a4", 12, "three")], true);
    assert_eq!((texts(&got), reached(&account.session.take_marks())), (vec![], vec!["a4"]));
    go_on(&mut account);
    // From now on it does.
    account.feed(&message("a5", "four"));
    assert_eq!(reached(&account.session.take_marks()), ["a5"]);
}

#[test]
fn pages_follow_each_other_until_the_last() {
    let (mut account, first) = reading();
    page(&mut account, &first, &[("a2", 10, "one")], false);
    let second = go_on(&mut account);
    assert!(query(&second).contains("<after>a2</after>"), "{second:?}");
    page(&mut account, &second, &[("a3", 10, "two")], true);
    assert!(sent(&go_on(&mut account))[0].starts_with("<presence"));
}

#[test]
fn a_new_account_begins_at_the_end() {
    let (mut account, first) = reading_from(vec![]);
    assert!(query(&first).contains("<max>1</max><before/>"), "{first:?}");
    let got = page(&mut account, &first, &[("a9", 10, "old")], false);
    assert_eq!((texts(&got), reached(&account.session.take_marks())), (vec![], vec!["a9"]));
    // What was passed by may still be waiting in offline storage.
    let shown = go_on(&mut account);
    assert!(sent(&shown)[0].starts_with("<presence"));
    assert_eq!(texts(&account.feed(&message("a9", "old"))), ["old"]);
}

/// M-9: the guards. Nothing of this has an effect, and the page ends as if it had not been there.
#[test]
fn m9_results_of_strangers_of_other_questions_and_of_no_question_have_no_effect() {
    let (mut account, first) = reading();
    let asked = query_id(&first);
    let good = result(&asked, "a2", 10, "forged");
    for forged in [
        good.replace(&format!("from='{BARE}'"), "from='eve@example.org/x'"),
        good.replace(&format!("from='{BARE}'"), "from='example.org'"),
        result("another", "a2", 10, "forged"),
        good.replace(&format!("queryid='{asked}'"), ""),
        good.replace("id='a2'", "id=''"),
        good.replace("stamp='", "stamp='never"),
    ] {
        assert_eq!(account.feed(&forged), [], "{forged}");
    }
    let got = page(&mut account, &first, &[], true);
    assert_eq!(texts(&got), Vec::<&str>::new());
    go_on(&mut account);
    // The question is over: its results are too late.
    assert_eq!(account.feed(&good), []);
}

#[test]
fn m9_more_results_than_were_asked_for_are_dropped() {
    let (mut account, first) = reading();
    let ids: Vec<String> = (0..80).map(|number| format!("b{number}")).collect();
    let many: Vec<(&str, i64, &str)> = ids.iter().map(|id| (id.as_str(), 10, "x")).collect();
    assert_eq!(texts(&page(&mut account, &first, &many, true)).len(), 50);
}

#[test]
fn m9_an_archive_that_has_forgotten_the_position_is_read_by_time() {
    let (mut account, first) = reading();
    let refused = format!(
        "<iq type='error' id='{}' from='{BARE}'><error type='cancel'>\
         <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
        request_id(&first)
    );
    let again = account.feed(&refused);
    // Ten minutes before the position.
    assert!(query(&again).contains("var='start'><value>2025-12-31T23:50:00Z</value>"), "{again:?}");
    assert!(!query(&again).contains("<after>"));
    assert_eq!(texts(&page(&mut account, &again, &[("c1", 5, "new")], true)), ["new"]);
}

#[test]
fn m9_an_archive_that_begins_before_the_position_is_not_replayed() {
    let (mut account, first) = reading();
    let got = page(&mut account, &first, &[("old", -86_400, "years of orders"), ("a2", 10, "x")], false);
    assert_eq!(texts(&got), Vec::<&str>::new());
    assert!(query(&got).contains("<before/>"), "it goes on at the end: {got:?}");
    page(&mut account, &got, &[("z", 20, "y")], true);
    assert_eq!(reached(&account.session.take_marks()), ["z"]);
}

#[test]
fn m9_an_empty_page_without_an_end_is_the_end() {
    let (mut account, first) = reading();
    page(&mut account, &first, &[], false);
    assert!(sent(&go_on(&mut account))[0].starts_with("<presence"));
}

#[test]
fn an_unstable_page_moves_no_position() {
    let (mut account, first) = reading();
    account.feed(&result(&query_id(&first), "a2", 10, "one"));
    let fin = format!(
        "<iq type='result' id='{}' from='{BARE}'><fin xmlns='urn:xmpp:mam:2' stable='false' complete='true'/></iq>",
        request_id(&first)
    );
    assert_eq!(texts(&account.feed(&fin)), ["one"]);
    assert_eq!(reached(&account.session.take_marks()), Vec::<&str>::new());
}

/// Rule 4: own messages are looked for from the anchor on; what was handled is passed by, also within one second.
#[test]
fn own_messages_are_looked_for_from_the_anchor_on() {
    let since = jiff::Timestamp::from_second(START).expect("a time");
    let begin = |after: &str| {
        let (mut account, _) = reading();
        let seek = Seek { after: Some(after.to_owned()), since };
        account.session.seek_own([(bare(BARE), seek)].into());
        let again = account.bind("");
        (account, again)
    };
    for (after, results, expected) in [
        ("a0", vec![("a1", 0, "handled"), ("a2", 0, "new")], vec!["new"]),
        (REACHED, vec![("a2", 0, "new"), ("a3", 0, "too")], vec!["new", "too"]),
    ] {
        let (mut account, asked) = begin(after);
        let got = logged_in(&mut account, &asked);
        assert!(query(&got).contains(&format!("<after>{after}</after>")), "{got:?}");
        let query = query_id(&got);
        let own =
            result(&query, "s1", 0, "re").replace("from='ann@example.org/x'", &format!("from='{FULL}'"));
        account.session.on_stanza(account.now, parse(&own));
        let done = page(&mut account, &got, &results, true);
        assert_eq!(texts(&done), expected, "after {after}");
        assert_eq!(account.own_archived, ["m-s1"], "after {after}");
    }
}

#[test]
fn what_another_process_has_handled_is_not_handled_again() {
    let (mut account, first) = reading();
    page(&mut account, &first, &[("a2", 10, "one")], true);
    let keys = account.session.take_marks().keys;
    let (mut next, first) = reading();
    next.session.remember(keys);
    assert_eq!(texts(&page(&mut next, &first, &[("a2", 10, "one"), ("a3", 11, "two")], true)), ["two"]);
}

/// A resumed session may bring a message before the server has said whether its ids count.
#[test]
fn a_message_that_came_before_discovery_is_not_told_again_by_the_archive() {
    let mut account = Account::new(|config| config.archive = true);
    let stamp = jiff::Timestamp::from_second(START).expect("a time");
    let known = Reached { archive: bare(BARE), id: REACHED.to_owned(), stamp };
    account.session.remember_reached(vec![known]);
    let asked = account.bind("");
    assert_eq!(texts(&account.feed(&message("a2", "early"))), ["early"]);
    let keys = account.session.take_marks().keys;
    let got = logged_in(&mut account, &asked);
    let results = [("a2", 1, "early"), ("a3", 1, "late")];
    assert_eq!(texts(&page(&mut account, &got, &results, true)), ["late"]);
    // Nor to the next process, which has its keys from the store.
    let (mut next, got) = reading();
    next.session.remember(keys);
    assert_eq!(texts(&page(&mut next, &got, &results, true)), ["late"]);
}

#[test]
fn whoever_goes_on_with_a_session_shows_itself_again_and_trusts_what_was_announced() {
    for (catching_up, asks) in [(true, true), (false, false)] {
        let mut account = Account::new(|config| config.archive = true);
        let stamp = jiff::Timestamp::from_second(START).expect("a time");
        let known = Reached { archive: bare(BARE), id: REACHED.to_owned(), stamp };
        account.session.remember_reached(vec![known]);
        let full = FullJid::parse(FULL).expect("an address");
        let announced = ["urn:xmpp:mam:2".to_owned(), "urn:xmpp:sid:0".to_owned()];
        account.session.on_adopted(account.now, full, &announced, &[]);
        account.session.on_adopted_reading(account.now, catching_up);
        let got = account.drain();
        assert!(sent(&got).iter().any(|stanza| stanza.starts_with("<presence")), "{got:?}");
        assert!(events(&got).iter().any(|event| matches!(event, Event::Online { resumed: true, .. })));
        assert_eq!(sent(&got).iter().any(|stanza| stanza.contains("urn:xmpp:mam:2")), asks);
        // Only where the archive was read to its end do live messages move the position.
        account.feed(&message("a7", "live"));
        let marks = account.session.take_marks();
        assert_eq!((marks.keys.len(), reached(&marks).is_empty()), (1, asks));
    }
}

#[test]
fn an_archive_that_does_not_answer_holds_up_nothing_for_ever() {
    let (mut account, _) = reading();
    account.after(31);
    assert!(sent(&go_on(&mut account))[0].starts_with("<presence"));
}

#[test]
fn archived_messages_are_late_and_stamped_by_the_archive() {
    let (mut account, first) = reading();
    let got = page(&mut account, &first, &[("a2", 10, "one")], true);
    let message = events(&got).into_iter().find_map(|event| match event {
        Event::Message(message) => Some(message.clone()),
        _ => None,
    });
    let message = message.expect("it was told");
    assert_eq!(message.class, Class::Delayed);
    assert_eq!(message.stamp.map(jiff::Timestamp::as_second), Some(START + 10));
    assert_eq!(message.stanza_id.as_deref(), Some("a2"));
}

fn reading() -> (Account, Vec<Got>) {
    let stamp = jiff::Timestamp::from_second(START).expect("a time");
    reading_from(vec![Reached { archive: bare(BARE), id: REACHED.to_owned(), stamp }])
}

/// An account that has just asked for the first page.
fn reading_from(known: Vec<Reached>) -> (Account, Vec<Got>) {
    let mut account = Account::new(|config| config.archive = true);
    account.session.remember_reached(known);
    let asked = account.bind("");
    let got = logged_in(&mut account, &asked);
    assert!(!sent(&got).iter().any(|stanza| stanza.starts_with("<presence")), "{got:?}");
    (account, got)
}

/// Answers what is asked at login, on a server with an archive.
fn logged_in(account: &mut Account, asked: &[Got]) -> Vec<Got> {
    let features = "<feature var='urn:xmpp:sid:0'/><feature var='urn:xmpp:mam:2'/>";
    for (got, from) in [(&asked[1], BARE), (&asked[2], "example.org")] {
        let query = format!("<query xmlns='http://jabber.org/protocol/disco#info'>{features}</query>");
        account.feed(&format!("<iq type='result' id='{}' from='{from}'>{query}</iq>", id(got)));
    }
    account.feed(&format!("<iq type='result' id='{}'/>", id(&asked[0])))
}

/// Answers the last question among `asked` with these results: id, seconds after the start, text.
fn page(account: &mut Account, asked: &[Got], results: &[(&str, i64, &str)], complete: bool) -> Vec<Got> {
    let query = query_id(asked);
    for (id, seconds, text) in results {
        assert_eq!(account.feed(&result(&query, id, *seconds, text)), []);
    }
    let complete = if complete { "complete='true'" } else { "" };
    account.feed(&format!(
        "<iq type='result' id='{}' from='{BARE}'><fin xmlns='urn:xmpp:mam:2' {complete}/></iq>",
        request_id(asked)
    ))
}

fn go_on(account: &mut Account) -> Vec<Got> {
    account.session.go_on_reading(account.now);
    account.drain()
}

fn result(query: &str, id: &str, seconds: i64, text: &str) -> String {
    let stamp = jiff::Timestamp::from_second(START + seconds).expect("a time");
    format!(
        "<message from='{BARE}' to='{FULL}'><result xmlns='urn:xmpp:mam:2' queryid='{query}' id='{id}'>\
         <forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='{stamp}'/>\
         <message xmlns='jabber:client' from='ann@example.org/x' to='{BARE}' type='chat' id='m-{id}'>\
         <body>{text}</body></message></forwarded></result></message>"
    )
}

/// A live message with the id that the archive gave it.
fn message(id: &str, text: &str) -> String {
    format!(
        "<message from='ann@example.org/x' to='{BARE}' type='chat' id='m-{id}'><body>{text}</body>\
         <stanza-id xmlns='urn:xmpp:sid:0' by='{BARE}' id='{id}'/></message>"
    )
}

fn asked(got: &[Got]) -> &Wire {
    let is_query = |got: &&Got| matches!(got, Got::Sent(wire) if wire.text.contains("urn:xmpp:mam:2"));
    match got.iter().rfind(is_query) {
        Some(Got::Sent(wire)) => wire,
        _ => panic!("the archive was not asked: {got:?}"),
    }
}

fn query(got: &[Got]) -> &str {
    &asked(got).text
}

fn request_id(got: &[Got]) -> String {
    asked(got).id.clone()
}

fn query_id(got: &[Got]) -> String {
    let (_, rest) = query(got).split_once("queryid='").expect("a question has an id");
    rest.split('\'').next().unwrap_or_default().to_owned()
}

fn texts(got: &[Got]) -> Vec<&str> {
    let text = |event: &&Event| matches!(event, Event::Message(_));
    events(got)
        .into_iter()
        .filter(text)
        .map(|event| match event {
            Event::Message(message) => message.text.as_str(),
            _ => "",
        })
        .collect()
}

fn reached(marks: &Marks) -> Vec<&str> {
    marks.reached.iter().map(|reached| reached.id.as_str()).collect()
}
