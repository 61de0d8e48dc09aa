//! The folder of a demo: a configuration and scripts that belong to the user once they are there.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::cli::Failure;

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
/// The line of [`CONFIG`] that names the server; the demo puts its own address there.
const SERVER: &str = "127.0.0.1:5222";
/// The bulk file that the shipped configuration names.
const BULK: &str = "accounts.csv";

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
        self.put("bots.yaml", &CONFIG.replace(SERVER, &server.to_string()))?;
        self.follow_server(server)?;
        let mut accounts = String::from("name\n");
        for number in 1..=bots {
            accounts += &format!("crowd-{number:05}\n");
        }
        let path = self.path.join(BULK);
        std::fs::write(&path, accounts).map_err(|error| unwritable(&path, &error))
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
    fn the_shipped_configuration_names_the_server_and_the_bulk_file() {
        assert!(CONFIG.contains(&format!("server: {SERVER}")), "the demo replaces this address");
        assert!(CONFIG.contains(BULK));
    }

    #[test]
    fn only_the_port_of_the_demo_server_is_kept_up() {
        let server = "127.0.0.1:5225".parse().expect("an address");
        assert_eq!(with_server("  server: 127.0.0.1:5222   # demo", server), "  server: 127.0.0.1:5225   # demo");
        assert_eq!(with_server("  server: xmpp.example.org:5222", server), "  server: xmpp.example.org:5222");
    }
}
