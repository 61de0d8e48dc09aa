//! The conversation as a test that `rhapsode test` runs.

use std::path::Path;

use crate::sim::transcript::{quoted, said};

/// What has happened, as lines of a `*.chat` file.
#[derive(Default)]
pub struct Record {
    lines: Vec<String>,
}

impl Record {
    /// Somebody spoke.
    pub fn says(&mut self, who: &str, text: &str) {
        self.lines.push(said(who, text));
    }

    /// The bot spoke; `to` where it was neither here nor to who spoke last.
    pub fn heard(&mut self, to: Option<&str>, text: &str) {
        let who = to.map_or_else(|| "bot".to_owned(), |to| format!("bot → {to}"));
        self.lines.push(said(&who, &quoted(text)));
    }

    /// A stage direction.
    pub fn direction(&mut self, text: &str) {
        self.lines.push(format!("* {text}"));
    }

    /// What follows happens here.
    pub fn place(&mut self, room: Option<&str>) {
        self.lines.push(format!("[{}]", room.unwrap_or_default()));
    }

    /// Writes the file; one that is there is not written over.
    pub fn write(&self, header: &[String], file: &Path) -> std::io::Result<()> {
        use std::io::Write;

        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut out = std::fs::OpenOptions::new().write(true).create_new(true).open(file)?;
        writeln!(out, "{}\n\n== recorded\n{}", header.join("\n"), self.lines.join("\n"))
    }
}
