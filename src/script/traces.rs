//! The last events of one bot. What comes in floods is remembered apart, so that it pushes out nothing that people ask
//! about.

use std::collections::VecDeque;

use crate::script::error::ScriptError;
use crate::script::happening::Manner;
use crate::script::trace::{self, MOST, Trace};

/// Events of each sort that a bot remembers: what somebody said or did.
const TALK: usize = 8;
/// What it does by itself.
const CLOCK: usize = 4;
/// What others send in floods.
const NOISE: usize = 2;
/// What failed of what it does by itself and of floods.
const BROKEN: usize = 4;

/// The last events of one bot.
#[derive(Default)]
pub(super) struct Traces {
    talk: VecDeque<Kept>,
    clock: VecDeque<Kept>,
    noise: VecDeque<Kept>,
    broken: VecDeque<Kept>,
    /// How many there have been.
    count: u64,
}

/// One event.
struct Kept {
    /// Its place among those of the bot: clocks may be set back.
    place: u64,
    trace: Trace,
}

impl Traces {
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
        ring.push_back(Kept { place: self.count, trace });
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
    }

    /// The oldest first.
    pub(super) fn all(&self) -> Vec<Trace> {
        let rings = [&self.talk, &self.clock, &self.noise, &self.broken];
        let mut all: Vec<&Kept> = rings.into_iter().flatten().collect();
        all.sort_by_key(|kept| kept.place);
        all.into_iter().map(|kept| kept.trace.clone()).collect()
    }

    fn rings(&mut self) -> [&mut VecDeque<Kept>; 4] {
        [&mut self.talk, &mut self.clock, &mut self.noise, &mut self.broken]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::script::budget::Cost;
    use crate::script::error::Kind;
    use crate::script::happening::Happening;
    use crate::script::trace::Told;
    use crate::script::verdict::Notes;

    #[test]
    fn an_event_that_runs_again_is_remembered_once() {
        let mut traces = Traces::default();
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
        let mut traces = Traces::default();
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

    fn trace(key: &str, turns: u32, failures: &[ScriptError]) -> Trace {
        let told = Told {
            turns,
            actions: &[],
            failures,
            written: Vec::new(),
            notes: Notes::default(),
            cost: Cost::default(),
            table: Arc::default(),
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
