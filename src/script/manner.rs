//! How a message is sent: what options of `reply` and `bot::send` put beside the text.

use rhai::{Dynamic, Map};

use crate::event::Message;
use crate::jid::Jid;
use crate::script::api::{check_characters, words};
use crate::script::declare::wrong;
use crate::script::error::{Kind, Thrown};
use crate::script::memory;
use crate::stanza::MessageKind;
use crate::xep::{fallback, hints, replies, spoilers, styling};
use crate::xml::Element;

/// The options that this file knows.
pub(super) const OPTIONS: &[&str] =
    &["copy", "langs", "mentions", "quote", "spoiler", "split", "store", "styled"];

/// Languages that one message may have beside the first.
const LANGS: usize = 8;

/// Whom one message may name.
const MENTIONS: usize = 32;

/// What goes out beside the text, and in front of it.
pub(super) struct Manner {
    pub before: String,
    /// Where there are several messages, with the first of them.
    pub once: Vec<Element>,
    /// With each of them.
    pub payloads: Vec<Element>,
    /// Whether the text is there in other languages too.
    pub bodies: bool,
    /// Whether it may become several messages.
    pub split: bool,
    /// Who is named.
    pub mentions: Vec<Mention>,
    /// About how many bytes it takes.
    pub weight: usize,
}

/// Somebody who is named in the text, XEP-0372.
pub(super) struct Mention {
    pub word: String,
    pub address: String,
}

impl Mention {
    /// At most so many bytes are its element.
    pub(super) fn written(&self) -> usize {
        128 + 3 * self.address.len()
    }
}

/// Reads the options. `to` is the recipient, `answered` is the message that a reply answers.
///
/// # Errors
/// Where a value is of the wrong type, or a quotation has nothing to quote.
pub(super) fn read(opts: &Map, to: &Jid, answered: Option<&Message>, limit: usize) -> Result<Manner, Thrown> {
    let mut manner = Manner {
        before: String::new(),
        once: Vec::new(),
        payloads: Vec::new(),
        bodies: false,
        split: flag(opts, "split", true)?,
        mentions: Vec::new(),
        weight: 0,
    };
    if flag(opts, "quote", false)? {
        let Some(message) = answered else {
            return Err(Thrown::new(Kind::Runtime, "only a reply can quote")
                .hint("use `m.reply(text, #{ quote: true })`"));
        };
        quote(message, &mut manner);
    }
    match opts.get("spoiler").filter(|value| !value.is_unit() && value.as_bool() != Ok(false)) {
        None => {}
        Some(value) if value.is_bool() => put(&mut manner, || spoilers::spoiler(None)),
        Some(value) => {
            let hint =
                value.as_immutable_string_ref().map_err(|_| wrong("spoiler", "a string or true", value))?;
            check_characters(&hint)?;
            manner.weight += hint.len();
            put(&mut manner, || spoilers::spoiler(Some(&hint)));
        }
    }
    for (name, hint) in [
        ("styled", styling::unstyled as fn() -> Element),
        ("store", hints::no_store),
        ("copy", hints::no_copy),
    ] {
        if !flag(opts, name, true)? {
            put(&mut manner, hint);
        }
    }
    // `true` asks for more than nothing does: servers keep also what they would let go.
    if opts.get("store").is_some_and(|value| value.as_bool() == Ok(true)) {
        put(&mut manner, hints::store);
    }
    if let Some(langs) = opts.get("langs").filter(|value| !value.is_unit()) {
        bodies(langs, limit, &mut manner)?;
    }
    if let Some(named) = opts.get("mentions").filter(|value| !value.is_unit()) {
        mentions(named, to, &mut manner)?;
    }
    Ok(manner)
}

fn put(manner: &mut Manner, make: impl FnOnce() -> Element) {
    manner.weight += 256;
    // It ends up in an action, which is freed by the account.
    memory::uncounted(|| manner.payloads.push(make()));
}

/// The same for what goes with the first message only.
fn put_once(manner: &mut Manner, make: impl FnOnce() -> Element) {
    manner.weight += 256;
    memory::uncounted(|| manner.once.push(make()));
}

/// Who is named by which word: `#{ Ann: "ann@example.org" }`, in a room also `["Ann"]`.
fn mentions(named: &Dynamic, to: &Jid, manner: &mut Manner) -> Result<(), Thrown> {
    let shape = || wrong("mentions", "a map such as #{ Ann: \"ann@example.org\" } or nicks", named);
    let pairs: Vec<(String, String)> = if let Ok(map) = named.as_map_ref() {
        let pair = |(word, address): (&rhai::Identifier, &Dynamic)| {
            Some((word.to_string(), address.as_immutable_string_ref().ok()?.to_string()))
        };
        map.iter().map(pair).collect::<Option<_>>().ok_or_else(shape)?
    } else if let Ok(nicks) = named.as_array_ref() {
        let pair = |nick: &Dynamic| {
            let nick = nick.as_immutable_string_ref().ok()?;
            Some((nick.to_string(), format!("{}/{}", to.bare_str(), *nick)))
        };
        nicks.iter().map(pair).collect::<Option<_>>().ok_or_else(shape)?
    } else {
        return Err(shape());
    };
    if pairs.len() > MENTIONS {
        return Err(Thrown::new(Kind::Size, format!("`mentions` names at most {MENTIONS}")));
    }
    for (word, address) in pairs {
        check_characters(&word)?;
        let address = Jid::parse(&address).map_err(|why| {
            Thrown::new(Kind::Runtime, format!("`mentions`: `{address}` is no address: {why}"))
        })?;
        if word.is_empty() {
            return Err(Thrown::new(Kind::Runtime, "`mentions`: the word is empty"));
        }
        let mention = Mention { word, address: address.as_str().to_owned() };
        manner.weight += mention.written();
        manner.mentions.push(mention);
    }
    Ok(())
}

/// A message that has no id others know it by can be quoted, and not named.
fn quote(message: &Message, manner: &mut Manner) {
    let id = match message.kind {
        MessageKind::Groupchat => message.stanza_id.as_deref(),
        MessageKind::Chat | MessageKind::Headline | MessageKind::Normal => message.id.as_deref(),
    };
    manner.before = replies::quotation(&message.text);
    manner.weight += manner.before.len();
    if let Some(id) = id {
        let end = manner.before.chars().count();
        put_once(manner, || replies::reply(&message.from, id));
        put_once(manner, || fallback::beginning(replies::NS, end));
    }
}

/// The same in other languages, RFC 6121 §5.2.3: the recipient's client chooses.
fn bodies(langs: &Dynamic, limit: usize, manner: &mut Manner) -> Result<(), Thrown> {
    let langs = langs.as_map_ref().map_err(|_| wrong("langs", "a map such as #{ no: \"hei\" }", langs))?;
    if langs.len() > LANGS {
        return Err(Thrown::new(Kind::Size, format!("`langs` holds at most {LANGS} languages")));
    }
    for (lang, text) in langs.iter() {
        let plain = lang.len() <= 35 && lang.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !plain || lang.is_empty() {
            return Err(Thrown::new(
                Kind::Runtime,
                format!("`{lang}` is no language, such as `no` or `pt-BR`"),
            ));
        }
        let text = words(text, limit)?;
        manner.weight += text.len();
        let body = || {
            Element::new("body", crate::ns::CLIENT).with_lang(Some(lang.as_str())).with_text(text.as_str())
        };
        manner.bodies = true;
        put_once(manner, body);
    }
    Ok(())
}

fn flag(opts: &Map, name: &'static str, otherwise: bool) -> Result<bool, Thrown> {
    match opts.get(name).filter(|value| !value.is_unit()) {
        None => Ok(otherwise),
        Some(value) => value.as_bool().map_err(|_| wrong(name, "true or false", value)),
    }
}
