//! Tests of the domain as a whole: stanzas of sessions in, stanzas for sessions out.

use std::time::Instant;

use super::domain::{Domain, Output, SessionId};
use super::vocabulary::{CARBONS, DELAY, DISCO_INFO, HINTS, MUC, PING, REGISTER};
use crate::ids::Seed;
use crate::jid::Jid;
use crate::moment::Moment;
use crate::ns;
use crate::secret::Password;
use crate::stanza::StanzaError;
use crate::xml::{Element, parse};

#[test]
fn a_message_to_the_bare_address_reaches_the_highest_priority() {
    let mut world = World::new();
    let (low, high) = (world.online("bo", "low", "1"), world.online("bo", "high", "5"));
    let ann = world.online("ann", "r", "0");
    world.say(ann, "bo@x", "chat", "hi");
    assert_eq!(world.texts(high), ["hi"]);
    assert!(world.texts(low).is_empty());
}

#[test]
fn a_message_to_the_full_address_reaches_it_whatever_its_priority() {
    let mut world = World::new();
    let (shy, ann) = (world.online("bo", "shy", "-1"), world.online("ann", "r", "0"));
    world.say(ann, "bo@x/shy", "chat", "hi");
    world.say(ann, "bo@x", "chat", "kept");
    assert_eq!(world.texts(shy), ["hi"]);
    assert_eq!(world.domain.stored(), 1);
}

/// The table of RFC 6121 §8.5.4 for an account without available resource.
#[test]
fn what_nobody_reads_is_kept_refused_or_dropped_by_type() {
    for (kind, to, kept, refused) in [
        ("chat", "bo@x", 1, None),
        ("chat", "bo@x/gone", 1, None),
        ("normal", "bo@x", 1, None),
        ("normal", "bo@x/gone", 0, Some("service-unavailable")),
        ("headline", "bo@x", 0, None),
        ("groupchat", "bo@x", 0, Some("service-unavailable")),
        ("error", "bo@x", 0, None),
        ("chat", "nobody@x", 0, Some("service-unavailable")),
        ("chat", "a@elsewhere", 0, Some("remote-server-not-found")),
        ("chat", "@x", 0, Some("jid-malformed")),
    ] {
        let mut world = World::new();
        let ann = world.online("ann", "r", "0");
        world.say(ann, to, kind, "hi");
        assert_eq!(world.domain.stored(), kept, "{kind} to {to}");
        let answer = world.take(ann).first().map(|e| StanzaError::from_stanza(e).condition.into_owned());
        assert_eq!(answer.as_deref(), refused, "{kind} to {to}");
    }
}

#[test]
fn what_waited_comes_with_the_first_presence_and_a_stamp() {
    let mut world = World::new();
    let ann = world.online("ann", "r", "0");
    world.say(ann, "bo@x", "chat", "one");
    world.say(ann, "bo@x", "chat", "two");
    let bo = world.bind("bo", "r");
    world.send(bo, "<presence xmlns='jabber:client'/>");
    let got = world.take(bo);
    let messages: Vec<&Element> = got.iter().filter(|e| e.name() == "message").collect();
    assert_eq!(messages.len(), 2);
    assert!(messages.iter().all(|m| m.child("delay", DELAY).is_some_and(|d| d.attr("from") == Some("x"))));
    assert_eq!(messages[0].child_text("body", ns::CLIENT).as_deref(), Some("one"));
}

#[test]
fn a_subscription_runs_from_request_to_presence_and_back() {
    let mut world = World::new();
    let (ann, bo) = (world.online("ann", "r", "0"), world.online("bo", "r", "0"));
    world.roster(ann);
    world.roster(bo);
    world.send(ann, "<presence xmlns='jabber:client' type='subscribe' to='bo@x'/>");
    assert_eq!(world.shapes(ann), ["push bo@x none ask"]);
    assert_eq!(world.shapes(bo), ["presence ann@x subscribe"]);
    world.send(bo, "<presence xmlns='jabber:client' type='subscribed' to='ann@x'/>");
    assert_eq!(world.shapes(bo), ["push ann@x from"]);
    assert_eq!(world.shapes(ann), ["presence bo@x subscribed", "push bo@x to", "presence bo@x/r"]);
    world.send(ann, "<iq xmlns='jabber:client' type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='bo@x' subscription='remove'/></query></iq>");
    assert_eq!(world.shapes(ann), ["push bo@x remove", "presence bo@x/r unavailable", "iq result"]);
    assert_eq!(world.shapes(bo), ["presence ann@x unsubscribe", "push ann@x none"]);
}

#[test]
fn an_unanswered_request_comes_again_with_every_session() {
    let mut world = World::new();
    let ann = world.online("ann", "r", "0");
    world.send(ann, "<presence xmlns='jabber:client' type='subscribe' to='bo@x'/>");
    for resource in ["one", "two"] {
        let bo = world.bind("bo", resource);
        world.send(bo, "<presence xmlns='jabber:client'/>");
        assert!(world.shapes(bo).contains(&"presence ann@x subscribe".to_owned()), "{resource}");
    }
}

#[test]
fn who_does_not_exist_answers_unsubscribed() {
    let mut world = World::new();
    let ann = world.online("ann", "r", "0");
    world.roster(ann);
    world.send(ann, "<presence xmlns='jabber:client' type='subscribe' to='nobody@x'/>");
    let expected = ["push nobody@x none ask", "presence nobody@x unsubscribed", "push nobody@x none"];
    assert_eq!(world.shapes(ann), expected);
}

#[test]
fn the_end_of_a_session_is_told_to_contacts_and_rooms() {
    let mut world = World::new();
    let (ann, bo) = (world.online("ann", "r", "0"), world.online("bo", "r", "0"));
    world.befriend(ann, bo);
    for (who, nick) in [(ann, "ann"), (bo, "bo")] {
        world.send(
            who,
            &format!("<presence xmlns='jabber:client' to='den@rooms.x/{nick}'><x xmlns='{MUC}'/></presence>"),
        );
    }
    world.take(ann);
    world.domain.on_session_end(world.now, bo);
    assert_eq!(world.shapes(ann), ["presence bo@x/r unavailable", "presence den@rooms.x/bo unavailable"]);
}

#[test]
fn a_taken_resource_ends_the_older_session_and_a_client_speaks_only_for_itself() {
    let mut world = World::new();
    let first = world.online("ann", "r", "0");
    let second = world.bind("ann", "r");
    assert_eq!(world.ended, [(first, "conflict")]);
    world.send(second, "<message xmlns='jabber:client' from='bo@x' to='bo@x'><body>forged</body></message>");
    assert_eq!(world.ended, [(first, "conflict"), (second, "invalid-from")]);
    assert_eq!(world.domain.stored(), 0);
}

#[test]
fn carbons_go_to_those_who_asked_and_not_for_private_messages() {
    let mut world = World::new();
    let (ann, ann2) = (world.online("ann", "one", "0"), world.online("ann", "two", "0"));
    let (bo, bo2) = (world.online("bo", "one", "1"), world.online("bo", "two", "0"));
    for id in [ann2, bo2] {
        world.send(
            id,
            &format!("<iq xmlns='jabber:client' type='set' id='c'><enable xmlns='{CARBONS}'/></iq>"),
        );
        world.take(id);
    }
    world.say(ann, "bo@x", "chat", "hi");
    assert_eq!(world.texts(bo), ["hi"]);
    assert!(world.take(ann2)[0].has_child("sent", CARBONS));
    let copy = world.take(bo2).remove(0);
    assert!(copy.has_child("received", CARBONS));
    assert_eq!(copy.attr("from"), Some("bo@x"));
    for mark in [format!("<private xmlns='{CARBONS}'/>"), format!("<no-copy xmlns='{HINTS}'/>")] {
        world.send(
            ann,
            &format!("<message xmlns='jabber:client' to='bo@x' type='chat'><body>x</body>{mark}</message>"),
        );
        assert!(world.take(ann2).is_empty() && world.take(bo2).is_empty());
    }
}

#[test]
fn the_server_answers_every_request_once() {
    let mut world = World::new();
    let (ann, bo) = (world.online("ann", "r", "0"), world.online("bo", "r", "0"));
    for (to, payload, expected) in [
        ("", format!("<ping xmlns='{PING}'/>"), "iq result"),
        ("to='x'", format!("<query xmlns='{DISCO_INFO}'/>"), "iq result"),
        ("to='ann@x'", format!("<query xmlns='{DISCO_INFO}'/>"), "iq result"),
        ("to='bo@x'", format!("<query xmlns='{DISCO_INFO}'/>"), "iq service-unavailable"),
        ("to='rooms.x'", format!("<query xmlns='{DISCO_INFO}'/>"), "iq result"),
        ("to='x'", "<query xmlns='jabber:iq:version'/>".to_owned(), "iq result"),
        ("to='x'", "<time xmlns='urn:xmpp:time'/>".to_owned(), "iq result"),
        ("to='x'", "<what xmlns='is:this'/>".to_owned(), "iq service-unavailable"),
        ("to='bo@x/gone'", "<what xmlns='is:this'/>".to_owned(), "iq service-unavailable"),
        ("to='x'", "<a xmlns='b'/><c xmlns='d'/>".to_owned(), "iq bad-request"),
    ] {
        world.send(ann, &format!("<iq xmlns='jabber:client' type='get' id='7' {to}>{payload}</iq>"));
        assert_eq!(world.shapes(ann), [expected], "{to} {payload}");
    }
    world.send(ann, "<iq xmlns='jabber:client' type='result' id='7' to='x'/>");
    assert!(world.take(ann).is_empty());
    world.send(ann, "<iq xmlns='jabber:client' type='get' id='8' to='bo@x/r'><what xmlns='is:this'/></iq>");
    assert_eq!(world.take(bo)[0].attr("from"), Some("ann@x/r"));
}

#[test]
fn the_roster_is_sent_only_when_it_changed() {
    let mut world = World::new();
    let ann = world.online("ann", "r", "0");
    let query = |ver: &str| {
        format!(
            "<iq xmlns='jabber:client' type='get' id='1'><query xmlns='jabber:iq:roster' ver='{ver}'/></iq>"
        )
    };
    world.send(ann, &query(""));
    let ver = world.take(ann)[0]
        .child("query", ns::ROSTER)
        .and_then(|q| q.attr("ver"))
        .unwrap_or_default()
        .to_owned();
    world.send(ann, &query(&ver));
    assert_eq!(world.take(ann)[0].children().count(), 0);
    world.send(ann, "<iq xmlns='jabber:client' type='set' id='2'><query xmlns='jabber:iq:roster'><item jid='c@y' name='C'/></query></iq>");
    world.take(ann);
    world.send(ann, &query(&ver));
    assert!(world.take(ann)[0].has_child("query", ns::ROSTER));
}

#[test]
fn accounts_are_registered_once_and_removed_with_their_sessions() {
    let mut world = World::new();
    let set = |user: &str, password: &str| {
        let text = format!(
            "<iq xmlns='jabber:client' type='set' id='1'><query xmlns='{REGISTER}'><username>{user}</username><password>{password}</password></query></iq>"
        );
        parse(&text).expect("well-formed")
    };
    let mut tried = |user: &str, password: &str| {
        let answer = world.domain.on_before_login(&set(user, password)).expect("a request is answered");
        match answer.attr("type") {
            Some("result") => String::new(),
            _ => StanzaError::from_stanza(&answer).condition.into_owned(),
        }
    };
    assert_eq!(tried("cy", "pw"), "");
    assert_eq!(tried("cy", "other"), "conflict");
    assert_eq!(tried("cy", ""), "not-acceptable");
    assert_eq!(tried("c@y", "pw"), "not-acceptable");
    let cy = world.bind("cy", "r");
    world.send(
        cy,
        &format!(
            "<iq xmlns='jabber:client' type='set' id='2'><query xmlns='{REGISTER}'><remove/></query></iq>"
        ),
    );
    assert_eq!(world.shapes(cy), ["iq result"]);
    assert_eq!(world.ended, [(cy, "not-authorized")]);
    assert!(world.domain.password("cy").is_none());
}

#[test]
fn registration_can_be_closed() {
    let mut domain = Domain::new("x", false, Seed([1; 32])).expect("a domain");
    let get = parse(&format!("<iq xmlns='jabber:client' type='get' id='1'><query xmlns='{REGISTER}'/></iq>"));
    let answer = domain.on_before_login(&get.expect("well-formed")).expect("a request is answered");
    assert_eq!(StanzaError::from_stanza(&answer).condition, "not-allowed");
}

#[test]
fn what_never_reached_a_session_finds_another_way() {
    let mut world = World::new();
    let (ann, bo) = (world.online("ann", "r", "0"), world.online("bo", "one", "0"));
    world.domain.on_session_end(world.now, bo);
    let lost = |text: &str| parse(text).expect("well-formed");
    let stanzas = vec![
        lost(
            "<message xmlns='jabber:client' type='chat' from='ann@x/r' to='bo@x/one'><body>hi</body></message>",
        ),
        lost(
            "<message xmlns='jabber:client' type='groupchat' from='den@rooms.x/a' to='bo@x/one'><body>no</body></message>",
        ),
        lost("<iq xmlns='jabber:client' type='get' id='9' from='ann@x/r' to='bo@x/one'><a xmlns='b'/></iq>"),
    ];
    world.domain.redeliver(world.now, stanzas);
    assert_eq!(world.domain.stored(), 1);
    assert_eq!(world.shapes(ann).last().map(String::as_str), Some("iq service-unavailable"));
}

/// A domain `x` with the accounts `ann` and `bo`, and what its sessions were given.
struct World {
    domain: Domain,
    now: Moment,
    inboxes: Vec<(SessionId, Element)>,
    ended: Vec<(SessionId, &'static str)>,
}

impl World {
    fn new() -> Self {
        let mut domain = Domain::new("x", true, Seed([7; 32])).expect("a domain");
        for user in ["ann", "bo"] {
            domain.set_password(user, Password::new("pw".to_owned())).expect("a localpart");
        }
        let wall = "2026-11-22T08:00:00Z".parse().expect("a stamp");
        Self { domain, now: Moment { at: Instant::now(), wall }, inboxes: Vec::new(), ended: Vec::new() }
    }

    fn bind(&mut self, user: &str, resource: &str) -> SessionId {
        let (id, jid) = self.domain.bind(self.now, user, Some(resource)).expect("a free resource");
        assert_eq!(jid.as_str(), format!("{user}@x/{resource}"));
        self.drain();
        id
    }

    fn online(&mut self, user: &str, resource: &str, priority: &str) -> SessionId {
        let id = self.bind(user, resource);
        self.send(id, &format!("<presence xmlns='jabber:client'><priority>{priority}</priority></presence>"));
        self.inboxes.clear();
        id
    }

    fn roster(&mut self, id: SessionId) {
        self.send(id, "<iq xmlns='jabber:client' type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
        self.take(id);
    }

    fn befriend(&mut self, ann: SessionId, bo: SessionId) {
        self.send(ann, "<presence xmlns='jabber:client' type='subscribe' to='bo@x'/>");
        self.send(bo, "<presence xmlns='jabber:client' type='subscribed' to='ann@x'/>");
        self.inboxes.clear();
    }

    fn say(&mut self, id: SessionId, to: &str, kind: &str, text: &str) {
        self.send(
            id,
            &format!("<message xmlns='jabber:client' to='{to}' type='{kind}'><body>{text}</body></message>"),
        );
    }

    fn send(&mut self, id: SessionId, text: &str) {
        self.domain.on_stanza(self.now, id, parse(text).expect("well-formed"));
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.domain.poll_output() {
            match output {
                Output::Deliver { session, stanza } => self.inboxes.push((session, stanza)),
                Output::End { session, condition } => self.ended.push((session, condition)),
            }
        }
    }

    /// What a session was given since the last look.
    fn take(&mut self, id: SessionId) -> Vec<Element> {
        self.drain();
        let (own, others) = std::mem::take(&mut self.inboxes).into_iter().partition(|(to, _)| *to == id);
        self.inboxes = others;
        let own: Vec<(SessionId, Element)> = own;
        own.into_iter().map(|(_, stanza)| stanza).collect()
    }

    fn texts(&mut self, id: SessionId) -> Vec<String> {
        self.take(id).iter().filter_map(|e| e.child_text("body", ns::CLIENT)).collect()
    }

    fn shapes(&mut self, id: SessionId) -> Vec<String> {
        self.take(id).iter().map(shape).collect()
    }
}

fn shape(stanza: &Element) -> String {
    let kind = stanza.attr("type").unwrap_or_default();
    if let Some(item) = stanza.child("query", ns::ROSTER).and_then(|q| q.child("item", ns::ROSTER)) {
        let words =
            ["push", item.attr("jid").unwrap_or_default(), item.attr("subscription").unwrap_or_default()];
        let ask = if item.attr("ask").is_some() { " ask" } else { "" };
        return words.join(" ") + ask;
    }
    let what = match (stanza.name(), kind) {
        ("iq", "error") => StanzaError::from_stanza(stanza).condition.into_owned(),
        ("iq", kind) => kind.to_owned(),
        (_, kind) => {
            let from = stanza.attr("from").and_then(|from| Jid::parse(from).ok());
            [from.map(|from| from.to_string()).unwrap_or_default(), kind.to_owned()]
                .join(" ")
                .trim()
                .to_owned()
        }
    };
    format!("{} {what}", stanza.name())
}
