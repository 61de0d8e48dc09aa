//! What the writer writes, the reader reads back as the same element.

use proptest::prelude::*;

use super::super::element::{Atom, Element};
use super::super::writer::{self, WriteError};
use super::super::{Frame, Framer, Limits, Reader, parse};
use crate::ns;

proptest! {
    #[test]
    fn any_element_survives_alone(element in element()) {
        let text = writer::to_string(&element).expect("the strategy makes only writable elements");
        prop_assert_eq!(parse(&text), Ok(element), "{}", text);
    }

    #[test]
    fn any_element_survives_on_a_stream(element in element(), cut in any::<prop::sample::Index>()) {
        let mut bytes = Vec::new();
        writer::write_open(&stream_header(), ns::CLIENT, &mut bytes).expect("a plain header");
        let begin = bytes.len();
        writer::write(&element, ns::CLIENT, &mut bytes).expect("the strategy makes only writable elements");
        let (left, right) = bytes.split_at(cut.index(bytes.len()));
        let mut framer = Framer::new(Limits::DEFAULT);
        let mut read = Vec::new();
        let mut reader = Reader::standalone();
        for chunk in [left, right] {
            framer.push(chunk);
            while let Some(frame) = framer.next_frame().expect("framed") {
                match frame {
                    Frame::StreamOpen(text) => reader = Reader::header(text).expect("a header").0,
                    Frame::Element(text) => read.push(reader.element(text).expect("an element")),
                    Frame::StreamClose | Frame::Whitespace => prop_assert!(false, "no such frame was written"),
                }
            }
        }
        prop_assert_eq!(read, vec![element], "{:?}", std::str::from_utf8(&bytes[begin..]));
    }

    #[test]
    fn any_text_is_written_or_refused_whole(text in any::<String>(), name in "\\PC{0,4}") {
        let element = Element::new(name, ns::CLIENT).with_attr("a", text.clone()).with_text(text);
        let mut out = b"before".to_vec();
        match writer::write(&element, ns::CLIENT, &mut out) {
            Ok(()) => {
                let text = std::str::from_utf8(&out[6..]).expect("UTF-8");
                prop_assert_eq!(Reader::within(ns::CLIENT).element(text), Ok(element));
            }
            Err(_) => prop_assert_eq!(out, b"before"),
        }
    }
}

#[test]
fn the_least_declarations_are_written() {
    let message = Element::new("message", ns::CLIENT)
        .with_attr("to", "a@b")
        .with_lang(Some("en"))
        .with_child(Element::new("body", ns::CLIENT).with_text("1 < 2 & 'x' \"y\""))
        .with_child(Element::new("x", "urn:x").with_child(Element::new("y", "urn:x")))
        .with_child(Element::new("n", ""));
    let expected = "<message to='a@b' xml:lang='en'><body>1 &lt; 2 &amp; 'x' \"y\"</body>\
                    <x xmlns='urn:x'><y/></x><n xmlns=''/></message>";
    let mut out = Vec::new();
    assert_eq!(writer::write(&message, ns::CLIENT, &mut out), Ok(()));
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

#[test]
fn stream_elements_carry_the_stream_prefix() {
    let features = Element::new("features", ns::STREAM).with_child(Element::new("bind", ns::BIND));
    let mut out = Vec::new();
    assert_eq!(writer::write(&features, ns::CLIENT, &mut out), Ok(()));
    assert_eq!(
        String::from_utf8_lossy(&out),
        "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>"
    );
    assert_eq!(
        writer::to_string(&Element::new("error", ns::STREAM)).as_deref(),
        Ok("<error xmlns='http://etherx.jabber.org/streams'/>")
    );
}

#[test]
fn a_prefixed_attribute_brings_its_declaration() {
    let mut element = Element::new("a", "");
    element.set_attr_ns("urn:x", "b", "1");
    element.set_attr_ns("urn:y", "b", "2");
    element.set_attr_ns("urn:x", "c", "3");
    assert_eq!(
        writer::to_string(&element).as_deref(),
        Ok("<a xmlns:ns0='urn:x' ns0:b='1' xmlns:ns1='urn:y' ns1:b='2' ns0:c='3'/>")
    );
}

#[test]
fn the_header_is_one_open_tag() {
    let mut out = Vec::new();
    assert_eq!(writer::write_open(&stream_header(), ns::CLIENT, &mut out), Ok(()));
    assert_eq!(
        String::from_utf8_lossy(&out),
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams' to='a.example' version='1.0' xml:lang='en'>"
    );
    assert!(writer::write_open(&Element::new("stream", ""), ns::CLIENT, &mut out).is_err());
}

#[test]
fn blanks_that_a_parser_would_change_become_references() {
    let element = Element::new("a", "").with_attr("b", "\t\n\r ").with_text("\t\n\r ]]>");
    let text = writer::to_string(&element).expect("writable");
    assert_eq!(text, "<a b='&#9;&#10;&#13; '>\t\n&#13; ]]&gt;</a>");
    assert_eq!(parse(&text), Ok(element));
}

#[test]
fn what_cannot_be_xml_is_refused_and_nothing_stays() {
    let plain = || Element::new("a", "urn:x");
    let mut declared = plain();
    declared.set_attr_ns(ns::XMLNS, "p", "u");
    let mut nameless = plain();
    nameless.set_attr_ns("", "b", "1");
    for (element, error) in [
        (plain().with_text("x\u{1}"), WriteError::Character { code: 1 }),
        (plain().with_text("\u{FFFD}\u{FFFE}"), WriteError::Character { code: 0xFFFE }),
        (plain().with_attr("b", "\u{0}"), WriteError::Character { code: 0 }),
        (Element::new("a", "urn:\u{1}"), WriteError::Character { code: 1 }),
        (Element::new("a b", ""), WriteError::Name { name: "a b".to_owned() }),
        (Element::new("p:a", ""), WriteError::Name { name: "p:a".to_owned() }),
        (Element::new("", ""), WriteError::Name { name: String::new() }),
        (plain().with_attr("b='1' c", ""), WriteError::Name { name: "b='1' c".to_owned() }),
        (plain().with_attr("xmlns", "u"), WriteError::Name { name: "xmlns".to_owned() }),
        (Element::new("a", ns::XMLNS), WriteError::Namespace { ns: ns::XMLNS.to_owned() }),
        (declared, WriteError::Namespace { ns: ns::XMLNS.to_owned() }),
        (nameless, WriteError::Namespace { ns: String::new() }),
    ] {
        let mut out = b"<before/>".to_vec();
        let tree = Element::new("root", "").with_text("t").with_child(element);
        assert_eq!(writer::write(&tree, "", &mut out), Err(error));
        assert_eq!(out, b"<before/>");
    }
}

#[test]
fn characters_of_every_length_are_written_as_they_are() {
    let text = "a\u{7F}\u{80}\u{85}\u{7FF}\u{800}\u{EFFF}\u{F000}\u{FDD0}\u{FEFF}\u{FFFD}\u{10000}\u{10FFFF}";
    let element = Element::new("a", "").with_attr("b", text).with_text(text);
    assert_eq!(writer::to_string(&element), Ok(format!("<a b='{text}'>{text}</a>")));
}

#[test]
fn a_deep_tree_needs_no_deep_stack() {
    let mut element = Element::new("a", "");
    for _ in 0..1000 {
        element = Element::new("a", "").with_child(element);
    }
    assert_eq!(writer::to_string(&element).map(|text| text.len()), Ok(1000 * 7 + 4));
}

#[test]
fn texts_stay_joined_when_a_child_between_them_goes() {
    let mut element = Element::new("a", "").with_text("1").with_child(Element::new("b", "")).with_text("2");
    element.retain_children(|_| false);
    assert_eq!(element.nodes().len(), 1);
    assert_eq!(parse(&writer::to_string(&element).expect("writable")), Ok(element));
}

fn stream_header() -> Element {
    Element::new("stream", ns::STREAM)
        .with_attr("to", "a.example")
        .with_attr("version", "1.0")
        .with_lang(Some("en"))
}

fn element() -> impl Strategy<Value = Element> {
    let leaf = tag().boxed();
    leaf.prop_recursive(4, 24, 4, |inner| {
        let content = prop_oneof![2 => inner.prop_map(Ok), 1 => text().prop_map(Err)];
        (tag(), prop::collection::vec(content, 0..4)).prop_map(|(mut element, content)| {
            for node in content {
                match node {
                    Ok(child) => element.push(child),
                    Err(text) => element.push_text(text),
                }
            }
            element
        })
    })
}

fn tag() -> impl Strategy<Value = Element> {
    let attribute = (prop::option::of(namespace(true)), name(), text());
    (name(), namespace(false), prop::collection::vec(attribute, 0..4)).prop_map(|(name, ns, attributes)| {
        let mut element = Element::new(name, ns);
        for (ns, name, value) in attributes {
            match ns {
                Some(ns) => element.set_attr_ns(ns, name, value),
                None if name != "xmlns" => element.set_attr(name, value),
                None => {}
            }
        }
        element
    })
}

fn name() -> impl Strategy<Value = String> {
    "(from|item|[A-Za-z_\u{C0}-\u{D6}\u{370}-\u{37D}\u{3001}-\u{4000}\u{10000}-\u{10100}][-.0-9a-z\u{B7}\u{300}-\u{36F}]{0,6})"
}

fn namespace(of_attribute: bool) -> impl Strategy<Value = Atom> {
    let known = [ns::CLIENT, ns::STREAM, ns::XML, ns::BIND, "urn:x", "urn:x'&<>\"\u{1F600}"];
    let known = prop::sample::select(known.to_vec()).prop_map(Atom::Borrowed);
    let free = text().prop_filter("reserved", |ns| ns != ns::XMLNS).prop_map(Atom::Owned);
    let none = Just(Atom::Borrowed(if of_attribute { "urn:y" } else { "" }));
    prop_oneof![3 => known, 1 => free.prop_filter("empty", |ns| !ns.is_empty()), 1 => none]
}

/// Text of characters that XML allows, rich in those that need escaping.
fn text() -> impl Strategy<Value = String> {
    let special =
        prop::sample::select("&<>'\"\t\n\r ];!-/=\u{85}\u{2028}\u{FFFD}".chars().collect::<Vec<_>>());
    let allowed = any::<char>().prop_filter("not in XML", |&c| super::super::name::is_char(c));
    prop::collection::vec(prop_oneof![special, allowed], 0..8).prop_map(|chars| chars.into_iter().collect())
}
