//! What the store keeps of the account's session, so that another process goes on with it: loaded at the start, written
//! when a session begins, and told of when it is safe.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::actor::account::Account;
use crate::actor::account::outbox::FLUSH_AFTER;
use crate::actor::account::sending::{AGAIN, Gate};
use crate::actor::drill::{self, Point, Rule};
use crate::jid::{BareJid, FullJid, Jid};
use crate::moment::Moment;
use crate::session::archive::Reached;
use crate::store::Batch;
use crate::store::session::{Forget, Position, Received, SessionRow};
use crate::stream::management::{Left, Management, kept_for};

/// Safe stanzas that are written to the store although nothing else is.
const UNSAVED: u32 = 32;

/// What the store had to keep for the account, told by its thread.
pub struct Kept {
    /// For which connection.
    connection: u64,
    what: Outcome,
    kept: bool,
}

/// What the account waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Counts, keys and what was acknowledged.
    Counts,
    /// Numbers of messages.
    Numbers,
    /// The session that begins.
    Session,
    /// The login token, and its uses up to `ceiling`.
    Token { generation: u32, ceiling: u64 },
}

impl Account {
    /// What an earlier process has left: its session, if it was this account's.
    pub(super) fn load_session(&mut self) {
        let bot = &self.spec.name;
        let kept = match self.deps.kept_session(bot) {
            Ok(kept) => kept,
            Err(error) => {
                tracing::error!(bot, %error, "the session before cannot be read from the store");
                return;
            }
        };
        let Some(row) = kept.session else { return };
        self.epoch = row.epoch;
        let jid = row.state["jid"].as_str().and_then(|jid| FullJid::parse(jid).ok());
        // Who logs in as nobody goes on with whatever the server has made up.
        let own = |jid: &FullJid| match self.spec.anonymous {
            true => jid.domain() == self.spec.jid.domain(),
            false => jid.to_bare() == self.spec.jid,
        };
        let Some(jid) = jid.filter(own) else {
            if !row.state.is_null() {
                // Another account: nothing of it holds for this one.
                self.keep(
                    Batch { bot: bot.clone(), forget: Forget::Everything, ..Batch::default() },
                    Outcome::Counts,
                );
            }
            return;
        };
        self.ledger.begin(row.epoch, row.handled);
        self.ledger.remember(&kept.positions);
        let reached = kept.positions.into_iter().filter_map(|position| {
            let archive = BareJid::parse(&position.archive).ok()?;
            Some(Reached { archive, id: position.id, stamp: position.stamp })
        });
        self.session.remember_reached(reached.collect());
        if drill::holds(Rule::Ring) {
            self.session.remember(kept.keys);
        }
        self.catching_up = row.catching_up;
        self.present = row.state["present"].as_bool().unwrap_or(false);
        self.announced = strings(&row.state["features"]);
        let seats = strings(&row.state["seats"]);
        self.seats = seats.iter().filter_map(|seat| Jid::parse(seat).ok()).collect();
        let location = row.state["location"].as_str().map(str::to_owned);
        self.lost = row.state["lost"].as_i64().and_then(|lost| Timestamp::from_millisecond(lost).ok());
        if let Some(id) = row.state["id"].as_str() {
            let max = row.state["max"].as_u64().and_then(|max| max.try_into().ok());
            let lost = self.lost.or(self.deps.store.left_at());
            let until = lost.map(|lost| resumable_until(max, lost, self.deps.now()));
            let left = Left { id: id.to_owned(), jid, location, max, handled: row.handled, until };
            self.management = Some(Management::adopt(left));
            self.adopted = true;
        }
    }

    /// A session begins: nothing is sent in it before the store has its id.
    pub(super) fn begin_session(&mut self, sm: bool) {
        // Never the sign of stanzas that are not counted.
        self.epoch = self.epoch.wrapping_add(1) & (u32::MAX >> 1);
        self.ledger.begin(self.epoch, 0);
        self.lost = None;
        self.catching_up = true;
        self.present = false;
        self.announced.clear();
        self.seats.clear();
        drill::die_at(Point::EnabledBeforePersist);
        if sm {
            self.outbox.gate = Gate::Session;
        }
        self.keep_session();
    }

    /// Where the archive is to be read from if this process dies before it has learnt where the archive ends: from the
    /// first session on, nothing is lost.
    fn first_position(&self) -> Vec<Position> {
        let archive = self.spec.jid.to_string();
        if self.ledger.read(&archive).is_some() {
            return Vec::new();
        }
        // Archives round down to the second.
        let now = self.deps.now().wall;
        let stamp = now.checked_sub(SignedDuration::from_secs(1)).unwrap_or(now);
        vec![Position { archive, id: String::new(), stamp }]
    }

    /// Has the store keep in which rooms the account is, where that has changed.
    pub(super) fn keep_seats(&mut self) {
        // Before it is online, a process knows only what the one before has kept.
        if !self.outbox.is_online() || !self.present {
            return;
        }
        let seats = self.session.seats();
        if seats != self.seats {
            self.seats = seats;
            self.keep_session();
        }
    }

    /// Has the store keep what the session is.
    pub(super) fn keep_session(&mut self) {
        let streamed = self.stream.as_ref().and_then(|stream| stream.management());
        let management = streamed.or(self.management.as_ref());
        let state = json!({
            "id": management.and_then(Management::id),
            "jid": self.bound.as_ref().map(ToString::to_string),
            "location": management.and_then(Management::location),
            "max": management.and_then(Management::resume_max),
            "lost": self.lost.map(Timestamp::as_millisecond),
            "features": self.announced,
            "present": self.present,
            "seats": self.seats.iter().map(Jid::as_str).collect::<Vec<_>>(),
        });
        self.keep_state(state);
    }

    /// The session goes on: it is lost no more.
    pub(super) fn keep_regained(&mut self) {
        if self.lost.take().is_some() {
            self.keep_session();
        }
    }

    fn keep_state(&mut self, state: Value) {
        let session = SessionRow {
            epoch: self.epoch,
            handled: self.ledger.durable(),
            state,
            catching_up: self.catching_up,
        };
        let received = Received { positions: self.first_position(), ..Received::default() };
        let batch =
            Batch { bot: self.spec.name.clone(), session: Some(session), received, ..Batch::default() };
        self.keep(batch, Outcome::Session);
    }

    /// A batch of everything that waits to be written besides.
    pub(super) fn unsaved(&mut self) -> Batch {
        self.flush_at = None;
        Batch {
            bot: self.spec.name.clone(),
            sent: std::mem::take(&mut self.outbox.acknowledged),
            received: self.ledger.take_unsaved(),
            ..Batch::default()
        }
    }

    /// Gives the store a batch and is told when it is kept.
    pub(super) fn keep(&self, batch: Batch, what: Outcome) {
        let (connection, inbox, ledger) = (self.connection, self.kept.clone(), self.ledger.clone());
        let (received, bot) = (batch.received.clone(), batch.bot.clone());
        self.deps.store.commit(
            batch,
            Box::new(move |result| {
                let kept = result.is_ok();
                if let Err(error) = result
                    && !error.is_passing()
                {
                    tracing::warn!(bot, %error, ?what, "what the session has come to is not kept");
                }
                ledger.saved(received, kept);
                inbox.push(Kept { connection, what, kept });
            }),
        );
    }

    /// The store has answered.
    pub(super) fn on_kept(&mut self, now: Moment, kept: Kept) {
        self.acknowledge(now);
        if let Outcome::Token { generation, ceiling } = kept.what {
            return self.on_token_kept(now, generation, ceiling, kept.kept);
        }
        if kept.connection != self.connection {
            return;
        }
        match (kept.what, kept.kept) {
            (Outcome::Counts | Outcome::Token { .. }, _) => {}
            (Outcome::Numbers, true) => self.on_numbered(now),
            (Outcome::Session, true) => {
                if let Gate::Session = self.outbox.gate {
                    drill::die_at(Point::EnabledAfterPersist);
                    self.outbox.gate = Gate::Open;
                }
            }
            (Outcome::Numbers | Outcome::Session, false) => self.again_at = Some(now.at + AGAIN),
        }
    }

    /// The store had refused: once more.
    pub(super) fn keep_again(&mut self) {
        self.again_at = None;
        match &self.outbox.gate {
            Gate::Numbers { kept: false, .. } => self.keep_numbers(),
            Gate::Session => self.keep_session(),
            Gate::Numbers { .. } | Gate::Open => {}
        }
    }

    /// Writes counts, keys and deletions that no turn has taken along.
    pub(super) fn flush(&mut self) {
        let batch = self.unsaved();
        if !batch.sent.is_empty() || !batch.received.is_empty() {
            self.keep(batch, Outcome::Counts);
        }
    }

    /// Sees to it that what waits is written soon.
    pub(super) fn schedule_flush(&mut self, now: Moment) {
        if self.ledger.behind() >= UNSAVED {
            self.flush();
        } else if self.flush_at.is_none() && (self.outbox.has_acknowledged() || self.ledger.has_unsaved()) {
            self.flush_at = Some(now.at + FLUSH_AFTER);
        }
    }
}

/// Until when it makes sense to resume a session whose connection was lost at that time. A clock that was set back
/// says nothing.
fn resumable_until(max: Option<u32>, lost: Timestamp, now: Moment) -> Instant {
    let gone = Duration::try_from(now.wall.duration_since(lost)).unwrap_or_default();
    now.at + kept_for(max).saturating_sub(gone)
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SM-8
    #[test]
    fn the_next_process_has_what_is_left_of_the_time() {
        let now = Moment { at: Instant::now(), wall: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(2) };
        let lost = |seconds| now.wall - SignedDuration::from_secs(seconds);
        for (max, ago, left) in [
            (Some(300), 0, 300),
            (Some(300), 299, 1),
            (Some(300), 300, 0),
            (Some(300), 4_000, 0),
            (Some(300), -50, 300),
            (None, 3_500, 100),
        ] {
            let until = resumable_until(max, lost(ago), now);
            assert_eq!(until.duration_since(now.at).as_secs(), left, "{max:?} {ago}");
        }
    }
}
