//! XML as RFC 6120 §11 allows it on a stream.
//!
//! Bytes pass three stages. The [`framer`] cuts the stream into frames and settles
//! sizes, nesting and forbidden markup while they grow. The [`reader`] turns a
//! whole frame into an [`Element`] with its namespaces resolved, or refuses it.
//! The [`writer`] turns an element back into bytes and cannot write what the
//! reader would refuse.

pub mod element;
pub mod error;
pub mod framer;
pub mod reader;
pub mod writer;

mod atom;
mod declaration;
mod name;
mod scope;
mod tag;
#[cfg(test)]
mod tests;

pub use element::{Atom, Attribute, Element, Node};
pub use error::XmlError;
pub use framer::{Frame, Framer};
pub use reader::{Reader, StreamHeader, parse};
pub use writer::WriteError;

/// How much of one frame is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one frame.
    pub bytes: usize,
    /// Elements within elements; a stanza alone has depth 1.
    pub depth: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Bytes of one tag; no known one has a tenth of what is allowed.
    pub tag: usize,
}

impl Limits {
    /// For a peer that has not logged in, the value servers use as well.
    pub const BEFORE_LOGIN: Self = Self { bytes: 10_000, depth: 32, attributes: 64, tag: 65_536 };

    /// For a peer that has. Servers take 256 KiB from a client. They may escape each byte of it
    /// anew (`"` becomes `&quot;`), and add their own stamps (`from`, delay, stanza ids).
    pub const DEFAULT: Self = Self { bytes: 6 * 262_144 + 16_384, depth: 64, attributes: 128, tag: 65_536 };

    /// Only the bound on bytes, so that a frame beyond another one is known to its end.
    #[must_use]
    pub fn of_bytes(self) -> Self {
        Self { bytes: self.bytes, depth: usize::MAX, attributes: usize::MAX, tag: usize::MAX }
    }
}
