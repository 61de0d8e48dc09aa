//! The examples of the XEPs: read, compared with what each says, written and read again.

use rhapsode::ns;
use rhapsode::xml::{Element, Frame, Framer, Limits, Reader, writer};
use serde_json::Value;

use crate::folder::{cases, none_of, text};

#[test]
fn examples_are_read_and_survive_writing() {
    let Some(cases) = cases("xep_examples.json") else { return };
    let complaints: Vec<String> = cases
        .iter()
        .filter_map(|case| complaint(case).map(|complaint| format!("{}: {complaint}", text(case, "id"))))
        .collect();
    none_of(&complaints);
}

fn complaint(case: &Value) -> Option<String> {
    let xml = text(case, "xml");
    let element = match read(xml.as_bytes()) {
        Ok(element) => element,
        Err(error) => return Some(error),
    };
    if expanded(&element) != text(case, "root") {
        return Some(format!("the root is {}", expanded(&element)));
    }
    let attributes = case["attrs"].as_object().expect("`attrs` is an object");
    for name in ["type", "from", "to", "id"] {
        let expected = attributes.get(name).map(|value| value.as_str().expect("an attribute is text"));
        if element.attr(name) != expected {
            return Some(format!("attribute {name} is {:?}, not {expected:?}", element.attr(name)));
        }
    }
    let payloads = case["payloads"].as_array().expect("`payloads` is a list");
    let found: Vec<String> = element.children().map(expanded).collect();
    if !found.iter().map(String::as_str).eq(payloads.iter().map(|name| name.as_str().unwrap_or_default())) {
        return Some(format!("payloads are {found:?}"));
    }
    let mut written = Vec::new();
    if let Err(error) = writer::write(&element, ns::CLIENT, &mut written) {
        return Some(format!("not written: {error}"));
    }
    match read(&written) {
        Ok(again) if again == element => None,
        Ok(_) => Some(format!("another element after writing: {}", String::from_utf8_lossy(&written))),
        Err(error) => Some(format!("not read after writing: {error}")),
    }
}

/// Reads one element as it would arrive on a client's stream.
fn read(xml: &[u8]) -> Result<Element, String> {
    const HEADER: &str =
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
    let mut framer = Framer::new(Limits::DEFAULT);
    framer.push(HEADER.as_bytes());
    framer.push(xml);
    let mut reader = None;
    loop {
        match framer.next_frame().map_err(|error| format!("framing: {error}"))? {
            Some(Frame::StreamOpen(header)) => {
                reader = Some(Reader::header(header).map_err(|error| format!("header: {error}"))?.0);
            }
            Some(Frame::Element(frame)) => {
                let reader = reader.as_ref().ok_or("an element before the header")?;
                let element = reader.element(frame).map_err(|error| format!("reading: {error}"))?;
                return if framer.buffered() == 0 {
                    Ok(element)
                } else {
                    Err("more than one element".to_owned())
                };
            }
            Some(Frame::Whitespace) => {}
            other => return Err(format!("{other:?} instead of an element")),
        }
    }
}

fn expanded(element: &Element) -> String {
    format!("{{{}}}{}", element.ns(), element.name())
}
