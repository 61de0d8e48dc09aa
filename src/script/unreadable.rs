//! A polite answer to messages that cannot be read (XEP-0380): at most once a day to each sender, one to one only, and
//! never to a bot. A script that takes such messages itself says what it likes.

use std::sync::PoisonError;
use std::time::Duration;

use rhai::EvalAltResult;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::event::{Class, Message};
use crate::ids::base32;
use crate::script::api::message;
use crate::script::bot::{Bot, Progress};
use crate::script::host::Host;
use crate::script::instance::Surroundings;
use crate::script::talk::Said;
use crate::script::turn;
use crate::script::verdict::Verdict;
use crate::stanza::MessageKind;

/// How long a sender who was told is not told again.
const SILENCE: Duration = Duration::from_secs(24 * 60 * 60);

impl Bot {
    /// Tells the sender of a message that nobody took that it cannot be read.
    pub(super) fn cannot_read(
        &mut self,
        said: Said<'_>,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let message = said.message();
        let taken = progress.notes.all.iter().any(|note| note.verdict == Verdict::Ran);
        if taken || said.given.is_bot || !is_to_be_told(message) {
            return;
        }
        let text = {
            let speech = self.identity.speech.read().unwrap_or_else(PoisonError::into_inner);
            speech.unreadable.clone()
        };
        let Some(text) = text else { return };
        // Of a script that is parked nothing can be said; the first one that runs lends its turn.
        let Some(at) = self.slots.iter().position(|slot| slot.instance.is_some()) else { return };
        let key = key(message);
        self.turn(at, "unreadable", said.key, host, around, progress, |_| {
            if first_today(&key)? { message::answer(message, &text) } else { Ok(()) }
        });
    }
}

/// Whether somebody has said it to the bot alone, just now or while it was away for a moment.
fn is_to_be_told(message: &Message) -> bool {
    message.encrypted
        && !message.own
        && message.room.is_none()
        && message.replaces.is_none()
        && matches!(message.kind, MessageKind::Chat | MessageKind::Normal)
        && matches!(message.class, Class::Live | Class::Delayed)
}

/// Notes that the sender is told, where that has not happened for a day. All scripts of the bot have the note in
/// common.
fn first_today(key: &str) -> Result<bool, Box<EvalAltResult>> {
    turn::act(|turn| {
        let scope = SCOPE.into();
        if turn.entry_in(&scope, key)?.is_some() {
            return Ok(false);
        }
        let expires = turn.moment.wall.checked_add(SILENCE).ok();
        turn.put_in(&scope, key, Some(Value::Bool(true)), expires)?;
        Ok(true)
    })
}

/// Names of scripts hold no such character, so no script has this scope.
const SCOPE: &str = ":unreadable";

/// An address may be longer than a key.
fn key(message: &Message) -> String {
    let digest = Sha256::digest(message.from.bare_str());
    base32(&digest)[..26].to_owned()
}
