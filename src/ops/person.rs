//! A person's client: one link, one stream, one session, no actor, no script and no reconnect.
//! The demo's chat is one, and tests are people with it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::action::Action;
use crate::event::Event;
use crate::ids::{IdSource, Seed};
use crate::jid::BareJid;
use crate::moment::Moment;
use crate::net::link::LinkEvent;
use crate::net::{Target, TlsMode, Transport};
use crate::ops::line::{Line, Next};
use crate::secret::Password;
use crate::session::{Session, SessionConfig, SessionOutput};
use crate::stream::sasl::Credentials;
use crate::stream::{Hangup, Initiating, StreamEvent};

/// Actions that may wait to be carried out.
const QUEUE: usize = 64;

/// Who logs in, and where.
pub struct Login {
    /// The account.
    pub jid: BareJid,
    /// Its password.
    pub password: Password,
    /// The resourcepart to ask for.
    pub resource: String,
    /// Where the server is.
    pub server: SocketAddr,
    /// The authority that signed its certificate, as PEM.
    pub ca: PathBuf,
}

/// Somebody who is logged in. Dropping `actions` closes the stream.
pub struct Person {
    /// What to do.
    pub actions: mpsc::Sender<Action>,
    /// What happens.
    pub hears: mpsc::UnboundedReceiver<Heard>,
}

/// Something that happened to a person.
pub enum Heard {
    /// An event of the session.
    Event(Event),
    /// The connection ended, and why.
    Gone(String),
}

struct Driver {
    line: Line,
    session: Session,
    hears: mpsc::UnboundedSender<Heard>,
    online: Option<oneshot::Sender<()>>,
    closing: bool,
    ended: bool,
}

impl Person {
    /// Logs in over verified TLS. Must be called where local tasks can run.
    ///
    /// # Errors
    /// Why there is no session.
    pub async fn login(login: Login, seed: Seed) -> Result<Self, String> {
        let mut ids = IdSource::new(seed);
        let target = Target {
            domain: login.jid.domain().to_owned(),
            server: Some((login.server.ip().to_string(), login.server.port())),
            transport: Transport::Tcp,
            tls: TlsMode::StartTls,
            ca: Some(login.ca),
        };
        let (actions, mut wanted) = mpsc::channel::<Action>(QUEUE);
        let (hears_sender, mut hears) = mpsc::unbounded_channel();
        let (online, is_online) = oneshot::channel();
        let config = Initiating {
            resource: Some(login.resource),
            ..Initiating::new(login.jid.clone(), Credentials::Password(login.password))
        };
        let session = Session::new(SessionConfig::new(login.jid), ids.fork());
        let (line, mut happenings) = Line::open(target, config, ids.fork());
        let mut driver =
            Driver { line, session, hears: hears_sender, online: Some(online), closing: false, ended: false };
        tokio::task::spawn_local(async move {
            while !driver.ended {
                let due = driver.drain();
                let due = due.unwrap_or_else(|| Instant::now() + std::time::Duration::from_secs(60));
                tokio::select! {
                    event = happenings.next() => match event {
                        Some((event, taken)) => {
                            driver.on_link(event);
                            // The link may have ended meanwhile.
                            let _ = taken.send(());
                        }
                        None => return,
                    },
                    action = wanted.recv(), if !driver.closing => match action {
                        Some(action) => driver.perform(action),
                        None => driver.close(),
                    },
                    () = tokio::time::sleep_until(due.into()) => driver.on_timeout(),
                }
            }
        });
        match is_online.await {
            Ok(()) => Ok(Self { actions, hears }),
            Err(_) => Err(match hears.recv().await {
                Some(Heard::Gone(detail)) => detail,
                _ => "the connection ended before the login".to_owned(),
            }),
        }
    }
}

fn now() -> Moment {
    Moment { at: Instant::now(), wall: Timestamp::now() }
}

impl Driver {
    fn on_link(&mut self, event: LinkEvent) {
        if let Some((cause, detail)) = self.line.on_link(now().at, event) {
            self.on_hangup(cause, &detail);
        }
    }

    fn on_hangup(&mut self, cause: Hangup, detail: &str) {
        match &mut self.line.stream {
            Some(stream) => stream.on_hangup(now().at, cause),
            None => self.end(detail),
        }
    }

    fn end(&mut self, detail: &str) {
        self.ended = true;
        self.online = None;
        // The person may have stopped listening.
        drop(self.hears.send(Heard::Gone(detail.to_owned())));
    }

    fn on_timeout(&mut self) {
        let now = now();
        self.line.on_timeout(now.at);
        self.session.on_timeout(now);
    }

    fn perform(&mut self, action: Action) {
        if let Err(refused) = self.session.perform(now(), action) {
            self.end(&refused.to_string());
        }
    }

    fn close(&mut self) {
        self.closing = true;
        match &mut self.line.stream {
            Some(stream) => stream.close(now().at),
            None => self.ended = true,
        }
    }

    /// Carries out everything that is due; says when to look again.
    fn drain(&mut self) -> Option<Instant> {
        loop {
            let stream_due = self.drain_stream();
            let (session_due, sent) = self.drain_session();
            if !sent {
                return [stream_due, session_due].into_iter().flatten().min();
            }
        }
    }

    fn drain_stream(&mut self) -> Option<Instant> {
        loop {
            match self.line.poll() {
                Next::Event(event) => self.on_stream_event(event),
                Next::Ended => self.end("the connection has ended"),
                Next::Idle(due) => return due,
            }
        }
    }

    fn on_stream_event(&mut self, event: StreamEvent) {
        match event {
            // One derivation a person: no thread is needed for that.
            StreamEvent::DeriveKeys(request) => {
                if let Some(stream) = &mut self.line.stream {
                    stream.on_keys(now().at, request.derive());
                }
            }
            StreamEvent::Online(online) => {
                self.session.on_online(now(), online.jid, online.resumed, &online.features);
            }
            StreamEvent::Stanza { number, element } => {
                self.session.on_stanza(now(), element);
                if let (Some(number), Some(stream)) = (number, &mut self.line.stream) {
                    stream.acknowledge(now().at, number);
                }
            }
            StreamEvent::Fault(fault) => self.end(&fault.to_string()),
            StreamEvent::Acked { .. }
            | StreamEvent::Authenticate(_)
            | StreamEvent::Authenticated { .. }
            | StreamEvent::BeforeLogin(_)
            | StreamEvent::Bind { .. }
            | StreamEvent::Closed
            | StreamEvent::Enabled { .. }
            | StreamEvent::Lost { .. }
            | StreamEvent::MayRegister { .. }
            | StreamEvent::Resume { .. } => {}
        }
    }

    fn drain_session(&mut self) -> (Option<Instant>, bool) {
        let mut sent = false;
        loop {
            match self.session.poll_output() {
                SessionOutput::Send(element) => {
                    sent = true;
                    if let Some(stream) = &mut self.line.stream
                        && let Err(not_ready) = stream.send(now().at, element)
                    {
                        tracing::warn!(%not_ready, "a stanza was not sent");
                    }
                }
                SessionOutput::Event(event) => {
                    if let Event::Online { .. } = &event
                        && let Some(online) = self.online.take()
                    {
                        // Whoever waited may have given up.
                        let _ = online.send(());
                    }
                    // The person may have stopped listening.
                    drop(self.hears.send(Heard::Event(event)));
                }
                SessionOutput::CaughtUp { .. }
                | SessionOutput::LoggedIn { .. }
                | SessionOutput::OwnArchived { .. }
                | SessionOutput::PasswordChanged(_)
                | SessionOutput::ProfilePublished(_)
                | SessionOutput::RoomsChanged
                | SessionOutput::SaveRoster(_) => {}
                SessionOutput::Idle(due) => return (due, sent),
            }
        }
    }
}
