//! Messages: the rules of RFC 6121 §8.5, offline storage (XEP-0160) and carbons (XEP-0280).

use crate::jid::Jid;
use crate::moment::Moment;
use crate::ns;
use crate::xml::Element;

use super::account::is_storable;
use super::domain::{Domain, SessionId};
use super::room::Mail;
use super::vocabulary::{CARBONS, FORWARD, HINTS, MUC_USER};

/// `type` of a message; an unknown one means `normal`, RFC 6121 §5.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Chat,
    Error,
    Groupchat,
    Headline,
    Normal,
}

impl Domain {
    /// A message for an address of this domain. `sender` is the session that sent it; a room's words have
    /// none.
    pub(super) fn on_message(
        &mut self,
        now: Moment,
        sender: Option<SessionId>,
        to: &Jid,
        mut message: Element,
    ) {
        if to.local().is_none() {
            // The server itself reads no messages; an answer would only feed loops of alerts.
            return;
        }
        let kind = Kind::of(&message);
        if self.account(to).is_some() {
            self.archive(now, sender, to, &mut message);
        }
        let reached = match (self.session_at(to), self.account(to).is_some()) {
            (Some(session), _) => vec![session],
            (None, false) => return self.refuse(now, &message, "service-unavailable"),
            (None, true) => match self.readers(to, kind) {
                Readers::Sessions(sessions) => sessions,
                Readers::Nobody => return,
                Readers::Refused => return self.refuse(now, &message, "service-unavailable"),
                Readers::Later => return self.store(now, sender, to, message),
            },
        };
        self.copy(sender, to, &reached, kind, &message);
        self.hand_out(&reached, message);
    }

    /// A message whose session ended before it could be sent: as to the bare JID.
    pub(super) fn redeliver_message(&mut self, now: Moment, message: Element) {
        let Some(to) = message.attr("to").and_then(|to| Jid::from_wire(to).ok()) else { return };
        let bare: Jid = to.to_bare().into();
        // Copies were for the session that is gone; the others have their own.
        let is_copy = message.children().any(|c| c.ns() == CARBONS);
        if self.account(&bare).is_none() || is_copy {
            return;
        }
        match self.readers(&bare, Kind::of(&message)) {
            Readers::Sessions(sessions) => self.hand_out(&sessions, message),
            Readers::Later => self.store(now, None, &bare, message),
            Readers::Nobody | Readers::Refused => {}
        }
    }

    /// Carries out what the rooms decided.
    pub(super) fn post(&mut self, now: Moment, mail: Mail) {
        for (to, stanza) in mail {
            if to.is_bare() {
                self.on_message(now, None, &to, stanza);
            } else if let Some(session) = self.session_at(&to) {
                self.deliver(session, stanza);
            }
        }
    }

    /// Gives an account what waited for it, oldest first.
    pub(super) fn flush_offline(&mut self, id: SessionId) {
        let Some(bare) = self.sessions.get(&id).map(|s| s.bare.clone()) else { return };
        let waiting = self.account_mut(&bare).map(|account| account.offline.take()).unwrap_or_default();
        for message in waiting {
            self.deliver(id, message);
        }
    }

    /// Who reads a message that no session's own address names, RFC 6121 §8.5.2 and §8.5.3.2.
    fn readers(&self, to: &Jid, kind: Kind) -> Readers {
        let Some(account) = self.account(to) else { return Readers::Refused };
        let ready = || {
            let sessions = account.resources.values().filter_map(|id| Some((*id, self.sessions.get(id)?)));
            sessions.filter(|(_, s)| s.presence.is_some() && s.priority >= 0).map(|(id, s)| (id, s.priority))
        };
        match kind {
            Kind::Groupchat => Readers::Refused,
            Kind::Error => Readers::Nobody,
            Kind::Headline if !to.is_bare() => Readers::Nobody,
            Kind::Headline => match ready().map(|(id, _)| id).collect::<Vec<_>>() {
                sessions if sessions.is_empty() => Readers::Nobody,
                sessions => Readers::Sessions(sessions),
            },
            Kind::Normal if !to.is_bare() => Readers::Refused,
            Kind::Chat | Kind::Normal => match ready().map(|(_, priority)| priority).max() {
                Some(top) => {
                    Readers::Sessions(ready().filter(|(_, p)| *p == top).map(|(id, _)| id).collect())
                }
                None => Readers::Later,
            },
        }
    }

    fn store(&mut self, now: Moment, sender: Option<SessionId>, to: &Jid, message: Element) {
        if !is_storable(&message) {
            return;
        }
        self.copy(sender, to, &[], Kind::of(&message), &message);
        let host = self.name.clone();
        let Some(account) = self.account_mut(to) else { return };
        if account.offline.store(host.as_str(), now.wall, message.clone()) {
            self.stored += 1;
        } else {
            self.refuse(now, &message, "resource-constraint");
        }
    }

    fn hand_out(&mut self, sessions: &[SessionId], mut message: Element) {
        message.retain_children(|c| !c.is("private", CARBONS));
        let Some((last, others)) = sessions.split_last() else { return };
        for id in others {
            self.deliver(*id, message.clone());
        }
        self.deliver(*last, message);
    }

    /// Sends copies to the sessions that asked for them and are not reached anyway, XEP-0280 §6 to §8.
    fn copy(
        &mut self,
        sender: Option<SessionId>,
        to: &Jid,
        reached: &[SessionId],
        kind: Kind,
        message: &Element,
    ) {
        let says = message.has_child("body", ns::CLIENT);
        let forbidden = message.has_child("private", CARBONS)
            || message.has_child("no-copy", HINTS)
            || message.has_child("x", MUC_USER);
        if forbidden || !(kind == Kind::Chat || (kind == Kind::Normal && says)) {
            return;
        }
        let from = sender.and_then(|id| self.sessions.get(&id)).map(|session| session.bare.clone());
        let own = |domain: &Self, jid: &Jid| -> Vec<SessionId> {
            let ids = domain.account(jid).into_iter().flat_map(|account| account.resources.values().copied());
            ids.filter(|id| !reached.contains(id) && Some(*id) != sender)
                .filter(|id| domain.sessions.get(id).is_some_and(|session| session.carbons))
                .collect()
        };
        let sent = from.as_ref().map(|from| own(self, from)).unwrap_or_default();
        let received = own(self, to);
        for id in sent.iter().copied() {
            self.deliver_copy(id, "sent", message);
        }
        for id in received {
            // A message to oneself is told once.
            if !sent.contains(&id) {
                self.deliver_copy(id, "received", message);
            }
        }
    }

    fn deliver_copy(&mut self, id: SessionId, direction: &'static str, message: &Element) {
        let Some(session) = self.sessions.get(&id) else { return };
        let forwarded = Element::new("forwarded", FORWARD).with_child(message.clone());
        let copy = Element::new("message", ns::CLIENT)
            .with_attr("type", message.attr("type").unwrap_or("normal"))
            .with_attr("from", session.bare.as_str())
            .with_attr("to", session.jid.as_str())
            .with_child(Element::new(direction, CARBONS).with_child(forwarded));
        self.deliver(id, copy);
    }
}

/// Who reads a message.
enum Readers {
    /// Nobody now; it is kept.
    Later,
    /// Nobody, silently.
    Nobody,
    /// Nobody, and the sender is told.
    Refused,
    /// These, at least one.
    Sessions(Vec<SessionId>),
}

impl Kind {
    fn of(message: &Element) -> Self {
        match message.attr("type") {
            Some("chat") => Self::Chat,
            Some("error") => Self::Error,
            Some("groupchat") => Self::Groupchat,
            Some("headline") => Self::Headline,
            Some(_) | None => Self::Normal,
        }
    }
}
