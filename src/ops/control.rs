//! The control socket: one JSON request a line, one JSON answer a line, for the owner of the process only.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use crate::actor::message::Parting;
use crate::jid::Jid;
use crate::ops::dead::{Deed, Shown};
use crate::ops::glob::is_glob;
use crate::ops::reload::ReloadPlan;
use crate::ops::report::Status;
use crate::ops::service::{Service, new_password};
use crate::ops::watch::tell;
use crate::ops::why::Explained;
use crate::secret::Password;

/// Longest request or answer line that is read, in bytes. `status` of ten thousand bots has about 4 MiB.
const LONGEST: u64 = 64 * 1024 * 1024;

/// What may be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "request")]
pub enum Request {
    /// Give an account another password.
    Password {
        /// Name of the bot.
        bot: String,
        /// The new one; one is made up where there is none.
        password: Option<Hidden>,
        /// Seconds to wait for the server.
        within_s: u64,
    },
    /// Look at dead letters, try them again, or drop them.
    Dead {
        /// What to do.
        deed: Deed,
        /// Patterns of names of bots, and ids of letters.
        #[serde(default)]
        which: Vec<String>,
    },
    /// Close and reopen connections.
    Reconnect {
        /// Patterns of names.
        bots: Vec<String>,
    },
    /// Read the configuration anew.
    Reload {
        /// Only say what would change.
        dry_run: bool,
    },
    /// Send one message.
    Send {
        /// Name of the bot.
        from: String,
        /// Recipient.
        to: String,
        /// Text.
        text: String,
        /// Seconds to wait for the acknowledgement.
        within_s: u64,
    },
    /// How bots stand.
    Status {
        /// Patterns of names; without one, all bots.
        #[serde(default)]
        bots: Vec<String>,
    },
    /// End in order.
    Stop {
        /// The bots go offline for everybody; otherwise their sessions wait for the next process.
        #[serde(default)]
        leave: bool,
    },
    /// What became of events.
    Why {
        /// A bot, or the id of an event or a message.
        about: String,
        /// Only events of that kind.
        #[serde(default)]
        kind: Option<String>,
        /// How many, at most.
        last: usize,
    },
}

/// A secret on its way over the socket, which only the owner of the process can use.
#[derive(Clone, Serialize, Deserialize)]
pub struct Hidden(pub String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hidden")
    }
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Answer {
    /// To [`Request::Dead`]: those it was done with.
    Dead {
        /// The oldest of each bot first.
        letters: Vec<Shown>,
    },
    /// Carried out.
    Done {
        /// For people; may be empty.
        text: String,
    },
    /// Not carried out.
    Refused {
        /// Why, for people.
        text: String,
    },
    /// To [`Request::Reload`].
    Reloaded {
        /// For people.
        text: String,
        /// For programs.
        plan: Box<ReloadPlan>,
    },
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Why`].
    Why {
        /// The oldest first.
        events: Vec<Explained>,
    },
}

/// Serves the socket until the process ends. `stop` is told when somebody asks for the end.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve(path: &Path, service: Rc<Service>, stop: mpsc::Sender<Parting>) -> std::io::Result<()> {
    // The store's lock says that no other process is running: a socket that is left over is dead.
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    tokio::task::spawn_local(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::task::spawn_local(converse(stream, Rc::clone(&service), stop.clone()));
                }
                Err(error) => {
                    // Out of descriptors, most likely: give others time to close theirs.
                    tracing::warn!(%error, "the control socket could not take a connection");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    });
    Ok(())
}

async fn converse(stream: UnixStream, service: Rc<Service>, stop: mpsc::Sender<Parting>) {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(1024 * 1024));
    if reader.read_line(&mut line).await.is_err() {
        return;
    }
    let (answer, parting) = match serde_json::from_str::<Request>(&line) {
        Ok(request) => {
            let parting = parting(&request);
            (answer(request, &service).await, parting)
        }
        Err(error) => (Answer::Refused { text: format!("not a request: {error}") }, None),
    };
    let mut text = serde_json::to_string(&answer).unwrap_or_default();
    text.push('\n');
    // The asker may have gone away; what it asked for is done all the same.
    drop(writer.write_all(text.as_bytes()).await);
    drop(writer.shutdown().await);
    if let Some(parting) = parting {
        // Already told: the process is ending.
        let _ = stop.try_send(parting);
    }
}

/// How the process is to end, where that is what the request says.
fn parting(request: &Request) -> Option<Parting> {
    match request {
        Request::Stop { leave: true } => Some(Parting::Final),
        Request::Stop { leave: false } => Some(Parting::Resumable),
        Request::Dead { .. }
        | Request::Password { .. }
        | Request::Reconnect { .. }
        | Request::Reload { .. }
        | Request::Send { .. }
        | Request::Status { .. }
        | Request::Why { .. } => None,
    }
}

async fn answer(request: Request, service: &Service) -> Answer {
    match request {
        Request::Password { bot, password, within_s } => {
            let password = match password {
                Some(Hidden(text)) => Ok(Password::new(text)),
                None => new_password().map_err(|error| error.to_string()),
            };
            let within = Duration::from_secs(within_s);
            let changed = match password {
                Ok(password) => service.change_password(&bot, password, within).await,
                Err(text) => Err(text),
            };
            match changed {
                Ok(file) => Answer::Done { text: file },
                Err(text) => Answer::Refused { text },
            }
        }
        Request::Dead { deed, which } => match service.dead(deed, which).await {
            Ok(letters) => Answer::Dead { letters },
            Err(text) => Answer::Refused { text },
        },
        Request::Reconnect { bots } => match service.reconnect(&bots).await {
            Ok(told) if bots.iter().any(|text| is_glob(text)) => Answer::Done { text: told.join("\n") },
            Ok(_) => Answer::Done { text: String::new() },
            Err(text) => Answer::Refused { text },
        },
        Request::Reload { dry_run } => {
            let plan = service.reload(dry_run).await;
            if !dry_run {
                tell(&plan);
            }
            Answer::Reloaded { text: plan.to_text(), plan: Box::new(plan) }
        }
        Request::Send { from, to, text, within_s } => match Jid::parse(&to) {
            Ok(to) => match service.send(from, to, text, Duration::from_secs(within_s)).await {
                Ok(()) => Answer::Done { text: String::new() },
                Err(failed) => Answer::Refused { text: failed.to_string() },
            },
            Err(error) => Answer::Refused { text: format!("`{to}`: {error}") },
        },
        Request::Status { bots } => match service.status_of(&bots).await {
            Ok(status) => Answer::Status(Box::new(status)),
            Err(text) => Answer::Refused { text },
        },
        Request::Why { about, kind, last } => match service.why(&about, kind.as_deref(), last) {
            Ok(events) => Answer::Why { events },
            Err(text) => Answer::Refused { text },
        },
        Request::Stop { .. } => Answer::Done { text: "stopping".to_owned() },
    }
}

/// Asks a running process.
///
/// # Errors
/// [`Silent`] when none runs there or it does not answer.
pub async fn ask(path: &Path, request: &Request) -> Result<Answer, Silent> {
    let stream = UnixStream::connect(path).await.map_err(|error| Silent::NotRunning { error })?;
    let (reader, mut writer) = stream.into_split();
    let mut line = serde_json::to_string(request).unwrap_or_default();
    line.push('\n');
    writer.write_all(line.as_bytes()).await.map_err(|error| Silent::NotRunning { error })?;
    let mut text = String::new();
    BufReader::new(reader.take(LONGEST))
        .read_line(&mut text)
        .await
        .map_err(|error| Silent::NotRunning { error })?;
    serde_json::from_str(&text).map_err(|error| Silent::Unreadable { error })
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Silent {
    /// No process listens there.
    NotRunning {
        /// What the system said.
        error: std::io::Error,
    },
    /// The answer is no answer: a different version, most likely.
    Unreadable {
        /// What is wrong with it.
        error: serde_json::Error,
    },
}
