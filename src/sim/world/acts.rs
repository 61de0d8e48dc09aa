//! What people do beside talking, and what tests ask for beside it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::{Done, Gesture, Place, World};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::script::hook::{HookRequest, HookResponse};
use crate::script::outside::HttpResponse;
use crate::session::rooms::DesiredRoom;
use crate::sim::broken::Broken;
use crate::xml::Element;

/// Gestures that are kept until somebody looks.
const KEPT: usize = 10_000;

/// Messages in rooms whose ids are known.
const NAMED: usize = 10_000;

/// To whom somebody sends.
#[derive(Clone, Copy, Debug)]
pub enum To<'a> {
    /// To the bot.
    Bot,
    /// To all in a room.
    Room(&'a BareJid),
    /// To the bot, by its place in a room.
    Aside(&'a BareJid),
}

impl World {
    /// Gives up at this moment of the machine's clock.
    pub fn limit(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    pub(super) fn in_time(&self) -> Result<(), Broken> {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Broken::Late);
        }
        Ok(())
    }

    /// The bot comes into a room, if it is not in it or on its way.
    ///
    /// # Errors
    /// The world does not come to rest.
    pub fn enter(&mut self, room: &BareJid) -> Result<(), Broken> {
        if self.setup.session.rooms.iter().any(|known| known.jid == *room) {
            return Ok(());
        }
        let nick = self.setup.bot.name.clone();
        let room = DesiredRoom { jid: room.clone(), nick, password: None, create: true };
        self.setup.session.rooms.push(room);
        let now = self.now();
        if let Some(process) = &mut self.process {
            process.set_session(now, self.setup.session.clone());
        }
        self.settle()
    }

    /// What the bot is called in a room.
    fn nick_in(&self, room: &BareJid) -> &str {
        let known = self.setup.session.rooms.iter().find(|known| known.jid == *room);
        known.map_or(self.setup.bot.name.as_str(), |room| room.nick.as_str())
    }

    /// The nicks of those in a room, in the order of the alphabet.
    pub fn occupants(&self, room: &BareJid) -> Vec<String> {
        let people = self.present.iter().filter(|(known, _)| known == room);
        let mut nicks: Vec<String> =
            people.map(|(_, who)| who.local().unwrap_or("somebody").to_owned()).collect();
        if self.process.as_ref().is_some_and(|process| process.is_in(room)) {
            nicks.push(self.nick_in(room).to_owned());
        }
        nicks.sort();
        nicks
    }

    /// The rooms in which the bot is to be.
    pub fn rooms(&self) -> impl Iterator<Item = &BareJid> {
        self.setup.session.rooms.iter().map(|room| &room.jid)
    }

    /// Somebody sends a message with these children; its id comes back.
    ///
    /// # Errors
    /// The world does not come to rest.
    pub fn send(&mut self, who: &BareJid, to: To<'_>, children: Vec<Element>) -> Result<String, Broken> {
        if let To::Room(room) | To::Aside(room) = to {
            self.join(who, room)?;
        }
        let id = self.ids.next_id();
        let (to, kind) = match to {
            To::Bot => (self.bot().to_string(), "chat"),
            To::Room(room) => (room.to_string(), "groupchat"),
            To::Aside(room) => (format!("{room}/{}", self.nick_in(room)), "chat"),
        };
        let mut message = Element::new("message", ns::CLIENT)
            .with_attr("to", to)
            .with_attr("type", kind)
            .with_attr("id", id.clone());
        for child in children {
            message.push(child);
        }
        self.speak(who, message)?;
        Ok(id)
    }

    /// Somebody asks to see the bot's presence, or no longer cares for it. RFC 6121 §3.1, §3.3
    ///
    /// # Errors
    /// The world does not come to rest.
    pub fn subscribe(&mut self, who: &BareJid, on: bool) -> Result<(), Broken> {
        let presence = Element::new("presence", ns::CLIENT)
            .with_attr("to", self.bot().to_string())
            .with_attr("type", if on { "subscribe" } else { "unsubscribe" });
        self.speak(who, presence)
    }

    /// From now on, requests of this address are answered so; `*` at its end stands for any rest.
    pub fn answer_with(&self, method: &str, url: &str, answer: HttpResponse) {
        self.web.record(method, url, answer);
    }

    /// Calls a webhook as somebody who has proved who they are.
    ///
    /// # Errors
    /// No script has it, it takes no such method, or the world does not come to rest.
    pub fn call_hook(&mut self, name: &str, request: HookRequest) -> Result<HookResponse, Broken> {
        let process = self.process.as_ref().ok_or(Broken::NotNow { what: "the bot does not run" })?;
        let (hooks, bot) = (process.hooks(), self.setup.bot.name.clone());
        let Some(hook) = hooks.find(&bot, name) else {
            return Err(Broken::NotNow { what: "no script of the bot has declared this webhook" });
        };
        if !hook.methods.contains(&request.method) {
            return Ok(HookResponse::status(405));
        }
        let answer = Arc::new(Mutex::new(None));
        let taken = Arc::clone(&answer);
        let take = move |response| *taken.lock().unwrap_or_else(PoisonError::into_inner) = Some(response);
        if hooks.call(&bot, name, request, Box::new(take)).is_err() {
            return Ok(HookResponse::status(503));
        }
        self.settle()?;
        let answer = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        answer.ok_or(Broken::NotNow { what: "the webhook has not answered" })
    }

    /// The id under which all in a room know a message: the one that the room gave it, where it gave one. XEP-0444 §3.1
    pub fn id_in(&self, room: &BareJid, id: &str) -> String {
        let known = self.named.get(&(room.clone(), id.to_owned()));
        known.cloned().unwrap_or_else(|| id.to_owned())
    }

    /// Somebody has heard a message in a room.
    pub(super) fn name(&mut self, from: &Jid, stanza: &Element) {
        if stanza.name() != "message" || stanza.attr("type") != Some("groupchat") || self.named.len() >= NAMED
        {
            return;
        }
        let room = from.to_bare();
        let by_room =
            |id: &&Element| id.is("stanza-id", "urn:xmpp:sid:0") && id.attr("by") == Some(room.as_str());
        let given = stanza.children().find(by_room).and_then(|id| id.attr("id"));
        if let (Some(id), Some(given)) = (stanza.attr("id"), given) {
            self.named.insert((room.clone(), id.to_owned()), given.to_owned());
        }
    }

    /// What the bot has done without words since the last look.
    pub fn take_gestures(&mut self) -> Vec<Gesture> {
        self.gestures.drain(..).collect()
    }

    /// Somebody has heard a stanza: the bot's gestures are kept, and who was removed from a room is out.
    pub(super) fn gesture(&mut self, who: &BareJid, from: &Jid, stanza: &Element) {
        let kind = stanza.attr("type").unwrap_or_default();
        let room = from.to_bare();
        if stanza.name() == "presence" && kind == "unavailable" && from.resource() == who.local() {
            self.present.remove(&(room.clone(), who.clone()));
        }
        if room != *self.bot() {
            return;
        }
        let place = Place::Direct(who.clone());
        match stanza.name() {
            "presence" if matches!(kind, "subscribe" | "subscribed" | "unsubscribe" | "unsubscribed") => {
                self.keep(Gesture { place, what: Done::Presence(kind.to_owned()) });
            }
            "message" => self.reacted(&place, stanza),
            _ => {}
        }
    }

    /// Keeps the reactions in a message of the bot.
    pub(super) fn reacted(&mut self, place: &Place, stanza: &Element) {
        let reactions = "urn:xmpp:reactions:0";
        let emoji: Vec<String> = stanza
            .child("reactions", reactions)
            .into_iter()
            .flat_map(Element::children)
            .filter(|child| child.name() == "reaction")
            .map(Element::text)
            .collect();
        for emoji in emoji {
            self.keep(Gesture { place: place.clone(), what: Done::Reaction(emoji) });
        }
    }

    fn keep(&mut self, gesture: Gesture) {
        if self.gestures.len() < KEPT {
            self.gestures.push_back(gesture);
        }
    }
}
