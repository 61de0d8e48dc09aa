//! What a stream waits for.
//!
//! ```text
//! initiating                                     receiving
//!
//! AwaitHeader ◀──────────────┐                   AwaitHeader ◀───────────────┐
//!      │                     │                        │                      │
//! AwaitFeatures ─▶ AwaitProceed ─▶ AwaitSecured  AwaitStep ─▶ AwaitSecured ──┤ starttls
//!      │                     ▲                        │                      │
//!      ├─▶ AwaitChallenge ◀▶ AwaitKeys                ├─▶ AwaitAccount ◀▶ AwaitResponse
//!      │        └── success ─┘                        │        └── success ──┘
//!      ├─▶ AwaitResumed ─▶ AwaitProbe ─▶ Online       ├─▶ AwaitRevival ─▶ Online
//!      │        │ failed                              │        └ failed ─▶ AwaitStep
//!      └─▶ AwaitBound ─▶ AwaitSession                 └─▶ AwaitAddress ─▶ Online
//!               └─▶ AwaitEnabled ─▶ Online
//!
//! both:  Online ─▶ AwaitLastAck ─▶ AwaitClose ─▶ Ended
//!                      └ suspended ─────────────▶ Ended
//! ```
//!
//! Whoever only registers an account stays in `AwaitRegistration` once there is TLS.
//! A component goes from `AwaitHeader` through `AwaitHandshake` to `Online`. With direct TLS both begin in `AwaitSecured`. A fault leads from anywhere to `Ended`.

use std::time::Duration;

/// What a stream waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Receiving: what the owner knows of an account.
    AwaitAccount,
    /// Receiving: the address that the owner binds.
    AwaitAddress,
    /// The answer to the request for a resource.
    AwaitBound,
    /// Initiating: the next word of the server in the SASL exchange.
    AwaitChallenge,
    /// The other `</stream:stream>`.
    AwaitClose,
    /// Initiating: the answer to `<enable/>`.
    AwaitEnabled,
    /// Initiating: `<stream:features/>`.
    AwaitFeatures,
    /// Component: the answer to the handshake, XEP-0114.
    AwaitHandshake,
    /// The other side's stream header.
    AwaitHeader,
    /// Initiating: keys that the owner derives.
    AwaitKeys,
    /// A last `<a/>` before the stream is closed.
    AwaitLastAck,
    /// Initiating: the first `<a/>` after a resumption, which shows that the server reads us.
    AwaitProbe,
    /// Initiating: the answer to `<starttls/>`.
    AwaitProceed,
    /// Receiving: the next word of the client in the SASL exchange.
    AwaitResponse,
    /// Initiating: what the server says of a registration, XEP-0077. Nobody logs in on this stream.
    AwaitRegistration,
    /// Initiating: the answer to `<resume/>`.
    AwaitResumed,
    /// Receiving: the session that the owner revives.
    AwaitRevival,
    /// The TLS handshake.
    AwaitSecured,
    /// Initiating: the answer to the session request of RFC 3921.
    AwaitSession,
    /// Receiving: the client's choice among the features.
    AwaitStep,
    /// Nothing any more.
    Ended,
    /// Stanzas.
    Online,
}

impl Phase {
    /// Whether stanzas may be sent.
    pub fn is_online(self) -> bool {
        matches!(self, Self::AwaitProbe | Self::Online)
    }

    /// Whether stanzas may arrive.
    pub fn takes_stanzas(self) -> bool {
        matches!(self, Self::AwaitClose | Self::AwaitLastAck | Self::AwaitProbe | Self::Online)
    }

    /// Whether what the peer sent may be read now. It may not while the owner has to speak first.
    pub(super) fn reads(self) -> bool {
        !matches!(
            self,
            Self::AwaitAccount
                | Self::AwaitAddress
                | Self::AwaitKeys
                | Self::AwaitRevival
                | Self::AwaitSecured
                | Self::Ended
        )
    }

    /// How long the step may take; `None` where it is the owner's or nobody's turn.
    pub(super) fn patience(self) -> Option<Duration> {
        let seconds = match self {
            Self::AwaitAccount | Self::AwaitAddress | Self::AwaitKeys | Self::AwaitRevival => return None,
            Self::Ended | Self::Online => return None,
            Self::AwaitClose | Self::AwaitProbe => 5,
            Self::AwaitLastAck => 3,
            // The owner may still be connecting: its own deadlines are shorter.
            Self::AwaitHeader | Self::AwaitSecured => 60,
            // A client may show a registration form to a person.
            Self::AwaitStep => 120,
            Self::AwaitBound
            | Self::AwaitChallenge
            | Self::AwaitEnabled
            | Self::AwaitFeatures
            | Self::AwaitHandshake
            | Self::AwaitProceed
            | Self::AwaitRegistration
            | Self::AwaitResponse
            | Self::AwaitResumed
            | Self::AwaitSession => 30,
        };
        Some(Duration::from_secs(seconds))
    }

    /// What did not come, for people.
    pub(super) fn awaited(self) -> &'static str {
        match self {
            Self::AwaitAccount => "the account",
            Self::AwaitAddress | Self::AwaitBound => "the address",
            Self::AwaitChallenge | Self::AwaitResponse => "the SASL exchange",
            Self::AwaitClose => "the end of the stream",
            Self::AwaitEnabled => "stream management",
            Self::AwaitFeatures => "the stream features",
            Self::AwaitHandshake => "the answer to the handshake",
            Self::AwaitHeader => "the stream header",
            Self::AwaitKeys => "the keys",
            Self::AwaitLastAck | Self::AwaitProbe => "an acknowledgement",
            Self::AwaitProceed => "STARTTLS",
            Self::AwaitRegistration => "the registration",
            Self::AwaitResumed | Self::AwaitRevival => "the resumption",
            Self::AwaitSecured => "the TLS handshake",
            Self::AwaitSession => "the session",
            Self::AwaitStep => "a login",
            Self::Ended | Self::Online => "nothing",
        }
    }
}
