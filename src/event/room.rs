//! What happens in rooms, XEP-0045, and who is in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::jid::{BareJid, Jid};

/// Something happened in a room besides talk.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomEvent {
    /// The room.
    pub room: BareJid,
    /// What.
    pub change: RoomChange,
}

/// What happened in a room.
#[derive(Clone, Debug, PartialEq)]
pub enum RoomChange {
    /// The account is in: it has all occupants and may speak.
    Entered { nick: String, created: bool },
    /// Somebody came in. Those who were there before the account are told to nobody.
    Joined(Occupant),
    /// Somebody is gone.
    Left { occupant: Occupant, departure: Departure, by: Option<String>, text: Option<String> },
    /// The account is out, or did not get in. Without `retry_s` it will not try again by itself.
    Lost(Lost),
    /// Somebody has another nick.
    Renamed { occupant: Occupant, old: String },
    /// Somebody has another role or affiliation.
    Role {
        occupant: Occupant,
        role: Role,
        affiliation: Affiliation,
        by: Option<String>,
        text: Option<String>,
    },
    /// The room has another subject.
    Subject { text: String, nick: Option<String> },
}

/// Why the account is not in a room, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// One sentence.
    pub reason: String,
    /// Status code of XEP-0045 §15.6.2, or the number of the error in XEP-0086; 0 where there is none.
    pub code: u16,
    /// Seconds until the next try.
    pub retry_s: Option<u64>,
    /// Where the talk goes on, as the room says.
    pub venue: Option<BareJid>,
}

/// How somebody left a room, XEP-0045 §15.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Banned, 301.
    Banned,
    /// The room was destroyed.
    Destroyed,
    /// Removed by a moderator, 307.
    Kicked,
    /// By themselves, or with their connection.
    Left,
    /// The room is for members only and they are none, 321 and 322.
    NotMember,
    /// The service stops, 332.
    Shutdown,
    /// An error on the way to them, 333.
    Unreachable,
}

/// Somebody in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// Unique in the room, and anybody's after they leave.
    pub nick: String,
    /// What they may do now.
    pub role: Role,
    /// What they are to the room.
    pub affiliation: Affiliation,
    /// Their own address, where the room shows it.
    pub real_jid: Option<Jid>,
    /// XEP-0421, where the room announces that it gives these ids itself.
    pub occupant_id: Option<String>,
    /// Strongest identity known, see [`crate::event::Message::who`].
    pub who: String,
    /// How strong that is.
    pub identity: Identity,
    /// Whether it is the account itself.
    pub own: bool,
}

/// How far `who` can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    /// Nothing but a nick, which is anybody's.
    Nick,
    /// An id that the room gives for good, XEP-0421.
    Occupant,
    /// A real bare JID.
    Real,
}

/// What an occupant may do now, XEP-0045 §5.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Removes others and gives voice.
    Moderator,
    /// Not in the room.
    #[default]
    None,
    /// Speaks.
    Participant,
    /// Listens.
    Visitor,
}

/// What somebody is to a room, XEP-0045 §5.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Affiliation {
    /// Runs the room.
    Admin,
    /// Belongs to it.
    Member,
    /// A stranger.
    #[default]
    None,
    /// Banned.
    Outcast,
    /// Owns it.
    Owner,
}

/// Somebody asks the account to come into a room: directly (XEP-0249) or through the room.
#[derive(Clone, Debug, PartialEq)]
pub struct Invite {
    /// The room.
    pub room: BareJid,
    /// Who invites. Without `direct` this is only the room's word.
    pub from: Option<Jid>,
    /// Whether the inviter sent it, so that `from` is known.
    pub direct: bool,
    /// Words of the inviter.
    pub reason: Option<String>,
    /// What the room will ask for.
    pub password: Option<String>,
    /// Whether the policy let the account accept.
    pub accepted: bool,
}

/// A room as it is now, for those who have no session.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomView {
    /// The account's nick there, as it is or as it is tried.
    pub nick: String,
    /// Whether the account is in.
    pub joined: bool,
    /// In one word and a sentence: `in`, `joining`, `lost: …`, `stopped: …`.
    pub standing: String,
    /// The subject, where it is known.
    pub subject: Option<String>,
    /// Who is there, by nick. Bounded: of very large rooms not everybody is kept.
    pub occupants: Arc<BTreeMap<String, Arc<Occupant>>>,
}

/// All rooms of an account.
pub type RoomsView = BTreeMap<BareJid, Arc<RoomView>>;

impl RoomChange {
    /// The name scripts know the event by.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Entered { .. } => "room:self",
            Self::Joined(_) => "room:join",
            Self::Left { .. } => "room:leave",
            Self::Lost(_) => "room:lost",
            Self::Renamed { .. } => "room:nick",
            Self::Role { .. } => "room:role",
            Self::Subject { .. } => "room:subject",
        }
    }

    /// Whom it is about.
    pub fn occupant(&self) -> Option<&Occupant> {
        match self {
            Self::Joined(occupant)
            | Self::Left { occupant, .. }
            | Self::Renamed { occupant, .. }
            | Self::Role { occupant, .. } => Some(occupant),
            Self::Entered { .. } | Self::Lost(_) | Self::Subject { .. } => None,
        }
    }
}

impl Role {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Moderator => "moderator",
            Self::None => "none",
            Self::Participant => "participant",
            Self::Visitor => "visitor",
        }
    }

    /// Reads it; what is unknown is no role.
    pub fn parse(text: &str) -> Self {
        match text {
            "moderator" => Self::Moderator,
            "participant" => Self::Participant,
            "visitor" => Self::Visitor,
            _ => Self::None,
        }
    }
}

impl Affiliation {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
            Self::None => "none",
            Self::Outcast => "outcast",
            Self::Owner => "owner",
        }
    }

    /// Reads it, where it is one.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "admin" => Self::Admin,
            "member" => Self::Member,
            "none" => Self::None,
            "outcast" => Self::Outcast,
            "owner" => Self::Owner,
            _ => return None,
        })
    }
}

impl Identity {
    /// The word scripts see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nick => "nick",
            Self::Occupant => "occupant",
            Self::Real => "real",
        }
    }
}

impl Departure {
    /// The word scripts see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Banned => "banned",
            Self::Destroyed => "destroyed",
            Self::Kicked => "kicked",
            Self::Left => "left",
            Self::NotMember => "not-member",
            Self::Shutdown => "shutdown",
            Self::Unreachable => "unreachable",
        }
    }
}

/// The strongest identity that is known of an occupant. The three forms cannot be taken for one another: behind the
/// room's address stands nothing that an address has, `#`, or what every occupant JID has, `/`.
pub fn identify(room: &BareJid, nick: &str, real: Option<&Jid>, id: Option<&str>) -> (String, Identity) {
    match (real, id) {
        (Some(real), _) => (real.bare_str().to_owned(), Identity::Real),
        (None, Some(id)) => (format!("{room}#{id}"), Identity::Occupant),
        (None, None) => (format!("{room}/{nick}"), Identity::Nick),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s12_a_nick_cannot_pass_for_an_id_or_an_address() {
        let room = BareJid::parse("den@rooms.example.org").expect("an address");
        let real = Jid::parse("ann@example.org/x").expect("an address");
        let strongest = identify(&room, "ann", Some(&real), Some("id7"));
        assert_eq!(strongest, ("ann@example.org".to_owned(), Identity::Real));
        let (by_id, _) = identify(&room, "ann", None, Some("id7"));
        assert_eq!(by_id, "den@rooms.example.org#id7");
        for nick in ["id7", "#id7", "ann@example.org", "den@rooms.example.org#id7"] {
            let (weak, identity) = identify(&room, nick, None, None);
            assert_eq!(identity, Identity::Nick);
            assert!(weak != by_id && weak != "ann@example.org", "{weak}");
        }
        assert!(Jid::parse(&by_id).is_err(), "nobody can have it as an address");
    }
}
