//! What can go wrong on a stream: the wire form of stream errors and [`Fault`], which says who is at fault and what happens next.

use std::fmt;
use std::time::Duration;

use crate::ns;
use crate::stanza::StanzaError;
use crate::stream::sasl::choose::NoMechanism;
use crate::stream::sasl::error::{Blame, SaslError};
use crate::xml::{Element, WriteError, XmlError};

/// The end of a stream that nobody wished for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Who is at fault.
    pub side: Side,
    /// What happened.
    pub what: What,
    /// What the owner does next.
    pub next: Next,
}

/// Who is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This program or its configuration.
    Ours,
    /// The other entity.
    Peer,
    /// The way between the two.
    Transport,
}

/// What happens after a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Not before the pause, whose length the owner draws.
    Later(Pause),
    /// Never: the receiving entity does not connect.
    Never,
    /// Connect anew with the usual back-off.
    Reconnect,
    /// Connect to this host, with the usual back-off; the certificate must still name the account's domain.
    ReconnectElsewhere(String),
    /// Connect with the usual back-off and resume: what resumption needs is in `Stream::abandon`.
    Resume,
    /// Not before the operator changed the configuration.
    WaitForConfig,
}

/// How long to stay away, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// The server called us an abuser: eight times the usual back-off; the third in an hour parks the account.
    Abuse,
    /// The server lacks something or cannot be trusted as it is: wrong certificate, STARTTLS missing.
    Certificate,
    /// Another client took the resource: once; the second within ten minutes parks the account.
    Conflict,
    /// The server does not serve this domain.
    Misdirected,
    /// The server is short of something: the budget of its host is halved.
    Overload,
    /// The server is going down.
    Shutdown,
}

impl Pause {
    /// Shortest and longest pause; the owner draws between them so that accounts do not come back together.
    pub const fn range(self) -> (Duration, Duration) {
        let (low, high) = match self {
            Self::Abuse => (60, 300),
            Self::Certificate => (540, 660),
            Self::Conflict => (30, 90),
            Self::Misdirected => (3_300, 3_900),
            Self::Overload => (10, 60),
            Self::Shutdown => (5, 30),
        };
        (Duration::from_secs(low), Duration::from_secs(high))
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The peer refused our credentials, RFC 6120 §6.5.
    AuthenticationRefused { condition: SaslCondition, text: Option<String> },
    /// No `<bind/>` in the features after login, RFC 6120 §7.
    BindMissing,
    /// The resource was refused, RFC 6120 §7.7.
    BindRefused { error: StanzaError },
    /// The server does not take the component, XEP-0114.
    ComponentRefused { condition: Condition, text: Option<String> },
    /// No connection came about: DNS, TCP.
    ConnectFailed { detail: String },
    /// The transport ended without `</stream:stream>`.
    ConnectionLost { detail: String },
    /// `h` names more stanzas than were sent, XEP-0198 §4.
    HandledTooHigh { handled: u32, sent: u32 },
    /// The stream header breaks RFC 6120 §4.7.
    HeaderInvalid { problem: HeaderProblem },
    /// The client asks for a domain that is not served here.
    HostUnknown { host: String },
    /// Too many failed logins on one stream, RFC 6120 §6.4.5.
    LoginAttempts,
    /// The server offers no mechanism that the account may use.
    MechanismMissing { reason: NoMechanism },
    /// The peer resumed a session and then no `<a/>` came: its reader is stuck behind a torn stanza.
    ResumptionStuck,
    /// The exchange broke the rules of its mechanism, or the account cannot take part in it.
    SaslBroken { error: SaslError },
    /// Nothing came although an answer was due.
    Silence,
    /// The password is not all that the server asks of the account: `<continue/>` of XEP-0388.
    TasksRequired { tasks: Vec<String> },
    /// The peer closed the stream in order, but we did not ask for it.
    StreamClosed,
    /// The peer sent a stream error, RFC 6120 §4.9.
    StreamError(StreamError),
    /// Bytes in the clear behind `<proceed/>`: somebody injects, RFC 6120 §5.4.3.3.
    TlsInjected,
    /// The handshake failed; `certificate` where it was the peer's certificate.
    TlsFailed { detail: String, certificate: bool },
    /// The server offers no STARTTLS: stripped or not set up, RFC 6120 §5.
    TlsMissing,
    /// The server answered STARTTLS with `<failure/>`, RFC 6120 §5.4.2.2.
    TlsRefused,
    /// A step of the negotiation was not answered in time.
    TimedOut { awaited: &'static str },
    /// The peer does not take the token in place of the password, XEP-0484.
    TokenRefused { condition: SaslCondition, text: Option<String> },
    /// More bytes wait for the owner's answer than a stream may hold.
    TooMuchAhead,
    /// An element that is no stanza and that this state does not expect.
    UnexpectedElement { name: String, ns: String },
    /// The peer sent stanzas before it was allowed to.
    UnexpectedStanza { name: String },
    /// We were about to write what is no XML: something in the configuration.
    Unwritable { error: WriteError },
    /// The bytes break the restricted XML of RFC 6120 §11.
    Xml(XmlError),
}

/// What is wrong with a stream header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderProblem {
    /// The content namespace is not `jabber:client`.
    ContentNamespace,
    /// The response has no `id`.
    IdMissing,
    /// The root is no `stream` of the stream namespace.
    Root,
    /// A second header without a restart.
    Second,
    /// `version` is absent or below 1.0.
    Version,
}

/// How far the stream had come when the fault happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    /// Whether we are the receiving entity.
    pub receiving: bool,
    /// Whether there is a session to resume.
    pub resumable: bool,
    /// Whether the peer's certificate was verified.
    pub trusted: bool,
}

impl Fault {
    pub(super) fn new(what: What, circumstances: Circumstances) -> Self {
        let Rule { side, next, .. } = rule(&what);
        let next = match next {
            _ if circumstances.receiving => Next::Never,
            // A redirect in the clear could come from anybody.
            Next::ReconnectElsewhere(_) if !circumstances.trusted => Next::Reconnect,
            Next::Reconnect if circumstances.resumable => Next::Resume,
            next => next,
        };
        Self { side, what, next }
    }
}

impl What {
    /// The stream error this fault is told to the peer with, if any.
    pub(super) fn condition(&self) -> Option<Condition> {
        rule(self).condition
    }

    /// Whether the session is over for the peer too, so that resuming it makes no sense.
    pub(super) fn ends_session(&self) -> bool {
        match self {
            Self::HandledTooHigh { .. } | Self::ResumptionStuck | Self::StreamClosed => true,
            Self::StreamError(error) => {
                error.handled_too_high.is_some()
                    || matches!(
                        error.condition,
                        Condition::Conflict | Condition::NotAuthorized | Condition::HostGone
                    )
            }
            _ => false,
        }
    }
}

/// One row of the fault table.
struct Rule {
    side: Side,
    condition: Option<Condition>,
    next: Next,
}

/// The fault table: every fault, whose it is, what the peer is told and what happens next.
fn rule(what: &What) -> Rule {
    use Condition as C;
    use Side::{Ours, Peer, Transport};
    let row = |side, condition, next| Rule { side, condition, next };
    match what {
        What::AuthenticationRefused { condition: SaslCondition::TemporaryAuthFailure, .. } => {
            row(Peer, None, Next::Reconnect)
        }
        // The same data would be refused again.
        What::AuthenticationRefused { .. } => row(Ours, None, Next::WaitForConfig),
        What::BindMissing => row(Peer, Some(C::UnsupportedFeature), Next::Later(Pause::Certificate)),
        What::BindRefused { error } => row(Peer, None, after_bind_error(error)),
        What::ComponentRefused { .. } => row(Ours, None, Next::WaitForConfig),
        What::ConnectFailed { .. } => row(Transport, None, Next::Reconnect),
        What::ConnectionLost { .. } => row(Transport, None, Next::Reconnect),
        What::HandledTooHigh { .. } => row(Peer, Some(C::UndefinedCondition), Next::Reconnect),
        What::HeaderInvalid { problem } => row(Peer, Some(problem.condition()), Next::Reconnect),
        What::HostUnknown { .. } => row(Peer, Some(C::HostUnknown), Next::Never),
        What::LoginAttempts => row(Peer, Some(C::PolicyViolation), Next::Never),
        What::MechanismMissing { .. } => row(Peer, None, Next::WaitForConfig),
        What::ResumptionStuck => row(Peer, None, Next::Reconnect),
        What::SaslBroken { error } if error.blame() == Blame::Ours => row(Ours, None, Next::WaitForConfig),
        What::SaslBroken { .. } => row(Peer, None, Next::Later(Pause::Certificate)),
        What::Silence => row(Transport, None, Next::Reconnect),
        What::StreamClosed => row(Peer, None, Next::Reconnect),
        What::StreamError(error) => row(error.side(), None, error.next()),
        What::TasksRequired { .. } => row(Peer, None, Next::WaitForConfig),
        What::TlsInjected => row(Peer, None, Next::Later(Pause::Certificate)),
        What::TlsFailed { certificate: true, .. } => row(Peer, None, Next::Later(Pause::Certificate)),
        What::TlsFailed { certificate: false, .. } => row(Transport, None, Next::Reconnect),
        What::TlsMissing => row(Peer, None, Next::Later(Pause::Certificate)),
        What::TlsRefused => row(Peer, None, Next::Reconnect),
        What::TimedOut { .. } => row(Transport, Some(C::ConnectionTimeout), Next::Reconnect),
        // The password is next.
        What::TokenRefused { .. } => row(Peer, None, Next::Reconnect),
        What::TooMuchAhead => row(Peer, Some(C::PolicyViolation), Next::Reconnect),
        What::UnexpectedElement { .. } => row(Peer, Some(C::UnsupportedStanzaType), Next::Reconnect),
        What::UnexpectedStanza { .. } => row(Peer, Some(C::NotAuthorized), Next::Reconnect),
        What::Unwritable { .. } => row(Ours, None, Next::WaitForConfig),
        What::Xml(error) => row(Peer, Some(C::of_xml(error)), Next::Reconnect),
    }
}

/// RFC 6120 §7.7: a refused resource may be free later, a client that may not bind needs its operator.
fn after_bind_error(error: &StanzaError) -> Next {
    match &*error.condition {
        "conflict" => Next::Later(Pause::Conflict),
        "resource-constraint" => Next::Later(Pause::Overload),
        "not-allowed" | "bad-request" => Next::WaitForConfig,
        _ => Next::Reconnect,
    }
}

impl HeaderProblem {
    fn condition(self) -> Condition {
        match self {
            Self::ContentNamespace => Condition::InvalidNamespace,
            Self::IdMissing | Self::Second => Condition::BadFormat,
            Self::Root => Condition::InvalidNamespace,
            Self::Version => Condition::UnsupportedVersion,
        }
    }
}

/// A stream error as it travels, RFC 6120 §4.9.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamError {
    /// The defined condition.
    pub condition: Condition,
    /// The host of `<see-other-host/>`, as written.
    pub host: Option<String>,
    /// `h` of `<handled-count-too-high/>`, XEP-0198 §4.
    pub handled_too_high: Option<HandledTooHigh>,
    /// Text for people.
    pub text: Option<String>,
}

/// The two counters of `<handled-count-too-high/>`; a peer may leave them out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandledTooHigh {
    /// What was acknowledged.
    pub h: u32,
    /// What had been sent.
    pub send_count: u32,
}

impl StreamError {
    /// An error with a condition only.
    pub fn new(condition: Condition) -> Self {
        Self { condition, host: None, handled_too_high: None, text: None }
    }

    /// The wire form of a fault that the peer is told.
    pub(super) fn of(what: &What) -> Option<Self> {
        let mut error = Self::new(what.condition()?);
        if let What::HandledTooHigh { handled, sent } = what {
            error.handled_too_high = Some(HandledTooHigh { h: *handled, send_count: *sent });
        }
        Some(error)
    }

    /// Reads `<stream:error/>`. An unknown or missing condition counts as `undefined-condition`, §4.9.3.21.
    pub fn from_element(element: &Element) -> Self {
        let mut error = Self::new(Condition::UndefinedCondition);
        for child in element.children() {
            if child.ns() == ns::STREAM_ERRORS && child.name() == "text" {
                error.text = Some(child.text());
            } else if child.ns() == ns::STREAM_ERRORS {
                error.condition = Condition::from_name(child.name()).unwrap_or(Condition::UndefinedCondition);
                let host = child.text();
                if error.condition == Condition::SeeOtherHost && !host.trim().is_empty() {
                    error.host = Some(host.trim().to_owned());
                }
            } else if child.is("handled-count-too-high", ns::SM) {
                let number = |name| child.attr(name).and_then(|n| n.parse().ok()).unwrap_or_default();
                error.handled_too_high =
                    Some(HandledTooHigh { h: number("h"), send_count: number("send-count") });
            }
        }
        error
    }

    /// `<stream:error/>` for the wire.
    pub fn to_element(&self) -> Element {
        let mut condition = Element::new(self.condition.name(), ns::STREAM_ERRORS);
        if let Some(host) = &self.host {
            condition.push_text(host.clone());
        }
        let mut error = Element::new("error", ns::STREAM).with_child(condition);
        if let Some(text) = &self.text {
            error.push(Element::new("text", ns::STREAM_ERRORS).with_lang(Some("en")).with_text(text.clone()));
        }
        if let Some(counts) = self.handled_too_high {
            error.push(
                Element::new("handled-count-too-high", ns::SM)
                    .with_attr("h", counts.h.to_string())
                    .with_attr("send-count", counts.send_count.to_string()),
            );
        }
        error
    }

    /// Conditions about what we sent are ours; all others are the peer's affair.
    fn side(&self) -> Side {
        match self.condition {
            Condition::BadFormat
            | Condition::BadNamespacePrefix
            | Condition::HostUnknown
            | Condition::ImproperAddressing
            | Condition::InvalidFrom
            | Condition::InvalidNamespace
            | Condition::InvalidXml
            | Condition::NotAuthorized
            | Condition::NotWellFormed
            | Condition::PolicyViolation
            | Condition::RestrictedXml
            | Condition::UnsupportedEncoding
            | Condition::UnsupportedFeature
            | Condition::UnsupportedStanzaType
            | Condition::UnsupportedVersion => Side::Ours,
            Condition::Conflict
            | Condition::ConnectionTimeout
            | Condition::HostGone
            | Condition::InternalServerError
            | Condition::RemoteConnectionFailed
            | Condition::Reset
            | Condition::ResourceConstraint
            | Condition::SeeOtherHost
            | Condition::SystemShutdown => Side::Peer,
            Condition::UndefinedCondition if self.handled_too_high.is_some() => Side::Ours,
            Condition::UndefinedCondition => Side::Peer,
        }
    }

    fn next(&self) -> Next {
        match self.condition {
            Condition::Conflict => Next::Later(Pause::Conflict),
            Condition::HostGone | Condition::HostUnknown => Next::Later(Pause::Misdirected),
            Condition::ImproperAddressing | Condition::UnsupportedVersion => Next::Later(Pause::Misdirected),
            Condition::NotAuthorized => Next::WaitForConfig,
            Condition::PolicyViolation => Next::Later(Pause::Abuse),
            Condition::ResourceConstraint => Next::Later(Pause::Overload),
            Condition::SeeOtherHost => match &self.host {
                Some(host) => Next::ReconnectElsewhere(host.clone()),
                None => Next::Reconnect,
            },
            Condition::SystemShutdown => Next::Later(Pause::Shutdown),
            Condition::BadFormat
            | Condition::BadNamespacePrefix
            | Condition::ConnectionTimeout
            | Condition::InternalServerError
            | Condition::InvalidFrom
            | Condition::InvalidNamespace
            | Condition::InvalidXml
            | Condition::NotWellFormed
            | Condition::RemoteConnectionFailed
            | Condition::Reset
            | Condition::RestrictedXml
            | Condition::UndefinedCondition
            | Condition::UnsupportedEncoding
            | Condition::UnsupportedFeature
            | Condition::UnsupportedStanzaType => Next::Reconnect,
        }
    }
}

/// Declares an enum of defined conditions together with their names on the wire.
macro_rules! conditions {
    ($(#[$doc:meta])* $type:ident { $($variant:ident = $name:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // The names are the RFC's; it explains them.
        pub enum $type { $($variant,)+ }

        impl $type {
            /// Every condition, in the order of the RFC.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The element name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The condition of this element name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

conditions! {
    /// Defined conditions of stream errors, RFC 6120 §4.9.3.
    Condition {
        BadFormat = "bad-format",
        BadNamespacePrefix = "bad-namespace-prefix",
        Conflict = "conflict",
        ConnectionTimeout = "connection-timeout",
        HostGone = "host-gone",
        HostUnknown = "host-unknown",
        ImproperAddressing = "improper-addressing",
        InternalServerError = "internal-server-error",
        InvalidFrom = "invalid-from",
        InvalidNamespace = "invalid-namespace",
        InvalidXml = "invalid-xml",
        NotAuthorized = "not-authorized",
        NotWellFormed = "not-well-formed",
        PolicyViolation = "policy-violation",
        RemoteConnectionFailed = "remote-connection-failed",
        Reset = "reset",
        ResourceConstraint = "resource-constraint",
        RestrictedXml = "restricted-xml",
        SeeOtherHost = "see-other-host",
        SystemShutdown = "system-shutdown",
        UndefinedCondition = "undefined-condition",
        UnsupportedEncoding = "unsupported-encoding",
        UnsupportedFeature = "unsupported-feature",
        UnsupportedStanzaType = "unsupported-stanza-type",
        UnsupportedVersion = "unsupported-version",
    }
}

conditions! {
    /// Defined conditions of SASL failures, RFC 6120 §6.5.
    SaslCondition {
        Aborted = "aborted",
        AccountDisabled = "account-disabled",
        CredentialsExpired = "credentials-expired",
        EncryptionRequired = "encryption-required",
        IncorrectEncoding = "incorrect-encoding",
        InvalidAuthzid = "invalid-authzid",
        InvalidMechanism = "invalid-mechanism",
        MalformedRequest = "malformed-request",
        MechanismTooWeak = "mechanism-too-weak",
        NotAuthorized = "not-authorized",
        TemporaryAuthFailure = "temporary-auth-failure",
    }
}

impl Condition {
    /// The condition that tells the peer which rule of RFC 6120 §11 its bytes broke.
    fn of_xml(error: &XmlError) -> Self {
        Self::from_name(error.condition()).unwrap_or(Self::NotWellFormed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::ErrorKind;
    use crate::xml::parse;

    const ONLINE: Circumstances = Circumstances { receiving: false, resumable: true, trusted: true };
    const NEW: Circumstances = Circumstances { receiving: false, resumable: false, trusted: true };

    /// The table of RFC 6120 §4.9.3 as this program answers to it.
    #[test]
    fn every_stream_error_has_its_consequence() {
        let later = Next::Later;
        let expected = |condition: Condition| match condition.name() {
            "conflict" => later(Pause::Conflict),
            "host-gone" | "host-unknown" | "improper-addressing" | "unsupported-version" => {
                later(Pause::Misdirected)
            }
            "not-authorized" => Next::WaitForConfig,
            "policy-violation" => later(Pause::Abuse),
            "resource-constraint" => later(Pause::Overload),
            "see-other-host" => Next::ReconnectElsewhere("[::1]:5222".to_owned()),
            "system-shutdown" => later(Pause::Shutdown),
            _ => Next::Resume,
        };
        assert_eq!(Condition::ALL.len(), 25);
        for condition in Condition::ALL {
            let text = format!(
                "<stream:error xmlns:stream='{}'><{condition} xmlns='{}'>{}</{condition}></stream:error>",
                ns::STREAM,
                ns::STREAM_ERRORS,
                if *condition == Condition::SeeOtherHost { "[::1]:5222" } else { "" },
            );
            let error = StreamError::from_element(&parse(&text).expect("well-formed"));
            assert_eq!(error.condition, *condition);
            assert_eq!(StreamError::from_element(&error.to_element()), error);
            let fault = Fault::new(What::StreamError(error), ONLINE);
            assert_eq!(fault.next, expected(*condition), "{condition}");
            assert!(StreamError::of(&fault.what).is_none(), "an error is not answered by an error");
        }
    }

    /// S-7: a redirect in the clear may come from anybody.
    #[test]
    fn a_redirect_is_followed_only_over_verified_tls() {
        let mut error = StreamError::new(Condition::SeeOtherHost);
        error.host = Some("evil.example".to_owned());
        let next =
            |trusted| Fault::new(What::StreamError(error.clone()), Circumstances { trusted, ..NEW }).next;
        assert_eq!(next(false), Next::Reconnect);
        assert_eq!(next(true), Next::ReconnectElsewhere("evil.example".to_owned()));
    }

    /// trying again what was refused gets the address banned.
    #[test]
    fn only_a_passing_refusal_is_tried_again() {
        assert_eq!(SaslCondition::ALL.len(), 11);
        for condition in SaslCondition::ALL {
            let fault = Fault::new(What::AuthenticationRefused { condition: *condition, text: None }, NEW);
            let passing = *condition == SaslCondition::TemporaryAuthFailure;
            assert_eq!(
                fault.next,
                if passing { Next::Reconnect } else { Next::WaitForConfig },
                "{condition}"
            );
        }
    }

    /// Walks the fault table: whose it is, what the peer is told, what happens next.
    #[test]
    fn every_fault_has_its_row() {
        let refused = |condition| What::BindRefused { error: StanzaError::new(ErrorKind::Cancel, condition) };
        let header = |problem| What::HeaderInvalid { problem };
        let tls = |certificate| What::TlsFailed { detail: String::new(), certificate };
        let detail = String::new;
        let later = |pause| Next::Later(pause);
        let reason = NoMechanism::BindingRequired;
        let too_high = What::HandledTooHigh { handled: 9, sent: 8 };
        let element = What::UnexpectedElement { name: "a".to_owned(), ns: "b".to_owned() };
        let restricted = parse("<a><!-- --></a>").expect_err("a comment");
        let rows = [
            (What::BindMissing, Side::Peer, "unsupported-feature", later(Pause::Certificate)),
            (refused("conflict"), Side::Peer, "", later(Pause::Conflict)),
            (refused("not-allowed"), Side::Peer, "", Next::WaitForConfig),
            (refused("resource-constraint"), Side::Peer, "", later(Pause::Overload)),
            (What::ConnectFailed { detail: detail() }, Side::Transport, "", Next::Reconnect),
            (What::ConnectionLost { detail: detail() }, Side::Transport, "", Next::Reconnect),
            (too_high, Side::Peer, "undefined-condition", Next::Reconnect),
            (header(HeaderProblem::ContentNamespace), Side::Peer, "invalid-namespace", Next::Reconnect),
            (header(HeaderProblem::IdMissing), Side::Peer, "bad-format", Next::Reconnect),
            (header(HeaderProblem::Root), Side::Peer, "invalid-namespace", Next::Reconnect),
            (header(HeaderProblem::Version), Side::Peer, "unsupported-version", Next::Reconnect),
            (What::HostUnknown { host: detail() }, Side::Peer, "host-unknown", Next::Never),
            (What::LoginAttempts, Side::Peer, "policy-violation", Next::Never),
            (What::MechanismMissing { reason }, Side::Peer, "", Next::WaitForConfig),
            (What::ResumptionStuck, Side::Peer, "", Next::Reconnect),
            (What::SaslBroken { error: SaslError::Password }, Side::Ours, "", Next::WaitForConfig),
            (What::SaslBroken { error: SaslError::Signature }, Side::Peer, "", later(Pause::Certificate)),
            (What::Silence, Side::Transport, "", Next::Reconnect),
            (What::StreamClosed, Side::Peer, "", Next::Reconnect),
            (What::TlsInjected, Side::Peer, "", later(Pause::Certificate)),
            (tls(true), Side::Peer, "", later(Pause::Certificate)),
            (tls(false), Side::Transport, "", Next::Reconnect),
            (What::TlsMissing, Side::Peer, "", later(Pause::Certificate)),
            (What::TlsRefused, Side::Peer, "", Next::Reconnect),
            (What::TimedOut { awaited: "" }, Side::Transport, "connection-timeout", Next::Reconnect),
            (
                What::TokenRefused { condition: SaslCondition::CredentialsExpired, text: None },
                Side::Peer,
                "",
                Next::Reconnect,
            ),
            (What::TooMuchAhead, Side::Peer, "policy-violation", Next::Reconnect),
            (element, Side::Peer, "unsupported-stanza-type", Next::Reconnect),
            (What::UnexpectedStanza { name: detail() }, Side::Peer, "not-authorized", Next::Reconnect),
            (
                What::Unwritable { error: WriteError::Character { code: 1 } },
                Side::Ours,
                "",
                Next::WaitForConfig,
            ),
            (What::Xml(restricted), Side::Peer, "restricted-xml", Next::Reconnect),
        ];
        for (what, side, condition, next) in rows {
            let told = StreamError::of(&what);
            assert_eq!(told.map_or("", |error| error.condition.name()), condition, "{what:?}");
            let resumed = if next == Next::Reconnect { Next::Resume } else { next.clone() };
            assert_eq!(Fault::new(what.clone(), ONLINE).next, resumed, "{what:?}");
            let server = Circumstances { receiving: true, ..ONLINE };
            assert_eq!(Fault::new(what.clone(), server).next, Next::Never);
            assert_eq!(Fault::new(what.clone(), NEW), Fault { side, what, next });
        }
    }

    /// XEP-0198 §4
    #[test]
    fn too_high_a_count_is_told_with_both_counts() {
        let error = StreamError::of(&What::HandledTooHigh { handled: 10, sent: 8 }).expect("it is told");
        assert_eq!(error.handled_too_high, Some(HandledTooHigh { h: 10, send_count: 8 }));
        assert_eq!(StreamError::from_element(&error.to_element()), error);
        assert!(What::StreamError(error).ends_session());
    }
}
