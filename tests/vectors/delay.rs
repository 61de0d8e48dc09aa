//! XEP-0082 and XEP-0091: stamps of delayed stanzas.

use jiff::Timestamp;
use rhapsode::xep::delay::{parse_legacy, parse_stamp};
use serde_json::Value;

use crate::folder::{cases, none_of, text};

#[test]
fn stamps_are_the_instants_they_name() {
    let Some(cases) = cases("datetime.json") else { return };
    let complaints: Vec<String> = cases
        .iter()
        .filter_map(|case| complaint(case).map(|complaint| format!("{}: {complaint}", text(case, "id"))))
        .collect();
    none_of(&complaints);
}

fn complaint(case: &Value) -> Option<String> {
    let parse: fn(&str) -> Option<Timestamp> = match text(case, "form") {
        "datetime" => parse_stamp,
        "legacy" => parse_legacy,
        // A date or a time of day alone is no stamp.
        _ => |text| parse_stamp(text).or_else(|| parse_legacy(text)),
    };
    let alone = matches!(text(case, "form"), "date" | "time");
    let found = parse(text(case, "text"));
    if case["lenient"].as_bool() == Some(true) {
        return None;
    }
    let expected = (case["valid"].as_bool() == Some(true) && !alone)
        .then(|| text(case, "utc").parse().expect("`utc` is a time"));
    (found != expected).then(|| format!("{found:?}, not {expected:?}"))
}
