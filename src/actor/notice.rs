//! How the registry learns that an actor is gone: the actor holds a value whose drop tells.

use crate::actor::inbox::Inbox;
use crate::actor::message::Down;

/// Which actor of a pair a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The account.
    Account,
    /// Its bot.
    Bot,
    /// A component; the name is that of the component.
    Component,
}

/// Tells the registry when the value that holds it goes, also by a panic.
pub struct DownNotice {
    name: String,
    part: Part,
    generation: u64,
    downs: Inbox<Down>,
}

impl DownNotice {
    /// A notice for one part of the start `generation` of the bot `name`.
    pub fn new(name: &str, part: Part, generation: u64, downs: &Inbox<Down>) -> Self {
        Self { name: name.to_owned(), part, generation, downs: downs.clone() }
    }
}

impl Drop for DownNotice {
    fn drop(&mut self) {
        let panicked = std::thread::panicking();
        self.downs.push(Down {
            name: self.name.clone(),
            part: self.part,
            generation: self.generation,
            panicked,
        });
    }
}
