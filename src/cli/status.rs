//! `rhapsode status`: how the running bots stand.

use clap::Args;

use crate::cli::{Common, Failure, talk};
use crate::ops::control::{Answer, Request};

/// Arguments of `status`.
#[derive(Args)]
pub struct Status {
    /// Names of bots; `*` and `?` stand for characters. Without one, all bots
    #[arg(value_name = "BOT")]
    bots: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(command: Status, common: &Common) -> Result<(), Failure> {
    match talk::ask(common, &Request::Status { bots: command.bots })? {
        Answer::Status(status) if command.json => talk::print_json(&status),
        answer => talk::print(answer),
    }
}
