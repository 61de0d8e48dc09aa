//! `pubsub::`: nodes that hold items and tell subscribers of them, XEP-0060 and XEP-0163.

use rhai::{Dynamic, EvalAltResult, FnPtr, Map, Module};

use crate::action::{Action, NodeAccess, NodeKeeps, Publication, RequestKind};
use crate::event::Answer;
use crate::jid::Jid;
use crate::script::api::bot::{ANSWER, address, payload};
use crate::script::api::events::AnswerObject;
use crate::script::api::{Area, Function, check_characters, getter, optional, put};
use crate::script::declare::{self, known_keys, text, texts, wrong};
use crate::script::error::{Kind, Thrown};
use crate::script::memory;
use crate::script::turn::{self, Turn};
use crate::xep::pubsub;
use crate::xml::Element;

pub(super) const AREA: Area = Area {
    title: "Publish and subscribe",
    module: Some("pubsub"),
    about: "Nodes hold items, and tell those who subscribe to them. Each account has nodes of its own; others are at a service. The last argument is called with the answer.",
    objects: &[("a", "Answer")],
    functions: &[
        Function::new(
            "pubsub::publish(node: string, payload: Xml|string, f: function)",
            "Publishes an item on a node of the account, which makes it where there is none. `a.id` is the item's id.",
            r#"command("mood <m:word>", "Say how you are", |m, a| {
    let mood = xml::element("mood", "http://jabber.org/protocol/mood").with_child(xml::element("happy", "http://jabber.org/protocol/mood"));
    pubsub::publish("http://jabber.org/protocol/mood", mood, |a| m.reply(`${a.ok}`));
});"#,
        ),
        Function::new(
            "pubsub::publish(node: string, payload: Xml|string, opts: map, f: function)",
            "The same with `id` (an item of that id is replaced), `service` (whose node it is), `access` (`open`, `presence`, `roster` or `whitelist`: who may see the node), `keep` (how many items it keeps, or `\"all\"`) or `secret: true` (for the account alone: nothing is published unless the server has confirmed that). A node that is otherwise is changed first.",
            r#"on("message", |m| {
    let note = xml::element("note", "urn:example:notes").with_text(m.text);
    pubsub::publish("urn:example:notes", note, #{ id: "last", secret: true, keep: "all" }, |a| if !a.ok { log::warn(a.error); });
});"#,
        ),
        Function::new(
            "pubsub::retract(node: string, id: string, f: function)",
            "Takes an item of the account back.",
            r#"on("message", |m| pubsub::retract("urn:example:notes", "last", |a| m.reply(if a.ok { "gone" } else { a.error })));"#,
        ),
        Function::new(
            "pubsub::retract(node: string, id: string, opts: map, f: function)",
            "The same with `service` (whose node it is).",
            r#"on("message", |m| pubsub::retract("news", "1", #{ service: "pubsub.example.org" }, |a| log::info(`${a.ok}`)));"#,
        ),
        Function::new(
            "pubsub::items(node: string, f: function)",
            "Asks for the items of a node of the account: `a.items` has a map for each with `id`, `publisher` and `xml`. Where the node is empty or not there, `a.error` is `item-not-found` and `a.items` is empty.",
            r#"on("message", |m| pubsub::items("urn:example:notes", |a| for item in a.items { m.reply(item.xml.text); }));"#,
        ),
        Function::new(
            "pubsub::items(node: string, opts: map, f: function)",
            "The same with `service` (whose node it is: a service or somebody's address), `ids` (only these), `most` (only so many) or `after` (the page behind that id, as far as the service has pages).",
            r#"on("message", |m| pubsub::items("urn:xmpp:avatar:metadata", #{ service: m.from, most: 1 }, |a| m.reply(`${a.items.len()}`)));"#,
        ),
        Function::new(
            "pubsub::subscribe(service: string, node: string, f: function)",
            "Subscribes the account to a node: what is published there comes as an event.",
            r#"on("online", |e| pubsub::subscribe("pubsub.example.org", "news", |a| log::info(`${a.ok}`)));"#,
        ),
        Function::new(
            "pubsub::unsubscribe(service: string, node: string, f: function)",
            "Ends the subscription.",
            r#"command("quiet", "No more news", |m, a| pubsub::unsubscribe("pubsub.example.org", "news", |a| m.reply(`${a.ok}`)));"#,
        ),
        Function::new(
            "a.id: string",
            "Answers of `pubsub::publish`: the id of the item, where the service tells it.",
            r#"on("message", |m| pubsub::publish("urn:example:notes", "<note xmlns='urn:example:notes'/>", |a| m.reply(`${a.id}`)));"#,
        ),
    ],
    register,
};

/// Bytes of the name of a node or the id of an item.
const LONGEST: usize = 1_024;
/// Items that one request may name.
const IDS: usize = 100;
/// Most items of a node or a page that a script may ask for.
const MOST: i64 = 1_000;

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    put(module, "publish", |node: &str, item: Dynamic, f: FnPtr| publish(node, &item, &Map::new(), f));
    put(module, "publish", |node: &str, item: Dynamic, opts: Map, f: FnPtr| publish(node, &item, &opts, f));
    put(module, "retract", |node: &str, id: &str, f: FnPtr| retract(node, id, &Map::new(), f));
    put(module, "retract", |node: &str, id: &str, opts: Map, f: FnPtr| retract(node, id, &opts, f));
    put(module, "items", |node: &str, f: FnPtr| items(node, &Map::new(), f));
    put(module, "items", |node: &str, opts: Map, f: FnPtr| items(node, &opts, f));
    put(module, "subscribe", |service: &str, node: &str, f: FnPtr| subscribe(service, node, true, f));
    put(module, "unsubscribe", |service: &str, node: &str, f: FnPtr| subscribe(service, node, false, f));
    getter(module, "id", |a: &mut AnswerObject| {
        let Answer { outcome, .. } = &a.0.0;
        optional(outcome.as_ref().ok().and_then(Option::as_ref).and_then(pubsub::published_id))
    });
}

fn publish(node: &str, item: &Dynamic, opts: &Map, f: FnPtr) -> Checked<()> {
    waiting(f, |turn, token| {
        known_keys("publish", opts, &["access", "id", "keep", "secret", "service"])?;
        named(node)?;
        let (payload, weight) = payload(item)?;
        let id = text(opts, "id")?;
        id.as_deref().map_or(Ok(()), named)?;
        let access = access(opts)?;
        let private = flag(opts, "secret")?;
        if private && access.is_some_and(|access| access != NodeAccess::Whitelist) {
            return Err(Thrown::new(Kind::Runtime, "what is `secret` has no other `access`"));
        }
        let keeps = keeps(opts)?;
        let service = service(opts)?;
        let mut payload = Some(payload);
        turn.push(weight + node.len() + 1_024, || {
            Action::Publish(Box::new(Publication {
                token: token.to_owned(),
                service: service.clone(),
                node: node.to_owned(),
                id: id.clone(),
                // It is called once.
                payload: payload.take().unwrap_or_else(|| Element::new("nothing", pubsub::NS)),
                access,
                keeps,
                private,
            }))
        })
    })
}

fn retract(node: &str, id: &str, opts: &Map, f: FnPtr) -> Checked<()> {
    waiting(f, |turn, token| {
        known_keys("retract", opts, &["service"])?;
        named(node)?;
        named(id)?;
        let service = service(opts)?;
        request(turn, token, service, RequestKind::Set, || pubsub::retract(node, id))
    })
}

fn items(node: &str, opts: &Map, f: FnPtr) -> Checked<()> {
    waiting(f, |turn, token| {
        known_keys("items", opts, &["after", "ids", "most", "service"])?;
        named(node)?;
        let ids = texts(opts, "ids")?;
        if ids.len() > IDS {
            return Err(Thrown::new(Kind::Size, format!("`ids` names at most {IDS} items")));
        }
        ids.iter().try_for_each(|id| named(id))?;
        let after = text(opts, "after")?;
        after.as_deref().map_or(Ok(()), named)?;
        let most = match opts.get("most").filter(|value| !value.is_unit()) {
            None => None,
            Some(value) => Some(count(value, "most")?),
        };
        let service = service(opts)?;
        request(turn, token, service, RequestKind::Get, || pubsub::items(node, &ids, most, after.as_deref()))
    })
}

fn subscribe(service: &str, node: &str, wanted: bool, f: FnPtr) -> Checked<()> {
    waiting(f, |turn, token| {
        named(node)?;
        let service = address(service)?;
        let own = turn.bot.jid.clone();
        request(turn, token, Some(service), RequestKind::Set, || {
            pubsub::subscription(node, own.as_str(), wanted)
        })
    })
}

/// Does something that `f` hears the answer to.
fn waiting(f: FnPtr, ask: impl FnOnce(&mut Turn, &str) -> Result<(), Thrown>) -> Checked<()> {
    turn::act(|turn| {
        declare::callback(&turn.arities, f.clone(), 1, "the function that gets the answer")?;
        turn.may_ask()?;
        let id = turn.next_id();
        let token = memory::uncounted(|| format!("{}/{id}", turn.script));
        ask(turn, &token)?;
        memory::uncounted(|| turn.effects.requests.push((token.clone(), f)));
        memory::uncounted(|| drop(token));
        Ok(())
    })
}

fn request(
    turn: &mut Turn,
    token: &str,
    to: Option<Jid>,
    kind: RequestKind,
    payload: impl FnOnce() -> Element,
) -> Result<(), Thrown> {
    turn.push(2_048, || Action::Request {
        token: token.to_owned(),
        to,
        kind,
        payload: payload(),
        timeout: ANSWER,
    })
}

/// A name of a node or an item.
fn named(name: &str) -> Result<(), Thrown> {
    if name.is_empty() || name.len() > LONGEST {
        let message = format!("the name of a node or an item has 1 to {LONGEST} bytes");
        return Err(Thrown::new(Kind::Size, message));
    }
    check_characters(name)
}

fn service(opts: &Map) -> Result<Option<Jid>, Thrown> {
    match text(opts, "service")? {
        None => Ok(None),
        Some(service) => {
            let to = address(&service)?;
            // Nodes belong to accounts and services, not to devices.
            Ok(Some(memory::uncounted(|| to.to_bare().into())))
        }
    }
}

fn access(opts: &Map) -> Result<Option<NodeAccess>, Thrown> {
    let Some(name) = text(opts, "access")? else { return Ok(None) };
    let known = NodeAccess::parse(&name);
    known.map(Some).ok_or_else(|| {
        let message = format!("`access` is `open`, `presence`, `roster` or `whitelist`, not `{name}`");
        Thrown::new(Kind::Runtime, message)
    })
}

fn keeps(opts: &Map) -> Result<Option<NodeKeeps>, Thrown> {
    match opts.get("keep").filter(|value| !value.is_unit()) {
        None => Ok(None),
        Some(value) if value.as_immutable_string_ref().is_ok_and(|word| *word == "all") => {
            Ok(Some(NodeKeeps::All))
        }
        Some(value) => Ok(Some(NodeKeeps::Items(count(value, "keep")?))),
    }
}

fn count(value: &Dynamic, key: &str) -> Result<u32, Thrown> {
    let number = value.as_int().map_err(|_| wrong(key, "a number", value))?;
    let fits = (1..=MOST).contains(&number).then_some(number).and_then(|number| u32::try_from(number).ok());
    fits.ok_or_else(|| Thrown::new(Kind::Runtime, format!("`{key}` is 1 to {MOST}, not {number}")))
}

fn flag(opts: &Map, key: &str) -> Result<bool, Thrown> {
    match opts.get(key).filter(|value| !value.is_unit()) {
        None => Ok(false),
        Some(value) => value.as_bool().map_err(|_| wrong(key, "true or false", value)),
    }
}
