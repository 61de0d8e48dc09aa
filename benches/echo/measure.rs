//! One measurement: a number of accounts from their first login to their end.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rhapsode::server::{Running, Server, ServerOptions};
use rhapsode::stream::sasl::Mechanism;
use rhapsode::stream::sasl::hash::Hash;
use serde::Serialize;

use crate::load::{People, Plan, Rope, Seen};
use crate::process::{self, Accounts, Used};

/// What is measured, and for how long.
pub struct Options {
    /// Numbers of accounts, in this order.
    pub counts: Vec<usize>,
    /// `relaxed` or `full`.
    pub durabilities: Vec<String>,
    /// Seconds of each load.
    pub seconds: u64,
    /// Repetitions, of which the medians are shown.
    pub runs: usize,
    /// Logins a second.
    pub pace: u32,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub durability: String,
    pub accounts: usize,
    /// Seconds until all were online, at the pace that was asked for.
    pub online_s: f64,
    pub connect_ms: f64,
    pub reconnect_ms: f64,
    pub rss_kb: u64,
    /// Compared with one account.
    pub rss_per_account_kb: Option<f64>,
    /// CPU of all accounts together while nothing happens, in thousandths of a core.
    pub idle_mcore: f64,
    pub saturated: Load,
    pub paced: Load,
    /// Messages that were never answered, or answered twice.
    pub wrong: usize,
}

/// How a load was borne.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Load {
    pub replies_per_s: f64,
    pub replies_per_cpu_s: f64,
    pub cpu_us: f64,
    /// The same of the server with its people: where it is more than ours, it was the bottleneck.
    pub server_cpu_us: f64,
    pub sleeps: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

impl Default for Options {
    fn default() -> Self {
        let durabilities = vec!["relaxed".to_owned()];
        Self { counts: vec![1, 100, 1000], durabilities, seconds: 5, runs: 1, pace: 1000 }
    }
}

/// Measures `count` accounts; `single` is the memory of one account in kB.
pub fn measure(
    count: usize,
    durability: &str,
    single: Option<u64>,
    options: &Options,
) -> Result<Row, String> {
    let rope = Rope::new();
    let (server, bots) = server(count)?;
    server.invite("people", Box::new(People::new(rope.clone(), bots))).ok_or("the people are refused")?;
    let folder = Folder::new(&server, count, durability, options.pace)?;
    let mut accounts = Accounts::start(&folder.path, PASSWORD)?;
    let id = accounts.id();

    let (connect_ms, online_s) = online(&server, count, &mut accounts, "go")?;
    let quiet = process::used(id);
    let span = Duration::from_secs(2 + count as u64 / 2000);
    std::thread::sleep(span);
    let idle_mcore = (process::used(id).cpu_us - quiet.cpu_us) / span.as_secs_f64() / 1000.0;
    let rss_kb = process::resident(id);

    let window = if count == 1 { 16 } else { 1 };
    let saturated = load(&rope, id, Plan::Saturate(window), options.seconds)?;
    let paced = load(&rope, id, Plan::Rate(1000), options.seconds)?;
    let (reconnect_ms, _) = online(&server, count, &mut accounts, "reconnect")?;
    let wrong = rope.look().strange;
    accounts.stop()?;

    let above = single.filter(|_| count > 1).map(|single| rss_kb as f64 - single as f64);
    Ok(Row {
        durability: durability.to_owned(),
        accounts: count,
        online_s,
        connect_ms,
        reconnect_ms,
        rss_kb,
        rss_per_account_kb: above.map(|above| above / (count - 1) as f64),
        idle_mcore,
        saturated,
        paced,
        wrong,
    })
}

fn server(count: usize) -> Result<(Running, Vec<String>), String> {
    let local = |number| format!("echo{number}");
    let mut accounts: Vec<(String, String)> = (0..count).map(|n| (local(n), PASSWORD.to_owned())).collect();
    accounts.push(("people".to_owned(), PASSWORD.to_owned()));
    // What most servers offer, and what others are measured with.
    let mechanisms = vec![Mechanism::Scram { hash: Hash::Sha1, plus: true }];
    let options = ServerOptions { accounts, mechanisms, ..ServerOptions::default() };
    let bots = (0..count).map(|number| format!("{}@{}", local(number), options.domain)).collect();
    Ok((Server::start(options).map_err(|error| error.to_string())?, bots))
}

/// Has all accounts log in; CPU milliseconds each, and seconds until the last was there.
fn online(
    server: &Running,
    count: usize,
    accounts: &mut Accounts,
    command: &str,
) -> Result<(f64, f64), String> {
    let bound = server.counts().bound;
    let before = process::used(accounts.id());
    let begun = Instant::now();
    accounts.tell(command)?;
    let deadline = begun + PATIENCE;
    let fresh = |server: &Running| (server.counts().bound - bound) as usize >= count;
    while !fresh(server) {
        if Instant::now() > deadline {
            let online = server.sessions().iter().filter(|session| session.connected).count();
            return Err(format!("only {online} of {count} accounts are online"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let online_s = begun.elapsed().as_secs_f64();
    // Rosters and presence of the last ones are still under way.
    std::thread::sleep(Duration::from_secs(1));
    let used = process::used(accounts.id()).cpu_us - before.cpu_us;
    Ok((used / 1000.0 / count as f64, online_s))
}

fn load(rope: &Rope, id: u32, plan: Plan, seconds: u64) -> Result<Load, String> {
    rope.set(plan);
    std::thread::sleep(Duration::from_secs(1));
    let (_, ours, theirs) = (rope.look(), process::used(id), process::used(std::process::id()));
    let begun = Instant::now();
    std::thread::sleep(Duration::from_secs(seconds));
    let (seen, wall) = (rope.look(), begun.elapsed().as_secs_f64());
    let (ours, theirs) =
        (difference(process::used(id), ours), difference(process::used(std::process::id()), theirs));
    rope.set(Plan::Quiet);
    let deadline = Instant::now() + PATIENCE;
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let left = rope.look().in_flight;
        if left == 0 {
            return Ok(summed(seen, ours, theirs, wall));
        }
        if Instant::now() > deadline {
            return Err(format!("{left} messages were never answered ({plan:?})"));
        }
    }
}

fn difference(after: Used, before: Used) -> Used {
    Used { cpu_us: after.cpu_us - before.cpu_us, sleeps: after.sleeps.saturating_sub(before.sleeps) }
}

fn summed(seen: Seen, ours: Used, theirs: Used, wall: f64) -> Load {
    let mut answers = seen.answers;
    answers.sort_unstable();
    let replies = answers.len().max(1) as f64;
    let at = |part: f64| answers.get((answers.len() as f64 * part) as usize).copied().unwrap_or_default();
    Load {
        replies_per_s: answers.len() as f64 / wall,
        replies_per_cpu_s: answers.len() as f64 / (ours.cpu_us / 1e6),
        cpu_us: ours.cpu_us / replies,
        server_cpu_us: theirs.cpu_us / replies,
        sleeps: ours.sleeps as f64 / replies,
        p50_us: at(0.5).as_secs_f64() * 1e6,
        p99_us: at(0.99).as_secs_f64() * 1e6,
    }
}

/// The configuration of the accounts, in a folder that goes when this goes.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new(server: &Running, count: usize, durability: &str, pace: u32) -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("rhapsode-echo-{}", std::process::id()));
        // What an earlier process of the same number may have left.
        drop(fs::remove_dir_all(&path));
        let folder = Self { path };
        let failed = |error: std::io::Error| format!("`{}`: {error}", folder.path.display());
        fs::create_dir_all(&folder.path).map_err(failed)?;
        let write = |name: &str, text: &str| fs::write(folder.path.join(name), text).map_err(failed);
        write("ca.pem", server.ca_pem())?;
        let names: String = (0..count).map(|number| format!("echo{number}\n")).collect();
        write("accounts.csv", &format!("name\n{names}"))?;
        write("bots.yaml", &configuration(server, durability, pace))?;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Whatever stays is in the folder for temporary files.
        drop(fs::remove_dir_all(&self.path));
    }
}

fn configuration(server: &Running, durability: &str, pace: u32) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/echo.rhai");
    format!(
        "version: 1
storage: ./data
durability: {durability}
defaults:
  server: 127.0.0.1:{}
  tls: {{ mode: starttls, ca: ca.pem }}
  limits: {{ send: {{ rate: none }} }}
  scripts: [echo]
scripts:
  echo: {}
accounts_files:
  - file: accounts.csv
    jid: \"{{name}}@{}\"
    password: {{ env: ECHO_PASSWORD }}
login: {{ pace: {pace}/s, jitter: 0s }}
",
        server.addr().port(),
        script.display(),
        ServerOptions::default().domain,
    )
}

const PASSWORD: &str = "an echo has no secrets";
/// How long logins, or the last answers, may take.
const PATIENCE: Duration = Duration::from_secs(40);
