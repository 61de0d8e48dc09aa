//! XEP-0410: MUC Self-Ping: whether the account is still in a room that has been silent.

use super::{Extension, Xep, ping};
use crate::event::RequestFailed;
use crate::xml::Element;

/// The room answers for the occupant.
pub const OPTIMISATION: &str = "http://jabber.org/protocol/muc#self-ping-optimization";

/// The extension.
pub struct SelfPing;

impl Extension for SelfPing {
    fn xep(&self) -> Xep {
        let scope =
            "sent into rooms that have been silent for 15 minutes, and on doubt; who is out joins again";
        Xep { number: 410, name: "MUC Self-Ping (Schrödinger's Chat)", version: "1.1.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[OPTIMISATION]
    }
}

/// What the answer to a ping of one's own occupant JID says, §3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Still there.
    In,
    /// There, with another nick than the account thinks.
    Renamed,
    /// Not there.
    Out,
    /// Nobody knows: the room cannot be reached now.
    Unknown,
}

/// What to ask.
pub fn request() -> Element {
    Element::new("ping", ping::NS)
}

/// Reads the answer.
pub fn verdict(outcome: &Result<Option<Element>, RequestFailed>) -> Verdict {
    match outcome {
        Ok(_) => Verdict::In,
        Err(RequestFailed::SessionLost | RequestFailed::Timeout) => Verdict::Unknown,
        Err(RequestFailed::Error(error)) => match error.condition.as_ref() {
            // The account's own client answered, or the room did.
            "feature-not-implemented" | "service-unavailable" => Verdict::In,
            "item-not-found" => Verdict::Renamed,
            "remote-server-not-found" | "remote-server-timeout" => Verdict::Unknown,
            _ => Verdict::Out,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::{ErrorKind, StanzaError};

    #[test]
    fn every_answer_has_the_meaning_of_section_3() {
        let error = |condition| Err(RequestFailed::Error(StanzaError::new(ErrorKind::Cancel, condition)));
        let cases = [
            (Ok(None), Verdict::In),
            (error("service-unavailable"), Verdict::In),
            (error("feature-not-implemented"), Verdict::In),
            (error("item-not-found"), Verdict::Renamed),
            (error("remote-server-not-found"), Verdict::Unknown),
            (error("remote-server-timeout"), Verdict::Unknown),
            (Err(RequestFailed::Timeout), Verdict::Unknown),
            (error("not-acceptable"), Verdict::Out),
            (error("not-allowed"), Verdict::Out),
            (error("bad-request"), Verdict::Out),
        ];
        for (outcome, expected) in cases {
            assert_eq!(verdict(&outcome), expected, "{outcome:?}");
        }
    }
}
