//! XEP-0077: accounts that clients make, change and remove themselves.

use crate::jid::{BareJid, Jid};
use crate::moment::Moment;
use crate::secret::Password;
use crate::stanza::StanzaError;
use crate::stream::sasl::prepare::saslprep;
use crate::xml::Element;

use super::domain::{Domain, MAX_ACCOUNTS, SessionId};
use super::requests::Answer;
use super::roster::Item;
use super::vocabulary::{REGISTER, error, refusal, result};

impl Domain {
    /// A request before login: what to answer. `None` where the stanza deserves none.
    pub fn on_before_login(&mut self, iq: &Element) -> Option<Element> {
        let answer = match (iq.attr("type"), iq.child("query", REGISTER)) {
            (Some("get"), Some(_)) if self.open_registration => Ok(Some(form())),
            (Some("set"), Some(query)) if self.open_registration => self.register(query).map(|()| None),
            _ => Err(refusal("not-allowed")),
        };
        match answer {
            Ok(payload) => Some(payload.into_iter().fold(result(iq), Element::with_child)),
            Err(refused) => error(iq, &refused),
        }
    }

    /// A request of a session: the own account's data, or another password.
    pub(super) fn registration(&mut self, bare: &BareJid, query: &Element, sets: bool) -> Answer {
        if !sets {
            let known = Element::new("registered", REGISTER);
            let user = Element::new("username", REGISTER).with_text(bare.local().unwrap_or_default());
            return Ok(Some(form_with(user).with_child(known)));
        }
        let (user, password) = credentials(query)?;
        let same = Jid::from_parts(Some(&user), self.name(), None).is_ok_and(|jid| jid.to_bare() == *bare);
        if !same {
            return Err(refusal("not-allowed"));
        }
        self.set_password(&user, password).map_err(|_| refusal("not-acceptable"))?;
        Ok(None)
    }

    /// A session removes its account, §3.2: the result first, then contacts hear of it and streams end.
    pub(super) fn remove_own_account(&mut self, now: Moment, id: SessionId, bare: &BareJid, iq: &Element) {
        self.deliver(id, result(iq));
        let Some(account) = self.account_mut(bare) else { return };
        let contacts: Vec<(BareJid, Item)> =
            account.roster.items().map(|(contact, item)| (contact.clone(), item.clone())).collect();
        for (contact, item) in contacts {
            self.end_subscriptions(now, bare, &contact, &item);
        }
        self.remove_account(now, bare.local().unwrap_or_default());
    }

    fn register(&mut self, query: &Element) -> Result<(), StanzaError> {
        let (user, password) = credentials(query)?;
        let jid = Jid::from_parts(Some(&user), self.name(), None).map_err(|_| refusal("not-acceptable"))?;
        if self.account(&jid).is_some() {
            return Err(refusal("conflict"));
        }
        if self.accounts.len() >= MAX_ACCOUNTS {
            return Err(refusal("resource-constraint"));
        }
        self.set_password(&user, password).map_err(|_| refusal("not-acceptable"))
    }
}

/// Name and password of a registration, both there and both allowed.
fn credentials(query: &Element) -> Result<(String, Password), StanzaError> {
    let user = query.child_text("username", REGISTER).filter(|user| !user.is_empty());
    let password = query.child_text("password", REGISTER).filter(|password| !password.is_empty());
    let (Some(user), Some(password)) = (user, password) else { return Err(refusal("not-acceptable")) };
    saslprep(&password).ok_or_else(|| refusal("not-acceptable"))?;
    Ok((user, Password::new(password)))
}

fn form() -> Element {
    form_with(Element::new("username", REGISTER))
}

fn form_with(user: Element) -> Element {
    Element::new("query", REGISTER)
        .with_child(Element::new("instructions", REGISTER).with_text("Choose a name and a password"))
        .with_child(user)
        .with_child(Element::new("password", REGISTER))
}
