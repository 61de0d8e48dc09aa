//! Bookmarks as they look on the wire.

use super::*;
use crate::session::bookmarks::Bookmarks;
use crate::session::rooms::DesiredRoom;

const COMPAT: &str = "urn:xmpp:bookmarks:1#compat";

#[test]
fn p5_rooms_with_autojoin_are_joined_with_nick_and_password() {
    let mut account = Account::new(|config| config.bookmarks = Bookmarks::Join);
    let asked = login(&mut account, COMPAT);
    assert_eq!(
        sent(&asked),
        [
            "<iq id='~' type='get'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:bookmarks:1'/></pubsub></iq>"
        ]
    );
    let got = answer(&mut account, &asked, &items(&[("tea", "1", "<nick>Pot</nick>"), ("no", "0", "")]));
    assert_eq!(rooms_asked(&got), ["tea@rooms.example.org"], "{got:?}");
    // The operator has said nothing: nothing is asked, and nothing joined.
    let mut silent = Account::new(|_| {});
    assert_eq!(login(&mut silent, COMPAT), []);
    let push = event(
        "<item id='tea@rooms.example.org'><conference xmlns='urn:xmpp:bookmarks:1' autojoin='1'/></item>",
    );
    assert_eq!(silent.feed(&format!("<message from='{BARE}'>{push}</message>")), []);
}

#[test]
fn p5_private_storage_is_read_where_the_server_keeps_only_that() {
    let mut account = Account::new(|config| {
        config.bookmarks = Bookmarks::Keep;
        config.rooms = vec![own_room()];
    });
    let asked = login(&mut account, "urn:xmpp:bookmarks-conversion:0");
    let asked: Vec<Got> =
        asked.into_iter().filter(|got| !sent(std::slice::from_ref(got))[0].contains("disco")).collect();
    assert!(
        sent(&asked)[0].contains("<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/>"),
        "{asked:?}"
    );
    let there = "<storage xmlns='storage:bookmarks'><url name='u' url='http://x/'/><conference jid='tea@rooms.example.org' autojoin='true'/></storage>";
    let got = answer(&mut account, &asked, &format!("<query xmlns='jabber:iq:private'>{there}</query>"));
    let written =
        sent(&got).into_iter().find(|text| text.contains("type='set'")).expect("written").to_owned();
    assert!(written.contains("<url name='u' url='http://x/'/>"), "{written}");
    assert!(
        written.contains(
            "<conference autojoin='true' jid='own@rooms.example.org'><nick>Pot</nick></conference>"
        )
    );
    assert_eq!(rooms_asked(&got), ["tea@rooms.example.org"]);
}

/// An account that keeps its own room among its bookmarks, and what it has asked for them.
fn keeping() -> (Account, Vec<Got>) {
    let mut account = Account::new(|config| {
        config.bookmarks = Bookmarks::Keep;
        config.rooms = vec![own_room()];
    });
    let asked = login(&mut account, COMPAT);
    let asked: Vec<Got> =
        asked.into_iter().filter(|got| sent(std::slice::from_ref(got))[0].contains("bookmarks")).collect();
    (account, asked)
}

#[test]
fn p5_own_rooms_are_written_on_a_node_that_nobody_else_sees() {
    let (mut account, asked) = keeping();
    let got = answer(&mut account, &asked, &items(&[]));
    assert!(sent(&got)[0].contains("<configure node='urn:xmpp:bookmarks:1'/>"), "XEP-0223: {got:?}");
    // Those that are there are left as they are.
    let (mut account, asked) = keeping();
    assert_eq!(answer(&mut account, &asked, &items(&[("own", "false", "")])), []);
}

#[test]
fn s4_changes_count_only_from_the_account_itself() {
    let mut account = Account::new(|config| config.bookmarks = Bookmarks::Join);
    let asked = login(&mut account, COMPAT);
    answer(&mut account, &asked, &items(&[]));
    let room = "tea@rooms.example.org";
    let set = |autojoin: &str| {
        event(&format!(
            "<item id='{room}'><conference xmlns='urn:xmpp:bookmarks:1' autojoin='{autojoin}'/></item>"
        ))
    };
    for from in ["eve@example.net/x", "eve@example.org", "example.org", FULL, "bot@example.org/other"] {
        assert_eq!(account.feed(&format!("<message from='{from}'>{}</message>", set("true"))), [], "{from}");
    }
    let joined = account.feed(&format!("<message from='{BARE}'>{}</message>", set("true")));
    assert_eq!(rooms_asked(&joined), [room]);
    assert_eq!(
        rooms_asked(&account.feed(&format!("<message from='{BARE}'>{}</message>", set("1")))),
        [] as [String; 0]
    );
    account.feed(&format!("<message from='{BARE}'>{}</message>", event(&format!("<retract id='{room}'/>"))));
    assert!(!account.session.rooms_view().contains_key(&bare(room)), "left with its bookmark");
}

#[test]
fn s18_a_heap_of_bookmarks_is_no_heap_of_joins() {
    let mut account = Account::new(|config| config.bookmarks = Bookmarks::Join);
    let asked = login(&mut account, COMPAT);
    let names: Vec<String> = (0..500).map(|n| format!("r{n}")).collect();
    let heap: Vec<(&str, &str, &str)> = names.iter().map(|name| (name.as_str(), "true", "")).collect();
    let got = answer(&mut account, &asked, &items(&heap));
    assert_eq!(rooms_asked(&got).len(), 8, "joins wait for each other");
    assert_eq!(account.session.rooms_view().len(), 200);
}

fn own_room() -> DesiredRoom {
    DesiredRoom { jid: bare("own@rooms.example.org"), nick: "Pot".to_owned(), password: None, create: true }
}

fn event(inner: &str) -> String {
    format!(
        "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:xmpp:bookmarks:1'>{inner}</items></event>"
    )
}

fn items(rooms: &[(&str, &str, &str)]) -> String {
    let item = |(name, autojoin, inner): &(&str, &str, &str)| {
        format!(
            "<item id='{name}@rooms.example.org'><conference xmlns='urn:xmpp:bookmarks:1' autojoin='{autojoin}'>{inner}</conference></item>"
        )
    };
    let items: String = rooms.iter().map(item).collect();
    format!(
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:bookmarks:1'>{items}</items></pubsub>"
    )
}

/// The rooms that were asked what they are, which comes before a join, or joined at once.
fn rooms_asked(got: &[Got]) -> Vec<String> {
    let to = |text: &&str| {
        let to = text.split("to='").nth(1)?.split('\'').next()?;
        to.contains("@rooms.").then(|| to.split('/').next().unwrap_or(to).to_owned())
    };
    sent(got).iter().filter_map(to).collect()
}

/// A login on a server whose account has this feature; what is asked for besides.
fn login(account: &mut Account, feature: &str) -> Vec<Got> {
    let asked = account.bind("");
    let [roster, own, domain] = &asked[..] else { panic!("{asked:?}") };
    let (own, domain, roster) = (id(own), id(domain), id(roster));
    let query = |inner: &str| format!("<query xmlns='http://jabber.org/protocol/disco#info'>{inner}</query>");
    let feature = format!("<feature var='{feature}'/>");
    let mut got = account.feed(&format!("<iq type='result' id='{roster}'/>"));
    got.extend(account.feed(&format!("<iq type='result' id='{own}' from='{BARE}'>{}</iq>", query(&feature))));
    got.extend(
        account.feed(&format!("<iq type='result' id='{domain}' from='example.org'>{}</iq>", query(""))),
    );
    got.into_iter().filter(|got| matches!(got, Got::Sent(wire) if wire.text.starts_with("<iq"))).collect()
}

fn answer(account: &mut Account, asked: &[Got], payload: &str) -> Vec<Got> {
    account.feed(&format!("<iq type='result' id='{}' from='{BARE}'>{payload}</iq>", id(&asked[0])))
}
