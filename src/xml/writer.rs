//! Turns an [`Element`] into bytes that every XML parser reads back as the same element.
//!
//! Nothing ill-formed can be written: names and characters are checked, and on a
//! refusal the output is as it was before.

use std::fmt;

use super::element::{Attribute, Element, Node};
use super::name;
use crate::ns;

/// The end of a stream, RFC 6120 §4.4.
pub const CLOSE: &[u8] = b"</stream:stream>";

/// Why an element cannot be written as XML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// A character that XML 1.0 §2.2 forbids and no reference can express.
    Character { code: u32 },
    /// An element or attribute name outside the grammar of Namespaces in XML §4.
    Name { name: String },
    /// A namespace that no element or attribute may have.
    Namespace { ns: String },
}

/// Appends an element of an open stream, where `default_ns` is the default namespace
/// and the prefix `stream` is declared. On an error `out` is as it was.
pub fn write(element: &Element, default_ns: &str, out: &mut Vec<u8>) -> Result<(), WriteError> {
    restoring(out, |out| Writer { out, stream_prefix: true }.tree(element, default_ns))
}

/// Appends an element that declares all its namespaces, for where nothing is around it (RFC 7395 §3.3.3). On an error
/// `out` is as it was.
pub fn write_alone(element: &Element, out: &mut Vec<u8>) -> Result<(), WriteError> {
    restoring(out, |out| Writer { out, stream_prefix: false }.tree(element, ""))
}

/// Appends a stream header: XML declaration and open start tag. The namespace
/// declarations are added; `element` gives the other attributes and must be the
/// stream element. On an error `out` is as it was.
pub fn write_open(element: &Element, content_ns: &str, out: &mut Vec<u8>) -> Result<(), WriteError> {
    restoring(out, |out| {
        if !element.is("stream", ns::STREAM) {
            return Err(WriteError::Name { name: element.name().to_owned() });
        }
        out.extend_from_slice(b"<?xml version='1.0'?><stream:stream xmlns='");
        escape(content_ns, Place::Value, out)?;
        out.extend_from_slice(b"' xmlns:stream='");
        out.extend_from_slice(ns::STREAM.as_bytes());
        out.push(b'\'');
        Writer { out, stream_prefix: true }.attributes(element.attributes())?;
        out.push(b'>');
        Ok(())
    })
}

/// The element as a document of its own.
pub fn to_string(element: &Element) -> Result<String, WriteError> {
    let mut out = Vec::new();
    Writer { out: &mut out, stream_prefix: false }.tree(element, "")?;
    Ok(String::from_utf8(out).expect("only whole strings and ASCII were appended"))
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character { code } => write!(f, "character U+{code:04X} cannot be written in XML"),
            Self::Name { name } => write!(f, "`{}` cannot be a name in XML", name.escape_debug()),
            Self::Namespace { ns } => write!(f, "`{}` cannot be a namespace here", ns.escape_debug()),
        }
    }
}

impl std::error::Error for WriteError {}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Whether `stream:` is declared around the element.
    stream_prefix: bool,
}

/// An element whose end tag is not written.
struct Open<'a> {
    element: &'a Element,
    rest: std::slice::Iter<'a, Node>,
    default_ns: &'a str,
}

impl Writer<'_> {
    /// Walks with a stack of its own: an element built by a script may be deep.
    fn tree(&mut self, root: &Element, default_ns: &str) -> Result<(), WriteError> {
        let mut open = Vec::new();
        open.extend(self.start(root, default_ns)?);
        while let Some(innermost) = open.last_mut() {
            match innermost.rest.next() {
                Some(Node::Text(text)) => escape(text, Place::Text, self.out)?,
                Some(Node::Element(child)) => {
                    let default_ns = innermost.default_ns;
                    open.extend(self.start(child, default_ns)?);
                }
                None => {
                    let element = innermost.element;
                    open.pop();
                    self.end(element);
                }
            }
        }
        Ok(())
    }

    /// Writes a start tag; `None` if that was the whole element.
    fn start<'e>(
        &mut self,
        element: &'e Element,
        default_ns: &'e str,
    ) -> Result<Option<Open<'e>>, WriteError> {
        if !name::is_ncname(element.name()) {
            return Err(WriteError::Name { name: element.name().to_owned() });
        }
        let prefix = self.prefix(element.ns());
        self.out.push(b'<');
        self.out.extend_from_slice(prefix.as_bytes());
        self.out.extend_from_slice(element.name().as_bytes());
        let default_ns = match prefix {
            "" => {
                self.default_declaration(element.ns(), default_ns)?;
                element.ns()
            }
            _ => default_ns,
        };
        self.attributes(element.attributes())?;
        if element.nodes().is_empty() {
            self.out.extend_from_slice(b"/>");
            return Ok(None);
        }
        self.out.push(b'>');
        Ok(Some(Open { element, rest: element.nodes().iter(), default_ns }))
    }

    fn end(&mut self, element: &Element) {
        let prefix = self.prefix(element.ns());
        self.out.extend_from_slice(b"</");
        self.out.extend_from_slice(prefix.as_bytes());
        self.out.extend_from_slice(element.name().as_bytes());
        self.out.push(b'>');
    }

    /// The prefix, with its colon, of namespaces that are not written as the default.
    fn prefix(&self, namespace: &str) -> &'static str {
        match namespace {
            ns::STREAM if self.stream_prefix => "stream:",
            ns::XML => "xml:",
            _ => "",
        }
    }

    fn default_declaration(&mut self, namespace: &str, default_ns: &str) -> Result<(), WriteError> {
        if namespace == ns::XMLNS {
            return Err(WriteError::Namespace { ns: namespace.to_owned() });
        }
        if namespace != default_ns {
            self.out.extend_from_slice(b" xmlns='");
            escape(namespace, Place::Value, self.out)?;
            self.out.push(b'\'');
        }
        Ok(())
    }

    fn attributes(&mut self, attributes: &[Attribute]) -> Result<(), WriteError> {
        for (index, attribute) in attributes.iter().enumerate() {
            let name = &*attribute.name;
            // `xmlns` is a declaration, and those are written only by the writer itself.
            if !name::is_ncname(name) || (attribute.ns.is_none() && name == "xmlns") {
                return Err(WriteError::Name { name: name.to_owned() });
            }
            match attribute.ns.as_deref() {
                None => self.out.push(b' '),
                Some(namespace) => self.attribute_prefix(namespace, &attributes[..index])?,
            }
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"='");
            escape(&attribute.value, Place::Value, self.out)?;
            self.out.push(b'\'');
        }
        Ok(())
    }

    /// Writes the blank and the prefix of an attribute, and declares the prefix
    /// unless one of the attributes `before` did. Prefixes count from `ns0` in each element.
    fn attribute_prefix(&mut self, namespace: &str, before: &[Attribute]) -> Result<(), WriteError> {
        if namespace.is_empty() || namespace == ns::XMLNS {
            return Err(WriteError::Namespace { ns: namespace.to_owned() });
        }
        let known = self.prefix(namespace);
        if !known.is_empty() {
            self.out.push(b' ');
            self.out.extend_from_slice(known.as_bytes());
            return Ok(());
        }
        let first = before.iter().position(|a| a.ns.as_deref() == Some(namespace));
        let number = first.unwrap_or(before.len());
        if first.is_none() {
            self.out.extend_from_slice(format!(" xmlns:ns{number}='").as_bytes());
            escape(namespace, Place::Value, self.out)?;
            self.out.push(b'\'');
        }
        self.out.extend_from_slice(format!(" ns{number}:").as_bytes());
        Ok(())
    }
}

/// Runs `append` and takes back what it wrote if it fails.
fn restoring(
    out: &mut Vec<u8>,
    append: impl FnOnce(&mut Vec<u8>) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let length = out.len();
    let result = append(out);
    if result.is_err() {
        out.truncate(length);
    }
    result
}

/// Where a text is written.
#[derive(Clone, Copy)]
enum Place {
    Text,
    Value,
}

/// Appends a text, escaped so that a parser reads back the same characters.
fn escape(text: &str, place: Place, out: &mut Vec<u8>) -> Result<(), WriteError> {
    let bytes = text.as_bytes();
    let special = match place {
        Place::Text => IN_TEXT,
        Place::Value => IN_VALUE,
    };
    let mut done = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if CLASS[usize::from(byte)] & special == 0 {
            continue;
        }
        let reference = match byte {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'\'' => "&apos;",
            // A parser would make these a line feed or a blank (XML 1.0 §2.11 and §3.3.3).
            b'\t' => "&#9;",
            b'\n' => "&#10;",
            b'\r' => "&#13;",
            // The first byte of U+FFFE and U+FFFF, and of much that is allowed.
            0xEF if !name::is_noncharacter(&bytes[at..]) => continue,
            _ => {
                let code = text[at..].chars().next().map_or(0, u32::from);
                return Err(WriteError::Character { code });
            }
        };
        out.extend_from_slice(&bytes[done..at]);
        out.extend_from_slice(reference.as_bytes());
        done = at + 1;
    }
    out.extend_from_slice(&bytes[done..]);
    Ok(())
}

const IN_TEXT: u8 = 1;
const IN_VALUE: u8 = 2;

/// Where each byte needs a second look.
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut b = 0;
    while b < 256 {
        class[b] = match b as u8 {
            b'&' | b'<' | b'>' | b'\r' | 0xEF => IN_TEXT | IN_VALUE,
            b'\'' | b'\t' | b'\n' => IN_VALUE,
            0..=0x1F => IN_TEXT | IN_VALUE,
            _ => 0,
        };
        b += 1;
    }
    class
};
