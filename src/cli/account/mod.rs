//! `rhapsode account`: accounts on servers, XEP-0077.

mod password;
mod register;

use std::io::{BufRead, IsTerminal};

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use crate::cli::{Common, Failure};
use crate::secret::Password;

/// Arguments of `account`.
#[derive(Args)]
pub struct Account {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Give a bot's account another password, and the file that the old one is in
    Password(password::ChangePassword),
    /// Make an account on a server that lets clients do that
    Register(register::Register),
}

/// Runs the command.
pub fn run(command: Account, common: &Common) -> Result<(), Failure> {
    match command.what {
        What::Password(command) => password::run(command, common),
        What::Register(command) => register::run(command, common),
    }
}

/// A password from standard input: its first line. It is never an argument, which others can see.
fn read_password() -> Result<Password, Failure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprintln!("the new password (it is shown as you type; one that is made up is better):");
    }
    let mut line = Zeroizing::new(String::new());
    let read = std::io::Read::take(stdin.lock(), LONGEST).read_line(&mut line);
    read.map_err(|error| Failure::new(format!("standard input: {error}")))?;
    match line.trim_end_matches(['\r', '\n']) {
        "" => Err(Failure::new("standard input has no password")),
        text => Ok(Password::new(text.to_owned())),
    }
}

/// Bytes of the longest password that is read.
const LONGEST: u64 = 1024;
