//! `rhapsode chat`: talk to a script in the terminal. People, rooms and time are simulated, no server is needed.

mod input;
mod record;
mod talk;

use std::path::PathBuf;

use clap::Args;

use crate::cli::chat::input::Input;
use crate::cli::chat::talk::{Talk, Turn};
use crate::cli::{Common, Failure};
use crate::jid::BareJid;
use crate::sim::casting::{Mistakes, Roles, Troupe};
use crate::sim::transcript;

/// Arguments of `chat`.
#[derive(Args)]
pub struct Chat {
    /// A script file, or a bot of bots.yaml
    #[arg(value_name = "SCRIPT|BOT")]
    who: String,
    /// Write the conversation as a test, when it ends
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Who you are: a name at the bot's domain, or a whole address
    #[arg(long = "as", visible_alias = "jid", default_value = "ann", value_name = "JID")]
    person: String,
    /// What the clock shows: `2026-11-23T08:59:00[Europe/Oslo]`
    #[arg(long, value_name = "TIME")]
    now: Option<String>,
}

/// Runs the command.
pub fn run(command: Chat, common: &Common) -> Result<(), Failure> {
    let now = match &command.now {
        Some(text) => Some(transcript::moment(text).ok_or_else(|| {
            let hint = "write `2026-11-23T08:59:00[Europe/Oslo]` or `2026-11-23T08:59:00Z`";
            Failure::with_hint(format!("`{text}` is no moment"), hint)
        })?),
        None => None,
    };
    if let Some(file) = command.record.as_ref().filter(|file| file.exists()) {
        let text = format!("`{}` is there already: nothing was recorded over it", file.display());
        return Err(Failure::with_hint(text, "name another file"));
    }
    let troupe = troupe(&command.who, common)?;
    let roles = roles(&command.who, now, &troupe)?;
    let mut talk = Talk::begin(troupe, roles, &command.person, common)?;
    talk.introduce();
    let mut input = Input::open(talk.words())?;
    while let Some(line) = input.line(&talk.prompt())? {
        if talk.follow_files() {
            input.complete(talk.words());
        }
        if let Turn::Quit = talk.take(line.trim()) {
            break;
        }
    }
    match &command.record {
        Some(file) => talk.save(file),
        None => Ok(()),
    }
}

/// bots.yaml, where there is one: a script file needs none.
fn troupe(who: &str, common: &Common) -> Result<Troupe, Failure> {
    let is_file = std::path::Path::new(who).is_file();
    let file = match common.file() {
        Ok(file) => file,
        Err(_) if is_file => return Ok(Troupe { root: PathBuf::from("."), settings: None }),
        Err(failure) => return Err(failure),
    };
    let mistakes = if is_file { Mistakes::PassOver } else { Mistakes::Refuse };
    Troupe::of(&file, mistakes).map(|(troupe, _)| troupe).map_err(Failure::Problems)
}

/// Who plays: a bot of bots.yaml, or a script by itself.
fn roles(who: &str, now: Option<jiff::Zoned>, troupe: &Troupe) -> Result<Roles, Failure> {
    let bots = troupe.settings.iter().flat_map(|settings| &settings.bots);
    if bots.clone().any(|bot| bot.name == who || bot.jid.as_str() == who) {
        return Ok(Roles { bot: Some(who.to_owned()), now, ..Roles::default() });
    }
    let declared = troupe.settings.as_ref().is_some_and(|settings| settings.scripts.contains_key(who));
    if declared || std::path::Path::new(who).is_file() {
        return Ok(Roles { scripts: vec![who.to_owned()], now, ..Roles::default() });
    }
    let names: Vec<&str> = bots.map(|bot| bot.name.as_str()).collect();
    let near = crate::diagnostic::did_you_mean(who, names.iter().copied());
    let hint = near.unwrap_or_else(|| "name a script file, or a bot of bots.yaml".to_owned());
    Err(Failure::with_hint(format!("no script and no bot `{who}`"), hint))
}

/// `ann`, or a whole address.
fn person(name: &str, domain: &str) -> Result<BareJid, Failure> {
    let text = if name.contains('@') { name.to_owned() } else { format!("{name}@{domain}") };
    match BareJid::parse(&text) {
        Ok(jid) if jid.local().is_some() => Ok(jid),
        Ok(_) => Err(Failure::new(format!("`{name}` is no person: it has nothing before the @"))),
        Err(why) => Err(Failure::new(format!("`{name}`: {why}"))),
    }
}
