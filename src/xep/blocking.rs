//! XEP-0191: Blocking Command. The server keeps away what blocked addresses send.

use super::{Extension, Request, Xep};
use crate::jid::Jid;
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:blocking";

/// Namespace of XEP-0016, whose lists ejabberd pushes when an address is blocked.
pub const PRIVACY: &str = "jabber:iq:privacy";

/// Most addresses that are read from one list.
const MOST: usize = 10_000;

/// The extension.
pub struct Blocking;

impl Extension for Blocking {
    fn xep(&self) -> Xep {
        let scope = "scripts block, unblock and ask for the list; pushes count only from the own account";
        Xep { number: 191, name: "Blocking Command", version: "1.3", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }
}

/// Asks for the list.
pub fn list() -> Element {
    Element::new("blocklist", NS)
}

/// Blocks an address, or takes that back: everybody of a domain where it is one.
pub fn change(jid: &Jid, blocked: bool) -> Element {
    let item = Element::new("item", NS).with_attr("jid", jid.as_str());
    Element::new(if blocked { "block" } else { "unblock" }, NS).with_child(item)
}

/// The addresses of a list, a change or a push; those that cannot be read are left out.
pub fn addresses(element: &Element) -> Vec<Jid> {
    let items = element.children().filter(|child| child.is("item", NS));
    items.filter_map(|item| Jid::from_wire(item.attr("jid")?).ok()).take(MOST).collect()
}

/// Whether a request is the server's word of a change. Whether the server sent it is another question.
pub fn is_push(request: &Request<'_>) -> bool {
    let payload = request.payload;
    request.set && (payload.is("block", NS) || payload.is("unblock", NS) || payload.is("query", PRIVACY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml;

    #[test]
    fn x6_lists_are_read_as_far_as_they_are_addresses() {
        let list = "<blocklist xmlns='urn:xmpp:blocking'><item jid='Ann@Example.org'/><item/><item jid='@'/>\
                    <item jid='example.net'/><other jid='x@example.org'/></blocklist>";
        let read = addresses(&xml::parse(list).expect("XML"));
        assert_eq!(read.iter().map(Jid::as_str).collect::<Vec<_>>(), ["ann@example.org", "example.net"]);
        assert_eq!(addresses(&list_of(MOST + 5)).len(), MOST);
    }

    fn list_of(count: usize) -> Element {
        (0..count).fold(list(), |list, n| {
            list.with_child(Element::new("item", NS).with_attr("jid", format!("a{n}@example.org")))
        })
    }
}
