//! What can go wrong in a SASL exchange, and whose fault it is.

use std::fmt;

/// Why an exchange ends without a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaslError {
    /// The peer asks to act for another account than its own.
    Authzid,
    /// The two ends see different TLS channels, or the peer bound by a type that was not announced.
    Binding,
    /// The offer on which the choice was made is not the one that the server made, XEP-0474.
    Downgrade,
    /// The server demands an extension that RFC 5802 §5.1 lets nobody ignore, `m=`.
    Extension,
    /// The salted password of the server takes too few or too many rounds.
    Iterations { asked: String, floor: u32, ceiling: u32 },
    /// The keys handed in belong to another request.
    Keys,
    /// A message breaks the grammar; `part` says where.
    Malformed { part: &'static str },
    /// The client asks for a mechanism that is not offered.
    Mechanism,
    /// The nonce of the server does not extend ours, or the client changed it.
    Nonce,
    /// The proof is wrong or there is no such account.
    NotAuthorized,
    /// SASLprep refuses the password: it holds a character that no server may accept.
    Password,
    /// The server says why it refuses, `e=`, RFC 5802 §7.
    Refused { reason: String },
    /// The server does not know the password either: its signature is wrong.
    Signature,
    /// The server reports success without its signature.
    SignatureMissing,
    /// The TLS version that the server sees is another than ours, XEP-0515.
    TlsVersion,
    /// A message is longer than any honest one.
    TooLong { octets: usize },
    /// More challenges, or another kind of message, than the mechanism has.
    Unexpected,
    /// SASLprep refuses the name of the account.
    Username,
}

/// The end of the stream that an error is the fault of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    Peer,
    Ours,
}

impl SaslError {
    /// Who has to change something before a new attempt makes sense.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Keys | Self::Password | Self::Username => Blame::Ours,
            Self::Authzid
            | Self::Binding
            | Self::Downgrade
            | Self::Extension
            | Self::Iterations { .. }
            | Self::Malformed { .. }
            | Self::Mechanism
            | Self::Nonce
            | Self::NotAuthorized
            | Self::Refused { .. }
            | Self::Signature
            | Self::SignatureMissing
            | Self::TlsVersion
            | Self::TooLong { .. }
            | Self::Unexpected => Blame::Peer,
        }
    }

    /// Whether it looks like somebody between the two ends: a report should be loud.
    pub fn is_suspicious(&self) -> bool {
        matches!(
            self,
            Self::Binding
                | Self::Downgrade
                | Self::Nonce
                | Self::Signature
                | Self::SignatureMissing
                | Self::TlsVersion
        )
    }

    /// The condition that a server puts into `<failure/>`, RFC 6120 §6.5.
    pub fn condition(&self) -> &'static str {
        match self {
            Self::Authzid => "invalid-authzid",
            Self::Extension | Self::Malformed { .. } | Self::TooLong { .. } | Self::Unexpected => {
                "malformed-request"
            }
            Self::Mechanism => "invalid-mechanism",
            Self::Keys => "temporary-auth-failure",
            Self::Binding
            | Self::Downgrade
            | Self::Iterations { .. }
            | Self::Nonce
            | Self::NotAuthorized
            | Self::Password
            | Self::Refused { .. }
            | Self::Signature
            | Self::SignatureMissing
            | Self::TlsVersion
            | Self::Username => "not-authorized",
        }
    }
}

impl fmt::Display for SaslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authzid => f.write_str("the account may not act for another one"),
            Self::Binding => f.write_str("the two ends see different TLS channels"),
            Self::Downgrade => {
                f.write_str("the list of mechanisms or channel bindings was changed on its way")
            }
            Self::Extension => f.write_str("the server demands an extension of SCRAM that is not known here"),
            Self::Iterations { asked, floor, ceiling } => {
                write!(f, "the server asks for `{asked}` iterations; allowed are {floor} to {ceiling}")
            }
            Self::Keys => f.write_str("the derived keys belong to another login"),
            Self::Malformed { part } => write!(f, "malformed SASL message: {part}"),
            Self::Mechanism => f.write_str("the mechanism is not offered"),
            Self::Nonce => f.write_str("the nonce does not continue the one that was sent"),
            Self::NotAuthorized => f.write_str("wrong user name or password"),
            Self::Password => {
                f.write_str("the password holds a character that SASLprep (RFC 4013) forbids, or is empty")
            }
            Self::Refused { reason } => write!(f, "the server refuses the login: `{reason}`"),
            Self::Signature => f.write_str("the server does not know the password: its signature is wrong"),
            Self::SignatureMissing => f.write_str("the server did not prove that it knows the password"),
            Self::TlsVersion => f.write_str("the server sees another TLS version than this end"),
            Self::TooLong { octets } => write!(f, "a SASL message of {octets} octets is too long"),
            Self::Unexpected => f.write_str("a SASL message that does not belong to the exchange"),
            Self::Username => f.write_str("the user name holds a character that SASLprep (RFC 4013) forbids"),
        }
    }
}

impl std::error::Error for SaslError {}
