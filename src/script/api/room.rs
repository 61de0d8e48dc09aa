//! `room(jid)`: speaking in rooms, who is there, and what a moderator does.

use std::sync::Arc;

use rhai::{Array, Dynamic, EvalAltResult, FnPtr, ImmutableString, Map, Module};

use crate::action::{Action, OutgoingMessage, RequestKind, RoomOrder};
use crate::event::room::{Affiliation, Occupant, Role, RoomView};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::script::api::bot::{ANSWER, address};
use crate::script::api::message::{send, send_with};
use crate::script::api::{Area, Function, check_characters, getter, optional};
use crate::script::declare;
use crate::script::error::{Kind, Thrown};
use crate::script::host::set;
use crate::script::memory;
use crate::script::turn::{self, Turn};
use crate::script::values;
use crate::stanza::MessageKind;
use crate::xml::Element;

pub(super) const AREA: Area = Area {
    title: "Rooms",
    module: None,
    about: "`room(jid)` is a room of the bot, named under `rooms:` in bots.yaml. What is said waits while the bot is on \
            its way into the room. What the room refuses comes back as `bounce`, with the id that the function gave. \
            Kicking needs a moderator's rights, affiliations those of an admin, the configuration an owner's.",
    objects: &[("den", "Room"), ("who", "Occupant")],
    functions: &[
        Function::new(
            "room(jid: string) -> Room",
            "A room, whether the bot is in it or not.",
            r#"on("message", |m| { room("den@rooms.example.org").say(`${m.nick} wrote`); });"#,
        ),
        Function::new("den.jid: string", "Its address.", r#"on("room", |m| log::debug(room(m.room).jid));"#),
        Function::new(
            "den.nick: string",
            "What the bot is called there, or nothing if it has no such room.",
            r#"on("room", |m| log::debug(`here I am ${room(m.room).nick}`));"#,
        ),
        Function::new(
            "den.joined: bool",
            "Whether the bot is in.",
            r#"on("message", |m| if room("den@rooms.example.org").joined { m.reply("I am in"); });"#,
        ),
        Function::new(
            "den.state: string",
            "`in`, `joining`, `left`, `lost: ...` or `stopped: ...`; nothing if the bot has no such room.",
            r#"on("message", |m| log::info(`${room("den@rooms.example.org").state}`));"#,
        ),
        Function::new(
            "den.topic: string",
            "The subject, or nothing.",
            r#"on("room", |m| log::debug(`we talk about ${room(m.room).topic}`));"#,
        ),
        Function::new(
            "den.say(text) -> string",
            "Says something. Gives the id of the message.",
            r#"on("room:self", |e| { room(e.room).say("hello, everybody"); });"#,
        ),
        Function::new(
            "den.say(text, opts: map) -> string",
            "The same with `lang`, `thread_id`, `spoiler`, `styled`, `store`, `copy`, `split`, `mentions` or `langs`, as `m.reply` takes them.",
            r#"on("room:self", |e| { room(e.room).say("god dag", #{ lang: "no" }); });"#,
        ),
        Function::new(
            "den.subject(text: string) -> string",
            "Sets the subject; \"\" takes it away.",
            r#"on("room", |m| { if m.text == "!quiet" { room(m.room).subject("quiet, please"); } });"#,
        ),
        Function::new(
            "den.whisper(nick: string, text) -> string",
            "Says something to one occupant only.",
            r#"on("room:join", |e| { room(e.room).whisper(e.nick, "welcome"); });"#,
        ),
        Function::new(
            "den.occupants() -> array",
            "Who is there, by nick, the bot included. Of very large rooms not everybody.",
            r#"on("room", |m| for who in room(m.room).occupants() { log::debug(who.nick); });"#,
        ),
        Function::new(
            "den.occupant(nick: string) -> Occupant",
            "Who has that nick, or nothing.",
            r#"on("room", |m| { let who = room(m.room).occupant(m.nick); if who != () { log::debug(who.who); } });"#,
        ),
        Function::new(
            "den.kick(nick: string) -> string",
            "Removes somebody, who may come back.",
            r#"on("room", |m| { if m.text.len() > 5000 { room(m.room).kick(m.nick); } });"#,
        ),
        Function::new(
            "den.kick(nick: string, reason: string) -> string",
            "The same, saying why.",
            r#"on("room", |m| { if m.text.len() > 5000 { room(m.room).kick(m.nick, "too long"); } });"#,
        ),
        Function::new(
            "den.ban(nick: string) -> string",
            "Removes somebody for good. Fails if the room does not show the bot who they are: a nick is anybody's.",
            r#"on("room", |m| { if m.text == "spam" { room(m.room).ban(m.nick); } });"#,
        ),
        Function::new(
            "den.ban(nick: string, reason: string) -> string",
            "The same, saying why.",
            r#"on("room", |m| { if m.text == "spam" { room(m.room).ban(m.nick, "spam"); } });"#,
        ),
        Function::new(
            "den.mute(nick: string) -> string",
            "Takes somebody's voice away, where the room is moderated.",
            r#"on("room", |m| { if m.text == "noise" { room(m.room).mute(m.nick); } });"#,
        ),
        Function::new(
            "den.mute(nick: string, reason: string) -> string",
            "The same, saying why.",
            r#"on("room", |m| { if m.text == "noise" { room(m.room).mute(m.nick, "noise"); } });"#,
        ),
        Function::new(
            "den.voice(nick: string) -> string",
            "Gives somebody voice.",
            r#"on("room:join", |e| { if e.affiliation == "member" { room(e.room).voice(e.nick); } });"#,
        ),
        Function::new(
            "den.retract(id: string) -> string",
            "Takes a message back for everybody, where the room can. `id` is `m.id` of the message at hand, or an `m.stanza_id`.",
            r#"on("room", |m| { if m.text == "casino" { room(m.room).retract(m.id); } });"#,
        ),
        Function::new(
            "den.retract(id: string, reason: string) -> string",
            "The same, saying why.",
            r#"on("room", |m| { if m.text == "casino" { room(m.room).retract(m.id, "not here"); } });"#,
        ),
        Function::new(
            "den.invite(jid: string) -> string",
            "Asks somebody in.",
            r#"on("message", |m| { room("den@rooms.example.org").invite(m.who); });"#,
        ),
        Function::new(
            "den.invite(jid: string, reason: string) -> string",
            "The same, saying why.",
            r#"on("message", |m| { room("den@rooms.example.org").invite(m.who, "you asked"); });"#,
        ),
        Function::new(
            "den.set_affiliation(jid: string, affiliation: string) -> string",
            "Makes somebody `owner`, `admin`, `member`, `outcast` or `none`.",
            r#"on("message", |m| { room("den@rooms.example.org").set_affiliation(m.who, "member"); });"#,
        ),
        Function::new(
            "den.set_affiliation(jid: string, affiliation: string, reason: string) -> string",
            "The same, saying why.",
            r#"on("message", |m| { room("den@rooms.example.org").set_affiliation(m.who, "none", "left us"); });"#,
        ),
        Function::new(
            "den.affiliations(affiliation: string, f: |a|) -> string",
            "Asks for the list of those with that affiliation; `a.items` has maps with `jid`, `affiliation` and what else the room says.",
            r#"on("message", |m| { room("den@rooms.example.org").affiliations("outcast", |a| m.reply(`${a.items.len()} are banned`)); });"#,
        ),
        Function::new(
            "den.configure(fields: map) -> string",
            "Changes the room's configuration: names with or without `muc#roomconfig_`, values as text, truth, number or array.",
            r#"on("room:self", |e| { room(e.room).configure(#{ roomname: "The den", membersonly: false }); });"#,
        ),
        Function::new(
            "den.leave()",
            "Goes out. A room of bots.yaml is entered again with the next session.",
            r#"on("message", |m| room("den@rooms.example.org").leave());"#,
        ),
        Function::new("who.nick: string", "Their nick, which is anybody's once they have left.", OCCUPANT),
        Function::new(
            "who.who: string",
            "The strongest identity known of them: address, else the room's id, else the nick.",
            OCCUPANT,
        ),
        Function::new(
            "who.identity: string",
            "How far `who` can be relied on: `real`, `occupant` or `nick`.",
            OCCUPANT,
        ),
        Function::new(
            "who.real_jid: string",
            "Their own address, or nothing where the room hides it.",
            OCCUPANT,
        ),
        Function::new("who.occupant_id: string", "The id that the room gives them, or nothing.", OCCUPANT),
        Function::new("who.role: string", "`moderator`, `participant`, `visitor` or `none`.", OCCUPANT),
        Function::new(
            "who.affiliation: string",
            "`owner`, `admin`, `member`, `none` or `outcast`.",
            OCCUPANT,
        ),
        Function::new("who.own: bool", "Whether it is the bot itself.", OCCUPANT),
    ],
    register,
};

const OCCUPANT: &str = r#"on("room", |m| for who in room(m.room).occupants() {
    if !who.own { log::debug(`${who.nick} ${who.who} ${who.identity} ${who.real_jid} ${who.occupant_id} ${who.role} ${who.affiliation}`); }
});"#;

/// A room as scripts hold it: nothing but the address, so that it is never out of date.
#[derive(Clone)]
pub(in crate::script) struct RoomObject(Arc<BareJid>);

/// An occupant as they were when they were looked up.
#[derive(Clone)]
struct OccupantObject(Arc<Occupant>);

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    set(module, "room", |jid: &str| -> Checked<RoomObject> {
        let jid = address(jid)?;
        match (jid.local(), jid.resource()) {
            (Some(_), None) => Ok(RoomObject(Arc::new(jid.to_bare()))),
            _ => Err(Thrown::new(Kind::Runtime, format!("`{jid}` is no room"))
                .hint("a room's address looks like `den@rooms.example.org`")
                .into()),
        }
    });
    module.set_custom_type::<RoomObject>("Room");
    getter(module, "jid", |den: &mut RoomObject| den.0.as_str().to_owned());
    getter(module, "nick", |den: &mut RoomObject| view(den, |view| view.nick.as_str().into()));
    getter(module, "joined", |den: &mut RoomObject| -> Checked<bool> {
        Ok(looked_up(den)?.is_some_and(|view| view.joined))
    });
    getter(module, "state", |den: &mut RoomObject| view(den, |view| view.standing.as_str().into()));
    getter(module, "topic", |den: &mut RoomObject| view(den, |view| optional(view.subject.as_deref())));
    register_talk(module);
    register_occupants(module);
    register_moderation(module);
    register_administration(module);
}

fn register_talk(module: &mut Module) {
    set(module, "say", |den: &mut RoomObject, text: Dynamic| {
        send(&den.0, MessageKind::Groupchat, None, &text, &Map::new())
    });
    set(module, "say", |den: &mut RoomObject, text: Dynamic, opts: Map| -> Checked<String> {
        declare::known_keys(
            "say",
            &opts,
            &["copy", "lang", "langs", "mentions", "spoiler", "split", "store", "styled", "thread_id"],
        )?;
        send(&den.0, MessageKind::Groupchat, None, &text, &opts)
    });
    set(module, "subject", |den: &mut RoomObject, text: &str| subject(&den.0, text));
    set(module, "whisper", |den: &mut RoomObject, nick: &str, text: Dynamic| -> Checked<String> {
        let to = memory::uncounted(|| den.0.with_resource(nick))
            .map_err(|why| Thrown::new(Kind::Runtime, format!("`{nick}` is no nick: {why}")))?;
        send_with(&to, MessageKind::Chat, None, &text, &Map::new(), || vec![marker()])
    });
}

fn register_occupants(module: &mut Module) {
    set(module, "occupants", |den: &mut RoomObject| -> Checked<Array> {
        let most = turn::with(|turn| Ok(turn.limits.array))?;
        let Some(view) = looked_up(den)? else { return Ok(Array::new()) };
        let all = view.occupants.values().take(most);
        Ok(all.map(|occupant| Dynamic::from(OccupantObject(Arc::clone(occupant)))).collect())
    });
    set(module, "occupant", |den: &mut RoomObject, nick: &str| -> Checked<Dynamic> {
        let occupant = turn::with(|turn| Ok(turn.bot.rooms.occupant(&den.0, nick)))?;
        Ok(occupant.map_or(Dynamic::UNIT, |occupant| Dynamic::from(OccupantObject(occupant))))
    });
    module.set_custom_type::<OccupantObject>("Occupant");
    getter(module, "nick", |who: &mut OccupantObject| who.0.nick.clone());
    getter(module, "who", |who: &mut OccupantObject| who.0.who.clone());
    getter(module, "identity", |who: &mut OccupantObject| who.0.identity.as_str());
    getter(module, "real_jid", |who: &mut OccupantObject| real_jid(who.0.real_jid.as_ref()));
    getter(module, "occupant_id", |who: &mut OccupantObject| optional(who.0.occupant_id.as_deref()));
    getter(module, "role", |who: &mut OccupantObject| who.0.role.as_str());
    getter(module, "affiliation", |who: &mut OccupantObject| who.0.affiliation.as_str());
    getter(module, "own", |who: &mut OccupantObject| who.0.own);
}

fn register_moderation(module: &mut Module) {
    let roles = [("kick", Role::None), ("mute", Role::Visitor), ("voice", Role::Participant)];
    for (name, role) in roles {
        set(module, name, move |den: &mut RoomObject, nick: &str| set_role(&den.0, nick, role, None));
        if role != Role::Participant {
            set(module, name, move |den: &mut RoomObject, nick: &str, reason: &str| {
                set_role(&den.0, nick, role, Some(reason))
            });
        }
    }
    set(module, "ban", |den: &mut RoomObject, nick: &str| ban(&den.0, nick, None));
    set(module, "ban", |den: &mut RoomObject, nick: &str, reason: &str| ban(&den.0, nick, Some(reason)));
    set(module, "retract", |den: &mut RoomObject, id: Dynamic| retract(&den.0, &id, None));
    set(module, "retract", |den: &mut RoomObject, id: Dynamic, reason: &str| {
        retract(&den.0, &id, Some(reason))
    });
}

fn register_administration(module: &mut Module) {
    set(module, "invite", |den: &mut RoomObject, jid: &str| invite(&den.0, jid, None));
    set(module, "invite", |den: &mut RoomObject, jid: &str, reason: &str| invite(&den.0, jid, Some(reason)));
    set(module, "set_affiliation", |den: &mut RoomObject, jid: &str, affiliation: &str| {
        set_affiliation(&den.0, jid, affiliation, None)
    });
    set(module, "set_affiliation", |den: &mut RoomObject, jid: &str, affiliation: &str, reason: &str| {
        set_affiliation(&den.0, jid, affiliation, Some(reason))
    });
    set(module, "affiliations", |den: &mut RoomObject, affiliation: &str, f: FnPtr| {
        affiliations(&den.0, affiliation, f)
    });
    set(module, "configure", |den: &mut RoomObject, fields: Map| configure(&den.0, &fields));
    set(module, "leave", |den: &mut RoomObject| -> Checked<()> {
        order(&den.0, 64, || RoomOrder::Leave).map(drop)
    });
}

/// The room as it was last shown.
fn looked_up(den: &RoomObject) -> Checked<Option<Arc<RoomView>>> {
    turn::with(|turn| Ok(turn.bot.rooms.view(&den.0)))
}

fn view(den: &RoomObject, read: impl FnOnce(&RoomView) -> Dynamic) -> Checked<Dynamic> {
    Ok(looked_up(den)?.map_or(Dynamic::UNIT, |view| read(&view)))
}

/// An address as scripts see it, or nothing.
pub(super) fn real_jid(jid: Option<&Jid>) -> Dynamic {
    optional(jid.map(Jid::bare_str))
}

/// What a private message in a room carries, XEP-0045 §7.5.
pub(in crate::script) fn marker() -> Element {
    Element::new("x", ns::MUC_USER)
}

fn subject(room: &BareJid, text: &str) -> Checked<String> {
    turn::act(|turn| {
        check_characters(text)?;
        let id = turn.next_id();
        turn.push(text.len() + 256, || {
            Action::Message(OutgoingMessage {
                to: room.clone().into(),
                kind: MessageKind::Groupchat,
                id: id.clone(),
                text: String::new(),
                subject: Some(text.to_owned()),
                lang: None,
                thread: None,
                payloads: Vec::new(),
            })
        })?;
        Ok(id)
    })
}

/// Queues an order and gives the id that its refusal would carry.
fn order(room: &BareJid, weight: usize, make: impl FnOnce() -> RoomOrder) -> Checked<String> {
    turn::act(|turn| queue(turn, room, weight, make))
}

fn queue(
    turn: &mut Turn,
    room: &BareJid,
    weight: usize,
    make: impl FnOnce() -> RoomOrder,
) -> Result<String, Thrown> {
    let id = turn.next_id();
    turn.push(weight + 256, || Action::Room { room: room.clone(), id: id.clone(), order: make() })?;
    Ok(id)
}

/// A reason that can be sent, where there is one.
fn checked(reason: Option<&str>) -> Result<usize, Thrown> {
    reason.map_or(Ok(()), check_characters)?;
    Ok(reason.map_or(0, str::len))
}

fn set_role(room: &BareJid, nick: &str, role: Role, reason: Option<&str>) -> Checked<String> {
    turn::act(|turn| {
        let weight = nick.len() + checked(reason)?;
        check_characters(nick)?;
        queue(turn, room, weight, || RoomOrder::Role {
            nick: nick.to_owned(),
            role,
            reason: reason.map(str::to_owned),
        })
    })
}

fn ban(room: &BareJid, nick: &str, reason: Option<&str>) -> Checked<String> {
    turn::act(|turn| {
        let weight = checked(reason)?;
        let rooms = &turn.bot.rooms;
        // Of the one who has caused this turn the event tells, whoever has the nick by now.
        let heard = rooms.heard(room).filter(|heard| heard.nick == nick).and_then(|heard| heard.real_jid);
        let real = heard.or_else(|| rooms.occupant(room, nick)?.real_jid.clone());
        let Some(real) = real else {
            let message = format!("it is not known who `{nick}` in {room} is");
            let hint =
                "a nick is anybody's, so a ban needs the real address: make the bot a moderator of the room";
            return Err(Thrown::new(Kind::Runtime, message).hint(hint));
        };
        queue(turn, room, weight + 128, || RoomOrder::Affiliate {
            jid: real.to_bare(),
            affiliation: Affiliation::Outcast,
            reason: reason.map(str::to_owned),
        })
    })
}

fn retract(room: &BareJid, id: &Dynamic, reason: Option<&str>) -> Checked<String> {
    turn::act(|turn| {
        let Ok(id) = id.as_immutable_string_ref() else {
            return Err(Thrown::new(Kind::Runtime, "this message has no id, so it cannot be retracted"));
        };
        check_characters(&id)?;
        let weight = id.len() + checked(reason)?;
        // An occupant chooses the id, and may choose that of somebody else's message: only the room's own id names one.
        let ids = turn.bot.rooms.heard(room).and_then(|heard| heard.ids);
        let of = ids.filter(|(sent, _)| **sent == **id).map_or_else(|| id.to_string(), |(_, given)| given);
        queue(turn, room, weight, || RoomOrder::Retract { of: of.clone(), reason: reason.map(str::to_owned) })
    })
}

fn invite(room: &BareJid, jid: &str, reason: Option<&str>) -> Checked<String> {
    let jid = address(jid)?;
    turn::act(|turn| {
        let weight = checked(reason)?;
        queue(turn, room, weight + 128, || RoomOrder::Invite {
            jid: jid.to_bare(),
            reason: reason.map(str::to_owned),
        })
    })
}

fn affiliation(name: &str) -> Result<Affiliation, Thrown> {
    Affiliation::parse(name).ok_or_else(|| {
        let message = format!("`{name}` is no affiliation");
        Thrown::new(Kind::Runtime, message).hint("it is `owner`, `admin`, `member`, `outcast` or `none`")
    })
}

fn set_affiliation(room: &BareJid, jid: &str, name: &str, reason: Option<&str>) -> Checked<String> {
    let jid = address(jid)?;
    turn::act(|turn| {
        let weight = checked(reason)?;
        let affiliation = affiliation(name)?;
        queue(turn, room, weight + 128, || RoomOrder::Affiliate {
            jid: jid.to_bare(),
            affiliation,
            reason: reason.map(str::to_owned),
        })
    })
}

fn affiliations(room: &BareJid, name: &str, f: FnPtr) -> Checked<String> {
    turn::act(|turn| {
        let affiliation = affiliation(name)?;
        declare::callback(&turn.arities, f.clone(), 1, "the function that gets the list")?;
        turn.may_ask()?;
        let id = turn.next_id();
        let token = format!("{}/{id}", turn.script);
        turn.push(512, || {
            let item = Element::new("item", ns::MUC_ADMIN).with_attr("affiliation", affiliation.as_str());
            Action::Request {
                token: token.clone(),
                to: Some(room.clone().into()),
                kind: RequestKind::Get,
                payload: Element::new("query", ns::MUC_ADMIN).with_child(item),
                timeout: ANSWER,
            }
        })?;
        memory::uncounted(|| turn.effects.requests.push((token.clone(), f)));
        Ok(id)
    })
}

fn configure(room: &BareJid, fields: &Map) -> Checked<String> {
    turn::act(|turn| {
        let mut weight = 0;
        for (name, value) in fields {
            check_characters(name)?;
            weight += name.len() + 64;
            for text in texts(name, value)? {
                check_characters(&text)?;
                weight += text.len() + 64;
            }
        }
        queue(turn, room, weight, || RoomOrder::Configure {
            // They were read above, so they can be read.
            fields: fields
                .iter()
                .map(|(name, value)| (name.to_string(), texts(name, value).unwrap_or_default()))
                .collect(),
        })
    })
}

/// The values of one field of a form.
fn texts(name: &str, value: &Dynamic) -> Result<Vec<String>, Thrown> {
    let one = |value: &Dynamic| {
        if let Ok(flag) = value.as_bool() {
            return Ok(if flag { "1" } else { "0" }.to_owned());
        }
        if let Ok(number) = value.as_int() {
            return Ok(number.to_string());
        }
        let text: Result<ImmutableString, _> = value.clone().into_immutable_string();
        text.map(|text| text.to_string()).map_err(|_| {
            let message =
                format!("`{name}` is text, truth, a number or an array, not a {}", values::kind(value));
            Thrown::new(Kind::Runtime, message)
        })
    };
    match value.as_array_ref() {
        Ok(items) => items.iter().map(one).collect(),
        Err(_) => Ok(vec![one(value)?]),
    }
}
