//! `rhapsode definitions`: what scripts can call, in the form that editors read.

use std::path::PathBuf;

use clap::Args;

use crate::cli::Failure;
use crate::script::definitions::definitions;

/// Arguments of `definitions`.
#[derive(Args)]
pub struct Definitions {
    /// Write it there instead of to the terminal, such as `rhapsode.d.rhai` beside the scripts
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs the command.
pub fn run(command: Definitions) -> Result<(), Failure> {
    match command.out {
        None => print!("{}", definitions()),
        Some(file) => std::fs::write(&file, definitions())
            .map_err(|why| Failure::new(format!("`{}` cannot be written: {why}", file.display())))?,
    }
    Ok(())
}
