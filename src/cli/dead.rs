//! `rhapsode dead`: what bots could not handle, to be looked at, tried again or dropped.

use clap::{Args, Subcommand};

use crate::cli::{Common, Failure, talk};
use crate::ops::control::{Answer, Request};
use crate::ops::dead::{self, Deed, Refused, Shown};
use crate::store::error::StoreError;
use crate::store::{Durability, Store};

/// Arguments of `dead`.
#[derive(Args)]
pub struct Dead {
    #[command(subcommand)]
    deed: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show dead letters
    List {
        /// Names of bots (`*` and `?` stand for characters) or ids of letters. Without one, all
        #[arg(value_name = "BOT|ID")]
        which: Vec<String>,
        /// Print JSON: one letter a line
        #[arg(long)]
        json: bool,
    },
    /// Try the events of dead letters again, three times each
    Retry(Which),
    /// Forget dead letters
    Drop(Which),
}

#[derive(Args)]
struct Which {
    /// Names of bots (`*` and `?` stand for characters) or ids of letters
    #[arg(required = true, value_name = "BOT|ID")]
    which: Vec<String>,
}

/// Runs the command.
pub fn run(command: Dead, common: &Common) -> Result<(), Failure> {
    let (deed, which, json) = match command.deed {
        Command::List { which, json } => (Deed::List, which, json),
        Command::Retry(Which { which }) => (Deed::Retry, which, false),
        Command::Drop(Which { which }) => (Deed::Drop, which, false),
    };
    let letters = ask(common, deed, which)?;
    for letter in &letters {
        match deed {
            Deed::List if json => println!("{}", serde_json::to_string(letter).unwrap_or_default()),
            Deed::List => print!("{}", letter.to_text()),
            Deed::Drop | Deed::Retry => println!("{}", letter.id),
        }
    }
    Ok(())
}

/// Through the running process, or where none runs in its store.
fn ask(common: &Common, deed: Deed, which: Vec<String>) -> Result<Vec<Shown>, Failure> {
    let socket = talk::socket(common)?;
    let request = Request::Dead { deed, which: which.clone() };
    match talk::ask_at(&socket, &request)? {
        Ok(Answer::Dead { letters }) => Ok(letters),
        Ok(answer) => talk::print(answer).map(|()| Vec::new()),
        Err(_) => {
            let folder = socket.parent().unwrap_or(std::path::Path::new("."));
            if !folder.is_dir() {
                return match which.is_empty() {
                    true => Ok(Vec::new()),
                    false => Err(Failure::new(format!("there is no store in `{}`", folder.display()))),
                };
            }
            let refuse = |error: StoreError| Failure::with_hint_if(error.to_string(), error.hint());
            let store = Store::open(folder, Durability::Full).map_err(refuse)?;
            dead::act(&store, &[], deed, &which).map_err(|refused| match refused {
                Refused::Store(error) => refuse(error),
                Refused::Unknown(text) => Failure::new(text),
            })
        }
    }
}
