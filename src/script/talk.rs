//! What people say to a bot: which scripts hear it, commands, usage and help.

use std::sync::{Arc, PoisonError};

use rhai::Dynamic;

use crate::event::{Class, Message};
use crate::script::api::message::{Given, MessageObject};
use crate::script::bot::{Bot, Progress};
use crate::script::command;
use crate::script::declare::{Command, Place, Wants};
use crate::script::error::nearest;
use crate::script::host::Host;
use crate::script::instance::Surroundings;
use crate::script::memory;
use crate::stanza::MessageKind;

impl Bot {
    pub(super) fn message(
        &mut self,
        message: &Message,
        key: &str,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let own = message.from.to_bare() == self.identity.jid && message.room.is_none();
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
            message.is_bot || (message.room.is_none() && bots.contains(&message.from.to_bare()))
        };
        let given = Arc::new(Given { message: message.clone(), is_bot });
        let object = Dynamic::from(MessageObject(given.clone()));
        // A corrected command has run already, as it was.
        let talk = message.kind != MessageKind::Headline && message.replaces.is_none();
        if wants == Wants::default()
            && talk
            && let Some((name, rest)) = command::split(&message.text)
            && self.command(name, rest, message, &object, key, host, around, progress)
        {
            return;
        }
        self.chain(self.message_names(message), wants, key, &object, host, around, progress);
        drop(object);
        // A script that keeps the message keeps its memory too.
        if Arc::strong_count(&given) > 1 {
            let bytes = 512 + message.text.len() + 256 * message.payloads.len();
            self.slots.iter_mut().filter_map(|slot| slot.instance.as_mut()).for_each(|i| i.charge(bytes));
        }
    }

    fn message_names(&self, message: &Message) -> &'static [&'static str] {
        match (message.kind, &message.room) {
            (MessageKind::Headline, _) => &["headline"],
            (MessageKind::Groupchat, _) if self.is_addressed(&message.text) => &["mention", "room"],
            (MessageKind::Groupchat, _) => &["room"],
            (MessageKind::Chat | MessageKind::Normal, Some(_)) => &["pm"],
            (MessageKind::Chat | MessageKind::Normal, None) => &["message"],
        }
    }

    /// Whether a room message begins with the bot's name, as in `helper: hello`.
    fn is_addressed(&self, text: &str) -> bool {
        let names = [Some(self.identity.name.as_str()), self.identity.jid.local()];
        let text = text.trim_start().trim_start_matches('@').to_lowercase();
        names.into_iter().flatten().any(|name| {
            let rest = text.strip_prefix(&name.to_lowercase());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', ',', ' ', '!', '?']))
        })
    }

    /// Runs a command; false if there is none of that name and others may have the message.
    #[allow(clippy::too_many_arguments)]
    fn command(
        &mut self,
        name: &str,
        rest: &str,
        message: &Message,
        object: &Dynamic,
        key: &str,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) -> bool {
        let direct = message.kind != MessageKind::Groupchat;
        let heard = |command: &Command| match command.place {
            Place::Any => true,
            Place::Direct => direct,
            Place::Room => !direct,
        };
        let mut found = None;
        let mut first = None;
        for (at, slot) in self.slots.iter().enumerate() {
            for command in
                slot.instance.iter().flat_map(|i| &i.declared.commands).filter(|command| heard(command))
            {
                first.get_or_insert(at);
                if found.is_none() && command.answers_to(name) {
                    found = Some((at, command.clone()));
                }
            }
        }
        let Some(first) = first else { return false };
        let (at, say) = match found {
            Some((at, command)) => match self.permitted(&command, message) {
                false => (at, format!("You may not use !{}.", command.spec.name)),
                true => match command.spec.read(rest, around.moment.wall) {
                    Err(why) => (at, format!("{why}\nUsage: {}", command.spec.usage())),
                    Ok(arguments) => {
                        let event = format!("command {}", command.spec.name);
                        let arguments = vec![object.clone(), Dynamic::from_map(arguments)];
                        self.turn(at, &event, key, host, around, progress, |caller| {
                            caller.call(&command.call, arguments).map(drop)
                        });
                        return true;
                    }
                },
            },
            None if name == "help" => (first, self.help(rest, direct, message)),
            None if direct => (first, self.unknown(name, message)),
            None => return false,
        };
        let object = object.clone();
        self.turn(at, "command", key, host, around, progress, |_| say_to(&object, &say));
        true
    }

    fn permitted(&self, command: &Command, message: &Message) -> bool {
        if command.allow.is_empty() {
            return true;
        }
        let admin = || self.identity.is_admin(&message.who);
        command.allow.iter().any(|allowed| if allowed == "admin" { admin() } else { *allowed == message.who })
    }

    fn commands<'a>(&'a self, direct: bool, message: &'a Message) -> impl Iterator<Item = &'a Command> {
        let all =
            self.slots.iter().filter_map(|slot| slot.instance.as_ref()).flat_map(|i| &i.declared.commands);
        let heard = move |command: &&Command| match command.place {
            Place::Any => true,
            Place::Direct => direct,
            Place::Room => !direct,
        };
        all.filter(heard).filter(|command| !command.hidden && self.permitted(command, message))
    }

    fn help(&self, about: &str, direct: bool, message: &Message) -> String {
        let line = |command: &Command| match command.help.as_str() {
            "" => command.spec.usage(),
            help => format!("{}  {help}", command.spec.usage()),
        };
        let about = about.trim().trim_start_matches(command::PREFIX);
        if about.is_empty() {
            return self.commands(direct, message).map(line).collect::<Vec<_>>().join("\n");
        }
        match self.commands(direct, message).find(|command| command.answers_to(about)) {
            Some(command) => line(command),
            None => self.unknown(about, message),
        }
    }

    fn unknown(&self, name: &str, message: &Message) -> String {
        let direct = message.kind != MessageKind::Groupchat;
        let names = self.commands(direct, message).map(|command| command.spec.name.as_str());
        match nearest(name, names) {
            Some(near) => format!("There is no !{name}. Did you mean !{near}?"),
            None => format!("There is no !{name}. Try !help."),
        }
    }
}

/// Answers a message in the runtime's own words.
fn say_to(object: &Dynamic, text: &str) -> Result<(), Box<rhai::EvalAltResult>> {
    let Some(given) = object.read_lock::<MessageObject>() else { return Ok(()) };
    memory::uncounted(|| crate::script::api::message::answer(&given.0.message, text))
}
