//! The handshake of an external component, XEP-0114 §3, and streams that stand for one address behind it.
//!
//! Behind the handshake a component's stream is like any other, without management: stanzas are read and written as
//! those of a client, because the content namespace of the stream is the default one on both sides.

use std::time::{Duration, Instant};

use sha1::{Digest, Sha1};
use zeroize::Zeroize;

use crate::ids::Seed;
use crate::jid::{BareJid, FullJid, Jid};
use crate::ns;
use crate::secret::Password;
use crate::stream::core::Core;
use crate::stream::fault::{Condition, HeaderProblem, StreamError, What};
use crate::stream::phase::Phase;
use crate::stream::sasl::Mechanism;
use crate::stream::{Keepalive, NotReady, Online, Role, Stream, StreamEvent, Window};
use crate::xml::{Element, Limits, Reader, StreamHeader};

/// What a component needs to know.
#[derive(Clone, Debug)]
pub struct Component {
    /// The domain it serves.
    pub domain: BareJid,
    /// What it and the server both know.
    pub secret: Password,
    /// Bounds of inbound elements.
    pub limits: Limits,
}

/// What is left to negotiate.
pub(super) struct Handshake {
    config: Component,
}

impl Handshake {
    pub fn begin(config: Component, core: &mut Core, now: Instant) -> Self {
        let header = Element::new("stream", ns::STREAM).with_attr("to", config.domain.as_str());
        core.say_header_of(&header, ns::COMPONENT);
        core.await_next(now, Phase::AwaitHeader);
        Self { config }
    }

    /// The id is hashed as the text it stands for, not as it was escaped (K-1). There is no `version` to check.
    pub fn on_header(&mut self, core: &mut Core, now: Instant, reader: Reader, header: &StreamHeader) {
        let problem = match header.element.attr("id") {
            _ if !header.element.is("stream", ns::STREAM) => HeaderProblem::Root,
            _ if header.default_ns != ns::COMPONENT => HeaderProblem::ContentNamespace,
            None | Some("") => HeaderProblem::IdMissing,
            Some(id) => {
                core.framer.set_limits(self.config.limits.of_bytes());
                core.reader = Some(reader.with_default_ns(ns::CLIENT));
                core.say(
                    &Element::new("handshake", ns::CLIENT).with_text(digest(id, self.config.secret.reveal())),
                );
                return core.await_next(now, Phase::AwaitHandshake);
            }
        };
        core.fault(What::HeaderInvalid { problem });
    }

    pub fn on_element(&mut self, core: &mut Core, now: Instant, element: Element) {
        if element.is("error", ns::STREAM) {
            let error = StreamError::from_element(&element);
            return core.fault(match error.condition {
                // ejabberd calls a wrong secret so, Prosody and XEP-0114 §3 too.
                Condition::NotAuthorized | Condition::Conflict | Condition::HostUnknown => {
                    What::ComponentRefused { condition: error.condition, text: error.text }
                }
                _ => What::StreamError(error),
            });
        }
        if core.phase != Phase::AwaitHandshake || !element.is("handshake", ns::CLIENT) {
            return core.unexpected(&element);
        }
        match self.config.domain.with_resource("component") {
            Ok(jid) => go_online(core, now, jid),
            // A constant resourcepart behind a domain that was prepared.
            Err(_) => core.unexpected(&element),
        }
    }
}

impl Stream {
    /// The stream of an external component, XEP-0114. Nothing encrypts it.
    pub fn component(config: Component, seed: Seed, now: Instant) -> Self {
        let window = Window::default();
        let mut core = Core::new(false, seed, now, config.limits, Keepalive::default(), window);
        let handshake = Handshake::begin(config, &mut core, now);
        Self { core, role: Role::Component(Some(Box::new(handshake))) }
    }

    /// One address behind a component: online at once. Its bytes belong on the component's stream, its stanzas come
    /// through [`Stream::on_stanza`].
    pub fn hosted(jid: FullJid, seed: Seed, now: Instant) -> Self {
        // The component's own stream looks after the connection.
        let keepalive = Keepalive { idle: Duration::from_secs(1 << 31), ..Keepalive::default() };
        let mut core = Core::new(false, seed, now, Limits::DEFAULT, keepalive, Window::default());
        go_online(&mut core, now, jid.clone());
        core.timers.clear_all();
        Self { core, role: Role::Hosted(jid) }
    }

    /// Hosted: a stanza for this address.
    pub fn on_stanza(&mut self, element: Element) {
        if matches!(self.role, Role::Hosted(_)) && self.core.phase.is_online() {
            self.core.outputs.event(StreamEvent::Stanza { number: None, element });
        }
    }
}

/// The digest of the handshake, XEP-0114 §3: 40 lower-case hexadecimal digits.
pub(super) fn digest(id: &str, secret: &str) -> String {
    let mut text = format!("{id}{secret}");
    let digest = Sha1::digest(text.as_bytes());
    text.zeroize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Stanzas flow: there are no features, and nothing is acknowledged.
pub(super) fn go_online(core: &mut Core, now: Instant, jid: FullJid) {
    core.stanza_limit = STANZA_LIMIT;
    core.outputs.event(StreamEvent::Online(Box::new(Online {
        jid,
        resumed: false,
        features: Element::new("features", ns::STREAM),
        sm: false,
        peer_handled: 0,
        resume_max: None,
        // The handshake vouches, outside SASL.
        mechanism: Mechanism::External,
        carbons: false,
    })));
    core.go_online(now, Phase::Online);
}

/// Writes the sender into a stanza of an address behind a component. Whatever stood there: one wrong `from` ends the
/// stream of all (K-3). Subscriptions go between bare addresses, RFC 6121 §3.1.1.
///
/// # Errors
/// [`NotReady::Unaddressed`] where it does not say whom it is for, which on a component's stream nobody adds.
pub(super) fn stamp(stanza: &mut Element, own: &FullJid) -> Result<(), NotReady> {
    if stanza.attr("to").is_none_or(|to| Jid::from_wire(to).is_err()) {
        return Err(NotReady::Unaddressed);
    }
    let subscription = stanza.name() == "presence"
        && matches!(
            stanza.attr("type"),
            Some("probe" | "subscribe" | "subscribed" | "unsubscribe" | "unsubscribed")
        );
    let from = if subscription { own.to_bare().to_string() } else { own.to_string() };
    stanza.set_attr("from", from);
    Ok(())
}

/// Bytes of the largest stanza that both Prosody and ejabberd take as they come.
const STANZA_LIMIT: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{Hangup, Output};

    /// XEP-0114 §3; SHA-1 of `abc` is in FIPS 180.
    #[test]
    fn the_digest_is_made_of_the_unescaped_id_and_the_secret() {
        assert_eq!(digest("", "abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(digest("a", "bc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }

    #[test]
    fn a_component_is_online_after_its_handshake() {
        let (mut stream, now) = started();
        let (bytes, _) = drain(&mut stream);
        assert!(
            bytes.contains("xmlns='jabber:component:accept'") && bytes.contains("to='bots.test'"),
            "{bytes}"
        );
        stream.on_bytes(now, HEADER.as_bytes());
        let (bytes, _) = drain(&mut stream);
        assert_eq!(bytes, format!("<handshake>{}</handshake>", digest("a&b", "s")));
        stream.on_bytes(
            now,
            b"<handshake/><message from='ann@one.test/x' to='echo@bots.test'><body>hi</body></message>",
        );
        let (_, events) = drain(&mut stream);
        let [StreamEvent::Online(online), StreamEvent::Stanza { number: None, element }] = &events[..] else {
            panic!("{events:?}");
        };
        assert_eq!((online.jid.as_str(), online.sm), ("bots.test/component", false));
        assert_eq!(element.child_text("body", ns::CLIENT).as_deref(), Some("hi"));
    }

    #[test]
    fn a_refusal_waits_for_the_operator_and_names_what_is_wrong() {
        for (condition, words) in [
            ("not-authorized", "secret"),
            ("conflict", "another connection"),
            ("host-unknown", "does not know"),
        ] {
            let (mut stream, now) = started();
            stream.on_bytes(now, HEADER.as_bytes());
            let error = format!(
                "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
            );
            stream.on_bytes(now, error.as_bytes());
            let (_, events) = drain(&mut stream);
            let [StreamEvent::Fault(fault)] = &events[..] else { panic!("{events:?}") };
            assert_eq!(fault.next, crate::stream::fault::Next::WaitForConfig, "{condition}");
            assert!(fault.to_string().contains(words), "{fault}");
        }
    }

    #[test]
    fn a_stanza_before_the_handshake_is_a_fault() {
        let (mut stream, now) = started();
        stream.on_bytes(now, HEADER.as_bytes());
        stream.on_bytes(now, b"<message from='a@b' to='echo@bots.test'/>");
        let (_, events) = drain(&mut stream);
        assert!(matches!(&events[..], [StreamEvent::Fault(_)]), "{events:?}");
    }

    #[test]
    fn an_address_behind_a_component_sends_nothing_in_anothers_name() {
        let now = Instant::now();
        let jid = FullJid::parse("echo@bots.test/r").expect("an address");
        let mut stream = Stream::hosted(jid, Seed([7; 32]), now);
        drain(&mut stream);
        let message = |to: Option<&str>| {
            Element::new("message", ns::CLIENT).with_attr("from", "root@else.test").with_attr_opt("to", to)
        };
        stream.send(now, message(Some("ann@one.test"))).expect("it may go");
        let subscribed = Element::new("presence", ns::CLIENT)
            .with_attr("to", "ann@one.test")
            .with_attr("type", "subscribed");
        stream.send(now, subscribed).expect("it may go");
        let (bytes, _) = drain(&mut stream);
        assert!(bytes.contains("<message from='echo@bots.test/r' to='ann@one.test'/>"), "{bytes}");
        assert!(bytes.contains("from='echo@bots.test'"), "{bytes}");
        assert_eq!(stream.send(now, message(None)), Err(NotReady::Unaddressed));
    }

    #[test]
    fn the_end_of_one_address_writes_nothing() {
        let now = Instant::now();
        let jid = FullJid::parse("echo@bots.test/r").expect("an address");
        let mut stream = Stream::hosted(jid.clone(), Seed([7; 32]), now);
        drain(&mut stream);
        stream.close(now);
        let (bytes, events) = drain(&mut stream);
        assert!(bytes.is_empty() && matches!(&events[..], [StreamEvent::Closed]), "{bytes} {events:?}");
        let mut stream = Stream::hosted(jid, Seed([7; 32]), now);
        drain(&mut stream);
        stream.on_hangup(now, Hangup::Closed);
        let (bytes, events) = drain(&mut stream);
        assert!(bytes.is_empty() && matches!(&events[..], [StreamEvent::Fault(_)]), "{bytes} {events:?}");
    }

    fn started() -> (Stream, Instant) {
        let now = Instant::now();
        let config = Component {
            domain: BareJid::parse("bots.test").expect("a domain"),
            secret: Password::new("s".to_owned()),
            limits: Limits::DEFAULT,
        };
        (Stream::component(config, Seed([7; 32]), now), now)
    }

    fn drain(stream: &mut Stream) -> (String, Vec<StreamEvent>) {
        let (mut bytes, mut events) = (String::new(), Vec::new());
        loop {
            match stream.poll_output() {
                Output::Transmit(part) => bytes.push_str(std::str::from_utf8(&part).expect("UTF-8")),
                Output::Event(event) => events.push(event),
                Output::Secure => panic!("no TLS here"),
                Output::Hangup => {}
                Output::Idle(_) => return (bytes, events),
            }
        }
    }

    const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
        xmlns:stream='http://etherx.jabber.org/streams' from='bots.test' id='a&amp;b'>";
}
