//! What happened to an account: the closed vocabulary that scripts are told in.

pub mod adhoc;
mod kept;
pub mod room;

use jiff::Timestamp;

use crate::event::adhoc::CommandRequest;
use crate::event::room::{Affiliation, Identity, Invite, Role, RoomEvent};
use crate::jid::{BareJid, FullJid, Jid};
use crate::stanza::{MessageKind, PresenceKind, Show, StanzaError};
use crate::xml::Element;

/// One event of one account. One event is one turn of each script that handles it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The answer to an IQ that a script asked for.
    Answer(Answer),
    /// An own message came back as an error.
    Bounce(Bounce),
    /// A contact's chat state changed, XEP-0085.
    ChatState { from: Jid, state: ChatState },
    /// Somebody wants something of the account's commands, XEP-0050.
    Command(Box<CommandRequest>),
    /// A link to a file, XEP-0066 or XEP-0447. Nothing is fetched. Where the message's body is nothing but the
    /// link, there is no [`Event::Message`] beside it.
    File(FileLink),
    /// Somebody asks the account to come into a room.
    Invite(Box<Invite>),
    /// A message with text.
    Message(Box<Message>),
    /// The stream is lost; the account will try again unless `retry_s` is absent.
    Offline { reason: String, retry_s: Option<u64> },
    /// The stream is ready for stanzas.
    Online { jid: FullJid, resumed: bool },
    /// Presence of one resource changed, RFC 6121 §4.
    Presence(Box<Presence>),
    /// A message of ours was received, XEP-0184.
    Receipt { from: Jid, id: String },
    /// Something about an earlier message, without words of its own.
    Remark(Box<Remark>),
    /// Somebody asks for something that a script may answer, with [`crate::action::Action::Respond`].
    Request(Box<Request>),
    /// One roster item changed, RFC 6121 §2.1.6, or the whole roster arrived.
    Roster(RosterChange),
    /// Something happened in a room besides talk, XEP-0045.
    Room(Box<RoomEvent>),
    /// A subscription request or its answer, RFC 6121 §3.
    Subscription { verb: SubscriptionVerb, from: BareJid, text: Option<String> },
    /// A durable timer is due.
    Timer(Timer),
    /// The script has just been loaded or replaced.
    Load,
}

/// An incoming message that has a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The stanza's `id`, as the sender wrote it.
    pub id: Option<String>,
    /// Sender: full JID, or occupant JID in a room.
    pub from: Jid,
    /// Where an answer goes: the room, the occupant, or the sender's full JID (RFC 6121 §5.1).
    pub place: Jid,
    /// The room, where the message comes from one.
    pub room: Option<BareJid>,
    /// What to call the sender: room nick, roster name or localpart.
    pub nick: String,
    /// Strongest identity known: real bare JID, else room and occupant id, else room and nick.
    pub who: String,
    /// How far `who` can be relied on.
    pub identity: Identity,
    /// The occupant's own address, where the room shows it.
    pub real_jid: Option<Jid>,
    /// The occupant's id, XEP-0421, where the room announces that it gives them itself.
    pub occupant_id: Option<String>,
    /// What the occupant may do, as far as it is known.
    pub role: Option<Role>,
    /// What the occupant is to the room, as far as it is known.
    pub affiliation: Option<Affiliation>,
    /// What the account is called in the room.
    pub own_nick: Option<String>,
    /// Body in the best language, or the first.
    pub text: String,
    /// Subject, where there is one beside the text.
    pub subject: Option<String>,
    /// Language of the text.
    pub lang: Option<String>,
    /// The `type` attribute.
    pub kind: MessageKind,
    /// Which way the message came.
    pub class: Class,
    /// When it was sent, where the server says so (XEP-0203).
    pub stamp: Option<Timestamp>,
    /// `<thread/>`, RFC 6121 §5.2.5.
    pub thread: Option<String>,
    /// Whether the sender asked for a receipt, XEP-0184. The session answers by itself.
    pub receipt_wanted: bool,
    /// Archive id that the account's server vouches for, or in a room the room, XEP-0359. Never one that a sender made up.
    pub stanza_id: Option<String>,
    /// The `id` of the message this one corrects, XEP-0308. A correction is no new command.
    pub replaces: Option<String>,
    /// The text is sealed (OMEMO and its like); `text` is then empty.
    pub encrypted: bool,
    /// The sender is the own account or another bot of this process: by default no script answers.
    pub own: bool,
    /// The sender says that it is a bot (disco identity `client/bot`), or is one of ours.
    pub is_bot: bool,
    /// Every child that no rule of ours consumed.
    pub payloads: Vec<Element>,
}

impl Message {
    /// A live one-to-one message with a text and nothing else.
    pub fn chat(from: Jid, text: impl Into<String>) -> Self {
        let bare = from.to_bare();
        Self {
            id: None,
            place: from.clone(),
            room: None,
            nick: bare.local().unwrap_or(bare.domain()).to_owned(),
            who: bare.to_string(),
            identity: Identity::Real,
            real_jid: None,
            occupant_id: None,
            role: None,
            affiliation: None,
            own_nick: None,
            from,
            text: text.into(),
            subject: None,
            lang: None,
            kind: MessageKind::Chat,
            class: Class::Live,
            stamp: None,
            thread: None,
            receipt_wanted: false,
            stanza_id: None,
            replaces: None,
            encrypted: false,
            own: false,
            is_bot: false,
            payloads: Vec::new(),
        }
    }
}

/// Which way a message came; decided once, in this order (`delay` alone never means old).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// From the archive, XEP-0313.
    Archive,
    /// A copy of what another resource of the account received or sent, XEP-0280.
    Carbon { sent: bool },
    /// Room history from before the join.
    History,
    /// Our own room message coming back.
    Reflection,
    /// Resumed or kept offline: live, but late.
    Delayed,
    /// As it was sent.
    Live,
}

/// What somebody lets know about an earlier message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Sender: full JID, or occupant JID in a room; the room itself where it speaks.
    pub from: Jid,
    /// Where an answer goes.
    pub place: Jid,
    /// The room, where it comes from one.
    pub room: Option<BareJid>,
    /// What to call the sender.
    pub nick: String,
    /// Strongest identity known, as in [`Message::who`].
    pub who: String,
    /// How sure that is.
    pub identity: room::Identity,
    /// The id of the message it is about, as the sender wrote it: nobody vouches that it is one of theirs.
    pub about: String,
    /// What it says.
    pub what: RemarkKind,
}

/// What a [`Remark`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemarkKind {
    /// Everything up to the message has been seen, XEP-0333.
    Displayed,
    /// These reactions, in place of earlier ones; none takes them back, XEP-0444.
    Reactions(Vec<String>),
    /// The message is taken back, XEP-0424.
    Retracted,
}

/// An own message that came back with `type='error'`.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounce {
    /// Who returned it.
    pub from: Option<Jid>,
    /// The `id` of the message we sent.
    pub id: Option<String>,
    /// Why.
    pub error: StanzaError,
}

/// Answer to [`crate::action::Action::Request`].
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The token that the request carried.
    pub token: String,
    /// The payload of the result (absent where it is empty), or why there is none.
    pub outcome: Result<Option<Element>, RequestFailed>,
}

/// A request of a peer who may ask: the account itself, or a contact who sees its presence.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What the answer has to carry.
    pub token: String,
    /// Who asks: full JID; the account's server where the stanza does not say.
    pub from: Jid,
    /// Whether it is a `set`.
    pub set: bool,
    /// Its one child.
    pub payload: Element,
}

/// Why a request has no result.
#[derive(Clone, Debug, PartialEq)]
pub enum RequestFailed {
    /// The peer answered with an error.
    Error(StanzaError),
    /// The session ended before the answer came.
    SessionLost,
    /// No answer before the deadline.
    Timeout,
}

/// Presence of one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Presence {
    /// Whose.
    pub from: Jid,
    /// Available, unavailable or error.
    pub kind: PresenceKind,
    /// `away`, `chat`, `dnd`, `xa`; absent means plainly available.
    pub show: Option<Show>,
    /// Status text in the best language.
    pub status: Option<String>,
    /// −128 to 127.
    pub priority: i8,
}

/// A link that came with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLink {
    /// Sender.
    pub from: Jid,
    /// Where an answer goes.
    pub place: Jid,
    /// The address, unchecked.
    pub url: String,
    /// Description by the sender.
    pub description: Option<String>,
    /// The file's name without a path, where the sender tells it.
    pub name: Option<String>,
    /// Its media type, as the sender says.
    pub mime: Option<String>,
    /// Its size in bytes, as the sender says.
    pub size: Option<u64>,
}

/// A change of the roster.
#[derive(Clone, Debug, PartialEq)]
pub enum RosterChange {
    /// The roster as it is now, after login.
    Loaded { items: Vec<Contact> },
    /// One item is new or different.
    Set(Contact),
    /// One item is gone.
    Removed(BareJid),
}

/// A roster item, RFC 6121 §2.1.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The contact's address.
    pub jid: BareJid,
    /// The name we gave it.
    pub name: Option<String>,
    /// Who sees whose presence.
    pub subscription: SubscriptionState,
    /// Whether our subscription request is pending (`ask='subscribe'`).
    pub ask: bool,
    /// Whether the contact is pre-approved, §3.4.
    pub approved: bool,
    /// Groups, sorted.
    pub groups: Vec<String>,
}

/// RFC 6121 §2.1.2.5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubscriptionState {
    /// Each sees the other.
    Both,
    /// The contact sees us.
    From,
    /// Nobody sees anybody.
    #[default]
    None,
    /// We see the contact.
    To,
}

/// The four subscription verbs, RFC 6121 §3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionVerb {
    /// "May I see you?"
    Subscribe,
    /// "You may."
    Subscribed,
    /// "I no longer want to see you."
    Unsubscribe,
    /// "You may not", or "no longer".
    Unsubscribed,
}

/// XEP-0085.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatState {
    /// Paying attention.
    Active,
    /// Writing.
    Composing,
    /// Has left the conversation.
    Gone,
    /// Not paying attention.
    Inactive,
    /// Stopped writing.
    Paused,
}

/// A durable timer that is due.
#[derive(Clone, Debug, PartialEq)]
pub struct Timer {
    /// Number that `timer::at` gave.
    pub id: i64,
    /// Script that set it.
    pub script: String,
    /// Name: the handler is `on("timer:NAME")`.
    pub name: String,
    /// When it was due.
    pub due: Timestamp,
    /// How late it is.
    pub late_s: i64,
    /// What the script wanted to remember, as JSON.
    pub data: serde_json::Value,
}
