//! Why a piece of XML was refused, and which stream error tells the peer so.

use std::fmt;

/// A breach of XML 1.0, Namespaces in XML 1.0, RFC 6120 §11 or a limit of ours.
///
/// `at` counts bytes: from the first byte of the stream in an error of the framer,
/// from the first byte of the frame in an error of the reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum XmlError {
    /// One start tag holds two attributes of the same name, prefixes resolved.
    AttributeTwice { at: u64, name: String },
    /// A character that XML 1.0 §2.2 forbids, raw or as a reference.
    Character { at: u64, code: u32 },
    /// Bytes that are not UTF-8, or a declared encoding other than UTF-8.
    Encoding { at: u64 },
    /// An end tag that does not match its start tag, or is missing.
    EndTag { at: u64 },
    /// A limit was passed; the peer may try again with less.
    Limit { at: u64, limit: Limit },
    /// An element or attribute name outside the grammar of Namespaces in XML §4.
    Name { at: u64 },
    /// A namespace declaration that Namespaces in XML §3 forbids.
    NamespaceDeclaration { at: u64, prefix: String },
    /// A prefix without a declaration in scope.
    Prefix { at: u64, prefix: String },
    /// A reference that is cut off, empty or misspelt.
    Reference { at: u64 },
    /// A feature of XML that has no place on a stream, RFC 6120 §11.1.
    Restricted { at: u64, construct: Construct },
    /// Anything else that is not well-formed.
    Syntax { at: u64, expected: &'static str },
    /// An XML declaration for a version other than 1.0.
    Version { at: u64 },
}

/// What RFC 6120 §11.1 keeps off a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Construct {
    /// `<!-- -->`
    Comment,
    /// `<!DOCTYPE`, `<!ENTITY` and their like.
    DocumentType,
    /// A reference to an entity other than the five predefined ones.
    Entity,
    /// `<? ?>`
    ProcessingInstruction,
}

/// Which limit was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Attributes of one element.
    Attributes,
    /// Namespace declarations in scope.
    Bindings,
    /// Bytes of one frame.
    Bytes,
    /// Elements within elements.
    Depth,
    /// Bytes of one tag.
    TagBytes,
}

impl XmlError {
    /// The defined condition of the stream error that answers it, RFC 6120 §4.9.3.
    pub fn condition(&self) -> &'static str {
        match self {
            Self::Encoding { .. } => "unsupported-encoding",
            Self::Limit { .. } => "policy-violation",
            Self::Prefix { .. } => "bad-namespace-prefix",
            Self::Restricted { .. } => "restricted-xml",
            Self::AttributeTwice { .. }
            | Self::Character { .. }
            | Self::EndTag { .. }
            | Self::Name { .. }
            | Self::NamespaceDeclaration { .. }
            | Self::Reference { .. }
            | Self::Syntax { .. }
            | Self::Version { .. } => "not-well-formed",
        }
    }

    /// Where it was noticed, in bytes.
    pub fn at(&self) -> u64 {
        match self {
            Self::AttributeTwice { at, .. }
            | Self::Character { at, .. }
            | Self::Encoding { at }
            | Self::EndTag { at }
            | Self::Limit { at, .. }
            | Self::Name { at }
            | Self::NamespaceDeclaration { at, .. }
            | Self::Prefix { at, .. }
            | Self::Reference { at }
            | Self::Restricted { at, .. }
            | Self::Syntax { at, .. }
            | Self::Version { at } => *at,
        }
    }
}

impl XmlError {
    /// The same breach, seen from a place `by` bytes further ahead.
    pub(super) fn moved(mut self, by: u64) -> Self {
        match &mut self {
            Self::AttributeTwice { at, .. }
            | Self::Character { at, .. }
            | Self::Encoding { at }
            | Self::EndTag { at }
            | Self::Limit { at, .. }
            | Self::Name { at }
            | Self::NamespaceDeclaration { at, .. }
            | Self::Prefix { at, .. }
            | Self::Reference { at }
            | Self::Restricted { at, .. }
            | Self::Syntax { at, .. }
            | Self::Version { at } => *at += by,
        }
        self
    }
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: ", self.at())?;
        match self {
            Self::AttributeTwice { name, .. } => {
                write!(f, "attribute `{}` stands twice", name.escape_debug())
            }
            Self::Character { code, .. } => write!(f, "character U+{code:04X} is not allowed in XML"),
            Self::Encoding { .. } => f.write_str("not UTF-8"),
            Self::EndTag { .. } => f.write_str("end tag missing or not matching its start tag"),
            Self::Limit { limit, .. } => write!(f, "{}", limit.text()),
            Self::Name { .. } => f.write_str("not a name"),
            Self::NamespaceDeclaration { prefix, .. } => {
                write!(f, "prefix `{}` may not be declared so", prefix.escape_debug())
            }
            Self::Prefix { prefix, .. } => write!(f, "prefix `{}` is not declared", prefix.escape_debug()),
            Self::Reference { .. } => f.write_str("not a reference"),
            Self::Restricted { construct, .. } => write!(f, "{} on a stream", construct.text()),
            Self::Syntax { expected, .. } => write!(f, "expected {expected}"),
            Self::Version { .. } => f.write_str("XML version is not 1.0"),
        }
    }
}

impl std::error::Error for XmlError {}

impl Construct {
    fn text(self) -> &'static str {
        match self {
            Self::Comment => "comment",
            Self::DocumentType => "document type declaration",
            Self::Entity => "entity reference",
            Self::ProcessingInstruction => "processing instruction",
        }
    }
}

impl Limit {
    fn text(self) -> &'static str {
        match self {
            Self::Attributes => "too many attributes",
            Self::Bindings => "too many namespace declarations in scope",
            Self::Bytes => "element too large",
            Self::Depth => "elements nested too deeply",
            Self::TagBytes => "tag too large",
        }
    }
}
