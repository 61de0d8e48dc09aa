//! What came of it: what the bot has said, what went wrong, what is stored.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Line, Place, World};
use crate::script::ScriptUse;
use crate::script::error::ScriptError;
use crate::script::outside::HttpResponse;
use crate::script::trace::Trace;
use crate::sim::process::Process;
use crate::store::error::StoreError;
use crate::store::{Scope, TimerRow};

impl World {
    /// The next thing that the bot has said in this place.
    pub fn hear(&mut self, place: &Place) -> Option<Line> {
        let index = self.lines.iter().position(|line| line.place == *place)?;
        self.lines.remove(index)
    }

    /// Everything that the bot has said and nobody has asked for.
    pub fn unheard(&mut self) -> Vec<Line> {
        self.lines.drain(..).collect()
    }

    /// Messages that have arrived since the beginning.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// What has gone wrong in scripts since the last look.
    pub fn take_failures(&mut self) -> Vec<ScriptError> {
        std::mem::take(&mut self.failures)
    }

    /// What the bot's scripts made of its last events since it was started, the oldest first.
    pub fn traces(&self) -> Vec<Trace> {
        self.process.as_ref().map(Process::traces).unwrap_or_default()
    }

    /// From now on, requests of this address are answered so; `*` at its end stands for any rest.
    pub fn answer(&self, method: &str, url: &str, status: u16, body: &str) {
        let answer = HttpResponse { status, body: body.as_bytes().to_vec(), ..HttpResponse::default() };
        self.web.record(method, url, answer);
    }

    /// Requests since the last look for which no answer was recorded.
    pub fn take_unexpected(&self) -> Vec<String> {
        self.web.take_unexpected()
    }

    /// The stanzas since the last look, as they were sent and received.
    pub fn take_stanzas(&mut self) -> Vec<String> {
        self.stanzas.drain(..).collect()
    }

    /// What a script has stored, by key: up to so many values, in byte order.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn stored(&self, script: &str, limit: usize) -> Result<BTreeMap<String, Value>, StoreError> {
        let scope = Scope { bot: self.setup.bot.name.clone(), script: script.to_owned() };
        let mut all = BTreeMap::new();
        for key in self.reader.keys(&scope, "", limit)? {
            if let Some(value) = self.reader.get(&scope, &key)? {
                all.insert(key, value);
            }
        }
        Ok(all)
    }

    /// Timers that a script has set, the earliest first: up to so many.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn timers(&self, script: &str, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        let scope = Scope { bot: self.setup.bot.name.clone(), script: script.to_owned() };
        self.reader.timers(&scope, None, limit)
    }

    /// Whether the bot runs and is connected.
    pub fn is_online(&self) -> bool {
        self.process.as_ref().is_some_and(Process::is_online)
    }

    /// The scripts that the bot runs.
    pub fn scripts(&self) -> &[ScriptUse] {
        &self.setup.bot.scripts
    }
}
