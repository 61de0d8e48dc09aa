//! XEP-0402: PEP Native Bookmarks, and XEP-0048 in private storage (XEP-0049) where a server keeps them only there.

use super::data_forms::boolean;
use super::{Extension, Xep, pubsub};
use crate::jid::{BareJid, Jid};
use crate::xml::Element;

/// Namespace and node.
pub const NS: &str = "urn:xmpp:bookmarks:1";
/// Feature of accounts whose server keeps both kinds the same, §4.
pub const COMPAT: &str = "urn:xmpp:bookmarks:1#compat";
/// Feature of clients that want to be told of changes, XEP-0163 §4.
pub const NOTIFY: &str = "urn:xmpp:bookmarks:1+notify";
/// XEP-0049: Private XML Storage.
pub const PRIVATE: &str = "jabber:iq:private";
/// XEP-0048: Bookmarks.
pub const STORAGE: &str = "storage:bookmarks";
/// What nodes tell, XEP-0060 §7.1.2.
const EVENT: &str = "http://jabber.org/protocol/pubsub#event";

/// Most bookmarks that are read.
const MOST: usize = 1000;

/// The extension.
pub struct Bookmarks;

impl Extension for Bookmarks {
    fn xep(&self) -> Xep {
        let scope = "rooms with `autojoin` are joined, and left when it goes, where `bookmarks` says so; own rooms are added with `keep`; \
                     XEP-0048 in private storage where the server does not keep both the same";
        Xep { number: 402, name: "PEP Native Bookmarks", version: "1.2.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS, PRIVATE, STORAGE]
    }
}

/// One room that somebody wants to remember.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bookmark {
    /// The name that people gave it.
    pub name: Option<String>,
    /// Whether to be in it.
    pub autojoin: bool,
    /// What to be called there.
    pub nick: Option<String>,
    /// What the room asks for.
    pub password: Option<String>,
}

/// A change of a bookmark, as the node tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is like that now.
    Set(BareJid, Bookmark),
    /// It is gone.
    Gone(BareJid),
}

impl Bookmark {
    /// Reads a `<conference/>` of either kind.
    fn read(conference: &Element, ns: &str) -> Self {
        let text = |name: &str| conference.child_text(name, ns).filter(|text| !text.is_empty());
        Self {
            name: conference.attr("name").map(str::to_owned),
            // P-6: schema booleans have four spellings, and what is none says no.
            autojoin: conference.attr("autojoin").and_then(boolean).unwrap_or(false),
            nick: text("nick"),
            password: text("password"),
        }
    }

    /// As it is written on the node, or among those of XEP-0048.
    fn write(&self, ns: &'static str) -> Element {
        let mut conference = Element::new("conference", ns)
            .with_attr_opt("name", self.name.as_deref())
            .with_attr("autojoin", if self.autojoin { "true" } else { "false" });
        for (name, value) in [("nick", &self.nick), ("password", &self.password)] {
            if let Some(value) = value {
                conference.push(Element::new(name, ns).with_text(value.as_str()));
            }
        }
        conference
    }

    /// The item's payload.
    pub fn to_element(&self) -> Element {
        self.write(NS)
    }
}

/// Asks for those on the node.
pub fn ask() -> Element {
    pubsub::items(NS, &[], None, None)
}

/// Asks for those in private storage.
pub fn ask_private() -> Element {
    Element::new("query", PRIVATE).with_child(Element::new("storage", STORAGE))
}

/// The bookmarks in an answer to [`ask`] or [`ask_private`]. What names no room is passed over.
pub fn read(answer: &Element) -> Vec<(BareJid, Bookmark)> {
    if let Some(items) = pubsub::items_in(answer) {
        return items.filter_map(|item| one(item.id?, item.payload?)).take(MOST).collect();
    }
    let Some(storage) = answer.child("storage", STORAGE) else { return Vec::new() };
    let conferences = storage.children().filter(|child| child.is("conference", STORAGE));
    let read =
        |conference: &Element| Some((room(conference.attr("jid")?)?, Bookmark::read(conference, STORAGE)));
    conferences.filter_map(read).take(MOST).collect()
}

/// The changes that a message of the account itself tells of; `None` where it is about something else. Who sent it is
/// another question.
pub fn changes(payloads: &[Element]) -> Option<Vec<Change>> {
    let event = payloads.iter().find(|payload| payload.is("event", EVENT))?;
    let items = event.child("items", EVENT).filter(|items| items.attr("node") == Some(NS))?;
    let change = |child: &Element| {
        let id = child.attr("id")?;
        if child.is("retract", EVENT) {
            return Some(Change::Gone(room(id)?));
        }
        let payload = child.is("item", EVENT).then(|| child.children().next()).flatten()?;
        one(id, payload).map(|(room, bookmark)| Change::Set(room, bookmark))
    };
    Some(items.children().filter_map(change).take(MOST).collect())
}

/// Private storage as it was read with these rooms as well. Everything else in it stays as it is.
pub fn added(answer: Option<&Element>, rooms: &[(BareJid, Bookmark)]) -> Element {
    let there = answer.and_then(|answer| answer.child("storage", STORAGE)).cloned();
    let mut storage = there.unwrap_or_else(|| Element::new("storage", STORAGE));
    for (room, bookmark) in rooms {
        storage.push(bookmark.write(STORAGE).with_attr("jid", room.as_str()));
    }
    Element::new("query", PRIVATE).with_child(storage)
}

fn one(id: &str, payload: &Element) -> Option<(BareJid, Bookmark)> {
    payload.is("conference", NS).then_some(())?;
    Some((room(id)?, Bookmark::read(payload, NS)))
}

fn room(text: &str) -> Option<BareJid> {
    let jid = Jid::from_wire(text).ok()?;
    (jid.is_bare() && jid.local().is_some()).then(|| jid.to_bare())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{parse, writer};

    const ITEMS: &str = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:bookmarks:1'>\
         <item id='A@rooms.example.org'><conference xmlns='urn:xmpp:bookmarks:1' name='Tea' autojoin='1'>\
         <nick>Pot</nick><password>x</password><extensions><state xmlns='other'/></extensions></conference></item>\
         <item id='b@rooms.example.org'><conference xmlns='urn:xmpp:bookmarks:1'/></item>\
         <item id='rooms.example.org'><conference xmlns='urn:xmpp:bookmarks:1'/></item>\
         <item id='c@rooms.example.org/x'><conference xmlns='urn:xmpp:bookmarks:1'/></item>\
         <item id='d@rooms.example.org'><conference xmlns='other'/></item><item/></items></pubsub>";

    #[test]
    fn p5_bookmarks_are_read_from_the_node_and_from_private_storage() {
        let tea = Bookmark {
            name: Some("Tea".to_owned()),
            autojoin: true,
            nick: Some("Pot".to_owned()),
            password: Some("x".to_owned()),
        };
        let plain = Bookmark::default();
        let expected = [(jid("a@rooms.example.org"), tea.clone()), (jid("b@rooms.example.org"), plain)];
        assert_eq!(read(&parse(ITEMS).expect("XML")), expected);
        let private = parse(
            "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'><url name='u' url='http://x/'/>\
             <conference jid='a@rooms.example.org' name='Tea' autojoin='true'><nick>Pot</nick><password>x</password>\
             </conference><conference jid='b@rooms.example.org'/><conference name='no room'/></storage></query>",
        )
        .expect("XML");
        assert_eq!(read(&private), expected);
        assert_eq!(read(&Element::new("query", "x")), []);
    }

    #[test]
    fn p6_booleans_have_four_spellings_and_anything_else_says_no() {
        for (text, expected) in [
            ("1", true),
            ("true", true),
            ("0", false),
            ("false", false),
            ("TRUE", false),
            ("yes", false),
            ("", false),
        ] {
            let conference = Element::new("conference", NS).with_attr("autojoin", text);
            assert_eq!(Bookmark::read(&conference, NS).autojoin, expected, "{text}");
        }
    }

    #[test]
    fn p5_what_others_keep_in_private_storage_stays() {
        let there = "<storage xmlns='storage:bookmarks'><url name='u' url='http://x/'/><conference \
                     jid='a@rooms.example.org'><ext xmlns='other'/></conference></storage>";
        let answer = parse(&format!("<query xmlns='jabber:iq:private'>{there}</query>")).expect("XML");
        let own = Bookmark { autojoin: true, nick: Some("Pot".to_owned()), ..Bookmark::default() };
        let rooms = [(jid("b@rooms.example.org"), own)];
        let text = |element: Element| writer::to_string(&element).expect("XML");
        let written = "<conference autojoin='true' jid='b@rooms.example.org'><nick>Pot</nick></conference>";
        let whole = there.replace("</storage>", &format!("{written}</storage>"));
        assert_eq!(
            text(added(Some(&answer), &rooms)),
            format!("<query xmlns='jabber:iq:private'>{whole}</query>")
        );
        let fresh = format!("<storage xmlns='storage:bookmarks'>{written}</storage>");
        assert_eq!(text(added(None, &rooms)), format!("<query xmlns='jabber:iq:private'>{fresh}</query>"));
    }

    #[test]
    fn p5_changes_are_told_item_by_item() {
        let event = |inner: &str| {
            let text = format!("<event xmlns='http://jabber.org/protocol/pubsub#event'>{inner}</event>");
            changes(&[parse(&text).expect("XML")])
        };
        let told = event(
            "<items node='urn:xmpp:bookmarks:1'><item id='a@rooms.example.org'><conference \
             xmlns='urn:xmpp:bookmarks:1' autojoin='true'/></item><retract id='b@rooms.example.org'/><retract/>\
             <item id='x'/></items>",
        );
        let a = Bookmark { autojoin: true, ..Bookmark::default() };
        let expected = [Change::Set(jid("a@rooms.example.org"), a), Change::Gone(jid("b@rooms.example.org"))];
        assert_eq!(told.as_deref(), Some(&expected[..]));
        assert_eq!(event("<items node='other'/>"), None);
        assert_eq!(changes(&[Element::new("event", "x")]), None);
    }

    fn jid(text: &str) -> BareJid {
        BareJid::parse(text).expect("an address")
    }
}
