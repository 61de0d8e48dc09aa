//! XEP-0313: Message Archive Management with XEP-0059: questions to an archive, its pages and what lies in them.

use jiff::Timestamp;

use super::carbons::FORWARD;
use super::{Extension, Xep, delay};
use crate::datetime;
use crate::jid::Jid;
use crate::ns;
use crate::xml::Element;

/// Namespace.
pub const NS: &str = "urn:xmpp:mam:2";
/// Namespace of XEP-0059.
pub const RSM: &str = "http://jabber.org/protocol/rsm";
/// Namespace of XEP-0004.
const FORMS: &str = "jabber:x:data";

/// The extension.
pub struct Archive;

impl Extension for Archive {
    fn xep(&self) -> Xep {
        let scope = "what came while the bot was away is read before and after it shows itself, by id or by time; \
                     results that nobody asked for, or of another sender, have no effect";
        Xep { number: 313, name: "Message Archive Management", version: "1.1.3", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn consumes(&self, payload: &Element) -> bool {
        payload.ns() == NS
    }
}

/// Where in an archive a page begins or ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Behind the message of this id.
    After(String),
    /// The last ones in front of the message of this id.
    Before(String),
    /// The last ones of all that fit.
    Newest,
    /// The first ones of all that fit.
    Oldest,
}

/// A question to an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// What the results are known by.
    pub id: String,
    /// Which page.
    pub place: Place,
    /// Nothing older.
    pub start: Option<Timestamp>,
    /// Nothing newer.
    pub end: Option<Timestamp>,
    /// Only what was exchanged with this address.
    pub with: Option<Jid>,
    /// Most results of one page.
    pub max: usize,
}

/// The end of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// There are no further ones in this direction.
    pub complete: bool,
    /// The order may still change: a position in it is worth nothing.
    pub unstable: bool,
    /// Id of the first result.
    pub first: Option<String>,
    /// Id of the last result.
    pub last: Option<String>,
}

/// One result.
#[derive(Clone, Debug, PartialEq)]
pub struct Archived {
    /// The question it answers.
    pub query: Option<String>,
    /// Its id in the archive.
    pub id: String,
    /// When the archive got it.
    pub stamp: Timestamp,
    /// The stanza, in the state in which it was delivered or sent.
    pub message: Element,
}

impl Query {
    /// The payload of the request, of type `set`.
    pub fn to_element(&self) -> Element {
        let field = |name: &'static str, value: &str| {
            let value = Element::new("value", FORMS).with_text(value);
            Element::new("field", FORMS).with_attr("var", name).with_child(value)
        };
        let form_type = field("FORM_TYPE", NS).with_attr("type", "hidden");
        let mut form = Element::new("x", FORMS).with_attr("type", "submit").with_child(form_type);
        for (name, at) in [("start", self.start), ("end", self.end)] {
            if let Some(at) = at {
                form.push(field(name, &datetime::print(at)));
            }
        }
        if let Some(with) = &self.with {
            form.push(field("with", with.as_str()));
        }
        let text = |name: &'static str, text: &str| Element::new(name, RSM).with_text(text);
        let set = Element::new("set", RSM).with_child(text("max", &self.max.to_string()));
        let set = match &self.place {
            Place::After(id) => set.with_child(text("after", id)),
            Place::Before(id) => set.with_child(text("before", id)),
            Place::Newest => set.with_child(Element::new("before", RSM)),
            Place::Oldest => set,
        };
        Element::new("query", NS).with_attr("queryid", self.id.clone()).with_child(form).with_child(set)
    }
}

impl Page {
    /// Reads `<fin/>`, the answer to a question.
    pub fn parse(fin: &Element) -> Option<Self> {
        if !fin.is("fin", NS) {
            return None;
        }
        let is = |name: &str, yes: [&str; 2]| fin.attr(name).is_some_and(|value| yes.contains(&value));
        let set = fin.child("set", RSM);
        let text = |name: &str| set?.child(name, RSM).map(Element::text).filter(|id| !id.is_empty());
        Some(Self {
            complete: is("complete", ["true", "1"]),
            unstable: is("stable", ["false", "0"]),
            first: text("first"),
            last: text("last"),
        })
    }
}

impl Archived {
    /// Reads `<result/>`. Who sent it is for the caller to check: it is worth what its sender is.
    pub fn parse(result: &Element) -> Option<Self> {
        let forwarded = result.child("forwarded", FORWARD)?;
        let stamp = forwarded.child("delay", delay::NS)?.attr("stamp")?;
        Some(Self {
            query: result.attr("queryid").map(str::to_owned),
            id: result.attr("id").filter(|id| !id.is_empty())?.to_owned(),
            stamp: datetime::parse(stamp).ok()?,
            message: forwarded.child("message", ns::CLIENT)?.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{parse, writer};

    #[test]
    fn a_question_says_what_and_where() {
        let query = Query {
            id: "q".to_owned(),
            place: Place::After("28482-98726".to_owned()),
            start: Some(Timestamp::UNIX_EPOCH),
            end: None,
            with: Some(Jid::parse("juliet@capulet.lit").expect("an address")),
            max: 10,
        };
        let text = writer::to_string(&query.to_element()).expect("it can be written");
        for part in [
            "queryid='q'",
            "<value>urn:xmpp:mam:2</value>",
            "var='start'><value>1970-01-01T00:00:00Z</value>",
            "var='with'><value>juliet@capulet.lit</value>",
            "<max>10</max><after>28482-98726</after>",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let newest = Query { place: Place::Newest, start: None, with: None, ..query };
        let text = writer::to_string(&newest.to_element()).expect("it can be written");
        assert!(text.contains("<max>10</max><before/>") && !text.contains("start"), "{text}");
    }

    #[test]
    fn a_page_says_whether_it_is_the_last() {
        let fin = "<fin xmlns='urn:xmpp:mam:2' complete='true' stable='false'><set \
                   xmlns='http://jabber.org/protocol/rsm'><first index='0'>a</first><last>b</last></set></fin>";
        let page = Page::parse(&parse(fin).expect("XML"));
        let expected =
            Page { complete: true, unstable: true, first: Some("a".to_owned()), last: Some("b".to_owned()) };
        assert_eq!(page, Some(expected));
        assert_eq!(Page::parse(&parse("<fin xmlns='urn:xmpp:mam:2'/>").expect("XML")), Some(Page::default()));
        assert_eq!(Page::parse(&parse("<fin xmlns='urn:xmpp:mam:1'/>").expect("XML")), None);
    }

    #[test]
    fn a_result_needs_an_id_a_stamp_and_a_message() {
        let result = |id: &str, stamp: &str| {
            let text = format!(
                "<result xmlns='urn:xmpp:mam:2' queryid='q' id='{id}'><forwarded xmlns='urn:xmpp:forward:0'>\
                 <delay xmlns='urn:xmpp:delay' stamp='{stamp}'/><message xmlns='jabber:client' id='m'/>\
                 </forwarded></result>"
            );
            Archived::parse(&parse(&text).expect("XML"))
        };
        let archived = result("a", "2026-01-01T00:00:00Z").expect("it is whole");
        assert_eq!((archived.id.as_str(), archived.query.as_deref()), ("a", Some("q")));
        assert_eq!(archived.message.attr("id"), Some("m"));
        assert_eq!(result("", "2026-01-01T00:00:00Z"), None);
        assert_eq!(result("a", "yesterday"), None);
    }
}
