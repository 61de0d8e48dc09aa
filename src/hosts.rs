//! Which hosts a script may ask: entries of the operator, addresses that are nobody's business, and URLs held
//! against both.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// The longest URL.
const LONGEST: usize = 8_192;

/// An entry such as `api.example.net`, `*.feeds.example`, `127.0.0.1:8080` or `http://old.example.net`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    /// As the operator wrote it, in lower case.
    text: String,
    /// Whether requests may go unencrypted.
    plain: bool,
    name: Name,
    /// The only port; the scheme's own where none is named.
    port: Option<u16>,
    /// Whether it may lead to a private address.
    private: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    /// This address and no name.
    Address(IpAddr),
    /// All of them, on any port. No entry of an operator says so.
    Any,
    /// Exactly this host.
    Host(String),
    /// Every name below this one, and not itself.
    Below(String),
}

/// Why a URL may not be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The host, or its port, is in no entry.
    Host {
        /// The entry that would allow it.
        entry: String,
    },
    /// It is longer than 8 KiB.
    Long,
    /// No entry of the host allows plain HTTP.
    Plain {
        /// The entry that would allow it.
        entry: String,
    },
    /// Neither `https` nor `http`.
    Scheme {
        /// Its scheme.
        scheme: String,
    },
    /// It is no URL.
    Syntax,
    /// It carries a name or a password.
    UserInfo,
}

impl Refused {
    /// What would help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Host { entry } | Self::Plain { entry } => Some(format!(
                "the operator grants it by `permissions: {{ http: [\"{entry}\"] }}` of the script"
            )),
            Self::Scheme { .. } | Self::Syntax => Some("write `https://host/path`".to_owned()),
            Self::UserInfo => Some("use the option `secret` for an `Authorization` header".to_owned()),
            Self::Long => None,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { entry } => write!(f, "the script may not ask `{entry}`"),
            Self::Long => write!(f, "the address is longer than {LONGEST} bytes"),
            Self::Plain { entry } => write!(f, "the script may not ask `{entry}` without encryption"),
            Self::Scheme { scheme } => write!(f, "`{scheme}:` is neither `https:` nor `http:`"),
            Self::Syntax => f.write_str("the address is no URL"),
            Self::UserInfo => f.write_str("the address holds a name or password"),
        }
    }
}

impl std::error::Error for Refused {}

impl HostPattern {
    /// Names every host, for tests, where nothing leaves the machine.
    pub fn any() -> Self {
        Self { text: "*".to_owned(), plain: true, name: Name::Any, port: None, private: false }
    }

    /// Names exactly the host and port of `url`, which must be `https`, and no address of this machine or its
    /// network behind it unless `private`.
    pub fn exactly(url: &Url, private: bool) -> Option<Self> {
        let host = url.host_str().filter(|host| url.scheme() == "https" && !host.is_empty())?;
        let text = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Some(Self { private, ..Self::parse(&text)? })
    }

    /// Reads an entry; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (plain, rest) = match text.strip_prefix("http://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("https://").unwrap_or(&text)),
        };
        if rest.is_empty() || rest.contains(['/', '@', '?', '#', '\\', ' ', '%']) {
            return None;
        }
        if let Ok(address) = rest.parse::<Ipv6Addr>() {
            let name = Name::Address(IpAddr::V6(address));
            return Some(Self { plain, name, port: None, private: false, text });
        }
        let (below, rest) = match rest.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        if rest.contains('*') || rest.ends_with('.') || rest.contains("..") || rest.starts_with('.') {
            return None;
        }
        // The parser of URLs reads it, so that both sides come out alike: `ÆØÅ.example`, `[::1]:80`, `0x7f.1`.
        // A scheme without a default port tells `host` and `host:443` apart.
        let (host, port) = split_port(rest)?;
        let name = match Host::parse(host).ok()? {
            Host::Domain(_) if host.is_empty() => return None,
            Host::Domain(domain) if below => Name::Below(domain),
            Host::Domain(domain) => Name::Host(domain),
            _ if below => return None,
            Host::Ipv4(address) => Name::Address(IpAddr::V4(address)),
            Host::Ipv6(address) => Name::Address(IpAddr::V6(address)),
        };
        Some(Self { plain, name, port, private: false, text })
    }

    /// As the operator wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it names the host and the port of `url`.
    fn names(&self, url: &Url) -> bool {
        let host = match (url.host(), &self.name) {
            (Some(Host::Domain(host)), Name::Host(name)) => host == name,
            (Some(Host::Domain(host)), Name::Below(name)) => {
                host.strip_suffix(name.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (Some(Host::Ipv4(host)), Name::Address(address)) => *address == IpAddr::V4(host),
            (Some(Host::Ipv6(host)), Name::Address(address)) => *address == IpAddr::V6(host),
            (_, Name::Any) => return true,
            _ => false,
        };
        host && match self.port {
            Some(port) => url.port_or_known_default() == Some(port),
            // The parser leaves out the port that is the scheme's own.
            None => url.port().is_none(),
        }
    }

    /// Whether it names this very address and port, so that it may be asked although it is private.
    fn names_address(&self, address: IpAddr, url: &Url) -> bool {
        self.name == Name::Address(address)
            && match self.port {
                Some(port) => url.port_or_known_default() == Some(port),
                None => url.port().is_none(),
            }
    }
}

fn split_port(rest: &str) -> Option<(&str, Option<u16>)> {
    let colon = match rest.rfind(':') {
        Some(colon) if !rest.ends_with(']') => colon,
        _ => return Some((rest, None)),
    };
    let port = &rest[colon + 1..];
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let port = port.parse().ok().filter(|port| *port > 0)?;
    Some((&rest[..colon], Some(port)))
}

/// Reads `text` as a URL that one of `allowed` names.
///
/// # Errors
/// Why it may not be asked for.
pub fn permitted(text: &str, allowed: &[HostPattern]) -> Result<Url, Refused> {
    if text.len() > LONGEST {
        return Err(Refused::Long);
    }
    let mut url = Url::parse(text).map_err(|_| Refused::Syntax)?;
    check(&url, allowed)?;
    url.set_fragment(None);
    Ok(url)
}

/// Whether one of `allowed` names the host of `url`, and everything else about it is right too.
///
/// # Errors
/// Why it may not be asked for.
pub fn check(url: &Url, allowed: &[HostPattern]) -> Result<(), Refused> {
    let plain = match url.scheme() {
        "https" => false,
        "http" => true,
        scheme => return Err(Refused::Scheme { scheme: scheme.to_owned() }),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refused::UserInfo);
    }
    let Some(host) = url.host_str().filter(|host| !host.is_empty()) else { return Err(Refused::Syntax) };
    let entry = || match (url.port(), plain) {
        (Some(port), true) => format!("http://{host}:{port}"),
        (Some(port), false) => format!("{host}:{port}"),
        (None, true) => format!("http://{host}"),
        (None, false) => host.to_owned(),
    };
    let mut named = allowed.iter().filter(|pattern| pattern.names(url)).peekable();
    if named.peek().is_none() {
        return Err(Refused::Host { entry: entry() });
    }
    if plain && !named.any(|pattern| pattern.plain) {
        return Err(Refused::Plain { entry: entry() });
    }
    Ok(())
}

/// Whether a connection to `address`, found for the host of `url`, may be made: it is a public one, or an entry
/// is this very address.
pub fn reachable(address: IpAddr, url: &Url, allowed: &[HostPattern]) -> bool {
    let granted = |pattern: &HostPattern| {
        pattern.names_address(address, url) || (pattern.private && pattern.names(url))
    };
    is_public(address) || allowed.iter().any(granted)
}

/// Whether an address belongs to the internet at large, and not to this machine, its network or a special use
/// (RFC 6890 and its registries).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        // "This network", private, loopback, multicast, reserved and broadcast.
        (0 | 10 | 127, ..) | (224..=255, ..) => true,
        // Shared address space of carriers, RFC 6598.
        (100, 64..=127, _) => true,
        // Link-local, where clouds keep their metadata.
        (169, 254, _) => true,
        (172, 16..=31, _) => true,
        // Protocol assignments, documentation, the 6to4 relay, AS112, AMT.
        (192, 0, 0 | 2) | (192, 31, 196) | (192, 52, 193) | (192, 88, 99) | (192, 175, 48) => true,
        (192, 168, _) => true,
        // Benchmarks, RFC 2544.
        (198, 18..=19, _) => true,
        (198, 51, 100) | (203, 0, 113) => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let low = || {
        let [x, y] = g.to_be_bytes();
        let [z, w] = h.to_be_bytes();
        Ipv4Addr::new(x, y, z, w)
    };
    match (a, b) {
        // NAT64, RFC 6052: whatever the last 32 bits say.
        (0x64, 0xff9b) => [c, d, e, f] == [0; 4] && is_public_v4(low()),
        // Teredo, ORCHID, benchmarks, and the rest of the protocol assignments 2001::/23.
        (0x2001, 0..=0x1ff) => false,
        (0x2001, 0xdb8) => false,
        // 6to4, RFC 3056: the address of the relay is inside.
        (0x2002, _) => {
            let ([x, y], [z, w]) = (b.to_be_bytes(), c.to_be_bytes());
            is_public_v4(Ipv4Addr::new(x, y, z, w))
        }
        (0x3fff, 0..=0xfff) => false,
        // Global unicast is all that is left: loopback, mapped and compatible IPv4, unique-local, link-local, old
        // site-local and multicast lie outside of it.
        (0x2000..=0x3fff, _) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_not_public() {
        let special = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.254",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.170",
            "192.0.2.1",
            "192.31.196.1",
            "192.52.193.1",
            "192.88.99.1",
            "192.168.0.1",
            "192.175.48.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.2.3",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::8.8.8.8",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a00:1::",
            "3fff::1",
            "3fff:fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
        ];
        for text in special {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn addresses_of_the_internet_are_public() {
        let public = [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "126.1.1.1",
            "128.0.0.1",
            "169.253.1.1",
            "169.255.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.1.1",
            "192.169.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "198.51.101.1",
            "203.0.114.1",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "2c0f::1",
        ];
        for text in public {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn entries_are_hosts_and_nothing_else() {
        for text in [
            "api.example.net",
            "*.feeds.example",
            "127.0.0.1:8080",
            "[::1]:8080",
            "::1",
            "http://old.example",
            "https://api.example.net:8443",
            "EXAMPLE.org",
            "bücher.example",
            "localhost",
        ] {
            assert!(HostPattern::parse(text).is_some(), "{text}");
        }
        for text in [
            "",
            "*",
            "*.",
            "*.*.example",
            "a.*.example",
            "api.example.net/path",
            "ann@example.org",
            "a b",
            "example.org:",
            "example.org:0",
            "example.org:99999",
            "example.org:x",
            "ftp://example.org",
            "a..b",
            ".example",
            "example.",
            "*.10.0.0.1",
            "http://",
            "a?b",
            "a#b",
            "a\\b",
            "%61",
        ] {
            assert!(HostPattern::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn urls_are_held_against_the_entries() {
        let allowed = entries(&[
            "api.example.net",
            "*.feeds.example",
            "http://old.example",
            "127.0.0.1:8080",
            "x.example:8443",
        ]);
        let yes = [
            "https://api.example.net/a?b#c",
            "https://API.example.net:443/",
            "https://a.feeds.example",
            "https://a.b.feeds.example",
            "http://old.example/",
            "https://old.example/",
            "https://127.0.0.1:8080/",
            "https://0x7f.1:8080/",
            "https://x.example:8443/",
        ];
        for url in yes {
            assert!(permitted(url, &allowed).is_ok(), "{url}: {:?}", permitted(url, &allowed));
        }
        let no = [
            "https://feeds.example/",
            "https://evilfeeds.example/",
            "https://api.example.net.evil.example/",
            "https://api.example.net./",
            "https://api.example.net:8443/",
            "https://127.0.0.1/",
            "https://x.example/",
            "https://[::ffff:127.0.0.1]:8080/",
        ];
        for url in no {
            assert!(matches!(permitted(url, &allowed), Err(Refused::Host { .. })), "{url}");
        }
        let refused = |url: &str| permitted(url, &allowed).unwrap_err();
        assert_eq!(
            refused("http://api.example.net/"),
            Refused::Plain { entry: "http://api.example.net".into() }
        );
        assert_eq!(refused("https://ann:pw@api.example.net/"), Refused::UserInfo);
        assert_eq!(refused("https://api.example.net@evil.example/"), Refused::UserInfo);
        for url in ["ftp://api.example.net/", "file:///etc/passwd", "data:text/plain,x"] {
            assert!(matches!(refused(url), Refused::Scheme { .. }), "{url}");
        }
        for url in ["", "api.example.net", "https://", "//api.example.net", "https://a b/"] {
            assert_eq!(refused(url), Refused::Syntax, "{url}");
        }
        assert_eq!(refused(&format!("https://api.example.net/{}", "a".repeat(9000))), Refused::Long);
    }

    #[test]
    fn a_private_address_needs_an_entry_of_its_own() {
        let url = |text: &str| Url::parse(text).unwrap();
        let home = "127.0.0.1".parse().unwrap();
        let allowed = entries(&["http://127.0.0.1:8080", "api.example.net"]);
        assert!(reachable(home, &url("http://127.0.0.1:8080/"), &allowed));
        assert!(!reachable(home, &url("https://api.example.net/"), &allowed));
        assert!(!reachable("::ffff:127.0.0.1".parse().unwrap(), &url("http://127.0.0.1:8080/"), &allowed));
        assert!(reachable("8.8.8.8".parse().unwrap(), &url("https://api.example.net/"), &allowed));
    }

    #[test]
    fn a_refusal_names_the_entry_that_would_allow_it() {
        let refused = permitted("https://api.example.net:8443/x", &[]).unwrap_err();
        assert_eq!(refused.to_string(), "the script may not ask `api.example.net:8443`");
        assert!(refused.hint().unwrap().contains(r#"http: ["api.example.net:8443"]"#));
    }

    fn entries(texts: &[&str]) -> Vec<HostPattern> {
        texts.iter().map(|text| HostPattern::parse(text).unwrap()).collect()
    }
}
