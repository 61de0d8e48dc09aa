//! What handlers of `room:…` and `invite` are given.

use std::sync::Arc;

use rhai::{Array, Dynamic, EvalAltResult, Map, Module};

use crate::action::{Action, RoomOrder};
use crate::event::room::{Affiliation, Invite, Occupant, Role, RoomChange, RoomEvent};
use crate::script::api::room::real_jid;
use crate::script::api::{Area, Function, getter, optional};
use crate::script::host::set;
use crate::script::turn;
use crate::xml::Element;

pub(super) const AREA: Area = Area {
    title: "Room events",
    module: None,
    about: "What handlers of `room:self`, `room:lost`, `room:join`, `room:leave`, `room:nick`, `room:role`, \
            `room:subject` and `invite` get. Those who are there when the bot comes in cause no `room:join`.",
    objects: &[("e", "RoomEvent"), ("i", "Invite")],
    functions: &[
        Function::new("e.room: string", "The room.", r#"on("room:self", |e| log::info(`in ${e.room}`));"#),
        Function::new(
            "e.nick: string",
            "Whom it is about; `room:self`: what the bot is called; `room:subject`: who set it, or nothing.",
            r#"on("room:join", |e| log::info(`${e.nick} is here`));"#,
        ),
        Function::new(
            "e.who: string",
            "The strongest identity known of them, or nothing: see `m.who`.",
            r#"on("room:join", |e| if store::once("met/" + e.who, "90d") { room(e.room).whisper(e.nick, "welcome"); });"#,
        ),
        Function::new(
            "e.identity: string",
            "How far `who` can be relied on: `real`, `occupant` or `nick`.",
            r#"on("room:join", |e| log::debug(e.identity));"#,
        ),
        Function::new(
            "e.real_jid: string",
            "Their own address, or nothing where the room hides it.",
            r#"on("room:join", |e| log::debug(`${e.real_jid}`));"#,
        ),
        Function::new(
            "e.occupant_id: string",
            "The id that the room gives them, or nothing.",
            r#"on("room:join", |e| log::debug(`${e.occupant_id}`));"#,
        ),
        Function::new(
            "e.role: string",
            "Their role: for `room:role` as it is now.",
            r#"on("room:role", |e| log::info(`${e.nick} is ${e.role}`));"#,
        ),
        Function::new(
            "e.affiliation: string",
            "Their affiliation.",
            r#"on("room:join", |e| if e.affiliation == "owner" { log::info("the boss"); });"#,
        ),
        Function::new(
            "e.own: bool",
            "Whether it is about the bot itself.",
            r#"on("room:role", |e| if e.own { log::info(`now I am ${e.role}`); });"#,
        ),
        Function::new(
            "e.is_bot: bool",
            "Whether it is about a bot of this process.",
            r#"on("room:join", |e| if !e.is_bot { room(e.room).say(`hello ${e.nick}`); });"#,
        ),
        Function::new(
            "e.old_nick: string",
            "`room:nick`: what they were called before.",
            r#"on("room:nick", |e| log::info(`${e.old_nick} is ${e.nick}`));"#,
        ),
        Function::new(
            "e.old_role: string",
            "`room:role`: the role before.",
            r#"on("room:role", |e| log::info(`was ${e.old_role}`));"#,
        ),
        Function::new(
            "e.old_affiliation: string",
            "`room:role`: the affiliation before.",
            r#"on("room:role", |e| log::info(`was ${e.old_affiliation}`));"#,
        ),
        Function::new(
            "e.how: string",
            "`room:leave`: `left`, `kicked`, `banned`, `not-member`, `shutdown`, `unreachable` or `destroyed`.",
            r#"on("room:leave", |e| if e.how == "kicked" { log::info(`${e.nick} was kicked`); });"#,
        ),
        Function::new(
            "e.by: string",
            "`room:leave`, `room:role`: who did it, if the room says so.",
            r#"on("room:leave", |e| log::info(`by ${e.by}`));"#,
        ),
        Function::new(
            "e.reason: string",
            "`room:lost`: why; `room:leave`, `room:role`: their words, or nothing.",
            r#"on("room:lost", |e| log::warn(`out of ${e.room}: ${e.reason}`));"#,
        ),
        Function::new(
            "e.code: int",
            "`room:lost`: the status code (301 banned, 307 kicked, ...) or that of the error (403, 407, ...); 0 where there is none.",
            r#"on("room:lost", |e| if e.code == 301 { log::error(`banned from ${e.room}`); });"#,
        ),
        Function::new(
            "e.retry_s: int",
            "`room:lost`: seconds until the next try, or nothing if there is none.",
            r#"on("room:lost", |e| log::warn(`again in ${e.retry_s} s`));"#,
        ),
        Function::new(
            "e.venue: string",
            "`room:lost`: where the talk goes on, or nothing.",
            r#"on("room:lost", |e| if e.venue != () { log::info(`moved to ${e.venue}`); });"#,
        ),
        Function::new(
            "e.subject: string",
            "`room:subject`: the subject; \"\" where it was taken away.",
            r#"on("room:subject", |e| log::info(e.subject));"#,
        ),
        Function::new(
            "e.created: bool",
            "`room:self`: whether the bot has made the room.",
            r#"on("room:self", |e| if e.created { room(e.room).subject("a new room"); });"#,
        ),
        Function::new("i.room: string", "The room.", r#"on("invite", |i| log::info(i.room));"#),
        Function::new(
            "i.from: string",
            "Who invites, or nothing. Unless `direct`, it is the room that says so.",
            r#"on("invite", |i| log::info(`${i.from}`));"#,
        ),
        Function::new(
            "i.direct: bool",
            "Whether the inviter has sent it, so that `from` is known for sure.",
            r#"on("invite", |i| log::debug(`${i.direct}`));"#,
        ),
        Function::new(
            "i.reason: string",
            "Their words, or nothing.",
            r#"on("invite", |i| log::info(`${i.reason}`));"#,
        ),
        Function::new(
            "i.accepted: bool",
            "Whether the bot follows it already, as `invites` in bots.yaml says.",
            r#"on("invite", |i| if i.accepted { log::info("coming"); });"#,
        ),
        Function::new(
            "i.accept() -> string",
            "Goes into the room and stays until the process ends.",
            r#"on("invite", |i| if i.direct && i.from == "boss@example.org" { i.accept(); });"#,
        ),
    ],
    register,
};

/// An event of a room.
#[derive(Clone)]
struct EventObject(Arc<RoomEvent>);

/// An invitation.
#[derive(Clone)]
struct InviteObject(Arc<Invite>);

/// The event as scripts are given it.
pub(super) fn object(event: &RoomEvent) -> Dynamic {
    Dynamic::from(EventObject(Arc::new(event.clone())))
}

/// The invitation as scripts are given it.
pub(super) fn invitation(invite: &Invite) -> Dynamic {
    Dynamic::from(InviteObject(Arc::new(invite.clone())))
}

fn register(module: &mut Module) {
    module.set_custom_type::<EventObject>("RoomEvent");
    getter(module, "room", |e: &mut EventObject| e.0.room.as_str().to_owned());
    getter(module, "nick", |e: &mut EventObject| match &e.0.change {
        RoomChange::Entered { nick, .. } => nick.as_str().into(),
        RoomChange::Subject { nick, .. } => optional(nick.as_deref()),
        change => optional(change.occupant().map(|occupant| occupant.nick.as_str())),
    });
    getter(module, "who", |e: &mut EventObject| about(e, |occupant| occupant.who.as_str().into()));
    getter(module, "identity", |e: &mut EventObject| about(e, |occupant| occupant.identity.as_str().into()));
    getter(module, "real_jid", |e: &mut EventObject| {
        about(e, |occupant| real_jid(occupant.real_jid.as_ref()))
    });
    getter(module, "occupant_id", |e: &mut EventObject| {
        about(e, |occupant| optional(occupant.occupant_id.as_deref()))
    });
    getter(module, "role", |e: &mut EventObject| about(e, |occupant| occupant.role.as_str().into()));
    getter(module, "affiliation", |e: &mut EventObject| {
        about(e, |occupant| occupant.affiliation.as_str().into())
    });
    getter(module, "own", |e: &mut EventObject| {
        matches!(e.0.change, RoomChange::Entered { .. } | RoomChange::Lost(_))
            || e.0.change.occupant().is_some_and(|occupant| occupant.own)
    });
    getter(module, "is_bot", |e: &mut EventObject| -> Result<bool, Box<EvalAltResult>> {
        let Some(occupant) = e.0.change.occupant() else { return Ok(false) };
        turn::with(|turn| Ok(occupant.own || turn.bot.rooms.is_bot(&e.0.room, &occupant.nick)))
    });
    register_changes(module);
    register_invite(module);
}

fn register_changes(module: &mut Module) {
    getter(module, "old_nick", |e: &mut EventObject| match &e.0.change {
        RoomChange::Renamed { old, .. } => old.as_str().into(),
        _ => Dynamic::UNIT,
    });
    getter(module, "old_role", |e: &mut EventObject| match &e.0.change {
        RoomChange::Role { role, .. } => Role::as_str(*role).into(),
        _ => Dynamic::UNIT,
    });
    getter(module, "old_affiliation", |e: &mut EventObject| match &e.0.change {
        RoomChange::Role { affiliation, .. } => Affiliation::as_str(*affiliation).into(),
        _ => Dynamic::UNIT,
    });
    getter(module, "how", |e: &mut EventObject| match &e.0.change {
        RoomChange::Left { departure, .. } => departure.as_str().into(),
        _ => Dynamic::UNIT,
    });
    getter(module, "by", |e: &mut EventObject| match &e.0.change {
        RoomChange::Left { by, .. } | RoomChange::Role { by, .. } => optional(by.as_deref()),
        _ => Dynamic::UNIT,
    });
    getter(module, "reason", |e: &mut EventObject| match &e.0.change {
        RoomChange::Left { text, .. } | RoomChange::Role { text, .. } => optional(text.as_deref()),
        RoomChange::Lost(lost) => lost.reason.as_str().into(),
        _ => Dynamic::UNIT,
    });
    getter(module, "code", |e: &mut EventObject| match &e.0.change {
        RoomChange::Lost(lost) => i64::from(lost.code).into(),
        _ => Dynamic::UNIT,
    });
    getter(module, "retry_s", |e: &mut EventObject| match &e.0.change {
        RoomChange::Lost(lost) => {
            lost.retry_s.map_or(Dynamic::UNIT, |seconds| i64::try_from(seconds).unwrap_or(i64::MAX).into())
        }
        _ => Dynamic::UNIT,
    });
    getter(module, "venue", |e: &mut EventObject| match &e.0.change {
        RoomChange::Lost(lost) => optional(lost.venue.as_ref().map(|venue| venue.as_str())),
        _ => Dynamic::UNIT,
    });
    getter(module, "subject", |e: &mut EventObject| match &e.0.change {
        RoomChange::Subject { text, .. } => text.as_str().into(),
        _ => Dynamic::UNIT,
    });
    getter(module, "created", |e: &mut EventObject| {
        matches!(e.0.change, RoomChange::Entered { created: true, .. })
    });
}

fn register_invite(module: &mut Module) {
    module.set_custom_type::<InviteObject>("Invite");
    getter(module, "room", |i: &mut InviteObject| i.0.room.as_str().to_owned());
    getter(module, "from", |i: &mut InviteObject| real_jid(i.0.from.as_ref()));
    getter(module, "direct", |i: &mut InviteObject| i.0.direct);
    getter(module, "reason", |i: &mut InviteObject| optional(i.0.reason.as_deref()));
    getter(module, "accepted", |i: &mut InviteObject| i.0.accepted);
    set(module, "accept", |i: &mut InviteObject| -> Result<String, Box<EvalAltResult>> {
        turn::act(|turn| {
            let id = turn.next_id();
            turn.push(512, || Action::Room {
                room: i.0.room.clone(),
                id: id.clone(),
                order: RoomOrder::Enter { password: i.0.password.clone() },
            })?;
            Ok(id)
        })
    });
}

fn about(e: &EventObject, read: impl FnOnce(&Occupant) -> Dynamic) -> Dynamic {
    e.0.change.occupant().map_or(Dynamic::UNIT, read)
}

/// Every `item` of a payload as a map of its attributes, and its reason: as many as an array may have.
pub(super) fn items(payload: &Element) -> Array {
    let item = |item: &Element| {
        let mut map: Map = item
            .attributes()
            .iter()
            .map(|attribute| (attribute.name.to_string().into(), attribute.value.as_str().into()))
            .collect();
        if let Some(reason) = item.child_text("reason", item.ns()) {
            map.insert("reason".into(), reason.into());
        }
        Dynamic::from_map(map)
    };
    payload.children().filter(|child| child.name() == "item").take(ITEMS).map(item).collect()
}

/// Most items that a script is given.
const ITEMS: usize = 1000;
