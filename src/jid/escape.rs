//! XEP-0106: JID Escaping. A localpart for names with characters that no localpart may hold.
//!
//! Only where somebody asks for it: an address that was received is never unescaped on its own.

/// The characters with an escape sequence, §3.
const SEQUENCES: &[(char, &str)] = &[
    (' ', "20"),
    ('"', "22"),
    ('&', "26"),
    ('\'', "27"),
    ('/', "2f"),
    (':', "3a"),
    ('<', "3c"),
    ('>', "3e"),
    ('@', "40"),
    ('\\', "5c"),
];

/// The localpart for a name. A backslash changes only where it could be taken for the start of an
/// escape sequence.
pub fn escape(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for (at, c) in name.char_indices() {
        let code = match c {
            '\\' => sequence(&name[at + 1..]).map(|_| "5c"),
            other => SEQUENCES.iter().find(|(plain, _)| *plain == other).map(|(_, code)| *code),
        };
        match code {
            Some(code) => {
                out.push('\\');
                out.push_str(code);
            }
            None => out.push(c),
        }
    }
    out
}

/// The name behind a localpart. What is no escape sequence stays.
pub fn unescape(local: &str) -> String {
    let mut out = String::with_capacity(local.len());
    let mut rest = local;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        rest = match sequence(after) {
            Some(plain) => {
                out.push(plain);
                &after[2..]
            }
            None => {
                out.push('\\');
                after
            }
        };
    }
    out.push_str(rest);
    out
}

/// The character whose code the text starts with.
fn sequence(text: &str) -> Option<char> {
    SEQUENCES.iter().find(|(_, code)| text.starts_with(code)).map(|(plain, _)| *plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn agrees_with_the_examples_of_the_xep() {
        for (plain, escaped) in [
            ("space cadet", "space\\20cadet"),
            ("call me \"ishmael\"", "call\\20me\\20\\22ishmael\\22"),
            ("at&t guy", "at\\26t\\20guy"),
            ("d'artagnan", "d\\27artagnan"),
            ("/.fanboy", "\\2f.fanboy"),
            ("::foo::", "\\3a\\3afoo\\3a\\3a"),
            ("<foo>", "\\3cfoo\\3e"),
            ("user@host", "user\\40host"),
            ("c:\\net", "c\\3a\\net"),
            ("c:\\\\net", "c\\3a\\\\net"),
            ("c:\\cool stuff", "c\\3a\\cool\\20stuff"),
            ("c:\\5commas", "c\\3a\\5c5commas"),
        ] {
            assert_eq!(escape(plain), escaped);
            assert_eq!(unescape(escaped), plain);
        }
    }

    #[test]
    fn a_backslash_before_anything_else_stays() {
        for text in ["\\", "a\\", "\\2", "\\41", "\\\u{e4}20"] {
            assert_eq!(escape(text), text);
            assert_eq!(unescape(text), text);
        }
    }

    #[test]
    fn sequences_are_read_once() {
        assert_eq!(unescape("\\5c20"), "\\20");
        assert_eq!(escape("\\20"), "\\5c20");
    }

    proptest! {
        #[test]
        fn unescape_takes_back_what_escape_did(name in any::<String>(), tail in "[\\\\2570a ]{0,12}") {
            for name in [name, tail] {
                assert_eq!(unescape(&escape(&name)), name);
            }
        }
    }
}
