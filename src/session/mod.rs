//! One account above its stream, RFC 6121 and the XEPs: stanzas become events, actions become stanzas.
//!
//! Give one input. Then take outputs until `Idle`. Then give the next input.

use std::time::Instant;

use crate::action::Action;
use crate::event::{Contact, Event};
use crate::ids::Seed;
use crate::jid::{BareJid, FullJid};
use crate::moment::Moment;
use crate::stanza::Show;
use crate::xml::Element;

/// What an account is and how it behaves. Can be replaced while the account is online.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionConfig {
    /// The account.
    pub jid: BareJid,
    /// Whose subscription requests are granted without asking a script.
    pub accept: Accept,
    /// Presence that is sent after login.
    pub presence: OwnPresence,
    /// What XEP-0092 and XEP-0030 tell others.
    pub software: Software,
    /// The roster as it was stored, RFC 6121 §2.6.
    pub roster: Option<CachedRoster>,
    /// The other accounts of this process: their messages are marked as our own.
    pub own_bots: Vec<BareJid>,
    /// Preferred language, a BCP 47 tag such as `en`.
    pub lang: String,
    /// Copies of what other resources of the account send and receive, XEP-0280.
    pub carbons: bool,
    /// Whether contacts get the receipts they ask for, XEP-0184.
    pub receipts: bool,
}

/// Subscription policy, RFC 6121 §3.1. Whatever it says, scripts are told of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Accept {
    /// Everybody.
    All,
    /// Addresses of the account's own domain.
    Domain,
    /// These.
    List(Vec<BareJid>),
    /// Nobody: scripts decide.
    #[default]
    None,
    /// Those who are in the roster already.
    Roster,
}

/// The account's own presence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnPresence {
    /// Availability; absent means plainly available.
    pub show: Option<Show>,
    /// Status text.
    pub status: Option<String>,
    /// −128 to 127; a negative one keeps messages to the bare JID away.
    pub priority: i8,
}

/// What others are told about the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Software {
    /// Name of the program, or of the bot.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A roster with the version the server gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CachedRoster {
    /// Opaque version, RFC 6121 §2.6.
    pub ver: String,
    /// All items, by address.
    pub items: Vec<Contact>,
}

/// Why an action was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too many requests are open.
    Busy,
    /// The account does not do this.
    Forbidden { what: &'static str },
    /// The action cannot become a stanza.
    Invalid { what: &'static str },
    /// There is no session.
    Offline,
}

/// What the session wants from its owner.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionOutput {
    /// Send this stanza.
    Send(Element),
    /// Tell the scripts.
    Event(Event),
    /// Store the roster for the next login.
    SaveRoster(CachedRoster),
    /// Nothing left to do before this moment or the next input.
    Idle(Option<Instant>),
}

/// One account; lives over reconnects.
pub struct Session;

#[allow(unused_variables, missing_docs)]
impl Session {
    pub fn new(config: SessionConfig, seed: Seed) -> Self {
        todo!()
    }
    pub fn configure(&mut self, config: SessionConfig) {
        todo!()
    }
    pub fn on_online(&mut self, now: Moment, jid: FullJid, resumed: bool, features: &Element) {
        todo!()
    }
    pub fn on_offline(&mut self, now: Moment) {
        todo!()
    }
    pub fn on_stanza(&mut self, now: Moment, element: Element) {
        todo!()
    }
    pub fn perform(&mut self, now: Moment, action: Action) -> Result<(), Refused> {
        todo!()
    }
    pub fn on_timeout(&mut self, now: Moment) {
        todo!()
    }
    pub fn on_lost(&mut self, now: Moment, stanza: Element) {
        todo!()
    }
    pub fn poll_output(&mut self) -> SessionOutput {
        todo!()
    }
    pub fn encode(&self, action: &Action) -> Result<Element, Refused> {
        todo!()
    }
}

/// A message action as the stanza it becomes; needs no session, so that it can be stored before there is one.
#[allow(unused_variables)]
pub fn encode(action: &Action) -> Result<Element, Refused> {
    todo!()
}

impl SessionConfig {
    /// An account with the defaults of `bots.yaml`.
    pub fn new(jid: BareJid) -> Self {
        Self {
            jid,
            accept: Accept::None,
            presence: OwnPresence::default(),
            software: Software { name: "Rhapsode".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            roster: None,
            own_bots: Vec::new(),
            lang: "en".to_owned(),
            carbons: false,
            receipts: true,
        }
    }
}

impl CachedRoster {
    /// The roster as JSON, for the store.
    pub fn to_value(&self) -> serde_json::Value {
        todo!()
    }
    /// Reads what [`CachedRoster::to_value`] wrote; `None` where it is something else.
    #[allow(unused_variables)]
    pub fn from_value(value: &serde_json::Value) -> Option<Self> {
        todo!()
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Busy => f.write_str("too many requests are open"),
            Self::Forbidden { what } | Self::Invalid { what } => f.write_str(what),
            Self::Offline => f.write_str("the account is offline"),
        }
    }
}

impl std::error::Error for Refused {}
