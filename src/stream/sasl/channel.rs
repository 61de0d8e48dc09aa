//! What TLS lends to authentication: channel-binding data, RFC 5929 and 9266, and its own version.

use std::fmt;

use crate::stream::Secured;

/// The TLS channel as seen from this end.
#[derive(Clone, Default)]
pub struct Channel {
    /// 32 octets exported under `EXPORTER-Channel-Binding` with an empty context, RFC 9266 §2;
    /// `None` without TLS, or on TLS 1.2 without the extended master secret.
    pub exporter: Option<Vec<u8>>,
    /// The hash of the server's certificate, RFC 5929 §4; `None` where its signature names no hash.
    pub end_point: Option<Vec<u8>>,
    /// Whether the certificate was verified for the domain of the account.
    pub verified: bool,
    /// Version number on the wire, `0x0303` or `0x0304`; `None` where it is not known.
    pub version: Option<u16>,
}

/// A channel-binding type, the better one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Binding {
    /// `tls-exporter`, RFC 9266.
    Exporter,
    /// `tls-server-end-point`, RFC 5929.
    EndPoint,
}

/// Whether and how this end binds, as the first letter of a SCRAM exchange says it, RFC 5802 §7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// `n`: this end does not bind.
    Unsupported,
    /// `y`: this end could, and thinks that the server cannot.
    Unoffered,
    /// `p=…`: bound by this type.
    Bound(Binding),
}

impl Binding {
    /// All types that this program knows, the better one first.
    pub const ALL: [Self; 2] = [Self::Exporter, Self::EndPoint];

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exporter => "tls-exporter",
            Self::EndPoint => "tls-server-end-point",
        }
    }

    /// The type of a registered name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|binding| binding.name() == name)
    }
}

impl Channel {
    /// The data of one type, where this channel has it.
    pub fn data(&self, binding: Binding) -> Option<&[u8]> {
        match binding {
            Binding::Exporter => self.exporter.as_deref(),
            Binding::EndPoint => self.end_point.as_deref(),
        }
    }

    /// Whether this end has data of any type.
    pub fn can_bind(&self) -> bool {
        Binding::ALL.iter().any(|binding| self.data(*binding).is_some())
    }
}

impl Flag {
    /// The start of the GS2 header: `n`, `y` or `p=type`.
    pub fn text(self) -> String {
        match self {
            Self::Unsupported => "n".to_owned(),
            Self::Unoffered => "y".to_owned(),
            Self::Bound(binding) => format!("p={}", binding.name()),
        }
    }
}

impl fmt::Debug for Channel {
    /// Says which data there are, not the data: they are secrets of the channel.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("exporter", &self.exporter.is_some())
            .field("end_point", &self.end_point.is_some())
            .field("verified", &self.verified)
            .field("version", &self.version)
            .finish()
    }
}
impl Secured {
    /// What SASL may bind to.
    pub(in crate::stream) fn channel(&self) -> Channel {
        Channel {
            exporter: self.exporter.clone(),
            end_point: self.end_point.clone(),
            verified: self.verified,
            version: Some(if self.tls13 { 0x0304 } else { 0x0303 }),
        }
    }
}
