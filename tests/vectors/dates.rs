//! Dates and times of XEP-0082 and XEP-0091.

use jiff::Timestamp;
use rhapsode::datetime::{parse, parse_date, parse_legacy, parse_time, print};
use serde_json::Value;

use crate::folder::{cases, text};

#[test]
fn dates_and_times_mean_the_same_as_elsewhere() {
    for case in cases("datetime.json").into_iter().flatten() {
        let (id, input) = (text(&case, "id"), text(&case, "text"));
        let found = match text(&case, "form") {
            "datetime" => parse(input).map(exact),
            "legacy" => parse_legacy(input).map(exact),
            "date" => parse_date(input).map(|date| date.to_string()),
            "time" => parse_time(input).map(|time| time.to_string()),
            other => panic!("{id}: unknown form {other}"),
        };
        // Not by the letter of XEP-0082: either verdict is fine.
        if case["lenient"] == Value::Bool(true) {
            continue;
        }
        assert_eq!(Some(found.is_ok()), case["valid"].as_bool(), "{id} {input:?}: {found:?}");
        if let Ok(found) = found {
            assert_eq!(found, normal(text(&case, "utc")), "{id} {input:?}");
        }
    }
}

#[test]
fn what_is_printed_is_read_again() {
    for case in cases("datetime.json").into_iter().flatten() {
        if let Ok(at) = parse(text(&case, "text")) {
            let millisecond = Timestamp::from_millisecond(at.as_millisecond()).expect("in range");
            assert_eq!(parse(&print(at)), Ok(millisecond));
        }
    }
}

fn exact(at: Timestamp) -> String {
    at.to_string()
}

/// An instant in the one form that `exact` writes; a date or a time stays.
fn normal(utc: &str) -> String {
    utc.parse::<Timestamp>().map_or_else(|_| utc.to_owned(), exact)
}
