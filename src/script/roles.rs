//! Who may use a command: addresses, roles of bots.yaml, and what a room says of its occupants.
//!
//! An address counts only where it is known for sure: that of a direct message, or the one that the room itself
//! tells of an occupant. A nick is never anybody's identity.

use crate::event::Message;
use crate::event::room::{Affiliation, Identity, Role};
use crate::jid::BareJid;
use crate::script::Roles;
use crate::script::error::{Kind, Thrown, nearest};

/// Who has which role for one bot.
#[derive(Default)]
pub(super) struct People {
    pub admins: Vec<BareJid>,
    pub roles: Roles,
}

/// One entry of `allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Somebody, or everybody of a domain.
    Address(BareJid),
    /// The bot's `admins`.
    Admin,
    /// Those whom bots.yaml gives that role.
    Role(String),
    /// Occupants whom their room gives that role or affiliation.
    Standing(String),
}

/// Roles and affiliations of XEP-0045 that may be asked for; `admin` is the bot's own.
const STANDINGS: &[&str] = &["member", "moderator", "owner", "participant", "visitor"];

/// How an affiliation is written whose bare name means something else.
const ROOM_ADMIN: &str = "room:admin";

impl Allowed {
    /// Reads an entry.
    ///
    /// # Errors
    /// Where it is no address and no word.
    pub(super) fn parse(text: &str) -> Result<Self, Thrown> {
        match text {
            "admin" => return Ok(Self::Admin),
            ROOM_ADMIN => return Ok(Self::Standing("admin".to_owned())),
            word if STANDINGS.contains(&word) => return Ok(Self::Standing(word.to_owned())),
            _ => {}
        }
        if text.contains(['@', '.']) {
            return BareJid::parse(text).map(Self::Address).map_err(|why| {
                Thrown::new(Kind::Declaration, format!("`allow` has no address in `{text}`: {why}"))
            });
        }
        let word = text.starts_with(char::is_alphabetic)
            && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
        if word {
            return Ok(Self::Role(text.to_owned()));
        }
        let hint = format!(
            "it takes roles of bots.yaml, `admin`, addresses, and in rooms {}, {ROOM_ADMIN}",
            STANDINGS.join(", ")
        );
        Err(Thrown::new(Kind::Declaration, format!("`{text}` in `allow` names nobody")).hint(hint))
    }

    /// The role that bots.yaml has to know.
    pub(super) fn role(&self) -> Option<&str> {
        match self {
            Self::Role(name) => Some(name),
            Self::Address(_) | Self::Admin | Self::Standing(_) => None,
        }
    }
}

impl People {
    /// Whether the sender is one of `allowed`; an empty list allows everybody.
    pub(super) fn permits(&self, allowed: &[Allowed], message: &Message) -> bool {
        let address = address(message);
        let fits = |of: &BareJid| address.is_some_and(|address| is_of(address, of));
        allowed.is_empty()
            || allowed.iter().any(|allowed| match allowed {
                Allowed::Address(of) => fits(of),
                Allowed::Admin => self.admins.iter().any(fits),
                Allowed::Role(name) => self.roles.get(name).is_some_and(|of| of.iter().any(fits)),
                Allowed::Standing(name) => standing(message).contains(&Some(name.as_str())),
            })
    }
}

/// The first of `asked` that bots.yaml does not define, with a hint.
pub fn unknown<'a>(asked: &'a [String], roles: &Roles) -> Option<(&'a str, String)> {
    let name = asked.iter().find(|name| !roles.contains_key(*name))?;
    let known = roles.keys().map(String::as_str).chain(["admin"]).chain(STANDINGS.iter().copied());
    let hint = match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("define it under `roles` of the bot: `roles: {{ {name}: [ann@example.org] }}`"),
    };
    Some((name, hint))
}

/// The sender's own address, where it is known for sure.
pub(super) fn address(message: &Message) -> Option<&str> {
    (message.identity == Identity::Real).then_some(message.who.as_str())
}

/// The strongest identity of the sender that is more than a nick.
pub(super) fn person(message: &Message) -> Option<&str> {
    let named = message.identity != Identity::Nick
        && (message.room.is_none() || message.who != message.from.as_str());
    named.then_some(message.who.as_str())
}

/// Role and affiliation that the room gives the sender.
fn standing(message: &Message) -> [Option<&'static str>; 2] {
    [message.role.map(Role::as_str), message.affiliation.map(Affiliation::as_str)]
}

/// Whether `address` is `of`, or lies in the domain that `of` is.
fn is_of(address: &str, of: &BareJid) -> bool {
    if of.local().is_some() {
        return address == of.as_str();
    }
    address == of.as_str() || address.split_once('@').is_some_and(|(_, domain)| domain == of.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::Jid;

    #[test]
    fn addresses_roles_and_domains_are_matched_as_a_whole() {
        let people = People {
            admins: vec![bare("boss@example.org")],
            roles: Roles::from([("staff".to_owned(), vec![bare("ann@example.org"), bare("example.net")])]),
        };
        let permits = |allow: &str, from: &str| {
            let message = Message::chat(Jid::parse(from).expect("valid"), "x");
            people.permits(&[Allowed::parse(allow).expect("valid")], &message)
        };
        assert!(permits("staff", "ann@example.org/pc"));
        assert!(permits("staff", "anybody@example.net"));
        assert!(!permits("staff", "anybody@evil.example.net"));
        assert!(!permits("staff", "example.net@evil.org"));
        assert!(!permits("staff", "boss@example.org"));
        assert!(permits("admin", "boss@example.org/pc") && !permits("admin", "ann@example.org"));
        assert!(
            permits("cat@example.org", "cat@example.org") && !permits("cat@example.org", "dog@example.org")
        );
        assert!(permits("example.org", "dog@example.org") && !permits("nobody", "dog@example.org"));
        assert!(!permits("moderator", "ann@example.org"));
    }

    #[test]
    fn in_a_room_it_counts_what_the_room_says_and_never_the_nick() {
        let people = People { admins: vec![bare("boss@example.org")], roles: Roles::default() };
        let room = bare("den@rooms.example.org");
        let occupant = |nick: &str, real: Option<&str>| {
            let real = real.map(|real| Jid::parse(real).expect("valid"));
            let (who, identity) = crate::event::room::identify(&room, nick, real.as_ref(), None);
            let from = room.with_resource(nick).expect("a nick");
            Message {
                room: Some(room.clone()),
                who,
                identity,
                role: Some(Role::Moderator),
                affiliation: Some(Affiliation::None),
                ..Message::chat(from.into(), "x")
            }
        };
        let permits = |allow: &str, message: &Message| {
            people.permits(&[Allowed::parse(allow).expect("valid")], message)
        };
        let boss = occupant("anybody", Some("boss@example.org/pc"));
        let liar = occupant("boss@example.org", None);
        assert!(permits("admin", &boss) && !permits("admin", &liar));
        assert!(permits("moderator", &liar) && !permits("owner", &liar));
        assert!(!permits("den@rooms.example.org", &liar), "the room is nobody");
        assert!(!permits("rooms.example.org", &liar));
        assert_eq!((person(&boss), person(&liar)), (Some("boss@example.org"), None));
    }

    #[test]
    fn a_nick_is_no_address() {
        let mut message =
            Message::chat(Jid::parse("team@rooms.example.org/boss@example.org").expect("valid"), "x");
        message.room = Some(bare("team@rooms.example.org"));
        message.who = "boss@example.org".to_owned();
        message.identity = Identity::Nick;
        let people = People { admins: vec![bare("boss@example.org")], roles: Roles::default() };
        assert!(!people.permits(&[Allowed::Admin], &message));
        assert!(people.permits(&[], &message));
    }

    #[test]
    fn what_names_nobody_is_refused_with_a_hint() {
        for wrong in ["", "two words", "@example.org", "room:king"] {
            assert!(Allowed::parse(wrong).is_err(), "{wrong}");
        }
        let roles = Roles::from([("staff".to_owned(), Vec::new())]);
        assert_eq!(unknown(&["staff".to_owned()], &roles), None);
        let asked = ["stuff".to_owned()];
        assert_eq!(unknown(&asked, &roles), Some(("stuff", "did you mean `staff`?".to_owned())));
    }

    fn bare(text: &str) -> BareJid {
        BareJid::parse(text).expect("valid")
    }
}
