//! Faults and refusals in words for the operator: what happened, and what can be done about it.

use std::fmt;

use crate::printable::printable;
use crate::stream::fault::{Circumstances, Condition, Fault, HeaderProblem, Next, Pause, StreamError, What};
use crate::stream::{Hangup, NotReady};

impl Fault {
    /// The fault of a connection that ended before a stream existed; `resumable` where an earlier session
    /// may still be resumed.
    pub fn of_hangup(hangup: Hangup, resumable: bool) -> Self {
        let what = match hangup {
            Hangup::Closed => What::ConnectionLost { detail: "closed by the server".to_owned() },
            Hangup::ConnectFailed { detail } => What::ConnectFailed { detail },
            Hangup::Reset { detail } => What::ConnectionLost { detail },
            Hangup::TlsFailed { detail, certificate } => What::TlsFailed { detail, certificate },
        };
        Self::new(what, Circumstances { receiving: false, resumable, trusted: false })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)?;
        match (&self.next, &self.what) {
            (Next::WaitForConfig, What::AuthenticationRefused { .. }) => {
                f.write_str("; fix the password and save the configuration, or reconnect the bot")
            }
            (Next::Later(Pause::Conflict), _) => f.write_str("; another client uses this resource"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AuthenticationRefused { condition, text } => {
                write!(f, "login refused: {condition}{}", behind(text.as_deref()))
            }
            Self::BindMissing => f.write_str("the server offers no resource binding after login"),
            Self::BindRefused { error } => write!(f, "the resource was refused: {error}"),
            Self::ConnectFailed { detail } => write!(f, "no connection: {detail}"),
            Self::ConnectionLost { detail } => write!(f, "connection lost: {detail}"),
            Self::HandledTooHigh { handled, sent } => {
                write!(f, "the server acknowledged {handled} stanzas of {sent} that were sent")
            }
            Self::HeaderInvalid { problem } => write!(f, "the stream header is invalid: {problem}"),
            Self::HostUnknown { host } => write!(f, "`{}` is not served here", shown(host)),
            Self::LoginAttempts => f.write_str("too many failed logins"),
            Self::MechanismMissing { reason } => write!(f, "no login mechanism fits: {reason}"),
            Self::ResumptionStuck => f.write_str("the resumed session does not answer"),
            Self::SaslBroken { error } => write!(f, "the login went wrong: {error}"),
            Self::ComponentRefused { condition, text } => {
                f.write_str(match condition {
                    Condition::NotAuthorized => "the server refuses the component's secret",
                    Condition::Conflict => "another connection serves the component's domain",
                    _ => "the server does not know a component of this domain",
                })?;
                match text {
                    Some(text) => write!(f, " (it says: {})", printable(text)),
                    None => Ok(()),
                }
            }
            Self::Silence => f.write_str("the server has fallen silent"),
            Self::StreamClosed => f.write_str("the server closed the stream"),
            Self::StreamError(error) => error.fmt(f),
            Self::TasksRequired { tasks } => {
                f.write_str("the server asks for more than the password, and nothing here can give it")?;
                match tasks.as_slice() {
                    [] => Ok(()),
                    tasks => write!(f, ": {}", shown(&tasks.join(", "))),
                }
            }
            Self::TokenRefused { condition, text } => {
                write!(
                    f,
                    "the server no longer takes the login token: {condition}{}",
                    behind(text.as_deref())
                )
            }
            Self::TlsInjected => f.write_str("unencrypted bytes came between STARTTLS and the handshake"),
            Self::TlsFailed { detail, certificate: true } => write!(f, "certificate refused: {detail}"),
            Self::TlsFailed { detail, certificate: false } => write!(f, "TLS failed: {detail}"),
            Self::TlsMissing => f.write_str("the server offers no STARTTLS; nothing was sent in the clear"),
            Self::TlsRefused => f.write_str("the server refused STARTTLS"),
            Self::TimedOut { awaited } => write!(f, "no answer in time: waited for {awaited}"),
            Self::TooMuchAhead => f.write_str("the peer sent too much ahead"),
            Self::UnexpectedElement { name, ns } => {
                write!(f, "unexpected element `{}` of `{}`", shown(name), shown(ns))
            }
            Self::UnexpectedStanza { name } => write!(f, "unexpected `{}` before login", shown(name)),
            Self::Unwritable { error } => {
                write!(f, "the configuration asks for what XML cannot hold: {error}")
            }
            Self::Xml(error) => write!(f, "the server's XML is broken: {error}"),
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server ended the stream: {}{}", self.condition, behind(self.text.as_deref()))
    }
}

impl fmt::Display for HeaderProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ContentNamespace => "another content namespace than `jabber:client`",
            Self::IdMissing => "no `id`",
            Self::Root => "no stream element",
            Self::Second => "a second header",
            Self::Version => "a version below 1.0",
        })
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too much is unacknowledged"),
            Self::NotStanza => f.write_str("it is no message, presence or iq"),
            Self::Offline => f.write_str("the stream is not online"),
            Self::TooLarge { bytes, limit } => {
                write!(f, "the stanza has {bytes} bytes; the server takes {limit}")
            }
            Self::Unaddressed => f.write_str("it names no recipient"),
            Self::Unwritable(error) => error.fmt(f),
        }
    }
}

/// A peer's text behind a colon, made safe for a terminal and a log.
fn behind(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).map(|text| format!(" ({})", shown(text))).unwrap_or_default()
}

/// Safe to print, and not longer than a line.
fn shown(text: &str) -> String {
    printable(&text.chars().take(200).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::fault::Condition;

    #[test]
    fn a_peers_text_cannot_forge_a_log_line() {
        let mut error = StreamError::new(Condition::PolicyViolation);
        error.text = Some("too fast\nINFO online\u{202e}gpj\u{1b}[31m".to_owned());
        let text = What::StreamError(error).to_string();
        assert!(text.starts_with("the server ended the stream: policy-violation (too fast"), "{text}");
        assert!(!text.contains(['\n', '\u{202e}', '\u{1b}']), "{text:?}");
    }
}
