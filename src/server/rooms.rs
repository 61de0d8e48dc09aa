//! The room service: which rooms there are, and which of them a stanza is for.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::ids::IdSource;
use crate::jid::{BareJid, FullJid, Jid};
use crate::ns;
use crate::stanza::StanzaError;
use crate::xep::stanza_ids;
use crate::xml::Element;

use super::room::{Departure, Mail, Room};
use super::vocabulary::{
    DISCO_INFO, DISCO_ITEMS, FORM, MUC, MUC_ADMIN, MUC_OWNER, MUC_USER, PING, SELF_PING, error, refusal,
    result,
};

/// Rooms that may exist at once.
pub const MAX_ROOMS: usize = 1000;

/// All rooms of `rooms.<domain>`.
pub struct Rooms {
    host: String,
    rooms: BTreeMap<String, Room>,
    /// Where each session is, so that its end costs only its own rooms.
    joined: BTreeMap<FullJid, Vec<String>>,
    ids: IdSource,
}

impl Rooms {
    /// The service on this host, without rooms.
    pub fn new(host: String, ids: IdSource) -> Self {
        Self { host, rooms: BTreeMap::new(), joined: BTreeMap::new(), ids }
    }

    /// Where the rooms live.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// A stanza from a session to the service, a room or an occupant. Its `from` is the session.
    pub fn on_stanza(&mut self, now: Timestamp, real: &FullJid, to: &Jid, stanza: &Element) -> Mail {
        let mut out = Mail::new();
        match (to.local(), stanza.name()) {
            (None, "iq") => self.on_service_request(stanza, real, &mut out),
            (None, _) => answer(stanza, real, Err(refusal("service-unavailable")), &mut out),
            (Some(name), "presence") => self.on_presence(now, real, name, to, stanza, &mut out),
            (Some(name), "message") => self.on_message(now, real, name, to, stanza, &mut out),
            (Some(name), _) => self.on_request(real, name, to, stanza, &mut out),
        }
        out
    }

    /// A session has ended or become unavailable: it leaves every room.
    pub fn on_gone(&mut self, real: &FullJid) -> Mail {
        let mut out = Mail::new();
        for name in self.joined.remove(real).unwrap_or_default() {
            if let Some(room) = self.rooms.get_mut(&name) {
                room.depart(real, Departure::Left, None, &mut out);
                self.close_if_empty(&name);
            }
        }
        out
    }

    /// Removes a session from a room for the reason that `code` names.
    pub fn expel(&mut self, real: &FullJid, name: &str, code: &'static str) -> Mail {
        let mut out = Mail::new();
        if let Some(room) = self.rooms.get_mut(name) {
            room.depart(real, Departure::Removed { code }, None, &mut out);
        }
        self.note(real, name);
        self.close_if_empty(name);
        out
    }

    fn on_presence(
        &mut self,
        now: Timestamp,
        real: &FullJid,
        name: &str,
        to: &Jid,
        stanza: &Element,
        out: &mut Mail,
    ) {
        match stanza.attr("type") {
            None => {
                let Some(nick) = to.resource() else {
                    return answer(stanza, real, Err(refusal("jid-malformed")), out);
                };
                if !self.rooms.contains_key(name) {
                    if !stanza.has_child("x", MUC) {
                        return answer(stanza, real, Err(refusal("item-not-found")), out);
                    }
                    if self.rooms.len() >= MAX_ROOMS {
                        return answer(stanza, real, Err(refusal("resource-constraint")), out);
                    }
                    let room = Room::new(to.to_bare(), real.to_bare(), IdSource::new(self.ids.fork()));
                    self.rooms.insert(name.to_owned(), room);
                }
                let Some(room) = self.rooms.get_mut(name) else { return };
                room.on_available(now, real, nick, stanza, out);
                self.note(real, name);
            }
            // An error means that the occupant cannot be reached: XEP-0045 §18.1 lets it go.
            Some("unavailable" | "error") => {
                if let Some(room) = self.rooms.get_mut(name) {
                    room.depart(real, Departure::Left, Some(stanza), out);
                }
                self.note(real, name);
                self.close_if_empty(name);
            }
            // Nobody subscribes to a room.
            Some(_) => answer(stanza, real, Err(refusal("service-unavailable")), out),
        }
    }

    fn on_message(
        &mut self,
        now: Timestamp,
        real: &FullJid,
        name: &str,
        to: &Jid,
        stanza: &Element,
        out: &mut Mail,
    ) {
        let Some(room) = self.rooms.get_mut(name) else {
            return answer(stanza, real, Err(refusal("item-not-found")), out);
        };
        let invites = stanza.child("x", MUC_USER).filter(|x| x.has_child("invite", MUC_USER));
        match (to.resource(), stanza.attr("type"), invites) {
            (Some(nick), _, _) => room.on_private(real, nick, stanza, out),
            (None, Some("groupchat"), _) => room.on_groupchat(now, real, stanza, out),
            (None, Some("error"), _) => {}
            (None, _, Some(x)) => {
                let refused = invite(room, real, to, x, out).err();
                if let Some(refused) = refused {
                    answer(stanza, real, Err(refused), out);
                }
            }
            (None, _, None) => answer(stanza, real, Err(refusal("bad-request")), out),
        }
    }

    fn on_service_request(&self, request: &Element, real: &FullJid, out: &mut Mail) {
        let payload = match payload(request) {
            Some(p) if p.is("query", DISCO_INFO) => {
                Ok(Some(info("text", "Rooms").with_child(feature(MUC)).with_child(feature(SELF_PING))))
            }
            Some(p) if p.is("query", DISCO_ITEMS) => {
                let public = self.rooms.iter().filter(|(_, room)| room.config.public);
                Ok(Some(public.fold(Element::new("query", DISCO_ITEMS), |query, (name, room)| {
                    let item =
                        Element::new("item", DISCO_ITEMS).with_attr("jid", format!("{name}@{}", self.host));
                    let named =
                        Some(room.config.name.as_str()).filter(|name| !name.is_empty()).unwrap_or(name);
                    query.with_child(item.with_attr("name", format!("{named} ({})", room.occupancy())))
                })))
            }
            Some(p) if p.is("ping", PING) => Ok(None),
            _ => Err(refusal("service-unavailable")),
        };
        answer(request, real, payload, out);
    }

    fn on_request(&mut self, real: &FullJid, name: &str, to: &Jid, request: &Element, out: &mut Mail) {
        let asks = matches!(request.attr("type"), Some("get" | "set"));
        let Some(room) = self.rooms.get_mut(name) else {
            return answer(request, real, Err(refusal("item-not-found")), out);
        };
        let Some(nick) = to.resource() else {
            if asks {
                let done = on_room_request(room, real, request, out);
                answer(request, real, done, out);
                self.close_if_destroyed(name);
            }
            return;
        };
        // XEP-0410: the room answers for an occupant who pings itself.
        let pings = payload(request).is_some_and(|p| p.is("ping", PING));
        if asks && pings && room.nick_of(real) == Some(nick) {
            return answer(request, real, Ok(None), out);
        }
        if !asks && (room.nick_of(real).is_none() || room.real_of(nick).is_none()) {
            // The answer to a request of an occupant who has left.
            return;
        }
        room.on_private(real, nick, request, out);
    }

    /// Keeps `joined` in step with the room.
    fn note(&mut self, real: &FullJid, name: &str) {
        let inside = self.rooms.get(name).is_some_and(|room| room.nick_of(real).is_some());
        let names = self.joined.entry(real.clone()).or_default();
        names.retain(|other| other != name);
        if inside {
            names.push(name.to_owned());
        } else if names.is_empty() {
            self.joined.remove(real);
        }
    }

    fn close_if_empty(&mut self, name: &str) {
        if self.rooms.get(name).is_some_and(|room| room.is_empty() && !room.config.persistent) {
            self.rooms.remove(name);
        }
    }

    /// A destroyed room is empty, whether persistent or not.
    fn close_if_destroyed(&mut self, name: &str) {
        if self.rooms.get(name).is_some_and(Room::is_empty) {
            self.rooms.remove(name);
        }
    }
}

/// A request to the bare room.
fn on_room_request(
    room: &mut Room,
    real: &FullJid,
    request: &Element,
    out: &mut Mail,
) -> Result<Option<Element>, StanzaError> {
    let sets = request.attr("type") == Some("set");
    let query = payload(request).ok_or_else(|| refusal("bad-request"))?;
    match (query.ns(), sets) {
        (DISCO_INFO, false) => Ok(Some(room_info(room))),
        (DISCO_ITEMS, false) => Ok(Some(Element::new("query", DISCO_ITEMS))),
        (PING, false) => Ok(None),
        (MUC_ADMIN, true) => room.administer(real, query, out).map(|()| None),
        (MUC_ADMIN, false) => room.affiliated(real, query).map(Some),
        (MUC_OWNER, _) if !room.is_owner(&real.to_bare()) => Err(refusal("forbidden")),
        (MUC_OWNER, false) => Ok(Some(Element::new("query", MUC_OWNER).with_child(room.config.form()))),
        (MUC_OWNER, true) => configure(room, query, out).map(|()| None),
        _ => Err(refusal("service-unavailable")),
    }
}

fn configure(room: &mut Room, query: &Element, out: &mut Mail) -> Result<(), StanzaError> {
    if query.has_child("destroy", MUC_OWNER) {
        room.config.persistent = false;
        room.destroy(out);
        return Ok(());
    }
    let form = query.child("x", FORM).ok_or_else(|| refusal("bad-request"))?;
    match form.attr("type") {
        Some("cancel") => Ok(()),
        Some("submit") => {
            let next = room.config.submitted(form)?;
            let changed = RoomChange { was_new: room.config.is_new, differs: next != room.config };
            room.config = next;
            if changed.differs && !changed.was_new {
                room.announce_config(out);
            }
            Ok(())
        }
        _ => Err(refusal("bad-request")),
    }
}

/// What a submitted form did to a room.
struct RoomChange {
    was_new: bool,
    differs: bool,
}

/// XEP-0045 §7.8.2: the room passes an invitation on in its own name.
fn invite(room: &Room, real: &FullJid, to: &Jid, x: &Element, out: &mut Mail) -> Result<(), StanzaError> {
    if room.nick_of(real).is_none() {
        return Err(refusal("not-acceptable"));
    }
    for asked in x.children().filter(|c| c.is("invite", MUC_USER)).take(20) {
        let invitee = asked.attr("to").ok_or_else(|| refusal("bad-request"))?;
        let invitee = BareJid::parse(invitee).map_err(|_| refusal("jid-malformed"))?;
        let mut invitation = Element::new("invite", MUC_USER).with_attr("from", real.as_str());
        if let Some(reason) = asked.child_text("reason", MUC_USER) {
            invitation.push(Element::new("reason", MUC_USER).with_text(reason));
        }
        let mut told = Element::new("x", MUC_USER).with_child(invitation);
        if let Some(password) = &room.config.password {
            told.push(Element::new("password", MUC_USER).with_text(password.clone()));
        }
        let message = Element::new("message", ns::CLIENT)
            .with_attr("from", to.as_str())
            .with_attr("to", invitee.as_str())
            .with_child(told);
        out.push((invitee.into(), message));
    }
    Ok(())
}

fn room_info(room: &Room) -> Element {
    let config = &room.config;
    let or = |on: bool, yes: &'static str, no: &'static str| feature(if on { yes } else { no });
    [
        feature(MUC),
        feature(SELF_PING),
        feature(stanza_ids::NS),
        or(config.password.is_some(), "muc_passwordprotected", "muc_unsecured"),
        or(config.public, "muc_public", "muc_hidden"),
        or(config.persistent, "muc_persistent", "muc_temporary"),
        or(config.shows_real_jids, "muc_nonanonymous", "muc_semianonymous"),
        feature("muc_open"),
        feature("muc_unmoderated"),
    ]
    .into_iter()
    .fold(info("text", &config.name), Element::with_child)
}

fn info(kind: &'static str, name: &str) -> Element {
    let identity = Element::new("identity", DISCO_INFO)
        .with_attr("category", "conference")
        .with_attr("type", kind)
        .with_attr_opt("name", (!name.is_empty()).then_some(name));
    Element::new("query", DISCO_INFO)
        .with_child(identity)
        .with_child(feature(DISCO_INFO))
        .with_child(feature(DISCO_ITEMS))
        .with_child(feature(PING))
}

fn feature(var: &'static str) -> Element {
    Element::new("feature", DISCO_INFO).with_attr("var", var)
}

fn payload(request: &Element) -> Option<&Element> {
    request.children().next()
}

fn answer(stanza: &Element, real: &FullJid, outcome: Result<Option<Element>, StanzaError>, out: &mut Mail) {
    match outcome {
        Ok(payload) => {
            let answer = result(stanza);
            let answer = payload.into_iter().fold(answer, Element::with_child);
            out.push((real.clone().into(), answer));
        }
        Err(refused) => {
            if let Some(mut answer) = error(stanza, &refused) {
                if stanza.name() == "presence" {
                    answer.push(Element::new("x", MUC));
                }
                out.push((real.clone().into(), answer));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Seed;

    #[test]
    fn a_room_begins_with_its_first_and_ends_with_its_last_occupant() {
        let mut rooms = rooms();
        join(&mut rooms, "ann");
        join(&mut rooms, "bo");
        assert_eq!(rooms.rooms.len(), 1);
        let told = rooms.on_gone(&real("ann"));
        assert_eq!(told.len(), 2);
        rooms.on_gone(&real("bo"));
        assert!(rooms.rooms.is_empty() && rooms.joined.is_empty());
    }

    #[test]
    fn a_room_that_does_not_exist_is_not_found() {
        let mut rooms = rooms();
        let stanza = Element::new("message", ns::CLIENT).with_attr("type", "groupchat");
        let out = rooms.on_stanza(Timestamp::UNIX_EPOCH, &real("ann"), &jid("den@rooms.x"), &stanza);
        assert_eq!(StanzaError::from_stanza(&out[0].1).condition, "item-not-found");
    }

    #[test]
    fn the_self_ping_is_answered_by_the_room() {
        let mut rooms = rooms();
        join(&mut rooms, "ann");
        let out = request(&mut rooms, "ann", "den@rooms.x/ann", "get", Element::new("ping", PING));
        assert_eq!((out.len(), out[0].1.attr("type")), (1, Some("result")));
        let out = request(&mut rooms, "bo", "den@rooms.x/ann", "get", Element::new("ping", PING));
        assert_eq!(StanzaError::from_stanza(&out[0].1).condition, "not-acceptable");
    }

    #[test]
    fn a_request_between_occupants_and_its_answer_hide_the_real_addresses() {
        let mut rooms = rooms();
        join(&mut rooms, "ann");
        join(&mut rooms, "bo");
        let out = request(&mut rooms, "ann", "den@rooms.x/bo", "get", Element::new("query", DISCO_INFO));
        assert_eq!(out[0].1.attr("from"), Some("den@rooms.x/ann"));
        let out = request(&mut rooms, "bo", "den@rooms.x/ann", "result", Element::new("query", DISCO_INFO));
        assert_eq!((out[0].0.as_str(), out[0].1.attr("from")), ("ann@x/r", Some("den@rooms.x/bo")));
    }

    #[test]
    fn only_the_owner_configures_and_destroys() {
        let mut rooms = rooms();
        join(&mut rooms, "ann");
        join(&mut rooms, "bo");
        let destroy = || Element::new("query", MUC_OWNER).with_child(Element::new("destroy", MUC_OWNER));
        let out = request(&mut rooms, "bo", "den@rooms.x", "set", destroy());
        assert_eq!(StanzaError::from_stanza(&out[0].1).condition, "forbidden");
        let out = request(&mut rooms, "ann", "den@rooms.x", "set", destroy());
        assert_eq!(out.iter().filter(|(_, e)| e.attr("type") == Some("unavailable")).count(), 2);
        assert!(rooms.rooms.is_empty());
    }

    #[test]
    fn an_invitation_comes_from_the_room() {
        let mut rooms = rooms();
        join(&mut rooms, "ann");
        let asked = Element::new("invite", MUC_USER).with_attr("to", "cy@x");
        let stanza = Element::new("message", ns::CLIENT)
            .with_attr("from", "ann@x/r")
            .with_child(Element::new("x", MUC_USER).with_child(asked));
        let out = rooms.on_stanza(Timestamp::UNIX_EPOCH, &real("ann"), &jid("den@rooms.x"), &stanza);
        assert_eq!((out[0].0.as_str(), out[0].1.attr("from")), ("cy@x", Some("den@rooms.x")));
    }

    fn rooms() -> Rooms {
        Rooms::new("rooms.x".to_owned(), IdSource::new(Seed([7; 32])))
    }

    fn join(rooms: &mut Rooms, name: &str) {
        let stanza = Element::new("presence", ns::CLIENT).with_child(Element::new("x", MUC));
        let to = jid(&format!("den@rooms.x/{name}"));
        rooms.on_stanza(Timestamp::UNIX_EPOCH, &real(name), &to, &stanza);
    }

    fn request(rooms: &mut Rooms, name: &str, to: &str, kind: &str, payload: Element) -> Mail {
        let stanza = Element::new("iq", ns::CLIENT)
            .with_attr("id", "1")
            .with_attr("type", kind)
            .with_attr("from", real(name).as_str())
            .with_attr("to", to)
            .with_child(payload);
        rooms.on_stanza(Timestamp::UNIX_EPOCH, &real(name), &jid(to), &stanza)
    }

    fn real(name: &str) -> FullJid {
        FullJid::parse(&format!("{name}@x/r")).expect("a full JID")
    }

    fn jid(text: &str) -> Jid {
        Jid::parse(text).expect("a JID")
    }
}
