//! What handlers of `iq:NAMESPACE` are given: a request of a peer, and how it is answered.

use std::sync::Arc;

use rhai::{Dynamic, EvalAltResult, Module};

use crate::action::Action;
use crate::event::Request;
use crate::script::api::bot::payload;
use crate::script::api::xml::XmlObject;
use crate::script::api::{Area, Function, check_characters, getter};
use crate::script::error::{Kind, Thrown, nearest};
use crate::script::host::set;
use crate::script::memory;
use crate::script::turn;
use crate::stanza::{ErrorKind, StanzaError};
use crate::xml::Element;

pub(super) const AREA: Area = Area {
    title: "Requests of others",
    module: None,
    about: "What handlers of `iq:NAMESPACE` are given: an IQ of type `get` or `set` whose payload is of that namespace, from the account itself or from a contact who sees the bot's presence. Others are told `service-unavailable`. One script of a bot answers a namespace, within 30 seconds, also from a closure of `http::` or `timer::after`; only the first answer counts. A handler that fails is answered with `internal-server-error`, one that does not answer with `remote-server-timeout`. Namespaces that the runtime answers itself, such as `urn:xmpp:ping`, are refused.",
    objects: &[("iq", "Request")],
    functions: &[
        Function::new(
            "iq.result(payload: string or Xml)",
            "Answers with a result.",
            r#"on("iq:urn:example:stock", |iq| {
    let left = store::get("stock/" + iq.xml.attr("item"));
    if left == () { return iq.error("item-not-found"); }
    iq.result(xml::element("stock", iq.ns).with_text(`${left}`));
});"#,
        ),
        Function::new(
            "iq.result()",
            "Answers with an empty result.",
            r#"on("iq:urn:example:stock", |iq| iq.result());"#,
        ),
        Function::new(
            "iq.error(condition: string)",
            "Answers with an error: a condition of RFC 6120 such as `item-not-found`, `forbidden` or `bad-request`.",
            r#"on("iq:urn:example:stock", |iq| iq.error("item-not-found"));"#,
        ),
        Function::new(
            "iq.error(condition: string, text: string)",
            "The same with words for people.",
            r#"on("iq:urn:example:stock", |iq| iq.error("forbidden", "not for you"));"#,
        ),
        Function::new(
            "iq.xml: Xml",
            "What is asked.",
            r#"on("iq:urn:example:stock", |iq| { log::info(iq.xml.name); iq.result(); });"#,
        ),
        Function::new(
            "iq.ns: string",
            "The namespace of what is asked.",
            r#"on("iq:urn:example:stock", |iq| iq.result(xml::element("stock", iq.ns)));"#,
        ),
        Function::new(
            "iq.kind: string",
            "`get` or `set`.",
            r#"on("iq:urn:example:stock", |iq| if iq.kind == "set" { iq.error("not-allowed"); } else { iq.result(); });"#,
        ),
        Function::new(
            "iq.from: string",
            "Who asks.",
            r#"on("iq:urn:example:stock", |iq| { log::info(iq.from); iq.result(); });"#,
        ),
        Function::new(
            "iq.who: string",
            "The asker's address without resource.",
            r#"on("iq:urn:example:stock", |iq| if rate::over(iq.who, 10, "1m") { iq.error("policy-violation"); } else { iq.result(); });"#,
        ),
    ],
    register,
};

/// Defined conditions and what the sender may do about each, RFC 6120 §8.3.3.
const CONDITIONS: &[(&str, ErrorKind)] = &[
    ("bad-request", ErrorKind::Modify),
    ("conflict", ErrorKind::Cancel),
    ("feature-not-implemented", ErrorKind::Cancel),
    ("forbidden", ErrorKind::Auth),
    ("gone", ErrorKind::Cancel),
    ("internal-server-error", ErrorKind::Cancel),
    ("item-not-found", ErrorKind::Cancel),
    ("not-acceptable", ErrorKind::Modify),
    ("not-allowed", ErrorKind::Cancel),
    ("not-authorized", ErrorKind::Auth),
    ("policy-violation", ErrorKind::Modify),
    ("recipient-unavailable", ErrorKind::Wait),
    ("registration-required", ErrorKind::Auth),
    ("resource-constraint", ErrorKind::Wait),
    ("service-unavailable", ErrorKind::Cancel),
    ("subscription-required", ErrorKind::Auth),
    ("undefined-condition", ErrorKind::Cancel),
    ("unexpected-request", ErrorKind::Wait),
];

/// A request as scripts hold it.
#[derive(Clone)]
pub(in crate::script) struct RequestObject(pub Arc<Request>);

type Checked<T> = Result<T, Box<EvalAltResult>>;

fn register(module: &mut Module) {
    module.set_custom_type::<RequestObject>("Request");
    getter(module, "from", |q: &mut RequestObject| q.0.from.as_str().to_owned());
    getter(module, "who", |q: &mut RequestObject| q.0.from.bare_str().to_owned());
    getter(module, "kind", |q: &mut RequestObject| if q.0.set { "set" } else { "get" });
    getter(module, "ns", |q: &mut RequestObject| q.0.payload.ns().to_owned());
    getter(module, "xml", |q: &mut RequestObject| XmlObject(Arc::new(q.0.payload.clone())));
    set(module, "result", |q: &mut RequestObject| respond(q, 0, Ok(None)));
    set(module, "result", |q: &mut RequestObject, answer: Dynamic| {
        let (element, weight) = payload(&answer)?;
        respond(q, weight, Ok(Some(element)))
    });
    set(module, "error", |q: &mut RequestObject, condition: &str| refuse(q, condition, ""));
    set(module, "error", refuse);
}

fn refuse(q: &mut RequestObject, condition: &str, text: &str) -> Checked<()> {
    let Some((condition, kind)) = CONDITIONS.iter().find(|(known, _)| *known == condition) else {
        let thrown = Thrown::new(Kind::Runtime, format!("`{condition}` is no condition of RFC 6120"));
        let near = nearest(condition, CONDITIONS.iter().map(|(known, _)| *known));
        let hint = near.map(|near| format!("did you mean `{near}`?"));
        return Err(Thrown { hint, ..thrown }.into());
    };
    check_characters(text)?;
    let error = memory::uncounted(|| match text {
        "" => StanzaError::new(*kind, condition),
        text => StanzaError::new(*kind, condition).with_text(text),
    });
    respond(q, text.len(), Err(error))
}

fn respond(q: &RequestObject, weight: usize, outcome: Result<Option<Element>, StanzaError>) -> Checked<()> {
    turn::act(|turn| turn.push(weight + 256, || Action::Respond { token: q.0.token.clone(), outcome }))
}
