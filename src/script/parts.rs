//! A text that is longer than one message may be, in parts: at ends of lines, else between words, else between
//! characters as people see them (grapheme clusters, UAX #29). Nothing but the line breaks between parts is lost.

use unicode_segmentation::GraphemeCursor;

/// How much one part may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    /// Bytes of text.
    pub text: usize,
    /// Bytes as XML.
    pub xml: usize,
}

/// Something that people see as one character is longer than a part may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Indivisible;

/// The parts of `text` in order, at least one. The first may be bounded otherwise, for what goes with it.
///
/// Parts of nothing but white space are left out, unless that is all there is.
pub(super) fn split(text: &str, first: Bound, further: Bound) -> Result<Vec<&str>, Indivisible> {
    let mut parts = Vec::new();
    let (mut rest, mut bound) = (text, first);
    loop {
        let end = reach(rest, bound);
        let (part, behind) = match end == rest.len() {
            true => (rest, ""),
            false => cut(rest, end)?,
        };
        if !part.trim().is_empty() || (parts.is_empty() && behind.is_empty()) {
            parts.push(part);
            bound = further;
        }
        rest = behind;
        if rest.is_empty() {
            return Ok(parts);
        }
    }
}

/// Bytes that a text takes as XML.
pub(super) fn written(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// How much of `text` fits, in whole code points.
fn reach(text: &str, bound: Bound) -> usize {
    let mut xml = 0;
    for (at, c) in text.char_indices() {
        xml += width(c);
        if at + c.len_utf8() > bound.text || xml > bound.xml {
            return at;
        }
    }
    text.len()
}

fn width(c: char) -> usize {
    match c {
        '<' | '>' => 4,
        '&' | '\r' => 5,
        _ => c.len_utf8(),
    }
}

/// The part of `text` that ends at `end` or before, and what comes after it.
fn cut(text: &str, end: usize) -> Result<(&str, &str), Indivisible> {
    if text[end..].starts_with('\n') {
        return Ok((without_return(&text[..end]), &text[end + 1..]));
    }
    if let Some(at) = text[..end].rfind('\n') {
        return Ok((without_return(&text[..at]), &text[at + 1..]));
    }
    // In the first half a gap would leave a part that is shorter than need be.
    let gaps = text[..end].char_indices().rev().take_while(|(at, _)| *at >= end / 2);
    let mut gaps = gaps.filter(|(_, c)| c.is_whitespace()).map(|(at, c)| at + c.len_utf8());
    let at = match gaps.find(|at| is_boundary(text, *at)) {
        Some(at) => at,
        None if is_boundary(text, end) => end,
        None => GraphemeCursor::new(end, text.len(), true)
            .prev_boundary(text, 0)
            .ok()
            .flatten()
            .filter(|at| *at > 0)
            .ok_or(Indivisible)?,
    };
    if at == 0 { Err(Indivisible) } else { Ok(text.split_at(at)) }
}

fn without_return(line: &str) -> &str {
    line.strip_suffix('\r').unwrap_or(line)
}

/// Whether `at` lies between two characters as people see them.
fn is_boundary(text: &str, at: usize) -> bool {
    // The whole text is at hand, so the cursor never asks for more of it.
    GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_split_at_lines_then_words_then_characters() {
        for (text, bytes, expected) in [
            ("short", 10, &["short"][..]),
            ("", 10, &[""]),
            ("one\ntwo\nthree", 8, &["one\ntwo", "three"]),
            ("one\r\ntwo", 5, &["one", "two"]),
            ("one\n\n\ntwo", 5, &["one\n\n", "two"]),
            ("\n\n\n\n\n\nend", 3, &["end"]),
            ("      ", 3, &["   "]),
            ("some words here", 11, &["some words ", "here"]),
            ("a b\u{308}cdefghi", 6, &["a b\u{308}c", "defghi"]),
            ("abcdef", 4, &["abcd", "ef"]),
            ("éééé", 5, &["éé", "éé"]),
            ("e\u{301}e\u{301}e\u{301}", 5, &["e\u{301}", "e\u{301}", "e\u{301}"]),
            ("👨\u{200d}👩\u{200d}👧👍🏽", 20, &["👨\u{200d}👩\u{200d}👧", "👍🏽"]),
            ("🇳🇴🇸🇪", 12, &["🇳🇴", "🇸🇪"]),
        ] {
            let bound = Bound { text: bytes, xml: 1 << 20 };
            assert_eq!(split(text, bound, bound), Ok(expected.to_vec()), "{text:?} {bytes}");
        }
    }

    #[test]
    fn what_people_see_as_one_character_is_never_torn() {
        let zalgo = format!("a{}", "\u{301}".repeat(40));
        let bound = Bound { text: 20, xml: 1 << 20 };
        assert_eq!(split(&zalgo, bound, bound), Err(Indivisible));
        assert_eq!(split(&format!("word {zalgo}"), bound, bound), Err(Indivisible));
    }

    #[test]
    fn what_xml_makes_of_the_text_counts_and_the_first_part_may_be_smaller() {
        let bound = Bound { text: 100, xml: 10 };
        assert_eq!(split("&&&&<", bound, bound), Ok(vec!["&&", "&&", "<"]));
        assert_eq!(split("abcdef", Bound { text: 2, ..bound }, bound), Ok(vec!["ab", "cdef"]));
    }

    /// Every part fits, ends where a cluster ends, and together they are the text.
    #[test]
    fn parts_are_the_text_again() {
        let text =
            "Lorem 👩\u{200d}🚀 ipsum & <dolor> \u{1f1f3}\u{1f1f4} sit e\u{301}\u{302}amet, consectetur "
                .repeat(40);
        for bytes in 30..200 {
            let bound = Bound { text: bytes, xml: bytes + 10 };
            let parts = split(&text, bound, bound).expect("it can be split");
            assert_eq!(parts.concat(), text, "{bytes}");
            let mut at = 0;
            for part in parts {
                assert!(part.len() <= bytes && written(part) <= bytes + 10, "{bytes}: {part:?}");
                at += part.len();
                assert!(is_boundary(&text, at), "{bytes}: {part:?}");
            }
        }
    }
}
