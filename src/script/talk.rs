//! What people say to a bot: which scripts hear it, and what answers a question. Commands are in `invoke`.

use std::sync::{Arc, PoisonError};

use rhai::Dynamic;

use crate::event::{Class, Message, Timer};
use crate::script::api::message::{Given, MessageObject};
use crate::script::bot::{Bot, Progress};
use crate::script::command;
use crate::script::declare::Wants;
use crate::script::dialog::{self, Asked, Open};
use crate::script::host::Host;
use crate::script::instance::Surroundings;
use crate::script::invoke::Call;
use crate::script::memory;
use crate::script::rooms::Heard;
use crate::stanza::MessageKind;

/// A message on its way through the scripts.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    pub given: &'a Arc<Given>,
    /// The same as scripts get it.
    pub object: &'a Dynamic,
    /// See [`crate::script::Delivery::key`].
    pub key: &'a str,
}

impl Said<'_> {
    pub(super) fn message(&self) -> &Message {
        &self.given.message
    }

    /// Whether it was said to the bot alone.
    pub(super) fn is_direct(&self) -> bool {
        self.message().kind != MessageKind::Groupchat
    }
}

impl Bot {
    pub(super) fn message(
        &mut self,
        message: &Message,
        key: &str,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let neighbour =
            message.room.as_ref().is_some_and(|room| self.identity.rooms.is_bot(room, &message.nick));
        let own = neighbour || (message.from.to_bare() == self.identity.jid && message.room.is_none());
        let wants = Wants {
            delayed: matches!(message.class, Class::Archive | Class::History),
            carbons: matches!(message.class, Class::Carbon { .. }),
            own: own
                || message.own
                || matches!(message.class, Class::Reflection | Class::Carbon { sent: true }),
            encrypted: message.encrypted && message.text.is_empty(),
        };
        let is_bot = {
            let bots = self.identity.bots.read().unwrap_or_else(PoisonError::into_inner);
            message.is_bot || neighbour || (message.room.is_none() && bots.contains(&message.from.to_bare()))
        };
        let groupchat = message.kind == MessageKind::Groupchat;
        let said = if groupchat { self.without_mention(message).map(str::to_owned) } else { None };
        let addressed = said.is_some();
        let given = Arc::new(Given { message: message.clone(), is_bot, said, addressed, asked: None });
        if self.again.is_none() {
            self.identity.rooms.hear(Heard::in_message(message));
        }
        let object = Dynamic::from(MessageObject(given.clone()));
        let said = Said { given: &given, object: &object, key };
        // A corrected command has run already, as it was.
        let talk = message.kind != MessageKind::Headline && message.replaces.is_none();
        progress.notes.addressed = addressed;
        progress.notes.sort = wants;
        progress.notes.command = command::split(given.text()).is_some();
        let taken = wants == Wants::default() && talk && self.taken(said, host, around, progress);
        progress.notes.taken = taken;
        if !taken {
            let names =
                message_names(message.kind, message.room.is_some(), message.replaces.is_some(), addressed);
            self.chain(names, wants, key, &object, host, around, progress);
        }
        if wants.encrypted && self.again.is_none() {
            self.cannot_read(said, host, around, progress);
        }
        drop(object);
        // A script that keeps the message keeps its memory too.
        if Arc::strong_count(&given) > 1 {
            let bytes = 512 + message.text.len() + 256 * message.payloads.len();
            self.slots.iter_mut().filter_map(|slot| slot.instance.as_mut()).for_each(|i| i.charge(bytes));
        }
    }

    /// Whether a message was a command or an answer, and so is nothing for other handlers.
    fn taken(
        &mut self,
        said: Said<'_>,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) -> bool {
        match command::split(said.given.text()) {
            Some((name, rest)) => {
                self.command(name, rest, said, host, around, progress)
                    // In a room it may be meant for another bot.
                    || (said.is_direct() && self.answered(said, host, around, progress))
            }
            None => self.answered(said, host, around, progress),
        }
    }

    /// Gives a message to the script that has asked its sender something; false if none has.
    fn answered(
        &mut self,
        said: Said<'_>,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) -> bool {
        let mut spot = None;
        for at in 0..self.slots.len() {
            let Some(instance) = self.slots[at].instance.as_ref().filter(|i| i.declared.asks()) else {
                continue;
            };
            let spot = spot.get_or_insert_with(|| dialog::spot(said.message()));
            let Some(open) = dialog::find(around, &self.identity.name, instance, spot) else { continue };
            match &open {
                Open::Asked(asked) if !instance.declared.answers.contains(&asked.name) => {
                    progress.failures.push(dialog::orphan(instance, &asked.name, 1));
                    around.pending.remove(&instance.beside, spot);
                }
                Open::Asked(asked) => {
                    self.answer_to(at, asked, spot, said, host, around, progress);
                    return true;
                }
                Open::Confirm { .. } => {
                    self.decided(at, &open, spot, said, host, around, progress);
                    return true;
                }
            }
        }
        false
    }

    /// Runs the handlers of an answer, which closes the question.
    #[allow(clippy::too_many_arguments)]
    fn answer_to(
        &mut self,
        at: usize,
        asked: &Asked,
        spot: &str,
        said: Said<'_>,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let event = format!("answer:{}", asked.name);
        let text = said.given.text().trim();
        let choice = asked.choices.iter().find(|choice| choice.to_lowercase() == text.to_lowercase());
        if !asked.choices.is_empty() && choice.is_none() {
            let say = format!("Please answer {}.", alternatives(&asked.choices));
            self.say(at, &event, &say, said, host, around, progress);
            return;
        }
        let Given { message, is_bot, said: without_mention, addressed, .. } = &**said.given;
        let given = Given {
            message: message.clone(),
            is_bot: *is_bot,
            said: choice.or(without_mention.as_ref()).cloned(),
            addressed: *addressed,
            asked: Some(asked.clone()),
        };
        let object = Dynamic::from(MessageObject(Arc::new(given)));
        let open = Open::Asked(asked.clone());
        let close = || dialog::close(spot, &open);
        self.script_chain(at, &[&event], Wants::default(), said.key, &object, close, host, around, progress);
    }

    /// Runs a command that was to be confirmed, or does not.
    #[allow(clippy::too_many_arguments)]
    fn decided(
        &mut self,
        at: usize,
        open: &Open,
        spot: &str,
        said: Said<'_>,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let Open::Confirm { command: name, typed, read_at } = open else { return };
        let text = said.given.text().trim().trim_end_matches(['.', '!']).to_lowercase();
        let event = format!("command {name}");
        let say = match text.as_str() {
            "yes" | "y" => {
                let mut all = self.slots[at].instance.iter().flat_map(|i| &i.declared.commands);
                let found = all.find(|command| command.spec.name == *name).cloned();
                if let Some(command) = found {
                    let call = Call { typed, read_at: *read_at, confirmed: Some((spot, open)) };
                    return self.invoke(at, &command, call, said, host, around, progress);
                }
                format!("There is no !{name} any more.")
            }
            "no" | "n" => "Cancelled.".to_owned(),
            _ => return self.say(at, &event, "Answer yes or no.", said, host, around, progress),
        };
        let object = said.object;
        self.turn(at, &event, said.key, host, around, progress, |_| {
            dialog::close(spot, open)?;
            say_to(object, &say)
        });
    }

    /// Closes what is open with the sender; false if nothing is.
    pub(super) fn cancelled(
        &mut self,
        said: Said<'_>,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) -> bool {
        let spot = dialog::spot(said.message());
        let mut last = None;
        for at in 0..self.slots.len() {
            let Some(instance) = self.slots[at].instance.as_ref().filter(|i| i.declared.asks()) else {
                continue;
            };
            if let Some(open) = dialog::find(around, &self.identity.name, instance, &spot) {
                self.turn(at, "cancel", said.key, host, around, progress, |_| dialog::close(&spot, &open));
                last = Some(at);
            }
        }
        if let Some(at) = last {
            self.say(at, "cancel", "Cancelled.", said, host, around, progress);
        }
        last.is_some()
    }

    /// Ends a question whose time is over with the words it was given for that.
    pub(super) fn question_ends(
        &mut self,
        timer: &Timer,
        script: &str,
        key: &str,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        around.pending.remove_timer(timer.id);
        let Some(at) = self.slots.iter().position(|slot| slot.uses.name == script) else { return };
        let Some(spot) = dialog::key_of(timer) else { return };
        let scope = dialog::beside(script);
        // It may have expired a moment ago, but while it waited for its end nothing else was asked there.
        let newer = around.entry(&self.identity.name, &scope, spot);
        let newer = newer.and_then(|(value, _)| Open::from_value(&value));
        if newer.is_none_or(|open| matches!(open, Open::Asked(asked) if asked.timer == Some(timer.id))) {
            self.turn(at, "question ends", key, host, around, progress, |_| {
                dialog::forget(spot)?;
                dialog::say_end(timer)
            });
        }
    }

    /// What a room message says to the bot, where it begins with the bot's nick there, as in `helper: hello`; with
    /// its name, where the nick is not known.
    fn without_mention<'a>(&self, message: &'a Message) -> Option<&'a str> {
        let names = match &message.own_nick {
            Some(nick) => [Some(nick.as_str()), None],
            None => [Some(self.identity.name.as_str()), self.identity.jid.local()],
        };
        let text = message.text.as_str();
        let text = text.trim_start().trim_start_matches('@');
        names.into_iter().flatten().find_map(|name| {
            let rest = strip_name(text, name)?;
            let ends = rest.is_empty() || rest.starts_with([':', ',', ' ', '!', '?']);
            ends.then(|| rest.trim_start_matches([':', ',', ' ']))
        })
    }

    /// Answers in the runtime's own words.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn say(
        &mut self,
        at: usize,
        event: &str,
        words: &str,
        said: Said<'_>,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let object = said.object;
        self.turn(at, event, said.key, host, around, progress, |_| say_to(object, words));
    }
}

/// Answers a message in the runtime's own words.
pub(super) fn say_to(object: &Dynamic, text: &str) -> Result<(), Box<rhai::EvalAltResult>> {
    let Some(given) = object.read_lock::<MessageObject>() else { return Ok(()) };
    memory::uncounted(|| crate::script::api::message::answer(&given.0.message, text))
}

/// The events that a message is.
pub(super) fn message_names(
    kind: MessageKind,
    of_room: bool,
    edited: bool,
    addressed: bool,
) -> &'static [&'static str] {
    match (kind, of_room) {
        (MessageKind::Headline, _) => &["headline"],
        (MessageKind::Groupchat, _) if edited && addressed => &["edit", "mention", "room"],
        (MessageKind::Groupchat, _) if edited => &["edit", "room"],
        (MessageKind::Chat | MessageKind::Normal, true) if edited => &["edit", "pm"],
        (MessageKind::Chat | MessageKind::Normal, false) if edited => &["edit", "message"],
        (MessageKind::Groupchat, _) if addressed => &["mention", "room"],
        (MessageKind::Groupchat, _) => &["room"],
        (MessageKind::Chat | MessageKind::Normal, true) => &["pm"],
        (MessageKind::Chat | MessageKind::Normal, false) => &["message"],
    }
}

/// `text` without `name` in front, whatever the case of its letters.
fn strip_name<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = text.chars();
    for wanted in name.chars() {
        let found = rest.next()?;
        if found != wanted && !found.to_lowercase().eq(wanted.to_lowercase()) {
            return None;
        }
    }
    Some(rest.as_str())
}

/// `a, b or c`.
fn alternatives(choices: &[String]) -> String {
    match choices {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
