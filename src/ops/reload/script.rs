//! What happens to scripts: the steps of [`super::ReloadPlan::scripts`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::settings::{BotSettings, ScriptUse, Settings};
use crate::ops::reload::{Declaration, Fate, Loaded, ScriptStep};
use crate::ops::scripts::Declarations;
use crate::script::inspect::Inspected;
use crate::script::waiting::Waiting;
use crate::store::reader::StoreReader;

/// Bots and how each uses one script.
type Uses<'a> = BTreeMap<&'a str, &'a ScriptUse>;

/// Every script of which the version or a declaration changes.
pub fn steps(old: &Loaded, new: &Loaded, reader: Option<&StoreReader>) -> Vec<ScriptStep> {
    let names: BTreeSet<&String> = old.settings.scripts.keys().chain(new.settings.scripts.keys()).collect();
    names.into_iter().filter_map(|name| step(name, old, new, reader)).collect()
}

fn step(name: &str, old: &Loaded, new: &Loaded, reader: Option<&StoreReader>) -> Option<ScriptStep> {
    let version = |loaded: &Loaded| loaded.library.get(name).map(|compiled| compiled.version().to_owned());
    let (before, after) = (uses(name, &old.settings), uses(name, &new.settings));
    let had = declared(&before, &old.declared);
    let has = declared(&after, &new.declared);
    let (from, to) = (version(old), version(new));
    // Where a new version does not load, nobody knows what it would have declared.
    let known = !after.is_empty() && after.values().all(|uses| new.declared.of(uses).is_some());
    if from == to && (had == has || !known) {
        return None;
    }
    let mut step = ScriptStep { name: name.to_owned(), from, to, ..ScriptStep::default() };
    step.bots = after.keys().map(|bot| (*bot).to_owned()).collect();
    if known || after.is_empty() {
        step.added = has.difference(&had).cloned().collect();
        step.removed = had.difference(&has).cloned().collect();
    }
    for bot in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let Some(waiting) = waiting(reader, bot, name) else { continue };
        let unwanted = match after.get(bot) {
            None => waiting.clone(),
            Some(uses) => match new.declared.of(uses) {
                Some(inspected) => waiting.unwanted(inspected),
                None => continue,
            },
        };
        count(&mut step.timers, waiting.timers, unwanted.timers);
        count(&mut step.questions, waiting.questions, unwanted.questions);
    }
    Some(step)
}

fn uses<'a>(name: &str, settings: &'a Settings) -> Uses<'a> {
    let of = |bot: &'a BotSettings| {
        let uses = bot.scripts.iter().find(|uses| uses.script == name)?;
        Some((bot.name.as_str(), uses))
    };
    settings.bots.iter().filter_map(of).collect()
}

/// What the script declares for any of these bots: options may change declarations.
fn declared(uses: &Uses<'_>, declarations: &Declarations) -> BTreeSet<Declaration> {
    uses.values().filter_map(|uses| declarations.of(uses)).flat_map(lines).collect()
}

fn lines(inspected: &Inspected) -> Vec<Declaration> {
    let line = |kind: &str, name: String| Declaration { kind: kind.to_owned(), name };
    let mut lines: Vec<Declaration> =
        inspected.events.iter().map(|(event, _)| line("event", event.clone())).collect();
    lines.extend(inspected.commands.iter().map(|command| line("command", command.usage.clone())));
    lines.extend(inspected.cron.iter().map(|(cron, _)| line("cron", cron.clone())));
    lines.extend(inspected.every.iter().map(|(every, _)| line("every", span(*every))));
    lines.extend(inspected.options.iter().map(|option| line("option", option.name.clone())));
    lines.extend(inspected.webhooks.iter().map(|webhook| line("webhook", webhook.name.clone())));
    lines
}

/// As it would be written: `15m`.
fn span(every: Duration) -> String {
    match every.as_secs() {
        seconds if every.subsec_nanos() > 0 => {
            format!("{}ms", seconds * 1000 + u64::from(every.subsec_millis()))
        }
        seconds if seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        seconds if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// What waits; nothing where it cannot be read, for a plan is no reason to fail.
fn waiting(reader: Option<&StoreReader>, bot: &str, script: &str) -> Option<Waiting> {
    Waiting::of(reader?, bot, script)
        .inspect_err(|error| tracing::warn!(bot, script, %error, "what waits for the script is not known"))
        .ok()
}

fn count(fate: &mut Fate, all: BTreeMap<String, u64>, unwanted: BTreeMap<String, u64>) {
    fate.kept += all.values().sum::<u64>() - unwanted.values().sum::<u64>();
    for (name, count) in unwanted {
        *fate.without_handler.entry(name).or_default() += count;
    }
}
