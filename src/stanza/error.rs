//! Stanza errors, RFC 6120 §8.3: type, defined condition, text.

use crate::ns;
use crate::xml::Element;

/// What the sender of a refused stanza may do, RFC 6120 §8.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Retry after giving credentials.
    Auth,
    /// Do not retry.
    Cancel,
    /// Only a warning.
    Continue,
    /// Retry after changing the data sent.
    Modify,
    /// Retry after waiting.
    Wait,
}

/// Why a stanza was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StanzaError {
    /// What the sender may do about it.
    pub kind: ErrorKind,
    /// Defined condition of RFC 6120 §8.3.3, such as `item-not-found`.
    pub condition: std::borrow::Cow<'static, str>,
    /// Text for people.
    pub text: Option<String>,
    /// A condition of ours beside the defined one, name and namespace, §8.3.4. Those of others are not read.
    pub specific: Option<(&'static str, &'static str)>,
}

impl StanzaError {
    /// An error with a defined condition and no text.
    pub fn new(kind: ErrorKind, condition: &'static str) -> Self {
        Self { kind, condition: condition.into(), text: None, specific: None }
    }

    /// The same with a text for people.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// Reads the `<error/>` child of a stanza. What is missing becomes `undefined-condition`.
    pub fn from_stanza(stanza: &Element) -> Self {
        let error = stanza.child("error", stanza.ns());
        let kind = match error.and_then(|e| e.attr("type")) {
            Some("auth") => ErrorKind::Auth,
            Some("continue") => ErrorKind::Continue,
            Some("modify") => ErrorKind::Modify,
            Some("wait") => ErrorKind::Wait,
            _ => ErrorKind::Cancel,
        };
        let conditions =
            || error.into_iter().flat_map(Element::children).filter(|c| c.ns() == ns::STANZA_ERRORS);
        let condition = conditions()
            .find(|c| c.name() != "text")
            .map_or_else(|| "undefined-condition".to_owned(), |c| c.name().to_owned());
        let text = conditions().find(|c| c.name() == "text").map(Element::text);
        Self { kind, condition: condition.into(), text, specific: None }
    }

    /// The `<error/>` element for a stanza of namespace `ns`.
    pub fn to_element(&self, ns: &str) -> Element {
        let kind = match self.kind {
            ErrorKind::Auth => "auth",
            ErrorKind::Cancel => "cancel",
            ErrorKind::Continue => "continue",
            ErrorKind::Modify => "modify",
            ErrorKind::Wait => "wait",
        };
        let mut error = Element::new("error", ns.to_owned())
            .with_attr("type", kind)
            .with_child(Element::new(self.condition.clone(), ns::STANZA_ERRORS));
        if let Some(text) = &self.text {
            error.push(Element::new("text", ns::STANZA_ERRORS).with_text(text.clone()));
        }
        if let Some((name, ns)) = self.specific {
            error.push(Element::new(name, ns));
        }
        error
    }
}

impl std::fmt::Display for StanzaError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.text {
            Some(text) => write!(f, "{}: {text}", self.condition),
            None => f.write_str(&self.condition),
        }
    }
}
