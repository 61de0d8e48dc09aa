//! XEP-0077: In-Band Registration: what a server wants to know of a new account, and another password for an old one.

use std::collections::BTreeMap;

use super::data_forms::{Field, FieldKind, Form, FormKind, Misfit};
use super::{Extension, Xep};
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "jabber:iq:register";

/// XEP-0066: where the server sends people who are to register on the web.
const OOB: &str = "jabber:x:oob";

/// The extension.
pub struct Registration;

impl Extension for Registration {
    fn xep(&self) -> Xep {
        let scope = "`rhapsode account` registers accounts, by form or by fields, and changes passwords; over TLS only";
        Xep { number: 77, name: "In-Band Registration", version: "2.4", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }
}

/// What a server wants to know, §3.1 and §5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// A form, which counts where there are fields as well.
    Form(Form),
    /// The names of its elements.
    Fields(Vec<String>),
    /// The account is there already.
    Registered,
    /// Somewhere else, and what the server says about it.
    Elsewhere { url: String, instructions: Option<String> },
}

/// Why an offer cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfilled {
    /// This address has an account on that server already.
    Registered,
    /// On the web only.
    Elsewhere { url: String, instructions: Option<String> },
    /// It asks for neither name nor password.
    NoAccount,
    /// These fields are asked for and not given: name, and what the server calls them.
    Missing(Vec<(String, Option<String>)>),
    /// A value does not fit its field.
    Misfit(Misfit),
    /// A given field is not asked for.
    NotAsked(String),
}

/// Asks what is wanted.
pub fn ask() -> Element {
    Element::new("query", NS)
}

/// Another password for the account, §3.3.
pub fn change(user: &str, password: &str) -> Element {
    submit([("username", user), ("password", password)])
}

impl Offer {
    /// Reads the answer to [`ask`]; `None` where it is none.
    pub fn parse(query: &Element) -> Option<Self> {
        if !query.is("query", NS) {
            return None;
        }
        if query.has_child("registered", NS) {
            return Some(Self::Registered);
        }
        let form = Form::find(query, NS).or_else(|| query.children().find_map(Form::parse));
        if let Some(form) = form.filter(|form| form.kind == FormKind::Form) {
            return Some(Self::Form(form));
        }
        let url = query.child("x", OOB).and_then(|oob| oob.child_text("url", OOB));
        let names = query.children().filter(|child| child.ns() == NS).map(|child| child.name().to_owned());
        let fields: Vec<String> = names.filter(|name| !NO_FIELDS.contains(&name.as_str())).collect();
        match url {
            Some(url) if fields.is_empty() => {
                Some(Self::Elsewhere { url, instructions: query.child_text("instructions", NS) })
            }
            Some(_) | None => Some(Self::Fields(fields)),
        }
    }

    /// The registration of that account. `given` has what else the server asks for.
    ///
    /// # Errors
    /// What stands in the way; nothing is made up.
    pub fn fill(
        &self,
        user: &str,
        password: &str,
        given: &BTreeMap<String, String>,
    ) -> Result<Element, Unfilled> {
        let value = |name: &str| match name {
            "username" => Some(user),
            "password" => Some(password),
            _ => given.get(name).map(String::as_str),
        };
        match self {
            Self::Registered => Err(Unfilled::Registered),
            Self::Elsewhere { url, instructions } => {
                Err(Unfilled::Elsewhere { url: url.clone(), instructions: instructions.clone() })
            }
            Self::Fields(fields) => {
                asks(given, &|name| fields.iter().any(|field| field == name))?;
                let missing = fields.iter().filter(|name| value(name).is_none());
                let missing: Vec<_> = missing.map(|name| (name.clone(), None)).collect();
                if !missing.is_empty() {
                    return Err(Unfilled::Missing(missing));
                }
                Ok(submit(fields.iter().filter_map(|name| Some((name.as_str(), value(name)?)))))
            }
            Self::Form(form) => {
                asks(given, &|name| form.field(name).is_some_and(|field| field.kind() != FieldKind::Fixed))?;
                let filled = form.filled(|field| Some(values(field, value(field.var.as_deref()?)?)));
                let missing = form.fields.iter().filter(|field| field.required && is_empty(field, &filled));
                let missing: Vec<_> =
                    missing.filter_map(|field| Some((field.var.clone()?, field.label.clone()))).collect();
                if !missing.is_empty() {
                    return Err(Unfilled::Missing(missing));
                }
                form.answered(&filled).map_err(Unfilled::Misfit)?;
                Ok(Element::new("query", NS).with_child(filled.to_element()))
            }
        }
    }
}

/// Whether everything that is given is asked for, and name and password are.
fn asks(given: &BTreeMap<String, String>, asked: &dyn Fn(&str) -> bool) -> Result<(), Unfilled> {
    if !asked("username") || !asked("password") {
        return Err(Unfilled::NoAccount);
    }
    match given.keys().find(|name| !asked(name)) {
        Some(name) => Err(Unfilled::NotAsked(name.clone())),
        None => Ok(()),
    }
}

/// A given text as the values of a field: each line one, where it takes several.
fn values(field: &Field, text: &str) -> Vec<String> {
    match field.kind() {
        FieldKind::JidMulti | FieldKind::ListMulti | FieldKind::TextMulti => {
            text.lines().map(str::to_owned).collect()
        }
        _ => vec![text.to_owned()],
    }
}

fn is_empty(field: &Field, filled: &Form) -> bool {
    let answer = field.var.as_deref().and_then(|var| filled.field(var));
    field.kind() != FieldKind::Fixed
        && answer.is_none_or(|answer| answer.values.iter().all(|value| value.is_empty()))
}

fn submit<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Element {
    fields.into_iter().fold(Element::new("query", NS), |query, (name, value)| {
        query.with_child(Element::new(name.to_owned(), NS).with_text(value))
    })
}

/// Children of an offer that ask for nothing.
const NO_FIELDS: &[&str] = &["instructions", "registered", "remove"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{parse, writer};

    /// XEP-0077 §3.1, examples 2 and 3.
    #[test]
    fn f3_fields_are_filled_in_and_what_is_missing_is_named() {
        let offer = offer("<instructions>All of it</instructions><username/><password/><email/>");
        assert_eq!(fill(&offer, &[]), Err(Unfilled::Missing(vec![("email".to_owned(), None)])));
        assert_eq!(fill(&offer, &[("phone", "1")]), Err(Unfilled::NotAsked("phone".to_owned())));
        assert_eq!(
            fill(&offer, &[("email", "b@example.org")]).as_deref(),
            Ok("<query xmlns='jabber:iq:register'><username>bot</username><password>pencil</password>\
                <email>b@example.org</email></query>")
        );
    }

    #[test]
    fn f3_a_form_counts_more_than_fields() {
        let form = |more: &str| {
            format!(
                "<username/><password/><x xmlns='jabber:x:data' type='form'><title>New</title>\
                 <field type='hidden' var='FORM_TYPE'><value>jabber:iq:register</value></field>\
                 <field type='text-single' var='username'><required/></field>\
                 <field type='text-private' var='password'><required/></field>{more}</x>"
            )
        };
        let filled = fill(&offer(&form("")), &[]).expect("complete");
        assert!(
            filled.starts_with("<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'>")
        );
        assert!(
            filled.contains("<field var='FORM_TYPE'><value>jabber:iq:register</value></field>"),
            "{filled}"
        );
        assert!(filled.contains("<field var='password'><value>pencil</value></field>"), "{filled}");
        let captcha = offer(&form("<field var='ocr' label='Enter the text'><required/></field>"));
        let missing = vec![("ocr".to_owned(), Some("Enter the text".to_owned()))];
        assert_eq!(fill(&captcha, &[]), Err(Unfilled::Missing(missing)));
        assert!(fill(&captcha, &[("ocr", "7nHL3")]).is_ok_and(|filled| filled.contains("7nHL3")));
        let choice =
            offer(&form("<field var='sex' type='list-single'><option><value>male</value></option></field>"));
        assert_eq!(fill(&choice, &[("sex", "x")]), Err(Unfilled::Misfit(Misfit::Choice("sex".to_owned()))));
    }

    /// XEP-0077 §3.1.1 and §5: nothing is filled in that is not a registration.
    #[test]
    fn f3_other_offers_are_told_apart() {
        assert_eq!(fill(&offer("<registered/><username>bot</username>"), &[]), Err(Unfilled::Registered));
        let web =
            "<instructions>See</instructions><x xmlns='jabber:x:oob'><url>https://example.org</url></x>";
        let elsewhere = Unfilled::Elsewhere {
            url: "https://example.org".to_owned(),
            instructions: Some("See".to_owned()),
        };
        assert_eq!(fill(&offer(web), &[]), Err(elsewhere));
        assert_eq!(fill(&offer(""), &[]), Err(Unfilled::NoAccount));
        assert_eq!(Offer::parse(&Element::new("query", "jabber:iq:roster")), None);
    }

    fn offer(inner: &str) -> Offer {
        let query = parse(&format!("<query xmlns='{NS}'>{inner}</query>")).expect("XML");
        Offer::parse(&query).expect("an offer")
    }

    fn fill(offer: &Offer, given: &[(&str, &str)]) -> Result<String, Unfilled> {
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        offer.fill("bot", "pencil", &given).map(|query| writer::to_string(&query).expect("XML"))
    }
}
