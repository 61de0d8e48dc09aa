//! The declarations of a bot's scripts by name, for traces: plain values that outlive the scripts.

use crate::script::bot::Slot;
use crate::script::declare::{Command, Handler};
use crate::script::hear::HEAR;

/// The scripts of one bot as they were when an event came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub scripts: Vec<Script>,
}

/// One script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Script {
    pub name: String,
    pub version: String,
    /// Why it does not run.
    pub parked: Option<String>,
    pub handlers: Vec<Entry>,
    pub commands: Vec<Entry>,
}

/// One declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The event of an `on`, the pattern of a `hear`, the name of a command.
    pub name: String,
    pub hears: bool,
    pub line: usize,
}

impl Table {
    pub(super) fn of(slots: &[Slot]) -> Self {
        Self { scripts: slots.iter().map(script).collect() }
    }
}

impl Table {
    /// Bytes that it takes.
    pub(super) fn weight(&self) -> usize {
        let entries = |all: &Vec<Entry>| {
            all.capacity() * size_of::<Entry>() + all.iter().map(|entry| entry.name.capacity()).sum::<usize>()
        };
        let script = |script: &Script| {
            script.name.capacity()
                + script.version.capacity()
                + script.parked.as_ref().map_or(0, String::capacity)
                + entries(&script.handlers)
                + entries(&script.commands)
        };
        size_of::<Self>()
            + self.scripts.capacity() * size_of::<Script>()
            + self.scripts.iter().map(script).sum::<usize>()
    }
}

fn script(slot: &Slot) -> Script {
    let running = slot.instance.as_ref();
    let version = running.map_or(slot.uses.compiled.version(), |i| i.uses.compiled.version());
    let parked = match running {
        Some(_) => None,
        None => Some(slot.trouble.as_ref().map_or_else(String::new, |why| why.message.clone())),
    };
    let mut handlers: Vec<Entry> = running.iter().flat_map(|i| &i.declared.handlers).map(handler).collect();
    let mut commands: Vec<Entry> = running.iter().flat_map(|i| &i.declared.commands).map(command).collect();
    // Every bot has a table: room for more entries would be paid a thousand times.
    handlers.shrink_to_fit();
    commands.shrink_to_fit();
    Script { name: slot.uses.name.clone(), version: version.to_owned(), parked, handlers, commands }
}

fn handler(handler: &Handler) -> Entry {
    let heard = handler.heard.as_ref().filter(|_| handler.event == HEAR);
    let name = heard.map_or_else(|| handler.event.clone(), |heard| format!("/{}/", heard.pattern.source()));
    Entry { name, hears: heard.is_some(), line: handler.line }
}

fn command(command: &Command) -> Entry {
    Entry { name: command.spec.name.clone(), hears: false, line: command.line }
}
