//! What `status` shows, for programs as JSON and for people as text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::actor::message::Surveyed;
use crate::actor::status::{Board, State};
use crate::printable::printable;
use crate::store::health::Health;

/// The whole process. Field names are a promise.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// The configuration file.
    pub config: String,
    /// How the last reload ended; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_reload: Option<String>,
    /// Bots by state.
    pub bots: Bots,
    /// Messages of all bots since the start.
    pub messages: Messages,
    /// Turns of all scripts since the start.
    pub turns: Turns,
    /// Events that could not be handled.
    #[serde(default)]
    pub dead: DeadLetters,
    /// How the store fares.
    #[serde(default)]
    pub store: StoreState,
    /// One entry a bot, by name.
    pub accounts: Vec<Account>,
    /// What scripts count with `metric::`.
    #[serde(default)]
    pub metrics: Vec<Metric>,
}

/// One number of one script of one bot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Metric {
    /// The bot.
    pub bot: String,
    /// The script.
    pub script: String,
    /// Its name.
    pub name: String,
    /// What tells it from others of that name.
    pub labels: BTreeMap<String, String>,
    /// `counter` or `gauge`.
    pub kind: String,
    /// Its value.
    pub value: f64,
}

/// Bots by state.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)] // The names are the states of `actor::status::State`.
pub struct Bots {
    pub total: usize,
    pub online: usize,
    pub connecting: usize,
    pub retrying: usize,
    pub refused: usize,
    pub paused: usize,
}

/// Counters of messages.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Messages {
    /// Received by bots.
    pub received: u64,
    /// Written to streams.
    pub sent: u64,
    /// Acknowledged by servers.
    pub acked: u64,
    /// Waiting to be sent or acknowledged.
    pub queued: u64,
}

/// Counters of turns.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Turns {
    /// Committed.
    pub handled: u64,
    /// Ended in an error and left nothing behind.
    pub failed: u64,
}

/// How the store fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreState {
    /// `ok`; `waiting` while nothing can be kept and the disk is tried again; `failed` before the process ends.
    pub state: String,
    /// What is wrong, empty while all is well.
    pub detail: String,
}

impl From<Health> for StoreState {
    fn from(health: Health) -> Self {
        let (state, detail) = match health {
            Health::Failed(error) => ("failed", error.to_string()),
            Health::Waiting(error) => ("waiting", error.to_string()),
            Health::Well => ("ok", String::new()),
        };
        Self { state: state.to_owned(), detail }
    }
}

/// Events that scripts could not handle, as the store has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetters {
    /// Given up and kept: `rhapsode dead list` shows them.
    pub letters: u64,
    /// Given up and gone, because newer ones needed the room.
    pub displaced: u64,
    /// Waiting to be tried again.
    pub waiting: u64,
}

/// One bot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    /// Its name in the configuration.
    pub name: String,
    /// Its address.
    pub jid: String,
    /// `online`, `connecting`, `retrying`, `refused`, `paused` or `stopped`.
    pub state: String,
    /// When the state began, RFC 3339.
    pub since: String,
    /// Whether the stream was resumed (XEP-0198).
    pub resumed: bool,
    /// `tcp` or `websocket`, of the last connection; empty before the first, and behind a component.
    #[serde(default)]
    pub transport: String,
    /// What is wrong, empty while all is well.
    pub detail: String,
    /// When the next try begins, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try: Option<String>,
    /// Connections made by this process.
    pub connects: u64,
    /// Restarts after a fault of this program.
    pub restarts: u64,
    /// Its events that could not be handled.
    #[serde(default)]
    pub dead: DeadLetters,
    /// Its scripts.
    pub scripts: Vec<Script>,
    /// Its rooms.
    #[serde(default)]
    pub rooms: Vec<Room>,
}

/// One room of one bot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Room {
    /// Its address.
    pub jid: String,
    /// What the bot is called there, or tries to be.
    pub nick: String,
    /// `in`, `joining`, `left`, `lost: …` or `stopped: …`.
    pub state: String,
    /// How many are known to be there.
    pub occupants: usize,
}

/// One script of one bot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Script {
    /// Its name in the configuration.
    pub name: String,
    /// Hash of its text.
    pub version: String,
    /// `running`, or why not.
    pub state: String,
    /// Turns that failed since the bot began.
    #[serde(default)]
    pub failures: u64,
    /// Where it is parked (quarantined) because it kept failing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<Parked>,
    /// Timers that wait, by name, and that this version has no handler for.
    #[serde(default)]
    pub timers_without_handler: BTreeMap<String, u64>,
    /// Open questions, by name, and that this version takes no answers to.
    #[serde(default)]
    pub questions_orphaned: BTreeMap<String, u64>,
}

/// A script that is left alone for a while.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Parked {
    /// What led to it.
    pub why: String,
    /// When it is tried again, RFC 3339, if no other version comes before.
    pub until: String,
    /// Events that it did not get meanwhile.
    pub skipped: u64,
}

impl Status {
    /// Sums up what the boards say.
    pub fn new(surveyed: &[Surveyed], uptime_s: u64, config: String, last_reload: Option<String>) -> Self {
        let mut status = Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s,
            config,
            last_reload,
            bots: Bots { total: surveyed.len(), ..Bots::default() },
            messages: Messages::default(),
            turns: Turns::default(),
            dead: DeadLetters::default(),
            store: StoreState::default(),
            accounts: Vec::with_capacity(surveyed.len()),
            metrics: surveyed.iter().flat_map(metrics).collect(),
        };
        for one in surveyed {
            status.count(one);
            status.accounts.push(account(one));
        }
        status
    }

    fn count(&mut self, one: &Surveyed) {
        let board = &one.board;
        match board.state() {
            State::Connecting => self.bots.connecting += 1,
            State::Online => self.bots.online += 1,
            State::Paused => self.bots.paused += 1,
            State::Refused => self.bots.refused += 1,
            State::Retrying => self.bots.retrying += 1,
            State::Stopped => {}
        }
        self.messages.received += Board::read(&board.received);
        self.messages.sent += Board::read(&board.sent);
        self.messages.acked += Board::read(&board.acked);
        self.messages.queued += Board::read(&board.queued);
        self.turns.handled += Board::read(&board.turns);
        self.turns.failed += Board::read(&board.failed);
    }

    /// The status for people: totals, then what needs attention, then every bot if there are few.
    pub fn to_text(&self) -> String {
        let mut text = format!("rhapsode {}   up {}   {}\n", self.version, span(self.uptime_s), self.config);
        if let Some(reload) = &self.last_reload {
            text += &format!("reload    {reload}\n");
        }
        let bots = &self.bots;
        text += &format!(
            "bots      {}   online {}   connecting {}   retrying {}   refused {}   paused {}\n",
            bots.total, bots.online, bots.connecting, bots.retrying, bots.refused, bots.paused
        );
        let messages = &self.messages;
        text += &format!(
            "messages  received {}   sent {}   acknowledged {}   queued {}\n",
            messages.received, messages.sent, messages.acked, messages.queued
        );
        text += &format!("turns     handled {}   failed {}\n", self.turns.handled, self.turns.failed);
        if !self.store.detail.is_empty() {
            text += &format!("store     {}: {}\n", self.store.state, printable(&self.store.detail));
        }
        if self.dead != DeadLetters::default() {
            let DeadLetters { letters, displaced, waiting } = self.dead;
            text += &format!(
                "dead      letters {letters}   displaced {displaced}   to be tried again {waiting}\n"
            );
        }
        let few = self.accounts.len() <= 20;
        for account in self.accounts.iter().filter(|account| few || account.state != "online") {
            text += &format!("  {:<10} {:<20} {}", account.state, account.name, account.jid);
            if !account.detail.is_empty() {
                text += &format!("   {}", account.detail);
            }
            if let Some(next) = &account.next_try {
                text += &format!("   next try {next}");
            }
            for script in &account.scripts {
                text += &format!("   {} {}", script.name, script.version);
                if script.state != "running" {
                    text += &format!(" ({})", script.state.lines().next().unwrap_or_default());
                }
            }
            if !account.rooms.is_empty() {
                let joined = account.rooms.iter().filter(|room| room.state == "in").count();
                text += &format!("   rooms {joined}/{}", account.rooms.len());
            }
            if account.dead.letters > 0 {
                text += &format!("   dead letters {}", account.dead.letters);
            }
            text.push('\n');
            for script in &account.scripts {
                text += &unwanted("timers without a handler", script, &script.timers_without_handler);
                text += &unwanted("questions without a handler", script, &script.questions_orphaned);
            }
            for room in account.rooms.iter().filter(|room| account.state == "online" && room.state != "in") {
                text += &format!("             {} {}\n", room.jid, printable(&room.state));
            }
        }
        text
    }
}

/// A line about what waits in vain; nothing where nothing does.
fn unwanted(what: &str, script: &Script, names: &BTreeMap<String, u64>) -> String {
    if names.is_empty() {
        return String::new();
    }
    let named: Vec<String> = names.iter().take(8).map(|(name, count)| format!("{name}: {count}")).collect();
    let more = if names.len() > 8 { " …" } else { "" };
    format!("             {}  {what}: {}{more}\n", script.name, printable(&named.join(", ")))
}

fn metrics(one: &Surveyed) -> impl Iterator<Item = Metric> {
    let bot = one.name.clone();
    one.board.metrics().into_iter().map(move |metric| Metric {
        bot: bot.clone(),
        script: metric.script,
        name: metric.name,
        labels: metric.labels,
        kind: metric.kind.as_str().to_owned(),
        value: metric.value,
    })
}

fn account(one: &Surveyed) -> Account {
    let standing = one.board.standing();
    let scripts = one.board.scripts().into_iter();
    Account {
        name: one.name.clone(),
        jid: one.jid.clone(),
        state: standing.state.as_str().to_owned(),
        since: standing.since.to_string(),
        resumed: standing.resumed,
        transport: standing.transport.to_owned(),
        detail: standing.detail,
        next_try: standing.next_try.map(|at| at.to_string()),
        connects: standing.connects,
        restarts: Board::read(&one.board.restarts),
        dead: DeadLetters::default(),
        scripts: scripts
            .map(|script| Script {
                name: script.name,
                version: script.version,
                state: script.state,
                failures: script.failures,
                parked: script.parked.map(|parked| Parked {
                    why: parked.why,
                    until: parked.until.to_string(),
                    skipped: parked.skipped,
                }),
                timers_without_handler: BTreeMap::new(),
                questions_orphaned: BTreeMap::new(),
            })
            .collect(),
        rooms: one
            .board
            .rooms()
            .iter()
            .map(|(jid, room)| Room {
                jid: jid.to_string(),
                nick: room.nick.clone(),
                state: room.standing.clone(),
                occupants: room.occupants.len(),
            })
            .collect(),
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::metrics::MetricKind;
    use jiff::Timestamp;
    use std::sync::Arc;

    #[test]
    fn status_counts_states_and_keeps_the_promised_names() {
        let board = Arc::new(Board::new(Timestamp::UNIX_EPOCH));
        board.set(Timestamp::UNIX_EPOCH, State::Refused, "login refused: not-authorized", None);
        Board::add(&board.received, 3);
        let labels = BTreeMap::from([("state".to_owned(), "ok".to_owned())]);
        board.ask_metrics(move || {
            let (script, name, kind) = ("main".to_owned(), "deploys".to_owned(), MetricKind::Counter);
            vec![crate::script::metrics::Metric { script, name, labels: labels.clone(), kind, value: 2.0 }]
        });
        let surveyed = [Surveyed { name: "echo".to_owned(), jid: "echo@example.org".to_owned(), board }];
        let status = Status::new(&surveyed, 61, "bots.yaml".to_owned(), None);
        let json = serde_json::to_value(&status).expect("plain data");
        assert_eq!(json["bots"]["refused"], 1);
        assert_eq!(json["messages"]["received"], 3);
        let counted = serde_json::json!({ "bot": "echo", "script": "main", "name": "deploys",
            "labels": { "state": "ok" }, "kind": "counter", "value": 2.0 });
        assert_eq!(json["metrics"], serde_json::json!([counted]));
        assert_eq!(json["accounts"][0]["detail"], "login refused: not-authorized");
        for name in ["version", "pid", "uptime_s", "bots", "messages", "turns", "accounts", "metrics"] {
            assert!(json.get(name).is_some(), "{name} is promised");
        }
        assert!(status.to_text().contains("up 1m 1s"), "{}", status.to_text());
    }
}
