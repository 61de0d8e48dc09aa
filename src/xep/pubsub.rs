//! XEP-0060: Publish-Subscribe, and as far as an account's own nodes go XEP-0163: what is asked of a node, and what it
//! is like.

use super::data_forms::{FORM_TYPE, Field, FieldKind, Form, FormKind};
use super::{Extension, Xep};
use crate::action::{NodeAccess, NodeKeeps};
use crate::xml::Element;

/// Namespace of what everybody may ask.
pub const NS: &str = "http://jabber.org/protocol/pubsub";
/// Namespace of what the owner of a node may ask.
pub const OWNER: &str = "http://jabber.org/protocol/pubsub#owner";
/// Form type of what a node has to be like for an item to be published, §7.1.5.
const PUBLISH_OPTIONS: &str = "http://jabber.org/protocol/pubsub#publish-options";
/// Form type of what a node is like, §16.4.4.
const NODE_CONFIG: &str = "http://jabber.org/protocol/pubsub#node_config";

/// The extension.
pub struct Pubsub;

impl Extension for Pubsub {
    fn xep(&self) -> Xep {
        let scope = "scripts publish, retract, list, subscribe and unsubscribe; a node gets the options it is to have before anything is published on it";
        Xep { number: 60, name: "Publish-Subscribe", version: "1.26.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS, OWNER]
    }
}

/// What a node is to be like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeOptions {
    /// Who may see its items.
    pub access: Option<NodeAccess>,
    /// How many items it keeps.
    pub keeps: Option<NodeKeeps>,
    /// Whether nobody is sent the last item when coming online.
    pub quiet: bool,
}

impl NodeOptions {
    /// Whether nothing is asked of the node.
    pub fn is_empty(&self) -> bool {
        self.access.is_none() && self.keeps.is_none() && !self.quiet
    }

    /// Only who may see the items: what every server takes as a condition.
    pub fn access_only(self) -> Self {
        Self { access: self.access, ..Self::default() }
    }

    fn form(self, form_type: &'static str) -> Element {
        let field = |var: &str, value: String| Field {
            var: Some(var.to_owned()),
            values: vec![value],
            ..Field::default()
        };
        let keeps = self.keeps.map(|keeps| match keeps {
            NodeKeeps::All => "max".to_owned(),
            NodeKeeps::Items(count) => count.to_string(),
        });
        let mut fields =
            vec![Field { kind: Some(FieldKind::Hidden), ..field(FORM_TYPE, form_type.to_owned()) }];
        fields.extend(self.access.map(|access| field("pubsub#access_model", access.as_str().to_owned())));
        if keeps.is_some() {
            fields.push(field("pubsub#persist_items", "true".to_owned()));
        }
        fields.extend(keeps.map(|keeps| field("pubsub#max_items", keeps)));
        if self.quiet {
            fields.push(field("pubsub#send_last_published_item", "never".to_owned()));
        }
        Form { fields, ..Form::new(FormKind::Submit) }.to_element()
    }
}

/// Publishes an item, on condition that the node is like that, §7.1.5.
pub fn publish(node: &str, id: Option<&str>, payload: Element, options: NodeOptions) -> Element {
    let item = Element::new("item", NS).with_attr_opt("id", id).with_child(payload);
    let publish = Element::new("publish", NS).with_attr("node", node).with_child(item);
    let pubsub = Element::new("pubsub", NS).with_child(publish);
    if options.is_empty() {
        return pubsub;
    }
    pubsub.with_child(Element::new("publish-options", NS).with_child(options.form(PUBLISH_OPTIONS)))
}

/// Makes a node that is like that, §8.1.3.
pub fn create(node: &str, options: NodeOptions) -> Element {
    Element::new("pubsub", NS)
        .with_child(Element::new("create", NS).with_attr("node", node))
        .with_child(Element::new("configure", NS).with_child(options.form(NODE_CONFIG)))
}

/// Asks what a node is like, §8.2.1.
pub fn read_config(node: &str) -> Element {
    Element::new("pubsub", OWNER).with_child(Element::new("configure", OWNER).with_attr("node", node))
}

/// Has a node be like that, §8.2.4.
pub fn configure(node: &str, options: NodeOptions) -> Element {
    let configure = Element::new("configure", OWNER).with_attr("node", node);
    Element::new("pubsub", OWNER).with_child(configure.with_child(options.form(NODE_CONFIG)))
}

/// Who may see the items of a node, by the answer to [`read_config`]. Only the form of that type counts, and only where
/// it says so once.
pub fn access_of(answer: &Element) -> Option<NodeAccess> {
    let form = Form::find(answer.child("configure", OWNER)?, NODE_CONFIG)?;
    let mut fields = form.fields.iter().filter(|field| field.var.as_deref() == Some("pubsub#access_model"));
    match (fields.next().map(|field| field.values.as_slice()), fields.next()) {
        (Some([value]), None) => NodeAccess::parse(value),
        _ => None,
    }
}

/// Takes an item back, §7.2. Subscribers are told.
pub fn retract(node: &str, id: &str) -> Element {
    let item = Element::new("item", NS).with_attr("id", id);
    let retract = Element::new("retract", NS).with_attr("node", node).with_attr("notify", "true");
    Element::new("pubsub", NS).with_child(retract.with_child(item))
}

/// Asks for items: these, or the latest `most`, or all, §6.5; `after` goes on behind an earlier page, XEP-0059.
pub fn items(node: &str, ids: &[String], most: Option<u32>, after: Option<&str>) -> Element {
    let mut items = Element::new("items", NS).with_attr("node", node);
    if after.is_none() {
        items =
            items.with_attr_opt("max_items", most.filter(|_| ids.is_empty()).map(|most| most.to_string()));
    }
    for id in ids {
        items.push(Element::new("item", NS).with_attr("id", id.as_str()));
    }
    let pubsub = Element::new("pubsub", NS).with_child(items);
    match after {
        None => pubsub,
        Some(after) => {
            let mut set = Element::new("set", RSM);
            if let Some(most) = most {
                set.push(Element::new("max", RSM).with_text(most.to_string()));
            }
            pubsub.with_child(set.with_child(Element::new("after", RSM).with_text(after)))
        }
    }
}

/// XEP-0059: Result Set Management.
const RSM: &str = "http://jabber.org/protocol/rsm";

/// Subscribes an address to a node, or no longer, §6.1 and §6.2.
pub fn subscription(node: &str, jid: &str, wanted: bool) -> Element {
    let verb = if wanted { "subscribe" } else { "unsubscribe" };
    Element::new("pubsub", NS)
        .with_child(Element::new(verb, NS).with_attr("node", node).with_attr("jid", jid))
}

/// An item as it comes back.
#[derive(Clone, Debug, PartialEq)]
pub struct Item<'a> {
    /// Its id.
    pub id: Option<&'a str>,
    /// Who has published it, where the service says so.
    pub publisher: Option<&'a str>,
    /// What was published.
    pub payload: Option<&'a Element>,
}

/// The items in an answer to [`items`].
pub fn items_in(answer: &Element) -> Option<impl Iterator<Item = Item<'_>>> {
    let items = answer.is("pubsub", NS).then(|| answer.child("items", NS)).flatten()?;
    Some(items.children().filter(|item| item.is("item", NS)).map(|item| Item {
        id: item.attr("id"),
        publisher: item.attr("publisher"),
        payload: item.children().next(),
    }))
}

/// The id that an item got, in the answer to [`publish`].
pub fn published_id(answer: &Element) -> Option<&str> {
    answer.child("publish", NS)?.child("item", NS)?.attr("id")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{parse, writer};

    #[test]
    fn p3_options_are_conditions_first_and_then_the_node_is_made() {
        let options =
            NodeOptions { access: Some(NodeAccess::Whitelist), keeps: Some(NodeKeeps::All), quiet: true };
        let text = |element: &Element| writer::to_string(element).expect("XML");
        let fields = "<field var='pubsub#access_model'><value>whitelist</value></field>\
                      <field var='pubsub#persist_items'><value>true</value></field>\
                      <field var='pubsub#max_items'><value>max</value></field>\
                      <field var='pubsub#send_last_published_item'><value>never</value></field></x>";
        for (element, form_type) in [
            (publish("n", Some("i"), Element::new("a", "b"), options), "publish-options"),
            (create("n", options), "node_config"),
            (configure("n", options), "node_config"),
        ] {
            let written = text(&element);
            assert!(written.contains(&format!("<value>{NS}#{form_type}</value>")), "{written}");
            assert!(written.contains(fields), "{written}");
        }
        let plain = publish("n", None, Element::new("a", "b"), NodeOptions::default());
        assert_eq!(
            text(&plain),
            format!("<pubsub xmlns='{NS}'><publish node='n'><item><a xmlns='b'/></item></publish></pubsub>")
        );
    }

    #[test]
    fn p4_only_a_plain_word_of_the_service_says_who_may_see_a_node() {
        let answer = |form: &str| {
            let text = format!(
                "<pubsub xmlns='{OWNER}'><configure node='n'><x xmlns='jabber:x:data' type='form'>{form}</x>\
                 </configure></pubsub>"
            );
            access_of(&parse(&text).expect("XML"))
        };
        let right = format!("<field var='FORM_TYPE' type='hidden'><value>{NODE_CONFIG}</value></field>");
        let model =
            |value: &str| format!("<field var='pubsub#access_model' type='list-single'>{value}</field>");
        let list = model("<value>whitelist</value><option><value>open</value></option>");
        assert_eq!(answer(&format!("{right}{list}")), Some(NodeAccess::Whitelist));
        for wrong in [
            list.clone(),
            format!("{right}{list}{list}"),
            format!("{right}{}", model("")),
            format!("{right}{}", model("<value>whitelist</value><value>open</value>")),
            format!("{right}{}", model("<value>authorize</value>")),
            format!("<field var='FORM_TYPE'><value>other</value></field>{list}"),
        ] {
            assert_eq!(answer(&wrong), None, "{wrong}");
        }
        assert_eq!(access_of(&Element::new("pubsub", OWNER)), None);
    }

    #[test]
    fn p2_items_are_read_and_asked_for() {
        let answer = parse(&format!(
            "<pubsub xmlns='{NS}'><items node='n'><item id='1' publisher='a@b'><x xmlns='c'/></item><item/>\
             <other/></items></pubsub>"
        ))
        .expect("XML");
        let read: Vec<_> =
            items_in(&answer).expect("items").map(|it| (it.id, it.payload.is_some())).collect();
        assert_eq!(read, [(Some("1"), true), (None, false)]);
        assert!(items_in(&Element::new("pubsub", OWNER)).is_none());
        let text = |element: Element| writer::to_string(&element).expect("XML");
        assert_eq!(
            text(items("n", &[], Some(3), None)),
            format!("<pubsub xmlns='{NS}'><items node='n' max_items='3'/></pubsub>")
        );
        assert!(
            text(items("n", &["1".to_owned()], Some(3), None)).contains("<items node='n'><item id='1'/>")
        );
        let page = text(items("n", &[], Some(3), Some("7")));
        assert!(
            page.contains("<set xmlns='http://jabber.org/protocol/rsm'><max>3</max><after>7</after></set>")
        );
    }
}
