//! Names of bots as operators give them: `shop-*` stands for many.

use crate::diagnostic::nearest;

/// Whether a name fits a pattern, in which `*` stands for any characters and `?` for one.
pub fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut of) = (0, 0);
    // Where the last star stands, and how much of the name it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while of < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, of));
                at += 1;
            }
            Some(c) if *c == '?' || *c == name[of] => {
                at += 1;
                of += 1;
            }
            _ => {
                let Some((place, taken)) = star else { return false };
                star = Some((place, taken + 1));
                at = place + 1;
                of = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

/// Whether the text is more than one name.
pub fn is_glob(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// The names that fit one of the patterns, in their own order; all of them where there is no pattern.
///
/// # Errors
/// In words, which patterns fit nothing.
pub fn select<'a>(names: &[&'a str], patterns: &[String]) -> Result<Vec<&'a str>, String> {
    if patterns.is_empty() {
        return Ok(names.to_vec());
    }
    let vain = |pattern: &&String| !names.iter().any(|name| fits(pattern, name));
    let unknown: Vec<&String> = patterns.iter().filter(vain).collect();
    let Some(first) = unknown.first() else {
        let wanted = |name: &&&str| patterns.iter().any(|pattern| fits(pattern, name));
        return Ok(names.iter().filter(wanted).copied().collect());
    };
    let shown: Vec<String> = unknown.iter().take(10).map(|name| name.chars().take(100).collect()).collect();
    let hint = nearest(first, names.iter().copied()).map(|near| format!("\nhint: did you mean `{near}`?"));
    Err(format!("no such bot: {}{}", shown.join(", "), hint.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_take_any_characters_and_question_marks_one() {
        for (pattern, name, wanted) in [
            ("shop-*", "shop-0007", true),
            ("shop-*", "shop-", true),
            ("*-7", "shop-7-7", true),
            ("s*p*7", "shop-17", true),
            ("shop-?", "shop-é", true),
            ("shop-?", "shop-", false),
            ("shop", "shop-1", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "abcb", false),
        ] {
            assert_eq!(fits(pattern, name), wanted, "{pattern} {name}");
        }
        // Many stars take no longer than the product of both lengths.
        assert!(!fits(&"*a".repeat(500), &format!("{}b", "a".repeat(5_000))));
    }

    #[test]
    fn a_pattern_that_fits_nothing_is_told() {
        let names = ["echo", "shop-1", "shop-2"];
        let of = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
            select(&names, &patterns)
        };
        assert_eq!(of(&[]), Ok(names.to_vec()));
        assert_eq!(of(&["shop-*", "shop-2"]), Ok(vec!["shop-1", "shop-2"]));
        assert_eq!(of(&["ehco", "echo"]), Err("no such bot: ehco\nhint: did you mean `echo`?".to_owned()));
    }
}
