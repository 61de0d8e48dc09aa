//! The account's own addresses, and who may speak for it.

use crate::jid::{BareJid, FullJid, Jid};

/// The account's addresses.
#[derive(Clone, Debug)]
pub struct Own {
    /// Without a resource. With anonymous login the server chooses it.
    pub bare: BareJid,
    /// The account's server.
    pub domain: BareJid,
    /// As bound, while there was a session.
    pub full: Option<FullJid>,
}

impl Own {
    /// Before the first login.
    pub fn new(bare: BareJid) -> Self {
        Self { domain: bare.to_domain(), bare, full: None }
    }

    /// After a resource was bound.
    pub fn bound(full: FullJid) -> Self {
        let mut own = Self::new(full.to_bare());
        own.full = Some(full);
        own
    }

    /// Whether the stanza comes from the account itself, RFC 6120 §8.1.2.1: the own bare JID, or none.
    pub fn is_account(&self, from: Option<&Jid>) -> bool {
        from.is_none_or(|from| *from == *self.bare)
    }

    /// Whether `jid` is the account or one of its resources.
    pub fn is_self(&self, jid: &Jid) -> bool {
        jid.bare_str() == self.bare.as_str()
    }

    /// Whether `jid` is the account's server or the account: those that hold stanzas back for it.
    pub fn is_home(&self, jid: &Jid) -> bool {
        *jid == *self.bare || *jid == *self.domain
    }

    /// Whether `jid` is this very session.
    pub fn is_session(&self, jid: &Jid) -> bool {
        self.full.as_ref().is_some_and(|full| **full == *jid)
    }

    /// To whom a request may have gone that is answered by `from`; `None` stands for a request
    /// without `to`. Servers answer for the account in more ways than one: Prosody leaves `from`
    /// out, ejabberd writes the bare JID, before login the domain, and once the own full JID.
    pub fn asked(&self, from: Option<&Jid>) -> Vec<Option<Jid>> {
        let bare = || Some(Jid::from(self.bare.clone()));
        let domain = || Some(Jid::from(self.domain.clone()));
        match from {
            None => vec![None, bare(), domain()],
            Some(from) if self.is_home(from) || self.is_session(from) => vec![None, Some(from.clone())],
            Some(from) => vec![Some(from.clone())],
        }
    }
}
