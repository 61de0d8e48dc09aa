//! One account's contacts and the subscription states of RFC 6121 §3 and its appendix A.

use std::collections::BTreeMap;

use crate::event::SubscriptionVerb;
use crate::jid::BareJid;
use crate::ns;
use crate::stanza::StanzaError;
use crate::xml::Element;

use super::vocabulary::refusal;

/// Contacts that one account may have.
pub const MAX_ITEMS: usize = 1000;

/// A roster with the number of its last change.
pub struct Roster {
    items: BTreeMap<BareJid, Item>,
    changes: u64,
    /// Makes versions of an earlier run of the server different from this one's.
    epoch: String,
}

/// One contact. What RFC 6121 appendix A calls "None + Pending Out+In" is four flags here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// The name that the user gave.
    pub name: Option<String>,
    /// The groups that the user put it in.
    pub groups: Vec<String>,
    /// The user sees the contact's presence.
    pub to: bool,
    /// The contact sees the user's presence.
    pub from: bool,
    /// The user asked to see the contact and has no answer yet.
    pub ask: bool,
    /// The user allowed the contact before it asked, §3.4.
    pub approved: bool,
    /// The contact's request that the user has not answered.
    pub request: Option<Element>,
    /// Whether the user sees this item; an unanswered request alone does not list the contact.
    pub listed: bool,
}

/// What follows from a subscription verb that the user sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// The item changed and is pushed to the user's sessions.
    pub push: bool,
    /// The stanza goes on to the contact.
    pub route: bool,
    /// The contact is told the user's presence from now on, or for the last time.
    pub shown: Option<bool>,
}

/// What follows from a subscription verb that a contact sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The item changed and is pushed to the user's sessions.
    pub push: bool,
    /// The stanza is given to the user's sessions.
    pub deliver: bool,
    /// The server answers `subscribed` in the user's name.
    pub grant: bool,
    /// The contact is told the user's presence from now on, or for the last time.
    pub shown: Option<bool>,
}

impl Roster {
    /// An empty roster; `epoch` tells its versions from those of other rosters.
    pub fn new(epoch: String) -> Self {
        Self { items: BTreeMap::new(), changes: 0, epoch }
    }

    /// The version after the last change, §2.6.
    pub fn version(&self) -> String {
        format!("{}-{}", self.epoch, self.changes)
    }

    /// One contact.
    pub fn item(&self, contact: &BareJid) -> Option<&Item> {
        self.items.get(contact)
    }

    /// All contacts, sorted by address.
    pub fn items(&self) -> impl Iterator<Item = (&BareJid, &Item)> {
        self.items.iter()
    }

    /// The whole roster as the payload of a result, or of a push when `only` names the one item.
    pub fn query(&self, only: Option<&BareJid>) -> Element {
        let mut query = Element::new("query", ns::ROSTER).with_attr("ver", self.version());
        match only {
            Some(contact) => query.push(match self.items.get(contact).filter(|item| item.listed) {
                Some(item) => item.to_element(contact),
                None => Element::new("item", ns::ROSTER)
                    .with_attr("jid", contact.as_str())
                    .with_attr("subscription", "remove"),
            }),
            None => {
                for (contact, item) in self.items.iter().filter(|(_, item)| item.listed) {
                    query.push(item.to_element(contact));
                }
            }
        }
        query
    }

    /// Adds a contact or changes its name and groups, §2.3 and §2.4.
    pub fn set(&mut self, contact: &BareJid, set: &Element) -> Result<(), StanzaError> {
        let too_long = |text: &str| text.len() > 1023;
        let groups: Vec<String> =
            set.children().filter(|c| c.is("group", ns::ROSTER)).map(Element::text).collect();
        let empty_or_long = groups.iter().any(|group| group.is_empty() || too_long(group));
        if empty_or_long || groups.len() > 50 || set.attr("name").is_some_and(too_long) {
            return Err(refusal("not-acceptable"));
        }
        if (1..groups.len()).any(|at| groups[..at].contains(&groups[at])) {
            return Err(refusal("bad-request"));
        }
        let item = self.entry(contact)?;
        item.name = set.attr("name").filter(|name| !name.is_empty()).map(str::to_owned);
        item.groups = groups;
        item.listed = true;
        self.changes += 1;
        Ok(())
    }

    /// Takes a contact off the roster, §2.5. Gives the item as it was.
    pub fn remove(&mut self, contact: &BareJid) -> Option<Item> {
        let listed = self.items.get(contact).is_some_and(|item| item.listed);
        if !listed {
            return None;
        }
        self.changes += 1;
        self.items.remove(contact)
    }

    /// The user sends a subscription verb, appendix A.2.
    pub fn on_sent(&mut self, contact: &BareJid, verb: SubscriptionVerb) -> Result<Sent, StanzaError> {
        let item = self.entry(contact)?;
        let sent = match verb {
            SubscriptionVerb::Subscribe => {
                let push = !item.to && !item.ask;
                item.ask |= push;
                item.listed = true;
                Sent { push, route: !item.to, shown: None }
            }
            SubscriptionVerb::Subscribed if item.request.take().is_some() => {
                item.from = true;
                item.listed = true;
                Sent { push: true, route: true, shown: Some(true) }
            }
            SubscriptionVerb::Subscribed => {
                let push = !item.from && !item.approved;
                item.approved |= push;
                item.listed |= push;
                Sent { push, ..Sent::default() }
            }
            SubscriptionVerb::Unsubscribe => {
                let push = item.to || item.ask;
                (item.to, item.ask) = (false, false);
                Sent { push, route: push, shown: None }
            }
            SubscriptionVerb::Unsubscribed => {
                let was_shown = item.from;
                let refused = item.request.take().is_some();
                let push = item.from || item.approved;
                (item.from, item.approved) = (false, false);
                Sent { push, route: was_shown || refused, shown: was_shown.then_some(false) }
            }
        };
        let push = sent.push && item.listed;
        self.settle(contact, push);
        Ok(Sent { push, ..sent })
    }

    /// A contact's subscription verb arrives for the user, appendix A.3.
    pub fn on_received(
        &mut self,
        contact: &BareJid,
        verb: SubscriptionVerb,
        stanza: &Element,
    ) -> Result<Received, StanzaError> {
        let item = self.entry(contact)?;
        let received = match verb {
            SubscriptionVerb::Subscribe if item.from => {
                Received { grant: true, shown: Some(true), ..Received::default() }
            }
            SubscriptionVerb::Subscribe if item.approved => {
                item.from = true;
                Received { push: true, grant: true, shown: Some(true), deliver: false }
            }
            SubscriptionVerb::Subscribe => {
                item.request = Some(stanza.clone());
                Received { deliver: true, ..Received::default() }
            }
            SubscriptionVerb::Subscribed => {
                let changed = item.ask;
                item.to |= changed;
                item.ask = false;
                Received { push: changed, deliver: changed, ..Received::default() }
            }
            SubscriptionVerb::Unsubscribe => {
                let was_shown = item.from;
                let asked = item.request.take().is_some();
                item.from = false;
                let shown = was_shown.then_some(false);
                Received { push: was_shown, deliver: was_shown || asked, shown, grant: false }
            }
            SubscriptionVerb::Unsubscribed => {
                let changed = item.to || item.ask;
                (item.to, item.ask) = (false, false);
                Received { push: changed, deliver: changed, ..Received::default() }
            }
        };
        let push = received.push && item.listed;
        self.settle(contact, push);
        Ok(Received { push, ..received })
    }

    fn entry(&mut self, contact: &BareJid) -> Result<&mut Item, StanzaError> {
        if self.items.len() >= MAX_ITEMS && !self.items.contains_key(contact) {
            return Err(refusal("resource-constraint"));
        }
        Ok(self.items.entry(contact.clone()).or_default())
    }

    /// Counts a visible change and forgets an item that says nothing.
    fn settle(&mut self, contact: &BareJid, changed: bool) {
        self.changes += u64::from(changed);
        if self.items.get(contact) == Some(&Item::default()) {
            self.items.remove(contact);
        }
    }
}

impl Item {
    /// The value of `subscription`, §2.1.2.5.
    pub fn subscription(&self) -> &'static str {
        match (self.to, self.from) {
            (false, false) => "none",
            (true, false) => "to",
            (false, true) => "from",
            (true, true) => "both",
        }
    }

    fn to_element(&self, contact: &BareJid) -> Element {
        let mut item = Element::new("item", ns::ROSTER)
            .with_attr("jid", contact.as_str())
            .with_attr("subscription", self.subscription())
            .with_attr_opt("name", self.name.as_deref())
            .with_attr_opt("ask", self.ask.then_some("subscribe"))
            .with_attr_opt("approved", self.approved.then_some("true"));
        for group in &self.groups {
            item.push(Element::new("group", ns::ROSTER).with_text(group.clone()));
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SubscriptionVerb::{Subscribe, Subscribed, Unsubscribe, Unsubscribed};

    /// State before, verb, state after, route, push: RFC 6121 appendix A.2.
    #[test]
    fn verbs_of_the_user_follow_the_tables() {
        for (before, verb, after, route, push) in [
            ("none", Subscribe, "none ask", true, true),
            ("none ask", Subscribe, "none ask", true, false),
            ("to", Subscribe, "to", false, false),
            ("from", Subscribe, "from ask", true, true),
            ("none in", Subscribed, "from", true, true),
            ("to in", Subscribed, "both", true, true),
            ("none ask in", Subscribed, "from ask", true, true),
            ("none", Subscribed, "none approved", false, true),
            ("none approved", Subscribed, "none approved", false, false),
            ("both", Subscribed, "both", false, false),
            ("to", Unsubscribe, "none", true, true),
            ("both", Unsubscribe, "from", true, true),
            ("from ask", Unsubscribe, "from", true, true),
            ("from", Unsubscribe, "from", false, false),
            ("both", Unsubscribed, "to", true, true),
            ("none in", Unsubscribed, "none", true, false),
            ("none approved", Unsubscribed, "none", false, true),
            ("to", Unsubscribed, "to", false, false),
        ] {
            let mut roster = roster_in(before);
            let sent = roster.on_sent(&contact(), verb).expect("the roster is not full");
            assert_eq!(
                (state(&roster).as_str(), sent.route, sent.push),
                (after, route, push),
                "{before} {verb:?}"
            );
        }
    }

    /// State before, verb, state after, deliver, push, grant: RFC 6121 appendix A.3.
    #[test]
    fn verbs_of_a_contact_follow_the_tables() {
        for (before, verb, after, deliver, push, grant) in [
            ("none", Subscribe, "none in", true, false, false),
            ("to", Subscribe, "to in", true, false, false),
            ("from", Subscribe, "from", false, false, true),
            ("none approved", Subscribe, "from approved", false, true, true),
            ("none ask", Subscribed, "to", true, true, false),
            ("from ask", Subscribed, "both", true, true, false),
            ("none", Subscribed, "none", false, false, false),
            ("both", Unsubscribe, "to", true, true, false),
            ("none in", Unsubscribe, "none", true, false, false),
            ("to", Unsubscribe, "to", false, false, false),
            ("both", Unsubscribed, "from", true, true, false),
            ("none ask", Unsubscribed, "none", true, true, false),
            ("from", Unsubscribed, "from", false, false, false),
        ] {
            let mut roster = roster_in(before);
            let stanza = Element::new("presence", ns::CLIENT);
            let got = roster.on_received(&contact(), verb, &stanza).expect("the roster is not full");
            let seen = (state(&roster), got.deliver, got.push, got.grant);
            assert_eq!(seen, (after.to_owned(), deliver, push, grant), "{before} {verb:?}");
        }
    }

    #[test]
    fn a_request_alone_lists_nobody_and_leaves_nothing_when_refused() {
        let mut roster = Roster::new("e".to_owned());
        let stanza = Element::new("presence", ns::CLIENT);
        roster.on_received(&contact(), Subscribe, &stanza).expect("the roster is not full");
        assert_eq!(roster.query(None).children().count(), 0);
        roster.on_sent(&contact(), Unsubscribed).expect("the roster is not full");
        assert!(roster.item(&contact()).is_none());
        assert_eq!(roster.version(), "e-0");
    }

    #[test]
    fn a_set_keeps_the_subscription_and_counts_as_a_change() {
        let mut roster = roster_in("both");
        let before = roster.version();
        let set = Element::new("item", ns::ROSTER)
            .with_attr("name", "Bo")
            .with_child(Element::new("group", ns::ROSTER).with_text("g"));
        roster.set(&contact(), &set).expect("a proper item");
        assert_eq!(state(&roster), "both");
        assert_ne!(roster.version(), before);
        let doubled = set.with_child(Element::new("group", ns::ROSTER).with_text("g"));
        assert_eq!(roster.set(&contact(), &doubled).map_err(|e| e.condition), Err("bad-request".into()));
    }

    fn contact() -> BareJid {
        BareJid::parse("bo@demo.localhost").expect("a bare JID")
    }

    fn roster_in(state: &str) -> Roster {
        let mut roster = Roster::new("e".to_owned());
        let has = |word: &str| state.split(' ').any(|w| w == word);
        let item = Item {
            to: has("to") || has("both"),
            from: has("from") || has("both"),
            ask: has("ask"),
            approved: has("approved"),
            request: has("in").then(|| Element::new("presence", ns::CLIENT)),
            listed: true,
            ..Item::default()
        };
        roster.items.insert(contact(), item);
        roster
    }

    fn state(roster: &Roster) -> String {
        let item = roster.item(&contact()).cloned().unwrap_or_default();
        let mut text = item.subscription().to_owned();
        for (word, there) in
            [(" ask", item.ask), (" in", item.request.is_some()), (" approved", item.approved)]
        {
            text.push_str(if there { word } else { "" });
        }
        text
    }
}
