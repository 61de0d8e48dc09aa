//! XEP-0203: Delayed Delivery, and its ancestor XEP-0091. A delay never means "old" by itself.

use jiff::Timestamp;

use super::{Extension, Xep};
use crate::datetime::{self, DateTimeError};
use crate::jid::Jid;
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:delay";

/// Namespace of XEP-0091, which old servers still write.
pub const LEGACY_NS: &str = "jabber:x:delay";

/// The extension.
pub struct Delay;

/// Who says that a stanza is late, and when it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delayed {
    /// Who held it back, where that is told.
    pub from: Option<Jid>,
    /// When it was sent.
    pub stamp: Timestamp,
}

impl Extension for Delay {
    fn xep(&self) -> Xep {
        let scope = "read where the own server or a room says so; written on what is sent again";
        Xep { number: 203, name: "Delayed Delivery", version: "2.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS, LEGACY_NS]
    }

    fn features(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn consumes(&self, payload: &Element) -> bool {
        payload.is("delay", NS) || payload.is("x", LEGACY_NS)
    }
}

/// The delays among these payloads that can be read, newer form first. Of more than eight in one
/// form these are the first and the last four: servers write theirs at an end, and no more of them
/// can be true.
pub fn read(payloads: &[Element]) -> Vec<Delayed> {
    let of = |name: &str, ns: &str, parse: fn(&str) -> Result<Timestamp, DateTimeError>| {
        let read = |payload: &Element| {
            let from = payload.attr("from").and_then(|text| Jid::from_wire(text).ok());
            Some(Delayed { from, stamp: parse(payload.attr("stamp")?).ok()? })
        };
        let all = || payloads.iter().filter(|payload| payload.is(name, ns));
        let count = all().count();
        let at_an_end =
            |(index, payload)| (index < AT_EACH_END || index + AT_EACH_END >= count).then_some(payload);
        all().enumerate().filter_map(at_an_end).filter_map(read).collect::<Vec<_>>()
    };
    let mut delays = of("delay", NS, datetime::parse);
    delays.extend(of("x", LEGACY_NS, datetime::parse_legacy));
    delays
}

/// Delays that are looked at from the first on, and from the last on.
const AT_EACH_END: usize = 4;

/// A mark that a stanza is sent later than it was meant to.
pub fn element(from: &Jid, stamp: Timestamp) -> Element {
    Element::new("delay", NS).with_attr("from", from.as_str()).with_attr("stamp", datetime::print(stamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_what_is_no_time_is_left_out() {
        let delay = |name: &'static str, ns: &'static str, stamp: &str| {
            Element::new(name, ns).with_attr("from", "example.org").with_attr("stamp", stamp)
        };
        let payloads = [
            delay("x", LEGACY_NS, "20020910T23:08:25"),
            delay("delay", NS, "hello world"),
            Element::new("delay", NS),
            delay("delay", NS, "2002-09-11T01:08:25.5+02:00"),
        ];
        let stamps: Vec<String> = read(&payloads).iter().map(|delay| delay.stamp.to_string()).collect();
        assert_eq!(stamps, ["2002-09-10T23:08:25.5Z", "2002-09-10T23:08:25Z"]);
    }

    #[test]
    fn of_many_only_those_at_the_ends_are_read() {
        let from = Jid::parse("example.org").expect("an address");
        let all = |count| -> Vec<Element> {
            (0..count).map(|n| element(&from, Timestamp::from_second(n).expect("a time"))).collect()
        };
        let seconds = |count| -> Vec<i64> { read(&all(count)).iter().map(|d| d.stamp.as_second()).collect() };
        assert_eq!(seconds(8), (0..8).collect::<Vec<_>>());
        assert_eq!(seconds(1000), [0, 1, 2, 3, 996, 997, 998, 999]);
    }

    #[test]
    fn what_is_written_is_read() {
        let from = Jid::parse("bot@example.org").expect("an address");
        for text in ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.250Z"] {
            let stamp: Timestamp = text.parse().expect("a time");
            let element = element(&from, stamp);
            assert_eq!(element.attr("stamp"), Some(text));
            assert_eq!(read(&[element]), [Delayed { from: Some(from.clone()), stamp }]);
        }
    }
}
