//! One room of XEP-0045: occupants, history, subject, and what its owner may do.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use crate::ids::IdSource;
use crate::jid::{BareJid, FullJid, Jid};
use crate::ns;
use crate::stanza::{ErrorKind, StanzaError};
use crate::xep::stanza_ids;
use crate::xml::Element;

use super::room_config::RoomConfig;
use super::vocabulary::{DELAY, MUC, MUC_ADMIN, MUC_USER, delay, error, refusal};

/// Messages that a room remembers.
pub const HISTORY: usize = 50;
/// Occupants that a room takes.
pub const MAX_OCCUPANTS: usize = 20_000;

/// Stanzas with their recipients, in order.
pub type Mail = Vec<(Jid, Element)>;

/// One room.
pub struct Room {
    jid: BareJid,
    /// What its owner set.
    pub config: RoomConfig,
    occupants: BTreeMap<String, Occupant>,
    nicks: BTreeMap<FullJid, String>,
    owner: BareJid,
    outcasts: Vec<BareJid>,
    history: VecDeque<(Timestamp, Element)>,
    subject: Element,
    /// From which what is said gets its ids, XEP-0359.
    ids: IdSource,
}

/// One session in the room.
struct Occupant {
    real: FullJid,
    /// The presence as its sender wrote it, without the elements that only the room may write.
    presence: Element,
}

/// Why an occupant goes, XEP-0045 §17.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Removed and not allowed in again.
    Banned,
    /// The owner destroyed the room.
    Destroyed,
    /// Removed by a moderator.
    Kicked,
    /// Left or lost the connection.
    Left,
    /// Removed by the service, with this status code.
    Removed { code: &'static str },
}

impl Room {
    /// An empty room that belongs to `owner`.
    pub fn new(jid: BareJid, owner: BareJid, ids: IdSource) -> Self {
        let subject = Element::new("message", ns::CLIENT)
            .with_attr("type", "groupchat")
            .with_attr("from", jid.as_str())
            .with_child(Element::new("subject", ns::CLIENT));
        Self {
            jid,
            config: RoomConfig::default(),
            occupants: BTreeMap::new(),
            nicks: BTreeMap::new(),
            owner,
            outcasts: Vec::new(),
            history: VecDeque::new(),
            subject,
            ids,
        }
    }

    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.occupants.is_empty()
    }

    /// How many sessions are in it.
    pub fn occupancy(&self) -> usize {
        self.occupants.len()
    }

    /// Whether this account may configure the room.
    pub fn is_owner(&self, account: &BareJid) -> bool {
        self.owner == *account
    }

    /// The nick of a session that is in the room.
    pub fn nick_of(&self, real: &FullJid) -> Option<&str> {
        self.nicks.get(real).map(String::as_str)
    }

    /// The session behind a nick.
    pub fn real_of(&self, nick: &str) -> Option<&FullJid> {
        self.occupants.get(nick).map(|occupant| &occupant.real)
    }

    /// Available presence to `room/nick`: joins, changes the nick or tells a new status.
    pub fn on_available(
        &mut self,
        now: Timestamp,
        real: &FullJid,
        nick: &str,
        stanza: &Element,
        out: &mut Mail,
    ) {
        let joins = stanza.child("x", MUC);
        match (self.nicks.get(real).cloned(), joins) {
            (None, None) => refuse(stanza, "not-acceptable", out),
            (None, Some(x)) => match self.admit(real, nick, x) {
                Ok(()) => self.join(now, real, nick, stanza, out),
                Err(refused) => refuse_with(stanza, &refused, out),
            },
            (Some(old), _) if old != nick => self.rename(real, &old, nick, stanza, out),
            (Some(_), Some(_)) => self.join(now, real, nick, stanza, out),
            (Some(_), None) => {
                self.remember(real, nick, stanza);
                self.announce(nick, &[], out);
            }
        }
    }

    /// A session leaves, is removed, or is gone.
    pub fn depart(&mut self, real: &FullJid, departure: Departure, status: Option<&Element>, out: &mut Mail) {
        let Some(nick) = self.nicks.remove(real) else { return };
        let codes: &[&'static str] = match &departure {
            Departure::Banned => &["301"],
            Departure::Kicked => &["307"],
            Departure::Destroyed | Departure::Left => &[],
            Departure::Removed { code } => &[code],
        };
        let affiliation = if departure == Departure::Banned { "outcast" } else { self.affiliation(real) };
        let recipients: Vec<FullJid> = match departure {
            Departure::Destroyed => vec![real.clone()],
            Departure::Banned | Departure::Kicked | Departure::Left | Departure::Removed { .. } => {
                self.occupants.values().map(|occupant| occupant.real.clone()).collect()
            }
        };
        self.occupants.remove(&nick);
        for to in recipients {
            let own = to == *real;
            let mut item = self.item(affiliation, "none");
            if own || self.shows_real_to(&to) {
                item.set_attr("jid", real.as_str());
            }
            let mut x = Element::new("x", MUC_USER).with_child(item);
            if departure == Departure::Destroyed {
                x.push(Element::new("destroy", MUC_USER));
            }
            push_codes(&mut x, codes, own);
            let mut gone = self.spoken_by("presence", &nick, &to).with_attr("type", "unavailable");
            for child in status.into_iter().flat_map(|s| s.children()).filter(|c| !is_room_word(c)) {
                gone.push(child.clone());
            }
            out.push((to.into(), gone.with_child(x)));
        }
    }

    /// A message to the bare room: `groupchat`, or an invitation.
    pub fn on_groupchat(&mut self, now: Timestamp, real: &FullJid, stanza: &Element, out: &mut Mail) {
        let Some(nick) = self.nicks.get(real).cloned() else { return refuse(stanza, "not-acceptable", out) };
        let sets_subject = stanza.has_child("subject", ns::CLIENT)
            && !stanza.has_child("body", ns::CLIENT)
            && !stanza.has_child("thread", ns::CLIENT);
        if sets_subject && !self.config.change_subject && !self.is_owner(&real.to_bare()) {
            return refuse(stanza, "forbidden", out);
        }
        let mut message = stanza.clone();
        message.remove_attr("to");
        message.set_attr("from", self.occupant_jid(&nick));
        // An occupant must not speak as the room: its delay and its `muc#user` are the room's words.
        message.retain_children(|c| {
            let own_delay = c.is("delay", DELAY) && c.attr("from") == Some(self.jid.as_str());
            !is_room_word(c) && !own_delay
        });
        stanza_ids::take_out(&mut message, &self.jid);
        message.push(stanza_ids::stanza_id(&self.jid, &self.ids.next_id()));
        if sets_subject {
            self.subject = message.clone();
        } else if message.has_child("body", ns::CLIENT) {
            self.history.push_back((now, message.clone()));
            if self.history.len() > HISTORY {
                self.history.pop_front();
            }
        }
        for occupant in self.occupants.values() {
            let copy = message.clone().with_attr("to", occupant.real.as_str());
            out.push((occupant.real.clone().into(), copy));
        }
    }

    /// A stanza from one occupant to another: a private message, or a request and its answer.
    pub fn on_private(&self, real: &FullJid, nick: &str, stanza: &Element, out: &mut Mail) {
        let Some(sender) = self.nicks.get(real) else { return refuse(stanza, "not-acceptable", out) };
        if stanza.name() == "message" && stanza.attr("type") == Some("groupchat") {
            return refuse(stanza, "bad-request", out);
        }
        let Some(occupant) = self.occupants.get(nick) else { return refuse(stanza, "item-not-found", out) };
        let mut copy = stanza.clone();
        copy.set_attr("from", self.occupant_jid(sender));
        copy.set_attr("to", occupant.real.as_str());
        if stanza.name() == "message" {
            copy.retain_children(|c| !is_room_word(c));
            stanza_ids::take_out(&mut copy, &self.jid);
            copy.push(Element::new("x", MUC_USER));
        }
        out.push((occupant.real.clone().into(), copy));
    }

    /// `muc#admin`: removes nicks (role `none`) and accounts (affiliation `outcast` or `none`).
    pub fn administer(&mut self, real: &FullJid, query: &Element, out: &mut Mail) -> Result<(), StanzaError> {
        if !self.is_owner(&real.to_bare()) {
            return Err(refusal("forbidden"));
        }
        for item in query.children().filter(|c| c.is("item", MUC_ADMIN)) {
            match (item.attr("nick"), item.attr("role"), item.attr("jid"), item.attr("affiliation")) {
                (Some(nick), Some("none"), _, _) => {
                    let target = self.real_of(nick).cloned().ok_or_else(|| refusal("item-not-found"))?;
                    if self.is_owner(&target.to_bare()) {
                        return Err(refusal("not-allowed"));
                    }
                    self.depart(&target, Departure::Kicked, None, out);
                }
                (_, _, Some(jid), Some("outcast")) => {
                    let account = BareJid::parse(jid).map_err(|_| refusal("jid-malformed"))?;
                    self.ban(account, out)?;
                }
                (_, _, Some(jid), Some("none")) => self.outcasts.retain(|outcast| outcast.as_str() != jid),
                _ => return Err(refusal("feature-not-implemented")),
            }
        }
        Ok(())
    }

    /// `muc#admin` asked with `get`: the accounts of one affiliation.
    pub fn affiliated(&self, real: &FullJid, query: &Element) -> Result<Element, StanzaError> {
        if !self.is_owner(&real.to_bare()) {
            return Err(refusal("forbidden"));
        }
        let asked = query.child("item", MUC_ADMIN).and_then(|item| item.attr("affiliation"));
        let (name, accounts) = match asked {
            Some("owner") => ("owner", std::slice::from_ref(&self.owner)),
            Some("outcast") => ("outcast", self.outcasts.as_slice()),
            Some("admin") => ("admin", &[][..]),
            Some("member") => ("member", &[][..]),
            _ => return Err(refusal("bad-request")),
        };
        Ok(accounts.iter().fold(Element::new("query", MUC_ADMIN), |query, account| {
            let item = Element::new("item", MUC_ADMIN);
            query.with_child(item.with_attr("affiliation", name).with_attr("jid", account.as_str()))
        }))
    }

    /// Ends the room for everybody in it.
    pub fn destroy(&mut self, out: &mut Mail) {
        let all: Vec<FullJid> = self.nicks.keys().cloned().collect();
        for real in all {
            self.depart(&real, Departure::Destroyed, None, out);
        }
    }

    /// Tells all occupants that the configuration changed, code 104.
    pub fn announce_config(&self, out: &mut Mail) {
        for occupant in self.occupants.values() {
            let mut x = Element::new("x", MUC_USER);
            push_codes(&mut x, &["104"], false);
            let message = Element::new("message", ns::CLIENT)
                .with_attr("type", "groupchat")
                .with_attr("from", self.jid.as_str())
                .with_attr("to", occupant.real.as_str())
                .with_child(x);
            out.push((occupant.real.clone().into(), message));
        }
    }

    fn admit(&self, real: &FullJid, nick: &str, x: &Element) -> Result<(), StanzaError> {
        let account = real.to_bare();
        if self.outcasts.contains(&account) {
            return Err(refusal("forbidden"));
        }
        let given = x.child_text("password", MUC);
        if self.config.password.is_some() && self.config.password != given && !self.is_owner(&account) {
            return Err(refusal("not-authorized"));
        }
        if self.occupants.contains_key(nick) {
            return Err(refusal("conflict"));
        }
        if self.occupants.len() >= MAX_OCCUPANTS {
            // XEP-0045 §7.2.9: full is a matter of waiting.
            return Err(StanzaError::new(ErrorKind::Wait, "service-unavailable"));
        }
        Ok(())
    }

    /// XEP-0045 §7.2.2: others' presence, own presence, history, subject, in this order.
    fn join(&mut self, now: Timestamp, real: &FullJid, nick: &str, stanza: &Element, out: &mut Mail) {
        let created = self.occupants.is_empty() && self.is_owner(&real.to_bare()) && self.history.is_empty();
        self.remember(real, nick, stanza);
        for other in self.occupants.keys().filter(|other| *other != nick) {
            out.push((real.clone().into(), self.presence_of(other, real, &[])));
        }
        let mut codes = Vec::new();
        codes.extend(self.config.shows_real_jids.then_some("100"));
        codes.extend(self.config.remembers().then_some("170"));
        codes.extend((created && self.config.is_new).then_some("201"));
        self.announce(nick, &codes, out);
        let wanted = stanza.child("x", MUC).and_then(|x| x.child("history", MUC));
        for (sent_at, message) in self.past(now, wanted) {
            let copy = message.clone().with_attr("to", real.as_str());
            out.push((real.clone().into(), copy.with_child(delay(self.jid.as_str(), *sent_at))));
        }
        out.push((real.clone().into(), self.subject.clone().with_attr("to", real.as_str())));
    }

    /// The part of the history that a newcomer asks for, XEP-0045 §7.2.14.
    fn past(&self, now: Timestamp, wanted: Option<&Element>) -> impl Iterator<Item = &(Timestamp, Element)> {
        let number = |name| wanted.and_then(|w| w.attr(name)).and_then(|text| text.parse::<i64>().ok());
        let count = number("maxstanzas").map_or(self.config.history, |n| usize::try_from(n).unwrap_or(0));
        // Nothing fits into no characters; other bounds in characters are taken for no bound.
        let count = if number("maxchars") == Some(0) { 0 } else { count.min(self.config.history) };
        let age = number("seconds").map(|s| now.as_second().saturating_sub(s));
        let since = wanted.and_then(|w| w.attr("since")).and_then(|text| text.parse::<Timestamp>().ok());
        let from = age.max(since.map(Timestamp::as_second)).unwrap_or(i64::MIN);
        let skipped = self.history.len().saturating_sub(count);
        self.history.iter().skip(skipped).filter(move |(sent_at, _)| sent_at.as_second() >= from)
    }

    fn rename(&mut self, real: &FullJid, old: &str, new: &str, stanza: &Element, out: &mut Mail) {
        if self.occupants.contains_key(new) {
            return refuse(stanza, "conflict", out);
        }
        for occupant in self.occupants.values() {
            let to = &occupant.real;
            let mut item = self.item(self.affiliation(real), self.role(real)).with_attr("nick", new);
            if self.shows_real_to(to) {
                item.set_attr("jid", real.as_str());
            }
            let mut x = Element::new("x", MUC_USER).with_child(item);
            push_codes(&mut x, &["303"], to == real);
            let gone = self.spoken_by("presence", old, to).with_attr("type", "unavailable").with_child(x);
            out.push((to.clone().into(), gone));
        }
        self.occupants.remove(old);
        self.remember(real, new, stanza);
        self.announce(new, &[], out);
    }

    fn ban(&mut self, account: BareJid, out: &mut Mail) -> Result<(), StanzaError> {
        if self.is_owner(&account) {
            return Err(refusal("not-allowed"));
        }
        let present: Vec<FullJid> =
            self.nicks.keys().filter(|real| real.to_bare() == account).cloned().collect();
        for real in present {
            self.depart(&real, Departure::Banned, None, out);
        }
        if !self.outcasts.contains(&account) {
            self.outcasts.push(account);
        }
        Ok(())
    }

    fn remember(&mut self, real: &FullJid, nick: &str, stanza: &Element) {
        let mut presence = stanza.clone();
        presence.retain_children(|c| !is_room_word(c));
        self.nicks.insert(real.clone(), nick.to_owned());
        self.occupants.insert(nick.to_owned(), Occupant { real: real.clone(), presence });
    }

    /// Sends an occupant's presence to everybody; `codes` go to the occupant alone, with 110.
    fn announce(&self, nick: &str, codes: &[&'static str], out: &mut Mail) {
        let Some(subject) = self.occupants.get(nick) else { return };
        for occupant in self.occupants.values().filter(|o| o.real != subject.real) {
            out.push((occupant.real.clone().into(), self.presence_of(nick, &occupant.real, &[])));
        }
        let mut with_self = vec!["110"];
        with_self.extend(codes);
        out.push((subject.real.clone().into(), self.presence_of(nick, &subject.real, &with_self)));
    }

    fn presence_of(&self, nick: &str, to: &FullJid, codes: &[&'static str]) -> Element {
        let Some(occupant) = self.occupants.get(nick) else { return self.spoken_by("presence", nick, to) };
        let mut item = self.item(self.affiliation(&occupant.real), self.role(&occupant.real));
        if self.shows_real_to(to) {
            item.set_attr("jid", occupant.real.as_str());
        }
        let mut x = Element::new("x", MUC_USER).with_child(item);
        push_codes(&mut x, codes, false);
        let mut presence = occupant.presence.clone();
        presence.set_attr("from", self.occupant_jid(nick));
        presence.set_attr("to", to.as_str());
        presence.with_child(x)
    }

    fn spoken_by(&self, name: &'static str, nick: &str, to: &FullJid) -> Element {
        Element::new(name, ns::CLIENT).with_attr("from", self.occupant_jid(nick)).with_attr("to", to.as_str())
    }

    fn item(&self, affiliation: &'static str, role: &'static str) -> Element {
        Element::new("item", MUC_USER).with_attr("affiliation", affiliation).with_attr("role", role)
    }

    fn occupant_jid(&self, nick: &str) -> String {
        format!("{}/{nick}", self.jid)
    }

    fn affiliation(&self, real: &FullJid) -> &'static str {
        if self.is_owner(&real.to_bare()) { "owner" } else { "none" }
    }

    fn role(&self, real: &FullJid) -> &'static str {
        if self.is_owner(&real.to_bare()) { "moderator" } else { "participant" }
    }

    fn shows_real_to(&self, to: &FullJid) -> bool {
        self.config.shows_real_jids || self.is_owner(&to.to_bare())
    }
}

/// Whether a child is one that only the room writes, or that asks to join.
fn is_room_word(child: &Element) -> bool {
    child.name() == "x" && (child.ns() == MUC_USER || child.ns() == MUC)
}

fn push_codes(x: &mut Element, codes: &[&'static str], own: bool) {
    for code in own.then_some(&"110").into_iter().chain(codes) {
        x.push(Element::new("status", MUC_USER).with_attr("code", *code));
    }
}

fn refuse(stanza: &Element, condition: &'static str, out: &mut Mail) {
    refuse_with(stanza, &refusal(condition), out);
}

fn refuse_with(stanza: &Element, refused: &StanzaError, out: &mut Mail) {
    let Some(to) = stanza.attr("from").and_then(|from| Jid::from_wire(from).ok()) else { return };
    if let Some(mut answer) = error(stanza, refused) {
        if stanza.name() == "presence" {
            answer.push(Element::new("x", MUC));
        }
        out.push((to, answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Seed;

    #[test]
    fn a_newcomer_gets_presences_then_itself_then_history_then_subject() {
        let mut room = room_with(&["ann"]);
        say(&mut room, "ann", "one");
        say(&mut room, "ann", "two");
        let out = join(&mut room, "bo", Some("1"));
        let seen: Vec<String> =
            out.iter().filter(|(to, _)| to.local() == Some("bo")).map(|(_, e)| shape(e)).collect();
        let expected = ["presence ann", "presence bo 110 100 170", "message ann two", "message  "];
        assert_eq!(seen, expected);
        let told: Vec<String> =
            out.iter().filter(|(to, _)| to.local() == Some("ann")).map(|(_, e)| shape(e)).collect();
        assert_eq!(told, ["presence bo"]);
    }

    #[test]
    fn the_first_one_in_a_new_room_is_told_201_and_owns_it() {
        let mut room = room_with(&[]);
        let out = join(&mut room, "ann", None);
        assert_eq!(shape(&out[0].1), "presence ann 110 100 170 201");
        let item = out[0].1.child("x", MUC_USER).and_then(|x| x.child("item", MUC_USER)).cloned();
        assert_eq!(item.as_ref().and_then(|i| i.attr("affiliation")), Some("owner"));
        assert_eq!(item.as_ref().and_then(|i| i.attr("jid")), Some("ann@demo.localhost/r"));
    }

    #[test]
    fn a_taken_nick_a_wrong_password_and_a_ban_are_told_apart() {
        let mut room = room_with(&["ann"]);
        assert_eq!(refused(&join_as(&mut room, "bo", "ann", None)), "conflict");
        room.config.password = Some("secret".to_owned());
        assert_eq!(refused(&join(&mut room, "bo", None)), "not-authorized");
        room.config.password = None;
        let query = admin("jid", "bo@demo.localhost", "affiliation", "outcast");
        room.administer(&real("ann"), &query, &mut Vec::new()).expect("ann owns the room");
        assert_eq!(refused(&join(&mut room, "bo", None)), "forbidden");
        assert_eq!(room.occupancy(), 1);
    }

    #[test]
    fn groupchat_is_reflected_to_its_sender_and_loses_the_words_of_the_room() {
        let mut room = room_with(&["ann", "bo"]);
        let forged = message("hi")
            .with_child(Element::new("x", MUC_USER))
            .with_child(delay("den@rooms.demo.localhost", Timestamp::UNIX_EPOCH));
        let mut out = Vec::new();
        room.on_groupchat(Timestamp::UNIX_EPOCH, &real("bo"), &forged, &mut out);
        assert_eq!(out.len(), 2);
        assert!(out.iter().all(|(_, e)| e.children().count() == 2 && !e.has_child("delay", DELAY)));
        assert_eq!(out[1].1.attr("from"), Some("den@rooms.demo.localhost/bo"));
    }

    // XEP-0359 §3
    #[test]
    fn what_is_said_has_one_id_of_the_room_and_keeps_it() {
        let forged =
            |id| stanza_ids::stanza_id(&BareJid::parse("den@rooms.demo.localhost").expect("valid"), id);
        let other =
            || stanza_ids::stanza_id(&BareJid::parse("else@demo.localhost").expect("valid"), "theirs");
        let mut room = room_with(&["ann", "bo"]);
        let mut out = Vec::new();
        let said = message("hi").with_child(forged("forged")).with_child(other());
        room.on_groupchat(Timestamp::UNIX_EPOCH, &real("bo"), &said, &mut out);
        room.on_groupchat(Timestamp::UNIX_EPOCH, &real("bo"), &message("ho"), &mut out);
        let past = join(&mut room, "cy", None);
        let ids = |mail: &Mail| -> Vec<String> {
            let talk = mail.iter().filter(|(_, e)| e.has_child("body", ns::CLIENT));
            let payloads = talk.map(|(_, e)| e.children().cloned().collect::<Vec<_>>());
            payloads
                .map(|all| stanza_ids::trusted(&all, &room.jid, true).expect("one id of the room"))
                .collect()
        };
        let said = ids(&out);
        assert_eq!((said.len(), &said[0], &said[2]), (4, &said[1], &said[3]));
        assert_ne!(said[0], said[2]);
        assert_eq!(ids(&past), [said[0].clone(), said[2].clone()]);
        assert!(!said.contains(&"forged".to_owned()));
        assert!(out[0].1.children().any(|child| *child == other()));

        let mut out = Vec::new();
        room.on_private(
            &real("bo"),
            "ann",
            &message("psst").with_attr("type", "chat").with_child(forged("x")),
            &mut out,
        );
        assert!(!out[0].1.has_child("stanza-id", stanza_ids::NS));
    }

    #[test]
    fn who_is_not_in_the_room_cannot_speak_in_it() {
        let mut room = room_with(&["ann"]);
        let mut out = Vec::new();
        let stanza = message("hi").with_attr("from", "bo@demo.localhost/r");
        room.on_groupchat(Timestamp::UNIX_EPOCH, &real("bo"), &stanza, &mut out);
        assert_eq!(refused(&out), "not-acceptable");
    }

    #[test]
    fn a_new_nick_is_told_by_303_and_a_presence() {
        let mut room = room_with(&["ann", "bo"]);
        let out = join_as(&mut room, "bo", "bob", None);
        let own: Vec<String> =
            out.iter().filter(|(to, _)| to.local() == Some("bo")).map(|(_, e)| shape(e)).collect();
        assert_eq!(own, ["presence bo 110 303", "presence bob 110"]);
        assert_eq!(room.nick_of(&real("bo")), Some("bob"));
        assert_eq!(refused(&join_as(&mut room, "bo", "ann", None)), "conflict");
    }

    #[test]
    fn a_kick_is_for_the_owner_and_carries_307() {
        let mut room = room_with(&["ann", "bo"]);
        let query = admin("nick", "bo", "role", "none");
        let refused = room.administer(&real("bo"), &query, &mut Vec::new());
        assert_eq!(refused.map_err(|e| e.condition), Err("forbidden".into()));
        let mut out = Vec::new();
        room.administer(&real("ann"), &query, &mut out).expect("ann owns the room");
        let seen: Vec<String> = out.iter().map(|(_, e)| shape(e)).collect();
        assert_eq!(seen, ["presence bo 307", "presence bo 110 307"]);
        assert_eq!(room.nick_of(&real("bo")), None);
    }

    #[test]
    fn a_private_message_comes_from_the_occupant() {
        let room = room_with(&["ann", "bo"]);
        let mut out = Vec::new();
        room.on_private(&real("bo"), "ann", &message("psst").with_attr("type", "chat"), &mut out);
        assert_eq!(out[0].1.attr("from"), Some("den@rooms.demo.localhost/bo"));
        assert_eq!(out[0].1.attr("to"), Some("ann@demo.localhost/r"));
        assert!(out[0].1.has_child("x", MUC_USER));
    }

    #[test]
    fn history_is_bounded() {
        let mut room = room_with(&["ann"]);
        for n in 0..HISTORY + 10 {
            say(&mut room, "ann", &n.to_string());
        }
        assert_eq!(room.history.len(), HISTORY);
        assert_eq!(room.history[0].1.child_text("body", ns::CLIENT).as_deref(), Some("10"));
    }

    fn room_with(names: &[&str]) -> Room {
        let jid = BareJid::parse("den@rooms.demo.localhost").expect("a bare JID");
        let mut room = Room::new(jid, real("ann").to_bare(), IdSource::new(Seed([7; 32])));
        for name in names {
            join(&mut room, name, None);
        }
        room
    }

    fn join(room: &mut Room, name: &str, history: Option<&str>) -> Mail {
        join_as(room, name, name, history)
    }

    fn join_as(room: &mut Room, name: &str, nick: &str, history: Option<&str>) -> Mail {
        let history = Element::new("history", MUC).with_attr_opt("maxstanzas", history);
        let stanza = Element::new("presence", ns::CLIENT)
            .with_attr("from", real(name).as_str())
            .with_child(Element::new("x", MUC).with_child(history));
        let mut out = Vec::new();
        room.on_available(Timestamp::UNIX_EPOCH, &real(name), nick, &stanza, &mut out);
        out
    }

    fn say(room: &mut Room, name: &str, text: &str) {
        room.on_groupchat(Timestamp::UNIX_EPOCH, &real(name), &message(text), &mut Vec::new());
    }

    fn message(text: &str) -> Element {
        Element::new("message", ns::CLIENT)
            .with_attr("type", "groupchat")
            .with_child(Element::new("body", ns::CLIENT).with_text(text))
    }

    fn admin(by: &'static str, whom: &str, what: &'static str, value: &str) -> Element {
        let item = Element::new("item", MUC_ADMIN).with_attr(by, whom).with_attr(what, value);
        Element::new("query", MUC_ADMIN).with_child(item)
    }

    fn real(name: &str) -> FullJid {
        FullJid::parse(&format!("{name}@demo.localhost/r")).expect("a full JID")
    }

    fn refused(out: &Mail) -> String {
        out.first().map(|(_, e)| StanzaError::from_stanza(e).condition.into_owned()).unwrap_or_default()
    }

    /// Name, nick, then status codes or text.
    fn shape(stanza: &Element) -> String {
        let nick = stanza.attr("from").and_then(|from| from.split_once('/')).map_or("", |(_, nick)| nick);
        let codes: Vec<&str> = stanza
            .child("x", MUC_USER)
            .into_iter()
            .flat_map(|x| x.children().filter(|c| c.name() == "status"))
            .filter_map(|c| c.attr("code"))
            .collect();
        match stanza.name() {
            "message" => {
                format!("message {nick} {}", stanza.child_text("body", ns::CLIENT).unwrap_or_default())
            }
            name => [&[name, nick], &codes[..]].concat().join(" "),
        }
    }
}
