//! Rooms as scripts see them: who spoke, what a moderator does, and what is refused.

use std::sync::Arc;

use super::{Player, Rig, jid, plain, script, sent};
use crate::action::{Action, RoomOrder};
use crate::event::room::{
    Affiliation, Invite, Lost, Occupant, Role, RoomChange, RoomEvent, RoomView, RoomsView, identify,
};
use crate::event::{Event, Message};
use crate::script::error::Kind;
use crate::stanza::MessageKind;

/// As `scripting.md` prints it.
const MODERATOR: &str = include_str!("../../../scripts/moderator.rhai");
const DEN: &str = "den@rooms.example.org";

#[test]
fn the_moderator_sample_warns_bans_kicks_and_welcomes() {
    let rig = Rig::new();
    let mut bot = rig.add("guard", vec![script("moderator", MODERATOR)]);
    let eve = occupant("eve", Some("eve@example.net/x"));
    bot.handle.show_rooms(den("Guard", std::slice::from_ref(&eve)));
    let welcome = orders(&mut bot, change(RoomChange::Joined(eve.clone())));
    assert_eq!(welcome.texts, ["Welcome, eve. Rules: be kind, stay on topic"]);
    assert!(orders(&mut bot, change(RoomChange::Joined(eve.clone()))).texts.is_empty(), "once in 90 days");

    assert_eq!(orders(&mut bot, said(&eve, "1", "hello")), Orders::default());
    let warned = orders(&mut bot, said(&eve, "2", "visit my CASINO"));
    assert_eq!(warned.texts, ["Warning 1 of 3: be kind, stay on topic"]);
    // `m.id` is what eve chose; what is retracted is what the room calls it.
    assert_eq!(warned.orders, ["retract room-2: not here"]);
    assert_eq!(orders(&mut bot, said(&eve, "3", "casino")).texts, ["Warning 2 of 3: be kind, stay on topic"]);
    let banned = orders(&mut bot, said(&eve, "4", "casino!"));
    assert_eq!(
        (banned.texts.len(), banned.orders.last().map(String::as_str)),
        (0, Some("eve@example.net is outcast: 3 strikes in a day"))
    );

    let mut boss = occupant("ann", Some("ann@example.net/x"));
    boss.role = Role::Moderator;
    assert_eq!(orders(&mut bot, said(&boss, "5", "casino")), Orders::default(), "moderators may");

    let bob = occupant("bob", None);
    let flood: Vec<Orders> = (10..20).map(|n| orders(&mut bot, said(&bob, &n.to_string(), "x"))).collect();
    assert!(flood.iter().any(|orders| orders.orders == ["bob is none: flooding"]), "{flood:?}");
    let lost = Lost { reason: "kicked".to_owned(), code: 307, retry_s: Some(5), venue: None };
    orders(&mut bot, change(RoomChange::Lost(lost)));
}

#[test]
fn a_ban_is_of_the_one_who_spoke_and_never_of_a_nick() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"
        on("room", |m| if m.text.starts_with("ban ") { room(m.room).ban(m.text.sub_string(4)); });
    "#,
    );
    let (ann, eve) = (occupant("ann", Some("ann@example.net/x")), occupant("eve", Some("eve@example.net/x")));
    // Eve has gone, and ann has taken her nick: the message tells who it was.
    let ann_as_eve = Occupant { nick: "eve".to_owned(), ..ann.clone() };
    bot.handle.show_rooms(den("helper", &[ann_as_eve]));
    assert_eq!(orders(&mut bot, said(&eve, "1", "ban eve")).orders, ["eve@example.net is outcast"]);
    // Of others the table tells.
    bot.handle.show_rooms(den("helper", &[ann, eve, occupant("bob", None)]));
    assert_eq!(
        orders(&mut bot, said(&occupant("bob", None), "2", "ban ann")).orders,
        ["ann@example.net is outcast"]
    );
    for nick in ["bob", "nobody"] {
        let failure = bot.fail(said(&occupant("bob", None), "3", &format!("ban {nick}")));
        assert_eq!(failure.kind, Kind::Runtime);
        assert_eq!(failure.message, format!("it is not known who `{nick}` in {DEN} is"));
        assert!(failure.hint.is_some());
    }
    // The next event knows nothing of this one.
    bot.handle.show_rooms(den("helper", &[]));
    bot.fail(said(&occupant("bob", None), "4", "ban eve"));
}

#[test]
fn an_id_that_somebody_copied_retracts_nothing_of_others() {
    let rig = Rig::new();
    let mut bot = rig.bot(r#"on("room", |m| { room(m.room).retract(m.id); });"#);
    let eve = occupant("eve", None);
    assert_eq!(orders(&mut bot, said(&eve, "7", "x")).orders, ["retract room-7"]);
    // The room gave no id: the one of the sender goes out, which names nothing there.
    let Event::Message(mut message) = said(&eve, "8", "x") else { unreachable!() };
    message.stanza_id = None;
    assert_eq!(orders(&mut bot, Event::Message(message)).orders, ["retract 8"]);
    let Event::Message(mut message) = said(&eve, "9", "x") else { unreachable!() };
    message.id = None;
    assert_eq!(
        bot.fail(Event::Message(message)).message,
        "this message has no id, so it cannot be retracted"
    );
}

#[test]
fn every_order_says_what_it_says_and_refuses_what_cannot_be_sent() {
    let cases = [
        (r#"den.say("hi")"#, Ok("say hi")),
        (r#"den.subject("tea")"#, Ok("subject tea")),
        (r#"den.whisper("bob", "psst")"#, Ok("to den@rooms.example.org/bob psst")),
        (r#"den.kick("bob", "why")"#, Ok("bob is none: why")),
        (r#"den.mute("bob")"#, Ok("bob is visitor")),
        (r#"den.voice("bob")"#, Ok("bob is participant")),
        (r#"den.invite("carol@example.net", "come")"#, Ok("invite carol@example.net: come")),
        (r#"den.set_affiliation("carol@example.net", "member")"#, Ok("carol@example.net is member")),
        (
            r#"den.configure(#{ membersonly: true, maxusers: 5, who: ["a", "b"] })"#,
            Ok("configure maxusers=5 membersonly=1 who=a,b"),
        ),
        (r#"den.leave()"#, Ok("leave")),
        (r#"den.set_affiliation("carol@example.net", "king")"#, Err("`king` is no affiliation")),
        (r#"den.set_affiliation("@", "member")"#, Err("`@` is no address")),
        (r#"den.kick("bob", "\x07")"#, Err("the text holds U+0007")),
        (r#"den.subject("\x00")"#, Err("the text holds U+0000")),
        (r#"den.whisper("", "x")"#, Err("`` is no nick")),
        (r#"den.configure(#{ a: #{} })"#, Err("`a` is text, truth, a number or an array")),
        (r#"den.say("")"#, Err("there is no text to send")),
        (r#"room("rooms.example.org")"#, Err("`rooms.example.org` is no room")),
        (r#"room("den@rooms.example.org/ann")"#, Err("`den@rooms.example.org/ann` is no room")),
        (r#"room("a b")"#, Err("`a b` is no")),
    ];
    let rig = Rig::new();
    for (call, expected) in cases {
        let mut bot = rig.bot(&format!(r#"on("room", |m| {{ let den = room(m.room); {call}; }});"#));
        let event = said(&occupant("bob", None), "1", "x");
        match expected {
            Ok(expected) => {
                let done = orders(&mut bot, event);
                let all = [done.orders, done.texts].concat();
                assert_eq!(
                    all.last().map(String::as_str),
                    Some(
                        expected
                            .trim_start_matches("say ")
                            .trim_start_matches("to den@rooms.example.org/bob ")
                    ),
                    "{call}"
                );
            }
            Err(expected) => {
                let failure = bot.fail(event);
                assert!(failure.message.starts_with(expected), "{call}: {}", failure.message);
            }
        }
        bot.handle.remove();
    }
}

#[test]
fn talk_goes_to_the_room_and_whispers_to_the_seat() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"on("room", |m| { m.reply("all"); room(m.room).whisper(m.nick, "you"); });
           on("pm", |m| m.reply("back"));"#,
    );
    let bob = occupant("bob", None);
    let all = sent(&bot.handle_event(said(&bob, "1", "x")).actions);
    assert_eq!((all[0].to.as_str(), all[0].kind), (DEN, MessageKind::Groupchat));
    assert_eq!((all[1].to.as_str(), all[1].kind), ("den@rooms.example.org/bob", MessageKind::Chat));
    assert!(all[1].payloads[0].is("x", "http://jabber.org/protocol/muc#user"));
    let Event::Message(mut private) = said(&bob, "2", "psst") else { unreachable!() };
    private.kind = MessageKind::Chat;
    private.place = private.from.clone();
    let all = sent(&bot.handle_event(Event::Message(private)).actions);
    assert_eq!((all[0].to.as_str(), all[0].kind), ("den@rooms.example.org/bob", MessageKind::Chat));
    assert!(all[0].payloads[0].is("x", "http://jabber.org/protocol/muc#user"), "§7.5");
}

#[test]
fn a_bot_is_called_by_its_nick_in_that_room() {
    let rig = Rig::new();
    let mut bot = rig.bot(r#"on("mention", |m| m.reply(`[${m.text}]`));"#);
    let bob = occupant("bob", None);
    let called = |text: &str| {
        let Event::Message(mut message) = said(&bob, "1", text) else { unreachable!() };
        message.own_nick = Some("Dr. Watson".to_owned());
        Event::Message(message)
    };
    assert_eq!(bot.give(called("dr. watson: the pipe!")), ["[the pipe!]"]);
    assert!(bot.give(called("helper: the pipe!")).is_empty(), "that is its name elsewhere");
    assert!(bot.give(called("Dr. Watsons pipe")).is_empty());
}

#[test]
fn s16_two_bots_of_one_process_do_not_talk_to_each_other_in_a_room() {
    let rig = Rig::new();
    let echo =
        r#"on("room", |m| m.reply(m.text)); on("room:join", |e| if !e.is_bot { room(e.room).say("hi"); });"#;
    let mut one = rig.add("one", vec![script("main", echo)]);
    let two = rig.add("two", vec![script("main", echo)]);
    one.handle.show_rooms(den("One", &[]));
    let second = occupant("Two", None);
    assert_eq!(one.give(said(&second, "1", "x")), ["x"], "nobody knows who that is");
    two.handle.show_rooms(den("Two", &[]));
    assert!(one.give(said(&second, "2", "x")).is_empty());
    assert!(one.give(change(RoomChange::Joined(second.clone()))).is_empty());
    // The seat is free again when the bot has left, or is gone.
    two.handle.show_rooms(Arc::default());
    assert_eq!(one.give(said(&second, "3", "x")), ["x"]);
    two.handle.show_rooms(den("Two", &[]));
    two.handle.remove();
    assert_eq!(one.give(said(&second, "4", "x")), ["x"]);
}

#[test]
fn the_table_is_read_as_it_was_last_shown() {
    let rig = Rig::new();
    let mut bot = rig.bot(
        r#"on("message", |m| {
            let den = room("den@rooms.example.org");
            let all = den.occupants().map(|who| `${who.nick} ${who.who} ${who.identity} ${who.role} ${who.real_jid}`);
            m.reply(`${den.joined} ${den.nick} ${den.state} ${den.topic} ${all} ${den.occupant("eve") == ()}`);
        });"#,
    );
    assert_eq!(bot.ask("?"), ["false    [] true"]);
    bot.handle
        .show_rooms(den("helper", &[occupant("ann", Some("ann@example.net/x")), occupant("bob", None)]));
    let expected = "true helper in tea [\"ann ann@example.net real participant ann@example.net\", \
                    \"bob den@rooms.example.org/bob nick participant \"] true";
    assert_eq!(bot.ask("?"), [expected]);
}

#[test]
fn an_invitation_can_be_accepted_and_its_password_is_nobody_s_to_read() {
    let rig = Rig::new();
    let mut bot = rig.bot(r#"on("invite", |i| { if i.direct { i.accept(); } log::info(`${i}`); });"#);
    let invite = Invite {
        room: jid(DEN).to_bare(),
        from: Some(jid("ann@example.net/x")),
        direct: true,
        reason: None,
        password: Some("s3cret".to_owned()),
        accepted: false,
    };
    let turned = bot.handle_event(Event::Invite(Box::new(invite)));
    let [(_, Action::Room { order: RoomOrder::Enter { password }, .. })] = &turned.actions[..] else {
        panic!("{turned:?}")
    };
    assert_eq!(password.as_deref(), Some("s3cret"));
}

/// What a turn has led to, in words.
#[derive(Debug, Default, PartialEq, Eq)]
struct Orders {
    texts: Vec<String>,
    orders: Vec<String>,
}

fn orders(bot: &mut Player, event: Event) -> Orders {
    let turned = bot.handle_event(event);
    let mut all = Orders::default();
    let why =
        |reason: &Option<String>| reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    for (_, action) in &turned.actions {
        match action {
            Action::Message(message) if message.text.is_empty() => {
                all.orders.push(format!("subject {}", message.subject.clone().unwrap_or_default()));
            }
            Action::Message(message) => all.texts.push(message.text.clone()),
            Action::Room { order, .. } => all.orders.push(match order {
                RoomOrder::Affiliate { jid, affiliation, reason } => {
                    format!("{jid} is {}{}", affiliation.as_str(), why(reason))
                }
                RoomOrder::Configure { fields } => {
                    let fields: Vec<String> =
                        fields.iter().map(|(name, values)| format!("{name}={}", values.join(","))).collect();
                    format!("configure {}", fields.join(" "))
                }
                RoomOrder::Enter { .. } => "enter".to_owned(),
                RoomOrder::Invite { jid, reason } => format!("invite {jid}{}", why(reason)),
                RoomOrder::Leave => "leave".to_owned(),
                RoomOrder::Retract { of, reason } => format!("retract {of}{}", why(reason)),
                RoomOrder::Role { nick, role, reason } => {
                    format!("{nick} is {}{}", role.as_str(), why(reason))
                }
            }),
            other => panic!("{other:?}"),
        }
    }
    all
}

fn occupant(nick: &str, real: Option<&str>) -> Occupant {
    let real_jid = real.map(jid);
    let (who, identity) = identify(&jid(DEN).to_bare(), nick, real_jid.as_ref(), None);
    Occupant {
        nick: nick.to_owned(),
        role: Role::Participant,
        affiliation: Affiliation::None,
        real_jid,
        occupant_id: None,
        who,
        identity,
        own: false,
    }
}

fn den(nick: &str, occupants: &[Occupant]) -> Arc<RoomsView> {
    let seat = |occupant: &Occupant| (occupant.nick.clone(), Arc::new(occupant.clone()));
    let view = RoomView {
        nick: nick.to_owned(),
        joined: true,
        standing: "in".to_owned(),
        subject: Some("tea".to_owned()),
        occupants: Arc::new(occupants.iter().map(seat).collect()),
    };
    Arc::new([(jid(DEN).to_bare(), Arc::new(view))].into())
}

fn change(change: RoomChange) -> Event {
    Event::Room(Box::new(RoomEvent { room: jid(DEN).to_bare(), change }))
}

/// Something that somebody says in the room, with an id that the room gives.
fn said(occupant: &Occupant, id: &str, text: &str) -> Event {
    let room = jid(DEN).to_bare();
    let from = room.with_resource(&occupant.nick).expect("a nick");
    Event::Message(Box::new(Message {
        id: Some(id.to_owned()),
        kind: MessageKind::Groupchat,
        place: room.clone().into(),
        room: Some(room),
        nick: occupant.nick.clone(),
        who: occupant.who.clone(),
        identity: occupant.identity,
        role: Some(occupant.role),
        affiliation: Some(occupant.affiliation),
        real_jid: occupant.real_jid.clone(),
        stanza_id: Some(format!("room-{id}")),
        own_nick: Some("helper".to_owned()),
        ..plain(from.as_str(), text)
    }))
}
