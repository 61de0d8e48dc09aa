//! What the bot tells of itself, as it looks on the wire.

use std::sync::Arc;

use super::*;
use crate::session::profile::{Profile, Published};
use crate::xep::avatar::Picture;
use crate::xep::vcard::Card;

const PEP: &str = "http://jabber.org/protocol/pubsub#publish";
const CONVERSION: &str = "urn:xmpp:pep-vcard-conversion:0";
const HASH: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";

#[test]
fn p7_data_comes_before_metadata_and_the_card_before_both() {
    let mut account = Account::new(|config| config.profile = profile());
    let asked = login(&mut account, &[PEP, CONVERSION]);
    let [Got::Sent(card)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(card.text, "<iq id='~' type='get'><vCard xmlns='vcard-temp'/></iq>");
    let there = "<vCard xmlns='vcard-temp'><NICKNAME>old</NICKNAME><ORG><ORGNAME>x</ORGNAME></ORG></vCard>";
    let card = answer(&mut account, &asked, there);
    assert_eq!(
        sent(&card),
        ["<iq id='~' type='set'><vCard xmlns='vcard-temp'><FN>Tea</FN><NICKNAME>tea</NICKNAME>\
          <ORG><ORGNAME>x</ORGNAME></ORG></vCard></iq>"]
    );
    let nick = answer(&mut account, &card, "");
    assert!(sent(&nick)[0].contains("<publish node='http://jabber.org/protocol/nick'><item id='current'>"));
    let data = answer(&mut account, &nick, "");
    assert!(sent(&data)[0].contains(&format!("<publish node='urn:xmpp:avatar:data'><item id='{HASH}'>")));
    let metadata = answer(&mut account, &data, "");
    assert!(
        sent(&metadata)[0].contains(&format!("<publish node='urn:xmpp:avatar:metadata'><item id='{HASH}'>"))
    );
    assert_eq!(answer(&mut account, &metadata, ""), [], "the server tells the presence");
}

#[test]
fn p8_without_a_server_that_converts_the_picture_is_in_the_card_and_its_hash_in_the_presence() {
    let mut account = Account::new(|config| config.profile = profile());
    let asked = login(&mut account, &[]);
    let card = refuse(&mut account, &asked, "item-not-found");
    assert!(
        sent(&card)[0].contains("<PHOTO><TYPE>image/png</TYPE><BINVAL>YWJj</BINVAL></PHOTO>"),
        "{card:?}"
    );
    let presence = answer(&mut account, &card, "");
    let update = format!("<x xmlns='vcard-temp:x:update'><photo>{HASH}</photo></x>");
    assert_eq!(presence.len(), 1, "no nodes, nothing more");
    assert!(sent(&presence)[0].contains(&update), "{presence:?}");
    let away = Action::Presence { show: None, status: None, priority: 0 };
    assert!(sent(&account.perform(away).expect("online"))[0].contains(&update));
}

#[test]
fn p7_what_the_server_has_is_not_published_again() {
    let mut account = Account::new(|config| config.profile = profile());
    let asked = login(&mut account, &[PEP, CONVERSION]);
    let mut got = answer(&mut account, &asked, "");
    for _ in 0..4 {
        got = answer(&mut account, &got, "");
    }
    assert_eq!(got, []);
    let stored = Published::from_value(&account.published.clone().expect("kept").to_value());
    assert_eq!(Some(&stored), account.published.as_ref());
    let mut next = Account::new(|config| {
        config.profile = profile();
        config.published = stored.clone();
    });
    assert_eq!(login(&mut next, &[PEP, CONVERSION]), []);

    // Taken out of the configuration, taken back at the server.
    let mut bare = SessionConfig::new(super::bare(BARE));
    bare.software = super::super::Software { name: "Echo".to_owned(), version: "1.0".to_owned() };
    next.session.configure(next.now, bare);
    let asked = next.drain();
    let card = answer(&mut next, &asked, "<vCard xmlns='vcard-temp'><FN>Tea</FN><TITLE>x</TITLE></vCard>");
    assert!(sent(&card)[0].contains("<vCard xmlns='vcard-temp'><TITLE>x</TITLE></vCard>"), "{card:?}");
    let nick = answer(&mut next, &card, "");
    assert!(sent(&nick)[0].contains("<retract node='http://jabber.org/protocol/nick'"), "{nick:?}");
    let metadata = refuse(&mut next, &nick, "item-not-found");
    assert!(sent(&metadata)[0].contains("<metadata xmlns='urn:xmpp:avatar:metadata'/>"), "{metadata:?}");
    assert_eq!(answer(&mut next, &metadata, ""), []);
    assert_eq!(next.published, Some(Published::default()));
}

#[test]
fn p7_a_part_that_is_refused_keeps_the_others_from_nothing_and_is_tried_in_the_next_session() {
    let mut account = Account::new(|config| config.profile = profile());
    let asked = login(&mut account, &[PEP, CONVERSION]);
    let nick = refuse(&mut account, &asked, "service-unavailable");
    assert!(sent(&nick)[0].contains("protocol/nick"), "{nick:?}");
    let data = answer(&mut account, &nick, "");
    let ended = refuse(&mut account, &data, "policy-violation");
    assert_eq!(ended, []);
    let again = login(&mut account, &[PEP, CONVERSION]);
    assert_eq!(sent(&again), ["<iq id='~' type='get'><vCard xmlns='vcard-temp'/></iq>"]);
}

/// P-8: a big room would be a storm of questions.
#[test]
fn p8_hashes_of_others_lead_to_no_question() {
    let mut account = Account::online("<item jid='ann@example.net' subscription='both'/>", |_| {});
    for n in 0..50 {
        let photo = format!("<x xmlns='vcard-temp:x:update'><photo>{n:040x}</photo></x>");
        let got = account.feed(&format!("<presence from='ann@example.net/{n}'>{photo}</presence>"));
        assert_eq!(sent(&got), [] as [&str; 0]);
    }
}

fn profile() -> Profile {
    let card = Card { name: Some("Tea".to_owned()), nick: Some("tea".to_owned()), ..Card::default() };
    Profile { card, avatar: Some(Picture { bytes: Arc::from(&b"abc"[..]), width: 1, height: 1 }) }
}

/// A login on a server with these features; what is asked for besides.
fn login(account: &mut Account, features: &[&str]) -> Vec<Got> {
    let asked = account.bind("");
    let [roster, own, domain] = &asked[..] else { panic!("{asked:?}") };
    let features: String = features.iter().map(|var| format!("<feature var='{var}'/>")).collect();
    let (own, domain, roster) = (id(own), id(domain), id(roster));
    let query =
        |features: &str| format!("<query xmlns='http://jabber.org/protocol/disco#info'>{features}</query>");
    account.feed(&format!("<iq type='result' id='{roster}'/>"));
    let first =
        account.feed(&format!("<iq type='result' id='{own}' from='{BARE}'>{}</iq>", query(&features)));
    let last =
        account.feed(&format!("<iq type='result' id='{domain}' from='example.org'>{}</iq>", query("")));
    let asks = |got: &Got| matches!(got, Got::Sent(wire) if wire.text.starts_with("<iq"));
    first.into_iter().chain(last).filter(asks).collect()
}

fn answer(account: &mut Account, asked: &[Got], payload: &str) -> Vec<Got> {
    account.feed(&format!("<iq type='result' id='{}' from='{BARE}'>{payload}</iq>", id(&asked[0])))
}

fn refuse(account: &mut Account, asked: &[Got], condition: &str) -> Vec<Got> {
    account.feed(&format!(
        "<iq type='error' id='{}'><error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
         </error></iq>",
        id(&asked[0])
    ))
}
