//! What a reload does, told before it does it: one [`ReloadPlan`] for the command line, the log and programs.
//!
//! However a reload begins (a saved file, SIGHUP, `rhapsode reload`), the steps are the same: read everything, check
//! everything, run the declarations in a shadow, make the plan, change over between turns.

pub mod change;
mod script;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::diff::Plan;
use crate::config::settings::Settings;
use crate::diagnostic::Diagnostic;
use crate::ops::findings::Missing;
use crate::ops::render::{Format, render};
use crate::ops::scripts::{Declarations, Library};
use crate::store::reader::StoreReader;

/// A configuration with everything that was read along with it.
pub struct Loaded {
    /// The configuration.
    pub settings: std::sync::Arc<Settings>,
    /// Its scripts, compiled. One that does not compile is missing.
    pub library: Library,
    /// What they declare. One that does not load is missing.
    pub declared: Declarations,
}

/// A reload from beginning to end. Field names are a promise: `docs/operating.md` has them all.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReloadPlan {
    /// How it ended, or would end.
    pub outcome: Outcome,
    /// Scripts that change.
    pub scripts: Vec<ScriptStep>,
    /// Bots that something happens to, beside scripts that change.
    pub bots: Vec<BotStep>,
    /// What changes for the process as a whole.
    pub process: Vec<ProcessStep>,
    /// Bots that nothing happens to.
    pub untouched: usize,
    /// Permissions that scripts ask for and nobody grants.
    pub not_granted: Vec<NotGranted>,
    /// How many findings are errors: with one, nothing is applied.
    pub problems: usize,
    /// How many are warnings.
    pub warnings: usize,
    /// The findings, as `check --format json` writes them.
    pub findings: Value,
    /// The line of totals: `1 added, 3 untouched`.
    pub summary: String,
    /// The findings for people, one a line.
    #[serde(skip)]
    pub said: String,
}

/// How a reload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything was changed over.
    Applied,
    /// Everything is good, and `--dry-run` left it at that.
    Planned,
    /// Something is wrong, so nothing was changed.
    Refused,
    /// There was nothing to change.
    Unchanged,
}

/// One script that changes for everybody who uses it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptStep {
    /// Its name in the configuration.
    pub name: String,
    /// The version that runs; `null` for a new one.
    pub from: Option<String>,
    /// The version that comes; `null` for one that goes or does not load.
    pub to: Option<String>,
    /// The bots that switch.
    pub bots: Vec<String>,
    /// Timers that wait.
    pub timers: Fate,
    /// Questions that people have not answered.
    pub questions: Fate,
    /// What it declares and did not.
    pub added: Vec<Declaration>,
    /// What it declared and no longer does.
    pub removed: Vec<Declaration>,
}

/// What becomes of things that wait for a script.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    /// How many find a handler.
    pub kept: u64,
    /// How many do not, by name. Timers wait for a version that has one; questions end by themselves.
    pub without_handler: BTreeMap<String, u64>,
}

/// One line of a script.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Declaration {
    /// `command`, `cron`, `event`, `every`, `option` or `webhook`.
    pub kind: String,
    /// How a command is typed, a cron line, the name of an event, a span, or a name.
    pub name: String,
}

/// One bot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotStep {
    /// Its name.
    pub name: String,
    /// `added`, `changed` or `removed`.
    pub change: String,
    /// Keys of the configuration that changed, as they are written there.
    pub keys: Vec<String>,
    /// `begins`, `ends`, `is made anew` or `stays`.
    pub connection: String,
    /// Whether its scripts are loaded anew.
    pub scripts_restart: bool,
    /// Rooms that it leaves: where it is now, if it is removed.
    pub leaves_rooms: usize,
}

/// One change for the process as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessStep {
    /// The key.
    pub key: String,
    /// What comes of it.
    pub effect: String,
}

/// One permission that a script asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotGranted {
    /// The script.
    pub script: String,
    /// `bots`, `http`, `secrets`, `shared` or `webhooks`.
    pub permission: String,
    /// What it asks for.
    pub value: String,
    /// Where it has to be added in `bots.yaml`.
    pub path: String,
}

/// What is known of the bots that run: the rooms each is in.
pub type RoomsOf = BTreeMap<String, usize>;

impl ReloadPlan {
    /// A reload that found nothing it could compare.
    pub fn refused(findings: &[Diagnostic]) -> Self {
        let mut plan = Self {
            outcome: Outcome::Refused,
            scripts: Vec::new(),
            bots: Vec::new(),
            process: Vec::new(),
            untouched: 0,
            not_granted: Vec::new(),
            problems: 0,
            warnings: 0,
            findings: Value::Array(Vec::new()),
            summary: String::new(),
            said: String::new(),
        };
        plan.find(findings);
        plan
    }

    /// The plan for `difference`, as long as nothing is wrong. What waits for scripts is looked up with `reader`.
    pub fn new(
        old: &Loaded,
        new: &Loaded,
        difference: &Plan,
        rooms: &RoomsOf,
        reader: Option<&StoreReader>,
    ) -> Self {
        let scripts = script::steps(old, new, reader);
        let mut plan = Self::refused(&[]);
        plan.outcome = Outcome::Planned;
        plan.bots = bots(difference, rooms, &scripts);
        plan.process = process(difference);
        plan.untouched = difference.unchanged;
        plan.summary = difference.summary();
        plan.scripts = scripts;
        plan
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty() && self.bots.is_empty() && self.process.is_empty()
    }

    /// Adds findings; one that is an error refuses the whole.
    pub fn find(&mut self, findings: &[Diagnostic]) {
        let errors = findings.iter().filter(|found| found.is_error()).count();
        self.problems += errors;
        self.warnings += findings.len() - errors;
        if self.problems > 0 {
            self.outcome = Outcome::Refused;
        }
        self.said += &render(findings, Format::Short);
        let text = render(findings, Format::Json);
        if let (Value::Array(all), Ok(Value::Array(more))) = (&mut self.findings, serde_json::from_str(&text))
        {
            all.extend(more);
        }
    }

    /// Notes what scripts ask for in vain.
    pub fn asks(&mut self, missing: &[Missing]) {
        self.not_granted.extend(missing.iter().map(|missing| NotGranted {
            script: missing.script.clone(),
            permission: missing.permission.to_owned(),
            value: missing.value.clone(),
            path: format!("scripts.{}.permissions.{}", missing.script, missing.permission),
        }));
    }
}

/// The steps of the bots, in the order of their names. Where nothing but the text of a script changed, the steps of
/// the scripts say so already.
fn bots(difference: &Plan, rooms: &RoomsOf, scripts: &[ScriptStep]) -> Vec<BotStep> {
    let mut steps: BTreeMap<&str, BotStep> = BTreeMap::new();
    let step = |name: &str, change: &str, connection: &str| BotStep {
        name: name.to_owned(),
        change: change.to_owned(),
        keys: Vec::new(),
        connection: connection.to_owned(),
        scripts_restart: false,
        leaves_rooms: 0,
    };
    for name in &difference.added {
        steps.insert(name, step(name, "added", "begins"));
    }
    for name in &difference.removed {
        let leaves_rooms = rooms.get(name).copied().unwrap_or_default();
        steps.insert(name, BotStep { leaves_rooms, ..step(name, "removed", "ends") });
    }
    let connecting: BTreeSet<&str> = difference.reconnect.iter().map(|change| change.bot.as_str()).collect();
    for (changes, restart) in
        [(&difference.reconnect, false), (&difference.rescript, true), (&difference.reconfigure, false)]
    {
        for change in changes {
            let connection = if connecting.contains(change.bot.as_str()) { "is made anew" } else { "stays" };
            let told = |key: &&String| {
                let name = key.strip_prefix(change::SCRIPT_TEXT);
                !name.is_some_and(|name| scripts.iter().any(|script| script.name == name))
            };
            let keys: Vec<String> = change.keys.iter().filter(told).cloned().collect();
            if keys.is_empty() {
                continue;
            }
            let known = steps.entry(&change.bot).or_insert_with(|| step(&change.bot, "changed", connection));
            known.keys.extend(keys);
            known.scripts_restart |= restart;
        }
    }
    steps.into_values().collect()
}

fn process(difference: &Plan) -> Vec<ProcessStep> {
    let step = |key: &str, effect: &str| ProcessStep { key: key.to_owned(), effect: effect.to_owned() };
    let mut steps = Vec::new();
    if difference.login {
        steps.push(step("login", "new pace"));
    }
    if difference.webhooks {
        steps.push(step("webhooks", "heard elsewhere, or no longer"));
    }
    if difference.log {
        steps.push(step("log", "changed"));
    }
    steps.extend(difference.restart.iter().map(|key| step(key, "applies after a restart of the process")));
    steps
}
