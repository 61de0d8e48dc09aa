//! Outstanding IQ requests: who was asked, what for, until when.

use std::collections::BTreeMap;
use std::time::Instant;

use super::own::Own;
use super::profile::{Awaits, Part};
use super::pubsub::Publishing;
use crate::jid::{BareJid, Jid};
use crate::xep::caps::Caps;

/// Most requests of scripts that may be open at once.
pub const LIMIT: usize = 500;

/// Open requests, keyed by whom they went to and their id: ids alone are not unique across peers.
#[derive(Debug, Default)]
pub struct Pending {
    open: BTreeMap<(Option<Jid>, String), Open>,
}

/// What a request was made for.
#[derive(Clone, Debug, PartialEq)]
pub enum Purpose {
    /// To read a page of an archive.
    Archive { query: String },
    /// To block an address, or take that back.
    Blocking { jid: Jid, blocked: bool },
    /// To read the bookmarks, from their node or from private storage.
    Bookmarks { native: bool },
    /// To write private storage.
    BookmarksWritten,
    /// To learn what a contact's software can.
    Caps(Caps),
    /// To switch carbons on.
    Carbons,
    /// To learn what the account or its server can.
    Discover,
    /// To give the account another password.
    Password,
    /// To publish a part of the profile; `name` is what it is known by then.
    Profile { part: Part, name: Option<String>, awaits: Awaits },
    /// To publish something on a node.
    Publish(Box<Publishing>),
    /// To get the form of a room's configuration, and to change these fields of it.
    RoomForm { room: BareJid, id: String, fields: Vec<(String, Vec<String>)> },
    /// To learn what a room does; `epoch` is the join it was asked for.
    RoomInfo { room: BareJid, epoch: u32 },
    /// To have a room do something; `id` is what a script knows it by.
    RoomOrder { room: BareJid, id: Option<String>, what: &'static str },
    /// To learn whether the account is still in a room.
    RoomPing { room: BareJid, epoch: u32 },
    /// To change or remove a roster item.
    RosterChange,
    /// To get the roster after login.
    RosterGet,
    /// To learn whether this entity takes files.
    UploadInfo { jid: Jid },
    /// To learn what there is on the server that may take files.
    UploadItems,
    /// To get a place for a file.
    UploadSlot { token: String },
    /// A script asked.
    Script { token: String },
}

#[derive(Debug)]
struct Open {
    purpose: Purpose,
    deadline: Instant,
}

impl Pending {
    /// Whether there is room for one more.
    pub fn has_room(&self) -> bool {
        self.open.len() < LIMIT
    }

    /// Remembers a request.
    pub fn insert(&mut self, to: Option<Jid>, id: String, deadline: Instant, purpose: Purpose) {
        self.open.insert((to, id), Open { purpose, deadline });
    }

    /// The request that `from` answers with `id`. An answer of anybody else leaves it open.
    pub fn take(&mut self, from: Option<&Jid>, id: &str, own: &Own) -> Option<Purpose> {
        let mut asked = own.asked(from).into_iter();
        asked.find_map(|to| self.open.remove(&(to, id.to_owned()))).map(|open| open.purpose)
    }

    /// Takes out what is due.
    pub fn expire(&mut self, now: Instant) -> Vec<Purpose> {
        self.open.extract_if(.., |_, open| open.deadline <= now).map(|(_, open)| open.purpose).collect()
    }

    /// Takes out everything: no answer can come any more.
    pub fn clear(&mut self) -> Vec<Purpose> {
        std::mem::take(&mut self.open).into_values().map(|open| open.purpose).collect()
    }

    /// Whether one was made for that.
    pub fn any(&self, wanted: impl Fn(&Purpose) -> bool) -> bool {
        self.open.values().any(|open| wanted(&open.purpose))
    }

    /// When the next one is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.open.values().map(|open| open.deadline).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::FullJid;

    /// Whom was asked, and the senders whose answer counts.
    const RULES: &[(Option<&str>, &[Option<&str>])] = &[
        (None, &[None, Some(BARE), Some(FULL), Some(DOMAIN)]),
        (Some(BARE), &[None, Some(BARE)]),
        (Some(DOMAIN), &[None, Some(DOMAIN)]),
        (Some(FULL), &[Some(FULL)]),
        (Some(PEER), &[Some(PEER)]),
        (Some("Example.NET"), &[Some("example.net")]),
    ];
    const BARE: &str = "bot@example.org";
    const FULL: &str = "bot@example.org/r";
    const DOMAIN: &str = "example.org";
    const PEER: &str = "ann@example.net/x";

    #[test]
    fn s3_an_answer_counts_only_from_whom_it_was_asked() {
        let strangers = ["eve@example.org", "ann@example.net", "bot@example.org/other", "example.com"];
        let known = [None, Some(BARE), Some(FULL), Some(DOMAIN), Some(PEER), Some("example.net")];
        for &(to, answerers) in RULES {
            for from in known.into_iter().chain(strangers.map(Some)) {
                let expected = answerers.contains(&from);
                assert_eq!(answered(to, from), expected, "asked {to:?}, answered by {from:?}");
            }
        }
    }

    #[test]
    fn s3_a_wrong_answer_leaves_the_request_open() {
        let own = own();
        let mut pending = Pending::default();
        let now = Instant::now();
        pending.insert(jid(PEER), "1".to_owned(), now, Purpose::Carbons);
        assert_eq!(pending.take(jid("eve@example.org").as_ref(), "1", &own), None);
        assert_eq!(pending.take(jid(PEER).as_ref(), "2", &own), None);
        assert_eq!(pending.take(jid(PEER).as_ref(), "1", &own), Some(Purpose::Carbons));
        assert_eq!(pending.take(jid(PEER).as_ref(), "1", &own), None);
    }

    #[test]
    fn what_is_due_is_taken_out_and_the_rest_stays() {
        let mut pending = Pending::default();
        let now = Instant::now();
        let later = now + std::time::Duration::from_secs(5);
        pending.insert(None, "1".to_owned(), now, Purpose::RosterGet);
        pending.insert(None, "2".to_owned(), later, Purpose::Carbons);
        assert_eq!(pending.deadline(), Some(now));
        assert_eq!(pending.expire(now), [Purpose::RosterGet]);
        assert_eq!(pending.deadline(), Some(later));
        assert_eq!(pending.clear(), [Purpose::Carbons]);
        assert_eq!(pending.deadline(), None);
    }

    fn answered(to: Option<&str>, from: Option<&str>) -> bool {
        let mut pending = Pending::default();
        pending.insert(to.and_then(jid), "1".to_owned(), Instant::now(), Purpose::Carbons);
        pending.take(from.and_then(jid).as_ref(), "1", &own()).is_some()
    }

    fn own() -> Own {
        Own::bound(FullJid::parse(FULL).expect("an address"))
    }

    fn jid(text: &str) -> Option<Jid> {
        Some(Jid::parse(text).expect("an address"))
    }
}
