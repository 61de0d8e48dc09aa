//! What a connection and the rest of the server share: the stream, the stanzas that wait for it, orders.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use crate::stream::Stream;
use crate::xml::Element;

use super::domain::SessionId;
use super::vocabulary::weight;

/// Waiting weight above which those who send to this connection are not read from.
pub(super) const CROWDED: usize = 256 << 10;
/// Waiting weight below which they are read from again.
const CALM: usize = 64 << 10;

/// What a connection is told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Drop the transport as a broken network does.
    Cut,
    /// End the stream with this condition; the session is over already.
    End(&'static str),
    /// Hang up; the session goes on elsewhere.
    Leave,
    /// The client does not read: as `Cut`, but counted.
    Overflow,
}

/// The shared half of a connection. One thread, so cells instead of locks; no borrow outlives a call.
pub(super) struct Link {
    /// The stream that the connection drives.
    pub stream: RefCell<Stream>,
    /// The session that it carries.
    pub session: Cell<Option<SessionId>>,
    inbox: RefCell<Inbox>,
}

#[derive(Default)]
struct Inbox {
    stanzas: VecDeque<Element>,
    weight: usize,
    order: Option<Order>,
    /// The connection, where it sleeps.
    waker: Option<Waker>,
    /// Others who wait until it is calm here.
    held: Vec<Waker>,
}

impl Link {
    /// Nothing waits for a new connection.
    pub fn new(stream: Stream) -> Self {
        Self { stream: RefCell::new(stream), session: Cell::new(None), inbox: RefCell::default() }
    }

    /// Leaves a stanza for the connection. Returns the weight that waits now.
    pub fn post(&self, stanza: Element) -> usize {
        let mut inbox = self.inbox.borrow_mut();
        inbox.weight += weight(&stanza);
        inbox.stanzas.push_back(stanza);
        wake(inbox.waker.take());
        inbox.weight
    }

    /// Tells the connection what to do; a later order replaces an earlier one.
    pub fn order(&self, order: Order) {
        let mut inbox = self.inbox.borrow_mut();
        inbox.order = Some(order);
        wake(inbox.waker.take());
    }

    /// The next waiting stanza.
    pub fn take(&self) -> Option<Element> {
        let mut inbox = self.inbox.borrow_mut();
        let stanza = inbox.stanzas.pop_front()?;
        inbox.weight -= weight(&stanza);
        if inbox.weight < CALM {
            inbox.held.drain(..).for_each(Waker::wake);
        }
        if inbox.stanzas.is_empty() {
            // Ten thousand idle connections hold no empty buffers.
            inbox.stanzas = VecDeque::new();
        }
        Some(stanza)
    }

    /// All waiting stanzas; the connection is over for those who waited.
    pub fn take_all(&self) -> VecDeque<Element> {
        let mut inbox = self.inbox.borrow_mut();
        inbox.weight = 0;
        inbox.held.drain(..).for_each(Waker::wake);
        std::mem::take(&mut inbox.stanzas)
    }

    /// An order, or the news that a stanza waits where there is `room` for one.
    pub fn poll_news(&self, cx: &mut Context<'_>, room: bool) -> Poll<Option<Order>> {
        let mut inbox = self.inbox.borrow_mut();
        if let Some(order) = inbox.order.take() {
            return Poll::Ready(Some(order));
        }
        if room && !inbox.stanzas.is_empty() {
            return Poll::Ready(None);
        }
        inbox.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ready when little waits here.
    pub fn poll_calm(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inbox = self.inbox.borrow_mut();
        if inbox.weight < CALM || self.session.get().is_none() {
            return Poll::Ready(());
        }
        if !inbox.held.iter().any(|waker| waker.will_wake(cx.waker())) {
            inbox.held.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
