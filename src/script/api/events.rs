//! What handlers of the other events are given.

use std::sync::Arc;

use rhai::{Dynamic, EvalAltResult, Map, Module};

use crate::action::Action;
use crate::event::{
    Answer, Bounce, ChatState, Contact, Event, FileLink, Presence, RequestFailed, RosterChange,
    SubscriptionState, SubscriptionVerb,
};
use crate::jid::BareJid;
use crate::script::api::message::send;
use crate::script::api::xml::XmlObject;
use crate::script::api::{Area, Function, getter, optional, remarks, room_events};
use crate::script::error::ScriptError;
use crate::script::host::set;
use crate::script::turn;
use crate::script::values;
use crate::stanza::{ErrorKind, MessageKind, PresenceKind, Show};
use crate::xep::pubsub;

pub(super) const AREA: Area = Area {
    title: "Other events",
    module: None,
    about: "What handlers of the other events are given. Addresses are text; what is missing is `()`.",
    objects: &[
        ("p", "Presence"),
        ("c", "Subscription"),
        ("r", "Roster"),
        ("o", "Online"),
        ("l", "Offline"),
        ("b", "Bounce"),
        ("d", "Receipt"),
        ("y", "Typing"),
        ("f", "File"),
        ("a", "Answer"),
        ("e", "Failure"),
    ],
    functions: &[
        Function::new(
            "p.from: string",
            "`presence`: whose presence.",
            r#"on("presence", |p| log::debug(p.from));"#,
        ),
        Function::new(
            "p.who: string",
            "`presence`: the same without resource.",
            r#"on("presence", |p| store::set("seen/" + p.who, true));"#,
        ),
        Function::new(
            "p.kind: string",
            "`presence`: `available`, `unavailable` or `error`.",
            r#"on("presence", |p| log::debug(p.kind));"#,
        ),
        Function::new(
            "p.show: string",
            "`presence`: `away`, `chat`, `dnd`, `xa`, or nothing.",
            r#"on("presence", |p| if p.show == "dnd" { log::debug("busy"); });"#,
        ),
        Function::new(
            "p.status: string",
            "`presence`: the status text, or nothing.",
            r#"on("presence", |p| log::debug(`${p.status}`));"#,
        ),
        Function::new(
            "p.priority: int",
            "`presence`: -128 to 127.",
            r#"on("presence", |p| if p.priority < 0 { log::debug("shy"); });"#,
        ),
        Function::new(
            "c.from: string",
            "`subscribe` and its kin: who it is about.",
            r#"on("subscribe", |c| log::info(`${c.from} wants to see me`));
on("subscribed", |c| log::info(`${c.from} lets me`));"#,
        ),
        Function::new(
            "c.text: string",
            "`subscribe`: what came with the request, or nothing.",
            r#"on("subscribe", |c| log::info(`${c.text}`));"#,
        ),
        Function::new(
            "c.approve()",
            "`subscribe`: lets them see the bot's presence.",
            r#"on("subscribe", |c| c.approve());"#,
        ),
        Function::new(
            "c.deny()",
            "`subscribe`: refuses it.",
            r#"on("subscribe", |c| if !c.from.ends_with("@example.org") { c.deny(); });"#,
        ),
        Function::new(
            "r.kind: string",
            "`roster`: `loaded`, `set` or `removed`.",
            r#"on("roster", |r| log::debug(r.kind));"#,
        ),
        Function::new(
            "r.contacts: array",
            "`roster`: maps with `jid`, `name`, `subscription`, `ask`, `groups`; all contacts where it was loaded.",
            r#"on("roster", |r| for contact in r.contacts { log::debug(contact.jid); });"#,
        ),
        Function::new(
            "o.jid: string",
            "`online`: the bot's full address.",
            r#"on("online", |o| log::info(`here as ${o.jid}`));"#,
        ),
        Function::new(
            "o.resumed: bool",
            "`online`: whether the old session goes on, with nothing lost.",
            r#"on("online", |o| if !o.resumed { bot::status("chat", "back"); });"#,
        ),
        Function::new("l.reason: string", "`offline`: why.", r#"on("offline", |l| log::warn(l.reason));"#),
        Function::new(
            "l.retry_s: int",
            "`offline`: seconds until the next try, or nothing if there is none.",
            r#"on("offline", |l| log::warn(`again in ${l.retry_s} s`));"#,
        ),
        Function::new(
            "b.from: string",
            "`bounce`: who returned the message, or nothing.",
            r#"on("bounce", |b| log::warn(`${b.from} refused it`));"#,
        ),
        Function::new(
            "b.id: string",
            "`bounce`: the id that `reply` or `bot::send` gave.",
            r#"on("bounce", |b| log::warn(`${b.id}`));"#,
        ),
        Function::new(
            "b.condition: string",
            "`bounce`: why, such as `item-not-found`.",
            r#"on("bounce", |b| log::warn(b.condition));"#,
        ),
        Function::new(
            "b.kind: string",
            "`bounce`: `auth`, `cancel`, `continue`, `modify` or `wait`.",
            r#"on("bounce", |b| if b.kind == "wait" { log::info("later"); });"#,
        ),
        Function::new(
            "b.text: string",
            "`bounce`: words of the one who returned it, or nothing.",
            r#"on("bounce", |b| log::warn(`${b.text}`));"#,
        ),
        Function::new(
            "d.from: string",
            "`receipt`: who received it.",
            r#"on("receipt", |d| log::debug(d.from));"#,
        ),
        Function::new(
            "d.id: string",
            "`receipt`: the id that `reply` or `bot::send` gave.",
            r#"on("receipt", |d| log::debug(d.id));"#,
        ),
        Function::new("y.from: string", "`typing`: who.", r#"on("typing", |y| log::debug(y.from));"#),
        Function::new(
            "y.state: string",
            "`typing`: `active`, `composing`, `paused`, `inactive` or `gone`.",
            r#"on("typing", |y| log::debug(y.state));"#,
        ),
        Function::new("f.from: string", "`file`: the sender.", r#"on("file", |f| log::info(f.from));"#),
        Function::new(
            "f.place: string",
            "`file`: where an answer goes.",
            r#"on("file", |f| bot::send(f.place, "got it"));"#,
        ),
        Function::new(
            "f.url: string",
            "`file`: the address, unchecked; nothing is fetched.",
            r#"on("file", |f| log::info(f.url));"#,
        ),
        Function::new(
            "f.description: string",
            "`file`: the sender's words, or nothing.",
            r#"on("file", |f| log::info(`${f.description}`));"#,
        ),
        Function::new(
            "f.name: string",
            "`file`: the file's name without a path, or nothing. The sender's word, like type and size.",
            r#"on("file", |f| log::info(`${f.name}`));"#,
        ),
        Function::new(
            "f.mime: string",
            "`file`: its type such as `image/png`, or nothing.",
            r#"on("file", |f| if f.mime == "image/png" { f.reply("a picture"); });"#,
        ),
        Function::new(
            "f.size: int",
            "`file`: its size in bytes, or nothing.",
            r#"on("file", |f| if (f.size ?? 0) > 1000000 { f.reply("that is large"); });"#,
        ),
        Function::new(
            "f.reply(text) -> string",
            "`file`: answers it.",
            r#"on("file", |f| { f.reply("thank you"); });"#,
        ),
        Function::new("a.ok: bool", "Answers of `bot::iq`: whether there is a result.", ASK_OK),
        Function::new(
            "a.error: string",
            "Answers of `bot::iq`: the condition, `timeout` or `session-lost`; nothing where it went well.",
            ASK_ERROR,
        ),
        Function::new(
            "a.items: array",
            "Answers of `affiliations`: a map for each `item` in the payload, with its attributes and its `reason`. Of `pubsub::items`: a map for each with `id`, `publisher` and `xml`.",
            ASK_ITEMS,
        ),
        Function::new(
            "a.jids: array",
            "Answers of `bot::blocked`: the addresses; empty where there are none, or no answer came.",
            r#"on("message", |m| bot::blocked(|a| if a.ok { m.reply(`${a.jids.len()} are blocked`); }));"#,
        ),
        Function::new("a.xml: Xml", "Answers of `bot::iq`: the payload, or nothing.", ASK_XML),
        Function::new(
            "e.message: string",
            "`error`: what went wrong in a turn of this script. The turn left nothing behind; this handler has one of its own, and its own errors are only logged. A message or timer is then tried again, twice at most, and this handler is not told of those tries.",
            r#"on("error", |e| bot::send("ops@example.org", `${bot::name()}: ${e.message}`));"#,
        ),
        Function::new(
            "e.event: string",
            "`error`: the event that was handled, such as `message` or `command roll`.",
            r#"on("error", |e| log::warn(`${e.event} failed`));"#,
        ),
        Function::new("e.file: string", "`error`: the file.", r#"on("error", |e| log::warn(e.file));"#),
        Function::new(
            "e.line: int",
            "`error`: the line; 0 where it is unknown.",
            r#"on("error", |e| log::warn(`line ${e.line}`));"#,
        ),
        Function::new(
            "e.kind: string",
            "`error`: which rule was broken: `runtime`, `deadline`, `memory`, `operations`, `size`, `stack`, `store` and so on.",
            r#"on("error", |e| if e.kind == "deadline" { log::warn("too slow"); });"#,
        ),
        Function::new("a.data", "Answers of `bot::iq` by name: what was to be remembered.", ASK_DATA),
    ],
    register,
};

const ASK_OK: &str = r#"on("message", |m| {
    bot::iq("get", "example.org", "<ping xmlns='urn:xmpp:ping'/>", |a| log::info(`${a.ok}`));
});"#;
const ASK_ERROR: &str = r#"on("message", |m| {
    bot::iq("get", "example.org", "<ping xmlns='urn:xmpp:ping'/>", |a| log::info(`${a.error}`));
});"#;
const ASK_ITEMS: &str = r#"on("message", |m| {
    room("den@rooms.example.org").affiliations("member", |a| for item in a.items { log::info(`${item.jid}`); });
});"#;
const ASK_XML: &str = r#"on("message", |m| {
    bot::iq("get", "example.org", "<query xmlns='jabber:iq:version'/>", |a| if a.ok { log::info(`${a.xml}`); });
});"#;
const ASK_DATA: &str = r#"on("message", |m| bot::iq("get", m.from, "<query xmlns='jabber:iq:version'/>", "version", #{ to: m.place }));
on("answer:version", |a| bot::send(a.data.to, `${a.xml}`));"#;

macro_rules! objects {
    ($($object:ident($inner:ty)),* $(,)?) => {
        $(
            #[derive(Clone)]
            pub(in crate::script) struct $object(pub Arc<$inner>);
        )*
    };
}

objects! {
    PresenceObject(Presence),
    RosterObject(RosterChange),
    BounceObject(Bounce),
    FileObject(FileLink),
    SubscriptionObject((SubscriptionVerb, BareJid, Option<String>)),
    OnlineObject((String, bool)),
    OfflineObject((String, Option<u64>)),
    ReceiptObject((String, String)),
    TypingObject((String, ChatState)),
    AnswerObject((Answer, serde_json::Value)),
    FailureObject(ScriptError),
}

type Checked<T> = Result<T, Box<EvalAltResult>>;

/// The events that are no message, timer or answer, as scripts are given them.
pub(in crate::script) fn object(event: &Event) -> Dynamic {
    match event {
        Event::Bounce(bounce) => Dynamic::from(BounceObject(Arc::new(bounce.clone()))),
        Event::ChatState { from, state } => {
            Dynamic::from(TypingObject(Arc::new((from.as_str().to_owned(), *state))))
        }
        Event::File(link) => Dynamic::from(FileObject(Arc::new(link.clone()))),
        Event::Offline { reason, retry_s } => {
            Dynamic::from(OfflineObject(Arc::new((reason.clone(), *retry_s))))
        }
        Event::Online { jid, resumed } => {
            Dynamic::from(OnlineObject(Arc::new((jid.as_str().to_owned(), *resumed))))
        }
        Event::Presence(presence) => Dynamic::from(PresenceObject(Arc::new(presence.as_ref().clone()))),
        Event::Receipt { from, id } => {
            Dynamic::from(ReceiptObject(Arc::new((from.as_str().to_owned(), id.clone()))))
        }
        Event::Roster(change) => Dynamic::from(RosterObject(Arc::new(change.clone()))),
        Event::Subscription { verb, from, text } => {
            Dynamic::from(SubscriptionObject(Arc::new((*verb, from.clone(), text.clone()))))
        }
        Event::Remark(remark) => remarks::object(remark),
        Event::Invite(invite) => room_events::invitation(invite),
        Event::Room(event) => room_events::object(event),
        Event::Answer(_)
        | Event::Command(_)
        | Event::Load
        | Event::Message(_)
        | Event::Request(_)
        | Event::Timer(_) => Dynamic::UNIT,
    }
}

fn register(module: &mut Module) {
    register_presence(module);
    register_subscription(module);
    register_roster(module);
    register_stream(module);
    register_delivery(module);
    register_file(module);
    register_answer(module);
    register_failure(module);
}

fn register_presence(module: &mut Module) {
    module.set_custom_type::<PresenceObject>("Presence");
    getter(module, "from", |p: &mut PresenceObject| p.0.from.as_str().to_owned());
    getter(module, "who", |p: &mut PresenceObject| p.0.from.bare_str().to_owned());
    getter(module, "kind", |p: &mut PresenceObject| match p.0.kind {
        PresenceKind::Available => "available",
        PresenceKind::Error => "error",
        PresenceKind::Unavailable => "unavailable",
    });
    getter(module, "show", |p: &mut PresenceObject| {
        optional(p.0.show.map(|show| match show {
            Show::Away => "away",
            Show::Chat => "chat",
            Show::Dnd => "dnd",
            Show::Xa => "xa",
        }))
    });
    getter(module, "status", |p: &mut PresenceObject| optional(p.0.status.as_deref()));
    getter(module, "priority", |p: &mut PresenceObject| i64::from(p.0.priority));
}

fn register_subscription(module: &mut Module) {
    module.set_custom_type::<SubscriptionObject>("Subscription");
    getter(module, "from", |c: &mut SubscriptionObject| c.0.1.as_str().to_owned());
    getter(module, "text", |c: &mut SubscriptionObject| optional(c.0.2.as_deref()));
    set(module, "approve", |c: &mut SubscriptionObject| subscription(&c.0.1, SubscriptionVerb::Subscribed));
    set(module, "deny", |c: &mut SubscriptionObject| subscription(&c.0.1, SubscriptionVerb::Unsubscribed));
}

/// Queues one of the four verbs.
pub(super) fn subscription(to: &BareJid, verb: SubscriptionVerb) -> Checked<()> {
    turn::act(|turn| turn.push(128, || Action::Subscription { to: to.clone(), verb }))
}

fn register_roster(module: &mut Module) {
    module.set_custom_type::<RosterObject>("Roster");
    getter(module, "kind", |r: &mut RosterObject| match &*r.0 {
        RosterChange::Loaded { .. } => "loaded",
        RosterChange::Removed(_) => "removed",
        RosterChange::Set(_) => "set",
    });
    getter(module, "contacts", |r: &mut RosterObject| match &*r.0 {
        RosterChange::Loaded { items } => Dynamic::from_array(items.iter().map(contact).collect()),
        RosterChange::Removed(jid) => {
            let gone = Map::from([("jid".into(), jid.as_str().into())]);
            Dynamic::from_array(vec![Dynamic::from_map(gone)])
        }
        RosterChange::Set(item) => Dynamic::from_array(vec![contact(item)]),
    });
}

/// Who sees whose presence.
pub(super) fn state(contact: &Contact) -> &'static str {
    match contact.subscription {
        SubscriptionState::Both => "both",
        SubscriptionState::From => "from",
        SubscriptionState::None => "none",
        SubscriptionState::To => "to",
    }
}

fn contact(contact: &Contact) -> Dynamic {
    Dynamic::from_map(Map::from([
        ("jid".into(), contact.jid.as_str().into()),
        ("name".into(), optional(contact.name.as_deref())),
        ("subscription".into(), state(contact).into()),
        ("ask".into(), contact.ask.into()),
        (
            "groups".into(),
            Dynamic::from_array(contact.groups.iter().map(|group| group.as_str().into()).collect()),
        ),
    ]))
}

fn register_stream(module: &mut Module) {
    module.set_custom_type::<OnlineObject>("Online");
    getter(module, "jid", |o: &mut OnlineObject| o.0.0.clone());
    getter(module, "resumed", |o: &mut OnlineObject| o.0.1);
    module.set_custom_type::<OfflineObject>("Offline");
    getter(module, "reason", |l: &mut OfflineObject| l.0.0.clone());
    getter(module, "retry_s", |l: &mut OfflineObject| match l.0.1 {
        Some(seconds) => Dynamic::from(i64::try_from(seconds).unwrap_or(i64::MAX)),
        None => Dynamic::UNIT,
    });
}

fn register_delivery(module: &mut Module) {
    module.set_custom_type::<BounceObject>("Bounce");
    getter(module, "from", |b: &mut BounceObject| optional(b.0.from.as_ref().map(|from| from.as_str())));
    getter(module, "id", |b: &mut BounceObject| optional(b.0.id.as_deref()));
    getter(module, "condition", |b: &mut BounceObject| b.0.error.condition.to_string());
    getter(module, "text", |b: &mut BounceObject| optional(b.0.error.text.as_deref()));
    getter(module, "kind", |b: &mut BounceObject| match b.0.error.kind {
        ErrorKind::Auth => "auth",
        ErrorKind::Cancel => "cancel",
        ErrorKind::Continue => "continue",
        ErrorKind::Modify => "modify",
        ErrorKind::Wait => "wait",
    });
    module.set_custom_type::<ReceiptObject>("Receipt");
    getter(module, "from", |d: &mut ReceiptObject| d.0.0.clone());
    getter(module, "id", |d: &mut ReceiptObject| d.0.1.clone());
    module.set_custom_type::<TypingObject>("Typing");
    getter(module, "from", |y: &mut TypingObject| y.0.0.clone());
    getter(module, "state", |y: &mut TypingObject| match y.0.1 {
        ChatState::Active => "active",
        ChatState::Composing => "composing",
        ChatState::Gone => "gone",
        ChatState::Inactive => "inactive",
        ChatState::Paused => "paused",
    });
}

fn register_file(module: &mut Module) {
    module.set_custom_type::<FileObject>("File");
    getter(module, "from", |f: &mut FileObject| f.0.from.as_str().to_owned());
    getter(module, "place", |f: &mut FileObject| f.0.place.as_str().to_owned());
    getter(module, "url", |f: &mut FileObject| f.0.url.clone());
    getter(module, "description", |f: &mut FileObject| optional(f.0.description.as_deref()));
    getter(module, "name", |f: &mut FileObject| optional(f.0.name.as_deref()));
    getter(module, "mime", |f: &mut FileObject| optional(f.0.mime.as_deref()));
    getter(module, "size", |f: &mut FileObject| {
        f.0.size.and_then(|size| i64::try_from(size).ok()).map_or(Dynamic::UNIT, Dynamic::from_int)
    });
    set(module, "reply", |f: &mut FileObject, text: Dynamic| {
        send(&f.0.place, MessageKind::Chat, None, &text, &Map::new())
    });
}

fn register_failure(module: &mut Module) {
    module.set_custom_type::<FailureObject>("Failure");
    getter(module, "message", |e: &mut FailureObject| e.0.message.clone());
    getter(module, "event", |e: &mut FailureObject| optional(e.0.event.as_deref()));
    getter(module, "file", |e: &mut FailureObject| e.0.file.clone());
    getter(module, "line", |e: &mut FailureObject| i64::try_from(e.0.line).unwrap_or(0));
    getter(module, "kind", |e: &mut FailureObject| format!("{:?}", e.0.kind).to_lowercase());
}

/// Items of a node that a script is shown.
const ITEMS: usize = 1_000;

/// An item of a node as scripts see it.
fn published(item: pubsub::Item<'_>) -> Dynamic {
    let xml =
        item.payload.map_or(Dynamic::UNIT, |payload| Dynamic::from(XmlObject(Arc::new(payload.clone()))));
    let fields = [("id", optional(item.id)), ("publisher", optional(item.publisher)), ("xml", xml)];
    Dynamic::from_map(fields.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

fn register_answer(module: &mut Module) {
    module.set_custom_type::<AnswerObject>("Answer");
    getter(module, "ok", |a: &mut AnswerObject| a.0.0.outcome.is_ok());
    getter(module, "error", |a: &mut AnswerObject| match &a.0.0.outcome {
        Ok(_) => Dynamic::UNIT,
        Err(RequestFailed::Error(error)) => error.condition.as_ref().into(),
        Err(RequestFailed::SessionLost) => "session-lost".into(),
        Err(RequestFailed::Timeout) => "timeout".into(),
    });
    getter(module, "items", |a: &mut AnswerObject| match &a.0.0.outcome {
        Ok(Some(element)) => Dynamic::from_array(match pubsub::items_in(element) {
            Some(items) => items.take(ITEMS).map(published).collect(),
            None => room_events::items(element),
        }),
        Ok(None) | Err(_) => Dynamic::from_array(Vec::new()),
    });
    getter(module, "jids", |a: &mut AnswerObject| match &a.0.0.outcome {
        Ok(Some(element)) => {
            let jids = crate::xep::blocking::addresses(element);
            Dynamic::from_array(jids.iter().map(|jid| jid.as_str().into()).collect())
        }
        Ok(None) | Err(_) => Dynamic::from_array(Vec::new()),
    });
    getter(module, "xml", |a: &mut AnswerObject| match &a.0.0.outcome {
        Ok(Some(element)) => Dynamic::from(XmlObject(Arc::new(element.clone()))),
        Ok(None) | Err(_) => Dynamic::UNIT,
    });
    getter(module, "data", |a: &mut AnswerObject| values::from_json(&a.0.1));
}
