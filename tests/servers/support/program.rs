//! The program under test: a folder with a configuration, the process, and its answers.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::watch::{self, words};

/// How long a fleet may take to come online.
pub const LOGIN: Duration = Duration::from_secs(60);

/// The folder of a configuration.
pub struct Project {
    folder: PathBuf,
    /// Authorities that the process takes for those of the system.
    authorities: Option<PathBuf>,
}

impl Project {
    /// A folder with this `bots.yaml` and the shipped scripts. `CA` in the text stands for the authority's file.
    pub fn new(folder: PathBuf, ca: &Path, config: &str) -> Self {
        fs::create_dir_all(folder.join("scripts")).expect("the scratch folder is writable");
        fs::create_dir_all(folder.join("secrets")).expect("the scratch folder is writable");
        for script in ["dice", "echo", "reminder"] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scripts/{script}.rhai"));
            fs::copy(&from, folder.join(format!("scripts/{script}.rhai"))).expect("a shipped script");
        }
        let project = Self { folder, authorities: None };
        project.write("bots.yaml", &config.replace("CA", &ca.display().to_string()));
        project
    }

    /// The same, where the test bed's authority is one of the system.
    pub fn trusting(self, ca: &Path) -> Self {
        Self { authorities: Some(ca.to_owned()), ..self }
    }

    /// Writes one file of the folder.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Writes a password, readable by its owner only.
    pub fn secret(&self, name: &str, password: &str) {
        let name = format!("secrets/{name}");
        self.write(&name, password);
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(self.folder.join(name), mode).expect("just written");
    }

    /// Runs a command of the program to its end.
    pub fn command(&self, arguments: &[&str]) -> Output {
        watch::output(self.prepare().args(arguments))
    }

    fn prepare(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rhapsode"));
        command.arg("--config").arg(self.folder.join("bots.yaml")).stdin(Stdio::null());
        if let Some(authorities) = &self.authorities {
            command.env("SSL_CERT_FILE", authorities);
        }
        command
    }

    /// Starts the bots and waits until the process answers.
    pub fn run(&self) -> Program<'_> {
        let program = self.run_with(&[]);
        watch::until("the process answers", Duration::from_secs(10), || {
            let output = self.command(&["status", "--json"]);
            if output.status.success() { Ok(()) } else { Err(words(&output)) }
        });
        program
    }

    /// Starts the bots with these further variables, and waits for nothing.
    pub fn run_with(&self, variables: &[(&str, &str)]) -> Program<'_> {
        let path = self.folder.join("log.json");
        let log = OpenOptions::new().create(true).append(true).open(&path).expect("the folder is writable");
        let begins = log.metadata().map_or(0, |file| file.len());
        let mut command = self.prepare();
        command.args(["run", "--no-watch"]).envs(variables.iter().copied());
        let child = command.stdout(Stdio::null()).stderr(log).spawn();
        Program { project: self, child: Some(child.expect("the program starts")), path, begins }
    }
}

/// A running process of bots. Dropping kills it.
pub struct Program<'a> {
    project: &'a Project,
    child: Option<Child>,
    path: PathBuf,
    /// Where the log of this process begins in the file.
    begins: u64,
}

impl Program<'_> {
    /// What `status --json` says.
    pub fn status(&self) -> Value {
        let output = self.project.command(&["status", "--json"]);
        assert!(output.status.success(), "status: {}\n{}", words(&output), self.tail());
        serde_json::from_slice(&output.stdout).expect("status --json prints JSON")
    }

    /// One bot of it.
    pub fn account(&self, bot: &str) -> Value {
        account(&self.status(), bot)
    }

    /// Waits until `fits` is true of the status.
    pub fn wait_until(&self, what: &str, patience: Duration, fits: impl Fn(&Value) -> bool) -> Value {
        watch::until(what, patience, || {
            let status = self.status();
            if fits(&status) { Ok(status) } else { Err(format!("{}\n{}", summary(&status), self.tail())) }
        })
    }

    /// Waits until so many bots are online.
    pub fn wait_online(&self, count: u64) -> Value {
        self.wait_until(&format!("{count} bots online"), LOGIN, |status| status["bots"]["online"] == count)
    }

    /// The log lines of this process.
    pub fn log(&self) -> Vec<Value> {
        use std::io::{Read, Seek, SeekFrom};
        let mut text = String::new();
        let mut file = File::open(&self.path).expect("made by `run`");
        file.seek(SeekFrom::Start(self.begins)).expect("a file");
        file.read_to_string(&mut text).expect("the log is UTF-8");
        let json = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| Value::from(line));
        text.lines().map(json).collect()
    }

    /// The log lines with this message about this bot.
    pub fn said(&self, bot: &str, message: &str) -> Vec<Value> {
        let mut lines = self.log();
        lines.retain(|line| line["bot"] == bot && line["message"] == message);
        lines
    }

    /// `rhapsode reload`.
    pub fn reload(&self) {
        let output = self.project.command(&["reload"]);
        assert!(output.status.success(), "reload: {}", words(&output));
    }

    /// Asks for the end and waits for it; the bots go offline.
    pub fn stop(self) -> ExitStatus {
        self.end_with(&["stop", "--leave"])
    }

    /// The same, with the sessions left to the next process.
    pub fn suspend(self) -> ExitStatus {
        self.end_with(&["stop"])
    }

    fn end_with(mut self, command: &[&str]) -> ExitStatus {
        let output = self.project.command(command);
        assert!(output.status.success(), "stop: {}", words(&output));
        let mut child = self.child.take().expect("taken only here and in drop");
        watch::until("the process ends", Duration::from_secs(15), || {
            child.try_wait().expect("a child of ours").ok_or("it runs")
        })
    }

    /// Waits for the process to die by itself, and kills it when it does not.
    pub fn wait_for_death(&mut self, patience: Duration) {
        let deadline = std::time::Instant::now() + patience;
        while let Some(child) = &mut self.child
            && child.try_wait().expect("a child of ours").is_none()
            && std::time::Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_millis(10));
        }
        end(self.child.take());
    }

    /// Ends the process as a power cut would.
    pub fn kill(mut self) {
        end(self.child.take());
    }

    fn tail(&self) -> String {
        let lines = self.log();
        let last: Vec<String> = lines.iter().rev().take(15).rev().map(Value::to_string).collect();
        last.join("\n")
    }
}

impl Drop for Program<'_> {
    fn drop(&mut self) {
        end(self.child.take());
    }
}

fn end(child: Option<Child>) {
    if let Some(mut child) = child {
        // It may have ended by itself.
        drop(child.kill());
        drop(child.wait());
    }
}

/// One bot in a status.
pub fn account(status: &Value, bot: &str) -> Value {
    let accounts = status["accounts"].as_array().expect("accounts are promised");
    accounts.iter().find(|account| account["name"] == bot).cloned().unwrap_or_else(|| panic!("no bot {bot}"))
}

/// The connections each bot has made, by name.
pub fn connects(status: &Value) -> std::collections::BTreeMap<String, u64> {
    let accounts = status["accounts"].as_array().expect("accounts are promised");
    accounts
        .iter()
        .map(|account| {
            let name = account["name"].as_str().expect("a name").to_owned();
            (name, account["connects"].as_u64().expect("a count"))
        })
        .collect()
}

fn summary(status: &Value) -> String {
    let accounts = status["accounts"].as_array().cloned().unwrap_or_default();
    let offline = accounts.iter().filter(|account| account["state"] != "online").take(8);
    let offline: Vec<String> = offline
        .map(|account| format!("{} {} {}", account["name"], account["state"], account["detail"]))
        .collect();
    format!("{} {}\n{}", status["bots"], status["messages"], offline.join("\n"))
}
