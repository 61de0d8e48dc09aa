//! What one turn costs: an echo, and a command among others, each with the building of its event, the run and
//! the hand-over to a store in memory.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use rhapsode::event::{Event, Message};
use rhapsode::ids::Seed;
use rhapsode::jid::{BareJid, Jid};
use rhapsode::moment::Moment;
use rhapsode::script::data::Memory;
use rhapsode::script::loader::compile;
use rhapsode::script::outside::Nowhere;
use rhapsode::script::pool::{BotHandle, Pool, PoolOptions};
use rhapsode::script::{BotSpec, Delivery, Limits, Permissions, ScriptUse, Sink, Turned};

const ECHO: &str = r#"on("message", |m| m.reply(`you said: ${m.text}`));"#;
const ROUTER: &str = r#"
command("roll <sides:int> [times:int=1]", "Roll dice", |m, a| m.reply(`${a.times} of ${a.sides}`));
command("faq [topic:rest]", "Answers", |m, a| m.reply(`about ${a.topic}`));
command("stop", #{ help: "Stop", allow: ["admin"] }, |m, a| m.reply("stopped"));
on("message", |m| if m.text.contains("refund") { m.reply("see !faq refund"); });
"#;
/// Events per measurement: enough that the threads' waking up does not count.
const EVENTS: u64 = 1_000;

struct Counted(SyncSender<usize>);

impl Sink for Counted {
    fn turned(&self, turned: Turned) {
        // Loading is told too, and the receiver may be gone when the pool ends.
        let _ended = self.0.send(turned.handled.len());
    }
}

fn start(source: &str) -> (Pool, BotHandle, Receiver<usize>) {
    let options = PoolOptions {
        flight: None,
        workers: 1,
        data: Arc::new(Memory::new(Arc::new(Timestamp::now))),
        clock: Arc::new(|| Moment { at: Instant::now(), wall: Timestamp::now() }),
        seed: Seed([7; 32]),
        outside: Arc::new(Nowhere),
    };
    let pool = Pool::start(options).expect("memory can be read");
    let compiled = compile("bench", Path::new("bench.rhai"), source).expect("the script compiles");
    let uses = ScriptUse {
        name: "bench".to_owned(),
        compiled,
        config: serde_json::json!({}),
        limits: Limits::DEFAULT,
        permissions: Permissions::default(),
        timezone: jiff::tz::TimeZone::UTC,
    };
    let (sender, receiver) = sync_channel(EVENTS as usize * 2);
    let jid = BareJid::parse("bot@example.org").expect("a valid address");
    let spec = BotSpec {
        speech: Default::default(),
        name: "bot".to_owned(),
        jid,
        scripts: vec![uses],
        queue: EVENTS as usize,
        admins: Vec::new(),
        roles: Default::default(),
        schedules: Vec::new(),
    };
    let handle = pool.add(spec, Arc::new(Counted(sender)));
    (pool, handle, receiver)
}

fn row(handle: &BotHandle, receiver: &Receiver<usize>, from: &Jid, text: &str) {
    for number in 0..EVENTS {
        let event = Event::Message(Box::new(Message::chat(from.clone(), text)));
        handle
            .deliver(Delivery { event, number: Some(number), key: number.to_string() })
            .expect("there is room");
    }
    let mut handled = 0;
    while handled < EVENTS as usize {
        handled += receiver.recv().expect("the pool lives");
    }
}

fn turns(criterion: &mut Criterion) {
    let from = Jid::parse("ann@example.org/phone").expect("a valid address");
    let mut group = criterion.benchmark_group("script");
    group.throughput(Throughput::Elements(EVENTS));
    for (name, source, text) in [
        ("echo", ECHO, "hello there"),
        ("command", ROUTER, "!roll 6 2"),
        ("talk past a router", ROUTER, "nothing for anyone"),
    ] {
        let (_pool, handle, receiver) = start(source);
        group.bench_function(name, |bencher| bencher.iter(|| row(&handle, &receiver, &from, text)));
    }
    group.finish();
}

criterion_group!(benches, turns);
criterion_main!(benches);
