//! A folder, a server and a configuration: what every test of a process starts from.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};

use rhapsode::jid::Jid;
use rhapsode::server::{Certificates, Running, Server, ServerOptions};

use super::person::Person;
use super::process::{Process, command, run_to_end, until};

/// The domain of every world's server.
pub const DOMAIN: &str = "world.localhost";

/// Answers every message with what it says.
pub const ECHO: &str = r#"on("message", |m| m.reply(m.text));"#;

/// A scratch folder with an embedded server and a `bots.yaml`.
pub struct World {
    pub folder: PathBuf,
    options: ServerOptions,
    server: Option<Running>,
    addr: SocketAddr,
    bots: BTreeMap<String, String>,
    head: String,
}

impl World {
    /// A server with the account `ann`, and no bot.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// The same with other options of the server.
    pub fn with(change: impl FnOnce(&mut ServerOptions)) -> Self {
        let folder = scratch();
        let mut options = ServerOptions {
            domain: DOMAIN.to_owned(),
            accounts: vec![account("ann"), account("bob")],
            certificates: Certificates::Folder(folder.join("certs")),
            ..ServerOptions::default()
        };
        change(&mut options);
        fs::create_dir_all(folder.join("certs")).expect("a scratch folder");
        let server = Server::start(options.clone()).expect("a free port");
        let addr = server.addr();
        let head = "login: { pace: none, jitter: 0s }\n".to_owned();
        Self { folder, options, server: Some(server), addr, bots: BTreeMap::new(), head }
    }

    /// The usual case: one bot `echo` with [`ECHO`].
    pub fn echo() -> Self {
        let mut world = Self::new();
        world.script("echo", ECHO);
        world.bot("echo", "scripts: [scripts/echo.rhai]");
        world
    }

    /// Top-level lines of `bots.yaml` in place of the quick login.
    pub fn head(&mut self, text: &str) {
        self.head = format!("{text}\n");
    }

    /// Adds or replaces a bot with these further keys (`key: value`, one a line) and gives it an account.
    pub fn bot(&mut self, name: &str, keys: &str) {
        let (user, password) = account(name);
        self.server().set_password(&user, &password).expect("a localpart");
        if !self.options.accounts.iter().any(|(known, _)| *known == user) {
            self.options.accounts.push((user, password.clone()));
        }
        self.secret(name, &password);
        let keys: String = keys.lines().map(|line| format!("    {}\n", line.trim())).collect();
        let entry =
            format!("  {name}:\n    jid: {name}@{DOMAIN}\n    password: {{ file: secrets/{name} }}\n{keys}");
        self.bots.insert(name.to_owned(), entry);
    }

    /// Takes a bot out of the configuration.
    pub fn without(&mut self, name: &str) {
        self.bots.remove(name);
    }

    /// What the configuration gives as the bot's password.
    pub fn secret(&self, name: &str, password: &str) {
        let path = self.folder.join("secrets").join(name);
        self.put(&format!("secrets/{name}"), password);
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("our own file");
    }

    /// Writes a script.
    pub fn script(&self, name: &str, source: &str) {
        self.put(&format!("scripts/{name}.rhai"), source);
    }

    /// Writes a file as a whole, by rename: a watcher never sees half of it.
    pub fn put(&self, path: &str, text: &str) {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().expect("a file in the folder")).expect("a scratch folder");
        let beside = path.with_extension("tmp");
        fs::write(&beside, text).expect("a scratch file");
        fs::rename(&beside, &path).expect("a scratch file");
    }

    /// The text of `bots.yaml` as it stands.
    pub fn yaml(&self) -> String {
        let bots: String = self.bots.values().map(String::as_str).collect();
        let bots = if bots.is_empty() { "bots: {}\n".to_owned() } else { format!("bots:\n{bots}") };
        format!(
            "version: 1\nstorage: ./data\ndefaults:\n  server: {}\n  tls: {{ ca: certs/ca.pem }}\n  \
             accept: all\n  limits: {{ turn: 2s, send: {{ rate: none }} }}\n{}{bots}",
            self.addr, self.head
        )
    }

    /// Writes `bots.yaml`.
    pub fn write(&self) {
        self.put("bots.yaml", &self.yaml());
    }

    /// Starts `run` without watching files and waits until it can be asked.
    pub fn run(&self) -> Process {
        self.start(&["run", "--no-watch"])
    }

    /// Starts `run` and waits until it can be asked and all its bots are online.
    pub fn online(&self) -> Process {
        let process = self.run();
        process.until_online(self.bots.len());
        process
    }

    /// Starts the program with these arguments and waits for its control socket.
    pub fn start(&self, arguments: &[&str]) -> Process {
        self.write();
        Process::start(&self.folder, "data", arguments)
    }

    /// Starts `run` with these further variables and waits for nothing.
    pub fn run_with(&self, variables: &[(&str, &str)]) -> Process {
        self.write();
        let mut command = command(&self.folder, &["run", "--no-watch"]);
        command.envs(variables.iter().copied());
        Process::spawn_as(command, &self.folder, "data")
    }

    /// Runs a command of the program in this folder to its end.
    pub fn command(&self, arguments: &[&str]) -> Output {
        run_to_end(&self.folder, arguments)
    }

    /// The server; it must be running.
    pub fn server(&self) -> &Running {
        self.server.as_ref().expect("the server is running")
    }

    /// Stops the server in order.
    pub fn stop_server(&mut self) {
        self.server.take().expect("the server is running").stop();
    }

    /// Starts the server again at the same address. It has forgotten all but its accounts.
    pub fn start_server(&mut self) {
        self.options.listen = self.addr;
        let options = self.options.clone();
        self.server = Some(until("the port is free again", || Server::start(options.clone()).ok()));
    }

    /// Somebody who is logged in as `ann` or `bob`.
    pub fn person(&self, name: &str) -> Person {
        let (_, password) = account(name);
        Person::login(name, &password, self.addr, &self.folder.join("certs/ca.pem"))
    }

    /// Cuts a bot's connection and waits until the server sees that it is gone.
    pub fn cut(&self, name: &str) {
        let jid = jid(name);
        assert_eq!(self.server().cut(&jid), 1, "{name} has one connection");
        until("the cut", || {
            let sessions = self.server().sessions();
            let mut own = sessions.iter().filter(|session| session.jid.local() == Some(name));
            own.all(|session| !session.connected).then_some(())
        });
    }

    /// All passwords of this world.
    pub fn passwords(&self) -> impl Iterator<Item = &str> {
        self.options.accounts.iter().map(|(_, password)| password.as_str())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // Left behind at worst, in the system's folder for such things.
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

/// The address of an account of the world, or the address itself where it has a domain.
pub fn jid(name: &str) -> Jid {
    let text = if name.contains('@') { name.to_owned() } else { format!("{name}@{DOMAIN}") };
    Jid::parse(&text).expect("a localpart or an address")
}

/// The localpart and a password that occurs nowhere else.
fn account(name: &str) -> (String, String) {
    (name.to_owned(), format!("geheim-{name}-8141"))
}

/// A new folder of this test, below the system's temporary files.
pub fn scratch() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("rhapsode-it-{}-{number}", std::process::id()));
    // What a killed run with the same process id has left.
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).expect("temporary files");
    Path::canonicalize(&folder).expect("just made")
}
