//! From two configurations to what the registry has to do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::actor::message::Apply;
use crate::config::diff::{Change, Plan, diff};
use crate::config::settings::{BotSettings, Settings};
use crate::ops::scripts::{self, Library};
use crate::script::ScriptUse;

/// What stands before the name of a script among the changes of a bot, where the text of the script changed.
pub const SCRIPT_TEXT: &str = "script ";

/// Everything the registry needs to get from one configuration to the next.
pub fn change(old: &Settings, old_library: &Library, new: &Arc<Settings>, library: &Library) -> Apply {
    let mut plan = diff(old, new);
    add_changed_scripts(&mut plan, old, old_library, new, library);
    let mut concerned: BTreeSet<&str> = plan.added.iter().map(String::as_str).collect();
    concerned.extend(plan.rescript.iter().map(|change| change.bot.as_str()));
    let scripts: BTreeMap<String, Vec<ScriptUse>> = new
        .bots
        .iter()
        .filter(|bot| concerned.contains(bot.name.as_str()))
        .map(|bot| (bot.name.clone(), scripts::uses(bot, library)))
        .collect();
    Apply { settings: Arc::clone(new), plan, scripts }
}

/// A script file that changed concerns every bot that uses it, although no line of the configuration did.
fn add_changed_scripts(
    plan: &mut Plan,
    old: &Settings,
    old_library: &Library,
    new: &Settings,
    library: &Library,
) {
    let version = |library: &Library, name: &str| library.get(name).map(|script| script.version().to_owned());
    let known: BTreeSet<&str> = old.bots.iter().map(|bot| bot.name.as_str()).collect();
    for bot in new.bots.iter().filter(|bot| known.contains(bot.name.as_str())) {
        let keys = changed_scripts(bot, |name| {
            old_library.contains_key(name) && version(old_library, name) != version(library, name)
        });
        if keys.is_empty() {
            continue;
        }
        let untouched = !plan.touched().contains(bot.name.as_str());
        match plan.rescript.iter_mut().find(|change| change.bot == bot.name) {
            Some(change) => change.keys.extend(keys),
            None => plan.rescript.push(Change { bot: bot.name.clone(), keys }),
        }
        if untouched {
            plan.unchanged = plan.unchanged.saturating_sub(1);
        }
    }
}

fn changed_scripts(bot: &BotSettings, changed: impl Fn(&str) -> bool) -> Vec<String> {
    bot.scripts
        .iter()
        .filter(|script| changed(&script.script))
        .map(|script| format!("{SCRIPT_TEXT}{}", script.script))
        .collect()
}
