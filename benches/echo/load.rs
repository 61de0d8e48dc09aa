//! The people who talk to the bots: one guest of the embedded server for all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rhapsode::ns;
use rhapsode::server::guest::Guest;
use rhapsode::xml::Element;

/// What the people are to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Plan {
    /// Say nothing more.
    Quiet,
    /// So many messages a second to all bots together, one after another.
    Rate(u32),
    /// So many messages unanswered at each bot at any time.
    Saturate(usize),
}

/// The rope by which the people are led, and what they have seen.
#[derive(Clone)]
pub struct Rope(Arc<Mutex<State>>);

struct State {
    plan: Plan,
    answers: Vec<Duration>,
    in_flight: usize,
    strange: usize,
}

/// What was seen between two looks.
pub struct Seen {
    /// From saying to hearing, unsorted.
    pub answers: Vec<Duration>,
    /// Messages that are not answered yet.
    pub in_flight: usize,
    /// Answers to nothing that was said, or said twice.
    pub strange: usize,
}

/// The people.
pub struct People {
    rope: Rope,
    plan: Plan,
    bots: Vec<String>,
    sent: HashMap<u64, Instant>,
    next: u64,
    begun: Instant,
    in_plan: u64,
}

impl Rope {
    /// Quiet people.
    pub fn new() -> Self {
        let state = State { plan: Plan::Quiet, answers: Vec::new(), in_flight: 0, strange: 0 };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Changes what they do; heard within some milliseconds.
    pub fn set(&self, plan: Plan) {
        self.state().plan = plan;
    }

    /// What was seen since the last look.
    pub fn look(&self) -> Seen {
        let mut state = self.state();
        let answers = std::mem::take(&mut state.answers);
        Seen { answers, in_flight: state.in_flight, strange: state.strange }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics with the rope in hand")
    }
}

impl People {
    /// People who will talk to these addresses.
    pub fn new(rope: Rope, bots: Vec<String>) -> Self {
        let begun = Instant::now();
        Self { rope, plan: Plan::Quiet, bots, sent: HashMap::new(), next: 0, begun, in_plan: 0 }
    }

    fn say(&mut self, now: Instant, bot: usize) -> Element {
        let number = self.next;
        self.next += 1;
        self.sent.insert(number, now);
        let text = format!("{bot} {number} ");
        let padding = BODY.saturating_sub(text.len());
        let text = text + &"and so on, ".repeat(padding.div_ceil(11))[..padding];
        Element::new("message", ns::CLIENT)
            .with_attr("to", self.bots[bot].as_str())
            .with_attr("type", "chat")
            .with_attr("id", number.to_string())
            .with_child(Element::new("body", ns::CLIENT).with_text(text))
    }

    fn start(&mut self, now: Instant, plan: Plan) -> Vec<Element> {
        self.plan = plan;
        self.begun = now;
        self.in_plan = 0;
        match plan {
            Plan::Quiet | Plan::Rate(_) => Vec::new(),
            Plan::Saturate(window) => {
                let bots = 0..self.bots.len();
                bots.flat_map(|bot| std::iter::repeat_n(bot, window)).map(|bot| self.say(now, bot)).collect()
            }
        }
    }
}

impl Guest for People {
    fn on_stanza(&mut self, now: Instant, stanza: &Element) -> Vec<Element> {
        let Some(text) = stanza.child_text("body", ns::CLIENT) else { return Vec::new() };
        let mut words = text.split(' ').map_while(|word| word.parse::<u64>().ok());
        let said = words.next().zip(words.next());
        let answered = said.and_then(|(bot, number)| Some((bot as usize, self.sent.remove(&number)?)));
        let rope = self.rope.clone();
        let mut state = rope.state();
        state.in_flight = self.sent.len();
        let Some((bot, begun)) = answered else {
            state.strange += 1;
            return Vec::new();
        };
        state.answers.push(now - begun);
        // A new plan begins with its own messages: what this one had under way runs out.
        match self.plan {
            Plan::Saturate(_) if state.plan == self.plan => vec![self.say(now, bot)],
            Plan::Quiet | Plan::Rate(_) | Plan::Saturate(_) => Vec::new(),
        }
    }

    fn on_timeout(&mut self, now: Instant) -> (Vec<Element>, Instant) {
        let plan = self.rope.state().plan;
        let mut said = if plan == self.plan { Vec::new() } else { self.start(now, plan) };
        if let Plan::Rate(rate) = self.plan {
            let due = (now - self.begun).as_secs_f64() * f64::from(rate);
            while (self.in_plan as f64) < due {
                // A step that shares no divisor with round numbers of bots: neighbours rest.
                let bot = (self.in_plan as usize * 7919) % self.bots.len();
                self.in_plan += 1;
                said.push(self.say(now, bot));
            }
        }
        (said, now + TICK)
    }
}

/// Bytes of a message's text.
const BODY: usize = 80;
/// How often the rope is looked at.
const TICK: Duration = Duration::from_millis(1);
