//! Stanzas, RFC 6120 §8 and RFC 6121: typed views of the three top-level elements.

pub mod error;

pub use error::{ErrorKind, StanzaError};

/// `type` of a message, RFC 6121 §5.2.2. `error` is never one of these: see [`StanzaError`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageKind {
    /// One-to-one conversation.
    Chat,
    /// A room.
    Groupchat,
    /// An alert that expects no reply.
    Headline,
    /// A single message; also what an unknown type means.
    #[default]
    Normal,
}

/// What a presence says beside the subscription verbs, RFC 6121 §4.7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresenceKind {
    /// No `type`.
    Available,
    /// `type='error'`
    Error,
    /// `type='unavailable'`
    Unavailable,
}

/// `<show/>`, RFC 6121 §4.7.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// Away for a short time.
    Away,
    /// Wants to chat.
    Chat,
    /// Do not disturb.
    Dnd,
    /// Away for long.
    Xa,
}
