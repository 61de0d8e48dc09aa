//! XEP-0004: Data Forms, as service discovery and capabilities need them.

use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "jabber:x:data";

/// The extension.
pub struct DataForms;

impl Extension for DataForms {
    fn xep(&self) -> Xep {
        let scope = "read and written in service discovery (XEP-0128)";
        Xep { number: 4, name: "Data Forms", version: "2.13.2", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }
}

/// A form, its result, or an answer to one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// `type`: form, submit, result or cancel.
    pub kind: String,
    /// In the order they were written.
    pub fields: Vec<Field>,
}

/// One field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// Name; `fixed` fields may have none.
    pub var: Option<String>,
    /// `type`; absent means `text-single` in a form, and "as in the form" elsewhere.
    pub kind: Option<String>,
    /// All values in the order they were written.
    pub values: Vec<String>,
}

impl Form {
    /// Reads an `<x/>` of this namespace.
    pub fn parse(element: &Element) -> Option<Self> {
        element.is("x", NS).then(|| Self {
            kind: element.attr("type").unwrap_or_default().to_owned(),
            fields: element.children().filter(|child| child.is("field", NS)).map(field).collect(),
        })
    }

    /// The form as an element.
    pub fn to_element(&self) -> Element {
        let mut form = Element::new("x", NS).with_attr("type", self.kind.clone());
        for field in &self.fields {
            let mut element = Element::new("field", NS)
                .with_attr_opt("var", field.var.as_deref())
                .with_attr_opt("type", field.kind.as_deref());
            for value in &field.values {
                element.push(Element::new("value", NS).with_text(value.clone()));
            }
            form.push(element);
        }
        form
    }

    /// The first field named `var`.
    pub fn field(&self, var: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.var.as_deref() == Some(var))
    }

    /// What the form is about, XEP-0068: the hidden field `FORM_TYPE`.
    pub fn form_type(&self) -> Option<&Field> {
        self.field("FORM_TYPE").filter(|field| field.kind.as_deref() == Some("hidden"))
    }
}

fn field(element: &Element) -> Field {
    Field {
        var: element.attr("var").map(str::to_owned),
        kind: element.attr("type").map(str::to_owned),
        values: element.children().filter(|child| child.is("value", NS)).map(Element::text).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_survives_being_written_and_read() {
        let field = |var: Option<&str>, kind: Option<&str>, values: &[&str]| Field {
            var: var.map(str::to_owned),
            kind: kind.map(str::to_owned),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let form = Form {
            kind: "result".to_owned(),
            fields: vec![
                field(Some("FORM_TYPE"), Some("hidden"), &["urn:example"]),
                field(Some("list"), Some("list-multi"), &["b", "a", ""]),
                field(None, Some("fixed"), &["text"]),
                field(Some("bare"), None, &[]),
            ],
        };
        let read = Form::parse(&form.to_element()).expect("a form");
        assert_eq!(read, form);
        assert_eq!(read.form_type().map(|field| field.values.clone()), Some(vec!["urn:example".to_owned()]));
    }

    #[test]
    fn a_form_type_that_is_not_hidden_is_none() {
        let visible = Field { var: Some("FORM_TYPE".to_owned()), kind: None, values: vec!["x".to_owned()] };
        let form = Form { kind: "result".to_owned(), fields: vec![visible] };
        assert_eq!(form.form_type(), None);
    }
}
