//! `rhapsode stop`: end the running process in order.

use std::time::{Duration, Instant};

use clap::Args;

use crate::cli::{Common, Failure, talk};
use crate::ops::control::{Answer, Request};

/// How long the process may take: its own limits add up to less.
const PATIENCE: Duration = Duration::from_secs(30);

/// Arguments of `stop`.
#[derive(Args)]
pub struct Stop {}

/// Runs the command; it returns when the process has let go of its socket.
pub fn run(_: Stop, common: &Common) -> Result<(), Failure> {
    let socket = talk::socket(common)?;
    if let Answer::Refused { text } = talk::ask(common, &Request::Stop)? {
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
