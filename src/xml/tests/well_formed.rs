//! One test for each class of input that quick-xml accepts and XMPP forbids,
//! and for what XML 1.0 asks a parser to normalise.

use super::super::element::Element;
use super::super::error::XmlError;
use super::super::{Limits, Reader, parse};
use crate::ns;

#[test]
fn control_characters() {
    for text in ["\u{0}", "\u{1}", "\u{8}", "\u{B}", "\u{C}", "\u{1F}"] {
        check_places(text, "not-well-formed");
    }
}

#[test]
fn noncharacters_raw_and_as_references() {
    for text in ["\u{FFFE}", "\u{FFFF}"] {
        check_places(text, "not-well-formed");
    }
    for text in ["&#xFFFE;", "&#65535;"] {
        check_value_and_text(text, "not-well-formed");
    }
}

#[test]
fn references_to_forbidden_characters() {
    for text in ["&#0;", "&#1;", "&#x1F;", "&#xD800;", "&#x110000;", "&#99999999999999999999;"] {
        check_value_and_text(text, "not-well-formed");
    }
}

#[test]
fn malformed_references() {
    for text in [
        "&", "& ", "&;", "&#;", "&#x;", "&#X41;", "&#-1;", "&#+1;", "&#4 1;", "&amp", "&1;", "& amp;",
        "&#xG;",
    ] {
        check_value_and_text(text, "not-well-formed");
    }
}

#[test]
fn entities_beyond_the_five() {
    for text in ["&nbsp;", "&foo;", "&AMP;", "&é;"] {
        check_value_and_text(text, "restricted-xml");
    }
}

#[test]
fn the_end_of_a_section_in_character_data() {
    check("<a>]]></a>", "not-well-formed");
    check("<a>x]]>y<b/></a>", "not-well-formed");
    check("<a><![CDATA[x]]>]]></a>", "not-well-formed");
    assert_eq!(text("<a>]]&gt; ]] > ]]<b/></a>"), "]]> ]] > ]]");
    assert_eq!(text("<a b=']]>'>]]</a>"), "]]");
}

#[test]
fn names_outside_the_grammar() {
    for name in [
        "1a", "-a", ".a", "a@b", "a/b", "a\u{A0}b", "a\u{85}b", "a\u{B}b", "a:b:c", ":a", "a:", ":", "a<b",
        "a\u{D7}", "\u{300}a", "a&amp;", "a=b",
    ] {
        check(&format!("<{name}/>"), "not-well-formed");
        check(&format!("<{name}></{name}>"), "not-well-formed");
    }
    for name in ["1a", "-a", ".a", "a@b", "a/b", "a\u{A0}b", "a:b:c", ":a", "a:", "<", "a<b", "'b'", ""] {
        check(&format!("<x {name}='1'/>"), "not-well-formed");
    }
    for tag in ["<>", "<></>", "< a/>", "<a></ a>", "</a>", "<a/ >", "<a / >", "</a/>"] {
        check(tag, "not-well-formed");
    }
}

#[test]
fn attributes_without_a_blank_between_them() {
    check("<a b='1'c='2'/>", "not-well-formed");
    check("<a b='1'/c='2'/>", "not-well-formed");
    assert_eq!(parsed("<a b='1'\r\n\tc='2' />").attributes().len(), 2);
}

#[test]
fn attributes_that_are_cut_off_or_unquoted() {
    for tag in [
        "<a b/>",
        "<a b=/>",
        "<a b=1/>",
        "<a b='1/>",
        "<a b='1\"/>",
        "<a ='1'/>",
        "<a b=''' />",
        "<a b ' '/>",
    ] {
        check(tag, "not-well-formed");
    }
    assert_eq!(parsed("<a b = '1'/>").attr("b"), Some("1"));
}

#[test]
fn a_less_than_sign_in_a_value() {
    check("<a b='<'/>", "not-well-formed");
    check("<a b='x<y'/>", "not-well-formed");
    assert_eq!(parsed("<a b='>&lt;'/>").attr("b"), Some("><"));
}

#[test]
fn attributes_twice_even_under_two_prefixes() {
    check("<a b='1' b='2'/>", "not-well-formed");
    check("<a xmlns='u' xmlns='u'/>", "not-well-formed");
    check("<a xmlns:p='u' xmlns:p='v'/>", "not-well-formed");
    check("<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>", "not-well-formed");
    assert_eq!(parsed("<a xmlns:p='u' xmlns='u' p:b='1' b='2'/>").attributes().len(), 2);
}

#[test]
fn prefixes_without_a_declaration() {
    for tag in ["<p:a/>", "<a p:b='1'/>", "<a><b xmlns:p='u'/><p:c/></a>", "<stream:features/>"] {
        check(tag, "bad-namespace-prefix");
    }
}

#[test]
fn declarations_that_may_not_be_made() {
    for declaration in [
        "xmlns:p=''",
        "xmlns='http://www.w3.org/XML/1998/namespace'",
        "xmlns='http://www.w3.org/2000/xmlns/'",
        "xmlns:xml='urn:x'",
        "xmlns:xml=''",
        "xmlns:xmlns='urn:x'",
        "xmlns:xmlns='http://www.w3.org/2000/xmlns/'",
        "xmlns:p='http://www.w3.org/XML/1998/namespace'",
        "xmlns:p='http://www.w3.org/2000/xmlns/'",
    ] {
        check(&format!("<a {declaration}/>"), "not-well-formed");
    }
    assert_eq!(
        parsed("<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang='de'/>").lang(),
        Some("de")
    );
    check("<xmlns:a/>", "bad-namespace-prefix");
    check("<a xmlns:='u'/>", "not-well-formed");
}

#[test]
fn comments_instructions_and_document_types() {
    for construct in ["<!-- b -->", "<?b c?>", "<?xml version='1.0'?>", "<!DOCTYPE b [<!ENTITY c 'd'>]>"] {
        check(&format!("<a>{construct}</a>"), "restricted-xml");
    }
    for construct in ["<!-- b --><a/>", "<?xml version='1.0'?><a/>", "<!DOCTYPE a><a/>"] {
        check(construct, "restricted-xml");
    }
}

#[test]
fn end_tags_missing_crossed_or_left_over() {
    for document in ["<a>", "<a><b></a>", "<a></b>", "<a><b></a></b>", "<a", "<a b='", "<a></a", "<a/></a>"] {
        check(document, "not-well-formed");
    }
    for document in ["<a xmlns:p='u' xmlns:q='u'><p:b></q:b></a>", "<a></a b='c'>"] {
        check(document, "not-well-formed");
    }
    assert_eq!(text("<a>x</a \n>"), "x");
}

#[test]
fn one_element_and_nothing_around_it() {
    for document in [
        "",
        " ",
        "x",
        "<a/>x",
        "x<a/>",
        "<a/><b/>",
        "<![CDATA[x]]>",
        "<![CDATA[]]><a/>",
        "<![CDATA[x]]><a/>",
        "&amp;<a/>",
        "\u{FEFF}<a/>",
        "<a/>\u{FEFF}",
    ] {
        check(document, "not-well-formed");
    }
    assert!(parse(" \n<a/>\t").is_ok());
    check_frame(&Reader::standalone(), " <a/>", "not-well-formed");
}

#[test]
fn more_depth_attributes_or_declarations_than_allowed() {
    check(&format!("{}{}", "<a>".repeat(65), "</a>".repeat(65)), "policy-violation");
    check(&format!("<a>{}", "<b>".repeat(100_000)), "policy-violation");
    let many: String = (0..129).map(|n| format!(" a{n}=''")).collect();
    check(&format!("<a{many}/>"), "policy-violation");
    let tag = |depth: usize| (0..3).map(|n| format!(" xmlns:p{depth}-{n}='u'")).collect::<String>();
    let nested: String = (0..50).map(|depth| format!("<a{}>", tag(depth))).collect();
    check(&format!("{nested}{}", "</a>".repeat(50)), "policy-violation");
}

#[test]
fn sections_references_and_text_join() {
    assert_eq!(text("<a>1<![CDATA[<2&amp;>]]>3&amp;4&#x35;&#54;</a>"), "1<2&amp;>3&456");
    assert_eq!(parsed("<a>1<![CDATA[2]]>3</a>").nodes().len(), 1);
    assert_eq!(parsed("<a><![CDATA[]]></a>").nodes().len(), 0);
    assert_eq!(parsed("<a> <b/> </a>").nodes().len(), 3);
}

#[test]
fn line_ends_become_one_line_feed() {
    // XML 1.0 §2.11
    assert_eq!(text("<a>1\r\n2\r3\n4\r\r\n5</a>"), "1\n2\n3\n4\n\n5");
    assert_eq!(text("<a><![CDATA[1\r\n2\r]]></a>"), "1\n2\n");
    assert_eq!(text("<a>1&#13;\n2&#xD;&#xA;</a>"), "1\r\n2\r\n");
}

#[test]
fn blanks_in_values_become_spaces() {
    // XML 1.0 §3.3.3
    assert_eq!(parsed("<a b='1\t2\n3\r\n4\r5 6'/>").attr("b"), Some("1 2 3 4 5 6"));
    assert_eq!(parsed("<a b='1&#9;2&#10;3&#13;&#10;4'/>").attr("b"), Some("1\t2\n3\r\n4"));
    assert_eq!(parsed("<a b='\r\n\r\n'/>").attr("b"), Some("  "));
}

#[test]
fn the_five_entities_and_character_references() {
    let expected = "<>&'\"A\u{1F600}";
    assert_eq!(text("<a>&lt;&gt;&amp;&apos;&quot;&#65;&#x1f600;</a>"), expected);
    assert_eq!(parsed("<a b='&lt;&gt;&amp;&apos;&quot;&#0065;&#x1F600;'/>").attr("b"), Some(expected));
    // A reference is resolved once only.
    assert_eq!(text("<a>&amp;lt;&#38;lt;</a>"), "&lt;&lt;");
}

#[test]
fn namespaces_are_resolved_and_left_again() {
    let root =
        parsed("<p:a xmlns:p='u' xmlns='d'><b p:c='1' c='2'/><b xmlns=''/><b xmlns='e'><c/></b><b/></p:a>");
    assert!(root.is("a", "u"));
    let children: Vec<&str> = root.children().map(Element::ns).collect();
    assert_eq!(children, ["d", "", "e", "d"]);
    let first = root.child("b", "d").expect("the first child");
    assert_eq!((first.attr_ns("u", "c"), first.attr("c")), (Some("1"), Some("2")));
    assert!(root.child("b", "e").is_some_and(|b| b.has_child("c", "e")));
    assert_eq!(
        parsed("<a xmlns:p='u'><b xmlns:p='v'/><p:c/></a>").children().last().map(Element::ns),
        Some("u")
    );
    assert_eq!(parsed("<a xmlns='&#x75;&amp;'/>").ns(), "u&");
}

#[test]
fn the_header_lends_its_namespaces_to_every_frame() {
    let (reader, header) = Reader::header(
        "<st:stream from='a.example' id='1' xmlns:x='urn:x' xmlns='jabber:client' \
         xmlns:st='http://etherx.jabber.org/streams' version='1.0' xml:lang='en'>",
    )
    .expect("a stream header");
    assert!(header.element.is("stream", ns::STREAM));
    assert_eq!((header.prefix.as_str(), &*header.default_ns), ("st", ns::CLIENT));
    assert_eq!((header.element.attr("id"), header.element.lang()), (Some("1"), Some("en")));
    assert_eq!(header.element.attributes().len(), 4);
    let features = reader.element("<st:features><x:y/><z/></st:features>").expect("an element");
    assert!(features.is("features", ns::STREAM));
    assert!(features.has_child("y", "urn:x") && features.has_child("z", ns::CLIENT));
    check_frame(&reader, "<stream:features/>", "bad-namespace-prefix");
    assert!(reader.element("<a xmlns:st='urn:y'><st:b/></a>").is_ok_and(|a| a.has_child("b", "urn:y")));
}

#[test]
fn a_header_must_be_a_start_tag() {
    for (header, condition) in [
        ("<stream:stream>", "bad-namespace-prefix"),
        ("<stream:stream xmlns:stream=''>", "not-well-formed"),
        ("<a b='1'c='2'>", "not-well-formed"),
        ("<a>x", "not-well-formed"),
        ("</a>", "not-well-formed"),
        ("<a\u{1}>", "not-well-formed"),
        ("", "not-well-formed"),
    ] {
        let refusal = Reader::header(header).map(|_| ()).map_err(|error| error.condition());
        assert_eq!(refusal, Err(condition), "{header}");
    }
    assert!(Reader::header("<a/>").is_ok());
}

#[test]
fn errors_tell_the_byte() {
    for (document, at) in [
        ("<a>\u{E9}\u{1}</a>", 5),
        ("  <a>&x;</a>", 5),
        ("<a b='1' 2='3'/>", 9),
        ("<a b='1&#0;'/>", 7),
        ("<a><b></c></a>", 6),
        ("<a>x]]></a>", 4),
        ("<a><p:b/></a>", 4),
        ("<a b='1' b='2'/>", 9),
        ("<a>", 3),
    ] {
        assert_eq!(parse(document).map_err(|error| error.at()), Err(at), "{document:?}");
    }
}

#[test]
fn a_reader_may_have_other_limits() {
    let narrow = Reader::within(ns::CLIENT).with_limits(Limits { depth: 2, ..Limits::DEFAULT });
    assert!(narrow.element("<a><b/></a>").is_ok_and(|a| a.is("a", ns::CLIENT)));
    check_frame(&narrow, "<a><b><c/></b></a>", "policy-violation");
}

/// Refused raw in text, value, name and CDATA section.
fn check_places(text: &str, condition: &str) {
    check_value_and_text(text, condition);
    check(&format!("<a><![CDATA[{text}]]></a>"), condition);
    check(&format!("<a{text}/>"), condition);
}

fn check_value_and_text(text: &str, condition: &str) {
    check(&format!("<a>x{text}y</a>"), condition);
    check(&format!("<a>{text}</a>"), condition);
    check(&format!("<a b='x{text}y'/>"), condition);
    check(&format!("<a b=\"{text}\"/>"), condition);
    check(&format!("<a xmlns:b='{text}'/>"), condition);
}

#[track_caller]
fn check(document: &str, condition: &str) {
    assert_eq!(parse(document).map_err(|error| error.condition()), Err(condition), "{document:?}");
}

#[track_caller]
fn check_frame(reader: &Reader, frame: &str, condition: &str) {
    let refusal = reader.element(frame).map_err(|error: XmlError| error.condition());
    assert_eq!(refusal, Err(condition), "{frame:?}");
}

#[track_caller]
fn parsed(document: &str) -> Element {
    parse(document).unwrap_or_else(|error| panic!("{document:?}: {error}"))
}

#[track_caller]
fn text(document: &str) -> String {
    parsed(document).text()
}
