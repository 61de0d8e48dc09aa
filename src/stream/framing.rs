//! How a stream stands on its transport: one long document over TCP (RFC 6120 §4.2), or one element a message over
//! WebSocket (RFC 7395 §3.3), where `<open/>` and `<close/>` take the place of the stream element's tags.
//!
//! Everything that is written goes through here. What is read differs in the framer and in [`piece`] only.

use crate::ns;
use crate::stream::Piece;
use crate::stream::core::Core;
use crate::stream::fault::{HeaderProblem, What};
use crate::stream::phase::Phase;
use crate::stream::stand_in;
use crate::xml::{Element, Framer, Limits, Reader, StreamHeader, WriteError, XmlError, writer};

/// How a stream stands on its transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// One document in each direction.
    #[default]
    Document,
    /// Each element is a message of its own: every [`Output::Transmit`] is one.
    ///
    /// [`Output::Transmit`]: crate::stream::Output::Transmit
    Messages,
}

impl Framing {
    /// A framer for what comes in.
    pub(super) fn framer(self, limits: Limits) -> Framer {
        match self {
            Self::Document => Framer::new(limits),
            Self::Messages => Framer::messages(limits),
        }
    }
}

impl Core {
    /// Writes our stream header, in one piece with what follows where there is one.
    pub fn say_header(&mut self, header: &Element) {
        match self.framing {
            Framing::Document => self.say_header_of(header, ns::CLIENT),
            Framing::Messages => {
                self.say(&open(header));
                self.header_sent = true;
            }
        }
    }

    /// Writes an element that is not counted.
    pub fn say(&mut self, element: &Element) {
        if let Err(error) = self.write(element) {
            self.fault(What::Unwritable { error });
        }
    }

    /// Ends our direction of the stream.
    pub fn say_end(&mut self) {
        match self.framing {
            Framing::Document => self.outputs.bytes().extend_from_slice(writer::CLOSE),
            // A constant element: nothing in it can be refused.
            Framing::Messages => drop(self.write(&Element::new("close", ns::FRAMING))),
        }
    }

    /// Appends an element as the transport wants it.
    pub fn write(&mut self, element: &Element) -> Result<(), WriteError> {
        match self.framing {
            Framing::Document => writer::write(element, ns::CLIENT, self.outputs.bytes()),
            Framing::Messages => {
                writer::write_alone(element, self.outputs.bytes())?;
                self.outputs.cut();
                Ok(())
            }
        }
    }

    /// Appends a stanza and says how many bytes it takes there; the text is what is kept of it, the same for every
    /// transport: the next one may be another.
    pub fn write_stanza(&mut self, stanza: &Element) -> Result<(usize, Kept), WriteError> {
        let bytes = self.outputs.bytes();
        let start = bytes.len();
        match self.framing {
            Framing::Document => {
                writer::write(stanza, ns::CLIENT, bytes)?;
                Ok((bytes.len() - start, Kept::At(start)))
            }
            Framing::Messages => {
                let mut kept = Vec::new();
                writer::write(stanza, ns::CLIENT, &mut kept)?;
                writer::write_alone(stanza, bytes)?;
                Ok((bytes.len() - start, Kept::Apart(start, kept)))
            }
        }
    }

    /// Takes back what [`Core::write_stanza`] has appended.
    pub fn unwrite(&mut self, kept: &Kept) {
        let (Kept::At(start) | Kept::Apart(start, _)) = kept;
        self.outputs.bytes().truncate(*start);
    }

    /// The stanza that [`Core::write_stanza`] has appended is complete.
    pub fn written(&mut self) {
        if self.framing == Framing::Messages {
            self.outputs.cut();
        }
    }

    /// What is wrong with a piece at this place. A document cannot get its tags out of order.
    pub fn disorder(&self, piece: &Piece) -> Option<HeaderProblem> {
        let awaited = self.phase == Phase::AwaitHeader;
        match piece {
            _ if self.framing == Framing::Document => None,
            Piece::Header(_) if !awaited => Some(HeaderProblem::Second),
            Piece::Element(_) if awaited => Some(HeaderProblem::Root),
            Piece::Close | Piece::Element(_) | Piece::Header(_) => None,
        }
    }
}

/// Where the text of a stanza is that has to be kept.
pub(super) enum Kept {
    /// What stands in the output from here on.
    At(usize),
    /// What stands there from here on is written otherwise.
    Apart(usize, Vec<u8>),
}

impl Kept {
    /// The text.
    pub fn text<'a>(&'a self, output: &'a [u8]) -> &'a str {
        let bytes = match self {
            Self::At(start) => &output[*start..],
            Self::Apart(_, kept) => kept,
        };
        std::str::from_utf8(bytes).expect("the writer writes UTF-8")
    }
}

/// The element `text` as the piece that it is; `None` where there can be none yet. `stands_in`: what is beyond the
/// limits is replaced, and does not end the stream.
pub(super) fn piece(
    text: &str,
    known: Option<&Reader>,
    framing: Framing,
    limits: Limits,
    stands_in: bool,
) -> Option<Result<Piece, XmlError>> {
    let standalone;
    let reader = match (known, framing) {
        (Some(reader), _) => reader,
        (None, Framing::Messages) => {
            standalone = reader_of(limits);
            &standalone
        }
        // The framer gives elements of a document only behind its header.
        (None, Framing::Document) => return None,
    };
    let element = match reader.element(text) {
        Err(error) if stands_in => stand_in::instead(text, error),
        element => element,
    };
    Some(element.map(|element| match framing {
        Framing::Document => Piece::Element(element),
        Framing::Messages => arrived(element, limits),
    }))
}

/// Each element declares its own namespaces.
fn reader_of(limits: Limits) -> Reader {
    Reader::standalone().with_limits(limits)
}

/// What an element is on a stream that consists of messages.
fn arrived(element: Element, limits: Limits) -> Piece {
    if element.is("close", ns::FRAMING) {
        return Piece::Close;
    }
    if element.is("open", ns::FRAMING) {
        return Piece::Header((reader_of(limits), header(&element)));
    }
    Piece::Element(element)
}

/// `<open/>`, RFC 7395 §3.4: our header under another name.
fn open(header: &Element) -> Element {
    Element::new("open", ns::FRAMING)
        .with_attr_opt("from", header.attr("from"))
        .with_attr_opt("to", header.attr("to"))
        .with_attr_opt("version", header.attr("version"))
        .with_lang(header.lang())
}

/// The other way round. The content namespace of such streams is fixed.
fn header(open: &Element) -> StreamHeader {
    let element = Element::new("stream", ns::STREAM)
        .with_attr_opt("id", open.attr("id"))
        .with_attr_opt("from", open.attr("from"))
        .with_attr_opt("to", open.attr("to"))
        .with_attr_opt("version", open.attr("version"))
        .with_lang(open.lang());
    StreamHeader { element, default_ns: ns::CLIENT.into(), prefix: String::new() }
}
