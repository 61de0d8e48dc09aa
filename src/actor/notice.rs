//! How the registry learns that an actor is gone: the actor holds a value whose drop tells.

use crate::actor::inbox::Inbox;
use crate::actor::message::Down;

/// Tells the registry when the value that holds it goes, also by a panic.
pub struct DownNotice {
    name: String,
    generation: u64,
    downs: Inbox<Down>,
}

impl DownNotice {
    /// A notice for the start `generation` of the bot `name`.
    pub fn new(name: &str, generation: u64, downs: &Inbox<Down>) -> Self {
        Self { name: name.to_owned(), generation, downs: downs.clone() }
    }
}

impl Drop for DownNotice {
    fn drop(&mut self) {
        let panicked = std::thread::panicking();
        self.downs.push(Down { name: self.name.clone(), generation: self.generation, panicked });
    }
}
