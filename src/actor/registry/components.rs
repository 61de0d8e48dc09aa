//! The components of the registry: started, told of changes, and started again after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, Addr, AsyncContext, Context};

use super::{Crashes, Registry};
use crate::actor::component::{Component, Parts};
use crate::actor::message::{Down, Parting, Retune, Stop};
use crate::actor::notice::{DownNotice, Part};
use crate::config::settings::{ComponentSettings, Settings};
use crate::jid::BareJid;

/// The components that should run, by name.
pub(super) type Components = BTreeMap<String, Entry>;

/// One of them.
pub(super) struct Entry {
    spec: Arc<ComponentSettings>,
    addresses: Arc<BTreeSet<BareJid>>,
    /// The start that counts.
    generation: u64,
    running: Option<Addr<Component>>,
    crashes: Crashes,
}

impl Registry {
    /// Changes over to the components of a configuration.
    pub(super) fn apply_components(&mut self, settings: &Settings) {
        let wanted: BTreeSet<&str> = settings.components.iter().map(|it| it.name.as_str()).collect();
        self.components.retain(|name, entry| {
            let keep = wanted.contains(name.as_str());
            if let Some(running) = entry.running.as_ref().filter(|_| !keep) {
                // An actor that is gone needs no word.
                drop(running.try_send(Stop(Parting::Final)));
            }
            keep
        });
        for spec in &settings.components {
            let behind = settings.bots.iter().filter(|bot| bot.component.as_ref() == Some(&spec.name));
            let addresses = Arc::new(behind.map(|bot| bot.jid.clone()).collect());
            let spec = Arc::new(spec.clone());
            if let Some(entry) = self.components.get_mut(&spec.name) {
                entry.spec = Arc::clone(&spec);
                entry.addresses = Arc::clone(&addresses);
                if let Some(running) = &entry.running
                    && running.try_send(Retune { spec: Arc::clone(&spec), addresses }).is_err()
                {
                    tracing::error!(component = %spec.name, "did not take its new settings; reload once more");
                }
                continue;
            }
            let name = spec.name.clone();
            let entry = Entry { spec, addresses, generation: 0, running: None, crashes: Crashes::default() };
            self.components.insert(name.clone(), entry);
            self.start_component(&name);
        }
    }

    fn start_component(&mut self, name: &str) {
        if self.stopping.is_some() {
            return;
        }
        let Some(entry) = self.components.get_mut(name) else { return };
        let Some(arbiter) = self.arbiters.get(self.next_arbiter) else { return };
        self.next_arbiter = (self.next_arbiter + 1) % self.arbiters.len().max(1);
        self.generation += 1;
        entry.generation = self.generation;
        let parts = Parts {
            deps: Arc::clone(&self.deps),
            spec: Arc::clone(&entry.spec),
            addresses: Arc::clone(&entry.addresses),
            notice: DownNotice::new(name, Part::Component, entry.generation, &self.downs),
            seed: self.deps.seed(),
        };
        entry.running = Some(Component::start_in_arbiter(arbiter, move |_| Component::new(parts)));
        entry.crashes.on_start(Instant::now());
    }

    /// A component is gone. Its accounts wait at its hub for the next one.
    pub(super) fn on_component_down(&mut self, down: &Down, ctx: &mut Context<Self>) {
        let Some(entry) = self.components.get_mut(&down.name) else { return };
        if entry.generation != down.generation {
            return;
        }
        entry.running = None;
        if self.stopping.is_some() {
            return self.report_if_ended();
        }
        let wait = entry.crashes.on_crash(Instant::now());
        tracing::error!(component = %down.name, retry_s = wait.as_secs(), panicked = down.panicked, "restarting");
        let name = down.name.clone();
        ctx.run_later(wait, move |registry, _| {
            if registry.components.get(&name).is_some_and(|entry| entry.running.is_none()) {
                registry.start_component(&name);
            }
        });
    }

    /// Whether no component runs; those that do are told to end, which is when nobody writes to them any more.
    pub(super) fn components_ended(&self) -> bool {
        let mut ended = true;
        for running in self.components.values().filter_map(|entry| entry.running.as_ref()) {
            drop(running.try_send(Stop(Parting::Final)));
            ended = false;
        }
        ended
    }
}
