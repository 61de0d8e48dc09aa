//! What waits in the store for a script that may no longer want it: timers, and questions that people have not
//! answered.

use std::collections::BTreeMap;

use crate::script::dialog::{Open, beside};
use crate::script::inspect::Inspected;
use crate::script::web::GUARD;
use crate::store::Scope;
use crate::store::error::StoreError;
use crate::store::reader::StoreReader;

/// Timers and open questions of one script of one bot: how many, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Timers of `timer::at`.
    pub timers: BTreeMap<String, u64>,
    /// Questions of `m.ask`.
    pub questions: BTreeMap<String, u64>,
}

/// Names of timers that are told apart for one script of one bot; further ones are not counted.
const NAMES: usize = 1_000;

/// Open questions of one script of one bot that are counted, at most.
const QUESTIONS: usize = 10_000;

impl Waiting {
    /// What waits for that script of that bot.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn of(reader: &StoreReader, bot: &str, script: &str) -> Result<Self, StoreError> {
        let scope = Scope { bot: bot.to_owned(), script: script.to_owned() };
        let mut timers: BTreeMap<String, u64> = reader.timer_names(&scope, NAMES)?.into_iter().collect();
        // Set by the runtime itself.
        timers.remove(GUARD);
        let scope = Scope { script: beside(script).to_string(), ..scope };
        let mut questions = BTreeMap::new();
        // `0` is the character behind `/`.
        for value in reader.values_between(&scope, ("open/", "open0"), QUESTIONS)? {
            if let Some(Open::Asked(asked)) = Open::from_value(&value) {
                *questions.entry(asked.name).or_default() += 1;
            }
        }
        Ok(Self { timers, questions })
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.timers.is_empty() && self.questions.is_empty()
    }

    /// What of it a script with these declarations has no handler for.
    #[must_use]
    pub fn unwanted(&self, declared: &Inspected) -> Self {
        let without = |names: &BTreeMap<String, u64>, family: &str| {
            let unwanted = names.iter().filter(|(name, _)| !declared.handles(&format!("{family}:{name}")));
            unwanted.map(|(name, count)| (name.clone(), *count)).collect()
        };
        Self { timers: without(&self.timers, "timer"), questions: without(&self.questions, "answer") }
    }

    /// Counts another bot's as well.
    pub fn add(&mut self, other: Self) {
        let sum = |into: &mut BTreeMap<String, u64>, from: BTreeMap<String, u64>| {
            for (name, count) in from {
                *into.entry(name).or_default() += count;
            }
        };
        sum(&mut self.timers, other.timers);
        sum(&mut self.questions, other.questions);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::{Batch, Store, StoreOptions, TimerRow, TimerWrite, Write};

    #[test]
    fn timers_and_questions_are_told_by_whether_somebody_handles_them() {
        let store = Store::scratch(StoreOptions::default()).expect("a scratch folder");
        let timer = |name: &str| {
            TimerWrite::Set(TimerRow {
                id: store.timer_id(),
                bot: String::new(),
                script: "tea".to_owned(),
                name: name.to_owned(),
                due: "2100-01-01T00:00:00Z".parse().expect("a stamp"),
                data: json!(null),
            })
        };
        let question = |key: &str, name: &str| Write {
            script: "tea:talk".to_owned(),
            key: format!("open/{key}"),
            value: Some(json!({ "ask": name, "data": null, "choices": [], "timer": null })),
            expires: None,
        };
        let batch = Batch {
            bot: "help".to_owned(),
            timers: vec![timer("tea"), timer("tea"), timer("old"), timer(GUARD)],
            writes: vec![question("a", "milk"), question("b", "sugar"), question("c", "sugar")],
            ..Batch::default()
        };
        store.commit_wait(batch).expect("it fits");
        let waiting = Waiting::of(&store.reader().expect("a reader"), "help", "tea").expect("it reads");
        let counts = |pairs: &[(&str, u64)]| pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        let expected = Waiting {
            timers: counts(&[("old", 1), ("tea", 2)]),
            questions: counts(&[("milk", 1), ("sugar", 2)]),
        };
        assert_eq!(waiting, expected);
        let events = vec![("timer:tea".to_owned(), 1), ("answer:milk".to_owned(), 2)];
        let declared = Inspected { events, ..Inspected::default() };
        let unwanted = Waiting { timers: counts(&[("old", 1)]), questions: counts(&[("sugar", 2)]) };
        assert_eq!(waiting.unwanted(&declared), unwanted);
        assert!(Waiting::default().is_empty() && !unwanted.is_empty());
    }
}
