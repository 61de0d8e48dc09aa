//! What comes in: stream events, and session events on their way to the bot.

use std::time::Instant;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};

use crate::actor::account::Account;
use crate::actor::account::ping::is_own_token;
use crate::actor::deps::published_key;
use crate::actor::drill::{self, Point, Rule};
use crate::actor::ledger::{Ledger, Marks};
use crate::actor::status::Board;
use crate::event::{Answer, Event, RequestFailed};
use crate::moment::Moment;
use crate::script::{Delivery, Turned};
use crate::session::archive::Reached;
use crate::session::profile::Published;
use crate::session::{self, SessionOutput};
use crate::store::error::StoreError;
use crate::store::session::{Position, Received};
use crate::store::{Batch, Roster};
use crate::stream::sasl::Mechanism;
use crate::stream::sasl::keys::KeyRequest;
use crate::stream::{Online, StreamEvent};

/// What an event comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The account itself.
    Account,
    /// A stanza, with its number where the stream counts (XEP-0198).
    Stanza(Option<u32>),
}

impl Account {
    pub(super) fn on_stream_event(&mut self, now: Moment, event: StreamEvent, ctx: &mut Context<Self>) {
        match event {
            StreamEvent::DeriveKeys(request) => self.derive(request, ctx),
            StreamEvent::Authenticated { mechanism, keys, token, .. } => {
                tracing::debug!(bot = %self.spec.name, mechanism = mechanism.name(), "authenticated");
                self.used_scram |= mechanism.is_scram();
                self.used_plus |= matches!(mechanism, Mechanism::Scram { plus: true, .. });
                if keys.is_some() {
                    self.keys = keys;
                }
                self.on_proved(mechanism, token);
            }
            StreamEvent::Online(online) => self.on_online(now, *online),
            StreamEvent::Stanza { number, element } => {
                self.session.on_stanza(now, element);
                self.session_due = self.collect(now, Origin::Stanza(number));
            }
            StreamEvent::Acked { up_to } => self.on_acked(now, up_to),
            StreamEvent::Lost { stanzas, handled } => {
                self.on_word(self.before, handled);
                for (ticket, element) in stanzas {
                    self.on_lost(now, ticket, element);
                }
            }
            StreamEvent::Fault(fault) => self.on_fault(now, fault),
            StreamEvent::Closed => tracing::debug!(bot = %self.spec.name, "stream closed"),
            // The events of the receiving role cannot come from an initiating stream.
            StreamEvent::Authenticate(_)
            | StreamEvent::BeforeLogin(_)
            | StreamEvent::Bind { .. }
            | StreamEvent::Enabled { .. }
            | StreamEvent::MayRegister { .. }
            | StreamEvent::Resume { .. } => {}
        }
    }

    /// PBKDF2 takes a millisecond and more: another thread does it (protocol A-4).
    fn derive(&mut self, request: KeyRequest, ctx: &mut Context<Self>) {
        let connection = self.connection;
        let keys = self.deps.derive.submit(request);
        ctx.spawn(keys.into_actor(self).map(move |keys, account, ctx| {
            if connection != account.connection {
                return;
            }
            let now = account.deps.now();
            match (keys, &mut account.stream) {
                (Ok(keys), Some(stream)) => stream.on_keys(now.at, keys),
                // The queue was full: the stream's own deadline ends this try.
                (Err(_), _) | (Ok(_), None) => {}
            }
            account.turn(ctx);
        }));
    }

    fn on_online(&mut self, now: Moment, online: Online) {
        let Online { jid, resumed, features, sm, mechanism, peer_handled, carbons, .. } = online;
        self.backoff.on_live(now.at);
        self.conflicts.on_online();
        self.bound = Some(jid.clone());
        let adopted = std::mem::take(&mut self.adopted);
        if resumed {
            self.outbox.online(sm);
            if adopted {
                self.on_word(self.epoch, Some(peer_handled));
            }
            self.keep_regained();
            self.renumber(now);
        } else {
            self.before = self.epoch;
            self.outbox.restart(self.management.is_some() && !adopted);
            self.begin_session(sm);
            self.outbox.online(sm);
            // Unless the stream says more, which it does next.
            self.on_word(self.before, None);
        }
        // The component looks after the connection of its accounts.
        self.schedule_ping(now, sm || self.is_hosted());
        self.board.online(now.wall, resumed);
        self.management = None;
        tracing::info!(bot = %self.spec.name, %jid, resumed, mechanism = mechanism.name(), "online");
        if resumed && adopted && !self.present && drill::holds(Rule::CatchUpFlag) {
            // The process before died in the middle of the login: it is made from the beginning.
            self.session.on_online(now, jid, false, &features);
        } else if resumed && adopted {
            self.session.on_adopted(now, jid, &self.announced, &self.seats);
            let catching_up = self.catching_up && drill::holds(Rule::CatchUpFlag);
            self.session.on_adopted_reading(now, catching_up);
        } else {
            self.session.on_online(now, jid, resumed, &features);
        }
        if carbons {
            self.session.on_carbons();
        }
        self.ask_for_password(now);
    }

    /// Whether the account was online; it is not any more.
    pub(super) fn take_online(&mut self) -> bool {
        self.ping_at = None;
        self.outbox.offline()
    }

    /// Scripts learn that the stream is gone.
    pub(super) fn tell_offline(&mut self) {
        let standing = self.board.standing();
        let retry_s =
            standing.next_try.map(|at| (at - self.deps.now().wall).get_seconds().max(0).unsigned_abs());
        self.queue_delivery(Event::Offline { reason: standing.detail, retry_s }, None);
    }

    /// Passes on what the session says; tells when it wants to be looked at.
    pub(super) fn drain_session(&mut self, now: Moment) -> Option<Instant> {
        if self.session.awaits_owner() && self.page.is_none_or(|page| !self.ledger.is_open(page)) {
            if self.page.take().is_some() {
                drill::die_at(Point::MamAfterCommit);
            }
            self.session.go_on_reading(now);
        }
        self.collect(now, Origin::Account)
    }

    /// Drains the session. Events of a stanza make it safe to acknowledge when their turns are committed.
    fn collect(&mut self, now: Moment, origin: Origin) -> Option<Instant> {
        let token = match origin {
            Origin::Account => None,
            Origin::Stanza(number) => Some(self.ledger.token(number)),
        };
        let mut parts = 0;
        let due = loop {
            match self.session.poll_output() {
                SessionOutput::Send(element) => {
                    self.send_element(now, element);
                }
                SessionOutput::Event(Event::Answer(answer)) if is_own_token(&answer.token) => {
                    self.on_pong(now, &answer);
                }
                SessionOutput::Event(event) => {
                    self.queue_delivery(event, token);
                    parts += 1;
                }
                SessionOutput::RoomsChanged => self.rooms_changed = true,
                SessionOutput::ProfilePublished(published) => self.keep_published(&published),
                SessionOutput::PasswordChanged(outcome) => self.on_password_changed(outcome),
                SessionOutput::SaveRoster(roster) => self.roster_to_save = Some(roster),
                SessionOutput::LoggedIn { announced } => {
                    self.announced = announced;
                    self.present = true;
                    self.keep_session();
                }
                SessionOutput::OwnArchived { id } => self.on_own_archived(&id),
                SessionOutput::CaughtUp { complete } => {
                    self.resend_ambiguous(now);
                    if complete {
                        self.catching_up = false;
                        self.keep_session();
                    }
                }
                SessionOutput::Idle(due) => break due,
            }
        };
        if let (Some(token), Origin::Stanza(number)) = (token, origin) {
            let marks = marks(self.session.take_marks());
            self.ledger.on_stanza(token, number, parts, marks);
            if self.session.awaits_owner() && self.page.is_none() {
                drill::die_at(Point::MamBeforeCommit);
                self.page = Some(token);
            }
            self.acknowledge(now);
            if let (Some(number), false) = (number, drill::holds(Rule::AckAfterCommit)) {
                self.acknowledge_unkept(now, number);
            }
        }
        due
    }

    /// The next process publishes nothing that the server has.
    fn keep_published(&self, published: &Published) {
        let meta = vec![(published_key(&self.spec), Some(published.to_value()))];
        let bot = self.spec.name.clone();
        let told = Box::new(move |result: Result<_, StoreError>| {
            if let Err(error) = result {
                tracing::warn!(bot, %error, "what was published is not kept; it is published again");
            }
        });
        self.deps.store.commit(Batch { bot: self.spec.name.clone(), meta, ..Batch::default() }, told);
    }

    /// What must not be, for the test that shows why.
    fn acknowledge_unkept(&mut self, now: Moment, number: u32) {
        let received = Received { handled: Some((self.epoch, number)), ..Received::default() };
        let batch = Batch { bot: self.spec.name.clone(), received, ..Batch::default() };
        drop(self.deps.store.commit_wait(batch));
        if let Some(stream) = &mut self.stream {
            stream.acknowledge(now.at, number);
        }
    }

    /// Lines an event up for the bot; `token` is that of the stanza it comes from.
    pub(super) fn queue_delivery(&mut self, event: Event, token: Option<u64>) {
        if let Event::Message(_) = &event {
            Board::add(&self.board.received, 1);
        }
        let key = self.stanza_key(&event, token);
        self.outstanding += usize::from(token.is_some());
        self.outgoing.push(Delivery { event, number: token, key });
    }

    /// A request that could not be made is answered all the same: the script waits for it.
    pub(super) fn answer_unasked(&mut self, token: String) {
        let answer = Answer { token, outcome: Err(RequestFailed::SessionLost) };
        self.queue_delivery(Event::Answer(answer), None);
    }

    /// What names this stanza and no other: ids of answers follow from it.
    fn stanza_key(&mut self, event: &Event, token: Option<u64>) -> String {
        if let Event::Message(message) = event {
            if let Some(id) = &message.stanza_id {
                let by = message.room.as_ref().unwrap_or(&self.spec.jid);
                return format!("archive {by} {id}");
            }
            if let Some(id) = &message.id {
                return format!("{} {id}", message.from);
            }
        }
        match token {
            // Of a counted stanza the same one in every process that goes on with the session.
            Some(token) if !Ledger::is_uncounted(token) => {
                let parts = self.outgoing.iter().filter(|other| other.number == Some(token)).count();
                format!("{} {token} {parts}", self.spec.jid)
            }
            Some(_) | None => self.ids.next_id(),
        }
    }

    /// A batch of turns is committed: their stanzas are safe, their actions may leave.
    pub(super) fn on_turned(&mut self, now: Moment, turned: Turned) {
        Board::add(&self.board.turns, u64::from(turned.turns));
        Board::add(&self.board.failed, turned.failures.len() as u64);
        self.outstanding = self.outstanding.saturating_sub(turned.handled.len());
        self.acknowledge(now);
        for (row, action) in turned.actions {
            self.queue_action(now, row, action);
        }
    }

    /// The server may forget what the store has.
    pub(super) fn acknowledge(&mut self, now: Moment) {
        if let Some(stream) = &mut self.stream {
            self.unsent = true;
            stream.acknowledge(now.at, self.ledger.durable());
        }
    }

    /// Saves the roster if this turn changed it.
    pub(super) fn save_latest_roster(&mut self) {
        let Some(roster) = self.roster_to_save.take() else { return };
        let batch = Batch {
            bot: self.spec.name.clone(),
            roster: Some(Roster { ver: Some(roster.ver.clone()), items: roster.to_value() }),
            ..Batch::default()
        };
        let bot = self.spec.name.clone();
        self.deps.store.commit(
            batch,
            Box::new(move |result| {
                if let Err(error) = result {
                    tracing::warn!(bot, %error, "the roster could not be saved; it will be fetched again");
                }
            }),
        );
    }
}

/// What a stanza leaves behind, as it is kept.
fn marks(marks: session::archive::Marks) -> Marks {
    let position = |reached: Reached| Position {
        archive: reached.archive.to_string(),
        id: reached.id,
        stamp: reached.stamp,
    };
    Marks { keys: marks.keys, positions: marks.reached.into_iter().map(position).collect() }
}
