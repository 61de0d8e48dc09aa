//! `rhapsode demo` without a terminal: the first ten minutes of a newcomer, and the second start.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use rhapsode::jid::BareJid;
use rhapsode::ops::person::Login;
use rhapsode::secret::Password;

use crate::support::person::Person;
use crate::support::process::Process;
use crate::support::world::scratch;

const ECHO: &str = "echo@demo.localhost";

#[test]
fn demo_serves_and_says_how_to_connect() {
    let demo = Demo::start(&["--listen", "127.0.0.1:0"]);
    let stdout = demo.process.stdout();
    for promised in [
        "ann@demo.localhost".to_owned(),
        "password demo".to_owned(),
        demo.address().to_string(),
        "rhapsode-demo/ca.pem".to_owned(),
        "rhapsode-demo/scripts".to_owned(),
    ] {
        assert!(stdout.contains(&promised), "no `{promised}` in\n{stdout}");
    }
    assert_eq!(demo.person("ann").ask(ECHO, "hello"), "hello");
    demo.process.stop();
}

#[test]
fn a_second_start_of_the_demo_goes_on_in_the_same_folder() {
    let first = Demo::start(&["--listen", "127.0.0.1:0"]);
    let authority = first.read("ca.pem");
    assert_eq!(first.person("ann").ask("greeter@demo.localhost", "hi"), "Hello, ann!");
    let folder = first.folder.clone();
    first.process.stop();
    std::fs::write(
        folder.join("rhapsode-demo/scripts/echo.rhai"),
        r#"on("message", |m| m.reply("mine: " + m.text));"#,
    )
    .expect("the script is there");

    let second = Demo::start_in(folder, &["--listen", "127.0.0.1:0"]);
    assert_eq!(second.read("ca.pem"), authority, "clients trust it already");
    let mut ann = second.person("ann");
    assert_eq!(ann.ask(ECHO, "hello"), "mine: hello");
    // Greeted today already: the next thing heard from the greeter would be a second greeting.
    ann.say("greeter@demo.localhost", "hi");
    assert_eq!(ann.ask(ECHO, "still"), "mine: still");
    second.process.until("both were handled", |status| status["turns"]["handled"].as_u64() >= Some(3));
    second.process.stop();
}

#[test]
fn the_demo_passes_over_a_busy_port() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let busy = taken.local_addr().expect("it is bound");
    let demo = Demo::start(&["--listen", &busy.to_string()]);
    assert!(demo.process.stderr().contains(&format!("port {} is busy", busy.port())));
    assert_ne!(demo.address().port(), busy.port());
    assert_eq!(demo.person("bob").ask(ECHO, "hello"), "hello");
    demo.process.stop();
}

#[test]
fn the_demo_brings_a_crowd() {
    let demo = Demo::start(&["--listen", "127.0.0.1:0"]);
    let few = demo.process.until("all are online", all_online)["bots"]["total"].as_u64();
    let folder = demo.folder.clone();
    demo.process.stop();
    let demo = Demo::start_in(folder, &["--listen", "127.0.0.1:0", "--bots", "50"]);
    let many = demo.process.until("all are online", all_online)["bots"]["total"].as_u64();
    assert_eq!(many, few.map(|few| few + 50));
    assert_eq!(demo.person("ann").ask("crowd-00050@demo.localhost", "hello"), "hello");
    demo.process.stop();
}

#[test]
fn an_edited_script_of_the_demo_is_live_and_the_connection_stays() {
    let demo = Demo::start(&["--listen", "127.0.0.1:0"]);
    let mut ann = demo.person("ann");
    assert_eq!(ann.ask(ECHO, "hello"), "hello");
    let before = demo.process.account("echo");
    let path = demo.path("scripts/echo.rhai");
    let shipped = std::fs::read_to_string(&path).expect("it was made");
    assert!(shipped.contains("m.reply(m.text);"), "{shipped}");
    let edited = shipped.replace("m.reply(m.text);", "m.reply(`edited: ${m.text}`);");
    std::fs::write(&path, edited).expect("it belongs to the user");
    demo.process.until("the new version runs", |status| {
        let accounts = status["accounts"].as_array().expect("a list");
        let echo = accounts.iter().find(|account| account["name"] == "echo").expect("it is there");
        echo["scripts"][0]["version"] != before["scripts"][0]["version"]
    });
    assert_eq!(ann.ask(ECHO, "hello"), "edited: hello");
    let after = demo.process.account("echo");
    assert_eq!((&after["connects"], &after["since"]), (&before["connects"], &before["since"]));
    demo.process.stop();
}

/// A demo in a scratch folder.
struct Demo {
    folder: PathBuf,
    process: Process,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        Self::start_in(scratch(), arguments)
    }

    fn start_in(folder: PathBuf, arguments: &[&str]) -> Self {
        let process = Process::start(&folder, "rhapsode-demo/data", &[&["demo"], arguments].concat());
        process.until("all bots are online", all_online);
        Self { folder, process }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join("rhapsode-demo").join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("a file of the demo")
    }

    /// Where it listens, as it has told.
    fn address(&self) -> SocketAddr {
        let stdout = self.process.stdout();
        let line =
            stdout.lines().find_map(|line| line.trim().strip_prefix("server ")).expect("it says where");
        let address = line.split_whitespace().next().expect("an address");
        address.parse().expect("an address and a port")
    }

    fn person(&self, name: &str) -> Person {
        let ca: &Path = &self.path("ca.pem");
        Person::with(Login {
            jid: BareJid::parse(&format!("{name}@demo.localhost")).expect("a localpart"),
            password: Password::new("demo".to_owned()),
            resource: "test".to_owned(),
            server: self.address(),
            ca: ca.to_owned(),
        })
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Left in the folder for temporary files at worst; a later start of the same folder made it anew.
        if !std::thread::panicking() && !self.process.is_running() {
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }
}

fn all_online(status: &serde_json::Value) -> bool {
    let bots = &status["bots"];
    bots["total"].as_u64() > Some(0) && bots["online"] == bots["total"]
}
