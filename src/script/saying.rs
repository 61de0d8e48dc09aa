//! From what is to be said to the messages that say it: one, or several where it is longer than one may be.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use crate::action::{Action, OutgoingMessage};
use crate::jid::Jid;
use crate::script::error::{Kind, Thrown};
use crate::script::manner::{Manner, Mention};
use crate::script::memory;
use crate::script::parts::{self, Bound};
use crate::script::speech::SPARE;
use crate::script::turn::Turn;
use crate::stanza::MessageKind;
use crate::xep::references;
use crate::xml::{Element, writer};

/// What is to be said, to whom and how.
pub(super) struct Saying<'a> {
    pub to: &'a Jid,
    pub kind: MessageKind,
    pub text: &'a str,
    pub subject: Option<String>,
    pub lang: Option<String>,
    pub thread: Option<String>,
    pub manner: Manner,
}

/// What one of the messages carries.
struct Part<'a> {
    text: &'a str,
    first: bool,
}

/// Bytes that must be left for text beside all that goes with it.
const LEAST: usize = 512;

impl Saying<'_> {
    /// Queues the messages in order and gives the id of the last. `fixed` makes what goes with each of them.
    ///
    /// # Errors
    /// Where the server would not take it: the text may not be split or cannot be.
    pub(super) fn queue(self, turn: &mut Turn, fixed: impl Fn() -> Vec<Element>) -> Result<String, Thrown> {
        let queued = self.push_all(turn, &fixed);
        // What the options made was not counted as the script's.
        memory::uncounted(|| drop((self.manner.once, self.manner.payloads)));
        queued
    }

    fn push_all(&self, turn: &mut Turn, fixed: &impl Fn() -> Vec<Element>) -> Result<String, Thrown> {
        let texts = self.texts(turn, fixed)?;
        let Self { to, kind, subject, lang, thread, manner, .. } = self;
        let last = texts.len() - 1;
        let mut id = String::new();
        let mut named = vec![false; manner.mentions.len()];
        for (at, text) in texts.into_iter().enumerate() {
            let part = Part { text, first: at == 0 };
            id = turn.next_id();
            turn.push(text.len() + manner.weight + 256, || {
                let mut payloads = fixed();
                payloads.extend(manner.once.iter().filter(|_| part.first).cloned());
                payloads.extend(manner.payloads.iter().cloned());
                part.mentions(manner, at == last, &mut named, &mut payloads);
                let before = if part.first { manner.before.as_str() } else { "" };
                Action::Message(OutgoingMessage {
                    to: (*to).clone(),
                    kind: *kind,
                    id: id.clone(),
                    text: format!("{before}{text}"),
                    subject: subject.clone().filter(|_| part.first),
                    lang: lang.clone(),
                    thread: thread.clone(),
                    payloads,
                })
            })?;
        }
        Ok(id)
    }

    /// The texts of the messages.
    fn texts(&self, turn: &Turn, fixed: &impl Fn() -> Vec<Element>) -> Result<Vec<&str>, Thrown> {
        let manner = &self.manner;
        let limit = turn.bot.stanza.load(Ordering::Relaxed);
        let longest = turn.bot.speech.read().unwrap_or_else(PoisonError::into_inner).longest;
        let longest = longest.unwrap_or(usize::MAX);
        let words = |text: &Option<String>| text.as_deref().map_or(0, parts::written);
        let mentions: usize = manner.mentions.iter().map(Mention::written).sum();
        let each = SPARE
            + parts::written(self.to.as_str())
            + words(&self.lang)
            + words(&self.thread)
            + memory::uncounted(|| size(&fixed()))
            + size(&manner.payloads);
        // Any part may hold a mention.
        let further = Bound { text: longest, xml: limit.saturating_sub(each + mentions) };
        let beside = size(&manner.once) + words(&self.subject) + parts::written(&manner.before);
        let first = Bound {
            text: longest.saturating_sub(manner.before.len()).max(LEAST.min(longest)),
            xml: further.xml.saturating_sub(beside),
        };
        let fits = self.text.len() <= first.xml / 5 || parts::written(self.text) <= first.xml;
        let short = self.text.len() <= first.text;
        if fits && (short || !manner.split || manner.bodies) {
            return Ok(vec![self.text]);
        }
        let too_large = |why: &str| Thrown::new(Kind::Size, format!("{why}: the server takes {limit} bytes"));
        if !manner.split {
            return Err(too_large("the message is too large and may not be split"));
        }
        if manner.bodies {
            return Err(too_large("a message in several languages is not split, and this one is too large"));
        }
        if first.xml < LEAST {
            return Err(too_large("what goes with the text is too large"));
        }
        parts::split(self.text, first, further)
            .map_err(|parts::Indivisible| too_large("one character of the text is too large for a message"))
    }
}

impl Part<'_> {
    /// Adds who is named here for the first time; with the last part also who is named nowhere.
    fn mentions(&self, manner: &Manner, last: bool, named: &mut [bool], payloads: &mut Vec<Element>) {
        let before = if self.first { manner.before.chars().count() } else { 0 };
        for (mention, named) in manner.mentions.iter().zip(named).filter(|(_, named)| !**named) {
            let place = word(self.text, &mention.word).map(|(begin, end)| (before + begin, before + end));
            if place.is_some() || last {
                *named = true;
                payloads.push(references::mention(&mention.address, place));
            }
        }
    }
}

/// Where a word stands by itself, in characters.
fn word(text: &str, word: &str) -> Option<(usize, usize)> {
    let at = text.match_indices(word).map(|(at, _)| at).find(|at| {
        let before = text[..*at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })?;
    let begin = text[..at].chars().count();
    Some((begin, begin + word.chars().count()))
}

/// Bytes of elements as XML. What cannot be written is refused later, where all is looked at.
fn size(elements: &[Element]) -> usize {
    let written = |element| writer::to_string(element).map_or(0, |text| text.len());
    elements.iter().map(written).sum()
}
