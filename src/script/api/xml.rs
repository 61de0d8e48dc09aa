//! `xml::`: reading and building XML for requests.

use std::sync::Arc;

use rhai::{Array, Dynamic, EvalAltResult, Module};

use crate::script::api::{Area, Function, check_characters, getter, optional, put};
use crate::script::error::{Kind, Thrown};
use crate::script::host::set;
use crate::xml::Element;

pub(super) const AREA: Area = Area {
    title: "XML",
    module: Some("xml"),
    about: "For `bot::iq`. An `Xml` does not change; `with_…` gives a new one.",
    objects: &[("x", "Xml")],
    functions: &[
        Function {
            signature: "xml::parse(text: string) -> Xml",
            about: "Reads one element with its namespaces.",
            example: r#"on("message", |m| m.reply(xml::parse("<a xmlns='urn:b'>hi</a>").text));"#,
        },
        Function {
            signature: "xml::element(name: string, ns: string) -> Xml",
            about: "An empty element.",
            example: r#"on("message", |m| bot::iq("get", m.from, xml::element("ping", "urn:xmpp:ping"), |a| log::info(`${a.ok}`)));"#,
        },
        Function {
            signature: "x.name: string",
            about: "Its name.",
            example: r#"on("message", |m| m.reply(xml::element("a", "b").name));"#,
        },
        Function {
            signature: "x.ns: string",
            about: "Its namespace.",
            example: r#"on("message", |m| m.reply(xml::element("a", "b").ns));"#,
        },
        Function {
            signature: "x.text: string",
            about: "Its own text.",
            example: r#"on("message", |m| m.reply(xml::element("a", "b").with_text("c").text));"#,
        },
        Function {
            signature: "x.children: array",
            about: "Its child elements.",
            example: r#"on("message", |m| m.reply(xml::parse("<a xmlns='b'><c/><d/></a>").children.len()));"#,
        },
        Function {
            signature: "x.attr(name: string) -> string",
            about: "An attribute, or nothing.",
            example: r#"on("message", |m| m.reply(xml::parse("<a xmlns='b' c='d'/>").attr("c")));"#,
        },
        Function {
            signature: "x.child(name: string) -> Xml",
            about: "The first child of that name, or nothing.",
            example: r#"on("message", |m| m.reply(xml::parse("<a xmlns='b'><c>d</c></a>").child("c").text));"#,
        },
        Function {
            signature: "x.with_attr(name: string, value: string) -> Xml",
            about: "With an attribute.",
            example: r#"on("message", |m| m.reply(`${xml::element("a", "b").with_attr("c", "d")}`));"#,
        },
        Function {
            signature: "x.with_text(text: string) -> Xml",
            about: "With text behind what is there.",
            example: r#"on("message", |m| m.reply(`${xml::element("a", "b").with_text("c")}`));"#,
        },
        Function {
            signature: "x.with_child(child: Xml) -> Xml",
            about: "With a child behind what is there.",
            example: r#"on("message", |m| m.reply(`${xml::element("a", "b").with_child(xml::element("c", "b"))}`));"#,
        },
    ],
    register,
};

/// An element as scripts hold it.
#[derive(Clone)]
pub(in crate::script) struct XmlObject(pub Arc<Element>);

/// Bytes of the largest element a script may build or send.
const LARGEST: usize = 256 * 1024;
/// Levels of the deepest one; as many as a reader takes.
const DEEPEST: usize = 64;

type Checked<T> = Result<T, Box<EvalAltResult>>;

/// The one element in `text`.
pub(super) fn parse(text: &str) -> Result<Element, Thrown> {
    crate::xml::reader::parse(text)
        .map_err(|why| Thrown::new(Kind::Runtime, format!("this is no XML element: {why}")))
}

fn register(module: &mut Module) {
    put(module, "parse", |text: &str| -> Checked<XmlObject> { Ok(object(parse(text)?)) });
    put(module, "element", |name: &str, ns: &str| -> Checked<XmlObject> {
        checked(Element::new(name.to_owned(), ns.to_owned()))
    });
    module.set_custom_type::<XmlObject>("Xml");
    getter(module, "name", |x: &mut XmlObject| x.0.name().to_owned());
    getter(module, "ns", |x: &mut XmlObject| x.0.ns().to_owned());
    getter(module, "text", |x: &mut XmlObject| x.0.text());
    getter(module, "children", |x: &mut XmlObject| {
        x.0.children().map(|child| Dynamic::from(object(child.clone()))).collect::<Array>()
    });
    set(module, "attr", |x: &mut XmlObject, name: &str| optional(x.0.attr(name)));
    set(module, "child", |x: &mut XmlObject, name: &str| {
        let child = x.0.children().find(|child| child.name() == name);
        child.map_or(Dynamic::UNIT, |child| Dynamic::from(object(child.clone())))
    });
    set(module, "with_attr", |x: &mut XmlObject, name: &str, value: &str| -> Checked<XmlObject> {
        checked((*x.0).clone().with_attr(name.to_owned(), value))
    });
    set(module, "with_text", |x: &mut XmlObject, text: &str| -> Checked<XmlObject> {
        check_characters(text)?;
        Ok(object((*x.0).clone().with_text(text)))
    });
    set(module, "with_child", |x: &mut XmlObject, child: XmlObject| -> Checked<XmlObject> {
        // Before copying: a child that is put into itself doubles with every call.
        let bytes = written(&x.0)? + written(&child.0)?;
        within(bytes, depth(&x.0).max(1 + depth(&child.0)))?;
        Ok(object((*x.0).clone().with_child((*child.0).clone())))
    });
    set(module, "to_string", |x: &mut XmlObject| show(&x.0));
    set(module, "to_debug", |x: &mut XmlObject| show(&x.0));
}

fn object(element: Element) -> XmlObject {
    XmlObject(Arc::new(element))
}

/// Refuses names and values that cannot be written, where they are made.
fn checked(element: Element) -> Checked<XmlObject> {
    match crate::xml::writer::to_string(&element) {
        Ok(_) => Ok(object(element)),
        Err(why) => Err(Thrown::new(Kind::Runtime, format!("this cannot be written as XML: {why}")).into()),
    }
}

/// Bytes of the element as text.
///
/// # Errors
/// Where it cannot be written, or is larger or deeper than a stanza may be.
pub(super) fn written(element: &Element) -> Result<usize, Thrown> {
    let depth = depth(element);
    within(0, depth)?;
    let text = crate::xml::writer::to_string(element)
        .map_err(|why| Thrown::new(Kind::Runtime, format!("this cannot be written as XML: {why}")))?;
    within(text.len(), depth)?;
    Ok(text.len())
}

fn within(bytes: usize, depth: usize) -> Result<(), Thrown> {
    if bytes > LARGEST || depth > DEEPEST {
        let message = format!("this XML has more than {LARGEST} bytes or {DEEPEST} levels");
        return Err(Thrown::new(Kind::Size, message));
    }
    Ok(())
}

/// Levels of elements. Bounded: what is read has at most 64, and each `with_child` checks what it makes.
fn depth(element: &Element) -> usize {
    1 + element.children().map(depth).max().unwrap_or(0)
}

fn show(element: &Element) -> Checked<String> {
    crate::xml::writer::to_string(element)
        .map_err(|why| Thrown::new(Kind::Runtime, format!("this cannot be written as XML: {why}")).into())
}
