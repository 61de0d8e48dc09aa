//! One thread that derives SCRAM keys, so that a login storm starves nobody (RFC 5802 §3, protocol A-4).

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;

use tokio::sync::oneshot;

use crate::stream::sasl::keys::{KeyRequest, ScramKeys};

/// Derivations that may wait; a login waits for its turn beyond that by asking again.
const QUEUE: usize = 20_000;

/// Hands key derivations to the thread.
#[derive(Clone)]
pub struct Derive {
    jobs: SyncSender<(KeyRequest, oneshot::Sender<ScramKeys>)>,
}

impl Derive {
    /// Starts the thread; it ends when the last handle goes.
    pub fn start() -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel::<(KeyRequest, oneshot::Sender<ScramKeys>)>(QUEUE);
        thread::Builder::new().name("scram-keys".to_owned()).spawn(move || {
            while let Ok((request, answer)) = queue.recv() {
                if answer.is_closed() {
                    continue;
                }
                // The account may have gone away meanwhile.
                drop(answer.send(request.derive()));
            }
        })?;
        Ok(Self { jobs })
    }

    /// Queues one derivation. The receiver fails when the queue is full or the thread is gone.
    pub fn submit(&self, request: KeyRequest) -> oneshot::Receiver<ScramKeys> {
        let (answer, keys) = oneshot::channel();
        match self.jobs.try_send((request, answer)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                tracing::warn!("too many logins at once: one has to start again");
            }
        }
        keys
    }
}
