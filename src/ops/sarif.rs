//! Problems as SARIF 2.1.0, which code hosts and editors read.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, Label, Severity};
use crate::ops::render::cleaned;

/// Where the format is described.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// One log with one run, ending with a line break; `results` is there also where nothing was found.
pub fn log(diagnostics: &[Diagnostic]) -> String {
    let names: BTreeSet<&str> = diagnostics.iter().map(|found| found.name).collect();
    let rules: Vec<Value> = names.iter().map(|name| json!({ "id": name })).collect();
    let driver = json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "informationUri": env!("CARGO_PKG_REPOSITORY"),
        "rules": rules,
    });
    let results: Vec<Value> = diagnostics.iter().map(result).collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": driver },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

fn result(found: &Diagnostic) -> Value {
    let level = match found.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let hint = found.hint.as_ref().map_or_else(String::new, |hint| format!("\nhint: {hint}"));
    let mut result = json!({
        "ruleId": found.name,
        "level": level,
        "message": { "text": cleaned(&format!("{}{hint}", found.message)) },
    });
    let mut labels = found.labels.iter().map(location);
    if let Some(first) = labels.next() {
        result["locations"] = json!([first]);
    }
    let related: Vec<Value> = labels.collect();
    if !related.is_empty() {
        result["relatedLocations"] = Value::Array(related);
    }
    result
}

/// A place with its word: lines and columns count from 1, and the end is behind the last character (§3.30).
fn location(label: &Label) -> Value {
    let place = &label.place;
    let (line, column) = place.position();
    let (end_line, end_column) = place.source.position(place.span.end);
    let mut location = json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(&place.source.name) },
            "region": {
                "startLine": line,
                "startColumn": column,
                "endLine": end_line,
                "endColumn": end_column,
            },
        },
    });
    if !label.text.is_empty() {
        location["message"] = json!({ "text": cleaned(&label.text) });
    }
    location
}

/// A path as a URI reference, RFC 3986 §4.2: what stands for itself stays, all else is in percent.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Place, Source};

    #[test]
    fn a_problem_has_its_rule_level_words_and_places() {
        let source = Source::new("my scripts/a.rhai", "one\ntwo three\n");
        let found = Diagnostic::warning("script::example", "it is odd")
            .at(Place::new(&source, 4..7), "")
            .hint("do it");
        let log: Value = serde_json::from_str(&log(&[found])).expect("JSON");
        let result = &log["runs"][0]["results"][0];
        assert_eq!((&log["version"], &result["ruleId"]), (&json!("2.1.0"), &json!("script::example")));
        assert_eq!(result["message"]["text"], "it is odd\nhint: do it");
        assert_eq!(result["level"], "warning");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "my%20scripts/a.rhai");
        let region = json!({ "startLine": 2, "startColumn": 1, "endLine": 2, "endColumn": 4 });
        assert_eq!(place["region"], region);
        assert_eq!(log["runs"][0]["tool"]["driver"]["rules"], json!([{ "id": "script::example" }]));
    }

    #[test]
    fn without_problems_there_is_a_run_without_results() {
        let log: Value = serde_json::from_str(&log(&[])).expect("JSON");
        assert_eq!(log["runs"][0]["results"], json!([]));
    }
}
