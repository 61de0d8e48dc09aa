//! `rhapsode stop`: end the running process in order.

use std::time::{Duration, Instant};

use clap::Args;

use crate::cli::{Common, Failure, talk};
use crate::ops::control::{Answer, Request};

/// How long the process may take: its own limits add up to less.
const PATIENCE: Duration = Duration::from_secs(30);

/// Arguments of `stop`.
#[derive(Args)]
pub struct Stop {
    /// The bots go offline for everybody at once. Without it servers keep their sessions for the next process, mostly
    /// for 5 to 10 minutes, and contacts and rooms do not see them leave
    #[arg(long)]
    leave: bool,
}

/// Runs the command; it returns when the process has let go of its socket.
pub fn run(command: Stop, common: &Common) -> Result<(), Failure> {
    let socket = talk::socket(common)?;
    if let Answer::Refused { text } = talk::ask(common, &Request::Stop { leave: command.leave })? {
        return Err(Failure::new(text));
    }
    let began = Instant::now();
    while socket.exists() {
        if began.elapsed() > PATIENCE {
            return Err(Failure::new("the process was told to stop and has not ended yet"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
