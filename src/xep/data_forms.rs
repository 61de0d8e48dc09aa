//! XEP-0004: Data Forms: forms, their answers and their results, and whether an answer fits its form.

use super::{Extension, Xep};
use crate::jid::Jid;
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "jabber:x:data";

/// Name of the field that says what a form is about, XEP-0068.
pub const FORM_TYPE: &str = "FORM_TYPE";

/// The extension.
pub struct DataForms;

impl Extension for DataForms {
    fn xep(&self) -> Xep {
        let scope = "forms of rooms, commands, registration and service discovery (XEP-0128): all types of fields, \
                     options, tables of results; answers are checked against their form";
        Xep { number: 4, name: "Data Forms", version: "2.13.2", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }
}

/// A form, its result, or an answer to one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Which of the four it is.
    pub kind: FormKind,
    /// Title for people.
    pub title: Option<String>,
    /// What to do with it, a paragraph each.
    pub instructions: Vec<String>,
    /// In the order they were written.
    pub fields: Vec<Field>,
    /// Heads of the columns, where a result is a table, §3.4.
    pub reported: Vec<Field>,
    /// Rows of that table.
    pub items: Vec<Vec<Field>>,
}

/// `type` of a form, §3.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormKind {
    /// Somebody does not want to fill it in.
    Cancel,
    /// To be filled in.
    #[default]
    Form,
    /// Something is told.
    Result,
    /// Filled in.
    Submit,
}

/// One field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// Name; `fixed` fields may have none.
    pub var: Option<String>,
    /// `type`; absent means `text-single` in a form, and "as in the form" elsewhere.
    pub kind: Option<FieldKind>,
    /// Name for people.
    pub label: Option<String>,
    /// More about it, for people.
    pub desc: Option<String>,
    /// Whether the form is not complete without it.
    pub required: bool,
    /// What there is to choose from, in the lists.
    pub options: Vec<Choice>,
    /// All values in the order they were written. Of a `text-multi` each is a line.
    pub values: Vec<String>,
}

/// One option of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Name for people.
    pub label: Option<String>,
    /// What is sent.
    pub value: String,
}

/// `type` of a field, §3.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldKind {
    /// Yes or no.
    Boolean,
    /// Words for people, nothing to fill in.
    Fixed,
    /// Not shown; goes back as it came.
    Hidden,
    /// Addresses.
    JidMulti,
    /// An address.
    JidSingle,
    /// Some of the options.
    ListMulti,
    /// One of the options.
    ListSingle,
    /// Lines of text.
    TextMulti,
    /// A line that is not shown while it is typed.
    TextPrivate,
    /// A line of text; also what nobody knows, §3.3.
    #[default]
    TextSingle,
}

/// Why an answer does not fit its form. Each names the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Neither yes nor no.
    Boolean(String),
    /// Not among the options.
    Choice(String),
    /// No address.
    Jid(String),
    /// More than one value.
    Many(String),
    /// It must be filled in.
    Missing(String),
}

/// A field of an answer: its name and values.
pub type Answered = (String, Vec<String>);

impl Form {
    /// An empty form of that kind.
    pub fn new(kind: FormKind) -> Self {
        Self { kind, ..Self::default() }
    }

    /// Reads an `<x/>` of this namespace; `None` where it is none of the four kinds.
    pub fn parse(element: &Element) -> Option<Self> {
        let kind = element.is("x", NS).then(|| element.attr("type")).flatten().and_then(FormKind::parse)?;
        let fields = |parent: &Element| -> Vec<Field> {
            parent.children().filter(|child| child.is("field", NS)).map(Field::parse).collect()
        };
        let named = |name: &'static str| element.children().filter(move |child| child.is(name, NS));
        Some(Self {
            kind,
            title: element.child_text("title", NS),
            instructions: named("instructions").map(Element::text).collect(),
            fields: fields(element),
            reported: named("reported").flat_map(fields).collect(),
            items: named("item").map(fields).collect(),
        })
    }

    /// The form about `form_type` among the children of an element, which may have several: an upload service
    /// sends one for each of its namespaces, a registration may have two.
    pub fn find(parent: &Element, form_type: &str) -> Option<Self> {
        parent.children().filter_map(Self::parse).find(|form| form.is_about(form_type))
    }

    /// The form as an element.
    pub fn to_element(&self) -> Element {
        let text = |name: &'static str, text: &str| Element::new(name, NS).with_text(text);
        let mut form = Element::new("x", NS).with_attr("type", self.kind.as_str());
        if let Some(title) = &self.title {
            form.push(text("title", title));
        }
        for paragraph in &self.instructions {
            form.push(text("instructions", paragraph));
        }
        let row = |name: &'static str, fields: &[Field]| {
            fields.iter().fold(Element::new(name, NS), |row, field| row.with_child(field.to_element()))
        };
        if !self.reported.is_empty() {
            form.push(row("reported", &self.reported));
        }
        for item in &self.items {
            form.push(row("item", item));
        }
        for field in &self.fields {
            form.push(field.to_element());
        }
        form
    }

    /// The first field named `var`.
    pub fn field(&self, var: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.var.as_deref() == Some(var))
    }

    /// What the form is about, XEP-0068: the hidden field `FORM_TYPE`.
    pub fn form_type(&self) -> Option<&Field> {
        self.field(FORM_TYPE).filter(|field| field.kind == Some(FieldKind::Hidden))
    }

    /// Whether the form is about `form_type`. Answers need not say that the field is hidden.
    pub fn is_about(&self, form_type: &str) -> bool {
        let hidden = |field: &&Field| matches!(field.kind, None | Some(FieldKind::Hidden));
        self.field(FORM_TYPE).filter(hidden).is_some_and(|field| field.value() == Some(form_type))
    }

    /// This form filled in: fields that are not changed go back as they came, also those that nobody here knows.
    /// `changes` gives the values of a field that is to have others.
    pub fn filled(&self, changes: impl Fn(&Field) -> Option<Vec<String>>) -> Self {
        let named =
            self.fields.iter().filter(|field| field.var.is_some() && field.kind != Some(FieldKind::Fixed));
        let fields = named.map(|field| {
            let values = changes(field).unwrap_or_else(|| field.values.clone());
            Field { var: field.var.clone(), values, ..Field::default() }
        });
        Self { kind: FormKind::Submit, fields: fields.collect(), ..Self::default() }
    }

    /// What `answer` says to this form, in this form's order; a field without a value is left out. Fields that
    /// this form does not have are passed over, §3.2.
    ///
    /// # Errors
    /// The first field that does not fit, so also for an empty answer to a form that wants something.
    pub fn answered(&self, answer: &Self) -> Result<Vec<Answered>, Misfit> {
        let mut answered = Vec::new();
        for field in &self.fields {
            let Some(var) = field.var.as_deref().filter(|_| field.kind() != FieldKind::Fixed) else {
                continue;
            };
            let values = answer.field(var).map(|given| given.values.as_slice()).unwrap_or_default();
            let values = field.fitting(var, values)?;
            match values.is_empty() {
                true if field.required => return Err(Misfit::Missing(var.to_owned())),
                true => {}
                false => answered.push((var.to_owned(), values)),
            }
        }
        Ok(answered)
    }
}

impl Field {
    /// A field of that kind.
    pub fn new(var: impl Into<String>, kind: FieldKind) -> Self {
        Self { var: Some(var.into()), kind: Some(kind), ..Self::default() }
    }

    /// The same with a value more.
    pub fn with_value(mut self, value: impl Into<String>) -> Self {
        self.values.push(value.into());
        self
    }

    fn parse(element: &Element) -> Self {
        let values = |parent: &Element| {
            parent.children().filter(|child| child.is("value", NS)).map(Element::text).collect::<Vec<_>>()
        };
        // An option without a value says nothing.
        let choice = |option: &Element| {
            let value = option.child_text("value", NS)?;
            Some(Choice { label: option.attr("label").map(str::to_owned), value })
        };
        Self {
            var: element.attr("var").map(str::to_owned),
            kind: element.attr("type").map(FieldKind::parse),
            label: element.attr("label").map(str::to_owned),
            desc: element.child_text("desc", NS),
            required: element.has_child("required", NS),
            options: element.children().filter(|child| child.is("option", NS)).filter_map(choice).collect(),
            values: values(element),
        }
    }

    fn to_element(&self) -> Element {
        let mut element = Element::new("field", NS)
            .with_attr_opt("var", self.var.as_deref())
            .with_attr_opt("type", self.kind.map(FieldKind::as_str))
            .with_attr_opt("label", self.label.as_deref());
        if let Some(desc) = &self.desc {
            element.push(Element::new("desc", NS).with_text(desc.as_str()));
        }
        if self.required {
            element.push(Element::new("required", NS));
        }
        let value = |value: &str| Element::new("value", NS).with_text(value);
        for text in &self.values {
            element.push(value(text));
        }
        for choice in &self.options {
            let option = Element::new("option", NS).with_attr_opt("label", choice.label.as_deref());
            element.push(option.with_child(value(&choice.value)));
        }
        element
    }

    /// What it is where it does not say so.
    pub fn kind(&self) -> FieldKind {
        self.kind.unwrap_or_default()
    }

    /// The first value.
    pub fn value(&self) -> Option<&str> {
        self.values.first().map(String::as_str)
    }

    /// The first value as a truth value, in any of its spellings.
    pub fn boolean(&self) -> Option<bool> {
        self.value().and_then(boolean)
    }

    /// The values as this field takes them. White space around what is no text does not count, and an empty
    /// value of what is no text is none.
    fn fitting(&self, var: &str, values: &[String]) -> Result<Vec<String>, Misfit> {
        let name = || var.to_owned();
        let kind = self.kind();
        if kind == FieldKind::Hidden || kind == FieldKind::TextMulti {
            return Ok(values.to_vec());
        }
        let trimmed = values.iter().map(|value| value.trim()).filter(|value| !value.is_empty());
        let values: Vec<String> = match kind {
            FieldKind::TextPrivate => values.iter().filter(|value| !value.is_empty()).cloned().collect(),
            _ => trimmed.map(str::to_owned).collect(),
        };
        if values.len() > 1 && !matches!(kind, FieldKind::JidMulti | FieldKind::ListMulti) {
            return Err(Misfit::Many(name()));
        }
        for value in &values {
            match kind {
                FieldKind::Boolean if boolean(value).is_none() => return Err(Misfit::Boolean(name())),
                FieldKind::JidMulti | FieldKind::JidSingle if Jid::parse(value).is_err() => {
                    return Err(Misfit::Jid(name()));
                }
                FieldKind::ListMulti | FieldKind::ListSingle
                    if !self.options.iter().any(|choice| choice.value.trim() == value) =>
                {
                    return Err(Misfit::Choice(name()));
                }
                _ => {}
            }
        }
        Ok(values)
    }
}

impl FormKind {
    /// By its name in `type`.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Cancel, Self::Form, Self::Result, Self::Submit].into_iter().find(|kind| kind.as_str() == name)
    }

    /// Its name in `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Form => "form",
            Self::Result => "result",
            Self::Submit => "submit",
        }
    }
}

impl FieldKind {
    /// Every kind.
    const ALL: [Self; 10] = [
        Self::Boolean,
        Self::Fixed,
        Self::Hidden,
        Self::JidMulti,
        Self::JidSingle,
        Self::ListMulti,
        Self::ListSingle,
        Self::TextMulti,
        Self::TextPrivate,
        Self::TextSingle,
    ];

    /// By its name in `type`. What nobody knows is a line of text, §3.3.
    pub fn parse(name: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).unwrap_or_default()
    }

    /// Its name in `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Fixed => "fixed",
            Self::Hidden => "hidden",
            Self::JidMulti => "jid-multi",
            Self::JidSingle => "jid-single",
            Self::ListMulti => "list-multi",
            Self::ListSingle => "list-single",
            Self::TextMulti => "text-multi",
            Self::TextPrivate => "text-private",
            Self::TextSingle => "text-single",
        }
    }
}

impl Misfit {
    /// Name of the field.
    pub fn var(&self) -> &str {
        match self {
            Self::Boolean(var)
            | Self::Choice(var)
            | Self::Jid(var)
            | Self::Many(var)
            | Self::Missing(var) => var,
        }
    }
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self {
            Self::Boolean(_) => "is yes or no",
            Self::Choice(_) => "is none of the options",
            Self::Jid(_) => "is no address",
            Self::Many(_) => "takes one value",
            Self::Missing(_) => "is missing",
        };
        write!(f, "`{}` {what}", self.var())
    }
}

impl std::error::Error for Misfit {}

/// A truth value as XML Schema spells it, XEP-0004 §3.3.
pub fn boolean(text: &str) -> Option<bool> {
    match text.trim() {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
