//! The messages of a SCRAM exchange, RFC 5802 §7: strict reading, exact writing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::SaslError;

/// A nonce: printable ASCII without the comma.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(String);

/// `r=…,s=…,i=…`: what the server wants computed.
#[derive(Debug, PartialEq, Eq)]
pub struct ServerFirst<'a> {
    pub nonce: &'a str,
    pub salt: Vec<u8>,
    /// As it stands; [`iterations`] reads it.
    pub iterations: &'a str,
    /// `h=`, XEP-0474.
    pub offer_hash: Option<Vec<u8>>,
    /// `t=`, XEP-0515.
    pub tls_version: Option<u16>,
}

/// The start of an exchange as the server reads it.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientFirst<'a> {
    /// `n`, `y` or `p=type`.
    pub flag: &'a str,
    pub authzid: Option<String>,
    /// The GS2 header with both its commas: what `c=` has to repeat.
    pub header: &'a str,
    pub username: String,
    pub nonce: &'a str,
    /// Everything behind the header, which enters the signatures.
    pub bare: &'a str,
}

/// The proof of a client as the server reads it.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientFinal<'a> {
    /// GS2 header and channel-binding data.
    pub binding: Vec<u8>,
    pub nonce: &'a str,
    /// Everything before `,p=`, which enters the signatures.
    pub without_proof: &'a str,
    pub proof: Vec<u8>,
}

impl Nonce {
    /// 256 random bits as 44 characters.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(STANDARD.encode(bytes))
    }

    /// A nonce from its text; `None` where the grammar forbids it. For the exchanges that
    /// specifications print.
    pub fn from_text(text: &str) -> Option<Self> {
        is_nonce(text).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'a> ServerFirst<'a> {
    /// Reads the first message of a server. Unknown optional attributes pass.
    pub fn parse(message: &'a str) -> Result<Self, SaslError> {
        let mut attributes = message.split(',').map(attribute);
        let nonce = expect(attributes.next(), 'r', "the nonce of the server")?;
        if !is_nonce(nonce) {
            return Err(SaslError::Malformed { part: "the nonce of the server" });
        }
        let salt = decode(expect(attributes.next(), 's', "the salt")?, "the salt")?;
        let iterations = expect(attributes.next(), 'i', "the iteration count")?;
        let mut first = Self { nonce, salt, iterations, offer_hash: None, tls_version: None };
        for attribute in attributes {
            first.extension(attribute?)?;
        }
        Ok(first)
    }

    fn extension(&mut self, (name, value): (char, &str)) -> Result<(), SaslError> {
        match name {
            'm' => return Err(SaslError::Extension),
            // A second one would let two readers check different values.
            'h' if self.offer_hash.is_some() => return Err(SaslError::Malformed { part: "a second `h`" }),
            't' if self.tls_version.is_some() => return Err(SaslError::Malformed { part: "a second `t`" }),
            'h' => self.offer_hash = Some(decode(value, "the hash of the offer")?),
            't' => self.tls_version = Some(version(value)?),
            'r' | 's' | 'i' | 'e' | 'v' | 'p' | 'c' | 'n' | 'a' => {
                return Err(SaslError::Malformed { part: "an attribute in the wrong place" });
            }
            // RFC 5802 §5.1: optional attributes that are unknown are ignored.
            _ => {}
        }
        Ok(())
    }
}

/// Reads an iteration count and holds it against the bounds. No sign, blank or leading zero.
pub fn iterations(text: &str, floor: u32, ceiling: u32) -> Result<u32, SaslError> {
    let refused = || SaslError::Iterations { asked: text.chars().take(20).collect(), floor, ceiling };
    if text.is_empty() || text.starts_with('0') || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refused());
    }
    let count: u32 = text.parse().map_err(|_| refused())?;
    if (floor..=ceiling).contains(&count) { Ok(count) } else { Err(refused()) }
}

/// Reads the last message of a server: its signature. `e=` becomes [`SaslError::Refused`].
pub fn server_final(message: &str) -> Result<Vec<u8>, SaslError> {
    let mut attributes = message.split(',').map(attribute);
    let value = expect(attributes.next(), 'v', "the signature of the server")?;
    let signature = decode(value, "the signature of the server")?;
    for rest in attributes {
        if rest?.0 == 'm' {
            return Err(SaslError::Extension);
        }
    }
    Ok(signature)
}

impl<'a> ClientFirst<'a> {
    /// Reads the first message of a client.
    pub fn parse(message: &'a str) -> Result<Self, SaslError> {
        let malformed = SaslError::Malformed { part: "the GS2 header" };
        let (flag, rest) = message.split_once(',').ok_or(malformed.clone())?;
        let (authzid, bare) = rest.split_once(',').ok_or(malformed.clone())?;
        let authzid = match authzid.strip_prefix("a=") {
            Some(name) => Some(unescape(name)?),
            None if authzid.is_empty() => None,
            None => return Err(malformed),
        };
        if !matches!(flag, "n" | "y") && !flag.strip_prefix("p=").is_some_and(is_binding_name) {
            return Err(malformed);
        }
        let mut attributes = bare.split(',').map(attribute);
        let username = unescape(expect(attributes.next(), 'n', "the user name")?)?;
        let nonce = expect(attributes.next(), 'r', "the nonce of the client")?;
        if !is_nonce(nonce) {
            return Err(SaslError::Malformed { part: "the nonce of the client" });
        }
        for rest in attributes {
            if rest?.0 == 'm' {
                return Err(SaslError::Extension);
            }
        }
        let header = &message[..message.len() - bare.len()];
        Ok(Self { flag, authzid, header, username, nonce, bare })
    }
}

impl<'a> ClientFinal<'a> {
    /// Reads the last message of a client.
    pub fn parse(message: &'a str) -> Result<Self, SaslError> {
        let malformed = SaslError::Malformed { part: "the proof" };
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(malformed)?;
        let mut attributes = without_proof.split(',').map(attribute);
        let binding = expect(attributes.next(), 'c', "the channel binding")?;
        let nonce = expect(attributes.next(), 'r', "the nonce")?;
        for rest in attributes {
            if rest?.0 == 'm' {
                return Err(SaslError::Extension);
            }
        }
        let binding = decode(binding, "the channel binding")?;
        Ok(Self { binding, nonce, without_proof, proof: decode(proof, "the proof")? })
    }
}

/// A name inside a message: `=` and `,` have their own spelling, RFC 5802 §5.1.
pub fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

fn unescape(name: &str) -> Result<String, SaslError> {
    let malformed = SaslError::Malformed { part: "a name" };
    let mut parts = name.split('=');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (decoded, rest) = match part.split_at_checked(2) {
            Some(("2C", rest)) => (',', rest),
            Some(("3D", rest)) => ('=', rest),
            _ => return Err(malformed),
        };
        out.push(decoded);
        out.push_str(rest);
    }
    if out.is_empty() || out.contains('\0') { Err(malformed) } else { Ok(out) }
}

/// Base64 as a value of an attribute.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn decode(text: &str, part: &'static str) -> Result<Vec<u8>, SaslError> {
    STANDARD.decode(text).map_err(|_| SaslError::Malformed { part })
}

/// One `x=value`.
fn attribute(text: &str) -> Result<(char, &str), SaslError> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(name), Some('=')) if name.is_ascii_alphabetic() => Ok((name, &text[2..])),
        _ => Err(SaslError::Malformed { part: "an attribute" }),
    }
}

/// The value of an attribute that has to stand here.
fn expect<'a>(
    found: Option<Result<(char, &'a str), SaslError>>,
    name: char,
    part: &'static str,
) -> Result<&'a str, SaslError> {
    match found.transpose()? {
        Some((found, value)) if found == name => Ok(value),
        Some(('m', _)) => Err(SaslError::Extension),
        Some(('e', reason)) => Err(SaslError::Refused { reason: reason.chars().take(100).collect() }),
        Some(_) | None => Err(SaslError::Malformed { part }),
    }
}

fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

/// RFC 5056 §7: letters, digits, `.` and `-`.
fn is_binding_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
}

/// XEP-0515 §4.1: four hexadecimal digits in lower case.
fn version(text: &str) -> Result<u16, SaslError> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != 4 || !text.bytes().all(is_digit) {
        return Err(SaslError::Malformed { part: "the TLS version" });
    }
    u16::from_str_radix(text, 16).map_err(|_| SaslError::Malformed { part: "the TLS version" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_server_first_with_optional_attributes() {
        let first = ServerFirst::parse("r=abc,s=c2FsdA==,i=4096,h=aGFzaA==,x=y=z,t=0304");
        let expected = ServerFirst {
            nonce: "abc",
            salt: b"salt".to_vec(),
            iterations: "4096",
            offer_hash: Some(b"hash".to_vec()),
            tls_version: Some(0x0304),
        };
        assert_eq!(first, Ok(expected));
    }

    #[test]
    fn refuses_server_first_that_breaks_the_grammar() {
        for message in [
            "",
            "r=abc",
            "r=abc,s=c2FsdA==",
            "s=c2FsdA==,r=abc,i=4096",
            "r=,s=c2FsdA==,i=4096",
            "r=a\u{e4},s=c2FsdA==,i=4096",
            "r=a b,s=c2FsdA==,i=4096",
            "r=abc,s=c2Fsd,i=4096",
            "r=abc,s=c2FsdA,i=4096",
            "r=abc,s=c2FsdA==\n,i=4096",
            "r=abc,s=c2FsdA==,i=4096,",
            "r=abc,s=c2FsdA==,i=4096,x",
            "r=abc,s=c2FsdA==,i=4096,i=1",
            "r=abc,s=c2FsdA==,i=4096,\u{e4}=1",
            "r=abc,s=c2FsdA==,i=4096,h=aGFzaA==,h=aGFzaA==",
            "r=abc,s=c2FsdA==,i=4096,t=304",
            "r=abc,s=c2FsdA==,i=4096,t=+304",
            "r=abc,s=c2FsdA==,i=4096,t=030A",
        ] {
            assert!(
                matches!(ServerFirst::parse(message), Err(SaslError::Malformed { .. })),
                "{message:?} passed"
            );
        }
    }

    #[test]
    fn mandatory_extensions_are_refused_wherever_they_stand() {
        for message in ["m=x,r=abc,s=c2FsdA==,i=4096", "r=abc,m=x,s=c2FsdA==", "r=a,s=c2FsdA==,i=1,m=x"] {
            assert_eq!(ServerFirst::parse(message), Err(SaslError::Extension));
        }
        assert_eq!(server_final("v=c2FsdA==,m=x"), Err(SaslError::Extension));
        assert_eq!(ClientFirst::parse("n,,m=x,n=a,r=b"), Err(SaslError::Extension));
        assert_eq!(ClientFirst::parse("n,,n=a,r=b,m=x"), Err(SaslError::Extension));
        assert_eq!(ClientFinal::parse("c=biws,r=b,m=x,p=AAAA"), Err(SaslError::Extension));
    }

    #[test]
    fn reports_what_the_server_says() {
        let refused = |reason: &str| Err(SaslError::Refused { reason: reason.to_owned() });
        assert_eq!(server_final("e=invalid-proof"), refused("invalid-proof"));
        assert_eq!(server_final("e=other-error,x=y"), refused("other-error"));
        let refused = SaslError::Refused { reason: "no-resources".to_owned() };
        assert_eq!(ServerFirst::parse("e=no-resources"), Err(refused));
    }

    #[test]
    fn s09_iteration_counts_are_read_strictly_and_held_against_the_bounds() {
        let read = |text| iterations(text, 4096, 1_000_000);
        assert_eq!(read("4096"), Ok(4096));
        assert_eq!(read("10000"), Ok(10_000));
        assert_eq!(read("1000000"), Ok(1_000_000));
        for text in [
            "",
            "0",
            "1",
            "999",
            "4095",
            "1000001",
            "2147483647",
            "4294967295",
            "4294971392",
            "9223372036854775808",
            "+4096",
            "-4096",
            "04096",
            "0x1000",
            "4096 ",
            " 4096",
            "4096.0",
            "4_096",
            "\u{664}\u{660}\u{669}\u{666}",
        ] {
            assert!(matches!(read(text), Err(SaslError::Iterations { .. })), "{text:?} passed");
        }
    }

    #[test]
    fn names_keep_commas_and_equals_signs() {
        assert_eq!(escape(",=,="), "=2C=3D=2C=3D");
        assert_eq!(unescape("=2C=3D=2C=3D").as_deref(), Ok(",=,="));
        assert_eq!(unescape("=3D2C").as_deref(), Ok("=2C"));
        for name in ["", "a=", "=2", "=2c", "=41", "=\u{e4}", "a\0"] {
            assert!(unescape(name).is_err(), "{name:?} passed");
        }
    }

    #[test]
    fn reads_client_first() {
        let first = ClientFirst::parse("p=tls-exporter,a=a=2Cb,n=user,r=nonce,x=y").expect("by the grammar");
        assert_eq!(first.flag, "p=tls-exporter");
        assert_eq!(first.authzid.as_deref(), Some("a,b"));
        assert_eq!(first.header, "p=tls-exporter,a=a=2Cb,");
        assert_eq!((first.username.as_str(), first.nonce), ("user", "nonce"));
        assert_eq!(first.bare, "n=user,r=nonce,x=y");
        for message in ["", "n", "n,,", "n,,n=,r=a", "n,,n=a,r=", "x,,n=a,r=b", "p=,,n=a,r=b", "n,b,n=a,r=b"]
        {
            assert!(ClientFirst::parse(message).is_err(), "{message:?} passed");
        }
    }

    #[test]
    fn reads_client_final() {
        let last = ClientFinal::parse("c=biws,r=nonce,x=y,p=AAAA").expect("by the grammar");
        assert_eq!(last.binding, b"n,,");
        assert_eq!((last.nonce, last.without_proof), ("nonce", "c=biws,r=nonce,x=y"));
        assert_eq!(last.proof, [0, 0, 0]);
        for message in [
            "",
            "c=biws,r=a",
            "c=biws,r=a,p=A",
            "r=a,c=biws,p=AAAA",
            "c=biws,p=AAAA",
            "c=biws,r=a,p=AAAA,x=y",
        ] {
            assert!(ClientFinal::parse(message).is_err(), "{message:?} passed");
        }
    }
}
