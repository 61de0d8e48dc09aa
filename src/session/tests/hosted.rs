//! An address behind a component keeps its roster and tells its presence itself.

use super::*;
use crate::action::Action;
use crate::event::{SubscriptionState, SubscriptionVerb};

#[test]
fn the_login_asks_nobody_and_shows_itself_to_those_who_may_see_it() {
    let (mut session, now) =
        hosted(&[("seen@one.test", SubscriptionState::To), ("ann@one.test", SubscriptionState::From)]);
    let (sent, events) = online(&mut session, now);
    let to: Vec<_> = sent
        .iter()
        .map(|stanza| (stanza.attr("to").unwrap_or(""), stanza.attr("type").unwrap_or("")))
        .collect();
    assert_eq!(to, [("ann@one.test", ""), ("seen@one.test", "probe")]);
    assert!(events.iter().any(|event| matches!(event, Event::Online { resumed: false, .. })));
}

#[test]
fn an_approval_is_kept_and_probes_are_answered_only_then() {
    let (mut session, now) = hosted(&[]);
    online(&mut session, now);
    session.on_stanza(now, presence("ann@one.test/x", "probe"));
    let (sent, _) = drained(&mut session);
    assert_eq!(kinds(&sent), ["unsubscribed"]);
    session.on_stanza(now, presence("ann@one.test", "subscribe"));
    drained(&mut session);
    let approve = Action::Subscription { to: jid("ann@one.test"), verb: SubscriptionVerb::Subscribed };
    session.perform(now, approve).expect("it is online");
    let (sent, _) = drained(&mut session);
    assert_eq!(kinds(&sent), ["subscribed", ""]);
    assert_eq!(
        session.contact(&jid("ann@one.test")).map(|it| it.subscription),
        Some(SubscriptionState::From)
    );
    session.on_stanza(now, presence("ann@one.test/x", "probe"));
    let (sent, _) = drained(&mut session);
    assert_eq!((kinds(&sent), sent[0].attr("to")), (vec![String::new()], Some("ann@one.test/x")));
    // Once more: the answer comes by itself, and scripts hear nothing.
    session.on_stanza(now, presence("ann@one.test", "subscribe"));
    let (sent, events) = drained(&mut session);
    assert_eq!(kinds(&sent), ["subscribed", ""]);
    assert!(events.is_empty(), "{events:?}");
}

#[test]
fn who_was_not_asked_cannot_agree_and_who_was_can() {
    let (mut session, now) = hosted(&[]);
    online(&mut session, now);
    session.on_stanza(now, presence("eve@one.test", "subscribed"));
    drained(&mut session);
    assert_eq!(session.contact(&jid("eve@one.test")), None);
    let ask = Action::Subscription { to: jid("ann@one.test"), verb: SubscriptionVerb::Subscribe };
    session.perform(now, ask).expect("it is online");
    assert!(session.contact(&jid("ann@one.test")).is_some_and(|it| it.ask));
    session.on_stanza(now, presence("ann@one.test", "subscribed"));
    let item = session.contact(&jid("ann@one.test")).cloned().expect("a contact");
    assert_eq!((item.subscription, item.ask), (SubscriptionState::To, false));
    session.on_stanza(now, presence("ann@one.test", "unsubscribed"));
    assert_eq!(
        session.contact(&jid("ann@one.test")).map(|it| it.subscription),
        Some(SubscriptionState::None)
    );
}

#[test]
fn the_roster_is_stored_and_removed_items_say_goodbye() {
    let (mut session, now) = hosted(&[("ann@one.test", SubscriptionState::Both)]);
    online(&mut session, now);
    session.perform(now, Action::RosterRemove { jid: jid("ann@one.test") }).expect("it is online");
    let mut saved = None;
    let mut sent = Vec::new();
    loop {
        match session.poll_output() {
            SessionOutput::SaveRoster(roster) => saved = Some(roster),
            SessionOutput::Send(stanza) => sent.push(stanza),
            SessionOutput::Idle(_) => break,
            _ => {}
        }
    }
    assert_eq!(kinds(&sent), ["unavailable", "unsubscribed", "unsubscribe"]);
    assert!(saved.is_some_and(|roster| roster.items.is_empty()));
}

#[test]
fn a_push_changes_nothing_and_nobody_is_asked_without_a_name() {
    let (mut session, now) = hosted(&[]);
    online(&mut session, now);
    let push = xml::parse(
        "<iq xmlns='jabber:client' type='set' id='1' from='echo@bots.test'><query xmlns='jabber:iq:roster'>\
         <item jid='eve@one.test' subscription='both'/></query></iq>",
    )
    .expect("well-formed");
    session.on_stanza(now, push);
    assert_eq!(session.contact(&jid("eve@one.test")), None);
    let request = Action::Request {
        token: "t".to_owned(),
        to: None,
        kind: crate::action::RequestKind::Get,
        payload: Element::new("ping", "urn:xmpp:ping"),
        timeout: std::time::Duration::from_secs(5),
    };
    assert!(session.perform(now, request).is_err());
}

fn hosted(items: &[(&str, SubscriptionState)]) -> (Session, Moment) {
    let contact = |(address, subscription): &(&str, SubscriptionState)| crate::event::Contact {
        jid: jid(address),
        name: None,
        subscription: *subscription,
        ask: false,
        approved: false,
        groups: Vec::new(),
    };
    let roster = CachedRoster { ver: "hosted".to_owned(), items: items.iter().map(contact).collect() };
    let config =
        SessionConfig { hosted: true, roster: Some(roster), ..SessionConfig::new(jid("echo@bots.test")) };
    (
        Session::new(config, Seed([3; 32])),
        Moment { at: std::time::Instant::now(), wall: jiff::Timestamp::UNIX_EPOCH },
    )
}

fn online(session: &mut Session, now: Moment) -> (Vec<Element>, Vec<Event>) {
    let full = FullJid::parse("echo@bots.test/r").expect("an address");
    session.on_online(now, full, false, &Element::new("features", crate::ns::STREAM));
    drained(session)
}

fn drained(session: &mut Session) -> (Vec<Element>, Vec<Event>) {
    let (mut sent, mut events) = (Vec::new(), Vec::new());
    loop {
        match session.poll_output() {
            SessionOutput::Send(stanza) => sent.push(stanza),
            SessionOutput::Event(event) => events.push(event),
            SessionOutput::Idle(_) => return (sent, events),
            _ => {}
        }
    }
}

fn kinds(sent: &[Element]) -> Vec<String> {
    sent.iter().map(|stanza| stanza.attr("type").unwrap_or("").to_owned()).collect()
}

fn presence(from: &str, kind: &str) -> Element {
    Element::new("presence", crate::ns::CLIENT)
        .with_attr("from", from)
        .with_attr("to", "echo@bots.test")
        .with_attr("type", kind)
}

fn jid(text: &str) -> BareJid {
    BareJid::parse(text).expect("an address")
}
