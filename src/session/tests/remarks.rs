//! Reactions, retractions and markers: XEP-0444, XEP-0424, XEP-0333.

use super::*;
use crate::event::{Remark, RemarkKind};

const ANN: &str = "ann@example.net/x";

/// The remark that a message with these children leads to, and how many events beside it.
fn remark(from: &str, children: &str) -> (Option<Remark>, usize) {
    let mut account = Account::online("", |config| {
        config.own_bots = std::sync::Arc::new([bare("other@example.org")].into())
    });
    let got =
        account.feed(&format!("<message from='{from}' to='{FULL}' id='m9' type='chat'>{children}</message>"));
    let remark = events(&got).into_iter().find_map(|event| match event {
        Event::Remark(remark) => Some(remark.as_ref().clone()),
        _ => None,
    });
    let others = events(&got).len() - usize::from(remark.is_some());
    (remark, others)
}

#[test]
fn x5_each_remark_names_the_message_it_is_about() {
    let reactions = "<reactions xmlns='urn:xmpp:reactions:0' id='m1'><reaction>👋</reaction></reactions>";
    let retraction = "<retract xmlns='urn:xmpp:message-retract:1' id='m1'/>";
    let older = "<apply-to xmlns='urn:xmpp:fasten:0' id='m1'><retract xmlns='urn:xmpp:message-retract:0'/></apply-to>";
    let marker = "<displayed xmlns='urn:xmpp:chat-markers:0' id='m1'/>";
    for (children, what) in [
        (reactions, RemarkKind::Reactions(vec!["👋".to_owned()])),
        (retraction, RemarkKind::Retracted),
        (older, RemarkKind::Retracted),
        (marker, RemarkKind::Displayed),
    ] {
        let (found, others) = remark(ANN, children);
        let found = found.unwrap_or_else(|| panic!("{children}"));
        assert_eq!((found.about.as_str(), found.what, others), ("m1", what, 0), "{children}");
        assert_eq!((found.who.as_str(), found.place), ("ann@example.net", jid(ANN)));
    }
}

#[test]
fn x5_a_text_that_stands_in_for_a_remark_is_no_talk() {
    let retraction = "<body>/me retracted a message</body><retract xmlns='urn:xmpp:message-retract:1' id='m1'/>\
                      <fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:message-retract:1'/>";
    assert_eq!(remark(ANN, retraction).1, 0);
    let reactions =
        "<body>+1</body><reactions xmlns='urn:xmpp:reactions:0' id='m1'><reaction>👍</reaction></reactions>";
    assert_eq!(remark(ANN, reactions).1, 1, "without a fallback it is said as well");
    let stand_in = format!("{reactions}<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reactions:0'/>");
    assert_eq!(remark(ANN, &stand_in).1, 0);
}

/// S-16: two bots that react to reactions would never end.
#[test]
fn s16_what_our_own_bots_remark_is_not_told() {
    let reactions = "<reactions xmlns='urn:xmpp:reactions:0' id='m1'><reaction>👋</reaction></reactions>";
    assert!(remark("other@example.org/x", reactions).0.is_none());
    assert!(remark("bot@example.org/elsewhere", reactions).0.is_none());
    assert!(remark(ANN, reactions).0.is_some());
}

#[test]
fn an_id_that_nobody_gives_is_no_remark() {
    let long = "x".repeat(600);
    for id in ["", long.as_str()] {
        let marker = format!("<displayed xmlns='urn:xmpp:chat-markers:0' id='{id}'/>");
        assert!(remark(ANN, &marker).0.is_none());
    }
}
