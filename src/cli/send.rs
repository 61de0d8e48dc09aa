//! `rhapsode send`: one message from a configured account.

use std::time::Duration;

use clap::Args;

use crate::actor::message::Parting;
use crate::actor::runtime::block_on;
use crate::cli::{Common, Failure, talk};
use crate::jid::Jid;
use crate::ops::control::{Answer, Request};
use crate::ops::service::{Service, prepare};

/// Arguments of `send`.
#[derive(Args)]
pub struct Send {
    /// The bot that sends
    #[arg(long, value_name = "BOT")]
    from: String,
    /// The recipient
    #[arg(long, value_name = "JID")]
    to: String,
    /// Seconds to wait for the server's acknowledgement
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    within: u64,
    /// The text
    text: String,
}

/// Runs the command: through the running process, or by itself where none runs.
pub fn run(command: Send, common: &Common) -> Result<(), Failure> {
    let to = Jid::parse(&command.to).map_err(|error| Failure::new(format!("`{}`: {error}", command.to)))?;
    let socket = talk::socket(common)?;
    let request = Request::Send {
        from: command.from.clone(),
        to: command.to.clone(),
        text: command.text.clone(),
        within_s: command.within,
    };
    match talk::ask_at(&socket, &request)? {
        Ok(Answer::Refused { text }) => Err(Failure::new(text)),
        Ok(_) => Ok(()),
        Err(_nobody_runs) => alone(command, to, common),
    }
}

/// Logs in with this one account, sends, and leaves.
fn alone(command: Send, to: Jid, common: &Common) -> Result<(), Failure> {
    let file = common.file()?;
    let prepared = prepare(&file).map_err(Failure::Problems)?;
    let known = prepared.settings().bots.iter().any(|bot| bot.name == command.from);
    if !known {
        return Err(Failure::new(format!("no bot `{}` in `{}`", command.from, file.display())));
    }
    let prepared = prepared.only(&command.from);
    let mut log = prepared.settings().log.clone();
    log.level = "error".to_owned();
    let levels = crate::ops::log::install(&log, common.louder());
    block_on(async move {
        let (service, applying) =
            Service::start(prepared, Some(levels)).map_err(|error| Failure::new(error.to_string()))?;
        applying.apply().await;
        let sent = service.send(command.from, to, command.text, Duration::from_secs(command.within)).await;
        service.stop(Parting::Final).await;
        sent.map_err(|failed| Failure::new(failed.to_string()))
    })
}
