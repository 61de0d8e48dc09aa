//! SASL as RFC 6120 §6 uses it, for both roles: bytes in, bytes out, no XML and no Base64 around.
//!
//! [`choose`] picks a mechanism, [`client`] logs in, [`server`] lets in. The lengthy key
//! derivation is a value of its own, [`keys::KeyRequest`], so that its owner decides where it runs.

pub mod channel;
pub mod choose;
pub mod client;
pub mod error;
pub mod hash;
pub mod keys;
pub mod message;
pub mod prepare;
pub mod server;
pub mod token;

use std::fmt;

use crate::secret::Password;
use crate::stream::sasl::channel::Binding;
use crate::stream::sasl::hash::Hash;
use crate::stream::sasl::token::TOKENS;

/// A SASL mechanism that this program speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mechanism {
    /// Whoever TLS says the peer is, RFC 4422 appendix A.
    External,
    /// Salted challenge and response, RFC 5802; with `plus` bound to the TLS channel.
    Scram { hash: Hash, plus: bool },
    /// The password itself, RFC 4616.
    Plain,
    /// Nobody in particular, RFC 4505.
    Anonymous,
    /// A token that the server gave out, XEP-0484, tied to the channel by this. Never among [`MECHANISMS`]: it is not
    /// chosen, it follows from the token.
    Token(Option<Binding>),
}

/// All mechanisms, the better one first.
pub const MECHANISMS: &[(&str, Mechanism)] = &[
    ("EXTERNAL", Mechanism::External),
    ("SCRAM-SHA-512-PLUS", Mechanism::Scram { hash: Hash::Sha512, plus: true }),
    ("SCRAM-SHA-256-PLUS", Mechanism::Scram { hash: Hash::Sha256, plus: true }),
    ("SCRAM-SHA-1-PLUS", Mechanism::Scram { hash: Hash::Sha1, plus: true }),
    ("SCRAM-SHA-512", Mechanism::Scram { hash: Hash::Sha512, plus: false }),
    ("SCRAM-SHA-256", Mechanism::Scram { hash: Hash::Sha256, plus: false }),
    ("SCRAM-SHA-1", Mechanism::Scram { hash: Hash::Sha1, plus: false }),
    ("PLAIN", Mechanism::Plain),
    ("ANONYMOUS", Mechanism::Anonymous),
];

/// What an account proves itself with.
#[derive(Clone)]
pub enum Credentials {
    /// SCRAM, or PLAIN where that is allowed.
    Password(Password),
    /// The certificate that TLS has already shown.
    External,
    /// Nothing: the server makes up an address.
    Anonymous,
}

impl Mechanism {
    /// The mechanism of a registered name; `None` for one that this program does not speak.
    pub fn parse(name: &str) -> Option<Self> {
        MECHANISMS.iter().find(|(known, _)| *known == name).map(|(_, mechanism)| *mechanism)
    }

    /// The registered name.
    pub fn name(self) -> &'static str {
        if let Self::Token(tie) = self {
            return TOKENS
                .iter()
                .find(|(_, known)| *known == tie)
                .map(|(name, _)| *name)
                .expect("the table holds every tie");
        }
        MECHANISMS
            .iter()
            .find(|(_, known)| *known == self)
            .map(|(name, _)| *name)
            .expect("the table holds every value of the type")
    }

    /// Whether it is one of the SCRAM family.
    pub fn is_scram(self) -> bool {
        matches!(self, Self::Scram { .. })
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(hidden)",
            Self::External => "External",
            Self::Anonymous => "Anonymous",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_its_mechanism_and_back() {
        for (name, mechanism) in MECHANISMS {
            assert_eq!(Mechanism::parse(name), Some(*mechanism));
            assert_eq!(mechanism.name(), *name);
        }
        for plus in [false, true] {
            for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha512] {
                assert!(Mechanism::Scram { hash, plus }.name().ends_with("-PLUS") == plus);
            }
        }
        assert_eq!(Mechanism::parse("X-OAUTH2"), None);
        for (name, tie) in TOKENS {
            assert_eq!(Mechanism::Token(*tie).name(), *name);
            assert_eq!(Mechanism::parse(name), None, "nobody chooses it from a list");
        }
        for tie in Binding::ALL {
            assert!(!Mechanism::Token(Some(tie)).name().is_empty());
        }
    }
}
