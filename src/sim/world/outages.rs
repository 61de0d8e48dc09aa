//! Ends and beginnings: the bot's program is killed and starts again, its connection is cut and comes back.

use std::time::Duration;

use super::{World, seed};
use crate::sim::broken::Broken;
use crate::sim::process::{self, Process};

impl World {
    /// The bot's program is killed: nothing is left of it but its store, and nobody says goodbye.
    ///
    /// # Errors
    /// It does not run.
    pub fn crash(&mut self) -> Result<(), Broken> {
        if self.process.take().is_none() {
            return Err(Broken::NotNow { what: "the bot does not run" });
        }
        self.server.hangup(self.now());
        self.settle()
    }

    /// The bot's program is started, with what its store holds.
    ///
    /// # Errors
    /// It runs already, or does not come to rest.
    pub fn start(&mut self) -> Result<(), Broken> {
        if self.process.is_some() {
            return Err(Broken::NotNow { what: "the bot runs already" });
        }
        let process = Process::start(process::Start {
            bot: self.setup.bot.clone(),
            session: self.setup.session.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            seed: seed(self.setup.seed),
            number: self.starts,
            web: self.web.clone(),
        });
        self.starts += 1;
        self.process = Some(process.map_err(Broken::Store)?);
        self.rest()?;
        if self.link {
            self.connect();
        }
        self.rest()?;
        // What fell due while nothing ran is due now.
        self.advance(Duration::ZERO)
    }

    /// The bot's connection is cut; server and bot go on by themselves.
    ///
    /// # Errors
    /// The world does not come to rest.
    pub fn link_down(&mut self) -> Result<(), Broken> {
        if !std::mem::replace(&mut self.link, false) {
            return Err(Broken::NotNow { what: "the link is down already" });
        }
        let now = self.now();
        self.server.hangup(now);
        if let Some(process) = &mut self.process {
            process.on_hangup(now);
        }
        self.settle()
    }

    /// The network is back, and the bot connects at once.
    ///
    /// # Errors
    /// The world does not come to rest.
    pub fn link_up(&mut self) -> Result<(), Broken> {
        if std::mem::replace(&mut self.link, true) {
            return Err(Broken::NotNow { what: "the link is up already" });
        }
        self.connect();
        self.settle()
    }

    pub(super) fn connect(&mut self) {
        let now = self.now();
        if let Some(process) = self.process.as_mut().filter(|process| !process.is_connected()) {
            self.server.connect(now);
            process.connect(now);
            self.handshake = (false, false);
        }
    }
}
