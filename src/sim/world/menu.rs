//! The bot's commands as the client of a person has them: each step is a request over the wire, XEP-0050.

use super::{Line, Place, World};
use crate::jid::BareJid;
use crate::ns;
use crate::script::testing::chosen::{self, Answer, Choice, Page};
use crate::sim::broken::Broken;
use crate::xml::Element;

/// What one person's client shows.
#[derive(Default)]
pub(super) struct Client {
    page: Option<Page>,
    /// What was written into its fields: the name of each, and the text.
    filled: Filled,
}

/// Names and texts.
type Filled = Vec<(String, String)>;

/// The request that waits for its answer.
pub(super) struct Asked {
    who: BareJid,
    id: String,
    /// The answer, and how many lines the bot had said before.
    answer: Option<(Element, usize)>,
}

/// Bytes that a person writes into a form at most; the bot takes less.
const FILLED: usize = 1 << 20;

impl World {
    /// Somebody does something in the menu of their client.
    ///
    /// # Errors
    /// No such form is open, the bot gives no answer, or the world does not come to rest.
    pub fn choose(&mut self, who: &BareJid, choice: &Choice) -> Result<Answer, Broken> {
        self.chosen(who, choice).map(|(answer, _)| answer)
    }

    /// The same; what the client then shows is heard by the person as if the bot had said it.
    ///
    /// # Errors
    /// As [`World::choose`].
    pub fn choose_aloud(&mut self, who: &BareJid, choice: &Choice) -> Result<(), Broken> {
        let (answer, before) = self.chosen(who, choice)?;
        if answer != Answer::Filled {
            let line =
                Line { place: Place::Direct(who.clone()), text: answer.to_string(), id: String::new() };
            self.lines.insert(before.min(self.lines.len()), line);
        }
        Ok(())
    }

    fn chosen(&mut self, who: &BareJid, choice: &Choice) -> Result<(Answer, usize), Broken> {
        let (payload, kind, node) = match choice {
            Choice::Fill { field, value } => {
                self.fill(who, field, value)?;
                return Ok((Answer::Filled, 0));
            }
            Choice::List => (chosen::listed(), "get", None),
            Choice::Open(node) => (chosen::opened(node), "set", Some(node.clone())),
            Choice::Press(button) => {
                let (page, filled) = self.open_page(who)?;
                // What is not offered can be pressed too: it is the bot that has to refuse it.
                (page.pressed(button.as_deref(), filled), "set", Some(page.node.clone()))
            }
        };
        let (iq, before) = self.ask(who, kind, payload)?;
        let Some(answer) = Answer::read(&iq, node.as_deref()) else {
            return Err(Broken::NotNow { what: "the bot's answer is none to what was asked" });
        };
        if node.is_some() {
            let page = match &answer {
                Answer::Page(page) if page.is_open() => Some((**page).clone()),
                Answer::Commands(_) | Answer::Filled | Answer::Page(_) | Answer::Refused { .. } => None,
            };
            self.clients.insert(who.clone(), Client { page, filled: Vec::new() });
        }
        Ok((answer, before))
    }

    fn open_page(&self, who: &BareJid) -> Result<(&Page, &Filled), Broken> {
        let client = self.clients.get(who);
        let page = client.and_then(|client| Some((client.page.as_ref()?, &client.filled)));
        page.ok_or(Broken::NotNow { what: "no command is open: begin one with `open`" })
    }

    fn fill(&mut self, who: &BareJid, field: &str, value: &str) -> Result<(), Broken> {
        let (page, filled) = self.open_page(who)?;
        let Some(var) = page.field(field) else {
            let known = page.fields().join(", ");
            return Err(Broken::Field { field: field.to_owned(), known });
        };
        if filled.iter().map(|(_, value)| value.len()).sum::<usize>() + value.len() > FILLED {
            return Err(Broken::NotNow { what: "nobody writes that much into a form" });
        }
        if let Some(client) = self.clients.get_mut(who) {
            client.filled.retain(|(name, _)| *name != var);
            client.filled.push((var, value.to_owned()));
        }
        Ok(())
    }

    /// A request to the bot's client, and its answer.
    fn ask(
        &mut self,
        who: &BareJid,
        kind: &'static str,
        payload: Element,
    ) -> Result<(Element, usize), Broken> {
        let id = self.ids.next_id();
        let to = format!("{}/rhapsode", self.bot());
        let iq = Element::new("iq", ns::CLIENT)
            .with_attr("to", to)
            .with_attr("type", kind)
            .with_attr("id", id.clone())
            .with_child(payload);
        self.asked = Some(Asked { who: who.clone(), id, answer: None });
        let spoken = self.speak(who, iq);
        let asked = self.asked.take();
        spoken?;
        let answer = asked.and_then(|asked| asked.answer);
        answer.ok_or(Broken::NotNow { what: "the bot gives no answer: it may be cut off" })
    }

    /// Somebody has got a stanza: it may be the answer that is waited for.
    pub(super) fn answered(&mut self, who: &BareJid, stanza: &Element) {
        let before = self.lines.len();
        let Some(asked) = &mut self.asked else { return };
        let answers = stanza.name() == "iq" && matches!(stanza.attr("type"), Some("result" | "error"));
        if answers && asked.who == *who && stanza.attr("id") == Some(asked.id.as_str()) {
            asked.answer.get_or_insert_with(|| (stanza.clone(), before));
        }
    }
}
