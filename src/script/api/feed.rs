//! `feed::parse(text)`: RSS, Atom and JSON feeds as arrays of maps.

use feed_rs::model::Entry;
use feed_rs::parser::Builder;
use jiff::Timestamp;
use rhai::{Array, Dynamic, EvalAltResult, Map, Module};

use crate::script::api::http::BytesObject;
use crate::script::api::time::Time;
use crate::script::api::{Area, Function, put};
use crate::script::budget;
use crate::script::error::{Kind, Thrown};
use crate::script::outside;
use crate::script::turn;
use crate::script::values;

pub(super) const AREA: Area = Area {
    title: "Feeds",
    module: Some("feed"),
    about: "News that others publish.",
    objects: &[],
    functions: &[Function {
        signature: "feed::parse(body: string|Bytes) -> array",
        about: "The entries of an RSS, Atom or JSON feed, the oldest first: maps of `id`, `title`, `link`, `summary`, `author` (texts, cut where they are long, without markup) and `published` (a time); what is missing is `()`. `id` is the feed's own for the entry, else its link. Of a long feed it gives the newest, about a hundred. What is no feed is an error, which `try` catches.",
        example: r#"every("15m", || http::get("https://blog.feeds.example/rss.xml", |res| {
    if !res.ok { return; }
    for item in feed::parse(res.body) {
        if store::once("item/" + item.id, "60d") { bot::send("ann@example.org", `${item.title} ${item.link}`); }
    }
}));"#,
    }],
    register,
};

/// Characters of a title, an author, a link or an id, and of a summary.
const SHORT: usize = 300;
const SUMMARY: usize = 500;
const LINK: usize = 2_000;
/// Keys of an entry.
const KEYS: usize = 6;

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    put(module, "parse", |body: Dynamic| -> Checked<Array> {
        if let Some(bytes) = body.read_lock::<BytesObject>() {
            return parse(bytes.bytes());
        }
        match body.as_immutable_string_ref() {
            Ok(text) => parse(text.as_bytes()),
            Err(_) => {
                let message = format!("a feed is the body of an answer, not a {}", values::kind(&body));
                Err(Thrown::new(Kind::Runtime, message).into())
            }
        }
    });
}

fn parse(body: &[u8]) -> Checked<Array> {
    // What the parser makes of it is some ten times as large.
    if body.len() > outside::LARGEST
        || body.len().saturating_mul(10) > budget::memory_left().saturating_mul(4)
    {
        return Err(Thrown::new(Kind::Size, format!("a feed of {} bytes is too large", body.len())).into());
    }
    let parser = Builder::new()
        .id_generator(|links, title, uri| {
            let link = links.first().map(|link| link.href.clone());
            let title = || title.as_ref().map(|title| title.content.clone());
            link.or_else(title).or_else(|| uri.map(str::to_owned)).unwrap_or_default()
        })
        .build();
    let feed = parser.parse(body).map_err(|why| {
        Thrown::new(Kind::Runtime, format!("this is no feed: {}", first_line(&why.to_string())))
            .hint("it is read as RSS, Atom or JSON Feed; `try { … } catch (why) { … }` goes on without it")
    })?;
    let mut entries = feed.entries;
    // Feeds have the newest first; dates say it better where all have one.
    entries.reverse();
    if entries.iter().all(|entry| moment(entry).is_some()) {
        entries.sort_by_key(moment);
    }
    Ok(newest(&entries))
}

/// As many of the newest entries as a script's limits take, with room to work with them.
fn newest(entries: &[Entry]) -> Array {
    let (keys, mut bytes) = turn::sizes();
    let mut items = Vec::new();
    bytes = bytes / 4 * 3;
    for entry in entries.iter().rev().take(keys / KEYS * 3 / 4) {
        let (item, size) = item(entry);
        if size > bytes {
            break;
        }
        bytes -= size;
        items.push(item);
    }
    items.reverse();
    items
}

fn item(entry: &Entry) -> (Dynamic, usize) {
    let link = entry.links.iter().find(|link| link.rel.as_deref().is_none_or(|rel| rel == "alternate"));
    let link = link.or(entry.links.first()).map(|link| cut(&link.href, LINK));
    let title = entry.title.as_ref().map(|title| cut(&plain(&title.content), SHORT));
    let content = || entry.content.as_ref().and_then(|content| content.body.as_ref());
    let summary = entry.summary.as_ref().map(|summary| &summary.content).or_else(content);
    let summary = summary.map(|summary| cut(&plain(summary), SUMMARY));
    let author = entry.authors.first().map(|author| cut(&author.name, SHORT));
    let id = if entry.id.is_empty() { link.clone().unwrap_or_default() } else { cut(&entry.id, LINK) };
    let mut size = 0;
    let mut map = Map::new();
    let texts =
        [("id", Some(id)), ("title", title), ("link", link), ("summary", summary), ("author", author)];
    for (key, text) in texts {
        size += key.len() + text.as_ref().map_or(0, String::len);
        map.insert(key.into(), text.filter(|text| !text.is_empty()).map_or(Dynamic::UNIT, Dynamic::from));
    }
    map.insert("published".into(), moment(entry).map_or(Dynamic::UNIT, |at| Dynamic::from(Time(at))));
    (Dynamic::from_map(map), size + "published".len())
}

fn moment(entry: &Entry) -> Option<Timestamp> {
    let at = entry.published.or(entry.updated)?;
    Timestamp::from_second(at.timestamp()).ok()
}

/// Text without tags, and with the characters that entities stand for.
fn plain(html: &str) -> String {
    // The reader of feeds has undone one level of escaping; what is left is HTML, and often is none.
    let mut text = String::with_capacity(html.len().min(4 * SUMMARY));
    let mut rest = html.get(..floor(html, 16 * SUMMARY)).unwrap_or(html);
    while let Some(at) = rest.find(['<', '&']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let tag =
            rest.starts_with("</") || rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '!');
        if rest.starts_with('<') && tag {
            let end = rest.find('>').map_or(rest.len(), |end| end + 1);
            text.push(' ');
            rest = &rest[end..];
            continue;
        }
        // Only a few bytes are looked at: a text of nothing but `&` would be read from end to end for each of them.
        let semicolon = rest.bytes().take(12).position(|byte| byte == b';');
        match semicolon.and_then(|end| Some((entity(&rest[1..end])?, end))) {
            Some((character, end)) if rest.starts_with('&') => {
                text.push(character);
                rest = &rest[end + 1..];
            }
            _ => {
                text.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
    }
    text.push_str(rest);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn entity(name: &str) -> Option<char> {
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    match name {
        "amp" => Some('&'),
        "apos" | "#39" => Some('\''),
        "gt" => Some('>'),
        "hellip" => Some('…'),
        "lt" => Some('<'),
        "mdash" => Some('—'),
        "nbsp" => Some(' '),
        "ndash" => Some('–'),
        "quot" => Some('"'),
        _ => match (name.strip_prefix("#x"), name.strip_prefix('#')) {
            (Some(digits), _) => number(digits, 16),
            (None, Some(digits)) => number(digits, 10),
            (None, None) => None,
        }
        .filter(|character| !character.is_control()),
    }
}

/// At most so many characters; what was cut ends in `…`.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The last boundary between characters up to `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn first_line(text: &str) -> String {
    cut(text.lines().next().unwrap_or_default(), 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_goes_and_text_stays() {
        for (html, text) in [
            ("<p>One &amp; <b>two</b></p>\n<p>three</p>", "One & two three"),
            ("1 < 2 &gt; 0 & more", "1 < 2 > 0 & more"),
            ("&#8217;&#x41;&#0;&unknown;&", "’A&#0;&unknown;&"),
            ("<unclosed", ""),
            ("a <!-- b --> c", "a c"),
        ] {
            assert_eq!(plain(html), text, "{html}");
        }
    }
}
