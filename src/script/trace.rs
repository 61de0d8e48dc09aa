//! What a bot made of its last events, and which handlers were asked: for people who wonder why nothing happened.

use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::action::Action;
use crate::event::Message;
use crate::script::budget::Cost;
use crate::script::error::ScriptError;
use crate::script::happening::Happening;
use crate::script::memory;
use crate::script::overlay::Overlay;
use crate::script::table::Table;
use crate::script::verdict::Notes;
use crate::stanza::MessageKind;

/// Characters of an address, an id, a key or an error.
const LONGEST: usize = 128;
/// Characters of a text, where texts are kept.
const TEXT: usize = 500;
/// Messages, keys and failures that are remembered of one event.
pub(super) const MOST: usize = 16;

/// One event and what came of it. Texts of messages are kept only where `log: { bodies: true }` says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Follows from the bot and the delivery's key, so it is the same when the event is handled again.
    pub id: String,
    /// When it was handled.
    pub at: Timestamp,
    /// `message`, `timer`, `every`, `webhook`…
    pub kind: &'static str,
    /// Which of its kind: the name of a timer, a question or a webhook, the line of a `cron`, the span of an `every`.
    pub name: Option<String>,
    /// The script that has left a function for it, where no handler of an event takes it.
    pub script: Option<String>,
    /// Who it came from: an address, for a webhook that of the caller's machine, for a `tell` the name of a bot.
    pub from: Option<String>,
    /// Another name for it: for a webhook that of the call.
    pub alias: Option<String>,
    /// Turns it led to; with none, no handler took it.
    pub turns: u32,
    /// Actions that these turns queued.
    pub actions: usize,
    /// What went wrong, with the place.
    pub failures: Vec<String>,
    /// The message that it was.
    pub message: Option<MessageTrace>,
    /// Messages that it led to.
    pub sends: Vec<Sent>,
    /// What was written, without values.
    pub written: Vec<Written>,
    /// What its turns have taken.
    pub cost: Cost,
    pub(super) notes: Notes,
    pub(super) table: Arc<Table>,
}

/// What is remembered of an incoming message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageTrace {
    /// The ids under which people may know it.
    pub ids: Vec<String>,
    /// The room it was said in.
    pub room: Option<String>,
    /// What its sender is called.
    pub nick: String,
    /// Its `type`.
    pub kind: MessageKind,
    /// Whether it corrects another.
    pub corrects: bool,
    /// Characters of the text.
    pub length: usize,
    /// The text, where it is kept.
    pub text: Option<String>,
}

/// A message that an event led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Recipient.
    pub to: String,
    /// The stanza's id.
    pub id: String,
    /// The text, where it is kept.
    pub text: Option<String>,
}

/// Something that a turn wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// A value under this key.
    Key(String),
    /// A timer was set or taken away.
    Timer(String),
}

/// What a trace is made of.
pub(super) struct Told<'a> {
    pub turns: u32,
    pub actions: &'a [Action],
    pub failures: &'a [ScriptError],
    pub written: Vec<Written>,
    pub notes: Notes,
    pub cost: Cost,
    pub table: Arc<Table>,
    /// Whether texts are kept.
    pub bodies: bool,
}

impl Trace {
    pub(super) fn new(id: String, at: Timestamp, happening: &Happening<'_>, told: Told<'_>) -> Self {
        let text = |text: &str| told.bodies.then(|| text.chars().take(TEXT).collect());
        let sends = told.actions.iter().filter_map(|action| match action {
            Action::Message(message) => {
                let (to, id) = (cut(message.to.as_str()), cut(&message.id));
                Some(Sent { to, id, text: text(&message.text) })
            }
            _ => None,
        });
        let message = happening.message.map(|message| remember(message, text(&message.text)));
        let failures = told.failures.iter().map(failure).take(MOST).collect();
        let mut written = told.written;
        written.truncate(MOST);
        Self {
            id,
            at,
            kind: happening.kind,
            name: happening.name.as_deref().map(cut),
            script: happening.script.as_deref().map(cut),
            from: happening.from.as_deref().map(cut),
            alias: happening.alias.map(cut),
            turns: told.turns,
            actions: told.actions.len(),
            failures,
            message,
            sends: sends.take(MOST).collect(),
            written,
            cost: told.cost,
            notes: told.notes,
            table: told.table,
        }
    }

    /// Bytes that it takes, without its table.
    pub(super) fn weight(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::capacity);
        let message = self.message.as_ref().map_or(0, |message| {
            texts(&message.ids) + text(&message.room) + message.nick.capacity() + text(&message.text)
        });
        let sent = |sent: &Sent| sent.to.capacity() + sent.id.capacity() + text(&sent.text);
        let written = |written: &Written| match written {
            Written::Key(name) | Written::Timer(name) => name.capacity(),
        };
        let own = [&self.name, &self.script, &self.from, &self.alias].into_iter().map(text);
        size_of::<Self>()
            + self.id.capacity()
            + own.sum::<usize>()
            + message
            + texts(&self.failures)
            + self.sends.capacity() * size_of::<Sent>()
            + self.sends.iter().map(sent).sum::<usize>()
            + self.written.capacity() * size_of::<Written>()
            + self.written.iter().map(written).sum::<usize>()
            + self.notes.weight()
    }

    /// Whether somebody who asks for that kind means this event: `timer`, or `timer:tea` with its name.
    pub fn is_of(&self, kind: &str) -> bool {
        match kind.split_once(':') {
            Some((kind, name)) => self.kind == kind && self.name.as_deref() == Some(name),
            None => self.kind == kind,
        }
    }

    /// Whether somebody who asks for `id` means this event: its own id or the beginning of it, or that of a message
    /// that it is or led to.
    pub fn is_called(&self, id: &str) -> bool {
        let short = cut(id);
        let begins = id.len() >= 4 && self.id.starts_with(id);
        begins
            || self.alias.as_ref() == Some(&short)
            || self.message.iter().flat_map(|message| &message.ids).any(|own| *own == short)
            || self.sends.iter().any(|sent| sent.id == short)
    }
}

/// The short name of an event of that bot in logs and traces.
pub(super) fn id(bot: &str, key: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(bot);
    hash.update([0]);
    hash.update(key);
    let digest = hash.finalize();
    digest[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a turn wrote, by name.
pub(super) fn written(own: &Overlay) -> Vec<Written> {
    if own.is_empty() {
        return Vec::new();
    }
    memory::uncounted(|| {
        let keys = own.values.keys().map(|(_, key)| Written::Key(cut(key)));
        let timers = own.timers.values().map(|row| match row {
            Some(row) => Written::Timer(cut(&row.name)),
            None => Written::Timer("removed".to_owned()),
        });
        keys.take(MOST).chain(timers.take(MOST)).collect()
    })
}

fn remember(message: &Message, text: Option<String>) -> MessageTrace {
    MessageTrace {
        ids: message.id.iter().chain(&message.stanza_id).map(|id| cut(id)).collect(),
        room: message.room.as_ref().map(|room| cut(room.as_str())),
        nick: cut(&message.nick),
        kind: message.kind,
        corrects: message.replaces.is_some(),
        length: message.text.chars().count(),
        text,
    }
}

/// Bytes of a list of texts.
fn texts(all: &Vec<String>) -> usize {
    all.capacity() * size_of::<String>() + all.iter().map(String::capacity).sum::<usize>()
}

/// A failure in one line.
pub(super) fn failure(failure: &ScriptError) -> String {
    let message = cut(&failure.message);
    let place = match failure.place() {
        place if place.is_empty() && !failure.script.is_empty() => format!("{}: ", failure.script),
        place => place,
    };
    format!("{place}{message}")
}

/// The beginning of a long text.
fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}
