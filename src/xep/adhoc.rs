//! XEP-0050: Ad-Hoc Commands. What is asked, and the words of the answers; who may do what is decided by scripts.

use super::data_forms::{self, Form};
use super::{Extension, Request, Xep, disco};
use crate::event::adhoc::{CommandAct, CommandAsk, CommandStep};
use crate::stanza::{ErrorKind, StanzaError};
use crate::xml::Element;

/// Namespace, and the node whose items are the commands.
pub const NS: &str = "http://jabber.org/protocol/commands";

/// Longest name of a node or a session that is looked at, in bytes.
const LONGEST: usize = 256;

/// The extension.
pub struct AdHoc;

impl Extension for AdHoc {
    fn xep(&self) -> Xep {
        let scope = "commands of scripts are offered to whom they allow, with a form for their arguments and a page to \
                     confirm; `menu: false` turns it off";
        Xep { number: 50, name: "Ad-Hoc Commands", version: "1.3.0", scope }
    }

    fn namespaces(&self) -> &'static [&'static str] {
        &[NS]
    }

    fn features(&self) -> &'static [&'static str] {
        &[NS]
    }
}

/// An answer to a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The command.
    pub node: String,
    /// This use of it.
    pub session: String,
    /// How it stands.
    pub status: Status,
    /// What may come next, and what comes by default.
    pub actions: Vec<CommandAct>,
    /// What is said to the person.
    pub note: Option<Note>,
    /// What is to be filled in.
    pub form: Option<Form>,
}

/// `status` of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// It was ended without an effect.
    Canceled,
    /// It is done, or cannot be.
    Completed,
    /// It goes on.
    #[default]
    Executing,
}

/// What is said beside a form, or in place of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How it is meant.
    pub kind: NoteKind,
    /// The words.
    pub text: String,
}

/// `type` of a note, §4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// It went wrong.
    Error,
    /// It is said for information.
    Info,
    /// It should be thought about.
    Warn,
}

impl Reply {
    /// The `<command/>` of the answer. The last of the actions is the one that `execute` stands for.
    pub fn to_element(&self) -> Element {
        let status = match self.status {
            Status::Canceled => "canceled",
            Status::Completed => "completed",
            Status::Executing => "executing",
        };
        let mut command = Element::new("command", NS)
            .with_attr("node", self.node.as_str())
            .with_attr("sessionid", self.session.as_str())
            .with_attr("status", status);
        if let Some(default) = self.actions.last() {
            let mut actions = Element::new("actions", NS).with_attr("execute", name(*default));
            for act in &self.actions {
                actions.push(Element::new(name(*act), NS));
            }
            command.push(actions);
        }
        if let Some(Note { kind, text }) = &self.note {
            let kind = match kind {
                NoteKind::Error => "error",
                NoteKind::Info => "info",
                NoteKind::Warn => "warn",
            };
            command.push(Element::new("note", NS).with_attr("type", kind).with_text(text.as_str()));
        }
        if let Some(form) = &self.form {
            command.push(form.to_element());
        }
        command
    }
}

/// What a request asks about commands, or why it cannot be answered; `None` where it is about something else.
/// `own_node` is the node of XEP-0115, which stands for the account.
pub fn read(request: &Request<'_>, own_node: &str) -> Option<Result<CommandAsk, StanzaError>> {
    let node = || request.payload.attr("node").unwrap_or_default();
    if request.set && request.payload.is("command", NS) {
        return Some(step(request.payload).map(CommandAsk::Step));
    }
    if request.is_get("query", disco::ITEMS) && node() == NS {
        return Some(Ok(CommandAsk::Items));
    }
    let info = request.is_get("query", disco::INFO) && !node().is_empty() && node() != own_node;
    info.then(|| match node().len() > LONGEST {
        true => Err(StanzaError::new(ErrorKind::Cancel, "item-not-found")),
        false => Ok(CommandAsk::Info { node: node().to_owned() }),
    })
}

fn step(command: &Element) -> Result<CommandStep, StanzaError> {
    let short = |name: &str| command.attr(name).filter(|text| text.len() <= LONGEST).map(str::to_owned);
    let act = match command.attr("action") {
        None => CommandAct::Execute,
        Some(given) => ACTS
            .into_iter()
            .find(|act| name(*act) == given)
            .ok_or_else(|| refusal(ErrorKind::Modify, "bad-request", "malformed-action"))?,
    };
    if command.attr("sessionid").is_some() && short("sessionid").is_none() {
        return Err(bad_session());
    }
    let mut forms = command.children().filter(|child| child.is("x", data_forms::NS));
    let (form, more) = (forms.next().cloned(), forms.next());
    match short("node").filter(|node| !node.is_empty() && more.is_none()) {
        Some(node) => Ok(CommandStep { node, session: short("sessionid"), act, form }),
        None => Err(refusal(ErrorKind::Modify, "bad-request", "bad-payload")),
    }
}

/// The answer to disco#items: a name for people and a node for each command.
pub fn items<'a>(jid: &str, commands: impl IntoIterator<Item = (&'a str, &'a str)>) -> Element {
    let mut query = Element::new("query", disco::ITEMS).with_attr("node", NS);
    for (node, name) in commands {
        let item = Element::new("item", disco::ITEMS);
        query.push(item.with_attr("jid", jid).with_attr("node", node).with_attr("name", name));
    }
    query
}

/// The answer to disco#info about the list, or about one command.
pub fn info(node: &str, name: &str) -> Element {
    let kind = if node == NS { "command-list" } else { "command-node" };
    let identity = disco::Identity {
        category: "automation".to_owned(),
        kind: kind.to_owned(),
        lang: String::new(),
        name: name.to_owned(),
    };
    let features = vec![NS.to_owned(), data_forms::NS.to_owned()];
    let info = disco::Info { identities: vec![identity], features, ..disco::Info::default() };
    info.to_element(Some(node))
}

/// The action is not one that this stage has.
pub fn bad_action() -> StanzaError {
    refusal(ErrorKind::Modify, "bad-request", "bad-action")
}

/// The form is missing, or is no answer.
pub fn bad_payload() -> StanzaError {
    refusal(ErrorKind::Modify, "bad-request", "bad-payload")
}

/// The asker has no such use of the command.
pub fn bad_session() -> StanzaError {
    refusal(ErrorKind::Modify, "bad-request", "bad-sessionid")
}

/// The asker has taken too long.
pub fn expired() -> StanzaError {
    refusal(ErrorKind::Cancel, "not-allowed", "session-expired")
}

fn refusal(kind: ErrorKind, condition: &'static str, specific: &'static str) -> StanzaError {
    StanzaError { specific: Some((specific, NS)), ..StanzaError::new(kind, condition) }
}

const ACTS: [CommandAct; 5] =
    [CommandAct::Cancel, CommandAct::Complete, CommandAct::Execute, CommandAct::Next, CommandAct::Prev];

fn name(act: CommandAct) -> &'static str {
    match act {
        CommandAct::Cancel => "cancel",
        CommandAct::Complete => "complete",
        CommandAct::Execute => "execute",
        CommandAct::Next => "next",
        CommandAct::Prev => "prev",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::Head;
    use crate::xml;

    const OWN: &str = "urn:own#ver";

    #[test]
    fn f2_steps_are_read_and_what_is_malformed_is_refused_with_its_own_condition() {
        let step = |attributes: &str, inner: &str| {
            let set = format!("<command xmlns='{NS}' {attributes}>{inner}</command>");
            match asked(true, &set) {
                Some(Ok(CommandAsk::Step(step))) => Ok(step),
                Some(Err(error)) => Err(error.specific.map_or("", |(name, _)| name)),
                other => panic!("{other:?}"),
            }
        };
        let first = step("node='roll'", "").expect("a step");
        assert_eq!((first.act, first.session, first.form), (CommandAct::Execute, None, None));
        let form = "<x xmlns='jabber:x:data' type='submit'/>";
        let second = step("node='roll' sessionid='s' action='prev'", form).expect("a step");
        assert_eq!((second.act, second.session.as_deref()), (CommandAct::Prev, Some("s")));
        assert!(second.form.is_some());
        assert_eq!(step("node='roll' action='destroy'", ""), Err("malformed-action"));
        assert_eq!(step("", ""), Err("bad-payload"));
        assert_eq!(step("node=''", ""), Err("bad-payload"));
        assert_eq!(step("node='roll'", &form.repeat(2)), Err("bad-payload"));
        assert_eq!(step(&format!("node='{}'", "x".repeat(257)), ""), Err("bad-payload"));
        assert_eq!(step(&format!("node='x' sessionid='{}'", "x".repeat(257)), ""), Err("bad-sessionid"));
    }

    #[test]
    fn f2_only_what_is_about_commands_is_taken() {
        let query = |ns: &str, node: &str| asked(false, &format!("<query xmlns='{ns}'{node}/>"));
        assert_eq!(query(disco::ITEMS, &format!(" node='{NS}'")), Some(Ok(CommandAsk::Items)));
        let info = CommandAsk::Info { node: "roll".to_owned() };
        assert_eq!(query(disco::INFO, " node='roll'"), Some(Ok(info)));
        for (ns, node) in [
            (disco::ITEMS, ""),
            (disco::ITEMS, " node='other'"),
            (disco::INFO, ""),
            (disco::INFO, " node='urn:own#ver'"),
            ("urn:example", " node='roll'"),
        ] {
            assert_eq!(query(ns, node), None, "{ns} {node}");
        }
        assert_eq!(asked(false, &format!("<command xmlns='{NS}' node='roll'/>")), None, "a get");
    }

    #[test]
    fn f2_the_last_action_is_the_default() {
        let reply = Reply {
            node: "wipe".to_owned(),
            session: "s".to_owned(),
            actions: vec![CommandAct::Prev, CommandAct::Complete],
            note: Some(Note { kind: NoteKind::Warn, text: "Really?".to_owned() }),
            ..Reply::default()
        };
        assert_eq!(
            xml::writer::to_string(&reply.to_element()).expect("XML"),
            "<command xmlns='http://jabber.org/protocol/commands' node='wipe' sessionid='s' status='executing'>\
             <actions execute='complete'><prev/><complete/></actions><note type='warn'>Really?</note></command>"
        );
    }

    fn asked(set: bool, payload: &str) -> Option<Result<CommandAsk, StanzaError>> {
        let payload = xml::parse(payload).expect("XML");
        read(&Request { head: &Head::default(), set, payload: &payload }, OWN)
    }
}
