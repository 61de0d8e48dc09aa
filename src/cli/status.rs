//! `rhapsode status`: how the running bots stand.

use clap::Args;

use crate::cli::{Common, Failure, talk};
use crate::ops::control::{Answer, Request};

/// Arguments of `status`.
#[derive(Args)]
pub struct Status {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(command: Status, common: &Common) -> Result<(), Failure> {
    match talk::ask(common, &Request::Status)? {
        Answer::Status(status) if command.json => {
            let text = serde_json::to_string_pretty(&status)
                .map_err(|error| Failure::new(format!("the status cannot be written as JSON: {error}")))?;
            println!("{text}");
            Ok(())
        }
        answer => talk::print(answer),
    }
}
