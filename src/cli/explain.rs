//! `rhapsode explain`: what a named problem means, offline.

use clap::Args;
use serde_json::json;

use crate::cli::Failure;
use crate::diagnostic::{did_you_mean, pages};

/// Arguments of `explain`.
#[derive(Args)]
pub struct Explain {
    /// The name, such as `script::plain_string`; without one, all are listed
    name: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(command: Explain) -> Result<(), Failure> {
    let object =
        |page: &pages::Page| json!({ "name": page.name, "meaning": page.meaning, "text": page.text });
    let Some(name) = command.name else {
        if command.json {
            println!("{:#}", pages::all().map(object).collect::<serde_json::Value>());
            return Ok(());
        }
        let width = pages::all().map(|page| page.name.len()).max().unwrap_or(0);
        for page in pages::all() {
            println!("{:width$}  {}", page.name, page.meaning);
        }
        return Ok(());
    };
    match pages::find(&name) {
        Some(page) if command.json => println!("{:#}", object(page)),
        Some(page) => print!("{}", page.markdown()),
        None => {
            let hint = did_you_mean(&name, pages::all().map(|page| page.name));
            let hint = hint.unwrap_or_else(|| "`rhapsode explain` lists all names".to_owned());
            return Err(Failure::with_hint(format!("no diagnostic is called `{name}`"), hint));
        }
    }
    Ok(())
}
