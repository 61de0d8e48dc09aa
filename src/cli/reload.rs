//! `rhapsode reload`: read everything anew, completely or not at all.

use clap::Args;

use crate::cli::{Common, Failure, talk};
use crate::ops::control::{Answer, Request};
use crate::ops::reload::Outcome;

/// Arguments of `reload`.
#[derive(Args)]
pub struct Reload {
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command. A plan that is refused goes to stderr, and the command fails.
pub fn run(command: Reload, common: &Common) -> Result<(), Failure> {
    let answer = talk::ask(common, &Request::Reload { dry_run: command.dry_run })?;
    let Answer::Reloaded { text, plan } = answer else { return talk::print(answer) };
    let refused = plan.outcome == Outcome::Refused;
    if command.json {
        talk::print_json(&plan)?;
    } else if refused {
        eprint!("{text}");
    } else {
        print!("{text}");
    }
    if refused { Err(Failure::Said) } else { Ok(()) }
}
