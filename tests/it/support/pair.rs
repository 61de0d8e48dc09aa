//! Our initiating stream against our receiving stream over a virtual link that can be cut.

use std::collections::{BTreeMap, VecDeque};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rhapsode::ids::Seed;
use rhapsode::jid::BareJid;
use rhapsode::secret::Password;
use rhapsode::stream::fault::{Fault, Next};
use rhapsode::stream::management::Management;
use rhapsode::stream::sasl::Credentials;
use rhapsode::stream::sasl::hash::Hash;
use rhapsode::stream::sasl::keys::ScramKeys;
use rhapsode::stream::sasl::server::AccountKeys;
use rhapsode::stream::{Hangup, Initiating, Output, Receiving, Secured, Stream, StreamEvent};
use rhapsode::xml::Element;

/// How the client's owner behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Every stanza is safe as soon as it is there.
    Prompt,
    /// Only every third stanza makes all before it safe, or silence; the process lives on over a cut.
    Late,
    /// As `Late`, and with each cut the process starts anew from what was saved.
    Restarted,
}

/// Where the link is cut: after so many bytes in one direction of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub connection: usize,
    pub to_server: bool,
    pub after: usize,
}

/// A client and a server that talk until every message has arrived.
pub struct Pair {
    now: Instant,
    owner: Owner,
    cuts: Vec<Cut>,
    keys: Option<ScramKeys>,
    account: AccountKeys,
    /// Connections begun.
    pub connections: usize,
    client: Client,
    server: Server,
}

struct Client {
    stream: Option<Stream>,
    saved: Option<Management>,
    to_send: VecDeque<Element>,
    /// Messages with the number under which they came.
    received: Vec<(Option<u32>, String)>,
    resumed: usize,
    bound: usize,
    lost: Vec<(bool, usize)>,
    faults: Vec<Fault>,
}

struct Server {
    stream: Option<Stream>,
    to_send: VecDeque<Element>,
    received: Vec<String>,
    sessions: BTreeMap<String, Management>,
    session: Option<String>,
    /// How a session that is asked for is denied: `None` grants it.
    deny: Option<Option<u32>>,
}

/// Bytes and marks on their way.
#[derive(Default)]
struct Wire {
    bytes: VecDeque<u8>,
    carried: usize,
    secure: bool,
    hangup: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    pub at_client: Vec<String>,
    pub at_server: Vec<String>,
    pub resumed: usize,
    pub bound: usize,
    /// Whether the peer's count is known, and number of stanzas of each loss.
    pub lost: Vec<(bool, usize)>,
    pub faults: Vec<Fault>,
    /// Bytes carried in the first connection, to the server and to the client.
    pub carried: (usize, usize),
}

impl Pair {
    pub fn new(owner: Owner, messages: usize) -> Self {
        let text = |side: &str, n: usize| {
            Element::new("message", "jabber:client").with_attr("id", format!("{side}{n}"))
        };
        Self {
            now: Instant::now(),
            owner,
            cuts: Vec::new(),
            keys: None,
            account: account(),
            connections: 0,
            client: Client {
                stream: None,
                saved: None,
                to_send: (1..=messages).map(|n| text("c", n)).collect(),
                received: Vec::new(),
                resumed: 0,
                bound: 0,
                lost: Vec::new(),
                faults: Vec::new(),
            },
            server: Server {
                stream: None,
                to_send: (1..=messages).map(|n| text("s", n)).collect(),
                received: Vec::new(),
                sessions: BTreeMap::new(),
                session: None,
                deny: None,
            },
        }
    }

    /// Keys of an earlier run, so that a thousand runs do not derive them a thousand times.
    pub fn with_keys(mut self, keys: Option<ScramKeys>) -> Self {
        self.keys = keys;
        self
    }

    pub fn with_cuts(mut self, cuts: &[Cut]) -> Self {
        self.cuts = cuts.to_vec();
        self
    }

    /// The server denies resumptions, with this `h`.
    pub fn denying(mut self, known: Option<u32>) -> Self {
        self.server.deny = Some(known);
        self
    }

    pub fn keys(&self) -> Option<ScramKeys> {
        self.keys.clone()
    }

    /// Connects until everything has arrived on both sides.
    pub fn run(&mut self, messages: usize) -> Outcome {
        let mut first = None;
        for _ in 0..8 {
            self.connections += 1;
            let carried = self.connection(messages);
            first.get_or_insert(carried);
            if self.is_done(messages) {
                break;
            }
            // Rule 6: a resumption comes a second later at the earliest.
            self.now += Duration::from_secs(2);
        }
        Outcome {
            at_client: self.client.received.iter().map(|(_, id)| id.clone()).collect(),
            at_server: self.server.received.clone(),
            resumed: self.client.resumed,
            bound: self.client.bound,
            lost: self.client.lost.clone(),
            faults: self.client.faults.clone(),
            carried: first.unwrap_or_default(),
        }
    }

    /// One connection only; how many stanzas the server received.
    pub fn run_once(&mut self, messages: usize) -> usize {
        self.connections += 1;
        self.connection(messages);
        self.server.received.len()
    }

    fn is_done(&self, messages: usize) -> bool {
        self.client.received.len() >= messages && self.server.received.len() >= messages
    }

    /// One connection, until it is cut or everything is done and acknowledged.
    fn connection(&mut self, messages: usize) -> (usize, usize) {
        self.begin();
        let cut = |to_server| {
            let here = |cut: &&Cut| cut.connection == self.connections && cut.to_server == to_server;
            self.cuts.iter().find(here).map_or(usize::MAX, |cut| cut.after)
        };
        let limits = (cut(true), cut(false));
        let (mut up, mut down) = (Wire::default(), Wire::default());
        for _ in 0..10_000 {
            self.drain_client(&mut up);
            self.drain_server(&mut down);
            if up.hangup || down.hangup {
                break;
            }
            if up.secure && down.secure && up.bytes.is_empty() && down.bytes.is_empty() {
                (up.secure, down.secure) = (false, false);
                let now = self.now;
                self.client_stream().on_secured(now, secured());
                self.server_stream().on_secured(now, secured());
                continue;
            }
            let to_server = up.take(limits.0);
            let to_client = down.take(limits.1);
            if to_server.is_empty() && to_client.is_empty() && !self.pass_time(messages) {
                break;
            }
            let now = self.now;
            self.server_stream().on_bytes(now, &to_server);
            self.client_stream().on_bytes(now, &to_client);
            if up.carried >= limits.0 || down.carried >= limits.1 {
                break;
            }
        }
        self.end();
        (up.carried, down.carried)
    }

    fn begin(&mut self) {
        let jid = BareJid::parse("bot@example.org").expect("a valid address");
        let mut config = Initiating::new(jid, Credentials::Password(Password::new("pencil".to_owned())));
        config.resource = Some("here".to_owned());
        config.keys = self.keys.clone();
        config.resume = self.client.saved.take();
        let seed = |side: u8| Seed([side.wrapping_add(self.connections as u8 * 2); 32]);
        self.client.stream = Some(Stream::initiating(config, seed(0), self.now));
        let mut config = Receiving::new("example.org", [9; 32]);
        config.mechanisms.retain(|mechanism| mechanism.name().starts_with("SCRAM-SHA-256"));
        self.server.stream = Some(Stream::receiving(config, seed(1), self.now));
    }

    /// The transport is gone on both sides.
    fn end(&mut self) {
        let now = self.now;
        let mut nowhere = Wire::default();
        self.client_stream().on_hangup(now, Hangup::Closed);
        self.drain_client(&mut nowhere);
        self.server_stream().on_hangup(now, Hangup::Closed);
        self.drain_server(&mut nowhere);
        self.client.saved = self.client_stream().abandon();
        if self.owner == Owner::Restarted {
            self.restart_client();
        }
        let session = self.server.stream.take().and_then(|mut stream| stream.abandon());
        self.server.keep(session);
    }

    /// The process of the client dies: what was not safe has never happened.
    fn restart_client(&mut self) {
        let Some(saved) = self.client.saved.take() else { return };
        let handled = saved.handled();
        self.client.received.retain(|(number, _)| number.is_none_or(|number| number <= handled));
        let value = saved.to_value();
        let text = value.to_string();
        let value = serde_json::from_str(&text).expect("JSON of our own");
        let again = Management::from_value(&value).expect("an export of our own");
        assert_eq!(again.to_value().to_string(), text);
        self.client.saved = Some(again);
    }

    /// Both sides are quiet: goes on to the next deadline, unless there is nothing left to wait for.
    fn pass_time(&mut self, messages: usize) -> bool {
        let quiet = |stream: &Option<Stream>| {
            stream.as_ref().and_then(Stream::management).is_none_or(|session| session.unacked_len() == 0)
        };
        if self.is_done(messages) && quiet(&self.client.stream) && quiet(&self.server.stream) {
            return false;
        }
        if self.acknowledge_rest() {
            return true;
        }
        let due = |stream: &mut Option<Stream>| match stream.as_mut().map(Stream::poll_output) {
            Some(Output::Idle(due)) => due,
            _ => None,
        };
        let next = [due(&mut self.client.stream), due(&mut self.server.stream)].into_iter().flatten().min();
        let Some(next) = next else { return false };
        self.now = self.now.max(next);
        let now = self.now;
        self.client_stream().on_timeout(now);
        self.server_stream().on_timeout(now);
        true
    }

    /// A late owner gets to the rest when there is nothing else to do.
    fn acknowledge_rest(&mut self) -> bool {
        let Some((Some(last), _)) = self.client.received.last() else { return false };
        let (last, now) = (*last, self.now);
        let handled = |stream: &mut Stream| stream.management().map(Management::handled);
        let before = handled(self.client_stream());
        self.client_stream().acknowledge(now, last);
        handled(self.client_stream()) != before
    }

    fn drain_client(&mut self, wire: &mut Wire) {
        let now = self.now;
        loop {
            match self.client_stream().poll_output() {
                Output::Transmit(bytes) => wire.bytes.extend(bytes),
                Output::Secure => wire.secure = true,
                Output::Event(event) => self.on_client_event(event),
                Output::Hangup => wire.hangup = true,
                Output::Idle(_) => {
                    if !self.client_stream().is_online() {
                        return;
                    }
                    let Some(stanza) = self.client.to_send.pop_front() else { return };
                    self.client_stream().send(now, stanza).expect("the stream is online");
                }
            }
        }
    }

    fn on_client_event(&mut self, event: StreamEvent) {
        let now = self.now;
        match event {
            StreamEvent::DeriveKeys(request) => self.client_stream().on_keys(now, request.derive()),
            StreamEvent::Authenticated { keys, .. } => self.keys = keys,
            StreamEvent::Online(online) if online.resumed => self.client.resumed += 1,
            StreamEvent::Online(_) => self.client.bound += 1,
            StreamEvent::Stanza { number, element } => {
                self.client.received.push((number, element.attr("id").unwrap_or_default().to_owned()));
                let safe = self.owner == Owner::Prompt || self.client.received.len().is_multiple_of(3);
                if let Some(number) = number.filter(|_| safe) {
                    self.client_stream().acknowledge(now, number);
                }
            }
            StreamEvent::Lost { stanzas, handled } => {
                self.client.lost.push((handled.is_some(), stanzas.len()));
                for (_, stanza) in stanzas.into_iter().rev() {
                    self.client.to_send.push_front(stanza);
                }
            }
            StreamEvent::Fault(fault) => {
                assert!(matches!(fault.next, Next::Reconnect | Next::Resume), "{fault:?}");
                self.client.faults.push(fault);
            }
            StreamEvent::Acked { .. } | StreamEvent::Closed => {}
            StreamEvent::Authenticate(_)
            | StreamEvent::BeforeLogin(_)
            | StreamEvent::Bind { .. }
            | StreamEvent::Enabled { .. }
            | StreamEvent::MayRegister { .. }
            | StreamEvent::Resume { .. } => panic!("the initiating entity is asked {event:?}"),
        }
    }

    fn drain_server(&mut self, wire: &mut Wire) {
        let now = self.now;
        loop {
            match self.server_stream().poll_output() {
                Output::Transmit(bytes) => wire.bytes.extend(bytes),
                Output::Secure => wire.secure = true,
                Output::Event(event) => self.on_server_event(event),
                Output::Hangup => wire.hangup = true,
                Output::Idle(_) => {
                    if self.server.session.is_none() || !self.server_stream().is_online() {
                        return;
                    }
                    let Some(stanza) = self.server.to_send.pop_front() else { return };
                    self.server_stream().send(now, stanza).expect("the stream is online");
                }
            }
        }
    }

    fn on_server_event(&mut self, event: StreamEvent) {
        let now = self.now;
        match event {
            StreamEvent::Authenticate(request) => {
                let account = (request.username == "bot").then(|| self.account.clone());
                self.server_stream().on_account(now, account);
            }
            StreamEvent::Bind { resource } => {
                let bare = BareJid::parse("bot@example.org").expect("a valid address");
                let jid = bare.with_resource(&resource.unwrap_or_default()).expect("a valid resource");
                self.server.mourn();
                self.server_stream().on_bound(now, Ok(jid));
            }
            StreamEvent::Enabled { id, .. } => self.server.session = id,
            StreamEvent::Resume { id, .. } => {
                let session = self.server.sessions.remove(&id);
                let answer = match (self.server.deny, session) {
                    (None, Some(session)) => Ok(session),
                    (None, None) => Err(None),
                    (Some(known), session) => {
                        self.server.sessions.extend(session.map(|session| (id.clone(), session)));
                        Err(known)
                    }
                };
                self.server.session = answer.is_ok().then_some(id);
                self.server_stream().on_resume(now, answer);
            }
            StreamEvent::Stanza { number, element } => {
                self.server.received.push(element.attr("id").unwrap_or_default().to_owned());
                if let Some(number) = number {
                    self.server_stream().acknowledge(now, number);
                }
            }
            StreamEvent::Acked { .. }
            | StreamEvent::Authenticated { .. }
            | StreamEvent::Closed
            | StreamEvent::Fault(_) => {}
            StreamEvent::BeforeLogin(_)
            | StreamEvent::DeriveKeys(_)
            | StreamEvent::Lost { .. }
            | StreamEvent::MayRegister { .. }
            | StreamEvent::Online(_) => panic!("the receiving entity is told {event:?}"),
        }
    }

    fn client_stream(&mut self) -> &mut Stream {
        self.client.stream.as_mut().expect("a connection has begun")
    }

    fn server_stream(&mut self) -> &mut Stream {
        self.server.stream.as_mut().expect("a connection has begun")
    }
}

impl Server {
    fn keep(&mut self, session: Option<Management>) {
        self.session = None;
        if let Some(session) = session {
            let id = session.id().unwrap_or_default().to_owned();
            self.sessions.insert(id, session);
        }
    }

    /// A new session takes over what earlier ones did not get rid of.
    fn mourn(&mut self) {
        let sessions = std::mem::take(&mut self.sessions);
        let lost: Vec<Element> =
            sessions.values().flat_map(Management::lost).map(|(_, element)| element).collect();
        lost.into_iter().rev().for_each(|stanza| self.to_send.push_front(stanza));
    }
}

impl Wire {
    /// The next few bytes, as far as the cut lets them.
    fn take(&mut self, limit: usize) -> Vec<u8> {
        let room = limit - self.carried;
        let bytes: Vec<u8> = self.bytes.drain(..self.bytes.len().min(room)).collect();
        self.carried += bytes.len();
        bytes
    }
}

/// The keys of the one account. Deriving them takes longer than a whole conversation.
fn account() -> AccountKeys {
    static ACCOUNT: OnceLock<AccountKeys> = OnceLock::new();
    let derive = || {
        let password = Password::new("pencil".to_owned());
        AccountKeys::derive(&password, b"salt of sixteen!", 4096, &[Hash::Sha256]).expect("a usable password")
    };
    ACCOUNT.get_or_init(derive).clone()
}

fn secured() -> Secured {
    Secured { exporter: Some(vec![7; 32]), verified: true, tls13: true, ..Secured::default() }
}
