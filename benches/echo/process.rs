//! The process that hosts the accounts, seen from outside: its CPU time, its memory, its wake-ups.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::CLIENT;

/// A process of accounts. Dropping it ends it.
pub struct Accounts {
    child: Child,
    commands: ChildStdin,
}

/// What a process has used up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// CPU time of all its threads, microseconds.
    pub cpu_us: f64,
    /// How often its threads went to sleep.
    pub sleeps: u64,
}

impl Accounts {
    /// Starts the accounts of `folder`; they log in when they are told `go`.
    pub fn start(folder: &Path, password: &str) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let child = Command::new(program)
            .arg(CLIENT)
            .arg(folder)
            .env("ECHO_PASSWORD", password)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.map_err(|error| format!("the accounts do not start: {error}"))?;
        let (Some(commands), Some(said)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the accounts have no pipes".to_owned());
        };
        let mut line = String::new();
        let accounts = Self { child, commands };
        match BufReader::new(said).read_line(&mut line) {
            Ok(1..) => Ok(accounts),
            Ok(0) | Err(_) => Err("the accounts ended at once".to_owned()),
        }
    }

    /// Gives a command.
    pub fn tell(&mut self, command: &str) -> Result<(), String> {
        writeln!(self.commands, "{command}").map_err(|error| format!("the accounts have ended: {error}"))
    }

    /// Its number in the system.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it in order.
    pub fn stop(mut self) -> Result<(), String> {
        self.tell("stop")?;
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("the accounts ended badly: {status}")) }
    }
}

impl Drop for Accounts {
    fn drop(&mut self) {
        // After `stop` it has gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a process has used up until now: CPU time to 10 ms, threads that have ended included.
pub fn used(process: u32) -> Used {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Behind the name, which may hold anything, come the fields from the third on; the 14th and 15th are ticks.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    let mut used = Used { cpu_us: ticks as f64 * TICK_US, sleeps: 0 };
    let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { return used };
    for task in tasks.filter_map(Result::ok) {
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        used.sleeps += field(&status, "voluntary_ctxt_switches:");
    }
    used
}

/// What Linux counts CPU time in, on every machine of today.
const TICK_US: f64 = 10_000.0;

/// Resident memory, kB.
pub fn resident(process: u32) -> u64 {
    field(&fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default(), "VmRSS:")
}

/// A process may hold as many files as the system allows; too few for `count` accounts is an error. The limit
/// itself can only be raised before a program starts, so this one starts anew under a shell that raises it.
pub fn raise_file_limit(count: usize) -> Result<(), String> {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap_or_default();
    let mut numbers = line.split_whitespace().map(|word| word.parse::<usize>().unwrap_or(usize::MAX));
    let (Some(soft), Some(hard)) = (numbers.next(), numbers.next()) else { return Ok(()) };
    let wanted = count + 200;
    if soft >= wanted {
        return Ok(());
    }
    if hard < wanted {
        return Err(format!("{count} accounts want {wanted} open files; the system allows {hard}"));
    }
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let status = Command::new("sh")
        .args(["-c", "ulimit -n \"$(ulimit -Hn)\" && exec \"$0\" \"$@\""])
        .arg(program)
        .args(std::env::args().skip(1))
        .status()
        .map_err(|error| error.to_string())?;
    std::process::exit(status.code().unwrap_or(1));
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
