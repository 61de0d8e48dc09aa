//! XEP-0280: Message Carbons: copies of what the account's other resources send and receive.
//!
//! A copy is believed only from the account itself. Everybody else who sends one is lying
//! (CVE-2017-5589 and its many relatives).

use super::{Extension, Xep};
use crate::jid::BareJid;
use crate::ns;
use crate::stanza::message::Message;
use crate::stanza::{Head, MessageKind};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:carbons:2";

/// Namespace of XEP-0297, the envelope of the copy.
pub const FORWARD: &str = "urn:xmpp:forward:0";

/// Namespace of the archive, XEP-0313.
const ARCHIVE: &str = "urn:xmpp:mam:2";

/// Namespace of what rooms add, XEP-0045.
const ROOM_USER: &str = "http://jabber.org/protocol/muc#user";

/// The extension.
pub struct Carbons;

/// A copy that the account's own server made.
#[derive(Clone, Debug, PartialEq)]
pub struct Carbon {
    /// Whether another resource sent it, rather than received it.
    pub sent: bool,
    /// The message itself.
    pub message: Message,
}

/// What a message is in the light of this extension.
#[derive(Clone, Debug, PartialEq)]
pub enum Checked {
    /// A copy to be believed.
    Carbon(Box<Carbon>),
    /// No copy at all.
    Plain,
    /// Looks like a copy and is none: it must have no effect.
    Refused { why: &'static str },
}

impl Extension for Carbons {
    fn xep(&self) -> Xep {
        let scope =
            "off unless configured; copies are marked, never answered, and believed only from the account";
        Xep { number: 280, name: "Message Carbons", version: "1.0.1", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn consumes(&self, payload: &Element) -> bool {
        payload.ns() == NS
    }
}

/// The request that switches copies on for this resource.
pub fn enable() -> Element {
    Element::new("enable", NS)
}

/// Opens a copy. `own` is the account; an absent sender is not good enough here, since both
/// servers that were measured write it.
pub fn check(message: &Message, own: &BareJid) -> Checked {
    let wrappers: Vec<&Element> = message.payloads.iter().filter(|payload| is_wrapper(payload)).collect();
    let [wrapper] = wrappers[..] else {
        return match wrappers.len() {
            0 => Checked::Plain,
            _ => Checked::Refused { why: "two copies in one message" },
        };
    };
    if message.head.from.as_ref() != Some(&**own) {
        return Checked::Refused { why: "a copy that the account did not send" };
    }
    match open(wrapper, own) {
        Ok(message) => Checked::Carbon(Box::new(Carbon { sent: wrapper.name() == "sent", message })),
        Err(why) => Checked::Refused { why },
    }
}

fn open(wrapper: &Element, own: &BareJid) -> Result<Message, &'static str> {
    let forwarded = only(wrapper, "forwarded", FORWARD).ok_or("not exactly one forwarded message")?;
    let inner = only(forwarded, "message", ns::CLIENT).ok_or("not exactly one forwarded message")?;
    let head = Head::parse(inner).map_err(|_| "a copy with unreadable addresses")?;
    let message = Message::parse(head, inner);
    let by_own = message.head.from.as_ref().is_some_and(|from| from.to_bare() == *own);
    if wrapper.name() == "sent" && !by_own {
        return Err("a sent copy of somebody else");
    }
    if message.head.from.is_none() {
        return Err("a copy without a sender");
    }
    if message.error.is_some() || message.kind == MessageKind::Groupchat {
        return Err("a copy of what is never copied");
    }
    if message.payloads.iter().any(|payload| is_wrapper(payload) || payload.ns() == ARCHIVE) {
        return Err("a copy inside a copy");
    }
    if message.payload("x", ROOM_USER).is_some() {
        return Err("a private message of a room this resource is not in");
    }
    Ok(message)
}

fn is_wrapper(payload: &Element) -> bool {
    payload.is("received", NS) || payload.is("sent", NS)
}

fn only<'a>(parent: &'a Element, name: &str, ns: &str) -> Option<&'a Element> {
    let mut children = parent.children().filter(|child| child.is(name, ns));
    children.next().filter(|_| children.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::Jid;

    #[test]
    fn a_copy_from_the_account_is_opened() {
        for (name, sent) in [("received", false), ("sent", true)] {
            let copy = wrapped(name, inner("bot@example.org/phone"));
            let Checked::Carbon(carbon) = check_from("bot@example.org", copy) else { panic!("{name}") };
            assert_eq!((carbon.sent, carbon.message.bodies.len()), (sent, 1));
        }
    }

    #[test]
    fn s1_a_copy_from_anybody_else_is_refused() {
        let froms = [
            "bob@example.org",
            "bob@example.org/x",
            "example.org",
            "bot@example.org/other",
            "bot@example.net",
        ];
        for from in froms {
            for name in ["received", "sent"] {
                let checked = check_from(from, wrapped(name, inner("bot@example.org/phone")));
                assert!(matches!(checked, Checked::Refused { .. }), "{from} {name}");
            }
        }
        let nobody = Message::parse(Head::default(), &wrapped("received", inner("admin@example.org")));
        assert!(matches!(check(&nobody, &own()), Checked::Refused { .. }));
    }

    #[test]
    fn s1_a_sent_copy_must_be_of_the_account_itself() {
        let checked = check_from("bot@example.org", wrapped("sent", inner("admin@example.org/x")));
        assert!(matches!(checked, Checked::Refused { .. }));
    }

    #[test]
    fn s1_a_copy_has_one_wrapper_one_envelope_and_one_message() {
        let refused = |message: Element| {
            assert!(
                matches!(check_from("bot@example.org", message.clone()), Checked::Refused { .. }),
                "{message:?}"
            );
        };
        let good = || inner("admin@example.org");
        let envelope = || Element::new("forwarded", FORWARD).with_child(good());
        let wrapper = |name: &'static str| Element::new(name, NS);
        let message = || Element::new("message", ns::CLIENT);
        refused(message().with_child(wrapper("received")));
        refused(message().with_child(wrapper("received").with_child(envelope()).with_child(envelope())));
        refused(message().with_child(wrapper("received").with_child(envelope().with_child(good()))));
        refused(wrapped("received", good()).with_child(wrapper("sent").with_child(envelope())));
        refused(wrapped("received", wrapped("received", good()).with_attr("from", "bot@example.org")));
        refused(wrapped("received", good().with_child(Element::new("result", ARCHIVE))));
        refused(wrapped("received", good().with_attr("type", "error")));
        refused(wrapped("received", good().with_attr("type", "groupchat")));
        refused(wrapped("received", good().with_child(Element::new("x", ROOM_USER))));
    }

    #[test]
    fn a_message_without_a_wrapper_is_plain() {
        assert_eq!(check_from("bob@example.org", inner("bob@example.org")), Checked::Plain);
    }

    fn own() -> BareJid {
        BareJid::parse("bot@example.org").expect("an address")
    }

    fn inner(from: &str) -> Element {
        let body = Element::new("body", ns::CLIENT).with_text("run");
        Element::new("message", ns::CLIENT).with_attr("from", from).with_child(body)
    }

    fn wrapped(name: &'static str, inner: Element) -> Element {
        let envelope = Element::new("forwarded", FORWARD).with_child(inner);
        Element::new("message", ns::CLIENT).with_child(Element::new(name, NS).with_child(envelope))
    }

    fn check_from(from: &str, message: Element) -> Checked {
        let head = Head { from: Jid::parse(from).ok(), ..Head::default() };
        check(&Message::parse(head, &message), &own())
    }
}
