//! Which characters and names XML 1.0 and Namespaces in XML 1.0 allow.

/// Whether XML 1.0 §2.2 allows the character (production `Char`).
pub(super) fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Whether the byte is a blank of XML 1.0 §2.3 (production `S`).
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Position and code of the first character that may not stand in a document.
pub(super) fn forbidden_character(text: &str) -> Option<(usize, u32)> {
    let bytes = text.as_bytes();
    // A sum without branches is vectorised; the position matters only when it is not zero.
    let controls = bytes.chunks(128).any(|chunk| {
        chunk.iter().fold(0u8, |found, &b| found | u8::from(b < 0x20 && b != 9 && b != 10 && b != 13)) != 0
    });
    if !controls && !memchr::memchr_iter(0xEF, bytes).any(|at| is_noncharacter(&bytes[at..])) {
        return None;
    }
    text.char_indices().find(|&(_, c)| !is_char(c)).map(|(at, c)| (at, u32::from(c)))
}

/// Whether UTF-8 text begins with U+FFFE or U+FFFF.
pub(super) fn is_noncharacter(bytes: &[u8]) -> bool {
    matches!(bytes, [0xEF, 0xBF, 0xBE | 0xBF, ..])
}

/// Whether the text is a name without a colon (production `NCName`).
pub(super) fn is_ncname(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(&first) = bytes.first() else { return false };
    if bytes.iter().all(|&b| CLASS[usize::from(b)] >= LATER) {
        return CLASS[usize::from(first)] == START;
    }
    if text.is_ascii() {
        return false;
    }
    let mut chars = text.chars();
    chars.next().is_some_and(is_name_start) && chars.all(|c| is_name_start(c) || is_name_later(c))
}

/// Prefix (empty where there is none) and local part of a name, if it is one.
pub(super) fn split(name: &str) -> Option<(&str, &str)> {
    let (prefix, local) = match memchr::memchr(b':', name.as_bytes()) {
        Some(colon) => {
            let prefix = &name[..colon];
            if !is_ncname(prefix) {
                return None;
            }
            (prefix, &name[colon + 1..])
        }
        None => ("", name),
    };
    is_ncname(local).then_some((prefix, local))
}

/// `NameStartChar` of XML 1.0 §2.3 without the colon.
fn is_name_start(c: char) -> bool {
    matches!(c,
        'A'..='Z' | '_' | 'a'..='z'
        | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}'
        | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}'
        | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}')
}

/// What `NameChar` adds to `NameStartChar`.
fn is_name_later(c: char) -> bool {
    matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

const NEVER: u8 = 0;
const LATER: u8 = 1;
const START: u8 = 2;

/// The ASCII half of the two productions.
const CLASS: [u8; 256] = {
    let mut class = [NEVER; 256];
    let mut b = 0;
    while b < 256 {
        class[b] = match b as u8 {
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => START,
            b'0'..=b'9' | b'-' | b'.' => LATER,
            _ => NEVER,
        };
        b += 1;
    }
    class
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_of_the_grammar() {
        for name in ["a", "_", "A-1.b", "été", "\u{10000}", "a\u{B7}", "日本"] {
            assert!(is_ncname(name), "{name:?}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for name in
            ["", "1", "-a", ".a", "a:b", "a@b", "a/b", "a b", "a\u{A0}", "a\u{85}", "a\u{D7}", "\u{B7}a"]
        {
            assert!(!is_ncname(name), "{name:?}");
        }
    }

    #[test]
    fn splits_at_the_only_colon() {
        assert_eq!(split("a:b"), Some(("a", "b")));
        assert_eq!(split("b"), Some(("", "b")));
        for name in ["a:b:c", ":a", "a:", ":", "a:1"] {
            assert_eq!(split(name), None, "{name:?}");
        }
    }

    #[test]
    fn finds_the_first_forbidden_character() {
        assert_eq!(forbidden_character("a\t\n\r\u{7F}\u{85}\u{FFFD}\u{10FFFF}\u{EFFF}"), None);
        assert_eq!(forbidden_character("é\u{0}"), Some((2, 0)));
        assert_eq!(forbidden_character("ab\u{1F}"), Some((2, 0x1F)));
        assert_eq!(forbidden_character("\u{FFFD}\u{FFFE}"), Some((3, 0xFFFE)));
        assert_eq!(forbidden_character(&format!("{}\u{FFFF}", "x".repeat(300))), Some((300, 0xFFFF)));
    }

    #[test]
    fn agrees_with_the_production_for_every_character() {
        for c in '\0'..=char::MAX {
            let mut buffer = [0; 4];
            let text = c.encode_utf8(&mut buffer);
            assert_eq!(forbidden_character(text).is_none(), is_char(c), "{c:?}");
        }
    }
}
