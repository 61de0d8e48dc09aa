//! Another password for the account, XEP-0077: asked for over the live connection, and settled by what the server says
//! or, where it could not say, by the next login.

use std::sync::Arc;

use actix::{Context, Handler};
use tokio::sync::oneshot;

use crate::actor::account::Account;
use crate::actor::message::{ChangePassword, PasswordFailed};
use crate::config::password_file::{self, Settle};
use crate::config::settings::BotSettings;
use crate::event::RequestFailed;
use crate::moment::Moment;
use crate::secret::Password;

/// A change that has not come to its end. The new password lies beside the old one on disk.
pub struct Change {
    next: Password,
    /// Somebody waits for the end.
    answer: Option<Answer>,
    /// The old password was refused: the login is tried with the new one.
    pub trying: bool,
}

type Answer = oneshot::Sender<Result<(), PasswordFailed>>;

impl Change {
    /// What an earlier process has left.
    pub fn left(spec: &BotSettings) -> Option<Self> {
        let next = spec.password_file.as_ref()?.next.clone()?;
        Some(Self { next, answer: None, trying: false })
    }
}

impl Handler<ChangePassword> for Account {
    type Result = ();

    fn handle(&mut self, message: ChangePassword, ctx: &mut Context<Self>) {
        let now = self.deps.now();
        let ChangePassword { password, answer } = message;
        if !self.outbox.is_online() {
            let detail = self.board.standing().detail;
            return self.settle_password(
                Settle::Forget,
                Some(answer),
                Err(PasswordFailed::Offline { detail }),
            );
        }
        if self.change.is_some() {
            // It has written nothing that is not the earlier one's: nothing is taken away.
            drop(answer.send(Err(PasswordFailed::Unknown)));
            return;
        }
        self.change = Some(Change { next: password, answer: Some(answer), trying: false });
        self.ask_for_password(now);
        self.turn(ctx);
    }
}

impl Account {
    /// What the account logs in with.
    pub(super) fn login_password(&self) -> Password {
        match &self.change {
            Some(change) if change.trying => change.next.clone(),
            Some(_) | None => self.spec.password.clone(),
        }
    }

    /// The password was refused. Whether there is another one to try, which the server may have taken meanwhile.
    pub(super) fn try_next_password(&mut self) -> bool {
        let Some(change) = &mut self.change else { return false };
        change.trying = !change.trying;
        change.trying
    }

    /// The login has shown which password holds.
    pub(super) fn on_password_proved(&mut self) {
        if self.change.as_ref().is_some_and(|change| change.trying) {
            self.on_password_taken();
        }
    }

    /// Asks for the new password, also again: a server that has it already says so. Whether the request that a lost
    /// connection had carried was heard nobody knows.
    pub(super) fn ask_for_password(&mut self, now: Moment) {
        let Some(change) = &self.change else { return };
        if self.session.is_changing_password() {
            return;
        }
        if let Err(refused) = self.session.change_password(now, &change.next) {
            self.on_password_refused(refused.to_string());
        }
    }

    /// The server has answered, or will not.
    pub(super) fn on_password_changed(&mut self, outcome: Result<(), RequestFailed>) {
        match outcome {
            Ok(()) => {
                // Those of the old one are of no more use.
                self.keys = None;
                self.forget_token();
                self.on_password_taken();
            }
            Err(RequestFailed::Error(error)) => self.on_password_refused(error.to_string()),
            // The next session asks again.
            Err(RequestFailed::SessionLost) => {}
            Err(RequestFailed::Timeout) => {
                tracing::warn!(bot = %self.spec.name, "no answer about the new password; it is asked for again with the next session");
                if let Some(answer) = self.change.as_mut().and_then(|change| change.answer.take()) {
                    // Whoever asked may have gone away.
                    drop(answer.send(Err(PasswordFailed::Unknown)));
                }
            }
        }
    }

    fn on_password_taken(&mut self) {
        let Some(change) = self.change.take() else { return };
        let spec = Arc::make_mut(&mut self.spec);
        spec.password = change.next;
        if let Some(file) = &mut spec.password_file {
            file.next = None;
        }
        tracing::info!(bot = %self.spec.name, "the server has the new password");
        self.settle_password(Settle::Accept, change.answer, Ok(()));
    }

    fn on_password_refused(&mut self, detail: String) {
        let Some(change) = self.change.take() else { return };
        tracing::warn!(bot = %self.spec.name, detail, "the server does not take the new password");
        self.settle_password(Settle::Forget, change.answer, Err(PasswordFailed::Refused { detail }));
    }

    /// Changes the files, then tells whoever waits.
    fn settle_password(&self, settle: Settle, answer: Option<Answer>, outcome: Result<(), PasswordFailed>) {
        let Some(file) = self.spec.password_file.clone() else { return };
        let bot = self.spec.name.clone();
        actix::spawn(async move {
            let path = file.path.clone();
            let settled = tokio::task::spawn_blocking(move || password_file::settle(&path, settle)).await;
            let failed = match settled {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(fault) => Some(fault.to_string()),
            };
            let outcome = match failed {
                Some(detail) => {
                    tracing::error!(bot, file = %file.path.display(), detail, ?settle, "the password file could not be changed");
                    outcome.and(Err(PasswordFailed::Unsettled { detail }))
                }
                None => outcome,
            };
            if let Some(answer) = answer {
                // Whoever asked may have gone away.
                drop(answer.send(outcome));
            }
        });
    }
}
