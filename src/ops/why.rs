//! What bots made of events, for those who ask by the name of a bot or the id of an event or a message.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::diagnostic::nearest;
use crate::ops::glob::{fits, is_glob};
use crate::script::pool::chronicle::Chronicle;

/// One event and what came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Explained {
    /// For people.
    pub text: String,
    /// For programs.
    pub trace: Value,
}

/// The last events of the bot of that name, or those that are called so; the oldest first.
///
/// # Errors
/// In words, where nothing is known of it.
pub fn explain(chronicle: &Chronicle, asked: &str, last: usize) -> Result<Vec<Explained>, String> {
    if let Some(traces) = chronicle.of(asked) {
        if traces.is_empty() {
            return Err(format!("`{asked}` has had no event since it was started"));
        }
        let skipped = traces.len().saturating_sub(last.max(1));
        let told = traces.iter().skip(skipped);
        return Ok(told
            .map(|trace| Explained { text: trace.explain(asked), trace: trace.to_json(asked) })
            .collect());
    }
    let bots = chronicle.bots();
    let mut found = Vec::new();
    for bot in &bots {
        // Ids of events hold no stars, so a name that fits is meant.
        let all = is_glob(asked) && fits(asked, bot);
        let traces = chronicle.of(bot).unwrap_or_default();
        for trace in traces.iter().filter(|trace| all || trace.is_called(asked)) {
            found.push((trace.at, Explained { text: trace.explain(bot), trace: trace.to_json(bot) }));
        }
    }
    if found.is_empty() {
        let shown: String = asked.chars().take(100).collect();
        let near = match nearest(asked, bots.iter().map(String::as_str)) {
            Some(near) => format!("did you mean the bot `{near}`?"),
            None => "a bot remembers its last 8 events; `rhapsode why BOT` shows them".to_owned(),
        };
        return Err(format!("nothing is known of `{shown}`: it is no bot and no event\nhint: {near}"));
    }
    found.sort_by_key(|(at, _)| *at);
    let skipped = found.len().saturating_sub(last.max(1));
    Ok(found.into_iter().skip(skipped).map(|(_, explained)| explained).collect())
}
