//! Running commands: who may, how often, whether they mean it; usage and help.

use std::sync::PoisonError;
use std::time::Duration;

use jiff::Timestamp;
use rhai::Dynamic;

use crate::event::Message;
use crate::script::bot::{Bot, Progress};
use crate::script::command;
use crate::script::declare::{Command, Confirm, Place};
use crate::script::dialog::{self, CONFIRMATION, Open};
use crate::script::error::nearest;
use crate::script::host::Host;
use crate::script::instance::Surroundings;
use crate::script::span::show_span;
use crate::script::talk::{Said, say_to};
use crate::script::turn;
use crate::script::verdict::{List, Verdict};

/// What somebody typed behind the name of a command.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub typed: &'a str,
    /// The moment that `10m` counts from.
    pub read_at: Timestamp,
    /// The question to which they said yes, and its key.
    pub confirmed: Option<(&'a str, &'a Open)>,
}

impl Bot {
    /// Runs a command; false if there is none of that name and others may have the message.
    pub(super) fn command(
        &mut self,
        name: &str,
        rest: &str,
        said: Said<'_>,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) -> bool {
        let direct = said.is_direct();
        let found = self.typed(name, direct).map(|(at, command)| (at, command.clone()));
        let first = self.slots.iter().position(|slot| {
            slot.instance.iter().flat_map(|i| &i.declared.commands).any(|command| command.place.hears(direct))
        });
        if let Some((at, command)) = found {
            let call = Call { typed: rest, read_at: around.moment.wall, confirmed: None };
            self.invoke(at, &command, call, said, host, around, progress);
            return true;
        }
        if name == "cancel" && rest.is_empty() && self.cancelled(said, host, around, progress) {
            return true;
        }
        if name != "help" {
            self.note_names(name, direct, progress);
        }
        let Some(first) = first else { return false };
        let say = match name {
            "help" => self.help(rest, direct, said.message()),
            _ if direct => self.unknown(name, said.message()),
            _ => return false,
        };
        self.say(first, "command", &say, said, host, around, progress);
        true
    }

    /// The command of that name that is heard there: the first script's.
    pub(super) fn typed(&self, name: &str, direct: bool) -> Option<(usize, &Command)> {
        let all = self.slots.iter().enumerate().flat_map(|(at, slot)| {
            slot.instance.iter().flat_map(|i| &i.declared.commands).map(move |command| (at, command))
        });
        let mut heard = all.filter(|(_, command)| command.place.hears(direct));
        heard.find(|(_, command)| command.answers_to(name))
    }

    /// Runs a command, or says why not.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn invoke(
        &mut self,
        at: usize,
        command: &Command,
        call: Call<'_>,
        said: Said<'_>,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let event = format!("command {}", command.spec.name);
        let object = said.object;
        let close = || call.confirmed.map_or(Ok(()), |(key, open)| dialog::close(key, open));
        let arguments = match self.granted(at, command, call, said, around) {
            Ok(arguments) => arguments,
            Err((verdict, why)) => {
                self.note_command(at, command, verdict, progress);
                self.turn(at, &event, said.key, host, around, progress, |_| {
                    close()?;
                    say_to(object, &why)
                });
                return;
            }
        };
        if let (Some(confirm), None) = (&command.confirm, call.confirmed) {
            let question = question(confirm, command, call.typed);
            let spot = dialog::spot(said.message());
            let open = Open::Confirm {
                command: command.spec.name.clone(),
                typed: call.typed.to_owned(),
                read_at: call.read_at,
            };
            self.note_command(at, command, Verdict::AsksFirst, progress);
            self.turn(at, &event, said.key, host, around, progress, |_| {
                turn::act(|turn| dialog::open(turn, &spot, &open, CONFIRMATION))?;
                say_to(object, &question)
            });
            return;
        }
        self.perform(at, command, arguments, close, said, host, around, progress);
    }

    /// Calls the function of a command in a turn of its own, `close` first.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn perform(
        &mut self,
        at: usize,
        command: &Command,
        arguments: Dynamic,
        close: impl FnOnce() -> Result<(), Box<rhai::EvalAltResult>>,
        said: Said<'_>,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let event = format!("command {}", command.spec.name);
        let wait = command.cooldown.map(|span| (dialog::waiting(&command.spec.name, said.message()), span));
        let arguments = vec![said.object.clone(), arguments];
        let failures = progress.failures.len();
        self.turn(at, &event, said.key, host, around, progress, |caller| {
            close()?;
            if let Some((key, span)) = &wait {
                dialog::wait(key, *span)?;
            }
            caller.call(&command.call, arguments).map(drop)
        });
        let failed = progress.failures.len() > failures;
        let verdict = if failed { Verdict::Failed } else { Verdict::Ran };
        self.note_command(at, command, verdict, progress);
    }

    pub(super) fn note_command(
        &self,
        at: usize,
        command: &Command,
        verdict: Verdict,
        progress: &mut Progress,
    ) {
        let mut all = self.slots[at].instance.iter().flat_map(|i| &i.declared.commands);
        if let Some(index) = all.position(|other| other.spec.name == command.spec.name) {
            progress.notes.push(at, List::Commands, index, verdict);
        }
    }

    /// Notes how far a name is from those of the commands, none of which it is.
    fn note_names(&self, name: &str, direct: bool, progress: &mut Progress) {
        for (at, slot) in self.slots.iter().enumerate() {
            let commands = slot.instance.iter().flat_map(|i| &i.declared.commands);
            for (index, command) in commands.enumerate() {
                let names = std::iter::once(&command.spec.name).chain(&command.alias);
                let verdict = match names.filter_map(|other| distance(name, other)).min() {
                    Some(0) => Verdict::Place,
                    Some(far) if command.place.hears(direct) => Verdict::NameDiffers(far),
                    _ => continue,
                };
                progress.notes.push(at, List::Commands, index, verdict);
            }
        }
    }

    /// The arguments of a command, or what keeps it from running.
    fn granted(
        &self,
        at: usize,
        command: &Command,
        call: Call<'_>,
        said: Said<'_>,
        around: &Surroundings,
    ) -> Result<Dynamic, (Verdict, String)> {
        let name = &command.spec.name;
        if !self.permitted(command, said.message()) {
            return Err((Verdict::NotAllowed, format!("You may not use !{name}.")));
        }
        let arguments = {
            let zone = self.slots[at].uses.timezone.clone();
            command.spec.read(call.typed, &call.read_at.to_zoned(zone))
        };
        let usage = |why| (Verdict::Arguments, format!("{why}\nUsage: {}", command.spec.usage()));
        let arguments = arguments.map_err(usage)?;
        match self.cooling(at, command, said.message(), around) {
            Some(say) => Err((Verdict::Cooldown, say)),
            None => Ok(Dynamic::from_map(arguments)),
        }
    }

    /// What somebody is told who has to wait before they use a command again.
    pub(super) fn cooling(
        &self,
        at: usize,
        command: &Command,
        message: &Message,
        around: &Surroundings,
    ) -> Option<String> {
        command.cooldown?;
        let instance = self.slots[at].instance.as_ref()?;
        let key = dialog::waiting(&command.spec.name, message);
        let (_, until) = around.entry(&self.identity.name, &instance.beside, &key)?;
        let left = u64::try_from(until?.duration_since(around.moment.wall).as_millis()).ok()?;
        let span = Duration::from_secs(left.div_ceil(1_000));
        (left > 0).then(|| format!("Slow down: again in {}.", show_span(span)))
    }

    pub(super) fn permitted(&self, command: &Command, message: &Message) -> bool {
        let people = self.identity.people.read().unwrap_or_else(PoisonError::into_inner);
        people.permits(&command.allow, message)
    }

    pub(super) fn commands<'a>(
        &'a self,
        direct: bool,
        message: &'a Message,
    ) -> impl Iterator<Item = &'a Command> {
        let all =
            self.slots.iter().filter_map(|slot| slot.instance.as_ref()).flat_map(|i| &i.declared.commands);
        all.filter(move |command| command.place.hears(direct))
            .filter(|command| !command.hidden && self.permitted(command, message))
    }

    fn help(&self, about: &str, direct: bool, message: &Message) -> String {
        let about = about.trim().trim_start_matches(command::PREFIX);
        if about.is_empty() {
            return self.commands(direct, message).map(line).collect::<Vec<_>>().join("\n");
        }
        match self.commands(direct, message).find(|command| command.answers_to(about)) {
            Some(command) => details(command),
            None => self.unknown(about, message),
        }
    }

    fn unknown(&self, name: &str, message: &Message) -> String {
        let direct = message.kind != crate::stanza::MessageKind::Groupchat;
        let names = self.commands(direct, message).map(|command| command.spec.name.as_str());
        match nearest(name, names) {
            Some(near) => format!("There is no !{name}. Did you mean !{near}?"),
            None => format!("There is no !{name}. Try !help."),
        }
    }
}

/// How many letters differ, where somebody may have meant that name.
fn distance(typed: &str, name: &str) -> Option<u8> {
    // Nobody mistypes a name as one that is twice as long, and comparing long words is dear.
    if typed.len() > 2 * name.len() + 4 || name.len() > 64 {
        return None;
    }
    let far = strsim::damerau_levenshtein(typed, name);
    u8::try_from(far).ok().filter(|far| usize::from(*far) <= (name.chars().count() / 3).max(1))
}

impl Place {
    fn hears(self, direct: bool) -> bool {
        match self {
            Self::Any => true,
            Self::Direct => direct,
            Self::Room => !direct,
        }
    }
}

/// A command in the list of all.
fn line(command: &Command) -> String {
    match command.help.as_str() {
        "" => command.spec.usage(),
        help => format!("{}  {help}", command.spec.usage()),
    }
}

/// A command alone.
fn details(command: &Command) -> String {
    let mut text = line(command);
    if !command.alias.is_empty() {
        let names = command.alias.iter().map(|name| format!("{}{name}", command::PREFIX));
        text.push_str(&format!("\nAlso: {}", names.collect::<Vec<_>>().join(", ")));
    }
    if let Some(span) = command.cooldown {
        text.push_str(&format!("\nOnce in {}.", show_span(span)));
    }
    for (typed, answered) in &command.examples {
        text.push_str(&format!("\nExample: {typed} → {answered}"));
    }
    text
}

/// What is asked before a command runs that was typed like that.
pub(super) fn asks(confirm: &Confirm, typed: &str) -> String {
    match confirm {
        Confirm::Typed => format!("Really {}?", typed.trim_end()),
        Confirm::Words(words) => words.trim_end().to_owned(),
    }
}

fn question(confirm: &Confirm, command: &Command, typed: &str) -> String {
    let typed = format!("{}{} {typed}", command::PREFIX, command.spec.name);
    format!("{} Answer yes or no.", asks(confirm, &typed))
}
