//! One room: how the account stands there, and who else is in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{DesiredRoom, OCCUPANTS, OCCUPANTS_EACH, Rooms};
use crate::event::room::{Occupant, RoomView, identify};
use crate::jid::{BareJid, Jid};
use crate::moment::Moment;
use crate::session::bucket::Bucket;
use crate::xep::disco;
use crate::xep::{moderation, muc, occupant_id, stanza_ids};

/// A room.
pub struct Room {
    /// What is wanted.
    pub desired: DesiredRoom,
    /// It is not in the configuration: somebody asked the account in. What such a room says of people's addresses
    /// is not believed.
    pub invited: bool,
    /// How far it is.
    pub state: State,
    /// The nick as it is, or as it is tried.
    pub nick: String,
    /// How often the wanted nick was somebody else's.
    pub conflicts: u32,
    /// The owner destroyed it: it is not made again by the account.
    pub destroyed: bool,
    /// The wait before the next try, as it was last.
    pub wait: Duration,
    /// Counts the joins, so that late answers are known.
    pub epoch: u32,
    /// What the room says it does.
    pub announced: Option<Announced>,
    /// When that was last asked.
    pub asked_at: Option<Instant>,
    /// Who is there, by nick.
    pub occupants: Arc<BTreeMap<String, Arc<Occupant>>>,
    /// Ids that occupants' presence holds, until it is known whose words they are.
    pub claims: BTreeMap<String, String>,
    /// The subject.
    pub subject: Option<String>,
    /// When something last came from the room.
    pub heard_at: Option<Instant>,
    /// A self-ping is under way.
    pub pinging: bool,
    /// When the account last doubted that it is there.
    pub doubted_at: Option<Instant>,
    /// Coming and going that scripts are told of.
    pub told: Bucket,
    /// There was too much of it.
    pub hushed: bool,
    /// The view, where nothing has changed since.
    pub view: Option<Arc<RoomView>>,
}

/// How far the account is with a room.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Asked whether there is such a room.
    AwaitInfo { due: Instant },
    /// Join sent.
    AwaitSelf { due: Instant },
    /// In.
    In(Entered),
    /// Left on a script's word, until the next session; or for good, and only the room's word for it is awaited.
    Left { forget: bool },
    /// Out, and will try again.
    Lost { due: Instant, why: String },
    /// Waits for its turn, or for a session.
    Queued,
    /// Out for good.
    Stopped { why: String },
}

/// Since the account is in.
#[derive(Clone, Debug, PartialEq)]
pub struct Entered {
    /// When the room let it in.
    pub at: Instant,
    /// The same, for stamps.
    pub wall: Timestamp,
    /// Whether the room has told its subject, which ends the history (§7.2.2).
    pub caught_up: bool,
    /// When the room is asked whether the account is still there.
    pub ping_at: Instant,
    /// An earlier process has entered, and the room tells this one who is there: that is no coming in.
    pub refreshing: bool,
}

/// What a room says it does, as far as it matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// XEP-0421: it writes ids and takes out others.
    pub occupant_ids: bool,
    /// XEP-0359: the same for messages.
    pub stanza_ids: bool,
    /// XEP-0425, and whether in the older version.
    pub moderation: Option<Moderation>,
}

/// The version of XEP-0425.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moderation {
    /// 0.3
    Current,
    /// 0.2
    Old,
}

/// Events of coming and going that come at once.
const TOLD: u32 = 500;
/// How long the end of the history is awaited.
pub const CATCH_UP: Duration = Duration::from_secs(10);
/// How long a room may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(30);

impl Room {
    /// A room that is not joined yet.
    pub fn new(desired: DesiredRoom, invited: bool) -> Self {
        Self {
            nick: desired.nick.clone(),
            desired,
            invited,
            state: State::Queued,
            conflicts: 0,
            destroyed: false,
            wait: Duration::ZERO,
            epoch: 0,
            announced: None,
            asked_at: None,
            occupants: Arc::default(),
            claims: BTreeMap::new(),
            subject: None,
            heard_at: None,
            pinging: false,
            doubted_at: None,
            told: Bucket::new(TOLD),
            hushed: false,
            view: None,
        }
    }

    /// The next try is a first try.
    pub fn begin_anew(&mut self, _now: Moment) {
        self.state = State::Queued;
        self.nick = self.desired.nick.clone();
        self.conflicts = 0;
        self.wait = Duration::ZERO;
        self.view = None;
    }

    /// Whether it is only in the table because the room has not confirmed the farewell.
    pub fn is_forgotten(&self) -> bool {
        matches!(self.state, State::Left { forget: true })
    }

    /// Whether the account is in.
    pub fn is_in(&self) -> bool {
        matches!(self.state, State::In(_))
    }

    /// Whether the room's answer to a join is awaited.
    pub fn is_awaiting(&self) -> bool {
        matches!(self.state, State::AwaitInfo { .. } | State::AwaitSelf { .. })
    }

    /// When it wants to be looked at.
    pub fn due(&self) -> Option<Instant> {
        match &self.state {
            State::AwaitInfo { due } | State::AwaitSelf { due } | State::Lost { due, .. } => Some(*due),
            State::In(entered) => (!self.pinging).then_some(entered.ping_at),
            State::Left { .. } | State::Queued | State::Stopped { .. } => None,
        }
    }

    /// What is awaited may take as long once more.
    pub fn extend(&mut self, now: Moment) {
        match &mut self.state {
            State::AwaitInfo { due } | State::AwaitSelf { due } => *due = now.at + PATIENCE,
            State::In(_)
            | State::Left { .. }
            | State::Lost { .. }
            | State::Queued
            | State::Stopped { .. } => {}
        }
    }

    /// Whether the room is known to write its own occupant ids.
    pub fn gives_ids(&self) -> bool {
        self.announced.as_ref().is_some_and(|announced| announced.occupant_ids)
    }

    /// What the room says of itself, §6.4.
    pub fn announce(&mut self, info: &disco::Info) {
        let has = |feature: &str| info.features.iter().any(|known| known == feature);
        self.announced = Some(Announced {
            occupant_ids: has(occupant_id::NS),
            stanza_ids: has(stanza_ids::NS),
            moderation: match (has(moderation::NS), has(moderation::OLD)) {
                (true, _) => Some(Moderation::Current),
                (false, true) => Some(Moderation::Old),
                (false, false) => None,
            },
        });
        let claims = std::mem::take(&mut self.claims);
        if self.gives_ids() {
            let jid = self.desired.jid.clone();
            let invited = self.invited;
            let occupants = Arc::make_mut(&mut self.occupants);
            for (nick, id) in claims {
                if let Some(occupant) = occupants.get_mut(&nick) {
                    let occupant = Arc::make_mut(occupant);
                    let real = occupant.real_jid.as_ref().filter(|_| !invited);
                    (occupant.who, occupant.identity) = identify(&jid, &nick, real, Some(&id));
                    occupant.occupant_id = Some(id);
                }
            }
        }
        self.view = None;
    }

    /// What the room's presence says of an occupant.
    pub fn occupant(&self, nick: &str, item: &muc::Item, claimed: Option<&str>, own: bool) -> Occupant {
        let id = claimed.filter(|_| self.gives_ids());
        let real: Option<&Jid> = item.jid.as_ref();
        let (who, identity) = identify(&self.desired.jid, nick, real.filter(|_| !self.invited), id);
        Occupant {
            nick: nick.to_owned(),
            role: item.role,
            affiliation: item.affiliation,
            real_jid: item.jid.clone(),
            occupant_id: id.map(str::to_owned),
            who,
            identity,
            own,
        }
    }

    /// The view as it is now.
    pub fn view(&mut self) -> &Arc<RoomView> {
        let Self { view, nick, state, subject, occupants, .. } = self;
        view.get_or_insert_with(|| {
            Arc::new(RoomView {
                nick: nick.clone(),
                joined: matches!(state, State::In(_)),
                standing: standing(state),
                subject: subject.clone(),
                occupants: Arc::clone(occupants),
            })
        })
    }
}

fn standing(state: &State) -> String {
    match state {
        State::AwaitInfo { .. } | State::AwaitSelf { .. } | State::Queued => "joining".to_owned(),
        State::In(_) => "in".to_owned(),
        State::Left { .. } => "left".to_owned(),
        State::Lost { why, .. } => format!("lost: {why}"),
        State::Stopped { why } => format!("stopped: {why}"),
    }
}

impl Rooms {
    /// Keeps an occupant, unless there are too many; gives the one that was there before.
    pub(super) fn seat(
        &mut self,
        jid: &BareJid,
        occupant: Occupant,
        claimed: Option<String>,
    ) -> Option<Arc<Occupant>> {
        let all = self.occupants;
        let room = self.table.get_mut(jid)?;
        let nick = occupant.nick.clone();
        let known = room.occupants.contains_key(&nick);
        // The account's own seat is always kept.
        if !known && !occupant.own && (all >= OCCUPANTS || room.occupants.len() >= OCCUPANTS_EACH) {
            return None;
        }
        match claimed.filter(|_| room.announced.is_none()) {
            Some(id) => drop(room.claims.insert(nick.clone(), id)),
            None => drop(room.claims.remove(&nick)),
        }
        let before = Arc::make_mut(&mut room.occupants).insert(nick, Arc::new(occupant));
        self.occupants += usize::from(before.is_none());
        self.note(jid);
        before
    }

    /// Takes an occupant out.
    pub(super) fn unseat(&mut self, jid: &BareJid, nick: &str) -> Option<Arc<Occupant>> {
        let room = self.table.get_mut(jid)?;
        room.claims.remove(nick);
        let gone = Arc::make_mut(&mut room.occupants).remove(nick)?;
        self.occupants -= 1;
        self.note(jid);
        Some(gone)
    }

    /// Takes everybody out.
    pub(super) fn clear_occupants(&mut self, jid: &BareJid) {
        let Some(room) = self.table.get_mut(jid) else { return };
        self.occupants -= room.occupants.len();
        room.occupants = Arc::default();
        room.claims.clear();
    }

    /// Takes everybody out and forgets what the room said.
    pub(super) fn clear(&mut self, jid: &BareJid) {
        self.clear_occupants(jid);
        let Some(room) = self.table.get_mut(jid) else { return };
        room.subject = None;
        room.announced = None;
        room.asked_at = None;
        room.pinging = false;
        self.note(jid);
    }
}
