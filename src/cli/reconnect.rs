//! `rhapsode reconnect`: close and reopen the connections of bots.

use clap::Args;

use crate::cli::{Common, Failure, talk};
use crate::ops::control::Request;

/// Arguments of `reconnect`.
#[derive(Args)]
pub struct Reconnect {
    /// Names of bots; `*` and `?` stand for characters
    #[arg(required = true, value_name = "BOT")]
    bots: Vec<String>,
}

/// Runs the command.
pub fn run(command: Reconnect, common: &Common) -> Result<(), Failure> {
    talk::print(talk::ask(common, &Request::Reconnect { bots: command.bots })?)
}
