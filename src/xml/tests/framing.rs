//! Framing: the same frames however the bytes arrive, and nothing beyond the limits.

use super::super::error::{Construct, Limit};
use super::super::{Frame, Framer, Limits, XmlError};

const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

#[test]
fn every_split_gives_the_same_frames() {
    for document in DOCUMENTS {
        let bytes = document.as_bytes();
        let whole = frames([bytes]);
        assert!(whole.iter().all(|piece| !piece.starts_with("error")), "{whole:?}");
        assert_eq!(frames(bytes.chunks(1)), whole, "byte by byte: {document}");
        for split in 0..=bytes.len() {
            let (left, right) = bytes.split_at(split);
            assert_eq!(frames([left, right]), whole, "split at {split}: {document}");
        }
    }
}

#[test]
fn every_split_gives_the_same_error() {
    for (document, _) in refused() {
        let bytes = document.as_bytes();
        let whole = frames([bytes]);
        assert_eq!(frames(bytes.chunks(1)), whole, "byte by byte: {document}");
        for split in 0..=bytes.len() {
            let (left, right) = bytes.split_at(split);
            assert_eq!(frames([left, right]), whole, "split at {split}: {document}");
        }
    }
}

#[test]
fn a_stream_is_cut_into_header_elements_and_end() {
    let document = format!("<?xml version='1.0'?>{HEADER}<a/> <b><c d='>'/>x</b></stream:stream>");
    let expected = [
        format!("open {HEADER}"),
        "element <a/>".to_owned(),
        "blank".to_owned(),
        "element <b><c d='>'/>x</b>".to_owned(),
        "close".to_owned(),
    ];
    assert_eq!(frames([document.as_bytes()]), expected);
}

#[test]
fn the_end_carries_the_name_of_the_header() {
    assert_eq!(frames([b"<s:stream xmlns:s='u'></s:stream >".as_slice()])[1], "close");
    assert_eq!(frames([b"<stream xmlns='u'></stream>".as_slice()])[1], "close");
    let wrong = frames([b"<s:stream xmlns:s='u'></stream:stream>".as_slice()]);
    assert_eq!(wrong[1], "error not-well-formed at 22");
}

#[test]
fn a_header_that_is_an_empty_element_opens_and_closes() {
    assert_eq!(frames([b"<s:stream xmlns:s='u'/>".as_slice()]), ["open <s:stream xmlns:s='u'/>", "close"]);
}

#[test]
fn refuses_while_framing() {
    for (document, condition) in refused() {
        let last = frames([document.as_bytes()]).pop().unwrap_or_default();
        assert!(last.starts_with(&format!("error {condition} ")), "{document:?}: {last}");
    }
}

#[test]
fn says_which_construct_was_refused() {
    for (text, construct) in [
        ("<!-- x -->", Construct::Comment),
        ("<a><!-- x --></a>", Construct::Comment),
        ("<!DOCTYPE a>", Construct::DocumentType),
        ("<a><!ENTITY b 'c'></a>", Construct::DocumentType),
        ("<?xml version='1.0'?>", Construct::ProcessingInstruction),
        ("<a><?php x?></a>", Construct::ProcessingInstruction),
    ] {
        let error = first_error(&format!("{HEADER}{text}"), Limits::DEFAULT);
        assert!(
            matches!(error, Some(XmlError::Restricted { construct: found, .. }) if found == construct),
            "{text}"
        );
    }
}

#[test]
fn bad_utf8_is_an_encoding_error_at_its_place() {
    let mut bytes = HEADER.as_bytes().to_vec();
    bytes.extend_from_slice(b"<a>\xC3\x28</a>");
    let at = HEADER.len() + 3;
    assert_eq!(frames([bytes.as_slice()])[1], format!("error unsupported-encoding at {at}"));
}

#[test]
fn other_encodings_are_told_at_the_first_byte() {
    for start in [b"\xFE\xFF\x00<".as_slice(), b"\xFF\xFE<\x00", b"\x00<\x00s", b"<\x00s\x00"] {
        let last = frames([start]).pop().unwrap_or_default();
        assert!(last.starts_with("error unsupported-encoding"), "{start:?}: {last}");
    }
}

#[test]
fn a_byte_order_mark_is_text_where_none_may_stand() {
    // RFC 6120 §11.6: U+FEFF is a character here, never a mark.
    let last = frames(["\u{FEFF}<a xmlns='b'>".as_bytes()]).pop().unwrap_or_default();
    assert_eq!(last, "error not-well-formed at 0");
}

#[test]
fn a_frame_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
    let limits = Limits { bytes: 200, ..Limits::DEFAULT };
    let element = |length: usize| format!("<a>{}</a>", "x".repeat(length - 7));
    for length in [199, 200] {
        assert_eq!(first_error(&format!("{HEADER} {}", element(length)), limits), None);
    }
    let at = (HEADER.len() + 1 + 200) as u64;
    let expected = Some(XmlError::Limit { at, limit: Limit::Bytes });
    assert_eq!(first_error(&format!("{HEADER} {}", element(201)), limits), expected);
}

#[test]
fn the_limit_holds_before_the_end_arrives() {
    let mut framer = opened(Limits::BEFORE_LOGIN);
    framer.push(b"<a>");
    let mut sent = 3;
    let error = loop {
        framer.push(&[b'x'; 1000]);
        sent += 1000;
        match framer.next_frame() {
            Ok(frame) => assert_eq!(frame, None),
            Err(error) => break error,
        }
        assert!(sent < 20_000, "no limit");
    };
    assert_eq!(sent, 10_003);
    assert_eq!(error.condition(), "policy-violation");
    framer.push(&[b'x'; 1000]);
    assert_eq!(framer.next_frame(), Err(error));
    assert_eq!(framer.buffered(), 0);
}

#[test]
fn a_start_tag_has_a_limit_of_its_own() {
    let tag = |length: usize| format!("{HEADER}<a b='{}'/>", "x".repeat(length));
    assert_eq!(first_error(&tag(65_000), Limits::DEFAULT), None);
    let error = first_error(&tag(66_000), Limits::DEFAULT);
    assert!(matches!(error, Some(XmlError::Limit { limit: Limit::TagBytes, .. })), "{error:?}");
}

#[test]
fn with_a_bound_on_bytes_alone_the_end_of_a_frame_is_found() {
    let limits = Limits::DEFAULT.of_bytes();
    let wide: String = (0..200).map(|n| format!(" a{n}=''")).collect();
    let deep = format!("{}{}", "<a>".repeat(1000), "</a>".repeat(1000));
    let long = format!("<a b='{}'/>", "x".repeat(70_000));
    let document = format!("{HEADER}<a{wide}/>{deep}{long}<end/>");
    let mut framer = Framer::new(limits);
    framer.push(document.as_bytes());
    let mut last = String::new();
    while let Some(frame) = framer.next_frame().expect("within the limits") {
        last = format!("{frame:?}");
    }
    assert_eq!(last, "Element(\"<end/>\")");
    let error = first_error(&format!("{HEADER}<a>{}", "x".repeat(limits.bytes)), limits);
    assert!(matches!(error, Some(XmlError::Limit { limit: Limit::Bytes, .. })), "{error:?}");
}

#[test]
fn depth_and_attributes_are_counted() {
    let nested = |depth: usize| format!("{HEADER}{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert_eq!(first_error(&nested(64), Limits::DEFAULT), None);
    let error = first_error(&nested(65), Limits::DEFAULT);
    assert!(matches!(error, Some(XmlError::Limit { limit: Limit::Depth, .. })), "{error:?}");

    let wide = |count: usize| {
        let attributes: String = (0..count).map(|n| format!(" a{n}=''")).collect();
        format!("{HEADER}<a{attributes}/><b c=''/>")
    };
    assert_eq!(first_error(&wide(128), Limits::DEFAULT), None);
    let error = first_error(&wide(129), Limits::DEFAULT);
    assert!(matches!(error, Some(XmlError::Limit { limit: Limit::Attributes, .. })), "{error:?}");
}

#[test]
fn limits_may_change_between_frames() {
    let mut framer = opened(Limits::BEFORE_LOGIN);
    framer.set_limits(Limits::DEFAULT);
    let text = format!("<a>{}</a>", "x".repeat(20_000));
    framer.push(text.as_bytes());
    assert_eq!(framer.next_frame(), Ok(Some(Frame::Element(text.as_str()))));
}

#[test]
fn an_idle_stream_keeps_no_buffer() {
    let mut framer = opened(Limits::DEFAULT);
    assert_eq!((framer.buffered(), framer.mid_element()), (0, false));
    framer.push(b"<message>");
    assert_eq!(framer.next_frame(), Ok(None));
    assert_eq!((framer.buffered(), framer.mid_element()), (9, true));
    framer.push(b"</message>\n");
    assert_eq!(framer.next_frame(), Ok(Some(Frame::Element("<message></message>"))));
    assert_eq!((framer.buffered(), framer.mid_element()), (1, false));
    assert_eq!(framer.next_frame(), Ok(Some(Frame::Whitespace)));
    assert_eq!(framer.next_frame(), Ok(None));
    assert_eq!(framer.buffered(), 0);
    assert_eq!(framer.buffer_capacity(), 0);
}

#[test]
fn a_large_frame_does_not_leave_a_large_buffer_behind() {
    let mut framer = opened(Limits::DEFAULT);
    framer.push(format!("<a>{}</a><b>", "x".repeat(200_000)).as_bytes());
    assert!(matches!(framer.next_frame(), Ok(Some(Frame::Element(_)))));
    assert_eq!(framer.next_frame(), Ok(None));
    framer.push(b"y");
    assert_eq!(framer.next_frame(), Ok(None));
    assert!(framer.buffer_capacity() < 1000, "{}", framer.buffer_capacity());
}

#[test]
fn what_follows_the_end_is_refused_but_blanks() {
    assert_eq!(first_error(&format!("{HEADER}</stream:stream>\n "), Limits::DEFAULT), None);
    let error = first_error(&format!("{HEADER}</stream:stream><a/>"), Limits::DEFAULT);
    assert_eq!(error.map(|e| e.condition()), Some("not-well-formed"));
}

const DOCUMENTS: &[&str] = &[
    "<?xml version='1.0' encoding='UTF-8'?><stream:stream xmlns='jabber:client' \
     xmlns:stream='http://etherx.jabber.org/streams' from='a.example' version='1.0'>\
     <stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>\n\
     <message from='a@b/c' to=\"d@e\"><body>1 &lt; 2 &amp; 3</body></message> </stream:stream>\n",
    "\n<s:stream xmlns:s='u'><a b='>' c=\"/'>\"/><a b='/'>x</a><a/ ></s:stream>",
    "<s xmlns='u'><m><![CDATA[</m>]]]]><![CDATA[>]]>]]</m><m><![CDATA[]]></m><m><![CDATA[>]>]]]></m></s>",
    "<s xmlns='u'><m>\u{E9}\u{20AC}\u{1F600}</m><\u{E9} \u{65E5}='\u{672C}'/></s>",
    "<s xmlns='u'><a><b><c/></b><b/></a ><a></a></s  >",
];

#[test]
fn white_space_of_the_stream_before_may_precede_the_declaration_of_a_restart() {
    let restarted = |rest: &str| {
        let mut framer = opened(Limits::BEFORE_LOGIN);
        framer.push(b"<success/>\n");
        assert_eq!(framer.next_frame(), Ok(Some(Frame::Element("<success/>"))));
        let mut framer = framer.restart(Limits::DEFAULT);
        framer.push(rest.as_bytes());
        assert_eq!(framer.next_frame(), Ok(Some(Frame::Whitespace)));
        framer.next_frame().map(|frame| matches!(frame, Some(Frame::StreamOpen(_))))
    };
    assert_eq!(restarted(&format!("<?xml version='1.0'?>{HEADER}")), Ok(true));
    assert_eq!(restarted(HEADER), Ok(true));
    assert!(restarted("<?pi?><a>").is_err());
    assert!(
        first_error(&format!(" <?xml version='1.0'?>{HEADER}"), Limits::DEFAULT).is_some(),
        "a first stream"
    );
}

fn refused() -> Vec<(String, &'static str)> {
    let inside = |text: &str, condition| (format!("{HEADER}{text}"), condition);
    vec![
        inside("<!-- a -->", "restricted-xml"),
        inside("<a><!-- a --></a>", "restricted-xml"),
        inside("<!DOCTYPE a>", "restricted-xml"),
        inside("<?xml version='1.0'?>", "restricted-xml"),
        inside("<a><?p?></a>", "restricted-xml"),
        inside("<![CDATA[a]]>", "not-well-formed"),
        inside("<a><![cdata[a]]></a>", "not-well-formed"),
        inside("<a><![CDATA(a)]></a>", "not-well-formed"),
        inside("<a><![INCLUDE[a]]></a>", "not-well-formed"),
        inside("<a b='<'/>", "not-well-formed"),
        inside("text", "not-well-formed"),
        inside("&amp;", "not-well-formed"),
        inside("<a/>text<b/>", "not-well-formed"),
        inside("\u{A0}", "not-well-formed"),
        inside("\u{FEFF}", "not-well-formed"),
        inside("</a>", "not-well-formed"),
        inside("</stream:streams>", "not-well-formed"),
        inside("</ stream:stream>", "not-well-formed"),
        inside("</stream:stream>x", "not-well-formed"),
        ("</a>".to_owned(), "not-well-formed"),
        ("x".to_owned(), "not-well-formed"),
        (" <?xml version='1.0'?><a>".to_owned(), "restricted-xml"),
        ("<?xml version='1.0'?><?xml version='1.0'?><a>".to_owned(), "restricted-xml"),
        ("<?xml version='1.0'?><!DOCTYPE a><a>".to_owned(), "restricted-xml"),
        ("<?xml version='1.0'><a>".to_owned(), "not-well-formed"),
        ("<?xml version='1.1'?><a>".to_owned(), "not-well-formed"),
        ("<?xml version='1.0' encoding='UTF-16'?><a>".to_owned(), "unsupported-encoding"),
    ]
}

/// All frames as text, the last one possibly an error. Runs of blanks count as one:
/// how many frames a run becomes depends on where it is cut.
fn frames<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut framer = Framer::new(Limits::DEFAULT);
    let mut all: Vec<String> = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        loop {
            let text = match framer.next_frame() {
                Ok(Some(Frame::StreamOpen(text))) => format!("open {text}"),
                Ok(Some(Frame::Element(text))) => format!("element {text}"),
                Ok(Some(Frame::StreamClose)) => "close".to_owned(),
                Ok(Some(Frame::Whitespace)) => "blank".to_owned(),
                Ok(None) => break,
                Err(error) => {
                    all.push(format!("error {} at {}", error.condition(), error.at()));
                    return all;
                }
            };
            if text != "blank" || all.last().is_none_or(|last| last != "blank") {
                all.push(text);
            }
        }
    }
    all
}

fn first_error(document: &str, limits: Limits) -> Option<XmlError> {
    let mut framer = Framer::new(limits);
    framer.push(document.as_bytes());
    loop {
        match framer.next_frame() {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
}

fn opened(limits: Limits) -> Framer {
    let mut framer = Framer::new(limits);
    framer.push(HEADER.as_bytes());
    assert_eq!(framer.next_frame(), Ok(Some(Frame::StreamOpen(HEADER))));
    assert_eq!(framer.next_frame(), Ok(None));
    framer
}
