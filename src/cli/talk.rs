//! Talking to the running process over its control socket: what `talk::ask` does for the commands.

use std::path::PathBuf;

use crate::cli::{Common, Failure, shown};
use crate::config;
use crate::ops::control::{self, Answer, Request, Silent};
use crate::ops::service::socket_path;

/// Asks the process that runs this configuration.
pub fn ask(common: &Common, request: &Request) -> Result<Answer, Failure> {
    let socket = socket(common)?;
    match ask_at(&socket, request)? {
        Ok(answer) => Ok(answer),
        Err(error) => Err(Failure::with_hint(
            format!("no process answers at `{}`: {error}", shown(&socket)),
            "start it with `rhapsode run`, or name its configuration with --config",
        )),
    }
}

/// Asks at a socket; the inner error says that nobody runs there.
pub fn ask_at(
    socket: &std::path::Path,
    request: &Request,
) -> Result<Result<Answer, std::io::Error>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("no runtime: {error}")))?;
    match runtime.block_on(control::ask(socket, request)) {
        Ok(answer) => Ok(Ok(answer)),
        Err(Silent::NotRunning { error }) => Ok(Err(error)),
        Err(Silent::Unreadable { error }) => Err(Failure::with_hint(
            format!("the running process answered something else: {error}"),
            "is it another version? restart it",
        )),
    }
}

/// Where the control socket of the configuration lies. Secrets are not resolved for this.
pub fn socket(common: &Common) -> Result<PathBuf, Failure> {
    let file = common.file()?;
    let var = |name: &str| std::env::var(name).ok();
    let found = config::inspect(&file, &config::Surroundings { var: &var, run_commands: false });
    // Neither a broken configuration nor a secret that only the service has keeps anybody from asking.
    match found.storage {
        Some(storage) => Ok(socket_path(&storage)),
        None => {
            let usual = socket_path(&file.parent().unwrap_or(std::path::Path::new("")).join("data"));
            if usual.exists() { Ok(usual) } else { Err(Failure::Problems(found.diagnostics)) }
        }
    }
}

/// Prints a plain answer.
pub fn print(answer: Answer) -> Result<(), Failure> {
    match answer {
        Answer::Done { text } => {
            if !text.is_empty() {
                println!("{}", text.trim_end());
            }
            Ok(())
        }
        Answer::Refused { text } => Err(Failure::new(text.trim_end())),
        Answer::Dead { letters } => {
            letters.iter().for_each(|letter| print!("{}", letter.to_text()));
            Ok(())
        }
        Answer::Why { events } => {
            events.iter().for_each(|event| println!("{}", event.text.trim_end()));
            Ok(())
        }
        Answer::Reloaded { text, .. } => {
            print!("{text}");
            Ok(())
        }
        Answer::Status(status) => {
            print!("{}", status.to_text());
            Ok(())
        }
    }
}

/// Prints something as JSON that people can read, too.
pub fn print_json(what: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(what)
        .map_err(|error| Failure::new(format!("the answer cannot be written as JSON: {error}")))?;
    println!("{text}");
    Ok(())
}
