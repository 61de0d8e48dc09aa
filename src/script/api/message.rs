//! The message that a handler or command is given.

use std::sync::Arc;

use rhai::{Dynamic, EvalAltResult, Map, Module};

use crate::action::Action;
use crate::event::room::{Affiliation, Role};
use crate::event::{ChatState, Class, Message};
use crate::jid::Jid;
use crate::script::api::time::Time;
use crate::script::api::{Area, Function, check_characters, getter, optional, room, upload, words};
use crate::script::declare::{known_keys, text};
use crate::script::dialog::Asked;
use crate::script::error::{Kind, Thrown};
use crate::script::host::set;
use crate::script::manner;
use crate::script::memory;
use crate::script::saying::Saying;
use crate::script::turn;
use crate::script::upload::Recipient;
use crate::stanza::MessageKind;
use crate::xml::Element;

pub(super) const AREA: Area = Area {
    title: "Messages",
    module: None,
    about: "`m` is what handlers of `message`, `room`, `mention`, `pm` and `headline` get, and commands.",
    objects: &[("m", "Message")],
    functions: &[
        Function::new(
            "m.id: string",
            "The id its sender gave it, or nothing.",
            r#"on("message", |m| log::info(`id ${m.id}`));"#,
        ),
        Function::new(
            "m.from: string",
            "The sender's address; in a room, that of the occupant.",
            r#"on("message", |m| m.reply(`hello ${m.from}`));"#,
        ),
        Function::new(
            "m.resource: string",
            "The sender's resource, or nothing.",
            r#"on("message", |m| log::info(`from device ${m.resource}`));"#,
        ),
        Function::new(
            "m.place: string",
            "Where an answer goes: the room, the occupant, or the sender.",
            r#"on("pm", |m| bot::send(m.place, "just between us", #{ kind: "chat" }));
on("message", |m| bot::send(m.place, "noted"));"#,
        ),
        Function::new(
            "m.room: string",
            "The room, or nothing.",
            r#"on("message", |m| if m.room == () { m.reply("just us"); });"#,
        ),
        Function::new(
            "m.nick: string",
            "What to call the sender.",
            r#"on("message", |m| m.reply(`hello ${m.nick}`));"#,
        ),
        Function::new(
            "m.who: string",
            "The strongest identity known of the sender: the key for what belongs to a person.",
            r#"on("message", |m| { store::incr("count/" + m.who); });"#,
        ),
        Function::new(
            "m.identity: string",
            "How far `who` can be relied on: `real` for an address, `occupant` for an id that the room gives, `nick` for what is anybody's.",
            r#"on("room", |m| if m.identity != "nick" { store::incr("count/" + m.who); });"#,
        ),
        Function::new(
            "m.real_jid: string",
            "In a room: the sender's own address, or nothing where the room hides it.",
            r#"on("room", |m| log::debug(`${m.real_jid}`));"#,
        ),
        Function::new(
            "m.occupant_id: string",
            "In a room: the id that the room gives the sender for good, or nothing.",
            r#"on("room", |m| log::debug(`${m.occupant_id}`));"#,
        ),
        Function::new(
            "m.role: string",
            "In a room: `moderator`, `participant`, `visitor` or `none`; nothing where it is not known.",
            r#"on("room", |m| if m.role == "moderator" { m.reply("yes, sir"); });"#,
        ),
        Function::new(
            "m.affiliation: string",
            "In a room: `owner`, `admin`, `member`, `none` or `outcast`; nothing where it is not known.",
            r#"on("room", |m| if m.affiliation in ["owner", "admin"] { m.reply("yes, boss"); });"#,
        ),
        Function::new(
            "m.text: string",
            "The text; where a room message mentions the bot, what comes after that.",
            r#"on("message", |m| m.reply(m.text.to_upper()));"#,
        ),
        Function::new(
            "m.raw_text: string",
            "The text as it was written, before a mention of the bot is taken off.",
            r#"on("mention", |m| log::debug(m.raw_text));"#,
        ),
        Function::new(
            "m.subject: string",
            "The subject, or nothing.",
            r#"on("message", |m| if m.subject != () { m.reply(`about ${m.subject}`); });"#,
        ),
        Function::new(
            "m.lang: string",
            "The language of the text, or nothing.",
            r#"on("message", |m| log::debug(`in ${m.lang}`));"#,
        ),
        Function::new(
            "m.kind: string",
            "`chat`, `normal`, `groupchat` or `headline`.",
            r#"on("headline", |m| log::info(m.kind));
on("message", |m| if m.kind == "chat" { m.reply("chatting"); });"#,
        ),
        Function::new(
            "m.delayed: bool",
            "Whether it is older than now: kept for the bot while it was away, or history.",
            r#"on("message", |m| if m.delayed { m.reply("sorry, I was away"); });"#,
        ),
        Function::new(
            "m.stamp: time",
            "When it was sent; now where nothing is known.",
            r#"on("message", |m| m.reply(`sent ${time::show(m.stamp)}`));"#,
        ),
        Function::new(
            "m.thread_id: string",
            "The thread it belongs to, or nothing. Replies carry it on.",
            r#"on("message", |m| log::debug(`thread ${m.thread_id}`));"#,
        ),
        Function::new(
            "m.is_bot: bool",
            "Whether the sender is known to be a bot.",
            r#"on("message", |m| if !m.is_bot { m.reply("hello, human"); });"#,
        ),
        Function::new(
            "m.encrypted: bool",
            "Whether the real text is encrypted, so that `text` is empty or a stand-in; needs the option `encrypted`.",
            r#"on("message", #{ encrypted: true }, |m| if m.encrypted { m.reply("I cannot read this"); });"#,
        ),
        Function::new(
            "m.replaces: string",
            "The id of the message that this one corrects, or nothing.",
            r#"on("edit", |m| log::info(`${m.replaces} was meant as: ${m.text}`));"#,
        ),
        Function::new(
            "m.stanza_id: string",
            "The id that the server's archive gave it, or in a room the room; nothing where it gave none.",
            r#"on("message", |m| log::debug(`archived as ${m.stanza_id}`));"#,
        ),
        Function::new(
            "m.reply(text) -> string",
            "Answers where the message came from, in its thread. Gives the id of the answer. A text that is longer than the server takes, or than `limits.message` in bots.yaml, becomes several messages, split at lines; the id is that of the last.",
            r#"on("message", |m| { m.reply("hello"); });"#,
        ),
        Function::new(
            "m.reply(text, opts: map) -> string",
            "The same with `subject`, `lang`, `thread_id`, `kind`, `quote: true` (names the message that is answered, and quotes it for clients that know no replies), `spoiler` (`true` or a hint: hidden until asked for), `styled: false` (shown as it is written), `store: false` (not archived; `true`: archived in any case), `copy: false` (no copies), `split: false` (one message, or an error where it is too long), `mentions` (who is named by which word: `#{ Ann: \"ann@example.org\" }`, in a room also nicks: `[\"Ann\"]`) or `langs` (the same in other languages: `#{ no: \"hei\" }`).",
            r#"on("message", |m| { m.reply("hei", #{ lang: "no", langs: #{ en: "hello" }, quote: true }); });"#,
        ),
        Function::new(
            "m.typing()",
            "Shows that an answer is being written.",
            r#"on("message", |m| { m.typing(); m.reply("hm"); });"#,
        ),
        Function::new(
            "m.reply_file(name: string, mime: string, data: string|blob|Bytes)",
            "Answers with a file: uploads it, and sends it where an answer goes. If that fails, the log says why; `bot::upload` tells the script.",
            r#"command("log", "Get the log", |m, a| m.reply_file("log.txt", "text/plain", "nothing has happened"));"#,
        ),
        Function::new("m.stop()", "No further handler gets this message.", r#"on("message", |m| m.stop());"#),
    ],
    register,
};

/// A message as scripts hold it: read only, and cheap to copy.
#[derive(Clone)]
pub(in crate::script) struct MessageObject(pub Arc<Given>);

/// A message and what the runtime knows about it.
pub(in crate::script) struct Given {
    pub message: Message,
    pub is_bot: bool,
    /// The text, where it is not as it was written: without a mention of the bot, or one of the choices.
    pub said: Option<String>,
    /// Whether a room message mentions the bot.
    pub addressed: bool,
    /// The question it answers.
    pub asked: Option<Asked>,
}

impl Given {
    /// The text as handlers are given it.
    pub(in crate::script) fn text(&self) -> &str {
        self.said.as_deref().unwrap_or(&self.message.text)
    }
}

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    module.set_custom_type::<MessageObject>("Message");
    getter(module, "id", |m: &mut MessageObject| optional(m.0.message.id.as_deref()));
    getter(module, "from", |m: &mut MessageObject| m.0.message.from.as_str().to_owned());
    getter(module, "resource", |m: &mut MessageObject| optional(m.0.message.from.resource()));
    getter(module, "place", |m: &mut MessageObject| m.0.message.place.as_str().to_owned());
    getter(module, "room", |m: &mut MessageObject| {
        optional(m.0.message.room.as_ref().map(|room| room.as_str()))
    });
    getter(module, "nick", |m: &mut MessageObject| m.0.message.nick.clone());
    getter(module, "who", |m: &mut MessageObject| m.0.message.who.clone());
    getter(module, "identity", |m: &mut MessageObject| m.0.message.identity.as_str());
    getter(module, "real_jid", |m: &mut MessageObject| room::real_jid(m.0.message.real_jid.as_ref()));
    getter(module, "occupant_id", |m: &mut MessageObject| optional(m.0.message.occupant_id.as_deref()));
    getter(module, "role", |m: &mut MessageObject| optional(m.0.message.role.map(Role::as_str)));
    getter(module, "affiliation", |m: &mut MessageObject| {
        optional(m.0.message.affiliation.map(Affiliation::as_str))
    });
    getter(module, "text", |m: &mut MessageObject| m.0.text().to_owned());
    getter(module, "raw_text", |m: &mut MessageObject| m.0.message.text.clone());
    getter(module, "subject", |m: &mut MessageObject| optional(m.0.message.subject.as_deref()));
    getter(module, "lang", |m: &mut MessageObject| optional(m.0.message.lang.as_deref()));
    getter(module, "kind", |m: &mut MessageObject| kind_name(m.0.message.kind));
    getter(module, "delayed", |m: &mut MessageObject| {
        matches!(m.0.message.class, Class::Archive | Class::Delayed | Class::History)
    });
    getter(module, "stamp", |m: &mut MessageObject| -> Checked<Time> {
        turn::with(|turn| Ok(Time(m.0.message.stamp.unwrap_or(turn.moment.wall))))
    });
    getter(module, "thread_id", |m: &mut MessageObject| optional(m.0.message.thread.as_deref()));
    getter(module, "is_bot", |m: &mut MessageObject| m.0.is_bot);
    getter(module, "encrypted", |m: &mut MessageObject| m.0.message.encrypted);
    getter(module, "replaces", |m: &mut MessageObject| optional(m.0.message.replaces.as_deref()));
    getter(module, "stanza_id", |m: &mut MessageObject| optional(m.0.message.stanza_id.as_deref()));
    set(module, "reply", |m: &mut MessageObject, text: Dynamic| reply(&m.0.message, &text, &Map::new()));
    set(module, "reply", |m: &mut MessageObject, text: Dynamic, opts: Map| reply(&m.0.message, &text, &opts));
    set(module, "reply_file", |m: &mut MessageObject, name: &str, mime: &str, data: Dynamic| {
        let message = &m.0.message;
        let kind = answer_kind(message.kind);
        let recipient = memory::uncounted(|| Recipient {
            to: message.place.clone(),
            kind,
            thread: message.thread.clone(),
            in_room: message.room.is_some() && kind != MessageKind::Groupchat,
        });
        upload::ask_and_send(name, mime, &data, recipient)
    });
    set(module, "typing", |m: &mut MessageObject| -> Checked<()> {
        let to = m.0.message.place.clone();
        turn::act(|turn| turn.push(128, || Action::ChatState { to, state: ChatState::Composing }))
    });
    set(module, "stop", |_: &mut MessageObject| -> Checked<()> {
        turn::act(|turn| {
            turn.stopped = true;
            Ok(())
        })
    });
}

/// How a message of that kind is answered.
fn answer_kind(kind: MessageKind) -> MessageKind {
    match kind {
        MessageKind::Groupchat => MessageKind::Groupchat,
        MessageKind::Normal => MessageKind::Normal,
        MessageKind::Chat | MessageKind::Headline => MessageKind::Chat,
    }
}

pub(super) fn reply(message: &Message, text: &Dynamic, opts: &Map) -> Checked<String> {
    let kind = answer_kind(message.kind);
    let thread = message.thread.as_deref();
    if message.room.is_some() && kind != MessageKind::Groupchat {
        let marker = || vec![room::marker()];
        return send_as(&message.place, kind, thread, text, opts, Some(message), marker);
    }
    send_as(&message.place, kind, thread, text, opts, Some(message), Vec::new)
}

/// Answers a message in the runtime's own words.
pub(in crate::script) fn answer(message: &Message, text: &str) -> Checked<()> {
    reply(message, &text.into(), &Map::new()).map(drop)
}

/// Queues a message and gives its id.
pub(in crate::script) fn send(
    to: &Jid,
    kind: MessageKind,
    thread: Option<&str>,
    said: &Dynamic,
    opts: &Map,
) -> Checked<String> {
    send_with(to, kind, thread, said, opts, Vec::new)
}

/// The same with further child elements.
pub(super) fn send_with(
    to: &Jid,
    kind: MessageKind,
    thread: Option<&str>,
    said: &Dynamic,
    opts: &Map,
    payloads: impl Fn() -> Vec<Element>,
) -> Checked<String> {
    send_as(to, kind, thread, said, opts, None, payloads)
}

/// The same as the answer to a message, which it may quote.
fn send_as(
    to: &Jid,
    kind: MessageKind,
    thread: Option<&str>,
    said: &Dynamic,
    opts: &Map,
    answered: Option<&Message>,
    payloads: impl Fn() -> Vec<Element>,
) -> Checked<String> {
    turn::act(|turn| {
        let known =
            ["kind", "lang", "subject", "thread_id"].into_iter().chain(manner::OPTIONS.iter().copied());
        known_keys("reply", opts, &known.collect::<Vec<_>>())?;
        let said = words(said, turn.limits.string)?;
        let manner = manner::read(opts, to, answered, turn.limits.string)?;
        let (subject, lang) = (text(opts, "subject")?, text(opts, "lang")?);
        let thread = text(opts, "thread_id")?.or_else(|| thread.map(str::to_owned));
        for text in [&subject, &lang, &thread].into_iter().flatten() {
            check_characters(text)?;
        }
        let kind = match text(opts, "kind")? {
            Some(name) => kind_of(&name)?,
            None => kind,
        };
        Saying { to, kind, text: &said, subject, lang, thread, manner }.queue(turn, payloads)
    })
}

fn kind_name(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Chat => "chat",
        MessageKind::Groupchat => "groupchat",
        MessageKind::Headline => "headline",
        MessageKind::Normal => "normal",
    }
}

fn kind_of(name: &str) -> Result<MessageKind, Thrown> {
    Ok(match name {
        "chat" => MessageKind::Chat,
        "groupchat" => MessageKind::Groupchat,
        "headline" => MessageKind::Headline,
        "normal" => MessageKind::Normal,
        _ => {
            let message = format!("`kind` is `chat`, `normal`, `groupchat` or `headline`, not `{name}`");
            return Err(Thrown::new(Kind::Runtime, message));
        }
    })
}
