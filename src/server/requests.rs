//! Requests: what the server answers for itself and for its accounts, and what it passes on.

use jiff::tz::TimeZone;

use crate::event::SubscriptionVerb;
use crate::jid::{BareJid, Jid};
use crate::moment::Moment;
use crate::ns;
use crate::stanza::StanzaError;
use crate::xep::{archive, stanza_ids};
use crate::xml::Element;

use super::domain::{Domain, SessionId};
use super::roster::Item;
use super::vocabulary::{
    CARBONS, DISCO_INFO, DISCO_ITEMS, PING, REGISTER, TIME, VERSION, presence, refusal, result, verb_type,
};

/// The answer to a request: its payload, or why not.
pub(super) type Answer = Result<Option<Element>, StanzaError>;

impl Domain {
    /// A request or an answer from a session, not for a room; RFC 6121 §8.5.2.1.3 and §8.5.3.1.
    pub(super) fn on_iq(&mut self, now: Moment, id: SessionId, to: Option<Jid>, iq: Element) {
        let asks = matches!(iq.attr("type"), Some("get" | "set"));
        let one_child = iq.children().count() == 1;
        if iq.attr("id").is_none() || (asks && !one_child) {
            return self.refuse(now, &iq, "bad-request");
        }
        if !asks && !matches!(iq.attr("type"), Some("result" | "error")) {
            return self.refuse(now, &iq, "bad-request");
        }
        if let Some(full) = to.as_ref().filter(|to| to.local().is_some() && !to.is_bare()) {
            return match self.session_at(full) {
                Some(session) => self.deliver(session, iq),
                None => self.refuse(now, &iq, "service-unavailable"),
            };
        }
        if !asks {
            // The answer to a roster push, or to nothing that was asked.
            return;
        }
        let Some((jid, bare)) = self.sessions.get(&id).map(|s| (s.jid.clone(), s.bare.clone())) else {
            return;
        };
        let removes = iq.child("query", REGISTER).is_some_and(|query| query.has_child("remove", REGISTER));
        if removes && to.as_ref().is_none_or(|to| to.local().is_none() || to.to_bare() == bare) {
            return self.remove_own_account(now, id, &bare, &iq);
        }
        let answer = match &to {
            Some(to) if to.local().is_none() => self.ask_server(now, &bare, &iq),
            Some(to) if to.to_bare() != bare => self.ask_other(&bare, &to.to_bare(), &iq),
            Some(_) | None => self.ask_own(now, id, &bare, &iq),
        };
        match answer {
            Ok(payload) => {
                let answer = payload.into_iter().fold(result(&iq), Element::with_child);
                self.deliver(id, answer.with_attr("to", jid.as_str()));
            }
            Err(refused) => self.refuse_with(now, &iq, &refused),
        }
    }

    /// To the account itself, or without address.
    fn ask_own(&mut self, now: Moment, id: SessionId, bare: &BareJid, iq: &Element) -> Answer {
        let sets = iq.attr("type") == Some("set");
        let Some(payload) = iq.children().next() else { return Err(refusal("bad-request")) };
        match (payload.ns(), payload.name(), sets) {
            (ns::ROSTER, "query", false) => Ok(self.roster(id, bare, payload)),
            (ns::ROSTER, "query", true) => self.change_roster(now, bare, payload).map(|()| None),
            (CARBONS, "enable" | "disable", true) => {
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.carbons = payload.name() == "enable";
                }
                Ok(None)
            }
            (DISCO_INFO, "query", false) if payload.attr("node").is_some() => Err(refusal("item-not-found")),
            (DISCO_INFO, "query", false) if iq.attr("to").is_some() => {
                Ok(Some(account_info(self.archives())))
            }
            (archive::NS, "query", true) => self.ask_archive(id, bare, payload),
            (DISCO_ITEMS, "query", false) if iq.attr("to").is_some() => {
                Ok(Some(Element::new("query", DISCO_ITEMS)))
            }
            _ => self.ask_server(now, bare, iq),
        }
    }

    /// To the domain.
    fn ask_server(&mut self, now: Moment, bare: &BareJid, iq: &Element) -> Answer {
        let sets = iq.attr("type") == Some("set");
        let Some(payload) = iq.children().next() else { return Err(refusal("bad-request")) };
        match (payload.ns(), payload.name(), sets) {
            (PING, "ping", false) => Ok(None),
            (DISCO_INFO | DISCO_ITEMS, "query", false) if payload.attr("node").is_some() => {
                Err(refusal("item-not-found"))
            }
            (DISCO_INFO, "query", false) => Ok(Some(self.server_info())),
            (DISCO_ITEMS, "query", false) => {
                let rooms = Element::new("item", DISCO_ITEMS).with_attr("jid", self.rooms.host());
                Ok(Some(Element::new("query", DISCO_ITEMS).with_child(rooms.with_attr("name", "Rooms"))))
            }
            (VERSION, "query", false) => Ok(Some(
                Element::new("query", VERSION)
                    .with_child(Element::new("name", VERSION).with_text("Rhapsode embedded server"))
                    .with_child(Element::new("version", VERSION).with_text(env!("CARGO_PKG_VERSION"))),
            )),
            (TIME, "time", false) => Ok(Some(
                Element::new("time", TIME)
                    .with_child(Element::new("tzo", TIME).with_text("Z"))
                    .with_child(Element::new("utc", TIME).with_text(utc_seconds(now))),
            )),
            (REGISTER, "query", _) => self.registration(bare, payload, sets),
            // RFC 6121 appendix E: establishing a session is a thing of the past and always works.
            (ns::SESSION, "session", true) => Ok(None),
            _ => Err(refusal("service-unavailable")),
        }
    }

    /// To another account's bare JID: its server answers, and only for those who may see it.
    fn ask_other(&self, asker: &BareJid, asked: &BareJid, iq: &Element) -> Answer {
        let visible = self.account(asked).is_some_and(|a| a.roster.item(asker).is_some_and(|item| item.from));
        match (iq.attr("type"), iq.children().next().map(Element::ns)) {
            (Some("get"), Some(DISCO_INFO)) if visible => Ok(Some(account_info(self.archives()))),
            (Some("get"), Some(DISCO_ITEMS)) if visible => Ok(Some(Element::new("query", DISCO_ITEMS))),
            _ => Err(refusal("service-unavailable")),
        }
    }

    /// RFC 6121 §2.2 and §2.6: the roster, or nothing where the client has this version of it.
    fn roster(&mut self, id: SessionId, bare: &BareJid, query: &Element) -> Option<Element> {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.interested = true;
        }
        let roster = &self.account(bare)?.roster;
        let known = query.attr("ver").is_some_and(|ver| ver == roster.version());
        (!known).then(|| roster.query(None))
    }

    fn change_roster(&mut self, now: Moment, bare: &BareJid, query: &Element) -> Result<(), StanzaError> {
        let mut items = query.children().filter(|c| c.is("item", ns::ROSTER));
        let (Some(item), None) = (items.next(), items.next()) else { return Err(refusal("bad-request")) };
        let contact = item.attr("jid").ok_or_else(|| refusal("bad-request"))?;
        let contact = Jid::parse(contact).map_err(|_| refusal("jid-malformed"))?.to_bare();
        if contact == *bare {
            return Err(refusal("not-allowed"));
        }
        let account = self.account_mut(bare).ok_or_else(|| refusal("item-not-found"))?;
        if item.attr("subscription") != Some("remove") {
            account.roster.set(&contact, item)?;
            self.push_roster(bare, &contact);
            return Ok(());
        }
        let old = account.roster.remove(&contact).ok_or_else(|| refusal("item-not-found"))?;
        self.push_roster(bare, &contact);
        self.end_subscriptions(now, bare, &contact, &old);
        Ok(())
    }

    /// RFC 6121 §2.5.2: who removes a contact ends the subscriptions with it.
    pub(super) fn end_subscriptions(&mut self, now: Moment, bare: &BareJid, contact: &BareJid, old: &Item) {
        let ended = [
            (SubscriptionVerb::Unsubscribe, old.to || old.ask),
            (SubscriptionVerb::Unsubscribed, old.from || old.request.is_some()),
        ];
        for (verb, _) in ended.into_iter().filter(|(_, due)| *due) {
            let stanza = presence(bare.as_str(), contact.as_str(), Some(verb_type(verb)));
            self.on_verb_received(now, bare, contact, verb, stanza);
        }
        self.show(bare, contact, old.from.then_some(false));
    }

    fn server_info(&self) -> Element {
        let mut features =
            vec![DISCO_INFO, DISCO_ITEMS, PING, VERSION, TIME, CARBONS, "msgoffline", ns::ROSTER];
        features.extend(self.is_open().then_some(REGISTER));
        info("server", "im", &features)
    }
}

fn account_info(archives: bool) -> Element {
    let mut features = vec![DISCO_INFO, DISCO_ITEMS, PING, CARBONS, stanza_ids::NS];
    features.extend(archives.then_some(archive::NS));
    info("account", "registered", &features)
}

fn info(category: &'static str, kind: &'static str, features: &[&'static str]) -> Element {
    let identity =
        Element::new("identity", DISCO_INFO).with_attr("category", category).with_attr("type", kind);
    let query = Element::new("query", DISCO_INFO).with_child(identity);
    features.iter().fold(query, |query, var| {
        query.with_child(Element::new("feature", DISCO_INFO).with_attr("var", *var))
    })
}

/// XEP-0202: `utc` in XEP-0082 form.
fn utc_seconds(now: Moment) -> String {
    now.wall.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
