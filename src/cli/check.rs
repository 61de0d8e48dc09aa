//! `rhapsode check`: every problem of the configuration and of every script, at once.

use std::io::IsTerminal;
use std::path::Path;

use clap::{Args, ValueEnum};

use crate::cli::{Common, Failure};
use crate::config;
use crate::diagnostic::Diagnostic;
use crate::ops::render::{Format, render, summary};
use crate::ops::scripts;
use crate::sim::suite;

/// Arguments of `check`.
#[derive(Args)]
pub struct Check {
    /// How problems are written
    #[arg(long, value_enum, default_value = "human")]
    format: Form,
    /// Take warnings for errors
    #[arg(long)]
    deny_warnings: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Human,
    Short,
    Json,
    Github,
    Sarif,
}

/// Runs the command. Touches no network and runs no `command` of a secret.
pub fn run(command: Check, common: &Common) -> Result<(), Failure> {
    let file = common.file()?;
    let var = |name: &str| std::env::var(name).ok();
    let found = config::inspect(&file, &config::Surroundings { var: &var, run_commands: false });
    let (library, problems) = scripts::load(&found.scripts);
    let mut diagnostics = found.diagnostics;
    diagnostics.extend(problems);
    diagnostics.extend(match &found.settings {
        Some(settings) => scripts::rehearse(settings, &library).diagnostics,
        // Nothing can be rehearsed, but a password that is not there must not hide a misspelt function.
        None => scripts::read_through(&library),
    });
    diagnostics.extend(suite::looked_through(file.parent().unwrap_or(Path::new(""))));
    let format = match command.format {
        Form::Human => Format::Human(common.style(std::io::stdout().is_terminal())),
        Form::Short => Format::Short,
        Form::Json => Format::Json,
        Form::Github => Format::Github,
        Form::Sarif => Format::Sarif,
    };
    print!("{}", render(&diagnostics, format));
    if command.format == Form::Human {
        let line = summary(&diagnostics).unwrap_or_else(|| "✓ no problems".to_owned());
        println!("{line}  ({}, {} checked)", count(found.bots, "bot"), count(found.scripts.len(), "script"));
    }
    let bad = diagnostics.iter().any(|problem| command.deny_warnings || Diagnostic::is_error(problem));
    if bad { Err(Failure::Said) } else { Ok(()) }
}

/// `1 bot`, `2 bots`.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
