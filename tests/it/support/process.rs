//! The program as a process of its own: started, asked, stopped, never left behind.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longer than anything takes here; a test that reaches it has failed.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// A running process. Dropping it kills it.
pub struct Process {
    child: RefCell<Child>,
    folder: PathBuf,
    socket: PathBuf,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
}

impl Process {
    /// Starts the program in `folder` and waits until it answers on the socket in `storage` below it.
    pub fn start(folder: &Path, storage: &str, arguments: &[&str]) -> Self {
        let process = Self::spawn(folder, storage, arguments);
        process.until("the process can be asked", |_| true);
        process
    }

    /// Starts the program and waits for nothing.
    pub fn spawn(folder: &Path, storage: &str, arguments: &[&str]) -> Self {
        Self::spawn_as(command(folder, arguments), folder, storage)
    }

    /// The same with a command that is made up already.
    pub fn spawn_as(mut command: Command, folder: &Path, storage: &str) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built");
        let stdout = collect(child.stdout.take().expect("piped above"));
        let stderr = collect(child.stderr.take().expect("piped above"));
        let socket = folder.join(storage).join("control.sock");
        Self { child: RefCell::new(child), folder: folder.to_owned(), socket, stdout, stderr }
    }

    /// What `status` says, where the process answers.
    pub fn status(&self) -> Option<Value> {
        let mut stream = UnixStream::connect(&self.socket).ok()?;
        stream.write_all(b"{\"request\":\"status\"}\n").ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).ok()?;
        let answer: Value = serde_json::from_str(&line).expect("an answer is JSON");
        assert_eq!(answer["answer"], "status", "{answer}");
        Some(answer)
    }

    /// Waits for a status that fits.
    pub fn until(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            if let Some(status) = &status
                && fits(status)
            {
                return status.clone();
            }
            let ended = if self.is_running() { "" } else { " (it has ended)" };
            assert!(
                ended.is_empty() && Instant::now() < deadline,
                "waited in vain{ended}: {what}\nstatus: {:#}\nstderr:\n{}",
                status.unwrap_or_default(),
                self.stderr()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until so many bots are online.
    pub fn until_online(&self, count: usize) -> Value {
        self.until(&format!("{count} online"), |status| status["bots"]["online"] == count)
    }

    /// Waits until the account is in this state and gives it.
    pub fn until_state(&self, bot: &str, state: &str) -> Value {
        let is = |status: &Value| find(status, bot).is_some_and(|account| account["state"] == state);
        let status = self.until(&format!("{bot} is {state}"), is);
        find(&status, bot).expect("it was found")
    }

    /// Waits until the account has been connected so often and is online.
    pub fn until_connects(&self, bot: &str, connects: u64) -> Value {
        let status = self.until(&format!("{bot} was connected {connects} times"), |status| {
            find(status, bot)
                .is_some_and(|account| account["connects"] == connects && account["state"] == "online")
        });
        find(&status, bot).expect("it was found")
    }

    /// The account as `status` shows it now.
    pub fn account(&self, bot: &str) -> Value {
        let status = self.status().expect("the process answers");
        find(&status, bot).unwrap_or_else(|| panic!("no bot {bot} in {status:#}"))
    }

    /// Waits until stderr contains this.
    pub fn until_stderr(&self, text: &str) -> String {
        let found = || Some(self.stderr()).filter(|stderr| stderr.contains(text));
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(stderr) = found() {
                return stderr;
            }
            assert!(Instant::now() < deadline, "no `{text}` in stderr:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Everything on stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.lock().expect("no reader panics").clone()
    }

    /// Everything on stdout so far.
    pub fn stdout(&self) -> String {
        self.stdout.lock().expect("no reader panics").clone()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.borrow().id()
    }

    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        self.child.borrow_mut().try_wait().expect("our own child").is_none()
    }

    /// Its control socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let told = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.pid())).status();
        assert!(told.expect("a shell").success());
    }

    /// Runs a command of the program in the folder of this process.
    pub fn command(&self, arguments: &[&str]) -> Output {
        run_to_end(&self.folder, arguments)
    }

    /// Runs `reload` with these further arguments.
    pub fn reload(&self, arguments: &[&str]) -> Output {
        self.command(&[&["reload"], arguments].concat())
    }

    /// Reloads and expects it to be carried out.
    pub fn reloaded(&self) {
        let output = self.reload(&[]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    /// Waits for its end.
    pub fn ended(&self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.borrow_mut().try_wait().expect("our own child") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end; stderr:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it in order, with everything it has to finish, and gives stderr.
    pub fn stop(&self) -> String {
        self.signal("TERM");
        let status = self.ended();
        assert!(status.success(), "{status}; stderr:\n{}", self.stderr());
        self.stderr()
    }

    /// Ends it as a crash does.
    pub fn kill(&self) {
        self.child.borrow_mut().kill().expect("our own child");
        self.ended();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let child = self.child.get_mut();
        drop(child.kill());
        drop(child.wait());
        if std::thread::panicking() {
            eprintln!("stderr of the process:\n{}", self.stderr());
        }
    }
}

/// Runs the program to its end.
pub fn run_to_end(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).stdin(Stdio::null()).output().expect("the program was built")
}

/// The program in a folder, with an environment that says nothing about other configurations.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rhapsode"));
    command.args(arguments).current_dir(folder);
    for name in ["RHAPSODE_CONFIG", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "XDG_CONFIG_HOME", "TERM"] {
        command.env_remove(name);
    }
    command.env("HOME", folder);
    command
}

/// Output as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until there is something.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn find(status: &Value, bot: &str) -> Option<Value> {
    status["accounts"].as_array()?.iter().find(|account| account["name"] == bot).cloned()
}

/// Collects a pipe in a thread of its own, so that the process never waits for its reader.
fn collect(mut pipe: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let all = Arc::new(Mutex::new(String::new()));
    let shared = Arc::clone(&all);
    std::thread::spawn(move || {
        let (mut buffer, mut rest) = ([0; 8192], Vec::new());
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            rest.extend_from_slice(&buffer[..length]);
            // A character may be cut at the end of a chunk; it is completed by the next.
            let whole = rest.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
            let whole = if rest.len() - whole < 4 { whole } else { rest.len() };
            let text: Vec<u8> = rest.drain(..whole).collect();
            shared.lock().expect("no reader panics").push_str(&String::from_utf8_lossy(&text));
        }
    });
    all
}
