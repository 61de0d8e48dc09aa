//! What waits in the store for scripts that no longer want it, noted in a [`Status`].

use std::collections::BTreeMap;

use crate::config::settings::BotSettings;
use crate::ops::reload::Loaded;
use crate::ops::report::Status;
use crate::script::waiting::Waiting;
use crate::store::Store;
use crate::store::error::StoreError;

/// Notes for every script of the status which timers and questions its declarations have no handler for.
///
/// # Errors
/// When the store cannot be read.
pub fn note(status: &mut Status, loaded: &Loaded, store: &Store) -> Result<(), StoreError> {
    let reader = store.reader()?;
    let bots: BTreeMap<&str, &BotSettings> =
        loaded.settings.bots.iter().map(|bot| (bot.name.as_str(), bot)).collect();
    for account in &mut status.accounts {
        let Some(bot) = bots.get(account.name.as_str()) else { continue };
        for script in &mut account.scripts {
            let uses = bot.scripts.iter().find(|uses| uses.script == script.name);
            let Some(declared) = uses.and_then(|uses| loaded.declared.of(uses)) else { continue };
            let unwanted = Waiting::of(&reader, &bot.name, &script.name)?.unwanted(declared);
            (script.timers_without_handler, script.questions_orphaned) =
                (unwanted.timers, unwanted.questions);
        }
    }
    Ok(())
}
