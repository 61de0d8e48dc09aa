//! What of the inbound stanzas is safe, shared between the account that reads them and the threads that commit what
//! they led to: the count for the server (XEP-0198), the keys that sort out repetitions, and archive positions.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::actor::handled::Handled;
use crate::store::session::{Position, Received};

/// Everything about the stanzas of one account on their way from the stream to the store.
#[derive(Default)]
pub struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    epoch: u32,
    handled: Handled,
    /// Up to here the store has it. Never behind what the server was told.
    durable: u32,
    /// Deliveries that are open, by token.
    open: BTreeMap<u64, Open>,
    /// The token that was opened last: deliveries are handled in order, so it is the last to be done.
    latest: u64,
    /// Tokens of stanzas that no stream counts.
    uncounted: u64,
    /// Handled, and not written to the store yet.
    unsaved: Marks,
    /// On its way to the store with a row of turns.
    claimed: Option<Claim>,
    /// How far archives are read, as the store has it.
    read: BTreeMap<String, Position>,
}

/// What a stanza leaves behind when it is handled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Marks {
    /// What names it.
    pub keys: Vec<u64>,
    /// How far its archive is read with it.
    pub positions: Vec<Position>,
}

struct Open {
    parts: u32,
    marks: Marks,
}

struct Claim {
    epoch: u32,
    handled: u32,
    /// What had waited to be written before.
    waited: Marks,
    positions: Vec<Position>,
    /// What the claim is about.
    tokens: Vec<u64>,
}

/// Bit of tokens of stanzas that no stream counts.
const UNCOUNTED: u64 = 1 << 63;

impl Marks {
    fn add(&mut self, other: Marks) {
        self.keys.extend(other.keys);
        for position in other.positions {
            self.positions.retain(|known| known.archive != position.archive);
            self.positions.push(position);
        }
    }

    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.positions.is_empty()
    }
}

impl Ledger {
    /// A session begins, or is taken up again by a new process: `handled` stanzas of it are safe.
    pub fn begin(&self, epoch: u32, handled: u32) {
        let mut inner = self.inner();
        inner.epoch = epoch;
        inner.handled = Handled::starting_at(handled);
        inner.durable = handled;
    }

    /// The token of deliveries of stanza `number`; `None` where the stream does not count.
    pub fn token(&self, number: Option<u32>) -> u64 {
        let mut inner = self.inner();
        match number {
            Some(number) => u64::from(inner.epoch) << 32 | u64::from(number),
            None => {
                inner.uncounted += 1;
                UNCOUNTED | inner.uncounted
            }
        }
    }

    /// Whether a token is of a stanza that no stream counts.
    pub fn is_uncounted(token: u64) -> bool {
        token & UNCOUNTED != 0
    }

    /// Whether deliveries of this token are not handled yet.
    pub fn is_open(&self, token: u64) -> bool {
        self.inner().open.contains_key(&token)
    }

    /// A stanza has become `parts` deliveries under `token`; with none it is done at once.
    pub fn on_stanza(&self, token: u64, number: Option<u32>, parts: u32, marks: Marks) {
        let mut inner = self.inner();
        if let Some(number) = number {
            inner.handled.on_stanza(number, parts);
        }
        if parts > 0 {
            inner.open.insert(token, Open { parts, marks });
            inner.latest = token;
            return;
        }
        // A position covers all that came before it, and some of that may not be handled yet.
        let latest = inner.latest;
        match inner.open.get_mut(&latest) {
            Some(open) => open.marks.add(marks),
            None => inner.unsaved.add(marks),
        }
    }

    /// What is safe when the deliveries of `tokens` are committed, which is about to happen.
    pub fn claim(&self, tokens: &[u64]) -> Received {
        let mut inner = self.inner();
        inner.drop_claim();
        let waited = std::mem::take(&mut inner.unsaved);
        let (mut handled, mut marks) = (inner.handled.clone(), waited.clone());
        for (token, count) in counted(tokens) {
            if let Some(number) = inner.number(token) {
                (0..count).for_each(|_| handled.on_done(number));
            }
            if let Some(open) = inner.open.get(&token).filter(|open| open.parts <= count) {
                marks.add(open.marks.clone());
            }
        }
        let (epoch, handled) = (inner.epoch, handled.prefix());
        let news = (handled != inner.durable).then_some((epoch, handled));
        let positions = marks.positions.clone();
        inner.claimed = Some(Claim { epoch, handled, waited, positions, tokens: tokens.to_vec() });
        Received { handled: news, keys: marks.keys, positions: marks.positions }
    }

    /// The deliveries of `tokens` are done; `kept`: what was claimed for them is in the store.
    pub fn done(&self, tokens: &[u64], kept: bool) {
        let mut inner = self.inner();
        let claim = inner.claimed.take_if(|claim| kept && claim.tokens == tokens);
        match &claim {
            Some(claim) => {
                inner.keep_read(&claim.positions);
                if claim.epoch == inner.epoch {
                    inner.advance(claim.handled);
                }
            }
            None => inner.drop_claim(),
        }
        for (token, count) in counted(tokens) {
            if let Some(number) = inner.number(token) {
                (0..count).for_each(|_| inner.handled.on_done(number));
            }
            let Some(open) = inner.open.get_mut(&token) else { continue };
            open.parts = open.parts.saturating_sub(count);
            if open.parts == 0
                && let Some(open) = inner.open.remove(&token)
                && claim.is_none()
            {
                inner.unsaved.add(open.marks);
            }
        }
    }

    /// What is safe to say and the store does not have yet, to be written by the account itself.
    pub fn take_unsaved(&self) -> Received {
        let mut inner = self.inner();
        let marks = std::mem::take(&mut inner.unsaved);
        let prefix = inner.handled.prefix();
        let news = (prefix != inner.durable).then_some((inner.epoch, prefix));
        Received { handled: news, keys: marks.keys, positions: marks.positions }
    }

    /// The account's own write has been kept, or not.
    pub fn saved(&self, received: Received, kept: bool) {
        let mut inner = self.inner();
        match received.handled {
            Some((epoch, handled)) if kept && epoch == inner.epoch => inner.advance(handled),
            _ => {}
        }
        if !kept {
            let later = std::mem::take(&mut inner.unsaved);
            inner.unsaved = Marks { keys: received.keys, positions: received.positions };
            inner.unsaved.add(later);
        } else {
            inner.keep_read(&received.positions);
        }
    }

    /// How far archives were read when the process started.
    pub fn remember(&self, positions: &[Position]) {
        self.inner().keep_read(positions);
    }

    /// How far an archive is read, as the store has it.
    pub fn read(&self, archive: &str) -> Option<Position> {
        self.inner().read.get(archive).cloned()
    }

    /// The count that the store has.
    pub fn durable(&self) -> u32 {
        self.inner().durable
    }

    /// How many stanzas are safe to acknowledge once they are written.
    pub fn behind(&self) -> u32 {
        let inner = self.inner();
        inner.handled.prefix().wrapping_sub(inner.durable)
    }

    /// Whether something waits to be written.
    pub fn has_unsaved(&self) -> bool {
        let inner = self.inner();
        inner.handled.prefix() != inner.durable || !inner.unsaved.is_empty()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // No update here can stop half-way.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The number of a token, where it is of the present session.
    fn number(&self, token: u64) -> Option<u32> {
        let epoch = (token >> 32) as u32;
        (token & UNCOUNTED == 0 && epoch == self.epoch).then_some(token as u32)
    }

    /// Only forward, modulo 2^32.
    fn advance(&mut self, handled: u32) {
        if handled.wrapping_sub(self.durable) < 1 << 31 {
            self.durable = handled;
        }
    }

    fn keep_read(&mut self, positions: &[Position]) {
        for position in positions {
            self.read.insert(position.archive.clone(), position.clone());
        }
    }

    /// A claim that nothing came of: what had waited before waits again.
    fn drop_claim(&mut self) {
        let Some(claim) = self.claimed.take() else { return };
        let later = std::mem::replace(&mut self.unsaved, claim.waited);
        self.unsaved.add(later);
    }
}

/// Each token once, with how often it is there: a stanza may have become several deliveries.
fn counted(tokens: &[u64]) -> BTreeMap<u64, u32> {
    let mut counts = BTreeMap::new();
    tokens.iter().for_each(|token| *counts.entry(*token).or_default() += 1);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_covers_what_its_tokens_finish_and_what_had_waited() {
        let ledger = Ledger::default();
        ledger.begin(2, 10);
        let first = arrive(&ledger, 11, 1);
        ledger.on_stanza(ledger.token(Some(12)), Some(12), 0, Marks::default());
        let third = arrive(&ledger, 13, 2);
        let claim = ledger.claim(&[first]);
        assert_eq!((claim.handled, &claim.keys[..]), (Some((2, 12)), &[11][..]));
        assert_eq!(ledger.durable(), 10);
        ledger.done(&[first], true);
        assert_eq!((ledger.durable(), ledger.has_unsaved()), (12, false));
        // One of two parts is not the stanza.
        assert_eq!(ledger.claim(&[third]), Received::default());
        ledger.done(&[third], true);
        let claim = ledger.claim(&[third]);
        assert_eq!((claim.handled, &claim.keys[..]), (Some((2, 13)), &[13][..]));
    }

    #[test]
    fn what_no_commit_took_along_waits_for_the_next() {
        let ledger = Ledger::default();
        ledger.begin(1, 0);
        let (first, second) = (arrive(&ledger, 1, 1), arrive(&ledger, 2, 1));
        ledger.done(&[first], false);
        assert_eq!((ledger.durable(), ledger.behind(), ledger.has_unsaved()), (0, 1, true));
        let claim = ledger.claim(&[second]);
        assert_eq!((claim.handled, &claim.keys[..]), (Some((1, 2)), &[1, 2][..]));
        // The commit is refused, the turn runs again and has no effect this time.
        ledger.done(&[second], false);
        assert_eq!(ledger.durable(), 0);
        let own = ledger.take_unsaved();
        assert_eq!((own.handled, &own.keys[..]), (Some((1, 2)), &[1, 2][..]));
        ledger.saved(own.clone(), false);
        assert_eq!(ledger.take_unsaved(), own);
        ledger.saved(own, true);
        assert_eq!((ledger.durable(), ledger.has_unsaved()), (2, false));
    }

    #[test]
    fn a_refused_claim_moves_no_position_before_its_stanza_is_handled() {
        let ledger = Ledger::default();
        ledger.begin(1, 0);
        let token = ledger.token(Some(1));
        let position = Position { archive: "a".into(), id: "1".into(), stamp: jiff::Timestamp::UNIX_EPOCH };
        let marks = Marks { keys: vec![1], positions: vec![position.clone()] };
        ledger.on_stanza(token, Some(1), 1, marks);
        assert_eq!(ledger.claim(&[token]).positions, [position]);
        assert_eq!(ledger.take_unsaved(), Received::default());
    }

    #[test]
    fn a_position_waits_for_everything_that_came_before_it() {
        let ledger = Ledger::default();
        ledger.begin(1, 0);
        let (first, second) = (arrive(&ledger, 1, 1), arrive(&ledger, 2, 1));
        let position = Position { archive: "a".into(), id: "9".into(), stamp: jiff::Timestamp::UNIX_EPOCH };
        let marks = Marks { keys: vec![], positions: vec![position.clone()] };
        ledger.on_stanza(ledger.token(Some(3)), Some(3), 0, marks);
        assert_eq!(ledger.take_unsaved(), Received::default());
        assert_eq!(ledger.claim(&[first]).positions, []);
        ledger.done(&[first], true);
        assert_eq!(ledger.claim(&[second]).positions, [position]);
    }

    #[test]
    fn tokens_of_an_older_session_count_for_nothing_but_their_keys_stay() {
        let ledger = Ledger::default();
        ledger.begin(1, 0);
        let old = arrive(&ledger, 1, 1);
        ledger.begin(2, 0);
        let claim = ledger.claim(&[old]);
        assert_eq!((claim.handled, &claim.keys[..]), (None, &[1][..]));
        ledger.done(&[old], true);
        assert_eq!(ledger.durable(), 0);
    }

    #[test]
    fn stanzas_that_no_stream_counts_leave_their_keys() {
        let ledger = Ledger::default();
        ledger.begin(1, 0);
        let token = ledger.token(None);
        ledger.on_stanza(token, None, 1, Marks { keys: vec![5], positions: vec![] });
        assert_ne!(token, ledger.token(None));
        let claim = ledger.claim(&[token]);
        assert_eq!((claim.handled, &claim.keys[..]), (None, &[5][..]));
    }

    /// A stanza whose key is its number.
    fn arrive(ledger: &Ledger, number: u32, parts: u32) -> u64 {
        let token = ledger.token(Some(number));
        ledger.on_stanza(token, Some(number), parts, Marks { keys: vec![number.into()], positions: vec![] });
        token
    }
}
