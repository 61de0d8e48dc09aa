//! What a running program is to one bot: stream, session, script pool, and the messages on their way.
//!
//! The account actor does the same over a socket. Shared with it are the counting of handled stanzas and the
//! session's configuration; of its own the simulation has the outbox, without a pace and without a bound in memory,
//! and the reconnecting, without a login queue. Dropping a process is a crash: only the store stays.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::action::Action;
use crate::actor::handled::Handled;
use crate::event::{Answer, Event, RequestFailed};
use crate::ids::{IdSource, Seed};
use crate::jid::BareJid;
use crate::moment::Moment;
use crate::script::error::ScriptError;
use crate::script::hook::Hooks;
use crate::script::pool::{BotHandle, Pool, PoolOptions};
use crate::script::trace::Trace;
use crate::script::{BotSpec, Delivery, QueueFull, ScriptUse, Sink, Stanza, Turned};
use crate::secret::Password;
use crate::session::rooms::Standing;
use crate::session::{self, CachedRoster, Session, SessionConfig, SessionOutput};
use crate::sim::clock::VirtualClock;
use crate::sim::web::Web;
use crate::store::error::StoreError;
use crate::store::{Batch, Roster, Store};
use crate::stream::management::Management;
use crate::stream::sasl::Credentials;
use crate::stream::sasl::keys::ScramKeys;
use crate::stream::{
    Hangup, Initiating, Keepalive, Online, Output, Secured, Stream, StreamEvent, Ticket, Window,
};
use crate::xml::{self, Element};

/// The password of every account in the world.
pub(super) const PASSWORD: &str = "simulated";
/// How long a bot waits before it connects again after its server has hung up.
const RECONNECT: Duration = Duration::from_secs(5);
/// Messages that are read from the store at once.
const ROWS: usize = 1024;

/// What a process is started with.
pub(super) struct Start {
    pub bot: BotSpec,
    pub session: SessionConfig,
    pub store: Store,
    pub clock: VirtualClock,
    pub seed: Seed,
    /// Of which start of the process this is: ids differ between two.
    pub number: u64,
    pub web: Web,
}

/// The program that runs the bot.
pub(super) struct Process {
    jid: BareJid,
    name: String,
    store: Store,
    pool: Pool,
    handle: BotHandle,
    told: Arc<Told>,
    session: Session,
    ids: IdSource,
    keys_of: [u8; 32],
    stream: Option<Box<Stream>>,
    management: Option<Management>,
    handled: Handled,
    epoch: u32,
    online: bool,
    /// The scripts have not seen the rooms as they are.
    rooms_changed: bool,
    /// For the pool, which takes no more at the moment.
    outgoing: VecDeque<Delivery>,
    waiting: VecDeque<(i64, Element)>,
    in_flight: VecDeque<(Ticket, i64)>,
    /// Written in a session that could not be resumed.
    old: VecDeque<(Ticket, i64)>,
    stream_due: Option<Instant>,
    session_due: Option<Instant>,
    /// When it connects by itself.
    retry_at: Option<Instant>,
    /// Why the last stream ended.
    pub fault: Option<String>,
}

/// What the stream wants from who carries its bytes.
#[derive(Default)]
pub(super) struct Carried {
    pub bytes: Vec<u8>,
    pub secure: bool,
    pub hangup: bool,
    /// Stanzas that are in the bytes.
    pub written: Vec<Element>,
    /// Stanzas that came in.
    pub read: Vec<Element>,
}

/// What the pool has told.
#[derive(Default)]
struct Told(Mutex<Vec<Turned>>);

impl Sink for Told {
    fn durable(&self, action: &Action) -> Option<Stanza> {
        let Action::Message(message) = action else { return None };
        let element = session::encode(action).ok()?;
        Some(Stanza { id: message.id.clone(), xml: xml::writer::to_string(&element).ok()? })
    }

    fn turned(&self, turned: Turned) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(turned);
    }
}

impl Process {
    pub fn start(start: Start) -> Result<Self, StoreError> {
        let Start { bot, session, store, clock, seed, number, web } = start;
        let moments = clock.clone();
        let pool = Pool::start_still(PoolOptions {
            flight: None,
            workers: 1,
            data: Arc::new(store.clone()),
            clock: Arc::new(move || moments.now()),
            seed: seed.clone(),
            outside: Arc::new(web),
        })?;
        // Whoever asks has typed the texts.
        pool.chronicle().keep_bodies(true);
        let reader = store.reader()?;
        let mut waiting = VecDeque::new();
        for row in reader.outbox_after(&bot.name, 0, ROWS)? {
            match xml::parse(&row.xml) {
                Ok(element) => waiting.push_back((row.id, element)),
                Err(error) => tracing::error!(row = row.id, %error, "an unsent message is not readable"),
            }
        }
        let roster = reader.roster(&bot.name)?.and_then(|roster| CachedRoster::from_value(&roster.items));
        let keys_of = seed.0;
        let mut ids = IdSource::new(seed);
        for _ in 0..number {
            ids.fork();
        }
        let mut ids = IdSource::new(ids.fork());
        let told = Arc::new(Told::default());
        let (jid, name) = (bot.jid.clone(), bot.name.clone());
        let handle = pool.add(bot, told.clone());
        Ok(Self {
            session: Session::new(SessionConfig { roster, ..session }, ids.fork()),
            jid,
            name,
            store,
            pool,
            handle,
            told,
            ids,
            keys_of,
            stream: None,
            management: None,
            handled: Handled::default(),
            epoch: 0,
            online: false,
            rooms_changed: true,
            outgoing: VecDeque::new(),
            waiting,
            in_flight: VecDeque::new(),
            old: VecDeque::new(),
            stream_due: None,
            session_due: None,
            retry_at: None,
            fault: None,
        })
    }

    /// Waits for the scripts; `false` when they take longer than `patience`.
    pub fn settle(&self, patience: Duration) -> bool {
        self.pool.settle(patience)
    }

    /// Takes other scripts between two turns.
    pub fn swap(&self, scripts: Vec<ScriptUse>) {
        self.handle.swap(scripts);
    }

    /// Other people may give orders.
    pub fn configure(&self, spec: &BotSpec) {
        self.handle.configure(spec.admins.clone(), spec.roles.clone(), spec.queue, spec.schedules.clone());
    }

    /// The account behaves otherwise from now on.
    pub fn set_session(&mut self, now: Moment, config: SessionConfig) {
        self.session.configure(now, config);
    }

    /// Whether the bot is in a room.
    pub fn is_in(&self, room: &BareJid) -> bool {
        self.session.standing_in(room) == Standing::In
    }

    /// The webhooks of its scripts.
    pub fn hooks(&self) -> Hooks {
        self.pool.hooks()
    }

    pub fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    pub fn is_online(&self) -> bool {
        self.online
    }

    /// Begins a stream; bytes flow from now on.
    pub fn connect(&mut self, now: Moment) {
        self.retry_at = None;
        let config = Initiating {
            resource: Some("rhapsode".to_owned()),
            keys: known_keys(&self.keys_of),
            resume: self.management.clone(),
            keepalive: Keepalive { idle: Duration::from_secs(1 << 30), answer: Duration::from_secs(20) },
            // Asked at once: in a frozen second nothing else would come.
            window: Window { ask_every: 1, ..Window::default() },
            ..Initiating::new(self.jid.clone(), Credentials::Password(Password::new(PASSWORD.to_owned())))
        };
        self.stream = Some(Box::new(Stream::initiating(config, self.ids.fork(), now.at)));
    }

    pub fn on_bytes(&mut self, now: Moment, bytes: &[u8]) {
        if let Some(stream) = &mut self.stream {
            stream.on_bytes(now.at, bytes);
        }
    }

    pub fn on_secured(&mut self, now: Moment) {
        if let Some(stream) = &mut self.stream {
            stream.on_secured(now.at, Secured { verified: true, tls13: true, ..Secured::default() });
        }
    }

    /// The connection is gone.
    pub fn on_hangup(&mut self, now: Moment) {
        if let Some(stream) = &mut self.stream {
            stream.on_hangup(now.at, Hangup::Closed);
        }
    }

    /// Carries out what stream, session and outbox have to do.
    pub fn drain(&mut self, now: Moment) -> Carried {
        let mut carried = Carried::default();
        loop {
            self.stream_due = self.drain_stream(now, &mut carried);
            self.session_due = self.drain_session(now, None, &mut carried);
            if !self.write_waiting(now, &mut carried) {
                self.stream_due = self.drain_stream(now, &mut carried);
                break;
            }
        }
        carried
    }

    fn drain_stream(&mut self, now: Moment, carried: &mut Carried) -> Option<Instant> {
        loop {
            let output = self.stream.as_mut()?.poll_output();
            match output {
                Output::Transmit(bytes) => carried.bytes.extend_from_slice(&bytes),
                Output::Secure => carried.secure = true,
                Output::Event(event) => self.on_stream_event(now, event, carried),
                Output::Hangup => {
                    carried.hangup = true;
                    self.on_stream_end(now);
                }
                Output::Idle(due) => return due,
            }
        }
    }

    fn on_stream_event(&mut self, now: Moment, event: StreamEvent, carried: &mut Carried) {
        match event {
            StreamEvent::DeriveKeys(request) => {
                if let Some(stream) = &mut self.stream {
                    stream.on_keys(now.at, request.derive());
                }
            }
            StreamEvent::Authenticated { keys, .. } => {
                if let Some(keys) = keys {
                    keep_keys(self.keys_of, keys);
                }
            }
            StreamEvent::Online(online) => self.on_online(now, &online),
            StreamEvent::Stanza { number, element } => {
                carried.read.push(element.clone());
                self.session.on_stanza(now, element);
                self.session_due = self.drain_session(now, Some(number), carried);
            }
            StreamEvent::Acked { up_to } => {
                while self.in_flight.front().is_some_and(|(ticket, _)| ticket.0 <= up_to) {
                    if let Some((_, row)) = self.in_flight.pop_front() {
                        self.forget(row);
                    }
                }
            }
            StreamEvent::Lost { stanzas, .. } => {
                for (ticket, element) in stanzas {
                    self.on_lost(now, ticket, element);
                }
            }
            StreamEvent::Fault(fault) => self.fault = Some(fault.to_string()),
            StreamEvent::Closed
            // The events of the receiving role cannot come from an initiating stream.
            | StreamEvent::Authenticate(_)
            | StreamEvent::BeforeLogin(_)
            | StreamEvent::Bind { .. }
            | StreamEvent::Enabled { .. }
            | StreamEvent::MayRegister { .. }
            | StreamEvent::Resume { .. } => {}
        }
    }

    fn on_online(&mut self, now: Moment, online: &Online) {
        if !online.resumed {
            self.epoch += 1;
            self.handled = Handled::default();
            self.old = std::mem::take(&mut self.in_flight);
        }
        self.online = true;
        self.management = None;
        self.session.on_online(now, online.jid.clone(), online.resumed, &online.features);
    }

    /// Never acknowledged, and the session is lost: a message of ours waits again, in its old place.
    fn on_lost(&mut self, now: Moment, ticket: Ticket, element: Element) {
        let known = self.old.iter().position(|(sent, _)| *sent == ticket);
        match known.and_then(|index| self.old.remove(index)) {
            Some((_, row)) => {
                let element = self.session.late(now, element);
                let place = self.waiting.iter().position(|(other, _)| *other > row);
                self.waiting.insert(place.unwrap_or(self.waiting.len()), (row, element));
            }
            None => self.session.on_lost(now, element),
        }
    }

    fn on_stream_end(&mut self, now: Moment) {
        if let Some(mut stream) = self.stream.take() {
            self.management = stream.abandon();
            if let Some(management) = &mut self.management {
                management.disconnected(now.at);
            }
        }
        self.session.on_offline(now);
        self.retry_at = Some(now.at + RECONNECT);
        if std::mem::take(&mut self.online) {
            let reason = self.fault.clone().unwrap_or_default();
            self.queue(Event::Offline { reason, retry_s: Some(RECONNECT.as_secs()) }, None);
        }
    }

    /// Drains the session; `stanza` is what its events come from, and its number.
    fn drain_session(
        &mut self,
        now: Moment,
        stanza: Option<Option<u32>>,
        carried: &mut Carried,
    ) -> Option<Instant> {
        let number = stanza.flatten();
        let mut parts = 0;
        if self.session.awaits_owner() {
            // Events wait in one queue here, however many there are.
            self.session.go_on_reading(now);
        }
        let due = loop {
            match self.session.poll_output() {
                SessionOutput::Send(element) => {
                    if let Some(stream) = &mut self.stream {
                        match stream.send(now.at, element.clone()) {
                            Ok(_) => carried.written.push(element),
                            Err(not_ready) => tracing::warn!(%not_ready, "a stanza was not sent"),
                        }
                    }
                }
                SessionOutput::Event(event) => {
                    self.queue(event, number);
                    parts += 1;
                }
                SessionOutput::SaveRoster(roster) => self.save_roster(&roster),
                SessionOutput::RoomsChanged => self.rooms_changed = true,
                // A process of the simulation begins a session of its own.
                SessionOutput::CaughtUp { .. }
                | SessionOutput::LoggedIn { .. }
                | SessionOutput::OwnArchived { .. }
                | SessionOutput::PasswordChanged(_)
                | SessionOutput::ProfilePublished(_) => {}
                SessionOutput::Idle(due) => break due,
            }
        };
        if let Some(number) = number {
            self.handled.on_stanza(number, parts);
            self.acknowledge(now);
        }
        due
    }

    fn acknowledge(&mut self, now: Moment) {
        if let Some(stream) = &mut self.stream {
            stream.acknowledge(now.at, self.handled.prefix());
        }
    }

    fn queue(&mut self, event: Event, number: Option<u32>) {
        let key = match &event {
            Event::Message(message) => match (&message.stanza_id, &message.id) {
                (Some(id), _) => format!("archive {id}"),
                (None, Some(id)) => format!("{} {id}", message.from),
                (None, None) => self.ids.next_id(),
            },
            _ => self.ids.next_id(),
        };
        let number = number.map(|number| u64::from(self.epoch) << 32 | u64::from(number));
        self.outgoing.push_back(Delivery { event, number, key });
    }

    /// Hands the pool what its queue takes; `true` if it took something. Scripts see the rooms as they are before they
    /// hear what happened there.
    pub fn feed(&mut self) -> bool {
        if std::mem::take(&mut self.rooms_changed) {
            self.handle.show_rooms(Arc::new(self.session.rooms_view()));
        }
        let mut moved = false;
        while let Some(delivery) = self.outgoing.pop_front() {
            if let Err(QueueFull(delivery)) = self.handle.deliver(delivery) {
                self.outgoing.push_front(*delivery);
                break;
            }
            moved = true;
        }
        moved
    }

    /// Takes what the scripts have done; their failures come back, and whether there was anything.
    pub fn collect(&mut self, now: Moment) -> (bool, Vec<ScriptError>) {
        let told = std::mem::take(&mut *self.told.0.lock().unwrap_or_else(PoisonError::into_inner));
        let moved = !told.is_empty();
        let mut failures = Vec::new();
        for turned in told {
            for token in turned.handled {
                if (token >> 32) as u32 == self.epoch {
                    self.handled.on_done(token as u32);
                }
            }
            failures.extend(turned.failures);
            for (row, action) in turned.actions {
                self.perform(now, row, action);
            }
        }
        if moved {
            self.acknowledge(now);
        }
        (moved, failures)
    }

    fn perform(&mut self, now: Moment, row: i64, action: Action) {
        if let Action::Message(_) = &action {
            match session::encode(&action) {
                Ok(mut element) => {
                    self.session.readdress(&mut element);
                    self.waiting.push_back((row, element));
                }
                Err(refused) => tracing::error!(%refused, "a message cannot be sent"),
            }
            return;
        }
        let token = action.token().map(str::to_owned);
        if let Err(refused) = self.session.perform(now, action) {
            tracing::warn!(%refused, "an action of a script was not carried out");
            if let Some(token) = token {
                let answer = Answer { token, outcome: Err(RequestFailed::SessionLost) };
                self.queue(Event::Answer(answer), None);
            }
        }
    }

    /// Writes messages while there is room; `true` if one was written.
    fn write_waiting(&mut self, now: Moment, carried: &mut Carried) -> bool {
        let mut moved = false;
        while self.online
            && let Some(stream) = &mut self.stream
            && !stream.is_full()
            && let Some(first) =
                self.waiting.iter().position(|(_, element)| !is_early(&self.session, element))
            && let Some((row, element)) = self.waiting.remove(first)
        {
            moved = true;
            match stream.send(now.at, element.clone()) {
                Ok(ticket) => {
                    self.session.on_sent(now, &element);
                    self.in_flight.push_back((ticket, row));
                    carried.written.push(element);
                }
                Err(not_ready) => {
                    tracing::error!(%not_ready, "a message is dropped");
                    self.forget(row);
                }
            }
        }
        moved
    }

    /// The server has it.
    fn forget(&self, row: i64) {
        if row > 0 {
            self.commit(Batch { bot: self.name.clone(), sent: vec![row], ..Batch::default() });
        }
    }

    fn save_roster(&self, roster: &CachedRoster) {
        let roster = Roster { ver: Some(roster.ver.clone()), items: roster.to_value() };
        self.commit(Batch { bot: self.name.clone(), roster: Some(roster), ..Batch::default() });
    }

    fn commit(&self, batch: Batch) {
        if let Err(error) = self.store.commit_wait(batch) {
            tracing::error!(%error, "the store of the simulation failed");
        }
    }

    /// When something is due, by the pool's or the core's deadlines.
    pub fn due(&self, now: Moment) -> Option<Instant> {
        let pool = self.pool.next_due().and_then(|wait| now.at.checked_add(wait));
        [pool, self.stream_due, self.session_due].into_iter().flatten().min()
    }

    /// When it wants to connect.
    pub fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Whether something of the scripts is due at this moment.
    pub fn has_due(&self) -> bool {
        self.pool.next_due().is_some_and(|wait| wait.is_zero())
    }

    /// Lets what is due in the scripts happen.
    pub fn wake(&self) {
        self.pool.wake();
    }

    /// What the bot made of its last events, the oldest first.
    pub fn traces(&self) -> Vec<Trace> {
        self.pool.chronicle().of(&self.name).unwrap_or_default()
    }

    /// Deadlines that have come.
    pub fn on_timeout(&mut self, now: Moment) {
        self.pool.wake();
        if self.stream_due.is_some_and(|due| due <= now.at)
            && let Some(stream) = &mut self.stream
        {
            stream.on_timeout(now.at);
        }
        if self.session_due.is_some_and(|due| due <= now.at) {
            self.session.on_timeout(now);
        }
    }
}

/// Whether a message is for a room that the bot is on its way into: it waits, and others pass it.
fn is_early(session: &Session, message: &Element) -> bool {
    let room = message.attr("to").filter(|_| message.attr("type") == Some("groupchat"));
    let room = room.and_then(|room| BareJid::parse(room).ok());
    room.is_some_and(|room| session.standing_in(&room) == Standing::Coming)
}

/// Login keys by the world's seed, from which the salt follows: a hundred tests derive them once.
static KEYS: Mutex<Option<HashMap<[u8; 32], ScramKeys>>> = Mutex::new(None);
/// Seeds whose keys are kept.
const KEPT: usize = 64;

fn known_keys(seed: &[u8; 32]) -> Option<ScramKeys> {
    KEYS.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.get(seed).cloned()
}

fn keep_keys(seed: [u8; 32], keys: ScramKeys) {
    let mut kept = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = kept.get_or_insert_default();
    if kept.len() < KEPT {
        kept.insert(seed, keys);
    }
}
