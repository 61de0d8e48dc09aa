//! Reading what came while the account was away, XEP-0313: before it shows itself, and once more after that, until
//! nothing is left; and each room from where it was left.
//!
//! A page is handled as a whole before the next is asked for: the owner says when (`go_on_reading`). What was handled
//! before is known by its key. Nothing that was not asked for has an effect, and nothing makes it read for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tracing::{debug, info, warn};

use super::incoming::Placed;
use super::known::archived as key_of;
use super::pending::Purpose;
use super::{Session, SessionOutput};
use crate::event::{Class, Event, RequestFailed};
use crate::jid::{BareJid, Jid};
use crate::moment::Moment;
use crate::stanza::message::Message;
use crate::stanza::{MessageKind, Stanza};
use crate::xep::archive::{Archived, NS, Page, Place, Query};
use crate::xep::{self, delay};
use crate::xml::Element;

/// How far an archive is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Whose archive.
    pub archive: BareJid,
    /// The last message that was handled; empty where there was none yet.
    pub id: String,
    /// When the archive got it.
    pub stamp: Timestamp,
}

/// Messages of the account's own that may have arrived are looked for from here on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seek {
    /// Behind this message, where one was known.
    pub after: Option<String>,
    /// Else from this moment on.
    pub since: Timestamp,
}

/// What a stanza leaves behind when it is handled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Keys of messages.
    pub keys: Vec<u64>,
    /// How far archives are read.
    pub reached: Vec<Reached>,
}

/// The state of all reading.
#[derive(Debug, Default)]
pub(super) struct Reading {
    reached: BTreeMap<BareJid, Reached>,
    walk: Option<Walk>,
    /// Archives whose live messages move their position: they were read to their end.
    caught_up: Vec<BareJid>,
    seek: BTreeMap<BareJid, Seek>,
    /// The owner is still busy with the last page; what follows it.
    next: Option<Next>,
}

/// One archive is being read.
#[derive(Debug)]
struct Walk {
    archive: BareJid,
    /// What the results of the present page are known by.
    query: String,
    place: Place,
    start: Option<Timestamp>,
    results: Vec<Archived>,
    pages: usize,
    /// Messages up to this position were handled: only our own among them are of interest.
    known: Option<Reached>,
    /// Already tried by time, because the archive does not know the id.
    by_time: bool,
    /// Only where it ends is of interest: nothing in it is handled.
    only_end: bool,
    round: Round,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// Before the account shows itself.
    First,
    /// After that.
    Second,
}

#[derive(Debug)]
enum Next {
    /// Another page from there.
    Page(Place),
    /// The archive is read; whether to its end.
    Over(bool),
}

/// Messages of one page.
const PAGE: usize = 50;
/// Pages of one archive in a row.
const PAGES: usize = 400;
/// Nothing older is handled, however long the bot was away.
const OLDEST: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How far back an archive is read that has forgotten the position.
const REWIND: SignedDuration = SignedDuration::from_mins(10);
/// How long an archive may take for a page.
const PATIENCE: Duration = Duration::from_secs(30);

impl Session {
    /// How far archives were read by an earlier process.
    pub fn remember_reached(&mut self, reached: Vec<Reached>) {
        self.reading.reached.extend(reached.into_iter().map(|reached| (reached.archive.clone(), reached)));
    }

    /// Where messages of the account's own are to be looked for with the next reading, by archive.
    pub fn seek_own(&mut self, seek: BTreeMap<BareJid, Seek>) {
        self.reading.seek = seek;
    }

    /// Whether the next page waits for [`Session::go_on_reading`].
    pub fn awaits_owner(&self) -> bool {
        self.reading.next.is_some()
    }

    /// Whether an archive is being read.
    pub(super) fn is_reading(&self) -> bool {
        self.reading.walk.is_some()
    }

    /// Everything that came of the last page is handled.
    pub fn go_on_reading(&mut self, now: Moment) {
        if !self.online {
            return;
        }
        match self.reading.next.take() {
            Some(Next::Page(place)) => self.ask_page(now, place),
            Some(Next::Over(complete)) => self.end_walk(now, complete),
            None => {}
        }
    }

    /// The session goes on that an earlier process had begun; it had not read the archive to its end, or it had.
    pub fn on_adopted_reading(&mut self, now: Moment, catching_up: bool) {
        if catching_up {
            self.read_own(now, Round::Second);
        } else {
            self.reading.caught_up.push(self.own.bare.clone());
            self.outputs.push_back(SessionOutput::CaughtUp { complete: true });
        }
    }

    /// A new session has nothing of the reading of the one before.
    pub(super) fn forget_reading(&mut self) {
        let Reading { reached, seek, .. } = std::mem::take(&mut self.reading);
        self.reading = Reading { reached, seek, ..Reading::default() };
    }

    /// Reads the account's archive before presence. `false` where there is none: the login goes on.
    pub(super) fn read_before_presence(&mut self, now: Moment) -> bool {
        self.config.archive && self.login.announces(NS) && {
            self.read_own(now, Round::First);
            true
        }
    }

    /// Reads it once more, now that live messages come.
    pub(super) fn read_after_presence(&mut self, now: Moment) {
        if self.config.archive && self.login.announces(NS) {
            self.read_own(now, Round::Second);
        } else {
            self.outputs.push_back(SessionOutput::CaughtUp { complete: true });
        }
    }

    fn read_own(&mut self, now: Moment, round: Round) {
        let own = self.own.bare.clone();
        self.begin_walk(now, own, round);
    }

    fn begin_walk(&mut self, now: Moment, archive: BareJid, round: Round) {
        let seek = self.reading.seek.remove(&archive);
        let reached = self.reading.reached.get(&archive).cloned();
        let (place, start) = match (&seek, &reached) {
            (Some(Seek { after: Some(id), .. }), _) if !id.is_empty() => (Place::After(id.clone()), None),
            (Some(Seek { since, .. }), _) => (Place::Oldest, Some(minus(*since, REWIND))),
            (None, Some(reached)) if !reached.id.is_empty() => (Place::After(reached.id.clone()), None),
            (None, Some(reached)) => (Place::Oldest, Some(reached.stamp)),
            // A new bot does not answer what was said before it was there.
            (None, None) => (Place::Newest, None),
        };
        let only_end = reached.is_none();
        // Behind the position itself everything is new, be it of the same second.
        let known = reached.filter(|reached| {
            let after = seek.as_ref().map(|seek| seek.after.as_deref());
            !reached.id.is_empty() && after.is_some_and(|after| after != Some(reached.id.as_str()))
        });
        let walk = Walk {
            archive,
            query: String::new(),
            place: place.clone(),
            start,
            results: Vec::new(),
            pages: 0,
            known,
            by_time: false,
            only_end,
            round,
        };
        self.reading.walk = Some(walk);
        self.ask_page(now, place);
    }

    fn ask_page(&mut self, now: Moment, place: Place) {
        let id = self.ids.next_id();
        let Some(walk) = &mut self.reading.walk else { return };
        walk.query.clone_from(&id);
        walk.place = place.clone();
        walk.results.clear();
        let max = if place == Place::Newest { 1 } else { PAGE };
        let query = Query { id, place, start: walk.start, end: None, with: None, max };
        let to = (walk.archive != self.own.bare).then(|| Jid::from(walk.archive.clone()));
        let purpose = Purpose::Archive { query: query.id.clone() };
        self.ask(now, "set", to, query.to_element(), PATIENCE, purpose);
    }

    /// A result. It counts only from the archive that was asked, and for the question that is open.
    pub(super) fn on_archived(&mut self, message: &Message, result: &Element) {
        let from = message.head.from.as_ref();
        let own = self.own.is_account(from);
        let Some(archived) = Archived::parse(result) else {
            return debug!(account = %self.own.bare, ?from, "an archive result that is not whole dropped");
        };
        let asked = self.reading.walk.as_mut().filter(|walk| {
            let sender = if walk.archive == self.own.bare { own } else { from == Some(&*walk.archive) };
            sender && archived.query.as_deref() == Some(walk.query.as_str()) && !walk.query.is_empty()
        });
        match asked {
            Some(walk) if walk.results.len() < PAGE => walk.results.push(archived),
            Some(_) => debug!(account = %self.own.bare, "more results than were asked for dropped"),
            None => debug!(account = %self.own.bare, ?from, "unasked archive result dropped"),
        }
    }

    /// The end of a page, or why there is none.
    pub(super) fn on_page(
        &mut self,
        now: Moment,
        query: &str,
        outcome: Result<Option<Element>, RequestFailed>,
    ) {
        if self.reading.walk.as_ref().is_none_or(|walk| walk.query != query) {
            return;
        }
        match outcome {
            Ok(Some(fin)) if Page::parse(&fin).is_some() => {
                self.take_page(now, Page::parse(&fin).unwrap_or_default());
            }
            Err(RequestFailed::Error(error)) if error.condition == "item-not-found" => self.read_by_time(now),
            outcome => {
                warn!(account = %self.own.bare, ?outcome, "the archive cannot be read");
                self.reading.next = Some(Next::Over(false));
            }
        }
    }

    /// XEP-0313 §3.4: the archive does not hold the message any more behind which it is to be read.
    fn read_by_time(&mut self, now: Moment) {
        let Some(walk) = &mut self.reading.walk else { return };
        if walk.by_time {
            warn!(account = %self.own.bare, "the archive finds nothing by time either");
            self.reading.next = Some(Next::Over(false));
            return;
        }
        walk.by_time = true;
        let since = self.reading.reached.get(&walk.archive).map_or(now.wall, |reached| reached.stamp);
        walk.start = Some(minus(since, REWIND));
        walk.known = None;
        info!(account = %self.own.bare, archive = %walk.archive, "the archive has forgotten where it was left; it is read by time");
        self.ask_page(now, Place::Oldest);
    }

    fn take_page(&mut self, now: Moment, page: Page) {
        let Some(walk) = &mut self.reading.walk else { return };
        walk.pages += 1;
        let results = std::mem::take(&mut walk.results);
        let archive = walk.archive.clone();
        let (pages, only_end) = (walk.pages, walk.only_end);
        if self.is_astray(&results) {
            warn!(account = %self.own.bare, %archive, "the archive gives older messages than were asked for: it is not believed");
            return self.skip_to_end(now);
        }
        if only_end
            && results.is_empty()
            && page.last.is_none()
            && !self.reading.reached.contains_key(&archive)
        {
            // An empty archive: what comes into it from now on is new.
            self.reach(Reached { archive, id: String::new(), stamp: now.wall });
        } else {
            for result in &results {
                self.handle_archived(now, &archive, result);
            }
            let before = self.reading.reached.get(&archive).map(|reached| reached.stamp);
            let passed = self.reading.walk.as_ref().is_some_and(|walk| walk.known.is_none());
            if let (Some(last), true, false) = (results.last(), passed, page.unstable)
                && before.is_none_or(|before| before <= last.stamp)
            {
                self.reach(Reached { archive, id: last.id.clone(), stamp: last.stamp });
            }
        }
        let last = page.last.or_else(|| results.last().map(|result| result.id.clone()));
        self.reading.next = Some(match last {
            _ if page.complete
                || self.reading.walk.as_ref().is_some_and(|walk| walk.place == Place::Newest) =>
            {
                Next::Over(true)
            }
            Some(_) if pages >= PAGES => {
                warn!(account = %self.own.bare, pages, "too much is in the archive: the rest is left out");
                if let Some(walk) = &mut self.reading.walk {
                    walk.only_end = true;
                }
                Next::Page(Place::Newest)
            }
            Some(last) => Next::Page(Place::After(last)),
            None => {
                warn!(account = %self.own.bare, "the archive gave an empty page and no end");
                Next::Over(false)
            }
        });
    }

    /// Whether an archive begins in front of where it was asked to begin (M-9): it would be replayed from its
    /// beginning.
    fn is_astray(&self, results: &[Archived]) -> bool {
        let Some(walk) = &self.reading.walk else { return false };
        let reached = self.reading.reached.get(&walk.archive);
        match (&walk.place, reached, results.first()) {
            (Place::After(_), Some(reached), Some(first)) if walk.known.is_none() => {
                first.stamp < minus(reached.stamp, SignedDuration::from_secs(1))
            }
            _ => walk
                .start
                .is_some_and(|start| results.first().is_some_and(|it| it.stamp < minus(start, REWIND))),
        }
    }

    fn skip_to_end(&mut self, now: Moment) {
        let Some(walk) = &mut self.reading.walk else { return };
        walk.start = None;
        walk.only_end = true;
        self.ask_page(now, Place::Newest);
    }

    /// One message of a page, unless it was handled before.
    fn handle_archived(&mut self, now: Moment, archive: &BareJid, result: &Archived) {
        let key = key_of(archive, &result.id);
        let own_archive = *archive == self.own.bare;
        let only_end = self.reading.walk.as_ref().is_some_and(|walk| walk.only_end);
        let skipped = self.is_known(result) || only_end;
        // What is only passed by may still be delivered.
        let window = if own_archive { &mut self.seen } else { &mut self.seen_in_rooms };
        let new = only_end || window.insert(key, ());
        let Ok(Stanza::Message(message)) = Stanza::parse(result.message.clone()) else { return };
        if own_archive && message.head.from.as_ref().is_some_and(|from| self.own.is_self(from)) {
            if let Some(id) = &message.head.id {
                self.outputs.push_back(SessionOutput::OwnArchived { id: id.clone() });
            }
            return;
        }
        if skipped
            || !new
            || (own_archive && self.was_unvouched(&message))
            || result.stamp < minus(now.wall, OLDEST)
        {
            return;
        }
        self.marks.keys.push(key);
        if own_archive {
            self.seen_as_written(&message);
            self.tell_archived(now, &message, result);
        } else {
            self.tell_archived_talk(archive, &message, result);
        }
    }

    /// Whether a message lies in front of the position, where reading began earlier to look for our own.
    fn is_known(&mut self, result: &Archived) -> bool {
        let Some(walk) = &mut self.reading.walk else { return false };
        let Some(known) = &walk.known else { return false };
        if result.stamp > known.stamp {
            walk.known = None;
            return false;
        }
        if result.id == known.id {
            walk.known = None;
        }
        true
    }

    /// The same as for a message that was kept offline.
    fn tell_archived(&mut self, now: Moment, message: &Message, result: &Archived) {
        let Some(from) = message.head.from.clone() else { return };
        if message.error.is_some() || message.kind == MessageKind::Groupchat {
            return;
        }
        let elsewhere = message.head.to.as_ref().is_some_and(|to| !to.is_bare() && !self.own.is_session(to));
        let class = if elsewhere { Class::Carbon { sent: false } } else { Class::Delayed };
        let speaker = self.speaker(&from, message, true);
        let (stamp, stanza_id) = (Some(result.stamp), Some(result.id.clone()));
        let placed = Placed { class, from: from.clone(), stamp, stanza_id, speaker };
        if let Some(remark) = self.remark(message, &placed) {
            self.event(remark);
        }
        if let Some(event) = self.told(message, placed) {
            self.event(Event::Message(Box::new(event)));
        }
        if elsewhere {
            return;
        }
        for event in xep::EXTENSIONS.iter().filter_map(|extension| extension.on_message(message, &from)) {
            self.event(event);
        }
        self.give_receipt(message, &from);
        self.learn_caps(now, &from);
    }

    fn tell_archived_talk(&mut self, _room: &BareJid, message: &Message, result: &Archived) {
        let Some(from) = message.head.from.clone().filter(|from| !from.is_bare()) else { return };
        let mut message = message.clone();
        message.kind = MessageKind::Groupchat;
        let speaker = self.speaker(&from, &message, true);
        let (stamp, stanza_id) = (Some(result.stamp), Some(result.id.clone()));
        let placed = Placed { class: Class::Delayed, from, stamp, stanza_id, speaker };
        if let Some(event) = self.told(&message, placed).filter(|event| !event.own) {
            self.event(Event::Message(Box::new(event)));
        }
    }

    /// A live message moves the position of an archive that was read to its end.
    pub(super) fn reach_live(&mut self, now: Moment, archive: &BareJid, id: &str, message: &Message) {
        if !self.reading.caught_up.contains(archive) {
            return;
        }
        // By the own clock, which need not be the archive's.
        let held = delay::read(&message.payloads).into_iter().map(|delay| delay.stamp).min();
        let stamp = minus(held.unwrap_or(now.wall).min(now.wall), REWIND);
        self.reach(Reached { archive: archive.clone(), id: id.to_owned(), stamp });
    }

    fn reach(&mut self, reached: Reached) {
        self.reading.reached.insert(reached.archive.clone(), reached.clone());
        self.marks.reached.retain(|other| other.archive != reached.archive);
        self.marks.reached.push(reached);
    }

    fn end_walk(&mut self, now: Moment, complete: bool) {
        let Some(Walk { archive, round, .. }) = self.reading.walk.take() else { return };
        match round {
            Round::First => self.on_read(now),
            Round::Second => {
                if complete {
                    self.reading.caught_up.push(archive);
                }
                self.outputs.push_back(SessionOutput::CaughtUp { complete });
            }
        }
    }
}

/// An earlier moment; at the beginning of time, that.
fn minus(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}
