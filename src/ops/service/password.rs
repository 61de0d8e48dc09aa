//! Another password for a bot's account, from the first check to the settings that the process goes on with.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Service;
use crate::actor::message::{Apply, ChangePassword, ChangePasswordOf, PasswordFailed};
use crate::config::diff::{Change, Plan};
use crate::config::password_file;
use crate::config::settings::Settings;
use crate::ops::reload::Loaded;
use crate::secret::Password;

impl Service {
    /// Gives a bot's account another password, and the file that the old one is in. Tells which file that is.
    ///
    /// # Errors
    /// In words. Where the server may or may not have the new password, both are kept until a login shows which holds.
    pub async fn change_password(
        &self,
        bot: &str,
        next: Password,
        within: Duration,
    ) -> Result<String, String> {
        let settings = self.settings();
        let path = changeable(&settings, bot)?;
        let shown = path.display().to_string();
        let (file, password) = (path.clone(), next.clone());
        match tokio::task::spawn_blocking(move || password_file::write_next(&file, &password)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(format!(
                    "an earlier change has not come to its end: `{}` is there\n\
                     hint: `rhapsode reconnect {bot}` shows which password holds",
                    password_file::beside(&path).display()
                ));
            }
            Ok(Err(error)) => {
                return Err(format!(
                    "`{shown}` cannot be given another password: {error}; nothing has changed"
                ));
            }
            Err(fault) => return Err(format!("a fault of this program: {fault}")),
        }
        let (answer, outcome) = oneshot::channel();
        let message = ChangePassword { password: next.clone(), answer };
        let request = ChangePasswordOf { bot: bot.to_owned(), message };
        let told = self.runtime.ask(request).await.unwrap_or(false);
        let outcome = match told {
            true => tokio::time::timeout(within, outcome).await,
            false => Ok(Ok(Err(PasswordFailed::Offline { detail: "does not run".to_owned() }))),
        };
        if !told {
            let file = path.clone();
            let forget = move || password_file::settle(&file, password_file::Settle::Forget);
            // What is left over is settled by the next login.
            drop(tokio::task::spawn_blocking(forget).await);
        }
        match outcome {
            Ok(Ok(Ok(()))) => {
                self.go_on_with(bot, next).await;
                Ok(shown)
            }
            Ok(Ok(Err(PasswordFailed::Unknown))) | Ok(Err(_)) | Err(_) => Err(format!(
                "the server has not said whether it has the new password: both are kept, the new one in `{}`\n\
                 hint: the bot asks again with its next session; `rhapsode reconnect {bot}` begins one",
                password_file::beside(&path).display()
            )),
            Ok(Ok(Err(failed))) => Err(failed.to_string()),
        }
    }

    /// Waits until a bot is online, for as long as it may come online by itself.
    pub async fn wait_online(&self, bot: &str, within: Duration) -> Result<(), String> {
        let until = tokio::time::Instant::now() + within;
        loop {
            let status = self.survey(&[bot.to_owned()]).await?;
            let standing =
                status.accounts.first().map(|account| (account.state.clone(), account.detail.clone()));
            match standing {
                Some((state, _)) if state == "online" => return Ok(()),
                Some((state, detail)) if state == "refused" || state == "paused" => {
                    return Err(format!("the account is not online: {detail}"));
                }
                _ if tokio::time::Instant::now() >= until => {
                    return Err("the account did not come online in time; nothing has changed".to_owned());
                }
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// The settings that are in force have the new password, so that a later reload sees no change in it.
    async fn go_on_with(&self, bot: &str, password: Password) {
        let loaded = Arc::clone(&self.loaded.borrow());
        let mut settings: Settings = (*loaded.settings).clone();
        let Some(changed) = settings.bots.iter_mut().find(|settings| settings.name == bot) else { return };
        changed.password = password;
        if let Some(file) = &mut changed.password_file {
            file.next = None;
        }
        let settings = Arc::new(settings);
        let plan = Plan {
            reconfigure: vec![Change { bot: bot.to_owned(), keys: vec!["password".to_owned()] }],
            ..Plan::default()
        };
        let (library, declared) = (loaded.library.clone(), loaded.declared.clone());
        *self.loaded.borrow_mut() = Arc::new(Loaded { settings: Arc::clone(&settings), library, declared });
        let apply = Apply { settings, plan, scripts: Default::default() };
        // A registry that is gone has no bot to tell.
        let _ = self.runtime.apply(apply).await;
    }
}

/// The file of a bot whose password can be changed.
fn changeable(settings: &Settings, bot: &str) -> Result<std::path::PathBuf, String> {
    let found = settings.bots.iter().find(|settings| settings.name == bot);
    let Some(settings_of) = found else {
        return Err(format!("no bot `{bot}` in `{}`", settings.file.display()));
    };
    if settings_of.component.is_some() || settings_of.anonymous {
        return Err(format!(
            "`{bot}` has no password: {}",
            match settings_of.anonymous {
                true => "it logs in as nobody",
                false => "it stands behind a component",
            }
        ));
    }
    let Some(file) = &settings_of.password_file else {
        return Err(format!(
            "the password of `{bot}` is not in a file of its own, so a new one could not be kept\n\
             hint: write `password: {{ file: PATH }}` and put the old one there"
        ));
    };
    let shares = |other: &&crate::config::settings::BotSettings| {
        other.name != bot && other.password_file.as_ref().is_some_and(|theirs| theirs.path == file.path)
    };
    match settings.bots.iter().find(shares) {
        Some(other) => Err(format!(
            "`{}` has its password from `{}` as well\nhint: give each bot a file of its own",
            other.name,
            file.path.display()
        )),
        None => Ok(file.path.clone()),
    }
}
