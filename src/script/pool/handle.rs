//! What others may do with one bot of a pool.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::cron::Schedule;
use crate::event::room::RoomsView;
use crate::jid::BareJid;
use crate::script::batch;
use crate::script::metrics::Metric;
use crate::script::pool::{BotHandle, locked, locked_write};
use crate::script::roles::People;
use crate::script::speech::Speech;
use crate::script::trace::Trace;
use crate::script::worst::Worst;
use crate::script::{Delivery, QueueFull, Roles, ScriptState, ScriptUse};

impl BotHandle {
    /// Queues an event behind those that wait.
    ///
    /// # Errors
    /// [`QueueFull`] when as many wait as the bot may have: hold the stanza and try again after the next
    /// [`Sink::turned`].
    pub fn deliver(&self, delivery: Delivery) -> Result<(), QueueFull> {
        self.shared.offer(&self.cell, delivery)
    }

    /// Queues events that one stanza has become, all or none; they are committed together. A large group may exceed
    /// what the bot may have.
    ///
    /// # Errors
    /// All of them, when as many wait as the bot may have.
    pub fn deliver_group(&self, group: Vec<Delivery>) -> Result<(), Vec<Delivery>> {
        self.shared.offer_group(&self.cell, group)
    }

    /// Replaces the scripts between two turns. A script whose version and configuration are as before keeps its
    /// state; timers and stored values carry over by the script's name. One whose new version fails to load goes
    /// on in the old one.
    pub fn swap(&self, scripts: Vec<ScriptUse>) {
        locked(&self.cell.state).swaps.push_back(scripts);
        self.shared.schedule(&self.cell);
    }

    /// Replaces who the admins are and who has which role, from the next command on, how many events may wait (at least one), and what the
    /// bot does by the clock. Events that wait already stay.
    pub fn configure(&self, admins: Vec<BareJid>, roles: Roles, queue: usize, schedules: Vec<Schedule>) {
        *locked_write(&self.cell.identity.people) = People { admins, roles };
        self.cell.capacity.store(queue.max(1), Ordering::Relaxed);
        locked(&self.cell.state).schedules = Some(schedules);
        self.shared.schedule(&self.cell);
    }

    /// Shows the scripts how the bot's rooms are, from the next call on.
    pub fn show_rooms(&self, rooms: Arc<RoomsView>) {
        self.cell.identity.rooms.show(&self.cell.identity.name, rooms);
    }

    /// Replaces how the bot speaks where no script says so, from the next call on.
    pub fn speak(&self, speech: Speech) {
        *locked_write(&self.cell.identity.speech) = speech;
    }

    /// Tells how many bytes of one stanza the bot's server takes: longer texts are split.
    pub fn note_stanza_limit(&self, bytes: usize) {
        self.cell.identity.stanza.store(bytes, Ordering::Relaxed);
    }

    /// Events that wait.
    pub fn queued(&self) -> usize {
        locked(&self.cell.state).events
    }

    /// The bot's scripts, as they were after the last replacement or failure.
    pub fn scripts(&self) -> Vec<ScriptState> {
        locked(&self.cell.scripts).clone()
    }

    /// What the bot made of its last events, the oldest first.
    pub fn traces(&self) -> Vec<Trace> {
        locked(&self.cell.traces).all()
    }

    /// What the bot's scripts count.
    pub fn metrics(&self) -> Vec<Metric> {
        self.cell.identity.metrics.all()
    }

    /// The most that one turn, or the loading of one script, has taken so far.
    pub fn worst(&self) -> Worst {
        *locked(&self.cell.worst)
    }

    /// Whether the bot runs on the slow lane, because a turn took long.
    pub fn is_slow(&self) -> bool {
        locked(&self.cell.state).slow
    }

    /// Ends the bot after the turn it is in; events that wait are dropped unhandled.
    pub fn remove(self) {
        let dropped = {
            let mut state = locked(&self.cell.state);
            state.removed = true;
            state.events = 0;
            std::mem::take(&mut state.items)
        };
        locked_write(&self.shared.addresses).remove(&self.cell.identity.jid);
        self.cell.identity.rooms.vacate(&self.cell.identity.name);
        let mut bots = locked(&self.shared.bots);
        let name = &self.cell.identity.name;
        if bots.get(name).is_some_and(|weak| std::ptr::eq(weak.as_ptr(), Arc::as_ptr(&self.cell))) {
            bots.remove(name);
            locked_write(&self.shared.names).remove(name);
        }
        drop(bots);
        // A bot of the same name gets the timers that this one did not.
        self.shared.ticker.lost(dropped.iter().filter_map(batch::timer));
        self.shared.schedule(&self.cell);
    }
}
