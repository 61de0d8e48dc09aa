//! What waits in the store for scripts that no longer want it, or that could not handle it, noted in a [`Status`].

use std::collections::BTreeMap;

use crate::config::settings::BotSettings;
use crate::ops::reload::Loaded;
use crate::ops::report::{DeadLetters, Status};
use crate::script::waiting::Waiting;
use crate::store::Store;
use crate::store::dead::Tally;
use crate::store::error::StoreError;

/// Notes for every script of the status which timers and questions its declarations have no handler for.
///
/// # Errors
/// When the store cannot be read.
pub fn note(status: &mut Status, loaded: &Loaded, store: &Store) -> Result<(), StoreError> {
    let reader = store.reader()?;
    note_dead(status, &reader.tallies()?);
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

/// Notes how many events of each bot were given up or wait to be tried again. Those of bots that are gone count in the sum.
fn note_dead(status: &mut Status, tallies: &[Tally]) {
    let whole = status.accounts.len() == status.bots.total;
    for tally in tallies {
        let account = status.accounts.iter_mut().find(|account| account.name == tally.bot);
        if account.is_none() && !whole {
            continue;
        }
        status.dead.letters += tally.kept;
        status.dead.displaced += tally.displaced;
        status.dead.waiting += tally.waiting;
        if let Some(account) = account {
            account.dead =
                DeadLetters { letters: tally.kept, displaced: tally.displaced, waiting: tally.waiting };
        }
    }
}
