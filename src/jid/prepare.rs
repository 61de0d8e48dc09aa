//! Preparation of the three parts of an address, RFC 7622 §3: one spelling for each address.
//!
//! Parts in lower-case ASCII, which are nearly all, are borrowed after one look at each octet.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use precis_profiles::precis_core::profile::Rules;
use precis_profiles::precis_core::{DerivedPropertyValue, FreeformClass, IdentifierClass, StringClass};
use precis_profiles::{Nickname, OpaqueString, UsernameCaseMapped};

use super::{JidError, Part};

/// Octets that a part may have once it is prepared, §3.1.
pub const LONGEST: usize = 1023;

/// Prepares a localpart, §3.3: UsernameCaseMapped of RFC 8265 without the characters that separate
/// the parts of an address or need care in XML.
pub fn local(text: &str) -> Result<Cow<'_, str>, JidError> {
    bounded(Part::Local, text)?;
    let simple = |byte: u8| (b'!'..=b'~').contains(&byte) && !EXCLUDED.contains(&byte);
    let prepared = if text.bytes().all(simple) {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        }
    } else {
        let mapped = username(text).ok_or(JidError::Local)?;
        // Full-width forms have become these characters only now.
        if mapped.bytes().any(|byte| EXCLUDED.contains(&byte)) {
            return Err(JidError::Local);
        }
        Cow::Owned(mapped)
    };
    fits(Part::Local, prepared)
}

/// Prepares a resourcepart, §3.4: OpaqueString of RFC 8265. The nick of a room is one.
pub fn resource(text: &str) -> Result<Cow<'_, str>, JidError> {
    bounded(Part::Resource, text)?;
    let prepared = if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(opaque(text).ok_or(JidError::Resource)?)
    };
    fits(Part::Resource, prepared)
}

/// Prepares a domainpart, §3.2: an IP address, or a name with its labels in Unicode.
pub fn domain(text: &str) -> Result<Cow<'_, str>, JidError> {
    bounded(Part::Domain, text)?;
    let prepared = if is_simple_name(text) {
        Cow::Borrowed(text)
    } else if let Some(rest) = text.strip_prefix('[') {
        let address = rest.strip_suffix(']').ok_or(JidError::Domain)?;
        let address: Ipv6Addr = address.parse().map_err(|_| JidError::Domain)?;
        Cow::Owned(format!("[{address}]"))
    } else {
        Cow::Owned(name(text)?)
    };
    fits(Part::Domain, prepared)
}

/// What can be done without the rules for a domain that a server sent.
pub fn lenient_domain(text: &str) -> String {
    text.trim_end_matches('.').to_ascii_lowercase()
}

/// OpaqueString, RFC 8265 §4.2; `None` where the profile refuses.
pub fn opaque(text: &str) -> Option<String> {
    let profile = OpaqueString::new();
    let mapped = profile.additional_mapping_rule(text).ok()?;
    let normal = profile.normalization_rule(mapped).ok()?;
    let is_new = |c: char| is_newer_letter(c) || is_newer_symbol(c);
    (!normal.is_empty() && allows(&FreeformClass::default(), &normal, is_new)).then(|| normal.into_owned())
}

/// UsernameCaseMapped, RFC 8265 §3.3, in the order of RFC 8264 §7: the class is checked at last,
/// so that a character may be mapped to one that is allowed. (`Å`, the sign of the unit, is
/// one: its lower case is a letter.)
pub fn username(text: &str) -> Option<String> {
    let profile = UsernameCaseMapped::new();
    let wide = profile.width_mapping_rule(text).ok()?;
    let lower = profile.case_mapping_rule(wide).ok()?;
    let normal = profile.normalization_rule(lower).ok()?;
    let is_new = |c: char| is_newer_letter(c) && !has_compatible_form(c);
    if normal.is_empty() || !allows(&IdentifierClass::default(), &normal, is_new) {
        return None;
    }
    profile.directionality_rule(normal).ok().map(Cow::into_owned)
}

/// Nickname, RFC 8266 §2.3: how a nick is shown and compared, not how it stands in an address.
/// `None` where the profile refuses.
pub fn nickname(text: &str) -> Option<String> {
    let profile = Nickname::new();
    let mut current = text.to_owned();
    // RFC 8264 §7: the rules again until nothing changes, at most three times more.
    for _ in 0..4 {
        let is_new = |c: char| is_newer_letter(c) || is_newer_symbol(c);
        if !allows(&FreeformClass::default(), &current, is_new) {
            return None;
        }
        let spaced = profile.additional_mapping_rule(current.as_str()).ok()?;
        let normal = profile.normalization_rule(spaced).ok()?.into_owned();
        if normal.is_empty() {
            return None;
        }
        if normal == current {
            return Some(normal);
        }
        current = normal;
    }
    None
}

/// Whether a class allows a string. Its tables are those of the registry, which stopped at Unicode
/// 6.3; `is_new` says which characters that came later belong to the class, too.
fn allows(class: &impl StringClass, text: &str, is_new: impl Fn(char) -> bool) -> bool {
    if has_too_much_context(text) {
        return false;
    }
    if class.allows(text).is_ok() {
        return true;
    }
    let unassigned =
        |c: char| matches!(class.get_value_from_char(c), DerivedPropertyValue::Unassigned) && is_new(c);
    // A letter without any rule of context stands in for them.
    let known: String = text.chars().map(|c| if unassigned(c) { 'x' } else { c }).collect();
    known != text && class.allows(&known).is_ok()
}

/// Whether there are more characters with a rule of context (RFC 5892, appendix A) than a name
/// needs. Each of them has its rule look at the whole text again: a peer could make that last. A
/// short text may consist of them, such as a number in Arabic-Indic digits.
fn has_too_much_context(text: &str) -> bool {
    let has_rule = |c: &char| {
        matches!(c, '\u{b7}' | '\u{375}' | '\u{5f3}' | '\u{5f4}' | '\u{30fb}' | '\u{200c}' | '\u{200d}'
            | '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}')
    };
    text.len() > SHORT && text.chars().filter(has_rule).nth(MOST_CONTEXT).is_some()
}

/// The standard library has newer tables than the registry.
fn is_newer_letter(c: char) -> bool {
    c.is_alphanumeric()
}

/// Pictographs, which people like in their nicks; new ones come into these blocks each year.
fn is_newer_symbol(c: char) -> bool {
    matches!(c, '\u{1f000}'..='\u{1faff}')
}

/// RFC 8264 §9.17: NFKC makes something else of it.
fn has_compatible_form(c: char) -> bool {
    // Rules of the Nickname profile: its normalization is NFKC.
    let mut buffer = [0; 4];
    let text: &str = c.encode_utf8(&mut buffer);
    Nickname::new().normalization_rule(text).map_or(true, |normal| normal != text)
}

/// A name that is prepared as it stands: letters, digits and inner hyphens in lower-case ASCII,
/// without labels that stand for others.
fn is_simple_name(text: &str) -> bool {
    let several = text.contains('.');
    text.split('.').all(|label| {
        let bytes = label.as_bytes();
        let simple =
            |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        bytes.iter().all(simple) && is_label(label, several) && !label.starts_with("xn--")
    })
}

/// Maps a name by UTS 46, so that labels in ASCII (`xn--`) equal those in Unicode.
fn name(text: &str) -> Result<String, JidError> {
    let unicode = Uts46::new().to_unicode(text.as_bytes(), DENIED, Hyphens::CheckFirstLast);
    let (mapped, Ok(())) = unicode else { return Err(JidError::Domain) };
    let mapped = mapped.strip_suffix('.').unwrap_or(&mapped);
    // The lengths of DNS are those of the ASCII form.
    let ascii = Uts46::new()
        .to_ascii(mapped.as_bytes(), DENIED, Hyphens::CheckFirstLast, DnsLength::Ignore)
        .map_err(|_| JidError::Domain)?;
    let several = ascii.contains('.');
    if ascii.split('.').all(|label| is_label(label, several)) {
        Ok(mapped.to_owned())
    } else {
        Err(JidError::Domain)
    }
}

/// RFC 1035 §2.3.4. A name of one label need not be one of DNS: only RFC 7622 bounds it.
fn is_label(label: &str, several: bool) -> bool {
    let fits = !several || label.len() <= 63;
    !label.is_empty() && fits && !label.starts_with('-') && !label.ends_with('-')
}

/// Before the tables are asked: preparation makes a part shorter at most by a few times, and the
/// rules of context take quadratic time.
fn bounded(part: Part, text: &str) -> Result<(), JidError> {
    if text.is_empty() || text.len() > 4 * LONGEST { Err(JidError::Length { part }) } else { Ok(()) }
}

fn fits(part: Part, text: Cow<'_, str>) -> Result<Cow<'_, str>, JidError> {
    if text.is_empty() || text.len() > LONGEST { Err(JidError::Length { part }) } else { Ok(text) }
}

/// Octets of a text whose characters may all have a rule of context.
const SHORT: usize = 64;

/// Characters with a rule of context in a longer text.
const MOST_CONTEXT: usize = 32;

/// RFC 7622 §3.3.1.
const EXCLUDED: &[u8] = b"\"&'/:<>@";

/// All of ASCII but letters, digits, hyphen, dot, and the underscore that some hosts do have.
const DENIED: AsciiDenyList = AsciiDenyList::new(true, "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~");

#[cfg(test)]
mod tests {
    use super::*;

    /// Four kilobytes of such characters took seconds.
    #[test]
    fn many_characters_with_a_rule_of_context_are_refused() {
        let digits = |count| "\u{661}".repeat(count);
        let padded = |count| format!("{}{}", "x".repeat(64), digits(count));
        for (text, allowed) in
            [(digits(32), true), (digits(33), false), (padded(32), true), (padded(33), false)]
        {
            assert_eq!(resource(&text).is_ok(), allowed, "{text}");
            assert_eq!(nickname(&text).is_some(), allowed, "{text}");
        }
        assert_eq!(resource(&"\u{30fb}".repeat(1300)), Err(JidError::Resource));
        assert_eq!(local(&"l\u{b7}l".repeat(1000)), Err(JidError::Local));
    }
}
