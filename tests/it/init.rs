//! `rhapsode init`: what it writes, what it never writes over, and that what it wrote is right.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};

use crate::support::process::{command, run_to_end, text};
use crate::support::world::scratch;

/// The kinds of first script, as the command line names them.
const KINDS: [&str; 5] = ["commands", "greet", "faq", "webhook", "nothing"];

#[test]
fn without_questions_it_makes_a_project_that_has_no_mistakes() {
    for kind in KINDS {
        let folder = scratch();
        let output =
            run_to_end(&folder, &["init", "new", "--yes", "--start", kind, "--jid", "help@example.org"]);
        assert!(output.status.success(), "{kind}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty(), "{kind}: what it says is no data");
        let folder = folder.join("new");
        for file in ["bots.yaml", "scripts/help.rhai", ".gitignore", ".rhai/rhapsode.d.rhai"] {
            assert!(folder.join(file).exists(), "{kind}: {file}");
        }
        let script = fs::read_to_string(folder.join("scripts/help.rhai")).expect("it was just written");
        assert!(!script.contains("NAME"), "{kind}: {script}");
        let checked = checked(&folder);
        assert!(checked.status.success(), "{kind}: {}{}", text(&checked.stdout), text(&checked.stderr));
    }
}

#[test]
fn what_is_there_stays_as_it_is() {
    let folder = scratch();
    fs::create_dir(folder.join("scripts")).expect("a scratch folder");
    let mine = "on(\"message\", |m| m.reply(\"mine\"));\n";
    fs::write(folder.join("scripts/help.rhai"), mine).expect("a scratch file");
    let line = ["init", "--yes", "--jid", "help@example.org"];
    let output = run_to_end(&folder, &line);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("scripts/help.rhai is there already"), "{}", text(&output.stderr));
    let script = || fs::read_to_string(folder.join("scripts/help.rhai")).expect("it is there");
    assert_eq!(script(), mine);

    let yaml = fs::read_to_string(folder.join("bots.yaml")).expect("it was just written");
    let again = run_to_end(&folder, &["init", "--yes", "--jid", "other@example.org"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("nothing was changed"), "{}", text(&again.stderr));
    assert_eq!(fs::read_to_string(folder.join("bots.yaml")).ok(), Some(yaml));
    assert!(!folder.join("scripts/other.rhai").exists());
}

#[test]
fn with_nobody_to_ask_it_says_which_answer_is_missing() {
    let folder = scratch();
    let output = run_to_end(&folder, &["init", "--jid", "help@example.org"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("--password") && said.contains("--yes"), "{said}");
    assert!(!folder.join("bots.yaml").exists() && !folder.join("scripts").exists());

    let output = run_to_end(&folder, &["init", "--yes", "--jid", "example.org"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("name@example.org"), "{}", text(&output.stderr));
}

#[test]
fn a_typed_password_is_kept_where_only_its_owner_reads_it() {
    let folder = scratch();
    let line = ["init", "--jid", "help@example.org", "--password", "typed", "--start", "nothing"];
    let mut child = command(&folder, &line)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built");
    child.stdin.take().expect("piped above").write_all(b"geheim 1\n").expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!text(&output.stderr).contains("geheim"));
    let secret = folder.join("secrets/help");
    assert_eq!(fs::read_to_string(&secret).ok().as_deref(), Some("geheim 1\n"));
    let mode = fs::metadata(&secret).expect("it was just written").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let ignored = fs::read_to_string(folder.join(".gitignore")).expect("it was just written");
    assert!(ignored.lines().any(|line| line == "/secrets/"), "{ignored}");
}

fn checked(folder: &Path) -> Output {
    command(folder, &["check", "--deny-warnings"])
        .env("HELP_PASSWORD", "x")
        .output()
        .expect("the program was built")
}
