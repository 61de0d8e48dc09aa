//! An element with its attributes and content, namespaces resolved.

use std::borrow::Cow;

/// A name or namespace: static where the program knows it, owned where a peer sent it.
pub type Atom = Cow<'static, str>;

/// One XML element. Prefixes are gone: names carry their namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    name: Atom,
    ns: Atom,
    attributes: Vec<Attribute>,
    children: Vec<Node>,
}

/// One attribute. Attributes without a prefix are in no namespace (Namespaces in XML §6.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Namespace of a prefixed attribute such as `xml:lang`.
    pub ns: Option<Atom>,
    /// Local name.
    pub name: Atom,
    /// Value, references resolved and white space normalised.
    pub value: String,
}

/// Content of an element, in document order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A child element.
    Element(Element),
    /// Character data; two text nodes never stand side by side.
    Text(String),
}

impl Element {
    /// An empty element.
    pub fn new(name: impl Into<Atom>, ns: impl Into<Atom>) -> Self {
        Self { name: name.into(), ns: ns.into(), attributes: Vec::new(), children: Vec::new() }
    }

    /// An element with these attributes, which the caller knows to differ in name.
    pub(super) fn with_attributes(name: Atom, ns: Atom, attributes: Vec<Attribute>) -> Self {
        Self { name, ns, attributes, children: Vec::new() }
    }

    /// Local name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Namespace, empty where there is none.
    pub fn ns(&self) -> &str {
        &self.ns
    }

    /// Whether this is the element `name` of namespace `ns`.
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name == name && self.ns == ns
    }

    /// All attributes in the order they were written.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// Value of the attribute `name` that is in no namespace.
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.find(None, name).map(|a| a.value.as_str())
    }

    /// Value of the attribute `name` of namespace `ns`.
    pub fn attr_ns(&self, ns: &str, name: &str) -> Option<&str> {
        self.find(Some(ns), name).map(|a| a.value.as_str())
    }

    /// The element's own `xml:lang`.
    pub fn lang(&self) -> Option<&str> {
        self.attr_ns(crate::ns::XML, "lang")
    }

    /// Sets an attribute that is in no namespace, replacing an earlier value.
    pub fn set_attr(&mut self, name: impl Into<Atom>, value: impl Into<String>) {
        self.put(None, name.into(), value.into());
    }

    /// Sets an attribute of a namespace, replacing an earlier value.
    pub fn set_attr_ns(&mut self, ns: impl Into<Atom>, name: impl Into<Atom>, value: impl Into<String>) {
        self.put(Some(ns.into()), name.into(), value.into());
    }

    /// Removes an attribute that is in no namespace.
    pub fn remove_attr(&mut self, name: &str) {
        self.attributes.retain(|a| a.ns.is_some() || a.name != name);
    }

    /// Builder form of [`Element::set_attr`].
    #[must_use]
    pub fn with_attr(mut self, name: impl Into<Atom>, value: impl Into<String>) -> Self {
        self.set_attr(name, value);
        self
    }

    /// Sets the attribute only where there is a value.
    #[must_use]
    pub fn with_attr_opt(self, name: impl Into<Atom>, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with_attr(name, value),
            None => self,
        }
    }

    /// Sets `xml:lang` where there is one.
    #[must_use]
    pub fn with_lang(mut self, lang: Option<&str>) -> Self {
        if let Some(lang) = lang {
            self.set_attr_ns(crate::ns::XML, "lang", lang);
        }
        self
    }

    /// Appends a child element.
    #[must_use]
    pub fn with_child(mut self, child: Element) -> Self {
        self.push(child);
        self
    }

    /// Appends character data.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.push_text(text);
        self
    }

    /// Appends a child element.
    pub fn push(&mut self, child: Element) {
        self.children.push(Node::Element(child));
    }

    /// Appends character data, joined to a text that stands directly before.
    pub fn push_text(&mut self, text: impl Into<String>) {
        let text = text.into();
        if text.is_empty() {
            return;
        }
        if let Some(Node::Text(last)) = self.children.last_mut() {
            last.push_str(&text);
        } else {
            self.children.push(Node::Text(text));
        }
    }

    /// Content in document order.
    pub fn nodes(&self) -> &[Node] {
        &self.children
    }

    /// Child elements in document order.
    pub fn children(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first child element `name` of namespace `ns`.
    pub fn child(&self, name: &str, ns: &str) -> Option<&Element> {
        self.children().find(|child| child.is(name, ns))
    }

    /// Whether there is a child element `name` of namespace `ns`.
    pub fn has_child(&self, name: &str, ns: &str) -> bool {
        self.child(name, ns).is_some()
    }

    /// Keeps only the child elements for which `keep` says so; text stays, joined
    /// where an element between two texts went.
    pub fn retain_children(&mut self, mut keep: impl FnMut(&Element) -> bool) {
        for node in std::mem::take(&mut self.children) {
            match node {
                Node::Element(element) if keep(&element) => self.children.push(Node::Element(element)),
                Node::Element(_) => {}
                Node::Text(text) => self.push_text(text),
            }
        }
    }

    /// The element's own character data, children left out.
    pub fn text(&self) -> String {
        self.children
            .iter()
            .filter_map(|node| match node {
                Node::Text(text) => Some(text.as_str()),
                Node::Element(_) => None,
            })
            .collect()
    }

    /// Text of the first child `name` of namespace `ns`.
    pub fn child_text(&self, name: &str, ns: &str) -> Option<String> {
        self.child(name, ns).map(Element::text)
    }

    fn find(&self, ns: Option<&str>, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|a| a.ns.as_deref() == ns && a.name == name)
    }

    fn put(&mut self, ns: Option<Atom>, name: Atom, value: String) {
        match self.attributes.iter_mut().find(|a| a.ns == ns && a.name == name) {
            Some(attribute) => attribute.value = value,
            None => self.attributes.push(Attribute { ns, name, value }),
        }
    }
}
