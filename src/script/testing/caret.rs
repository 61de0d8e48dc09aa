//! A line of a test with a caret below it.

use crate::diagnostic::Source;

/// Characters of a line that is shown.
const WIDE: usize = 160;

/// The line of that number with a caret below the word that begins at the column; nothing where there is no such line.
pub(super) fn shown(source: &Source, line: usize, column: usize) -> Vec<String> {
    let Some(text) = line.checked_sub(1).and_then(|index| source.text.lines().nth(index)) else {
        return Vec::new();
    };
    let text = text.trim_end();
    let before = column.saturating_sub(1);
    if text.chars().count() > WIDE || before >= text.chars().count() {
        return Vec::new();
    }
    // Tabs stay tabs, so that the caret stands where the eye looks for it.
    let gap: String = text.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let word = text.chars().skip(before).take_while(|c| c.is_alphanumeric() || *c == '_').count().max(1);
    let number = line.to_string();
    vec![format!("{number} | {text}"), format!("{} | {gap}{}", " ".repeat(number.len()), "^".repeat(word))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_the_word() {
        let source = Source::new("x", "a\n\tann.expect(1);\n");
        assert_eq!(shown(&source, 2, 6), ["2 | \tann.expect(1);", "  | \t    ^^^^^^"]);
        assert!(shown(&source, 0, 1).is_empty());
        assert!(shown(&source, 9, 1).is_empty());
        assert!(shown(&source, 1, 9).is_empty());
    }
}
