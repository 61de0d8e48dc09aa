//! Turns one frame into an [`Element`], or says what is wrong with it.
//!
//! quick-xml finds the tokens. It is lenient by design, so every rule of XML 1.0,
//! Namespaces in XML 1.0 and RFC 6120 §11 that it leaves to its caller is checked here.

use quick_xml::errors::{Error, IllFormedError};
use quick_xml::events::Event;

use super::Limits;
use super::atom;
use super::element::{Atom, Attribute, Element};
use super::error::{Construct, Limit, XmlError};
use super::name;
use super::scope::{self, Inherited, Scope};
use super::tag::{self, RawAttribute};

/// Reads the frames of one stream: the namespaces its header declared hold in each of them.
#[derive(Clone, Debug)]
pub struct Reader {
    inherited: Vec<Inherited>,
    limits: Limits,
}

/// The header of a stream, RFC 6120 §4.7.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamHeader {
    /// The stream element with its attributes; it has no content.
    pub element: Element,
    /// The default namespace it declares, which is the content namespace (RFC 6120 §4.8.2);
    /// empty where it declares none.
    pub default_ns: Atom,
    /// The prefix the stream element itself was written with, empty where it has none.
    pub prefix: String,
}

/// Reads one complete element that stands for itself; blanks around it are ignored.
pub fn parse(text: &str) -> Result<Element, XmlError> {
    let start = text.len() - text.trim_start_matches(BLANKS).len();
    Reader::standalone().element(text.trim_matches(BLANKS)).map_err(|error| error.moved(start as u64))
}

impl Reader {
    /// A reader that inherits no namespaces.
    pub fn standalone() -> Self {
        Self { inherited: Vec::new(), limits: Limits::DEFAULT }
    }

    /// A reader of elements that stand where `default_ns` is the default namespace.
    pub fn within(default_ns: impl Into<Atom>) -> Self {
        Self { inherited: vec![(Box::from(""), default_ns.into())], limits: Limits::DEFAULT }
    }

    /// The same reader with other bounds on depth and attributes. Bytes are the framer's matter.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same reader where elements without a prefix are of `default_ns`, whatever the header says: for a stream
    /// whose content namespace is another name for that one.
    #[must_use]
    pub fn with_default_ns(mut self, default_ns: impl Into<Atom>) -> Self {
        self.inherited.retain(|(prefix, _)| !prefix.is_empty());
        self.inherited.push((Box::from(""), default_ns.into()));
        self
    }

    /// Reads the start tag of a stream element, as the framer gives it.
    pub fn header(frame: &str) -> Result<(Self, StreamHeader), XmlError> {
        check_characters(frame)?;
        let inside = frame
            .strip_prefix('<')
            .and_then(|text| text.strip_suffix('>'))
            .ok_or(XmlError::Syntax { at: 0, expected: "a start tag" })?;
        let inside = inside.strip_suffix('/').unwrap_or(inside);
        let mut builder = Builder::new(&[], Limits::DEFAULT);
        builder.open(inside, 1)?;
        let Builder { mut open, scope, .. } = builder;
        let element = open.pop().expect("`open` pushes one element");
        let (prefix, _) = tag::name_of(inside).0.split_once(':').unwrap_or_default();
        let default_ns = scope.resolve("").cloned().unwrap_or_default();
        let reader = Self { inherited: scope.into_inherited(), limits: Limits::DEFAULT };
        Ok((reader, StreamHeader { element, default_ns, prefix: prefix.to_owned() }))
    }

    /// Reads one frame that is a whole element, without anything around it.
    pub fn element(&self, frame: &str) -> Result<Element, XmlError> {
        check_characters(frame)?;
        if !frame.starts_with('<') {
            return Err(XmlError::Syntax { at: 0, expected: "an element" });
        }
        let mut tokens = quick_xml::Reader::from_str(frame);
        let mut builder = Builder::new(&self.inherited, self.limits);
        loop {
            let begin = place(&tokens);
            let event = tokens.read_event().map_err(|error| refusal(&error, begin))?;
            let end = place(&tokens);
            if builder.open.is_empty() && is_content(&event) {
                return Err(XmlError::Syntax { at: tag::position(begin, 0), expected: "an element" });
            }
            let complete = match event {
                Event::Start(_) => builder.open(&frame[begin + 1..end - 1], begin + 1).map(|()| None)?,
                Event::Empty(_) => {
                    builder.open(&frame[begin + 1..end - 2], begin + 1)?;
                    builder.close()
                }
                Event::End(_) => builder.close(),
                Event::Text(text) => builder.text(&text, begin).map(|()| None)?,
                Event::CData(text) => builder.cdata(&text),
                Event::GeneralRef(body) => builder.reference(&body, begin).map(|()| None)?,
                Event::Comment(_) => return Err(restricted(begin, Construct::Comment)),
                Event::DocType(_) => return Err(restricted(begin, Construct::DocumentType)),
                Event::Decl(_) | Event::PI(_) => {
                    return Err(restricted(begin, Construct::ProcessingInstruction));
                }
                Event::Eof => return Err(XmlError::EndTag { at: tag::position(begin, 0) }),
            };
            match complete {
                Some(element) if end == frame.len() => return Ok(element),
                Some(_) => {
                    return Err(XmlError::Syntax {
                        at: tag::position(end, 0),
                        expected: "nothing after the element",
                    });
                }
                None => {}
            }
        }
    }
}

/// The tree as far as it was read.
struct Builder<'a> {
    limits: Limits,
    scope: Scope<'a>,
    open: Vec<Element>,
    /// Character data since the last tag.
    text: String,
    /// Attributes of the tag in hand; kept for its memory.
    attributes: Vec<RawAttribute<'a>>,
}

impl<'a> Builder<'a> {
    fn new(inherited: &'a [Inherited], limits: Limits) -> Self {
        Self {
            limits,
            scope: Scope::new(inherited),
            open: Vec::with_capacity(4),
            text: String::new(),
            attributes: Vec::with_capacity(8),
        }
    }

    /// A start tag; `inside` stands at byte `at`, between `<` and `>` or `/>`.
    fn open(&mut self, inside: &'a str, at: usize) -> Result<(), XmlError> {
        self.flush();
        let depth = self.open.len() + 1;
        if depth > self.limits.depth {
            return Err(XmlError::Limit { at: tag::position(at, 0), limit: Limit::Depth });
        }
        if inside.len() > self.limits.tag {
            return Err(XmlError::Limit { at: tag::position(at, self.limits.tag), limit: Limit::TagBytes });
        }
        let (full_name, end) = tag::name_of(inside);
        let (prefix, local) = name::split(full_name).ok_or(XmlError::Name { at: tag::position(at, 0) })?;
        self.attributes.clear();
        if end < inside.len() {
            tag::read(&inside[end..], at + end, self.limits.attributes, &mut self.attributes)?;
            self.scope.declare(&self.attributes, depth)?;
        }
        let ns = self.namespace(prefix, at)?;
        let attributes = self.resolve_attributes()?;
        self.open.push(Element::with_attributes(atom::name(local), ns, attributes));
        Ok(())
    }

    /// An end tag; the element it ended if that was the outermost one.
    fn close(&mut self) -> Option<Element> {
        self.flush();
        self.scope.leave(self.open.len());
        let element = self.open.pop()?;
        match self.open.last_mut() {
            Some(parent) => {
                parent.push(element);
                None
            }
            None => Some(element),
        }
    }

    fn text(&mut self, raw: &str, at: usize) -> Result<(), XmlError> {
        if let Some(end) = memchr::memmem::find(raw.as_bytes(), b"]]>") {
            return Err(XmlError::Syntax {
                at: tag::position(at, end),
                expected: "no `]]>` in character data",
            });
        }
        tag::push_text(raw, &mut self.text);
        Ok(())
    }

    fn cdata(&mut self, raw: &str) -> Option<Element> {
        tag::push_text(raw, &mut self.text);
        None
    }

    fn reference(&mut self, body: &str, at: usize) -> Result<(), XmlError> {
        self.text.push(tag::reference(body, at)?);
        Ok(())
    }

    fn flush(&mut self) {
        if let (false, Some(parent)) = (self.text.is_empty(), self.open.last_mut()) {
            parent.push_text(std::mem::take(&mut self.text));
        }
    }

    fn namespace(&self, prefix: &str, at: usize) -> Result<Atom, XmlError> {
        match self.scope.resolve(prefix) {
            Some(ns) => Ok(ns.clone()),
            None => Err(XmlError::Prefix { at: tag::position(at, 0), prefix: prefix.to_owned() }),
        }
    }

    /// The attributes that are not declarations, in the order they were written.
    fn resolve_attributes(&self) -> Result<Vec<Attribute>, XmlError> {
        let raw = self.attributes.as_slice();
        let mut resolved: Vec<Attribute> = Vec::new();
        for (index, attribute) in raw.iter().enumerate() {
            let at = tag::position(attribute.at, 0);
            let same =
                |other: &RawAttribute<'_>| other.local == attribute.local && other.prefix == attribute.prefix;
            if raw[..index].iter().any(same) {
                return Err(XmlError::AttributeTwice { at, name: attribute.local.to_owned() });
            }
            if scope::declared_prefix(attribute).is_some() {
                continue;
            }
            // An attribute without a prefix is in no namespace (Namespaces in XML §6.2).
            let ns = match attribute.prefix {
                "" => None,
                prefix => Some(self.namespace(prefix, attribute.at)?),
            };
            // Two prefixes may stand for one namespace (Namespaces in XML §6.3).
            if ns.is_some() && resolved.iter().any(|a| a.ns == ns && a.name == attribute.local) {
                return Err(XmlError::AttributeTwice { at, name: attribute.local.to_owned() });
            }
            if resolved.is_empty() {
                resolved.reserve_exact(raw.len() - index);
            }
            let value = tag::attribute_value(attribute.value, attribute.value_at)?;
            resolved.push(Attribute { ns, name: atom::name(attribute.local), value });
        }
        Ok(resolved)
    }
}

fn check_characters(frame: &str) -> Result<(), XmlError> {
    match name::forbidden_character(frame) {
        Some((at, code)) => Err(XmlError::Character { at: tag::position(0, at), code }),
        None => Ok(()),
    }
}

/// Where the tokenizer stands; a frame is far shorter than `usize` can count.
fn place(tokens: &quick_xml::Reader<&[u8]>) -> usize {
    usize::try_from(tokens.buffer_position()).unwrap_or(usize::MAX)
}

/// Whether the event may only stand inside an element.
fn is_content(event: &Event<'_>) -> bool {
    matches!(event, Event::Text(_) | Event::CData(_) | Event::GeneralRef(_))
}

fn restricted(at: usize, construct: Construct) -> XmlError {
    XmlError::Restricted { at: tag::position(at, 0), construct }
}

/// What the tokenizer itself refuses.
fn refusal(error: &Error, begin: usize) -> XmlError {
    let at = tag::position(begin, 0);
    match error {
        Error::IllFormed(
            IllFormedError::MissingEndTag(_)
            | IllFormedError::UnmatchedEndTag(_)
            | IllFormedError::MismatchedEndTag { .. },
        ) => XmlError::EndTag { at },
        Error::IllFormed(IllFormedError::UnclosedReference) => XmlError::Reference { at },
        // The remaining kinds tell of one thing: markup that does not end as it began.
        _ => XmlError::Syntax { at, expected: "well-formed markup" },
    }
}

/// The blanks of XML 1.0 §2.3.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];
