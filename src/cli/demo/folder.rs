//! The folder of a demo: a configuration and scripts that belong to the user once they are there.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::cli::Failure;
use crate::ids::IdSource;
use crate::ops::service::random_seed;

/// The domain of the demo server.
pub const DOMAIN: &str = "demo.localhost";
/// People with an account on it.
pub const PEOPLE: [&str; 2] = ["ann", "bob"];
/// Their password.
pub const PERSON_PASSWORD: &str = "demo";

/// The shipped configuration and scripts.
const FILES: &[(&str, &str)] = &[
    ("scripts/echo.rhai", include_str!("../../../scripts/echo.rhai")),
    ("scripts/greeter.rhai", include_str!("../../../scripts/greeter.rhai")),
    ("scripts/dice.rhai", include_str!("../../../scripts/dice.rhai")),
    ("scripts/reminder.rhai", include_str!("../../../scripts/reminder.rhai")),
];
const CONFIG: &str = include_str!("../../../bots.yaml");
/// What the demo changes in the shipped configuration: it owns the server, so no password has to be told.
const CHANGES: &[(&str, &str)] = &[
    ("@example.org", "@demo.localhost"),
    ("rooms.example.org", "rooms.demo.localhost"),
    (
        "{ env: ECHO_PASSWORD }   # or { file: … }, { command: […] }, { credential: … }",
        "{ file: secrets/demo }",
    ),
    ("{ env: GREETER_PASSWORD }", "{ file: secrets/demo }"),
    ("{ env: DICE_PASSWORD }", "{ file: secrets/demo }"),
    ("{ env: REMINDER_PASSWORD }", "{ file: secrets/demo }"),
    ("# A server of your own: where it is, and who signed its certificate.", "# The server of the demo."),
    ("# server: 127.0.0.1:5222", "server: 127.0.0.1:5222"),
    ("# tls: { mode: starttls, ca: certs/ca.pem }", "tls: { ca: ca.pem }"),
    ("login: { pace: 10/s, jitter: 30s }", "login: { pace: none, jitter: 1s }"),
];
/// The bulk file: `--bots N` writes it.
const BULK: &str = "accounts.csv";
/// The secret of [`CHANGES`].
const SECRET: &str = "secrets/demo";

/// A folder with a demo in it.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes the folder where it is missing.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(path.join("scripts")).map_err(|error| unwritable(path, &error))?;
        let path = path.canonicalize().map_err(|error| unwritable(path, &error))?;
        Ok(Self { path })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The configuration in it.
    pub fn config(&self) -> PathBuf {
        self.path.join("bots.yaml")
    }

    /// The folder of the scripts.
    pub fn scripts(&self) -> PathBuf {
        self.path.join("scripts")
    }

    /// Puts in what is missing. What is there belongs to the user: only the address of the server is kept up.
    pub fn write(&self, server: SocketAddr, bots: usize) -> Result<(), Failure> {
        for (name, text) in FILES {
            self.put(name, text)?;
        }
        self.put("bots.yaml", &config())?;
        self.make_secret()?;
        self.follow_server(server)?;
        let mut accounts = String::from("name\n");
        for number in 1..=bots {
            accounts += &format!("crowd-{number:05}\n");
        }
        let path = self.path.join(BULK);
        std::fs::write(&path, accounts).map_err(|error| unwritable(&path, &error))
    }

    /// A password for the bots that nobody has to know, readable by its owner only.
    fn make_secret(&self) -> Result<(), Failure> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;

        let path = self.path.join(SECRET);
        if path.exists() {
            return Ok(());
        }
        let seed = random_seed().map_err(|error| Failure::new(error.to_string()))?;
        let folder = path.parent().unwrap_or(&self.path);
        std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| unwritable(&path, &error))?;
        writeln!(file, "{}", IdSource::new(seed).next_id()).map_err(|error| unwritable(&path, &error))
    }

    fn put(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.path.join(name);
        if path.exists() {
            return Ok(());
        }
        std::fs::write(&path, text).map_err(|error| unwritable(&path, &error))
    }

    /// Another port than last time: only the marked line changes.
    fn follow_server(&self, server: SocketAddr) -> Result<(), Failure> {
        let path = self.config();
        let text = std::fs::read_to_string(&path).map_err(|error| unwritable(&path, &error))?;
        let changed: Vec<String> = text.lines().map(|line| with_server(line, server)).collect();
        let changed = changed.join("\n") + "\n";
        if changed == text {
            return Ok(());
        }
        std::fs::write(&path, changed).map_err(|error| unwritable(&path, &error))
    }
}

/// The shipped configuration, changed to the demo's server.
fn config() -> String {
    let changed = CHANGES.iter().fold(CONFIG.to_owned(), |text, (from, to)| text.replace(from, to));
    format!("{changed}\n# `rhapsode demo --bots N` fills {BULK}.\n{}", crowd())
}

/// What the demo adds to the shipped configuration: the accounts of the bulk file.
fn crowd() -> String {
    let additions = serde_json::json!({
        "templates": { "crowd": { "scripts": ["echo"] } },
        "accounts_files": [{
            "file": BULK,
            "template": "crowd",
            "jid": format!("{{name}}@{DOMAIN}"),
            "password": { "file": SECRET },
        }],
    });
    // Plain maps, lists and texts can always be written.
    serde_yaml::to_string(&additions).expect("built three lines above of nothing but JSON values")
}

/// The line with another address, where it is the one that names the demo server.
fn with_server(line: &str, server: SocketAddr) -> String {
    let Some((before, rest)) = line.split_once("server: 127.0.0.1:") else { return line.to_owned() };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}server: {server}{rest}")
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("`{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_the_shipped_configuration_still_finds_its_text() {
        for (from, _) in CHANGES {
            assert!(CONFIG.contains(from), "`{from}` is not in bots.yaml any more");
        }
        assert!(!config().contains("example.org") && !config().contains("env:"), "{}", config());
    }

    #[test]
    fn only_the_port_of_the_demo_server_is_kept_up() {
        let server = "127.0.0.1:5225".parse().expect("an address");
        assert_eq!(
            with_server("  server: 127.0.0.1:5222   # demo", server),
            "  server: 127.0.0.1:5225   # demo"
        );
        assert_eq!(with_server("  server: xmpp.example.org:5222", server), "  server: xmpp.example.org:5222");
    }
}
