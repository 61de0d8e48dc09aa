//! Forms as they are written, read, filled in and checked.

use super::*;
use crate::xml;

#[test]
fn f1_a_form_survives_being_written_and_read() {
    let list = Field {
        label: Some("Which".to_owned()),
        desc: Some("One of them".to_owned()),
        required: true,
        options: vec![
            Choice { label: Some("First".to_owned()), value: "a".to_owned() },
            Choice { label: None, value: "b".to_owned() },
        ],
        ..Field::new("list", FieldKind::ListMulti).with_value("b").with_value("a").with_value("")
    };
    let fixed = Field { var: None, ..Field::new("", FieldKind::Fixed).with_value("text") };
    let form = Form {
        kind: FormKind::Result,
        title: Some("Title".to_owned()),
        instructions: vec!["One.".to_owned(), "Two.".to_owned()],
        fields: vec![
            Field::new(FORM_TYPE, FieldKind::Hidden).with_value("urn:example"),
            list,
            fixed,
            Field { kind: None, ..Field::new("bare", FieldKind::Hidden) },
        ],
        reported: vec![Field::new("x", FieldKind::TextSingle), Field::new("y", FieldKind::JidSingle)],
        items: vec![
            vec![Field { var: Some("x".to_owned()), ..Field::default() }.with_value("1")],
            vec![Field { var: Some("y".to_owned()), ..Field::default() }.with_value("2")],
        ],
    };
    let read = Form::parse(&form.to_element()).expect("a form");
    assert_eq!(read, form);
    assert_eq!(read.form_type().and_then(Field::value), Some("urn:example"));
}

#[test]
fn f1_every_type_of_field_has_its_name_and_no_other() {
    for kind in FieldKind::ALL {
        assert_eq!(FieldKind::parse(kind.as_str()), kind);
    }
    for unknown in ["", "Boolean", "text_single", "urn:new"] {
        assert_eq!(FieldKind::parse(unknown), FieldKind::TextSingle, "{unknown}");
    }
    let field = form("<field var='a'/>").fields.remove(0);
    assert_eq!((field.kind, field.kind()), (None, FieldKind::TextSingle));
}

#[test]
fn f1_what_is_none_of_the_four_kinds_is_no_form() {
    for text in [
        "<x xmlns='jabber:x:data'/>",
        "<x xmlns='jabber:x:data' type='other'/>",
        "<x xmlns='y' type='form'/>",
    ] {
        assert_eq!(Form::parse(&xml::parse(text).expect("XML")), None, "{text}");
    }
}

#[test]
fn f1_one_of_several_forms_is_chosen_by_what_it_is_about() {
    let one = |about: &str, kind: &str, value: &str| {
        format!(
            "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE'{kind}><value>{about}</value></field>\
             <field var='n'><value>{value}</value></field></x>"
        )
    };
    let all = [
        one("urn:old", " type='hidden'", "1"),
        one("urn:new", " type='text-single'", "2"),
        one("urn:new", " type='hidden'", "3"),
        one("urn:bare", "", "4"),
    ];
    let query = xml::parse(&format!("<query xmlns='q'>{}</query>", all.join(""))).expect("XML");
    let found = |about: &str| {
        Form::find(&query, about).and_then(|form| form.field("n").and_then(Field::value).map(str::to_owned))
    };
    assert_eq!(found("urn:old").as_deref(), Some("1"));
    assert_eq!(found("urn:new").as_deref(), Some("3"), "a visible FORM_TYPE is none");
    assert_eq!(found("urn:bare").as_deref(), Some("4"));
    assert_eq!(found("urn:other"), None);
}

#[test]
fn a_form_type_that_is_not_hidden_is_none() {
    let form = form("<field var='FORM_TYPE'><value>x</value></field>");
    assert_eq!(form.form_type(), None);
}

#[test]
fn f1_booleans_have_four_spellings() {
    let read = |text: &str| Field::new("b", FieldKind::Boolean).with_value(text).boolean();
    for (text, expected) in [("1", true), ("true", true), ("0", false), ("false", false), (" true\n", true)] {
        assert_eq!(read(text), Some(expected), "{text}");
    }
    for text in ["", "yes", "TRUE", "on", "2"] {
        assert_eq!(read(text), None, "{text}");
    }
    assert_eq!(Field::new("b", FieldKind::Boolean).boolean(), None);
}

#[test]
fn f1_what_is_not_changed_goes_back_as_it_came() {
    let form = form(
        "<field var='FORM_TYPE' type='hidden'><value>urn:x</value></field>\
         <field type='fixed'><value>Heading</value></field>\
         <field var='a' type='text-single' label='A'><required/><value>1</value></field>\
         <field var='odd' type='urn:new'><value>2</value><value>3</value></field>",
    );
    let filled = form.filled(|field| (field.var.as_deref() == Some("a")).then(|| vec!["9".to_owned()]));
    assert_eq!(
        xml::writer::to_string(&filled.to_element()).expect("XML"),
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:x</value></field>\
         <field var='a'><value>9</value></field><field var='odd'><value>2</value><value>3</value></field></x>"
    );
}

/// Attributes of a field, what is answered, and what comes of it.
type Case = (&'static str, &'static [&'static str], Result<&'static [&'static str], &'static str>);

const ANSWERS: &[Case] = &[
    ("type='boolean'", &["true"], Ok(&["true"])),
    ("type='boolean'", &["yes"], Err("`a` is yes or no")),
    ("type='jid-single'", &[" ann@example.org "], Ok(&["ann@example.org"])),
    ("type='jid-single'", &["@"], Err("`a` is no address")),
    ("type='jid-single'", &[""], Ok(&[])),
    ("type='jid-multi'", &["a.example", "b.example"], Ok(&["a.example", "b.example"])),
    ("type='list-single'", &["x"], Ok(&["x"])),
    ("type='list-single'", &["z"], Err("`a` is none of the options")),
    ("type='list-single'", &["x", "y"], Err("`a` takes one value")),
    ("type='list-multi'", &["x", "y"], Ok(&["x", "y"])),
    ("type='list-multi'", &["x", "z"], Err("`a` is none of the options")),
    ("type='text-multi'", &["x", "", "y"], Ok(&["x", "", "y"])),
    ("type='text-private'", &[" secret "], Ok(&[" secret "])),
    ("type='text-single'", &["x", "y"], Err("`a` takes one value")),
    ("type='fixed'", &["x"], Ok(&[])),
    ("", &[" x "], Ok(&["x"])),
    ("type='urn:new'", &["x"], Ok(&["x"])),
    ("label='must'", &[""], Err("`a` is missing")),
    ("label='must'", &[], Err("`a` is missing")),
];

#[test]
fn f1_an_answer_is_checked_against_its_form() {
    for &(attributes, values, ref expected) in ANSWERS {
        let required = if attributes.contains("must") { "<required/>" } else { "" };
        let options = "<option><value>x</value></option><option label='Y'><value>y</value></option><option/>";
        let form = form(&format!("<field var='a' {attributes}>{required}{options}</field>"));
        let mut answer = Form::new(FormKind::Submit);
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        answer.fields.push(Field { var: Some("a".to_owned()), values, ..Field::default() });
        answer.fields.push(Field::new("stranger", FieldKind::TextSingle).with_value("x"));
        let got = form.answered(&answer).map_err(|misfit| misfit.to_string());
        let expected = expected.map_err(str::to_owned).map(|values| match values {
            [] => Vec::new(),
            _ => vec![("a".to_owned(), values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>())],
        });
        assert_eq!(got, expected, "{attributes}");
    }
}

fn form(fields: &str) -> Form {
    let text = format!("<x xmlns='jabber:x:data' type='form'>{fields}</x>");
    Form::parse(&xml::parse(&text).expect("XML")).expect("a form")
}
