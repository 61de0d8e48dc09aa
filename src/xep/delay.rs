//! XEP-0203: Delayed Delivery, and its ancestor XEP-0091. A delay never means "old" by itself.

use jiff::Timestamp;

use super::{Extension, Xep};
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

/// All delays among these payloads that can be read, newer form first.
pub fn read(payloads: &[Element]) -> Vec<Delayed> {
    let of = |name: &str, ns: &str, parse: fn(&str) -> Option<Timestamp>| {
        let read = |payload: &Element| {
            let from = payload.attr("from").and_then(|text| Jid::from_wire(text).ok());
            Some(Delayed { from, stamp: parse(payload.attr("stamp")?)? })
        };
        payloads.iter().filter(|payload| payload.is(name, ns)).filter_map(read).collect::<Vec<_>>()
    };
    let mut delays = of("delay", NS, parse_stamp);
    delays.extend(of("x", LEGACY_NS, parse_legacy));
    delays
}

/// A mark that a stanza is sent later than it was meant to.
pub fn element(from: &Jid, stamp: Timestamp) -> Element {
    let stamp = stamp.strftime("%Y-%m-%dT%H:%M:%S%.fZ").to_string();
    Element::new("delay", NS).with_attr("from", from.as_str()).with_attr("stamp", stamp)
}

/// A DateTime of XEP-0082: date, time with or without fractions, `Z` or an offset.
pub fn parse_stamp(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    // The parser also knows RFC 9557 annotations such as `[Europe/Oslo]`, which XEP-0082 does not.
    if text.len() > LONGEST || text.contains('[') {
        return None;
    }
    text.parse().ok()
}

/// `20020910T23:08:25` of XEP-0091, in UTC.
pub fn parse_legacy(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let (date, time) = text.split_once('T')?;
    if date.len() != 8 || text.len() > LONGEST || !text.is_ascii() {
        return None;
    }
    let (year, month, day) = (&date[..4], &date[4..6], &date[6..]);
    parse_stamp(&format!("{year}-{month}-{day}T{time}Z"))
}

/// Longer texts are no stamps.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_have_fractions_and_both_zone_forms() {
        let check = |text: &str, utc: &str| {
            assert_eq!(parse_stamp(text), Some(utc.parse().expect("a time")), "{text}");
        };
        check("2002-09-10T23:08:25Z", "2002-09-10T23:08:25Z");
        check("2022-08-14T14:46:32.158200Z", "2022-08-14T14:46:32.1582Z");
        check("1971-07-21T02:56:15.123-01:00", "1971-07-21T03:56:15.123Z");
        for bad in ["", "hello world", "2017-07-11T18:31:34", "2002-09-10", "2002-09-10T23:08:25Z[UTC]"] {
            assert_eq!(parse_stamp(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_legacy_form_is_tolerated() {
        assert_eq!(parse_legacy("20020910T23:08:25"), parse_stamp("2002-09-10T23:08:25Z"));
        for bad in ["2002T23:08:25", "130T23:08:25", "2002é910T23:08:25", "20020910"] {
            assert_eq!(parse_legacy(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let from = Jid::parse("bot@example.org").expect("an address");
        for text in ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.25Z"] {
            let stamp: Timestamp = text.parse().expect("a time");
            let element = element(&from, stamp);
            assert_eq!(element.attr("stamp"), Some(text));
            assert_eq!(read(&[element]), [Delayed { from: Some(from.clone()), stamp }]);
        }
    }
}
