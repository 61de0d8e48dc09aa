//! The running actors as one thing: starting, asking, and the order in which all of it ends.

use std::sync::Arc;

use actix::{Actor, Addr, Arbiter, ArbiterHandle};

use crate::actor::deps::Deps;
use crate::actor::message::{Apply, Parting, StopAll, StopReport};
use crate::actor::registry::Registry;
use crate::store::Batch;

/// Arbiters beyond this many bring nothing: the sockets are not the bottleneck.
const MOST_ARBITERS: usize = 4;

/// The running actors, commanded from the thread of the actix system.
#[derive(Clone)]
pub struct Runtime {
    registry: Addr<Registry>,
    /// The services.
    pub deps: Arc<Deps>,
}

impl Runtime {
    /// Starts the registry on the current system, with `arbiters` threads for accounts (0: one per core).
    pub fn start(deps: Arc<Deps>, arbiters: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = if arbiters == 0 { cores.min(MOST_ARBITERS) } else { arbiters };
        let arbiters: Vec<ArbiterHandle> = (0..count).map(|_| Arbiter::new().handle()).collect();
        let registry = Registry::new(Arc::clone(&deps), arbiters).start();
        Self { registry, deps }
    }

    /// Changes over to a configuration.
    pub async fn apply(&self, change: Apply) -> Result<(), Ended> {
        self.registry.send(change).await.map_err(|_| Ended)
    }

    /// Asks the registry anything it answers.
    pub async fn ask<M>(&self, message: M) -> Result<M::Result, Ended>
    where
        M: actix::Message + Send + 'static,
        M::Result: Send,
        Registry: actix::Handler<M>,
        <Registry as Actor>::Context: actix::dev::ToEnvelope<Registry, M>,
    {
        self.registry.send(message).await.map_err(|_| Ended)
    }

    /// Stops all accounts in order, their sessions ending or waiting for the next process; then the store's queue is written. Says who did not end in time.
    pub async fn stop(&self, parting: Parting) -> StopReport {
        // A registry that is gone has no account left to report.
        let report = self.registry.send(StopAll(parting)).await.unwrap_or_default();
        // What the accounts wrote last is on disk when this, behind it in the queue, is.
        let store = self.deps.store.clone();
        let flushed = tokio::task::spawn_blocking(move || store.commit_wait(Batch::default())).await;
        if !matches!(flushed, Ok(Ok(_))) {
            tracing::warn!("the last writes may be missing from the store: messages may be sent again");
        }
        report
    }
}

/// The registry is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended;

/// Runs `main` on a new actor system on this thread; it ends with `main`.
pub fn block_on<T>(main: impl Future<Output = T>) -> T {
    actix::System::new().block_on(main)
}
