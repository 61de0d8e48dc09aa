//! What the parser refused, in words for people who know another language better.

use std::sync::Arc;

use rhai::{LexError, ParseError, ParseErrorType};

use crate::diagnostic::{Diagnostic, Place, Source};
use crate::script::check::{literal, word, words};
use crate::script::error::explain_syntax;

/// A piece of a text that is neither blank nor comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece<'a> {
    at: usize,
    text: &'a str,
}

/// The one mistake that the parser stopped at.
pub(super) fn explain(source: &Arc<Source>, error: &ParseError) -> Diagnostic {
    let ParseError(cause, position) = error;
    let place = if position.is_none() {
        let end = source.text.trim_end().len();
        Place::new(source, end.saturating_sub(1)..end)
    } else {
        word(source, *position)
    };
    let pieces = pieces(&source.text);
    match &**cause {
        ParseErrorType::BadInput(LexError::MalformedChar(_)) => single_quotes(literal(source, *position)),
        ParseErrorType::FnDuplicatedDefinition(name, _) => duplicate(source, &pieces, name, place),
        ParseErrorType::Reserved(word)
        | ParseErrorType::UnknownOperator(word)
        | ParseErrorType::BadInput(LexError::ImproperSymbol(word, _)) => reserved(source, word, place),
        ParseErrorType::PropertyExpected if is_word(&source.text[place.span.clone()]) => {
            let word = source.text[place.span.clone()].to_owned();
            reserved(source, &word, place)
        }
        cause => foreign(source, &pieces, &place)
            .or_else(|| condition(source, &place))
            .or_else(|| unbalanced(source, &pieces, cause))
            .unwrap_or_else(|| {
                let (message, hint) = explain_syntax(cause);
                Diagnostic::error("script::syntax", message).at(place, "here").hint_if(hint)
            }),
    }
}

fn single_quotes(place: Place) -> Diagnostic {
    let inside = place.source.text[place.span.clone()].trim_matches('\'').to_owned();
    let hint = if inside.is_empty() || inside.contains(['\n', '"']) || inside.chars().count() > 60 {
        "write \"…\" instead of '…'".to_owned()
    } else {
        format!("write \"{inside}\"")
    };
    Diagnostic::error("script::single_quotes", "single quotes are for one character")
        .at(place, "not one character")
        .hint(hint)
}

fn duplicate(source: &Arc<Source>, pieces: &[Piece<'_>], name: &str, place: Place) -> Diagnostic {
    // Name and number of parameters make a function.
    let declared: Vec<(Piece<'_>, usize)> = pieces
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| pair[0].text == "fn" && pair[1].text == name)
        .map(|(index, pair)| (pair[1], parameters(&pieces[index + 2..])))
        .collect();
    let again = declared.iter().find(|(piece, _)| piece.at >= place.span.start).or(declared.last());
    let Some(&(again, count)) = again else {
        let message = format!("`fn {name}` with as many parameters is already there");
        return Diagnostic::error("script::duplicate_function", message).at(place, "again here");
    };
    let at = |piece: Piece<'_>| Place::new(source, piece.at..piece.at + piece.text.len());
    let first =
        declared.iter().find(|(piece, other)| piece.at < again.at && *other == count).map(|f| at(f.0));
    let line = first.as_ref().map_or_else(String::new, |first| format!(" (line {})", first.position().0));
    let message = format!("`fn {name}` with {} is already there{line}", counted(count));
    let found = Diagnostic::error("script::duplicate_function", message).at(at(again), "again here");
    let found = match first {
        Some(first) => found.at(first, "first here"),
        None => found,
    };
    found.hint("give one of them another name, or take it out")
}

/// How many parameters stand in the parentheses that open here.
fn parameters(pieces: &[Piece<'_>]) -> usize {
    let inside = pieces.iter().skip(1).take_while(|piece| piece.text != ")");
    inside.filter(|piece| piece.text != ",").count()
}

fn counted(parameters: usize) -> String {
    match parameters {
        0 => "no parameters".to_owned(),
        1 => "1 parameter".to_owned(),
        more => format!("{more} parameters"),
    }
}

fn reserved(source: &Arc<Source>, reserved: &str, place: Place) -> Diagnostic {
    if !is_word(reserved) {
        let hint = match reserved {
            "===" => "Rhai writes `==`",
            "!==" => "Rhai writes `!=`",
            "++" => "Rhai writes `+= 1`",
            "--" => "Rhai writes `-= 1`",
            "->" => "Rhai functions do not say what they give: `fn name(a) { … }`",
            ":=" => "Rhai writes `let name = value;`",
            "::<" => "Rhai has no types of types",
            _ => "these characters mean nothing to Rhai",
        };
        return Diagnostic::error("script::foreign_word", format!("Rhai has no `{reserved}`"))
            .at(symbol(source, &place, reserved), "not a word of Rhai")
            .hint(hint);
    }
    let before = source.text[..place.span.start].trim_end();
    if reserved == "thread" && before.ends_with('.') {
        let owner = before.trim_end_matches('.').trim_end_matches('?');
        let from = owner.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1);
        let owner = if owner[from..].is_empty() { "m" } else { &owner[from..] };
        return Diagnostic::error(
            "script::reserved_word",
            "`thread` means something to Rhai and cannot be a name",
        )
        .at(place, "reserved")
        .hint(format!("that one is `{owner}.thread_id` here"));
    }
    let foreign = words::foreign(reserved).map(|(_, hint)| hint);
    if let Some(hint) = foreign.filter(|_| !before.ends_with('.')) {
        return Diagnostic::error("script::foreign_word", format!("Rhai has no `{reserved}`"))
            .at(place, "not a word of Rhai")
            .hint(hint);
    }
    let hint = words::RESERVED.iter().find(|(word, _)| *word == reserved).map(|(_, hint)| (*hint).to_owned());
    let hint = hint.unwrap_or_else(|| format!("use another name, such as `{reserved}_`"));
    let message = format!("`{reserved}` means something to Rhai and cannot be a name");
    Diagnostic::error("script::reserved_word", message).at(place, "reserved").hint(hint)
}

/// The characters of a symbol, which is no word.
fn symbol(source: &Arc<Source>, place: &Place, symbol: &str) -> Place {
    let start = place.span.start;
    let length = if source.text[start..].starts_with(symbol) { symbol.len() } else { place.span.len() };
    Place::new(source, start..start + length)
}

/// A word of another language at or shortly before the place where the parser stopped.
fn foreign(source: &Arc<Source>, pieces: &[Piece<'_>], place: &Place) -> Option<Diagnostic> {
    let stopped = pieces.iter().rposition(|piece| piece.at <= place.span.start)?;
    let first = stopped.saturating_sub(3);
    let declared = |word: &str| {
        pieces
            .windows(2)
            .any(|pair| ["let", "const", "fn", "for"].contains(&pair[0].text) && pair[1].text == word)
    };
    let (piece, hint) = pieces[first..=stopped].iter().enumerate().rev().find_map(|(index, piece)| {
        let before = pieces.get((first + index).wrapping_sub(1)).map(|piece| piece.text);
        let member = matches!(before, Some("." | "?" | "::"));
        let (word, hint) = words::foreign(piece.text)?;
        (!member && !declared(word)).then_some((piece, hint))
    })?;
    let place = Place::new(source, piece.at..piece.at + piece.text.len());
    Some(
        Diagnostic::error("script::foreign_word", format!("Rhai has no `{}`", piece.text))
            .at(place, "not a word of Rhai")
            .hint(hint),
    )
}

/// `if a = b`
fn condition(source: &Arc<Source>, place: &Place) -> Option<Diagnostic> {
    let rest = &source.text[place.span.start..];
    let line = source.text[..place.span.start].rsplit(['\n', ';', '{', '}']).next().unwrap_or_default();
    let within = ["if ", "while ", "until "].iter().any(|word| line.contains(word));
    if !within || !rest.starts_with('=') || rest.starts_with("==") {
        return None;
    }
    Some(
        Diagnostic::error("script::assignment", "`=` sets a variable, it does not compare")
            .at(Place::new(source, place.span.start..place.span.start + 1), "sets")
            .hint("write `==` to compare"),
    )
}

/// A bracket that is never closed, or never was opened.
fn unbalanced(source: &Arc<Source>, pieces: &[Piece<'_>], cause: &ParseErrorType) -> Option<Diagnostic> {
    let wants = match cause {
        ParseErrorType::BadInput(LexError::UnterminatedString) => {
            let last = pieces.iter().rev().find(|piece| piece.text.starts_with(['"', '`']))?;
            let end = last.at + last.text.split('\n').next().unwrap_or_default().len();
            return Some(
                Diagnostic::error("script::open_text", "this text has no end")
                    .at(Place::new(source, last.at..end), "begins here")
                    .hint("close it with the quote it begins with"),
            );
        }
        ParseErrorType::UnexpectedEOF
        | ParseErrorType::MissingToken(..)
        | ParseErrorType::MissingSymbol(_)
        | ParseErrorType::ExprExpected(_)
        | ParseErrorType::BadInput(_) => true,
        _ => false,
    };
    if !wants {
        return None;
    }
    let mut open: Vec<Piece<'_>> = Vec::new();
    for piece in pieces {
        let opens = match piece.text {
            "(" | "[" | "{" | "#{" => {
                open.push(*piece);
                continue;
            }
            ")" => "(",
            "]" => "[",
            "}" => "{",
            _ => continue,
        };
        match open.last() {
            Some(last) if last.text.ends_with(opens) => drop(open.pop()),
            other => return Some(mismatch(source, *piece, other.copied())),
        }
    }
    let last = open.last()?;
    Some(
        Diagnostic::error("script::bracket", format!("this `{}` is never closed", last.text))
            .at(Place::new(source, last.at..last.at + last.text.len()), "opened here")
            .hint(format!("add a `{}`", closing(last.text))),
    )
}

fn mismatch(source: &Arc<Source>, piece: Piece<'_>, opened: Option<Piece<'_>>) -> Diagnostic {
    let place = Place::new(source, piece.at..piece.at + piece.text.len());
    match opened {
        Some(opened) => Diagnostic::error(
            "script::bracket",
            format!("`{}` closes nothing: `{}` is still open", piece.text, opened.text),
        )
        .at(place, "does not fit")
        .at(Place::new(source, opened.at..opened.at + opened.text.len()), "opened here")
        .hint(format!("close it with `{}` before this", closing(opened.text))),
        None => Diagnostic::error("script::bracket", format!("this `{}` closes nothing", piece.text))
            .at(place, "nothing is open")
            .hint("take it out, or add what it should close"),
    }
}

fn closing(open: &str) -> &'static str {
    match open {
        "(" => ")",
        "[" => "]",
        _ => "}",
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Modules that a text imports, found without parsing it.
pub(super) fn imports(text: &str) -> Vec<String> {
    let pieces = pieces(text);
    let literal =
        |piece: &Piece<'_>| piece.text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).map(str::to_owned);
    pieces.windows(2).filter(|pair| pair[0].text == "import").filter_map(|pair| literal(&pair[1])).collect()
}

/// Bytes of the text literal that begins here, quotes included.
pub(super) fn literal_length(text: &str) -> usize {
    let Some(quote) = text.chars().next() else { return 0 };
    if quote == '#' {
        let hashes = text.bytes().take_while(|b| *b == b'#').count();
        let end = format!("\"{}", "#".repeat(hashes));
        return text
            .get(hashes + 1..)
            .and_then(|rest| rest.find(&end))
            .map_or(text.len(), |at| at + 2 * hashes + 2);
    }
    if !['"', '\'', '`'].contains(&quote) {
        return text
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(text.len())
            .max(quote.len_utf8());
    }
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            '\n' if quote == '\'' => return at,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The words, texts and symbols of a program; comments are left out. Never fails, whatever the text.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        } else if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        } else if rest.starts_with("/*") {
            at += comment(rest);
            continue;
        } else if rest.starts_with("#{") || rest.starts_with("::") || rest.starts_with("==") {
            2
        } else if c == '#' && rest.trim_start_matches('#').starts_with('"') || ['"', '\'', '`'].contains(&c) {
            literal_length(rest)
        } else if c.is_alphanumeric() || c == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else {
            c.len_utf8()
        };
        pieces.push(Piece { at, text: &text[at..at + length] });
        at += length;
    }
    pieces
}

/// Bytes of a block comment; they nest.
fn comment(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_comments_hide_what_is_in_them() {
        let words: Vec<&str> = pieces("let a = \"x { \\\" y\"; // {\n/* { /* */ } */ `${b}` #\"raw\"# 'c'")
            .iter()
            .map(|p| p.text)
            .collect();
        assert_eq!(words, ["let", "a", "=", "\"x { \\\" y\"", ";", "`${b}`", "#\"raw\"#", "'c'"]);
    }

    #[test]
    fn any_text_comes_apart() {
        for text in ["\"", "'", "`", "#\"", "/*", "#", "ä\u{1F600}", "'\n", "\\", "//", "##\"a\"#"] {
            let all: usize = pieces(text).iter().map(|piece| piece.text.len()).sum();
            assert!(all <= text.len(), "{text}");
        }
    }
}
