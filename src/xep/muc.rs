//! XEP-0045: Multi-User Chat: what is written to rooms, and what a room writes into presence.

use super::data_forms::{Field, Form, FormKind};
use super::{Extension, Xep, data_forms};
use crate::event::room::{Affiliation, Role};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "http://jabber.org/protocol/muc";
/// What a room tells its occupants.
pub const USER: &str = ns::MUC_USER;
/// What a moderator or administrator asks.
pub const ADMIN: &str = ns::MUC_ADMIN;
/// What an owner asks.
pub const OWNER: &str = "http://jabber.org/protocol/muc#owner";
/// Form type of a room's configuration.
pub const CONFIG: &str = "http://jabber.org/protocol/muc#roomconfig";

/// The extension.
pub struct Rooms;

impl Extension for Rooms {
    fn xep(&self) -> Xep {
        let scope = "rooms are joined and kept, without history; occupants, subjects, private messages, invitations, \
                     moderation, affiliations, configuration";
        Xep { number: 45, name: "Multi-User Chat", version: "1.35.1", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS, USER, ADMIN, OWNER]
    }

    fn features(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn consumes(&self, payload: &Element) -> bool {
        payload.is("x", USER) && !payload.has_child("invite", USER)
    }
}

/// What a room says in the presence of an occupant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seat {
    /// §7.2.2: role and affiliation, and what else is known.
    pub item: Item,
    /// Status codes, §15.6.2.
    pub codes: Vec<u16>,
    /// §10.9: the room is gone.
    pub destroyed: Option<Destroyed>,
}

/// What a room says of one occupant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// What they may do.
    pub role: Role,
    /// What they are.
    pub affiliation: Affiliation,
    /// Their own address, where the room shows it.
    pub jid: Option<Jid>,
    /// Their next nick.
    pub nick: Option<String>,
    /// Who did it: a nick, or an address.
    pub actor: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// The end of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destroyed {
    /// Where the talk goes on.
    pub venue: Option<BareJid>,
    /// Why.
    pub reason: Option<String>,
}

impl Seat {
    /// Reads the first `<x/>` among the payloads of a presence that came from a room. In a message it would be the
    /// words of whoever wrote that: rooms pass it on unchanged.
    pub fn read(payloads: &[Element]) -> Option<Self> {
        let x = payloads.iter().find(|payload| payload.is("x", USER))?;
        // Prosody writes an item for each session that has the nick.
        let item = x.child("item", USER).map(Item::read).unwrap_or_default();
        Some(Self { item, codes: codes(x), destroyed: x.child("destroy", USER).map(Destroyed::read) })
    }

    /// Whether the room said this.
    pub fn has(&self, code: u16) -> bool {
        self.codes.contains(&code)
    }
}

/// The status codes of an `<x/>`, as many as can make sense.
pub fn codes(x: &Element) -> Vec<u16> {
    let codes = x.children().filter(|child| child.is("status", USER)).take(CODES);
    codes.filter_map(|status| status.attr("code")?.parse().ok()).collect()
}

impl Item {
    fn read(item: &Element) -> Self {
        let actor = item.child("actor", USER);
        Self {
            role: item.attr("role").map(Role::parse).unwrap_or_default(),
            affiliation: item.attr("affiliation").and_then(Affiliation::parse).unwrap_or_default(),
            jid: item.attr("jid").and_then(|text| Jid::from_wire(text).ok()),
            nick: item.attr("nick").map(str::to_owned),
            actor: actor.and_then(|actor| actor.attr("nick").or(actor.attr("jid"))).map(short),
            reason: words(item, "reason"),
        }
    }
}

impl Destroyed {
    fn read(destroy: &Element) -> Self {
        Self {
            venue: destroy.attr("jid").and_then(|text| Jid::from_wire(text).ok()).map(|jid| jid.to_bare()),
            reason: words(destroy, "reason"),
        }
    }
}

/// §7.2.1 and §7.2.13: what makes a presence a join. History is not asked for.
pub fn join(password: Option<&str>) -> Element {
    let history = Element::new("history", NS).with_attr("maxstanzas", "0");
    let x = Element::new("x", NS).with_child(history);
    match password {
        Some(password) => x.with_child(Element::new("password", NS).with_text(password)),
        None => x,
    }
}

/// An invitation through the room, §7.8.2, as far as it is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mediated {
    /// Who invites, in the room's words.
    pub from: Option<Jid>,
    /// Why.
    pub reason: Option<String>,
    /// What the room will ask for.
    pub password: Option<String>,
}

/// Reads an invitation among the payloads of a message from a bare room JID.
pub fn invitation(payloads: &[Element]) -> Option<Mediated> {
    let x = payloads.iter().find(|payload| payload.is("x", USER))?;
    let invite = x.child("invite", USER)?;
    Some(Mediated {
        from: invite.attr("from").and_then(|text| Jid::from_wire(text).ok()),
        reason: words(invite, "reason"),
        password: x.child_text("password", USER).filter(|password| !password.is_empty()),
    })
}

/// §7.8.2: asks the room to invite somebody.
pub fn invite(room: &BareJid, id: &str, jid: &BareJid, reason: Option<&str>) -> Element {
    let invite = with_reason(Element::new("invite", USER).with_attr("to", jid.as_str()), USER, reason);
    Element::new("message", ns::CLIENT)
        .with_attr("to", room.as_str())
        .with_attr("id", id)
        .with_child(Element::new("x", USER).with_child(invite))
}

/// §8: another role for the occupant with this nick.
pub fn set_role(nick: &str, role: Role, reason: Option<&str>) -> Element {
    let item = Element::new("item", ADMIN).with_attr("nick", nick).with_attr("role", role.as_str());
    Element::new("query", ADMIN).with_child(with_reason(item, ADMIN, reason))
}

/// §9: another affiliation for an account. Only this one change is told, never the list.
pub fn set_affiliation(jid: &BareJid, affiliation: Affiliation, reason: Option<&str>) -> Element {
    let item = Element::new("item", ADMIN)
        .with_attr("affiliation", affiliation.as_str())
        .with_attr("jid", jid.as_str());
    Element::new("query", ADMIN).with_child(with_reason(item, ADMIN, reason))
}

/// §10.2: asks for the configuration form.
pub fn configuration() -> Element {
    Element::new("query", OWNER)
}

/// §10.1.2: takes the configuration that a new room has by default.
pub fn instant() -> Element {
    Element::new("query", OWNER).with_child(Form::new(FormKind::Submit).to_element())
}

/// The filled form: fields that are not changed are given back as they came. An error names a field that the room
/// does not have.
pub fn configured(query: &Element, changes: &[(String, Vec<String>)]) -> Result<Element, String> {
    let form = query.child("x", data_forms::NS).and_then(Form::parse).unwrap_or_default();
    let full = |name: &str| format!("muc#roomconfig_{name}");
    let is =
        |field: &Field, name: &str| field.var.as_deref().is_some_and(|var| var == name || var == full(name));
    if let Some((name, _)) = changes.iter().find(|(name, _)| !form.fields.iter().any(|field| is(field, name)))
    {
        return Err(name.clone());
    }
    let filled = form.filled(|field| Some(changes.iter().find(|(name, _)| is(field, name))?.1.clone()));
    Ok(Element::new("query", OWNER).with_child(filled.to_element()))
}

fn with_reason(item: Element, ns: &'static str, reason: Option<&str>) -> Element {
    match reason.filter(|reason| !reason.is_empty()) {
        Some(reason) => item.with_child(Element::new("reason", ns).with_text(reason)),
        None => item,
    }
}

fn words(parent: &Element, name: &str) -> Option<String> {
    parent.child_text(name, USER).filter(|text| !text.is_empty()).map(|text| short(&text))
}

/// The beginning of a text that only people read.
fn short(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT)].to_owned()
}

/// Most status codes that are looked at.
const CODES: usize = 16;
/// Most bytes of a reason that are kept.
const TEXT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml;

    #[test]
    fn the_first_item_and_all_codes_are_read() {
        let x = x("<item role='visitor' affiliation='member' jid='ann@example.org/x'/><item role='none'/>\
                   <status code='110'/><status code='x'/><status code='210'/>");
        let seat = Seat::read(&[x]).expect("an x");
        assert_eq!((seat.item.role, seat.item.affiliation), (Role::Visitor, Affiliation::Member));
        assert_eq!(seat.item.jid.as_ref().map(Jid::as_str), Some("ann@example.org/x"));
        assert_eq!(seat.codes, [110, 210]);
    }

    #[test]
    fn a_hostile_room_does_not_make_it_grow() {
        let many = "<status code='110'/>".repeat(1000);
        let reason = "€".repeat(5000);
        let x = x(&format!("<item><reason>{reason}</reason></item>{many}"));
        let seat = Seat::read(&[x]).expect("an x");
        assert_eq!(seat.codes.len(), CODES);
        assert!(seat.item.reason.is_some_and(|reason| reason.len() <= TEXT && reason.len() > TEXT - 3));
    }

    #[test]
    fn a_configuration_keeps_what_it_does_not_change() {
        let query = xml::parse(
            "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='form'>\
             <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/muc#roomconfig</value></field>\
             <field type='fixed'><value>Heading</value></field>\
             <field var='muc#roomconfig_roomname' type='text-single'><value>Den</value></field>\
             <field var='muc#roomconfig_getmemberlist' type='list-multi'><value>a</value><value>b</value></field>\
             <field var='x-odd' type='boolean'><value>1</value></field></x></query>",
        );
        let change =
            [("roomname".to_owned(), vec!["Lair".to_owned()]), ("x-odd".to_owned(), vec!["0".to_owned()])];
        let query = query.expect("well-formed");
        let filled = configured(&query, &change).expect("both fields are there");
        let form = filled.child("x", data_forms::NS).and_then(Form::parse).expect("a form");
        let fields: Vec<String> = form
            .fields
            .iter()
            .map(|field| format!("{}={}", field.var.as_deref().unwrap_or("?"), field.values.join(",")))
            .collect();
        assert_eq!(
            fields,
            [
                "FORM_TYPE=http://jabber.org/protocol/muc#roomconfig",
                "muc#roomconfig_roomname=Lair",
                "muc#roomconfig_getmemberlist=a,b",
                "x-odd=0"
            ]
        );
        assert_eq!(configured(&query, &[("nope".to_owned(), vec![])]), Err("nope".to_owned()));
    }

    fn x(inner: &str) -> Element {
        xml::parse(&format!("<x xmlns='{USER}'>{inner}</x>")).expect("well-formed")
    }
}
