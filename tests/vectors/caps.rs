//! XEP-0115: which answers of service discovery hash to what their entities announced.

use rhapsode::xep::caps::{Cache, Caps};
use rhapsode::xep::disco::Info;
use rhapsode::xml;
use serde_json::Value;

use crate::folder::{cases, none_of, text};

#[test]
fn answers_hash_to_what_was_announced_and_ill_formed_ones_to_nothing() {
    let Some(cases) = cases("caps115.json") else { return };
    let complaints: Vec<String> = cases
        .iter()
        .filter_map(|case| complaint(case).map(|complaint| format!("{}: {complaint}", text(case, "id"))))
        .collect();
    none_of(&complaints);
}

fn complaint(case: &Value) -> Option<String> {
    let answer = text(case, "disco_info");
    // On a stream no stanza has an XML declaration; these were stored as documents.
    let answer =
        answer.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")).map_or(answer, |(_, rest)| rest);
    let element = match xml::parse(answer) {
        Ok(element) => element,
        Err(error) => return Some(format!("not read: {error}")),
    };
    let Some(info) = Info::parse(&element) else { return Some("no answer".to_owned()) };
    let caps = Caps {
        hash: text(case, "algo").to_owned(),
        node: case["node"].as_str().unwrap_or_default().to_owned(),
        ver: text(case, "ver").to_owned(),
    };
    let expected = case["matches"].as_bool().expect("`matches` is a truth value");
    let kept = Cache::default().insert(caps.clone(), info.clone());
    (caps.verify(&info) != expected || kept != expected).then(|| format!("expected {expected}"))
}
