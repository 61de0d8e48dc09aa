//! `rhapsode completions`: a completion script for a shell.

use clap::Args;
use clap_complete::Shell;

use crate::cli::{Failure, tree};

/// Arguments of `completions`.
#[derive(Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the command.
pub fn run(command: Completions) -> Result<(), Failure> {
    clap_complete::generate(command.shell, &mut tree(), "rhapsode", &mut std::io::stdout());
    Ok(())
}
