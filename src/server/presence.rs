//! Presence: availability, probes and subscriptions, RFC 6121 §3 and §4.

use crate::event::SubscriptionVerb;
use crate::jid::{BareJid, FullJid, Jid};
use crate::moment::Moment;
use crate::ns;
use crate::xml::Element;

use super::domain::{Domain, SessionId};
use super::vocabulary::{presence, verb_of, verb_type};

/// Addresses that one session may tell its presence directly and that are told when it goes.
const MAX_DIRECTED: usize = 200;

impl Domain {
    /// A presence from a session that is not for a room.
    pub(super) fn on_presence(&mut self, now: Moment, id: SessionId, to: Option<Jid>, stanza: Element) {
        let verb = verb_of(&stanza);
        match (to, verb, stanza.attr("type")) {
            (Some(to), Some(verb), _) => self.on_subscription(now, id, to.to_bare(), verb, stanza),
            (None, Some(_), _) => self.refuse(now, &stanza, "bad-request"),
            (None, None, None) => self.on_available(now, id, stanza),
            (None, None, Some("unavailable")) => self.on_unavailable(now, id, Some(stanza)),
            (Some(to), None, None | Some("unavailable")) => self.on_directed(id, to, stanza),
            (Some(to), None, Some("probe")) => self.on_probe(now, id, &to.to_bare()),
            (Some(to), None, Some("error")) => {
                if let Some(session) = self.session_at(&to) {
                    self.deliver(session, stanza);
                }
            }
            (_, None, Some(_)) => self.refuse(now, &stanza, "bad-request"),
        }
    }

    /// Initial presence and its changes, §4.2 and §4.4.
    fn on_available(&mut self, now: Moment, id: SessionId, mut stanza: Element) {
        let priority = match stanza.child_text("priority", ns::CLIENT).map(|text| text.trim().parse::<i8>()) {
            None => 0,
            Some(Ok(priority)) => priority,
            Some(Err(_)) => return self.refuse(now, &stanza, "bad-request"),
        };
        stanza.remove_attr("to");
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let initial = session.presence.is_none();
        let was_reading = !initial && session.priority >= 0;
        session.priority = priority;
        session.presence = Some(stanza.clone());
        let bare = session.bare.clone();
        self.tell_subscribers(&bare, &stanza);
        if initial {
            self.probe_contacts(now, id, &bare);
            self.repeat_requests(id, &bare);
        }
        if priority >= 0 && !was_reading {
            self.flush_offline(id);
        }
    }

    /// The session is no longer available, §4.5, by its own words or by its end.
    pub(super) fn on_unavailable(&mut self, now: Moment, id: SessionId, stanza: Option<Element>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let (jid, bare) = (session.jid.clone(), session.bare.clone());
        let was_available = session.presence.is_some();
        let mut goodbye = stanza.unwrap_or_else(|| {
            Element::new("presence", ns::CLIENT)
                .with_attr("from", jid.as_str())
                .with_attr("type", "unavailable")
        });
        goodbye.remove_attr("to");
        let directed = std::mem::take(&mut session.directed);
        if was_available {
            self.tell_subscribers(&bare, &goodbye);
        }
        // Only now: its own resource hears the goodbye too.
        if let Some(session) = self.sessions.get_mut(&id) {
            session.presence = None;
        }
        for to in directed {
            self.hand_presence(&to, &goodbye);
        }
        self.leave_rooms(now, &jid);
    }

    /// Presence to one address, §4.6.
    fn on_directed(&mut self, id: SessionId, to: Jid, stanza: Element) {
        let gone = stanza.attr("type").is_some();
        self.hand_presence(&to, &stanza);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if gone {
            session.directed.remove(&to);
        } else if session.directed.len() < MAX_DIRECTED {
            session.directed.insert(to);
        }
    }

    /// "Where are you?", §4.3: answered for those who may know.
    fn on_probe(&mut self, now: Moment, id: SessionId, contact: &BareJid) {
        let Some((jid, bare)) = self.sessions.get(&id).map(|s| (s.jid.clone(), s.bare.clone())) else {
            return;
        };
        if !self.serves(contact.domain()) {
            return;
        }
        let shown = *contact == bare
            || self.account(contact).is_some_and(|a| a.roster.item(&bare).is_some_and(|item| item.from));
        if !shown {
            let refusal = presence(contact.as_str(), bare.as_str(), Some("unsubscribed"));
            return self.on_verb_received(now, contact, &bare, SubscriptionVerb::Unsubscribed, refusal);
        }
        for (_, known) in self.available(contact) {
            if known.attr("from") != Some(jid.as_str()) {
                self.deliver(id, known.with_attr("to", jid.as_str()));
            }
        }
    }

    fn probe_contacts(&mut self, now: Moment, id: SessionId, bare: &BareJid) {
        let Some(account) = self.account(bare) else { return };
        let seen: Vec<BareJid> =
            account.roster.items().filter(|(_, item)| item.to).map(|(contact, _)| contact.clone()).collect();
        self.on_probe(now, id, bare);
        for contact in seen {
            self.on_probe(now, id, &contact);
        }
    }

    /// A session that comes is asked again what its user has not answered, §3.1.3.
    fn repeat_requests(&mut self, id: SessionId, bare: &BareJid) {
        let Some(account) = self.account(bare) else { return };
        let requests: Vec<Element> =
            account.roster.items().filter_map(|(_, item)| item.request.clone()).collect();
        for request in requests {
            self.deliver(id, request);
        }
    }

    /// The user sends one of the four verbs, §3.
    fn on_subscription(
        &mut self,
        now: Moment,
        id: SessionId,
        contact: BareJid,
        verb: SubscriptionVerb,
        mut stanza: Element,
    ) {
        let Some(bare) = self.sessions.get(&id).map(|s| s.bare.clone()) else { return };
        if contact == bare {
            return self.refuse(now, &stanza, "not-allowed");
        }
        let Some(account) = self.account_mut(&bare) else { return };
        let sent = match account.roster.on_sent(&contact, verb) {
            Ok(sent) => sent,
            Err(refused) => return self.refuse_with(now, &stanza, &refused),
        };
        // §3.1.2: subscriptions are between accounts, not sessions.
        stanza.set_attr("from", bare.as_str());
        stanza.set_attr("to", contact.as_str());
        if sent.push {
            self.push_roster(&bare, &contact);
        }
        if sent.route {
            self.on_verb_received(now, &bare, &contact, verb, stanza);
        }
        self.show(&bare, &contact, sent.shown);
    }

    /// A verb arrives for an account of this domain, §3.
    pub(super) fn on_verb_received(
        &mut self,
        now: Moment,
        from: &BareJid,
        to: &BareJid,
        verb: SubscriptionVerb,
        stanza: Element,
    ) {
        if self.account(to).is_none() {
            // RFC 6121 §8.5.1: who does not exist lets nobody see it.
            if verb == SubscriptionVerb::Subscribe {
                let refusal = presence(to.as_str(), from.as_str(), Some("unsubscribed"));
                self.on_verb_received(now, to, from, SubscriptionVerb::Unsubscribed, refusal);
            }
            return;
        }
        let Some(account) = self.account_mut(to) else { return };
        let received = match account.roster.on_received(from, verb, &stanza) {
            Ok(received) => received,
            Err(refused) => return self.refuse_with(now, &stanza, &refused),
        };
        if received.deliver {
            let sessions = self.listeners(to);
            for id in sessions {
                self.deliver(id, stanza.clone());
            }
        }
        if received.push {
            self.push_roster(to, from);
        }
        if received.grant {
            let grant = presence(to.as_str(), from.as_str(), Some(verb_type(SubscriptionVerb::Subscribed)));
            self.on_verb_received(now, to, from, SubscriptionVerb::Subscribed, grant);
        }
        self.show(to, from, received.shown);
    }

    /// Pushes one item to the sessions that asked for the roster, §2.1.6.
    pub(super) fn push_roster(&mut self, bare: &BareJid, contact: &BareJid) {
        let Some(account) = self.account(bare) else { return };
        let query = account.roster.query(Some(contact));
        let sessions: Vec<(SessionId, FullJid)> = account
            .resources
            .values()
            .filter_map(|id| Some((*id, self.sessions.get(id)?)))
            .filter(|(_, session)| session.interested)
            .map(|(id, session)| (id, session.jid.clone()))
            .collect();
        for (id, jid) in sessions {
            let push = Element::new("iq", ns::CLIENT)
                .with_attr("type", "set")
                .with_attr("id", self.ids.next_id())
                .with_attr("to", jid.as_str())
                .with_child(query.clone());
            self.deliver(id, push);
        }
    }

    /// Tells a contact where the user is, from now on or for the last time.
    pub(super) fn show(&mut self, user: &BareJid, contact: &BareJid, shown: Option<bool>) {
        let Some(shown) = shown else { return };
        for (jid, known) in self.available(user) {
            let told = if shown { known } else { presence(jid.as_str(), "", Some("unavailable")) };
            self.hand_presence(contact, &told);
        }
    }

    /// Broadcasts to everyone who may see the user, and to the user's own sessions, §4.2.2.
    fn tell_subscribers(&mut self, bare: &BareJid, stanza: &Element) {
        let Some(account) = self.account(bare) else { return };
        let seeing: Vec<BareJid> = account
            .roster
            .items()
            .filter(|(_, item)| item.from)
            .map(|(contact, _)| contact.clone())
            .collect();
        self.hand_presence(bare, stanza);
        for contact in seeing {
            self.hand_presence(&contact, stanza);
        }
    }

    /// Gives a presence to a full JID, or to all available resources of a bare one, §8.5.2.
    fn hand_presence(&mut self, to: &Jid, stanza: &Element) {
        let stanza = stanza.clone().with_attr("to", to.as_str());
        let reached: Vec<SessionId> = match to.resource() {
            Some(_) => self.session_at(to).into_iter().collect(),
            None => self.available_ids(to),
        };
        for id in reached {
            self.deliver(id, stanza.clone());
        }
    }

    fn available_ids(&self, bare: &Jid) -> Vec<SessionId> {
        let Some(account) = self.account(bare) else { return Vec::new() };
        let ids = account.resources.values().copied();
        ids.filter(|id| self.sessions.get(id).is_some_and(|s| s.presence.is_some())).collect()
    }

    /// The presences of an account's available sessions.
    fn available(&self, bare: &Jid) -> Vec<(FullJid, Element)> {
        let sessions = self.available_ids(bare).into_iter().filter_map(|id| self.sessions.get(&id));
        sessions.filter_map(|s| Some((s.jid.clone(), s.presence.clone()?))).collect()
    }

    /// Sessions that hear of subscriptions: available, or waiting for roster pushes.
    fn listeners(&self, bare: &Jid) -> Vec<SessionId> {
        let Some(account) = self.account(bare) else { return Vec::new() };
        let ids = account.resources.values().copied();
        ids.filter(|id| self.sessions.get(id).is_some_and(|s| s.presence.is_some() || s.interested)).collect()
    }
}
