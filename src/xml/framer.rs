//! Cuts the bytes of a stream into frames, whatever chunks they arrive in.
//!
//! Every byte is looked at once. What is kept between two chunks is the incomplete
//! frame, a position and a state; an idle stream keeps no buffer at all. Sizes,
//! nesting and markup that RFC 6120 §11 forbids are settled here, before anything
//! is parsed, so that a peer cannot make us hold or walk more than [`Limits`] allows.
//! Whether a frame is well-formed is the reader's question.

use super::error::{Construct, Limit, XmlError};
use super::{Limits, declaration, name, tag};

/// The inbound half of one stream; a restarted stream takes a new framer.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that have been given out.
    taken: usize,
    /// Bytes of `buffer` that have been looked at.
    scanned: usize,
    /// Where the current tag, section or declaration begins in `buffer`.
    tag: usize,
    /// Attributes seen in the current start tag.
    attributes: usize,
    /// Open elements below the stream element.
    depth: usize,
    state: State,
    phase: Phase,
    /// Bytes of the stream before `buffer`.
    passed: u64,
    failure: Option<XmlError>,
}

/// One piece of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The start tag of the stream element; the XML declaration before it is already judged.
    StreamOpen(&'a str),
    /// A child of the stream element, from its `<` to its last `>`.
    Element(&'a str),
    /// The end tag of the stream element.
    StreamClose,
    /// Blanks between elements, as a keepalive sends them (RFC 6120 §4.6.1).
    Whitespace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between two frames.
    Between,
    /// After `<`.
    Markup,
    StartTag,
    /// Inside an attribute value that ends with this quote.
    Value(u8),
    EndTag,
    /// After `<!` and so many bytes of `[CDATA[`.
    Section(u8),
    Cdata,
    /// Inside `<? ?>`.
    Declaration,
    /// In the character data of an element.
    Text,
}

#[derive(Debug)]
enum Phase {
    /// Nothing has arrived; an XML declaration may.
    AwaitDeclaration,
    AwaitHeader,
    /// The same after a restart: white space that ends the stream before may still come (RFC 6120 §4.6.1).
    AwaitRestart,
    /// Elements one after the other, with nothing around them (RFC 7395 §3.3).
    Messages,
    /// Inside the stream element of this name.
    Open(Box<str>),
    /// The header was an empty-element tag: its end is still to be told.
    OpenedEmpty,
    Closed,
}

/// What one step of the machine came to.
enum Step {
    Again,
    Starved,
    Complete(Piece),
}

#[derive(Clone, Copy)]
enum Piece {
    StreamOpen,
    Element,
    StreamClose,
    Whitespace,
}

impl Framer {
    /// A stream that has not begun: an optional XML declaration, then the header.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            taken: 0,
            scanned: 0,
            tag: 0,
            attributes: 0,
            depth: 0,
            state: State::Between,
            phase: Phase::AwaitDeclaration,
            passed: 0,
            failure: None,
        }
    }

    /// A stream without a stream element, each of whose elements is a message.
    pub fn messages(limits: Limits) -> Self {
        Self { phase: Phase::Messages, ..Self::new(limits) }
    }

    /// The stream restarts on the same channel (RFC 6120 §4.3.3): what was not given out belongs to
    /// the new stream. After TLS take a new framer instead.
    #[must_use]
    pub fn restart(&self, limits: Limits) -> Self {
        let phase = match self.phase {
            Phase::Messages => Phase::Messages,
            Phase::AwaitDeclaration
            | Phase::AwaitHeader
            | Phase::AwaitRestart
            | Phase::Open(_)
            | Phase::OpenedEmpty
            | Phase::Closed => Phase::AwaitRestart,
        };
        let mut next = Self { phase, ..Self::new(limits) };
        next.push(&self.buffer[self.taken..]);
        next
    }

    /// Changes what is accepted from the next step on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Adds what arrived. Take frames until there are none, then push again:
    /// the limit on bytes is enforced while frames are taken.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failure.is_some() {
            self.buffer = Vec::new();
            self.taken = 0;
            return;
        }
        self.release();
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.rebase();
        }
        if self.buffer.capacity() > SPARE && self.buffer.capacity() / 4 > self.buffer.len() + bytes.len() {
            self.buffer.shrink_to(self.buffer.len() + bytes.len());
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, or `None` until more bytes arrive. After an error there is only
    /// that error: what follows a breach has no known meaning.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, XmlError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.release();
        let piece = match self.advance() {
            Ok(Some(piece)) => piece,
            Ok(None) => {
                self.release();
                return Ok(None);
            }
            Err(error) => return Err(self.fail(error)),
        };
        let begin = std::mem::replace(&mut self.taken, self.scanned);
        let text = match std::str::from_utf8(&self.buffer[begin..self.taken]) {
            Ok(text) => text,
            Err(error) => {
                let at = self.offset(begin + error.valid_up_to());
                self.failure = Some(XmlError::Encoding { at });
                return Err(XmlError::Encoding { at });
            }
        };
        Ok(Some(match piece {
            Piece::StreamOpen => Frame::StreamOpen(text),
            Piece::Element => Frame::Element(text),
            Piece::StreamClose => Frame::StreamClose,
            Piece::Whitespace => Frame::Whitespace,
        }))
    }

    /// Bytes that arrived and were not given out as a frame.
    pub fn buffered(&self) -> usize {
        self.behind().len()
    }

    /// What arrived behind the last frame that was given out.
    pub fn behind(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    /// Whether the end of the transport would now cut something in two.
    pub fn mid_element(&self) -> bool {
        self.state != State::Between
    }

    /// Frees the buffer once everything in it was given out.
    fn release(&mut self) {
        if self.taken == self.buffer.len() && self.taken > 0 {
            self.buffer = Vec::new();
            self.rebase();
        }
    }

    /// Counts positions from the first byte that was not given out.
    fn rebase(&mut self) {
        self.passed += self.taken as u64;
        self.scanned -= self.taken;
        self.tag = self.tag.saturating_sub(self.taken);
        self.taken = 0;
    }

    fn fail(&mut self, error: XmlError) -> XmlError {
        self.failure = Some(error.clone());
        self.buffer = Vec::new();
        (self.taken, self.scanned, self.tag) = (0, 0, 0);
        error
    }

    fn advance(&mut self) -> Result<Option<Piece>, XmlError> {
        if matches!(self.phase, Phase::OpenedEmpty) {
            self.phase = Phase::Closed;
            return Ok(Some(Piece::StreamClose));
        }
        loop {
            let step = match self.state {
                State::Between => self.between()?,
                State::Markup => self.markup()?,
                State::StartTag => self.start_tag()?,
                State::Value(quote) => self.value(quote)?,
                State::EndTag => self.end_tag()?,
                State::Section(matched) => self.section(matched)?,
                State::Cdata => self.cdata()?,
                State::Declaration => self.declaration()?,
                State::Text => self.text()?,
            };
            match step {
                Step::Again => {}
                Step::Starved => return Ok(None),
                Step::Complete(piece) => return Ok(Some(piece)),
            }
        }
    }

    fn between(&mut self) -> Result<Step, XmlError> {
        let rest = &self.buffer[self.taken..];
        let blanks = rest.iter().position(|&b| !name::is_blank(b)).unwrap_or(rest.len());
        if blanks > 0 {
            self.scanned = self.taken + blanks;
            if matches!(self.phase, Phase::AwaitDeclaration) {
                self.phase = Phase::AwaitHeader;
            }
            return Ok(Step::Complete(Piece::Whitespace));
        }
        match (rest.first(), &self.phase) {
            (None, _) => Ok(Step::Starved),
            (Some(_), Phase::Closed) => Err(self.expected(self.taken, "nothing after the end of the stream")),
            (Some(b'<'), _) => {
                self.tag = self.taken;
                self.scanned = self.taken + 1;
                self.state = State::Markup;
                Ok(Step::Again)
            }
            // The first byte of UTF-16 or UTF-32 in either order.
            (Some(0 | 0xFE | 0xFF), Phase::AwaitDeclaration | Phase::AwaitRestart) => {
                Err(XmlError::Encoding { at: self.offset(self.taken) })
            }
            (Some(_), _) => Err(self.expected(self.taken, "an element")),
        }
    }

    fn markup(&mut self) -> Result<Step, XmlError> {
        let Some(&byte) = self.window().first() else { return self.starve() };
        let first = matches!(self.phase, Phase::AwaitDeclaration | Phase::AwaitRestart);
        let in_stream = self.in_stream();
        self.state = match byte {
            b'/' if in_stream => State::EndTag,
            b'/' => return Err(self.expected(self.tag, "the stream header")),
            b'?' if first => State::Declaration,
            b'?' => return Err(self.restricted(Construct::ProcessingInstruction)),
            b'!' => State::Section(0),
            0 if first => return Err(XmlError::Encoding { at: self.offset(self.scanned) }),
            _ if in_stream && self.depth >= self.limits.depth => return Err(self.limit(Limit::Depth)),
            _ => {
                self.attributes = 0;
                self.state = State::StartTag;
                return Ok(Step::Again);
            }
        };
        self.scanned += 1;
        Ok(Step::Again)
    }

    /// Walks over attribute values without leaving, as long as they end in the window.
    fn start_tag(&mut self) -> Result<Step, XmlError> {
        let window = self.window();
        let mut attributes = self.attributes;
        let mut at = 0;
        while let Some(found) = memchr::memchr3(b'>', b'"', b'\'', &window[at..]) {
            let byte = window[at + found];
            at += found + 1;
            if byte == b'>' {
                self.scanned += at;
                return self.start_tag_end();
            }
            attributes += 1;
            if attributes > self.limits.attributes {
                let at = self.offset(self.scanned + at);
                return Err(XmlError::Limit { at, limit: Limit::Attributes });
            }
            match memchr::memchr2(byte, b'<', &window[at..]) {
                Some(found) if window[at + found] == byte => at += found + 1,
                Some(found) => return Err(self.less_than_in_value(self.scanned + at + found)),
                None => {
                    self.state = State::Value(byte);
                    break;
                }
            }
        }
        self.attributes = attributes;
        self.starve()
    }

    fn start_tag_end(&mut self) -> Result<Step, XmlError> {
        let inside = &self.buffer[self.tag + 1..self.scanned - 1];
        let empty = inside.last() == Some(&b'/');
        if !self.in_stream() {
            self.phase = if empty { Phase::OpenedEmpty } else { Phase::Open(self.header_name()?) };
            self.state = State::Between;
            return Ok(Step::Complete(Piece::StreamOpen));
        }
        if !empty {
            self.depth += 1;
        }
        Ok(self.after_element())
    }

    /// Whether a tag is one of an element, and not of the stream.
    fn in_stream(&self) -> bool {
        matches!(self.phase, Phase::Messages | Phase::Open(_))
    }

    /// The name of the header that was just scanned; only this very name ends the stream.
    fn header_name(&self) -> Result<Box<str>, XmlError> {
        let inside = &self.buffer[self.tag + 1..self.scanned - 1];
        let end = inside.iter().position(|&b| name::is_blank(b)).unwrap_or(inside.len());
        let invalid = XmlError::Encoding { at: self.offset(self.tag + 1) };
        std::str::from_utf8(&inside[..end]).map(Box::from).map_err(|_| invalid)
    }

    /// The rest of an attribute value that began in an earlier chunk.
    fn value(&mut self, quote: u8) -> Result<Step, XmlError> {
        let window = self.window();
        let Some(found) = memchr::memchr2(quote, b'<', window) else { return self.starve() };
        if window[found] == b'<' {
            return Err(self.less_than_in_value(self.scanned + found));
        }
        self.scanned += found + 1;
        self.state = State::StartTag;
        Ok(Step::Again)
    }

    fn less_than_in_value(&self, index: usize) -> XmlError {
        self.expected(index, "no `<` in an attribute value")
    }

    fn end_tag(&mut self) -> Result<Step, XmlError> {
        let Some(found) = memchr::memchr(b'>', self.window()) else { return self.starve() };
        self.scanned += found + 1;
        if self.depth > 0 {
            self.depth -= 1;
            return Ok(self.after_element());
        }
        let inside = &self.buffer[self.tag + 2..self.scanned - 1];
        let end = inside.iter().rposition(|&b| !name::is_blank(b)).map_or(0, |last| last + 1);
        if !matches!(&self.phase, Phase::Open(header) if header.as_bytes() == &inside[..end]) {
            return Err(XmlError::EndTag { at: self.offset(self.tag) });
        }
        self.phase = Phase::Closed;
        self.state = State::Between;
        Ok(Step::Complete(Piece::StreamClose))
    }

    fn section(&mut self, matched: u8) -> Result<Step, XmlError> {
        let Some(&byte) = self.window().first() else { return self.starve() };
        if matched == 0 && byte == b'-' {
            return Err(self.restricted(Construct::Comment));
        }
        if matched == 0 && byte.is_ascii_alphabetic() {
            return Err(self.restricted(Construct::DocumentType));
        }
        if self.depth == 0 {
            return Err(self.expected(self.tag, "an element"));
        }
        if byte != CDATA[usize::from(matched)] {
            return Err(self.expected(self.scanned, "`<![CDATA[`"));
        }
        self.scanned += 1;
        let matched = matched + 1;
        self.state = if usize::from(matched) == CDATA.len() { State::Cdata } else { State::Section(matched) };
        Ok(Step::Again)
    }

    fn cdata(&mut self) -> Result<Step, XmlError> {
        let Some(found) = memchr::memchr(b'>', self.window()) else { return self.starve() };
        self.scanned += found + 1;
        if self.buffer[..self.scanned].ends_with(b"]]>") {
            self.state = State::Text;
        }
        Ok(Step::Again)
    }

    fn declaration(&mut self) -> Result<Step, XmlError> {
        let Some(found) = memchr::memchr(b'>', self.window()) else { return self.starve() };
        self.scanned += found + 1;
        let at = self.offset(self.taken);
        let text = std::str::from_utf8(&self.buffer[self.taken..self.scanned])
            .map_err(|error| XmlError::Encoding { at: at + error.valid_up_to() as u64 })?;
        declaration::check(text).map_err(|error| error.moved(at))?;
        self.taken = self.scanned;
        self.phase = Phase::AwaitHeader;
        self.state = State::Between;
        Ok(Step::Again)
    }

    fn text(&mut self) -> Result<Step, XmlError> {
        let Some(found) = memchr::memchr(b'<', self.window()) else { return self.starve() };
        self.tag = self.scanned + found;
        self.scanned = self.tag + 1;
        self.state = State::Markup;
        Ok(Step::Again)
    }

    /// A tag ended: the frame too, unless an element is still open.
    fn after_element(&mut self) -> Step {
        if self.depth > 0 {
            self.state = State::Text;
            return Step::Again;
        }
        self.state = State::Between;
        Step::Complete(Piece::Element)
    }

    /// The bytes not yet looked at, as far as the limits let a frame and a tag reach.
    fn window(&self) -> &[u8] {
        let len = self.buffer.len();
        if len - self.taken <= self.limits.bytes.min(self.limits.tag) {
            return &self.buffer[self.scanned..];
        }
        &self.buffer[self.scanned..self.reach().0.clamp(self.scanned, len)]
    }

    fn reach(&self) -> (usize, Limit) {
        let frame = self.taken.saturating_add(self.limits.bytes);
        let tag = self.tag.saturating_add(self.limits.tag);
        let in_tag = match self.state {
            State::Markup | State::StartTag | State::Value(_) | State::EndTag | State::Declaration => true,
            State::Between | State::Section(_) | State::Cdata | State::Text => false,
        };
        if in_tag && tag < frame { (tag, Limit::TagBytes) } else { (frame, Limit::Bytes) }
    }

    /// The window holds nothing that matters: wait for more, unless no more is allowed.
    fn starve(&mut self) -> Result<Step, XmlError> {
        let (reach, limit) = self.reach();
        if self.buffer.len() >= reach {
            return Err(XmlError::Limit { at: self.offset(reach), limit });
        }
        self.scanned = self.buffer.len();
        Ok(Step::Starved)
    }

    fn offset(&self, index: usize) -> u64 {
        self.passed + tag::position(0, index)
    }

    fn expected(&self, index: usize, expected: &'static str) -> XmlError {
        XmlError::Syntax { at: self.offset(index), expected }
    }

    fn restricted(&self, construct: Construct) -> XmlError {
        XmlError::Restricted { at: self.offset(self.tag), construct }
    }

    fn limit(&self, limit: Limit) -> XmlError {
        XmlError::Limit { at: self.offset(self.scanned), limit }
    }
}

/// What follows `<!` at the beginning of a CDATA section.
const CDATA: &[u8] = b"[CDATA[";

/// Capacity that is kept without asking whether it is still needed.
const SPARE: usize = 16_384;

#[cfg(test)]
impl Framer {
    /// Memory held for bytes, for the tests of the limits.
    pub(super) fn buffer_capacity(&self) -> usize {
        self.buffer.capacity()
    }
}
