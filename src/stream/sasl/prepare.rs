//! SASLprep, RFC 4013: the form in which names and passwords enter a SASL exchange.
//!
//! RFC 5802 §2.2 and RFC 6120 ask for it, and servers store keys of what it makes of a password.
//! OpaqueString of RFC 8265 is its successor on paper; the two differ where SASLprep replaces
//! compatibility characters and drops invisible ones, and there only SASLprep gets in.

use std::borrow::Cow;

use precis_profiles::Nickname;
use precis_profiles::precis_core::profile::Rules;

/// Prepares a string as a query: code points without a meaning in Unicode 3.2 pass. `None` where
/// it holds a forbidden character, mixes directions or ends up empty.
pub fn saslprep(text: &str) -> Option<Cow<'_, str>> {
    let plain = |byte: u8| (b' '..0x7f).contains(&byte);
    if text.bytes().all(plain) {
        return (!text.is_empty()).then_some(Cow::Borrowed(text));
    }
    let mapped: String = text.chars().filter(|c| !is_dropped(*c)).map(map_space).collect();
    // Rules of the Nickname profile: its normalization is NFKC, as step 2 of RFC 4013 asks for.
    let normal = Nickname::new().normalization_rule(mapped).ok()?.into_owned();
    if normal.is_empty() || normal.chars().any(is_prohibited) || !is_one_direction(&normal) {
        return None;
    }
    Some(Cow::Owned(normal))
}

/// RFC 3454 table C.1.2: spaces other than that of ASCII.
fn map_space(c: char) -> char {
    match c {
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200b}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        other => other,
    }
}

/// RFC 3454 table B.1: commonly mapped to nothing. U+200B is in both tables; as a space it would
/// be forbidden nowhere and seen by nobody, so it goes.
fn is_dropped(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{1806}' | '\u{180b}'..='\u{180d}' | '\u{200b}'..='\u{200d}'
        | '\u{2060}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// RFC 4013 §2.3: tables C.1.2 and C.2.1 to C.9.
fn is_prohibited(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200f}'
        | '\u{6dd}' | '\u{70f}' | '\u{180e}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{2063}'
        | '\u{206a}'..='\u{206f}' | '\u{2ff0}'..='\u{2ffb}' | '\u{3000}' | '\u{340}' | '\u{341}'
        | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{feff}' | '\u{fff9}'..='\u{ffff}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}'
        | '\u{f0000}'..='\u{10ffff}')
        || u32::from(c) & 0xfffe == 0xfffe
}

/// RFC 3454 §6: with a right-to-left letter in it, a string starts and ends with one and holds no
/// left-to-right letter.
fn is_one_direction(text: &str) -> bool {
    if !text.chars().any(is_right_to_left) {
        return true;
    }
    let ends = text.chars().next().is_some_and(is_right_to_left)
        && text.chars().next_back().is_some_and(is_right_to_left);
    // Vowel signs of these scripts count as alphabetic, and have no direction of their own.
    let is_left_to_right =
        |c: char| c.is_alphabetic() && !is_right_to_left(c) && !('\u{590}'..='\u{8ff}').contains(&c);
    ends && !text.chars().any(is_left_to_right)
}

/// The letters of RFC 3454 table D.1, by blocks.
fn is_right_to_left(c: char) -> bool {
    matches!(c,
        '\u{5be}' | '\u{5c0}' | '\u{5c3}' | '\u{5d0}'..='\u{5f4}' | '\u{61b}' | '\u{61f}'
        | '\u{621}'..='\u{64a}' | '\u{66d}'..='\u{66f}' | '\u{671}'..='\u{6d5}' | '\u{6dd}'
        | '\u{6e5}' | '\u{6e6}' | '\u{6fa}'..='\u{6fe}' | '\u{700}'..='\u{710}'
        | '\u{712}'..='\u{72c}' | '\u{780}'..='\u{7a5}' | '\u{7b1}' | '\u{200f}'
        | '\u{fb1d}' | '\u{fb1f}'..='\u{fb28}' | '\u{fb2a}'..='\u{fd3d}' | '\u{fd50}'..='\u{fdfc}'
        | '\u{fe70}'..='\u{fefc}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_examples_of_rfc_4013_section_3() {
        for (input, expected) in [
            ("I\u{ad}X", Some("IX")),
            ("user", Some("user")),
            ("USER", Some("USER")),
            ("\u{aa}", Some("a")),
            ("\u{2168}", Some("IX")),
            ("\u{7}", None),
            ("\u{627}1", None),
        ] {
            assert_eq!(saslprep(input).as_deref(), expected, "{input:?}");
        }
    }

    #[test]
    fn spaces_become_one_kind_and_forbidden_ones_are_refused() {
        assert_eq!(saslprep("a\u{a0}b\u{3000}c").as_deref(), Some("a b c"));
        for refused in ["", "\u{ad}", "a\0", "\u{e000}", "\u{fffd}", "\u{206a}", "\u{1fffe}", "\u{e0001}"] {
            assert_eq!(saslprep(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn one_direction_at_a_time() {
        assert!(saslprep("\u{628}\u{64e}\u{628}").is_some());
        assert!(saslprep("\u{627}1\u{628}").is_some());
        assert!(saslprep("\u{627}a\u{628}").is_none());
        // Not in Unicode 3.2: a query lets it pass.
        assert!(saslprep("\u{1f980}").is_some());
    }
}
