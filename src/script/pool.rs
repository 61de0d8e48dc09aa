//! The threads that run scripts: a queue per bot, a fast and a slow lane, one commit in flight per bot.

use std::sync::Arc;

use crate::moment::Moment;
use crate::script::data::Data;
use crate::script::{BotSpec, Delivery, QueueFull, ScriptUse, Sink};

/// How a pool is started.
#[derive(Clone)]
pub struct PoolOptions {
    /// Threads of the fast lane; the slow lane has one more.
    pub workers: usize,
    /// Where values and timers live: [`crate::store::Store`], or [`crate::script::data::Memory`].
    pub data: Arc<dyn Data>,
    /// The clock. Tests hand in their own and call [`Pool::wake`].
    pub clock: Arc<dyn Fn() -> Moment + Send + Sync>,
    /// From which `rand::` follows.
    pub seed: crate::ids::Seed,
}

/// The threads that run the scripts of all bots. Dropping it ends them after the turn they are in.
pub struct Pool {
    options: PoolOptions,
}

/// One bot on a pool.
#[derive(Clone)]
pub struct BotHandle {}

impl Pool {
    /// Starts the threads.
    pub fn start(options: PoolOptions) -> Pool {
        Pool { options }
    }

    /// Takes a bot in. Its scripts are loaded on a script thread; those that fail to load are parked and told in
    /// [`crate::script::Turned::failures`], the others go on.
    pub fn add(&self, spec: BotSpec, sink: Arc<dyn Sink>) -> BotHandle {
        let _ = (spec, sink, &self.options);
        todo!()
    }

    /// Looks at the clock and delivers what is due. Only needed with a clock that tests move.
    pub fn wake(&self) {
        todo!()
    }
}

impl BotHandle {
    /// Queues an event behind those that wait.
    ///
    /// # Errors
    /// [`QueueFull`] when as many wait as the bot may have: hold the stanza and try again after the next
    /// [`Sink::turned`].
    pub fn deliver(&self, delivery: Delivery) -> Result<(), QueueFull> {
        let _ = delivery;
        todo!()
    }

    /// Replaces the scripts between two turns. A script whose version and configuration are as before keeps its
    /// state; timers and stored values carry over by the script's name.
    pub fn swap(&self, scripts: Vec<ScriptUse>) {
        let _ = scripts;
        todo!()
    }

    /// Events that wait.
    pub fn queued(&self) -> usize {
        todo!()
    }

    /// Ends the bot after the turn it is in; events that wait are dropped unhandled.
    pub fn remove(self) {
        todo!()
    }
}
