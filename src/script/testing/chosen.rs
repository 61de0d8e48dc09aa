//! The bot's commands as a person's client shows them, XEP-0050: what is chosen there, and what comes back.

use std::fmt;

use crate::script::printed::cut;
use crate::stanza::StanzaError;
use crate::xep::adhoc::NS;
use crate::xep::data_forms::{Field, FieldKind, Form, FormKind};
use crate::xep::disco;
use crate::xml::Element;

/// Bytes of a condition or a word of the bot that are shown.
const WORD: usize = 200;

/// What somebody does in the menu of their client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Fills a field of the form that is open; nothing is sent.
    Fill {
        /// Its name or its label.
        field: String,
        /// What is written into it.
        value: String,
    },
    /// Asks which commands there are.
    List,
    /// Begins a command, by its node.
    Open(String),
    /// Presses a button below the form: `next`, `prev`, `complete`, `cancel` or `execute`; what the page does by
    /// itself where none is named.
    Press(Option<String>),
}

impl Choice {
    /// Reads `menu ann`, `open ann roll`, `fill ann sides=6` or `press ann complete`, given as the word and what
    /// follows it: who does it, and what. `None` where the word is none of these.
    ///
    /// # Errors
    /// How it is to be written.
    pub fn parse(word: &str, rest: &str) -> Option<Result<(String, Self), &'static str>> {
        let (who, what) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let what = what.trim();
        let choice = match (word, what) {
            ("menu", "") => Ok(Self::List),
            ("menu", _) => Err("write `* menu ann`, and `* open ann roll` to begin a command"),
            ("open", node) if !node.is_empty() && !node.contains(char::is_whitespace) => {
                Ok(Self::Open(node.trim_start_matches('!').to_owned()))
            }
            ("open", _) => Err("write `* open ann roll`, with the name of a command"),
            ("fill", pair) => match pair.split_once('=') {
                Some((field, value)) if !field.trim().is_empty() => {
                    Ok(Self::Fill { field: field.trim().to_owned(), value: value.trim().to_owned() })
                }
                _ => Err("write `* fill ann sides=6`, a line for each field"),
            },
            ("press", "") => Ok(Self::Press(None)),
            ("press", button) if BUTTONS.contains(&button) => Ok(Self::Press(Some(button.to_owned()))),
            ("press", _) => {
                Err("the buttons are next, prev, complete, cancel and execute: `* press ann complete`")
            }
            _ => return None,
        };
        Some(match choice {
            Ok(_) if who.is_empty() => Err("name who does it: `* menu ann`"),
            choice => choice.map(|choice| (who.to_owned(), choice)),
        })
    }

    /// As it is written, with who does it.
    pub fn written(&self, who: &str) -> String {
        match self {
            Self::Fill { field, value } => format!("fill {who} {field}={value}"),
            Self::List => format!("menu {who}"),
            Self::Open(node) => format!("open {who} {node}"),
            Self::Press(button) => format!("press {who} {}", button.as_deref().unwrap_or_default()),
        }
    }
}

/// Buttons that a page may have, and `execute`, which stands for one of them.
pub const BUTTONS: &[&str] = &["cancel", "complete", "execute", "next", "prev"];

/// What comes back.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Nodes and names.
    Commands(Vec<(String, String)>),
    /// Nothing was sent.
    Filled,
    /// A step of a command.
    Page(Box<Page>),
    /// It was refused with this condition.
    Refused {
        /// The command.
        node: String,
        /// The condition of RFC 6120 §8.3.3, and that of XEP-0050 §4.4 behind it.
        condition: String,
    },
}

/// A page of a command, as a client shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The command.
    pub node: String,
    /// This use of it.
    pub session: String,
    /// `executing`, `completed` or `canceled`.
    pub status: String,
    /// What is said to the person: how it is meant, and the words.
    pub note: Option<(String, String)>,
    /// What is to be filled in.
    pub form: Option<Form>,
    /// The buttons.
    pub actions: Vec<String>,
    /// The one that is pressed where none is named.
    pub execute: Option<String>,
}

impl Answer {
    /// Reads the answer to a request about commands: an `<iq/>` of type `result` or `error`. `node` is the command, or
    /// nothing where the list was asked for. `None` where it is no answer to that.
    pub fn read(iq: &Element, node: Option<&str>) -> Option<Self> {
        if iq.attr("type") == Some("error") {
            let error = StanzaError::from_stanza(iq);
            let specific =
                iq.child("error", iq.ns()).and_then(|it| it.children().find(|child| child.ns() == NS));
            let specific = specific.map(|child| format!(", {}", child.name())).unwrap_or_default();
            let condition = cut(format!("{}{specific}", error.condition), WORD);
            return Some(Self::Refused { node: node.unwrap_or("menu").to_owned(), condition });
        }
        match node {
            Some(_) => Some(Self::Page(Box::new(Page::read(iq.child("command", NS)?)?))),
            None => {
                let query = iq.child("query", disco::ITEMS)?;
                let items = query.children().filter(|child| child.is("item", disco::ITEMS));
                let named = |item: &Element| {
                    let node = item.attr("node")?.to_owned();
                    Some((node, item.attr("name").unwrap_or_default().to_owned()))
                };
                Some(Self::Commands(items.filter_map(named).collect()))
            }
        }
    }
}

impl Page {
    fn read(command: &Element) -> Option<Self> {
        let actions = command.child("actions", NS);
        let note = command.child("note", NS).map(|note| {
            let kind = note.attr("type").unwrap_or("info");
            (kind.to_owned(), note.text())
        });
        Some(Self {
            node: command.attr("node")?.to_owned(),
            session: command.attr("sessionid").unwrap_or_default().to_owned(),
            status: command.attr("status")?.to_owned(),
            note,
            form: command.children().find_map(Form::parse),
            actions: actions.iter().flat_map(|it| it.children()).map(|act| act.name().to_owned()).collect(),
            // XEP-0050 §3.4: without the attribute it is `next`, and with no actions at all `complete`.
            execute: actions.map(|it| it.attr("execute").unwrap_or("next").to_owned()),
        })
    }

    /// Whether it goes on.
    pub fn is_open(&self) -> bool {
        self.status == "executing"
    }

    /// The name of a field of the form, by its name or label.
    pub fn field(&self, name: &str) -> Option<String> {
        let fields = self.form.iter().flat_map(|form| &form.fields);
        let mut filled = fields.filter(|field| !matches!(field.kind(), FieldKind::Fixed | FieldKind::Hidden));
        let called =
            |field: &&Field| field.var.as_deref() == Some(name) || field.label.as_deref() == Some(name);
        filled.find(called).and_then(|field| field.var.clone())
    }

    /// The names of all fields that can be filled in.
    pub fn fields(&self) -> Vec<&str> {
        let fields = self.form.iter().flat_map(|form| &form.fields);
        let filled = fields.filter(|field| !matches!(field.kind(), FieldKind::Fixed | FieldKind::Hidden));
        filled.filter_map(|field| field.var.as_deref()).collect()
    }

    /// The request for the next step: this button, with the form filled in.
    pub fn pressed(&self, button: Option<&str>, filled: &[(String, String)]) -> Element {
        let command = Element::new("command", NS)
            .with_attr("node", self.node.as_str())
            .with_attr("sessionid", self.session.as_str())
            .with_attr("action", button.unwrap_or("execute"));
        // §3.4: going back and giving up take no form.
        let form = self.form.as_ref().filter(|_| !matches!(button, Some("cancel" | "prev")));
        match form {
            Some(form) if form.kind == FormKind::Form => {
                let value = |field: &Field| {
                    let var = field.var.as_deref()?;
                    let (_, value) = filled.iter().rev().find(|(name, _)| name == var)?;
                    Some(value.split('\n').map(str::to_owned).collect())
                };
                command.with_child(form.filled(value).to_element())
            }
            _ => command,
        }
    }
}

/// The request for the list.
pub fn listed() -> Element {
    Element::new("query", disco::ITEMS).with_attr("node", NS)
}

/// The request that begins a command.
pub fn opened(node: &str) -> Element {
    Element::new("command", NS).with_attr("node", node).with_attr("action", "execute")
}

impl fmt::Display for Answer {
    /// As the person sees it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commands(all) if all.is_empty() => f.write_str("[menu] empty"),
            Self::Commands(all) => {
                f.write_str("[menu]")?;
                all.iter().try_for_each(|(node, name)| write!(f, "\n{node}: {name}"))
            }
            Self::Filled => Ok(()),
            Self::Page(page) => page.fmt(f),
            Self::Refused { node, condition } => write!(f, "[{node}] refused: {condition}"),
        }
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = self.form.as_ref().and_then(|form| form.title.as_deref());
        let head = match title.filter(|_| self.is_open()) {
            Some(title) => title,
            None => &self.status,
        };
        write!(f, "[{}] {head}", self.node)?;
        match &self.note {
            Some((kind, text)) if kind == "info" => write!(f, "\n{text}")?,
            Some((kind, text)) => write!(f, "\n{kind}: {text}")?,
            None => {}
        }
        if let Some(form) = &self.form {
            form.instructions.iter().try_for_each(|text| write!(f, "\n{text}"))?;
            form.fields.iter().try_for_each(|field| field_line(f, field))?;
        }
        if !self.actions.is_empty() {
            write!(f, "\n→ {}", self.actions.join(", "))?;
        }
        Ok(())
    }
}

/// `sides* (a whole number): 6`
fn field_line(f: &mut fmt::Formatter<'_>, field: &Field) -> fmt::Result {
    let name = field.label.as_deref().or(field.var.as_deref()).unwrap_or_default();
    let values = field.values.join(", ");
    match field.kind() {
        FieldKind::Hidden => return Ok(()),
        FieldKind::Fixed => return write!(f, "\n{values}"),
        _ => {}
    }
    write!(f, "\n{name}{}", if field.required { "*" } else { "" })?;
    let choices: Vec<&str> = field.options.iter().map(|option| option.value.as_str()).collect();
    match (&field.desc, choices.is_empty()) {
        (_, false) => write!(f, " ({})", choices.join("|"))?,
        (Some(desc), true) => write!(f, " ({desc})")?,
        (None, true) => {}
    }
    let value = field.boolean().filter(|_| field.kind() == FieldKind::Boolean);
    let value = value.map_or(values, |yes| if yes { "yes" } else { "no" }.to_owned());
    write!(f, "{}{value}", if value.is_empty() { ":" } else { ": " })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml;

    #[test]
    fn choices_are_read_as_they_are_written() {
        for text in ["menu ann", "open ann roll", "fill ann how many=a b = c", "press ann prev", "press ann "]
        {
            let (word, rest) = text.split_once(' ').expect("two words");
            let (who, choice) = Choice::parse(word, rest.trim()).expect("a choice").expect(text);
            assert_eq!(choice.written(&who), text);
        }
        assert_eq!(Choice::parse("crash", ""), None);
        for (word, rest) in
            [("menu", ""), ("menu", "ann roll"), ("open", "ann"), ("fill", "ann x"), ("press", "ann it")]
        {
            assert!(Choice::parse(word, rest).expect("a word of the menu").is_err(), "{word} {rest}");
        }
    }

    #[test]
    fn a_page_is_shown_and_goes_back_filled() {
        let iq = format!(
            "<iq xmlns='jabber:client' type='result'><command xmlns='{NS}' node='go' sessionid='s' status='executing'>\
             <actions execute='next'><next/></actions><note type='error'>no</note>\
             <x xmlns='jabber:x:data' type='form'><title>!go</title><instructions>Goes</instructions>\
             <field type='hidden' var='h'><value>1</value></field><field type='fixed'><value>Where:</value></field>\
             <field var='to' label='where to'><required/><desc>a place</desc></field>\
             <field var='fast' type='boolean'><value>1</value></field>\
             <field var='by' type='list-single'><option><value>car</value></option><option><value>foot</value></option></field>\
             </x></command></iq>"
        );
        let Some(Answer::Page(page)) = Answer::read(&xml::parse(&iq).expect("XML"), Some("go")) else {
            panic!("no page")
        };
        assert_eq!(
            page.to_string(),
            "[go] !go\nerror: no\nGoes\nWhere:\nwhere to* (a place):\nfast: yes\nby (car|foot):\n→ next"
        );
        assert_eq!((page.field("where to").as_deref(), page.field("h")), (Some("to"), None));
        let filled = [("to".to_owned(), "x".to_owned()), ("to".to_owned(), "y".to_owned())];
        let sent = xml::writer::to_string(&page.pressed(None, &filled)).expect("XML");
        for part in [
            "action='execute'",
            "sessionid='s'",
            "<field var='h'><value>1</value>",
            "<field var='to'><value>y</value>",
        ] {
            assert!(sent.contains(part), "{part} {sent}");
        }
        assert_eq!(page.pressed(Some("cancel"), &filled).children().count(), 0);
    }

    #[test]
    fn a_refusal_has_both_conditions() {
        let iq = "<iq xmlns='jabber:client' type='error'><error type='modify'>\
                  <bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
                  <bad-sessionid xmlns='http://jabber.org/protocol/commands'/></error></iq>";
        let answer = Answer::read(&xml::parse(iq).expect("XML"), Some("go")).expect("an answer");
        assert_eq!(answer.to_string(), "[go] refused: bad-request, bad-sessionid");
    }
}
