//! Making an account, XEP-0077: one link, one stream that nobody logs in on, and one conversation, behind verified TLS.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::ids::{IdSource, Seed};
use crate::jid::BareJid;
use crate::net::{Target, TlsMode, Transport};
use crate::ops::line::{Line, Next};
use crate::secret::Password;
use crate::session::registration::{Registration, Step};
use crate::stream::sasl::Credentials;
use crate::stream::{Initiating, StreamEvent};

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
    let config =
        Initiating { register: true, ..Initiating::new(account.jid.clone(), Credentials::Anonymous) };
    let registration = Registration::new(account.jid, account.password, account.fields, ids.fork());
    let (line, mut happenings) = Line::open(target, config, ids.fork());
    let mut driver = Driver { line, registration, asked: false, outcome: None };
    let talk = async {
        loop {
            let due = driver.drain();
            if let Some(outcome) = driver.outcome.take() {
                return outcome;
            }
            let due = due.unwrap_or_else(|| Instant::now() + within);
            tokio::select! {
                event = happenings.next() => match event {
                    Some((event, taken)) => {
                        if let Some((_, why)) = driver.line.on_link(Instant::now(), event) {
                            driver.gone(&why);
                        }
                        // The link waits for this before it reads on, unless it has ended.
                        let _ = taken.send(());
                    }
                    None => driver.gone("the connection has ended"),
                },
                () = tokio::time::sleep_until(due.into()) => driver.line.on_timeout(Instant::now()),
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

struct Driver {
    line: Line,
    registration: Registration,
    /// The server was asked to make the account.
    asked: bool,
    outcome: Option<Result<(), RegisterFailed>>,
}

impl Driver {
    /// Carries out everything that is due; says when to look again.
    fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.line.poll() {
                Next::Event(event) => self.on_stream_event(event),
                Next::Ended => self.gone("the connection has ended"),
                Next::Idle(due) => return due,
            }
        }
    }

    fn on_stream_event(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::MayRegister { announced: true } => {
                if let Some(stream) = &mut self.line.stream {
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
                    if let Some(stream) = &mut self.line.stream {
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
            if let Some(stream) = &mut self.line.stream {
                stream.close(Instant::now());
            }
        }
    }
}
