//! `rhapsode reload`: read everything anew, completely or not at all.

use clap::Args;

use crate::cli::{Common, Failure, talk};
use crate::ops::control::Request;

/// Arguments of `reload`.
#[derive(Args)]
pub struct Reload {
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
pub fn run(command: Reload, common: &Common) -> Result<(), Failure> {
    talk::print(talk::ask(common, &Request::Reload { dry_run: command.dry_run })?)
}
