//! What the bot tells of itself: its card (XEP-0054), its nickname (XEP-0172) and its avatar (XEP-0084, or XEP-0153 where
//! the server makes neither of the other).
//!
//! Each is published when it differs from what was published last, which the owner keeps. So nothing is written over that
//! somebody has changed by hand meanwhile, and a restart costs no request.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tracing::{info, warn};

use super::pending::Purpose;
use super::{Session, SessionOutput};
use crate::event::RequestFailed;
use crate::moment::Moment;
use crate::stanza::StanzaError;
use crate::xep::avatar::{self, Picture};
use crate::xep::nickname;
use crate::xep::pubsub::{self, NodeOptions};
use crate::xep::vcard::{self, Card};
use crate::xml::{Element, writer};

/// How long the server may take for each step.
const PATIENCE: Duration = Duration::from_secs(60);

/// Feature of an account that has nodes, XEP-0163.
pub(super) const PUBLISH: &str = "http://jabber.org/protocol/pubsub#publish";

/// What the operator says about the bot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Words for its card.
    pub card: Card,
    /// Its picture.
    pub avatar: Option<Picture>,
}

/// What of it the server has, each by what names it. Absent: nothing was published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    avatar: Option<String>,
    card: Option<String>,
    nick: Option<String>,
    /// The picture in the card, where the presence tells of it.
    photo: Option<String>,
}

/// A part of the profile. The order is that of publication: a server that makes the avatar of the card has the last word
/// about it before we have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The card.
    Card,
    /// The nickname.
    Nick,
    /// The avatar.
    Avatar,
}

/// What is awaited of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaits {
    /// The card as it is.
    Card,
    /// That the picture is there.
    Picture,
    /// That the part is published.
    Published,
}

impl Published {
    /// As it is stored.
    pub fn to_value(&self) -> Value {
        json!({ "avatar": self.avatar, "card": self.card, "nick": self.nick, "photo": self.photo })
    }

    /// From the store; what is missing was not published.
    pub fn from_value(value: &Value) -> Self {
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        Self { avatar: text("avatar"), card: text("card"), nick: text("nick"), photo: text("photo") }
    }

    fn part(&mut self, part: Part) -> &mut Option<String> {
        match part {
            Part::Avatar => &mut self.avatar,
            Part::Card => &mut self.card,
            Part::Nick => &mut self.nick,
        }
    }
}

/// How far the publication has come.
#[derive(Debug, Default)]
pub(super) struct Publishing {
    pub(super) published: Published,
    /// The server does not take them in this session.
    refused: BTreeSet<Part>,
}

impl Publishing {
    pub(super) fn new(published: Published) -> Self {
        Self { published, refused: BTreeSet::new() }
    }

    /// What was refused may be tried again.
    pub(super) fn begin_anew(&mut self) {
        self.refused.clear();
    }

    /// The picture that the presence is to tell of.
    pub(super) fn photo(&self) -> Option<&str> {
        self.published.photo.as_deref()
    }
}

impl Session {
    /// Publishes the next part that is not as it is to be.
    pub(super) fn go_on_with_profile(&mut self, now: Moment) {
        let ready = self.online && self.login.is_complete() && self.login.is_discovered();
        let under_way = self.pending.any(|purpose| matches!(purpose, Purpose::Profile { .. }));
        if !ready || under_way || self.config.hosted {
            return;
        }
        for part in [Part::Card, Part::Nick, Part::Avatar] {
            let name = self.wanted(part);
            if *self.profile.published.part(part) != name && !self.profile.refused.contains(&part) {
                return self.publish_part(now, part, name);
            }
        }
    }

    /// What names the part as it is to be. A server without nodes keeps nothing but the card.
    fn wanted(&mut self, part: Part) -> Option<String> {
        let profile = &self.config.profile;
        let nodes = self.login.announces(PUBLISH);
        match part {
            Part::Avatar if nodes => profile.avatar.as_ref().map(Picture::id),
            Part::Nick if nodes => profile.card.nick.clone(),
            Part::Avatar | Part::Nick => self.profile.published.part(part).clone(),
            Part::Card => {
                let photo = profile.avatar.as_ref().filter(|_| !self.converts());
                if profile.card.is_empty() && photo.is_none() {
                    return None;
                }
                // Fields that XML cannot carry have no name, and are refused when they are written.
                let card = writer::to_string(&profile.card.over(None, Some(photo))).unwrap_or_default();
                Some(avatar::hex(card.as_bytes()))
            }
        }
    }

    /// Whether the server makes the picture of the card of the avatar, and the other way round.
    fn converts(&self) -> bool {
        self.login.announces(avatar::CONVERSION) && self.login.announces(PUBLISH)
    }

    fn publish_part(&mut self, now: Moment, part: Part, name: Option<String>) {
        let picture = self.config.profile.avatar.as_ref();
        let (kind, payload, awaits) = match (part, &name) {
            (Part::Card, _) => ("get", vcard::ask(), Awaits::Card),
            (Part::Nick, Some(nick)) => {
                ("set", on_node(nickname::NS, ITEM, nickname::element(nick)), Awaits::Published)
            }
            (Part::Nick, None) => ("set", pubsub::retract(nickname::NS, ITEM), Awaits::Published),
            (Part::Avatar, Some(id)) => match picture {
                Some(picture) => ("set", on_node(avatar::DATA, id, avatar::data(picture)), Awaits::Picture),
                None => return,
            },
            (Part::Avatar, None) => {
                ("set", on_node(avatar::METADATA, ITEM, avatar::metadata(None)), Awaits::Published)
            }
        };
        self.ask_profile(now, kind, payload, Purpose::Profile { part, name, awaits });
    }

    fn ask_profile(&mut self, now: Moment, kind: &'static str, payload: Element, purpose: Purpose) {
        if super::perform::check(&payload).is_err() {
            let Purpose::Profile { part, .. } = purpose else { return };
            return self.refuse_part(now, part, &"it holds a character that XML cannot carry");
        }
        self.ask(now, kind, None, payload, PATIENCE, purpose);
    }

    /// A step has come to its end.
    pub(super) fn on_profile(
        &mut self,
        now: Moment,
        part: Part,
        name: Option<String>,
        awaits: Awaits,
        outcome: Result<Option<Element>, RequestFailed>,
    ) {
        let purpose = |awaits| Purpose::Profile { part, name: name.clone(), awaits };
        match (awaits, outcome) {
            (Awaits::Card, Ok(there)) => self.write_card(now, there.as_ref(), purpose(Awaits::Published)),
            // P-8: that nobody has made one yet.
            (Awaits::Card, Err(RequestFailed::Error(error))) if is_absent(&error) => {
                self.write_card(now, None, purpose(Awaits::Published));
            }
            (Awaits::Picture, Ok(_)) => {
                let picture = self.config.profile.avatar.as_ref();
                // It may have changed meanwhile; then the new one is published behind this.
                let Some(picture) = picture.filter(|picture| Some(picture.id()) == name) else {
                    return self.go_on_with_profile(now);
                };
                let payload = on_node(avatar::METADATA, &picture.id(), avatar::metadata(Some(picture)));
                self.ask_profile(now, "set", payload, purpose(Awaits::Published));
            }
            // What is to go is gone.
            (Awaits::Published, Err(RequestFailed::Error(error))) if name.is_none() && is_absent(&error) => {
                self.note_published(now, part, None);
            }
            (Awaits::Published, Ok(_)) => self.note_published(now, part, name),
            (_, Err(why)) => match why {
                RequestFailed::Error(error) => self.refuse_part(now, part, &error),
                RequestFailed::SessionLost | RequestFailed::Timeout => {
                    self.refuse_part(now, part, &"the server did not answer");
                }
            },
        }
    }

    fn write_card(&mut self, now: Moment, there: Option<&Element>, purpose: Purpose) {
        let photo = (!self.converts()).then_some(self.config.profile.avatar.as_ref());
        // A picture that was never ours is not taken away.
        let photo = photo.filter(|photo| photo.is_some() || self.profile.published.photo.is_some());
        let card = self.config.profile.card.over(there, photo);
        self.ask_profile(now, "set", card, purpose);
    }

    fn note_published(&mut self, now: Moment, part: Part, name: Option<String>) {
        info!(account = %self.own.bare, ?part, gone = name.is_none(), "profile published");
        *self.profile.published.part(part) = name;
        if part == Part::Card {
            let photo = self.config.profile.avatar.as_ref().filter(|_| !self.converts()).map(Picture::id);
            if self.profile.published.photo != photo {
                self.profile.published.photo = photo;
                self.send_presence();
            }
        }
        self.outputs.push_back(SessionOutput::ProfilePublished(self.profile.published.clone()));
        self.go_on_with_profile(now);
    }

    fn refuse_part(&mut self, now: Moment, part: Part, why: &dyn std::fmt::Display) {
        warn!(account = %self.own.bare, ?part, %why, "this part of the profile is not published");
        self.profile.refused.insert(part);
        self.go_on_with_profile(now);
    }
}

/// The id of an item where the node has one at most.
const ITEM: &str = "current";

fn on_node(node: &str, id: &str, payload: Element) -> Element {
    pubsub::publish(node, Some(id), payload, NodeOptions::default())
}

fn is_absent(error: &StanzaError) -> bool {
    &*error.condition == "item-not-found"
}
