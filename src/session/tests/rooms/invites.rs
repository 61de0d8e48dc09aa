//! Invitations: told, and followed where the policy lets it (C-14, S-18).

use super::*;
use crate::event::room::Invite;
use crate::session::rooms::Invites;

fn direct(from: &str, room: &str) -> String {
    format!(
        "<message from='{from}'><x xmlns='jabber:x:conference' jid='{room}' reason='come' password='pw'/></message>"
    )
}

fn mediated(from: &str, room: &str) -> String {
    format!(
        "<message from='{room}'><x xmlns='http://jabber.org/protocol/muc#user'><invite from='{from}'>\
         <reason>come</reason></invite><password>pw</password></x><x xmlns='jabber:x:conference' jid='{room}'/>\
         <body>You are invited</body></message>"
    )
}

fn invite(got: &[Got]) -> Option<&Invite> {
    events(got).into_iter().find_map(|event| match event {
        Event::Invite(invite) => Some(&**invite),
        _ => None,
    })
}

const LAIR: &str = "lair@rooms.example.org";
const FOREIGN: &str = "lair@rooms.evil.example";

#[test]
fn by_default_an_invitation_is_told_and_not_followed() {
    for (stanza, is_direct) in
        [(direct("ann@example.net/x", LAIR), true), (mediated("ann@example.net", LAIR), false)]
    {
        let mut account = Account::online("", |_| {});
        let got = account.feed(&stanza);
        assert_eq!(events(&got).len(), 1, "it is an event and no message: {got:?}");
        let told = invite(&got).expect("an invitation");
        assert_eq!((told.room.as_str(), told.direct, told.accepted), (LAIR, is_direct, false));
        assert_eq!(told.reason.as_deref(), Some("come"));
        assert_eq!(told.from.as_ref().map(|from| from.bare_str()), Some("ann@example.net"));
        assert_eq!(sent(&got).len(), 0);
    }
}

#[test]
fn c14_the_policy_asks_who_invites_and_the_room_is_asked_only_where_it_is_known() {
    let by = |text: &str| Invites { from: vec![bare(text)], ..Invites::default() };
    let roster = Invites { roster: true, ..Invites::default() };
    let domain = Invites { domain: true, ..Invites::default() };
    let all = Invites { all: true, ..Invites::default() };
    let cases = [
        (by("ann@example.net"), direct("ann@example.net/x", FOREIGN), true),
        (by("ann@example.net"), direct("eve@example.net/x", FOREIGN), false),
        (by("ann@example.net"), mediated("ann@example.net", LAIR), true),
        // A room of somebody else's server can say what it likes.
        (by("ann@example.net"), mediated("ann@example.net", FOREIGN), false),
        (roster.clone(), direct("ann@example.net/x", FOREIGN), true),
        (roster, direct("eve@example.net/x", FOREIGN), false),
        (domain.clone(), direct("eve@example.org/x", FOREIGN), true),
        (domain, direct("eve@example.net/x", FOREIGN), false),
        (all, mediated("eve@example.net", FOREIGN), true),
    ];
    for (policy, stanza, expected) in cases {
        let contact = "<item jid='ann@example.net' subscription='both'/>";
        let mut account = Account::online(contact, |config| config.invites = policy.clone());
        let got = account.feed(&stanza);
        assert_eq!(invite(&got).map(|invite| invite.accepted), Some(expected), "{policy:?} {stanza}");
        assert_eq!(sent(&got).len(), usize::from(expected), "it asks whether the room is there");
    }
}

#[test]
fn an_invited_room_is_joined_with_its_password_and_never_made() {
    let mut account = Account::online("", |config| config.invites.all = true);
    account.feed(&direct("ann@example.net/x", ROOM));
    let got = account.announce(&[]);
    assert!(presences(&got)[0].contains("<password>pw</password>"), "{got:?}");
    assert_eq!(names(&account.feed(&seat("bot", PLAIN, &[110]))), ["room:self"]);
}

#[test]
fn an_invitation_does_not_change_the_password_that_the_operator_wrote() {
    let mut account = Account::online("", |config| {
        config.invites.all = true;
        let password = Some(Password::new("ours".to_owned()));
        config.rooms = vec![DesiredRoom { password, create: false, ..desired(ROOM) }];
    });
    account.announce(&[]);
    account.feed(&refused("bot", "auth", "not-authorized"));
    account.feed(&direct("eve@example.net/x", ROOM));
    let got = account.announce(&[]);
    assert!(presences(&got)[0].contains("<password>ours</password>"), "{got:?}");
}

#[test]
fn what_an_invited_room_says_of_addresses_gives_no_rights() {
    let mut account = Account::online("", |config| config.invites.all = true);
    account.feed(&direct("eve@example.net/x", ROOM));
    account.announce(&[]);
    account.enter("bot");
    account.feed(&format!("<message from='{ROOM}' type='groupchat'><subject/></message>"));
    let got = account.say("ann", "1", "x", "");
    let [ann] = messages(&got)[..] else { panic!("{got:?}") };
    assert_eq!(ann.who, "den@rooms.example.org/ann");
    assert_eq!(
        ann.real_jid.as_ref().map(|jid| jid.bare_str()),
        Some("ann@example.net"),
        "it is told, and only that"
    );
}

#[test]
fn s18_invitations_come_once_and_not_in_heaps() {
    let mut account = Account::online("", |config| config.invites.all = true);
    let told = |account: &mut Account, room: &str| {
        invite(&account.feed(&direct("eve@example.net/x", room))).is_some()
    };
    assert!(told(&mut account, LAIR));
    assert!(!told(&mut account, LAIR), "the same once more");
    assert!(invite(&account.feed(&mediated("eve@example.net", LAIR))).is_none(), "in the other form");
    let heap = (0..1000).filter(|n| told(&mut account, &format!("r{n}@rooms.evil.example"))).count();
    assert_eq!(heap, 9);
    account.after(120);
    let later = (2000..3000).filter(|n| told(&mut account, &format!("r{n}@rooms.evil.example"))).count();
    assert_eq!(later, 10);
    account.after(120);
    for n in 4000..4010 {
        told(&mut account, &format!("r{n}@rooms.evil.example"));
    }
    assert_eq!(
        account.session.rooms_view().len(),
        20,
        "and there is a number of rooms that strangers can fill"
    );
}

#[test]
fn a_forged_invitation_has_no_effect() {
    let mut account = inside(&[], |config| config.invites.all = true);
    // An occupant writes what only the room may; and the room's bare address invites to itself, where the bot is.
    let forged =
        mediated("ann@example.net", LAIR).replace(&format!("from='{LAIR}'"), &format!("from='{ROOM}/eve'"));
    let got = account.feed(&forged);
    assert!(invite(&got).is_none_or(|invite| !invite.accepted), "{got:?}");
    assert_eq!(account.feed(&mediated("ann@example.net", ROOM)), []);
}
