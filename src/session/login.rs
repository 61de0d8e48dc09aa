//! From the bound stream to `Online`: roster, then presence, RFC 6121 §2.2 and §4.2.

use std::collections::BTreeSet;
use std::time::Duration;

use tracing::{debug, warn};

use super::pending::Purpose;
use super::{Session, SessionOutput, profile};
use crate::event::{Event, RequestFailed, RosterChange};
use crate::jid::Jid;
use crate::moment::Moment;
use crate::ns;
use crate::stanza::iq;
use crate::stanza::presence::available;
use crate::xep::{archive, avatar, bookmarks, caps, carbons, disco, stanza_ids, vcard_avatar};
use crate::xml::Element;

/// How far the login has come, and what was learnt on the way.
#[derive(Debug, Default)]
pub struct Login {
    step: Step,
    /// Answers of service discovery that are still to come.
    discovering: usize,
    /// What the account and its server announce.
    announced: BTreeSet<String>,
    /// Carbons are on since the stream logged in.
    pub(super) carbons: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Step {
    /// No session yet.
    #[default]
    AwaitStream,
    /// The roster was asked for.
    AwaitRoster,
    /// Carbons are configured, and whether the server has them is not known yet.
    AwaitDiscovery,
    /// What came while the account was away is being read.
    AwaitArchive,
    /// Presence was sent.
    Complete,
}

/// How long the server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What another process has to know of the server that goes on with the session.
const KEPT: &[&str] =
    &[archive::NS, carbons::NS, stanza_ids::NS, avatar::CONVERSION, profile::PUBLISH, bookmarks::COMPAT];

impl Login {
    /// A login that asks nobody for anything.
    pub fn complete() -> Self {
        Self { step: Step::Complete, ..Self::default() }
    }

    /// Whether presence was sent and scripts know that they are online.
    pub fn is_complete(&self) -> bool {
        self.step == Step::Complete
    }

    /// Whether the account and its server have told what they can, or will not.
    pub fn is_discovered(&self) -> bool {
        self.discovering == 0
    }

    /// Whether the account or its server announces a feature.
    pub fn announces(&self, feature: &str) -> bool {
        self.announced.contains(feature)
    }
}

impl Session {
    /// A fresh session: whatever was asked in the one before will never be answered.
    pub(super) fn start_login(&mut self, now: Moment, features: &Element) {
        for purpose in self.pending.clear() {
            self.on_failed(now, purpose, RequestFailed::SessionLost);
        }
        self.asked.clear();
        self.on_uploads_gone();
        self.residents = super::Residents::default();
        self.forget_reading();
        self.profile.begin_anew();
        self.bookmarks_read = false;
        self.on_rooms_gone(now);
        self.online_since = now.wall;
        self.last_active = Some(now.at);
        if self.config.hosted {
            return self.start_hosted_login(now);
        }
        self.login = Login { step: Step::AwaitRoster, discovering: 2, ..Login::default() };
        let versioning = features.has_child("ver", ns::ROSTER_VERSIONING);
        let query = self.roster.query(versioning);
        debug!(account = %self.own.bare, ver = query.attr("ver").unwrap_or_default(), "asking for the roster");
        self.ask(now, "get", None, query, PATIENCE, Purpose::RosterGet);
        // PEP, archive and ids are announced by the account on one server, by the domain on the other.
        for jid in [self.own.bare.clone(), self.own.domain.clone()] {
            self.ask(now, "get", Some(jid.into()), disco::query(None), PATIENCE, Purpose::Discover);
        }
    }

    /// What whoever goes on with the session has to know of it.
    fn tell_login(&mut self) {
        let announced = KEPT.iter().filter(|feature| self.login.announces(feature));
        let announced = announced.map(|feature| (*feature).to_owned()).collect();
        self.outputs.push_back(SessionOutput::LoggedIn { announced });
    }

    /// A login that another process has made.
    pub(super) fn adopt_login(&mut self, now: Moment, announced: &[String]) {
        self.online_since = now.wall;
        self.last_active = Some(now.at);
        let announced = announced.iter().cloned().collect();
        self.login = Login { step: Step::Complete, announced, ..Login::default() };
        let query = self.roster.query(true);
        self.ask(now, "get", None, query, PATIENCE, Purpose::RosterGet);
        // That process may have died before its presence was out. Twice the same does no harm.
        self.send_presence();
        self.go_on_with_profile(now);
        self.read_bookmarks(now);
    }

    /// Takes the next step of the login where what it needs is there.
    pub(super) fn go_on_with_login(&mut self, now: Moment) {
        if self.login.step == Step::AwaitArchive && !self.is_reading() {
            return self.on_read(now);
        }
        let waiting = match self.login.step {
            Step::AwaitStream | Step::AwaitRoster | Step::AwaitArchive | Step::Complete => true,
            Step::AwaitDiscovery => {
                (self.config.carbons || self.config.archive) && self.login.discovering > 0
            }
        };
        // A request may time out while the stream is being resumed; the login goes on after that.
        if waiting || !self.online {
            return;
        }
        self.login.step = Step::AwaitArchive;
        if !self.read_before_presence(now) {
            self.on_read(now);
        }
    }

    /// The archive is read up to now, or there is none: the account shows itself.
    pub(super) fn on_read(&mut self, now: Moment) {
        if self.login.step != Step::AwaitArchive || !self.online {
            return;
        }
        self.login.step = Step::Complete;
        if self.config.carbons && !self.login.carbons && self.login.announces(carbons::NS) {
            self.ask(now, "set", None, carbons::enable(), PATIENCE, Purpose::Carbons);
        }
        self.send_presence();
        if let Some(jid) = self.own.full.clone() {
            self.event(Event::Online { jid, resumed: false });
        }
        self.tell_login();
        self.read_after_presence(now);
        self.start_joins(now);
        self.go_on_with_profile(now);
        self.read_bookmarks(now);
    }

    /// The roster came, or never will.
    pub(super) fn on_roster(&mut self, now: Moment, outcome: Result<Option<Element>, RequestFailed>) {
        match outcome {
            Ok(payload) => {
                // XEP-0237, RFC 6121 §2.6.3: an empty result says that the stored roster is still right.
                debug!(account = %self.own.bare, unchanged = payload.is_none(), "roster");
                self.roster.on_result(payload.as_ref());
                self.roster_changed |= payload.is_some();
                self.event(Event::Roster(RosterChange::Loaded { items: self.roster.items() }));
            }
            Err(error) => warn!(account = %self.own.bare, ?error, "no roster"),
        }
        if self.login.step == Step::AwaitRoster {
            self.login.step = Step::AwaitDiscovery;
        }
        self.go_on_with_login(now);
    }

    /// The account or its server has told what it can, or will not.
    pub(super) fn on_discovered(&mut self, now: Moment, outcome: Result<Option<Element>, RequestFailed>) {
        match outcome {
            Ok(payload) => {
                let info = payload.as_ref().and_then(disco::Info::parse).unwrap_or_default();
                self.login.announced.extend(info.features);
            }
            Err(error) => debug!(account = %self.own.bare, ?error, "no service discovery"),
        }
        self.login.discovering = self.login.discovering.saturating_sub(1);
        if self.login.is_complete() && self.login.discovering == 0 {
            self.tell_login();
            self.go_on_with_profile(now);
            self.read_bookmarks(now);
        }
        self.go_on_with_login(now);
    }

    /// Sends the account's presence with its capabilities.
    pub(super) fn send_presence(&mut self) {
        let super::OwnPresence { show, status, priority } = &self.presence;
        let presence = available(*show, status.as_deref(), *priority);
        let mut presence = presence.with_child(caps::element(&self.ver));
        if let Some(photo) = self.profile.photo() {
            presence.push(vcard_avatar::element(photo));
        }
        self.broadcast(&presence);
        self.tell_rooms();
    }

    /// Sends a request and remembers what it was for.
    pub(super) fn ask(
        &mut self,
        now: Moment,
        kind: &'static str,
        to: Option<Jid>,
        payload: Element,
        patience: Duration,
        purpose: Purpose,
    ) {
        let id = self.ids.next_id();
        let request = iq::request(kind, &id, to.as_ref().map(Jid::as_str), payload);
        self.pending.insert(to, id, now.at + patience, purpose);
        self.send(request);
    }
}
