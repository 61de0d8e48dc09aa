//! Making an account, XEP-0077: one link, one stream that nobody logs in on, and one conversation, behind verified TLS.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::actor::transport::secured;
use crate::ids::{IdSource, Seed};
use crate::jid::BareJid;
use crate::net::link::{self, Gone, LinkEvent, LinkHandle, LinkOwner};
use crate::net::tls::TlsContext;
use crate::net::{Target, TlsMode, Transport};
use crate::secret::Password;
use crate::session::registration::{Registration, Step};
use crate::stream::sasl::Credentials;
use crate::stream::{Initiating, Output, Stream, StreamEvent};

/// An account that is to be made.
pub struct NewAccount {
    /// Its address.
    pub jid: BareJid,
    /// Its password.
    pub password: Password,
    /// What else the server asks for, by the names of its fields.
    pub fields: BTreeMap<String, String>,
    /// Where to connect instead of asking DNS.
    pub server: Option<(String, u16)>,
    /// Whether TLS comes first.
    pub direct_tls: bool,
    /// An authority besides those of the system, as PEM.
    pub ca: Option<PathBuf>,
}

/// Why there is no account, or why that is not known.
#[derive(Debug)]
pub enum RegisterFailed {
    /// There is none.
    Refused {
        /// Why.
        text: String,
    },
    /// The server was asked for it and has not answered.
    Unknown {
        /// What happened instead.
        text: String,
    },
}

/// Makes the account.
///
/// # Errors
/// See [`RegisterFailed`].
pub async fn register(account: NewAccount, seed: Seed, within: Duration) -> Result<(), RegisterFailed> {
    let mut ids = IdSource::new(seed);
    let target = Target {
        domain: account.jid.domain().to_owned(),
        server: account.server,
        transport: Transport::Tcp,
        tls: if account.direct_tls { TlsMode::Direct } else { TlsMode::StartTls },
        ca: account.ca,
    };
    let (events, mut inbound) = mpsc::channel(1);
    let config =
        Initiating { register: true, ..Initiating::new(account.jid.clone(), Credentials::Anonymous) };
    let registration = Registration::new(account.jid, account.password, account.fields, ids.fork());
    let mut driver = Driver {
        config: Some(config),
        stream: None,
        link: link::spawn(target, Arc::new(TlsContext::new()), Owner { events }),
        seed: ids.fork(),
        registration,
        asked: false,
        outcome: None,
    };
    let talk = async {
        loop {
            let due = driver.drain();
            if let Some(outcome) = driver.outcome.take() {
                return outcome;
            }
            let due = due.unwrap_or_else(|| Instant::now() + within);
            tokio::select! {
                event = inbound.recv() => match event {
                    Some((event, taken)) => {
                        driver.on_link(event);
                        // The link waits for this before it reads on, unless it has ended.
                        let _ = taken.send(());
                    }
                    None => driver.gone("the connection has ended"),
                },
                () = tokio::time::sleep_until(due.into()) => driver.on_timeout(),
            }
        }
    };
    match tokio::time::timeout(within, talk).await {
        Ok(outcome) => outcome,
        Err(_) => {
            driver.gone("it took too long");
            driver.outcome.unwrap_or(Ok(()))
        }
    }
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

struct Driver {
    config: Option<Initiating>,
    stream: Option<Stream>,
    link: LinkHandle,
    seed: Seed,
    registration: Registration,
    /// The server was asked to make the account.
    asked: bool,
    outcome: Option<Result<(), RegisterFailed>>,
}

impl Driver {
    fn on_link(&mut self, event: LinkEvent) {
        let now = Instant::now();
        match (event, &mut self.stream) {
            (LinkEvent::Connected { direct_tls, .. }, _) => {
                if let Some(config) = self.config.take() {
                    let config = Initiating { direct_tls, ..config };
                    self.stream = Some(Stream::initiating(config, self.seed.clone(), now));
                }
            }
            (LinkEvent::Secured(info), Some(stream)) => stream.on_secured(now, secured(info)),
            (LinkEvent::Bytes(bytes), Some(stream)) => stream.on_bytes(now, &bytes),
            (LinkEvent::Secured(_) | LinkEvent::Bytes(_), None) => {}
            (LinkEvent::Closed, _) => self.gone("the server closed the connection"),
            (LinkEvent::Failed { detail, .. }, _) => self.gone(&detail),
        }
    }

    fn on_timeout(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.on_timeout(Instant::now());
        }
    }

    /// Carries out everything that is due; says when to look again.
    fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.stream.as_mut()?.poll_output() {
                Output::Transmit(bytes) => {
                    // Overflow ends the link, which then says so.
                    let _ = self.link.transmit(bytes);
                }
                Output::Secure => self.link.secure(),
                Output::Event(event) => self.on_stream_event(event),
                Output::Hangup => {
                    self.link.hang_up();
                    self.stream = None;
                    self.gone("the connection has ended");
                }
                Output::Idle(due) => return due,
            }
        }
    }

    fn on_stream_event(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::MayRegister { announced: true } => {
                if let Some(stream) = &mut self.stream {
                    stream.say_before_login(Instant::now(), &self.registration.question());
                }
            }
            StreamEvent::MayRegister { announced: false } => {
                self.refused("the server does not let clients register accounts".to_owned());
            }
            StreamEvent::BeforeLogin(element) => match self.registration.on_element(element) {
                Step::Await => {}
                Step::Done => self.end(Ok(())),
                Step::Failed(failed) => self.refused(failed.to_string()),
                Step::Say(request) => {
                    self.asked = true;
                    if let Some(stream) = &mut self.stream {
                        stream.say_before_login(Instant::now(), &request);
                    }
                }
            },
            StreamEvent::Fault(fault) => self.gone(&fault.to_string()),
            // Nobody logs in on this stream.
            StreamEvent::Acked { .. }
            | StreamEvent::Authenticate(_)
            | StreamEvent::Authenticated { .. }
            | StreamEvent::Bind { .. }
            | StreamEvent::Closed
            | StreamEvent::DeriveKeys(_)
            | StreamEvent::Enabled { .. }
            | StreamEvent::Lost { .. }
            | StreamEvent::Online(_)
            | StreamEvent::Resume { .. }
            | StreamEvent::Stanza { .. } => {}
        }
    }

    fn refused(&mut self, text: String) {
        self.end(Err(RegisterFailed::Refused { text }));
    }

    /// The connection is no more: whether there is an account depends on what was asked.
    fn gone(&mut self, why: &str) {
        let text = why.to_owned();
        self.end(Err(match self.asked {
            true => RegisterFailed::Unknown { text },
            false => RegisterFailed::Refused { text },
        }));
    }

    fn end(&mut self, outcome: Result<(), RegisterFailed>) {
        if self.outcome.is_none() {
            self.outcome = Some(outcome);
            if let Some(stream) = &mut self.stream {
                stream.close(Instant::now());
            }
        }
    }
}
