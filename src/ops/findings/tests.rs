//! Scripts with one mistake each and what is said of it, and scripts without any.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config;
use crate::diagnostic::Diagnostic;
use crate::ops::render::{Format, Style, render};
use crate::ops::scripts::{self, examine};

#[test]
fn every_bad_script_is_told_as_written_down() {
    let files = files("tests/check/bad");
    assert!(files.len() >= 40, "{}", files.len());
    let mut silent = Vec::new();
    for file in files.iter().filter(|file| file.file_stem().is_some_and(|stem| stem != "words")) {
        let found = check(file);
        if found.is_empty() {
            silent.push(file.display().to_string());
        }
        let said = render(&found, Format::Human(Style::default()));
        let golden = file.with_extension("txt");
        if std::env::var_os("RHAPSODE_BLESS").is_some() {
            fs::write(&golden, &said).expect("the folder is there");
        }
        assert_eq!(said, fs::read_to_string(&golden).unwrap_or_default(), "{}", file.display());
        for problem in &found {
            assert!(problem.place().is_some(), "{}: {problem:?}", file.display());
        }
    }
    assert!(silent.is_empty(), "nothing is said of {silent:?}");
}

#[test]
fn nothing_is_said_of_good_scripts() {
    let mut files = files("tests/check/good");
    assert!(files.len() >= 50, "{}", files.len());
    files.extend(self::files("scripts"));
    let said: String =
        files.iter().map(|file| render(&check(file), Format::Human(Style::default()))).collect();
    assert!(said.is_empty(), "{said}");
}

#[test]
fn nothing_is_said_of_the_examples_of_the_reference() {
    let mut said = String::new();
    for function in crate::script::api::AREAS.iter().flat_map(|area| area.functions) {
        let found = crate::script::check::check(Path::new("example.rhai"), function.example).diagnostics;
        // One example sets a timer or asks a question and leaves the handler to another.
        let found: Vec<Diagnostic> = found.into_iter().filter(|f| f.name != "script::no_handler").collect();
        said.push_str(&render(&found, Format::Human(Style::default())));
    }
    assert!(said.is_empty(), "{said}");
}

#[test]
fn what_scripts_and_their_bot_do_not_agree_about_is_told() {
    let file = Path::new("tests/check/project/bots.yaml");
    let var = |_: &str| Some("hunter2".to_owned());
    let read = config::inspect(file, &config::Surroundings { var: &var, run_commands: false });
    let (library, mut found) = scripts::load(&read.scripts);
    found.extend(read.diagnostics);
    found.extend(
        scripts::rehearse(&read.settings.expect("the configuration itself is good"), &library).diagnostics,
    );
    let said = render(&found, Format::Human(Style::default()));
    let golden = file.with_extension("txt");
    if std::env::var_os("RHAPSODE_BLESS").is_some() {
        fs::write(&golden, &said).expect("the folder is there");
    }
    assert_eq!(said, fs::read_to_string(&golden).unwrap_or_default());
    for name in ["bracket", "foreign_word", "hidden_command", "idle_handler", "not_granted", "unused_grant"] {
        assert!(found.iter().any(|found| found.name == format!("script::{name}")), "{name}: {said}");
    }
}

/// The mistakes of a file, with paths as if it were checked in its own folder.
fn check(file: &Path) -> Vec<Diagnostic> {
    let text = fs::read_to_string(file).expect("a script");
    examine("script", file, &text)
}

fn files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rhai"));
    files.sort();
    files
}
