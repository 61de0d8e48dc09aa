//! The component actor: owns the one stream of an external component (XEP-0114) and gives each address its stanzas.
//!
//! ```text
//!  account ── Word (hub) ──▶ component ── Routed ──▶ account
//!  account ── bytes ───────▶ link ◀── handshake ── component
//! ```
//!
//! Accounts write to the link themselves, whole stanzas at a time; what a stanza says of its sender their stream writes
//! (see `stream::component`). The stream is dialled, watched and dialled again here.

mod port;
mod route;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, SpawnHandle, WrapFuture};

pub use self::port::{Port, Routed, Word};
use crate::actor::backoff::Backoff;
use crate::actor::deps::Deps;
use crate::actor::inbox::{Inbox, Wake};
use crate::actor::message::{Gate, Inbound, Retune, Stop};
use crate::actor::notice::DownNotice;
use crate::config::settings::ComponentSettings;
use crate::ids::{IdSource, Seed};
use crate::jid::BareJid;
use crate::moment::Moment;
use crate::net::link::{Gone, LinkEvent, LinkHandle, LinkOptions, LinkOwner, spawn_with};
use crate::net::{Target, TlsMode, Transport};
use crate::ns;
use crate::stream::component;
use crate::stream::fault::{Condition, Fault, Next, What};
use crate::stream::{Hangup, Output, Stream, StreamEvent};
use crate::xml::{Element, Limits};

/// One component.
pub struct Component {
    deps: Arc<Deps>,
    spec: Arc<ComponentSettings>,
    /// The addresses of the configuration, online or not.
    addresses: Arc<BTreeSet<BareJid>>,
    /// Where its accounts leave their words; it outlives this actor.
    hub: Inbox<Word>,
    /// Tells the registry when this value goes, also by a panic.
    _notice: DownNotice,
    ids: IdSource,
    phase: Phase,
    /// Number of the connection that counts; events of others are late.
    connection: u64,
    link: Option<LinkHandle>,
    stream: Option<Box<Stream>>,
    /// Accounts that are there, by address.
    ports: BTreeMap<BareJid, Port>,
    backoff: Backoff,
    /// It has been online since its settings changed: the same refusal then is the server's affair.
    worked: bool,
    pulse: Pulse,
    due: Option<Instant>,
    armed: Option<Instant>,
    alarm: Option<SpawnHandle>,
}

/// What a component waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// The end of the stream, until this moment.
    Closing { due: Instant },
    /// The connection, the handshake or stanzas.
    Connected,
    /// A changed configuration, for this reason.
    Parked { detail: String },
    /// The moment of the next try, after this.
    Waiting { due: Instant, detail: String },
}

/// Whether the connection lives: a ping to the own domain goes through the server and comes back.
#[derive(Debug, Default)]
struct Pulse {
    /// When the next one is due.
    next: Option<Instant>,
    /// Until when something has to be heard.
    deadline: Option<Instant>,
}

/// What a new component is made of.
pub struct Parts {
    /// Shared services.
    pub deps: Arc<Deps>,
    /// Its settings.
    pub spec: Arc<ComponentSettings>,
    /// Its addresses.
    pub addresses: Arc<BTreeSet<BareJid>>,
    /// Its end is told by this.
    pub notice: DownNotice,
    /// Secret of its identifiers.
    pub seed: Seed,
}

/// How often a silent connection is tried.
const PULSE: Duration = Duration::from_secs(60);
/// How long a sign of life may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the server may take to close.
const CLOSING: Duration = Duration::from_secs(3);
/// Bytes that all addresses together may have waiting: a login tells many contacts at once.
const MOST_QUEUED: usize = 64 << 20;

/// The link's side of the component.
struct Owner {
    component: actix::Addr<Component>,
    connection: u64,
}

impl LinkOwner for Owner {
    async fn inbound(&mut self, event: LinkEvent) -> Result<(), Gone> {
        let connection = self.connection;
        match self.component.send(Inbound { connection, event }).await {
            Ok(Gate::Open) => Ok(()),
            Ok(Gate::Held(held)) => held.await.map_err(|_| Gone),
            Err(_) => Err(Gone),
        }
    }
}

impl Component {
    /// A component that has not begun to connect.
    pub fn new(parts: Parts) -> Self {
        let Parts { deps, spec, addresses, notice, seed } = parts;
        Self {
            hub: deps.hub(&spec.name),
            deps,
            spec,
            addresses,
            _notice: notice,
            ids: IdSource::new(seed),
            phase: Phase::Connected,
            connection: 0,
            link: None,
            stream: None,
            ports: BTreeMap::new(),
            backoff: Backoff::default(),
            worked: false,
            pulse: Pulse::default(),
            due: None,
            armed: None,
            alarm: None,
        }
    }

    /// Carries out what the stream has to say, then sleeps until the next deadline.
    fn turn(&mut self, ctx: &mut Context<Self>) {
        let now = self.deps.now();
        self.run_deadlines(now, ctx);
        self.due = self.drain(now);
        let waiting = match &self.phase {
            Phase::Waiting { due, .. } | Phase::Closing { due } => Some(*due),
            Phase::Connected | Phase::Parked { .. } => None,
        };
        let dues = [self.due, waiting, self.pulse.next, self.pulse.deadline];
        self.sleep_until(dues.into_iter().flatten().min(), ctx);
    }

    fn run_deadlines(&mut self, now: Moment, ctx: &mut Context<Self>) {
        if let Some(stream) = self.stream.as_mut().filter(|_| self.due.is_some_and(|due| due <= now.at)) {
            stream.on_timeout(now.at);
        }
        match self.phase {
            Phase::Waiting { due, .. } if due <= now.at => self.dial(ctx),
            Phase::Closing { due } if due <= now.at => ctx.stop(),
            _ => {}
        }
        if self.pulse.next.is_some_and(|due| due <= now.at) {
            self.feel_pulse(now);
        }
        if self.pulse.deadline.is_some_and(|due| due <= now.at) {
            self.pulse = Pulse::default();
            self.on_hangup(now, Hangup::Reset { detail: "no answer to a ping".to_owned() });
        }
    }

    fn drain(&mut self, now: Moment) -> Option<Instant> {
        loop {
            let output = self.stream.as_mut()?.poll_output();
            match output {
                Output::Transmit(bytes) => {
                    if let Some(link) = &self.link {
                        // Overflow ends the link, which then tells so as its last event.
                        let _ = link.transmit(bytes);
                    }
                }
                Output::Event(event) => self.on_event(now, event),
                // XEP-0114 knows no TLS, and the stream does not ask for it.
                Output::Secure => {}
                Output::Hangup => self.on_stream_end(now),
                Output::Idle(due) => return due,
            }
        }
    }

    fn on_event(&mut self, now: Moment, event: StreamEvent) {
        match event {
            StreamEvent::Online(_) => self.on_online(now),
            StreamEvent::Stanza { element, .. } => self.route(now, element),
            StreamEvent::Fault(fault) => self.on_fault(now, fault),
            StreamEvent::Closed => {}
            // Those of logins, of management and of the receiving role.
            StreamEvent::Acked { .. }
            | StreamEvent::Authenticate(_)
            | StreamEvent::Authenticated { .. }
            | StreamEvent::BeforeLogin(_)
            | StreamEvent::Bind { .. }
            | StreamEvent::DeriveKeys(_)
            | StreamEvent::Enabled { .. }
            | StreamEvent::Lost { .. }
            | StreamEvent::MayRegister { .. }
            | StreamEvent::Resume { .. } => {}
        }
    }

    fn on_online(&mut self, now: Moment) {
        tracing::info!(component = %self.spec.name, domain = %self.spec.domain, addresses = self.ports.len(), "component online");
        self.backoff.on_live(now.at);
        self.worked = true;
        self.pulse = Pulse { next: Some(now.at + PULSE), deadline: None };
        if let Some(link) = &self.link {
            for port in self.ports.values() {
                port.give(Routed::Up(link.clone()));
            }
        }
    }

    fn feel_pulse(&mut self, now: Moment) {
        self.pulse.next = Some(now.at + PULSE);
        self.pulse.deadline = Some(now.at + PATIENCE);
        let ping = Element::new("iq", ns::CLIENT)
            .with_attr("type", "get")
            .with_attr("id", self.ids.next_id())
            .with_attr("from", self.spec.domain.as_str())
            .with_attr("to", self.spec.domain.as_str())
            .with_child(Element::new("ping", "urn:xmpp:ping"));
        self.send(now, ping);
    }

    fn send(&mut self, now: Moment, stanza: Element) {
        if let Some(stream) = &mut self.stream
            && let Err(not_ready) = stream.send(now.at, stanza)
        {
            tracing::debug!(component = %self.spec.name, %not_ready, "a stanza was not sent");
        }
    }

    fn dial(&mut self, ctx: &mut Context<Self>) {
        self.connection += 1;
        self.phase = Phase::Connected;
        let owner = Owner { component: ctx.address(), connection: self.connection };
        let target = Target {
            domain: self.spec.domain.domain().to_owned(),
            server: Some((self.spec.server.host.clone(), self.spec.server.port)),
            // The link speaks in the clear until it is told otherwise, and it is not.
            transport: Transport::Tcp,
            tls: TlsMode::StartTls,
            ca: None,
        };
        let options = LinkOptions { most: MOST_QUEUED, ..LinkOptions::default() };
        self.link = Some(spawn_with(target, self.deps.tls.clone(), options, owner));
    }

    fn on_link_event(&mut self, now: Moment, event: LinkEvent) {
        match event {
            LinkEvent::Connected { peer, .. } => self.on_connected(now, peer),
            LinkEvent::Bytes(bytes) => {
                self.pulse.deadline = None;
                if let Some(stream) = &mut self.stream {
                    stream.on_bytes(now.at, &bytes);
                }
            }
            LinkEvent::Secured(_) => {}
            LinkEvent::Closed => self.on_hangup(now, Hangup::Closed),
            LinkEvent::Failed { what: crate::net::error::What::Reset, detail, .. } => {
                self.on_hangup(now, Hangup::Reset { detail });
            }
            LinkEvent::Failed { detail, .. } => self.on_hangup(now, Hangup::ConnectFailed { detail }),
        }
    }

    /// A name may lead elsewhere than it did when the configuration was read (S-31).
    fn on_connected(&mut self, now: Moment, peer: SocketAddr) {
        if !self.spec.insecure && !peer.ip().is_loopback() {
            self.link = None;
            self.connection += 1;
            let detail = format!("{peer} is another machine, and a component's stream is not encrypted");
            return self.park(detail);
        }
        tracing::debug!(component = %self.spec.name, %peer, "connected");
        let config = component::Component {
            domain: self.spec.domain.clone(),
            secret: self.spec.secret.clone(),
            limits: Limits::DEFAULT,
        };
        self.stream = Some(Box::new(Stream::component(config, self.ids.fork(), now.at)));
    }

    fn on_hangup(&mut self, now: Moment, hangup: Hangup) {
        self.link = None;
        match &mut self.stream {
            Some(stream) => stream.on_hangup(now.at, hangup),
            None => self.on_fault(now, Fault::of_hangup(hangup, false)),
        }
        self.due = self.drain(now);
    }

    fn on_stream_end(&mut self, now: Moment) {
        self.connection += 1;
        self.stream = None;
        self.pulse = Pulse::default();
        if let Some(link) = self.link.take() {
            link.hang_up();
        }
        if let Phase::Closing { .. } = self.phase {
            self.phase = Phase::Closing { due: now.at };
        }
    }

    /// Sorts a fault. A refusal of a component that has worked may be an old connection that the server still holds.
    fn on_fault(&mut self, now: Moment, fault: Fault) {
        if let Phase::Closing { .. } = self.phase {
            self.phase = Phase::Closing { due: now.at };
            return;
        }
        let detail = fault.to_string();
        let stale = matches!(fault.what, What::ComponentRefused { condition: Condition::Conflict, .. });
        let refused = fault.next == Next::WaitForConfig && !(stale && self.worked);
        if refused || fault.next == Next::Never {
            return self.park(detail);
        }
        let fraction = self.ids.next_fraction();
        let wait = match &fault.next {
            Next::Later(pause) => {
                let (low, high) = pause.range();
                self.backoff.on_lost(now.at, fraction).max(low + (high - low).mul_f64(fraction))
            }
            _ => self.backoff.on_lost(now.at, fraction),
        };
        tracing::warn!(component = %self.spec.name, %detail, retry_s = wait.as_secs(), tries = self.backoff.tries, addresses = self.ports.len(), "component offline");
        self.tell_down(&detail, false, Some(wait));
        self.phase = Phase::Waiting { due: now.at + wait, detail };
    }

    fn park(&mut self, detail: String) {
        tracing::error!(component = %self.spec.name, %detail, addresses = self.ports.len(), "refused: this component waits for a changed configuration");
        self.tell_down(&detail, true, None);
        self.phase = Phase::Parked { detail };
    }

    fn tell_down(&self, detail: &str, refused: bool, retry: Option<Duration>) {
        for port in self.ports.values() {
            port.give(Routed::Down { detail: detail.to_owned(), refused, retry });
        }
    }

    fn on_word(&mut self, word: Word, ctx: &mut Context<Self>) {
        match word {
            Word::Join { jid, port } => {
                match &self.phase {
                    Phase::Parked { detail } => {
                        port.give(Routed::Down { detail: detail.clone(), refused: true, retry: None });
                    }
                    Phase::Waiting { detail, due } => {
                        let retry = Some(due.saturating_duration_since(self.deps.now().at));
                        port.give(Routed::Down { detail: detail.clone(), refused: false, retry });
                    }
                    Phase::Closing { .. } | Phase::Connected => {
                        let up = self.stream.as_ref().is_some_and(|stream| stream.is_online());
                        if let Some(link) = self.link.as_ref().filter(|_| up) {
                            port.give(Routed::Up(link.clone()));
                        }
                    }
                }
                self.ports.insert(jid, port);
            }
            Word::Leave { jid, connection } => {
                if self.ports.get(&jid).is_some_and(|port| port.connection() == connection) {
                    self.ports.remove(&jid);
                }
            }
            Word::Again => self.try_again(ctx),
        }
    }

    /// The operator asks for another try.
    fn try_again(&mut self, ctx: &mut Context<Self>) {
        if let Phase::Parked { .. } | Phase::Waiting { .. } = self.phase {
            self.backoff.reset();
            self.dial(ctx);
        }
    }

    fn sleep_until(&mut self, due: Option<Instant>, ctx: &mut Context<Self>) {
        let Some(due) = due else { return };
        if self.armed.is_some_and(|armed| armed <= due) {
            return;
        }
        if let Some(alarm) = self.alarm.take() {
            ctx.cancel_future(alarm);
        }
        self.armed = Some(due);
        let sleep = tokio::time::sleep_until(due.into());
        self.alarm = Some(ctx.spawn(sleep.into_actor(self).map(|(), component, ctx| {
            component.armed = None;
            component.alarm = None;
            component.turn(ctx);
        })));
    }
}

impl Drop for Component {
    /// Whatever ended it: the accounts join the next one.
    fn drop(&mut self) {
        self.tell_down("the component's actor ended", false, None);
        for (jid, port) in std::mem::take(&mut self.ports) {
            self.hub.push(Word::Join { jid, port });
        }
    }
}

impl Actor for Component {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.hub.attach(ctx.address().recipient());
        self.dial(ctx);
        self.turn(ctx);
    }
}

impl Handler<Inbound> for Component {
    type Result = Gate;

    fn handle(&mut self, message: Inbound, ctx: &mut Context<Self>) -> Gate {
        if message.connection == self.connection {
            let now = self.deps.now();
            self.on_link_event(now, message.event);
            self.turn(ctx);
        }
        Gate::Open
    }
}

impl Handler<Wake> for Component {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Context<Self>) {
        for word in self.hub.take() {
            self.on_word(word, ctx);
        }
        self.turn(ctx);
    }
}

impl Handler<Retune> for Component {
    type Result = ();

    fn handle(&mut self, message: Retune, ctx: &mut Context<Self>) {
        self.addresses = message.addresses;
        if *self.spec != *message.spec {
            self.spec = message.spec;
            self.worked = false;
            self.backoff.reset();
            self.tell_down("the component's settings changed", false, None);
            self.connection += 1;
            self.stream = None;
            self.pulse = Pulse::default();
            if let Some(link) = self.link.take() {
                link.hang_up();
            }
            self.dial(ctx);
        }
        self.turn(ctx);
    }
}

impl Handler<Stop> for Component {
    type Result = ();

    fn handle(&mut self, Stop(_): Stop, ctx: &mut Context<Self>) {
        let now = self.deps.now();
        self.ports.clear();
        self.phase =
            Phase::Closing { due: now.at + if self.stream.is_some() { CLOSING } else { Duration::ZERO } };
        if let Some(stream) = &mut self.stream {
            stream.close(now.at);
        }
        self.turn(ctx);
        self.turn(ctx);
    }
}
