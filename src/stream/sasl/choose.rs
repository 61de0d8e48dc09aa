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
    /// SASL2, where a server that binds has to say by what, XEP-0440 §4.
    pub sasl2: bool,
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
    /// A mechanism binds and SASL2 announces no type to bind by: the list was taken out, XEP-0440 §4.
    BindingListMissing,
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
        Credentials::Password(_) => by_password(offered, bindings, policy)?,
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
    bindings: Option<&[String]>,
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

/// The rules of XEP-0440 §4, which are stricter for SASL2 than for a stream as in RFC 6120, and the measured traps: `y` only where
/// the server announced nothing of channel binding at all, since one that did would have to take
/// it for an attack.
fn flag(offered: &[String], announced: Option<&[String]>, policy: &Policy<'_>) -> Result<Flag, NoMechanism> {
    if policy.binding == Preference::Off || !policy.channel.can_bind() {
        return Ok(Flag::Unsupported);
    }
    let bindings = announced.unwrap_or_default();
    let plus = offered.iter().any(|name| name.ends_with("-PLUS"));
    if plus && policy.sasl2 && announced.is_none() {
        return Err(NoMechanism::BindingListMissing);
    }
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
        Mechanism::Scram { .. }
        | Mechanism::External
        | Mechanism::Plain
        | Mechanism::Anonymous
        | Mechanism::Token(_) => None,
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
            Self::BindingListMissing => f.write_str(
                "the server offers channel binding without saying by what: the list was taken out",
            ),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Password;

    const SCRAM_256: Mechanism = Mechanism::Scram { hash: Hash::Sha256, plus: false };
    const SCRAM_256_PLUS: Mechanism = Mechanism::Scram { hash: Hash::Sha256, plus: true };

    /// Chooses for an account with a password over a channel of TLS 1.3, as `change` wants it.
    #[track_caller]
    fn check(
        offered: &str,
        bindings: Option<&str>,
        change: impl FnOnce(&mut Policy<'_>, &mut Channel),
        expected: Result<(Mechanism, &str), NoMechanism>,
    ) {
        let names = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let credentials = Credentials::Password(Password::new("pencil".to_owned()));
        let mut channel = Channel {
            exporter: Some(vec![1; 32]),
            end_point: Some(vec![2; 32]),
            verified: true,
            version: Some(0x0304),
        };
        let unused = Channel::default();
        let mut policy = Policy {
            credentials: &credentials,
            channel: &unused,
            binding: Preference::Prefer,
            sasl2: false,
            used_scram: false,
            used_plus: false,
            allow_plain: true,
        };
        change(&mut policy, &mut channel);
        policy.channel = &channel;
        let bindings = bindings.map(names);
        let chosen = choose(&names(offered), bindings.as_deref(), &policy);
        let chosen = chosen.map(|choice| (choice.mechanism, choice.flag.text()));
        assert_eq!(chosen, expected.map(|(mechanism, flag)| (mechanism, flag.to_owned())));
    }

    fn as_it_is(_: &mut Policy<'_>, _: &mut Channel) {}

    #[test]
    fn prefers_the_better_mechanism_in_any_order_of_arrival() {
        let expected = Ok((Mechanism::Scram { hash: Hash::Sha512, plus: false }, "y"));
        check("PLAIN SCRAM-SHA-1 SCRAM-SHA-512 SCRAM-SHA-256", None, as_it_is, expected);
        check("X-OAUTH2 PLAIN SCRAM-SHA-256", None, as_it_is, Ok((SCRAM_256, "y")));
        let expected = Ok((Mechanism::Scram { hash: Hash::Sha1, plus: true }, "p=tls-exporter"));
        check("SCRAM-SHA-512 SCRAM-SHA-1-PLUS SCRAM-SHA-1", Some("tls-exporter"), as_it_is, expected);
    }

    #[test]
    fn binds_by_the_best_type_that_both_ends_have() {
        let offered = "SCRAM-SHA-256 SCRAM-SHA-256-PLUS";
        let both = Some("tls-server-end-point tls-exporter");
        check(offered, both, as_it_is, Ok((SCRAM_256_PLUS, "p=tls-exporter")));
        let expected = || Ok((SCRAM_256_PLUS, "p=tls-server-end-point"));
        check(offered, both, |_, channel| channel.exporter = None, expected());
        check(offered, Some("tls-server-end-point"), as_it_is, expected());
    }

    #[test]
    fn sasl2_does_not_log_in_where_the_list_of_binding_types_is_gone() {
        let offered = "SCRAM-SHA-256 SCRAM-SHA-256-PLUS";
        let sasl2 = |policy: &mut Policy<'_>, _: &mut Channel| policy.sasl2 = true;
        check(offered, None, sasl2, Err(NoMechanism::BindingListMissing));
        check(offered, None, as_it_is, Ok((SCRAM_256, "n")));
        check(offered, Some("tls-exporter"), sasl2, Ok((SCRAM_256_PLUS, "p=tls-exporter")));
        check(offered, Some("tls-unique"), sasl2, Ok((SCRAM_256, "n")));
        check("SCRAM-SHA-256", None, sasl2, Ok((SCRAM_256, "y")));
        let off = |policy: &mut Policy<'_>, _: &mut Channel| {
            policy.sasl2 = true;
            policy.binding = Preference::Off;
        };
        check(offered, None, off, Ok((SCRAM_256, "n")));
    }

    #[test]
    fn never_guesses_a_binding_type_and_never_says_y_where_plus_is_offered() {
        // ejabberd 23.01 and Prosody 0.12: -PLUS for `tls-unique` only, and no list.
        let offered = "PLAIN SCRAM-SHA-256-PLUS SCRAM-SHA-256";
        check(offered, None, as_it_is, Ok((SCRAM_256, "n")));
        check(offered, Some(""), as_it_is, Ok((SCRAM_256, "n")));
        check(offered, Some("tls-unique"), as_it_is, Ok((SCRAM_256, "n")));
        // -PLUS with a hash that nobody here knows is still -PLUS.
        check("SCRAM-SHA-256 SCRAM-SHA3-512-PLUS", Some("tls-exporter"), as_it_is, Ok((SCRAM_256, "n")));
    }

    #[test]
    fn says_y_only_where_nothing_of_channel_binding_was_announced() {
        check("SCRAM-SHA-256", None, as_it_is, Ok((SCRAM_256, "y")));
        // An end that cannot bind says so.
        check("SCRAM-SHA-256", None, |_, channel| *channel = Channel::default(), Ok((SCRAM_256, "n")));
        check("SCRAM-SHA-256", None, |policy, _| policy.binding = Preference::Off, Ok((SCRAM_256, "n")));
    }

    #[test]
    fn s11_a_list_of_types_without_a_mechanism_for_them_ends_the_login() {
        let offered = "SCRAM-SHA-256 PLAIN";
        check(offered, Some("tls-exporter"), as_it_is, Err(NoMechanism::PlusMissing));
        let off = |policy: &mut Policy<'_>, _: &mut Channel| policy.binding = Preference::Off;
        check(offered, Some("tls-exporter"), off, Ok((SCRAM_256, "n")));
        // Passwords that are checked elsewhere: the types are announced, SCRAM is not.
        check("PLAIN", Some("tls-exporter"), as_it_is, Ok((Mechanism::Plain, "n")));
    }

    #[test]
    fn off_never_binds() {
        let off = |policy: &mut Policy<'_>, _: &mut Channel| policy.binding = Preference::Off;
        check("SCRAM-SHA-256-PLUS SCRAM-SHA-256", Some("tls-exporter"), off, Ok((SCRAM_256, "n")));
        let offered = vec!["SCRAM-SHA-256-PLUS".to_owned()];
        check(
            "SCRAM-SHA-256-PLUS",
            Some("tls-exporter"),
            |policy, _| policy.binding = Preference::Off,
            Err(NoMechanism::NothingInCommon { offered }),
        );
    }

    #[test]
    fn require_takes_nothing_else() {
        let require = |policy: &mut Policy<'_>, _: &mut Channel| policy.binding = Preference::Require;
        let refused = || Err(NoMechanism::BindingRequired);
        check(
            "SCRAM-SHA-256-PLUS SCRAM-SHA-256",
            Some("tls-exporter"),
            require,
            Ok((SCRAM_256_PLUS, "p=tls-exporter")),
        );
        check("SCRAM-SHA-256-PLUS SCRAM-SHA-256", None, require, refused());
        check("SCRAM-SHA-256-PLUS SCRAM-SHA-256", Some("tls-unique"), require, refused());
        check("SCRAM-SHA-256 PLAIN", None, require, refused());
        check("PLAIN", None, require, refused());
    }

    #[test]
    fn s11_an_account_that_had_plus_does_not_log_in_without() {
        let pinned = |policy: &mut Policy<'_>, _: &mut Channel| policy.used_plus = true;
        check("SCRAM-SHA-256", None, pinned, Err(NoMechanism::BindingRequired));
        check("PLAIN", None, pinned, Err(NoMechanism::BindingRequired));
    }

    #[test]
    fn s11_plain_is_refused_after_scram() {
        let used = |policy: &mut Policy<'_>, _: &mut Channel| policy.used_scram = true;
        check("PLAIN", None, used, Err(NoMechanism::PlainAfterScram));
        check("PLAIN X-OAUTH2", Some("tls-unique"), used, Err(NoMechanism::PlainAfterScram));
    }

    #[test]
    fn plain_needs_verified_tls_and_leave() {
        check("PLAIN", None, as_it_is, Ok((Mechanism::Plain, "n")));
        check("PLAIN", None, |_, channel| channel.verified = false, Err(NoMechanism::PlainUnverified));
        check("PLAIN", None, |policy, _| policy.allow_plain = false, Err(NoMechanism::PlainForbidden));
    }

    #[test]
    fn credentials_decide_what_fits() {
        let names = ["EXTERNAL", "ANONYMOUS", "PLAIN"].map(str::to_owned);
        let channel = Channel { verified: true, ..Channel::default() };
        for (credentials, expected) in
            [(Credentials::External, Mechanism::External), (Credentials::Anonymous, Mechanism::Anonymous)]
        {
            let policy = Policy {
                credentials: &credentials,
                channel: &channel,
                binding: Preference::Require,
                sasl2: false,
                used_scram: true,
                used_plus: true,
                allow_plain: false,
            };
            assert_eq!(choose(&names, None, &policy).map(|choice| choice.mechanism), Ok(expected));
            let refused = NoMechanism::NothingInCommon { offered: vec!["PLAIN".to_owned()] };
            assert_eq!(choose(&names[2..], None, &policy), Err(refused));
        }
    }

    #[test]
    fn the_offer_is_sorted_by_octets() {
        let names = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let mechanisms = names("SCRAM-SHA-1-PLUS SCRAM-SHA-1");
        let offer = Offer::new(&mechanisms, Some(&names("tls-server-end-point tls-exporter")));
        let expected = "SCRAM-SHA-1\u{1e}SCRAM-SHA-1-PLUS\u{1f}tls-exporter\u{1e}tls-server-end-point";
        assert_eq!(offer.as_bytes(), expected.as_bytes());
        assert_eq!(Offer::new(&mechanisms[1..], None).as_bytes(), b"SCRAM-SHA-1");
        assert_eq!(Offer::new(&mechanisms[1..], Some(&[])).as_bytes(), b"SCRAM-SHA-1\x1f");
    }
}
