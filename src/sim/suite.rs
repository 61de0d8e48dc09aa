//! Tests of scripts: what a kind of test file is, and what comes of one.
//!
//! A further kind of file is a function in a file of its own and a line in [`KINDS`].

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::diagnostic::Diagnostic;
use crate::script::check::check;
use crate::script::testing;
use crate::sim::casting::Troupe;
use crate::sim::play;
use crate::sim::rehearsal;

/// What came of the tests of a file, or why it cannot be read.
pub type Ran = Result<Vec<Outcome>, Vec<Diagnostic>>;

/// A kind of test file.
pub struct Kind {
    /// How the names of its files end.
    pub ending: &'static str,
    /// Runs those tests of a file that are wanted, in their order; what keeps the file from being read comes back as
    /// problems with their places.
    pub run: fn(&Troupe, &Path, &Wanted) -> Ran,
}

/// Every kind.
pub const KINDS: &[Kind] =
    &[Kind { ending: ".chat", run: play::file }, Kind { ending: testing::ENDING, run: rehearsal::file }];

/// Folders below `tests` and `scripts` that are looked into.
const DEPTH: usize = 4;

/// Every test file of a project, in the order of their names.
pub fn files(root: &Path) -> Vec<(&'static Kind, PathBuf)> {
    let mut all = Vec::new();
    for folder in ["tests", "scripts"] {
        look(&root.join(folder), DEPTH, &mut all);
    }
    all.sort();
    let kind = |file: &PathBuf| KINDS.iter().find(|kind| file.to_string_lossy().ends_with(kind.ending));
    all.into_iter().filter_map(|file| Some((kind(&file)?, file))).collect()
}

/// The folders in which test files are looked for, as far as they are there.
pub fn folders(root: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = ["tests", "scripts"].iter().map(|folder| root.join(folder)).collect();
    let mut level = all.clone();
    for _ in 1..DEPTH {
        let below = level.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
        level = below.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        all.extend(level.iter().cloned());
    }
    all.retain(|folder| folder.is_dir());
    all
}

fn look(folder: &Path, depth: usize, all: &mut Vec<PathBuf>) {
    // A folder that is not there has no tests.
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && depth > 1 {
            look(&path, depth - 1, all);
        } else if path.is_file() {
            all.push(path);
        }
    }
}

/// What can be seen to be wrong in the tests of a project that are programs.
pub fn looked_through(root: &Path) -> Vec<Diagnostic> {
    let programs = files(root).into_iter().filter(|(kind, _)| kind.ending == testing::ENDING);
    programs
        .flat_map(|(_, file)| match play::source(&file) {
            Ok(source) => check(&file, &source.text).diagnostics,
            Err(problem) => vec![problem],
        })
        .collect()
}

/// What came of one test.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its file.
    pub file: PathBuf,
    /// Where it begins, or where it failed.
    pub line: usize,
    /// Its name.
    pub name: String,
    /// Why it failed.
    pub result: Result<(), Failure>,
    /// How long it took.
    pub elapsed: Duration,
}

/// Why a test failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// What happened, and what should have: lines behind `  `, `- ` or `+ `.
    pub shown: Vec<String>,
    /// Why, as far as it is known.
    pub why: Vec<String>,
    /// What would make the test pass; empty where only a person can.
    pub edits: Vec<Edit>,
}

/// Other text for some lines of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The lines that go, from 1; an empty range puts the text before its line.
    pub lines: Range<usize>,
    /// What comes in their place.
    pub text: Vec<String>,
}

/// Which tests are run.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Parts of names; nothing means all.
    pub filters: Vec<String>,
    /// Real time that a test written in Rhai may take, what happens in its worlds included; [`testing::TIME`] where
    /// nothing is said.
    pub time: Option<Duration>,
}

impl Wanted {
    /// Whether a test is wanted: one of the filters is in the name of its file or in its own.
    pub fn wants(&self, file: &Path, name: &str) -> bool {
        let file = file.to_string_lossy();
        self.filters.is_empty() || self.filters.iter().any(|part| file.contains(part) || name.contains(part))
    }
}

impl Failure {
    /// One sentence.
    pub fn because(why: impl Into<String>) -> Self {
        Self { why: vec![why.into()], ..Self::default() }
    }
}

/// The text with the edits made; they do not overlap.
pub fn edited(text: &str, edits: &[Edit]) -> String {
    let mut edits: Vec<&Edit> = edits.iter().collect();
    edits.sort_by_key(|edit| (edit.lines.start, edit.lines.end));
    let mut lines: Vec<&str> = text.split('\n').collect();
    for edit in edits.into_iter().rev() {
        let start = edit.lines.start.saturating_sub(1).min(lines.len());
        let end = edit.lines.end.saturating_sub(1).clamp(start, lines.len());
        lines.splice(start..end, edit.text.iter().map(String::as_str));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_replace_insert_and_take_away() {
        let edit =
            |lines, text: &[&str]| Edit { lines, text: text.iter().map(|s| (*s).to_owned()).collect() };
        let edits = [edit(2..3, &["B", "b"]), edit(3..4, &[]), edit(5..5, &["x"])];
        assert_eq!(edited("a\nb\nc\nd\n", &edits), "a\nB\nb\nd\nx\n");
        assert_eq!(edited("a", &[edit(2..2, &["b"])]), "a\nb");
    }

    #[test]
    fn a_filter_is_part_of_the_file_or_of_the_name() {
        let wanted = |filters: &[&str]| Wanted {
            filters: filters.iter().map(|s| (*s).to_owned()).collect(),
            ..Wanted::default()
        };
        let file = Path::new("tests/dice.chat");
        assert!(wanted(&[]).wants(file, "x"));
        assert!(wanted(&["dice"]).wants(file, "x"));
        assert!(wanted(&["no", "six"]).wants(file, "a six"));
        assert!(!wanted(&["echo"]).wants(file, "a six"));
    }
}
