//! The roster, RFC 6121 §2: items, versions, pushes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::CachedRoster;
use crate::event::{Contact, RosterChange, SubscriptionState};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::stanza::{ErrorKind, StanzaError};
use crate::xml::Element;

/// The account's contacts.
#[derive(Debug, Default)]
pub struct Roster {
    items: BTreeMap<BareJid, Contact>,
    ver: Option<String>,
}

impl Roster {
    /// The roster as it was stored.
    pub fn cached(cached: Option<&CachedRoster>) -> Self {
        let Some(cached) = cached else { return Self::default() };
        let items = cached.items.iter().map(|item| (item.jid.clone(), item.clone())).collect();
        Self { items, ver: Some(cached.ver.clone()) }
    }

    /// The question for the roster. With versioning it names the version at hand, or none: §2.6.
    pub fn query(&self, versioning: bool) -> Element {
        let ver = versioning.then(|| self.ver.clone().unwrap_or_default());
        Element::new("query", ns::ROSTER).with_attr_opt("ver", ver)
    }

    /// Takes the answer. An empty one means that the version at hand is up to date, not that there
    /// are no contacts; pushes for what has changed follow.
    pub fn on_result(&mut self, payload: Option<&Element>) {
        let Some(query) = payload.filter(|payload| payload.is("query", ns::ROSTER)) else { return };
        self.ver = query.attr("ver").map(str::to_owned);
        self.items = items(query).filter_map(parse).map(|item| (item.jid.clone(), item)).collect();
    }

    /// Takes a push of one item, §2.1.6. Who sent it has been checked.
    pub fn on_push(&mut self, query: &Element) -> Result<RosterChange, StanzaError> {
        let mut pushed = items(query);
        let (Some(element), None) = (pushed.next(), pushed.next()) else { return Err(bad_request()) };
        let jid = address(element).ok_or_else(bad_request)?;
        self.ver = query.attr("ver").map(str::to_owned);
        let Some(contact) = parse(element) else {
            self.items.remove(&jid);
            return Ok(RosterChange::Removed(jid));
        };
        self.items.insert(jid, contact.clone());
        Ok(RosterChange::Set(contact))
    }

    /// One contact.
    pub fn item(&self, jid: &BareJid) -> Option<&Contact> {
        self.items.get(jid)
    }

    /// Number of contacts.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// All contacts, by address.
    pub fn items(&self) -> Vec<Contact> {
        self.items.values().cloned().collect()
    }

    /// What to store; nothing where the server gives no versions.
    pub fn to_cached(&self) -> Option<CachedRoster> {
        self.ver.clone().map(|ver| CachedRoster { ver, items: self.items() })
    }

    /// Whether the contact may see our presence.
    pub fn is_watcher(&self, jid: &BareJid) -> bool {
        let state = self.item(jid).map(|item| item.subscription);
        matches!(state, Some(SubscriptionState::Both | SubscriptionState::From))
    }

    /// Whether we see the contact's presence, or have asked for it.
    pub fn is_watched(&self, jid: &BareJid) -> bool {
        self.item(jid).is_some_and(|item| {
            item.ask || matches!(item.subscription, SubscriptionState::Both | SubscriptionState::To)
        })
    }
}

/// A change of one item, §2.3. State and approval are the server's to write.
pub fn set(jid: &BareJid, name: Option<&str>, groups: &[String]) -> Element {
    let mut item = Element::new("item", ns::ROSTER)
        .with_attr("jid", jid.as_str())
        .with_attr_opt("name", name.filter(|name| !name.is_empty()));
    let mut groups: Vec<&String> = groups.iter().filter(|group| !group.is_empty()).collect();
    groups.sort_unstable();
    groups.dedup();
    for group in groups {
        item.push(Element::new("group", ns::ROSTER).with_text(group.clone()));
    }
    Element::new("query", ns::ROSTER).with_child(item)
}

/// Removal of one item, §2.5. It also ends both subscriptions.
pub fn remove(jid: &BareJid) -> Element {
    let item =
        Element::new("item", ns::ROSTER).with_attr("jid", jid.as_str()).with_attr("subscription", "remove");
    Element::new("query", ns::ROSTER).with_child(item)
}

fn items(query: &Element) -> impl Iterator<Item = &Element> {
    query.children().filter(|child| child.is("item", ns::ROSTER))
}

fn address(item: &Element) -> Option<BareJid> {
    item.attr("jid").and_then(|text| Jid::from_wire(text).ok()).map(|jid| jid.to_bare())
}

/// An item, unless it is a removal or has no readable address.
fn parse(item: &Element) -> Option<Contact> {
    let subscription = match item.attr("subscription") {
        Some("both") => SubscriptionState::Both,
        Some("from") => SubscriptionState::From,
        Some("remove") => return None,
        Some("to") => SubscriptionState::To,
        _ => SubscriptionState::None,
    };
    let group = item.children().filter(|child| child.is("group", ns::ROSTER)).map(Element::text);
    let mut groups: Vec<String> = group.filter(|group| !group.is_empty()).collect();
    groups.sort_unstable();
    groups.dedup();
    Some(Contact {
        jid: address(item)?,
        name: item.attr("name").filter(|name| !name.is_empty()).map(str::to_owned),
        subscription,
        ask: item.attr("ask") == Some("subscribe"),
        approved: matches!(item.attr("approved"), Some("true" | "1")),
        groups,
    })
}

fn bad_request() -> StanzaError {
    StanzaError::new(ErrorKind::Modify, "bad-request")
}

/// As the `subscription` of an item has it.
pub fn state_name(state: SubscriptionState) -> &'static str {
    STATES.iter().find(|(_, known)| *known == state).map_or("none", |(name, _)| name)
}

const STATES: &[(&str, SubscriptionState)] = &[
    ("both", SubscriptionState::Both),
    ("from", SubscriptionState::From),
    ("none", SubscriptionState::None),
    ("to", SubscriptionState::To),
];

impl CachedRoster {
    /// The roster as JSON, for the store.
    pub fn to_value(&self) -> Value {
        let item = |item: &Contact| {
            let state = STATES.iter().find(|(_, state)| *state == item.subscription).map(|(name, _)| name);
            json!({
                "jid": item.jid.as_str(), "name": item.name, "subscription": state,
                "ask": item.ask, "approved": item.approved, "groups": item.groups,
            })
        };
        json!({ "ver": self.ver, "items": self.items.iter().map(item).collect::<Vec<_>>() })
    }

    /// Reads what [`CachedRoster::to_value`] wrote; `None` where it is something else.
    pub fn from_value(value: &Value) -> Option<Self> {
        let items = value.get("items")?.as_array()?.iter().map(contact).collect::<Option<_>>()?;
        Some(Self { ver: value.get("ver")?.as_str()?.to_owned(), items })
    }
}

fn contact(value: &Value) -> Option<Contact> {
    let subscription = value.get("subscription")?.as_str()?;
    let groups = value.get("groups")?.as_array()?.iter();
    Some(Contact {
        jid: Jid::from_wire(value.get("jid")?.as_str()?).ok()?.to_bare(),
        name: value.get("name")?.as_str().map(str::to_owned),
        subscription: STATES.iter().find(|(name, _)| *name == subscription)?.1,
        ask: value.get("ask")?.as_bool()?,
        approved: value.get("approved")?.as_bool()?,
        groups: groups.map(|group| group.as_str().map(str::to_owned)).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml;

    #[test]
    fn p3_all_of_an_item_is_read() {
        let mut roster = Roster::default();
        roster.on_result(Some(&query(
            "<item jid='Both@Example.org' name='B &amp; b' subscription='both'><group>y</group><group>x</group>\
             <group>x</group><group/></item>\
             <item jid='from@example.org' subscription='from' approved='1'/>\
             <item jid='to@example.org' subscription='to'/>\
             <item jid='none@example.org' ask='subscribe' name=''/>\
             <item jid='gone@example.org' subscription='remove'/><item jid='@@@'/><item/>",
        )));
        let both = roster.item(&bare("both@example.org")).expect("an item");
        assert_eq!(both.name.as_deref(), Some("B & b"));
        assert_eq!(both.groups, ["x", "y"]);
        let state = |name: &str| roster.item(&bare(name)).map(|i| (i.subscription, i.ask, i.approved));
        assert_eq!(state("both@example.org"), Some((SubscriptionState::Both, false, false)));
        assert_eq!(state("from@example.org"), Some((SubscriptionState::From, false, true)));
        assert_eq!(state("to@example.org"), Some((SubscriptionState::To, false, false)));
        assert_eq!(state("none@example.org"), Some((SubscriptionState::None, true, false)));
        assert_eq!(roster.len(), 4);
    }

    #[test]
    fn p3_an_empty_result_leaves_the_roster_as_it_is() {
        let cached = cached();
        let mut roster = Roster::cached(Some(&cached));
        roster.on_result(None);
        assert_eq!(roster.to_cached(), Some(cached));
        assert_eq!(roster.query(true).attr("ver"), Some("v1"));
        assert_eq!(roster.query(false).attr("ver"), None);
        roster.on_result(Some(&query("")));
        assert_eq!((roster.len(), roster.to_cached()), (0, None));
        assert_eq!(roster.query(true).attr("ver"), Some(""));
    }

    #[test]
    fn p3_the_roster_survives_the_store() {
        let cached = cached();
        assert_eq!(CachedRoster::from_value(&cached.to_value()), Some(cached));
        assert_eq!(CachedRoster::from_value(&json!({ "ver": "1" })), None);
        assert_eq!(CachedRoster::from_value(&json!({ "ver": "1", "items": [{ "jid": "a@b" }] })), None);
    }

    #[test]
    fn a_push_carries_exactly_one_item() {
        let mut roster = Roster::cached(Some(&cached()));
        for bad in ["", "<item jid='a@b'/><item jid='c@d'/>", "<item/>", "<item jid=''/>"] {
            assert!(roster.on_push(&query(bad)).is_err(), "{bad}");
        }
        assert_eq!(roster.to_cached(), Some(cached()));
        let removal = query("<item jid='ann@example.org' subscription='remove'/>").with_attr("ver", "v2");
        assert_eq!(roster.on_push(&removal), Ok(RosterChange::Removed(bare("ann@example.org"))));
        assert_eq!(roster.to_cached(), Some(CachedRoster { ver: "v2".to_owned(), items: Vec::new() }));
    }

    fn cached() -> CachedRoster {
        let ann = Contact {
            jid: bare("ann@example.org"),
            name: Some("Ann".to_owned()),
            subscription: SubscriptionState::To,
            ask: true,
            approved: true,
            groups: vec!["a".to_owned()],
        };
        CachedRoster { ver: "v1".to_owned(), items: vec![ann] }
    }

    fn query(items: &str) -> Element {
        xml::parse(&format!("<query xmlns='jabber:iq:roster'>{items}</query>")).expect("an element")
    }

    fn bare(text: &str) -> BareJid {
        BareJid::parse(text).expect("an address")
    }
}
