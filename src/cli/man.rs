//! `rhapsode man`: the manual page, with every command.

use std::io::Write;

use clap::Args;

use crate::cli::{Failure, tree};

/// Arguments of `man`.
#[derive(Args)]
pub struct Man {}

/// Runs the command.
pub fn run(_: Man) -> Result<(), Failure> {
    let page = page().map_err(|error| Failure::new(format!("the page cannot be written: {error}")))?;
    std::io::stdout().write_all(&page).map_err(|error| Failure::new(format!("stdout: {error}")))
}

/// The page as roff.
fn page() -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let tree = tree();
    clap_mangen::Man::new(tree.clone()).render(&mut page)?;
    for command in tree.get_subcommands().filter(|command| !command.is_hide_set()) {
        let man = clap_mangen::Man::new(command.clone().disable_help_flag(true));
        writeln!(page, ".SH \"RHAPSODE {}\"", command.get_name().to_uppercase())?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_command() {
        let page = String::from_utf8(page().expect("writing to memory")).expect("roff is text");
        for command in tree().get_subcommands() {
            assert!(page.contains(&command.get_name().to_uppercase()), "{} is missing", command.get_name());
        }
    }
}
