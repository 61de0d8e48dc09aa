//! YAML text to a tree that knows where each value stands; the one file that names the parser.
//!
//! Serde stops at the first wrong value, so the tree is built from parser events and decoded by
//! [`crate::config::decode`], which goes on after each problem.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, Span, Tag};

use crate::diagnostic::{Diagnostic, Place, Source};

/// One value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Bytes of the source: the scalar, or a collection from its start to its end.
    pub span: Range<usize>,
    /// What it is.
    pub kind: Kind,
    /// Whether a column of an accounts file was put in; problems then belong to that line.
    pub from_row: bool,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// `null`, `~` or nothing at all.
    Null,
    /// Text; `plain` without quotes, so that `true` and `5` may mean more than letters.
    Scalar { text: String, plain: bool },
    /// `[a, b]` or lines with dashes.
    List(Vec<Node>),
    /// Keys and values in the order of the file; a key occurs once.
    Map(Vec<Entry>),
}

/// One key of a map with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key as text.
    pub key: String,
    /// Where the key stands.
    pub key_span: Range<usize>,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// The value of a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The entries, if this is a map.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            Kind::Null | Kind::Scalar { .. } | Kind::List(_) => &[],
        }
    }

    /// An empty map that stands nowhere.
    pub fn empty() -> Self {
        Self { span: 0..0, kind: Kind::Map(Vec::new()), from_row: false }
    }

    /// This value with another over it: maps merge key by key, everything else is replaced.
    ///
    /// `whole` names keys whose maps are replaced as well, because half of each means nothing.
    pub fn overlaid(mut self, over: &Node, whole: &[&str]) -> Node {
        // A key without a value overrides nothing: `limits:` alone keeps what was there.
        if matches!(over.kind, Kind::Null) {
            return self;
        }
        let (Kind::Map(below), Kind::Map(above)) = (&mut self.kind, &over.kind) else {
            return over.clone();
        };
        for entry in above {
            match below.iter_mut().find(|old| old.key == entry.key) {
                Some(old) if whole.contains(&entry.key.as_str()) => *old = entry.clone(),
                Some(old) => {
                    let was = std::mem::replace(&mut old.value, Node::empty());
                    old.value = was.overlaid(&entry.value, whole);
                    old.key_span = entry.key_span.clone();
                }
                None => below.push(entry.clone()),
            }
        }
        self.span = over.span.clone();
        self
    }

    fn count(&self) -> usize {
        1 + match &self.kind {
            Kind::Null | Kind::Scalar { .. } => 0,
            Kind::List(items) => items.iter().map(Node::count).sum(),
            Kind::Map(entries) => entries.iter().map(|entry| entry.value.count()).sum(),
        }
    }
}

/// Parses one document. Passwords written as `plain:` are blanked in the source that comes back,
/// which is the one to show. `None` for the tree where the text is no YAML at all.
pub fn parse(name: &str, text: &str) -> (Arc<Source>, Option<Node>, Vec<Diagnostic>) {
    let mut builder = Builder::default();
    let failure = builder.read(text).err();
    let source = match (&failure, &builder.root) {
        (None, Some(root)) => Source::new(name, blank_plain_secrets(root, text)),
        _ => Source::new(name, blank_lines_with_secrets(text)),
    };
    let mut problems: Vec<Diagnostic> =
        builder.problems.into_iter().map(|it| it.into_diagnostic(&source)).collect();
    if let Some(failure) = failure {
        problems.push(failure.into_diagnostic(&source));
        return (source, None, problems);
    }
    let root = builder.root.unwrap_or(Node { span: 0..0, kind: Kind::Null, from_row: false });
    (source, Some(root), problems)
}

/// A problem found before the source to show exists.
struct Found {
    name: &'static str,
    message: String,
    span: Range<usize>,
    label: &'static str,
    first: Option<Range<usize>>,
    hint: Option<String>,
}

impl Found {
    fn new(name: &'static str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { name, message: message.into(), span, label: "", first: None, hint: None }
    }

    fn into_diagnostic(self, source: &Arc<Source>) -> Diagnostic {
        let mut found = Diagnostic::error(self.name, self.message)
            .at(Place::new(source, self.span), self.label)
            .hint_if(self.hint);
        if let Some(first) = self.first {
            found = found.at(Place::new(source, first), "first here");
        }
        found
    }
}

/// A collection that is not complete yet.
struct Open {
    anchor: usize,
    start: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<(String, Range<usize>)>, merges: Vec<Node> },
}

#[derive(Default)]
struct Builder {
    stack: Vec<Open>,
    anchors: HashMap<usize, Node>,
    copied: usize,
    documents: usize,
    root: Option<Node>,
    problems: Vec<Found>,
}

impl Builder {
    fn read(&mut self, text: &str) -> Result<(), Found> {
        let options = granit_parser::options! {
            emit_comments: false,
            flow_nesting_limit: MAX_DEPTH,
            block_nesting_limit: MAX_DEPTH,
        };
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| {
                let at = error.marker().byte_offset().unwrap_or(text.len());
                syntax(text, at, &error.info())
            })?;
            self.on_event(text, event, &span)?;
        }
        Ok(())
    }

    fn on_event(&mut self, text: &str, event: Event<'_>, span: &Span) -> Result<(), Found> {
        let range = span.byte_range().unwrap_or(0..0);
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                let quoted = self.on_tag(tag.as_deref(), span) || style != ScalarStyle::Plain;
                let kind = if !quoted && matches!(&*value, "" | "~" | "null" | "Null" | "NULL") {
                    Kind::Null
                } else {
                    Kind::Scalar { text: value.into_owned(), plain: !quoted }
                };
                self.complete(anchor, Node { span: trimmed(text, range), kind, from_row: false })
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.on_tag(tag.as_deref(), span);
                self.stack.push(Open { anchor, start: range.start, kind: OpenKind::List(Vec::new()) });
                Ok(())
            }
            Event::MappingStart(_, anchor, tag) => {
                self.on_tag(tag.as_deref(), span);
                let kind = OpenKind::Map { entries: Vec::new(), key: None, merges: Vec::new() };
                self.stack.push(Open { anchor, start: range.start, kind });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.on_end(text, range),
            Event::Alias(anchor) => self.on_alias(anchor, range),
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message = "the file holds more than one document";
                    return Err(Found::new("config::syntax", range, message));
                }
                Ok(())
            }
            // Options switch off the others; they carry no value.
            _ => Ok(()),
        }
    }

    /// Whether the tag makes a scalar text. Any tag but `!!str` is a problem.
    fn on_tag(&mut self, tag: Option<&Tag>, span: &Span) -> bool {
        let Some(tag) = tag else { return false };
        if tag.is_yaml_core_schema_tag("str") {
            return true;
        }
        let at = span.tag_span().and_then(|tag| tag.byte_range()).or(span.byte_range()).unwrap_or(0..0);
        let message = format!("the tag `{}` means nothing here", tag.original());
        self.problems.push(Found::new("config::syntax", at, message));
        false
    }

    fn on_alias(&mut self, anchor: usize, range: Range<usize>) -> Result<(), Found> {
        let Some(target) = self.anchors.get(&anchor) else {
            return Err(Found::new("config::syntax", range, "an alias cannot stand inside its own anchor"));
        };
        self.copied += target.count();
        if self.copied > MAX_COPIED {
            let message = format!("aliases repeat more than {MAX_COPIED} values");
            return Err(Found::new("config::syntax", range, message));
        }
        let node = Node { span: range, ..target.clone() };
        self.complete(0, node)
    }

    fn on_end(&mut self, text: &str, range: Range<usize>) -> Result<(), Found> {
        // The parser balances its events, so there is always one to close.
        let Some(open) = self.stack.pop() else { return Ok(()) };
        let kind = match open.kind {
            OpenKind::List(items) => Kind::List(items),
            OpenKind::Map { mut entries, merges, .. } => {
                for node in merges {
                    self.merge(&mut entries, node);
                }
                Kind::Map(entries)
            }
        };
        let span = trimmed(text, open.start..range.end.max(open.start));
        self.complete(open.anchor, Node { span, kind, from_row: false })
    }

    /// Puts a finished value where it belongs.
    fn complete(&mut self, anchor: usize, node: Node) -> Result<(), Found> {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.stack.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(OpenKind::List(items)) => items.push(node),
            Some(OpenKind::Map { entries, key, merges }) => match key.take() {
                None => *key = Some(self.problems.key(node)),
                Some((name, key_span)) if name == "<<" => {
                    self.problems.extend(
                        (entries.iter().any(|it| it.key == "<<"))
                            .then(|| Found::new("config::duplicate_key", key_span, "`<<` is given twice")),
                    );
                    merges.push(node);
                }
                Some((name, key_span)) => match entries.iter().find(|it| it.key == name) {
                    Some(first) => {
                        let found =
                            Found::new("config::duplicate_key", key_span, format!("`{name}` is given twice"));
                        let first = Some(first.key_span.clone());
                        let hint = Some("leave one of them out, or give it another name".to_owned());
                        self.problems.push(Found { first, hint, label: "again here", ..found });
                    }
                    None => entries.push(Entry { key: name, key_span, value: node }),
                },
            },
        }
        Ok(())
    }

    /// The YAML merge key `<<`: what the map has itself wins.
    fn merge(&mut self, entries: &mut Vec<Entry>, node: Node) {
        let span = node.span.clone();
        match node.kind {
            Kind::Map(more) => {
                for entry in more {
                    if !entries.iter().any(|it| it.key == entry.key) {
                        entries.push(entry);
                    }
                }
            }
            Kind::List(nodes) if nodes.iter().all(|it| matches!(it.kind, Kind::Map(_))) => {
                nodes.into_iter().for_each(|node| self.merge(entries, node));
            }
            Kind::Null | Kind::Scalar { .. } | Kind::List(_) => {
                self.problems.push(Found::new("config::type", span, "`<<` needs a map or a list of maps"));
            }
        }
    }
}

/// How a key node becomes text.
trait Keys {
    fn key(&mut self, node: Node) -> (String, Range<usize>);
}

impl Keys for Vec<Found> {
    fn key(&mut self, node: Node) -> (String, Range<usize>) {
        match node.kind {
            Kind::Scalar { text, .. } => (text, node.span),
            Kind::Null => ("null".to_owned(), node.span),
            Kind::List(_) | Kind::Map(_) => {
                let found = Found::new("config::type", node.span.clone(), "a key must be text");
                let hint = "a value that starts with `{` or `[` needs quotes";
                self.push(Found { hint: Some(hint.to_owned()), ..found });
                (String::new(), node.span)
            }
        }
    }
}

/// What the parser says about broken YAML, at the character it means, with advice where the usual
/// cause is known.
fn syntax(text: &str, at: usize, info: &str) -> Found {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let indent = &line[..line.len() - line.trim_start().len()];
    let braces = line.char_indices().any(|(at, c)| {
        c == '}'
            && line[at + 1..]
                .starts_with(|next: char| next.is_alphanumeric() || matches!(next, '@' | '.' | '-'))
    });
    let hint = if indent.contains('\t') {
        at = line_start + indent.find('\t').unwrap_or(0);
        Some("YAML is indented with spaces, never with tabs")
    } else if braces {
        Some("a value that begins with `{` needs quotes")
    } else if line.matches(": ").count() > 1 && !line.contains('{') {
        Some("a value that holds `: ` needs quotes")
    } else if info.contains("expected key") || info.contains("block mapping") {
        Some("keys of one map begin in the same column")
    } else {
        None
    };
    let hint = hint.map(str::to_owned);
    let message = format!("not YAML: {}", info.trim_end_matches('.').to_lowercase());
    let width = text[at..].chars().next().filter(|&c| c != '\n').map_or(0, char::len_utf8);
    Found { hint, ..Found::new("config::syntax", at..at + width, message) }
}

/// A range without the blanks and comments a block collection ends with.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    match text.get(range.clone()) {
        Some(part) => range.start..range.start + part.trim_end().len(),
        None => range,
    }
}

/// The text with every value of a key `plain` blanked, and every password that stands where its
/// origin should; as long as before.
fn blank_plain_secrets(root: &Node, text: &str) -> String {
    let mut shown = text.as_bytes().to_vec();
    let mut waiting = vec![root];
    while let Some(node) = waiting.pop() {
        if let Kind::List(items) = &node.kind {
            waiting.extend(items);
        }
        for entry in node.entries() {
            let bare = matches!(entry.key.as_str(), "password" | "secret")
                && !matches!(entry.value.kind, Kind::Map(_));
            // Whoever forgets `{ plain: … }` has written the secret itself.
            if entry.key == "secrets" {
                for secret in entry.value.entries().iter().filter(|it| !matches!(it.value.kind, Kind::Map(_)))
                {
                    blank(&mut shown, secret.value.span.clone());
                }
            }
            if bare || entry.key == "plain" {
                blank(&mut shown, entry.value.span.clone());
            } else {
                waiting.push(&entry.value);
            }
        }
    }
    String::from_utf8(shown).unwrap_or_default()
}

/// The same where there is no tree: everything behind such a key on its line.
fn blank_lines_with_secrets(text: &str) -> String {
    let mut shown = text.as_bytes().to_vec();
    for key in ["plain", "password", "secret"] {
        for (at, word) in text.match_indices(key) {
            let rest = &text[at + word.len()..];
            let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
            if let Some(colon) = line.find(':') {
                let start = at + word.len() + colon + 1;
                blank(&mut shown, start..start + line.len() - colon - 1);
            }
        }
    }
    String::from_utf8(shown).unwrap_or_default()
}

fn blank(shown: &mut [u8], span: Range<usize>) {
    if let Some(bytes) = shown.get_mut(span) {
        bytes.iter_mut().filter(|byte| !byte.is_ascii_whitespace()).for_each(|byte| *byte = b'*');
    }
}

/// Collections in collections; the format needs seven.
const MAX_DEPTH: usize = 48;

/// Values that aliases may repeat in all: no file of ours comes near, and a bomb stops here.
const MAX_COPIED: usize = 200_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_place() {
        let text = "bots:\n  a: { jid: ä@b, n: \"5\" }\n";
        let root = tree(text);
        let bot = &root.get("bots").unwrap().value.get("a").unwrap().value;
        let jid = bot.get("jid").unwrap();
        assert_eq!(&text[jid.value.span.clone()], "ä@b");
        assert_eq!(&text[jid.key_span.clone()], "jid");
        assert!(matches!(&bot.get("n").unwrap().value.kind, Kind::Scalar { plain: false, .. }));
    }

    #[test]
    fn duplicate_keys_are_reported_with_both_places() {
        let (_, root, found) = parse("t", "a: 1\nb: 2\na: 3\nb: 4\n");
        let places: Vec<_> = found
            .iter()
            .map(|it| (it.labels[0].place.position().0, it.labels[1].place.position().0))
            .collect();
        assert_eq!(places, [(3, 1), (4, 2)]);
        assert!(root.is_some());
    }

    #[test]
    fn merge_keys_fill_in_what_is_missing() {
        let root = tree("x: &base { a: 1, b: 2 }\ny: { <<: *base, b: 3 }\n");
        let y = &root.get("y").unwrap().value;
        assert_eq!(y.entries().iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert!(matches!(&y.get("b").unwrap().value.kind, Kind::Scalar { text, .. } if text == "3"));
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let alias = format!("*a{}", level - 1);
            text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", ")));
        }
        let (_, root, found) = parse("t", &text);
        assert!(root.is_none());
        assert!(found[0].message.contains("aliases repeat"), "{}", found[0].message);
    }

    #[test]
    fn deep_nesting_is_refused() {
        let (_, root, found) = parse("t", &"[".repeat(10_000));
        assert!(root.is_none() && found.len() == 1);
    }

    #[test]
    fn an_alias_inside_its_anchor_is_refused() {
        let (_, root, found) = parse("t", "a: &a [*a]\n");
        assert!(root.is_none() && found.len() == 1, "{found:?}");
    }

    #[test]
    fn plain_passwords_never_reach_the_shown_source() {
        for text in [
            "p: { plain: pencil }\nq:\n  plain: \"pencil\"\n",
            "p: { plain: pencil }\n\tbroken: [",
            "p: { \"plain\": pencil }\nq: [",
            "password: pencil\nq: { secret: 'pencil' }\n",
            "password: pencil\nq: [",
        ] {
            let (source, ..) = parse("t", text);
            assert!(!source.text.contains("pencil"), "{}", source.text);
            assert_eq!(source.text.len(), text.len());
        }
    }

    #[test]
    fn tabs_get_their_own_hint() {
        let (_, root, found) = parse("t", "bots:\n\ta: 1\n");
        assert!(root.is_none());
        assert!(found[0].hint.as_deref().unwrap_or_default().contains("tabs"), "{found:?}");
        assert_eq!(found[0].place().unwrap().position(), (2, 1));
    }

    #[test]
    fn overlaying_merges_maps_and_replaces_the_rest() {
        let root = tree(
            "a: { m: { x: 1, y: 2 }, l: [1, 2], p: { env: A } }\nb: { m: { y: 3 }, l: [4], p: { file: f } }\n",
        );
        let (a, b) = (root.get("a").unwrap().value.clone(), root.get("b").unwrap().value.clone());
        let both = a.overlaid(&b, &["p"]);
        let m = &both.get("m").unwrap().value;
        assert_eq!(m.entries().len(), 2);
        assert!(matches!(&both.get("l").unwrap().value.kind, Kind::List(items) if items.len() == 1));
        assert_eq!(both.get("p").unwrap().value.entries().len(), 1);
    }

    fn tree(text: &str) -> Node {
        let (_, root, found) = parse("t", text);
        assert!(found.is_empty(), "{found:?}");
        root.unwrap()
    }
}
