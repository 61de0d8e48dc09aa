//! Which way a message in a room came (M-14), and who says it (S-12).

use super::*;
use crate::action::OutgoingMessage;
use crate::event::Class;
use crate::event::room::{Affiliation, Identity, Role};
use crate::stanza::MessageKind;

const IDS: &str = "urn:xmpp:occupant-id:0";
const SID: &str = "urn:xmpp:sid:0";

fn delay(from: &str, stamp: &str) -> String {
    format!("<delay xmlns='urn:xmpp:delay' from='{from}' stamp='{stamp}'/>")
}

fn class(got: &[Got]) -> Option<Class> {
    messages(got).first().map(|message| message.class)
}

fn said(account: &mut Account, id: &str) {
    let message = OutgoingMessage {
        kind: MessageKind::Groupchat,
        ..super::super::messages::outgoing(ROOM, id, "hello")
    };
    account.perform(Action::Message(message)).expect("online");
}

#[test]
fn m14_history_is_what_comes_before_the_first_subject_of_this_join() {
    let mut account = joining(|_| {});
    assert_eq!(class(&account.say("ann", "0", "early", "")), Some(Class::History));
    account.enter("bot");
    // The account is a minute and more old, so the stamp lies before the join and long behind the login.
    let old = "2025-12-31T23:00:00Z";
    assert_eq!(class(&account.say("ann", "1", "old", &delay(ROOM, old))), Some(Class::History));
    assert_eq!(class(&account.say("ann", "2", "unmarked", "")), Some(Class::History));
    account.feed(&format!("<message from='{ROOM}/ann' type='groupchat'><subject>topic</subject></message>"));
    assert_eq!(class(&account.say("ann", "3", "now", "")), Some(Class::Live));
    // Again after a rejoin, and not by the time of the login.
    account.feed(&gone("bot", PLAIN, &[307, 110]));
    assert_eq!(account.say("ann", "4", "outside", ""), [], "of a room it is not in nothing is believed");
    account.after(20);
    account.enter("bot");
    assert_eq!(
        class(&account.say("ann", "5", "old", &delay(ROOM, "2026-01-01T00:00:01Z"))),
        Some(Class::History)
    );
}

#[test]
fn m14_a_stamp_alone_does_not_mean_old() {
    let mut account = inside(&[], |_| {});
    account.after(60);
    let old = "2025-12-31T23:00:00Z";
    // After a resumption servers stamp what is live.
    assert_eq!(class(&account.say("ann", "1", "late", &delay("example.org", old))), Some(Class::Delayed));
    // ejabberd 23.01 passes on a stamp that an occupant made up: the bot must hear what all others hear.
    assert_eq!(class(&account.say("eve", "2", "spam", &delay(ROOM, old))), Some(Class::Live));
    assert_eq!(
        class(&account.say("eve", "3", "spam", &delay("den@rooms.example.org/eve", old))),
        Some(Class::Live)
    );
}

#[test]
fn m14_a_room_without_a_subject_does_not_make_it_deaf() {
    let mut account = joining(|_| {});
    account.enter("bot");
    assert_eq!(class(&account.say("ann", "1", "x", "")), Some(Class::History));
    account.after(11);
    assert_eq!(class(&account.say("ann", "2", "x", "")), Some(Class::Live));
}

#[test]
fn m16_an_own_message_comes_back_from_the_own_seat_once() {
    let mut account = inside(&[], |_| {});
    said(&mut account, "m1");
    said(&mut account, "m2");
    // An occupant who has seen the id copies it, before and after.
    assert_eq!(class(&account.say("eve", "m1", "hello", "")), Some(Class::Live));
    assert_eq!(class(&account.say("bot", "m1", "hello", "")), Some(Class::Reflection));
    let again = account.say("bot", "m1", "hello", "");
    assert_eq!(messages(&again)[0].class, Class::Live);
    assert!(messages(&again)[0].own, "it is the bot's own seat all the same");
    // Another session of the account with the same nick: own, and not what this one said.
    assert!(messages(&account.say("bot", "other", "hello", ""))[0].own);
    assert!(!messages(&account.say("eve", "m2", "hello", ""))[0].own);
}

#[test]
fn m16_an_old_seat_is_anybody_s() {
    let mut account = inside(&[], |_| {});
    said(&mut account, "m1");
    account.feed(&gone("bot", "<item nick='Helper' role='participant'/>", &[303, 110]));
    account.feed(&seat("Helper", PLAIN, &[110]));
    account.feed(&seat("bot", PLAIN, &[]));
    let got = account.say("bot", "m1", "hello", "");
    assert_eq!((messages(&got)[0].class, messages(&got)[0].own), (Class::Live, false));
    assert_eq!(messages(&account.say("ann", "m3", "Helper: hi", ""))[0].own_nick.as_deref(), Some("Helper"));
}

#[test]
fn the_speaker_is_who_the_room_says_in_presence() {
    let mut account = inside(&[], |_| {});
    let got = account.say("ann", "1", "x", "");
    let [ann] = messages(&got)[..] else { panic!("{got:?}") };
    assert_eq!((ann.who.as_str(), ann.identity), ("ann@example.net", Identity::Real));
    assert_eq!((ann.role, ann.affiliation), (Some(Role::Moderator), Some(Affiliation::Owner)));
    assert_eq!((ann.place.as_str(), ann.nick.as_str()), (ROOM, "ann"));
    let got = account.say("bob", "2", "x", "");
    let [bob] = messages(&got)[..] else { panic!("{got:?}") };
    assert_eq!((bob.who.as_str(), bob.identity), ("den@rooms.example.org/bob", Identity::Nick));
    assert_eq!((bob.role, bob.real_jid.is_none()), (Some(Role::Participant), true));
}

#[test]
fn s12_what_an_occupant_writes_about_himself_is_not_believed() {
    // Finding 4: both servers pass this on unchanged.
    let claim = "<x xmlns='http://jabber.org/protocol/muc#user'><item jid='admin@example.org' affiliation='owner' \
                 role='moderator'/><status code='307'/><status code='110'/></x>\
                 <occupant-id xmlns='urn:xmpp:occupant-id:0' id='ann-id'/>";
    let mut account = inside(&[], |_| {});
    let got = account.say("bob", "1", "x", claim);
    let [bob] = messages(&got)[..] else { panic!("{got:?}") };
    assert_eq!((bob.who.as_str(), bob.identity), ("den@rooms.example.org/bob", Identity::Nick));
    assert_eq!((bob.affiliation, &bob.occupant_id, &bob.real_jid), (Some(Affiliation::None), &None, &None));
    assert!(account.view().joined, "only presence removes anybody");
    // In presence it is the same for a room that does not announce the feature: ejabberd 23.01 lets it through.
    let presence = seat("mallory", PLAIN, &[])
        .replace("</presence>", &format!("<occupant-id xmlns='{IDS}' id='ann-id'/></presence>"));
    account.feed(&presence);
    assert_eq!(account.occupant("mallory").and_then(|mallory| mallory.occupant_id), None);
}

#[test]
fn c13_ids_of_a_room_that_announces_them_are_believed_whenever_it_does() {
    let id = |id: &str| format!("<occupant-id xmlns='{IDS}' id='{id}'/>");
    let with_id = |nick: &str, own: &[u16]| {
        seat(nick, PLAIN, own).replace("</presence>", &format!("{}</presence>", id(&format!("{nick}-id"))))
    };
    // The answer comes behind the first presence.
    let mut account = joining(|_| {});
    account.feed(&with_id("bob", &[]));
    assert_eq!(account.occupant("bob").and_then(|bob| bob.occupant_id), None);
    account.announce(&[IDS]);
    account.feed(&with_id("bot", &[110]));
    account.feed(&format!("<message from='{ROOM}' type='groupchat'><subject/></message>"));
    let bob = account.occupant("bob").expect("there");
    assert_eq!((bob.who.as_str(), bob.identity), ("den@rooms.example.org#bob-id", Identity::Occupant));
    let got = account.say("bob", "1", "x", &id("bob-id"));
    assert_eq!(messages(&got)[0].who, "den@rooms.example.org#bob-id");
    // Two ids are none, and another id is somebody else.
    let got = account.say("bob", "2", "x", &format!("{}{}", id("bob-id"), id("ann-id")));
    assert_eq!(messages(&got)[0].who, "den@rooms.example.org#bob-id", "the seat is known");
    let got = account.say("bob", "3", "x", &id("carol-id"));
    let [carol] = messages(&got)[..] else { panic!("{got:?}") };
    assert_eq!((carol.who.as_str(), carol.role), ("den@rooms.example.org#carol-id", None));
}

#[test]
fn s12_a_nick_that_changes_hands_hands_nothing_on() {
    let mut account = inside(&[], |_| {});
    let got = account.feed(&gone(
        "ann",
        "<item nick='boss' role='moderator' affiliation='owner' jid='ann@example.net/x'/>",
        &[303],
    ));
    let [RoomChange::Renamed { occupant, old }] = changes(&got)[..] else { panic!("{got:?}") };
    assert_eq!((occupant.who.as_str(), old.as_str()), ("ann@example.net", "ann"));
    account.feed(&seat("boss", ANN, &[]));
    account.feed(&gone("bob", "<item nick='ann' role='participant' affiliation='none'/>", &[303]));
    account.feed(&seat("ann", PLAIN, &[]));
    let got = account.say("ann", "1", "x", "");
    let [bob] = messages(&got)[..] else { panic!("{got:?}") };
    assert_eq!(
        (bob.who.as_str(), bob.identity, bob.affiliation),
        ("den@rooms.example.org/ann", Identity::Nick, Some(Affiliation::None))
    );
    assert_eq!(messages(&account.say("boss", "2", "x", ""))[0].who, "ann@example.net");
}

#[test]
fn history_tells_nothing_of_who_has_the_nick_now() {
    let mut account = joining(|_| {});
    account.enter("bot");
    let got = account.say("ann", "1", "old", &delay(ROOM, "2025-12-31T23:00:00Z"));
    let [old] = messages(&got)[..] else { panic!("{got:?}") };
    assert_eq!((old.class, old.identity, old.role), (Class::History, Identity::Nick, None));
}

#[test]
fn c9_a_private_message_comes_from_the_occupant_and_never_from_the_room() {
    let mut account = inside(&[], |_| {});
    for marker in ["<x xmlns='http://jabber.org/protocol/muc#user'/>", ""] {
        let got = account
            .feed(&format!("<message from='{ROOM}/bob' type='chat'><body>psst</body>{marker}</message>"));
        let [message] = messages(&got)[..] else { panic!("{got:?}") };
        assert_eq!(message.room, Some(bare(ROOM)));
        assert_eq!((message.place.as_str(), message.kind), ("den@rooms.example.org/bob", MessageKind::Chat));
        assert_eq!(message.who, "den@rooms.example.org/bob");
    }
    // The room by itself is nobody, and who is in a room that the bot has left cannot be answered.
    assert_eq!(account.feed(&format!("<message from='{ROOM}'><body>psst</body></message>")), []);
    account.feed(&gone("bot", PLAIN, &[307, 110]));
    assert_eq!(
        account.feed(&format!("<message from='{ROOM}/bob' type='chat'><body>psst</body></message>")),
        []
    );
}

#[test]
fn c8_a_subject_is_no_talk_and_talk_with_a_subject_is() {
    let mut account = inside(&[], |_| {});
    let got = account
        .feed(&format!("<message from='{ROOM}/bob' type='groupchat'><subject>tea</subject></message>"));
    assert_eq!(
        changes(&got),
        [&RoomChange::Subject { text: "tea".to_owned(), nick: Some("bob".to_owned()) }]
    );
    assert_eq!(account.view().subject.as_deref(), Some("tea"));
    let got = account.feed(&format!(
        "<message from='{ROOM}/bob' type='groupchat'><subject>no</subject><body>talk</body></message>"
    ));
    assert_eq!((messages(&got).len(), changes(&got).len()), (1, 0));
    assert_eq!(account.view().subject.as_deref(), Some("tea"));
}

#[test]
fn m15_the_room_s_id_is_believed_where_announced_and_sorts_out_doubles() {
    let id = |by: &str, id: &str| format!("<stanza-id xmlns='{SID}' by='{by}' id='{id}'/>");
    let mut account = inside(&[SID], |_| {});
    let got = account.say("bob", "1", "x", &format!("{}{}", id(BARE, "forged"), id(ROOM, "s1")));
    assert_eq!(messages(&got)[0].stanza_id.as_deref(), Some("s1"));
    assert_eq!(account.say("bob", "2", "x", &id(ROOM, "s1")), []);
    let got = account.say("bob", "3", "x", &format!("{}{}", id(ROOM, "s1"), id(ROOM, "s2")));
    assert_eq!(messages(&got)[0].stanza_id, None, "two of one giver are none, and nothing is dropped");
    let mut other = inside(&[], |_| {});
    assert_eq!(messages(&other.say("bob", "1", "x", &id(ROOM, "s1")))[0].stanza_id, None);
}

#[test]
fn c17_another_bot_of_this_process_is_known_by_its_address() {
    let mut account = inside(&[], |config| {
        config.own_bots = std::sync::Arc::new([bare("ann@example.net")].into());
    });
    let got = account.say("ann", "1", "x", "");
    assert!(messages(&got)[0].own && messages(&got)[0].is_bot);
    assert!(!messages(&account.say("bob", "2", "x", ""))[0].own);
}

#[test]
fn talk_of_a_room_that_was_not_joined_reaches_nobody() {
    let mut account = inside(&[], |_| {});
    let got =
        account.feed("<message from='lair@rooms.example.org/eve' type='groupchat'><body>x</body></message>");
    assert_eq!(got, []);
}

/// What a script is told of changes to earlier messages.
fn told(got: &[Got]) -> usize {
    events(got)
        .into_iter()
        .filter(|event| match event {
            crate::event::Event::Message(message) => message.replaces.is_some(),
            crate::event::Event::Remark(_) => true,
            _ => false,
        })
        .count()
}

#[test]
fn s13_nobody_changes_what_another_occupant_has_said() {
    let edit = "<replace xmlns='urn:xmpp:message-correct:0' id='m1'/>";
    let retract = "<retract xmlns='urn:xmpp:message-retract:1' id='m1'/>";
    let mut account = inside(&[], |_| {});
    account.feed(&seat("ann", PLAIN, &[]));
    account.feed(&seat("bob", PLAIN, &[]));
    account.say("ann", "m1", "helo", "");
    assert_eq!(told(&account.say("bob", "b1", "!stop", edit)), 0);
    assert_eq!(told(&account.say("bob", "b2", "", retract)), 0);
    assert_eq!(told(&account.say("ann", "a2", "hello", edit)), 1);
    // Moderation is the room's own word.
    let moderated = format!("<message from='{ROOM}' type='groupchat'>{retract}</message>");
    assert_eq!(told(&account.feed(&moderated)), 1);
    // The nick leaves, and somebody else takes it.
    account.feed(&gone("ann", PLAIN, &[]));
    account.feed(&seat("ann", PLAIN, &[]));
    assert_eq!(told(&account.say("ann", "a3", "!stop", edit)), 0);
    assert_eq!(told(&account.say("ann", "a4", "", retract)), 0);
}

#[test]
fn s13_after_a_rejoin_a_nick_changes_nothing_that_was_said_before() {
    let edit = "<replace xmlns='urn:xmpp:message-correct:0' id='m1'/>";
    let mut account = inside(&[], |_| {});
    account.feed(&seat("ann", PLAIN, &[]));
    account.say("ann", "m1", "helo", "");
    account.feed(&gone("bot", PLAIN, &[333, 110]));
    account.after(20);
    account.feed(&seat("ann", PLAIN, &[]));
    account.enter("bot");
    account.feed(&format!("<message from='{ROOM}' type='groupchat'><subject>topic</subject></message>"));
    assert_eq!(told(&account.say("ann", "a2", "!stop", edit)), 0);
}

#[test]
fn what_is_said_to_the_address_of_a_room_is_talk_in_it() {
    let mut account = inside(&[], |_| {});
    let kind = |account: &mut Account, to: &str| {
        let message = super::super::messages::outgoing(to, "m7", "due");
        let got = account.perform(Action::Message(message)).expect("online");
        sent(&got).iter().any(|stanza| stanza.contains("type='groupchat'"))
    };
    assert!(kind(&mut account, ROOM));
    assert!(!kind(&mut account, &format!("{ROOM}/ann")), "a private message stays one");
    assert!(!kind(&mut account, "ann@example.net"));
    assert!(!kind(&mut account, "hall@rooms.example.org"), "a room of others");
}
