//! `rhapsode account password`: another password for a bot's account, over its own connection.

use std::time::Duration;

use clap::Args;

use super::read_password;
use crate::actor::message::Parting;
use crate::actor::runtime::block_on;
use crate::cli::{Common, Failure, talk};
use crate::ops::control::{Answer, Hidden, Request};
use crate::ops::service::{Service, new_password, prepare};
use crate::secret::Password;

/// Arguments of `account password`.
#[derive(Args)]
pub struct ChangePassword {
    /// The bot; its password has to be in a file of its own
    #[arg(value_name = "BOT")]
    bot: String,
    /// Read the new password from standard input; otherwise one is made up
    #[arg(long)]
    stdin: bool,
    /// Seconds to wait for the server
    #[arg(long, default_value_t = 40, value_name = "SECONDS")]
    within: u64,
}

/// Runs the command: through the running process, or by itself where none runs.
pub fn run(command: ChangePassword, common: &Common) -> Result<(), Failure> {
    let given = command.stdin.then(read_password).transpose()?;
    let socket = talk::socket(common)?;
    let request = Request::Password {
        bot: command.bot.clone(),
        password: given.as_ref().map(|password| Hidden(password.reveal().to_owned())),
        within_s: command.within,
    };
    match talk::ask_at(&socket, &request)? {
        Ok(Answer::Refused { text }) => Err(Failure::new(text)),
        Ok(answer) => talk::print(answer),
        Err(_nobody_runs) => alone(command, given, common),
    }
}

/// Logs in with this one account, changes its password, and leaves.
fn alone(command: ChangePassword, given: Option<Password>, common: &Common) -> Result<(), Failure> {
    let file = common.file()?;
    let prepared = prepare(&file).map_err(Failure::Problems)?;
    if !prepared.settings().bots.iter().any(|bot| bot.name == command.bot) {
        return Err(Failure::new(format!("no bot `{}` in `{}`", command.bot, file.display())));
    }
    // All bots are looked at: a file that two share is given no other password.
    let prepared = prepared.only_connecting(&command.bot);
    let next = match given {
        Some(password) => password,
        None => new_password().map_err(|error| Failure::new(error.to_string()))?,
    };
    let mut log = prepared.settings().log.clone();
    log.level = "error".to_owned();
    let levels = crate::ops::log::install(&log, common.louder());
    let within = Duration::from_secs(command.within);
    let changed = block_on(async move {
        let (service, applying) =
            Service::start(prepared, Some(levels)).map_err(|error| Failure::new(error.to_string()))?;
        applying.apply().await;
        let changed = match service.wait_online(&command.bot, within).await {
            Ok(()) => service.change_password(&command.bot, next, within).await,
            Err(text) => Err(text),
        };
        service.stop(Parting::Final).await;
        changed.map_err(Failure::new)
    })?;
    println!("{changed}");
    Ok(())
}
