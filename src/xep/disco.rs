//! XEP-0030: Service Discovery. Tells what the account is and can, and reads what others tell.

use super::{Account, Answer, Extension, Request, Xep, data_forms};
use crate::stanza::{ErrorKind, StanzaError};
use crate::xml::Element;

/// Namespace of identities and features.
pub const INFO: &str = "http://jabber.org/protocol/disco#info";

/// Namespace of items.
pub const ITEMS: &str = "http://jabber.org/protocol/disco#items";

/// The extension.
pub struct Discovery;

/// The answer to disco#info.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// The node that was asked, where one was.
    pub node: Option<String>,
    /// What the entity is.
    pub identities: Vec<Identity>,
    /// What it can.
    pub features: Vec<String>,
    /// More about it, XEP-0128.
    pub forms: Vec<data_forms::Form>,
}

/// One thing that an entity is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// Category of the registry, such as `client`.
    pub category: String,
    /// `type` of the registry, such as `bot`.
    pub kind: String,
    /// Language of the name.
    pub lang: String,
    /// Name for people.
    pub name: String,
}

impl Extension for Discovery {
    fn xep(&self) -> Xep {
        let scope =
            "answered as `client/bot` with the account's features; the server is asked once per login";
        Xep { number: 30, name: "Service Discovery", version: "2.5.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[INFO, ITEMS]
    }

    fn features(&self) -> &'static [&'static str] {
        &[INFO, ITEMS]
    }

    fn on_request(&self, request: &Request<'_>, account: &Account<'_>) -> Option<Answer> {
        let info = request.is_get("query", INFO);
        if !info && !request.is_get("query", ITEMS) {
            return None;
        }
        let node = request.payload.attr("node");
        let own_caps = node == Some(account.caps_node);
        Some(match (info, node) {
            (true, None) => Ok(Some(account.info.to_element(None))),
            (true, Some(node)) if own_caps => Ok(Some(account.info.to_element(Some(node)))),
            (false, None) => Ok(Some(Element::new("query", ITEMS))),
            (_, Some(_)) => Err(StanzaError::new(ErrorKind::Cancel, "item-not-found")),
        })
    }
}

impl Info {
    /// Reads the `<query/>` of an answer.
    pub fn parse(query: &Element) -> Option<Self> {
        if !query.is("query", INFO) {
            return None;
        }
        let named = |name: &'static str| query.children().filter(move |child| child.is(name, INFO));
        Some(Self {
            node: query.attr("node").map(str::to_owned),
            identities: named("identity").map(identity).collect(),
            features: named("feature").filter_map(|f| f.attr("var")).map(str::to_owned).collect(),
            forms: query.children().filter_map(data_forms::Form::parse).collect(),
        })
    }

    /// The `<query/>` that tells it, with the node that was asked.
    pub fn to_element(&self, node: Option<&str>) -> Element {
        let mut query = Element::new("query", INFO).with_attr_opt("node", node);
        for Identity { category, kind, lang, name } in &self.identities {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let identity = Element::new("identity", INFO)
                .with_attr("category", category.clone())
                .with_attr("type", kind.clone())
                .with_attr_opt("name", some(name))
                .with_lang(some(lang).as_deref());
            query.push(identity);
        }
        for feature in &self.features {
            query.push(Element::new("feature", INFO).with_attr("var", feature.clone()));
        }
        for form in &self.forms {
            query.push(form.to_element());
        }
        query
    }

    /// Whether the entity says that it is a bot.
    pub fn is_bot(&self) -> bool {
        self.identities.iter().any(|identity| identity.category == "client" && identity.kind == "bot")
    }
}

/// The question, for all of an entity or one node of it.
pub fn query(node: Option<&str>) -> Element {
    Element::new("query", INFO).with_attr_opt("node", node)
}

fn identity(element: &Element) -> Identity {
    let attr = |name| element.attr(name).unwrap_or_default().to_owned();
    Identity {
        category: attr("category"),
        kind: attr("type"),
        lang: element.lang().unwrap_or_default().to_owned(),
        name: attr("name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p35_what_is_written_is_read() {
        let info = Info {
            node: Some("n".to_owned()),
            identities: vec![Identity {
                category: "client".to_owned(),
                kind: "bot".to_owned(),
                lang: "en".to_owned(),
                name: "Echo".to_owned(),
            }],
            features: vec![INFO.to_owned(), "urn:example".to_owned()],
            forms: vec![data_forms::Form::new(data_forms::FormKind::Result)],
        };
        assert_eq!(Info::parse(&info.to_element(Some("n"))), Some(info.clone()));
        assert!(info.is_bot());
    }

    #[test]
    fn p35_features_without_a_name_are_left_out() {
        let query = query(None)
            .with_child(Element::new("feature", INFO))
            .with_child(Element::new("feature", INFO).with_attr("var", "a"))
            .with_child(Element::new("feature", ITEMS).with_attr("var", "b"));
        assert_eq!(Info::parse(&query).map(|info| info.features), Some(vec!["a".to_owned()]));
        assert_eq!(Info::parse(&Element::new("query", ITEMS)), None);
    }
}
