//! What tests written in Rhai need of a simulated world: the seam to whoever has one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::script::error::ScriptError;
use crate::script::hook::{HookRequest, HookResponse};
use crate::script::outside::HttpResponse;
use crate::script::testing::chosen::{Answer, Choice};

/// Builds worlds.
pub trait Theatre {
    /// A world of its own with a bot that runs these scripts.
    ///
    /// # Errors
    /// A script is not there or does not compile, or an address is none.
    fn open(&self, opening: &Opening) -> Result<Box<dyn Stage>, Vec<Diagnostic>>;
}

/// What a world is to be made of.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Scripts, by file or by their name in bots.yaml; none where the bot brings its own.
    pub scripts: Vec<String>,
    /// The bot: an address, or its name in bots.yaml.
    pub bot: Option<String>,
    /// Values for options of the scripts.
    pub config: BTreeMap<String, Value>,
    /// From what chance follows.
    pub seed: Option<u64>,
    /// What the clock shows first.
    pub now: Option<String>,
    /// Who has which role; `admin` is one.
    pub roles: BTreeMap<String, Vec<String>>,
    /// Webhooks that the scripts may declare.
    pub webhooks: Vec<String>,
    /// Secrets that the scripts may use.
    pub secrets: BTreeMap<String, String>,
    /// When the world gives up.
    pub deadline: Instant,
}

/// Something that is done to a world. People and rooms are named as [`Stage::address`] gives them.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Time passes.
    Advance(Duration),
    /// The bot's program is killed.
    Crash,
    /// The bot comes into a room.
    Enter(String),
    /// Somebody has a role from now on.
    Grant {
        /// Who.
        who: String,
        /// Which.
        role: String,
    },
    /// Requests are answered so from now on.
    Http {
        /// `GET`, …
        method: String,
        /// The address; `*` at its end stands for any rest.
        url: String,
        /// The answer.
        answer: HttpResponse,
    },
    /// Somebody comes into a room.
    Join {
        /// Who.
        who: String,
        /// Where.
        room: String,
    },
    /// The bot is removed from a room.
    Kick {
        /// From where.
        room: String,
        /// The status code of XEP-0045.
        code: u16,
    },
    /// Somebody leaves a room.
    Leave {
        /// Who.
        who: String,
        /// Where.
        room: String,
    },
    /// The connection is cut (`false`), or comes back.
    Link(bool),
    /// Somebody says or does something. The stanza's id is `id`.
    Send {
        /// Who.
        who: String,
        /// In which room; to the bot alone where there is none.
        room: Option<String>,
        /// In a room: to the bot alone.
        whispered: bool,
        /// What.
        what: Sent,
    },
    /// The bot's program starts.
    Start,
    /// Somebody asks to see the bot's presence (`true`), or no longer cares for it.
    Subscribe {
        /// Who.
        who: String,
        /// Whether they want it.
        on: bool,
    },
}

/// What somebody sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Other words for an earlier message, XEP-0308.
    Edit {
        /// Its id.
        id: String,
        /// The words.
        text: String,
    },
    /// Reactions to a message, XEP-0444; all that this person has for it.
    Reaction {
        /// Its id.
        id: String,
        /// The emoji.
        emoji: Vec<String>,
    },
    /// An earlier message is taken back, XEP-0424.
    Retraction {
        /// Its id.
        id: String,
    },
    /// Words.
    Text(String),
}

/// Where something is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// To one person.
    Direct(String),
    /// In a room, for all.
    Room(String),
}

/// Something that the bot has said or done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Where.
    pub place: Place,
    /// What.
    pub what: Sign,
    /// The stanza's id.
    pub id: String,
}

/// What the bot has said or done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A presence that is an answer or a request: `subscribed`, `unsubscribed`, `subscribe`, …
    Presence(String),
    /// An emoji to a message.
    Reaction(String),
    /// Words.
    Text(String),
}

/// A world with one bot.
pub trait Stage {
    /// Does something, and lets it run until nothing moves. Gives the id of what was sent.
    ///
    /// # Errors
    /// It cannot be done now, or the world does not come to rest.
    fn act(&mut self, act: &Act) -> Result<String, String>;

    /// What the bot has said since the last look, in order.
    fn heard(&mut self) -> Vec<Heard>;

    /// What has gone wrong in scripts since the last look.
    fn failures(&mut self) -> Vec<ScriptError>;

    /// Requests since the last look for which there was no answer.
    fn unexpected(&mut self) -> Vec<String>;

    /// The address that a name stands for: `ann` is at home where the bot is.
    ///
    /// # Errors
    /// It cannot be an address.
    fn address(&self, name: &str) -> Result<String, String>;

    /// Messages of the bot that have arrived since the beginning.
    fn sent(&self) -> usize;

    /// What a script has stored, by key; of the first script where none is named.
    ///
    /// # Errors
    /// There is no such script, or it has stored more than a script can look at.
    fn stored(&self, script: Option<&str>) -> Result<BTreeMap<String, Value>, String>;

    /// The nicks of those in a room, the bot's included.
    fn occupants(&self, room: &str) -> Vec<String>;

    /// Calls a webhook, as somebody who has proved who they are.
    ///
    /// # Errors
    /// No script has it, or the bot does not run.
    fn call_hook(&mut self, name: &str, request: HookRequest) -> Result<HookResponse, String>;

    /// Somebody does something in the menu of their client.
    ///
    /// # Errors
    /// No such form is open, or the bot gives no answer.
    fn choose(&mut self, who: &str, choice: &Choice) -> Result<Answer, String>;

    /// What the clock shows, as RFC 3339.
    fn now(&self) -> String;

    /// Whether the bot runs and is connected.
    fn is_online(&self) -> bool;
}
