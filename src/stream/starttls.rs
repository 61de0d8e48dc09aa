//! STARTTLS, RFC 6120 §5: the elements. When they may stand is in [`super::features`].

use crate::ns;
use crate::xml::Element;

/// `<starttls/>`, which asks for TLS.
pub(super) fn request() -> Element {
    Element::new("starttls", ns::TLS)
}

/// `<proceed/>`: TLS begins behind its `>`.
pub(super) fn proceed() -> Element {
    Element::new("proceed", ns::TLS)
}

/// The stream feature. There is no stream without TLS here.
pub(super) fn feature() -> Element {
    Element::new("starttls", ns::TLS).with_child(Element::new("required", ns::TLS))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use crate::ids::Seed;
    use crate::stream::{Output, Receiving, Stream, StreamEvent};

    #[test]
    fn a_client_that_ends_its_request_with_a_line_feed_is_served() {
        assert_eq!(ask("\n"), (true, false), "go-xmpp does that");
    }

    #[test]
    fn s6_anything_else_behind_the_request_ends_the_stream() {
        assert_eq!(ask("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>"), (true, true));
        assert_eq!(ask(" x"), (true, true));
    }

    /// Asks for TLS with `behind` behind it; whether the server would begin, and whether there was a fault.
    fn ask(behind: &str) -> (bool, bool) {
        let now = Instant::now();
        let mut stream = Stream::receiving(Receiving::new("example.org", [7; 32]), Seed([7; 32]), now);
        stream.on_bytes(
            now,
            b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
              xmlns:stream='http://etherx.jabber.org/streams' to='example.org' version='1.0'>",
        );
        stream
            .on_bytes(now, format!("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{behind}").as_bytes());
        let (mut secure, mut fault) = (false, false);
        loop {
            match stream.poll_output() {
                Output::Secure => secure = true,
                Output::Event(StreamEvent::Fault(_)) => fault = true,
                Output::Idle(_) => return (secure, fault),
                Output::Event(_) | Output::Hangup | Output::Transmit(_) => {}
            }
        }
    }
}
