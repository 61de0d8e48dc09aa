//! Byte sequences as character data: taken where UTF-8 and XML 1.0 allow them, refused elsewhere.

use rhapsode::xml::{Frame, Framer, Limits, Reader, XmlError};
use serde_json::Value;

use crate::folder::{cases, none_of, text};

#[test]
fn byte_sequences_are_judged() {
    let Some(cases) = cases("utf8.json") else { return };
    let complaints: Vec<String> = cases.iter().filter_map(complaint).collect();
    none_of(&complaints);
}

fn complaint(case: &Value) -> Option<String> {
    let id = text(case, "id");
    let bytes = from_hex(text(case, "hex"));
    let is_utf8 = case["valid_utf8"].as_bool().expect("`valid_utf8` is in every case");
    let is_allowed =
        is_utf8 && case["valid_xml_char"].as_bool().expect("`valid_xml_char` is in every UTF-8 case");
    // Text, value and section, each arriving whole and byte by byte.
    for (before, after) in [("<a>", "</a>"), ("<a b='", "'/>"), ("<a><![CDATA[", "]]></a>")] {
        let document = [before.as_bytes(), &bytes, after.as_bytes()].concat();
        for size in [document.len(), 1] {
            let verdict = match (read(&document, size), is_utf8, is_allowed) {
                (Ok(found), _, true) if found.as_bytes() == bytes => continue,
                (Err(error), true, false) if error.condition() == "not-well-formed" => continue,
                (Err(error), false, false) if error.condition() == "unsupported-encoding" => continue,
                (verdict, ..) => verdict,
            };
            return Some(format!("{id} {before}{bytes:02x?}{after} in pieces of {size}: {verdict:?}"));
        }
    }
    None
}

/// The text (or attribute `b`) of the element that arrives in pieces of `size` bytes.
fn read(document: &[u8], size: usize) -> Result<String, XmlError> {
    let mut framer = Framer::new(Limits::DEFAULT);
    framer.push(b"<stream>");
    let mut reader = Reader::standalone();
    for chunk in document.chunks(size) {
        loop {
            match framer.next_frame()? {
                Some(Frame::StreamOpen(header)) => reader = Reader::header(header)?.0,
                Some(Frame::Element(_) | Frame::StreamClose | Frame::Whitespace) => {
                    return Ok("a frame before the end".to_owned());
                }
                None => break,
            }
        }
        framer.push(chunk);
    }
    match framer.next_frame()? {
        Some(Frame::Element(frame)) => {
            let element = reader.element(frame)?;
            Ok(element.attr("b").map_or_else(|| element.text(), str::to_owned))
        }
        other => Ok(format!("{other:?}")),
    }
}

fn from_hex(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2), "`{digits}` is not whole bytes");
    (0..digits.len())
        .step_by(2)
        .map(|at| {
            u8::from_str_radix(&digits[at..at + 2], 16).unwrap_or_else(|error| panic!("{digits}: {error}"))
        })
        .collect()
}
