//! A [`ReloadPlan`] as people read it, on the terminal and in the log.

use std::fmt::Write;

use crate::ops::reload::{BotStep, Declaration, Fate, Outcome, ReloadPlan, ScriptStep};
use crate::printable::printable;

/// Lines of bots that are written out; `--json` has them all.
const BOTS: usize = 40;
/// Names that are written out in one line.
const NAMES: usize = 8;

impl ReloadPlan {
    /// The plan as a table, the findings, and how it ended.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let names = self.scripts.iter().map(|step| step.name.as_str());
        let names = names.chain(self.bots.iter().take(BOTS).map(|step| step.name.as_str()));
        let width = names.map(|name| name.chars().count()).max().unwrap_or(0).min(32);
        for step in &self.scripts {
            script(out, step, width)?;
        }
        let changed =
            |step: &BotStep| if step.keys.is_empty() { step.change.clone() } else { listed(&step.keys) };
        let keys = self.bots.iter().take(BOTS).map(|step| changed(step).chars().count());
        let keys = keys.max().unwrap_or(0).min(40);
        for step in self.bots.iter().take(BOTS) {
            let line = format!(
                "bot     {:width$}  {:keys$}  {}",
                printable(&step.name),
                printable(&changed(step)),
                what(step)
            );
            writeln!(out, "{}", line.trim_end())?;
        }
        if self.bots.len() > BOTS {
            writeln!(out, "        … and {} more bots; --json has them all", self.bots.len() - BOTS)?;
        }
        for step in &self.process {
            writeln!(out, "{:7} {}", step.key, step.effect)?;
        }
        for asked in &self.not_granted {
            let value = printable(&asked.value);
            let (permission, path) = (&asked.permission, &asked.path);
            writeln!(out, "asks for  {permission}: {value}  not granted → add to {path}")?;
        }
        out.push_str(&self.said);
        self.end(out)
    }

    fn end(&self, out: &mut String) -> std::fmt::Result {
        match self.outcome {
            Outcome::Refused => {
                let plural = if self.problems == 1 { "" } else { "s" };
                writeln!(
                    out,
                    "✗ not applied: {} problem{plural}; everything goes on as before",
                    self.problems
                )
            }
            Outcome::Unchanged => writeln!(out, "nothing has changed"),
            Outcome::Planned => writeln!(out, "{}; nothing was applied (--dry-run)", self.summary),
            Outcome::Applied => writeln!(out, "✓ applied: {}", self.summary),
        }
    }
}

fn script(out: &mut String, step: &ScriptStep, width: usize) -> std::fmt::Result {
    let version = |version: &Option<String>, none: &str| version.clone().unwrap_or_else(|| none.to_owned());
    let bots = match step.bots.len() {
        0 => "no bot uses it".to_owned(),
        1 if step.to.is_none() => format!("bot {} keeps what runs", printable(&step.bots[0])),
        count if step.to.is_none() => format!("{count} bots keep what runs"),
        1 => format!("bot {} switches", printable(&step.bots[0])),
        count => format!("{count} bots switch"),
    };
    let to = version(&step.to, if step.bots.is_empty() { "gone" } else { "does not load" });
    let waits =
        [fate("timers", &step.timers, "without a handler"), fate("questions", &step.questions, "orphaned")];
    let waits: String = waits.into_iter().flatten().collect();
    let name = printable(&step.name);
    writeln!(out, "script  {name:width$}  {} → {to}  {bots}{waits}", version(&step.from, "new"))?;
    declarations(out, '+', &step.added)?;
    declarations(out, '-', &step.removed)
}

/// `, timers kept: 4, without a handler: 1 (old)`; nothing where nothing waits.
fn fate(what: &str, fate: &Fate, lost: &str) -> Option<String> {
    let without: u64 = fate.without_handler.values().sum();
    if fate.kept == 0 && without == 0 {
        return None;
    }
    let mut text = format!(", {what} kept: {}", fate.kept);
    if without > 0 {
        let names: Vec<String> = fate.without_handler.keys().cloned().collect();
        text += &format!(", {lost}: {without} ({})", printable(&listed(&names)));
    }
    Some(text)
}

fn declarations(out: &mut String, sign: char, lines: &[Declaration]) -> std::fmt::Result {
    for chunk in lines.chunk_by(|one, other| one.kind == other.kind) {
        let names: Vec<String> = chunk.iter().map(|line| format!("`{}`", line.name)).collect();
        writeln!(out, "        {sign} {} {}", chunk[0].kind, printable(&listed(&names)))?;
    }
    Ok(())
}

fn what(step: &BotStep) -> String {
    let rooms = match step.leaves_rooms {
        0 => String::new(),
        1 => "leaves 1 room, ".to_owned(),
        count => format!("leaves {count} rooms, "),
    };
    let text = match (step.change.as_str(), step.connection.as_str(), step.scripts_restart) {
        ("added", ..) => "logs in",
        ("removed", ..) => return format!("{rooms}goes offline"),
        (_, "stays", true) => "script restarts, connection stays",
        (_, "stays", false) => "applied in place",
        (_, _, true) => "script restarts, connects anew",
        (_, _, false) => "connects anew",
    };
    text.to_owned()
}

/// The first names, and how many more there are.
fn listed(names: &[String]) -> String {
    let mut text = names.iter().take(NAMES).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > NAMES {
        text += &format!(" and {} more", names.len() - NAMES);
    }
    text
}
