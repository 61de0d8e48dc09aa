//! Who is online where, RFC 6121 §4.

use std::collections::BTreeMap;

use super::Session;
use crate::event::{self, Event};
use crate::jid::{BareJid, Jid};
use crate::moment::Moment;
use crate::stanza::presence::{Presence, PresenceType};
use crate::stanza::{PresenceKind, Show};
use crate::xep::caps::Caps;

/// Available resources of contacts. Bounded: what does not fit is told to scripts and not kept.
#[derive(Debug, Default)]
pub struct Residents {
    table: BTreeMap<BareJid, BTreeMap<String, Resident>>,
    count: usize,
}

/// One available resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resident {
    /// Availability; absent means plainly available.
    pub show: Option<Show>,
    /// Status text in the best language, its first 1024 bytes at most.
    pub status: Option<String>,
    /// −128 to 127.
    pub priority: i8,
    /// What its software can, XEP-0115.
    pub caps: Option<Caps>,
}

/// Most resources that are kept for one account.
const LIMIT: usize = 10_000;
/// Most resources that are kept for one contact.
const LIMIT_EACH: usize = 50;
/// Most bytes of a text that are kept of one resource.
const TEXT_LIMIT: usize = 1024;

impl Residents {
    /// A resource is available, with this.
    pub fn insert(&mut self, jid: &Jid, resident: Resident) {
        let Some(resource) = jid.resource() else { return };
        let full = self.count >= LIMIT;
        let resources = self.table.get_mut(&jid.to_bare());
        if let Some(known) = resources.and_then(|resources| resources.get_mut(resource)) {
            *known = resident;
            return;
        }
        if full || self.of(&jid.to_bare()).count() >= LIMIT_EACH {
            return;
        }
        self.count += 1;
        self.table.entry(jid.to_bare()).or_default().insert(resource.to_owned(), resident);
    }

    /// A resource is gone; a bare JID means all of them.
    pub fn remove(&mut self, jid: &Jid) {
        let bare = jid.to_bare();
        let Some(resources) = self.table.get_mut(&bare) else { return };
        let before = resources.len();
        match jid.resource() {
            Some(resource) => drop(resources.remove(resource)),
            None => resources.clear(),
        }
        self.count -= before - resources.len();
        if resources.is_empty() {
            self.table.remove(&bare);
        }
    }

    /// One resource.
    pub fn find(&self, jid: &Jid) -> Option<&Resident> {
        self.table.get(&jid.to_bare())?.get(jid.resource()?)
    }

    /// All resources of one contact, by name.
    pub fn of(&self, jid: &BareJid) -> impl Iterator<Item = (&str, &Resident)> {
        self.table.get(jid).into_iter().flatten().map(|(resource, resident)| (resource.as_str(), resident))
    }
}

impl Session {
    /// The resources of a contact that are available, by name.
    pub fn residents(&self, jid: &BareJid) -> impl Iterator<Item = (&str, &Resident)> {
        self.residents.of(jid)
    }

    pub(super) fn on_presence(&mut self, now: Moment, presence: Presence) {
        // The server reflects our own presence, also that of our other resources.
        let Some(from) = presence.head.from.clone().filter(|from| !self.own.is_self(from)) else { return };
        if self.rooms.knows(&from.to_bare()) {
            return self.on_room_presence(now, &presence, &from);
        }
        let kind = match &presence.kind {
            PresenceType::Available => PresenceKind::Available,
            PresenceType::Error(_) => PresenceKind::Error,
            PresenceType::Unavailable => PresenceKind::Unavailable,
            // Servers answer probes, §4.3.2.
            PresenceType::Probe => return self.on_probe(&from),
            verb => return self.on_subscription(&presence, verb, &from),
        };
        let status = presence.status(&self.config.lang).map(|status| status.text.clone());
        match kind {
            PresenceKind::Available => self.note_resident(&presence, status.as_deref(), &from),
            PresenceKind::Unavailable => self.residents.remove(&from),
            PresenceKind::Error => {}
        }
        let Presence { show, priority, .. } = presence;
        self.event(Event::Presence(Box::new(event::Presence { from, kind, show, status, priority })));
    }

    /// Strangers may send presence, too, from as many addresses as they like: it is not kept.
    fn note_resident(&mut self, presence: &Presence, status: Option<&str>, from: &Jid) {
        let bare = from.to_bare();
        if !self.roster.is_watched(&bare) && !self.roster.is_watcher(&bare) {
            return;
        }
        let caps = Caps::read(&presence.payloads)
            .filter(|caps| caps.hash.len() + caps.node.len() + caps.ver.len() <= TEXT_LIMIT);
        let status = status.map(|status| status[..status.floor_char_boundary(TEXT_LIMIT)].to_owned());
        let Presence { show, priority, .. } = *presence;
        self.residents.insert(from, Resident { show, status, priority, caps });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p47_resources_come_and_go_one_by_one() {
        let mut residents = Residents::default();
        residents.insert(&jid("ann@example.org/a"), resident(1));
        residents.insert(&jid("ann@example.org/b"), resident(2));
        residents.insert(&jid("ann@example.org/a"), resident(3));
        residents.insert(&jid("room@example.org"), resident(9));
        let all = |residents: &Residents| -> Vec<(String, i8)> {
            residents.of(&jid("ann@example.org").to_bare()).map(|(r, p)| (r.to_owned(), p.priority)).collect()
        };
        assert_eq!(all(&residents), [("a".to_owned(), 3), ("b".to_owned(), 2)]);
        residents.remove(&jid("ann@example.org/a"));
        residents.remove(&jid("ann@example.org/a"));
        assert_eq!(all(&residents), [("b".to_owned(), 2)]);
        residents.remove(&jid("ann@example.org"));
        assert_eq!((residents.count, residents.table.len()), (0, 0));
    }

    #[test]
    fn the_table_is_bounded_and_still_follows_what_it_has() {
        let mut residents = Residents::default();
        for n in 0..2 * LIMIT_EACH {
            residents.insert(&jid(&format!("ann@example.org/{n}")), resident(0));
        }
        assert_eq!(residents.count, LIMIT_EACH);
        for n in 0..LIMIT + 10 {
            residents.insert(&jid(&format!("u{n}@example.org/x")), resident(0));
        }
        assert_eq!(residents.count, LIMIT);
        residents.insert(&jid("ann@example.org/0"), resident(5));
        assert_eq!(residents.find(&jid("ann@example.org/0")).map(|r| r.priority), Some(5));
    }

    fn resident(priority: i8) -> Resident {
        Resident { show: None, status: None, priority, caps: None }
    }

    fn jid(text: &str) -> Jid {
        Jid::parse(text).expect("an address")
    }
}
