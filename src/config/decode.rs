//! Typed values out of a [`Node`] tree; each problem is noted and decoding goes on.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Number, Value};

use crate::config::schema::{Section, section};
use crate::config::settings::{HostPort, Rate};
use crate::config::units::{self, AmountError};
use crate::config::yaml::{Entry, Kind, Node};
use crate::diagnostic::{Diagnostic, Label, Place, Source, did_you_mean, nearest};
use crate::jid::{BareJid, Jid, JidError};

/// Collects the problems of one file while its values are read.
pub struct Decoder {
    /// The file.
    pub source: Arc<Source>,
    /// The line of an accounts file whose values are in the tree at the moment.
    pub row: Option<Place>,
    /// Every problem so far.
    pub problems: Vec<Diagnostic>,
}

impl Decoder {
    /// A decoder for the values of one file.
    pub fn new(source: Arc<Source>, problems: Vec<Diagnostic>) -> Self {
        Self { source, row: None, problems }
    }

    /// Where a value stands.
    pub fn place(&self, node: &Node) -> Place {
        Place::new(&self.source, node.span.clone())
    }

    /// Where a value comes from: its line of an accounts file, or where it stands.
    pub fn origin(&self, node: &Node) -> Place {
        match &self.row {
            Some(row) if node.from_row => row.clone(),
            _ => self.place(node),
        }
    }

    /// Where a key stands.
    pub fn key_place(&self, entry: &Entry) -> Place {
        Place::new(&self.source, entry.key_span.clone())
    }

    /// Notes a problem with a value, at the line of the accounts file if it comes from there.
    pub fn report(&mut self, found: Diagnostic, node: &Node, label: impl Into<String>) {
        let place = self.place(node);
        let found = match (&self.row, node.from_row) {
            (Some(row), true) if node.span.is_empty() => found.at(row.clone(), label),
            (Some(row), true) => {
                let labels = [(row.clone(), "in this line".to_owned()), (place, label.into())];
                Diagnostic { labels: labels.map(|(place, text)| Label { place, text }).to_vec(), ..found }
            }
            _ => found.at(place, label),
        };
        // A value of `defaults` or a template is read once per bot; its problem is told once.
        if !self.problems.contains(&found) {
            self.problems.push(found);
        }
    }

    /// Notes a problem that has its place already.
    pub fn note(&mut self, found: Diagnostic) {
        if !self.problems.contains(&found) {
            self.problems.push(found);
        }
    }

    /// Checks that a value is a map with keys of the section; tells every key that is not.
    /// Nothing at all is an empty map.
    pub fn map(&mut self, node: &Node, name: &str) -> bool {
        let known = section(name);
        match &node.kind {
            Kind::Null => return true,
            Kind::Map(_) => {}
            Kind::Scalar { .. } | Kind::List(_) => {
                let names: Vec<_> = known.names().collect();
                let message = format!("`{}` must be a map, found {}", known.place, what(node));
                let hint = format!("its keys are {}", listed(&names));
                self.report(Diagnostic::error("config::type", message).hint(hint), node, "not a map");
                return false;
            }
        }
        for entry in node.entries() {
            let free = name.is_empty() && entry.key.starts_with("x-");
            if !free && !entry.key.is_empty() && !known.names().any(|it| it == entry.key) {
                self.unknown_key(entry, known);
            }
        }
        true
    }

    fn unknown_key(&mut self, entry: &Entry, known: &Section) {
        let key = &entry.key;
        let place = self.key_place(entry);
        if known.later.contains(&key.as_str()) {
            let message = format!("`{key}` is not available yet in this version");
            let hint = "leave it out: it would do nothing";
            self.note(Diagnostic::error("config::not_available", message).at(place, "not yet").hint(hint));
            return;
        }
        let names: Vec<_> = known.names().collect();
        let hint = did_you_mean(key, names.iter().copied()).unwrap_or_else(|| {
            let elsewhere = crate::config::schema::sections::SECTIONS
                .iter()
                .find(|it| it.names().any(|name| name == key));
            match elsewhere {
                _ if names.is_empty() => "no key is known here".to_owned(),
                Some(other) if !other.place.is_empty() && !other.name.is_empty() => {
                    format!("`{key}` is a key of `{}`; known here: {}", other.place, listed(&names))
                }
                _ => format!("known here: {}", listed(&names)),
            }
        });
        let message = format!("unknown key `{key}` in `{}`", known.place);
        self.note(Diagnostic::error("config::unknown_key", message).at(place, "unknown").hint(hint));
    }

    /// The items of a list; nothing at all is an empty list.
    pub fn list<'n>(&mut self, node: &'n Node, of: &str) -> Option<&'n [Node]> {
        match &node.kind {
            Kind::List(items) => Some(items),
            Kind::Null => Some(&[]),
            Kind::Scalar { .. } | Kind::Map(_) => {
                let message = format!("a list of {of} is needed, found {}", what(node));
                let hint =
                    matches!(node.kind, Kind::Scalar { .. }).then(|| "write `[…]` around it".to_owned());
                self.report(Diagnostic::error("config::type", message).hint_if(hint), node, "not a list");
                None
            }
        }
    }

    /// The entries of a map with free keys; nothing at all is an empty map.
    pub fn named<'n>(&mut self, node: &'n Node, of: &str) -> Option<&'n [Entry]> {
        match &node.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Null => Some(&[]),
            Kind::Scalar { .. } | Kind::List(_) => {
                let message = format!("a map of {of} is needed, found {}", what(node));
                let hint = "write `name:` in front of each";
                self.report(Diagnostic::error("config::type", message).hint(hint), node, "not a map");
                None
            }
        }
    }

    /// Text: anything but a map, a list or nothing. `no` and `5` are text as well.
    pub fn text<'n>(&mut self, node: &'n Node, of: &str) -> Option<&'n str> {
        match &node.kind {
            Kind::Scalar { text, .. } if !text.is_empty() => Some(text),
            Kind::Scalar { .. } | Kind::Null => {
                self.report(
                    Diagnostic::error("config::missing", format!("{of} is empty")),
                    node,
                    "nothing here",
                );
                None
            }
            Kind::List(_) | Kind::Map(_) => {
                let message = format!("{of} must be text, found {}", what(node));
                self.report(Diagnostic::error("config::type", message), node, "not text");
                None
            }
        }
    }

    /// One of some words.
    pub fn choice<T: Clone>(&mut self, node: &Node, of: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, of)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| value.clone());
        if found.is_none() {
            let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let hint = match nearest(text, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`? It is one of {}", listed(&names)),
                None => format!("it is one of {}", listed(&names)),
            };
            let message = format!("`{text}` is no value of {of}");
            self.report(Diagnostic::error("config::choice", message).hint(hint), node, "unknown word");
        }
        found
    }

    /// `true` or `false`, without quotes.
    pub fn boolean(&mut self, node: &Node, of: &str) -> Option<bool> {
        let text = self.text(node, of)?;
        match (text, &node.kind) {
            ("true", Kind::Scalar { plain: true, .. }) => Some(true),
            ("false", Kind::Scalar { plain: true, .. }) => Some(false),
            _ => {
                let hint = match text.to_lowercase().as_str() {
                    "yes" | "on" | "true" | "1" => "write `true`, without quotes",
                    "no" | "off" | "false" | "0" => "write `false`, without quotes",
                    _ => "write `true` or `false`",
                };
                let message = format!("{of} is a boolean, `{text}` is text");
                self.report(Diagnostic::error("config::type", message).hint(hint), node, "not a boolean");
                None
            }
        }
    }

    /// A whole number.
    pub fn integer(&mut self, node: &Node, of: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let text = self.text(node, of)?;
        match text.parse::<i64>() {
            Ok(number) => self.within(node, of, number, range, |it| it.to_string()),
            Err(_) => {
                let message = format!("{of} is a whole number, `{text}` is not");
                self.report(Diagnostic::error("config::type", message), node, "not a number");
                None
            }
        }
    }

    /// A duration with its unit.
    pub fn duration(&mut self, node: &Node, of: &str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let text = self.text(node, of)?;
        let examples = ("a duration", "`50ms`, `30s`, `5m` or `1h30m`", format!("`{text}s` or `{text}ms`"));
        let value = self.amount(node, of, text, units::duration(text), examples)?;
        self.within(node, of, value, range, units::show_duration)
    }

    /// A rate with its unit; `Some(None)` for the word `none`.
    pub fn rate(&mut self, node: &Node, of: &str) -> Option<Option<Rate>> {
        let text = self.text(node, of)?;
        if text == "none" {
            return Some(None);
        }
        let examples = ("a rate", "`2/s`, `30/m` or `none`", format!("`{text}/s` or `{text}/m`"));
        self.amount(node, of, text, units::rate(text), examples).map(Some)
    }

    /// A size in bytes with its unit.
    pub fn size(&mut self, node: &Node, of: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let text = self.text(node, of)?;
        let examples = ("a size", "`64KiB` or `4MiB`", format!("`{text}KiB` or `{text}B`"));
        let value = self.amount(node, of, text, units::size(text), examples)?;
        self.within(node, of, value, range, units::show_size)
    }

    /// A count.
    pub fn count(&mut self, node: &Node, of: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let text = self.text(node, of)?;
        let value =
            self.amount(node, of, text, units::count(text), ("a count", "`1000` or `200k`", String::new()))?;
        self.within(node, of, value, range, units::show_count)
    }

    fn amount<T>(
        &mut self,
        node: &Node,
        of: &str,
        text: &str,
        amount: Result<T, AmountError>,
        (kind, examples, with_unit): (&str, &str, String),
    ) -> Option<T> {
        let (name, message, hint, label) = match amount {
            Ok(value) => return Some(value),
            Err(AmountError::Unitless) => {
                ("config::unit", format!("{of} needs a unit"), format!("write {with_unit}"), "which unit?")
            }
            Err(AmountError::Form) => {
                let message = format!("{of} is {kind}, `{text}` is not");
                ("config::amount", message, format!("write it like {examples}"), "not understood")
            }
            Err(AmountError::TooLarge) => (
                "config::range",
                format!("`{text}` is too much for {of}"),
                "write a smaller one".to_owned(),
                "too much",
            ),
        };
        self.report(Diagnostic::error(name, message).hint(hint), node, label);
        None
    }

    fn within<T: PartialOrd + Copy>(
        &mut self,
        node: &Node,
        of: &str,
        value: T,
        range: RangeInclusive<T>,
        show: impl Fn(T) -> String,
    ) -> Option<T> {
        if range.contains(&value) {
            return Some(value);
        }
        let message = format!("{of} is out of range: {}", show(value));
        let hint = format!("it goes from {} to {}", show(*range.start()), show(*range.end()));
        self.report(Diagnostic::error("config::range", message).hint(hint), node, "out of range");
        None
    }

    /// An address without a resource; `local` when it must have a localpart.
    pub fn address(&mut self, node: &Node, of: &str, local: bool) -> Option<BareJid> {
        let text = self.text(node, of)?;
        let (message, hint) = match BareJid::parse(text) {
            Ok(address) if !local || address.local().is_some() => return Some(address),
            Ok(_) => (
                format!("{of} is not a bare JID: expected `local@domain`, found `{text}`"),
                Some(format!("write the account in front: `name@{text}`")),
            ),
            Err(JidError::NotBare) => {
                let bare = Jid::parse(text).map(|jid| jid.bare_str().to_owned()).unwrap_or_default();
                (format!("{of} must not name a resource: `{text}`"), Some(format!("write `{bare}`")))
            }
            Err(error) => (format!("{of} is not an address: {error}"), None),
        };
        self.report(Diagnostic::error("config::address", message).hint_if(hint), node, "not a bare JID");
        None
    }

    /// `host:port`, an IPv6 address in brackets.
    pub fn host_port(&mut self, node: &Node, of: &str) -> Option<HostPort> {
        let text = self.text(node, of)?;
        match HostPort::parse(text) {
            Some(found) => Some(found),
            None => {
                let host = text.strip_suffix(':').unwrap_or(text);
                let whole = format!("{host}:5222");
                let hint = match HostPort::parse(&whole) {
                    Some(_) if !host.contains(':') => format!("write `{whole}`"),
                    _ => "write it like `xmpp.example.org:5222` or `[2001:db8::1]:5222`".to_owned(),
                };
                let message = format!("{of} must be `host:port`, found `{text}`");
                self.report(
                    Diagnostic::error("config::server", message).hint(hint),
                    node,
                    "not a host and port",
                );
                None
            }
        }
    }

    /// Any value as scripts see it: `true`, `false`, decimal numbers and null keep their type
    /// unless quoted; everything else is text, `no` and `0052` too.
    pub fn value(&mut self, node: &Node) -> Value {
        match &node.kind {
            Kind::Null => Value::Null,
            Kind::Scalar { text, plain: false } => Value::String(text.clone()),
            Kind::Scalar { text, plain: true } => plain_value(text),
            Kind::List(items) => Value::Array(items.iter().map(|item| self.value(item)).collect()),
            Kind::Map(entries) => Value::Object(self.values(entries)),
        }
    }

    /// A map as scripts see it.
    pub fn values(&mut self, entries: &[Entry]) -> Map<String, Value> {
        entries.iter().map(|entry| (entry.key.clone(), self.value(&entry.value))).collect()
    }
}

fn plain_value(text: &str) -> Value {
    match text {
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let numeric =
        digits.starts_with(|c: char| c.is_ascii_digit()) && digits.ends_with(|c: char| c.is_ascii_digit());
    if !numeric || leading_zero {
        return Value::String(text.to_owned());
    }
    if let Ok(number) = text.parse::<i64>() {
        return Value::Number(number.into());
    }
    let decimal =
        digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    let float = text.parse::<f64>().ok().filter(|_| decimal && digits.contains('.'));
    float.and_then(Number::from_f64).map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

/// What a value is, in words.
pub fn what(node: &Node) -> String {
    match &node.kind {
        Kind::Null => "nothing".to_owned(),
        Kind::Scalar { text, .. } if text.chars().count() <= 40 => format!("`{text}`"),
        Kind::Scalar { .. } => "text".to_owned(),
        Kind::List(_) => "a list".to_owned(),
        Kind::Map(_) => "a map".to_owned(),
    }
}

/// `a`, `b` and `c`, in backquotes.
pub fn listed<T: Display>(names: &[T]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        all => all.join(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml::parse;

    #[test]
    fn plain_words_stay_words_for_scripts() {
        for (text, expected) in [
            ("no", serde_json::json!("no")),
            ("yes", serde_json::json!("yes")),
            ("True", serde_json::json!("True")),
            ("true", serde_json::json!(true)),
            ("\"true\"", serde_json::json!("true")),
            ("5", serde_json::json!(5)),
            ("-5", serde_json::json!(-5)),
            ("0052", serde_json::json!("0052")),
            ("0x1f", serde_json::json!("0x1f")),
            ("1.5", serde_json::json!(1.5)),
            ("0.5", serde_json::json!(0.5)),
            ("1.2.3", serde_json::json!("1.2.3")),
            ("1e3", serde_json::json!("1e3")),
            ("5-3", serde_json::json!("5-3")),
            ("~", serde_json::json!(null)),
            ("99999999999999999999", serde_json::json!("99999999999999999999")),
            ("[a, { b: 1 }]", serde_json::json!(["a", { "b": 1 }])),
        ] {
            assert_eq!(with(text, |decoder, node| decoder.value(node)).0, expected, "{text}");
        }
    }

    #[test]
    fn booleans_are_true_and_false_only() {
        assert_eq!(with("true", |it, node| it.boolean(node, "x")).0, Some(true));
        for text in ["yes", "no", "on", "True", "\"true\"", "1", "[]", "~"] {
            let (value, found) = with(text, |it, node| it.boolean(node, "x"));
            assert!(value.is_none() && found.len() == 1, "{text}");
        }
    }

    #[test]
    fn host_and_port_come_apart() {
        for (text, host, port) in [
            ("a.example:5222", "a.example", 5222),
            ("\"[::1]:80\"", "::1", 80),
            ("127.0.0.1:1", "127.0.0.1", 1),
        ] {
            let expected = Some(HostPort { host: host.to_owned(), port });
            assert_eq!(with(text, |it, node| it.host_port(node, "x")).0, expected);
        }
        for text in ["a.example", "a:0", "a:70000", "\":5222\"", "\"::1\"", "\"a b:1\"", "\"xmpp://a:1\""] {
            let (value, found) = with(text, |it, node| it.host_port(node, "x"));
            assert!(value.is_none() && found.len() == 1, "{text}");
        }
    }

    #[test]
    fn an_address_needs_its_account() {
        assert!(with("a@b", |it, node| it.address(node, "x", true)).0.is_some());
        assert!(with("b", |it, node| it.address(node, "x", false)).0.is_some());
        for (text, hint) in [
            ("b.example", Some("write the account in front: `name@b.example`")),
            ("a@b/c", Some("write `a@b`")),
        ] {
            let (_, found) = with(text, |it, node| it.address(node, "x", true));
            assert_eq!(found[0].hint.as_deref(), hint);
        }
    }

    #[test]
    fn the_same_problem_is_told_once() {
        let (_, found) = with("5", |it, node| {
            let range = Duration::ZERO..=Duration::MAX;
            (it.duration(node, "x", range.clone()), it.duration(node, "x", range))
        });
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].hint.as_deref(), Some("write `5s` or `5ms`"));
    }

    fn with<T>(text: &str, read: impl Fn(&mut Decoder, &Node) -> T) -> (T, Vec<Diagnostic>) {
        let (source, root, found) = parse("t", text);
        assert!(found.is_empty(), "{found:?}");
        let mut decoder = Decoder::new(source, Vec::new());
        let value = read(&mut decoder, &root.unwrap());
        (value, decoder.problems)
    }
}
