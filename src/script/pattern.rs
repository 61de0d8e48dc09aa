//! Regular expressions of scripts: linear in the text, bounded in size, compiled once and shared.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use regex::{Regex, RegexBuilder};

use crate::script::error::{Kind, Thrown};
use crate::script::memory;

/// A compiled expression. It lives outside of every script's memory, for all scripts share it.
#[derive(Clone)]
pub(super) struct Pattern(Option<Arc<Compiled>>);

struct Compiled {
    regex: Regex,
    /// Bytes of text it may look at: the time is that of the text times the size of the expression.
    window: usize,
}

/// Where a match and its groups lie.
pub(super) type Places = Vec<Option<Range<usize>>>;

/// Bytes of an expression's source.
const SOURCE: usize = 4_096;

/// How large an expression may become, and how much text it may then be given.
const CLASSES: &[(usize, usize)] =
    &[(32 << 10, 64 << 10), (128 << 10, 16 << 10), (512 << 10, 4 << 10), (1 << 20, 2 << 10)];

/// Bytes one thread may use to speed a search up.
const SEARCH: usize = 256 << 10;

/// Groups are told of matches up to this size: telling them takes a slower search.
const GROUPED: usize = 4 << 10;

/// Expressions that one thread keeps for `text::`.
const KEPT: usize = 32;

thread_local! {
    /// What this thread has used last, by source; the front is the oldest.
    static RECENT: RefCell<VecDeque<(String, Pattern)>> = const { RefCell::new(VecDeque::new()) };
}

/// Every expression that is in use, by source.
static ALL: Mutex<BTreeMap<String, Weak<Compiled>>> = Mutex::new(BTreeMap::new());

impl Pattern {
    /// Compiles an expression, or takes the one that is there.
    ///
    /// # Errors
    /// Where it is no expression, or would become too large.
    pub(super) fn new(source: &str, kind: Kind) -> Result<Self, Thrown> {
        memory::uncounted(|| {
            let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = all.get(source).and_then(Weak::upgrade) {
                return Ok(Self(Some(known)));
            }
            let compiled = Arc::new(compile(source).map_err(|why| refusal(source, &why, kind))?);
            all.retain(|_, known| known.strong_count() > 0);
            all.insert(source.to_owned(), Arc::downgrade(&compiled));
            Ok(Self(Some(compiled)))
        })
    }

    /// The same, from those that this thread has used last.
    ///
    /// # Errors
    /// As for [`Pattern::new`].
    pub(super) fn recent(source: &str) -> Result<Self, Thrown> {
        RECENT.with(|recent| {
            let mut recent = recent.borrow_mut();
            let found = match recent.iter().position(|(known, _)| known == source) {
                Some(at) => memory::uncounted(|| recent.remove(at)),
                None => None,
            };
            let entry = match found {
                Some(entry) => entry,
                None => {
                    let pattern = Self::new(source, Kind::Runtime)?;
                    memory::uncounted(|| (source.to_owned(), pattern))
                }
            };
            let pattern = entry.1.clone();
            memory::uncounted(|| {
                recent.push_back(entry);
                if recent.len() > KEPT {
                    drop(recent.pop_front());
                }
            });
            Ok(pattern)
        })
    }

    /// Whether it occurs in the beginning of the text, as far as it may look.
    pub(super) fn occurs(&self, text: &str) -> bool {
        let Some(compiled) = &self.0 else { return false };
        memory::uncounted(|| compiled.regex.is_match(beginning(text, compiled.window)))
    }

    /// As it was written.
    pub(super) fn source(&self) -> &str {
        self.0.as_ref().map_or("", |compiled| compiled.regex.as_str())
    }

    /// Where it occurs first.
    pub(super) fn first(&self, text: &str) -> Option<Range<usize>> {
        let compiled = self.0.as_ref()?;
        memory::uncounted(|| compiled.regex.find(text).map(|found| found.range()))
    }

    /// The first match in the beginning of the text, with its groups.
    ///
    /// # Errors
    /// Where it is too long for its groups to be told.
    pub(super) fn groups(&self, text: &str) -> Result<Option<Places>, Thrown> {
        let Some(compiled) = &self.0 else { return Ok(None) };
        self.groups_at(beginning(text, compiled.window), 0)
    }

    /// The first match at or behind `from`, with its groups.
    ///
    /// # Errors
    /// Where it is too long for its groups to be told.
    pub(super) fn groups_at(&self, text: &str, from: usize) -> Result<Option<Places>, Thrown> {
        let Some(compiled) = &self.0 else { return Ok(None) };
        let regex = &compiled.regex;
        let Some(whole) = memory::uncounted(|| regex.find_at(text, from).map(|found| found.range())) else {
            return Ok(None);
        };
        let count = regex.captures_len();
        if count == 1 {
            return Ok(Some(vec![Some(whole)]));
        }
        if whole.len() > GROUPED {
            let message =
                format!("the match has {} bytes: groups are told of {GROUPED} at most", whole.len());
            return Err(
                Thrown::new(Kind::Size, message).hint("make the pattern match less, or drop its groups")
            );
        }
        let mut places: Places = Vec::with_capacity(count);
        memory::uncounted(|| {
            let mut found = regex.capture_locations();
            if regex.captures_read_at(&mut found, text, whole.start).is_some() {
                places.extend((0..count).map(|at| found.get(at).map(|(start, end)| start..end)));
            }
        });
        Ok(Some(places))
    }

    /// Names of its groups and their numbers.
    pub(super) fn names(&self) -> impl Iterator<Item = (usize, &str)> {
        let names = self.0.iter().flat_map(|compiled| compiled.regex.capture_names().enumerate());
        names.filter_map(|(at, name)| name.map(|name| (at, name)))
    }

    /// Refuses a text that would take it too long.
    ///
    /// # Errors
    /// Where the text is longer than the expression may be given.
    pub(super) fn check(&self, text: &str) -> Result<(), Thrown> {
        let window = self.0.as_ref().map_or(0, |compiled| compiled.window);
        if text.len() <= window {
            return Ok(());
        }
        let message = format!("the pattern may look at {window} bytes, and the text has {}", text.len());
        Err(Thrown::new(Kind::Size, message)
            .hint("`text::cut` shortens a text; a smaller pattern may look at more"))
    }
}

impl Drop for Pattern {
    fn drop(&mut self) {
        memory::uncounted(|| drop(self.0.take()));
    }
}

fn compile(source: &str) -> Result<Compiled, regex::Error> {
    if source.len() > SOURCE {
        return Err(regex::Error::CompiledTooBig(SOURCE));
    }
    let build = |size: usize| RegexBuilder::new(source).size_limit(size).dfa_size_limit(SEARCH).build();
    let mut result = Err(regex::Error::CompiledTooBig(0));
    for &(size, window) in CLASSES {
        result = build(size).map(|regex| Compiled { regex, window });
        if !matches!(result, Err(regex::Error::CompiledTooBig(_))) {
            break;
        }
    }
    result
}

fn refusal(source: &str, why: &regex::Error, kind: Kind) -> Thrown {
    let shown: String = source.chars().take(60).collect();
    match why {
        regex::Error::CompiledTooBig(_) => Thrown::new(kind, format!("the pattern `{shown}` is too large"))
            .hint("repeat less, as in `{1,20}` instead of `{1,2000}`"),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let thrown = Thrown::new(kind, format!("`{shown}` is no pattern: {last}"));
            if last.contains("look-around") || last.contains("backreferences") {
                return thrown
                    .hint("patterns take linear time, which look-around and backreferences would not");
            }
            thrown.hint("write patterns as #\"\\d+\"#, where `\\` needs no second one")
        }
    }
}

/// Up to `size` bytes, whole characters.
fn beginning(text: &str, size: usize) -> &str {
    &text[..text.floor_char_boundary(size)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_lie_where_they_are() {
        let pattern = new(r"(?<user>\w+)@(\w+)(x)?");
        let places = pattern.groups("to ann@host now").expect("short").expect("a match");
        assert_eq!(places, [Some(3..11), Some(3..6), Some(7..11), None]);
        assert_eq!(pattern.names().collect::<Vec<_>>(), [(1, "user")]);
        assert_eq!(pattern.groups("nothing").expect("short"), None);
    }

    #[test]
    fn wrong_and_oversized_expressions_are_refused_in_words() {
        let refused = |source: &str| Pattern::new(source, Kind::Declaration).err().expect(source);
        assert!(refused("(").message.contains("is no pattern: unclosed group"));
        assert!(refused("(?=x)").hint.is_some_and(|hint| hint.contains("linear")));
        assert!(refused(&"a".repeat(5_000)).message.ends_with("is too large"));
        assert!(refused(r"(\w{100}){100}").message.ends_with("is too large"));
    }

    #[test]
    fn the_larger_an_expression_the_less_text_it_sees() {
        let text = format!("{}needle", "x".repeat(20_000));
        assert!(new("needle").occurs(&text));
        assert!(!new(r"\pL{5,20}needle|needle").occurs(&text));
        assert!(new(r"\pL{5,20}needle|needle").check(&text).is_err());
        assert!(new(".").check(&text).is_ok());
    }

    #[test]
    fn a_long_match_has_no_groups() {
        let text = "x".repeat(10_000);
        assert!(new("(x)+").groups(&text).is_err_and(|why| why.kind == Kind::Size));
        assert_eq!(new("x+").groups(&text).expect("no groups"), Some(vec![Some(0..10_000)]));
    }

    #[test]
    fn expressions_are_shared_and_cost_the_script_nothing() {
        let before = memory::held();
        let first = new(r"shared\d+");
        let second = new(r"shared\d+");
        let (Some(one), Some(other)) = (&first.0, &second.0) else { panic!("both are there") };
        assert!(Arc::ptr_eq(one, other));
        assert!(first.occurs("shared1"));
        drop((first, second));
        assert_eq!(memory::held(), before);
    }

    #[test]
    fn a_thread_keeps_a_bounded_number() {
        for n in 0..2 * KEPT {
            let pattern = Pattern::recent(&format!("a{n}")).expect("valid");
            assert!(pattern.occurs(&format!("a{n}")));
        }
        assert_eq!(RECENT.with(|recent| recent.borrow().len()), KEPT);
    }

    fn new(source: &str) -> Pattern {
        Pattern::new(source, Kind::Declaration).expect(source)
    }
}
