//! XMPP addresses, RFC 7622: [`Jid`], [`BareJid`], [`FullJid`].
//!
//! A value of these types is prepared: two spellings of one address are equal.

pub mod escape;
pub mod prepare;

use std::borrow::Cow;
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
        let parts = prepared(local, domain, resource)?;
        if let (None | Some(Cow::Borrowed(_)), Cow::Borrowed(_), None | Some(Cow::Borrowed(_))) = &parts {
            // Prepared as it stands: the text is copied once.
            return Ok(Self {
                local: local.map_or(0, |local| local.len() as u16),
                slash: resource.map_or(0, |resource| (text.len() - resource.len() - 1) as u16),
                text: text.into(),
            });
        }
        Ok(Self::join(&parts))
    }

    /// Parses what a server sent. Each part is prepared where that is possible and otherwise kept
    /// as it is while it has 1 to 1023 octets: servers with the older stringprep rules let pass
    /// what RFC 7622 forbids, and a stream must not end over it.
    pub fn from_wire(text: &str) -> Result<Self, JidError> {
        if let Ok(jid) = Self::parse(text) {
            return Ok(jid);
        }
        let (local, domain, resource) = split(text);
        let local = local.map(|text| kept(Part::Local, prepare::local(text), text)).transpose()?;
        let lenient = prepare::lenient_domain(domain);
        let domain = kept(Part::Domain, prepare::domain(&lenient), &lenient)?;
        let resource =
            resource.map(|text| kept(Part::Resource, prepare::resource(text), text)).transpose()?;
        Ok(Self::join(&(local, domain, resource)))
    }

    /// Builds an address from parts that are prepared here.
    pub fn from_parts(local: Option<&str>, domain: &str, resource: Option<&str>) -> Result<Self, JidError> {
        prepared(local, domain, resource).map(|parts| Self::join(&parts))
    }

    /// Joins parts of 1 to 1023 octets: every offset fits 16 bits.
    fn join((local, domain, resource): &Parts<'_>) -> Self {
        let mut text = String::with_capacity(
            2 + domain.len()
                + local.as_ref().map_or(0, |local| local.len())
                + resource.as_ref().map_or(0, |resource| resource.len()),
        );
        if let Some(local) = local {
            text.push_str(local);
            text.push('@');
        }
        text.push_str(domain);
        let mut slash = 0;
        if let Some(resource) = resource {
            slash = text.len();
            text.push('/');
            text.push_str(resource);
        }
        Self {
            text: text.into(),
            local: local.as_ref().map_or(0, |local| local.len() as u16),
            slash: slash as u16,
        }
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

/// The parts of an address, prepared.
type Parts<'a> = (Option<Cow<'a, str>>, Cow<'a, str>, Option<Cow<'a, str>>);

fn prepared<'a>(
    local: Option<&'a str>,
    domain: &'a str,
    resource: Option<&'a str>,
) -> Result<Parts<'a>, JidError> {
    Ok((
        local.map(prepare::local).transpose()?,
        prepare::domain(domain)?,
        resource.map(prepare::resource).transpose()?,
    ))
}

/// The prepared part, or the raw one while its length is allowed.
fn kept<'a>(
    part: Part,
    prepared: Result<Cow<'a, str>, JidError>,
    raw: &'a str,
) -> Result<Cow<'a, str>, JidError> {
    match prepared {
        Ok(text) => Ok(text),
        Err(_) if raw.is_empty() || raw.len() > prepare::LONGEST => Err(JidError::Length { part }),
        Err(_) => Ok(Cow::Borrowed(raw)),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use proptest::strategy::Strategy;

    use super::*;

    #[test]
    fn splits_at_the_first_slash_then_at_the_first_at() {
        check("a@b/c@d/e", Some("a"), "b", Some("c@d/e"));
        check("b/c@d", None, "b", Some("c@d"));
        check("b//", None, "b", Some("/"));
        check("user@host/tag/xyz", Some("user"), "host", Some("tag/xyz"));
    }

    #[test]
    fn spellings_of_one_address_are_equal() {
        for (one, other) in [
            ("Juliet@Example.COM/Balcony", "juliet@example.com/Balcony"),
            ("a@example.net.", "a@example.net"),
            ("a@b\u{fc}cher.example", "a@xn--bcher-kva.example"),
            ("a@B\u{dc}CHER.example", "a@XN--BCHER-KVA.example"),
            ("a@[2001:DB8:0:0::1]", "a@[2001:db8::1]"),
            ("\u{c5}@d", "a\u{30a}@d"),
            ("\u{212b}@d", "\u{e5}@d"),
            ("\u{ff21}b@d", "ab@d"),
            ("a@d/x\u{a0}y", "a@d/x y"),
            ("a@d/e\u{301}", "a@d/\u{e9}"),
        ] {
            assert_eq!(Jid::parse(one), Jid::parse(other), "{one} {other}");
            assert!(Jid::parse(one).is_ok(), "{one}");
        }
        assert_ne!(Jid::parse("a@d/X"), Jid::parse("a@d/x"));
        assert_ne!(Jid::parse("fussball@d"), Jid::parse("fu\u{df}ball@d"));
    }

    #[test]
    fn refuses_what_rfc_7622_forbids() {
        let long = "a".repeat(1024);
        for text in [
            "",
            "@",
            "/",
            "a@",
            "@b",
            "b/",
            "a@b@c",
            "a@b c",
            "a b@c",
            "a:b@c",
            "a\u{ff20}b@c",
            "\u{265a}@c",
            "a@b..c",
            "a@.b",
            "a@-b.c",
            "a@b-.c",
            "a@[127.0.0.1]",
            "a@[::1",
            "a@::1",
            "a@b:5222",
            "a@xn--a",
            "a@b/\u{7}",
            "a@b/\u{ad}",
            "\u{5e9}c@b",
            "a@\u{ad}",
        ] {
            assert!(Jid::parse(text).is_err(), "{text:?} passed");
        }
        for part in [format!("{long}@b"), format!("a@{long}"), format!("a@b/{long}")] {
            assert!(matches!(Jid::parse(&part), Err(JidError::Length { .. })));
            assert!(matches!(Jid::from_wire(&part), Err(JidError::Length { .. })));
        }
    }

    #[test]
    fn lengths_count_after_preparation() {
        // Three octets each before, one after.
        assert!(Jid::parse(&format!("{}@b", "\u{ff41}".repeat(1023))).is_ok());
        // Two octets before, three after.
        assert!(Jid::parse(&format!("{}@b", "\u{23a}".repeat(511))).is_err());
        let quadratic = "\u{30fb}".repeat(100_000);
        assert!(Jid::from_wire(&format!("a@b/{quadratic}")).is_err());
    }

    #[test]
    fn characters_newer_than_the_registry_are_no_obstacle() {
        check("a@b/\u{1f980}", Some("a"), "b", Some("\u{1f980}"));
        check("a@b/\u{1f600}\u{1f980} x", Some("a"), "b", Some("\u{1f600}\u{1f980} x"));
        // Cherokee small letters came with Unicode 8.
        check("\u{ab70}@b", Some("\u{ab70}"), "b", None);
        assert!(Jid::parse("\u{1f980}@b").is_err(), "a symbol in a localpart");
        assert!(Jid::parse("a@b/\u{378}").is_err(), "a code point without a character");
    }

    #[test]
    fn from_wire_prepares_what_can_be_prepared() {
        let jid = Jid::from_wire("Juliet@Example.NET./\u{2764}\u{fe0f}").expect("three parts");
        assert_eq!(jid.as_str(), "juliet@example.net/\u{2764}\u{fe0f}");
        assert_eq!(jid.to_bare(), BareJid::parse("juliet@example.net").expect("plain"));
        let jid = Jid::from_wire("\u{265a}@Bad..Name.").expect("two parts");
        assert_eq!(jid.as_str(), "\u{265a}@bad..name");
        assert_eq!(Jid::from_wire("a@b..").map(|jid| jid.to_string()).as_deref(), Ok("a@b"));
        let jid = Jid::from_wire("a@\u{212b}..").expect("two parts");
        assert_eq!(jid.as_str(), "a@\u{e5}");
        for text in ["@@@", "a@", "@b", "", "a@b/", "a@..."] {
            assert!(Jid::from_wire(text).is_err(), "{text:?} passed");
        }
    }

    #[test]
    fn bare_full_and_domain_share_their_parts() {
        let full = FullJid::parse("a@b/c").expect("plain");
        assert_eq!(full.resource_str(), "c");
        assert_eq!(full.to_bare().to_string(), "a@b");
        assert_eq!(full.to_bare().to_domain().to_string(), "b");
        assert_eq!(full.to_bare().with_resource("D").expect("plain").to_string(), "a@b/D");
        assert_eq!(BareJid::parse("a@b/c"), Err(JidError::NotBare));
        assert_eq!(FullJid::parse("a@b"), Err(JidError::NotFull));
    }

    proptest! {
        #[test]
        fn preparing_twice_changes_nothing(text in addresses()) {
            if let Ok(jid) = Jid::parse(&text) {
                assert_eq!(Jid::parse(jid.as_str()).as_ref(), Ok(&jid));
                let again = Jid::from_parts(jid.local(), jid.domain(), jid.resource());
                assert_eq!(again.as_ref(), Ok(&jid));
            }
            if let Ok(jid) = Jid::from_wire(&text) {
                assert_eq!(Jid::from_wire(jid.as_str()).as_ref(), Ok(&jid));
            }
        }
    }

    /// Any text, and text that is more often an address.
    fn addresses() -> impl Strategy<Value = String> {
        let letters =
            "[a-zA-Z0-9.\u{c5}\u{130}\u{3c2}\u{5d0}\u{627}\u{ff21}\u{212b}\u{30a}\u{1e9e}\u{1c89}-]{1,6}";
        let shaped = (letters, letters, "[ -~\u{a0}\u{e9}\u{301}\u{1f980}\u{3000}]{1,6}")
            .prop_map(|(local, domain, resource)| format!("{local}@{domain}/{resource}"));
        proptest::prop_oneof![any::<String>(), "\\PC@\\PC/\\PC", "\\PC{1,3}@\\PC{1,3}", shaped]
    }

    #[track_caller]
    fn check(text: &str, local: Option<&str>, domain: &str, resource: Option<&str>) {
        let jid = Jid::parse(text).expect(text);
        assert_eq!((jid.local(), jid.domain(), jid.resource()), (local, domain, resource));
        assert_eq!(jid.as_str(), text);
    }
}
