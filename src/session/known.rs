//! What names a message, so that it is handled once: the id its archive gave it, else who sent it and under which id.

use sha2::{Digest, Sha256};

use super::Session;
use crate::jid::{BareJid, Jid};
use crate::stanza::message::Message;
use crate::xep::stanza_ids;

/// A message that was handled before.
pub(super) struct Repeated;

impl Session {
    /// The archive id that the account's server vouches for. A message without one that was held back is known by its
    /// sender and its id; as it was sent, nobody repeats it, and senders use ids more than once.
    pub(super) fn unseen_id(&mut self, message: &Message, late: bool) -> Result<Option<String>, Repeated> {
        let announced = self.login.announces(stanza_ids::NS);
        let own = self.own.bare.clone();
        let id = stanza_ids::trusted(&message.payloads, &own, announced);
        let (key, checked) = match (&id, &message.head.id, &message.head.from) {
            (Some(id), _, _) => (archived(&own, id), true),
            (None, Some(id), Some(from)) => (written(from, message.kind.as_str(), id), late),
            (None, _, _) => return Ok(None),
        };
        let new = self.seen.insert(key, ());
        if checked && !new {
            return Err(Repeated);
        }
        self.marks.keys.push(key);
        if let (None, false, Some(id), Some(from)) =
            (&id, self.login.is_discovered(), &message.head.id, &message.head.from)
        {
            // A resumed session brings messages before the server has said whether its ids count: the archive will
            // hold this one under an id that nobody vouches for yet.
            let key = unvouched(from, message.kind.as_str(), id);
            self.seen.insert(key, ());
            self.marks.keys.push(key);
        }
        Ok(id)
    }

    /// Whether a message of the archive was handled before anybody could vouch for its id.
    pub(super) fn was_unvouched(&self, message: &Message) -> bool {
        let (Some(id), Some(from)) = (&message.head.id, &message.head.from) else { return false };
        self.seen.find(&unvouched(from, message.kind.as_str(), id)).is_some()
    }

    /// A message from the archive may come once more out of offline storage, without the id that the archive gave it.
    pub(super) fn seen_as_written(&mut self, message: &Message) {
        if let (Some(id), Some(from)) = (&message.head.id, &message.head.from) {
            self.seen.insert(written(from, message.kind.as_str(), id), ());
        }
    }

    /// The same for what is said in a room.
    pub(super) fn unseen_in_room(&mut self, room: &BareJid, id: Option<&str>) -> Result<(), Repeated> {
        let Some(id) = id else { return Ok(()) };
        let key = archived(room, id);
        if !self.seen_in_rooms.insert(key, ()) {
            return Err(Repeated);
        }
        self.marks.keys.push(key);
        Ok(())
    }
}

/// What is in the archive of `by` under `id`.
pub(super) fn archived(by: &BareJid, id: &str) -> u64 {
    hash(&["archive", by.as_str(), id])
}

fn written(from: &Jid, kind: &str, id: &str) -> u64 {
    hash(&["message", from.as_str(), kind, id])
}

fn unvouched(from: &Jid, kind: &str, id: &str) -> u64 {
    hash(&["unvouched", from.as_str(), kind, id])
}

/// Eight bytes that follow from the parts: two of a bot's last messages have the same once in 10^15.
fn hash(parts: &[&str]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    u64::from_be_bytes(std::array::from_fn(|index| digest[index]))
}
