//! A connection and the stream on it, without an actor: for whoever has one conversation and no reconnect.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use crate::actor::transport::secured;
use crate::ids::Seed;
use crate::net::Target;
use crate::net::link::{self, Gone, LinkEvent, LinkHandle, LinkOwner};
use crate::net::tls::TlsContext;
use crate::stream::{Hangup, Initiating, Output, Stream, StreamEvent};

/// One link, and the stream from the moment the link stands.
pub(super) struct Line {
    /// What the stream is made of, until there is one.
    config: Option<(Initiating, Seed)>,
    /// There while the connection stands.
    pub stream: Option<Stream>,
    link: LinkHandle,
}

/// What the link has to tell.
pub(super) struct Happenings(mpsc::Receiver<(LinkEvent, oneshot::Sender<()>)>);

/// What comes next of the stream.
pub(super) enum Next {
    /// Something happened on it.
    Event(StreamEvent),
    /// It is over, and so is the connection.
    Ended,
    /// Nothing, before this moment.
    Idle(Option<Instant>),
}

/// Takes what the link has to tell; the answer opens the way for the next chunk.
struct Owner {
    events: mpsc::Sender<(LinkEvent, oneshot::Sender<()>)>,
}

impl LinkOwner for Owner {
    async fn inbound(&mut self, event: LinkEvent) -> Result<(), Gone> {
        let (taken, done) = oneshot::channel();
        self.events.send((event, taken)).await.map_err(|_| Gone)?;
        done.await.map_err(|_| Gone)
    }
}

impl Happenings {
    /// The next event, and whom to tell when it was taken: the link waits for that before it reads on. `None` when the
    /// link is gone.
    pub async fn next(&mut self) -> Option<(LinkEvent, oneshot::Sender<()>)> {
        self.0.recv().await
    }
}

impl Line {
    /// Begins to connect.
    pub fn open(target: Target, config: Initiating, seed: Seed) -> (Self, Happenings) {
        let (events, inbound) = mpsc::channel(1);
        let link = link::spawn(target, Arc::new(TlsContext::new()), Owner { events });
        (Self { config: Some((config, seed)), stream: None, link }, Happenings(inbound))
    }

    /// Takes an event of the link. Where it is the end of the connection: how it ended, and in words.
    pub fn on_link(&mut self, now: Instant, event: LinkEvent) -> Option<(Hangup, String)> {
        match (event, &mut self.stream) {
            (LinkEvent::Connected { direct_tls, .. }, _) => {
                if let Some((config, seed)) = self.config.take() {
                    let config = Initiating { direct_tls, ..config };
                    self.stream = Some(Stream::initiating(config, seed, now));
                }
            }
            (LinkEvent::Secured(info), Some(stream)) => stream.on_secured(now, secured(info)),
            (LinkEvent::Bytes(bytes), Some(stream)) => stream.on_bytes(now, &bytes),
            (LinkEvent::Secured(_) | LinkEvent::Bytes(_), None) => {}
            (LinkEvent::Closed, _) => {
                return Some((Hangup::Closed, "the server closed the connection".to_owned()));
            }
            (LinkEvent::Failed { detail, .. }, _) => {
                return Some((Hangup::Reset { detail: detail.clone() }, detail));
            }
        }
        None
    }

    /// Tells the stream that it is late.
    pub fn on_timeout(&mut self, now: Instant) {
        if let Some(stream) = &mut self.stream {
            stream.on_timeout(now);
        }
    }

    /// Carries out what is due up to the next thing that its owner has to know.
    pub fn poll(&mut self) -> Next {
        loop {
            let Some(stream) = &mut self.stream else { return Next::Idle(None) };
            match stream.poll_output() {
                Output::Transmit(bytes) => {
                    // Overflow ends the link, which then says so.
                    let _ = self.link.transmit(bytes);
                }
                Output::Secure => self.link.secure(),
                Output::Event(event) => return Next::Event(event),
                Output::Hangup => {
                    self.link.hang_up();
                    self.stream = None;
                    return Next::Ended;
                }
                Output::Idle(due) => return Next::Idle(due),
            }
        }
    }
}
