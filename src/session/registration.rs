//! A registration from the question to the answer, XEP-0077 §3.1, for whoever has an encrypted stream that nobody has
//! logged in on.

use std::collections::BTreeMap;

use crate::ids::{IdSource, Seed};
use crate::jid::{BareJid, Jid};
use crate::secret::Password;
use crate::stanza::iq::{self, Iq, IqKind};
use crate::stanza::{Stanza, StanzaError};
use crate::xep::registration::{self, Offer, Unfilled};
use crate::xml::Element;

/// An account that is being made.
pub struct Registration {
    jid: BareJid,
    password: Password,
    given: BTreeMap<String, String>,
    ids: IdSource,
    awaits: Awaits,
    /// `id` of the request that is open.
    id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    /// What the server wants to know.
    Offer,
    /// Whether it has made the account.
    Outcome,
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Nothing yet: that was no answer.
    Await,
    /// The account is there.
    Done,
    /// It is not, and nothing more is asked.
    Failed(Failed),
    /// Send this.
    Say(Element),
}

/// Why there is no account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// What the server wants cannot be given.
    Unfilled(Unfilled),
    /// The server does not make it.
    Refused(StanzaError),
    /// The answer is none.
    Unreadable,
    /// The password or a field has a character that XML cannot carry.
    Unwritable,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "the server does not make the account: {error}"),
            Self::Unreadable => f.write_str("the server does not say what it wants to know"),
            Self::Unwritable => f.write_str("a value has a character that XML cannot carry"),
            Self::Unfilled(unfilled) => match unfilled {
                Unfilled::Registered => f.write_str("there is an account of that name already"),
                Unfilled::Elsewhere { url, instructions: Some(text) } => {
                    write!(f, "the server makes accounts at `{url}` only: {text}")
                }
                Unfilled::Elsewhere { url, instructions: None } => {
                    write!(f, "the server makes accounts at `{url}` only")
                }
                Unfilled::NoAccount => f.write_str("the server asks for neither name nor password"),
                Unfilled::Misfit(misfit) => misfit.fmt(f),
                Unfilled::NotAsked(name) => write!(f, "the server does not ask for `{name}`"),
                Unfilled::Missing(fields) => {
                    f.write_str("the server wants to know more")?;
                    for (name, label) in fields {
                        write!(f, "\nhint: --field {name}=…")?;
                        if let Some(label) = label {
                            write!(f, "  ({label})")?;
                        }
                    }
                    Ok(())
                }
            },
        }
    }
}

impl Registration {
    /// The account `jid`, with what else the server may ask for.
    pub fn new(jid: BareJid, password: Password, given: BTreeMap<String, String>, seed: Seed) -> Self {
        let mut ids = IdSource::new(seed);
        let id = ids.next_id();
        Self { jid, password, given, ids, awaits: Awaits::Offer, id }
    }

    /// What is said first.
    pub fn question(&self) -> Element {
        iq::request("get", &self.id, Some(self.jid.domain()), registration::ask())
    }

    /// Something came from the server.
    pub fn on_element(&mut self, element: Element) -> Step {
        let Ok(Stanza::Iq(Iq { head, kind })) = Stanza::parse(element) else { return Step::Await };
        // Before the login there is one peer: the server, with its name or without.
        let from_server = head.from.as_ref().map(Jid::as_str).is_none_or(|from| from == self.jid.domain());
        if head.id.as_deref() != Some(&*self.id) || !from_server {
            return Step::Await;
        }
        match (kind, self.awaits) {
            (IqKind::Error(error), _) => Step::Failed(Failed::Refused(error)),
            (IqKind::Result(Some(query)), Awaits::Offer) => self.answer(&query),
            (IqKind::Result(None), Awaits::Offer) => Step::Failed(Failed::Unreadable),
            (IqKind::Result(_), Awaits::Outcome) => Step::Done,
            (IqKind::Get(_) | IqKind::Set(_), _) => Step::Await,
        }
    }

    fn answer(&mut self, query: &Element) -> Step {
        let Some(offer) = Offer::parse(query) else { return Step::Failed(Failed::Unreadable) };
        let user = self.jid.local().unwrap_or_default();
        match offer.fill(user, self.password.reveal(), &self.given) {
            Ok(payload) if super::perform::check(&payload).is_err() => Step::Failed(Failed::Unwritable),
            Ok(payload) => {
                self.awaits = Awaits::Outcome;
                self.id = self.ids.next_id();
                Step::Say(iq::request("set", &self.id, Some(self.jid.domain()), payload))
            }
            Err(unfilled) => Step::Failed(Failed::Unfilled(unfilled)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ns;
    use crate::xml::{Reader, writer};

    #[test]
    fn f3_the_server_is_asked_what_it_wants_and_gets_it() {
        let (mut registration, id) = begin();
        let offer = "<query xmlns='jabber:iq:register'><username/><password/></query>";
        let stranger = format!("<iq type='result' id='{id}' from='eve@example.net'>{offer}</iq>");
        assert_eq!(feed(&mut registration, &stranger), Step::Await);
        assert_eq!(feed(&mut registration, &format!("<iq type='result' id='x'>{offer}</iq>")), Step::Await);
        let said = feed(&mut registration, &format!("<iq type='result' id='{id}'>{offer}</iq>"));
        let Step::Say(request) = said else { panic!("{said:?}") };
        let second = request.attr("id").expect("an id").to_owned();
        assert!(text(&request).contains("<username>bot</username><password>pencil</password>"));
        assert_ne!(second, id);
        let late = format!("<iq type='result' id='{id}'/>");
        assert_eq!(feed(&mut registration, &late), Step::Await, "the first answer again");
        let done = format!("<iq type='result' id='{second}' from='example.org'/>");
        assert_eq!(feed(&mut registration, &done), Step::Done);
    }

    #[test]
    fn f3_a_refusal_and_an_odd_answer_end_it() {
        let (mut registration, id) = begin();
        let refused = format!(
            "<iq type='error' id='{id}'><error type='cancel'>\
             <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        );
        let step = feed(&mut registration, &refused);
        assert!(
            matches!(&step, Step::Failed(Failed::Refused(error)) if &*error.condition == "conflict"),
            "{step:?}"
        );
        let (mut registration, id) = begin();
        let odd = format!("<iq type='result' id='{id}'><query xmlns='jabber:iq:roster'/></iq>");
        assert_eq!(feed(&mut registration, &odd), Step::Failed(Failed::Unreadable));
    }

    fn begin() -> (Registration, String) {
        let jid = BareJid::parse("bot@example.org").expect("an address");
        let password = Password::new("pencil".to_owned());
        let registration = Registration::new(jid, password, BTreeMap::new(), Seed([1; 32]));
        let request = registration.question();
        let id = request.attr("id").expect("an id").to_owned();
        assert_eq!(
            text(&request),
            format!("<iq id='{id}' to='example.org' type='get'><query xmlns='jabber:iq:register'/></iq>")
        );
        (registration, id)
    }

    fn feed(registration: &mut Registration, stanza: &str) -> Step {
        registration.on_element(Reader::within(ns::CLIENT).element(stanza).expect("a stanza"))
    }

    fn text(element: &Element) -> String {
        let mut bytes = Vec::new();
        writer::write(element, ns::CLIENT, &mut bytes).expect("can be written");
        String::from_utf8(bytes).expect("UTF-8")
    }
}
