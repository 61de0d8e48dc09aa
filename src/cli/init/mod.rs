//! `rhapsode init`: a new folder with one bot in it, from a few questions.

mod ask;
mod files;
mod kind;

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;

use crate::cli::init::ask::Questions;
use crate::cli::init::files::{Project, Written};
use crate::cli::init::kind::{Kind, Way};
use crate::cli::{Common, Failure, shown};
use crate::jid::BareJid;
use crate::secret::Password;

/// Arguments of `init`. Each answers one question beforehand.
#[derive(Args)]
pub struct Init {
    /// The folder; made when it is missing
    #[arg(default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// The bot's address
    #[arg(long, value_name = "JID")]
    jid: Option<String>,
    /// The bot's name in logs and on the command line [default: what stands before the @]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Where its password comes from
    #[arg(long, value_enum, value_name = "WAY")]
    password: Option<Way>,
    /// What the bot does first
    #[arg(long, value_enum, value_name = "KIND")]
    start: Option<Kind>,
    /// Ask nothing: take the first answer of every question
    #[arg(long)]
    yes: bool,
    /// Never ask; fail where an answer is missing
    #[arg(long, conflicts_with = "yes")]
    no_input: bool,
}

/// What the answers come to.
struct Answers {
    jid: BareJid,
    name: String,
    way: Way,
    /// Only where it was typed in.
    password: Option<Password>,
    kind: Kind,
}

/// Runs the command.
pub fn run(command: Init, _: &Common) -> Result<(), Failure> {
    let project = Project::at(&command.dir)?;
    let answers = answers(&command)?;
    let written = project.write(&answers)?;
    report(&project, &answers, &written);
    Ok(())
}

fn answers(command: &Init) -> Result<Answers, Failure> {
    let asks = !command.yes && !command.no_input && std::io::stdin().is_terminal();
    let mut questions = Questions::new(asks, command.yes);
    let jid = match &command.jid {
        Some(text) => bot_address(text).map_err(Failure::new)?,
        None => questions.text("Bot address (JID)?", "bot@example.org", "--jid", bot_address)?,
    };
    let suggested = jid.local().unwrap_or("bot").to_owned();
    let name = match &command.name {
        Some(name) => bot_name(name).map_err(Failure::new)?,
        None => bot_name(&suggested).unwrap_or_else(|_| "bot".to_owned()),
    };
    let way = match command.password {
        Some(way) => way,
        None => questions.choice("Password from?", &Way::labels(&name), "--password")?,
    };
    let password = match way {
        Way::Typed => Some(questions.password(&format!("Password of {jid}?"))?),
        Way::Command | Way::Credential | Way::Env | Way::File => None,
    };
    let kind = match command.start {
        Some(kind) => kind,
        None => questions.choice("What should it do first?", &Kind::labels(), "--start")?,
    };
    Ok(Answers { jid, name, way, password, kind })
}

/// An address that can be a bot's.
fn bot_address(text: &str) -> Result<BareJid, String> {
    let jid = BareJid::parse(text.trim()).map_err(|error| format!("`{text}`: {error}"))?;
    match jid.local() {
        Some(_) => Ok(jid),
        None => Err(format!("`{text}` is a server; a bot's address is written `name@{text}`")),
    }
}

/// A name that can be a key of bots.yaml, a file and part of a variable.
fn bot_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !text.is_empty() && text.len() <= 40 && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}` cannot be a bot's name: use up to 40 of a-z, 0-9, `-` and `_`"))
}

/// What is there now, and what comes next; on stderr, for it is no data.
fn report(project: &Project, answers: &Answers, written: &[Written]) {
    for file in written {
        match file {
            Written::Kept(path) => eprintln!("  · {path} is there already and stays as it is"),
            Written::New(path) => eprintln!("  ✓ {path}"),
        }
    }
    let name = &answers.name;
    let folder = shown(project.folder());
    eprintln!();
    if !folder.is_empty() && folder != "." {
        eprintln!("  cd {folder}");
    }
    for line in answers.way.next_steps(name) {
        eprintln!("  {line}");
    }
    eprintln!("  rhapsode chat {name:<12} talk to it here, no server needed");
    eprintln!("  rhapsode check {:<11} look for mistakes", "");
    if answers.kind.template().chat.is_some() {
        eprintln!("  rhapsode test {:<12} run tests/{name}.chat", "");
    }
    eprintln!("  rhapsode run {:<13} start it", "");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_checked_before_anything_is_written() {
        assert_eq!(
            bot_address(" Help@Example.org ").map(|jid| jid.to_string()),
            Ok("help@example.org".to_owned())
        );
        assert!(bot_address("example.org").is_err_and(|why| why.contains("name@example.org")));
        assert!(bot_address("a b@example.org").is_err());
        assert!(bot_name("help-desk_2").is_ok());
        for wrong in ["", "Help", "a/b", "../x", "a b", &"x".repeat(41)] {
            assert!(bot_name(wrong).is_err(), "{wrong}");
        }
    }
}
