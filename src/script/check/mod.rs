//! Mistakes in a script that can be seen without running it, all at once, each with its place and what to do.
//!
//! `program` makes a tree of the text, `walk` goes through it once and asks the other files, one for each kind of
//! finding. What the checks cannot know they leave alone: no finding is better than a wrong one.

mod blocks;
mod calls;
mod links;
mod natives;
mod options;
mod program;
mod strings;
mod syntax;
mod types;
mod variables;
mod walk;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rhai::Position;

use crate::diagnostic::{Diagnostic, Place, Source};
use crate::script::check::natives::Natives;
use crate::script::check::program::Program;
use crate::script::loader::{SOURCE_LIMIT, module_source};
use crate::script::{stack, testing};

pub use links::Facts;

/// What was found in one script and the modules it imports.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// The mistakes, by file and place.
    pub diagnostics: Vec<Diagnostic>,
    /// What it does by names: timers, answers, hosts, bots.
    pub facts: Facts,
}

impl Checked {
    /// Whether an error was found on that line of that file: what fails there when it runs needs no second word.
    pub fn covers(&self, file: &str, line: usize) -> bool {
        self.diagnostics.iter().any(|found| {
            found.is_error()
                && found.place().is_some_and(|place| place.source.name == file && place.position().0 == line)
        })
    }
}

/// Looks through a script and everything it imports from its folder.
///
/// A file that ends in `.test.rhai` is looked through as a test.
pub fn check(path: &Path, text: &str) -> Checked {
    let is_test = path.to_string_lossy().ends_with(testing::ENDING);
    stack::on_script_thread(|| {
        // A fault of the checker must not hide what the loader has to say.
        catch_unwind(AssertUnwindSafe(|| {
            let mut session = Session {
                natives: if is_test { Natives::of_tests() } else { Natives::new() },
                root: path.parent().unwrap_or(Path::new("")).to_owned(),
                modules: BTreeMap::new(),
                facts: Facts::default(),
                diagnostics: Vec::new(),
            };
            session.file(path, text, None);
            let Session { facts, mut diagnostics, .. } = session;
            diagnostics.extend(facts.unanswered());
            diagnostics.sort_by_key(|found| {
                found.place().map(|place| (place.source.name.clone(), place.span.start))
            });
            diagnostics.dedup();
            without_echo(&mut diagnostics);
            Checked { diagnostics, facts }
        }))
        .unwrap_or_default()
    })
}

/// Takes out what is said of statements without effect where something worse is said of the same words.
fn without_echo(diagnostics: &mut Vec<Diagnostic>) {
    let end = |found: &Diagnostic| found.place().map(|place| (place.source.name.clone(), place.span.end));
    let worse: BTreeSet<_> = diagnostics.iter().filter(|found| found.is_error()).filter_map(end).collect();
    diagnostics.retain(|found| {
        found.name != "script::no_effect" || end(found).is_none_or(|place| !worse.contains(&place))
    });
}

/// One run over a script and its modules.
struct Session {
    natives: Natives,
    /// The folder of the script, where modules are looked for.
    root: PathBuf,
    /// Functions that modules offer, with the numbers of arguments, by the name they are imported by; `None` while a
    /// module is being read, or where it is no program.
    modules: BTreeMap<String, Option<Offered>>,
    facts: Facts,
    diagnostics: Vec<Diagnostic>,
}

/// What a module offers: functions with their numbers of parameters, and exported constants.
#[derive(Clone, Debug, Default)]
struct Offered {
    functions: BTreeMap<String, BTreeSet<usize>>,
    /// Whether it imports others, which can be reached through it.
    nested: bool,
}

impl Session {
    fn file(&mut self, path: &Path, text: &str, module: Option<&str>) {
        let source = Source::new(path.display().to_string(), text);
        if text.len() > SOURCE_LIMIT {
            // The loader says so.
            return;
        }
        let program = match Program::parse(&mut self.natives, text) {
            Ok(program) => program,
            Err(error) => {
                self.diagnostics.push(syntax::explain(&source, &error));
                for name in syntax::imports(text) {
                    self.import(&name);
                }
                return;
            }
        };
        for name in &program.imports {
            self.import(name);
        }
        if let Some(module) = module {
            let offered = Offered { functions: program.public(), nested: !program.imports.is_empty() };
            self.modules.insert(module.to_owned(), Some(offered));
        }
        let mut walk = walk::Walk::new(&self.natives, &self.modules, &program, &source);
        walk.run();
        let (diagnostics, facts) = walk.end();
        self.diagnostics.extend(diagnostics);
        self.facts.merge(facts);
    }

    fn import(&mut self, name: &str) {
        if self.modules.contains_key(name) {
            return;
        }
        self.modules.insert(name.to_owned(), None);
        // What cannot be read is the loader's to tell.
        let Ok((path, text)) = module_source(&self.root, name) else { return };
        self.file(&path, &text, Some(name));
    }
}

/// The word, number or text that begins at a position.
fn word(source: &Arc<Source>, position: Position) -> Place {
    let start = source.offset(position.line().unwrap_or(1), position.position().unwrap_or(1));
    let rest = &source.text[start..];
    let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let first = rest.chars().next().filter(|&c| c != '\n').map_or(0, char::len_utf8);
    Place::new(source, start..start + length.max(first))
}

/// The literal text that begins at a position, with its quotes.
fn literal(source: &Arc<Source>, position: Position) -> Place {
    let start = source.offset(position.line().unwrap_or(1), position.position().unwrap_or(1));
    Place::new(source, start..start + syntax::literal_length(&source.text[start..]))
}

/// `1 argument`, `2 arguments`.
fn arguments(count: usize) -> String {
    format!("{count} argument{}", if count == 1 { "" } else { "s" })
}
