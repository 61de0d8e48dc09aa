//! A trace in words: which declarations were asked, and why the others did nothing.

use std::time::Duration;

use serde_json::{Value, json};

use crate::script::table::{Entry, Script};
use crate::script::talk::message_names;
use crate::script::trace::{MessageTrace, Trace, Written};
use crate::script::verdict::{List, Verdict};
use crate::stanza::MessageKind;

/// One line of the answer.
struct Line {
    script: String,
    what: &'static str,
    name: String,
    took: bool,
    why: String,
    line: usize,
}

/// Events that are said, and so may all be meant by somebody who wonders.
const TALK: &[&str] = &["headline", "mention", "message", "pm", "room"];

impl Trace {
    /// The whole story for people.
    pub fn explain(&self, bot: &str) -> String {
        let mut text = self.headline(bot);
        let lines = self.lines();
        let several = self.table.scripts.len() > 1;
        let width = lines.iter().map(|line| line.name.chars().count()).max().unwrap_or(0).clamp(10, 40);
        for line in &lines {
            let took = if line.took { "yes" } else { "no" };
            let script = if several { format!("{}: ", line.script) } else { String::new() };
            let row = format!("  {:<7}  {:<width$}  {took:<3}  {script}{}", line.what, line.name, line.why);
            text.push('\n');
            text.push_str(row.trim_end());
        }
        if lines.is_empty() {
            text.push_str(&format!("\n  no handler for `{}`", self.event()));
        }
        for sent in &self.sends {
            let said = sent.text.as_ref().map(|text| format!("  {text:?}")).unwrap_or_default();
            text.push_str(&format!("\n  → sent to {} as {}{said}", sent.to, sent.id));
        }
        for written in &self.written {
            text.push_str(&match written {
                Written::Key(key) => format!("\n  → wrote the key {key:?}"),
                Written::Timer(name) => format!("\n  → timer {name:?}"),
            });
        }
        for failure in &self.failures {
            text.push_str(&format!("\n  → failed: {failure}"));
        }
        let outcome = match (self.sends.len(), self.actions) {
            (0, 0) => "nothing was sent".to_owned(),
            (0, other) => count(other, "other action"),
            (sent, all) if all > sent => {
                format!("{} and {}", count(sent, "message"), count(all - sent, "other action"))
            }
            (sent, _) => count(sent, "message"),
        };
        text.push_str(&format!("\n  → {outcome}, {}{}\n", self.cost(), self.versions()));
        text
    }

    /// The same for programs.
    pub fn to_json(&self, bot: &str) -> Value {
        let handlers: Vec<Value> = self
            .lines()
            .into_iter()
            .map(|line| {
                json!({
                    "script": line.script, "what": line.what, "name": line.name, "took": line.took,
                    "why": line.why, "line": line.line,
                })
            })
            .collect();
        let written = self.written.iter().map(|written| match written {
            Written::Key(key) => json!({ "key": key }),
            Written::Timer(name) => json!({ "timer": name }),
        });
        let message = self.message.as_ref();
        let scripts = self.table.scripts.iter();
        json!({
            "id": self.id,
            "bot": bot,
            "at": self.at.to_string(),
            "kind": self.kind,
            "name": self.name,
            "script": self.script,
            "from": self.from,
            "room": message.and_then(|message| message.room.clone()),
            "nick": message.map(|message| message.nick.clone()),
            "message_ids": message.map(|message| message.ids.clone()),
            "addressed": self.notes.addressed,
            "length": message.map(|message| message.length),
            "text": message.and_then(|message| message.text.clone()),
            "handlers": handlers,
            "turns": self.turns,
            "actions": self.actions,
            "sent": self.sends.iter().map(|sent| json!({ "to": sent.to, "id": sent.id, "text": sent.text }))
                .collect::<Vec<_>>(),
            "written": written.collect::<Vec<_>>(),
            "failures": self.failures,
            "operations": self.cost.operations,
            "spent_us": u64::try_from(self.cost.time.as_micros()).unwrap_or(u64::MAX),
            "versions": scripts.map(|script| (script.name.clone(), script.version.clone().into()))
                .collect::<serde_json::Map<_, _>>(),
        })
    }

    fn headline(&self, bot: &str) -> String {
        let at = self.at.strftime("%H:%M:%S%.3f");
        let Some(message) = &self.message else {
            let name = self.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
            let from = self.from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
            return format!("{at}  {bot} ← {}{name}{from}  [{}]", self.kind, self.id);
        };
        let from = self.from.as_deref().unwrap_or_default();
        let said = match &message.text {
            Some(text) => format!("{text:?}"),
            None => count(message.length, "character"),
        };
        let place = match (&message.room, message.kind) {
            (_, MessageKind::Headline) => "headline".to_owned(),
            (Some(room), MessageKind::Groupchat) => {
                let room = room.split('@').next().unwrap_or(room);
                format!("room {room}, addressed: {}", if self.notes.addressed { "yes" } else { "no" })
            }
            (Some(_), _) => "private message of a room".to_owned(),
            (None, _) => "one to one".to_owned(),
        };
        format!("{at}  {bot} ← {from}  {said}  {place}  [{}]", self.id)
    }

    /// `42 operations, 312 µs`
    fn cost(&self) -> String {
        if self.turns == 0 {
            return "no turn".to_owned();
        }
        let operations = usize::try_from(self.cost.operations).unwrap_or(usize::MAX);
        let turns = if self.turns > 1 { format!("{} turns, ", self.turns) } else { String::new() };
        format!("{turns}{}, {}", count(operations, "operation"), show_time(self.cost.time))
    }

    fn versions(&self) -> String {
        let short = |script: &Script| script.version.chars().take(4).collect::<String>();
        match &self.table.scripts[..] {
            [] => ", the bot has no script".to_owned(),
            [script] => format!(", version {}", short(script)),
            all => {
                let all = all.iter().map(|script| format!("{} {}", script.name, short(script)));
                format!(", versions {}", all.collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = self.function().into_iter().collect();
        for (slot, script) in self.table.scripts.iter().enumerate() {
            if let Some(why) = &script.parked {
                let why = if why.is_empty() { "parked".to_owned() } else { format!("parked: {why}") };
                lines.push(line(script, "script", script.name.clone(), false, why, 0));
                continue;
            }
            self.commands(slot, script, &mut lines);
            for (index, entry) in script.handlers.iter().enumerate() {
                let noted = self.noted(slot, List::Handlers, index);
                if noted.is_none() && !self.concerns(entry) {
                    continue;
                }
                let verdict = noted.unwrap_or_else(|| self.unnoted(slot, entry));
                let what = if entry.hears { "hear" } else { "on" };
                let why = self.words(verdict, entry);
                lines.push(line(script, what, entry.name.clone(), took(verdict), why, entry.line));
            }
        }
        lines
    }

    /// The commands of a script, where the message begins like one; those of quite other names are only counted.
    fn commands(&self, slot: usize, script: &Script, lines: &mut Vec<Line>) {
        if !self.notes.command && !self.notes.all.iter().any(|note| note.list == List::Commands) {
            return;
        }
        let mut others = 0;
        for (index, entry) in script.commands.iter().enumerate() {
            match self.noted(slot, List::Commands, index) {
                Some(verdict) => {
                    let why = self.words(verdict, entry);
                    lines.push(line(script, "command", entry.name.clone(), took(verdict), why, entry.line));
                }
                None => others += 1,
            }
        }
        let corrects = self.message.as_ref().is_some_and(|message| message.corrects);
        let why = match self.sort_words() {
            Some(why) => why,
            None if corrects => "a correction is no new command",
            None => "name differs",
        };
        if others > 0 {
            let name = if lines.iter().any(|line| line.what == "command" && line.script == script.name) {
                count(others, "other")
            } else {
                format!("all {others}")
            };
            lines.push(line(script, "command", name, false, why.to_owned(), 0));
        }
    }

    fn noted(&self, slot: usize, list: List, index: usize) -> Option<Verdict> {
        let mut all = self.notes.all.iter();
        all.find(|note| note.slot == slot && note.list == list && note.index == index)
            .map(|note| note.verdict)
    }

    /// Whether somebody who wonders about the event may have thought of that handler.
    fn concerns(&self, entry: &Entry) -> bool {
        match (self.kind, self.prefix()) {
            ("message", _) => entry.hears || TALK.contains(&entry.name.as_str()),
            // It is for a function, and for no handler.
            _ if self.script.is_some() => false,
            (_, Some(prefix)) => entry.name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(':')),
            (kind, None) => entry.name == kind,
        }
    }

    /// What stands before the name in the events of handlers.
    fn prefix(&self) -> Option<&'static str> {
        match self.kind {
            "schedule" => Some("timer"),
            "answer" | "tell" | "timer" | "webhook" => Some(self.kind),
            _ => None,
        }
    }

    /// The event as handlers name it.
    fn event(&self) -> String {
        match (self.prefix(), &self.name) {
            (Some(prefix), Some(name)) => format!("{prefix}:{name}"),
            _ => self.kind.to_owned(),
        }
    }

    /// Why a handler has no note.
    fn unnoted(&self, slot: usize, entry: &Entry) -> Verdict {
        if self.notes.taken || !self.fits(entry) {
            Verdict::OtherEvent
        } else if self.notes.reached == 0 {
            Verdict::OtherScript
        } else if slot < self.notes.reached {
            Verdict::TooMany
        } else {
            Verdict::Stopped
        }
    }

    /// Whether the event is one that a handler names.
    fn fits(&self, entry: &Entry) -> bool {
        let Some(message) = &self.message else { return entry.name == self.event() };
        let MessageTrace { kind, corrects, .. } = message;
        let names = message_names(*kind, message.room.is_some(), *corrects, self.notes.addressed);
        entry.hears || names.contains(&entry.name.as_str())
    }

    /// The function of a script that the event was for.
    fn function(&self) -> Option<Line> {
        let script = self.script.as_ref()?;
        let name = self.name.as_ref().unwrap_or(script).clone();
        let (took, failed) = (self.turns > 0, !self.failures.is_empty());
        let why = if failed { "and failed" } else { "" };
        Some(Line { script: script.clone(), what: self.kind, name, took, why: why.to_owned(), line: 0 })
    }

    fn words(&self, verdict: Verdict, entry: &Entry) -> String {
        let words = match verdict {
            Verdict::Answer => "it is the answer to a question",
            Verdict::Arguments => "the arguments do not fit",
            Verdict::AsksFirst => "asks for a yes first",
            Verdict::Carbon => "a copy from another device; the handler lacks `carbons: true`",
            Verdict::Cooldown => "cooldown: used a moment ago",
            Verdict::Delayed => "history; the handler lacks `delayed: true`",
            Verdict::EarlierFailed => "an earlier handler failed",
            Verdict::Encrypted => "encrypted; the handler lacks `encrypted: true`",
            Verdict::Failed => "and failed",
            Verdict::NameDiffers(far) => {
                return format!("name differs (did you mean it? distance {far})");
            }
            Verdict::NotAllowed => "the sender is not allowed",
            Verdict::OtherEvent => return self.other_event(entry),
            Verdict::OtherScript => "it is for another script",
            Verdict::Own => "from the bot itself or another bot; the handler lacks `own: true`",
            Verdict::Place => return self.place(if entry.hears { "handler" } else { "it" }, entry),
            Verdict::Ran => "",
            Verdict::Rooms => "not said in one of its `rooms`",
            Verdict::Stopped => "stopped by an earlier handler",
            Verdict::TextDiffers => "text does not match",
            Verdict::TooMany => "unknown: there were too many handlers to remember",
        };
        words.to_owned()
    }

    fn other_event(&self, entry: &Entry) -> String {
        if self.notes.taken {
            return "a command or an answer, which no other handler gets".to_owned();
        }
        let Some(message) = &self.message else { return "another event".to_owned() };
        let wants = match entry.name.as_str() {
            "message" => "wants one to one",
            "room" => "wants room talk",
            "mention" => "wants to be named",
            "pm" => "wants private messages of a room",
            "headline" => "wants headlines",
            _ => return "another event".to_owned(),
        };
        let is = match (message.kind, &message.room) {
            (MessageKind::Headline, _) => "a headline",
            (MessageKind::Groupchat, _) => "room talk",
            (_, Some(_)) => "a private message of a room",
            (_, None) => "one to one",
        };
        format!("{is}, handler {wants}")
    }

    fn place(&self, who: &str, entry: &Entry) -> String {
        let message = self.message.as_ref();
        match message.map(|message| message.kind) {
            Some(MessageKind::Headline) => "a headline is nothing that is said".to_owned(),
            Some(MessageKind::Groupchat) if entry.hears && !self.notes.addressed => {
                "room talk that does not name the bot, or handler wants one to one".to_owned()
            }
            Some(MessageKind::Groupchat) => format!("room talk, {who} wants one to one"),
            _ => format!("one to one, {who} wants room talk"),
        }
    }

    fn sort_words(&self) -> Option<&'static str> {
        let sort = self.notes.sort;
        let all = [
            (sort.delayed, "history is no command"),
            (sort.carbons, "a copy from another device is no command"),
            (sort.own, "from the bot itself or another bot"),
            (sort.encrypted, "encrypted"),
        ];
        all.into_iter().find(|(holds, _)| *holds).map(|(_, why)| why)
    }
}

/// `312 µs`, and from 10 ms on `12.3 ms`.
fn show_time(time: Duration) -> String {
    match time.as_micros() {
        micros @ ..10_000 => format!("{micros} µs"),
        _ => format!("{:.1} ms", time.as_secs_f64() * 1_000.0),
    }
}

fn took(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::AsksFirst | Verdict::Failed | Verdict::Ran)
}

fn line(script: &Script, what: &'static str, name: String, took: bool, why: String, line: usize) -> Line {
    Line { script: script.name.clone(), what, name, took, why, line }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
