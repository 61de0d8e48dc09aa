//! What an account and its component say to each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::actor::inbox::Inbox;
use crate::jid::BareJid;
use crate::net::link::LinkHandle;
use crate::xml::Element;

/// Account → component.
pub enum Word {
    /// The operator wants another try now.
    Again,
    /// This address is served here.
    Join {
        /// It.
        jid: BareJid,
        /// Where its stanzas go.
        port: Port,
    },
    /// It is not any more.
    Leave {
        /// It.
        jid: BareJid,
        /// The joining that ends.
        connection: u64,
    },
}

/// Component → account, with the number of the joining.
pub enum Routed {
    /// There is no stream.
    Down {
        /// Why.
        detail: String,
        /// Not before the configuration changes.
        refused: bool,
        /// When the component tries again.
        retry: Option<Duration>,
    },
    /// A stanza for the address.
    Stanza(Element),
    /// There is a stream: what is for the server goes to this link.
    Up(LinkHandle),
}

/// The way to one account.
pub struct Port {
    inbox: Inbox<(u64, Routed)>,
    connection: u64,
    /// Stanzas given and not handled.
    load: Arc<AtomicUsize>,
    /// Most of them.
    most: usize,
}

impl Port {
    /// A way that takes `most` stanzas at once; the account counts `load` down.
    pub fn new(inbox: Inbox<(u64, Routed)>, connection: u64, load: Arc<AtomicUsize>, most: usize) -> Self {
        Self { inbox, connection, load, most }
    }

    /// Number of the joining.
    pub fn connection(&self) -> u64 {
        self.connection
    }

    /// Says something that must arrive.
    pub fn give(&self, routed: Routed) {
        self.inbox.push((self.connection, routed));
    }

    /// Gives a stanza; it comes back where the account has too many: one slow bot holds up nobody else.
    pub fn pass(&self, stanza: Element) -> Result<(), Element> {
        if self.load.load(Ordering::Relaxed) >= self.most {
            return Err(stanza);
        }
        self.load.fetch_add(1, Ordering::Relaxed);
        self.give(Routed::Stanza(stanza));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ns;

    #[test]
    fn an_account_that_has_too_much_gets_no_more_until_it_has_handled_some() {
        let (inbox, load) = (Inbox::default(), Arc::new(AtomicUsize::new(0)));
        let port = Port::new(inbox.clone(), 7, Arc::clone(&load), 2);
        let stanza = || Element::new("message", ns::CLIENT);
        assert!(port.pass(stanza()).is_ok() && port.pass(stanza()).is_ok());
        assert_eq!(port.pass(stanza()), Err(stanza()));
        // What must arrive does all the same.
        port.give(Routed::Down { detail: "gone".to_owned(), refused: false, retry: None });
        let got = inbox.take();
        assert_eq!((got.len(), got[0].0), (3, 7));
        load.store(1, Ordering::Relaxed);
        assert!(port.pass(stanza()).is_ok());
    }
}
