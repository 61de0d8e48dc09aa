//! An account behind an external component: it has no connection of its own, only a place on the component's.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::actor::account::Account;
use crate::actor::account::connect::{Phase, Then};
use crate::actor::component::{Port, Routed, Word};
use crate::actor::status::State;
use crate::moment::Moment;
use crate::stream::Stream;

impl Account {
    /// Whether the account stands behind a component.
    pub(super) fn is_hosted(&self) -> bool {
        self.spec.component.is_some()
    }

    /// Takes its place; the component says when there is a stream.
    pub(super) fn join(&mut self, component: &str) {
        self.load.store(0, Ordering::Relaxed);
        let port = Port::new(
            self.routed.clone(),
            self.connection,
            Arc::clone(&self.load),
            self.spec.limits.queue.max(1),
        );
        self.deps.hub(component).push(Word::Join { jid: self.spec.jid.clone(), port });
    }

    /// Gives its place up.
    pub(super) fn leave(&self, connection: u64) {
        if let Some(component) = &self.spec.component {
            self.deps.hub(component).push(Word::Leave { jid: self.spec.jid.clone(), connection });
        }
    }

    /// The operator wants it online: a component that had given up tries again.
    pub(super) fn wake_component(&self) {
        if let Some(component) = &self.spec.component {
            self.deps.hub(component).push(Word::Again);
        }
    }

    pub(super) fn on_routed(&mut self, now: Moment, connection: u64, routed: Routed) {
        if connection != self.connection {
            return;
        }
        match routed {
            Routed::Up(link) => match self.spec.jid.with_resource(&self.deps.resource(&self.spec)) {
                Ok(jid) => {
                    self.link = Some(link);
                    self.stream = Some(Box::new(Stream::hosted(jid, self.ids.fork(), now.at)));
                }
                Err(error) => {
                    self.phase = Phase::Parked;
                    self.set_state(State::Refused, format!("the resource is no resourcepart: {error}"), None);
                }
            },
            Routed::Stanza(stanza) => {
                if let Some(stream) = &mut self.stream {
                    stream.on_stanza(stanza);
                }
            }
            Routed::Down { detail, refused, retry } => {
                let state = if refused { State::Refused } else { State::Retrying };
                self.set_state(state, detail.clone(), retry);
                self.on_place_lost(now);
                if refused {
                    self.fail_waiting(&detail);
                }
            }
        }
    }

    /// The component has told the operator: here it is only a state.
    fn on_place_lost(&mut self, now: Moment) {
        self.link = None;
        self.stream = None;
        let was_online = self.take_online();
        self.session.on_offline(now);
        if was_online {
            self.tell_offline();
        }
        if matches!(self.phase, Phase::Draining { .. } | Phase::Closing { .. }) {
            self.phase = Phase::Closing { due: now.at, then: Then::Stop };
        }
    }

    /// Tells the component how much of what it gave is still to be handled.
    pub(super) fn show_load(&self) {
        if self.is_hosted() {
            self.load.store(self.outstanding + self.outgoing.len(), Ordering::Relaxed);
        }
    }
}
