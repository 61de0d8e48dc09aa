//! Ties the domain to its connections: which session is carried by which link, and which one waits for
//! its resumption (XEP-0198 §5).

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::ids::IdSource;
use crate::jid::{BareJid, FullJid, Jid};
use crate::moment::Moment;
use crate::ns;
use crate::stanza::StanzaError;
use crate::stream::management::Management;
use crate::stream::sasl::server::AccountKeys;
use crate::stream::{AuthRequest, Receiving, Stream};
use crate::xml::Element;

use super::credentials::Credentials;
use super::domain::{Domain, Output, SessionId};
use super::guest::Guest;
use super::link::{CROWDED, Link, Order};
use super::running::{Counts, SessionReport};
use super::vocabulary::weight;

/// The hub as its one thread shares it. No borrow is held over an `await`.
pub(super) type SharedHub = Rc<RefCell<Hub>>;

/// All state of a running server.
pub(super) struct Hub {
    pub domain: Domain,
    pub counts: Counts,
    credentials: Credentials,
    /// What every stream is made from.
    receiving: Receiving,
    ids: IdSource,
    slots: HashMap<SessionId, Slot>,
    /// Sessions by the id that resumes them.
    resumable: HashMap<String, SessionId>,
    links: BTreeMap<u64, Rc<Link>>,
    last_link: u64,
    /// How long a session waits for its resumption; zero: not at all.
    resumption: Duration,
    /// Bytes that may wait for one session.
    backlog: usize,
    /// How long a client may take nothing.
    stall: Duration,
    /// A link that got more than it reads, since the last question.
    crowded: Option<Rc<Link>>,
    /// What guests have said and the domain has not heard yet.
    said: VecDeque<(SessionId, Element)>,
    stopping: bool,
}

struct Slot {
    resume_id: Option<String>,
    carrier: Carrier,
}

enum Carrier {
    Guest(Box<dyn Guest>),
    Link(Rc<Link>),
    Waiting(Box<Waiting>),
}

/// A session without connection.
struct Waiting {
    management: Management,
    /// What came since, and what the connection had not sent.
    stanzas: VecDeque<Element>,
    weight: usize,
    generation: u64,
}

/// When a waiting session has to be given up.
pub(super) struct Expiry {
    pub session: SessionId,
    pub generation: u64,
    pub after: Duration,
}

impl Hub {
    /// A server without connections.
    pub fn new(domain: Domain, credentials: Credentials, receiving: Receiving, ids: IdSource) -> Self {
        Self {
            domain,
            counts: Counts::default(),
            credentials,
            receiving,
            ids,
            slots: HashMap::new(),
            resumable: HashMap::new(),
            links: BTreeMap::new(),
            last_link: 0,
            resumption: Duration::ZERO,
            backlog: usize::MAX,
            stall: Duration::MAX,
            crowded: None,
            said: VecDeque::new(),
            stopping: false,
        }
    }

    /// Bounds what waits: sessions for their resumption, bytes for a client, and that for how long.
    #[must_use]
    pub fn bounded(mut self, resumption: Duration, backlog: usize, stall: Duration) -> Self {
        (self.resumption, self.backlog, self.stall) = (resumption, backlog, stall);
        self
    }

    /// How long a client may take no byte while bytes wait for it.
    pub fn stall(&self) -> Duration {
        self.stall
    }

    /// A stream for a connection that was just accepted.
    pub fn connect(&mut self, now: Instant, direct_tls: bool) -> (u64, Rc<Link>) {
        let config = Receiving { direct_tls, ..self.receiving.clone() };
        let link = Rc::new(Link::new(Stream::receiving(config, self.ids.fork(), now)));
        self.last_link += 1;
        self.counts.connections += 1;
        self.links.insert(self.last_link, Rc::clone(&link));
        if self.stopping {
            link.order(Order::End(SHUTDOWN));
        }
        (self.last_link, link)
    }

    /// What is known of an account that logs in.
    pub fn account_keys(&mut self, request: &AuthRequest) -> Option<AccountKeys> {
        let password = self.domain.password(&request.username)?;
        self.credentials.keys(password, request.mechanism)
    }

    /// Binds a resource to a link.
    pub fn bind(
        &mut self,
        now: Moment,
        local: &str,
        resource: Option<&str>,
        link: &Rc<Link>,
    ) -> Result<FullJid, StanzaError> {
        let (session, jid) = self.domain.bind(now, local, resource)?;
        self.counts.bound += 1;
        self.slots.insert(session, Slot { resume_id: None, carrier: Carrier::Link(Rc::clone(link)) });
        link.session.set(Some(session));
        self.drain(now);
        Ok(jid)
    }

    /// The session of a link can be resumed by this id.
    pub fn enable(&mut self, link: &Link, id: String) {
        let Some(session) = link.session.get() else { return };
        if let Some(slot) = self.slots.get_mut(&session) {
            slot.resume_id = Some(id.clone());
            self.resumable.insert(id, session);
        }
    }

    /// Gives a session to a new link, whether it waited or its old connection still seems alive.
    pub fn resume(
        &mut self,
        now: Moment,
        local: &str,
        id: &str,
        link: &Rc<Link>,
    ) -> Result<Management, Option<u32>> {
        let session = *self.resumable.get(id).ok_or(None)?;
        // An id alone proves nothing: it has to be the account's own session.
        if self.domain.session(session).is_none_or(|(jid, _)| jid.local() != Some(local)) {
            return Err(None);
        }
        let slot = self.slots.get_mut(&session).ok_or(None)?;
        let carrier = std::mem::replace(&mut slot.carrier, Carrier::Link(Rc::clone(link)));
        let (management, stanzas) = match carrier {
            Carrier::Waiting(waiting) => (Some(waiting.management), waiting.stanzas),
            // Has no stream, so no id that resumes it.
            Carrier::Guest(_) => (None, VecDeque::new()),
            Carrier::Link(old) => {
                let management = old.stream.borrow_mut().abandon();
                old.session.set(None);
                old.order(Order::Leave);
                (management, old.take_all())
            }
        };
        match management {
            Some(management) if management.id() == Some(id) => {
                link.session.set(Some(session));
                for stanza in stanzas {
                    link.post(stanza);
                }
                self.counts.resumed += 1;
                Ok(management)
            }
            lost => {
                let handled = lost.as_ref().map(Management::handled);
                self.give_up(now, session, undelivered(lost.as_ref(), stanzas));
                Err(handled)
            }
        }
    }

    /// A stanza of a client. Tells whom it crowded, so that the sender can pause.
    pub fn on_stanza(&mut self, now: Moment, session: SessionId, stanza: Element) -> Option<Rc<Link>> {
        self.counts.received += 1;
        self.domain.on_stanza(now, session, stanza);
        self.drain(now);
        self.crowded.take()
    }

    /// A connection is over. What can be resumed waits; it says for how long.
    pub fn disconnect(&mut self, now: Moment, number: u64, link: &Link) -> Option<Expiry> {
        self.links.remove(&number);
        let session = link.session.take()?;
        let stanzas = link.take_all();
        let management = link.stream.borrow_mut().abandon();
        let resumable = management.as_ref().is_some_and(|m| m.id().is_some());
        match (management, self.slots.get_mut(&session)) {
            (Some(management), Some(slot)) if resumable && !self.resumption.is_zero() && !self.stopping => {
                let weight = stanzas.iter().map(weight).sum();
                let waiting = Waiting { management, stanzas, weight, generation: number };
                slot.carrier = Carrier::Waiting(Box::new(waiting));
                Some(Expiry { session, generation: number, after: self.resumption })
            }
            (management, _) => {
                self.give_up(now, session, undelivered(management.as_ref(), stanzas));
                None
            }
        }
    }

    /// The time of a waiting session is over, unless it was resumed since.
    pub fn expire(&mut self, now: Moment, session: SessionId, generation: u64) {
        let due = match self.slots.get(&session).map(|slot| &slot.carrier) {
            Some(Carrier::Waiting(waiting)) => waiting.generation == generation,
            Some(Carrier::Guest(_) | Carrier::Link(_)) | None => false,
        };
        if due {
            self.end_waiting(now, session);
            self.drain(now);
        }
    }

    /// Gives orders to the links of an account or of one resource. Returns how many.
    pub fn order(&mut self, jid: &Jid, order: Order) -> usize {
        let sessions = self.domain.sessions_of(jid);
        let links: Vec<&Rc<Link>> = sessions
            .iter()
            .filter_map(|session| match &self.slots.get(session)?.carrier {
                Carrier::Link(link) => Some(link),
                Carrier::Guest(_) | Carrier::Waiting(_) => None,
            })
            .collect();
        links.iter().for_each(|link| link.order(order));
        links.len()
    }

    /// Ends the sessions of an account or of one resource. Returns how many.
    pub fn kick(&mut self, now: Moment, jid: &Jid, condition: &'static str) -> usize {
        let sessions = self.domain.sessions_of(jid);
        for session in &sessions {
            self.domain.end(now, *session, condition);
        }
        self.drain(now);
        sessions.len()
    }

    /// Removes a session from a room; `false` where it is not in there.
    pub fn expel(&mut self, now: Moment, room: &BareJid, real: &FullJid, code: &'static str) -> bool {
        let any = self.domain.expel(now, room, real, code);
        self.drain(now);
        any
    }

    /// Ends every stream; from now on nothing waits for a resumption.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.links.values().for_each(|link| link.order(Order::End(SHUTDOWN)));
    }

    /// Whether no connection is left.
    pub fn is_idle(&self) -> bool {
        self.links.is_empty()
    }

    /// All sessions, sorted by address.
    pub fn sessions(&self) -> Vec<SessionReport> {
        let mut reports: Vec<SessionReport> = self
            .slots
            .iter()
            .filter_map(|(session, slot)| {
                let (jid, available) = self.domain.session(*session)?;
                let connected = !matches!(slot.carrier, Carrier::Waiting(_));
                let unacked = match &slot.carrier {
                    Carrier::Guest(_) => 0,
                    Carrier::Link(link) => {
                        link.stream.borrow().management().map_or(0, Management::unacked_len)
                    }
                    Carrier::Waiting(waiting) => waiting.management.unacked_len(),
                };
                Some(SessionReport { jid: jid.clone(), connected, available, unacked })
            })
            .collect();
        reports.sort_by(|a, b| a.jid.cmp(&b.jid));
        reports
    }

    /// Carries out what the domain decided, until it has nothing more to say.
    fn drain(&mut self, now: Moment) {
        loop {
            while let Some(output) = self.domain.poll_output() {
                match output {
                    Output::Deliver { session, stanza } => self.deliver(now, session, stanza),
                    Output::End { session, condition } => self.end(now, session, condition),
                }
            }
            let Some((session, stanza)) = self.said.pop_front() else { return };
            self.domain.on_stanza(now, session, stanza);
        }
    }

    /// Gives a guest a session of its own, available from the start.
    pub fn invite(
        &mut self,
        now: Moment,
        local: &str,
        guest: Box<dyn Guest>,
    ) -> Result<(SessionId, FullJid), StanzaError> {
        let (session, jid) = self.domain.bind(now, local, Some("guest"))?;
        self.slots.insert(session, Slot { resume_id: None, carrier: Carrier::Guest(guest) });
        self.domain.on_stanza(now, session, Element::new("presence", ns::CLIENT));
        self.drain(now);
        Ok((session, jid))
    }

    /// Asks a guest what it wants to say; when it wants to be asked again, unless it has gone.
    pub fn ask_guest(&mut self, now: Moment, session: SessionId) -> Option<Instant> {
        let Carrier::Guest(guest) = &mut self.slots.get_mut(&session)?.carrier else { return None };
        let (said, next) = guest.on_timeout(now.at);
        self.said.extend(said.into_iter().map(|stanza| (session, stanza)));
        self.drain(now);
        Some(next)
    }

    fn deliver(&mut self, now: Moment, session: SessionId, stanza: Element) {
        let Some(slot) = self.slots.get_mut(&session) else { return };
        match &mut slot.carrier {
            Carrier::Guest(guest) => {
                let said = guest.on_stanza(now.at, &stanza);
                self.said.extend(said.into_iter().map(|stanza| (session, stanza)));
            }
            Carrier::Link(link) => {
                let waiting = link.post(stanza);
                if waiting > self.backlog {
                    link.order(Order::Overflow);
                } else if waiting > CROWDED {
                    self.crowded = Some(Rc::clone(link));
                }
            }
            Carrier::Waiting(waiting) => {
                waiting.weight += weight(&stanza);
                waiting.stanzas.push_back(stanza);
                if waiting.weight > self.backlog {
                    self.end_waiting(now, session);
                }
            }
        }
    }

    /// The domain has ended a session.
    fn end(&mut self, now: Moment, session: SessionId, condition: &'static str) {
        let Some(slot) = self.forget(session) else { return };
        let lost = match slot.carrier {
            Carrier::Link(link) => {
                link.session.set(None);
                link.order(Order::End(condition));
                undelivered(link.stream.borrow().management(), link.take_all())
            }
            Carrier::Waiting(waiting) => undelivered(Some(&waiting.management), waiting.stanzas),
            Carrier::Guest(_) => Vec::new(),
        };
        self.domain.redeliver(now, lost);
    }

    fn end_waiting(&mut self, now: Moment, session: SessionId) {
        if let Some(Slot { carrier: Carrier::Waiting(waiting), .. }) = self.forget(session) {
            self.domain.on_session_end(now, session);
            self.domain.redeliver(now, undelivered(Some(&waiting.management), waiting.stanzas));
        }
    }

    fn give_up(&mut self, now: Moment, session: SessionId, undelivered: Vec<Element>) {
        self.forget(session);
        self.domain.on_session_end(now, session);
        self.domain.redeliver(now, undelivered);
        self.drain(now);
    }

    fn forget(&mut self, session: SessionId) -> Option<Slot> {
        let slot = self.slots.remove(&session)?;
        if let Some(id) = &slot.resume_id {
            self.resumable.remove(id);
        }
        Some(slot)
    }
}

/// The present on both clocks.
pub(super) fn present() -> Moment {
    Moment { at: Instant::now(), wall: Timestamp::now() }
}

/// What a session's client may not have got: what it did not acknowledge, then what was not sent.
fn undelivered(management: Option<&Management>, stanzas: VecDeque<Element>) -> Vec<Element> {
    let unacked = management.map(Management::lost).unwrap_or_default();
    unacked.into_iter().map(|(_, stanza)| stanza).chain(stanzas).collect()
}

const SHUTDOWN: &str = "system-shutdown";
