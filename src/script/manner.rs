//! How a message is sent: what options of `reply` and `bot::send` put beside the text.

use rhai::{Dynamic, Map};

use crate::event::Message;
use crate::script::api::{check_characters, words};
use crate::script::declare::wrong;
use crate::script::error::{Kind, Thrown};
use crate::script::memory;
use crate::stanza::MessageKind;
use crate::xep::{fallback, hints, replies, spoilers, styling};
use crate::xml::Element;

/// The options that this file knows.
pub(super) const OPTIONS: &[&str] = &["copy", "langs", "quote", "spoiler", "store", "styled"];

/// Languages that one message may have beside the first.
const LANGS: usize = 8;

/// What goes out beside the text, and in front of it.
#[derive(Default)]
pub(super) struct Manner {
    pub before: String,
    pub payloads: Vec<Element>,
    /// About how many bytes it takes.
    pub weight: usize,
}

/// Reads the options. `answered` is the message that a reply answers.
///
/// # Errors
/// Where a value is of the wrong type, or a quotation has nothing to quote.
pub(super) fn read(opts: &Map, answered: Option<&Message>, limit: usize) -> Result<Manner, Thrown> {
    let mut manner = Manner::default();
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
    if let Some(langs) = opts.get("langs").filter(|value| !value.is_unit()) {
        bodies(langs, limit, &mut manner)?;
    }
    Ok(manner)
}

fn put(manner: &mut Manner, make: impl FnOnce() -> Element) {
    manner.weight += 256;
    // It ends up in an action, which is freed by the account.
    memory::uncounted(|| manner.payloads.push(make()));
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
        put(manner, || replies::reply(&message.from, id));
        put(manner, || fallback::beginning(replies::NS, end));
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
        put(manner, body);
    }
    Ok(())
}

fn flag(opts: &Map, name: &'static str, otherwise: bool) -> Result<bool, Thrown> {
    match opts.get(name).filter(|value| !value.is_unit()) {
        None => Ok(otherwise),
        Some(value) => value.as_bool().map_err(|_| wrong(name, "true or false", value)),
    }
}
