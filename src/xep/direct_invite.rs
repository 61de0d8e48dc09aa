//! XEP-0249: Direct MUC Invitations: the inviter is the sender, so it is known who that is.

use super::{Extension, Xep};
use crate::jid::{BareJid, Jid};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "jabber:x:conference";

/// The extension.
pub struct DirectInvites;

impl Extension for DirectInvites {
    fn xep(&self) -> Xep {
        let scope = "read, and accepted where the configuration says from whom";
        Xep { number: 249, name: "Direct MUC Invitations", version: "1.2", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn features(&self) -> &'static [&'static str] {
        &[NS]
    }
}

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Direct {
    /// The room.
    pub room: BareJid,
    /// Why.
    pub reason: Option<String>,
    /// What the room will ask for.
    pub password: Option<String>,
}

/// Reads the invitation among the payloads of a message.
pub fn read(payloads: &[Element]) -> Option<Direct> {
    let x = payloads.iter().find(|payload| payload.is("x", NS))?;
    let room = Jid::from_wire(x.attr("jid")?).ok()?.to_bare();
    room.local()?;
    let text = |name| x.attr(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let reason = text("reason").map(|reason| reason[..reason.floor_char_boundary(1024)].to_owned());
    Some(Direct { room, reason, password: text("password") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_has_a_localpart() {
        let x = |jid: &str| Element::new("x", NS).with_attr("jid", jid).with_attr("reason", "come");
        let read = |jid: &str| read(&[x(jid)]);
        let direct = read("Den@rooms.example.org/x").expect("a room");
        assert_eq!((direct.room.as_str(), direct.reason.as_deref()), ("den@rooms.example.org", Some("come")));
        assert_eq!(read("rooms.example.org"), None);
        assert_eq!(read("@@"), None);
    }
}
