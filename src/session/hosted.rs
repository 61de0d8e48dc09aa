//! An address behind an external component (XEP-0114): no server keeps its roster and nobody but itself broadcasts its
//! presence, so the session does what RFC 6121 §3 and §4 ask of the server of an account.

use tracing::debug;

use super::login::Login;
use super::roster;
use super::{CachedRoster, Session};
use crate::event::{Contact, Event, RosterChange, SubscriptionState, SubscriptionVerb};
use crate::jid::{BareJid, Jid};
use crate::moment::Moment;
use crate::ns;
use crate::stanza::presence::{available, unavailable};
use crate::xep::caps;
use crate::xml::Element;

/// Version of a roster that no server counts: it only marks that there is one.
const VERSION: &str = "hosted";

/// Most contacts of one address; further ones cannot be added.
const MOST_CONTACTS: usize = 10_000;

/// What a subscription makes of an item, RFC 6121 appendix A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// We may see them.
    AddTo,
    /// They may see us.
    AddFrom,
    /// A request of ours is open.
    Ask,
    /// We see them no longer.
    DropTo,
    /// They see us no longer.
    DropFrom,
}

impl Session {
    /// There is nothing to ask a server for: the stored roster is the roster.
    pub(super) fn start_hosted_login(&mut self, now: Moment) {
        self.login = Login::complete();
        self.event(Event::Roster(RosterChange::Loaded { items: self.roster.items() }));
        self.outputs.push_back(super::SessionOutput::LoggedIn { announced: Vec::new() });
        self.send_presence();
        // RFC 6121 §4.3: the server of an account asks how its contacts are.
        let watched: Vec<BareJid> = self.roster.items().into_iter().filter(sees).map(|it| it.jid).collect();
        for contact in watched {
            self.send_typed(&contact, "probe");
        }
        if let Some(jid) = self.own.full.clone() {
            self.event(Event::Online { jid, resumed: false });
        }
        self.start_joins(now);
    }

    /// Sends a presence without a recipient to everybody who may see it, RFC 6121 §4.2.2.
    pub(super) fn broadcast(&mut self, presence: &Element) {
        if !self.config.hosted {
            return self.send(presence.clone());
        }
        for contact in self.roster.items().into_iter().filter(is_seen_by) {
            self.send(presence.clone().with_attr("to", contact.jid.as_str()));
        }
    }

    fn own_presence(&self) -> Element {
        let super::OwnPresence { show, status, priority } = &self.presence;
        available(*show, status.as_deref(), *priority).with_child(caps::element(&self.ver))
    }

    /// Somebody's server asks whether we are there, RFC 6121 §4.3.2. Whoever may not know hears that there is no
    /// subscription, which mends a roster that thinks there is.
    pub(super) fn on_probe(&mut self, from: &Jid) {
        if !self.config.hosted {
            return;
        }
        let contact = from.to_bare();
        if self.roster.is_watcher(&contact) {
            let presence = self.own_presence().with_attr("to", from.as_str());
            self.send(presence);
        } else {
            self.send_typed(&contact, SubscriptionVerb::Unsubscribed.as_str());
        }
    }

    /// A verb of somebody else. `false` where it changes nothing and nobody has to hear of it.
    pub(super) fn on_hosted_subscription(&mut self, from: &BareJid, verb: SubscriptionVerb) -> bool {
        if !self.config.hosted {
            return true;
        }
        match verb {
            SubscriptionVerb::Subscribe if self.roster.is_watcher(from) => {
                // RFC 6121 §3.1.3: the server answers for an account that has agreed before.
                self.send_typed(from, SubscriptionVerb::Subscribed.as_str());
                self.show_to(from);
                return false;
            }
            SubscriptionVerb::Subscribe => {}
            // Only who was asked can agree, RFC 6121 §3.1.6.
            SubscriptionVerb::Subscribed if !self.roster.item(from).is_some_and(|item| item.ask) => {
                return false;
            }
            SubscriptionVerb::Subscribed => self.change_item(from, Change::AddTo),
            SubscriptionVerb::Unsubscribe => {
                if !self.roster.is_watcher(from) {
                    return false;
                }
                self.hide_from(from);
                self.change_item(from, Change::DropFrom);
            }
            SubscriptionVerb::Unsubscribed => self.change_item(from, Change::DropTo),
        }
        true
    }

    /// A verb of ours, before it is sent.
    pub(super) fn on_own_verb(&mut self, to: &BareJid, verb: SubscriptionVerb) {
        if !self.config.hosted {
            return;
        }
        match verb {
            SubscriptionVerb::Subscribe => self.change_item(to, Change::Ask),
            SubscriptionVerb::Subscribed => self.change_item(to, Change::AddFrom),
            SubscriptionVerb::Unsubscribe => self.change_item(to, Change::DropTo),
            SubscriptionVerb::Unsubscribed => {
                if self.roster.is_watcher(to) {
                    self.hide_from(to);
                }
                self.change_item(to, Change::DropFrom);
            }
        }
    }

    /// What follows a verb of ours: who may see us from now on does.
    pub(super) fn after_own_verb(&mut self, to: &BareJid, verb: SubscriptionVerb) {
        if self.config.hosted && verb == SubscriptionVerb::Subscribed {
            self.show_to(to);
        }
    }

    /// Changes name and groups of an item, or takes it out, as a server would: RFC 6121 §2.
    pub(super) fn change_hosted_roster(&mut self, query: &Element) {
        let Some(item) = query.child("item", ns::ROSTER) else { return };
        let Some(jid) = item.attr("jid").and_then(|jid| BareJid::parse(jid).ok()) else { return };
        if item.attr("subscription") == Some("remove") {
            if self.roster.is_watcher(&jid) {
                self.hide_from(&jid);
                self.send_typed(&jid, SubscriptionVerb::Unsubscribed.as_str());
            }
            if self.roster.is_watched(&jid) {
                self.send_typed(&jid, SubscriptionVerb::Unsubscribe.as_str());
            }
        }
        let known = self.roster.item(&jid).cloned();
        let subscription = known.as_ref().map_or(SubscriptionState::None, |item| item.subscription);
        let mut pushed = item.clone();
        if item.attr("subscription") != Some("remove") {
            pushed.set_attr("subscription", roster::state_name(subscription));
            if known.is_some_and(|item| item.ask) {
                pushed.set_attr("ask", "subscribe");
            }
        }
        self.push_item(pushed, &jid);
    }

    fn change_item(&mut self, jid: &BareJid, change: Change) {
        let known = self.roster.item(jid).cloned();
        let (before, asked) =
            known.as_ref().map_or((SubscriptionState::None, false), |it| (it.subscription, it.ask));
        let (after, ask) = changed(before, asked, change);
        if (after, ask) == (before, asked) {
            return;
        }
        let (name, groups) = known.map(|item| (item.name, item.groups)).unwrap_or_default();
        let query = roster::set(jid, name.as_deref(), &groups);
        let Some(mut item) = query.children().next().cloned() else { return };
        item.set_attr("subscription", roster::state_name(after));
        if ask {
            item.set_attr("ask", "subscribe");
        }
        self.push_item(item, jid);
    }

    /// The same way as a server's push: one place changes the roster.
    fn push_item(&mut self, item: Element, jid: &BareJid) {
        if self.roster.item(jid).is_none() && self.roster.len() >= MOST_CONTACTS {
            return debug!(account = %self.own.bare, %jid, "the roster is full");
        }
        let query = Element::new("query", ns::ROSTER).with_attr("ver", VERSION).with_child(item);
        if let Ok(change) = self.roster.on_push(&query) {
            self.roster_changed = true;
            self.event(Event::Roster(change));
        }
    }

    fn show_to(&mut self, contact: &BareJid) {
        if self.login.is_complete() {
            let presence = self.own_presence().with_attr("to", contact.as_str());
            self.send(presence);
        }
    }

    fn hide_from(&mut self, contact: &BareJid) {
        self.send(unavailable(None).with_attr("to", contact.as_str()));
    }

    fn send_typed(&mut self, to: &BareJid, kind: &'static str) {
        let id = self.ids.next_id();
        let presence = Element::new("presence", ns::CLIENT).with_attr("id", id);
        self.send(presence.with_attr("to", to.as_str()).with_attr("type", kind));
    }
}

impl CachedRoster {
    /// The roster of an address behind a component that has no contacts yet.
    pub(super) fn hosted() -> Self {
        Self { ver: VERSION.to_owned(), items: Vec::new() }
    }
}

fn sees(contact: &Contact) -> bool {
    matches!(contact.subscription, SubscriptionState::Both | SubscriptionState::To)
}

fn is_seen_by(contact: &Contact) -> bool {
    matches!(contact.subscription, SubscriptionState::Both | SubscriptionState::From)
}

/// The state after a change, and whether a request stays open.
fn changed(state: SubscriptionState, ask: bool, change: Change) -> (SubscriptionState, bool) {
    use SubscriptionState as S;
    let (mut to, mut from) = (matches!(state, S::Both | S::To), matches!(state, S::Both | S::From));
    let mut ask = ask;
    match change {
        Change::AddTo => (to, ask) = (true, false),
        Change::AddFrom => from = true,
        Change::Ask => ask = !to,
        Change::DropTo => (to, ask) = (false, false),
        Change::DropFrom => from = false,
    }
    let state = match (to, from) {
        (true, true) => S::Both,
        (true, false) => S::To,
        (false, true) => S::From,
        (false, false) => S::None,
    };
    (state, ask)
}
