//! Signals: HUP reloads, TERM and INT stop in order, a second one stops at once.
//!
//! TERM comes from whatever manages services, most often to start anew at once: sessions are left to the next process.
//! INT comes from somebody at the keyboard, who wants the bots gone. See docs/decisions/0042-parting.md.

use std::rc::Rc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::actor::message::Parting;
use crate::ops::service::Service;
use crate::ops::watch::tell;

/// The signals of the process.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Takes the signals over from the system.
    ///
    /// # Errors
    /// When the system does not give them.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Serves until somebody wants the end: a signal, or a word through `stop`.
    pub async fn until_stop(&mut self, service: &Rc<Service>, stop: &mut mpsc::Receiver<Parting>) -> Parting {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Parting::Resumable,
                _ = self.interrupt.recv() => return Parting::Final,
                parting = stop.recv() => return parting.unwrap_or(Parting::Final),
                _ = self.hangup.recv() => {
                    tracing::info!("reloading after SIGHUP");
                    tell(&service.reload(false).await);
                }
            }
        }
    }

    /// Resolves with the next signal to end.
    pub async fn again(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
