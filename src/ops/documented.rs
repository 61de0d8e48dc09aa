//! `docs/operating.md` has every field that programs may read, and no other.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::ops::reload::{
    BotStep, Declaration, Fate, NotGranted, Outcome, ProcessStep, ReloadPlan, ScriptStep,
};
use crate::ops::report::{
    Account, Bots, DeadLetters, Messages, Metric, Parked, Room, Script, Status, StoreState, Turns,
};

/// Objects that have names for keys, or that another page describes.
const LEAVES: &[&str] = &[
    "accounts[].scripts[].questions_orphaned",
    "accounts[].scripts[].timers_without_handler",
    "findings",
    "metrics[].labels",
    "scripts[].questions.without_handler",
    "scripts[].timers.without_handler",
];

#[test]
fn every_field_of_the_status_is_in_the_page() {
    // Written out, so that a new field does not compile before it is here.
    let script = Script {
        name: word(),
        version: word(),
        state: word(),
        failures: 0,
        parked: Some(Parked { why: word(), until: word(), skipped: 0 }),
        timers_without_handler: BTreeMap::new(),
        questions_orphaned: BTreeMap::new(),
    };
    let room = Room { jid: word(), nick: word(), state: word(), occupants: 0 };
    let account = Account {
        dead: DeadLetters::default(),
        name: word(),
        jid: word(),
        state: word(),
        since: word(),
        resumed: true,
        transport: word(),
        detail: word(),
        next_try: Some(word()),
        connects: 0,
        restarts: 0,
        scripts: vec![script],
        rooms: vec![room],
    };
    let metric = Metric {
        bot: word(),
        script: word(),
        name: word(),
        labels: BTreeMap::new(),
        kind: word(),
        value: 0.0,
    };
    let status = Status {
        dead: DeadLetters::default(),
        store: StoreState::default(),
        version: word(),
        pid: 0,
        uptime_s: 0,
        config: word(),
        last_reload: Some(word()),
        bots: Bots::default(),
        messages: Messages::default(),
        turns: Turns::default(),
        accounts: vec![account],
        metrics: vec![metric],
    };
    check("## Status", &status);
}

#[test]
fn every_field_of_a_plan_is_in_the_page() {
    let declaration = Declaration { kind: word(), name: word() };
    let fate = Fate { kept: 0, without_handler: BTreeMap::new() };
    let script = ScriptStep {
        name: word(),
        from: None,
        to: None,
        bots: Vec::new(),
        timers: fate.clone(),
        questions: fate,
        added: vec![declaration.clone()],
        removed: vec![declaration],
    };
    let bot = BotStep {
        name: word(),
        change: word(),
        keys: Vec::new(),
        connection: word(),
        scripts_restart: true,
        leaves_rooms: 0,
    };
    let plan = ReloadPlan {
        outcome: Outcome::Planned,
        scripts: vec![script],
        bots: vec![bot],
        process: vec![ProcessStep { key: word(), effect: word() }],
        untouched: 0,
        not_granted: vec![NotGranted { script: word(), permission: word(), value: word(), path: word() }],
        problems: 0,
        warnings: 0,
        findings: Value::Array(Vec::new()),
        summary: word(),
        said: String::new(),
    };
    check("## Reload", &plan);
}

fn word() -> String {
    "x".to_owned()
}

/// Compares the fields of a value with the rows of the table `field` in that section of the page.
fn check(section: &str, shown: &impl Serialize) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operating.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let text = page.split_once(&format!("{section}\n")).expect("the section").1;
    let text = text.split("\n## ").next().unwrap_or_default();
    let table = text.split_once("| field | what |").expect("the table").1;
    let row = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    let told: BTreeSet<String> = table.lines().filter_map(row).collect();
    let mut fields = BTreeSet::new();
    collect("", &serde_json::to_value(shown).expect("plain data"), &mut fields);
    assert_eq!(fields.difference(&told).collect::<Vec<_>>(), [""; 0], "missing in {section}");
    assert_eq!(told.difference(&fields).collect::<Vec<_>>(), [""; 0], "no such field in {section}");
}

fn collect(path: &str, value: &Value, fields: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) if !LEAVES.contains(&path) => {
            for (key, value) in object {
                let dot = if path.is_empty() { "" } else { "." };
                collect(&format!("{path}{dot}{key}"), value, fields);
            }
        }
        Value::Array(items) if items.first().is_some_and(Value::is_object) => {
            collect(&format!("{path}[]"), &items[0], fields);
        }
        _ => drop(fields.insert(path.to_owned())),
    }
}
