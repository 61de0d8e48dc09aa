//! Dead letters for operators: what waits there, to be tried again or dropped.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::diagnostic::nearest;
use crate::ops::glob::{fits, is_glob};
use crate::printable::printable;
use crate::script::retries;
use crate::store::dead::Letter;
use crate::store::error::StoreError;
use crate::store::{Batch, Store, TimerWrite};

/// A dead letter as it is shown: never with what somebody said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// What names its event: `rhapsode why` takes it, too.
    pub id: String,
    /// The bot.
    pub bot: String,
    /// The script that could not handle it; empty where the store had refused what all of them made of it.
    pub script: String,
    /// `message`, `timer:tea`…
    pub kind: String,
    /// Who it came from, where somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// How often it was tried.
    pub tries: u32,
    /// When it was given up, RFC 3339.
    pub at: String,
    /// What went wrong the last time.
    pub error: String,
    /// Whether it can be tried again.
    pub retriable: bool,
}

/// What is to be done with letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Forget them.
    Drop,
    /// Show them.
    List,
    /// Try their events again.
    Retry,
}

/// Why nothing was done.
#[derive(Debug)]
pub enum Refused {
    /// The store could not be read or written.
    Store(StoreError),
    /// In words.
    Unknown(String),
}

impl Shown {
    /// One line or two for people.
    pub fn to_text(&self) -> String {
        let Self { id, bot, script, kind, from, tries, at, error, retriable } = self;
        let from = from.as_ref().map(|from| format!(" from {}", printable(from))).unwrap_or_default();
        let script = if script.is_empty() { "all scripts" } else { script };
        let lost = if *retriable { "" } else { "   (cannot be tried again)" };
        let error = printable(error.lines().next().unwrap_or_default());
        format!("{id}  {at}  {bot}  {script}  {}{from}  tries {tries}{lost}\n    {error}\n", printable(kind))
    }

    fn of(letter: &Letter) -> Self {
        Self {
            id: letter.event.clone(),
            bot: letter.bot.clone(),
            script: letter.script.clone(),
            kind: letter.kind.clone(),
            from: letter.from.clone(),
            tries: letter.tries,
            at: letter.at.to_string(),
            error: letter.error.clone(),
            retriable: letter.data.is_some(),
        }
    }
}

/// Does something with the letters whose bot or id fits one of the patterns, or for [`Deed::List`] without a pattern with
/// all; gives those it was done with. `configured` are the names of bots that need not have letters.
///
/// # Errors
/// [`Refused::Unknown`] when a pattern fits nothing, or nothing of a letter was kept that could be tried again; then
/// nothing is done at all.
pub fn act(
    store: &Store,
    configured: &[String],
    deed: Deed,
    patterns: &[String],
) -> Result<Vec<Shown>, Refused> {
    let reader = store.reader().map_err(Refused::Store)?;
    let tallies = reader.tallies().map_err(Refused::Store)?;
    let names: BTreeSet<&str> =
        tallies.iter().map(|tally| tally.bot.as_str()).chain(configured.iter().map(String::as_str)).collect();
    let mut letters = Vec::new();
    for name in &names {
        letters.extend(reader.letters(name).map_err(Refused::Store)?);
    }
    let chosen = choose(&letters, &names, patterns).map_err(Refused::Unknown)?;
    if deed == Deed::Retry
        && let Some(lost) = chosen.iter().find(|letter| letter.data.is_none())
    {
        let Letter { event, kind, .. } = lost;
        return Err(Refused::Unknown(format!(
            "{event} cannot be tried again: nothing of a `{kind}` is kept\nhint: drop it, and name the others by their ids"
        )));
    }
    let shown = chosen.iter().map(|letter| Shown::of(letter)).collect();
    if deed != Deed::List {
        for bot in names {
            let own: Vec<&Letter> = chosen.iter().copied().filter(|letter| letter.bot == bot).collect();
            carry_out(store, bot, deed, &own).map_err(Refused::Store)?;
        }
    }
    Ok(shown)
}

/// The letters that the patterns mean.
fn choose<'a>(
    letters: &'a [Letter],
    bots: &BTreeSet<&str>,
    patterns: &[String],
) -> Result<Vec<&'a Letter>, String> {
    let means = |pattern: &str, letter: &Letter| letter.event == pattern || fits(pattern, &letter.bot);
    for pattern in patterns {
        let any = letters.iter().any(|letter| means(pattern, letter));
        if !any && !bots.iter().any(|bot| fits(pattern, bot)) {
            let shown: String = pattern.chars().take(100).collect();
            let near = nearest(pattern, bots.iter().copied()).filter(|_| !is_glob(pattern));
            let hint = near.map(|near| format!("\nhint: did you mean `{near}`?")).unwrap_or_default();
            return Err(format!("no bot and no dead letter is called `{}`{hint}", printable(&shown)));
        }
    }
    let wanted =
        |letter: &&Letter| patterns.is_empty() || patterns.iter().any(|pattern| means(pattern, letter));
    Ok(letters.iter().filter(wanted).collect())
}

/// All letters of one bot at once: each goes, and with [`Deed::Retry`] its event comes in the same commit.
fn carry_out(store: &Store, bot: &str, deed: Deed, letters: &[&Letter]) -> Result<(), StoreError> {
    if letters.is_empty() {
        return Ok(());
    }
    let now = Timestamp::now();
    let again = |letter: &&&Letter| retries::revived(letter, store.timer_id(), now);
    let timers = match deed {
        Deed::Retry => letters.iter().filter_map(|letter| again(&letter)).map(TimerWrite::Set).collect(),
        Deed::Drop | Deed::List => Vec::new(),
    };
    let buried = letters.iter().map(|letter| letter.id).collect();
    store.commit_wait(Batch { bot: bot.to_owned(), timers, buried, ..Batch::default() }).map(drop)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::event::Message;
    use crate::jid::Jid;
    use crate::store::StoreOptions;

    #[test]
    fn letters_are_listed_retried_and_dropped_by_bot_and_by_id() {
        let store = store();
        let all = act(&store, &[], Deed::List, &[]).expect("listed");
        assert_eq!(ids(&all), ["a1", "a2", "b1"]);
        assert!(!all[0].to_text().contains("secret"), "{}", all[0].to_text());
        assert_eq!(ids(&act(&store, &[], Deed::List, &["a".into()]).expect("listed")), ["a1", "a2"]);
        assert_eq!(
            ids(&act(&store, &["quiet".into()], Deed::List, &["q*".into()]).expect("listed")).len(),
            0
        );
        assert_eq!(ids(&act(&store, &[], Deed::Drop, &["a2".into()]).expect("dropped")), ["a2"]);
        assert_eq!(ids(&act(&store, &[], Deed::Retry, &["a".into()]).expect("retried")), ["a1"]);
        assert_eq!(ids(&act(&store, &[], Deed::List, &[]).expect("listed")), ["b1"]);
        let due = store.due_timers(Timestamp::now(), 10).expect("read");
        assert_eq!((due.len(), due[0].bot.as_str(), &due[0].data["tries"]), (1, "a", &json!(0)));
    }

    #[test]
    fn what_fits_nothing_or_is_gone_is_refused_as_a_whole() {
        let store = store();
        let refused = |deed, patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
            match act(&store, &["echo".into()], deed, &patterns) {
                Err(Refused::Unknown(text)) => text,
                other => panic!("{other:?}"),
            }
        };
        assert!(refused(Deed::Drop, &["a", "ehco"]).ends_with("did you mean `echo`?"));
        assert!(refused(Deed::Retry, &["*"]).starts_with("b1 cannot be tried again"));
        assert_eq!(act(&store, &[], Deed::List, &[]).expect("listed").len(), 3);
    }

    fn ids(shown: &[Shown]) -> Vec<&str> {
        shown.iter().map(|one| one.id.as_str()).collect()
    }

    fn store() -> Store {
        let store = Store::scratch(StoreOptions::default()).expect("a scratch store");
        let message = Message::chat(Jid::parse("ann@x/phone").expect("a jid"), "secret");
        let data = json!({ "event": { "message": message.to_value() }, "key": "k", "tries": 3 });
        for (bot, event, data) in
            [("a", "a1", Some(data.clone())), ("a", "a2", Some(data)), ("b", "b1", None)]
        {
            let letter = Letter {
                id: 0,
                bot: bot.into(),
                script: "main".into(),
                event: event.into(),
                kind: "message".into(),
                from: Some("ann@x/phone".into()),
                tries: 3,
                error: "it failed".into(),
                at: Timestamp::UNIX_EPOCH,
                data,
            };
            store
                .commit_wait(Batch { bot: bot.into(), dead: vec![letter], ..Batch::default() })
                .expect("kept");
        }
        store
    }
}
