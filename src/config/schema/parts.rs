//! Parts of the table that stand on their own.

use super::{Section, Shape, key};

/// `room`.
pub const ROOM: Section = Section {
    name: "room",
    place: "bots.NAME.rooms[]",
    meaning: "A room with more than its address.",
    keys: &[
        key("jid", Shape::Address, "", "Its address. Required."),
        key("nick", Shape::Text, "the localpart of `jid`", "The nick there."),
        key("password", Shape::Section("secret"), "", "What the room asks for."),
        key(
            "create",
            Shape::Boolean,
            "true",
            "Whether the bot makes the room where there is none; one that its owner destroyed is never made again.",
        ),
    ],
    later: &[],
};

/// `profile`.
pub const PROFILE: Section = Section {
    name: "profile",
    place: "bots.NAME.profile",
    meaning: "What a bot tells of itself.",
    keys: &[
        key("name", Shape::Text, "", "Its name for people, in its card (XEP-0054)."),
        key("nick", Shape::Text, "", "What it wants to be called (XEP-0172), also in its card."),
        key("about", Shape::Text, "", "A sentence about it, in its card."),
        key("url", Shape::Text, "", "Where there is more about it, in its card."),
        key(
            "avatar",
            Shape::Path,
            "",
            "Its picture (XEP-0084): a PNG file of at most 64 KiB and 1024 × 1024 pixels.",
        ),
    ],
    later: &[],
};

/// `presence`.
pub const PRESENCE: Section = Section {
    name: "presence",
    place: "bots.NAME.presence",
    meaning: "How a bot shows itself.",
    keys: &[
        key("show", Shape::Choice(&["away", "chat", "dnd", "xa"]), "plainly available", "Its availability."),
        key("status", Shape::Text, "", "A sentence for people."),
        key(
            "priority",
            Shape::Integer(-128, 127),
            "0",
            "Priority of the resource. Below 0 a server delivers no messages to the bare address.",
        ),
    ],
    later: &[],
};
