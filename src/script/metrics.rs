//! What scripts count for the operator: series of numbers, by script, name and labels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use crate::script::pool::locked;

/// The series of one bot. Scripts add to them when their turns have succeeded; they end with the bot.
#[derive(Default)]
pub(super) struct Metrics(Mutex<BTreeMap<SeriesKey, Value>>);

/// What tells one series from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SeriesKey {
    pub script: Arc<str>,
    pub name: String,
    pub labels: BTreeMap<String, String>,
}

/// Whether a series only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Of `metric::inc`: it grows, and starts at nothing with the process.
    Counter,
    /// Of `metric::set`.
    Gauge,
}

#[derive(Clone, Copy)]
struct Value {
    kind: MetricKind,
    value: f64,
}

/// Changes that a turn asks for: what is added, or set.
pub(super) type Changes = BTreeMap<SeriesKey, Change>;

/// A change of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Change {
    pub kind: MetricKind,
    pub value: f64,
}

/// One series as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// The script that counts.
    pub script: String,
    /// Its name.
    pub name: String,
    /// What tells it from others of that name.
    pub labels: BTreeMap<String, String>,
    /// Whether it only grows.
    pub kind: MetricKind,
    /// Its value.
    pub value: f64,
}

/// Series of one script of one bot.
pub(super) const SERIES: usize = 100;

impl MetricKind {
    /// `counter` or `gauge`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

impl Metrics {
    /// The kind of the series of that name, where there are any.
    pub(super) fn kind(&self, script: &str, name: &str) -> Option<MetricKind> {
        let series = locked(&self.0);
        series.iter().find(|(key, _)| *key.script == *script && key.name == name).map(|(_, value)| value.kind)
    }

    /// How many series the script would have with `changes`.
    pub(super) fn count<'a>(&self, script: &str, changes: impl Iterator<Item = &'a SeriesKey>) -> usize {
        let series = locked(&self.0);
        let new: BTreeSet<&SeriesKey> = changes.filter(|key| !series.contains_key(key)).collect();
        series.keys().filter(|key| *key.script == *script).count() + new.len()
    }

    /// Makes the changes of turns that have succeeded.
    pub(super) fn apply(&self, changes: Vec<(SeriesKey, Change)>) {
        let mut series = locked(&self.0);
        for (key, Change { kind, value }) in changes {
            if let Some(entry) = series.get_mut(&key) {
                match kind {
                    // Two turns of one row may have thought differently of a new name: the first stands.
                    _ if entry.kind != kind => {}
                    MetricKind::Counter => entry.value += value,
                    MetricKind::Gauge => entry.value = value,
                }
                continue;
            }
            // Several turns of one row may each have had room for it.
            if series.keys().filter(|known| known.script == key.script).count() >= SERIES {
                tracing::warn!(script = %key.script, name = key.name, "too many series of metrics");
                continue;
            }
            series.insert(key, Value { kind, value });
        }
    }

    /// Forgets the series of scripts that are not among `scripts`.
    pub(super) fn retain(&self, scripts: &[String]) {
        locked(&self.0).retain(|key, _| scripts.iter().any(|script| **script == *key.script));
    }

    /// All series, in order.
    pub(super) fn all(&self) -> Vec<Metric> {
        let series = locked(&self.0);
        let metric = |(key, value): (&SeriesKey, &Value)| Metric {
            script: key.script.to_string(),
            name: key.name.clone(),
            labels: key.labels.clone(),
            kind: value.kind,
            value: value.value,
        };
        series.iter().map(metric).collect()
    }
}
