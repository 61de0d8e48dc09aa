//! A queue from any thread to one actor, with a wake-up in the mailbox.
//!
//! A mailbox bound counts per sender and refuses or not depending on who asks. So what must not be lost
//! waits here, and the mailbox only carries wake-ups: a full mailbox means that one is pending.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use actix::{Message, Recipient};

/// "Look into your inbox."
#[derive(Clone, Copy, Debug)]
pub struct Wake;

impl Message for Wake {
    type Result = ();
}

/// The sending side and the receiving side in one; clones share the queue.
pub struct Inbox<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    items: Mutex<VecDeque<T>>,
    owner: Mutex<Option<Recipient<Wake>>>,
}

impl<T> Clone for Inbox<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self { shared: Arc::new(Shared { items: Mutex::new(VecDeque::new()), owner: Mutex::new(None) }) }
    }
}

impl<T> Inbox<T> {
    /// Names the actor that is woken; it finds what came before as well.
    pub fn attach(&self, owner: Recipient<Wake>) {
        let mut current = self.shared.owner.lock().unwrap_or_else(PoisonError::into_inner);
        wake(current.insert(owner));
    }

    /// Adds an item and wakes the owner. How many may wait is the protocol's business: a bot has one
    /// batch in flight, an account one question.
    pub fn push(&self, item: T) {
        let was_empty = {
            let mut items = self.shared.items.lock().unwrap_or_else(PoisonError::into_inner);
            items.push_back(item);
            items.len() == 1
        };
        if was_empty && let Some(owner) = &*self.shared.owner.lock().unwrap_or_else(PoisonError::into_inner) {
            wake(owner);
        }
    }

    /// Takes all items.
    pub fn take(&self) -> VecDeque<T> {
        std::mem::take(&mut *self.shared.items.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn wake(owner: &Recipient<Wake>) {
    // Full: this sender's last wake-up has not been seen yet, and it is as good as this one.
    // Closed: the actor is gone, and the registry knows.
    drop(owner.try_send(Wake));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_wait_until_they_are_taken() {
        let inbox = Inbox::default();
        inbox.push(1);
        inbox.clone().push(2);
        assert_eq!(Vec::from(inbox.take()), [1, 2]);
        assert!(inbox.take().is_empty());
    }
}
