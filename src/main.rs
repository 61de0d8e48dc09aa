//! The program: see [`rhapsode::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    rhapsode::cli::main(std::env::args_os())
}
