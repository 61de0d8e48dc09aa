//! XEP-0045 §7.2 and what follows when it does not work.

use super::*;
use crate::session::rooms::Standing;

#[test]
fn c1_a_room_is_joined_behind_the_presence_and_without_history() {
    let account = joining(|_| {});
    let to: Vec<&str> = account.sent.iter().map(|(to, _, _)| to.as_str()).collect();
    assert_eq!(to[to.len() - 3..], ["", ROOM, "den@rooms.example.org/bot"]);
    let (_, join, _) = &account.sent[account.sent.len() - 1];
    assert!(join.ends_with(&format!("{JOIN}</presence>")), "{join}");
}

#[test]
fn c1_in_is_who_was_told_so_and_not_who_saw_somebody() {
    let mut account = joining(|_| {});
    assert_eq!(account.session.standing_in(&bare(ROOM)), Standing::Coming);
    assert_eq!(account.feed(&format!("<presence from='{ROOM}'/>")), []);
    assert_eq!(account.feed(&seat("ann", ANN, &[])), []);
    assert!(!account.view().joined);
    let got = account.feed(&seat("bot", PLAIN, &[100, 110]));
    assert_eq!(changes(&got), [&RoomChange::Entered { nick: "bot".to_owned(), created: false }]);
    assert_eq!(account.session.standing_in(&bare(ROOM)), Standing::In);
    assert_eq!(account.view().occupants.keys().collect::<Vec<_>>(), ["ann", "bot"]);
}

#[test]
fn a_password_goes_to_the_room_and_into_nothing_else() {
    let mut account = joining(|config| config.rooms[0].password = password("s3cret"));
    let join = account.sent.last().expect("a join").1.clone();
    assert!(join.contains("<password>s3cret</password>"), "{join}");
    assert!(!format!("{:?}", account.session.rooms_view()).contains("s3cret"));
    let got = account.feed(&refused("bot", "auth", "not-authorized"));
    assert!(!format!("{got:?}").contains("s3cret"));
    let lost = lost(&got);
    assert_eq!((lost.code, lost.reason.as_str()), (401, "the password is wrong"));
    assert!(lost.retry_s.is_some_and(|seconds| seconds >= 60), "{lost:?}");
}

#[test]
fn c4_every_refusal_has_its_consequence() {
    // Condition, code, and the shortest wait; none where it must not try again.
    let cases = [
        ("forbidden", 403, None),
        ("registration-required", 407, None),
        ("not-authorized", 401, Some(60)),
        ("item-not-found", 404, Some(60)),
        ("not-allowed", 405, Some(60)),
        ("not-acceptable", 406, Some(60)),
        ("jid-malformed", 400, Some(60)),
        ("gone", 302, Some(60)),
        ("service-unavailable", 503, Some(5)),
        ("remote-server-timeout", 504, Some(1)),
        ("undefined-condition", 0, Some(60)),
    ];
    for (condition, code, floor) in cases {
        let mut account = joining(|_| {});
        let got = account.feed(&refused("bot", "cancel", condition));
        let lost = lost(&got);
        assert_eq!((lost.code, lost.retry_s.is_some()), (code, floor.is_some()), "{condition}");
        let Some(floor) = floor else {
            assert_eq!(account.session.standing_in(&bare(ROOM)), Standing::Out);
            assert!(account.view().standing.starts_with("stopped: "), "{}", account.view().standing);
            assert_eq!(account.after(100_000), [], "{condition}");
            continue;
        };
        let wait = lost.retry_s.expect("checked above");
        assert!((floor..=300).contains(&wait), "{condition}: {wait}");
        assert_eq!(presences(&account.after(wait.saturating_sub(1))), Vec::<String>::new(), "{condition}");
        assert_eq!(presences(&account.after(2)), [join_of("bot")], "{condition}");
    }
}

#[test]
fn a_taken_nick_is_tried_with_a_tail_and_then_later_from_the_start() {
    let mut account = joining(|_| {});
    for nick in ["bot", "bot_", "bot__"] {
        let got = account.feed(&refused(nick, "cancel", "conflict"));
        assert_eq!(presences(&got), [join_of(&format!("{nick}_"))]);
        assert_eq!(changes(&got), [] as [&RoomChange; 0]);
    }
    let lost = lost(&account.feed(&refused("bot___", "cancel", "conflict")));
    assert_eq!(lost.code, 409);
    assert_eq!(presences(&account.after(lost.retry_s.expect("it tries again") + 1)), [join_of("bot")]);
}

#[test]
fn the_wanted_nick_is_taken_when_it_becomes_free() {
    let mut account = joining(|_| {});
    account.feed(&refused("bot", "cancel", "conflict"));
    account.feed(&seat("bot", PLAIN, &[]));
    let got = account.feed(&seat("bot_", PLAIN, &[110]));
    assert_eq!(changes(&got), [&RoomChange::Entered { nick: "bot_".to_owned(), created: false }]);
    let got = account.feed(&gone("bot", PLAIN, &[]));
    assert_eq!(
        presences(&got),
        [format!("<presence to='{ROOM}/bot'></presence>").replace("></presence>", "></presence>")]
    );
    account.feed(&gone("bot_", "<item nick='bot' role='participant'/>", &[303, 110]));
    account.feed(&seat("bot", PLAIN, &[110]));
    assert_eq!(account.view().nick, "bot");
    // Refused: the old nick stays, and so does the bot.
    assert_eq!(account.feed(&refused("bot", "cancel", "conflict")), []);
    assert!(account.view().joined);
}

#[test]
fn the_room_may_give_another_nick() {
    let mut account = joining(|_| {});
    let got = account.feed(&seat("Robot", PLAIN, &[110, 210]));
    assert_eq!(changes(&got), [&RoomChange::Entered { nick: "Robot".to_owned(), created: false }]);
    assert_eq!(account.view().nick, "Robot");
}

#[test]
fn a_room_that_does_not_answer_is_asked_again() {
    let mut account = joining(|_| {});
    assert_eq!(account.after(29), []);
    let lost = lost(&account.after(2));
    assert_eq!((lost.code, lost.reason.as_str()), (504, "the room did not answer"));
    assert_eq!(presences(&account.after(lost.retry_s.expect("it tries again") + 1)), [join_of("bot")]);
}

#[test]
fn removals_say_why_and_only_a_ban_is_for_good() {
    let by = "<item role='none' affiliation='none'><actor nick='ann'/><reason>too loud</reason></item>";
    let cases = [
        (vec![301, 110], 301, "banned by ann: too loud", None),
        (vec![307, 110], 307, "kicked by ann: too loud", Some(5)),
        (vec![307, 333, 110], 333, "the room could not reach the bot: too loud", Some(1)),
        (vec![321, 110], 321, "removed as a non-member by ann: too loud", Some(5)),
        (vec![322, 110], 322, "removed as a non-member by ann: too loud", Some(5)),
        (vec![332, 110], 332, "the room's service stops: too loud", Some(1)),
        (vec![110], 0, "removed by ann: too loud", Some(1)),
        // C-2: one of several sessions, or a destroyed room of ejabberd: without 110.
        (vec![307], 307, "kicked by ann: too loud", Some(5)),
    ];
    for (codes, code, reason, floor) in cases {
        let mut account = inside(&[], |_| {});
        let lost = lost(&account.feed(&gone("bot", by, &codes)));
        assert_eq!((lost.code, lost.reason.as_str()), (code, reason));
        assert_eq!(lost.retry_s.is_some(), floor.is_some(), "{codes:?}");
        assert!(account.view().occupants.is_empty());
        match floor {
            None => assert_eq!(account.after(100_000), []),
            Some(floor) => {
                let wait = lost.retry_s.expect("checked above");
                assert!(wait >= floor && wait <= 3 * floor, "{codes:?}: {wait}");
                assert_eq!(presences(&account.after(wait + 1)), [join_of("bot")], "{codes:?}");
                assert_eq!(names(&account.enter("bot")), ["room:self"]);
            }
        }
    }
}

#[test]
fn waits_grow_until_the_bot_has_been_in_for_a_while() {
    let mut account = inside(&[], |_| {});
    let mut waits = Vec::new();
    for _ in 0..12 {
        let wait = lost(&account.feed(&gone("bot", PLAIN, &[307, 110]))).retry_s.expect("it tries again");
        waits.push(wait);
        account.after(wait + 1);
        account.enter("bot");
    }
    assert!(waits.iter().all(|wait| (5..=300).contains(wait)), "{waits:?}");
    assert!(waits[6..].iter().any(|wait| *wait > 15), "they grow: {waits:?}");
    account.after(61);
    let wait = lost(&account.feed(&gone("bot", PLAIN, &[307, 110]))).retry_s;
    assert!(wait.is_some_and(|wait| wait <= 15), "{wait:?}");
}

#[test]
fn a_destroyed_room_is_joined_again_when_somebody_else_has_made_it() {
    let mut account = inside(&[], |_| {});
    let end = "<item role='none' affiliation='none'/><destroy jid='lair@rooms.example.org'><reason>moved</reason></destroy>";
    let lost_now = lost(&account.feed(&gone("bot", end, &[])));
    assert_eq!(lost_now.reason, "the room was destroyed: moved");
    assert_eq!(lost_now.venue, Some(bare("lair@rooms.example.org")));
    // It asks first: joining would make the room anew, with the bot as its owner.
    let got = account.after(lost_now.retry_s.expect("it tries again") + 1);
    assert_eq!(presences(&got), Vec::<String>::new());
    let again = lost(&account.refuse(ROOM, DISCO, "item-not-found"));
    assert_eq!((again.code, again.reason.as_str()), (404, "the room does not exist"));
    account.after(again.retry_s.expect("it tries again") + 1);
    assert_eq!(presences(&account.announce(&[])), [join_of("bot")]);
    assert_eq!(names(&account.enter("bot")), ["room:self"]);
}

#[test]
fn c3_a_room_that_it_made_is_opened_or_left_again() {
    let owner = "<item role='moderator' affiliation='owner'/>";
    let mut account = joining(|_| {});
    let got = account.feed(&seat("bot", owner, &[110, 201]));
    assert_eq!(changes(&got), [&RoomChange::Entered { nick: "bot".to_owned(), created: true }]);
    let instant = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>";
    assert!(sent(&got).iter().any(|text| text.contains(instant)), "{got:?}");

    let mut careful = joining(|config| config.rooms[0].create = false);
    assert_eq!(presences(&careful.announce(&[])), [join_of("bot")], "it is asked for first");
    let got = careful.feed(&seat("bot", owner, &[110, 201]));
    assert_eq!(presences(&got), [format!("<presence type='unavailable' to='{ROOM}/bot'/>")]);
    assert_eq!(lost(&got).reason, "the room does not exist");
    assert!(!sent(&got).iter().any(|text| text.contains("muc#owner")));
}

#[test]
fn sm5_a_resumed_session_is_still_in_its_rooms_and_a_new_one_joins() {
    let mut account = inside(&[], |_| {});
    account.session.on_offline(account.now);
    assert_eq!(account.after(30), [], "without a stream nothing is due");
    let got = account.resume();
    assert_eq!(presences(&got), Vec::<String>::new());
    assert!(account.view().joined);
    account.session.on_offline(account.now);
    let got = account.bind("");
    assert_eq!(lost(&got).reason, "the session ended");
    assert!(!account.view().joined);
    let id = account
        .sent
        .iter()
        .rev()
        .find(|(_, text, _)| text.contains("jabber:iq:roster"))
        .expect("asked")
        .2
        .clone();
    let got = account.feed(&format!("<iq type='result' id='{id}'/>"));
    assert_eq!(presences(&got).last(), Some(&join_of("bot")));
}

#[test]
fn a_ban_is_asked_again_only_by_a_new_session_or_a_changed_configuration() {
    let mut account = inside(&[], |_| {});
    account.feed(&gone("bot", PLAIN, &[301, 110]));
    let mut config = SessionConfig::new(bare(BARE));
    config.software = super::super::super::Software { name: "Echo".to_owned(), version: "1.0".to_owned() };
    config.rooms.push(desired(ROOM));
    account.session.configure(account.now, config.clone());
    assert_eq!(presences(&account.drain()), Vec::<String>::new(), "nothing has changed");
    config.rooms[0].password = password("x");
    account.session.configure(account.now, config);
    assert_eq!(presences(&account.drain()).len(), 1);
}

#[test]
fn a_new_configuration_leaves_joins_and_renames_without_a_login() {
    let mut account = inside(&[], |_| {});
    let mut config = SessionConfig::new(bare(BARE));
    config.software = super::super::super::Software { name: "Echo".to_owned(), version: "1.0".to_owned() };
    config.rooms =
        vec![DesiredRoom { nick: "Helper".to_owned(), ..desired(ROOM) }, desired("lair@rooms.example.org")];
    account.session.configure(account.now, config.clone());
    let got = account.drain();
    let all = presences(&got);
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(
        all[0].starts_with(&format!("<presence to='{ROOM}/Helper'")) && !all[0].contains("history"),
        "{all:?}"
    );
    assert!(all[1].starts_with("<presence to='lair@rooms.example.org/bot'"), "{all:?}");
    let got = account.feed(&gone(
        "bot",
        "<item nick='Helper' role='participant' affiliation='none'/>",
        &[303, 110],
    ));
    assert_eq!(names(&got), ["room:nick"]);
    account.feed(&seat("Helper", PLAIN, &[110]));
    assert_eq!(account.view().nick, "Helper");
    config.rooms.remove(0);
    account.session.configure(account.now, config);
    assert_eq!(presences(&account.drain()), [format!("<presence type='unavailable' to='{ROOM}/Helper'/>")]);
    assert_eq!(account.session.standing_in(&bare(ROOM)), Standing::Out);
    // The room's word for it is the last that is heard of it.
    assert_eq!(account.feed(&gone("Helper", PLAIN, &[110])), []);
    assert!(!account.session.rooms_view().contains_key(&bare(ROOM)));
}

#[test]
fn of_many_rooms_a_few_are_joined_at_once() {
    let mut account = Account::online("", |config| {
        config.rooms = (0..20).map(|n| desired(&format!("r{n:02}@rooms.example.org"))).collect();
    });
    let joins = |account: &Account| account.sent.iter().filter(|(_, text, _)| text.contains(JOIN)).count();
    assert_eq!(joins(&account), 8);
    account.feed(
        "<presence from='r00@rooms.example.org/bot'><x xmlns='http://jabber.org/protocol/muc#user'>\
         <item role='participant'/><status code='110'/></x></presence>",
    );
    account.after(1);
    assert_eq!(joins(&account), 9);
}

#[test]
fn c12_a_silent_room_is_asked_and_every_answer_has_its_meaning() {
    let ping = "urn:xmpp:ping";
    let own = "den@rooms.example.org/bot";
    let silent = || {
        let mut account = inside(&[], |_| {});
        assert_eq!(account.after(14 * 60), []);
        let got = account.after(3 * 60);
        assert_eq!(sent(&got), [format!("<iq id='~' to='{own}' type='get'><ping xmlns='{ping}'/></iq>")]);
        account
    };
    // The reflected question is answered like any other, then the answer comes back.
    let mut account = silent();
    let id = account.asked(ping);
    let got = account
        .feed(&format!("<iq type='get' from='{own}' to='{FULL}' id='{id}'><ping xmlns='{ping}'/></iq>"));
    assert_eq!(sent(&got), [format!("<iq id='~' to='{own}' type='result'/>")]);
    assert_eq!(account.feed(&format!("<iq type='result' from='{own}' id='{id}'/>")), []);
    assert!(account.view().joined);
    for there in ["service-unavailable", "feature-not-implemented"] {
        assert_eq!(silent().refuse(own, ping, there), []);
    }
    for unknown in ["remote-server-not-found", "remote-server-timeout"] {
        let mut account = silent();
        assert_eq!(account.refuse(own, ping, unknown), []);
        assert_eq!(account.after(4 * 60), [], "no storm while the way there is cut");
        assert_eq!(sent(&account.after(2 * 60)).len(), 1, "but it is asked again");
        assert!(account.view().joined);
    }
    for out in ["not-acceptable", "not-allowed", "item-not-found"] {
        let mut account = silent();
        let lost = lost(&account.refuse(own, ping, out));
        assert!(lost.retry_s.is_some(), "{out}");
        assert_eq!(presences(&account.after(lost.retry_s.expect("checked above") + 1)), [join_of("bot")]);
    }
    let mut mute = silent();
    assert_eq!(mute.after(61), [], "no answer says nothing");
    assert!(mute.view().joined);
}

#[test]
fn a_room_that_talks_is_not_asked() {
    let mut account = inside(&[], |_| {});
    for n in 0..5 {
        account.after(10 * 60);
        account.say("bob", &format!("m{n}"), "still here", "");
    }
    assert!(!account.sent.iter().any(|(_, text, _)| text.contains("urn:xmpp:ping")));
}

#[test]
fn c15_a_message_that_came_back_makes_it_ask_and_a_lack_of_voice_does_not() {
    let bounce = |condition: &str| {
        let mut account = inside(&[], |_| {});
        let got = account.feed(&format!(
            "<message from='{ROOM}' type='error' id='m1'><body>hello</body><error type='cancel'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        ));
        assert!(matches!(events(&got)[..], [Event::Bounce(_)]), "an error is never talk");
        sent(&got).len()
    };
    assert_eq!([bounce("not-acceptable"), bounce("forbidden")], [1, 0]);
    let mut account = inside(&[], |_| {});
    for n in 0..50 {
        account.feed(&format!(
            "<message from='{ROOM}' type='error' id='m{n}'><error type='cancel'>\
             <not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        ));
    }
    let pings = account.sent.iter().filter(|(_, text, _)| text.contains("urn:xmpp:ping")).count();
    assert_eq!(pings, 1, "errors do not make a storm");
}

/// The server has kept the account in its rooms: what was said there counts, and nobody comes in.
#[test]
fn a_seat_of_the_process_before_is_kept_and_who_is_there_is_asked_again() {
    let account = inside(&[], |_| {});
    let seats = account.session.seats();
    assert_eq!(seats, [jid(&format!("{ROOM}/bot"))]);
    let mut next = Account::new(|config| config.rooms = vec![desired(ROOM)]);
    let full = crate::jid::FullJid::parse(FULL).expect("an address");
    next.session.on_adopted(next.now, full, &[], &seats);
    let got = next.drain();
    assert!(sent(&got).iter().any(|stanza| stanza.contains("jabber.org/protocol/muc'")), "{got:?}");
    assert!(!got.iter().any(|it| matches!(it, Got::Event(Event::Room(_)))), "{got:?}");
    let said = next.say("ann", "1", "meanwhile", "");
    assert_eq!(messages(&said).len(), 1);
    assert_eq!(changes(&next.feed(&seat("ann", PLAIN, &[]))), Vec::<&RoomChange>::new());
    assert_eq!(changes(&next.feed(&seat("bot", PLAIN, &[110]))), Vec::<&RoomChange>::new());
    let subject = format!("<message from='{ROOM}' type='groupchat'><subject>topic</subject></message>");
    assert_eq!(changes(&next.feed(&subject)), Vec::<&RoomChange>::new());
    // From here on it is as ever.
    assert_eq!(changes(&next.feed(&seat("bob", PLAIN, &[]))).len(), 1);
    assert_eq!(changes(&next.feed(&subject)).len(), 1);
}
