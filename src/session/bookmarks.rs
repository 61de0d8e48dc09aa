//! Bookmarks, XEP-0402: the account's own list of rooms, which its other clients write as well.
//!
//! Nothing of it is done unless the operator says so. Notifications count only from the account itself: anybody may send
//! a message that looks like one (S-4, S-18).

use std::time::Duration;

use tracing::{debug, info, warn};

use super::pending::Purpose;
use super::rooms::Standing;
use super::{Session, perform};
use crate::action::{NodeKeeps, Publication};
use crate::event::RequestFailed;
use crate::moment::Moment;
use crate::stanza::message::Message;
use crate::xep::bookmarks::{self, Bookmark, Change};
use crate::xml::Element;

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rooms that are written at once.
const WRITTEN: usize = 100;

/// What is made of bookmarks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bookmarks {
    /// Nothing.
    #[default]
    Ignore,
    /// The account is in those that say `autojoin`.
    Join,
    /// The same, and its own rooms are among them.
    Keep,
}

impl Session {
    /// Asks for the bookmarks, once in a session and when it is known where they are.
    pub(super) fn read_bookmarks(&mut self, now: Moment) {
        let ready = self.online && self.login.is_complete() && self.login.is_discovered();
        if self.config.bookmarks == Bookmarks::Ignore || self.config.hosted || !ready || self.bookmarks_read {
            return;
        }
        self.bookmarks_read = true;
        let native = self.login.announces(bookmarks::COMPAT);
        let query = if native { bookmarks::ask() } else { bookmarks::ask_private() };
        self.ask(now, "get", None, query, PATIENCE, Purpose::Bookmarks { native });
    }

    /// The bookmarks came.
    pub(super) fn on_bookmarks(
        &mut self,
        now: Moment,
        native: bool,
        outcome: Result<Option<Element>, RequestFailed>,
    ) {
        let answer = match outcome {
            Ok(answer) => answer,
            // Nobody has made one yet.
            Err(RequestFailed::Error(error)) if &*error.condition == "item-not-found" => None,
            Err(error) => return warn!(account = %self.own.bare, ?error, "no bookmarks"),
        };
        let read = answer.as_ref().map(bookmarks::read).unwrap_or_default();
        info!(account = %self.own.bare, count = read.len(), native, "bookmarks");
        if self.config.bookmarks == Bookmarks::Keep {
            let own = self.config.rooms.iter().filter(|own| read.iter().all(|(room, _)| *room != own.jid));
            let own = own.map(|own| {
                let nick = Some(own.nick.clone());
                (own.jid.clone(), Bookmark { autojoin: true, nick, ..Bookmark::default() })
            });
            let own: Vec<_> = own.take(WRITTEN).collect();
            self.write_bookmarks(now, native, answer.as_ref(), own);
        }
        for (room, bookmark) in read.into_iter().filter(|(_, bookmark)| bookmark.autojoin) {
            self.enter_bookmarked(now, &room, bookmark);
        }
    }

    fn write_bookmarks(
        &mut self,
        now: Moment,
        native: bool,
        there: Option<&Element>,
        rooms: Vec<(crate::jid::BareJid, Bookmark)>,
    ) {
        if rooms.is_empty() {
            return;
        }
        if !native {
            let query = bookmarks::added(there, &rooms);
            if perform::check(&query).is_ok() {
                self.ask(now, "set", None, query, PATIENCE, Purpose::BookmarksWritten);
            }
            return;
        }
        for (room, bookmark) in rooms {
            let publication = Publication {
                token: String::new(),
                service: None,
                node: bookmarks::NS.to_owned(),
                id: Some(room.to_string()),
                payload: bookmark.to_element(),
                access: None,
                keeps: Some(NodeKeeps::All),
                private: true,
            };
            if let Err(refused) = self.publish(now, publication) {
                return warn!(account = %self.own.bare, %room, %refused, "a bookmark is not written");
            }
        }
    }

    /// Takes a message that tells of changes; false where it is none.
    pub(super) fn on_bookmarks_changed(&mut self, now: Moment, message: &Message) -> bool {
        let Some(changes) = bookmarks::changes(&message.payloads) else { return false };
        if !self.own.is_account(message.head.from.as_ref()) {
            debug!(account = %self.own.bare, from = ?message.head.from, "bookmarks of somebody else dropped");
            return true;
        }
        if self.config.bookmarks == Bookmarks::Ignore || self.config.hosted {
            return true;
        }
        for change in changes {
            match change {
                Change::Set(room, bookmark) if bookmark.autojoin => {
                    self.enter_bookmarked(now, &room, bookmark)
                }
                // What the operator wrote counts; another client takes out only what another client put in.
                Change::Set(room, _) | Change::Gone(room) => {
                    if self.standing_in(&room) != Standing::Out {
                        self.leave_bookmarked(&room);
                    }
                }
            }
        }
        true
    }
}
