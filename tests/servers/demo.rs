//! `rhapsode demo` and the clients that its users have.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::support::bed::scratch;
use crate::support::gosend::GoSend;
use crate::support::person::Person;

#[test]
fn slixmpp_and_go_sendxmpp_log_in_to_the_demo_over_verified_tls_and_are_answered() {
    let folder = scratch("demo");
    let child = Command::new(env!("CARGO_BIN_EXE_rhapsode"))
        .args(["demo", "--listen", "127.0.0.1:15922", "--dir"])
        .arg(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut demo = Demo(child.expect("the program starts"));
    let server = demo.server();
    let ca = folder.join("ca.pem");

    let mut ann = Person::login(server, &ca, "ann@demo.localhost", "demo");
    ann.ask("echo@demo.localhost", "hello", |heard| heard == "hello");
    ann.ask("dice@demo.localhost", "!roll 3d6", |heard| heard.starts_with("3d6: "));
    ann.ask("greeter@demo.localhost", "good morning", |heard| heard == "Hello, ann!");

    let mut bob = GoSend::start(server, &ca, "bob@demo.localhost", "demo", "echo@demo.localhost");
    bob.say("hello from Go");
    bob.wait_for(&["echo@demo.localhost/rhapsode.", "<body>hello from Go"]);
    drop((ann, bob, demo));
    std::fs::remove_dir_all(&folder).expect("a folder of ours");
}

struct Demo(Child);

impl Demo {
    /// The address that the demo tells on stdout; a busy port makes it take another.
    fn server(&mut self) -> SocketAddr {
        let lines = BufReader::new(self.0.stdout.take().expect("piped above")).lines();
        let mut told = String::new();
        for line in lines.map_while(Result::ok) {
            let mut words = line.split_whitespace();
            if words.next() == Some("server") {
                let address = words.next().and_then(|word| word.parse().ok());
                // Nobody reads the rest: the demo has to serve all the same.
                return address.unwrap_or_else(|| panic!("no address in `{line}`"));
            }
            told += &line;
        }
        panic!("the demo ended without naming its server: {told}");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
