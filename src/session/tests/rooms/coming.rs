//! Who comes, goes and changes, and how much of it is borne.

use super::*;
use crate::event::room::{Affiliation, Departure, Role};

#[test]
fn those_who_come_go_and_change_are_told_with_all_that_is_known() {
    let mut account = inside(&[], |_| {});
    let got = account.feed(&seat(
        "carol",
        "<item role='visitor' affiliation='none' jid='carol@example.net/y'/>",
        &[],
    ));
    let [RoomChange::Joined(carol)] = changes(&got)[..] else { panic!("{got:?}") };
    assert_eq!((carol.who.as_str(), carol.role), ("carol@example.net", Role::Visitor));
    assert_eq!(
        account.feed(&seat(
            "carol",
            "<item role='visitor' affiliation='none' jid='carol@example.net/y'/>",
            &[]
        )),
        []
    );
    let promoted =
        "<item role='participant' affiliation='member' jid='carol@example.net/y'><actor nick='ann'/></item>";
    let got = account.feed(&seat("carol", promoted, &[]));
    let [RoomChange::Role { occupant, role, affiliation, by, .. }] = changes(&got)[..] else {
        panic!("{got:?}")
    };
    assert_eq!((occupant.role, *role), (Role::Participant, Role::Visitor));
    assert_eq!(
        (occupant.affiliation, *affiliation, by.as_deref()),
        (Affiliation::Member, Affiliation::None, Some("ann"))
    );
    let cases = [
        (vec![], "", Departure::Left),
        (vec![307], "", Departure::Kicked),
        (vec![301], "", Departure::Banned),
        (vec![321], "", Departure::NotMember),
        (vec![322], "", Departure::NotMember),
        (vec![332], "", Departure::Shutdown),
        (vec![333], "", Departure::Unreachable),
        (vec![307, 333], "", Departure::Unreachable),
    ];
    for (codes, _, expected) in cases {
        account.feed(&seat("dora", PLAIN, &[]));
        let got = account.feed(&gone("dora", "<item role='none'><reason>why</reason></item>", &codes));
        let [RoomChange::Left { departure, text, occupant, .. }] = changes(&got)[..] else {
            panic!("{got:?}")
        };
        assert_eq!((*departure, text.as_deref(), occupant.nick.as_str()), (expected, Some("why"), "dora"));
    }
    assert_eq!(account.feed(&gone("nobody", PLAIN, &[])), [], "who was not there cannot go");
}

#[test]
fn a_change_of_the_account_itself_is_told_as_its_own() {
    let mut account = inside(&[], |_| {});
    let got = account.feed(&seat("bot", "<item role='moderator' affiliation='admin'/>", &[110]));
    let [RoomChange::Role { occupant, .. }] = changes(&got)[..] else { panic!("{got:?}") };
    assert!(occupant.own);
    assert_eq!(account.occupant("bot").map(|bot| bot.role), Some(Role::Moderator));
}

#[test]
fn s17_a_flood_of_occupants_fills_neither_memory_nor_queue() {
    let mut account = inside(&[], |_| {});
    let mut told = 0;
    for n in 0..6_000 {
        told += changes(&account.feed(&seat(&format!("n{n}"), PLAIN, &[]))).len();
    }
    assert_eq!(account.view().occupants.len(), 5_000);
    assert_eq!(told, 500, "scripts get a burst, and then a little every second");
    account.after(10);
    let got = account.feed(&gone("n7", PLAIN, &[]));
    assert_eq!(names(&got), ["room:leave"]);
    // The account's own seat and the talk of those who are not kept come through.
    account.feed(&seat("bot", "<item role='visitor' affiliation='none'/>", &[110]));
    assert_eq!(account.occupant("bot").map(|bot| bot.role), Some(crate::event::room::Role::Visitor));
    let got = account.say("n5999", "1", "hello", "");
    assert_eq!((messages(&got).len(), messages(&got)[0].role), (1, None));
    // All of it is given back.
    account.feed(&gone("bot", PLAIN, &[307, 110]));
    assert_eq!(account.view().occupants.len(), 0);
    account.after(60);
    account.enter("bot");
    assert_eq!(account.view().occupants.len(), 3);
}

#[test]
fn s17_all_rooms_together_are_bounded_too() {
    let rooms: Vec<String> = (0..6).map(|n| format!("r{n}@rooms.example.org")).collect();
    let mut account = Account::online("", |config| {
        config.rooms = rooms.iter().map(|room| desired(room)).collect();
    });
    for room in &rooms {
        let seat = |nick: &str, status: &str| {
            format!(
                "<presence from='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc#user'>{PLAIN}{status}</x></presence>"
            )
        };
        for n in 0..4_000 {
            account.feed(&seat(&format!("n{n}"), ""));
        }
        account.feed(&seat("bot", "<status code='110'/>"));
    }
    let kept: usize = account.session.rooms_view().values().map(|room| room.occupants.len()).sum();
    assert_eq!(kept, 20_000 + 2, "and the own seats of the two rooms that came too late");
    assert!(account.session.rooms_view().values().all(|room| room.joined));
}

#[test]
fn s23_a_nick_with_odd_characters_is_a_nick_like_any_other() {
    let mut account = inside(&[], |_| {});
    for nick in ["\u{202e}nna", "a/b@c", "&lt;b&gt;", "\u{1f916}", "den@rooms.example.org"] {
        let got = account.feed(&seat(nick, PLAIN, &[]));
        assert_eq!(names(&got), ["room:join"], "{nick:?}");
        let got = account.say(nick, "1", "x", "");
        assert_eq!(messages(&got)[0].room, Some(bare(ROOM)), "{nick:?}");
        assert!(messages(&got)[0].who.starts_with("den@rooms.example.org/"), "{nick:?}");
        assert_eq!(names(&account.feed(&gone(nick, PLAIN, &[]))), ["room:leave"], "{nick:?}");
    }
    // An empty nick, a rename to nothing, an item without anything: no effect, no panic.
    account.feed(&gone("bob", "<item nick=''/>", &[303]));
    account.feed(&format!("<presence from='{ROOM}/x'/>"));
    account.feed(&format!(
        "<presence from='{ROOM}/x'><x xmlns='http://jabber.org/protocol/muc#user'/></presence>"
    ));
    assert!(account.view().joined);
}

#[test]
fn r5_presence_of_the_room_itself_is_no_occupant() {
    let mut account = inside(&[], |_| {});
    let before = account.view().occupants.len();
    let got = account.feed(&format!(
        "<presence from='{ROOM}'><x xmlns='http://jabber.org/protocol/muc#user'>{PLAIN}</x></presence>"
    ));
    assert_eq!((got, account.view().occupants.len()), (vec![], before));
}

#[test]
fn a_new_presence_of_the_account_reaches_its_rooms() {
    let mut account = inside(&[], |_| {});
    let away = Action::Presence { show: Some(crate::stanza::Show::Away), status: None, priority: 0 };
    let got = account.perform(away).expect("online");
    assert_eq!(
        presences(&got),
        [
            "<presence><show>away</show></presence>".to_owned(),
            format!("<presence to='{ROOM}/bot'><show>away</show></presence>")
        ]
    );
}

#[test]
fn a_room_that_has_changed_is_asked_what_it_does_now_and_then() {
    let mut account = inside(&[], |_| {});
    let changed = format!(
        "<message from='{ROOM}' type='groupchat'><x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x></message>"
    );
    assert_eq!(sent(&account.feed(&changed)).len(), 0, "it was asked a moment ago");
    account.after(61);
    assert_eq!(sent(&account.feed(&changed)).len(), 1);
    assert_eq!(sent(&account.feed(&changed)).len(), 0);
    // An occupant cannot make it ask.
    account.after(61);
    let occupant = changed.replace(&format!("'{ROOM}'"), &format!("'{ROOM}/bob'"));
    assert_eq!(sent(&account.feed(&occupant)).len(), 0);
}
