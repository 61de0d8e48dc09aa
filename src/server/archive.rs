//! The archive of an account, XEP-0313: what it received and sent, bounded in number and weight, given out in pages.

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::datetime;
use crate::jid::{BareJid, Jid};
use crate::moment::Moment;
use crate::ns;
use crate::stanza::StanzaError;
use crate::xep::archive::{NS, RSM};
use crate::xep::stanza_ids;
use crate::xml::Element;

use super::account::is_storable;
use super::domain::{Domain, SessionId};
use super::vocabulary::{FORM, FORWARD, delay, refusal, weight};

/// Messages of one account, unless the owner says otherwise; the oldest go first.
pub const MESSAGES: usize = 1_000;
/// Their size together, roughly in bytes.
const WEIGHT: usize = 4 << 20;
/// Results of one page, whatever was asked for.
const PAGE: usize = 100;

/// What one account received and sent.
#[derive(Default)]
pub struct Archive {
    items: VecDeque<Item>,
    weight: usize,
}

struct Item {
    id: String,
    stamp: Timestamp,
    message: Element,
}

/// A question, as far as it is understood.
struct Question {
    with: Option<Jid>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    after: Option<String>,
    before: Option<String>,
    max: usize,
}

impl Archive {
    fn keep(&mut self, item: Item, limit: usize) {
        self.weight += weight(&item.message);
        self.items.push_back(item);
        while self.items.len() > limit || self.weight > WEIGHT {
            let Some(oldest) = self.items.pop_front() else { break };
            self.weight -= weight(&oldest.message);
        }
    }

    fn place(&self, id: &str) -> Result<usize, StanzaError> {
        self.items.iter().position(|item| item.id == id).ok_or_else(|| refusal("item-not-found"))
    }

    /// The page that is asked for, and whether it is the last in its direction.
    fn page(&self, question: &Question) -> Result<(Vec<&Item>, bool), StanzaError> {
        let from = match &question.after {
            Some(id) => self.place(id)? + 1,
            None => 0,
        };
        let to = match question.before.as_deref() {
            Some("") | None => self.items.len(),
            Some(id) => self.place(id)?,
        };
        let fits = |item: &&Item| {
            question.start.is_none_or(|start| item.stamp >= start)
                && question.end.is_none_or(|end| item.stamp <= end)
                && question.with.as_ref().is_none_or(|with| item.is_with(with))
        };
        let found: Vec<&Item> = self.items.range(from.min(to)..to).filter(fits).collect();
        let complete = found.len() <= question.max;
        let page = match question.before {
            Some(_) => found[found.len().saturating_sub(question.max)..].to_vec(),
            None => found.into_iter().take(question.max).collect(),
        };
        Ok((page, complete))
    }
}

impl Item {
    fn is_with(&self, with: &Jid) -> bool {
        let party = |name: &str| self.message.attr(name).and_then(|jid| Jid::from_wire(jid).ok());
        [party("from"), party("to")]
            .into_iter()
            .flatten()
            .any(|jid| jid == *with || (with.is_bare() && jid.to_bare() == with.to_bare()))
    }
}

impl Question {
    fn parse(query: &Element) -> Result<Self, StanzaError> {
        let field = |name: &str| {
            let form = query.child("x", FORM)?;
            let field = form.children().find(|field| field.attr("var") == Some(name))?;
            field.child("value", FORM).map(Element::text)
        };
        let stamp = |name: &str| {
            let parse = |text: String| datetime::parse(&text).map_err(|_| refusal("bad-request"));
            field(name).map(parse).transpose()
        };
        let set = query.child("set", RSM);
        let text = |name: &str| set?.child(name, RSM).map(Element::text);
        let max = text("max").map_or(Ok(PAGE), |max| max.parse().map_err(|_| refusal("bad-request")))?;
        Ok(Self {
            with: field("with")
                .map(|jid| Jid::parse(&jid).map_err(|_| refusal("bad-request")))
                .transpose()?,
            start: stamp("start")?,
            end: stamp("end")?,
            after: text("after"),
            before: text("before"),
            max: max.min(PAGE),
        })
    }
}

impl Domain {
    /// How many messages of each account are archived from now on; with none there is no archive.
    pub fn bound_archive(&mut self, messages: usize) {
        self.archive_limit = messages;
    }

    /// Whether there are archives.
    pub(super) fn archives(&self) -> bool {
        self.archive_limit > 0
    }

    /// Puts a message into the archives of both sides, and the id it has in the recipient's into the message.
    pub(super) fn archive(
        &mut self,
        now: Moment,
        sender: Option<SessionId>,
        to: &Jid,
        message: &mut Element,
    ) {
        let bare = to.to_bare();
        // Whoever else has written such an id has made it up.
        stanza_ids::take_out(message, &bare);
        let kind = message.attr("type");
        if !self.archives()
            || !is_storable(message)
            || matches!(kind, Some("error" | "groupchat" | "headline"))
        {
            return;
        }
        let from = sender.and_then(|id| self.sessions.get(&id)).map(|session| session.bare.clone());
        if let Some(from) = from.filter(|from| *from != bare) {
            let mut sent = message.clone();
            sent.set_attr("to", to.as_str());
            self.put(now, &from, &sent);
        }
        if let Some(id) = self.put(now, &bare, message) {
            message.push(stanza_ids::stanza_id(&bare, &id));
        }
    }

    fn put(&mut self, now: Moment, owner: &BareJid, message: &Element) -> Option<String> {
        let limit = self.archive_limit;
        let id = format!("{:08x}", self.archived + 1);
        let account = self.account_mut(owner)?;
        account.archive.keep(Item { id: id.clone(), stamp: now.wall, message: message.clone() }, limit);
        self.archived += 1;
        Some(id)
    }

    /// Gives out a page: the results on their own, then the answer.
    pub(super) fn ask_archive(
        &mut self,
        id: SessionId,
        bare: &BareJid,
        query: &Element,
    ) -> Result<Option<Element>, StanzaError> {
        if !self.archives() {
            return Err(refusal("service-unavailable"));
        }
        let question = Question::parse(query)?;
        let to = self.sessions.get(&id).map(|session| session.jid.clone());
        let (Some(account), Some(to)) = (self.account(bare), to) else {
            return Err(refusal("item-not-found"));
        };
        let (page, complete) = account.archive.page(&question)?;
        let mut set = Element::new("set", RSM);
        let text = |name: &'static str, id: &str| Element::new(name, RSM).with_text(id);
        if let (Some(first), Some(last)) = (page.first(), page.last()) {
            set = set.with_child(text("first", &first.id)).with_child(text("last", &last.id));
        }
        let result = |item: &&Item| {
            let forwarded = Element::new("forwarded", FORWARD)
                .with_child(delay(self.name(), item.stamp))
                .with_child(item.message.clone());
            let result = Element::new("result", NS)
                .with_attr_opt("queryid", query.attr("queryid"))
                .with_attr("id", item.id.clone())
                .with_child(forwarded);
            Element::new("message", ns::CLIENT)
                .with_attr("from", bare.as_str())
                .with_attr("to", to.as_str())
                .with_child(result)
        };
        let results: Vec<Element> = page.iter().map(result).collect();
        results.into_iter().for_each(|result| self.deliver(id, result));
        let fin = Element::new("fin", NS).with_attr_opt("complete", complete.then_some("true"));
        Ok(Some(fin.with_child(set)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_forwards_and_backwards() {
        let archive = filled(10, 10);
        assert_eq!(ids(&archive, "<max>3</max>"), (vec!["1", "2", "3"], false));
        assert_eq!(ids(&archive, "<max>3</max><after>8</after>"), (vec!["9", "10"], true));
        assert_eq!(ids(&archive, "<max>2</max><before/>"), (vec!["9", "10"], false));
        assert_eq!(ids(&archive, "<max>5</max><before>3</before>"), (vec!["1", "2"], true));
        assert_eq!(ids(&archive, "<after>10</after>"), (vec![], true));
    }

    #[test]
    fn the_oldest_are_forgotten_and_not_found() {
        let archive = filled(10, 4);
        assert_eq!(ids(&archive, "").0, ["7", "8", "9", "10"]);
        let question = question("<after>2</after>");
        assert!(archive.page(&question).is_err_and(|error| error.condition == "item-not-found"));
    }

    #[test]
    fn a_question_that_is_not_understood_is_refused() {
        for set in ["<max>many</max>", "<max>-1</max>"] {
            let query = format!("<query xmlns='{NS}'><set xmlns='{RSM}'>{set}</set></query>");
            assert!(Question::parse(&crate::xml::parse(&query).expect("XML")).is_err());
        }
    }

    fn filled(count: usize, limit: usize) -> Archive {
        let mut archive = Archive::default();
        for number in 1..=count {
            let item = Item {
                id: number.to_string(),
                stamp: Timestamp::UNIX_EPOCH,
                message: Element::new("message", ns::CLIENT),
            };
            archive.keep(item, limit);
        }
        archive
    }

    fn question(set: &str) -> Question {
        let query = format!("<query xmlns='{NS}'><set xmlns='{RSM}'>{set}</set></query>");
        Question::parse(&crate::xml::parse(&query).expect("XML")).expect("understood")
    }

    fn ids<'a>(archive: &'a Archive, set: &str) -> (Vec<&'a str>, bool) {
        let (page, complete) = archive.page(&question(set)).expect("found");
        (page.into_iter().map(|item| item.id.as_str()).collect(), complete)
    }
}
