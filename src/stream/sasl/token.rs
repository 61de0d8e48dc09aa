//! Tokens in place of a password: the mechanisms HT-SHA-256-* (draft-schmaus-kitten-sasl-ht), as FAST uses them
//! (XEP-0484). One message each way: an HMAC under the token over who speaks and the TLS channel.

use std::fmt;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::channel::{Binding, Channel};
use super::choose::{Policy, Preference};
use super::error::SaslError;
use super::hash::Hash;
use super::prepare::saslprep;
use super::{Credentials, Mechanism};
use crate::secret::Password;

/// The mechanisms by what ties them to the channel, the better one first. `-UNIQ` needs `tls-unique`, which nobody has
/// in TLS 1.3.
pub const TOKENS: &[(&str, Option<Binding>)] = &[
    ("HT-SHA-256-EXPR", Some(Binding::Exporter)),
    ("HT-SHA-256-ENDP", Some(Binding::EndPoint)),
    ("HT-SHA-256-NONE", None),
];

/// Octets of a token; the real ones have some dozen.
pub const LONGEST_TOKEN: usize = 1024;

/// What a server gave an account to log in with instead of its password: worth as much, until it expires.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What ties a login with it to the channel. It is never used otherwise.
    pub tie: Option<Binding>,
    /// The token itself.
    pub secret: Password,
    /// When the server forgets it; `None` where the server names no moment.
    pub expiry: Option<Timestamp>,
}

/// One login by a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenLogin {
    /// The token.
    pub token: Token,
    /// How often it was used, with this time: never the same number twice, XEP-0484 §3.5.
    pub count: u64,
}

impl Token {
    /// The mechanism that it was made for.
    pub fn mechanism(&self) -> Mechanism {
        Mechanism::Token(self.tie)
    }

    /// Whether it has expired by `now`.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expiry.is_some_and(|expiry| expiry <= now)
    }

    /// The first and only message of the client, and what the server's answer has to be.
    pub(super) fn prove(&self, username: &str, channel: &Channel) -> Result<(Vec<u8>, Expected), SaslError> {
        let username = saslprep(username).filter(|name| !name.contains('\0')).ok_or(SaslError::Username)?;
        let binding = match self.tie {
            Some(binding) => channel.data(binding).ok_or(SaslError::Binding)?,
            None => &[],
        };
        let tag = |who: &str| {
            Hash::Sha256.hmac(self.secret.reveal().as_bytes(), &[who.as_bytes(), binding].concat())
        };
        let initial = [username.as_bytes(), b"\0", &tag("Initiator")].concat();
        Ok((initial, tag("Responder")))
    }
}

/// What only a server that knows the token can answer.
pub(super) type Expected = Zeroizing<Vec<u8>>;

/// The mechanism to ask a token for, `None` where the account may not use any of those offered.
pub fn best(offered: &[String], policy: &Policy<'_>) -> Option<Option<Binding>> {
    TOKENS.iter().map(|(_, tie)| *tie).find(|tie| usable(*tie, offered, policy))
}

/// Whether a token of this mechanism may be asked for and used. The rules are those for a password: what goes over an
/// unverified channel is somebody else's, and an account that has been bound to its channel stays so.
pub fn usable(tie: Option<Binding>, offered: &[String], policy: &Policy<'_>) -> bool {
    let password = matches!(policy.credentials, Credentials::Password(_));
    let name = Mechanism::Token(tie).name();
    if !password || !policy.channel.verified || !offered.iter().any(|offer| offer == name) {
        return false;
    }
    match (tie, policy.binding) {
        (Some(_), Preference::Off) | (None, Preference::Require) => false,
        (None, Preference::Prefer) => !policy.used_plus,
        (None, Preference::Off) => true,
        (Some(binding), Preference::Prefer | Preference::Require) => policy.channel.data(binding).is_some(),
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}, hidden)", self.mechanism())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(tie: Option<Binding>) -> Token {
        Token {
            tie,
            secret: Password::new("secret-token:fast-Oeie4nmlUoLHXca_YhkdwQ".to_owned()),
            expiry: None,
        }
    }

    fn channel() -> Channel {
        Channel {
            exporter: Some((0..32).collect()),
            end_point: Some(vec![0xff; 32]),
            verified: true,
            version: Some(0x0304),
        }
    }

    fn hex(octets: &[u8]) -> String {
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    /// Made with Python's `hmac` from the definition in the draft.
    #[test]
    fn the_messages_are_those_that_others_make() {
        for (tie, initiator, responder) in [
            (None, VECTORS[0], VECTORS[1]),
            (Some(Binding::Exporter), VECTORS[2], VECTORS[3]),
            (Some(Binding::EndPoint), VECTORS[4], VECTORS[5]),
        ] {
            let (initial, expected) = token(tie).prove("bot", &channel()).expect("a channel with all data");
            let (name, tag) = initial.split_at(4);
            assert_eq!((name, hex(tag).as_str()), (&b"bot\0"[..], initiator), "{tie:?}");
            assert_eq!(hex(&expected), responder, "{tie:?}");
        }
    }

    #[test]
    fn a_token_for_a_bound_login_is_used_for_nothing_else() {
        let unbound = Channel { exporter: None, ..channel() };
        assert_eq!(token(Some(Binding::Exporter)).prove("bot", &unbound).err(), Some(SaslError::Binding));
    }

    #[test]
    fn debug_shows_nothing_of_the_token() {
        assert_eq!(format!("{:?}", token(None)), "Token(HT-SHA-256-NONE, hidden)");
        let login = TokenLogin { token: token(None), count: 7 };
        assert!(!format!("{login:?}").contains("secret-token"));
    }

    #[test]
    fn it_is_asked_for_as_the_password_would_be_used() {
        let all: Vec<String> = TOKENS.iter().rev().map(|(name, _)| (*name).to_owned()).collect();
        let none = vec!["HT-SHA-256-NONE".to_owned(), "HT-SHA-256-UNIQ".to_owned()];
        let check = |offered: &[String], change: &dyn Fn(&mut Policy<'_>, &mut Channel), expected| {
            let credentials = Credentials::Password(Password::new("pencil".to_owned()));
            let (mut channel, unused) = (channel(), Channel::default());
            let mut policy = Policy {
                credentials: &credentials,
                channel: &unused,
                binding: Preference::Prefer,
                sasl2: true,
                used_scram: true,
                used_plus: false,
                allow_plain: false,
            };
            change(&mut policy, &mut channel);
            policy.channel = &channel;
            assert_eq!(best(offered, &policy), expected);
        };
        check(&all, &|_, _| {}, Some(Some(Binding::Exporter)));
        check(&all, &|_, channel| channel.exporter = None, Some(Some(Binding::EndPoint)));
        check(&none, &|_, _| {}, Some(None));
        check(&none, &|policy, _| policy.used_plus = true, None);
        check(&none, &|policy, _| policy.binding = Preference::Require, None);
        check(&all, &|policy, _| policy.binding = Preference::Off, Some(None));
        check(&all, &|_, channel| channel.verified = false, None);
        check(&[], &|_, _| {}, None);
        check(&all, &|policy, _| policy.credentials = &Credentials::Anonymous, None);
    }

    /// Initiator and responder for no binding, for the octets 0 to 31 and for 32 octets of 0xff.
    const VECTORS: [&str; 6] = [
        "966d279d609d1d82175d075d23d9b98eb6d8f9041681aedafd5786d6bd13041f",
        "5c0320615c3ae7d86f8722d3b849d9a4ab0dbb8e7cb7450dc904e7a60f8e228b",
        "0007df061deeaea816e0bd5f3936ab1271c923d10d0eec0ae22d9743d2c56ab5",
        "56da3ba693d50545bec9bedbd7a09dc53241aa0f60f4d198bc28c74d0bec8cfd",
        "fb366ba9267aa2bb293e647bb13436de08333ccca37638e2a86ad0574e598462",
        "1315ca4326b7f0d8d0041e03ff9cfce11bcd42adcf04a854014ea4b888656031",
    ];
}
