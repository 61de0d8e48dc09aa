//! Which prefix stands for which namespace at one place of a document.

use super::atom;
use super::element::Atom;
use super::error::{Limit, XmlError};
use super::tag::{self, RawAttribute};
use crate::ns;

/// A declaration that outlives the frame it was read from.
pub(super) type Inherited = (Box<str>, Atom);

/// Declarations in scope: those of the stream header below those of the open elements.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    inherited: &'a [Inherited],
    declared: Vec<Binding<'a>>,
}

#[derive(Debug)]
struct Binding<'a> {
    /// Empty for the default namespace.
    prefix: &'a str,
    ns: Atom,
    depth: usize,
}

impl<'a> Scope<'a> {
    pub fn new(inherited: &'a [Inherited]) -> Self {
        Self { inherited, declared: Vec::new() }
    }

    /// The namespace of a prefix; the empty prefix asks for the default namespace.
    pub fn resolve(&self, prefix: &str) -> Option<&Atom> {
        if let Some(binding) = self.declared.iter().rev().find(|b| b.prefix == prefix) {
            return Some(&binding.ns);
        }
        if let Some((_, ns)) = self.inherited.iter().find(|(p, _)| **p == *prefix) {
            return Some(ns);
        }
        match prefix {
            "" => Some(&NONE),
            "xml" => Some(&XML),
            _ => None,
        }
    }

    /// Enters the declarations among the attributes of an element at `depth`.
    pub fn declare(&mut self, attributes: &[RawAttribute<'a>], depth: usize) -> Result<(), XmlError> {
        for attribute in attributes {
            let Some(prefix) = declared_prefix(attribute) else { continue };
            let at = tag::position(attribute.at, 0);
            let ns = atom::namespace(tag::attribute_value(attribute.value, attribute.value_at)?);
            if !may_declare(prefix, &ns) {
                return Err(XmlError::NamespaceDeclaration { at, prefix: prefix.to_owned() });
            }
            if self.declared.len() == MAX_BINDINGS {
                return Err(XmlError::Limit { at, limit: Limit::Bindings });
            }
            self.declared.push(Binding { prefix, ns, depth });
        }
        Ok(())
    }

    /// Forgets the declarations of elements at `depth` and deeper.
    pub fn leave(&mut self, depth: usize) {
        while self.declared.last().is_some_and(|b| b.depth >= depth) {
            self.declared.pop();
        }
    }

    /// What is declared here, to be carried into later frames.
    pub fn into_inherited(self) -> Vec<Inherited> {
        self.declared.into_iter().map(|b| (Box::from(b.prefix), b.ns)).collect()
    }
}

/// The prefix an attribute declares, if it is a namespace declaration.
pub(super) fn declared_prefix<'a>(attribute: &RawAttribute<'a>) -> Option<&'a str> {
    match (attribute.prefix, attribute.local) {
        ("", "xmlns") => Some(""),
        ("xmlns", prefix) => Some(prefix),
        _ => None,
    }
}

/// The constraints of Namespaces in XML 1.0 §3 (reserved prefixes) and §5 (no undeclaring).
fn may_declare(prefix: &str, ns: &str) -> bool {
    match prefix {
        "" => ns != ns::XML && ns != ns::XMLNS,
        "xml" => ns == ns::XML,
        "xmlns" => false,
        _ => !ns.is_empty() && ns != ns::XML && ns != ns::XMLNS,
    }
}

static NONE: Atom = Atom::Borrowed("");
static XML: Atom = Atom::Borrowed(ns::XML);

/// Declarations in one frame at a time: lookups walk them, so their number is bounded.
const MAX_BINDINGS: usize = 128;
