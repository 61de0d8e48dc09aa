//! `rhapsode schema`: the JSON Schema of `bots.yaml`, for editors.

use clap::Args;

use crate::cli::{Common, Failure};
use crate::config;
use crate::config::options::{ScriptOption, json_schema_with};
use crate::ops::scripts;

/// Arguments of `schema`.
#[derive(Args)]
pub struct Schema {
    /// Also what the scripts of this project declare with `option`
    #[arg(long)]
    project: bool,
}

/// Runs the command.
pub fn run(command: Schema, common: &Common) -> Result<(), Failure> {
    let options = if command.project { project(common)? } else { Vec::new() };
    println!("{:#}", json_schema_with(&options));
    Ok(())
}

/// The options of all scripts of the project.
fn project(common: &Common) -> Result<Vec<ScriptOption>, Failure> {
    let file = common.file()?;
    let var = |name: &str| std::env::var(name).ok();
    let found = config::inspect(&file, &config::Surroundings { var: &var, run_commands: false });
    let (library, problems) = scripts::load(&found.scripts);
    if problems.iter().any(|problem| problem.is_error()) {
        return Err(Failure::Problems(problems));
    }
    Ok(scripts::options(&library))
}
