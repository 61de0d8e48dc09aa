//! Conversations of one account with its server, as they look on the wire.

mod archive;
mod blocking;
mod bookmarks;
mod commands;
mod hosted;
mod login;
mod messages;
mod profile;
mod pubsub;
mod remarks;
mod requests;
mod rooms;
mod roster;
mod security;
mod subscriptions;
mod uploads;

use std::time::{Duration, Instant};

use super::{CachedRoster, Refused, Session, SessionConfig, SessionOutput};
use crate::action::Action;
use crate::event::Event;
use crate::ids::Seed;
use crate::jid::{BareJid, FullJid, Jid};
use crate::moment::Moment;
use crate::ns;
use crate::xml::{self, Element, Reader, writer};

/// What came out of the session.
#[derive(Debug, PartialEq)]
enum Got {
    Event(Event),
    Saved(CachedRoster),
    Sent(Wire),
}

/// A stanza as it is sent. The identifiers of the session are random: `~` stands for them.
#[derive(Debug, PartialEq)]
struct Wire {
    text: String,
    id: String,
}

/// A session with a clock.
struct Account {
    session: Session,
    now: Moment,
    /// Recipient, text and id of everything that was sent.
    sent: Vec<(String, String, String)>,
    /// Ids of its own messages that an archive holds.
    own_archived: Vec<String>,
    /// What of the profile the server has.
    published: Option<super::profile::Published>,
}

const BARE: &str = "bot@example.org";
const FULL: &str = "bot@example.org/r";
/// 2026-01-01T00:00:00Z
const START: i64 = 1_767_225_600;

impl Account {
    /// Before the login.
    fn new(change: impl FnOnce(&mut SessionConfig)) -> Self {
        let mut config = SessionConfig::new(bare(BARE));
        config.software = super::Software { name: "Echo".to_owned(), version: "1.0".to_owned() };
        change(&mut config);
        let wall = jiff::Timestamp::from_second(START).expect("a time");
        Self {
            session: Session::new(config, Seed([1; 32])),
            now: Moment { at: Instant::now(), wall },
            sent: Vec::new(),
            own_archived: Vec::new(),
            published: None,
        }
    }

    /// After a login with these roster items, on a server that announces stanza ids and carbons.
    fn online(items: &str, change: impl FnOnce(&mut SessionConfig)) -> Self {
        let mut account = Self::new(change);
        let asked = account.bind("");
        let [roster, own, domain] = &asked[..] else { panic!("{asked:?}") };
        let features = "<feature var='urn:xmpp:sid:0'/><feature var='urn:xmpp:carbons:2'/>";
        let disco = "http://jabber.org/protocol/disco#info";
        for (id, from) in [(id(own), BARE), (id(domain), "example.org")] {
            let answer = format!(
                "<iq type='result' id='{id}' from='{from}'><query xmlns='{disco}'>{features}</query></iq>"
            );
            account.feed(&answer);
        }
        let items = format!("<query xmlns='jabber:iq:roster'>{items}</query>");
        let done = account.feed(&format!("<iq type='result' id='{}'>{items}</iq>", id(roster)));
        assert!(events(&done).iter().any(|event| matches!(event, Event::Online { resumed: false, .. })));
        account
    }

    fn bind(&mut self, features: &str) -> Vec<Got> {
        let features = xml::parse(&format!("<features xmlns='{}'>{features}</features>", ns::STREAM));
        let jid = FullJid::parse(FULL).expect("an address");
        self.session.on_online(self.now, jid, false, &features.expect("features"));
        self.drain()
    }

    fn resume(&mut self) -> Vec<Got> {
        let jid = FullJid::parse(FULL).expect("an address");
        self.session.on_online(self.now, jid, true, &Element::new("features", ns::STREAM));
        self.drain()
    }

    fn feed(&mut self, stanza: &str) -> Vec<Got> {
        self.session.on_stanza(self.now, parse(stanza));
        self.drain()
    }

    fn perform(&mut self, action: Action) -> Result<Vec<Got>, Refused> {
        self.session.perform(self.now, action)?;
        Ok(self.drain())
    }

    /// Lets time pass.
    fn after(&mut self, seconds: u64) -> Vec<Got> {
        self.now.at += Duration::from_secs(seconds);
        self.now.wall += jiff::SignedDuration::from_secs(seconds as i64);
        self.session.on_timeout(self.now);
        self.drain()
    }

    fn drain(&mut self) -> Vec<Got> {
        let mut all = Vec::new();
        loop {
            all.push(match self.session.poll_output() {
                SessionOutput::CaughtUp { .. }
                | SessionOutput::LoggedIn { .. }
                | SessionOutput::PasswordChanged(_)
                | SessionOutput::RoomsChanged => continue,
                SessionOutput::ProfilePublished(published) => {
                    self.published = Some(published);
                    continue;
                }
                SessionOutput::OwnArchived { id } => {
                    self.own_archived.push(id);
                    continue;
                }
                SessionOutput::Event(event) => Got::Event(event),
                SessionOutput::Idle(_) => return all,
                SessionOutput::SaveRoster(roster) => Got::Saved(roster),
                SessionOutput::Send(element) => {
                    let to = element.attr("to").unwrap_or_default().to_owned();
                    let wire = wire(element);
                    self.sent.push((to, wire.text.clone(), wire.id.clone()));
                    Got::Sent(wire)
                }
            });
        }
    }
}

/// A stanza of the stream, whose default namespace is `jabber:client`.
fn parse(stanza: &str) -> Element {
    Reader::within(ns::CLIENT).element(stanza).expect("a stanza")
}

fn wire(mut element: Element) -> Wire {
    let id = element.attr("id").unwrap_or_default().to_owned();
    if id.len() == 20 {
        element.set_attr("id", "~");
    }
    let mut bytes = Vec::new();
    writer::write(&element, ns::CLIENT, &mut bytes).expect("can be written");
    Wire { text: String::from_utf8(bytes).expect("UTF-8"), id }
}

/// The stanzas among the outputs.
fn sent(all: &[Got]) -> Vec<&str> {
    all.iter()
        .filter_map(|got| match got {
            Got::Sent(wire) => Some(wire.text.as_str()),
            Got::Event(_) | Got::Saved(_) => None,
        })
        .collect()
}

/// The events among the outputs.
fn events(all: &[Got]) -> Vec<&Event> {
    all.iter()
        .filter_map(|got| match got {
            Got::Event(event) => Some(event),
            Got::Saved(_) | Got::Sent(_) => None,
        })
        .collect()
}

fn id(got: &Got) -> String {
    match got {
        Got::Sent(wire) => wire.id.clone(),
        other => panic!("not sent: {other:?}"),
    }
}

fn bare(text: &str) -> BareJid {
    BareJid::parse(text).expect("an address")
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).expect("an address")
}
