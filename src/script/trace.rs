//! What a bot made of its last events, and which handlers were asked: for people who wonder why nothing happened.

use std::collections::VecDeque;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::event::Event;
use crate::script::memory;

/// Events a bot remembers.
const KEPT: usize = 8;
/// Events that come in floods, remembered apart so that they push out nothing that people ask about.
const KEPT_NOISE: usize = 2;
/// Characters of an address or of an error.
const LONGEST: usize = 128;

/// One event and what came of it. The text of messages is not kept.
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
    /// What went wrong.
    pub failures: Vec<String>,
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

/// Who an event came from, cut.
pub(super) fn from(event: &Event) -> Option<String> {
    let Event::Message(message) = event else { return None };
    Some(cut(message.from.as_str()))
}

/// The beginning of a long text.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// Makes a trace outside the memory of any script.
pub(super) fn make(work: impl FnOnce() -> Trace) -> Trace {
    memory::uncounted(work)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Message;
    use crate::jid::Jid;

    #[test]
    fn an_event_that_runs_again_is_remembered_once() {
        let event =
            Event::Message(Box::new(Message::chat(Jid::parse("ann@example.org/pc").expect("valid"), "hi")));
        let trace = |key: &str, turns| Trace {
            id: id(key),
            at: Timestamp::UNIX_EPOCH,
            kind: "message",
            from: from(&event),
            turns,
            actions: 0,
            failures: Vec::new(),
        };
        let mut traces = Traces::default();
        traces.record(&event, trace("a", 1));
        traces.record(&event, trace("b", 1));
        traces.record(&event, trace("a", 2));
        assert_eq!(traces.all().iter().map(|t| t.turns).collect::<Vec<_>>(), [1, 2]);
    }
}
