//! `limits` of bots and scripts: what is read, in which range, and what holds where nothing is written.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::decode::Decoder;
use crate::config::settings::{Limits, Rate, SendLimit, TurnLimits, TurnOverrides};
use crate::config::yaml::Node;

/// What holds where nothing is written.
pub const DEFAULT_LIMITS: Limits = Limits {
    turn: TurnLimits {
        turn: Duration::from_millis(50),
        operations: 200_000,
        memory: 4 << 20,
        store: 16 << 20,
        actions: 200,
        writes: 1_000,
        timers: 10_000,
    },
    send: SendLimit { rate: Some(Rate { count: 2, per: Duration::from_secs(1) }), burst: 10 },
    queue: 1_000,
    message: None,
};

const TURN: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60);
const OPERATIONS: RangeInclusive<u64> = 1_000..=1_000_000_000;
const MEMORY: RangeInclusive<u64> = 64 << 10..=1 << 30;
const STORE: RangeInclusive<u64> = 64 << 10..=1 << 30;
const ACTIONS: RangeInclusive<u64> = 1..=10_000;
const WRITES: RangeInclusive<u64> = 1..=100_000;
const TIMERS: RangeInclusive<u64> = 1..=1_000_000;
const QUEUE: RangeInclusive<u64> = 1..=1_000_000;
const MESSAGE: RangeInclusive<u64> = 1 << 10..=256 << 10;
const BURST: RangeInclusive<u64> = 1..=10_000;

/// `limits` of a bot, or of all of them.
pub fn of_bot(decoder: &mut Decoder, node: &Node) -> Limits {
    let mut limits = DEFAULT_LIMITS;
    if !decoder.map(node, "limits") {
        return limits;
    }
    limits.turn = of_turns(decoder, node).over(limits.turn);
    if let Some(count) = node.get("queue").and_then(|it| decoder.count(&it.value, "`queue`", QUEUE)) {
        // At most a million, see the range.
        limits.queue = count as usize;
    }
    if let Some(bytes) = node.get("message").and_then(|it| decoder.size(&it.value, "`message`", MESSAGE)) {
        // At most 256 KiB, see the range.
        limits.message = Some(bytes as usize);
    }
    if let Some(send) = node.get("send").map(|it| &it.value).filter(|it| decoder.map(it, "send")) {
        if let Some(rate) = send.get("rate").and_then(|it| decoder.rate(&it.value, "`rate`")) {
            limits.send.rate = rate;
        }
        if let Some(burst) = send.get("burst").and_then(|it| decoder.count(&it.value, "`burst`", BURST)) {
            limits.send.burst = burst as u32;
        }
    }
    limits
}

/// `limits` of a script.
pub fn of_script(decoder: &mut Decoder, node: &Node) -> TurnOverrides {
    if decoder.map(node, "script_limits") { of_turns(decoder, node) } else { TurnOverrides::default() }
}

/// The keys that both have.
fn of_turns(decoder: &mut Decoder, node: &Node) -> TurnOverrides {
    let turn = node.get("turn").and_then(|it| decoder.duration(&it.value, "`turn`", TURN));
    let mut count = |key: &str, range: RangeInclusive<u64>| {
        node.get(key).and_then(|it| decoder.count(&it.value, &format!("`{key}`"), range))
    };
    let (operations, actions) = (count("operations", OPERATIONS), count("actions", ACTIONS));
    let (writes, timers) = (count("writes", WRITES), count("timers", TIMERS));
    let mut size = |key: &str, range: RangeInclusive<u64>| {
        node.get(key).and_then(|it| decoder.size(&it.value, &format!("`{key}`"), range))
    };
    let (memory, store) = (size("memory", MEMORY), size("store", STORE));
    TurnOverrides { turn, operations, memory, store, actions, writes, timers }
}
