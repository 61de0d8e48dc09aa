//! Our reader against rxml, a strict parser written for XMPP: over many damaged
//! documents both must say yes or no together, and where yes, read the same element.

use std::fmt::Write;

use rxml::{Event, Parse, Parser};

use super::super::element::Element;
use super::super::{Frame, Framer, Limits, Reader, XmlError, parse};

#[test]
fn both_accept_the_sound_documents() {
    for document in SOUND {
        let ours = parse(document).unwrap_or_else(|error| panic!("{document}: {error}"));
        assert_eq!(oracle(document).map(sorted), Some(sorted(ours)), "{document}");
    }
}

#[test]
fn both_judge_damaged_documents_alike() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..60_000 {
        let mut document = SOUND[random.below(SOUND.len())].to_owned();
        for _ in 0..=random.below(3) {
            damage(&mut document, &mut random);
        }
        if differs_by_design(&document) {
            continue;
        }
        let ours = parse(&document);
        let theirs = oracle(&document);
        match (ours, theirs) {
            (Ok(ours), Some(theirs)) => {
                accepted += 1;
                assert_eq!(sorted(ours), sorted(theirs), "{document:?}");
            }
            (Err(_), None) => refused += 1,
            (Err(error), Some(_)) if we_are_stricter(&document, &error) => refused += 1,
            (ours, theirs) => panic!("{document:?}\nours {ours:?}\ntheirs {theirs:?}"),
        }
    }
    assert!(accepted > 5_000 && refused > 5_000, "{accepted} accepted, {refused} refused");
}

#[test]
fn the_framer_keeps_every_sound_document_whole() {
    let mut random = Random(0xD1B5_4A32_D192_ED03);
    let mut sound = 0;
    for _ in 0..20_000 {
        let mut document = SOUND[random.below(SOUND.len())].to_owned();
        damage(&mut document, &mut random);
        let document = document.trim_matches([' ', '\t', '\r', '\n']);
        let Ok(element) = parse(document) else { continue };
        sound += 1;
        let split = random.below(document.len() + 1);
        let (left, right) = document.as_bytes().split_at(split);
        let mut framer = Framer::new(Limits::DEFAULT);
        framer.push(b"<s>");
        assert_eq!(framer.next_frame(), Ok(Some(Frame::StreamOpen("<s>"))));
        framer.push(left);
        if split < document.len() {
            assert_eq!(framer.next_frame(), Ok(None), "{document:?} cut at {split}");
        }
        framer.push(right);
        assert_eq!(framer.next_frame(), Ok(Some(Frame::Element(document))), "cut at {split}");
        assert_eq!(Reader::standalone().element(document), Ok(element));
        assert_eq!(framer.next_frame(), Ok(None));
    }
    assert!(sound > 2_000, "only {sound} were sound");
}

/// Where the two differ and we mean to.
fn differs_by_design(document: &str) -> bool {
    // Ours reads an element, theirs a document: declaration and byte order mark may precede.
    document.trim_start().starts_with("<?xml") || document.starts_with('\u{FEFF}')
        // Namespaces in XML §3: no prefix may stand for this namespace.
        || document.contains("2000/xmlns/")
}

/// What rxml 0.14 takes although it is not well-formed.
fn we_are_stricter(document: &str, error: &XmlError) -> bool {
    match error {
        // XML 1.0 §3.1: no attribute twice. rxml takes the last of several default namespaces.
        XmlError::AttributeTwice { name, .. } => name == "xmlns",
        // XML 1.0 §2.8: no reference or section outside the outermost element. rxml takes blank ones.
        XmlError::Syntax { at, .. } => {
            let rest = usize::try_from(*at).ok().and_then(|at| document.get(at..));
            let rest = rest.map(|rest| rest.trim_start_matches([' ', '\t', '\r', '\n']));
            rest.is_some_and(|rest| rest.starts_with("&#") || rest.starts_with("<![CDATA["))
        }
        _ => false,
    }
}

/// Replaces, inserts, removes or repeats a piece of the document.
fn damage(document: &mut String, random: &mut Random) {
    let from = boundary(document, random);
    let to = boundary(document, random).clamp(from, from + 6).min(document.len());
    let to = (to..=document.len()).find(|&at| document.is_char_boundary(at)).unwrap_or(document.len());
    match random.below(4) {
        0 => document.replace_range(from..to, ""),
        1 => document.insert_str(from, PIECES[random.below(PIECES.len())]),
        2 => document.replace_range(from..to, PIECES[random.below(PIECES.len())]),
        _ => {
            let piece = document[from..to].to_owned();
            document.insert_str(to, &piece);
        }
    }
}

fn boundary(document: &str, random: &mut Random) -> usize {
    let near = random.below(document.len() + 1);
    (near..=document.len()).find(|&at| document.is_char_boundary(at)).unwrap_or(0)
}

/// What rxml reads, or `None` if it refuses.
fn oracle(document: &str) -> Option<Element> {
    // XML 1.0 §2.11 lets line ends be normalised before parsing; rxml 0.14 refuses a lone
    // carriage return in an attribute value, which it should read as a blank.
    let document = document.replace("\r\n", "\n").replace('\r', "\n");
    let mut input = document.trim_matches([' ', '\t', '\n']).as_bytes();
    let mut parser = Parser::default();
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    loop {
        match parser.parse(&mut input, true) {
            Ok(Some(Event::StartElement(_, (ns, name), attributes))) => {
                let mut element = Element::new(name.to_string(), ns.to_string());
                for ((ns, name), value) in attributes {
                    match ns.to_string() {
                        ns if ns.is_empty() => element.set_attr(name.to_string(), value),
                        ns => element.set_attr_ns(ns, name.to_string(), value),
                    }
                }
                open.push(element);
            }
            Ok(Some(Event::EndElement(_))) => {
                let element = open.pop()?;
                match open.last_mut() {
                    Some(parent) => parent.push(element),
                    None => root = Some(element),
                }
            }
            Ok(Some(Event::Text(_, text))) => open.last_mut()?.push_text(text),
            Ok(Some(Event::XmlDeclaration(..))) => {}
            Ok(None) => return root,
            Err(_) => return None,
        }
    }
}

/// A form that does not depend on the order of attributes, which rxml does not keep.
fn sorted(element: Element) -> String {
    let mut out = String::new();
    describe(&element, &mut out);
    out
}

fn describe(element: &Element, out: &mut String) {
    let mut attributes: Vec<String> = element.attributes().iter().map(|a| format!("{a:?}")).collect();
    attributes.sort();
    write!(out, "({:?} {:?} {attributes:?}", element.ns(), element.name()).expect("a string takes all");
    for node in element.nodes() {
        match node {
            super::super::Node::Element(child) => describe(child, out),
            super::super::Node::Text(text) => write!(out, " {text:?}").expect("a string takes all"),
        }
    }
    out.push(')');
}

/// The same sequence in each run: a failure can be seen again.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound
    }
}

const SOUND: &[&str] = &[
    "<a/>",
    "<a b='c'>d</a>",
    "<a b=\"1\" c='2'><b/>x<c>y</c></a>",
    "<message xmlns='jabber:client' from='a@b/c' id=\"1\"><body>1 &lt; 2 &amp; 3</body></message>",
    "<iq xmlns='jabber:client' type='get'><query xmlns='jabber:iq:roster' ver=''/></iq>",
    "<p:a xmlns:p='urn:x' p:b='1' b='2' xml:lang='de'><p:c/></p:a>",
    "<a xmlns='urn:x' xmlns:p='urn:x' xmlns:q='urn:y'><b p:c='1' q:c='2'/><q:d/></a>",
    "<a><![CDATA[<b>&amp;]]]]>&#65;&#x1F600;<![CDATA[]]></a>",
    "<a b=' \t\n'>\r\n1\r2\n</a>",
    "<\u{E9}t\u{E9} \u{65E5}='\u{672C}'>\u{1F600}\u{85}\u{FFFD}</\u{E9}t\u{E9}>",
    "<a><b><c><d/></c></b><b xmlns=''/></a>",
];

const PIECES: &[&str] = &[
    "<",
    ">",
    "/",
    "=",
    "'",
    "\"",
    "&",
    ";",
    "#",
    "!",
    "?",
    "-",
    "]",
    "[",
    ":",
    " ",
    "\t",
    "\r",
    "\n",
    "\r\n",
    "a",
    "b",
    "1",
    ".",
    "_",
    "xml",
    "xmlns",
    "xmlns=''",
    " xmlns='urn:x'",
    " xmlns:p='urn:x'",
    " xmlns:q='urn:x'",
    " xmlns:p=''",
    " xmlns:xml='urn:x'",
    " xmlns:xmlns='urn:x'",
    " p:b='1'",
    " q:b='2'",
    " b='2'",
    "c='3'",
    "p:",
    "q:",
    "<a>",
    "</a>",
    "<a/>",
    "<b c='d'/>",
    "<p:c/>",
    "&amp;",
    "&lt;",
    "&x;",
    "&#0;",
    "&#1;",
    "&#65;",
    "&#xD;",
    "&#xFFFE;",
    "&#xD800;",
    "&#x110000;",
    "&;",
    "]]>",
    "<![CDATA[",
    "<![CDATA[x]]>",
    "<!-- x -->",
    "<!DOCTYPE a>",
    "<?x y?>",
    "\u{0}",
    "\u{1}",
    "\u{B}",
    "\u{7F}",
    "\u{85}",
    "\u{A0}",
    "\u{B7}",
    "\u{D7}",
    "\u{E9}",
    "\u{300}",
    "\u{2028}",
    "\u{FFFE}",
    "\u{FFFF}",
    "\u{1F600}",
];
