//! What one conversation leaves to the next where a transcript says `keep: yes`: a failure names it, since a store
//! that is not empty is what makes a conversation fail behind others that passes alone.

use std::collections::BTreeMap;

use crate::script::reserved;
use crate::sim::world::World;
use crate::store::error::StoreError;

/// Stored values and timers that are looked at, of each script.
const LOOKED_AT: usize = 64;
/// Lines that are told of one failure.
const TOLD: usize = 5;
/// Characters of a value that are shown.
const SHOWN: usize = 60;

/// What there was when a conversation began, and which one had left it so.
#[derive(Default)]
pub struct Leftover {
    /// What is told of each thing, by its kind and name.
    left: BTreeMap<String, (String, String)>,
    /// Why the store could not be looked at, if it could not.
    unread: Option<String>,
}

impl Leftover {
    /// Looks at the world behind a conversation; what is otherwise than before, this one has left.
    pub fn look(&mut self, world: &World, conversation: &str) {
        let found = match found(world) {
            Ok(found) => found,
            Err(error) => {
                self.unread = Some(format!("what was there at the start cannot be read: {error}"));
                return;
            }
        };
        self.unread = None;
        let before = std::mem::take(&mut self.left);
        for (thing, state) in found {
            let by = match before.get(&thing) {
                Some((known, by)) if *known == state => by.clone(),
                _ => conversation.to_owned(),
            };
            self.left.insert(thing, (state, by));
        }
    }

    /// The lines for a failure; none where nothing was left.
    pub fn told(&self) -> Vec<String> {
        let more = self.left.len().saturating_sub(TOLD);
        let lines = self.left.iter().take(TOLD);
        let mut told: Vec<String> = lines
            .map(|(thing, (state, by))| {
                format!("{thing} {state} at the start: `== {by}` left it so (`keep:`)")
            })
            .collect();
        if more > 0 {
            told.push(format!("and {more} more were there at the start"));
        }
        told.extend(self.unread.clone());
        told
    }
}

fn found(world: &World) -> Result<BTreeMap<String, String>, StoreError> {
    let mut found = BTreeMap::new();
    for script in world.scripts().iter().map(|script| &script.name) {
        for (key, value) in world.stored(script, LOOKED_AT)? {
            if !reserved::is_own(&key) {
                found.insert(
                    format!("store key {key:?} of {script}"),
                    format!("was {}", short(&value.to_string())),
                );
            }
        }
        for timer in world.timers(script, LOOKED_AT)?.iter().filter(|timer| !reserved::is_own(&timer.name)) {
            let data = short(&timer.data.to_string());
            found.insert(
                format!("timer {:?} no. {} of {script}", timer.name, timer.id),
                format!("with {data} was due at {}", timer.due),
            );
        }
    }
    Ok(found)
}

fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
