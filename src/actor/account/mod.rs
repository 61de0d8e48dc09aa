//! The account actor: owns one account's stream, session and link, and nothing else.
//!
//! Every handler changes state through the core and ends in [`Account::turn`], the only place where
//! outputs are drained. Losing a connection is a state, see [`connect`].

mod connect;
mod hosted;
mod inbound;
mod kept;
mod outbox;
mod password;
mod ping;
mod rooms;
mod sending;
mod token;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use actix::prelude::SendError;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Recipient, SpawnHandle, WrapFuture};
use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::actor::account::connect::{Conflicts, Phase};
use crate::actor::account::kept::Kept;
use crate::actor::account::outbox::Outbox;
use crate::actor::account::password::Change;
use crate::actor::account::sending::Dying;
use crate::actor::account::token::Tokens;
use crate::actor::backoff::Backoff;
use crate::actor::component::Routed;
use crate::actor::deps::Deps;
use crate::actor::drill;
use crate::actor::inbox::{Inbox, Wake};
use crate::actor::ledger::Ledger;
use crate::actor::message::{Configure, Deliver, Gate, Inbound, Reconnect, SendNow, Stop};
use crate::actor::notice::DownNotice;
use crate::actor::status::{Board, State};
use crate::actor::throttle::Throttle;
use crate::config::settings::BotSettings;
use crate::ids::{IdSource, Seed};
use crate::jid::{FullJid, Jid};
use crate::moment::Moment;
use crate::net::link::{HIGH_MARK, LinkHandle};
use crate::script::{Delivery, Turned};
use crate::session::{CachedRoster, Session};
use crate::stream::management::Management;
use crate::stream::sasl::keys::ScramKeys;
use crate::stream::{Output, Stream};

/// One account.
pub struct Account {
    deps: Arc<Deps>,
    spec: Arc<BotSettings>,
    board: Arc<Board>,
    /// Tells the registry when this value goes, also by a panic.
    _notice: DownNotice,
    ids: IdSource,
    session: Session,

    phase: Phase,
    /// Number of the connection that counts; events of others are late.
    connection: u64,
    link: Option<LinkHandle>,
    stream: Option<Box<Stream>>,
    /// What resumption needs, while there is no stream.
    management: Option<Management>,
    keys: Option<ScramKeys>,
    tokens: Tokens,
    used_scram: bool,
    backoff: Backoff,
    conflicts: Conflicts,

    bot: Recipient<Deliver>,
    from_bot: Inbox<Turned>,
    /// What its component has to say, where it stands behind one.
    routed: Inbox<(u64, Routed)>,
    /// Stanzas of the component that are not handled.
    load: Arc<AtomicUsize>,
    /// Deliveries of this turn, handed over as one message.
    outgoing: Vec<Delivery>,
    /// Deliveries that are not committed.
    outstanding: usize,
    /// The reader waits here while the bot or the peer is too slow.
    gate: Option<oneshot::Sender<()>>,
    /// What of the inbound stanzas is safe.
    ledger: Arc<Ledger>,
    /// What the store has to say.
    kept: Inbox<Kept>,
    /// Number of the session; every new one has the next.
    epoch: u32,
    /// That of the session before.
    before: u32,
    /// The address bound in it.
    bound: Option<FullJid>,
    /// When its connection was lost, as it is kept.
    lost: Option<Timestamp>,
    /// The session is that of a process that is gone.
    adopted: bool,
    /// The archive was not read to its end in this session.
    catching_up: bool,
    /// The account has shown itself in this session, which ends the login.
    present: bool,
    /// What the server announced that matters to whoever goes on with the session.
    announced: Vec<String>,
    /// Its occupant JIDs in the rooms that it is in.
    seats: Vec<Jid>,
    /// When the store is asked again that has refused.
    again_at: Option<Instant>,
    /// What came of a page of the archive, until it is handled.
    page: Option<u64>,
    /// A drill has begun.
    dying: Option<Dying>,

    outbox: Outbox,
    throttle: Throttle,
    /// Moment of the alarm that is set.
    armed: Option<Instant>,
    alarm: Option<SpawnHandle>,
    /// Deadlines besides those of the core.
    flush_at: Option<Instant>,
    ping_at: Option<Instant>,
    stream_due: Option<Instant>,
    session_due: Option<Instant>,
    /// When deliveries that the bot's mailbox refused are offered again.
    offer_at: Option<Instant>,
    /// The stream was given something that is not drained yet.
    unsent: bool,
    /// Somebody waits for the link to take what is queued.
    awaits_link: bool,
    /// The roster as it is to be saved at the end of this turn: one save for any number of pushes.
    roster_to_save: Option<CachedRoster>,
    used_plus: bool,
    /// Another password that is not settled.
    change: Option<Change>,
    /// What scripts and `status` see of the rooms is out of date.
    rooms_changed: bool,
}

/// What a new account is made of.
pub struct Parts {
    /// Shared services.
    pub deps: Arc<Deps>,
    /// Its settings.
    pub spec: Arc<BotSettings>,
    /// Its board.
    pub board: Arc<Board>,
    /// Its end is told by this.
    pub notice: DownNotice,
    /// Secret of its identifiers.
    pub seed: Seed,
    /// Its bot.
    pub bot: Recipient<Deliver>,
    /// Where its bot leaves what it has to say.
    pub from_bot: Inbox<Turned>,
    /// What of the inbound stanzas is safe; the bot's commits tell.
    pub ledger: Arc<Ledger>,
}

impl Account {
    /// An account that has not begun to connect.
    pub fn new(parts: Parts) -> Self {
        let Parts { deps, spec, board, notice, seed, bot, from_bot, ledger } = parts;
        let mut ids = IdSource::new(seed);
        let session = Session::new(deps.session_config(&spec), ids.fork());
        let throttle = throttle(&spec);
        Self {
            session,
            ids,
            phase: Phase::Idle,
            connection: 0,
            link: None,
            stream: None,
            management: None,
            keys: None,
            tokens: Tokens::default(),
            used_scram: false,
            backoff: Backoff::default(),
            conflicts: Conflicts::default(),
            bot,
            from_bot,
            routed: Inbox::default(),
            load: Arc::default(),
            outgoing: Vec::new(),
            outstanding: 0,
            gate: None,
            ledger,
            kept: Inbox::default(),
            epoch: 0,
            before: 0,
            bound: None,
            lost: None,
            adopted: false,
            catching_up: false,
            present: false,
            announced: Vec::new(),
            seats: Vec::new(),
            again_at: None,
            page: None,
            dying: None,
            outbox: Outbox::default(),
            throttle,
            armed: None,
            alarm: None,
            flush_at: None,
            ping_at: None,
            stream_due: None,
            session_due: None,
            offer_at: None,
            unsent: false,
            awaits_link: false,
            roster_to_save: None,
            used_plus: false,
            change: Change::left(&spec),
            rooms_changed: true,
            deps,
            spec,
            board,
            _notice: notice,
        }
    }

    /// Carries out everything the stream and the session have to say, then sleeps until the next deadline.
    fn turn(&mut self, ctx: &mut Context<Self>) {
        let now = self.deps.now();
        self.run_deadlines(now, ctx);
        // Session output feeds the stream and the other way round, until both are idle.
        loop {
            self.unsent = false;
            self.stream_due = self.drain_stream(now, ctx);
            self.session_due = self.drain_session(now);
            self.pump_outbox(now);
            if !self.unsent {
                break;
            }
        }
        self.finish_draining(now, ctx);
        self.hand_over(now);
        self.open_gate(now);
        self.show_load();
        self.wait_for_link(ctx);
        self.save_latest_roster();
        self.schedule_flush(now);
        let phase = [self.phase.due(), self.outbox.due(), self.ping_due()];
        let own = phase.into_iter().chain([self.flush_at, self.offer_at, self.again_due()]);
        let dues = [self.stream_due, self.session_due].into_iter().chain(own);
        self.sleep_until(dues.flatten().min(), ctx);
    }

    fn run_deadlines(&mut self, now: Moment, ctx: &mut Context<Self>) {
        if self.stream_due.is_some_and(|due| due <= now.at)
            && let Some(stream) = &mut self.stream
        {
            stream.on_timeout(now.at);
        }
        if self.session_due.is_some_and(|due| due <= now.at) {
            self.session.on_timeout(now);
        }
        if self.phase.due().is_some_and(|due| due <= now.at) {
            self.on_phase_due(now, ctx);
        }
        if self.ping_due().is_some_and(|due| due <= now.at) {
            self.on_ping_due(now);
        }
        if self.flush_at.is_some_and(|due| due <= now.at) {
            self.flush();
        }
        if self.again_due().is_some_and(|due| due <= now.at) {
            self.keep_again();
        }
    }

    fn drain_stream(&mut self, now: Moment, ctx: &mut Context<Self>) -> Option<Instant> {
        loop {
            let output = self.stream.as_mut()?.poll_output();
            match output {
                Output::Transmit(bytes) => self.transmit(bytes),
                Output::Secure => {
                    if let Some(link) = &self.link {
                        link.secure();
                    }
                }
                Output::Event(event) => self.on_stream_event(now, event, ctx),
                Output::Hangup => self.on_stream_end(now),
                Output::Idle(due) => return due,
            }
        }
    }

    fn transmit(&mut self, bytes: bytes::Bytes) {
        let bytes = self.die_with(bytes);
        if let Some(link) = &self.link {
            // Overflow ends the link, which then tells so as its last event.
            let _ = link.transmit(bytes);
        }
    }

    /// What of the bytes a drill lets out.
    fn die_with(&mut self, bytes: bytes::Bytes) -> bytes::Bytes {
        let dying = self.dying;
        match dying {
            None => return bytes,
            Some(Dying::Dead) => return bytes::Bytes::new(),
            Some(Dying::AfterSend | Dying::MidSend) => drill::die_soon(),
        }
        self.dying = Some(Dying::Dead);
        if dying == Some(Dying::MidSend) { bytes.slice(..bytes.len() / 2) } else { bytes }
    }

    /// Gives the bot what this turn collected. It sees the rooms as they are before it hears what happened there.
    fn hand_over(&mut self, now: Moment) {
        self.offer_at = None;
        let rooms = self.take_rooms();
        if self.outgoing.is_empty() && rooms.is_none() {
            return;
        }
        let stanza_limit = self.stream.as_ref().and_then(|stream| stream.stanza_limit());
        let batch = Deliver { rooms, stanza_limit, events: std::mem::take(&mut self.outgoing) };
        // Full: the gate stays shut until the bot has caught up a little.
        if let Err(SendError::Full(Deliver { rooms, events, .. })) = self.bot.try_send(batch) {
            self.outgoing = events;
            self.rooms_changed = rooms.is_some();
            self.offer_at = Some(now.at + OFFER_AGAIN);
        }
    }

    /// Whether the peer or the bot is too far behind to read on.
    fn must_hold(&self) -> bool {
        // A login brings nothing for the bot, and must not wait for what an earlier session brought.
        let online = self.stream.as_ref().is_some_and(|stream| stream.is_online());
        let slow_bot = online && (self.outstanding >= self.spec.limits.queue || !self.outgoing.is_empty());
        let slow_peer = self.link.as_ref().is_some_and(|link| link.queued() > HIGH_MARK);
        slow_bot || slow_peer
    }

    fn open_gate(&mut self, now: Moment) {
        if self.gate.is_some()
            && !self.must_hold()
            && let Some(gate) = self.gate.take()
        {
            if let Some(stream) = &mut self.stream {
                stream.on_reading_again(now.at);
            }
            // The link may be gone.
            let _ = gate.send(());
        }
    }

    /// While the peer takes too little, the next turn comes when it has caught up.
    fn wait_for_link(&mut self, ctx: &mut Context<Self>) {
        let Some(link) = self.link.as_ref().filter(|link| link.queued() > HIGH_MARK) else { return };
        if self.awaits_link {
            return;
        }
        self.awaits_link = true;
        ctx.spawn(link.drained().into_actor(self).map(|(), account, ctx| {
            account.awaits_link = false;
            account.turn(ctx);
        }));
    }

    /// Sets the alarm; an alarm that rings too early only costs a look, so it is moved only forward in time.
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
        self.alarm = Some(ctx.spawn(sleep.into_actor(self).map(|(), account, ctx| {
            account.armed = None;
            account.alarm = None;
            account.turn(ctx);
        })));
    }

    fn set_state(&self, state: State, detail: impl Into<String>, next_try: Option<Duration>) {
        let now = self.deps.now().wall;
        let next_try =
            next_try.and_then(|wait| jiff::SignedDuration::try_from(wait).ok().map(|wait| now + wait));
        self.board.set(now, state, detail, next_try);
    }
}

impl Actor for Account {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.from_bot.attach(ctx.address().recipient());
        self.routed.attach(ctx.address().recipient());
        self.kept.attach(ctx.address().recipient());
        self.load_session();
        self.load_token();
        self.load_written();
        self.load_outbox();
        self.begin(ctx);
        self.turn(ctx);
    }
}

impl Handler<Inbound> for Account {
    type Result = Gate;

    fn handle(&mut self, message: Inbound, ctx: &mut Context<Self>) -> Gate {
        if message.connection != self.connection {
            return Gate::Open;
        }
        let now = self.deps.now();
        self.on_link_event(now, message.event);
        self.turn(ctx);
        if self.must_hold() {
            let (gate, held) = oneshot::channel();
            self.gate = Some(gate);
            if let Some(stream) = &mut self.stream {
                stream.on_reading_paused();
            }
            return Gate::Held(held);
        }
        Gate::Open
    }
}

impl Handler<Wake> for Account {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Context<Self>) {
        let now = self.deps.now();
        for turned in self.from_bot.take() {
            self.on_turned(now, turned);
        }
        for (connection, routed) in self.routed.take() {
            self.on_routed(now, connection, routed);
            // An end of the stream that stands in between concerns what came before it only.
            self.stream_due = self.drain_stream(now, ctx);
        }
        for kept in self.kept.take() {
            self.on_kept(now, kept);
        }
        self.turn(ctx);
    }
}

impl Handler<Configure> for Account {
    type Result = ();

    fn handle(&mut self, message: Configure, ctx: &mut Context<Self>) {
        let loosened = self.spec.channel_binding != message.0.channel_binding;
        if loosened || self.spec.password.reveal() != message.0.password.reveal() {
            // Keys follow from the password, and so does what the account has proved. Whoever changes how the
            // login is bound wants what is written now, not what was proved before.
            self.keys = None;
            self.forget_token();
            self.used_scram = false;
            self.used_plus = false;
        }
        let paused = self.spec.paused != message.0.paused;
        self.spec = message.0;
        if self.change.is_none() {
            self.change = Change::left(&self.spec);
        }
        self.throttle = throttle(&self.spec);
        self.session.configure(self.deps.now(), self.deps.session_config(&self.spec));
        if paused {
            // It begins anew, and beginning looks whether it may.
            self.reconnect_now(ctx);
        }
        self.turn(ctx);
    }
}

impl Handler<Reconnect> for Account {
    type Result = ();

    fn handle(&mut self, _: Reconnect, ctx: &mut Context<Self>) {
        self.reconnect_now(ctx);
        self.turn(ctx);
    }
}

impl Handler<SendNow> for Account {
    type Result = ();

    fn handle(&mut self, message: SendNow, ctx: &mut Context<Self>) {
        self.send_now(message);
        self.turn(ctx);
    }
}

impl Handler<Stop> for Account {
    type Result = ();

    fn handle(&mut self, Stop(parting): Stop, ctx: &mut Context<Self>) {
        self.begin_stop(parting);
        self.turn(ctx);
    }
}

/// How long a bot whose mailbox is full is left alone.
const OFFER_AGAIN: Duration = Duration::from_millis(20);

fn throttle(spec: &BotSettings) -> Throttle {
    Throttle::new(spec.limits.send.rate.map(|rate| rate.per_second()), spec.limits.send.burst)
}
