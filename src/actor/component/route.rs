//! Whose a stanza is: an address, the component's domain, or nobody's.

use crate::actor::component::Component;
use crate::jid::{BareJid, Jid};
use crate::moment::Moment;
use crate::ns;
use crate::stanza::iq::{self, Iq, IqKind};
use crate::stanza::{ErrorKind, Head, Stanza, StanzaError};
use crate::xep::{self, disco};
use crate::xml::Element;

/// Most addresses that service discovery lists.
const LISTED: usize = 1000;

impl Component {
    /// Gives a stanza to the address it is for, or answers for those who cannot.
    pub(super) fn route(&mut self, now: Moment, stanza: Element) {
        // A server stamps what it passes on: without a sender nobody can be answered, and nobody may be meant.
        let Ok(Head { from: Some(from), to: Some(to), .. }) = Head::parse(&stanza) else {
            return tracing::debug!(component = %self.spec.name, "a stanza without addresses is dropped");
        };
        if to.domain() != self.spec.domain.domain() {
            return tracing::debug!(component = %self.spec.name, %to, "a stanza for another domain is dropped");
        }
        let bare = to.to_bare();
        if bare == self.spec.domain {
            return self.on_own_stanza(now, stanza);
        }
        let refused = match self.ports.get(&bare) {
            Some(port) => match port.pass(stanza) {
                Ok(()) => return,
                Err(stanza) => (stanza, Why::Busy),
            },
            None if self.addresses.contains(&bare) => (stanza, Why::Absent),
            None => (stanza, Why::Unknown),
        };
        if let Some(answer) = bounce(&refused.0, &from, &to, refused.1) {
            self.send(now, answer);
        }
    }

    /// The domain itself answers what anybody may know of a service.
    fn on_own_stanza(&mut self, now: Moment, stanza: Element) {
        let Ok(Stanza::Iq(Iq { head, kind })) = Stanza::parse(stanza) else { return };
        let (set, payload) = match kind {
            IqKind::Get(payload) => (false, payload),
            IqKind::Set(payload) => (true, payload),
            IqKind::Error(_) | IqKind::Result(_) => return,
        };
        let request = xep::Request { head: &head, set, payload: &payload };
        let answer = if request.is_get("query", disco::ITEMS) && payload.attr("node").is_none() {
            Ok(Some(items(&self.addresses)))
        } else {
            self.own_answer(now, &request)
        };
        let mut answer = iq::answer(&head, answer);
        answer.set_attr("from", self.spec.domain.as_str());
        self.send(now, answer);
    }

    fn own_answer(&self, now: Moment, request: &xep::Request<'_>) -> xep::Answer {
        let identity = disco::Identity {
            category: "component".to_owned(),
            kind: "generic".to_owned(),
            lang: String::new(),
            name: "Rhapsode".to_owned(),
        };
        let known = [disco::INFO, disco::ITEMS, "urn:xmpp:ping", "jabber:iq:version"];
        let features = known.map(str::to_owned).to_vec();
        let info = disco::Info { identities: vec![identity], features, ..disco::Info::default() };
        let account = xep::Account {
            jid: &self.spec.domain,
            info: &info,
            caps_node: "",
            software: ("Rhapsode", env!("CARGO_PKG_VERSION")),
            idle_s: 0,
            now: now.wall,
            trusted: false,
        };
        let refused = || Err(StanzaError::new(ErrorKind::Cancel, "service-unavailable"));
        xep::answer(request, &account).unwrap_or_else(refused)
    }
}

/// Why an address gets no stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// It is configured and not there: paused, or just starting.
    Absent,
    /// It has as many as it may have.
    Busy,
    /// There is no such address.
    Unknown,
}

/// The answer to a stanza that reaches nobody, RFC 6121 §8.5.1; none to errors and answers (S-16).
fn bounce(stanza: &Element, from: &Jid, to: &Jid, why: Why) -> Option<Element> {
    let kind = stanza.attr("type").unwrap_or_default();
    let reply = |name: &str, from: &str, to: &str| {
        Element::new(name.to_owned(), ns::CLIENT)
            .with_attr("from", from)
            .with_attr_opt("id", stanza.attr("id"))
            .with_attr("to", to)
    };
    match (stanza.name(), kind) {
        ("iq", "get" | "set") | ("message", "" | "chat" | "normal") => {
            let error = match why {
                Why::Absent => StanzaError::new(ErrorKind::Wait, "recipient-unavailable"),
                Why::Busy => StanzaError::new(ErrorKind::Wait, "resource-constraint"),
                Why::Unknown => StanzaError::new(ErrorKind::Cancel, "item-not-found"),
            };
            let error = error.to_element(ns::CLIENT);
            Some(
                reply(stanza.name(), to.as_str(), from.as_str()).with_attr("type", "error").with_child(error),
            )
        }
        // Only of an address that does not exist can be said that there is no subscription.
        ("presence", "probe" | "subscribe") if why == Why::Unknown => {
            Some(reply("presence", to.bare_str(), from.bare_str()).with_attr("type", "unsubscribed"))
        }
        _ => None,
    }
}

fn items(addresses: &std::collections::BTreeSet<BareJid>) -> Element {
    let item = |jid: &BareJid| Element::new("item", disco::ITEMS).with_attr("jid", jid.as_str());
    let mut query = Element::new("query", disco::ITEMS);
    for jid in addresses.iter().take(LISTED) {
        query.push(item(jid));
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_questions_and_letters_come_back() {
        let cases = [
            ("iq", "get", Why::Unknown, Some("item-not-found")),
            ("iq", "result", Why::Unknown, None),
            ("iq", "error", Why::Unknown, None),
            ("message", "chat", Why::Busy, Some("resource-constraint")),
            ("message", "", Why::Absent, Some("recipient-unavailable")),
            ("message", "error", Why::Unknown, None),
            ("message", "groupchat", Why::Unknown, None),
            ("presence", "", Why::Unknown, None),
        ];
        let (from, to) = (jid("ann@one.test/x"), jid("nobody@bots.test/y"));
        for (name, kind, why, condition) in cases {
            let stanza = Element::new(name, ns::CLIENT).with_attr("id", "7").with_attr("type", kind);
            let answer = bounce(&stanza, &from, &to, why);
            let found = answer.as_ref().map(|it| StanzaError::from_stanza(it).condition.to_string());
            assert_eq!(found.as_deref(), condition, "{name} {kind}");
            if let Some(answer) = answer {
                assert_eq!(
                    (answer.attr("from"), answer.attr("to")),
                    (Some(to.as_str()), Some(from.as_str()))
                );
            }
        }
    }

    #[test]
    fn a_subscription_ends_only_where_there_is_nobody() {
        let (from, to) = (jid("ann@one.test/x"), jid("nobody@bots.test"));
        let probe = Element::new("presence", ns::CLIENT).with_attr("type", "probe");
        let answer = bounce(&probe, &from, &to, Why::Unknown).expect("an answer");
        assert_eq!((answer.attr("type"), answer.attr("to")), (Some("unsubscribed"), Some("ann@one.test")));
        assert_eq!(bounce(&probe, &from, &to, Why::Absent), None);
        assert_eq!(bounce(&probe, &from, &to, Why::Busy), None);
    }

    fn jid(text: &str) -> Jid {
        Jid::parse(text).expect("an address")
    }
}
