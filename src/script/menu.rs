//! Commands as clients show them in a menu, XEP-0050: who sees which, the pages of each, and running them.
//!
//! A command is the same as when it is typed, with the same rules; they are looked at in every step anew, for a
//! reload may have changed them since. What somebody has begun is kept in memory, bound to their full JID.

mod form;
mod uses;

use std::sync::{Arc, PoisonError};

use rhai::{Dynamic, Map};

use crate::action::Action;
use crate::event::Message;
use crate::event::adhoc::{CommandAct, CommandAsk, CommandRequest, CommandStep};
use crate::ids::IdSource;
use crate::script::api::message::{Given, MessageObject};
use crate::script::batch;
use crate::script::bot::{Bot, Item, Progress};
use crate::script::declare::Command;
use crate::script::dialog;
use crate::script::host::Host;
use crate::script::instance::{self, Surroundings};
use crate::script::invoke;
use crate::script::menu::uses::{Stage, State, Use};
use crate::script::talk::Said;
use crate::script::verdict::Verdict;
use crate::stanza::{ErrorKind, MessageKind, StanzaError};
use crate::xep::adhoc::{self, Note, NoteKind, Reply, Status};
use crate::xep::data_forms::{Form, FormKind};
use crate::xml::Element;

pub(super) use uses::Uses;

/// Bytes of replies that a note holds; what is beyond goes as messages.
const NOTE: usize = 8 * 1024;

type Answer = Result<Element, StanzaError>;

/// What a bot works with during a turn.
struct Work<'a> {
    request: &'a CommandRequest,
    /// See [`crate::script::Delivery::key`].
    key: &'a str,
    host: &'a mut Host,
    around: &'a mut Surroundings,
    progress: &'a mut Progress,
}

impl Bot {
    /// Answers a request about commands, once.
    pub(super) fn menu(
        &mut self,
        request: &CommandRequest,
        key: &str,
        host: &mut Host,
        around: &mut Surroundings,
        progress: &mut Progress,
    ) {
        let mut work = Work { request, key, host, around, progress };
        let outcome = match &request.ask {
            CommandAsk::Info { node } => self.menu_info(request, node),
            CommandAsk::Items => Ok(self.menu_items(request)),
            CommandAsk::Step(step) => match &step.session {
                None => self.menu_begins(step, &mut work),
                Some(session) => self.menu_goes_on(session, step, &mut work),
            },
        };
        let (to, id) = (request.from.clone(), request.id.clone());
        progress.actions.push(Action::Answer { to, id, outcome: outcome.map(Some) });
    }

    /// The commands that the asker may use, as far as they are heard one to one and not hidden.
    fn menu_items(&self, request: &CommandRequest) -> Element {
        let message = Message::chat(request.from.clone(), "");
        let mut seen: Vec<&str> = Vec::new();
        let mut all = Vec::new();
        for command in self.commands(true, &message) {
            let name = command.spec.name.as_str();
            if !seen.contains(&name) && self.choosable(name, &message).is_ok() {
                seen.push(name);
                all.push((name, title(command)));
            }
        }
        adhoc::items(self.identity.jid.as_str(), all)
    }

    fn menu_info(&self, request: &CommandRequest, node: &str) -> Answer {
        if node == adhoc::NS {
            return Ok(adhoc::info(node, &self.identity.name));
        }
        let message = Message::chat(request.from.clone(), "");
        // Whoever may not use it does not learn that it is there.
        let found = self.choosable(node, &message);
        let (_, command) = found.map_err(|_| StanzaError::new(ErrorKind::Cancel, "item-not-found"))?;
        Ok(adhoc::info(node, title(command)))
    }

    /// The command that a node stands for, where the sender may use it.
    fn choosable(&self, node: &str, message: &Message) -> Result<(usize, &Command), StanzaError> {
        let none = || StanzaError::new(ErrorKind::Cancel, "item-not-found");
        let (at, command) =
            self.typed(node, true).filter(|(_, it)| it.spec.name == node && !it.hidden).ok_or_else(none)?;
        match self.permitted(command, message) {
            true => Ok((at, command)),
            false => Err(StanzaError::new(ErrorKind::Auth, "forbidden")),
        }
    }

    fn menu_begins(&mut self, step: &CommandStep, work: &mut Work<'_>) -> Answer {
        if !matches!(step.act, CommandAct::Execute) {
            return Err(adhoc::bad_action());
        }
        let message = Message::chat(work.request.from.clone(), "");
        let (at, command) = self.choosable(&step.node, &message)?;
        let command = command.clone();
        let seed = instance::seed(&work.around.seed, &self.identity.name, "menu", work.key);
        let id = IdSource::new(seed).next_id();
        let stage = match (command.spec.arguments.is_empty(), &command.confirm) {
            (false, _) => Stage::Arguments,
            (true, Some(_)) => Stage::Confirm,
            (true, None) => return Ok(self.menu_runs(at, &command, &[], &id, work)),
        };
        let state = State { stage, values: Vec::new(), over: false };
        let page = page(&command, &state, &id, None);
        let began = Use::new(id, work.request.from.clone(), step.node.clone(), state, work.around.moment.at);
        self.uses.insert(began, work.around.moment.at)?;
        Ok(page)
    }

    fn menu_goes_on(&mut self, session: &str, step: &CommandStep, work: &mut Work<'_>) -> Answer {
        let found = self.uses.take(session, &work.request.from, &step.node, work.around.moment.at, work.key);
        let mut one = found?;
        let answer = self.menu_step(&mut one, step, work);
        self.uses.put(one);
        answer
    }

    fn menu_step(&mut self, one: &mut Use, step: &CommandStep, work: &mut Work<'_>) -> Answer {
        let given = step.form.as_ref().and_then(Form::parse);
        let canceled = given.as_ref().is_some_and(|form| form.kind == FormKind::Cancel);
        if step.act == CommandAct::Cancel || canceled {
            one.state.over = true;
            return Ok(Reply { status: Status::Canceled, ..reply(&one.node, &one.id) }.to_element());
        }
        let message = Message::chat(work.request.from.clone(), "");
        let (at, command) = match self.choosable(&one.node, &message) {
            Ok((at, command)) => (at, command.clone()),
            Err(error) => {
                one.state.over = true;
                return Err(error);
            }
        };
        let acts = acts(&command, one.state.stage);
        let act = match step.act {
            CommandAct::Execute => acts.last().copied().unwrap_or_default(),
            act if acts.contains(&act) => act,
            _ => return Err(adhoc::bad_action()),
        };
        if act == CommandAct::Prev {
            one.state.stage = Stage::Arguments;
            return Ok(page(&command, &one.state, &one.id, None));
        }
        if one.state.stage == Stage::Arguments {
            let given = given.filter(|form| form.kind == FormKind::Submit).ok_or_else(adhoc::bad_payload)?;
            one.state.values = form::given(&command.spec, &given);
            let read = self.menu_reads(at, &command, &given, work);
            if let Err(why) = read {
                let note = Note { kind: NoteKind::Error, text: why };
                return Ok(page(&command, &one.state, &one.id, Some(note)));
            }
        }
        if act == CommandAct::Next {
            one.state.stage = Stage::Confirm;
            return Ok(page(&command, &one.state, &one.id, None));
        }
        one.state.over = true;
        Ok(self.menu_runs(at, &command, &one.state.values.clone(), &one.id, work))
    }

    /// What the contact list calls the sender.
    fn name_of(&self, message: &Message) -> Option<String> {
        let contacts = self.identity.contacts.read().unwrap_or_else(PoisonError::into_inner);
        contacts.get(&message.from.to_bare()).and_then(|contact| contact.name.clone())
    }

    /// Whether a filled form is one that the command can be run with.
    fn menu_reads(&self, at: usize, command: &Command, given: &Form, work: &Work<'_>) -> Result<(), String> {
        let asked = form::form(&command.spec, &command.help, &[]);
        asked.answered(given).map_err(|misfit| misfit.to_string())?;
        let values = form::given(&command.spec, given);
        if values.iter().map(|(_, value)| value.len()).sum::<usize>() > form::LARGEST {
            return Err("that is too long".to_owned());
        }
        self.arguments(at, command, &values, work).map(drop)
    }

    fn arguments(
        &self,
        at: usize,
        command: &Command,
        values: &[(String, String)],
        work: &Work<'_>,
    ) -> Result<Map, String> {
        let zone = self.slots[at].uses.timezone.clone();
        let value = |name: &str| values.iter().find(|(var, _)| var == name).map(|(_, value)| value.as_str());
        command.spec.fill(value, &work.around.moment.wall.to_zoned(zone))
    }

    /// Runs the command in a turn of its own and tells what it said.
    fn menu_runs(
        &mut self,
        at: usize,
        command: &Command,
        values: &[(String, String)],
        id: &str,
        work: &mut Work<'_>,
    ) -> Element {
        let mut message = Message::chat(work.request.from.clone(), form::typed(&command.spec, values));
        if let Some(name) = self.name_of(&message) {
            message.nick = name;
        }
        let done = |kind, text: String| {
            let note = Some(Note { kind, text });
            Reply { status: Status::Completed, note, ..reply(&command.spec.name, id) }.to_element()
        };
        if let Some(wait) = self.cooling(at, command, &message, work.around) {
            self.note_command(at, command, Verdict::Cooldown, work.progress);
            return done(NoteKind::Error, wait);
        }
        let arguments = match self.arguments(at, command, values, work) {
            Ok(arguments) => arguments,
            Err(why) => {
                self.note_command(at, command, Verdict::Arguments, work.progress);
                return done(NoteKind::Error, why);
            }
        };
        let (actions, failures) = (work.progress.actions.len(), work.progress.failures.len());
        let given = Given { message, is_bot: false, said: None, addressed: false, asked: None };
        let given = Arc::new(given);
        let object = Dynamic::from(MessageObject(given.clone()));
        let said = Said { given: &given, object: &object, key: work.key };
        let close = || Ok(());
        let arguments = Dynamic::from_map(arguments);
        self.perform(at, command, arguments, close, said, work.host, work.around, work.progress);
        if work.progress.failures.len() > failures {
            return done(NoteKind::Error, "The command failed.".to_owned());
        }
        let spot = dialog::spot(said.message());
        let asks = self.slots[at].instance.as_ref().filter(|i| i.declared.asks());
        let asks = asks.is_some_and(|i| dialog::find(work.around, &self.identity.name, i, &spot).is_some());
        if asks {
            return done(NoteKind::Info, "The bot asks you something in the conversation.".to_owned());
        }
        let replies = gathered(work.progress, actions, said.message());
        done(NoteKind::Info, if replies.is_empty() { "Done.".to_owned() } else { replies })
    }
}

/// Takes the replies of a turn out of its actions, as far as they fit into a note. What they hold beside a text, or
/// beyond what fits, goes as messages.
fn gathered(progress: &mut Progress, from: usize, message: &Message) -> String {
    let mut text = String::new();
    let mut full = false;
    let actions = progress.actions.split_off(from);
    for action in actions {
        match action {
            Action::ChatState { ref to, .. } if *to == message.place => {}
            Action::Message(ref reply)
                if !full
                    && reply.to == message.place
                    && reply.kind == MessageKind::Chat
                    && reply.payloads.is_empty()
                    && reply.subject.is_none() =>
            {
                full = text.len() + reply.text.len() > NOTE;
                if full {
                    progress.actions.push(action);
                    continue;
                }
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(&reply.text);
            }
            other => progress.actions.push(other),
        }
    }
    text
}

/// The page of a stage.
fn page(command: &Command, state: &State, id: &str, note: Option<Note>) -> Element {
    let mut reply = reply(&command.spec.name, id);
    reply.actions = acts(command, state.stage);
    match (state.stage, &command.confirm) {
        (Stage::Confirm, Some(confirm)) => {
            let typed = form::typed(&command.spec, &state.values);
            let text = invoke::asks(confirm, &typed);
            reply.note = Some(Note { kind: NoteKind::Warn, text });
        }
        _ => {
            reply.form = Some(form::form(&command.spec, &command.help, &state.values));
            reply.note = note;
        }
    }
    reply.to_element()
}

fn reply(node: &str, session: &str) -> Reply {
    Reply { node: node.to_owned(), session: session.to_owned(), ..Reply::default() }
}

/// What may be done on a page, the default last.
fn acts(command: &Command, stage: Stage) -> Vec<CommandAct> {
    match (stage, &command.confirm) {
        (Stage::Arguments, Some(_)) => vec![CommandAct::Next],
        (Stage::Confirm, Some(_)) if !command.spec.arguments.is_empty() => {
            vec![CommandAct::Prev, CommandAct::Complete]
        }
        (Stage::Arguments | Stage::Confirm, _) => vec![CommandAct::Complete],
    }
}

/// What a command is called in the menu.
fn title(command: &Command) -> &str {
    let line = command.help.lines().next().unwrap_or_default().trim();
    if line.is_empty() { &command.spec.name } else { line }
}

/// Answers for requests whose turns are lost.
pub(super) fn unanswered(items: &[Item]) -> Vec<Action> {
    let lost = items.iter().filter_map(batch::command).map(|request| Action::Answer {
        to: request.from.clone(),
        id: request.id.clone(),
        outcome: Err(StanzaError::new(ErrorKind::Wait, "internal-server-error")),
    });
    lost.collect()
}
