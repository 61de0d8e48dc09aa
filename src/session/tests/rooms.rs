//! Rooms: getting in, staying, losing it, and who is believed about what.

mod coming;
mod invites;
mod join;
mod orders;
mod talk;

use super::*;
use crate::event::Message;
use crate::event::room::{Lost, Occupant, RoomChange};
use crate::secret::Password;
use crate::session::rooms::DesiredRoom;

const ROOM: &str = "den@rooms.example.org";
const DISCO: &str = "http://jabber.org/protocol/disco#info";
const JOIN: &str = "<x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x>";

/// A room of the configuration, with the nick `bot`.
fn desired(jid: &str) -> DesiredRoom {
    DesiredRoom { jid: bare(jid), nick: "bot".to_owned(), password: None, create: true }
}

/// The start of an account that wants to be in the room.
fn joining(change: impl FnOnce(&mut SessionConfig)) -> Account {
    Account::online("", |config| {
        config.rooms.push(desired(ROOM));
        change(config);
    })
}

/// An account that is in the room with `ann` (moderator, address shown) and `bob`; the room announces this.
fn inside(features: &[&str], change: impl FnOnce(&mut SessionConfig)) -> Account {
    let mut account = joining(change);
    account.announce(features);
    account.enter("bot");
    account.feed(&format!("<message from='{ROOM}' type='groupchat'><subject/></message>"));
    account
}

/// What a room says of an occupant.
fn seat(nick: &str, item: &str, codes: &[u16]) -> String {
    presence(nick, "", item, codes)
}

fn gone(nick: &str, item: &str, codes: &[u16]) -> String {
    presence(nick, " type='unavailable'", item, codes)
}

fn presence(nick: &str, kind: &str, item: &str, codes: &[u16]) -> String {
    let codes: String = codes.iter().map(|code| format!("<status code='{code}'/>")).collect();
    format!(
        "<presence from='{ROOM}/{nick}'{kind}><x xmlns='http://jabber.org/protocol/muc#user'>{item}{codes}</x></presence>"
    )
}

fn refused(nick: &str, kind: &str, condition: &str) -> String {
    format!(
        "<presence from='{ROOM}/{nick}' type='error'><error type='{kind}'>\
         <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
    )
}

const PLAIN: &str = "<item role='participant' affiliation='none'/>";
const ANN: &str = "<item role='moderator' affiliation='owner' jid='ann@example.net/x'/>";

impl Account {
    /// Answers the last question of what the room does.
    fn announce(&mut self, features: &[&str]) -> Vec<Got> {
        let features: String = features.iter().map(|name| format!("<feature var='{name}'/>")).collect();
        let id = self.asked(DISCO);
        self.feed(&format!(
            "<iq type='result' from='{ROOM}' id='{id}'><query xmlns='{DISCO}'>{features}</query></iq>"
        ))
    }

    /// The room lets it in, with those who are there.
    fn enter(&mut self, nick: &str) -> Vec<Got> {
        self.feed(&seat("ann", ANN, &[]));
        self.feed(&seat("bob", PLAIN, &[]));
        self.feed(&seat(nick, PLAIN, &[110]))
    }

    /// The id of the last request to the room with a payload of this namespace.
    fn asked(&mut self, ns: &str) -> String {
        let asked = self.sent.iter().rev().find(|(to, text, _)| to.starts_with(ROOM) && text.contains(ns));
        asked.unwrap_or_else(|| panic!("no request with {ns}: {:?}", self.sent)).2.clone()
    }

    /// Answers the last request of this namespace with an error.
    fn refuse(&mut self, from: &str, ns: &str, condition: &str) -> Vec<Got> {
        let id = self.asked(ns);
        self.feed(&format!(
            "<iq type='error' from='{from}' id='{id}'><error type='cancel'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        ))
    }

    fn say(&mut self, nick: &str, id: &str, text: &str, extra: &str) -> Vec<Got> {
        self.feed(&format!(
            "<message from='{ROOM}/{nick}' id='{id}' type='groupchat'><body>{text}</body>{extra}</message>"
        ))
    }

    fn view(&mut self) -> std::sync::Arc<crate::event::room::RoomView> {
        self.session.rooms_view()[&bare(ROOM)].clone()
    }

    fn occupant(&mut self, nick: &str) -> Option<Occupant> {
        self.view().occupants.get(nick).map(|occupant| (**occupant).clone())
    }
}

/// What happened in rooms, in order.
fn changes(all: &[Got]) -> Vec<&RoomChange> {
    events(all)
        .into_iter()
        .filter_map(|event| match event {
            Event::Room(event) => Some(&event.change),
            _ => None,
        })
        .collect()
}

fn names(all: &[Got]) -> Vec<&'static str> {
    changes(all).iter().map(|change| change.name()).collect()
}

fn lost(all: &[Got]) -> Lost {
    let found = changes(all).into_iter().find_map(|change| match change {
        RoomChange::Lost(lost) => Some(lost.clone()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("not lost: {all:?}"))
}

fn messages(all: &[Got]) -> Vec<&Message> {
    events(all)
        .into_iter()
        .filter_map(|event| match event {
            Event::Message(message) => Some(&**message),
            _ => None,
        })
        .collect()
}

/// The joins and farewells among what is sent.
fn presences(all: &[Got]) -> Vec<String> {
    let caps = |text: &str| match (text.find("<c "), text.find("/>")) {
        (Some(start), _) => {
            let end = start + text[start..].find("/>").expect("an empty element") + 2;
            format!("{}{}", &text[..start], &text[end..])
        }
        _ => text.to_owned(),
    };
    sent(all).into_iter().filter(|text| text.starts_with("<presence")).map(caps).collect()
}

fn join_of(nick: &str) -> String {
    format!("<presence to='{ROOM}/{nick}'>{JOIN}</presence>")
}

fn password(text: &str) -> Option<Password> {
    Some(Password::new(text.to_owned()))
}
