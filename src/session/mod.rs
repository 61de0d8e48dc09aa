//! One account above its stream, RFC 6121 and the XEPs: stanzas become events, actions become stanzas.
//!
//! Give one input. Then take outputs until `Idle`. Then give the next input.

pub mod archive;
mod asked;
mod askers;
mod authors;
mod blocking;
pub mod bookmarks;
mod bucket;
mod commands;
mod hosted;
mod incoming;
mod known;
mod login;
mod own;
mod password;
mod pending;
mod perform;
mod presence;
pub mod profile;
mod pubsub;
pub mod registration;
mod remarks;
mod request;
pub mod rooms;
mod roster;
mod subscription;
mod upload;
mod window;

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tracing::{debug, warn};

use self::archive::{Marks, Reading};
use self::asked::Asked;
use self::askers::Askers;
use self::authors::Authors;
use self::bookmarks::Bookmarks;
use self::commands::Owed;
use self::login::Login;
use self::own::Own;
use self::pending::Pending;
use self::presence::Residents;
use self::profile::{Profile, Published, Publishing};
use self::rooms::{DesiredRoom, Invites, Rooms};
use self::roster::Roster;
use self::upload::Uploads;
use self::window::Window;
use crate::action::Action;
use crate::event::{Contact, Event, RequestFailed};
use crate::ids::{IdSource, Seed};
use crate::jid::{BareJid, FullJid, Jid};
use crate::moment::Moment;
use crate::stanza::{self, Head, Malformed, Show, Stanza, iq};
use crate::xep::{self, caps, delay, disco};
use crate::xml::Element;

/// What an account is and how it behaves. Can be replaced while the account is online.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionConfig {
    /// The account.
    pub jid: BareJid,
    /// Whose subscription requests are granted without asking a script.
    pub accept: Accept,
    /// Presence that is sent after login.
    pub presence: OwnPresence,
    /// What XEP-0092 and XEP-0030 tell others.
    pub software: Software,
    /// The roster as it was stored, RFC 6121 §2.6.
    pub roster: Option<CachedRoster>,
    /// The other accounts of this process: their messages are marked as our own.
    pub own_bots: Arc<BTreeSet<BareJid>>,
    /// Preferred language, a BCP 47 tag such as `en`.
    pub lang: String,
    /// Whether scripts answer for commands, XEP-0050.
    pub commands: bool,
    /// Copies of what other resources of the account send and receive, XEP-0280.
    pub carbons: bool,
    /// What came while it was away is read from the archive, XEP-0313.
    pub archive: bool,
    /// Whether contacts get the receipts they ask for, XEP-0184.
    pub receipts: bool,
    /// Rooms it is to be in, XEP-0045.
    pub rooms: Vec<DesiredRoom>,
    /// Whose invitations it follows.
    pub invites: Invites,
    /// What is made of the account's bookmarks, XEP-0402.
    pub bookmarks: Bookmarks,
    /// What it tells of itself.
    pub profile: Profile,
    /// What of that the server has, as it was stored.
    pub published: Published,
    /// It stands behind an external component, XEP-0114: no server keeps its roster or tells its presence.
    pub hosted: bool,
}

/// Subscription policy, RFC 6121 §3.1. Whatever it says, scripts are told of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Accept {
    /// Everybody.
    All,
    /// Addresses of the account's own domain.
    Domain,
    /// These.
    List(Vec<BareJid>),
    /// Nobody: scripts decide.
    #[default]
    None,
    /// Those who are in the roster already.
    Roster,
}

/// The account's own presence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnPresence {
    /// Availability; absent means plainly available.
    pub show: Option<Show>,
    /// Status text.
    pub status: Option<String>,
    /// −128 to 127; a negative one keeps messages to the bare JID away.
    pub priority: i8,
}

/// What others are told about the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Software {
    /// Name of the program, or of the bot.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A roster with the version the server gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CachedRoster {
    /// Opaque version, RFC 6121 §2.6.
    pub ver: String,
    /// All items, by address.
    pub items: Vec<Contact>,
}

/// Why an action was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too many requests are open.
    Busy,
    /// The account does not do this.
    Forbidden { what: &'static str },
    /// The action cannot become a stanza.
    Invalid { what: &'static str },
    /// There is no session.
    Offline,
}

/// What the session wants from its owner.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionOutput {
    /// Send this stanza.
    Send(Element),
    /// Tell the scripts.
    Event(Event),
    /// The account's archive is read to its end, or cannot be read.
    CaughtUp { complete: bool },
    /// The archive holds this message that the account has sent.
    OwnArchived { id: String },
    /// The login is complete; this is what the server announced, for whoever goes on with the session.
    LoggedIn { announced: Vec<String> },
    /// Keep what of the profile the server has.
    ProfilePublished(Published),
    /// What became of [`Session::change_password`].
    PasswordChanged(Result<(), RequestFailed>),
    /// Store the roster for the next login.
    SaveRoster(CachedRoster),
    /// What [`Session::rooms_view`] says has changed.
    RoomsChanged,
    /// Nothing left to do before this moment or the next input.
    Idle(Option<Instant>),
}

/// One account; lives over reconnects.
pub struct Session {
    config: SessionConfig,
    own: Own,
    ids: IdSource,
    /// Whether there is a stream that takes stanzas.
    online: bool,
    online_since: Timestamp,
    login: Login,
    pending: Pending,
    /// What others ask and a script answers.
    asked: Asked,
    /// How much others may still ask.
    askers: Askers,
    roster: Roster,
    /// The roster changed since it was last given out to be stored.
    roster_changed: bool,
    presence: OwnPresence,
    profile: Publishing,
    /// The bookmarks were asked for in this session.
    bookmarks_read: bool,
    residents: Residents,
    uploads: Uploads,
    /// Requests that scripts have not answered yet.
    commands: Owed,
    rooms: Rooms,
    /// Contacts whose request was answered with one of ours: once each, so that two bots that
    /// accept everybody do not go on for ever.
    asked_back: Window<BareJid>,
    /// What was handled, by what names it.
    seen: Window<u64>,
    /// The same for what was said in rooms: a busy room makes the account forget no letters.
    seen_in_rooms: Window<u64>,
    /// What the stanza that is being handled leaves behind.
    marks: Marks,
    /// What is read from archives.
    reading: Reading,
    /// When the last messages were sent, by recipient and id.
    sent: Window<(BareJid, String), Timestamp>,
    /// Whose the latest messages are.
    authors: Authors,
    /// Those of them that a room has reflected.
    reflected: Window<(BareJid, String)>,
    /// What service discovery tells of this account.
    info: disco::Info,
    ver: String,
    /// What others can, as far as their hashes fit.
    caps: caps::Cache,
    /// Capabilities that were asked for, answered or not.
    caps_asked: Window<caps::Caps>,
    last_active: Option<Instant>,
    /// Messages that wait for a stream to be sent again on.
    lost: VecDeque<Element>,
    outputs: VecDeque<SessionOutput>,
}

impl Session {
    /// An account that is not online yet. All identifiers follow from `seed`.
    pub fn new(config: SessionConfig, seed: Seed) -> Self {
        let (info, ver) = description(&config);
        Self {
            own: Own::new(config.jid.clone()),
            ids: IdSource::new(seed),
            online: false,
            online_since: Timestamp::UNIX_EPOCH,
            login: Login::default(),
            pending: Pending::default(),
            asked: Asked::default(),
            askers: Askers::default(),
            roster: Roster::cached(
                config.roster.clone().or(config.hosted.then(CachedRoster::hosted)).as_ref(),
            ),
            roster_changed: false,
            presence: config.presence.clone(),
            profile: Publishing::new(config.published.clone()),
            bookmarks_read: false,
            residents: Residents::default(),
            uploads: Uploads::default(),
            commands: Owed::default(),
            rooms: Rooms::new(&config.rooms),
            asked_back: Window::new(ASKED_BACK),
            seen: Window::new(SEEN),
            seen_in_rooms: Window::new(SEEN),
            marks: Marks::default(),
            reading: Reading::default(),
            sent: Window::new(SENT),
            authors: Authors::default(),
            reflected: Window::new(SENT),
            info,
            ver,
            caps: caps::Cache::default(),
            caps_asked: Window::new(CAPS_ASKED),
            last_active: None,
            lost: VecDeque::new(),
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Changes behaviour without a new login. Another address is another account: it takes effect
    /// for a new session only.
    pub fn configure(&mut self, now: Moment, config: SessionConfig) {
        let presence = (config.presence != self.config.presence).then(|| config.presence.clone());
        let software = config.software != self.config.software
            || config.commands != self.config.commands
            || config.bookmarks != self.config.bookmarks;
        let rooms = (config.rooms != self.config.rooms).then(|| config.rooms.clone());
        let profile = config.profile != self.config.profile;
        self.config = config;
        if software {
            (self.info, self.ver) = description(&self.config);
        }
        if let Some(presence) = presence.clone() {
            self.presence = presence;
        }
        if self.login.is_complete() && (software || presence.is_some()) {
            self.send_presence();
        }
        if let Some(rooms) = rooms {
            self.configure_rooms(now, &rooms);
        }
        self.read_bookmarks(now);
        if profile {
            self.profile.begin_anew();
            self.go_on_with_profile(now);
        }
    }

    /// The stream is bound, or an earlier one was taken up again. Only a fresh one starts with
    /// roster and presence: over a resumption the server has kept both.
    pub fn on_online(&mut self, now: Moment, jid: FullJid, resumed: bool, features: &Element) {
        self.online = true;
        self.own = Own::bound(jid.clone());
        if resumed {
            self.pay_commands();
        } else {
            self.forget_commands();
        }
        if !resumed {
            self.start_login(now, features);
            // Messages need no presence of ours, and these are late already.
            while let Some(message) = self.lost.pop_front() {
                self.send(message);
            }
        } else if self.login.is_complete() {
            self.event(Event::Online { jid, resumed });
            self.on_rooms_resumed(now);
        } else {
            // The first stream was lost in the middle of the login, and the server kept our place in it.
            self.go_on_with_login(now);
        }
    }

    /// Whether the account gets copies of what its other resources do.
    pub fn wants_carbons(&self) -> bool {
        self.config.carbons
    }

    /// The stream has switched carbons on along with the login: they need not be asked for. Behind
    /// [`Session::on_online`].
    pub fn on_carbons(&mut self) {
        self.login.carbons = true;
    }

    /// A stream of a process that is gone was taken up again: the server has kept roster, presence and rooms, and this
    /// process knows only what it is told here. `announced` is what that process was told of in [`SessionOutput::LoggedIn`].
    /// `seats` are its occupant JIDs, from [`Session::seats`].
    pub fn on_adopted(&mut self, now: Moment, jid: FullJid, announced: &[String], seats: &[Jid]) {
        self.online = true;
        self.own = Own::bound(jid.clone());
        self.adopt_login(now, announced);
        self.event(Event::Online { jid, resumed: true });
        self.adopt_seats(now, seats);
        self.start_joins(now);
    }

    /// What an earlier process has handled.
    pub fn remember(&mut self, keys: Vec<u64>) {
        for key in keys {
            self.seen.insert(key, ());
            self.seen_in_rooms.insert(key, ());
        }
    }

    /// What the stanza that was last given to [`Session::on_stanza`] leaves behind when it is handled; asked once.
    pub fn take_marks(&mut self) -> Marks {
        std::mem::take(&mut self.marks)
    }

    /// The stream is gone. Open requests wait: a resumption may still bring their answers.
    pub fn on_offline(&mut self, _now: Moment) {
        self.online = false;
    }

    /// A stanza came in. Nothing in it ends the session.
    pub fn on_stanza(&mut self, now: Moment, element: Element) {
        self.marks = Marks::default();
        let stanza = match Stanza::parse(element) {
            Ok(stanza) => stanza,
            Err(Malformed::Answer { head, error })
                if self.is_for_us(&head) && self.heeds(now, head.from.as_ref()) =>
            {
                return self.send(iq::answer(&head, Err(error)));
            }
            Err(Malformed::Answer { .. }) => return,
            Err(Malformed::Drop { why }) => return debug!(account = %self.own.bare, why, "stanza dropped"),
        };
        let head = match &stanza {
            Stanza::Iq(iq) => &iq.head,
            Stanza::Message(message) => &message.head,
            Stanza::Presence(presence) => &presence.head,
        };
        if !self.is_for_us(head) {
            return debug!(account = %self.own.bare, to = ?head.to, "stanza for somebody else dropped");
        }
        match stanza {
            Stanza::Iq(iq) => self.on_iq(now, iq),
            Stanza::Message(message) => self.on_message(now, message),
            Stanza::Presence(presence) => self.on_presence(now, presence),
        }
    }

    /// Ends requests that were not answered in time.
    pub fn on_timeout(&mut self, now: Moment) {
        for purpose in self.pending.expire(now.at) {
            self.on_failed(now, purpose, RequestFailed::Timeout);
        }
        self.expire_commands(now.at);
        self.on_asked_timeout(now);
        self.on_rooms_timeout(now);
    }

    /// A message was written by the owner, who has it from [`encode`]: its reflection will be known.
    pub fn on_sent(&mut self, now: Moment, message: &Element) {
        self.last_active = Some(now.at);
        if let Some(key) = sent_key(message) {
            self.sent.insert(key, now.wall);
        }
    }

    /// The mark that a message goes out again, later than it was meant to (XEP-0203). The time is
    /// that of the first attempt, where it is remembered.
    pub fn late(&self, now: Moment, mut message: Element) -> Element {
        if !message.has_child("delay", delay::NS) {
            let first = sent_key(&message).and_then(|key| self.sent.find(&key).copied());
            message.push(delay::element(&self.own.bare, first.unwrap_or(now.wall)));
        }
        message
    }

    /// A stanza that was sent and never acknowledged, after the resumption failed. A message is
    /// sent again and says that it is late; requests and presence belong to the session that is
    /// gone, chat states and receipts to a moment that is over. May come before `on_online`.
    pub fn on_lost(&mut self, now: Moment, stanza: Element) {
        let Ok(Stanza::Message(message)) = Stanza::parse(stanza.clone()) else { return };
        let says = !message.bodies.is_empty()
            || !message.subjects.is_empty()
            || message.payloads.iter().any(|payload| !xep::consumed(payload));
        if message.error.is_some() || !says {
            return;
        }
        let stanza = self.late(now, stanza);
        if self.online {
            self.send(stanza);
        } else if self.lost.len() < LOST {
            self.lost.push_back(stanza);
        } else {
            warn!(account = %self.own.bare, "too many lost messages, one is dropped");
        }
    }

    /// The owner is about to close the stream: others learn that the account goes.
    pub fn on_closing(&mut self) {
        if self.login.is_complete() {
            self.broadcast(&stanza::presence::unavailable(None));
        }
    }

    /// The next thing to be done.
    pub fn poll_output(&mut self) -> SessionOutput {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        // Once for all pushes of one input: a login may bring thousands.
        if std::mem::take(&mut self.roster_changed)
            && let Some(cached) = self.roster.to_cached()
        {
            return SessionOutput::SaveRoster(cached);
        }
        if self.rooms.take_changed() {
            return SessionOutput::RoomsChanged;
        }
        let dues = [self.pending.deadline(), self.asked.deadline(), self.commands.due(), self.rooms_due()];
        SessionOutput::Idle(dues.into_iter().flatten().min())
    }

    /// The roster item of a contact.
    pub fn contact(&self, jid: &BareJid) -> Option<&Contact> {
        self.roster.item(jid)
    }

    /// Whether the stanza is addressed to this account, or to nobody, which means the same.
    fn is_for_us(&self, head: &Head) -> bool {
        head.to.as_ref().is_none_or(|to| self.own.is_self(to))
    }

    fn send(&mut self, stanza: Element) {
        if self.online {
            self.outputs.push_back(SessionOutput::Send(stanza));
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(SessionOutput::Event(event));
    }
}

/// Most contacts that are remembered as asked back.
const ASKED_BACK: usize = 1000;
/// Most archive ids that are remembered.
const SEEN: usize = 1000;
/// Most sent messages that are remembered: somewhat more than an account has unacknowledged, for the stamps of
/// late ones, and enough for what a room reflects at once. A busy account pays for all of them.
const SENT: usize = 100;
/// Most messages that wait to be sent again.
const LOST: usize = 10_000;
/// Most capabilities that are remembered as asked.
const CAPS_ASKED: usize = 500;

/// What a sent message is known by.
fn sent_key(message: &Element) -> Option<(BareJid, String)> {
    let to = Jid::from_wire(message.attr("to")?).ok()?.to_bare();
    Some((to, message.attr("id")?.to_owned()))
}

/// What the account tells of itself, and the hash that stands for it.
fn description(config: &SessionConfig) -> (disco::Info, String) {
    let identity = disco::Identity {
        category: "client".to_owned(),
        kind: "bot".to_owned(),
        lang: String::new(),
        name: config.software.name.clone(),
    };
    let mut features = xep::features();
    features.retain(|feature| config.commands || feature != xep::adhoc::NS);
    if config.bookmarks != Bookmarks::Ignore {
        features.push(xep::bookmarks::NOTIFY.to_owned());
        features.sort_unstable();
    }
    let info = disco::Info { identities: vec![identity], features, ..disco::Info::default() };
    // `features` gives each name once and there is one identity.
    let ver = caps::ver(&info, caps::Hash::Sha1).expect("nothing is there twice");
    (info, ver)
}

/// A message action as the stanza it becomes, byte for byte as [`Session::perform`] sends it; needs
/// no session, so that it can be stored before there is one. Other actions have no lasting form.
pub fn encode(action: &Action) -> Result<Element, Refused> {
    perform::encode(action)
}

impl SessionConfig {
    /// An account with the defaults of `bots.yaml`.
    pub fn new(jid: BareJid) -> Self {
        Self {
            jid,
            accept: Accept::None,
            presence: OwnPresence::default(),
            software: Software { name: "Rhapsode".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            roster: None,
            own_bots: Arc::default(),
            lang: "en".to_owned(),
            commands: false,
            carbons: false,
            archive: false,
            receipts: true,
            rooms: Vec::new(),
            invites: Invites::default(),
            bookmarks: Bookmarks::Ignore,
            profile: Profile::default(),
            published: Published::default(),
            hosted: false,
        }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Busy => f.write_str("too many requests are open"),
            Self::Forbidden { what } | Self::Invalid { what } => f.write_str(what),
            Self::Offline => f.write_str("the account is offline"),
        }
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests;
