//! What a bot made of its last events, and which handlers were asked: for people who wonder why nothing happened.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::action::Action;
use crate::event::{Event, Message};
use crate::script::bot::simple_name;
use crate::script::error::ScriptError;
use crate::script::memory;
use crate::script::overlay::Overlay;
use crate::script::table::Table;
use crate::script::verdict::Notes;
use crate::stanza::MessageKind;

/// Events a bot remembers.
const KEPT: usize = 8;
/// Events that come in floods, remembered apart so that they push out nothing that people ask about.
const KEPT_NOISE: usize = 2;
/// Characters of an address, an id, a key or an error.
const LONGEST: usize = 128;
/// Characters of a text, where texts are kept.
const TEXT: usize = 500;
/// Messages, keys and failures that are remembered of one event.
const MOST: usize = 16;

/// One event and what came of it. Texts of messages are kept only where `log: { bodies: true }` says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Follows from the delivery's key, so it is the same when the event is handled again.
    pub id: String,
    /// When it was handled.
    pub at: Timestamp,
    /// Kind of event.
    pub kind: &'static str,
    /// Who it came from, where it is a message.
    pub from: Option<String>,
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
    /// How long its turns took.
    pub spent: Duration,
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
    pub spent: Duration,
    pub table: Arc<Table>,
    /// Whether texts are kept.
    pub bodies: bool,
}

impl Trace {
    pub(super) fn new(id: String, at: Timestamp, event: &Event, told: Told<'_>) -> Self {
        let text = |text: &str| told.bodies.then(|| text.chars().take(TEXT).collect());
        let sends = told.actions.iter().filter_map(|action| match action {
            Action::Message(message) => {
                let (to, id) = (cut(message.to.as_str()), cut(&message.id));
                Some(Sent { to, id, text: text(&message.text) })
            }
            _ => None,
        });
        let message = match event {
            Event::Message(message) => Some(remember(message, text(&message.text))),
            _ => None,
        };
        let failures = told.failures.iter().map(failure).take(MOST).collect();
        let mut written = told.written;
        written.truncate(MOST);
        Self {
            id,
            at,
            kind: simple_name(event),
            from: from(event),
            turns: told.turns,
            actions: told.actions.len(),
            failures,
            message,
            sends: sends.take(MOST).collect(),
            written,
            spent: told.spent,
            notes: told.notes,
            table: told.table,
        }
    }

    /// Whether somebody who asks for `id` means this event: its own id or the beginning of it, or that of a message
    /// that it is or led to.
    pub fn is_called(&self, id: &str) -> bool {
        let short = cut(id);
        let begins = id.len() >= 4 && self.id.starts_with(id);
        begins
            || self.message.iter().flat_map(|message| &message.ids).any(|own| *own == short)
            || self.sends.iter().any(|sent| sent.id == short)
    }
}

/// The last events of one bot.
#[derive(Default)]
pub(super) struct Traces {
    talk: VecDeque<Trace>,
    noise: VecDeque<Trace>,
}

impl Traces {
    /// Remembers one. An event that is handled again replaces what was remembered of it.
    pub(super) fn record(&mut self, event: &Event, trace: Trace) {
        let noisy = matches!(event, Event::Presence(_) | Event::ChatState { .. });
        let (ring, most) = if noisy { (&mut self.noise, KEPT_NOISE) } else { (&mut self.talk, KEPT) };
        ring.retain(|other| other.id != trace.id);
        if ring.len() >= most {
            ring.pop_front();
        }
        ring.push_back(trace);
    }

    /// The store refused what an event led to: nothing of it was kept or sent.
    pub(super) fn note_loss(&mut self, id: &str, why: &ScriptError) {
        for trace in self.talk.iter_mut().chain(&mut self.noise).filter(|trace| trace.id == id) {
            trace.sends.clear();
            trace.written.clear();
            trace.actions = 0;
            trace.failures.push(failure(why));
            trace.failures.truncate(MOST + 1);
        }
    }

    /// The oldest first.
    pub(super) fn all(&self) -> Vec<Trace> {
        let mut all: Vec<Trace> = self.talk.iter().chain(&self.noise).cloned().collect();
        all.sort_by_key(|trace| trace.at);
        all
    }
}

/// The short name of an event in logs and traces.
pub fn id(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
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

/// Who an event came from, cut.
fn from(event: &Event) -> Option<String> {
    let Event::Message(message) = event else { return None };
    Some(cut(message.from.as_str()))
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

fn failure(failure: &ScriptError) -> String {
    let ScriptError { file, line, column, .. } = failure;
    let message = cut(&failure.message);
    if *line == 0 {
        format!("{}: {message}", failure.script)
    } else {
        format!("{file}:{line}:{column}: {message}")
    }
}

/// The beginning of a long text.
fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jid::Jid;

    #[test]
    fn an_event_that_runs_again_is_remembered_once() {
        let event =
            Event::Message(Box::new(Message::chat(Jid::parse("ann@example.org/pc").expect("valid"), "hi")));
        let trace = |key: &str, turns| {
            let told = Told {
                turns,
                actions: &[],
                failures: &[],
                written: Vec::new(),
                notes: Notes::default(),
                spent: Duration::ZERO,
                table: Arc::default(),
                bodies: false,
            };
            Trace::new(id(key), Timestamp::UNIX_EPOCH, &event, told)
        };
        let mut traces = Traces::default();
        traces.record(&event, trace("a", 1));
        traces.record(&event, trace("b", 1));
        traces.record(&event, trace("a", 2));
        assert_eq!(traces.all().iter().map(|t| t.turns).collect::<Vec<_>>(), [1, 2]);
    }
}
