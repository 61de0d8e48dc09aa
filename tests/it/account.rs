//! `rhapsode account`: accounts that are made, and passwords that change, also when the process dies in between.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};

use crate::support::process::{command, text};
use crate::support::world::World;

const JID: &str = "fresh@world.localhost";

#[test]
fn f3_an_account_is_registered_and_logs_in() {
    let mut world = World::with(|options| options.open_registration = true);
    world.script("echo", r#"on("message", |m| m.reply(m.text));"#);
    let server = world.server().addr().to_string();
    let made = register(&world, &server, &[]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert_eq!(text(&made.stdout).trim(), "secrets.fresh");
    let file = world.folder.join("secrets.fresh");
    let password = fs::read_to_string(&file).expect("kept").trim().to_owned();
    assert_eq!(
        (password.len(), fs::metadata(&file).expect("there").permissions().mode() & 0o777),
        (43, 0o600)
    );
    assert!(!text(&made.stderr).contains(&password));

    // The password of an account is never written over.
    let again = register(&world, &server, &[]);
    assert!(
        !again.status.success() && text(&again.stderr).contains("is there already"),
        "{}",
        text(&again.stderr)
    );
    assert_eq!(fs::read_to_string(&file).expect("kept").trim(), password);

    world.bot("other", "scripts: [scripts/echo.rhai]");
    world.write();
    let yaml = world.yaml().replace("other@", "fresh@").replace("secrets/other", "secrets.fresh");
    world.put("bots.yaml", &yaml);
    let process = crate::support::process::Process::start(&world.folder, "data", &["run", "--no-watch"]);
    process.until_online(1);
    let mut ann = world.person("ann");
    assert_eq!(ann.ask("fresh", "hello"), "hello");
}

#[test]
fn f3_what_is_refused_leaves_no_password_behind() {
    let world = World::with(|options| options.open_registration = true);
    let server = world.server().addr().to_string();
    for (jid, more, why) in [
        ("ann@world.localhost", &[][..], "conflict"),
        (JID, &["--field", "email=a@b"][..], "does not ask for `email`"),
        ("world.localhost", &[][..], "is no address of an account"),
    ] {
        let refused = register_as(&world, jid, &server, more);
        assert_eq!(refused.status.code(), Some(1), "{jid}");
        assert!(text(&refused.stderr).contains(why), "{}", text(&refused.stderr));
        assert!(!world.folder.join("secrets.fresh").exists(), "{jid}");
    }
    let closed = World::new();
    let refused = register(&closed, &closed.server().addr().to_string(), &[]);
    assert!(text(&refused.stderr).contains("does not let clients register"), "{}", text(&refused.stderr));
    // A certificate that nobody vouches for: nothing is said on that stream.
    let arguments = ["account", "register", JID, "--server", &server, "--password-file", "secrets.fresh"];
    let refused = world.command(&arguments);
    assert!(!refused.status.success() && !world.folder.join("secrets.fresh").exists());
}

#[test]
fn f3_the_password_changes_over_the_live_connection() {
    let world = World::echo();
    let process = world.start(&["run", "--no-watch", "-vv"]);
    process.until_online(1);
    let mut ann = world.person("ann");
    let changed = world.command(&["account", "password", "echo"]);
    assert!(changed.status.success(), "{}", text(&changed.stderr));
    let password = kept(&world);
    assert_eq!((password.len(), pending(&world)), (43, None));
    assert_eq!(ann.ask("echo", "still here"), "still here");
    assert_eq!(process.account("echo")["connects"], 1, "the connection stays");

    // One that somebody has thought of, and the next login is with it.
    let mut child = command(&world.folder, &["account", "password", "echo", "--stdin"]);
    let mut child =
        child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("piped above").write_all(b"geheim-neu\n").expect("it reads");
    let changed = child.wait_with_output().expect("it ends");
    assert!(changed.status.success(), "{}", text(&changed.stderr));
    assert_eq!(kept(&world), "geheim-neu");
    let reloaded = process.reload(&[]);
    assert!(reloaded.status.success(), "{}", text(&reloaded.stderr));
    assert_eq!(process.account("echo")["connects"], 1, "a reload sees no change");
    assert!(world.command(&["reconnect", "echo"]).status.success());
    process.until_connects("echo", 2);
    assert_eq!(ann.ask("echo", "again"), "again");
    let stderr = process.stop();
    for secret in [password.as_str(), "geheim-neu"] {
        assert!(!stderr.contains(secret), "{stderr}");
    }
}

#[test]
fn f3_the_password_changes_where_no_process_runs() {
    let world = World::echo();
    world.write();
    let changed = world.command(&["account", "password", "echo"]);
    assert!(changed.status.success(), "{}", text(&changed.stderr));
    assert_eq!((kept(&world).len(), pending(&world)), (43, None));
    let process = world.online();
    assert_eq!(process.account("echo")["state"], "online");
}

#[test]
fn f3_what_cannot_be_kept_is_not_changed() {
    let mut world = World::echo();
    world.bot("plain", "scripts: [scripts/echo.rhai]");
    world.bot("twin", "scripts: [scripts/echo.rhai]");
    world.write();
    let yaml = world.yaml();
    let yaml = yaml.replace("{ file: secrets/plain }", "{ plain: geheim-plain-8141 }");
    world.put("bots.yaml", &yaml.replace("secrets/twin", "secrets/echo"));
    world.server().set_password("twin", "geheim-echo-8141").expect("a localpart");
    for (bot, why) in
        [("plain", "not in a file of its own"), ("twin", "`echo` has its password"), ("no", "no bot `no`")]
    {
        let refused = world.command(&["account", "password", bot]);
        assert!(
            !refused.status.success() && text(&refused.stderr).contains(why),
            "{}",
            text(&refused.stderr)
        );
    }
    assert_eq!((kept(&world).as_str(), pending(&world)), ("geheim-echo-8141", None));
}

/// The process died when the server had the new password and the file had not.
#[test]
fn f3_a_change_that_the_server_has_is_found_by_the_next_login() {
    let world = World::echo();
    world.put("secrets/echo.next", "geheim-danach\n");
    world.server().set_password("echo", "geheim-danach").expect("a localpart");
    let process = world.run();
    process.until_state("echo", "online");
    crate::support::process::until("the file has it", || (pending(&world).is_none()).then_some(()));
    assert_eq!(kept(&world), "geheim-danach");
}

/// The process died before the server had heard of it.
#[test]
fn f3_a_change_that_the_server_has_not_is_made_by_the_next_login() {
    let world = World::echo();
    world.put("secrets/echo.next", "geheim-danach\n");
    let process = world.online();
    crate::support::process::until("the file has it", || (pending(&world).is_none()).then_some(()));
    assert_eq!(kept(&world), "geheim-danach");
    assert!(world.command(&["reconnect", "echo"]).status.success());
    process.until_connects("echo", 2);
}

/// The account is refused with either: it is tried once with each.
#[test]
fn f3_two_wrong_passwords_are_tried_once_each() {
    let world = World::echo();
    world.put("secrets/echo.next", "geheim-danach\n");
    world.server().set_password("echo", "geheim-ganz-anders").expect("a localpart");
    let process = world.run();
    process.until_state("echo", "refused");
    assert_eq!(world.server().counts().connections, 2);
    assert_eq!(pending(&world).as_deref(), Some("geheim-danach"), "nothing is thrown away");
}

fn register(world: &World, server: &str, more: &[&str]) -> Output {
    register_as(world, JID, server, more)
}

fn register_as(world: &World, jid: &str, server: &str, more: &[&str]) -> Output {
    let mut arguments = vec!["account", "register", jid, "--server", server, "--ca", "certs/ca.pem"];
    arguments.extend(["--password-file", "secrets.fresh"]);
    arguments.extend(more);
    world.command(&arguments)
}

fn kept(world: &World) -> String {
    fs::read_to_string(world.folder.join("secrets/echo")).expect("kept").trim().to_owned()
}

fn pending(world: &World) -> Option<String> {
    fs::read_to_string(world.folder.join("secrets/echo.next")).ok().map(|text| text.trim().to_owned())
}
