//! One problem in something a person wrote: a stable name, a sentence, a place and a hint.
//!
//! Who finds a problem builds a [`Diagnostic`]; `ops::render` prints it, and [`pages`] explains it.

pub mod pages;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A text that problems point into, shared by all of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    /// The file as it is shown to people: the path they gave.
    pub name: String,
    /// The whole text; empty where there is nothing to show.
    pub text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

/// Where something is: a range of a [`Source`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The text the range is in.
    pub source: Arc<Source>,
    /// The bytes meant, within the text and on character borders.
    pub span: Range<usize>,
}

/// A place with a word about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub place: Place,
    /// What is there, a few words: `first here`. May be empty.
    pub text: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Works, but the author should know.
    Warning,
    /// Nothing is applied while it stands.
    Error,
}

/// One problem, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable name, `area::what`: `config::unknown_key`, `script::unknown_function`.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence: lower case, no full stop, values in backquotes. Never a secret.
    pub message: String,
    /// The places; the first is the main one. Empty where no file is involved.
    pub labels: Vec<Label>,
    /// What to do about it, one sentence.
    pub hint: Option<String>,
}

impl fmt::Debug for Source {
    /// The name alone: a whole file in a log line helps nobody.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({:?})", self.name)
    }
}

impl Source {
    /// A text under the name it is shown with.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        let text = text.into();
        let lines =
            std::iter::once(0).chain(text.match_indices('\n').map(|(newline, _)| newline + 1)).collect();
        Arc::new(Self { name: name.into(), text, lines })
    }

    /// Line and column of a byte offset, both from 1; columns count characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let offset = self.floor(offset);
        let line = self.lines.partition_point(|&start| start <= offset);
        let start = self.lines.get(line.wrapping_sub(1)).copied().unwrap_or_default();
        (line, self.text[start..offset].chars().count() + 1)
    }

    /// The byte offset of a line and column, both from 1; beyond the text is its end.
    pub fn offset(&self, line: usize, column: usize) -> usize {
        let Some(&start) = self.lines.get(line.saturating_sub(1)) else { return self.text.len() };
        let rest = self.text[start..].split('\n').next().unwrap_or_default();
        rest.char_indices().nth(column.saturating_sub(1)).map_or(start + rest.len(), |(at, _)| start + at)
    }

    /// The next character border at or before an offset.
    fn floor(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

impl Place {
    /// A range of a text; what lies outside is cut off.
    pub fn new(source: &Arc<Source>, span: Range<usize>) -> Self {
        let start = source.floor(span.start);
        let end = source.floor(span.end).max(start);
        Self { source: Arc::clone(source), span: start..end }
    }

    /// The character at a line and column, both from 1.
    pub fn at(source: &Arc<Source>, line: usize, column: usize) -> Self {
        let start = source.offset(line, column);
        let width = source.text[start..].chars().next().filter(|&c| c != '\n').map_or(0, char::len_utf8);
        Self { source: Arc::clone(source), span: start..start + width }
    }

    /// Line and column of the start, both from 1.
    pub fn position(&self) -> (usize, usize) {
        self.source.position(self.span.start)
    }
}

impl fmt::Display for Place {
    /// `file:line:column`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.position();
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

impl Diagnostic {
    /// A problem that stops everything.
    pub fn error(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, severity: Severity::Error, message: message.into(), labels: Vec::new(), hint: None }
    }

    /// A problem that stops nothing.
    pub fn warning(name: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(name, message) }
    }

    /// Adds a place; the first one added is the main one.
    pub fn at(mut self, place: Place, label: impl Into<String>) -> Self {
        self.labels.push(Label { place, text: label.into() });
        self
    }

    /// Says what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what to do about it where that is known.
    pub fn hint_if(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    /// The main place.
    pub fn place(&self) -> Option<&Place> {
        self.labels.first().map(|label| &label.place)
    }

    /// Whether it stops everything.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// The candidate that a misspelt word most likely meant, if one is close enough.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            let length = candidate.chars().count();
            *distance <= length.max(3) / 3 && *distance < length
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ``did you mean `x`?`` for the nearest candidate.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let source = Source::new("a.yaml", "ä: ö\nbä: x\n");
        assert_eq!(source.position(4), (1, 4));
        let x = source.text.find('x').unwrap();
        assert_eq!(source.position(x), (2, 5));
        assert_eq!(source.offset(2, 5), x);
    }

    #[test]
    fn offsets_beyond_the_text_are_its_end() {
        let source = Source::new("a", "one\ntwo");
        assert_eq!(source.offset(9, 1), 7);
        assert_eq!(source.offset(1, 99), 3);
        assert_eq!(source.position(1000), (2, 4));
        assert_eq!(Place::at(&source, 1, 4).span, 3..3);
        assert_eq!(Place::new(&source, 5..99).span, 5..7);
    }

    #[test]
    fn a_place_never_splits_a_character() {
        let source = Source::new("a", "aäb");
        assert_eq!(Place::new(&source, 2..4).span, 1..4);
    }

    #[test]
    fn suggests_only_what_is_close() {
        let keys = ["resource", "rooms", "jid"];
        assert_eq!(nearest("resorce", keys), Some("resource"));
        assert_eq!(nearest("Rooms", keys), Some("rooms"));
        assert_eq!(nearest("jdi", keys), Some("jid"));
        assert_eq!(nearest("banana", keys), None);
        assert_eq!(nearest("x", ["y"]), None);
    }
}
