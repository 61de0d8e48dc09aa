//! What a stream's events mean to the server, whoever carries its bytes: a socket, or a simulated link.

use std::rc::Rc;

use tracing::debug;

use crate::moment::Moment;
use crate::stream::StreamEvent;
use crate::xml::Element;

use super::hub::SharedHub;
use super::link::Link;

/// Stanzas that are moved into the stream at once.
const SOME: u64 = 16;

/// One client as its connection sees it.
pub(super) struct Talk {
    pub link: Rc<Link>,
    pub hub: SharedHub,
    /// The localpart that has logged in.
    account: Option<String>,
    /// Somebody whom the client sends more than it reads.
    pub crowd: Option<Rc<Link>>,
}

impl Talk {
    /// Nobody has logged in yet.
    pub fn new(link: Rc<Link>, hub: SharedHub) -> Self {
        Self { link, hub, account: None, crowd: None }
    }

    /// Moves waiting stanzas into the stream while there is room; `false` where none moved.
    pub fn forward(&self, now: Moment) -> bool {
        let mut moved = 0;
        let mut stream = self.link.stream.borrow_mut();
        while moved < SOME && stream.is_online() && !stream.is_full() {
            let Some(stanza) = self.link.take() else { break };
            moved += 1;
            match stream.send(now.at, stanza) {
                Ok(_) => {}
                // Only a stanza that the domain made up itself could be unwritable.
                Err(refused) => debug!(?refused, "stanza not sent"),
            }
        }
        drop(stream);
        self.hub.borrow_mut().counts.sent += moved;
        moved > 0
    }

    /// Answers what the stream asks, and hands stanzas to the domain.
    pub fn on_event(&mut self, now: Moment, event: StreamEvent) {
        let link = Rc::clone(&self.link);
        match event {
            StreamEvent::Authenticate(request) => {
                let keys = self.hub.borrow_mut().account_keys(&request);
                link.stream.borrow_mut().on_account(now.at, keys);
            }
            StreamEvent::Authenticated { username, mechanism, .. } => {
                debug!(%mechanism, "logged in");
                self.account = username;
            }
            StreamEvent::BeforeLogin(iq) => {
                let answer = self.hub.borrow_mut().domain.on_before_login(&iq);
                if let Some(answer) = answer {
                    link.stream.borrow_mut().say_before_login(now.at, &answer);
                }
            }
            StreamEvent::Bind { resource } => {
                let local = self.account.as_deref().unwrap_or_default();
                let bound = self.hub.borrow_mut().bind(now, local, resource.as_deref(), &link);
                link.stream.borrow_mut().on_bound(now.at, bound);
            }
            StreamEvent::Enabled { id, .. } => {
                if let Some(id) = id {
                    self.hub.borrow_mut().enable(&link, id);
                }
            }
            StreamEvent::Resume { id, .. } => {
                let local = self.account.as_deref().unwrap_or_default();
                let session = self.hub.borrow_mut().resume(now, local, &id, &link);
                link.stream.borrow_mut().on_resume(now.at, session);
            }
            StreamEvent::Stanza { number, element } => self.on_stanza(now, number, element),
            StreamEvent::Fault(fault) => debug!(?fault, "stream ended"),
            StreamEvent::Acked { .. } | StreamEvent::Closed => {}
            // The initiating role's own.
            StreamEvent::DeriveKeys(_)
            | StreamEvent::Lost { .. }
            | StreamEvent::MayRegister { .. }
            | StreamEvent::Online(_) => {}
        }
    }

    fn on_stanza(&mut self, now: Moment, number: Option<u32>, element: Element) {
        // Without a session it was ended while these bytes were on their way.
        let Some(session) = self.link.session.get() else { return };
        let crowd = self.hub.borrow_mut().on_stanza(now, session, element);
        self.crowd = crowd.or(self.crowd.take());
        if let Some(number) = number {
            self.link.stream.borrow_mut().acknowledge(now.at, number);
        }
    }
}
