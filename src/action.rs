//! What a script asks its account for: the closed vocabulary of effects.

use std::time::Duration;

use crate::event::ChatState;
use crate::event::room::Affiliation;
use crate::jid::{BareJid, Jid};
use crate::stanza::{MessageKind, Show, StanzaError};
use crate::xml::Element;

/// One effect. Scripts only queue actions; the account carries them out after the commit.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Answer a request that came as [`crate::event::Event::Command`].
    Answer { to: Jid, id: String, outcome: Result<Option<Element>, StanzaError> },
    /// Block an address, or take that back, XEP-0191.
    Block { jid: Jid, blocked: bool },
    /// Tell a chat state, XEP-0085.
    ChatState { to: Jid, state: ChatState },
    /// Send a message.
    Message(OutgoingMessage),
    /// Set the account's own presence.
    Presence { show: Option<Show>, status: Option<String>, priority: i8 },
    /// Tell one entity a presence of its own, RFC 6121 §4.6; that of everybody else stays as it is.
    PresenceTo { to: Jid, available: bool, show: Option<Show>, status: Option<String> },
    /// Publish something on a node, XEP-0060; the answer comes back as `Event::Answer` with the same token.
    Publish(Box<Publication>),
    /// Ask a peer something; the answer comes back as `Event::Answer` with the same token.
    Request { token: String, to: Option<Jid>, kind: RequestKind, payload: Element, timeout: Duration },
    /// Answer a request of `Event::Request` with this token: only the first answer counts.
    Respond { token: String, outcome: Result<Option<Element>, StanzaError> },
    /// Do something to a room or in it. A refusal comes back as `Event::Bounce` with this id.
    Room { room: BareJid, id: String, order: RoomOrder },
    /// Change or add a roster item.
    RosterSet { jid: BareJid, name: Option<String>, groups: Vec<String> },
    /// Remove a roster item.
    RosterRemove { jid: BareJid },
    /// One of the four subscription verbs, RFC 6121 §3.
    Subscription { to: BareJid, verb: crate::event::SubscriptionVerb },
    /// Get a place for a file of `size` bytes, XEP-0363; the `<slot/>` comes as `Event::Answer` with the same token.
    Upload { token: String, name: String, mime: Option<String>, size: u64 },
}

impl Action {
    /// The token that an answer to it carries: who waits for one is told also where the action cannot be carried out.
    pub fn token(&self) -> Option<&str> {
        match self {
            Self::Publish(publication) => Some(&publication.token),
            Self::Request { token, .. } | Self::Upload { token, .. } => Some(token),
            Self::Answer { .. }
            | Self::Block { .. }
            | Self::ChatState { .. }
            | Self::Message(_)
            | Self::Presence { .. }
            | Self::PresenceTo { .. }
            | Self::Respond { .. }
            | Self::Room { .. }
            | Self::RosterRemove { .. }
            | Self::RosterSet { .. }
            | Self::Subscription { .. } => None,
        }
    }
}

/// An item for a node, and what the node has to be like.
#[derive(Clone, Debug, PartialEq)]
pub struct Publication {
    /// Names the answer.
    pub token: String,
    /// Whose node it is; absent: the account's own.
    pub service: Option<Jid>,
    /// The node.
    pub node: String,
    /// The item's id; the service makes one where there is none.
    pub id: Option<String>,
    /// What is published.
    pub payload: Element,
    /// Who may see the node.
    pub access: Option<NodeAccess>,
    /// How many items it keeps.
    pub keeps: Option<NodeKeeps>,
    /// Nothing is published unless the node is certain to be for the account alone, XEP-0223.
    pub private: bool,
}

/// Who may see what is on a node, XEP-0060 §4.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeAccess {
    /// Everybody.
    Open,
    /// Who sees the owner's presence.
    Presence,
    /// Who is in certain groups of the owner's roster.
    Roster,
    /// Whom the owner names, at first nobody.
    Whitelist,
}

impl NodeAccess {
    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Presence => "presence",
            Self::Roster => "roster",
            Self::Whitelist => "whitelist",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Open, Self::Presence, Self::Roster, Self::Whitelist].into_iter().find(|it| it.as_str() == word)
    }
}

/// How many items a node keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKeeps {
    /// As many as the service allows.
    All,
    /// So many.
    Items(u32),
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct OutgoingMessage {
    /// Recipient.
    pub to: Jid,
    /// `chat` or `groupchat`; `normal` is rarely meant.
    pub kind: MessageKind,
    /// The stanza's `id`, derived from the turn: a turn that runs again makes the same.
    pub id: String,
    /// Text.
    pub text: String,
    /// Subject.
    pub subject: Option<String>,
    /// Language of the text.
    pub lang: Option<String>,
    /// Thread that is carried on.
    pub thread: Option<String>,
    /// Further child elements.
    pub payloads: Vec<Element>,
}

/// What can be done to a room, XEP-0045.
#[derive(Clone, Debug, PartialEq)]
pub enum RoomOrder {
    /// Give somebody another affiliation.
    Affiliate { jid: BareJid, affiliation: Affiliation, reason: Option<String> },
    /// Change these fields of its configuration.
    Configure { fields: Vec<(String, Vec<String>)> },
    /// Come in, as somebody invited the account to.
    Enter { password: Option<String> },
    /// Ask somebody to come in.
    Invite { jid: BareJid, reason: Option<String> },
    /// Go out. A room of the configuration is entered again with the next session.
    Leave,
    /// Take a message back for everybody, XEP-0425; `of` is the id that the room gave it.
    Retract { of: String, reason: Option<String> },
    /// Give an occupant another role: `none` removes them.
    Role { nick: String, role: crate::event::room::Role, reason: Option<String> },
}

/// IQ type of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// `type='get'`
    Get,
    /// `type='set'`
    Set,
}
