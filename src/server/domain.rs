//! What one domain knows and decides: accounts, sessions, and where each stanza goes.
//!
//! Give one input, then take outputs until there is none. It knows no connection: a session exists from
//! its binding to its end, whether a connection carries it or it waits for its resumption.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::ids::{IdSource, Seed};
use crate::jid::{BareJid, FullJid, Jid, JidError};
use crate::moment::Moment;
use crate::secret::Password;
use crate::stanza::StanzaError;
use crate::xml::Element;

use super::account::{Account, Offline};
use super::archive::{self, Archive};
use super::rooms::Rooms;
use super::roster::Roster;
use super::vocabulary::{error, refusal};

/// Sessions of one account at a time.
pub const MAX_RESOURCES: usize = 100;
/// Accounts that may register themselves, so that a client in a loop does not fill the memory.
pub const MAX_ACCOUNTS: usize = 100_000;

/// Names a session as long as the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// What the owner of a domain has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this stanza on this session, in this order.
    Deliver { session: SessionId, stanza: Element },
    /// End the stream with this condition; the domain has already forgotten the session.
    End { session: SessionId, condition: &'static str },
}

/// One domain.
pub struct Domain {
    pub(super) name: BareJid,
    pub(super) accounts: HashMap<String, Account>,
    pub(super) sessions: HashMap<SessionId, Session>,
    pub(super) rooms: Rooms,
    /// Further domains that are served as if they were one's own, and further room services.
    hosts: BTreeSet<String>,
    other_rooms: BTreeMap<String, Rooms>,
    pub(super) ids: IdSource,
    pub(super) open_registration: bool,
    pub(super) stored: u64,
    /// Messages that were archived.
    pub(super) archived: u64,
    /// Most that are kept for one account.
    pub(super) archive_limit: usize,
    last_session: u64,
    outputs: VecDeque<Output>,
}

/// One bound resource.
pub(super) struct Session {
    pub(super) jid: FullJid,
    pub(super) bare: BareJid,
    /// Its last available presence, `from` set and `to` not.
    pub(super) presence: Option<Element>,
    pub(super) priority: i8,
    /// It asked for the roster: it gets pushes and subscription requests, RFC 6121 §2.1.6.
    pub(super) interested: bool,
    /// XEP-0280.
    pub(super) carbons: bool,
    /// Whom it told its presence beside its contacts, RFC 6121 §4.6.
    pub(super) directed: BTreeSet<Jid>,
}

impl Domain {
    /// A domain without accounts.
    pub fn new(name: &str, open_registration: bool, seed: Seed) -> Result<Self, JidError> {
        let name = BareJid::parse(name)?;
        if name.local().is_some() {
            return Err(JidError::Domain);
        }
        let mut ids = IdSource::new(seed);
        let rooms = Rooms::new(format!("rooms.{name}"), IdSource::new(ids.fork()));
        Ok(Self {
            name,
            accounts: HashMap::new(),
            sessions: HashMap::new(),
            rooms,
            hosts: BTreeSet::new(),
            other_rooms: BTreeMap::new(),
            ids,
            open_registration,
            stored: 0,
            archived: 0,
            archive_limit: archive::MESSAGES,
            last_session: 0,
            outputs: VecDeque::new(),
        })
    }

    /// The domain's name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Makes an account or gives it another password.
    pub fn set_password(&mut self, user: &str, password: Password) -> Result<(), JidError> {
        self.open_account(Jid::from_parts(Some(user), self.name.as_str(), None)?.to_bare(), password)
    }

    /// Serves a further domain beside its own, as a federation of one: people of other domains are at home here.
    pub fn serve(&mut self, host: &str) {
        self.hosts.insert(host.to_owned());
    }

    /// Serves a further host of rooms.
    pub fn serve_rooms(&mut self, host: &str) {
        if host != self.rooms.host() {
            let ids = &mut self.ids;
            let rooms = || Rooms::new(host.to_owned(), IdSource::new(ids.fork()));
            self.other_rooms.entry(host.to_owned()).or_insert_with(rooms);
        }
    }

    /// Makes an account on any domain that is served, or gives it another password.
    pub fn open_account(&mut self, jid: BareJid, password: Password) -> Result<(), JidError> {
        jid.local().ok_or(JidError::Local)?;
        let local = self.key_of(&jid).ok_or(JidError::Domain)?.to_owned();
        match self.accounts.get_mut(&local) {
            Some(account) => account.password = password,
            None => {
                let account = Account {
                    jid,
                    password,
                    roster: Roster::new(self.ids.next_id()),
                    resources: BTreeMap::new(),
                    offline: Offline::default(),
                    archive: Archive::default(),
                };
                self.accounts.insert(local, account);
            }
        }
        Ok(())
    }

    /// The password of an account, by its prepared localpart.
    pub fn password(&self, local: &str) -> Option<&Password> {
        self.accounts.get(local).map(|account| &account.password)
    }

    /// Whether a client may make an account for itself.
    pub fn is_open(&self) -> bool {
        self.open_registration
    }

    /// Messages stored for accounts that were offline, since the start.
    pub fn stored(&self) -> u64 {
        self.stored
    }

    /// Binds a resource, RFC 6120 §7. Where another session has it, that one ends with `conflict`.
    pub fn bind(
        &mut self,
        now: Moment,
        local: &str,
        resource: Option<&str>,
    ) -> Result<(SessionId, FullJid), StanzaError> {
        let generated = self.ids.next_id();
        let account = self.accounts.get(local).ok_or_else(|| refusal("not-allowed"))?;
        let bare = account.jid.clone();
        let jid = bare.with_resource(resource.filter(|r| !r.is_empty()).unwrap_or(&generated));
        let jid = jid.map_err(|_| refusal("bad-request"))?;
        match account.resources.get(jid.resource_str()).copied() {
            Some(other) => self.end(now, other, "conflict"),
            None if account.resources.len() >= MAX_RESOURCES => return Err(refusal("resource-constraint")),
            None => {}
        }
        self.last_session += 1;
        let id = SessionId(self.last_session);
        let account = self.accounts.get_mut(local).ok_or_else(|| refusal("not-allowed"))?;
        account.resources.insert(jid.resource_str().to_owned(), id);
        let session = Session {
            jid: jid.clone(),
            bare,
            presence: None,
            priority: 0,
            interested: false,
            carbons: false,
            directed: BTreeSet::new(),
        };
        self.sessions.insert(id, session);
        Ok((id, jid))
    }

    /// A session is over, whoever ended it: contacts and rooms are told.
    pub fn on_session_end(&mut self, now: Moment, id: SessionId) {
        self.on_unavailable(now, id, None);
        let Some(session) = self.sessions.remove(&id) else { return };
        if let Some(account) = self.account_mut(&session.bare) {
            account.resources.remove(session.jid.resource_str());
        }
    }

    /// Stanzas that were meant for a session that is over and never reached it: messages find another
    /// way, requests are refused, the rest is dropped.
    pub fn redeliver(&mut self, now: Moment, stanzas: impl IntoIterator<Item = Element>) {
        for stanza in stanzas {
            let room_talk = matches!(stanza.attr("type"), Some("groupchat" | "error"));
            match stanza.name() {
                "message" if !room_talk => self.redeliver_message(now, stanza),
                "iq" => self.refuse(now, &stanza, "service-unavailable"),
                // Presence and room traffic were for that session alone.
                _ => {}
            }
        }
    }

    /// A stanza arrives on a session, RFC 6120 §8.1.
    pub fn on_stanza(&mut self, now: Moment, id: SessionId, mut stanza: Element) {
        let Some(session) = self.sessions.get(&id) else { return };
        // RFC 6120 §8.1.2.1: a client speaks only for itself.
        let from = stanza.attr("from");
        if from.is_some_and(|from| from != session.jid.as_str() && from != session.bare.as_str()) {
            return self.end(now, id, "invalid-from");
        }
        let (jid, bare) = (session.jid.clone(), session.bare.clone());
        stanza.set_attr("from", jid.as_str());
        let to = match stanza.attr("to").map(Jid::parse).transpose() {
            Ok(to) => to,
            Err(_) => return self.refuse(now, &stanza, "jid-malformed"),
        };
        if let Some(to) = &to
            && let Some(rooms) = self.rooms_at(to.domain())
        {
            let mail = rooms.on_stanza(now.wall, &jid, to, &stanza);
            return self.post(now, mail);
        }
        if to.as_ref().is_some_and(|to| !self.serves(to.domain())) {
            return self.refuse(now, &stanza, "remote-server-not-found");
        }
        match stanza.name() {
            "message" => {
                let to = to.unwrap_or_else(|| bare.into());
                self.on_message(now, Some(id), &to, stanza);
            }
            "presence" => self.on_presence(now, id, to, stanza),
            "iq" => self.on_iq(now, id, to, stanza),
            // The stream lets only the three stanzas through.
            _ => {}
        }
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Where a session stands, for reports.
    pub fn session(&self, id: SessionId) -> Option<(&FullJid, bool)> {
        self.sessions.get(&id).map(|session| (&session.jid, session.presence.is_some()))
    }

    /// The sessions of an account, or the one with this resource.
    pub fn sessions_of(&self, jid: &Jid) -> Vec<SessionId> {
        let Some(account) = self.account(jid) else { return Vec::new() };
        match jid.resource() {
            Some(resource) => account.resources.get(resource).copied().into_iter().collect(),
            None => account.resources.values().copied().collect(),
        }
    }

    /// Removes an account; its sessions end.
    pub(super) fn remove_account(&mut self, now: Moment, local: &str) {
        let sessions: Vec<SessionId> =
            self.accounts.get(local).into_iter().flat_map(|a| a.resources.values().copied()).collect();
        for id in sessions {
            self.end(now, id, "not-authorized");
        }
        self.accounts.remove(local);
    }

    /// Ends a session from this side.
    pub fn end(&mut self, now: Moment, id: SessionId, condition: &'static str) {
        self.on_session_end(now, id);
        self.outputs.push_back(Output::End { session: id, condition });
    }

    pub(super) fn deliver(&mut self, session: SessionId, stanza: Element) {
        self.outputs.push_back(Output::Deliver { session, stanza });
    }

    /// Answers a stanza with an error, wherever its `from` is.
    pub(super) fn refuse(&mut self, now: Moment, stanza: &Element, condition: &'static str) {
        self.refuse_with(now, stanza, &refusal(condition));
    }

    pub(super) fn refuse_with(&mut self, now: Moment, stanza: &Element, refused: &StanzaError) {
        if let Some(answer) = error(stanza, refused) {
            self.send_back(now, answer);
        }
    }

    /// Gives a stanza to the session or the occupant that its `to` names; nobody there, nothing happens.
    pub(super) fn send_back(&mut self, now: Moment, stanza: Element) {
        let Some(to) = stanza.attr("to").and_then(|to| Jid::from_wire(to).ok()) else { return };
        if let Some(rooms) = self.rooms_at(to.domain()) {
            // An answer for an occupant, from the session that the room had asked.
            let from = stanza.attr("from").and_then(|from| FullJid::parse(from).ok());
            if let Some(from) = from {
                let mail = rooms.on_stanza(now.wall, &from, &to, &stanza);
                self.post(now, mail);
            }
        } else if let Some(id) = self.session_at(&to) {
            self.deliver(id, stanza);
        }
    }

    pub(super) fn account(&self, jid: &Jid) -> Option<&Account> {
        self.accounts.get(self.key_of(jid)?)
    }

    pub(super) fn account_mut(&mut self, jid: &Jid) -> Option<&mut Account> {
        let local = self.key_of(jid)?;
        self.accounts.get_mut(local)
    }

    /// The session that is bound to exactly this full JID.
    pub(super) fn session_at(&self, jid: &Jid) -> Option<SessionId> {
        self.account(jid)?.resources.get(jid.resource()?).copied()
    }

    /// Under which name the account is kept and bound: its localpart, on other domains its whole address.
    pub(super) fn key_of<'a>(&self, jid: &'a Jid) -> Option<&'a str> {
        let local = jid.local()?;
        if jid.domain() == self.name.as_str() {
            return Some(local);
        }
        self.hosts.get(jid.domain()).and(jid.as_str().split('/').next())
    }

    pub(super) fn serves(&self, host: &str) -> bool {
        host == self.name.as_str() || self.hosts.contains(host)
    }

    fn rooms_at(&mut self, host: &str) -> Option<&mut Rooms> {
        if host == self.rooms.host() {
            return Some(&mut self.rooms);
        }
        self.other_rooms.get_mut(host)
    }

    /// A session is gone from all rooms.
    pub(super) fn leave_rooms(&mut self, now: Moment, real: &FullJid) {
        let mut mail = self.rooms.on_gone(real);
        mail.extend(self.other_rooms.values_mut().flat_map(|rooms| rooms.on_gone(real)));
        self.post(now, mail);
    }

    /// Removes a session from a room, as its service does for the reason that `code` names, XEP-0045 §17.3.
    /// `false` where it is not in there.
    pub fn expel(&mut self, now: Moment, room: &BareJid, real: &FullJid, code: &'static str) -> bool {
        let Some((rooms, name)) = self.rooms_at(room.domain()).zip(room.local()) else { return false };
        let mail = rooms.expel(real, name, code);
        let any = !mail.is_empty();
        self.post(now, mail);
        any
    }
}
