//! The guide for script authors is run: every script is checked, every conversation is held, every command works.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use crate::support::process::{command, text};
use crate::support::world::scratch;

/// A fenced block of the page.
struct Block {
    language: String,
    text: String,
    /// The line of the page on which it begins.
    line: usize,
}

#[test]
fn every_script_of_the_guide_has_no_mistakes() {
    let folder = scratch();
    let names = write_scripts(&folder);
    assert!(names.len() >= 8, "only {} scripts were found", names.len());
    let output = run(&folder, &["check", "--deny-warnings", "--format", "short"]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    fs::remove_dir_all(&folder).expect("our own folder");
}

#[test]
fn every_conversation_of_the_guide_is_held() {
    let folder = scratch();
    write_scripts(&folder);
    fs::create_dir(folder.join("tests")).expect("a scratch folder");
    let mut script = String::new();
    let mut conversations = 0;
    for block in blocks() {
        match block.language.as_str() {
            "rhai" => script = format!("s{}", block.line),
            "chat" if !block.text.starts_with("script:") => {
                conversations += 1;
                let chat = format!("script: ../scripts/{script}.rhai\n\n{}", block.text);
                fs::write(folder.join(format!("tests/{script}.chat")), chat).expect("a scratch file");
            }
            _ => {}
        }
    }
    assert!(conversations >= 3, "only {conversations} conversations were found");
    let output = run(&folder, &["test"]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    let last = said.lines().last().unwrap_or_default();
    assert_eq!(last, format!("{conversations} passed, 0 failed"));
    fs::remove_dir_all(&folder).expect("our own folder");
}

#[test]
fn the_tutorial_works_as_it_is_written() {
    let base = scratch();
    let blocks = blocks();
    let output = run(&base, &["init", "support", "--yes", "--jid", "help@example.org"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let folder = base.join("support");
    assert!(run(&folder, &["test"]).status.success(), "the bot of `init` passes its test");

    let talk = |said: &str| {
        let mut child = command(&folder, &["chat", "help"])
            .env_remove("HELP_PASSWORD")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built");
        child.stdin.take().expect("piped above").write_all(said.as_bytes()).expect("it reads");
        text(&child.wait_with_output().expect("it ends").stdout)
    };
    let heard = talk("hi\n!help\n!roll 2d6\n/quit\n");
    assert!(
        heard.contains("Hello, ann!") && heard.contains("!roll") && heard.contains("You rolled"),
        "{heard}"
    );

    let script = first(&blocks, "rhai", "// help.rhai");
    fs::write(folder.join("scripts/help.rhai"), &script.text).expect("a scratch file");
    let chat = first(&blocks, "chat", "script: ../scripts/help.rhai");
    fs::write(folder.join("tests/help.chat"), &chat.text).expect("a scratch file");
    let heard = talk("are you open?\n/quit\n");
    assert!(heard.contains("We are there nine to five, ann."), "{heard}");
    for line in [&["check"][..], &["test"]] {
        let output = run(&folder, line);
        assert!(output.status.success(), "{line:?}: {}{}", text(&output.stdout), text(&output.stderr));
    }

    let wrong = script.text.replacen("m.reply(", "m.replly(", 1);
    fs::write(folder.join("scripts/help.rhai"), wrong).expect("a scratch file");
    // Nobody has set a password yet: that is told as well, and hides nothing.
    let output =
        command(&folder, &["check"]).env_remove("HELP_PASSWORD").output().expect("the program was built");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(said.contains("did you mean `reply`") && said.contains("`HELP_PASSWORD` is not set"), "{said}");
    assert!(run(&folder, &["explain", "script::unknown_function"]).status.success());
    fs::remove_dir_all(&base).expect("our own folder");
}

/// A project with every script of the page and all they ask for.
fn write_scripts(folder: &Path) -> Vec<String> {
    fs::create_dir(folder.join("scripts")).expect("a scratch folder");
    let mut names = Vec::new();
    let mut yaml = String::from("version: 1\nscripts:\n");
    for block in blocks().into_iter().filter(|block| block.language == "rhai") {
        let name = format!("s{}", block.line);
        fs::write(folder.join(format!("scripts/{name}.rhai")), &block.text).expect("a scratch file");
        let grants =
            if block.text.contains("http::") { ", permissions: { http: [api.example.net] }" } else { "" };
        writeln!(yaml, "  {name}: {{ file: scripts/{name}.rhai{grants} }}").expect("a string takes all");
        names.push(name);
    }
    yaml += "bots:\n";
    for name in &names {
        writeln!(
            yaml,
            "  {name}: {{ jid: {name}@example.org, password: {{ env: HELP_PASSWORD }}, scripts: [{name}], roles: {{ staff: [ann@example.org] }} }}"
        )
        .expect("a string takes all");
    }
    fs::write(folder.join("bots.yaml"), yaml).expect("a scratch file");
    names
}

fn run(folder: &Path, line: &[&str]) -> Output {
    command(folder, line).env("HELP_PASSWORD", "x").output().expect("the program was built")
}

fn first<'a>(blocks: &'a [Block], language: &str, begin: &str) -> &'a Block {
    blocks
        .iter()
        .find(|block| block.language == language && block.text.starts_with(begin))
        .unwrap_or_else(|| panic!("no block of {language} begins with {begin}"))
}

fn blocks() -> Vec<Block> {
    let page = fs::read_to_string(page()).expect("a page of the project");
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (at, line) in page.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(language) => {
                open = true;
                blocks.push(Block { language: language.to_owned(), text: String::new(), line: at + 1 });
            }
            None if open => {
                let block = blocks.last_mut().expect("pushed when it was opened");
                block.text += line;
                block.text.push('\n');
            }
            None => {}
        }
    }
    blocks
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scripting.md")
}
