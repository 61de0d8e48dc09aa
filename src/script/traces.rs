//! The last events of one bot. What comes in floods is remembered apart, so that it pushes out nothing that people ask
//! about.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::script::error::ScriptError;
use crate::script::happening::Manner;
use crate::script::ledger::{Ledger, Share};
use crate::script::table::Table;
use crate::script::trace::{self, MOST, Trace};

/// Events of each sort that a bot remembers: what somebody said or did.
const TALK: usize = 8;
/// What it does by itself.
const CLOCK: usize = 4;
/// What others send in floods.
const NOISE: usize = 2;
/// What failed of what it does by itself and of floods.
const BROKEN: usize = 4;

/// Bytes that the traces of all bots may take together. Beyond it a bot that notes an event forgets its oldest ones, but
/// never the last.
pub(super) const BUDGET: usize = 32 * 1024 * 1024;

/// The last events of one bot.
pub(super) struct Traces {
    talk: VecDeque<Kept>,
    clock: VecDeque<Kept>,
    noise: VecDeque<Kept>,
    broken: VecDeque<Kept>,
    /// How many there have been.
    count: u64,
    share: Share,
}

/// One event.
struct Kept {
    /// Its place among those of the bot: clocks may be set back.
    place: u64,
    trace: Box<Trace>,
}

impl Traces {
    /// Nothing yet, with a share of what all bots may take.
    pub(super) fn new(ledger: Arc<Ledger>) -> Self {
        let share = Share::of(ledger);
        let (talk, clock, noise, broken) = Default::default();
        Self { talk, clock, noise, broken, count: 0, share }
    }

    /// Remembers one. An event that is handled again replaces what was remembered of it.
    pub(super) fn record(&mut self, manner: Manner, trace: Trace) {
        for ring in self.rings() {
            ring.retain(|kept| kept.trace.id != trace.id);
        }
        let (ring, most) = match manner {
            Manner::Talk => (&mut self.talk, TALK),
            Manner::Clock | Manner::Noise if !trace.failures.is_empty() => (&mut self.broken, BROKEN),
            Manner::Clock => (&mut self.clock, CLOCK),
            Manner::Noise => (&mut self.noise, NOISE),
        };
        if ring.len() >= most {
            ring.pop_front();
        }
        self.count += 1;
        ring.push_back(Kept { place: self.count, trace: Box::new(trace) });
        self.weigh();
    }

    /// The store refused what an event led to: nothing of it was kept or sent.
    pub(super) fn note_loss(&mut self, id: &str, why: &ScriptError) {
        for ring in self.rings() {
            for Kept { trace, .. } in ring.iter_mut().filter(|kept| kept.trace.id == id) {
                trace.sends.clear();
                trace.written.clear();
                trace.actions = 0;
                trace.failures.push(trace::failure(why));
                trace.failures.truncate(MOST + 1);
            }
        }
        self.weigh();
    }

    /// The oldest first.
    pub(super) fn all(&self) -> Vec<Trace> {
        let mut all: Vec<&Kept> = self.kept().collect();
        all.sort_by_key(|kept| kept.place);
        all.into_iter().map(|kept| (*kept.trace).clone()).collect()
    }

    /// Takes as much as there is, and forgets the oldest while all bots take too much.
    fn weigh(&mut self) {
        while self.share.set(self.bytes()) && self.kept().nth(1).is_some() {
            let place = |ring: &VecDeque<Kept>| ring.front().map_or(u64::MAX, |kept| kept.place);
            if let Some(oldest) = self.rings().into_iter().min_by_key(|ring| place(ring)) {
                oldest.pop_front();
            }
        }
    }

    /// Bytes that they take. The table of the newest is not counted: the bot has it anyway.
    fn bytes(&self) -> usize {
        let newest = self.kept().max_by_key(|kept| kept.place).map(|kept| &kept.trace.table);
        let mut tables: Vec<&Arc<Table>> = newest.into_iter().collect();
        let mut bytes = 0;
        for Kept { trace, .. } in self.kept() {
            bytes += trace.weight();
            if !tables.iter().any(|table| Arc::ptr_eq(table, &trace.table)) {
                bytes += trace.table.weight();
                tables.push(&trace.table);
            }
        }
        bytes
    }

    fn kept(&self) -> impl Iterator<Item = &Kept> {
        [&self.talk, &self.clock, &self.noise, &self.broken].into_iter().flatten()
    }

    fn rings(&mut self) -> [&mut VecDeque<Kept>; 4] {
        [&mut self.talk, &mut self.clock, &mut self.noise, &mut self.broken]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use jiff::Timestamp;

    use super::*;
    use crate::script::budget::Cost;
    use crate::script::error::Kind;
    use crate::script::happening::Happening;
    use crate::script::memory;
    use crate::script::table::{Entry, Script};
    use crate::script::trace::{MessageTrace, Sent, Told, Written};
    use crate::script::verdict::{List, Notes, Verdict};
    use crate::stanza::MessageKind;

    #[test]
    fn an_event_that_runs_again_is_remembered_once() {
        let mut traces = traces(BUDGET).1;
        traces.record(Manner::Talk, trace("a", 1, &[]));
        traces.record(Manner::Talk, trace("b", 1, &[]));
        traces.record(Manner::Talk, trace("a", 2, &[]));
        assert_eq!(traces.all().iter().map(|t| t.turns).collect::<Vec<_>>(), [1, 2]);
        // Also where it failed only the second time.
        traces.record(Manner::Clock, trace("c", 3, &[]));
        traces.record(Manner::Clock, trace("c", 4, &[broken()]));
        assert_eq!(traces.all().iter().map(|t| t.turns).collect::<Vec<_>>(), [1, 2, 4]);
    }

    #[test]
    fn what_failed_outlives_a_flood_of_what_went_well() {
        let mut traces = traces(BUDGET).1;
        traces.record(Manner::Talk, trace("said", 1, &[]));
        traces.record(Manner::Clock, trace("failed", 1, &[broken()]));
        for n in 0..100 {
            traces.record(Manner::Clock, trace(&format!("clock {n}"), 1, &[]));
            traces.record(Manner::Noise, trace(&format!("noise {n}"), 1, &[]));
        }
        let ids: Vec<String> = traces.all().into_iter().map(|t| t.id).collect();
        assert_eq!(ids.len(), 1 + 1 + CLOCK + NOISE);
        assert_eq!(ids[..2], [trace::id("bot", "said"), trace::id("bot", "failed")]);
        assert_eq!(ids[7], trace::id("bot", "noise 99"), "the last is the newest");
    }

    #[test]
    fn all_bots_together_stay_within_the_budget_and_the_noting_one_forgets() {
        let one = trace("a 0", 1, &[]).weight();
        let (ledger, mut first) = traces(5 * one);
        for n in 0..8 {
            first.record(Manner::Talk, trace(&format!("a {n}"), 1, &[]));
        }
        assert_eq!((first.all().len(), ledger.taken()), (5, 5 * one));
        let mut second = Traces::new(ledger.clone());
        for n in 0..4 {
            second.record(Manner::Clock, trace(&format!("b {n}"), 1, &[]));
            assert_eq!((first.all().len(), second.all().len()), (5, 1), "the last is kept, others' are too");
            assert_eq!(second.all()[0].id, trace::id("bot", &format!("b {n}")));
        }
        first.record(Manner::Noise, trace("a 8", 1, &[]));
        assert_eq!((first.all().len(), ledger.taken()), (4, 5 * one));
        assert_eq!(first.all()[0].id, trace::id("bot", "a 5"), "the oldest go first, whatever they are");
        drop(first);
        assert_eq!(ledger.taken(), one);
        for n in 4..12 {
            second.record(Manner::Talk, trace(&format!("b {n}"), 1, &[]));
        }
        assert_eq!((second.all().len(), ledger.taken()), (5, 5 * one));
        second.note_loss(&trace::id("bot", "b 11"), &broken());
        assert!(ledger.taken() <= 5 * one && second.all().len() == 4);
        drop(second);
        assert_eq!(ledger.taken(), 0);
    }

    #[test]
    fn what_is_counted_is_what_is_taken() {
        let long = ScriptError { message: "x".repeat(1_000), ..broken() };
        let mut full = trace("a", 1, &[broken(), long]);
        full.written = vec![Written::Key("k".repeat(100)), Written::Timer("tea".to_owned())];
        full.notes.push(0, List::Handlers, 0, Verdict::Ran);
        full.sends = vec![Sent { to: "a@b".to_owned(), id: "i".to_owned(), text: Some("hello".to_owned()) }];
        (full.name, full.from, full.alias) =
            (Some("n".repeat(50)), Some("f".to_owned()), Some("a".to_owned()));
        full.message = Some(MessageTrace {
            ids: vec!["one".to_owned(), "two".to_owned()],
            room: Some("r@b".to_owned()),
            nick: "ann".to_owned(),
            kind: MessageKind::Chat,
            corrects: false,
            length: 5,
            text: Some("hello".to_owned()),
        });
        for trace in [trace("a", 1, &[]), full] {
            let before = memory::held();
            // A copy has no room to spare.
            let copy = Box::new(trace.clone());
            let taken = memory::held() - before;
            assert_eq!(copy.weight(), usize::try_from(taken).expect("more than before"));
            assert!(trace.weight() >= copy.weight());
        }
        let entry = Entry { name: "timer:tea".to_owned(), hears: false, line: 1 };
        let script = Script {
            name: "main".to_owned(),
            version: "0123".to_owned(),
            parked: Some("why".to_owned()),
            handlers: vec![entry.clone(), entry.clone()],
            commands: vec![entry],
        };
        let table = Table { scripts: vec![script.clone(), script] };
        let before = memory::held();
        let copy = Box::new(table.clone());
        let taken = memory::held() - before;
        assert_eq!(copy.weight(), usize::try_from(taken).expect("more than before"));
    }

    #[test]
    fn tables_of_earlier_versions_are_counted_once_each() {
        let handler = Entry { name: "message".to_owned(), hears: false, line: 1 };
        let script = Script {
            name: "main".to_owned(),
            version: String::new(),
            parked: None,
            handlers: vec![handler; 1_000],
            commands: Vec::new(),
        };
        let table = || Arc::new(Table { scripts: vec![script.clone()] });
        let with = |key: &str, table: &Arc<Table>| Trace { table: table.clone(), ..trace(key, 1, &[]) };
        let (ledger, mut traces) = traces(BUDGET);
        let (first, second) = (table(), table());
        let one = with("a", &first).weight();
        traces.record(Manner::Talk, with("a", &first));
        traces.record(Manner::Talk, with("b", &first));
        assert_eq!(ledger.taken(), 2 * one, "the bot has that one anyway");
        traces.record(Manner::Talk, with("c", &second));
        assert_eq!(ledger.taken(), 3 * one + first.weight());
    }

    /// A bot that has noted nothing, and a budget of that many bytes.
    fn traces(budget: usize) -> (Arc<Ledger>, Traces) {
        let ledger = Arc::new(Ledger::new(budget));
        (ledger.clone(), Traces::new(ledger))
    }

    /// That of a bot without scripts.
    static TABLE: LazyLock<Arc<Table>> = LazyLock::new(Arc::default);

    fn trace(key: &str, turns: u32, failures: &[ScriptError]) -> Trace {
        let told = Told {
            turns,
            actions: &[],
            failures,
            written: Vec::new(),
            notes: Notes::default(),
            cost: Cost::default(),
            table: TABLE.clone(),
            bodies: false,
        };
        Trace::new(trace::id("bot", key), Timestamp::UNIX_EPOCH, &Happening::new("every"), told)
    }

    fn broken() -> ScriptError {
        ScriptError {
            bot: "bot".to_owned(),
            script: "main".to_owned(),
            file: "main.rhai".to_owned(),
            line: 1,
            column: 1,
            kind: Kind::Runtime,
            message: "no".to_owned(),
            chain: Vec::new(),
            hint: None,
            event: None,
            trace: None,
        }
    }
}
