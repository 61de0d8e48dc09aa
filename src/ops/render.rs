//! Problems as text: for people with the source line and a caret, one line each, or JSON.

use crate::diagnostic::Diagnostic;

/// How problems are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// With the source lines.
    Human(Style),
    /// `file:line:column: error: text`.
    Short,
    /// One JSON array of objects.
    Json,
}

/// How the human format looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// ANSI colours.
    pub colour: bool,
    /// Box characters; plain ASCII otherwise.
    pub unicode: bool,
    /// Columns of the terminal.
    pub width: usize,
}

/// All problems as one text.
pub fn render(diagnostics: &[Diagnostic], format: Format) -> String {
    let _ = (diagnostics, format);
    unimplemented!("filled in with the next commit")
}

/// `3 problems in 2 files`, with a mark in front; `None` without any problem.
pub fn summary(diagnostics: &[Diagnostic]) -> Option<String> {
    let _ = diagnostics;
    unimplemented!("filled in with the next commit")
}
