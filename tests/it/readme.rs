//! The README is run: every command in it, with its own script and its own `bots.yaml`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use rhapsode::server::{Certificates, Server, ServerOptions};

use crate::support::process::{Process, command, text};
use crate::support::world::scratch;

/// The domain of the README's accounts.
const DOMAIN: &str = "example.org";
const PASSWORD: &str = "geheim-tea";

#[test]
fn every_command_of_the_readme_works() {
    let readme = read("README.md");
    let folder = scratch();
    let accounts = [("tea", PASSWORD), ("ann", "geheim-ann")];
    let server = Server::start(ServerOptions {
        domain: DOMAIN.to_owned(),
        accounts: accounts.map(|(user, password)| (user.to_owned(), password.to_owned())).to_vec(),
        certificates: Certificates::Folder(folder.clone()),
        ..ServerOptions::default()
    })
    .expect("a free port");
    // The script as it is printed; the configuration too, with an address in place of DNS.
    fs::create_dir(folder.join("scripts")).expect("a scratch folder");
    let script = block(&readme, "rhai", "// scripts/tea.rhai");
    fs::write(folder.join("scripts/tea.rhai"), script).expect("a scratch file");
    fs::create_dir(folder.join("tests")).expect("a scratch folder");
    fs::write(folder.join("tests/tea.chat"), block(&readme, "text", "# tests/tea.chat"))
        .expect("a scratch file");
    let place = format!(
        "defaults:\n  server: {}\n  tls: {{ ca: ca.pem }}\nlogin: {{ pace: none, jitter: 0s }}\n",
        server.addr()
    );
    let yaml = block(&readme, "yaml", "# bots.yaml");
    fs::write(folder.join("bots.yaml"), format!("{yaml}{place}")).expect("a scratch file");

    let mut session = Session { folder, running: None, ran: 0 };
    for line in commands(&readme) {
        session.carry_out(&line);
    }
    assert!(session.ran >= 10, "only {} commands were found", session.ran);
    assert!(session.running.is_none(), "`rhapsode stop` comes last");
    fs::remove_dir_all(&session.folder).expect("our own folder");
    server.stop();
}

#[test]
fn every_link_of_the_readme_leads_somewhere() {
    for target in read("README.md").split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        if !target.starts_with("http") {
            assert!(root().join(target).exists(), "{target} is not there");
        }
    }
}

/// A shell that is not one.
struct Session {
    folder: PathBuf,
    running: Option<Process>,
    ran: usize,
}

impl Session {
    fn carry_out(&mut self, line: &str) {
        self.ran += 1;
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["cargo", "run", "--release", "--", "demo", rest @ ..] => self.demo(rest),
            ["tests/all.sh"] => {
                let mode =
                    fs::metadata(root().join("tests/all.sh")).expect("it is there").permissions().mode();
                assert_eq!(mode & 0o111, 0o111, "it can be run");
            }
            ["rhapsode", "run", rest @ ..] => self.run(rest),
            ["rhapsode", rest @ ..] => {
                let output = self.command(rest);
                let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
                assert!(output.status.success(), "$ {line}\n{stdout}{stderr}");
                if rest == ["stop"] {
                    let process = self.running.take().expect("it was started before");
                    assert!(process.ended().success());
                }
            }
            _ => panic!("the README shows a command that nobody knows: {line}"),
        }
    }

    fn demo(&self, rest: &[&str]) {
        let demo = Process::start(&self.folder, "rhapsode-demo/data", &[&["demo"], rest].concat());
        demo.until("its bots are online", |status| status["bots"]["online"] == status["bots"]["total"]);
        demo.stop();
    }

    fn run(&mut self, rest: &[&str]) {
        let mut run = command(&self.folder, &[&["run"], rest].concat());
        run.env("TEA_PASSWORD", PASSWORD);
        let process = Process::spawn_as(run, &self.folder, "data");
        process.until_online(1);
        self.running = Some(process);
    }

    fn command(&self, arguments: &[&str]) -> Output {
        command(&self.folder, arguments)
            .env("TEA_PASSWORD", PASSWORD)
            .output()
            .expect("the program was built")
    }
}

/// The lines that begin with `$ ` in the console blocks.
fn commands(readme: &str) -> Vec<String> {
    let blocks = readme.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect()
}

/// The block of a language that begins with a line.
fn block<'a>(readme: &'a str, language: &str, first: &str) -> &'a str {
    let begin = format!("```{language}\n{first}\n");
    let at = readme.find(&begin).unwrap_or_else(|| panic!("no block {begin}"));
    readme[at + begin.len()..].split("```").next().expect("split gives one part at least")
}

/// Words, where double quotes keep blanks.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, part) in line.split('"').enumerate() {
        if number % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).expect("a file of the project")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
