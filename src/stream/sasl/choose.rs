//! Which mechanism to use, and what to tell the server about channel binding.
//!
//! The strongest name on the list is not the answer: a server may offer `-PLUS` with a binding
//! that nobody can compute any more, and a list may have been cut down on its way.

use std::fmt;

use super::channel::{Binding, Channel, Flag};
use super::hash::Hash;
use super::{Credentials, MECHANISMS, Mechanism};

/// What the account and its connection allow.
#[derive(Clone, Debug)]
pub struct Policy<'a> {
    pub credentials: &'a Credentials,
    pub channel: &'a Channel,
    pub binding: Preference,
    /// The account has logged in with SCRAM before: its password is never sent again.
    pub used_scram: bool,
    /// The account has logged in with channel binding before: `Prefer` then means `Require`.
    pub used_plus: bool,
    /// The operator lets the account send its password (over verified TLS).
    pub allow_plain: bool,
}

/// How much an account wants its login bound to the TLS channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preference {
    Off,
    #[default]
    Prefer,
    Require,
}

/// The outcome: a mechanism, and what the exchange needs to know of the offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub mechanism: Mechanism,
    /// What to say about channel binding; without meaning outside SCRAM.
    pub flag: Flag,
    /// The offer in the form that XEP-0474 hashes.
    pub offer: Offer,
}

/// What a server offered, in the canonical form of XEP-0474.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer(String);

/// Why there is no login with what the server offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoMechanism {
    /// The account requires channel binding and the two ends have no type in common.
    BindingRequired,
    /// Binding types are announced and no mechanism uses them: a list was cut down, XEP-0440 §4.
    PlusMissing,
    /// Only PLAIN is left, and the account has used SCRAM before, XEP-0474 §6.
    PlainAfterScram,
    /// Only PLAIN is left, and the operator does not allow it.
    PlainForbidden,
    /// Only PLAIN is left, and the certificate was not verified.
    PlainUnverified,
    /// Nothing that fits the credentials is offered.
    NothingInCommon { offered: Vec<String> },
}

/// Chooses from what the server offers. `bindings` is its list of XEP-0440, `None` where it sent
/// none.
pub fn choose(
    offered: &[String],
    bindings: Option<&[String]>,
    policy: &Policy<'_>,
) -> Result<Choice, NoMechanism> {
    let (mechanism, flag) = match policy.credentials {
        Credentials::External => only(Mechanism::External, offered)?,
        Credentials::Anonymous => only(Mechanism::Anonymous, offered)?,
        Credentials::Password(_) => by_password(offered, bindings.unwrap_or_default(), policy)?,
    };
    Ok(Choice { mechanism, flag, offer: Offer::new(offered, bindings) })
}

fn only(mechanism: Mechanism, offered: &[String]) -> Result<(Mechanism, Flag), NoMechanism> {
    if offers(offered, mechanism) {
        Ok((mechanism, Flag::Unsupported))
    } else {
        Err(NoMechanism::NothingInCommon { offered: offered.to_vec() })
    }
}

fn by_password(
    offered: &[String],
    bindings: &[String],
    policy: &Policy<'_>,
) -> Result<(Mechanism, Flag), NoMechanism> {
    let required = match policy.binding {
        Preference::Off => false,
        Preference::Prefer => policy.used_plus,
        Preference::Require => true,
    };
    let flag = flag(offered, bindings, policy)?;
    if let Flag::Bound(_) = flag {
        let hash = best(offered, true).ok_or(NoMechanism::PlusMissing)?;
        return Ok((Mechanism::Scram { hash, plus: true }, flag));
    }
    if required {
        return Err(NoMechanism::BindingRequired);
    }
    if let Some(hash) = best(offered, false) {
        return Ok((Mechanism::Scram { hash, plus: false }, flag));
    }
    plain(offered, policy)
}

/// The rules of XEP-0440 §4 for a stream as in RFC 6120, and the measured traps: `y` only where
/// the server announced nothing of channel binding at all, since one that did would have to take
/// it for an attack.
fn flag(offered: &[String], bindings: &[String], policy: &Policy<'_>) -> Result<Flag, NoMechanism> {
    if policy.binding == Preference::Off || !policy.channel.can_bind() {
        return Ok(Flag::Unsupported);
    }
    let plus = offered.iter().any(|name| name.ends_with("-PLUS"));
    if !plus {
        let scram = offered.iter().any(|name| name.starts_with("SCRAM-"));
        // Without any SCRAM there is nothing that a binding type could belong to: a server whose
        // passwords are checked elsewhere announces its types all the same.
        return match (bindings.is_empty(), scram) {
            (true, _) => Ok(Flag::Unoffered),
            (false, true) => Err(NoMechanism::PlusMissing),
            (false, false) => Ok(Flag::Unsupported),
        };
    }
    let common = Binding::ALL
        .into_iter()
        .find(|b| policy.channel.data(*b).is_some() && bindings.iter().any(|name| name == b.name()));
    Ok(match common {
        Some(binding) if best(offered, true).is_some() => Flag::Bound(binding),
        // -PLUS with another hash, without a list, or with nothing in common. Guessing a type
        // fails at the servers that offer `-PLUS` for `tls-unique` only.
        _ => Flag::Unsupported,
    })
}

/// PLAIN shows the password to the server; whoever asks for it may be somebody else.
fn plain(offered: &[String], policy: &Policy<'_>) -> Result<(Mechanism, Flag), NoMechanism> {
    if !offers(offered, Mechanism::Plain) {
        return Err(NoMechanism::NothingInCommon { offered: offered.to_vec() });
    }
    if policy.used_scram || policy.used_plus {
        return Err(NoMechanism::PlainAfterScram);
    }
    if !policy.allow_plain {
        return Err(NoMechanism::PlainForbidden);
    }
    if !policy.channel.verified {
        return Err(NoMechanism::PlainUnverified);
    }
    Ok((Mechanism::Plain, Flag::Unsupported))
}

fn offers(offered: &[String], mechanism: Mechanism) -> bool {
    offered.iter().any(|name| name == mechanism.name())
}

/// The best hash among the offered mechanisms with or without `-PLUS`.
fn best(offered: &[String], bound: bool) -> Option<Hash> {
    MECHANISMS.iter().find_map(|(_, mechanism)| match *mechanism {
        Mechanism::Scram { hash, plus } if plus == bound && offers(offered, *mechanism) => Some(hash),
        Mechanism::Scram { .. } | Mechanism::External | Mechanism::Plain | Mechanism::Anonymous => None,
    })
}

impl Offer {
    /// Sorts by octets and joins as XEP-0474 §5.1 asks for. `bindings` is `None` where the server
    /// announced no list, which differs from an empty one.
    pub fn new(mechanisms: &[String], bindings: Option<&[String]>) -> Self {
        let mut text = sorted(mechanisms);
        if let Some(bindings) = bindings {
            text.push('\u{1f}');
            text.push_str(&sorted(bindings));
        }
        Self(text)
    }

    /// The octets to hash.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn sorted(names: &[String]) -> String {
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.join("\u{1e}")
}

impl fmt::Display for NoMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BindingRequired => {
                f.write_str("channel binding is required and the server offers no type that can be used")
            }
            Self::PlusMissing => f.write_str(
                "the server announces channel binding without a mechanism for it: the list was cut down",
            ),
            Self::PlainAfterScram => f.write_str(
                "the server offers only PLAIN to an account that has used SCRAM: the password is not sent",
            ),
            Self::PlainForbidden => {
                f.write_str("the server offers only PLAIN, which is not allowed for this account")
            }
            Self::PlainUnverified => f.write_str(
                "the server offers only PLAIN and its certificate is not verified: the password is not sent",
            ),
            Self::NothingInCommon { offered } if offered.is_empty() => {
                f.write_str("the server offers no mechanism to log in")
            }
            Self::NothingInCommon { offered } => {
                write!(f, "none of the offered mechanisms can be used: {}", offered.join(", "))
            }
        }
    }
}

impl std::error::Error for NoMechanism {}
