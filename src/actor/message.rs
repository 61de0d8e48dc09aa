//! Every message between the actors.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix::dev::{MessageResponse, OneshotSender};
use actix::{Actor, Message};
use tokio::sync::oneshot;

use crate::actor::status::Board;
use crate::config::diff::Plan;
use crate::config::settings::{BotSettings, ComponentSettings, Settings};
use crate::cron::Schedule;
use crate::event::room::RoomsView;
use crate::jid::{BareJid, Jid};
use crate::net::link::LinkEvent;
use crate::script::speech::Speech;
use crate::script::{Delivery, Roles, ScriptUse};
use crate::secret::Password;

/// Link → account: something happened. The answer opens the gate for the next chunk.
pub struct Inbound {
    /// Which connection this is about; events of an older one are dropped.
    pub connection: u64,
    /// What happened.
    pub event: LinkEvent,
}

impl Message for Inbound {
    type Result = Gate;
}

/// Reply to [`Inbound`]: at once, or when the account can take more.
pub enum Gate {
    /// Read on.
    Open,
    /// Read on when this resolves.
    Held(oneshot::Receiver<()>),
}

impl<A: Actor> MessageResponse<A, Inbound> for Gate {
    fn handle(self, _: &mut A::Context, answer: Option<OneshotSender<Gate>>) {
        if let Some(answer) = answer {
            // The link may be gone; then nobody reads on.
            drop(answer.send(self));
        }
    }
}

/// Account → bot: events in order, one message for all that one chunk brought.
pub struct Deliver {
    /// The rooms as they are, where that has changed.
    pub rooms: Option<Arc<RoomsView>>,
    /// Bytes of the largest stanza that the server takes, while there is a stream.
    pub stanza_limit: Option<usize>,
    /// What happened.
    pub events: Vec<Delivery>,
}

impl Message for Deliver {
    type Result = ();
}

/// Registry → bot: the configuration changed; everything holds from the next turn on.
pub struct Swap {
    /// The scripts, where they changed.
    pub scripts: Option<Vec<ScriptUse>>,
    /// Who may give orders.
    pub admins: Vec<BareJid>,
    /// Its roles.
    pub roles: Roles,
    /// Events that may wait.
    pub queue: usize,
    /// What the bot does by the clock.
    pub schedules: Vec<Schedule>,
    /// How it speaks where no script says so.
    pub speech: Speech,
}

impl Message for Swap {
    type Result = ();
}

/// Registry → account: the configuration changed in something that needs no new connection.
pub struct Configure(pub Arc<BotSettings>);

impl Message for Configure {
    type Result = ();
}

/// Registry → account: close the connection in order and make a new one.
pub struct Reconnect;

impl Message for Reconnect {
    type Result = ();
}

/// What becomes of an account's session at its server when the account stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// It ends: contacts and rooms see the bot leave.
    Final,
    /// It waits for the next process, as long as the server keeps it (XEP-0198 §5): nobody sees the bot leave. Where
    /// it cannot be resumed, it ends.
    Resumable,
}

/// Registry → account or bot: stop in order.
pub struct Stop(pub Parting);

impl Message for Stop {
    type Result = ();
}

/// Registry → component: its settings and addresses as they are now.
pub struct Retune {
    /// The settings.
    pub spec: Arc<ComponentSettings>,
    /// The addresses.
    pub addresses: Arc<BTreeSet<BareJid>>,
}

impl Message for Retune {
    type Result = ();
}

/// Somebody → account: send this and answer when the server has it.
pub struct SendNow {
    /// Recipient.
    pub to: Jid,
    /// Text.
    pub text: String,
    /// Told the outcome.
    pub answer: oneshot::Sender<Result<(), SendFailed>>,
}

impl Message for SendNow {
    type Result = ();
}

/// Somebody → account: ask the server for another password, and answer when it is settled. It lies beside the old one
/// on disk already.
pub struct ChangePassword {
    /// The new one.
    pub password: Password,
    /// Told the outcome.
    pub answer: oneshot::Sender<Result<(), PasswordFailed>>,
}

impl Message for ChangePassword {
    type Result = ();
}

/// Someone → registry: pass [`ChangePassword`] on to an account; whether there is one.
pub struct ChangePasswordOf {
    /// The bot's name.
    pub bot: String,
    /// What to do.
    pub message: ChangePassword,
}

impl Message for ChangePasswordOf {
    type Result = bool;
}

/// Why a password did not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordFailed {
    /// The account is not online; nothing was asked.
    Offline {
        /// Why.
        detail: String,
    },
    /// It will not be changed.
    Refused {
        /// Why.
        detail: String,
    },
    /// The server may have it or not.
    Unknown,
    /// The files do not say what the server says.
    Unsettled {
        /// Why.
        detail: String,
    },
}

impl std::fmt::Display for PasswordFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Offline { detail } if detail.is_empty() => {
                f.write_str("the bot is not online; nothing has changed")
            }
            Self::Offline { detail } => write!(f, "the bot is not online ({detail}); nothing has changed"),
            Self::Refused { detail } => write!(f, "the password stays as it is: {detail}"),
            Self::Unknown => f.write_str("the server has not said whether it has the new password"),
            Self::Unsettled { detail } => {
                write!(
                    f,
                    "the password file could not be changed: {detail}\nhint: the bot does it at its next login"
                )
            }
        }
    }
}

/// Why a message did not get out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendFailed {
    /// The account will not come online by itself.
    Refused {
        /// Why.
        detail: String,
    },
    /// The text cannot be sent.
    Invalid {
        /// What is wrong with it.
        detail: String,
    },
    /// The server returned it.
    Bounced {
        /// The condition.
        condition: String,
    },
    /// There is no such account.
    Unknown,
    /// Nothing came back in time.
    Timeout,
}

impl std::fmt::Display for SendFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { detail } => write!(f, "the account is not online: {detail}"),
            Self::Invalid { detail } => write!(f, "the message cannot be sent: {detail}"),
            Self::Bounced { condition } => write!(f, "the message came back: {condition}"),
            Self::Unknown => f.write_str("no such account in the configuration"),
            Self::Timeout => f.write_str("the server did not acknowledge the message in time"),
        }
    }
}

/// Account or bot → registry, when it ends for whatever reason.
pub struct Down {
    /// The bot's name.
    pub name: String,
    /// Which of the two actors.
    pub part: crate::actor::notice::Part,
    /// Which start of it.
    pub generation: u64,
    /// Whether a panic ended it.
    pub panicked: bool,
}

/// Someone → registry: change over to these settings.
pub struct Apply {
    /// The whole new configuration.
    pub settings: Arc<Settings>,
    /// What differs.
    pub plan: Plan,
    /// Compiled scripts of the bots that start or change theirs, by bot name.
    pub scripts: std::collections::BTreeMap<String, Vec<ScriptUse>>,
}

impl Message for Apply {
    type Result = ();
}

/// Someone → registry: how does everybody stand?
pub struct Survey;

impl Message for Survey {
    type Result = Vec<Surveyed>;
}

/// One account's answer to [`Survey`].
pub struct Surveyed {
    /// Name in the configuration.
    pub name: String,
    /// Its address.
    pub jid: String,
    /// Its board.
    pub board: Arc<Board>,
}

/// Someone → registry: reconnect these bots; answers which names are unknown.
pub struct ReconnectBots(pub Vec<String>);

impl Message for ReconnectBots {
    type Result = Vec<String>;
}

/// Someone → registry: pass [`SendNow`] on to an account.
pub struct SendFrom {
    /// The bot's name.
    pub bot: String,
    /// What to send.
    pub message: SendNow,
}

impl Message for SendFrom {
    type Result = ();
}

/// Someone → registry: stop everybody; the answer comes when all have ended or the deadline is over.
pub struct StopAll(pub Parting);

impl Message for StopAll {
    type Result = StopReport;
}

/// Who was still open when the deadline came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopReport {
    /// Names of the bots that had not ended.
    pub open: Vec<String>,
}
