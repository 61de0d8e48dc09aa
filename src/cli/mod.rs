//! The command line: one file a command, one line in [`Command`].
//!
//! stdout is data, stderr is everything else. Exit codes: 0 done, 1 refused or failed, 2 wrong usage.

mod account;
mod api;
#[cfg(feature = "demo")]
mod chat;
mod check;
mod completions;
mod dead;
mod definitions;
#[cfg(feature = "demo")]
mod demo;
mod explain;
mod init;
mod man;
mod reconnect;
mod reload;
mod run;
mod schema;
mod send;
mod status;
mod stop;
mod talk;
#[cfg(feature = "demo")]
mod test;
mod why;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::config;
use crate::diagnostic::Diagnostic;
use crate::ops::render::{Format, Style, render, summary};

/// XMPP bots from scripts
#[derive(Parser)]
#[command(name = "rhapsode", version, max_term_width = 100)]
struct Line {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Args, Clone)]
pub struct Common {
    /// The configuration [default: ./bots.yaml, then the user's and the system's]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    color: Color,
    /// Say more (twice: even more)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Say less (twice: only errors)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    quiet: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    Always,
    Auto,
    Never,
}

/// Every command. The order is that of the help text.
#[derive(Subcommand)]
enum Command {
    /// Start a server, bots and a chat on this machine, to try things out
    #[cfg(feature = "demo")]
    Demo(demo::Demo),
    /// Make a new folder with a bot in it
    Init(init::Init),
    /// Run the bots of bots.yaml
    Run(run::Run),
    /// Talk to a script here, without a server
    #[cfg(feature = "demo")]
    Chat(chat::Chat),
    /// Find mistakes in bots.yaml and in the scripts
    Check(check::Check),
    /// Look up script functions, events and types of arguments
    Api(api::Api),
    /// Print the script functions for editors (a .d.rhai file)
    Definitions(definitions::Definitions),
    /// Explain a problem that `check` or the log names
    Explain(explain::Explain),
    /// Print the JSON Schema of bots.yaml for editors
    Schema(schema::Schema),
    /// Run the tests of scripts: conversations and examples, without a network
    #[cfg(feature = "demo")]
    Test(test::Test),
    /// Look at what bots could not handle; try it again, or drop it
    Dead(dead::Dead),
    /// Show how the running bots stand
    Status(status::Status),
    /// Make the running process read bots.yaml and the scripts anew
    Reload(reload::Reload),
    /// Close and reopen the connections of bots
    Reconnect(reconnect::Reconnect),
    /// Make an account on a server, or change the password of one
    Account(account::Account),
    /// Send one message; done when the server has it
    Send(send::Send),
    /// Tell what became of an event, handler by handler
    Why(why::Why),
    /// Stop the running process in order
    Stop(stop::Stop),
    /// Print a completion script for a shell
    Completions(completions::Completions),
    /// Print the manual page
    Man(man::Man),
}

/// Why a command ends without success.
#[derive(Debug)]
pub enum Failure {
    /// Problems in files; they are printed with their places.
    Problems(Vec<Diagnostic>),
    /// One sentence, and what to do about it.
    Refused {
        /// What is wrong.
        text: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// Everything was printed already.
    Said,
}

impl Failure {
    /// One sentence.
    pub fn new(text: impl Into<String>) -> Self {
        Self::Refused { text: text.into(), hint: None }
    }

    /// One sentence and what to do about it.
    pub fn with_hint(text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused { text: text.into(), hint: Some(hint.into()) }
    }

    /// One sentence, and what to do about it where that is known.
    pub fn with_hint_if(text: impl Into<String>, hint: Option<impl Into<String>>) -> Self {
        Self::Refused { text: text.into(), hint: hint.map(Into::into) }
    }
}

/// Runs the program.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = match Line::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => {
            // Help and version go to stdout and are no error; the rest is wrong usage. A closed pipe is fine.
            drop(error.print());
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let common = line.common;
    let outcome = match line.command {
        #[cfg(feature = "demo")]
        Command::Demo(command) => demo::run(command, &common),
        Command::Init(command) => init::run(command, &common),
        Command::Run(command) => run::run(command, &common),
        #[cfg(feature = "demo")]
        Command::Chat(command) => chat::run(command, &common),
        Command::Check(command) => check::run(command, &common),
        Command::Api(command) => api::run(command),
        Command::Definitions(command) => definitions::run(command),
        Command::Explain(command) => explain::run(command),
        Command::Schema(command) => schema::run(command, &common),
        #[cfg(feature = "demo")]
        Command::Test(command) => test::run(command, &common),
        Command::Dead(command) => dead::run(command, &common),
        Command::Status(command) => status::run(command, &common),
        Command::Reload(command) => reload::run(command, &common),
        Command::Reconnect(command) => reconnect::run(command, &common),
        Command::Account(command) => account::run(command, &common),
        Command::Send(command) => send::run(command, &common),
        Command::Why(command) => why::run(command, &common),
        Command::Stop(command) => stop::run(command, &common),
        Command::Completions(command) => completions::run(command),
        Command::Man(command) => man::run(command),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            common.say(&failure);
            ExitCode::FAILURE
        }
    }
}

impl Common {
    /// The configuration file to use.
    fn file(&self) -> Result<PathBuf, Failure> {
        let var = |name: &str| std::env::var(name).ok();
        config::discover(self.config.as_deref(), &var).map_err(|problem| Failure::Problems(vec![problem]))
    }

    /// How much louder than configured.
    fn louder(&self) -> i8 {
        let steps = i16::from(self.verbose) - i16::from(self.quiet);
        steps.clamp(-5, 5) as i8
    }

    /// How problems are shown on a stream.
    fn style(&self, terminal: bool) -> Style {
        let colour = match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
        let unicode =
            !dumb && locale.is_none_or(|name| name.to_uppercase().replace('-', "").contains("UTF8"));
        Style { colour: colour && !dumb, unicode, width: 100 }
    }

    fn say(&self, failure: &Failure) {
        match failure {
            Failure::Problems(problems) => self.show(problems),
            Failure::Refused { text, hint } => {
                eprintln!("rhapsode: {text}");
                if let Some(hint) = hint {
                    eprintln!("hint: {hint}");
                }
            }
            Failure::Said => {}
        }
    }

    /// Problems on stderr, with carets, and their number.
    fn show(&self, problems: &[Diagnostic]) {
        let style = self.style(std::io::stderr().is_terminal());
        eprint!("{}", render(problems, Format::Human(style)));
        if let Some(line) = summary(problems) {
            eprintln!("{line}");
        }
    }
}

/// The whole command line, for the manual page, completions and the reference.
fn tree() -> clap::Command {
    Line::command()
}

/// A path as it is shown: relative to the working directory where that is shorter.
fn shown(path: &Path) -> String {
    std::env::current_dir()
        .ok()
        .and_then(|folder| path.strip_prefix(folder).ok().map(|path| path.display().to_string()))
        .unwrap_or_else(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_says_what_it_does_in_one_line() {
        for command in tree().get_subcommands() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let long = command.get_long_about().map(ToString::to_string).unwrap_or_default();
            let name = command.get_name();
            assert!(!about.is_empty() && long.is_empty() && !about.contains('\n'), "{name}: {about}{long}");
        }
        tree().debug_assert();
    }
}
