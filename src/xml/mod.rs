//! XML as RFC 6120 §11 allows it on a stream.

pub mod element;

pub use element::{Atom, Attribute, Element, Node};
