//! `bot::`: who the bot is, sending, status, requests, contacts.

use std::sync::PoisonError;
use std::time::Duration;

use rhai::{Array, Dynamic, EvalAltResult, FnPtr, Map, Module};

use crate::action::{Action, RequestKind};
use crate::event::{Contact, SubscriptionVerb};
use crate::jid::{BareJid, Jid};
use crate::script::api::events::{state, subscription};
use crate::script::api::message::send;
use crate::script::api::upload;
use crate::script::api::xml::{self, XmlObject};
use crate::script::api::{Area, Function, check_characters, getter, optional, put};
use crate::script::declare;
use crate::script::error::{Kind, Thrown};
use crate::script::host::set;
use crate::script::memory;
use crate::script::turn;
use crate::script::values;
use crate::stanza::{MessageKind, Show};
use crate::xep::blocking;
use crate::xml::Element;

pub(super) const AREA: Area = Area {
    title: "The bot",
    module: Some("bot"),
    about: "Who the bot is, and what it can do of its own accord. Nothing is sent before the turn has ended well.",
    objects: &[("contact", "Contact")],
    functions: &[
        Function {
            signature: "bot::jid() -> string",
            about: "The bot's address, without resource.",
            example: r#"on("message", |m| m.reply(`I am ${bot::jid()}`));"#,
        },
        Function {
            signature: "bot::name() -> string",
            about: "The bot's name in bots.yaml.",
            example: r#"on("message", |m| m.reply(bot::name()));"#,
        },
        Function {
            signature: "bot::send(to: string, text) -> string",
            about: "Sends a message: to a person, or to a room that the bot is in. Gives its id, which `bounce` and `receipt` carry.",
            example: r#"on("message", |m| { bot::send("ann@example.org", `${m.nick} wrote`); });"#,
        },
        Function {
            signature: "bot::send(to: string, text, opts: map) -> string",
            about: "The same with `subject`, `lang`, `thread_id`, `kind` (`groupchat` for a room), `spoiler` (`true` or a hint: hidden until asked for), `styled: false` (shown as it is written), `store: false` (not archived; `true`: archived in any case), `copy: false` (no copies), `split: false` (one message, or an error where it is too long), `mentions` (who is named by which word) or `langs` (the same in other languages: `#{ no: \"hei\" }`).",
            example: r#"on("message", |m| { bot::send("team@rooms.example.org", "hello", #{ kind: "groupchat" }); });"#,
        },
        Function {
            signature: "bot::status(show: string, text: string)",
            about: "Tells everyone who may see it: `show` is `online`, `chat`, `away`, `xa` or `dnd`.",
            example: r#"on("online", |o| bot::status("chat", "ask me"));"#,
        },
        Function {
            signature: "bot::iq(kind: string, to: string, payload: string|Xml, f: |a|) -> string",
            about: "Asks another program something, `kind` being `get` or `set`; `to` may be \"\" for the own server. `f` gets the answer within 30 s, unless the script is replaced before that.",
            example: r#"on("message", |m| {
    bot::iq("get", m.from, "<query xmlns='jabber:iq:version'/>", |a| m.reply(if a.ok { "yes" } else { a.error }));
});"#,
        },
        Function {
            signature: "bot::iq(kind: string, to: string, payload: string|Xml, name: string, data) -> string",
            about: "The same; the answer comes as event `answer:NAME` with `data`, even after the script was replaced.",
            example: r#"on("message", |m| bot::iq("get", m.from, "<ping xmlns='urn:xmpp:ping'/>", "pong", m.place));
on("answer:pong", |a| bot::send(a.data, "you are there"));"#,
        },
        Function {
            signature: "bot::upload(name: string, mime: string, data: string|blob|Bytes, f: |u|)",
            about: "Puts a file of at most 1 MiB where the server keeps such, and tells `f` what came of it, unless the script is replaced before that.",
            example: r#"on("message", |m| bot::upload("note.txt", "text/plain", m.text, |u| {
    if u.ok { u.send(m.place); } else { m.reply(`not uploaded: ${u.error}`); }
}));"#,
        },
        Function {
            signature: "bot::block(jid: string)",
            about: "Has the server keep away what this address sends, or everybody of a domain (XEP-0191). A refusal is logged.",
            example: r#"command("block <who:user>", #{ help: "Block somebody", allow: ["admin"] }, |m, a| bot::block(a.who));"#,
        },
        Function {
            signature: "bot::unblock(jid: string)",
            about: "Takes that back.",
            example: r#"command("unblock <who:user>", #{ help: "Let them write", allow: ["admin"] }, |m, a| bot::unblock(a.who));"#,
        },
        Function {
            signature: "bot::blocked(f: |a|) -> string",
            about: "Asks the server which addresses are blocked; `f` gets them as `a.jids` within 30 s, unless the script is replaced before that.",
            example: r#"on("message", |m| bot::blocked(|a| m.reply(`${a.jids}`)));"#,
        },
        Function {
            signature: "bot::contact(jid: string) -> Contact",
            about: "Somebody's entry in the contact list, be there one or not.",
            example: r#"on("message", |m| bot::contact(m.who).subscribe());"#,
        },
        Function {
            signature: "contact.jid: string",
            about: "The address.",
            example: r#"on("message", |m| log::info(bot::contact(m.who).jid));"#,
        },
        Function {
            signature: "contact.name: string",
            about: "The name it has in the contact list, or nothing.",
            example: r#"on("message", |m| m.reply(`hello ${bot::contact(m.who).name ?? m.nick}`));"#,
        },
        Function {
            signature: "contact.groups: array",
            about: "The groups it is in; empty where it is not in the contact list.",
            example: r#"on("message", |m| if "friends" in bot::contact(m.who).groups { m.reply("friend!"); });"#,
        },
        Function {
            signature: "contact.state: string",
            about: "Who sees whose presence: `both`, `from` (they see the bot's), `to` (the bot sees theirs) or `none`; nothing where it is not in the contact list, or the list has not come yet.",
            example: r#"on("message", |m| if bot::contact(m.who).state == () { bot::contact(m.who).subscribe(); });"#,
        },
        Function {
            signature: "contact.approve()",
            about: "Lets them see the bot's presence, now or when they ask.",
            example: r#"on("message", |m| bot::contact(m.who).approve());"#,
        },
        Function {
            signature: "contact.deny()",
            about: "Takes that away, or refuses a request.",
            example: r#"on("message", |m| bot::contact(m.who).deny());"#,
        },
        Function {
            signature: "contact.subscribe()",
            about: "Asks to see their presence.",
            example: r#"on("subscribe", |c| { c.approve(); bot::contact(c.from).subscribe(); });"#,
        },
        Function {
            signature: "contact.unsubscribe()",
            about: "No longer wants to see it.",
            example: r#"on("unsubscribe", |c| bot::contact(c.from).unsubscribe());"#,
        },
        Function {
            signature: "contact.save(name: string, groups: array)",
            about: "Puts them into the contact list, or changes their entry.",
            example: r#"on("message", |m| bot::contact(m.who).save(m.nick, ["friends"]));"#,
        },
        Function {
            signature: "contact.remove()",
            about: "Takes them off the contact list, which ends all subscriptions.",
            example: r#"on("unsubscribed", |c| bot::contact(c.from).remove());"#,
        },
    ],
    register,
};

/// How long an answer is waited for.
pub(super) const ANSWER: Duration = Duration::from_secs(30);

/// A contact as scripts hold it.
#[derive(Clone)]
struct ContactObject(BareJid);

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    put(module, "jid", || -> Checked<String> { turn::with(|turn| Ok(turn.bot.jid.as_str().to_owned())) });
    put(module, "name", || -> Checked<String> { turn::with(|turn| Ok(turn.bot.name.clone())) });
    put(module, "send", |to: &str, text: Dynamic| -> Checked<String> {
        send(&address(to)?, MessageKind::Chat, None, &text, &Map::new())
    });
    put(module, "send", |to: &str, text: Dynamic, opts: Map| -> Checked<String> {
        send(&address(to)?, MessageKind::Chat, None, &text, &opts)
    });
    put(module, "status", status);
    put(module, "iq", |kind: &str, to: &str, payload: Dynamic, f: FnPtr| ask(kind, to, &payload, f));
    put(module, "iq", |kind: &str, to: &str, payload: Dynamic, name: &str, data: Dynamic| {
        ask_by_name(kind, to, &payload, name, &data)
    });
    put(module, "upload", |name: &str, mime: &str, data: Dynamic, f: FnPtr| {
        upload::ask(name, mime, &data, f)
    });
    put(module, "block", |jid: &str| block(jid, true));
    put(module, "unblock", |jid: &str| block(jid, false));
    put(module, "blocked", |f: FnPtr| {
        ask_with(f, |turn, token| {
            turn.push(token.len() + 256, || Action::Request {
                token: token.to_owned(),
                to: None,
                kind: RequestKind::Get,
                payload: blocking::list(),
                timeout: ANSWER,
            })
        })
    });
    put(module, "contact", |jid: &str| -> Checked<ContactObject> {
        Ok(ContactObject(address(jid)?.to_bare()))
    });
    module.set_custom_type::<ContactObject>("Contact");
    getter(module, "jid", |contact: &mut ContactObject| contact.0.as_str().to_owned());
    getter(module, "name", |contact: &mut ContactObject| {
        entry(contact, Dynamic::UNIT, |entry| optional(entry.name.as_deref()))
    });
    getter(module, "groups", |contact: &mut ContactObject| {
        entry(contact, Dynamic::from_array(Array::new()), |entry| {
            Dynamic::from_array(entry.groups.iter().map(|group| group.as_str().into()).collect())
        })
    });
    getter(module, "state", |contact: &mut ContactObject| {
        entry(contact, Dynamic::UNIT, |entry| state(entry).into())
    });
    let verbs = [
        ("approve", SubscriptionVerb::Subscribed),
        ("deny", SubscriptionVerb::Unsubscribed),
        ("subscribe", SubscriptionVerb::Subscribe),
        ("unsubscribe", SubscriptionVerb::Unsubscribe),
    ];
    for (name, verb) in verbs {
        set(module, name, move |contact: &mut ContactObject| subscription(&contact.0, verb));
    }
    set(module, "save", |contact: &mut ContactObject, name: &str, groups: Array| {
        save(&contact.0, name, &groups)
    });
    set(module, "remove", |contact: &mut ContactObject| -> Checked<()> {
        turn::act(|turn| turn.push(128, || Action::RosterRemove { jid: contact.0.clone() }))
    });
}

/// What the contact list says of somebody; `otherwise` where it says nothing.
fn entry(
    contact: &ContactObject,
    otherwise: Dynamic,
    read: impl FnOnce(&Contact) -> Dynamic,
) -> Checked<Dynamic> {
    turn::with(|turn| {
        let contacts = turn.bot.contacts.read().unwrap_or_else(PoisonError::into_inner);
        Ok(contacts.get(&contact.0).map_or(otherwise, read))
    })
}

/// An address that a script wrote.
pub(super) fn address(text: &str) -> Result<Jid, Thrown> {
    // It ends up in an action, which is freed by the account.
    memory::uncounted(|| Jid::parse(text))
        .map_err(|why| Thrown::new(Kind::Runtime, format!("`{text}` is no address: {why}")))
}

fn status(show: &str, text: &str) -> Checked<()> {
    turn::act(|turn| {
        let show = match show {
            "" | "online" => None,
            "away" => Some(Show::Away),
            "chat" => Some(Show::Chat),
            "dnd" => Some(Show::Dnd),
            "xa" => Some(Show::Xa),
            _ => {
                let message = format!("`show` is `online`, `chat`, `away`, `xa` or `dnd`, not `{show}`");
                return Err(Thrown::new(Kind::Runtime, message));
            }
        };
        check_characters(text)?;
        let status = || (!text.is_empty()).then(|| text.to_owned());
        turn.push(text.len() + 128, || Action::Presence { show, status: status(), priority: 0 })
    })
}

fn block(jid: &str, blocked: bool) -> Checked<()> {
    let jid = address(jid)?;
    turn::act(|turn| turn.push(jid.as_str().len() + 128, || Action::Block { jid: jid.clone(), blocked }))
}

fn ask(kind: &str, to: &str, payload: &Dynamic, f: FnPtr) -> Checked<String> {
    ask_with(f, |turn, token| request(turn, kind, to, payload, token))
}

/// Makes a request whose answer `f` gets.
fn ask_with(f: FnPtr, request: impl FnOnce(&mut turn::Turn, &str) -> Result<(), Thrown>) -> Checked<String> {
    turn::act(|turn| {
        declare::callback(&turn.arities, f.clone(), 1, "the function that gets the answer")?;
        turn.may_ask()?;
        let id = turn.next_id();
        let token = format!("{}/{id}", turn.script);
        request(turn, &token)?;
        memory::uncounted(|| turn.effects.requests.push((token.clone(), f)));
        Ok(id)
    })
}

fn ask_by_name(kind: &str, to: &str, payload: &Dynamic, name: &str, data: &Dynamic) -> Checked<String> {
    turn::act(|turn| {
        declare::check_event(&format!("answer:{name}"))?;
        let data = values::to_json(data).map_err(|why| Thrown::new(Kind::Runtime, why))?;
        let id = turn.next_id();
        let token =
            serde_json::json!({ "script": &*turn.script, "name": name, "data": data, "id": id }).to_string();
        request(turn, kind, to, payload, &token)?;
        Ok(id)
    })
}

fn request(
    turn: &mut turn::Turn,
    kind: &str,
    to: &str,
    payload: &Dynamic,
    token: &str,
) -> Result<(), Thrown> {
    let kind = match kind {
        "get" => RequestKind::Get,
        "set" => RequestKind::Set,
        _ => return Err(Thrown::new(Kind::Runtime, format!("`kind` is `get` or `set`, not `{kind}`"))),
    };
    let to = if to.is_empty() { None } else { Some(address(to)?) };
    let (element, weight) = self::payload(payload)?;
    turn.push(weight + token.len() + 256, || Action::Request {
        token: token.to_owned(),
        to,
        kind,
        payload: element,
        timeout: ANSWER,
    })
}

fn save(jid: &BareJid, name: &str, groups: &Array) -> Checked<()> {
    turn::act(|turn| {
        check_characters(name)?;
        let mut weight = name.len() + 256;
        for group in groups {
            let text = group.as_immutable_string_ref().map_err(|_| {
                Thrown::new(Kind::Runtime, format!("a group is a string, not a {}", values::kind(group)))
            })?;
            check_characters(&text)?;
            weight += text.len() + 32;
        }
        turn.push(weight, || Action::RosterSet {
            jid: jid.clone(),
            name: (!name.is_empty()).then(|| name.to_owned()),
            groups: groups.iter().map(ToString::to_string).collect(),
        })
    })
}

/// An element that a script sends, and about how many bytes it takes.
pub(super) fn payload(payload: &Dynamic) -> Result<(Element, usize), Thrown> {
    if let Some(object) = payload.read_lock::<XmlObject>() {
        let written = xml::written(&object.0)?;
        return Ok((memory::uncounted(|| (*object.0).clone()), 4 * written));
    }
    match payload.as_immutable_string_ref() {
        Ok(text) => Ok((memory::uncounted(|| xml::parse(&text))?, 4 * text.len())),
        Err(_) => {
            let message = format!("the payload is XML text or an Xml, not a {}", values::kind(payload));
            Err(Thrown::new(Kind::Runtime, message))
        }
    }
}
