//! What bots made of events, for those who ask by the name of a bot or the id of an event or a message.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::diagnostic::nearest;
use crate::ops::glob::{fits, is_glob};
use crate::script::pool::chronicle::Chronicle;
use crate::script::trace::Trace;

/// One event and what came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Explained {
    /// For people.
    pub text: String,
    /// For programs.
    pub trace: Value,
}

/// The last events of the bot of that name, or those that are called so; the oldest first. With a kind, such as `timer` or
/// `timer:tea`, only those of that kind.
///
/// # Errors
/// In words, where nothing is known of it.
pub fn explain(
    chronicle: &Chronicle,
    asked: &str,
    kind: Option<&str>,
    last: usize,
) -> Result<Vec<Explained>, String> {
    let bots = chronicle.bots();
    let known = bots.iter().any(|bot| bot == asked);
    let mut found: Vec<(String, Trace)> = Vec::new();
    for bot in &bots {
        // Ids of events hold no stars, so a name that fits is meant.
        let all = bot == asked || (is_glob(asked) && fits(asked, bot));
        if known && !all {
            continue;
        }
        let traces = chronicle.of(bot).unwrap_or_default();
        found.extend(
            traces
                .into_iter()
                .filter(|trace| all || trace.is_called(asked))
                .map(|trace| (bot.clone(), trace)),
        );
    }
    if found.is_empty() {
        return Err(unknown(asked, known, &bots));
    }
    if let Some(kind) = kind {
        found = of_kind(found, kind, asked)?;
    }
    if !known {
        found.sort_by_key(|(_, trace)| trace.at);
    }
    let skipped = found.len().saturating_sub(last.max(1));
    let told = found.iter().skip(skipped);
    Ok(told.map(|(bot, trace)| Explained { text: trace.explain(bot), trace: trace.to_json(bot) }).collect())
}

/// Those of that kind.
fn of_kind(found: Vec<(String, Trace)>, kind: &str, asked: &str) -> Result<Vec<(String, Trace)>, String> {
    let kinds: BTreeSet<&'static str> = found.iter().map(|(_, trace)| trace.kind).collect();
    let left: Vec<_> = found.into_iter().filter(|(_, trace)| trace.is_of(kind)).collect();
    if !left.is_empty() {
        return Ok(left);
    }
    let kinds: Vec<&str> = kinds.into_iter().collect();
    let (asked, shown) = (short(asked), short(kind));
    Err(format!("`{asked}` has no `{shown}` among its last events\nhint: there are {}", kinds.join(", ")))
}

fn unknown(asked: &str, known: bool, bots: &[String]) -> String {
    if known {
        return format!("`{asked}` has had no event since it was started");
    }
    let near = match nearest(asked, bots.iter().map(String::as_str)) {
        Some(near) => format!("did you mean the bot `{near}`?"),
        None => "a bot remembers only its last events; `rhapsode why BOT` shows them".to_owned(),
    };
    format!("nothing is known of `{}`: it is no bot and no event\nhint: {near}", short(asked))
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}
