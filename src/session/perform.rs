//! Actions become stanzas.

use std::time::Duration;

use super::pending::Purpose;
use super::upload::Parcel;
use super::{OwnPresence, Refused, Session, roster};
use crate::action::{Action, OutgoingMessage, RequestKind};
use crate::jid::Jid;
use crate::moment::Moment;
use crate::ns;
use crate::stanza::MessageKind;
use crate::stanza::message::{Message, Thread};
use crate::stanza::presence;
use crate::stanza::{Head, Text};
use crate::xep::{caps, chat_states, hints};
use crate::xml::{Element, writer};

/// Longest that a script may wait for an answer.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the server may take for a change of the roster.
const ROSTER_PATIENCE: Duration = Duration::from_secs(60);

impl Session {
    /// Carries out an action, or says why not. Nothing is sent where it is refused.
    pub fn perform(&mut self, now: Moment, action: Action) -> Result<(), Refused> {
        if !self.online && !matches!(action, Action::Answer { .. }) {
            return Err(Refused::Offline);
        }
        match action {
            Action::Answer { to, id, outcome } => self.answer_command(to, id, outcome)?,
            Action::Block { jid, blocked } => self.block(now, jid, blocked)?,
            Action::ChatState { to, state } => {
                let message = chat_states::message(&to, &self.ids.next_id(), state);
                self.send(message.with_child(hints::no_store()));
            }
            Action::Message(message) => {
                let mut element = stanza(&message)?;
                self.readdress(&mut element);
                self.on_sent(now, &element);
                self.send(element);
            }
            Action::Presence { show, status, priority } => {
                check(&presence::available(show, status.as_deref(), priority))?;
                self.presence = OwnPresence { show, status, priority };
                self.last_active = Some(now.at);
                // Before the login is complete the presence is only noted: it goes out with it.
                if self.login.is_complete() {
                    self.send_presence();
                }
            }
            Action::PresenceTo { to, available, show, status } => {
                let status = status.as_deref();
                let presence = match available {
                    true => presence::available(show, status, 0).with_child(caps::element(&self.ver)),
                    false => presence::unavailable(status),
                };
                let presence = presence.with_attr("to", to.as_str());
                check(&presence)?;
                self.send(presence);
            }
            Action::Publish(publication) => self.publish(now, *publication)?,
            Action::Request { token, to, kind, payload, timeout } => {
                self.request(now, token, to, kind, payload, timeout)?;
            }
            Action::Respond { token, outcome } => self.respond(&token, outcome)?,
            Action::Room { room, id, order } => self.order(now, room, id, order)?,
            Action::RosterRemove { jid } => self.change_roster(now, roster::remove(&jid))?,
            Action::RosterSet { jid, name, groups } => {
                self.change_roster(now, roster::set(&jid, name.as_deref(), &groups))?;
            }
            Action::Subscription { to, verb } => {
                if to == self.own.bare {
                    return Err(Refused::Forbidden { what: "an account cannot subscribe to itself" });
                }
                self.send_subscription(&to, verb);
            }
            Action::Upload { token, name, mime, size } => {
                self.upload(now, Parcel { token, name, mime, size })?;
            }
        }
        Ok(())
    }

    /// The same as [`super::encode`].
    pub fn encode(&self, action: &Action) -> Result<Element, Refused> {
        encode(action)
    }

    fn request(
        &mut self,
        now: Moment,
        token: String,
        to: Option<Jid>,
        kind: RequestKind,
        payload: Element,
        timeout: Duration,
    ) -> Result<(), Refused> {
        if !self.pending.has_room() {
            return Err(Refused::Busy);
        }
        // Its answer would be a push, and the roster has verbs of its own.
        if kind == RequestKind::Set && payload.ns() == ns::ROSTER {
            return Err(Refused::Forbidden { what: "the roster is changed by its own functions" });
        }
        if self.config.hosted && to.as_ref().is_none_or(|to| self.own.is_self(to)) {
            let what = "behind a component there is no account to ask: name whom to ask";
            return Err(Refused::Invalid { what });
        }
        check(&payload)?;
        let kind = match kind {
            RequestKind::Get => "get",
            RequestKind::Set => "set",
        };
        self.ask(now, kind, to, payload, timeout.min(LONGEST_WAIT), Purpose::Script { token });
        Ok(())
    }

    fn change_roster(&mut self, now: Moment, query: Element) -> Result<(), Refused> {
        if !self.pending.has_room() {
            return Err(Refused::Busy);
        }
        check(&query)?;
        if self.config.hosted {
            self.change_hosted_roster(&query);
            return Ok(());
        }
        self.ask(now, "set", None, query, ROSTER_PATIENCE, Purpose::RosterChange);
        Ok(())
    }
}

pub(super) fn encode(action: &Action) -> Result<Element, Refused> {
    match action {
        Action::Message(message) => stanza(message),
        Action::Answer { .. }
        | Action::Block { .. }
        | Action::ChatState { .. }
        | Action::Presence { .. }
        | Action::PresenceTo { .. }
        | Action::Publish(_)
        | Action::Request { .. }
        | Action::Respond { .. }
        | Action::Room { .. }
        | Action::RosterRemove { .. }
        | Action::RosterSet { .. }
        | Action::Subscription { .. }
        | Action::Upload { .. } => Err(Refused::Invalid { what: "only a message can be kept" }),
    }
}

fn stanza(message: &OutgoingMessage) -> Result<Element, Refused> {
    if message.kind == MessageKind::Groupchat && !message.to.is_bare() {
        return Err(Refused::Invalid { what: "a room message goes to the room, not to an occupant" });
    }
    let own_text = |text: &String| Text { lang: message.lang.clone(), text: text.clone() };
    let stanza = Message {
        head: Head {
            from: None,
            to: Some(message.to.clone()),
            id: Some(message.id.clone()),
            lang: message.lang.clone(),
        },
        kind: message.kind,
        error: None,
        bodies: Some(&message.text).filter(|text| !text.is_empty()).map(own_text).into_iter().collect(),
        subjects: message.subject.iter().map(own_text).collect(),
        thread: message.thread.clone().map(|id| Thread { id, parent: None }),
        payloads: message.payloads.clone(),
    };
    let element = stanza.to_element();
    check(&element)?;
    Ok(element)
}

/// Refuses what XML cannot carry here, where the script can be told, and not on the stream.
pub(super) fn check(element: &Element) -> Result<(), Refused> {
    let what = "it holds a character or a name that XML cannot carry";
    writer::to_string(element).map(drop).map_err(|_| Refused::Invalid { what })
}
