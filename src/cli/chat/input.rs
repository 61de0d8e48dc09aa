//! Lines from the terminal, with completion and history; or plain lines where no terminal is.

use std::io::{BufRead, IsTerminal, Write};

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, Helper};

use crate::cli::Failure;

/// Where lines come from.
pub enum Input {
    /// Somebody types.
    Terminal(Box<Editor<Words, DefaultHistory>>),
    /// A file or a pipe: lines are shown as they are read.
    Plain,
}

/// What Tab completes at the beginning of a line.
pub struct Words(Vec<String>);

impl Input {
    /// The terminal, where stdin is one.
    pub fn open(words: Vec<String>) -> Result<Self, Failure> {
        if !std::io::stdin().is_terminal() {
            return Ok(Self::Plain);
        }
        let unusable = |error: ReadlineError| Failure::new(format!("no line editor: {error}"));
        let mut editor =
            Editor::with_config(Config::builder().auto_add_history(true).build()).map_err(unusable)?;
        editor.set_helper(Some(Words(words)));
        Ok(Self::Terminal(Box::new(editor)))
    }

    /// Completes these words from now on.
    pub fn complete(&mut self, words: Vec<String>) {
        if let Self::Terminal(editor) = self {
            editor.set_helper(Some(Words(words)));
        }
    }

    /// The next line; `None` at the end.
    pub fn line(&mut self, prompt: &str) -> Result<Option<String>, Failure> {
        match self {
            Self::Terminal(editor) => match editor.readline(prompt) {
                Ok(line) => Ok(Some(line)),
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => Ok(None),
                Err(error) => Err(Failure::new(format!("the terminal is gone: {error}"))),
            },
            Self::Plain => {
                let mut line = String::new();
                let read = std::io::stdin().lock().read_line(&mut line);
                match read.map_err(|error| Failure::new(format!("stdin cannot be read: {error}")))? {
                    0 => Ok(None),
                    _ => {
                        let line = line.trim_end().to_owned();
                        let mut out = std::io::stdout().lock();
                        // A closed pipe ends the conversation with the next line.
                        let _ = writeln!(out, "{prompt}{line}");
                        Ok(Some(line))
                    }
                }
            }
        }
    }
}

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let begun = &line[..at];
        let fitting = self.0.iter().filter(|word| !begun.is_empty() && word.starts_with(begun));
        Ok((0, fitting.map(|word| format!("{word} ")).collect()))
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}
