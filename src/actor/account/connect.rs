//! Getting online and staying there: when to dial, what a fault means for the next try.

use std::time::{Duration, Instant};

use actix::{AsyncContext, Context};

use crate::actor::account::Account;
use crate::actor::backoff::Intensity;
use crate::actor::drill::{self, Rule};
use crate::actor::message::{Gate, Inbound, Parting};
use crate::actor::status::State;
use crate::actor::transport::secured;
use crate::config::settings::{ChannelBinding, Connect, Resource, TlsMode as Mode};
use crate::jid::Jid;
use crate::moment::Moment;
use crate::net;
use crate::net::link::{Gone, LinkEvent, LinkOwner};
use crate::net::{Target, TlsMode, Transport};
use crate::stream::fault::{Fault, Next, Pause, What};
use crate::stream::framing::Framing;
use crate::stream::management::Management;
use crate::stream::sasl::Credentials;
use crate::stream::sasl::choose::Preference;
use crate::stream::{Hangup, Initiating, Stream};

/// How long a stream may take to close before the link is cut.
const CLOSING: Duration = Duration::from_secs(3);
/// How long turns under way and unsent answers may hold up an orderly stop.
const DRAINING: Duration = Duration::from_secs(3);
/// How long after the loss of a connection its session may be resumed at the earliest.
const SETTLED: Duration = Duration::from_secs(1);
/// Redirections in a row that are followed, RFC 6120 §4.9.3.19.
const REDIRECTS: u32 = 2;

/// What servers make a resource of, XEP-0386; the rest of it they make of the user agent.
const TAG: &str = "rhapsode";

/// Where the account stands with its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Closing in order; the link is cut at this moment.
    Closing { due: Instant, then: Then },
    /// A link exists; the stream may be anywhere between dialling and online.
    Connected,
    /// Stopping: turns under way may still say their answers, until this moment.
    Draining { due: Instant, then: Then },
    /// Just made.
    Idle,
    /// Waits for a changed configuration.
    Parked,
    /// Has a place in the login queue of its server: will dial at this moment.
    Queued { due: Instant },
    /// Has ended in order.
    Stopped,
    /// Will try again from this moment on.
    Waiting { due: Instant },
}

/// What follows an orderly close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// A new connection at once.
    Reconnect,
    /// The end of the actor.
    Stop,
    /// The end of the actor; the session waits at the server for the next process, where it can.
    Suspend,
}

impl Phase {
    /// The moment at which the phase wants to go on by itself.
    pub fn due(&self) -> Option<Instant> {
        match self {
            Self::Closing { due, .. }
            | Self::Draining { due, .. }
            | Self::Queued { due }
            | Self::Waiting { due } => Some(*due),
            Self::Connected | Self::Idle | Self::Parked | Self::Stopped => None,
        }
    }
}

/// Counters over several connections, for faults that are tolerable once.
pub struct Conflicts {
    replaced: Intensity,
    abuse: Intensity,
    redirects: u32,
    elsewhere: Option<(String, u16)>,
    /// The present try goes where the server has sent us.
    astray: bool,
    /// The last try did not get through: the usual way is tried next, not a server's recommendation.
    unreachable: bool,
    /// The last fault said that the password is wrong although it was right before.
    worked: bool,
    refusals: u32,
}

impl Default for Conflicts {
    fn default() -> Self {
        Self {
            replaced: Intensity::new(1, Duration::from_secs(600)),
            abuse: Intensity::new(2, Duration::from_secs(3600)),
            redirects: 0,
            elsewhere: None,
            astray: false,
            unreachable: false,
            worked: false,
            refusals: 0,
        }
    }
}

impl Conflicts {
    /// A session is up: redirections and refusals start from nothing.
    pub fn on_online(&mut self) {
        self.redirects = 0;
        self.refusals = 0;
        self.unreachable = false;
        self.astray = false;
        self.worked = true;
    }
}

/// The link's side of the account: waits for the gate before it reads on.
struct Owner {
    account: actix::Addr<Account>,
    connection: u64,
}

impl LinkOwner for Owner {
    async fn inbound(&mut self, event: LinkEvent) -> Result<(), Gone> {
        let connection = self.connection;
        match self.account.send(Inbound { connection, event }).await {
            Ok(Gate::Open) => Ok(()),
            Ok(Gate::Held(held)) => held.await.map_err(|_| Gone),
            Err(_) => Err(Gone),
        }
    }
}

impl Account {
    /// First steps of a new actor.
    pub(super) fn begin(&mut self, ctx: &mut Context<Self>) {
        if let Some(reason) = self.spec.paused.clone() {
            self.phase = Phase::Parked;
            self.set_state(State::Paused, reason, None);
            return;
        }
        self.queue_login(ctx);
    }

    /// Takes a place in the login queue of the server; a session to resume needs none.
    fn queue_login(&mut self, ctx: &mut Context<Self>) {
        let now = self.deps.now();
        if let Some(management) = &mut self.management {
            management.expire(now.at);
        }
        let at = match self.management.as_ref().and_then(Management::id) {
            // The one stream of the component is there or not.
            None if self.is_hosted() => now.at,
            // ejabberd counts a moment longer what the connection of a killed process had brought: whoever resumes at
            // once is told too little, and sends it twice.
            Some(_) if self.adopted && drill::holds(Rule::Settle) => now.at + SETTLED,
            Some(_) => now.at,
            None => self.deps.reserve_login(&self.spec, now.at),
        };
        let at = self.await_token(now, at);
        self.set_state(State::Connecting, "", None);
        if at <= now.at {
            self.dial(ctx);
        } else {
            self.phase = Phase::Queued { due: at };
        }
    }

    /// A deadline of the phase has come.
    pub(super) fn on_phase_due(&mut self, now: Moment, ctx: &mut Context<Self>) {
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Queued { .. } => self.dial(ctx),
            // A fleet that lost its server comes back through the same queue.
            Phase::Waiting { .. } => self.queue_login(ctx),
            Phase::Draining { then, .. } => self.close(then, ctx),
            Phase::Closing { then, .. } => {
                self.drop_connection(now);
                self.after_close(now, then, ctx);
            }
            other => self.phase = other,
        }
    }

    fn dial(&mut self, ctx: &mut Context<Self>) {
        self.connection += 1;
        self.phase = Phase::Connected;
        self.set_state(State::Connecting, "", None);
        if let Some(component) = self.spec.component.clone() {
            return self.join(&component);
        }
        let owner = Owner { account: ctx.address(), connection: self.connection };
        let recommended = self.recommended();
        self.conflicts.astray = recommended.is_some();
        self.link = Some(net::link::spawn(self.target(recommended), self.deps.tls.clone(), owner));
    }

    /// Where the server wants us: by a redirection, or for this session (XEP-0198 §5).
    /// Where it names ports for TCP, they mean nothing to an account that does not use it.
    fn recommended(&self) -> Option<(String, u16)> {
        if !matches!(self.spec.connect, Connect::Auto | Connect::Tcp) {
            return None;
        }
        let management = self.management.as_ref().filter(|_| !self.conflicts.unreachable);
        let located = management.and_then(Management::location).and_then(host_port);
        self.conflicts.elsewhere.clone().or(located)
    }

    fn target(&self, recommended: Option<(String, u16)>) -> Target {
        let configured = self.spec.server.as_ref().map(|server| (server.host.clone(), server.port));
        Target {
            domain: self.spec.jid.domain().to_owned(),
            server: recommended.or(configured),
            transport: match &self.spec.connect {
                Connect::Auto => Transport::Either,
                Connect::Tcp => Transport::Tcp,
                Connect::Url(url) => Transport::Web(url.clone()),
                Connect::WebSocket => Transport::HostMeta,
            },
            tls: match self.spec.tls.mode {
                Mode::Direct => TlsMode::Direct,
                Mode::StartTls => TlsMode::StartTls,
            },
            ca: self.spec.tls.ca.clone(),
        }
    }

    pub(super) fn on_link_event(&mut self, now: Moment, event: LinkEvent) {
        match event {
            LinkEvent::Connected { direct_tls, websocket, peer } => {
                tracing::debug!(bot = %self.spec.name, %peer, direct_tls, websocket, "connected");
                self.board.connected(if websocket { "websocket" } else { "tcp" });
                let framing = if websocket { Framing::Messages } else { Framing::Document };
                let config = Initiating { framing, ..self.initiating(now, direct_tls) };
                self.stream = Some(Box::new(Stream::initiating(config, self.ids.fork(), now.at)));
            }
            LinkEvent::Secured(info) => {
                if let Some(stream) = &mut self.stream {
                    stream.on_secured(now.at, secured(info));
                }
            }
            LinkEvent::Bytes(bytes) => {
                if let Some(stream) = &mut self.stream {
                    stream.on_bytes(now.at, &bytes);
                }
            }
            LinkEvent::Closed => self.on_link_gone(now, Hangup::Closed),
            LinkEvent::Failed { what, detail, certificate } => {
                let hangup = match what {
                    net::error::What::Certificate
                    | net::error::What::Handshake
                    | net::error::What::DataBeforeTls => Hangup::TlsFailed { detail, certificate },
                    net::error::What::Authorities
                    | net::error::What::Dial
                    | net::error::What::Resolve
                    | net::error::What::NoService => Hangup::ConnectFailed { detail },
                    net::error::What::Overflow | net::error::What::Reset => Hangup::Reset { detail },
                };
                self.on_link_gone(now, hangup);
            }
        }
    }

    /// The link ended by itself. With a stream, the stream says what that means; without one, we do.
    fn on_link_gone(&mut self, now: Moment, hangup: Hangup) {
        self.link = None;
        match &mut self.stream {
            Some(stream) => stream.on_hangup(now.at, hangup),
            None => {
                let fault = Fault::of_hangup(hangup, self.management.is_some());
                self.on_fault(now, fault);
            }
        }
    }

    fn initiating(&mut self, now: Moment, direct_tls: bool) -> Initiating {
        let token = self.login_token(now);
        let spec = &self.spec;
        let credentials = match spec.anonymous {
            true => Credentials::Anonymous,
            false => Credentials::Password(self.login_password()),
        };
        Initiating {
            resource: Some(self.deps.resource(&self.spec)),
            tag: (spec.resource == Resource::Auto).then(|| TAG.to_owned()),
            carbons: self.session.wants_carbons(),
            keys: self.keys.clone(),
            token,
            want_token: self.wants_token(),
            direct_tls,
            channel_binding: match spec.channel_binding {
                ChannelBinding::Prefer => Preference::Prefer,
                ChannelBinding::Require => Preference::Require,
                ChannelBinding::Never => Preference::Off,
            },
            user_agent: Some(self.deps.user_agent(spec)),
            used_scram: self.used_scram,
            used_plus: self.used_plus,
            resume: self.management.clone(),
            lang: self.spec.lang.clone(),
            ..Initiating::new(spec.jid.clone(), credentials)
        }
    }

    /// The stream has said its last word.
    pub(super) fn on_stream_end(&mut self, now: Moment) {
        match self.link.take() {
            // The link is everybody's.
            Some(_) if self.is_hosted() => self.leave(self.connection),
            Some(link) => link.hang_up(),
            None => {}
        }
        let was_online = self.take_online();
        self.give_up_stream(now, was_online);
        self.session.on_offline(now);
        if was_online {
            self.tell_offline();
        }
        if let Phase::Closing { then, .. } = self.phase {
            self.phase = Phase::Closing { due: now.at, then };
        } else if self.phase == Phase::Connected {
            // No fault came before: the peer ended in order.
            let fault = Fault::of_hangup(Hangup::Closed, self.management.is_some());
            self.on_fault(now, fault);
        }
    }

    /// Sorts a fault: retry, wait longer, or wait for the operator. The resource always stays the same.
    pub(super) fn on_fault(&mut self, now: Moment, fault: Fault) {
        let detail = fault.to_string();
        if let Phase::Draining { then, .. } = self.phase {
            self.phase = Phase::Closing { due: now.at, then };
        }
        if matches!(self.phase, Phase::Closing { .. } | Phase::Stopped) {
            tracing::debug!(bot = %self.spec.name, %detail, "ended while closing");
            return;
        }
        self.on_token_fault(&fault);
        let fraction = self.ids.next_fraction();
        match self.verdict(now, &fault, fraction) {
            Some(wait) => {
                tracing::warn!(bot = %self.spec.name, %detail, retry_s = wait.as_secs(), tries = self.backoff.tries, "offline");
                self.phase = Phase::Waiting { due: now.at + wait };
                self.set_state(State::Retrying, detail, Some(wait));
            }
            None => {
                tracing::error!(bot = %self.spec.name, %detail, "refused: this account waits for a changed configuration");
                self.phase = Phase::Parked;
                self.set_state(State::Refused, detail.clone(), None);
                self.fail_waiting(&detail);
            }
        }
    }

    /// How long to wait before the next try; `None` means until the configuration changes.
    fn verdict(&mut self, now: Moment, fault: &Fault, fraction: f64) -> Option<Duration> {
        // An end of the session that came about there is as much the account's own as anywhere.
        let astray = std::mem::take(&mut self.conflicts.astray) && !self.outbox.is_online();
        if !self.outbox.is_online() {
            // Whatever was wrong with where the server sent us: the next try takes the usual way.
            self.conflicts.unreachable = true;
            self.conflicts.elsewhere = None;
        }
        match &fault.next {
            Next::Resume | Next::Reconnect => Some(self.usual_wait(now, fraction)),
            // Neither a wrong certificate nor anything else there says something about the usual place.
            Next::Later(_) | Next::WaitForConfig if astray => Some(self.usual_wait(now, fraction)),
            Next::ReconnectElsewhere(host) => {
                self.conflicts.redirects += 1;
                self.conflicts.elsewhere =
                    (self.conflicts.redirects <= REDIRECTS).then(|| host_port(host)).flatten();
                Some(self.backoff.on_lost(now.at, fraction))
            }
            Next::Later(pause) => self.pause(now, *pause, fraction),
            Next::WaitForConfig => self.refused(now, fault, fraction),
            Next::Never => None,
        }
    }

    /// The wait after a loss; longer when the server has lost many accounts at once.
    fn usual_wait(&mut self, now: Moment, fraction: f64) -> Duration {
        let wait = self.backoff.on_lost(now.at, fraction);
        if !self.outbox.is_online() {
            return wait;
        }
        let spread = self.deps.on_loss(&self.spec, now.at).unwrap_or_default();
        wait.max(spread.mul_f64(fraction))
    }

    fn pause(&mut self, now: Moment, pause: Pause, fraction: f64) -> Option<Duration> {
        let tolerable = match pause {
            Pause::Conflict => self.conflicts.replaced.allow(now.at),
            Pause::Abuse => self.conflicts.abuse.allow(now.at),
            Pause::Certificate | Pause::Misdirected | Pause::Overload | Pause::Shutdown => true,
        };
        if !tolerable {
            return None;
        }
        let (low, high) = pause.range();
        let drawn = low + (high - low).mul_f64(fraction);
        Some(self.backoff.on_lost(now.at, fraction).max(drawn))
    }

    /// A refused password is not tried again, unless the same one has worked: then the server may be at
    /// fault, and three slow tries cost nothing (a ban of the address would cost all bots).
    fn refused(&mut self, now: Moment, fault: &Fault, fraction: f64) -> Option<Duration> {
        self.keys = None;
        let refused_login = matches!(fault.what, What::AuthenticationRefused { .. });
        if refused_login && self.try_next_password() {
            return Some(self.backoff.on_lost(now.at, fraction));
        }
        if !refused_login || !self.conflicts.worked {
            return None;
        }
        let wait = [5, 15, 60]
            .get(self.conflicts.refusals as usize)
            .map(|minutes| Duration::from_secs(minutes * 60))?;
        self.conflicts.refusals += 1;
        Some(self.backoff.at_least(now.at, wait, fraction))
    }

    /// Closes in order and dials anew, or dials at once where nothing is open.
    pub(super) fn reconnect_now(&mut self, ctx: &mut Context<Self>) {
        self.backoff.reset();
        self.conflicts = Conflicts::default();
        self.wake_component();
        self.close(Then::Reconnect, ctx);
    }

    /// Begins an orderly end.
    pub(super) fn begin_stop(&mut self, parting: Parting) {
        let now = self.deps.now();
        let then = match parting {
            Parting::Final => Then::Stop,
            Parting::Resumable => Then::Suspend,
        };
        self.phase = Phase::Draining { due: now.at + DRAINING, then };
    }

    /// Ends the drain as soon as nothing is under way.
    pub(super) fn finish_draining(&mut self, now: Moment, ctx: &mut Context<Self>) {
        let busy = self.outbox.is_online() && (self.outstanding > 0 || self.outbox.is_busy());
        if let Phase::Draining { then, .. } = self.phase
            && !busy
        {
            self.close(then, ctx);
            self.stream_due = self.drain_stream(now, ctx);
        }
    }

    fn close(&mut self, then: Then, ctx: &mut Context<Self>) {
        let now = self.deps.now();
        self.flush();
        let suspends = then == Then::Suspend && self.stream.as_ref().is_some_and(|it| it.is_resumable());
        if !suspends {
            self.session.on_closing();
        }
        self.drain_session(now);
        match &mut self.stream {
            Some(stream) => {
                self.unsent = true;
                if suspends {
                    stream.suspend(now.at);
                } else {
                    stream.close(now.at);
                }
                self.phase = Phase::Closing { due: now.at + CLOSING, then };
            }
            None => {
                self.drop_connection(now);
                self.after_close(now, then, ctx);
            }
        }
    }

    fn drop_connection(&mut self, now: Moment) {
        self.leave(self.connection);
        self.connection += 1;
        self.link = None;
        self.gate = None;
        let was_online = self.take_online();
        if was_online {
            self.tell_offline();
        }
        self.give_up_stream(now, was_online);
    }

    /// What is left of a stream is what resumption needs, for as long as the server keeps the session.
    fn give_up_stream(&mut self, now: Moment, was_online: bool) {
        let Some(mut stream) = self.stream.take() else { return };
        self.management = stream.abandon();
        if let Some(management) = &mut self.management {
            management.disconnected(now.at);
            if was_online && management.id().is_some() {
                self.lost = Some(now.wall);
                self.keep_session();
            }
        }
    }

    fn after_close(&mut self, now: Moment, then: Then, ctx: &mut Context<Self>) {
        match then {
            Then::Reconnect => {
                self.session.on_offline(now);
                self.begin(ctx);
            }
            Then::Stop | Then::Suspend => {
                self.phase = Phase::Stopped;
                self.set_state(State::Stopped, "", None);
                actix::ActorContext::stop(ctx);
            }
        }
    }
}

/// `host`, `host:port` or `[IPv6]:port` of a redirection.
fn host_port(text: &str) -> Option<(String, u16)> {
    const PORT: u16 = 5222;
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let port = port.strip_prefix(':').map_or(Some(PORT), |port| port.parse().ok())?;
        return Some((host.to_owned(), port));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, port.parse().ok()?),
        _ => (text, PORT),
    };
    // A host name is a domainpart: what is none is not looked up.
    Jid::from_parts(None, host, None).ok()?;
    Some((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirections_name_hosts_ports_and_addresses() {
        assert_eq!(host_port("b.example"), Some(("b.example".to_owned(), 5222)));
        assert_eq!(host_port("b.example:5269"), Some(("b.example".to_owned(), 5269)));
        assert_eq!(host_port("[2001:db8::7]:9222"), Some(("2001:db8::7".to_owned(), 9222)));
        assert_eq!(host_port("[2001:db8::7]"), Some(("2001:db8::7".to_owned(), 5222)));
        assert_eq!(host_port("b.example:notaport"), None);
        assert_eq!(host_port(""), None);
    }
}
