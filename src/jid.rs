//! XMPP addresses, RFC 7622: [`Jid`], [`BareJid`], [`FullJid`].
//!
//! A value of these types is prepared: two spellings of one address are equal.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Any address: domain, `local@domain`, with or without a resource.
///
/// A clone shares the text, so keys and messages cost no allocation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Jid {
    text: Arc<str>,
    /// Length of the localpart; 0 where there is none.
    local: u16,
    /// Offset of the `/`; 0 where there is no resourcepart.
    slash: u16,
}

/// An address without a resourcepart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BareJid(Jid);

/// An address with a resourcepart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FullJid(Jid);

/// Which rule of RFC 7622 an address breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JidError {
    /// The domainpart is empty or no host name or IP literal, §3.2.
    Domain,
    /// A part is empty where its separator stands, or longer than 1023 octets, §3.1.
    Length { part: Part },
    /// The localpart breaks UsernameCaseMapped or holds one of `"&'/:<>@`, §3.3.
    Local,
    /// A bare JID was expected.
    NotBare,
    /// A full JID was expected.
    NotFull,
    /// The resourcepart breaks OpaqueString, §3.4.
    Resource,
}

/// One of the three parts of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Before the `@`.
    Local,
    /// The only part that must be there.
    Domain,
    /// Behind the first `/`.
    Resource,
}

impl Jid {
    /// Parses and prepares what an operator or a script wrote. Strict.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        let (local, domain, resource) = split(text);
        Self::from_parts(local, domain, resource)
    }

    /// Parses what a server sent. Prepared where that is possible; otherwise kept as it is while
    /// its parts have 1 to 1023 octets: servers with the older stringprep rules let pass what
    /// RFC 7622 forbids, and a stream must not end over it.
    pub fn from_wire(text: &str) -> Result<Self, JidError> {
        match Self::parse(text) {
            Ok(jid) => Ok(jid),
            Err(_) => {
                let (local, domain, resource) = split(text);
                Self::join(local, domain, resource)
            }
        }
    }

    /// Builds an address from parts that are prepared here.
    pub fn from_parts(local: Option<&str>, domain: &str, resource: Option<&str>) -> Result<Self, JidError> {
        // The PRECIS profiles are put in by the tables of `prepare`.
        Self::join(local, domain, resource)
    }

    fn join(local: Option<&str>, domain: &str, resource: Option<&str>) -> Result<Self, JidError> {
        let check = |part, text: &str| {
            if text.is_empty() || text.len() > 1023 { Err(JidError::Length { part }) } else { Ok(()) }
        };
        check(Part::Domain, domain)?;
        let mut text = String::new();
        if let Some(local) = local {
            check(Part::Local, local)?;
            text.push_str(local);
            text.push('@');
        }
        text.push_str(domain);
        let mut slash = 0;
        if let Some(resource) = resource {
            check(Part::Resource, resource)?;
            slash = text.len();
            text.push('/');
            text.push_str(resource);
        }
        Ok(Self { text: text.into(), local: local.map_or(0, |l| l.len() as u16), slash: slash as u16 })
    }

    /// The localpart.
    pub fn local(&self) -> Option<&str> {
        (self.local > 0).then(|| &self.text[..usize::from(self.local)])
    }

    /// The domainpart.
    pub fn domain(&self) -> &str {
        let start = if self.local > 0 { usize::from(self.local) + 1 } else { 0 };
        &self.text[start..self.bare_len()]
    }

    /// The resourcepart.
    pub fn resource(&self) -> Option<&str> {
        (self.slash > 0).then(|| &self.text[usize::from(self.slash) + 1..])
    }

    /// The whole address as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text without the resourcepart.
    pub fn bare_str(&self) -> &str {
        &self.text[..self.bare_len()]
    }

    /// The address without its resourcepart.
    pub fn to_bare(&self) -> BareJid {
        if self.slash == 0 {
            return BareJid(self.clone());
        }
        BareJid(Self { text: self.bare_str().into(), local: self.local, slash: 0 })
    }

    /// Whether there is no resourcepart.
    pub fn is_bare(&self) -> bool {
        self.slash == 0
    }

    /// The same address as a full JID.
    pub fn to_full(&self) -> Option<FullJid> {
        (self.slash > 0).then(|| FullJid(self.clone()))
    }

    fn bare_len(&self) -> usize {
        if self.slash > 0 { usize::from(self.slash) } else { self.text.len() }
    }
}

impl BareJid {
    /// Parses and prepares; an address with a resourcepart is refused.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        let jid = Jid::parse(text)?;
        if jid.is_bare() { Ok(Self(jid)) } else { Err(JidError::NotBare) }
    }

    /// The full JID of one resource, prepared.
    pub fn with_resource(&self, resource: &str) -> Result<FullJid, JidError> {
        Jid::from_parts(self.0.local(), self.0.domain(), Some(resource)).map(FullJid)
    }

    /// The account's domain as an address.
    pub fn to_domain(&self) -> BareJid {
        BareJid(Jid { text: self.0.domain().into(), local: 0, slash: 0 })
    }
}

impl FullJid {
    /// Parses and prepares; an address without a resourcepart is refused.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        Jid::parse(text)?.to_full().ok_or(JidError::NotFull)
    }

    /// The resourcepart.
    pub fn resource_str(&self) -> &str {
        self.0.resource().unwrap_or_default()
    }
}

/// RFC 7622 §3.1: the first `/` ends the bare part, the first `@` in that ends the localpart.
fn split(text: &str) -> (Option<&str>, &str, Option<&str>) {
    let (bare, resource) = match text.split_once('/') {
        Some((bare, resource)) => (bare, Some(resource)),
        None => (text, None),
    };
    match bare.split_once('@') {
        Some((local, domain)) => (Some(local), domain, resource),
        None => (None, bare, resource),
    }
}

macro_rules! address {
    ($type:ident) => {
        impl std::ops::Deref for $type {
            type Target = Jid;
            fn deref(&self) -> &Jid {
                &self.0
            }
        }
        impl From<$type> for Jid {
            fn from(address: $type) -> Jid {
                address.0
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0.as_str())
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.as_str())
            }
        }
        impl FromStr for $type {
            type Err = JidError;
            fn from_str(text: &str) -> Result<Self, JidError> {
                Self::parse(text)
            }
        }
    };
}

address!(BareJid);
address!(FullJid);

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Jid {
    type Err = JidError;
    fn from_str(text: &str) -> Result<Self, JidError> {
        Self::parse(text)
    }
}

impl fmt::Display for JidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain => f.write_str("the domain is no host name or IP address"),
            Self::Length { part } => write!(f, "the {part} is empty or longer than 1023 octets"),
            Self::Local => f.write_str("the localpart holds a character that RFC 7622 forbids"),
            Self::NotBare => f.write_str("an address without a resource is needed"),
            Self::NotFull => f.write_str("an address with a resource is needed"),
            Self::Resource => f.write_str("the resource holds a character that RFC 7622 forbids"),
        }
    }
}

impl std::error::Error for JidError {}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "localpart",
            Self::Domain => "domainpart",
            Self::Resource => "resourcepart",
        })
    }
}
