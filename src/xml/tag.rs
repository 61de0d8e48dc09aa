//! The inside of one tag: its attributes as they were written, and their values resolved.

use super::error::{Construct, Limit, XmlError};
use super::name;

/// One attribute as written, its value still escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawAttribute<'a> {
    /// The prefix, empty where there is none.
    pub prefix: &'a str,
    pub local: &'a str,
    pub value: &'a str,
    /// Position of the name.
    pub at: usize,
    /// Position of the value.
    pub value_at: usize,
}

/// The name of a tag, and where its attributes begin.
///
/// `inside` is what stands between `<` and `>` (or `/>`).
pub(super) fn name_of(inside: &str) -> (&str, usize) {
    let end = inside.bytes().position(name::is_blank).unwrap_or(inside.len());
    (&inside[..end], end)
}

/// Reads the attributes in `text`, which begins right after the tag's name, at byte `base`.
pub(super) fn read<'a>(
    text: &'a str,
    base: usize,
    limit: usize,
    out: &mut Vec<RawAttribute<'a>>,
) -> Result<(), XmlError> {
    let mut cursor = Cursor { text, at: 0, base };
    loop {
        let blanks = cursor.skip_blanks();
        if cursor.at == text.len() {
            return Ok(());
        }
        if blanks == 0 {
            return Err(cursor.expected("a blank between attributes"));
        }
        if out.len() == limit {
            return Err(XmlError::Limit { at: cursor.position(), limit: Limit::Attributes });
        }
        out.push(cursor.attribute()?);
    }
}

/// The value an attribute has after XML 1.0 §3.3.3: references resolved, blanks made spaces.
pub(super) fn attribute_value(raw: &str, at: usize) -> Result<String, XmlError> {
    let Some(first) = raw.bytes().position(|b| matches!(b, b'&' | b'\t' | b'\n' | b'\r')) else {
        return Ok(raw.to_owned());
    };
    let mut value = String::with_capacity(raw.len());
    let mut done = 0;
    let mut next = first;
    let bytes = raw.as_bytes();
    while next < bytes.len() {
        match bytes[next] {
            b'&' => {
                value.push_str(&raw[done..next]);
                let rest = &raw[next + 1..];
                let end = memchr::memchr(b';', rest.as_bytes())
                    .ok_or(XmlError::Reference { at: position(at, next) })?;
                value.push(reference(&rest[..end], at + next)?);
                next += end + 2;
                done = next;
            }
            b'\t' | b'\n' | b'\r' => {
                value.push_str(&raw[done..next]);
                value.push(' ');
                // XML 1.0 §2.11: a line end is one character however it was written.
                next += if bytes[next..].starts_with(b"\r\n") { 2 } else { 1 };
                done = next;
            }
            _ => next += 1,
        }
    }
    value.push_str(&raw[done..]);
    Ok(value)
}

/// Appends character data with its line ends normalised (XML 1.0 §2.11).
pub(super) fn push_text(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some(cr) = memchr::memchr(b'\r', rest.as_bytes()) {
        out.push_str(&rest[..cr]);
        out.push('\n');
        let after = &rest[cr + 1..];
        rest = after.strip_prefix('\n').unwrap_or(after);
    }
    out.push_str(rest);
}

/// The character a reference stands for; `body` is what stands between `&` and `;`.
pub(super) fn reference(body: &str, at: usize) -> Result<char, XmlError> {
    let malformed = XmlError::Reference { at: position(at, 0) };
    let code = match body {
        "amp" => return Ok('&'),
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "quot" => return Ok('"'),
        "apos" => return Ok('\''),
        _ => match body.strip_prefix('#') {
            Some(number) => character_code(number).ok_or(malformed)?,
            None if name::split(body).is_some() => {
                return Err(XmlError::Restricted { at: position(at, 0), construct: Construct::Entity });
            }
            None => return Err(malformed),
        },
    };
    char::from_u32(code)
        .filter(|&c| name::is_char(c))
        .ok_or(XmlError::Character { at: position(at, 0), code })
}

/// Digits of a character reference as a number; a number too large for 32 bits stays too large.
fn character_code(number: &str) -> Option<u32> {
    let (digits, radix) = match number.strip_prefix('x') {
        Some(hex) => (hex, 16),
        None => (number, 10),
    };
    if digits.is_empty() {
        return None;
    }
    digits.chars().try_fold(0u32, |code, digit| {
        let digit = digit.to_digit(radix)?;
        Some(code.saturating_mul(radix).saturating_add(digit))
    })
}

/// A byte position as errors carry it.
pub(super) fn position(base: usize, offset: usize) -> u64 {
    base as u64 + offset as u64
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
    base: usize,
}

impl<'a> Cursor<'a> {
    fn attribute(&mut self) -> Result<RawAttribute<'a>, XmlError> {
        let at = self.at;
        let rest = &self.text.as_bytes()[at..];
        let length = rest.iter().position(|&b| b == b'=' || name::is_blank(b)).unwrap_or(rest.len());
        let (prefix, local) =
            name::split(&self.text[at..at + length]).ok_or(XmlError::Name { at: self.position() })?;
        self.at += length;
        self.skip_blanks();
        if self.next() != Some(b'=') {
            return Err(self.expected("`=` after the attribute's name"));
        }
        self.at += 1;
        self.skip_blanks();
        let quote = match self.next() {
            Some(quote @ (b'"' | b'\'')) => quote,
            _ => return Err(self.expected("a quoted attribute value")),
        };
        self.at += 1;
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        match memchr::memchr2(quote, b'<', rest) {
            Some(length) if rest[length] == quote => {
                self.at += length + 1;
                Ok(RawAttribute {
                    prefix,
                    local,
                    value: &self.text[start..start + length],
                    at: self.base + at,
                    value_at: self.base + start,
                })
            }
            Some(length) => {
                self.at += length;
                Err(self.expected("no `<` in an attribute value"))
            }
            None => Err(self.expected("the end of the attribute value")),
        }
    }

    fn skip_blanks(&mut self) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        let blanks = rest.iter().position(|&b| !name::is_blank(b)).unwrap_or(rest.len());
        self.at += blanks;
        blanks
    }

    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn position(&self) -> u64 {
        position(self.base, self.at)
    }

    fn expected(&self, expected: &'static str) -> XmlError {
        XmlError::Syntax { at: self.position(), expected }
    }
}
